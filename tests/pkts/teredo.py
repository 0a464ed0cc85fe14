# SPDX-License-Identifier: GPL-2.0-or-later
"""Teredo packets and the relay's hashes, written in Python apart from the C code: the oracle."""
import ipaddress
import os
import struct

os.environ.setdefault("XDG_CACHE_HOME", "/tmp")
from scapy.layers.inet import IP, UDP, TCP  # noqa: E402,F401
from scapy.layers.inet6 import IPv6, ICMPv6EchoReply, ICMPv6EchoRequest  # noqa: E402,F401
from scapy.layers.l2 import Ether  # noqa: E402,F401
from scapy.packet import Raw  # noqa: E402,F401

M64 = (1 << 64) - 1


def v4(s):
    return ipaddress.IPv4Address(s).packed


def v6(s):
    return ipaddress.IPv6Address(s).packed


def address(server, client, port, flags=0):
    """RFC 4380 4."""
    return str(ipaddress.IPv6Address(b"\x20\x01\0\0" + v4(server) + struct.pack("!HH", flags, port ^ 0xFFFF) +
                                     bytes(b ^ 0xFF for b in v4(client))))


def siphash(key, data):
    """SipHash-2-4, from its paper."""
    k0, k1 = struct.unpack("<QQ", key)
    v = [k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D, k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573]

    def rotl(x, b):
        return (x << b | x >> (64 - b)) & M64

    def rounds(n):
        for _ in range(n):
            v[0] = (v[0] + v[1]) & M64
            v[1] = rotl(v[1], 13) ^ v[0]
            v[0] = rotl(v[0], 32)
            v[2] = (v[2] + v[3]) & M64
            v[3] = rotl(v[3], 16) ^ v[2]
            v[0] = (v[0] + v[3]) & M64
            v[3] = rotl(v[3], 21) ^ v[0]
            v[2] = (v[2] + v[1]) & M64
            v[1] = rotl(v[1], 17) ^ v[2]
            v[2] = rotl(v[2], 32)
    tail = data[len(data) // 8 * 8:]
    words = [struct.unpack_from("<Q", data, i)[0] for i in range(0, len(data) // 8 * 8, 8)]
    words.append(int.from_bytes(tail, "little") | (len(data) & 0xFF) << 56)
    for m in words:
        v[3] ^= m
        rounds(2)
        v[0] ^= m
    v[2] ^= 0xFF
    rounds(4)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def cookie(keys, client, slot, prefix="fe80::"):
    """The source of a bubble to a client in a time slot; keys: the two halves of the map's value."""
    half = siphash(keys[slot // 64 % 2], v6(client) + struct.pack("<Q", slot & 0xFFFFFFFF)) & ~3 & M64
    return str(ipaddress.IPv6Address(v6(prefix)[:8] + struct.pack("<Q", half)))


STAMP_BITS, BUCKET_CLIENTS = 23, 8
STAMP_MASK = (1 << STAMP_BITS) - 1


def _hash(seed, ident, server):
    h = ((ident ^ seed[0]) * seed[1] + server * seed[2]) & M64
    h ^= h >> 32
    h = h * seed[1] & M64
    return h ^ h >> 32


def table_hash(seed, client):
    a = v6(client)
    return _hash(seed, *struct.unpack("<Q", a[8:]), *struct.unpack("<I", a[4:8]))


def table_places(seed, client, buckets):
    """Its home, the bucket beside it, and the far one."""
    h = table_hash(seed, client)
    home = (h >> 32) * buckets >> 32
    return home, home ^ 1, (h & 0xFFFFFFFF) * buckets >> 32


def table_mark(seed, client):
    """What its words have above the stamp."""
    return (table_hash(seed, client) * seed[2] & M64 >> 1 & ~STAMP_MASK) | 1 << STAMP_BITS


def hg48_key(addr, port):
    return struct.unpack("<Q", v4(addr) + struct.pack(">H", port) + b"\x01\0")[0]


def hg48_place(seed, addr, port, max_peers):
    """The first slot of an endpoint of HG48."""
    return (_hash(seed, hg48_key(addr, port), 0) >> 32) * 2 * max_peers >> 32

# SPDX-License-Identifier: GPL-2.0-or-later
"""Protocol 41 written in Python apart from the C code: addresses, and packets in IPv4."""
import ipaddress
import struct

from teredo import ICMPv6EchoRequest, IP, IPv6, Raw, v4, v6  # noqa: F401


def sixto4(site, host="::1:0:0:0:1"):
    """RFC 3056 2: an address of the site behind an IPv4 address; host: its last 80 bits."""
    return str(ipaddress.IPv6Address(int.from_bytes(b"\x20\x02" + v4(site) + bytes(10), "big") |
                                     int(ipaddress.IPv6Address(host))))


def sixrd(prefix, mask_len, edge, host="::1"):
    """RFC 5969 4: an address behind a customer edge; host: its last bits."""
    net = ipaddress.IPv6Network(prefix)
    bits = 32 - mask_len
    low = int(ipaddress.IPv4Address(edge)) & ((1 << bits) - 1)
    return str(ipaddress.IPv6Address(int(net.network_address) | low << (128 - net.prefixlen - bits) |
                                     int(ipaddress.IPv6Address(host))))


def outer(src, dst, inner, **fields):
    """A whole IPv4 packet."""
    return bytes(IP(src=src, dst=dst, proto=41, ttl=64, **fields) / Raw(bytes(inner)))


def echo(src, dst, size=64, hop_limit=64, **fields):
    """An echo request that is so many bytes long, header included."""
    data = bytes(i * 7 & 255 for i in range(size - 48))
    return bytes(IPv6(src=src, dst=dst, hlim=hop_limit, **fields) / ICMPv6EchoRequest(id=7, seq=1, data=data))


def in_header(packet):
    """(source, destination, hop limit, next header) of an IPv6 packet."""
    return (str(ipaddress.IPv6Address(packet[8:24])), str(ipaddress.IPv6Address(packet[24:40])), packet[7], packet[6])


def out_header(packet):
    """Of an IPv4 packet of protocol 41 its fields, but for ID and checksum, which has to be right."""
    words = struct.unpack("!10H", packet[:20])
    total = sum(words)
    total = (total & 0xFFFF) + (total >> 16)
    assert (total & 0xFFFF) + (total >> 16) == 0xFFFF, "IPv4 header checksum"
    assert packet[0] == 0x45 and packet[9] == 41 and words[1] == len(packet)
    return {"src": str(ipaddress.IPv4Address(packet[12:16])), "dst": str(ipaddress.IPv4Address(packet[16:20])),
            "ttl": packet[8], "tos": packet[1], "df": bool(words[3] & 0x4000)}

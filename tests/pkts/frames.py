# SPDX-License-Identifier: GPL-2.0-or-later
"""Packets put together byte by byte: every field may be wrong, and thousands take no time."""
import ipaddress
import struct


def v4(s):
    return ipaddress.IPv4Address(s).packed


def v6(s):
    return ipaddress.IPv6Address(s).packed


def checksum(data):
    """RFC 1071."""
    data += b"\0" * (len(data) & 1)
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def upper(src, dst, nh, head, body, at, wrong=False):
    """An upper layer over IPv6 or IPv4, whose checksum stands at an offset of its header."""
    data = head + body
    pseudo = src + dst + struct.pack("!II", len(data), nh)
    right = checksum(pseudo + data) or 0xFFFF
    return data[:at] + struct.pack("!H", (right + wrong) & 0xFFFF) + data[at + 2:]


def icmp6(src, dst, kind, body, code=0, wrong=False):
    return upper(src, dst, 58, struct.pack("!BBH", kind, code, 0), body, 2, wrong)


def tcp(src, dst, body, wrong=False):
    return upper(src, dst, 6, struct.pack("!HHIIBBHHH", 80, 1025, 1, 2, 0x50, 0x10, 512, 0, 0), body, 16, wrong)


def udp(src, dst, sport, dport, body, length=0, check="right"):
    """length: how much longer it says that it is than it is; the checksum is of what it says."""
    said = max(0, 8 + len(body) + length)
    head = struct.pack("!HHH", sport, dport, said)
    pseudo = src + dst + (struct.pack("!II", said, 17) if len(src) == 16 else struct.pack("!BBH", 0, 17, said))
    right = checksum(pseudo + (head + b"\0\0" + body)[:max(8, said)]) or 0xFFFF
    return head + struct.pack("!H", {"right": right, "wrong": right ^ 0x0100, "none": 0}[check]) + body


def ip6(src, dst, nh, body, hop=57, tc=0, fl=0, version=6, length=0):
    return struct.pack("!IHBB", version << 28 | tc << 20 | fl, max(0, len(body) + length), nh, hop) + src + dst + body


def ip4(src, dst, proto, body, ident, ttl=60, tos=0, frag=0, options=b"", length=0, wrong=False, version=4):
    words = 5 + len(options) // 4
    head = struct.pack("!BBHHHBBH", version << 4 | words, tos, max(0, words * 4 + len(body) + length), ident, frag, ttl, proto, 0)
    head += src + dst + options
    return head[:10] + struct.pack("!H", checksum(head) ^ wrong) + head[12:] + body

# SPDX-License-Identifier: GPL-2.0-or-later
"""6bed4 written in Python apart from the C code: addresses of both formats, and what peers ask."""
import ipaddress
import struct

from teredo import IPv6, v4, v6  # noqa: F401


def address(prefix, endpoint, lanip=1):
    """draft-vanrein-6bed4-04: the IPv4 address without two bits, the port, and these two before 14 of the peer's own."""
    ip, port = v4(endpoint[0]), endpoint[1]
    low = bytes([ip[0] & 0xFC]) + ip[1:] + struct.pack("!HH", port, (ip[0] & 3) << 14 | lanip)
    return str(ipaddress.IPv6Address(v6(prefix)[:8] + low))


def address_2012(prefix, endpoint):
    """EUI-64 of the port, low byte first, and the IPv4 address, as if they were a MAC address."""
    ip, port = v4(endpoint[0]), endpoint[1]
    mac = struct.pack("<H", port) + ip
    return str(ipaddress.IPv6Address(v6(prefix)[:8] + bytes([mac[0] ^ 2]) + mac[1:3] + b"\xff\xfe" + mac[3:]))


def solicitation(src="::", hop_limit=255):
    from scapy.layers.inet6 import ICMPv6ND_RS, ICMPv6NDOptSrcLLAddr
    return bytes(IPv6(src=src, dst="ff02::2", hlim=hop_limit) / ICMPv6ND_RS() / ICMPv6NDOptSrcLLAddr(lladdr="00:00:00:00:00:00"))


def advertised(packet):
    """What a router advertisement says: (destination, [(prefix, length, flags, lifetime)…]). Its checksum has to be right."""
    from scapy.layers.inet6 import IPv6 as Whole
    again = Whole(packet)
    del again[1].cksum
    assert bytes(again) == packet, "checksum"
    assert packet[7] == 255 and packet[6] == 58 and packet[40:42] == b"\x86\x00" and not packet[45] & 1
    assert packet[8:24] == v6("fe80::")
    options, rest = [], packet[56:]
    while rest:
        if rest[0] == 3:
            options.append((str(ipaddress.IPv6Address(rest[16:32])), rest[2], rest[3], struct.unpack("!I", rest[4:8])[0]))
        rest = rest[8 * rest[1]:]
    return str(ipaddress.IPv6Address(packet[24:40])), options

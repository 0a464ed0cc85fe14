# SPDX-License-Identifier: GPL-2.0-or-later
"""What test_sit.py and inside_sit.py share: the boxes' addresses and tunnels, the file of frames, and the numbers in them."""
import ipaddress
import struct

MACS = {"v4": "02:00:00:00:00:04", "v6": "02:00:00:00:00:06", "pv4": "02:00:00:00:01:04", "pv6": "02:00:00:00:01:06"}
TO4, BR, END = "8.0.2.1", "8.0.2.2", "8.0.2.3"  # the box's ends of 6to4, 6rd and 6in4
SITE, EDGE, OFFICE, PROVIDER = "8.0.11.1", "8.0.12.1", "8.0.13.1", "8.0.14.1"  # the far ends of each, two of 6in4
RELAY = "8.0.9.77"  # another border relay of the same domain
DOMAIN, DOMAIN4 = "2a01:db8:4000::/35", "8.0.0.0/16"
NATIVE = "2a00:f::7"
BEHIND = {OFFICE: ("2a02:5::/48", "2a02:7::/64"), PROVIDER: ("2a02:9::/48",)}
MTU = {TO4: 1280, BR: 1400, OFFICE: 1480, PROVIDER: 1300}

BOX = """
ip addr add 8.0.2.1/24 dev v4
ip addr add 8.0.2.2/24 dev v4
ip addr add 8.0.2.3/24 dev v4
ip route add default via 8.0.2.254
ip addr add 2a00:1::1/64 dev v6 nodad
ip -6 route add default via 2a00:1::2
ip neigh replace 8.0.2.254 lladdr 02:00:00:00:01:04 dev v4 nud permanent
ip neigh replace 2a00:1::2 lladdr 02:00:00:00:01:06 dev v6 nud permanent
"""
CONF = """[6to4]
local = 8.0.2.1
[6rd]
prefix = 2a01:db8:4000::/35
ipv4_prefix = 8.0.0.0/16
border_relay = 8.0.2.2
other_relays = 8.0.9.77
mtu = 1400
df = yes
[6in4 office]
local = 8.0.2.3
remote = 8.0.13.1
prefixes = 2a02:5::/48 2a02:7::/64
mtu = 1480
[6in4 provider]
local = 8.0.2.3
remote = 8.0.14.1
prefixes = 2a02:9::/48
any_source = yes
mtu = 1300
"""
SIT = """
ip tunnel add to4 mode sit remote any local 8.0.2.1 ttl inherit nopmtudisc
ip tunnel add rd mode sit remote any local 8.0.2.2 ttl 64 tos inherit
ip tunnel 6rd dev rd 6rd-prefix 2a01:db8:4000::/35 6rd-relay_prefix 8.0.0.0/16
ip tunnel add office mode sit remote 8.0.13.1 local 8.0.2.3 ttl inherit nopmtudisc
ip tunnel add provider mode sit remote 8.0.14.1 local 8.0.2.3 ttl inherit nopmtudisc
ip link set to4 mtu 1280 up
ip link set rd mtu 1400 up
ip link set office mtu 1480 up
ip link set provider mtu 1300 up
ip addr add 2002:800:201::/128 dev to4
ip -6 route add 2002::/16 dev to4
ip -6 route add 2a01:db8:4000::/35 dev rd
ip -6 route add 2a02:5::/48 dev office
ip -6 route add 2a02:7::/64 dev office
ip -6 route add 2a02:9::/48 dev provider
"""

MARKS, MARKS_MAX = 0x80000, 0x7FFFF


def mac(dev):
    return bytes.fromhex(MACS[dev].replace(":", ""))


def v4(s):
    return ipaddress.IPv4Address(s).packed


def v6(s):
    return ipaddress.IPv6Address(s).packed


def sixto4(site, rest=1):
    return b"\x20\x02" + v4(site) + rest.to_bytes(10, "big")


def checksum(header):
    total = sum(struct.unpack("!%dH" % (len(header) // 2), header))
    total = (total & 0xFFFF) + (total >> 16)
    return (total + (total >> 16)) & 0xFFFF ^ 0xFFFF


def ip6(src, dst, serial, payload=b"", version=6, tc=0, nh=253, plen=None, hlim=64):
    return struct.pack("!IHBB", version << 28 | tc << 20 | serial, len(payload) if plen is None else plen, nh, hlim) + src + dst + payload


def ip4(src, dst, payload, ident, version=4, ihl=None, options=b"", tos=0, total=None, frag=0, ttl=60, proto=41, check=None):
    ihl = 5 + len(options) // 4 if ihl is None else ihl
    head = struct.pack("!BBHHHBBH4s4s", version << 4 | ihl, tos, 20 + len(options) + len(payload) if total is None else total,
                       ident, frag, ttl, proto, 0, src, dst) + options
    covered = head[:max(20, 4 * ihl)]
    right = checksum(covered + bytes(len(covered) % 2))
    return head[:10] + struct.pack("!H", right if check is None else check) + head[12:] + payload


def frame(side, packet):
    """On its way into the box."""
    return mac(side) + mac("p" + side) + (b"\x08\0" if side == "v4" else b"\x86\xdd") + packet


def left(side):
    """The Ethernet header of what comes out of it."""
    return mac("p" + side) + mac(side) + (b"\x08\0" if side == "v4" else b"\x86\xdd")


def marker(entry, serial, expires):
    """From a site of 6to4 to native, or back."""
    hlim = 1 if expires else 9
    if entry == "v6":
        return frame("v6", ip6(v6(NATIVE), sixto4(SITE), serial, b"marker", hlim=hlim))
    return frame("v4", ip4(v4(SITE), v4(TO4), ip6(sixto4(SITE), v6(NATIVE), serial, b"marker", hlim=hlim), 0))


def label(packet):
    """The flow label of a packet, or None."""
    return struct.unpack("!I", packet[:4])[0] & 0xFFFFF if len(packet) >= 40 and packet[0] >> 4 == 6 else None


def serial(f):
    """Which number a frame that left a box belongs to, or None; and if it is an error about that one, which: «6 type code MTU»."""
    packet = f[14:]
    if f[12:14] == b"\x08\0" and len(packet) >= 20:
        head = (packet[0] & 15) * 4
        if packet[9] == 1 and packet[head] in (3, 4, 5, 11, 12):  # ICMPv4 that quotes
            quoted = packet[head + 8:]
            n = label(quoted[(quoted[0] & 15) * 4:] + bytes(40)) if quoted else None
            return n, "4 %d %d" % tuple(packet[head:head + 2])
        if packet[9] != 41:
            return None, None
        packet = packet[head:]
    elif f[12:14] != b"\x86\xdd":
        return None, None
    if len(packet) > 48 and packet[6] == 58 and packet[40] < 128:
        return label(packet[48:] + bytes(40)), "6 %d %d %d" % struct.unpack("!BBxxI", packet[40:48])
    return label(packet) or None, None


def save(path, cases):
    with open(path, "wb") as f:
        for number, side, data in cases:
            f.write(struct.pack("!IBH", number, side == "v6", len(data)) + data)


def load(path):
    with open(path, "rb") as f:
        data = f.read()
    cases, at = [], 0
    while at < len(data):
        number, native, n = struct.unpack_from("!IBH", data, at)
        cases.append((number, "v6" if native else "v4", data[at + 7:at + 7 + n]))
        at += 7 + n
    return cases

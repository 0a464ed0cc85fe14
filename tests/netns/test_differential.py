# SPDX-License-Identifier: GPL-2.0-or-later
"""Hundreds of frames of every mechanism each way, right and wrong, through the daemon alone and through XDP: the same bytes
come out, but for the IPv4 ID, and the same reason is counted. What else differs is in DIFFERENT, and why.

More of them: SEED=1 FRAMES=3000.
"""
import contextlib
import os
import random
import re
import socket
import struct
import sys
from types import SimpleNamespace

import pytest

from counted import hits
from lab import ROOT, Lab, Navalis, wait_for
from pinned import ACTIONS, NAMES, Counts

sys.path.insert(0, os.path.join(ROOT, "tests/pkts"))
from frames import checksum, icmp6, ip4, ip6, tcp, udp, v4, v6  # noqa: E402
from hg48 import address as hg48  # noqa: E402
from proto41 import sixrd, sixto4  # noqa: E402
from sixbed4 import address as bed, address_2012 as bed_2012  # noqa: E402
from teredo import address as teredo  # noqa: E402

SEED, FRAMES = int(os.environ.get("SEED", 4380)), int(os.environ.get("FRAMES", 400))
RELAY, BR, LOCAL, SERVER, SERVER_2 = "8.0.2.1", "8.0.2.2", "8.0.2.3", "8.0.2.5", "8.0.2.6"
DOMAIN, MASK, WHOLE = "2a01:db8:4000::/35", 16, "2a01:db9::/32"
NET, NET_2012, HG48_NET = "2a03:6bed:4::", "2a03:6bed:5::", "fd4a:6b8c:2d10:1::"
SIDE = """[6in4 side]
local = 8.0.2.3
remote = 8.0.77.1
prefixes = 2a02:77::/48
mtu = 1480
"""
UNLIMITED = """[navalis]
bubbles_per_client_address = 0
advertisements_per_second = 0
unreachables_per_second = 0
slow_path_rate = 10000000
"""
EVERYTHING = UNLIMITED + """cross = 6to4:6in4 6in4:6rd
[teredo-server]
primary = 8.0.2.5
secondary = 8.0.2.6
[6to4]
local = 8.0.2.1
[6rd home]
prefix = 2a01:db8:4000::/35
ipv4_prefix = 8.0.0.0/16
border_relay = 8.0.2.2
other_relays = 8.0.200.1
mtu = 1400
df = yes
[6rd whole]
prefix = 2a01:db9::/32
border_relay = 8.0.2.2
[6in4 branch]
local = 8.0.2.3
remote = 8.0.13.1
prefixes = 2a02:5::/48 2a02:7::/64
mtu = 1400
[6in4 open]
local = 8.0.2.3
remote = 8.0.14.1
prefixes = 2a02:8::/48
any_source = yes
[6bed4]
service = 8.0.2.1
prefix = 2a03:6bed:4::/64
retract = yes
[6bed4 old]
service = 8.0.2.1
format = 2012
prefix = 2a03:6bed:5::/64
[hg48]
service = 8.0.2.1
prefix = fd4a:6b8c:2d10:1::/80
unsolicited = yes
new_per_source = 100000
""" + SIDE
RETURN = UNLIMITED + """[6to4]
local = 8.0.2.1
return_only = yes
sends_for = 2a00:f::/64
""" + SIDE

# who is not served: this host, others of its network, and blocks that are refused
ODD_V4 = ("8.0.2.1", "8.0.2.2", "8.0.2.3", "8.0.2.5", "8.0.2.255", "8.0.200.1", "10.0.0.1", "100.64.0.1", "192.168.7.7",
          "192.0.2.1", "192.88.99.1", "198.18.0.1", "127.0.0.1", "0.0.0.0", "0.1.2.3", "224.0.0.1", "240.0.0.1",
          "255.255.255.255")
ODD_V6 = ("::", "::1", "::ffff:8.0.9.9", "::8.0.9.9", "64:ff9b::800:909", "fe80::1", "fe80::", "fe80::800:203",
          "fe80::8000:f227:f7ff:fdfa", "fec0::1", "fd00::1", "ff02::1", "ff02::2", "ff02::1:ff00:203", "ff0e::1", "2a00:1::1",
          "2a00:1::2", "2a00:f::7", "2a00:2::1", "2a00:5::5efe:8.0.2.1", "2a00:5::5efe:8.0.9.9", "2001:db8::1", "3fff::1",
          teredo("8.0.1.1", "8.0.9.9", 4000), teredo(SERVER, "8.0.9.9", 4000), teredo(SERVER, "8.0.9.9", 0),
          teredo(SERVER, "10.0.0.1", 4000), teredo(SERVER, SERVER, 3544), teredo("8.0.9.9", "8.0.9.9", 3544),
          sixto4(RELAY, "::"), sixto4(RELAY), sixto4("8.0.9.9"), sixto4("10.0.0.1"), sixto4("192.88.99.1"), sixto4("0.0.0.0"),
          sixrd(DOMAIN, MASK, BR, "::"), sixrd(DOMAIN, MASK, BR), sixrd(DOMAIN, MASK, "8.0.9.9"), sixrd(DOMAIN, MASK, "8.0.2.1"),
          sixrd(DOMAIN, MASK, "8.0.200.1"), sixrd(WHOLE, 0, "10.1.1.1"), sixrd(WHOLE, 0, "127.0.0.1"), sixrd(WHOLE, 0, BR, "::"),
          "2a02:5::1", "2a02:7::9", "2a02:8::1", "2a02:6::1", bed(NET, ("8.0.9.9", 4000)), bed(NET, ("10.0.0.1", 4000)),
          bed(NET, ("8.0.9.9", 1023)), bed(NET, ("8.0.9.9", 0)), bed(NET, (RELAY, 25790), 0), bed(NET, (RELAY, 25790)),
          bed(NET, ("8.0.9.9", 4000), 0), NET + "0200:1:2:3", NET + "100:1:2:3", bed_2012(NET_2012, ("8.0.9.9", 4000)),
          bed_2012(NET_2012, ("10.0.0.1", 4000)), bed_2012(NET_2012, (RELAY, 25788)), bed_2012(NET_2012, ("8.0.9.9", 4000)),
          bed_2012("fe80::", (RELAY, 25788)), bed("fe80::", (RELAY, 25790), 0), NET_2012 + "300:1:2:3")
NOP, ROUTE, BAD_OPTION = b"\1\1\1\1", b"\x83\7\4\x08\0\x09\x09\0", b"\x44\xff\0\0"


# ---- the frames

def discovery(r, src, dst, kind, serial):
    """Neighbour discovery, for the most part as it should be."""
    link, nonce = b"\1\1" + bytes(6), b"\x0e\1" + serial[1:7]
    options = r.choice([b"", link, b"\1\1" + serial[1:7], link, nonce, nonce + link, b"\1\0" + bytes(6), b"\1\2" + bytes(6),
                        b"\1\1\0\0", b"\5\1" + bytes(18)])
    target = v6(r.choice(ODD_V6)) if r.random() < .5 else dst
    body = bytes(4) + (b"" if kind == 133 else target) + (dst if kind == 137 else bytes(8) if kind == 134 else b"") + options
    return icmp6(src, dst, kind, body[:len(body) - r.choice([0] * 9 + [8])], code=r.choice([0] * 9 + [1]), wrong=r.random() < .1)


def upper_layers(r, src, dst, serial):
    """(name, next header, how its bytes are made of a filler)."""
    echo = lambda fill, kind=128, wrong=False: icmp6(src, dst, kind, b"\0\7\0\1" + serial + fill, wrong=wrong)  # noqa: E731
    behind = lambda nh, fill: bytes([nh, 0, 1, 4, 0, 0, 0, 0]) + fill  # noqa: E731
    frag = lambda nh, at, fill: bytes([nh, 0]) + struct.pack("!HI", at, 7) + fill  # noqa: E731
    kind = r.randrange(133, 138)
    about = ip6(dst, src, 58, b"\x80\0\0\0" + serial)
    yield "echo", 58, echo
    yield "reply", 58, lambda fill: echo(fill, 129)
    yield "TCP", 6, lambda fill: tcp(src, dst, serial + fill)
    yield "UDP", 17, lambda fill: udp(src, dst, 7, 9, serial + fill)
    yield "bubble", 59, lambda fill: b""
    yield "protocol 253", 253, lambda fill: serial + fill
    yield "ESP", 50, lambda fill: serial + fill
    yield "UDP without checksum", 17, lambda fill: udp(src, dst, 7, 9, serial + fill, check="none")
    yield "UDP with options", 17, lambda fill: udp(src, dst, 7, 9, serial + fill, length=-8)
    yield "UDP too long", 17, lambda fill: udp(src, dst, 7, 9, serial + fill, length=9)
    yield "wrong ICMPv6 checksum", 58, lambda fill: echo(fill, wrong=True)
    yield "wrong TCP checksum", 6, lambda fill: tcp(src, dst, serial + fill, wrong=True)
    yield "wrong UDP checksum", 17, lambda fill: udp(src, dst, 7, 9, serial + fill, check="wrong")
    yield "ICMPv6 error", 58, lambda fill: icmp6(src, dst, r.randrange(1, 5), bytes(4) + about)
    yield "stump", r.choice([6, 17, 58]), lambda fill: serial[:r.randrange(8)]
    yield "no next header, data", 59, lambda fill: serial + fill
    yield "fragment", 44, lambda fill: frag(17, 1, serial + fill)
    yield "fragment of ICMPv6", 44, lambda fill: frag(58, r.choice([0, 1, 8]), echo(fill))
    yield "fragment of discovery", 44, lambda fill: frag(58, r.choice([1, 9]), discovery(r, src, dst, kind, serial) + serial)
    yield "fragment in a fragment", 44, lambda fill: frag(44, 1, frag(6, 0, serial + fill))
    yield "destination options", 60, lambda fill: behind(58, echo(fill))
    yield "hop-by-hop options", 0, lambda fill: behind(17, udp(src, dst, 7, 9, serial + fill))
    yield "hidden discovery", 60, lambda fill: behind(58, discovery(r, src, dst, kind, serial) + serial)
    yield "routing header", 43, lambda fill: bytes([6, 0, r.choice([0, 0, 2, 4]), 0, 0, 0, 0, 0]) + serial + fill
    yield "hidden routing header", 60, lambda fill: behind(43, bytes([6, 0, 0, 0, 0, 0, 0, 0]) + serial + fill)
    yield "authentication", 51, lambda fill: bytes([6, 4]) + bytes(22) + serial + fill
    yield "options longer than all", 60, lambda fill: bytes([58, 200]) + bytes(6) + serial
    yield "mobility", 135, lambda fill: behind(59, serial)
    yield "discovery", 58, lambda fill: discovery(r, src, dst, kind, serial) + r.choice([b"", b"", serial])


class Maker:
    """Frames of one mechanism and direction: fields that are right, and in most frames one or two that are not."""

    def __init__(self, way, macs, seed):
        self.way, self.macs, self.r = way, macs, random.Random("%s %s" % (seed, way.name))
        self.tags = []

    def odd(self, name, usual, values, often=.025):
        """A field of the frame."""
        if self.r.random() >= often:
            return usual
        value = self.r.choice(values)
        self.tags.append("%s=%s" % (name, value.hex() if isinstance(value, bytes) else value))
        return value

    def filler(self, heads, mtu):
        """So that the IPv6 packet has a size of interest, most often a small one."""
        r = self.r
        size = r.choice([0] * 5 + [r.randrange(120), r.randrange(1100), mtu - 1, mtu, mtu + 1, 1280, 1281])
        return bytes(i * 7 & 255 for i in range(max(0, min(size, 1440) - heads)))

    def inner(self, serial, src, dst, mtu):
        r, odd = self.r, self.odd
        src, dst = v6(odd("src", src, ODD_V6, .1)), v6(odd("dst", dst, self.way.odd, .25))
        layers = list(upper_layers(r, src, dst, serial))
        if self.way.likes and r.random() < .8:
            layers = [x for x in layers if x[0] in self.way.likes]
        name, nh, make = layers[int(len(layers) * r.random() ** 2)]
        body = make(self.filler(40 + len(make(b"")), mtu) if r.random() < .5 else b"")
        if name == "discovery":
            name += " %d" % body[0]
        hop = odd("hop", 255 if "discovery" in name and r.random() < .8 else 57, (0, 1, 2, 255), .06)
        packet = ip6(src, dst, nh, body, hop=hop, tc=odd("class", 0, range(256), .1), fl=odd("flow", 0, (1, 0xFFFFF)),
                     version=odd("version", 6, (0, 4, 5, 7)), length=odd("length", 0, (-9999, -8, -1, 1, 8, 500)))
        return name, packet

    def frame(self, serial):
        self.tags = []
        text = b"#%06d#" % serial
        name, data = self.way.make(self, serial, text)
        return SimpleNamespace(serial=serial, name=", ".join([name] + self.tags), data=self.macs + data, out=[])


class Out:
    """From native IPv6 into a tunnel."""
    slot, likes, odd = 1, (), [a for a in ODD_V6 if a.startswith(("2002:", "2a01:", "2a02:", "2a03:"))]

    def __init__(self, name, inside, mtu=1280, src="2a00:aa:%x:%x::7"):
        self.name, self.inside, self.mtu, self.src = name + " out", inside, mtu, src

    def make(self, m, serial, text):
        src = self.src % (serial >> 8, serial & 255)
        at = (m.odd("far", far_end(serial), ODD_V4, .1), 1024 + serial * 2)
        name, packet = m.inner(text, src, self.inside(at, serial), self.mtu)
        padding = m.odd("padding", b"", (b"p" * 9,), .05)
        return name, b"\x86\xdd" + packet + padding


def far_end(serial):
    return "8.0.%d.%d" % (128 + (serial >> 8) % 64, serial & 255)


class In:
    """Out of a tunnel."""
    slot, odd = 0, ODD_V6

    def __init__(self, name, to, inside, turns=0, port=0, mtu=1280, far=far_end, before=None, likes=(), solicits=True,
                 far_port=lambda serial: 4000 + 2 * serial):
        """turns: how many go to another address of the tunnel."""
        self.name, self.to, self.inside, self.turns, self.port, self.mtu = name + " in", to, inside, turns, port, mtu
        self.far, self.far_port, self.before, self.likes, self.solicits = far, far_port, before, likes, solicits

    def make(self, m, serial, text):
        r, odd = m.r, m.odd
        dst = "2a00:bb:%x:%x::9" % (serial >> 8, serial & 255)
        if r.random() < self.turns:
            dst = self.inside(("8.0.%d.%d" % (32 + (serial >> 8), serial & 255), 7000 + 2 * serial), serial)
            m.tags.append("turns")
        at = (odd("far", self.far(serial), ODD_V4, .08), odd("port", self.far_port(serial), (0, 1, 1023, 3544, 4001, 25790), .03))
        inside = self.inside(at, serial)
        if self.port and self.solicits and r.random() < .15:  # an address is asked for
            name, packet = self.solicitation(m, text, serial)
        else:
            name, packet = m.inner(text, inside, dst, self.mtu)
        packet += odd("trailer", b"", (b"\0", b"\1\4abcd", b"x" * 40), .05)
        outer = v4(odd("outer src", at[0], ODD_V4 + ("8.0.99.99",), .06)), v4(odd("outer dst", self.to, ODD_V4, .04))
        if self.before:
            packet = self.before(m, text) + packet
        if self.port:
            packet = odd("datagram", packet, (b"", b"`", packet[:39], packet[:40], packet[:47], packet[:-1]), .05)
            packet = udp(*outer, at[1], odd("to port", self.port, (0, 3544, 3545, 25788, 25790)), packet,
                         length=odd("UDP length", 0, (-9999, -1, 1, 9, 2000)), check=odd("UDP checksum", "right", ("none", "wrong"), .06))
        data = ip4(*outer, 17 if self.port else odd("proto", 41, (0, 4, 17, 47)), packet, 1 + serial, ttl=odd("ttl", 60, (0, 1, 255)),
                   tos=odd("tos", 0, range(256), .12), frag=odd("frag", 0, (0x4000, 0x2000, 0x8000, 1, 0x2001), .05),
                   options=odd("options", b"", (NOP, ROUTE, BAD_OPTION, NOP * 5), .03), length=odd("IPv4 length", 0, (-9999, -20, -1, 1, 50)),
                   wrong=odd("IPv4 checksum", 0, (1, 0xFF00)), version=odd("IPv4 version", 4, (0, 5, 6), .01))
        data += odd("padding", b"", (b"p" * 9, b"p" * 30), .06)
        return name, b"\x08\0" + data

    def solicitation(self, m, text, serial):
        src = m.r.choice(["fe80::%x:%x" % (serial >> 8, 1 + (serial & 255)), "fe80::8000:%x:%x:1" % (serial >> 8, serial & 255), "::"])
        dst = m.odd("dst", "ff02::2", ("fe80::1", "ff02::1", "2a00:f::7"), .05)
        body = discovery(m.r, v6(src), v6(dst), 133, text)
        return "solicitation", ip6(v6(src), v6(dst), 58, body, hop=m.odd("hop", 255, (64, 254, 1), .1))


def indications(m, text):
    """What may stand in front of the packet, to a Teredo server."""
    auth, origin = b"\0\1\0\0" + text + b"\0", b"\0\0\1\2\3\4\5\6"
    return m.odd("before", b"", (auth, auth, b"\0\1\2\3idkey" + text + b"\0", b"\0\1\5\0" + text + b"\0", origin, auth + origin,
                                 origin + auth, b"\0\1", b"\0\2\0\0"), .35)


def client(at, _serial):
    return teredo(SERVER, at[0], at[1])


# an endpoint of HG48 that has answered: by its first packet, which is for the daemon
BOB = "8.0.13.1", 4000
SERVED = ("echo", "reply", "bubble", "discovery", "wrong ICMPv6 checksum", "ICMPv6 error")
WAYS = [
    In("6to4", RELAY, lambda at, _: sixto4(at[0])),
    In("6rd", BR, lambda at, _: sixrd(DOMAIN, MASK, at[0]), .25, mtu=1400),
    In("6rd whole", BR, lambda at, _: sixrd(WHOLE, 0, at[0])),
    In("6in4", LOCAL, lambda _, serial: "2a02:5::%x" % serial, far=lambda _: "8.0.13.1", mtu=1400),
    In("6in4 open", LOCAL, lambda _, serial: "2a02:8::%x" % serial, far=lambda _: "8.0.14.1"),
    In("6bed4", RELAY, lambda at, _: bed(NET, at), .25, port=25790),
    In("6bed4 2012", RELAY, lambda at, _: bed_2012(NET_2012, at), .25, port=25788),
    In("teredo-server", SERVER, client, .4, port=3544, mtu=128, before=indications, likes=SERVED),
    In("teredo-server secondary", SERVER_2, client, .4, port=3544, mtu=128, before=indications, likes=SERVED,
       far=lambda serial: far_end(serial).replace("8.0", "8.1", 1)),
    In("hg48", RELAY, lambda at, _: hg48(HG48_NET, *at), port=3546, solicits=False, far=lambda _: BOB[0], far_port=lambda _: BOB[1]),
    Out("hg48", lambda at, _: hg48(HG48_NET, *BOB)),
    Out("6to4", lambda at, _: sixto4(at[0])),
    Out("6rd", lambda at, _: sixrd(DOMAIN, MASK, at[0]), mtu=1400),
    Out("6rd whole", lambda at, _: sixrd(WHOLE, 0, at[0])),
    Out("6in4", lambda _, serial: "2a02:5::%x" % serial, mtu=1400),
    Out("6bed4", lambda at, _: bed(NET, at)),
    Out("6bed4 2012", lambda at, _: bed_2012(NET_2012, at)),
]
RETURN_WAYS = [
    In("return relay", RELAY, lambda at, _: sixto4(at[0])),
    Out("return relay", lambda at, _: sixto4(at[0]), src="2a00:f::%x:%x"),
]


# ---- what may differ

# whose neighbours speak to it, too; and the kernel counts a wrong UDP checksum as if a buffer were full
UNCOUNTED = ("NOT_OURS", "SOCKET_OVERFLOW")
MARTIAN = ("0.", "127.", "224.", "255.", "8.0.2.1.", "8.0.2.2.", "8.0.2.3.", "8.0.2.5.", "8.0.2.6.")


def dropped(f):
    return len(f.by) == 1 and ACTIONS[f.by[0]] == "DROP" and not f.out


def nothing(f):
    return not f.counted and not f.out


def martian(address):
    """The kernel lets no UDP through from it: nobody's, or its own."""
    return (address + ".").startswith(MARTIAN)


def from_martian(f):
    return f.data[12] == 8 and martian(socket.inet_ntoa(f.data[26:30]))


def kernel_answers(f):
    """A native packet; 1280 is the smallest MTU of a tunnel, and length 0 means a jumbogram's to the kernel."""
    return f.data[12] == 0x86 and (f.data[21] <= 1 or 40 + (int.from_bytes(f.data[18:20], "big") or len(f.data)) > 1280)


def not_forwarded(f):
    src = f.data[22:38]
    return f.data[12] == 0x86 and (src[0] == 0xFF or src[:2] == b"\xfe\x80" or src[:15] == bytes(15) or
                                   40 + int.from_bytes(f.data[18:20], "big") > len(f.data) - 14)


def wrong_inside(f):
    """The checksum of the inner upper layer."""
    p = f.data[14:] if f.data[12] == 0x86 else f.data[42:]
    body = p[40:40 + int.from_bytes(p[4:6], "big")]
    return len(p) >= 40 and checksum(p[8:40] + struct.pack("!II", len(body), p[6]) + body) != 0


def but_udp_sum(out):
    """Less the outer UDP checksum."""
    return [(slot, x[:24] + x[26:] if x[:2] == b"\x08\0" and x[9] == 17 else x) for slot, x in out]


DIFFERENT = {
    "the kernel drops what comes from an address of this host or of nobody, and XDP says so":
        lambda s, f: from_martian(s) and nothing(s) and dropped(f),
    "the kernel drops what is no IPv4 or UDP header, and XDP says so":
        lambda s, f: nothing(s) and dropped(f) and f.by[0] in ("IP4_CHECKSUM", "IP4_LENGTH", "UDP_LENGTH"),
    "the kernel looks at the outer UDP checksum, XDP leaves that to the inner one":
        lambda s, f: "UDP checksum=wrong" in s.name and nothing(s),
    "what is too long or has come too far the kernel answers, before the daemon can say that it may not go there at all":
        lambda s, f: kernel_answers(s) and dropped(f),
    "the kernel forwards from no such source, and nothing that is shorter than it says; XDP says so":
        lambda s, f: not_forwarded(s) and nothing(s) and dropped(f),
    "XDP makes the outer UDP checksum of an inner one that is right: if that is wrong, so is this one":
        lambda s, f: wrong_inside(s) and s.counted == f.counted and s.out != f.out and but_udp_sum(s.out) == but_udp_sum(f.out),
}


def judge(slow, fast):
    """Why they may differ; "" when they do not, None when they must not."""
    if slow.counted == fast.counted and slow.out == fast.out:
        return ""
    return next((why for why, may in DIFFERENT.items() if may(slow, fast)), None)


# ---- both paths

def without_chance(f):
    """Less MAC addresses, the IPv4 ID and with it the header checksum, and the cookie of a bubble with the UDP checksum."""
    if f[12] == 0x86:
        return f[12:]
    bubble = f[23] == 17 and f[-40:-32] == bytes([0x60, 0, 0, 0, 0, 0, 59, 64]) and f[-32:-24] == v6("fe80::")[:8]
    return f[12:18] + f[20:24] + (f[26:40] + f[42:-24] + f[-16:] if bubble else f[26:])


class Path:
    """A relay, and what it makes of frames: their .out, the reasons .counted, and those that are XDP's alone, .by."""

    def __init__(self, lab, mode, extra, ways):
        self.lab, self.frames = lab, {}
        self.relay_macs = [lab.relay.mac("v4"), lab.relay.mac("v6")]
        with Navalis(lab, mode, extra=extra, instance="nvd%d" % os.getpid()) as relay, contextlib.ExitStack() as stack:
            closing = lambda x: stack.enter_context(contextlib.closing(x))  # noqa: E731
            self.counts = closing(Counts(relay.instance))
            self.caps = [closing(ns.capture("to-relay")) for ns in (lab.inet, lab.native)]
            self.sock = [closing(ns.socket(socket.AF_PACKET, socket.SOCK_RAW)) for ns in (lab.inet, lab.native, lab.relay, lab.relay)]
            for s, dev in zip(self.sock, ("to-relay", "to-relay", "v4", "v6")):
                s.bind((dev, 0))
            for way in ways:
                self.frames[way.name] = self.through(way)
            hits(relay)
            status = relay.json("status")
            assert status["slow_path"]["balanced"] and all(n["balanced"] for n in status["nics"]), status

    def macs(self, slot):
        return self.relay_macs[slot] + (self.lab.inet, self.lab.native)[slot].mac("to-relay")

    def marker(self, way):
        """(NIC, frame, reason) of one that takes the slow path in both modes, and is counted last. None is longer."""
        if way.slot:  # XDP does not know the way to its NIC
            return 1, self.macs(1) + b"\x86\xdd" + ip6(v6("2a00:aa::1"), v6("2a02:77::1"), 253, bytes(1440)), "ENCAP"
        far, to = v4("8.0.99.1"), v4(way.to)
        body = udp(far, to, 4000, way.port, b"\x45" * 1468) if way.port else b"\x45" * 1476
        return 0, self.macs(0) + b"\x08\0" + ip4(far, to, 17 if way.port else 41, body, 7, options=NOP), "INNER_NOT_IP6"

    def mark(self, slot, frame, reason, size=1):
        """All that came before it by its socket is done when it is counted. Returns as how many bytes."""
        before = self.counts.one(reason)[1]
        self.sock[slot].send(frame)
        wait_for("a marker", lambda: self.counts.one(reason)[1] >= before + size, pause=0)
        return self.counts.one(reason)[1] - before

    def through(self, way):
        """Sends each frame, and behind it markers."""
        markers = [self.marker(way)] + [self.marker(WAYS[-1])] * (1 - way.slot)  # what the kernel answers goes by the TUN
        markers = [(*m, self.mark(*m)) for m in markers]
        maker, frames, usual = Maker(way, self.macs(way.slot), SEED), [], None
        for serial in range(-1, FRAMES):
            before = self.counts.xdp(way.slot), self.counts.daemon()
            if serial >= 0:
                frames.append(maker.frame(serial))
                self.sock[way.slot].send(frames[serial].data)
            for m in markers:
                self.mark(*m)
            self.gather(frames)
            counted = [[a - b for a, b in zip(*both)] for both in zip((self.counts.xdp(way.slot), self.counts.daemon()), before)]
            usual = usual or counted
            if serial >= 0:
                by, daemon = (names(a - b for a, b in zip(*both)) for both in zip(counted, usual))
                frames[serial].by = by
                frames[serial].counted = by if any(ACTIONS[n] != "PASS" for n in by) else daemon
        return frames

    def gather(self, frames):
        """All that comes out, to a frame of the kernel's own. What XDP sends back would else wait at a veth without a program."""
        ends = [self.relay_macs[slot] + b"\x88\xb5" + os.urandom(8) for slot in (0, 1)]
        for slot in (0, 1):
            self.sock[2 + slot].send(bytes(6) + ends[slot])

        def ended(slot):
            for f in self.caps[slot].frames():
                if f[6:] == ends[slot]:
                    return True
                if f[6:12] == self.relay_macs[slot] and not of_its_own(f):
                    said = re.search(rb"#(\d{6})#", f)
                    frames[int(said[1]) if said else -1].out.append((slot, without_chance(f)))
        for slot in (0, 1):
            wait_for("the end", lambda: ended(slot), pause=0)


def names(counts):
    return sorted(n for name, k in zip(NAMES, counts) if name not in UNCOUNTED for n in [name] * k)


def of_its_own(f):
    """What an end is, neighbour discovery, and reports of multicast listeners."""
    if f[12:14] != b"\x86\xdd":
        return f[12:14] != b"\x08\0"
    return f[22:24] == b"\xfe\x80" or f[22:38] == v6("2a00:1::1") and f[20:22] == b"\x3a\xff"


@pytest.fixture(scope="module")
def results():
    """Of each way: (frame, the daemon's, XDP's, why they may differ)."""
    got = {}
    with Lab((), server=False) as lab:
        yard(lab)
        for extra, ways in ((EVERYTHING, WAYS), (RETURN, RETURN_WAYS)):
            slow, fast = (Path(lab, mode, extra, ways).frames for mode in ("off", "native"))
            got |= {w.name: [(s, f, judge(s, f)) for s, f in zip(slow[w.name], fast[w.name])] for w in ways}
    return got


def yard(lab):
    side = lab.ns("side")
    lab.wire(lab.relay, "side", side, "to-relay")
    lab.relay.run("ip addr add 8.0.77.254/24 dev side")
    for a in (BR, LOCAL, SERVER, SERVER_2):
        lab.relay.run("ip addr add %s/24 dev v4" % a)
    for ns, far, dev in ((lab.inet, "8.0.2.254", "v4"), (lab.native, "2a00:1::2", "v6"), (side, "8.0.77.1", "side")):
        lab.relay.run("ip neigh replace %s lladdr %s dev %s nud permanent" % (far, ns.mac("to-relay").hex(":"), dev))
        ns.sysctl("net.ipv4.conf.all.forwarding=0", "net.ipv6.conf.all.forwarding=0")
        ns.run("ip -6 route add blackhole default")
        ns.run(["nft", "-f", "-"], input="table inet quiet { chain in { type filter hook input priority 0; policy drop; }; }")  # nobody answers
    lab.relay.sysctl("net.ipv4.icmp_ratelimit=0", "net.ipv6.icmp.ratelimit=0", "net.ipv4.icmp_msgs_per_sec=1000000")
    lab.relay.sysctl("net.ipv4.ipfrag_time=3600")  # no word about half a packet
    lab.relay.run("ip -6 route add blackhole 2001::/33")  # nor to Teredo clients, whom the relay would speak to for seconds


@pytest.mark.parametrize("way", [w.name for w in WAYS + RETURN_WAYS])
def test_the_daemon_and_xdp_agree(results, way):
    def said(f):
        return "%s, %s" % (f.counted, [(("v4", "v6")[slot], out.hex()) for slot, out in f.out])
    bad = ["%d %s: the daemon %s; XDP %s, in all %s" % (s.serial, s.name, said(s), f.by, said(f)) for s, f, why in results[way] if why is None]
    assert not bad, "\n".join(bad[:5])
    actions = [ACTIONS[f.by[0]] for _, f, _ in results[way] if f.by]
    for action in {"FORWARD", "PASS", "DROP"} - ({"FORWARD"} if way == "return relay in" else set()):
        assert actions.count(action) > FRAMES // 50, action


def test_no_difference_is_listed_in_vain(results):
    used = {why for way in results.values() for _, _, why in way}
    assert set(DIFFERENT) - used == set()

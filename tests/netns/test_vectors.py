# SPDX-License-Identifier: GPL-2.0-or-later
"""The vectors of the documents on the wire: what arrives is theirs byte by byte, and so is what leaves, whole IPv4 packets with the
outer headers. By the daemon alone, and with XDP. Only the IPv4 ID is the relay's own, and with it the header checksum.

In a laboratory that has their addresses: many are of documentation, and refused elsewhere.
"""
import contextlib
import os
import struct
import sys

import pytest

from counted import hits
from lab import ROOT, Lab, Navalis, wait_for
from native import counted, fast

sys.path.insert(0, os.path.join(ROOT, "tests/pkts"))
from frames import checksum, icmp6, ip4, ip6, udp, v4, v6  # noqa: E402
from hg48 import address as hg48  # noqa: E402
from sixbed4 import address as bed  # noqa: E402

RELAY, CLIENT, SERVER, SECOND = "192.31.196.7", "9.254.253.252", "65.54.227.120", "65.54.227.121"
NATIVE, ADDRESS = "2001:db8:1::7", "2001:0:4136:e378:24c7:63bf:f601:203"
ROUTER, PEER, PPORT = "145.136.0.1", "203.0.113.77", 54170
NET = "2001:db8:bed4:1::"

AUTH, ORIGIN = "000100006aeec3b12888429100", "000063bff6010203"
V15_TO_V19 = {
    "fe80::ffff:ffff:fffe": "7d38", "fe80::8000:ffff:ffff:fffe": "fd37", "fe80::ffff:ffff:ffff": "7d37", "fe80::8000:5445:5245:444f": "125d",
    "fe80::5445:5245:444f": "925d"}
V20 = ("45000059bb910000801178aac0a8041f2854193d0c020dd800457fdc000100006aeec3b128884291006000000000083afffe80"
       "0000000000000000fffffffffffeff02000000000000000000000000000285007d3800000000")
V21 = ("6000000000303afffe800000000000008000f227bec91c87fe800000000000000000fffffffffffe"
       "86009f560000000000000000000007d003044040ffffffffffffffff00000000200100004136e3780000000000000000")
V22 = ("6000000000383afffe800000000000008000f227bec91c87fe800000000000000000fffffffffffe"
       "8600954d0000000000000000000007d003044040ffffffffffffffff00000000200100004136e37800000000000000000501000000000500")
V23 = "450000890000000040114dbb4136e37809fefdfc0dd89c4000750491" + AUTH + ORIGIN + V21
V24 = ("45000044000000004011d1d3c01fc4074136e3780dd90dd80030f9af6000000000003b40fe80000000000000123456789abcdef0"
       "200100004136e37824c763bff6010203")
V25 = ("4500004c0000000040114df84136e37809fefdfc0dd89c40003879650000f2263fe03bf86000000000003b40fe80000000000000"
       "123456789abcdef0200100004136e37824c763bff6010203")
V26 = ("45000044000000004011ee8709fefdfcc01fc4079c400dd9003087fb6000000000003b40200100004136e37824c763bff6010203"
       "fe80000000000000123456789abcdef0")
V27 = ("45000044000000004011ee87c01fc40709fefdfc0dd99c40003087fb6000000000003b40fe80000000000000123456789abcdef0"
       "200100004136e37824c763bff6010203")
V28_TO_V34 = ("0104a1b2c3d4", "03080000c0a8010a0c02", "040400000000", "040401000000", "0502d431", "41020000", "81020000", "010900")
V35 = ("4500004400000000011113e5c0a8041fe00000fd0c020dd80030e0ad6000000000003b01200100004136e37824c763bff6010203"
       "ff020000000000000000000000000001")
V36_IN = ("6000000000103a3e20010db8000100000000000000000007200100004136e37824c763bff60102038000f64f04d200016162636465666768")
V36 = ("45000054123400004011dc43c01fc40709fefdfc0dd99c4000402f2f6000000000103a3d20010db8000100000000000000000007"
       "200100004136e37824c763bff60102038000f64f04d200016162636465666768")
V38 = ("45000065000000004011ee6609fefdfcc01fc4079c400dd900513d176281234500210639200100004136e37824c763bff6010203"
       "20010db80001000000000000000000070050005000000001000000025018020088f600000102030405060708090a0b0c0d")
V40 = "6000000000103a80200100004136e37824c763bff601020320010db80001000000000000000000078000f2fe000000006aeec3b128884291"
V44 = ("45000044000000004029ee6fc01fc40709fefdfc6000000000083a3f20010db8000100000000000000000007200209fefdfc00010000000000000001"
       "810028fb00010001")
V45 = "4500003c00000000402902340a6464010a0000016000000000003b4020010db864640100000000000000000120010db8646401000000000000000001"

RS = "6000000000103aff00000000000000000000000000000000ff02000000000000000000000000000285007aae000000000101000000000001"
RS_W0 = "6000000000103afffe800000000000000000000000000001ff02000000000000000000000000000285007c2c000000000101000000000001"
RA = ("6000000000303afffe800000000000000000000000000000ff02000000000000000000000000000186004cbb0018ffffffffffffffffffff"
      "030472c0ffffffffffffffff0000000020010db8bed40001c800714dd39ac000")
RA_50000 = ("6000000000303afffe800000000000000000000000000000ff02000000000000000000000000000186005d050018ffffffffffffffffffff"
            "030472c0ffffffffffffffff0000000020010db8bed40001c800714dc350c000")
RA_RETRACT = ("6000000000503afffe800000000000000000000000000000ff02000000000000000000000000000186002da80018ffffffffffffffffffff"
              "030472c000000000000000000000000020010db8bed40001c800714dc350c000"
              "030472c0ffffffffffffffff0000000020010db8bed40001c800714dd39ac000")
RA_2012 = ("6000000000303afffe800000000000000000000000000000fe8000000000000098d3cbfffe00714d860078060018ffffffffffffffffffff"
           "030440c0ffffffffffffffff0000000020010db8bed400010000000000000000")
NS = ("6000000000203aff20010db8bed40001c800714dd39ac001fe8000000000000000000000000000008700ea0600000000"
      "fe80000000000000000000000000000001019ad3cb00714d")
NA = ("6000000000203afffe80000000000000000000000000000020010db8bed40001c800714dd39ac00188008be3c0000000"
      "20010db8bed400019088000164be40000201be6491880001")
ECHO = ("6000000000113a4020010db8bed40001c800714dd39ac00120010db800060000000000000000000280008e426bed0001"
        "3662656434206c6162")
# section 16's table of addresses: the prefix that each is told
TOLD = {("192.0.2.13", 49166): "c000:20d:c00e:0", ("203.0.113.77", 54170): "c800:714d:d39a:c000", ("198.51.100.255", 65535): "c433:64ff:ffff:8000",
        ("1.2.3.4", 1024): "2:304:400:4000", ("254.255.0.1", 4097): "fcff:1:1001:8000"}

LABORATORY = "[navalis]\nlaboratory = yes\nbubbles_per_client_address = 0\n"
SERVES = "[teredo-server]\nprimary = 65.54.227.120\nsecondary = 65.54.227.121\n"
BED = "[6bed4]\nservice = 145.136.0.1\nprefix = 2001:db8:bed4:1::/64\n"


def raw(text):
    return bytes.fromhex(text)


class Wire:
    """Both sides of the relay. Nobody answers there but we."""

    def __init__(self, lab):
        self.lab, self.cap = lab, {"v4": lab.inet.capture("to-relay"), "v6": lab.native.capture("to-relay")}
        self.mac = {dev: lab.relay.mac(dev) for dev in self.cap}
        self.far = {"v4": lab.inet, "v6": lab.native}

    def send(self, dev, packet):
        far = self.far[dev]
        far.inject("to-relay", self.mac[dev] + far.mac("to-relay") + (b"\x08\0" if dev == "v4" else b"\x86\xdd") + packet)

    def packets(self, dev):
        """What the relay has sent there, and not to its neighbours."""
        return [f[14:] for f in self.cap[dev].frames() if f[6:12] == self.mac[dev] and
                (f[12:14] == b"\x08\0" if dev == "v4" else f[12:14] == b"\x86\xdd" and f[22:24] != b"\xfe\x80" and f[54] not in (135, 136))]

    def get(self, dev):
        """The next packet, alone."""
        got = []
        wait_for("a packet", lambda: got.extend(self.packets(dev)) or got)
        return got[0] if len(got) == 1 else got

    def answers(self, dev, packet, want):
        """The one packet that comes back by IPv4."""
        self.send(dev, packet)
        same(self.get("v4"), want)

    def goes_on(self, packet, inner):
        """Out of a tunnel, less its headers and a hop."""
        self.send("v4", packet)
        assert self.get("v6") == inner[:7] + bytes([inner[7] - 1]) + inner[8:]


def same(got, want):
    """An IPv4 packet, but for its ID."""
    assert checksum(got[:20]) == 0
    assert got[:4] + got[6:10] + got[12:] == want[:4] + want[6:10] + want[12:], got.hex()


def carried(src, sport, dst, dport, inner, **kw):
    """A whole IPv4 packet of UDP."""
    return ip4(v4(src), v4(dst), 17, udp(v4(src), v4(dst), sport, dport, inner), 0, **{"ttl": 64, **kw})


def again(packet, inner):
    """The same with other bytes behind the UDP header."""
    return packet[:20] + udp(packet[12:16], packet[16:20], *struct.unpack("!HH", packet[20:24]), inner)


@pytest.fixture(scope="module")
def yard():
    with Lab((), server=False) as lab:
        lab.relay.run("ip -6 addr add 2001:db8:ffff::1/128 dev v6 nodad")
        for ns, far, dev in ((lab.inet, "8.0.2.254", "v4"), (lab.native, "2a00:1::2", "v6")):
            lab.relay.run("ip neigh replace %s lladdr %s dev %s nud permanent" % (far, ns.mac("to-relay").hex(":"), dev))
            ns.sysctl("net.ipv4.conf.all.forwarding=0", "net.ipv6.conf.all.forwarding=0")
            ns.run("ip -6 route add blackhole default")
            ns.run(["nft", "-f", "-"], input="table inet quiet { chain in { type filter hook input priority 0; policy drop; }; }")
        lab.relay.sysctl("net.ipv6.auto_flowlabels=0")
        lab.inet.answerable("to-relay")
        yield lab


@pytest.fixture(params=["off", "native"])
def mode(request):
    return request.param


@contextlib.contextmanager
def running(yard, mode, extra, *hosts):
    """A relay whose host has these addresses meanwhile, and no other of the vectors."""
    yard.service = (hosts[0], 3545)
    for a in hosts:
        yard.relay.run("ip addr add %s/32 dev v4" % a)
    try:
        with Navalis(yard, mode, extra=extra + LABORATORY, instance="nvc%d" % os.getpid()) as relay:
            yield relay
            hits(relay)
    finally:
        for a in hosts:
            yard.relay.run("ip addr del %s/32 dev v4" % a)


def test_v24_to_v28_and_v36_to_v39_the_relay(yard, mode):
    """A hole is punched: both bubbles and their answers, the packet that waited for it, and what follows by the fast path."""
    with running(yard, mode, "behind_nat = yes\n", RELAY) as relay:
        wire = Wire(yard)
        wire.send("v6", raw(V36_IN))
        bubbles = []
        wait_for("both bubbles", lambda: bubbles.extend(wire.packets("v4")) or len(bubbles) == 2)
        source = bubbles[0][36:52]  # fe80:: and the cookie, where the vectors have one that nobody can foretell
        assert source[:8] == v6("fe80::")[:8]
        for got, want in zip(sorted(bubbles, key=lambda b: b[16:20], reverse=True), (V24, V27)):
            want = raw(want)
            same(got, again(want, want[28:36] + source + want[52:]))
        reply = raw(V26)
        reply = reply[28:52] + source
        wire.answers("v4", again(raw(V26), reply), raw(V36))
        with fast(relay, "ENCAP", "v6", 1):
            wire.answers("v6", raw(V36_IN), raw(V36))
        with fast(relay, "DECAP", "v4", 1):
            wire.goes_on(raw(V38), raw(V38)[28:])
        for trailer in V28_TO_V34:
            with counted(relay, "BUBBLE_TRAILER" if trailer.startswith("41") else "PROVEN"):
                wire.send("v4", renewed(again(raw(V26), reply + raw(trailer))))

        # V47: an outer checksum that comes to 0 is sent as ffff
        for label in range(0x10000):
            inner = raw(V36)[28:]
            inner = struct.pack("!I", 6 << 28 | label) + inner[4:]
            want = carried(RELAY, 3545, CLIENT, 40000, inner)
            if want[26:28] == b"\xff\xff":
                break
        with fast(relay, "ENCAP", "v6", 1):
            wire.answers("v6", inner[:7] + b"\x3e" + inner[8:], want)
        assert label != 0xFFFF

        # V39: a packet of 1400 bytes and the error of 1280 about it
        big = ip6(v6(NATIVE), v6(ADDRESS), 17, udp(v6(NATIVE), v6(ADDRESS), 1000, 2000, bytes(1352)), hop=62)
        wire.send("v6", big)
        error = wire.get("v6")
        src = v6("2001:db8:ffff::1")
        assert error == ip6(src, v6(NATIVE), 58, icmp6(src, v6(NATIVE), 2, struct.pack("!I", 1280) + big[:1232]), hop=64)
        assert len(big) == 1400 and len(error) == 1280 and error[42:44] == raw("2745")


def renewed(packet):
    """With the right length and checksum of its IPv4 header."""
    return ip4(packet[12:16], packet[16:20], packet[9], packet[20:], 0, ttl=64)


def test_v44_and_v46_6to4_and_hg48(yard, mode):
    with running(yard, mode, "[6to4]\nlocal = %s\n[hg48]\nservice = %s\nprefix = fd4a:6b8c:2d10:1::/80\n" % (RELAY, RELAY), RELAY) as relay:
        wire = Wire(yard)
        inner = raw(V44)[20:]
        with fast(relay, "ENCAP", "v6", 1):
            wire.answers("v6", inner[:7] + b"\x40" + inner[8:], raw(V44))
        for at, text in (((CLIENT, 40000), "fd4a:6b8c:2d10:1:0:f601:203:63bf"), (("192.0.2.45", 30000), "fd4a:6b8c:2d10:1:0:3fff:fdd2:8acf")):
            assert hg48("fd4a:6b8c:2d10:1::", *at) == text
            out = ip6(v6(NATIVE), v6(text), 58, icmp6(v6(NATIVE), v6(text), 128, b"\0\1\0\1abcdefgh"), hop=9)
            wire.answers("v6", out[:7] + b"\x0a" + out[8:], carried(RELAY, 3546, *at, out))
            back = ip6(v6(text), v6(NATIVE), 58, icmp6(v6(text), v6(NATIVE), 129, b"\0\1\0\1abcdefgh"), hop=9)
            wire.goes_on(carried(*at, RELAY, 3546, back), back)


def test_v45_6rd(yard, mode):
    with running(yard, mode, "[6rd]\nprefix = 2001:db8::/32\nipv4_prefix = 10.0.0.0/8\nborder_relay = 10.0.0.1\n", "10.0.0.1") as relay:
        wire, probe = Wire(yard), raw(V45)
        with fast(relay, "BOUNCED", "v4", 1):
            wire.answers("v4", probe, ip4(v4("10.0.0.1"), v4("10.100.100.1"), 41, probe[20:27] + b"\x3f" + probe[28:], 0, ttl=64))


def asks(src, check):
    """V15 to V19: a solicitation."""
    return ip6(v6(src), v6("ff02::2"), 58, b"\x85\0" + raw(check) + bytes(4), hop=255)


def test_v13_to_v25_and_v40_the_server(yard, mode):
    with running(yard, mode, SERVES + "mtu_option = no\n", SERVER, SECOND) as relay:
        wire = Wire(yard)
        with fast(relay, "SERVER_RELAYED", "v4", 1):
            wire.answers("v4", raw(V24), raw(V25))
        with fast(relay, "SOLICITED", "v4", len(V15_TO_V19)):
            for src, check in V15_TO_V19.items():
                told = raw(V21)[:24] + v6(src) + raw(V21)[40:]
                told = ip6(told[8:24], v6(src), 58, icmp6(told[8:24], v6(src), 134, told[44:]), hop=255)
                want = carried(SECOND if "8000" in src else SERVER, 3544, CLIENT, 40000, raw(AUTH + ORIGIN) + told)
                wire.answers("v4", carried(CLIENT, 40000, SERVER, 3544, raw(AUTH) + asks(src, check)), want)
                if src == "fe80::ffff:ffff:fffe":
                    assert want == raw(V23)
        wire.goes_on(carried(CLIENT, 40000, SERVER, 3544, raw(V40)), raw(V40))
        wire.send("v4", raw(V35))  # which is for clients on its link
        wire.answers("v4", raw(V24), raw(V25))


def test_v20_and_v22_as_windows_asks_and_with_an_mtu(yard, mode):
    with running(yard, mode, SERVES, SERVER, SECOND) as relay:
        wire = Wire(yard)
        want = carried(SERVER, 3544, CLIENT, 40000, raw(AUTH + ORIGIN + V22))
        with fast(relay, "SOLICITED", "v4", 1):
            wire.answers("v4", carried(CLIENT, 40000, SERVER, 3544, raw(AUTH) + asks("fe80::ffff:ffff:fffe", "7d38")), want)
    theirs = SERVES.replace("65.54.227.12", "40.84.25.6") + "mtu_option = no\n"
    with running(yard, mode, theirs, "40.84.25.60", "40.84.25.61") as relay:
        wire, link, to = Wire(yard), v6("fe80::8000:f227:d7ab:e6c3"), v6("fe80::ffff:ffff:fffe")  # V10
        told = raw(V21)[44:].replace(v4(SERVER), v4("40.84.25.60"))
        told = ip6(link, to, 58, icmp6(link, to, 134, told), hop=255)
        origin = b"\0\0" + bytes(b ^ 255 for b in b"\x0c\x02" + v4("192.168.4.31"))
        with fast(relay, "SOLICITED", "v4", 1):
            wire.answers("v4", raw(V20), carried("40.84.25.61", 3544, "192.168.4.31", 3074, raw(AUTH) + origin + told))


def says(payload, port=PPORT, to=25790):
    return carried(PEER, port, ROUTER, to, payload)


def hears(payload, port=PPORT, at=25790):
    return carried(ROUTER, at, PEER, port, payload)


def test_6bed4_16_addresses_advertisements_and_an_echo(yard, mode):
    with running(yard, mode, BED + "retract = yes\n", ROUTER) as relay:
        wire = Wire(yard)
        with fast(relay, "SOLICITED", "v4", 3 + len(TOLD)):
            wire.answers("v4", says(raw(RS)), hears(raw(RA)))
            wire.answers("v4", says(raw(RS), 50000), hears(raw(RA_50000), 50000))
            one = v6("fe80::1")
            wire.answers("v4", says(raw(RS_W0)), hears(ip6(v6("fe80::"), one, 58, icmp6(v6("fe80::"), one, 134, raw(RA)[44:]), hop=255)))
            for at, low in TOLD.items():
                wire.send("v4", carried(*at, ROUTER, 25790, raw(RS)))
                assert wire.get("v4")[-16:] == v6(NET[:-1] + low)
        wire.answers("v4", says(raw(NS)), hears(raw(NA)))
        with fast(relay, "DECAP", "v4", 1):
            wire.goes_on(says(raw(ECHO)), raw(ECHO))
        back = ip6(raw(ECHO)[24:40], raw(ECHO)[8:24], 58, icmp6(raw(ECHO)[24:40], raw(ECHO)[8:24], 129, raw(ECHO)[44:]), hop=9)
        with fast(relay, "ENCAP", "v6", 1):
            wire.answers("v6", back, hears(back[:7] + b"\x08" + back[8:]))

        # its peer has used port 50000, and is seen at 54170
        was = v6(bed(NET, (PEER, 50000)))
        with counted(relay, "SIXBED4_MOVED"):
            wire.answers("v4", says(raw(ECHO)[:8] + was + raw(ECHO)[24:]), hears(raw(RA_RETRACT)))


NEGATIVE = {
    "source port field d39b": ("SIXBED4_MOVED", lambda p: p[:20] + raw("d39b") + p[22:]),
    "upper half 2001:db8:77::": ("SRC_NOT_TEREDO", lambda p: p[:12] + raw("00770000") + p[16:]),
    "universal bit": ("SRC_MISMATCH", lambda p: p[:16] + b"\xca" + p[17:]),
    "hop limit 1": ("HOP_LIMIT_IN", lambda p: p[:7] + b"\1" + p[8:]),
    "solicitation with hop limit 254": ("ND_BAD", lambda _: raw(RS)[:7] + b"\xfe" + raw(RS)[8:]),
    "solicitation with checksum 7aaf": ("ND_BAD", lambda _: raw(RS)[:42] + raw("7aaf") + raw(RS)[44:]),
    "to 0.0.0.0:4444": ("CLIENT_REFUSED", lambda p: p[:24] + v6(bed(NET, ("0.0.0.0", 4444))) + p[40:]),
    "to 192.0.2.200:0": ("CLIENT_PORT", lambda p: p[:24] + v6(bed(NET, ("192.0.2.200", 0))) + p[40:]),
}


def test_6bed4_16_negative_vectors(yard, mode):
    with running(yard, mode, BED, ROUTER) as relay:
        wire = Wire(yard)
        for name, (reason, change) in NEGATIVE.items():
            with counted(relay, reason):
                wire.send("v4", says(change(raw(ECHO))))
            if reason in ("SIXBED4_MOVED", "HOP_LIMIT_IN"):
                got = wire.get("v4")
                assert got[28:36][6] == 58 and got[68] == {"SIXBED4_MOVED": 134, "HOP_LIMIT_IN": 3}[reason], name
            wire.answers("v4", says(raw(RS)), hears(raw(RA)))  # and nothing came before it


def test_6bed4_16_the_format_of_2012(yard, mode):
    with running(yard, mode, BED + "format = 2012\n", ROUTER) as relay:
        wire = Wire(yard)
        with fast(relay, "SOLICITED", "v4", 1):
            wire.answers("v4", says(raw(RS), to=25788), hears(raw(RA_2012), at=25788))

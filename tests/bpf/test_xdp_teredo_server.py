# SPDX-License-Identifier: GPL-2.0-or-later
"""The Teredo server in XDP: solicitations, what is sent on to clients, and what is left to the slow path."""
import struct
import subprocess

import pytest
from scapy.layers.inet6 import ICMPv6EchoReply, ICMPv6ND_RA, ICMPv6ND_RS, ICMPv6NDOptMTU, ICMPv6NDOptPrefixInfo

from teredo import Ether, ICMPv6EchoRequest, IP, IPv6, Raw, TCP, UDP, address, v4
from test_decap import poke
from xdp import DROP, MACS, PASS, REDIRECT, SEED, SERVICE, TX, server

ONE, TWO = "8.0.2.10", "8.0.2.11"
CLIENT, CPORT = "11.0.9.9", 40000
ME = address(ONE, CLIENT, CPORT)
OTHER = address(ONE, "11.0.9.8", 5000)      # a client of ours
FOREIGN = address("8.0.1.1", "11.0.9.7", 6000)  # and one of another server
ETH = Ether(src=MACS["gw4"], dst=MACS["v4"])
NONCE = bytes(range(1, 9))
AUTH = b"\0\1\0\0" + NONCE + b"\0"
LINK = "fe80::8000:f227:f7ff:fdf5"          # of 8.0.2.10: cone, 3544 and the address, both inverted
CONFIG = dict(own4=(SERVICE, ONE, TWO), server=server(ONE, TWO), refused=(("10.0.0.0", "10.255.255.255"),))


def origin(addr=CLIENT, port=CPORT):
    return b"\0\0" + struct.pack(">H", port ^ 0xFFFF) + bytes(b ^ 0xFF for b in v4(addr))


def frame(payload, front=b"", to=ONE, trailer=b"", ip=None, udp=None):
    outer = IP(**{**dict(src=CLIENT, dst=to, ttl=60), **(ip or {})})
    return bytes(ETH / outer / UDP(**{**dict(sport=CPORT, dport=3544), **(udp or {})}) / Raw(front + bytes(payload) + trailer))


def solicitation(cone=False, **kw):
    return IPv6(src="fe80::8000:5445:5245:444f" if cone else "fe80::5445:5245:444f", dst="ff02::2", hlim=255) / ICMPv6ND_RS(**kw)


def advertisement(to="fe80::5445:5245:444f", mtu=0):
    ra = IPv6(src=LINK, dst=to, hlim=255) / ICMPv6ND_RA(chlim=0, M=0, O=0, prf=0, routerlifetime=0, reachabletime=0, retranstimer=2000) / \
        ICMPv6NDOptPrefixInfo(prefixlen=64, L=0, A=1, prefix="2001:0:800:20a::")
    return bytes(ra / ICMPv6NDOptMTU(mtu=mtu) if mtu else ra)


def sent(out, payload, src=ONE, to=CLIENT, port=CPORT):
    ident, = struct.unpack("!H", out[18:20])
    want = IP(src=src, dst=to, ttl=64, id=ident) / UDP(sport=3544, dport=port) / Raw(payload)
    assert out == bytes(Ether(src=MACS["v4"], dst=MACS["gw4"]) / want)


@pytest.fixture(scope="module")
def x(machine):
    return machine.load(**CONFIG)


@pytest.mark.parametrize("front", [b"", AUTH, AUTH + origin("1.2.3.4", 5), origin("1.2.3.4", 5)],
                         ids=["bare", "authentication", "both", "origin"])
def test_rfc4380_5_3_2_solicitations_are_answered(x, front):
    want = (AUTH if AUTH in front else b"") + origin() + advertisement()
    for pad in (0, 60, 260):
        sent(x.expect(frame(solicitation(), front) + bytes(pad), TX, "SOLICITED"), want)
    sent(x.expect(frame(solicitation(), front, to=TWO), TX, "SOLICITED"), want, src=TWO)


def test_rfc5991_3_2_the_cone_bit_asks_for_the_other_address(x):
    want = origin() + advertisement("fe80::8000:5445:5245:444f")
    sent(x.expect(frame(solicitation(True)), TX, "SOLICITED"), want, src=TWO)
    sent(x.expect(frame(solicitation(True), to=TWO), TX, "SOLICITED"), want, src=ONE)


def bubble(dst=OTHER, src=ME):
    return IPv6(src=src, dst=dst, nh=59, plen=0, hlim=21)


def echo(dst=OTHER, src=ME, n=8, **kw):
    return IPv6(src=src, dst=dst, **kw) / ICMPv6EchoRequest(id=1, seq=2, data=b"x" * n)


@pytest.mark.parametrize("make,trailer", [(bubble, b""), (bubble, b"\x01\x04abcd"), (echo, b""), (echo, b"\x41\x01z")])
def test_rfc4380_5_3_1_to_clients(x, make, trailer):
    sent(x.expect(frame(make(), trailer=trailer) + b"pad", TX, "SERVER_RELAYED"), origin() + bytes(make()) + trailer,
         to="11.0.9.8", port=5000)
    sent(x.expect(frame(make(), to=TWO, trailer=trailer), TX, "SERVER_RELAYED"), origin() + bytes(make()) + trailer,
         to="11.0.9.8", port=5000)
    sent(x.expect(frame(make(FOREIGN), trailer=trailer), TX, "SERVER_RELAYED"), bytes(make(FOREIGN)) + trailer,
         to="11.0.9.7", port=6000)


def test_rfc4380_5_3_1_a_relay_s_bubbles(x):
    p = bubble(src="fe80::1")
    sent(x.expect(frame(p), TX, "SERVER_RELAYED"), origin() + bytes(p), to="11.0.9.8", port=5000)
    x.expect(frame(bubble(FOREIGN, "fe80::1")), DROP, "SERVER_NOT_OURS")


def test_rfc4380_5_3_1_echoes_to_native_hosts(x):
    p = echo("2a00:f::7", hlim=57)
    want = IPv6(bytes(p))
    want.hlim -= 1
    native = bytes(Ether(src=MACS["v6"], dst=MACS["gw6"], type=0x86DD)) + bytes(want)
    for front, trailer in ((b"", b""), (AUTH, b"\x01\x04abcd"), (AUTH + origin(), b"")):
        assert x.expect(frame(p, front, trailer=trailer), REDIRECT, "DECAP") == native


def test_what_leaves_by_another_nic_does(x):
    """In place is what goes back to where it came from; the rest is redirected, or left to the kernel where XDP knows no neighbour."""
    far = "8.46.0.2"
    inside = lambda c: subprocess.run(["nsenter", "--net=/run/netns/" + x.ns, *c.split()], check=True)  # noqa: E731
    inside("ip addr add 8.46.0.1/24 dev v6")
    inside("ip neigh replace %s lladdr %s dev v6 nud permanent" % (far, MACS["gw6"]))
    try:
        p = bubble(address("8.0.1.1", far, 6000))
        for f, reason, payload, port in ((frame(solicitation(), ip=dict(src=far)), "SOLICITED", origin(far) + advertisement(), CPORT),
                                         (frame(p), "SERVER_RELAYED", bytes(p), 6000)):
            out = x.expect(f, REDIRECT, reason)
            assert out[:14] == bytes(Ether(src=MACS["v6"], dst=MACS["gw6"], type=0x800))
            sent(bytes(Ether(src=MACS["v4"], dst=MACS["gw4"], type=0x800)) + out[14:], payload, to=far, port=port)
        x.expect(frame(solicitation(), ip=dict(src="8.46.0.3")), PASS, "NO_NEXT_HOP_OUT")
    finally:
        inside("ip addr del 8.46.0.1/24 dev v6")


def test_what_is_carried_is_counted(x):
    """Without indications; what is sent on to a client with its trailers."""
    with x.carries(("server", 0, 1 + 2, 56 + 2 * 44, 1 + 2, len(advertisement()) + 2 * 44)):
        x.expect(frame(echo("2a00:f::7"), AUTH, trailer=b"\x01\x04abcd"), REDIRECT, "DECAP")
        x.expect(frame(bubble(), trailer=b"\x01\x02ab"), TX, "SERVER_RELAYED")
        x.expect(frame(bubble(FOREIGN), trailer=b"\x01\x02ab", to=TWO), TX, "SERVER_RELAYED")
        x.expect(frame(solicitation(), AUTH, to=TWO), TX, "SOLICITED")
        x.expect(frame(echo(n=81)), DROP, "SERVER_SIZE")


NEGATIVE = {
    "to another port": (lambda: frame(bubble(), udp=dict(dport=3545)), PASS, "NOT_OURS"),
    "fragment": (lambda: frame(bubble(), ip=dict(flags="MF")), PASS, "IP4_FRAGMENT"),
    "header checksum": (lambda: poke(frame(bubble()), 24, b"\x12\x34", False), DROP, "IP4_CHECKSUM"),
    "UDP length": (lambda: frame(bubble(), udp=dict(len=7)), DROP, "UDP_LENGTH"),
    "authentication with a value": (lambda: frame(solicitation(), b"\0\1\0\4" + bytes(4) + NONCE + b"\0"), PASS, "INDICATION_ODD"),
    "another indication": (lambda: frame(solicitation(), b"\0\0" + bytes(6) + b"\0\1" + bytes(6)), DROP, "INDICATION"),
    "no IPv6": (lambda: frame(Raw(b"E" * 60)), DROP, "INNER_NOT_IP6"),
    "longer than the datagram": (lambda: frame(Raw(bytes(echo())[:-1])), DROP, "INNER_LENGTH"),
    "TCP": (lambda: frame(IPv6(src=ME, dst=OTHER) / TCP()), DROP, "SERVER_KIND"),
    "from an address of ours, by a NIC": (lambda: frame(bubble(src=address(ONE, SERVICE, CPORT)), ip=dict(src=SERVICE)), DROP, "OUTER_OURS"),
    "native, to a site and congested": (lambda: frame(echo("2002:800:201::1"), ip=dict(tos=3)), DROP, "DST_OWN_TUNNEL"),
    "from port 3544 of ours": (lambda: frame(bubble(), ip=dict(src=TWO), udp=dict(sport=3544)), DROP, "OUTER_OURS"),
    "from 10/8": (lambda: frame(bubble(), ip=dict(src="10.0.0.1")), DROP, "OUTER_REFUSED"),
    "solicitation with hop limit 64": (lambda: frame(IPv6(src="fe80::1", dst="ff02::2", hlim=64) / ICMPv6ND_RS()), DROP, "ND_BAD"),
    "solicitation with a wrong checksum": (lambda: frame(solicitation(cksum=7)), DROP, "ND_BAD"),
    "another client's source": (lambda: frame(bubble(src=OTHER)), DROP, "SRC_MISMATCH"),
    "from ::": (lambda: frame(bubble(src="::")), DROP, "SRC_UNSPECIFIED"),
    "echo to the server": (lambda: frame(echo(LINK)), PASS, "SERVER_LOCAL"),
    "to ff02::1": (lambda: frame(echo("ff02::1")), DROP, "DST_MULTICAST"),
    "discovery": (lambda: frame(IPv6(src=ME, dst=OTHER) / ICMPv6ND_RA()), DROP, "ND_FORWARD"),
    "89 bytes": (lambda: frame(echo(n=81)), DROP, "SERVER_SIZE"),
    "to a client in 10/8": (lambda: frame(bubble(address(ONE, "10.0.0.1", 9))), DROP, "CLIENT_REFUSED"),
    "to ourselves": (lambda: frame(bubble(address(ONE, TWO, 9))), DROP, "CLIENT_OURS"),
    "to where it comes from": (lambda: frame(bubble(ME, "2a00:f::7")), DROP, "DST_TEREDO"),
    "to port 0": (lambda: frame(bubble(address(ONE, "11.0.9.8", 0))), DROP, "CLIENT_PORT"),
    "behind an indication": (lambda: frame(bubble(), AUTH), PASS, "NEEDS_CHECKSUM"),
    "without UDP checksum": (lambda: frame(bubble(), udp=dict(chksum=0)), PASS, "NEEDS_CHECKSUM"),
    "no next hop to the client": (lambda: frame(bubble(address(ONE, "8.0.2.77", 9))), PASS, "NO_NEXT_HOP_OUT"),
    "native, hop limit 1": (lambda: frame(echo("2a00:f::7", hlim=1)), PASS, "HOP_LIMIT_IN"),
    "native, unique local": (lambda: frame(echo("fd00::1")), DROP, "DST_SITE"),
    "native, congestion": (lambda: frame(echo("2a00:f::7"), ip=dict(tos=3)), DROP, "ECN_CONGESTED"),
}


@pytest.mark.parametrize("case", NEGATIVE)
def test_one_defect(x, case):
    make, action, reason = NEGATIVE[case]
    x.expect(make(), action, reason)


@pytest.mark.parametrize("make", [lambda: frame(solicitation(), AUTH), lambda: frame(bubble())])
def test_every_truncation_of_a_frame_is_refused(x, make):
    whole = make()
    for n in range(14, len(whole)):
        action, reason, out = x.run(whole[:n])
        assert action not in (REDIRECT, TX) and out == whole[:n], (n, reason)


def test_an_mtu_is_told_where_it_is_asked_for(x):
    x.load(**{**CONFIG, "server": server(ONE, TWO, mtu=1280)})
    for front in (b"", AUTH):
        sent(x.expect(frame(solicitation(), front), TX, "SOLICITED"), front + origin() + advertisement(mtu=1280))
    x.load(own4=(SERVICE, ONE, TWO))
    x.expect(frame(solicitation()), PASS, "NOT_OURS")
    x.load(**CONFIG)


V20 = bytes.fromhex("45000059bb910000801178aac0a8041f2854193d0c020dd800457fdc000100006aeec3b128884291006000000000083afffe80"
                    "0000000000000000fffffffffffeff02000000000000000000000000000285007d3800000000")
V23 = bytes.fromhex("000100006aeec3b12888429100000063bff60102036000000000303afffe800000000000008000f227bec91c87fe80000000000000"
                    "0000fffffffffffe86009f560000000000000000000007d003044040ffffffffffffffff00000000200100004136e3780000000000000000")
V24 = bytes.fromhex("45000044000000004011d1d3c01fc4074136e3780dd90dd80030f9af6000000000003b40fe80000000000000123456789abcdef0"
                    "200100004136e37824c763bff6010203")
V25 = bytes.fromhex("4500004c0000000040114df84136e37809fefdfc0dd89c40003879650000f2263fe03bf86000000000003b40fe80000000000000"
                    "123456789abcdef0200100004136e37824c763bff6010203")
CAPTURED = "65.54.227.120"
HEAD = bytes(ETH / IP())[:14]


def test_vectors_20_to_25_byte_by_byte(x):
    """The frames of a Windows client and of a relay, as they are on the wire."""
    x.load(own4=(SERVICE, CAPTURED), server=server(CAPTURED, "65.54.227.121"))
    ident = lambda out, want: IP(bytes(IP(out[14:34], id=IP(want).id, chksum=None)) + out[34:])  # noqa: E731
    out = x.expect(HEAD + V24, TX, "SERVER_RELAYED")
    assert bytes(ident(out, V25)) == V25 and IP(out[14:]).ttl == 64
    # the one of the capture asks another server, from behind a NAT that 9.254.253.252:40000 is the outside of
    asked = IP(V20)
    asked.src, asked.dst, asked.chksum, asked[UDP].sport, asked[UDP].chksum = "9.254.253.252", CAPTURED, None, 40000, None
    out = x.expect(bytes(ETH / asked), TX, "SOLICITED")
    answer = IP(out[14:])
    assert bytes(answer[UDP].payload) == V23
    assert (answer.src, answer.dst, answer[UDP].sport, answer[UDP].dport) == (CAPTURED, "9.254.253.252", 3544, 40000)
    x.load(own4=(SERVICE, "40.84.25.61"), server=server("40.84.25.60", "40.84.25.61"))
    out = x.expect(HEAD + V20, TX, "SOLICITED")  # and as it came, which a list of refused addresses would not let
    assert bytes(IP(out[14:])[UDP].payload)[13:21] == origin("192.168.4.31", 0x0c02)
    x.load(**CONFIG)


def advertised_place(addr):
    """Where its meter is."""
    return (int.from_bytes(v4(addr), "little") * SEED[1] & 0xFFFFFFFF) >> 20


def test_an_address_is_sent_so_many_advertisements(x):
    x.load(**CONFIG, advertise=(1, 3))  # 3 at once, and then one in a thousand ticks
    others = [dict(src="11.0.9.%d" % i) for i in range(10, 20)]
    for _ in range(3):
        x.expect(frame(solicitation()), TX, "SOLICITED")
    for _ in range(5):
        x.expect(frame(solicitation()), DROP, "LIMIT_CLIENT")
    for ip in others:
        x.expect(frame(solicitation(), ip=ip), TX, "SOLICITED")
    x.expect(frame(solicitation(), udp=dict(sport=CPORT + 1)), DROP, "LIMIT_CLIENT")
    x.expect(frame(bubble()), TX, "SERVER_RELAYED")  # which is no answer
    # one that has its meter in the same place is kept from nothing
    other = next(a for a in ("11.%d.%d.7" % (i >> 8, i & 255) for i in range(65536)) if advertised_place(a) == advertised_place(CLIENT))
    for _ in range(3):
        x.expect(frame(solicitation(), ip=dict(src=other)), TX, "SOLICITED")
    x.expect(frame(solicitation(), ip=dict(src=other)), DROP, "LIMIT_CLIENT")
    x.load(**CONFIG)

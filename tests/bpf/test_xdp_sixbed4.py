# SPDX-License-Identifier: GPL-2.0-or-later
"""6bed4 in XDP: native both ways, from peer to peer, and the answers to solicitations."""
import ipaddress

import pytest
from scapy.layers.inet6 import ICMPv6ND_NS, ICMPv6ND_RA, ICMPv6ND_RS, ICMPv6NDOptPrefixInfo, ICMPv6NDOptSrcLLAddr

from peer import ETH4, PAYLOADS, Peer, REFUSED, sized, stripped
from teredo import IP, IPv6, Raw, UDP, address, v4
from test_vlan import AD, Q
from xdp import DROP, PASS, REDIRECT, SERVICE, SIXBED4, SIXTO4, TEREDO, TX, W1, sixbed4, sixto4

PREFIX = "2a00:6bed:4:1::"
LOCAL, PORT = "8.0.2.6", 25790
PEER, PPORT = "11.0.9.9", 40000


def peer(addr=PEER, port=PPORT, lanip=1, prefix=PREFIX):
    """draft-vanrein-6bed4-04 3.1: all of the address but the two lowest bits of its first byte, port, those, lanip."""
    a = int.from_bytes(v4(addr), "big")
    low = (a & 0xFCFFFFFF) << 32 | port << 16 | (a >> 24 & 3) << 14 | lanip
    return str(ipaddress.IPv6Address(int(ipaddress.IPv6Address(prefix)) | low))


CONFIG = dict(own4=(SERVICE, LOCAL), refused=REFUSED,
              sixbed4=[sixbed4(LOCAL, PORT, PREFIX), sixbed4(LOCAL, 25788, "2a00:6bed:4:2::", format=W1)],
              sixto4=sixto4("8.0.2.2"),
              prefixes=[(PREFIX + "/64", SIXBED4, 0), ("2002::/16", SIXTO4, 0), ("2001::/32", TEREDO, 0)])


KNOWN = Peer(LOCAL, PORT, PEER, PPORT, peer())
inner, frame, native, outer = KNOWN.inner, KNOWN.frame, KNOWN.native, KNOWN.outer


@pytest.fixture(scope="module")
def x(machine):
    return machine.load(**CONFIG)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_6bed4_native_both_ways(x, payload):
    p = inner(payload)
    assert x.expect(frame(p), REDIRECT, "DECAP") == stripped(p)
    assert x.expect(frame(p) + b"leak" * 5, REDIRECT, "DECAP") == stripped(p)
    f = native(payload)
    outer(x.expect(f, REDIRECT, "ENCAP", "v6"), IPv6(f[14:]))
    outer(x.expect(f + b"pad" * 6, REDIRECT, "ENCAP", "v6"), IPv6(f[14:]))


@pytest.mark.parametrize("payload", PAYLOADS)
def test_6bed4_5_1_from_peer_to_peer(x, payload):
    p = inner(payload, dst=peer("11.0.9.8", 2000, 5), tc=2)
    f = frame(p, ip=dict(tos=1))
    p.tc = 1
    outer(x.expect(f, TX, "BOUNCED"), p, "11.0.9.8", 2000)
    outer(x.expect(f + b"pad", TX, "BOUNCED"), p, "11.0.9.8", 2000)


def old_peer():
    a = v4(PEER)
    low = bytes([PPORT & 0xFF ^ 2, PPORT >> 8, a[0], 0xFF, 0xFE]) + a[1:]
    return str(ipaddress.IPv6Address(ipaddress.IPv6Address("2a00:6bed:4:2::").packed[:8] + low))


def test_2012_format(x):
    who = old_peer()
    p = inner(src=who)
    assert x.expect(frame(p, udp=dict(dport=25788)), REDIRECT, "DECAP") == stripped(p)
    f = native(dst=who)
    outer(x.expect(f, REDIRECT, "ENCAP", "v6"), IPv6(f[14:]), sport=25788)


def solicit(src="fe80::1", dst="ff02::2", options=b"", hlim=255, **kw):
    return frame(IPv6(src=src, dst=dst, hlim=hlim) / ICMPv6ND_RS(**kw) / Raw(options))


def advertised(dst, prefix):
    return IPv6(src="fe80::", dst=dst, hlim=255) / \
        ICMPv6ND_RA(chlim=0, M=0, O=0, prf=3, routerlifetime=0xFFFF, reachabletime=0xFFFFFFFF, retranstimer=0xFFFFFFFF) / \
        ICMPv6NDOptPrefixInfo(prefixlen=114, L=1, A=1, prefix=prefix)


def test_6bed4_3_2_solicitations_are_answered(x):
    want = advertised("fe80::1", peer(lanip=0))
    outer(x.expect(solicit(), TX, "SOLICITED"), want, hops=0)
    outer(x.expect(solicit() + bytes(60), TX, "SOLICITED"), want, hops=0)  # longer than the answer is, and shorter
    outer(x.expect(solicit() + bytes(260), TX, "SOLICITED"), want, hops=0)
    with_option = frame(IPv6(src="fe80::1", dst="ff02::2", hlim=255) / ICMPv6ND_RS() / ICMPv6NDOptSrcLLAddr(lladdr="02:00:00:00:00:01"))
    outer(x.expect(with_option, TX, "SOLICITED"), want, hops=0)
    outer(x.expect(solicit(src="::"), TX, "SOLICITED"), advertised("ff02::1", peer(lanip=0)), hops=0)
    x.expect(solicit(hlim=254), DROP, "ND_BAD")
    x.expect(solicit(cksum=1), DROP, "ND_BAD")
    x.expect(solicit(options=b"\x0e\x02" + bytes(14)), PASS, "SOLICITED_ODD")


def test_the_answer_leaves_by_the_next_hop_and_with_its_tags(x):
    x.vlan("v4.4", "v4", (AD, 100), (Q, 44))
    f = solicit()
    f = bytearray(f)
    near = bytes(ETH4 / IP(src="8.44.0.2", dst=LOCAL) / UDP(sport=4007, dport=PORT) / Raw(bytes(IPv6(f[42:]))))
    out = x.expect(near, TX, "SOLICITED")
    assert out[:22] == bytes.fromhex("020000004402 020000000444 88a80064 8100002c 0800")
    want = advertised("fe80::1", peer("8.44.0.2", 4007, 0))
    outer(bytes.fromhex("020000000104 020000000004 0800") + out[22:], want, "8.44.0.2", 4007, hops=0)


def test_each_listener_counts_what_it_carries(x):
    with x.carries(("6bed4", 0, 2, 156, 3, 200 + 40 + 16 + 32), ("6bed4", 1, 0, 0, 1, 100)):
        x.expect(frame(), REDIRECT, "DECAP")
        x.expect(native(sized(100)), REDIRECT, "ENCAP", "v6")
        x.expect(frame(inner(sized(100), dst=peer("11.0.9.8"))), TX, "BOUNCED")
        x.expect(solicit(), TX, "SOLICITED")
        x.expect(frame(dst="ff02::1"), DROP, "DST_MULTICAST")
        x.expect(native(sized(100), dst=old_peer()), REDIRECT, "ENCAP", "v6")


IN = {
    "to another port": (lambda: frame(udp=dict(dport=PORT + 1)), PASS, "NOT_OURS"),
    "to another address": (lambda: frame(ip=dict(dst="8.0.2.99")), PASS, "NOT_OURS"),
    "rfc791 first fragment": (lambda: frame(ip=dict(flags="MF")), PASS, "IP4_FRAGMENT"),
    "rfc791 later fragment": (lambda: frame(ip=dict(frag=3)), PASS, "IP4_FRAGMENT"),
    "rfc791 options": (lambda: frame(ip=dict(options=[b"\x01"] * 4)), PASS, "IP4_OPTIONS"),
    "rfc791 checksum": (lambda: frame(ip=dict(chksum=7)), DROP, "IP4_CHECKSUM"),
    "rfc768 length below the header": (lambda: frame(udp=dict(len=7)), DROP, "UDP_LENGTH"),
    "rfc768 length beyond the packet": (lambda: frame(udp=dict(len=1000)), DROP, "UDP_LENGTH"),
    "keepalive": (lambda: frame(Raw(b"")), DROP, "KEEPALIVE"),
    "39 bytes": (lambda: frame(Raw(bytes(inner())[:39])), DROP, "INNER_NOT_IP6"),
    "bytes behind": (lambda: frame(Raw(bytes(inner()) + b"x")), DROP, "INNER_LENGTH"),
    "rfc3964 5.3.1 from 10/8": (lambda: frame(src=peer("10.0.0.1"), ip=dict(src="10.0.0.1")), DROP, "OUTER_REFUSED"),
    "from a low port": (lambda: frame(src=peer(port=1023), udp=dict(sport=1023)), DROP, "OUTER_REFUSED"),
    "solicited from a low port": (lambda: frame(IPv6(src="fe80::1", dst="ff02::2", hlim=255) / ICMPv6ND_RS(), udp=dict(sport=53)),
                                  DROP, "OUTER_REFUSED"),
    "rfc6324 3 from us": (lambda: frame(src=peer(SERVICE), ip=dict(src=SERVICE)), DROP, "OUTER_OURS"),
    "another endpoint": (lambda: frame(udp=dict(sport=PPORT + 1)), PASS, "SIXBED4_MOVED"),
    "no peer's source": (lambda: frame(src="2a00::1"), DROP, "SRC_NOT_TEREDO"),
    "to the router": (lambda: frame(dst=peer(LOCAL, PORT, 0)), PASS, "SIXBED4_LOCAL"),
    "neighbour solicitation": (lambda: frame(IPv6(src=peer(), dst="fe80::", hlim=255) / ICMPv6ND_NS(tgt="fe80::")), PASS, "SIXBED4_NS"),
    "advertisement": (lambda: frame(ICMPv6ND_RA() and inner(ICMPv6ND_RA())), DROP, "ND_FORWARD"),
    "to ff02::1": (lambda: frame(dst="ff02::1"), DROP, "DST_MULTICAST"),
    "to fe80::9": (lambda: frame(dst="fe80::9"), DROP, "DST_LINK_LOCAL"),
    "to fd00::1": (lambda: frame(dst="fd00::1"), DROP, "DST_SITE"),
    "to Teredo": (lambda: frame(dst=address("8.0.1.1", "8.0.9.8", 9)), DROP, "DST_TEREDO"),
    "to 6to4": (lambda: frame(dst="2002:800:909::1"), DROP, "DST_TUNNEL"),
    "to a peer in 10/8": (lambda: frame(dst=peer("10.0.0.1")), DROP, "CLIENT_REFUSED"),
    "to a peer that is us": (lambda: frame(dst=peer(SERVICE)), DROP, "CLIENT_OURS"),
    "to a low port": (lambda: frame(dst=peer(port=53)), DROP, "CLIENT_PORT"),
    "to port 0": (lambda: frame(dst=PREFIX + "11"), DROP, "CLIENT_PORT"),
    "to an opaque address": (lambda: frame(dst="2a00:6bed:4:1:200::1"), DROP, "SIXBED4_OPAQUE"),
    "hop limit 1": (lambda: frame(hlim=1), PASS, "HOP_LIMIT_IN"),
    "1281 bytes": (lambda: frame(inner(sized(1281))), PASS, "TOO_BIG"),
    "rfc6040 4.2 congestion on not-ECT": (lambda: frame(ip=dict(tos=3)), DROP, "ECN_CONGESTED"),
    "congestion, and a destination that is refused": (lambda: frame(inner(dst="fd00::1"), ip=dict(tos=3)), DROP, "DST_SITE"),
    "rfc5095 routing header 0": (lambda: frame(inner(Raw(b"\x3b\0\0\0\0\0\0\0"), nh=43)), DROP, "INNER_ROUTING"),
    "destination options": (lambda: frame(inner(Raw(b"\x3b\0\x01\x04\0\0\0\0"), nh=60)), PASS, "INNER_EXTENSION"),
    "ESP to a peer": (lambda: frame(inner(Raw(b"esp" * 8), nh=50, dst=peer("11.0.9.8"))), PASS, "NEEDS_CHECKSUM"),
    "to this host": (lambda: frame(dst="2a00:1::1"), PASS, "NO_NEXT_HOP_IN"),
    "to a peer without neighbour": (lambda: frame(dst=peer("8.0.2.77")), PASS, "NO_NEXT_HOP_OUT"),
}


@pytest.mark.parametrize("case", IN)
def test_one_defect_in(x, case):
    make, action, reason = IN[case]
    x.expect(make(), action, reason)


OUT = {
    "from a peer": (lambda: native(src=peer("11.0.9.8")), DROP, "SIXBED4_SRC_PEER"),
    "from ::1": (lambda: native(src="::1"), DROP, "SRC_UNSPECIFIED"),
    "from multicast": (lambda: native(src="ff0e::1"), DROP, "SRC_MULTICAST"),
    "from unique local": (lambda: native(src="fd00::1"), DROP, "SRC_SITE"),
    "from Teredo": (lambda: native(src=address("8.0.1.1", "8.0.9.8", 9)), DROP, "SRC_TEREDO"),
    "to 10/8": (lambda: native(dst=peer("10.0.0.1")), DROP, "CLIENT_REFUSED"),
    "to us": (lambda: native(dst=peer(SERVICE)), DROP, "CLIENT_OURS"),
    "to a low port": (lambda: native(dst=peer(port=53)), DROP, "CLIENT_PORT"),
    "to port 0": (lambda: native(dst=PREFIX + "11"), DROP, "CLIENT_PORT"),
    "to an opaque address": (lambda: native(dst="2a00:6bed:4:1:100::1"), DROP, "SIXBED4_OPAQUE"),
    "to the router": (lambda: native(dst=peer(LOCAL, PORT, 0)), PASS, "SIXBED4_LOCAL"),
    "discovery": (lambda: native(ICMPv6ND_RA()), DROP, "ND_FORWARD"),
    "1281 bytes": (lambda: native(sized(1281)), PASS, "TOO_BIG"),
    "hop limit 1": (lambda: native(hlim=1), PASS, "HOP_LIMIT_OUT"),
    "longer than the frame": (lambda: native()[:-1], DROP, "NATIVE_LENGTH"),
    "ESP": (lambda: native(Raw(b"esp" * 8), nh=50), PASS, "NEEDS_CHECKSUM"),
    "no such neighbour": (lambda: native(dst=peer("8.0.2.77")), PASS, "NO_NEXT_HOP_OUT"),
}


@pytest.mark.parametrize("case", OUT)
def test_one_defect_out(x, case):
    make, action, reason = OUT[case]
    x.expect(make(), action, reason, "v6")


@pytest.mark.parametrize("make,nic", [(frame, "v4"), (native, "v6"), (solicit, "v4")])
def test_every_truncation_of_a_frame_is_refused(x, make, nic):
    whole = make()
    for n in range(14, len(whole)):
        action, reason, out = x.run(whole[:n], nic)
        assert action not in (REDIRECT, TX) and out == whole[:n], (n, reason)


def test_routes_are_told_by_the_slow_path(x):
    x.load(**{**CONFIG, "sixbed4": [sixbed4(LOCAL, PORT, PREFIX, routes=("2a00:f::/32",))]})
    x.expect(solicit(), PASS, "SOLICITED_ODD")
    x.load(own4=(SERVICE, LOCAL))
    x.expect(frame(), PASS, "NOT_OURS")
    x.expect(native(), PASS, "NOT_OURS", "v6")
    x.load(**CONFIG)


def test_from_one_listener_to_the_other_where_it_is_let(x):
    there = "2a00:6bed:4:2::"
    ways = [frame(dst=peer("11.0.9.8", prefix=there)),
            frame(src=peer(prefix=there), dst=peer("11.0.9.8"), udp=dict(dport=25788))]
    both = {**CONFIG, "sixbed4": [sixbed4(LOCAL, PORT, PREFIX), sixbed4(LOCAL, 25788, there)],
            "prefixes": [(PREFIX + "/64", SIXBED4, 0), (there + "/64", SIXBED4, 1)]}
    for cross, action, reason in ((), DROP, "DST_TUNNEL"), ([(SIXBED4, SIXBED4)], REDIRECT, "DECAP"):
        x.load(**both, cross=cross)
        for f in ways:
            x.expect(f, action, reason)
    x.load(**CONFIG)


def test_an_address_is_sent_so_many_advertisements(x):
    x.load(**CONFIG, advertise=(1, 2))
    for action, reason in [(TX, "SOLICITED")] * 2 + [(DROP, "LIMIT_CLIENT")] * 3:
        x.expect(solicit(), action, reason)
    x.load(**CONFIG)

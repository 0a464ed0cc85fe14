# SPDX-License-Identifier: GPL-2.0-or-later
"""6to4, 6rd and 6in4 in XDP: frames that are valid by construction, and one defect at a time."""
import ipaddress
import struct

import pytest
from scapy.layers.inet6 import ICMPv6ND_RA

from teredo import Ether, ICMPv6EchoRequest, IP, IPv6, Raw, TCP, UDP, address, v4
import test_decap as decap
import test_encap as encap
import test_xdp_hg48 as home
import test_xdp_sixbed4 as bed4
from test_decap import poke
from test_vlan import AD, Q, tagged
from xdp import DROP, HG48, MACS, PASS, REDIRECT, SERVICE, SIXBED4, SIXIN4, SIXRD, SIXTO4, TEREDO, TX, sixin4, sixrd, sixto4

NATIVE = "2a00:f::7"
FAR = "8.0.9.9"  # a site of each kind
ETH4 = Ether(src=MACS["gw4"], dst=MACS["v4"])
ETH6 = Ether(src=MACS["gw6"], dst=MACS["v6"])
ECHO = ICMPv6EchoRequest(id=1, seq=2, data=b"abcdefgh")
LOCAL, BR, END, FAR_END = "8.0.2.2", "8.0.2.3", "8.0.2.4", "8.0.9.20"
OWN = (SERVICE, LOCAL, BR, END)
REFUSED = (("10.0.0.0", "10.255.255.255"), ("192.168.0.0", "192.168.255.255"))


def to4(v4_addr, rest="::1"):
    """RFC 3056 2."""
    return str(ipaddress.IPv6Address(b"\x20\x02" + v4(v4_addr) + ipaddress.IPv6Address(rest).packed[6:]))


def rd(v4_addr, rest=1):
    """RFC 5969 4, for 2a00:5500::/29 and the last 20 bits of 8.0.0.0/12: 49 bits in all."""
    top = 0x2A005500 << 96 | (int.from_bytes(v4(v4_addr), "big") & 0xFFFFF) << 79
    return str(ipaddress.IPv6Address(top | rest))


CONFIG = dict(
    own4=OWN, refused=REFUSED, sixto4=sixto4(LOCAL),
    sixrd=[sixrd("2a00:5500::/29", "8.0.0.0/12", BR, relays=("8.0.9.77",), mtu=1480, df=1, copy_class=1),
           sixrd("2a00:6600::/32", "0.0.0.0/0", "10.0.0.1")],
    sixin4=[sixin4(END, FAR_END, 7, ("2a00:77::/48", "2a00:78::/64"), mtu=1400),
            sixin4(END, "8.0.9.21", 0, ("2a00:79::/48",), any_source=1)],
    prefixes=[("2002::/16", SIXTO4, 0), ("2a00:5500::/29", SIXRD, 0), ("2a00:6600::/32", SIXRD, 1), ("2001::/32", TEREDO, 0)])

# name: our end, the far end, its inner address, how a packet to it looks outside
KINDS = {"6to4": (LOCAL, FAR, to4(FAR), {}), "6rd": (BR, FAR, rd(FAR), dict(flags="DF")),
         "6rd, whole IPv4": ("10.0.0.1", "10.1.2.3", "2a00:6600:a01:203::9", {}),
         "6in4": (END, FAR_END, "2a00:77::9", {}), "6in4, number 0": (END, "8.0.9.21", "2a00:79::9", {})}
MTU = {"6to4": 1280, "6rd": 1480, "6rd, whole IPv4": 1280, "6in4": 1400, "6in4, number 0": 1280}


def inner(src, dst=NATIVE, payload=ECHO, **kw):
    return IPv6(**{**dict(src=src, dst=dst, hlim=57), **kw}) / payload


def outer(p, src=FAR, dst=LOCAL, trailer=b"", **kw):
    return bytes(ETH4 / IP(**{**dict(src=src, dst=dst, ttl=60, proto=41), **kw}) / Raw(bytes(p) + trailer))


def arrives(kind="6to4", payload=ECHO, ip=None, trailer=b"", **kw):
    local, far, addr, _ = KINDS[kind]
    fields = dict(src=addr, payload=payload)
    fields.update(kw)
    return outer(inner(**fields), **{**dict(src=far, dst=local), **(ip or {})}, trailer=trailer)


def leaves(kind="6to4", payload=ECHO, **kw):
    return bytes(ETH6 / IPv6(**{**dict(src=NATIVE, dst=KINDS[kind][2], hlim=57), **kw}) / payload)


def stripped(frame, **changes):
    p = IPv6(frame[34:])
    p = IPv6(bytes(p)[:40 + p.plen])
    p.hlim -= 1
    for name, value in changes.items():
        setattr(p, name, value)
    return bytes(Ether(src=MACS["v6"], dst=MACS["gw6"], type=0x86DD)) + bytes(p)


def wrapped(out, p, src, dst, **kw):
    """Compares with what scapy builds; the IPv4 ID is taken from the frame."""
    p = IPv6(bytes(p))
    p.hlim -= 1
    ident, = struct.unpack("!H", out[18:20])
    header = IP(**{**dict(src=src, dst=dst, ttl=64, id=ident, proto=41, flags=0), **kw})
    assert out == bytes(Ether(src=MACS["v4"], dst=MACS["gw4"]) / header / Raw(bytes(p)))
    return ident


@pytest.fixture(scope="module")
def x(machine):
    return machine.load(**CONFIG)


def sized(n):
    """An echo whose IPv6 packet has that many bytes."""
    return ICMPv6EchoRequest(data=b"x" * (n - 48))


PAYLOADS = [ICMPv6EchoRequest(id=1, seq=1, data=b""), TCP(sport=80, dport=1024, flags="A") / Raw(b"odd"),
            UDP(sport=1, dport=2, chksum=0) / Raw(b"u" * 100), sized(1280)]


@pytest.mark.parametrize("kind", KINDS)
def test_rfc4213_3_2_from_a_tunnel_to_native(x, kind):
    for payload in PAYLOADS + [sized(MTU[kind])]:
        f = arrives(kind, payload)
        assert x.expect(f, REDIRECT, "DECAP") == stripped(f)
        assert x.expect(f + b"leak" * 5, REDIRECT, "DECAP") == stripped(f)  # Ethernet padding
        longer = arrives(kind, payload, trailer=b"behind")  # RFC 4213 3.6: cut off
        assert x.expect(longer, REDIRECT, "DECAP") == stripped(f)


@pytest.mark.parametrize("kind", KINDS)
def test_rfc4213_3_2_from_native_into_a_tunnel(x, kind):
    local, far, addr, how = KINDS[kind]
    for payload in PAYLOADS + [sized(MTU[kind])]:
        f = leaves(kind, payload)
        wrapped(x.expect(f, REDIRECT, "ENCAP", "v6"), IPv6(f[14:]), local, far, **how)
        wrapped(x.expect(f + b"leak" * 5, REDIRECT, "ENCAP", "v6"), IPv6(f[14:]), local, far, **how)
    x.expect(leaves(kind, sized(MTU[kind] + 1)), PASS, "TOO_BIG", "v6")
    x.expect(leaves(kind, hlim=1), PASS, "HOP_LIMIT_OUT", "v6")
    x.expect(leaves(kind)[:-1], DROP, "NATIVE_LENGTH", "v6")


def test_rfc6864_4_3_identification_changes(x):
    f = leaves()
    assert len({wrapped(x.expect(f, REDIRECT, "ENCAP", "v6"), IPv6(f[14:]), LOCAL, FAR) for _ in range(8)}) == 8


@pytest.mark.parametrize("kind", ["6to4", "6rd", "6in4"])
def test_rfc5969_9_traffic_class_is_copied_where_it_is_asked_for(x, kind):
    local, far, _, how = KINDS[kind]
    f = leaves(kind, tc=0xBA)
    wrapped(x.expect(f, REDIRECT, "ENCAP", "v6"), IPv6(f[14:]), local, far, **how, tos=0xBA if kind == "6rd" else 0)


@pytest.mark.parametrize("outer_bits", range(4))
@pytest.mark.parametrize("ecn", range(4))
def test_rfc6040_4_2_congestion_marks(x, outer_bits, ecn):
    f = arrives("6in4", ip=dict(tos=outer_bits), tc=0xA8 | ecn)
    if outer_bits == 3 and ecn == 0:
        x.expect(f, DROP, "ECN_CONGESTED")
        return
    want = 3 if outer_bits == 3 else 1 if (outer_bits, ecn) == (1, 2) else ecn
    assert x.expect(f, REDIRECT, "DECAP") == stripped(f, tc=0xA8 | want)


IN = {
    "to an address of nobody": (lambda: arrives(ip=dict(dst="8.0.2.99")), PASS, "NOT_OURS"),
    "another protocol": (lambda: poke(arrives(), 23, b"\x2f"), PASS, "NOT_OURS"),
    "to the Teredo service": (lambda: arrives(ip=dict(dst=SERVICE)), PASS, "NOT_OURS"),
    "rfc791 header checksum": (lambda: poke(arrives(), 24, b"\x12\x34", False), DROP, "IP4_CHECKSUM"),
    "rfc791 total length beyond the frame": (lambda: arrives()[:-1], DROP, "IP4_LENGTH"),
    "rfc791 options": (lambda: arrives(ip=dict(options=[b"\x01"] * 4)), PASS, "IP4_OPTIONS"),
    "rfc791 first fragment": (lambda: arrives(ip=dict(flags="MF")), PASS, "IP4_FRAGMENT"),
    "rfc791 later fragment": (lambda: arrives(ip=dict(frag=3)), PASS, "IP4_FRAGMENT"),
    "39 bytes": (lambda: outer(bytes(inner(to4(FAR)))[:39]), DROP, "INNER_NOT_IP6"),
    "version 5": (lambda: outer(b"\x50" + bytes(inner(to4(FAR)))[1:]), DROP, "INNER_NOT_IP6"),
    "inner longer than outer": (lambda: outer(bytes(inner(to4(FAR)))[:-1]), DROP, "INNER_LENGTH"),
    "rfc8200 3 hop limit 1": (lambda: arrives(hlim=1), PASS, "HOP_LIMIT_IN"),
    "rfc5095 routing header 0": (lambda: arrives(payload=Raw(b"\x3b\0\0\0\0\0\0\0"), nh=43), DROP, "INNER_ROUTING"),
    "destination options": (lambda: arrives(payload=Raw(b"\x3b\0\x01\x04\0\0\0\0"), nh=60), PASS, "INNER_EXTENSION"),
    "a fragment of data": (lambda: arrives(payload=Raw(b"\x11\0\0\x08\0\0\0\x07data"), nh=44), REDIRECT, "DECAP"),
    "a fragment of ICMPv6": (lambda: arrives(payload=Raw(b"\x3a\0\0\x01\0\0\0\x07\x87"), nh=44), PASS, "INNER_EXTENSION"),
    "rfc3964 4.1.1 neighbour discovery": (lambda: arrives(payload=Raw(b"\x87\0\0\0"), nh=58), DROP, "ND_FORWARD"),
    "the same by 6rd": (lambda: arrives("6rd", payload=Raw(b"\x86\0\0\0"), nh=58), DROP, "ND_FORWARD"),
    "the same by 6in4": (lambda: arrives("6in4", payload=Raw(b"\x89\0\0\0"), nh=58), DROP, "ND_FORWARD"),
    "neighbour discovery to another site": (lambda: arrives("6rd", dst=rd("8.0.9.8"), payload=ICMPv6ND_RA(), hlim=255), DROP, "ND_FORWARD"),
    "congestion, and behind a tunnel": (lambda: arrives(dst=rd(FAR), ip=dict(tos=3)), DROP, "ECN_CONGESTED"),
    "to this host": (lambda: arrives(dst="2a00:1::1"), PASS, "NO_NEXT_HOP_IN"),
    "neighbour unknown": (lambda: arrives(dst="2a00:dead::1"), PASS, "NO_NEXT_HOP_IN"),
    "rfc4213 3.6 to ::1": (lambda: arrives(dst="::1"), DROP, "DST_UNSPECIFIED"),
    "to ff02::1": (lambda: arrives(dst="ff02::1"), DROP, "DST_MULTICAST"),
    "to fe80::1": (lambda: arrives(dst="fe80::1"), DROP, "DST_LINK_LOCAL"),
    "to fd00::1": (lambda: arrives(dst="fd00::1"), DROP, "DST_SITE"),
    # 6to4
    "rfc3964 5.2 another site's": (lambda: arrives(src=to4("8.0.9.8")), DROP, "SRC_MISMATCH"),
    "rfc3964 5.2 native source": (lambda: arrives(src="2a00::1"), DROP, "SRC_NOT_TUNNEL"),
    "rfc3964 5.3.1 from 10/8": (lambda: arrives(src=to4("10.0.0.1"), ip=dict(src="10.0.0.1")), DROP, "OUTER_REFUSED"),
    "rfc6324 3 from us": (lambda: arrives(src=to4(SERVICE), ip=dict(src=SERVICE)), DROP, "OUTER_OURS"),
    "rfc3964 5.2 6to4 to 6to4": (lambda: arrives(dst=to4("8.0.9.8")), DROP, "DST_SIXTO4"),
    "the relay's own address": (lambda: arrives(dst=to4(LOCAL, "::")), PASS, "TUNNEL_LOCAL"),
    "rfc7526 5 anycast is off": (lambda: arrives(ip=dict(dst="192.88.99.1")), PASS, "NOT_OURS"),
    "6to4 to 6rd": (lambda: arrives(dst=rd(FAR)), DROP, "DST_TUNNEL"),
    "6to4 to 6in4": (lambda: arrives(dst="2a00:77::1"), DROP, "DST_TUNNEL"),
    "6to4 to Teredo": (lambda: arrives(dst=address("8.0.1.1", "8.0.9.8", 9)), DROP, "DST_TUNNEL"),
    # 6rd
    "rfc5969 9.2 another site's": (lambda: arrives("6rd", src=rd("8.0.9.8")), DROP, "SRC_MISMATCH"),
    "rfc5969 9.2 outside the domain": (lambda: arrives("6rd", src="2a00:5400::1"), DROP, "SRC_NOT_TUNNEL"),
    "rfc5969 9.2 outer outside the domain": (lambda: arrives("6rd", ip=dict(src="8.16.0.1")), DROP, "OUTER_REFUSED"),
    "rfc5969 12 from another relay": (lambda: arrives("6rd", src=rd("8.0.9.77"), ip=dict(src="8.0.9.77")), DROP, "OUTER_REFUSED"),
    "the border relay's own prefix": (lambda: arrives("6rd", dst=rd(BR, 0)), PASS, "TUNNEL_LOCAL"),
    "into the border relay's prefix": (lambda: arrives("6rd", dst=rd(BR, 5)), DROP, "DST_OWN_TUNNEL"),
    "6rd to the other domain": (lambda: arrives("6rd", dst="2a00:6600:a01:203::9"), DROP, "DST_TUNNEL"),
    "turning to another relay": (lambda: arrives("6rd", dst=rd("8.0.9.77")), DROP, "CLIENT_REFUSED"),
    # 6in4
    "rfc4213 3.6 no such tunnel": (lambda: arrives("6in4", ip=dict(src="8.0.9.99")), DROP, "NO_TUNNEL"),
    "rfc4213 3.6 source of another tunnel": (lambda: arrives("6in4", src="2a00:79::9"), DROP, "SRC_NOT_TUNNEL"),
    "from multicast": (lambda: arrives("6in4, number 0", src="ff0e::1"), DROP, "SRC_MULTICAST"),
    "rfc4213 3.8 between the ends": (lambda: arrives("6in4", src="fe80::1", dst="fe80::" + END), PASS, "TUNNEL_LOCAL"),
    "back into the tunnel": (lambda: arrives("6in4", dst="2a00:78::5"), DROP, "DST_TUNNEL"),
    "6in4 to another tunnel": (lambda: arrives("6in4", dst="2a00:79::5"), DROP, "DST_TUNNEL"),
    "6in4 to 6to4": (lambda: arrives("6in4", dst=to4(FAR)), DROP, "DST_TUNNEL"),
}


@pytest.mark.parametrize("case", IN)
def test_one_defect_in(x, case):
    make, action, reason = IN[case]
    x.expect(make(), action, reason)


OUT = {
    "to nobody": (lambda: leaves(dst="2a00::1"), PASS, "NOT_OURS"),
    "to nobody, and longer than the frame": (lambda: leaves(dst="2a00::1")[:-1], PASS, "NOT_OURS"),
    "version 5": (lambda: bytes(ETH6)[:14] + b"\x50" + leaves()[15:], PASS, "NOT_OURS"),
    "behind the prefixes of 6in4": (lambda: leaves(dst="2a00:78:0:1::1"), PASS, "NOT_OURS"),
    "rfc8200 4.3 hop-by-hop options": (lambda: leaves(payload=Raw(b"\x3b\0\x01\x04\0\0\0\0"), nh=0), PASS, "INNER_EXTENSION"),
    "from ::1": (lambda: leaves(src="::1"), DROP, "SRC_UNSPECIFIED"),
    "from multicast": (lambda: leaves(src="ff0e::1"), DROP, "SRC_MULTICAST"),
    "from link-local": (lambda: leaves(src="fe80::1"), DROP, "SRC_LINK_LOCAL"),
    "from unique local": (lambda: leaves(src="fd00::1"), DROP, "SRC_SITE"),
    "rfc6324 3.3 from own 6to4": (lambda: leaves("6in4", src=to4(SERVICE)), DROP, "SRC_OWN_TUNNEL"),
    "rfc3964 5.1 6to4 to 6to4": (lambda: leaves(src=to4("8.0.9.8")), DROP, "SRC_SIXTO4"),
    "rfc3964 5.3.1 to 10/8": (lambda: leaves(dst=to4("10.0.0.1")), DROP, "CLIENT_REFUSED"),
    "rfc6324 3.3 to us": (lambda: leaves(dst=to4(SERVICE)), DROP, "CLIENT_OURS"),
    "6rd to its own domain": (lambda: leaves("6rd", src=rd("8.0.9.8")), DROP, "SRC_TUNNEL"),
    "rfc5969 12 to another relay": (lambda: leaves("6rd", dst=rd("8.0.9.77")), DROP, "CLIENT_REFUSED"),
    "to the border relay": (lambda: leaves("6rd", dst=rd(BR)), DROP, "CLIENT_OURS"),
    "6in4 to itself": (lambda: leaves("6in4", src="2a00:78::1"), DROP, "SRC_TUNNEL"),
    "6rd to 6to4": (lambda: leaves(src=rd(FAR)), DROP, "SRC_TUNNEL"),
    "6in4 to 6rd": (lambda: leaves("6rd", src="2a00:77::1"), DROP, "SRC_TUNNEL"),
    "6in4 to another tunnel": (lambda: leaves("6in4", src="2a00:79::1"), DROP, "SRC_TUNNEL"),
    "no such neighbour": (lambda: leaves(dst=to4("8.0.2.77")), PASS, "NO_NEXT_HOP_OUT"),
}


@pytest.mark.parametrize("case", OUT)
def test_one_defect_out(x, case):
    make, action, reason = OUT[case]
    x.expect(make(), action, reason, "v6")


@pytest.mark.parametrize("make,nic", [(arrives, "v4"), (leaves, "v6")])
def test_every_truncation_of_a_frame_is_refused(x, make, nic):
    whole = make()
    for n in range(14, len(whole)):
        action, reason, out = x.run(whole[:n], nic)
        assert action != REDIRECT and out == whole[:n], (n, reason)


def test_rfc5969_8_sites_of_a_domain_meet_at_the_relay(x):
    for far in ("8.0.9.8", FAR):  # another site, and the loopback test of the same one
        p = inner(rd(FAR), rd(far, 9), sized(1480), tc=0x02)
        f = outer(p, dst=BR, tos=1)
        p.tc = 1
        wrapped(x.expect(f + b"pad", TX, "BOUNCED"), p, BR, far, flags="DF", tos=1)
    x.expect(arrives("6rd", dst=rd("8.0.9.8"), hlim=1), PASS, "HOP_LIMIT_IN")
    x.expect(arrives("6rd", dst=rd("8.0.9.8"), payload=sized(1481)), PASS, "TOO_BIG")
    x.expect(arrives("6rd", dst=rd("8.0.2.77")), PASS, "NO_NEXT_HOP_OUT")


DISCOVERY = {
    "solicitation": (dict(payload=Raw(b"\x87" + bytes(23))), DROP, "ND_FORWARD"),
    "advertisement": (dict(payload=Raw(b"\x86" + bytes(15))), DROP, "ND_FORWARD"),
    "redirect": (dict(payload=Raw(b"\x89" + bytes(39))), DROP, "ND_FORWARD"),
    "perhaps, in fragments": (dict(payload=Raw(b"\x3a\0\0\x01\0\0\0\x07\x86" + bytes(15)), nh=44), PASS, "INNER_EXTENSION"),
    "no, in fragments": (dict(payload=Raw(b"\x11\0\0\x01\0\0\0\x07" + bytes(16)), nh=44), REDIRECT, "DECAP"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", DISCOVERY)
def test_neighbour_discovery_leaves_no_tunnel(x, case, kind):
    how, action, reason = DISCOVERY[case]
    how = {"nh": 58, **how}
    x.expect(arrives(kind, hlim=255, **how), action, reason)


def test_rfc4213_3_6_any_source_where_it_is_asked_for(x):
    f = arrives("6in4, number 0", src="2a00:abcd::1")
    assert x.expect(f, REDIRECT, "DECAP") == stripped(f)


def test_each_of_them_counts_what_it_carries(x):
    with x.carries(("6in4", 7, 1, 56, 0, 0), ("6in4", 0, 0, 0, 1, 100), ("6to4", 0, 1, 56, 1, 100), ("6rd", 0, 2, 156, 1, 100),
                   ("6rd", 1, 0, 0, 1, 100)):
        x.expect(arrives("6in4"), REDIRECT, "DECAP")
        x.expect(leaves("6in4, number 0", sized(100)), REDIRECT, "ENCAP", "v6")
        x.expect(arrives("6in4", dst="ff02::1"), DROP, "DST_MULTICAST")
        x.expect(arrives(trailer=b"padding"), REDIRECT, "DECAP")
        x.expect(leaves("6to4", sized(100)), REDIRECT, "ENCAP", "v6")
        x.expect(arrives("6rd"), REDIRECT, "DECAP")
        x.expect(arrives("6rd", dst=rd("8.0.9.8"), payload=sized(100)), TX, "BOUNCED")
        x.expect(leaves("6rd, whole IPv4", sized(100)), REDIRECT, "ENCAP", "v6")


def test_tags_come_off_and_the_next_hop_s_go_on(x):
    x.vlan("v6.6", "v6", (Q, 6))
    x.vlan("v4.s", "v4", (AD, 100))
    x.vlan("v4.4", "v4", (AD, 100), (Q, 44))
    f = arrives(dst="2a00:6::2")
    want = stripped(f)
    assert x.expect(tagged(f, (AD, 100), (Q, 44)), REDIRECT, "DECAP") == \
        tagged(bytes.fromhex("020000000602 020000000606") + want[12:], (Q, 6))
    f = leaves(dst=to4("8.44.0.2"))
    out = x.expect(tagged(f, (Q, 6)), REDIRECT, "ENCAP", "v6")
    assert out[:22] == bytes.fromhex("020000004402 020000000444 88a80064 8100002c 0800")
    wrapped(bytes.fromhex("020000000104 020000000004 0800") + out[22:], IPv6(f[14:]), LOCAL, "8.44.0.2")


def test_rfc6343_4_5_return_relay_anycast_and_crossing(x):
    x.load(**{**CONFIG, "sixto4": sixto4(LOCAL, return_only=1, senders=("2a00:f::/64",), mtu=1300)})
    x.expect(arrives(), DROP, "RETURN_ONLY")
    f = leaves(payload=sized(1300))
    wrapped(x.expect(f, REDIRECT, "ENCAP", "v6"), IPv6(f[14:]), LOCAL, FAR)
    x.expect(leaves(src="2a00:e::1"), DROP, "SRC_NOT_HOST", "v6")
    x.load(**{**CONFIG, "sixto4": sixto4(LOCAL, "192.88.99.1", anycast=1), "cross": [(SIXRD, SIXTO4), (SIXTO4, SIXIN4)]})
    f = arrives(ip=dict(dst="192.88.99.1"))
    assert x.expect(f, REDIRECT, "DECAP") == stripped(f)
    f = leaves(src=rd(FAR))  # has crossed over, by the slow path
    wrapped(x.expect(f, REDIRECT, "ENCAP", "v6"), IPv6(f[14:]), "192.88.99.1", FAR)
    x.expect(leaves(src="2a00:77::1"), DROP, "SRC_TUNNEL", "v6")
    x.load(**{**CONFIG, "served": (("2a00:f::", 32),)})
    x.expect(arrives(dst="2a01::1"), DROP, "DST_NOT_SERVED")
    x.expect(leaves(src="2a01::1"), DROP, "SRC_NOT_SERVED", "v6")
    x.load(**CONFIG)


@pytest.mark.parametrize("src", [NATIVE, "fd00::1", to4(FAR)])
def test_without_a_teredo_relay_teredo_addresses_are_as_any_other(x, src):
    x.load(**{**CONFIG, "service": None, "prefixes": CONFIG["prefixes"][:-1]})
    for client in decap.TEREDO, address("8.0.1.1", "10.0.0.1", 40000):
        x.expect(leaves(src=src, dst=client), PASS, "NOT_OURS", "v6")
    f = arrives(dst=decap.TEREDO)
    assert x.expect(f, REDIRECT, "DECAP") == stripped(f)
    x.load(**CONFIG)


def test_the_relay_s_clients_stay_out_of_tunnels(x):
    x.load(**{**CONFIG, "sixin4": ()})  # where there is no configured one, either
    x.add(decap.TEREDO)
    for dst in (to4(FAR), rd(FAR)):
        x.expect(decap.frame(dst=dst), DROP, "DST_TUNNEL")
    x.expect(encap.frame(src=rd(FAR)), DROP, "SRC_TUNNEL", "v6")
    x.load(**CONFIG)
    x.add(decap.TEREDO)
    for dst in (to4(FAR), rd(FAR), "2a00:77::1"):
        x.expect(decap.frame(dst=dst), DROP, "DST_TUNNEL")
        x.expect(encap.frame(src=dst), *((DROP, "SRC_TUNNEL") if dst != to4(FAR) else (REDIRECT, "ENCAP")), "v6")
    x.load(**CONFIG, cross=[(TEREDO, SIXRD), (SIXRD, TEREDO)])
    x.add(decap.TEREDO)
    x.expect(decap.frame(dst=rd(FAR)), REDIRECT, "DECAP")  # to wherever the route leads: here to the gateway
    x.expect(encap.frame(src=rd(FAR)), REDIRECT, "ENCAP", "v6")
    x.expect(decap.frame(dst="2a00:77::1"), DROP, "DST_TUNNEL")


@pytest.mark.parametrize("kind", ["6bed4", "HG48"])
def test_what_is_behind_these_tunnels_goes_into_none_of_udp(x, kind):
    """Unless the operator says so."""
    m, to = {"6bed4": (bed4, SIXBED4), "HG48": (home, HG48)}[kind]
    also = {key: m.CONFIG[key] for key in ("sixbed4", "hg48") if key in m.CONFIG}
    for cross in (), [(SIXRD, to), (SIXIN4, to)]:
        x.load(**{**CONFIG, **also, "prefixes": CONFIG["prefixes"] + m.CONFIG["prefixes"][:1], "cross": cross})
        if kind == "HG48":
            x.add_hg48(m.BOB, m.BPORT)
        x.expect(m.native(), REDIRECT, "ENCAP", "v6")
        for src in (rd(FAR), "2a00:77::1"):
            x.expect(m.native(src=src), *((REDIRECT, "ENCAP") if cross else (DROP, "SRC_TUNNEL")), "v6")
    x.load(**CONFIG)


def test_what_is_off_is_not_there(x):
    x.load(own4=OWN)
    for kind in KINDS:
        x.expect(arrives(kind), PASS, "NOT_OURS")
        x.expect(leaves(kind), PASS, "NOT_OURS", "v6")
    x.load(**CONFIG)

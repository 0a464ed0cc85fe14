# SPDX-License-Identifier: GPL-2.0-or-later
"""From UDP/IPv4 to native IPv6: a frame that is valid by construction, and one defect at a time."""
import struct

import pytest

from teredo import Ether, ICMPv6EchoRequest, IP, IPv6, Raw, TCP, UDP, address, v6
from xdp import DROP, LIFE, MACS, PASS, PORT, REDIRECT, SERVICE

SERVER, CLIENT, SPORT = "8.0.1.1", "8.0.9.9", 40000
TEREDO = address(SERVER, CLIENT, SPORT, 0x24C7)
NATIVE = "2a00:f::7"
OUTER = dict(src=CLIENT, dst=SERVICE, ttl=60)
ETH = Ether(src=MACS["gw4"], dst=MACS["v4"])


def inner(payload=None, **kw):
    fields = dict(src=TEREDO, dst=NATIVE, hlim=57, tc=0)
    fields.update(kw)
    return IPv6(**fields) / (payload if payload is not None else ICMPv6EchoRequest(id=1, seq=2, data=b"abcdefgh"))


def frame(payload=None, ip=None, udp=None, trailer=b"", **kw):
    outer = IP(**{**OUTER, **(ip or {})})
    body = bytes(payload if payload is not None else inner(**kw)) + trailer
    return bytes(ETH / outer / UDP(**{**dict(sport=SPORT, dport=PORT), **(udp or {})}) / Raw(body))


def bubble(dst, src=TEREDO, hlim=0, trailer=b"", **kw):
    return frame(IPv6(src=src, dst=dst, nh=59, plen=0, hlim=hlim), trailer=trailer, **kw)


def forwarded(packet):
    """What leaves: the IPv6 packet with one hop less, to the native gateway."""
    p = IPv6(bytes(packet))
    p.hlim -= 1
    return bytes(Ether(src=MACS["v6"], dst=MACS["gw6"], type=0x86DD)) + bytes(p)


@pytest.fixture(scope="module")
def x(machine):
    machine.load(own4=(SERVICE,), served=())
    machine.where = machine.add(TEREDO)
    return machine


@pytest.fixture(autouse=True)
def fresh(x):
    x.where = x.add(TEREDO)


@pytest.mark.parametrize("payload", [
    ICMPv6EchoRequest(id=1, seq=1, data=b""), ICMPv6EchoRequest(id=1, seq=1, data=b"x" * 1232),
    TCP(sport=80, dport=1024, flags="A") / Raw(b"odd"), UDP(sport=1, dport=2) / Raw(b"u" * 100),
    Raw(b"")], ids=["empty echo", "largest", "odd TCP", "UDP", "no next header"])
def test_rfc4380_5_4_2_proven_client_is_forwarded(x, payload):
    p = inner(payload) if not (isinstance(payload, Raw) and not payload.load) else \
        IPv6(src=TEREDO, dst=NATIVE, hlim=57, nh=50) / Raw(b"esp data")
    assert x.expect(frame(p), REDIRECT, "DECAP") == forwarded(p)


def test_a_fragment_of_a_client_s_is_forwarded(x):
    p = inner(Raw(b"\x11\0\0\x01\0\0\0\x07" + b"u" * 16), nh=44)
    assert x.expect(frame(p), REDIRECT, "DECAP") == forwarded(p)


@pytest.mark.parametrize("trailer", [b"\x01\x04abcd", b"\0" * 18, b"\x41\x02zz"])
def test_rfc6081_4_1_trailers_do_not_leave_the_relay(x, trailer):
    p = inner()
    assert x.expect(frame(p, trailer=trailer), REDIRECT, "DECAP") == forwarded(p)
    padded = frame(p) + b"leak" * 4  # Ethernet padding behind the datagram
    assert x.expect(padded, REDIRECT, "DECAP") == forwarded(p)


def test_rfc4380_5_4_2_reception_is_stamped(x):
    def stamped():
        where = x.add(TEREDO, age=100)
        x.expect(frame(), REDIRECT, "DECAP")
        assert x.stamp_at(where) == x.stamp()
    x.at_once(stamped)


@pytest.mark.parametrize("age,verdict", [(LIFE - 1, (REDIRECT, "DECAP")), (LIFE, (PASS, "UNPROVEN_IN"))])
def test_rfc4380_5_2_4_valid_for_30_s(x, age, verdict):
    def judged():
        x.add(TEREDO, age=age)
        x.expect(frame(), *verdict)
    x.at_once(judged)


@pytest.mark.parametrize("which", (0, 1, 2))
@pytest.mark.parametrize("place", (0, 3))
def test_found_in_each_of_its_buckets(x, which, place):
    other = address(SERVER, "8.0.9.10", 5)
    x.add(other, which=which, place=place)
    x.expect(frame(inner(src=other), ip=dict(src="8.0.9.10"), udp=dict(sport=5)), REDIRECT, "DECAP")


def test_rfc5991_3_1_other_flags_or_server_are_another_client(x):
    for other in (address(SERVER, CLIENT, SPORT, 0x24C6), address("8.0.1.3", CLIENT, SPORT, 0x24C7)):
        x.expect(frame(inner(src=other)), PASS, "UNPROVEN_IN")


def test_rfc6081_5_2_4_remapped_client_only_from_its_own_endpoint(x):
    far = address(SERVER, "8.0.9.20", 7)
    x.add_remapped(far, "8.0.9.20", 999)
    p = inner(src=far)
    assert x.expect(frame(p, ip=dict(src="8.0.9.20"), udp=dict(sport=999)), REDIRECT, "DECAP") == forwarded(p)
    x.expect(frame(p, ip=dict(src="8.0.9.20"), udp=dict(sport=998)), DROP, "SRC_MISMATCH")
    x.add_remapped(far, "8.0.9.20", 999, age=LIFE + 2)
    x.expect(frame(p, ip=dict(src="8.0.9.20"), udp=dict(sport=999)), PASS, "UNPROVEN_IN")


def test_bubbles_and_their_cookies(x):
    x.expect(bubble(x.cookie(TEREDO)), PASS, "BUBBLE")
    x.at_once(lambda: x.expect(bubble(x.cookie(TEREDO, 1), hlim=255, trailer=b"\x01\x04abcd"), PASS, "BUBBLE"))
    x.expect(bubble(x.cookie(TEREDO), udp=dict(sport=1)), PASS, "BUBBLE")  # a symmetric NAT
    x.expect(bubble(x.cookie(TEREDO, 2)), DROP, "BUBBLE_COOKIE")
    x.at_once(lambda: x.expect(bubble(x.cookie(TEREDO, -1)), DROP, "BUBBLE_COOKIE"))
    x.expect(bubble(x.cookie(address(SERVER, CLIENT, SPORT))), DROP, "BUBBLE_COOKIE")
    x.expect(bubble("fe81::" + x.cookie(TEREDO)[6:]), DROP, "BUBBLE_COOKIE")
    x.expect(bubble(x.cookie(TEREDO), src="2a00::1"), DROP, "SRC_NOT_TEREDO")


def cut(f, n):
    return f[:-n]


def poke(f, at, value, fix=True):
    """Overwrites bytes, and makes the IPv4 header checksum right again."""
    f = bytearray(f)
    f[at:at + len(value)] = value
    if fix:
        f[24:26] = b"\0\0"
        s = sum(struct.unpack("!10H", bytes(f[14:34])))
        f[24:26] = struct.pack("!H", ~((s & 0xFFFF) + (s >> 16)) & 0xFFFF)
    return bytes(f)


NEGATIVE = {
    "to another address": (lambda: frame(ip=dict(dst="8.0.2.2")), PASS, "NOT_OURS"),
    "to another port": (lambda: frame(udp=dict(dport=3546)), PASS, "NOT_OURS"),
    "TCP": (lambda: poke(frame(), 23, b"\x06"), PASS, "NOT_OURS"),
    "802.1Q of no VLAN here": (lambda: frame()[:12] + b"\x81\0\0\x05" + frame()[12:], PASS, "NOT_OURS"),
    "802.1Q cut short": (lambda: frame()[:12] + b"\x81\0\0", PASS, "NOT_OURS"),
    "ARP": (lambda: poke(frame(), 12, b"\x08\x06", False), PASS, "NOT_OURS"),
    "multicast MAC": (lambda: b"\x01" + frame()[1:], PASS, "NOT_OURS"),
    "short Ethernet": (lambda: frame()[:14], PASS, "NOT_OURS"),
    "rfc791 header checksum": (lambda: poke(frame(), 24, b"\x12\x34", False), DROP, "IP4_CHECKSUM"),
    "rfc791 total length beyond the frame": (lambda: cut(frame(), 1), DROP, "IP4_LENGTH"),
    "rfc791 total length below the header": (lambda: poke(frame(), 16, b"\0\x13"), DROP, "IP4_LENGTH"),
    "rfc791 options": (lambda: bytes(ETH / IP(**OUTER, options=[b"\x01"] * 4) / UDP(sport=SPORT, dport=PORT) /
                                     Raw(bytes(inner()))), PASS, "IP4_OPTIONS"),
    "rfc791 first fragment": (lambda: frame(ip=dict(flags="MF")), PASS, "IP4_FRAGMENT"),
    "rfc791 later fragment": (lambda: frame(ip=dict(frag=3)), PASS, "IP4_FRAGMENT"),
    "rfc768 length below the header": (lambda: frame(udp=dict(len=7)), DROP, "UDP_LENGTH"),
    "rfc768 length beyond the packet": (lambda: frame(udp=dict(len=1000)), DROP, "UDP_LENGTH"),
    "rfc768 no room for the header": (lambda: bytes(ETH / IP(**OUTER, proto=17) / Raw(b"1234567")), DROP, "UDP_LENGTH"),
    "rfc4380 5.4.2 origin indication": (lambda: frame(Raw(b"\0\0\xf2\x26\xf7\xff\xfd\xfe" + bytes(inner()))), DROP, "INDICATION"),
    "rfc4380 5.4.2 authentication": (lambda: frame(Raw(b"\0\x01\0\0" + b"n" * 9 + bytes(inner()))), DROP, "INDICATION"),
    "rfc4380 5.4.2 short origin indication": (lambda: frame(Raw(b"\0\0\xf2\x26")), DROP, "INDICATION"),
    "rfc4380 5.2.3 empty payload": (lambda: frame(Raw(b"")), DROP, "INNER_NOT_IP6"),
    "rfc4380 5.2.3 39 bytes": (lambda: frame(Raw(bytes(inner())[:39])), DROP, "INNER_NOT_IP6"),
    "rfc4380 5.2.3 version 5": (lambda: frame(Raw(b"\x50" + bytes(inner())[1:])), DROP, "INNER_NOT_IP6"),
    "rfc4380 5.2.3 inner longer than outer": (lambda: frame(Raw(bytes(inner())[:-1])), DROP, "INNER_LENGTH"),
    "rfc4380 5.4.2 native source": (lambda: frame(src="2a00::1"), DROP, "SRC_NOT_TEREDO"),
    "rfc4380 2.6 2001:db8 is not Teredo": (lambda: frame(src="2001:db8::1"), DROP, "SRC_NOT_TEREDO"),
    "rfc4380 5.4.2 other address": (lambda: frame(ip=dict(src="8.0.9.8")), DROP, "SRC_MISMATCH"),
    "rfc4380 5.4.2 other port": (lambda: frame(udp=dict(sport=SPORT + 1)), DROP, "SRC_MISMATCH"),
    "rfc4380 5.4.2 unknown client": (lambda: frame(inner(src=address(SERVER, "8.0.9.8", 9)), ip=dict(src="8.0.9.8"),
                                                   udp=dict(sport=9)), PASS, "UNPROVEN_IN"),
    "rfc5095 routing header 0": (lambda: frame(inner(Raw(b"\x3b\0\0\0\0\0\0\0"), nh=43)), DROP, "INNER_ROUTING"),
    "routing header 4": (lambda: frame(inner(Raw(b"\x3b\0\x04\0\0\0\0\0"), nh=43)), PASS, "INNER_EXTENSION"),
    "hop-by-hop options": (lambda: frame(inner(Raw(b"\x3b\0\x01\x04\0\0\0\0"), nh=0)), PASS, "INNER_EXTENSION"),
    "destination options": (lambda: frame(inner(Raw(b"\x3b\0\x01\x04\0\0\0\0"), nh=60)), PASS, "INNER_EXTENSION"),
    "options behind a fragment header": (lambda: frame(inner(Raw(b"\x3c\0\0\0\0\0\0\0"), nh=44)), PASS, "INNER_EXTENSION"),
    "rfc6040 4.2 congestion on not-ECT": (lambda: frame(ip=dict(tos=3)), DROP, "ECN_CONGESTED"),
    "rfc4213 3.6 to ::": (lambda: frame(dst="::"), DROP, "DST_UNSPECIFIED"),
    "rfc4213 3.6 to ::1": (lambda: frame(dst="::1"), DROP, "DST_UNSPECIFIED"),
    "rfc4213 3.6 to ::ffff:8.0.0.1": (lambda: frame(dst="::ffff:8.0.0.1"), DROP, "DST_UNSPECIFIED"),
    "to ff02::1": (lambda: frame(dst="ff02::1"), DROP, "DST_MULTICAST"),
    "to fe80::1": (lambda: frame(dst="fe80::1"), DROP, "DST_LINK_LOCAL"),
    "to fec0::1": (lambda: frame(dst="fec0::1"), DROP, "DST_SITE"),
    "rfc4193 to fd00::1": (lambda: frame(dst="fd00::1"), DROP, "DST_SITE"),
    "rfc6324 3 to Teredo": (lambda: frame(dst=address(SERVER, "8.0.9.8", 9)), DROP, "DST_TEREDO"),
    "rfc6324 3.3 to own 6to4": (lambda: frame(dst="2002:800:201::1"), DROP, "DST_OWN_TUNNEL"),
    "rfc6324 3.3 to own ISATAP": (lambda: frame(dst="2a00::5efe:8.0.2.1"), DROP, "DST_OWN_TUNNEL"),
    "rfc8200 3 hop limit 1": (lambda: frame(hlim=1), PASS, "HOP_LIMIT_IN"),
    "rfc8200 3 hop limit 0": (lambda: frame(hlim=0), PASS, "HOP_LIMIT_IN"),
    "to this host": (lambda: frame(dst="2a00:1::1"), PASS, "NO_NEXT_HOP_IN"),
    "neighbour unknown": (lambda: frame(dst="2a00:dead::1"), PASS, "NO_NEXT_HOP_IN"),
}


@pytest.mark.parametrize("case", NEGATIVE)
def test_one_defect(x, case):
    make, action, reason = NEGATIVE[case]
    x.expect(make(), action, reason)


@pytest.mark.parametrize("outer", range(4))
@pytest.mark.parametrize("ecn", range(4))
def test_rfc6040_4_2_congestion_marks(x, outer, ecn):
    p = inner(tc=0xA8 | ecn)
    f = frame(p, ip=dict(tos=outer))
    if outer == 3 and ecn == 0:
        x.expect(f, DROP, "ECN_CONGESTED")
        return
    want = 3 if outer == 3 else 1 if (outer, ecn) == (1, 2) else ecn
    assert x.expect(f, REDIRECT, "DECAP") == forwarded(inner(tc=0xA8 | want))


def test_every_truncation_of_a_frame_is_refused(x):
    whole = frame()
    for n in range(14, len(whole)):
        action, reason, out = x.run(whole[:n])
        assert action != REDIRECT and out == whole[:n], (n, reason)


def test_rfc4380_5_4_2_served_prefixes_meters_and_admission(x):
    x.load(served=(("2a00:f::", 32),), own4=(SERVICE,))
    x.add(TEREDO)
    x.expect(frame(), REDIRECT, "DECAP")
    x.expect(frame(dst="2a01::1"), DROP, "DST_NOT_SERVED")
    x.load(meter=1, burst=2)
    stranger = frame(inner(src=address(SERVER, "8.0.9.8", 9)), ip=dict(src="8.0.9.8"), udp=dict(sport=9))
    for f, passed, over in ((stranger, "UNPROVEN_IN", "OVER_IN"), (bubble(x.cookie(TEREDO)), "BUBBLE", "OVER_BUBBLE"),
                            (frame(ip=dict(frag=1)), "IP4_FRAGMENT", "OVER_ODD")):
        x.emptied(f, passed, over, 2)
    x.load(admission_rfc=1)
    x.expect(bubble("fe80::1"), PASS, "UNPROVEN_IN")
    x.load(own4=(SERVICE,))


def test_what_nobody_has_checked_does_not_starve_known_clients(x):
    x.load(meter=1, burst=2)
    x.add(TEREDO)
    for f, passed, over in ((frame(ip=dict(frag=1)), "IP4_FRAGMENT", "OVER_ODD"),
                            (frame(dst="2a00:1::1"), "NO_NEXT_HOP_IN", "OVER_KNOWN")):
        x.expect(f, PASS, passed)
        assert [x.run(f)[:2] for _ in range(8)][-1] == (DROP, over)
        x.expect(f, DROP, over)
    x.load(own4=(SERVICE,))

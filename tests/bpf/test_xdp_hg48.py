# SPDX-License-Identifier: GPL-2.0-or-later
"""HG48 in XDP: endpoints that have answered lately both ways, those that may to the slow path, and no others."""
import pytest

from hg48 import address as inside
from peer import PAYLOADS, Peer, REFUSED, sized, stripped
from teredo import IPv6, Raw, address
from xdp import DROP, HG48, HG48_WINDOW, PASS, REDIRECT, SERVICE, SIXTO4, TEREDO, hg48, sixto4

PREFIX = "fd4a:6b8c:2d10:1::"
LOCAL, PORT = "8.0.2.7", 3546
BOB, BPORT = "11.0.9.9", 40000
LIFE, WINDOW = 100, HG48_WINDOW
CONFIG = dict(own4=(SERVICE, LOCAL), refused=REFUSED, hg48=hg48(PREFIX, LOCAL, PORT, life=LIFE), sixto4=sixto4("8.0.2.2"),
              prefixes=[(PREFIX + "/80", HG48, 0), ("2002::/16", SIXTO4, 0), ("2001::/32", TEREDO, 0)])


def bob(addr=BOB, port=BPORT):
    return inside(PREFIX, addr, port)


PEER = Peer(LOCAL, PORT, BOB, BPORT, bob())
inner, frame, native = PEER.inner, PEER.frame, PEER.native


def outer(out, f, **kw):
    PEER.outer(out, IPv6(f[14:]), **kw)


@pytest.fixture(scope="module")
def loaded(machine):
    return machine.load(**CONFIG)


@pytest.fixture
def x(loaded):
    """Bob has just answered."""
    loaded.bob = loaded.add_hg48(BOB, BPORT, sent=0)
    return loaded


@pytest.mark.parametrize("payload", PAYLOADS)
def test_native_both_ways(x, payload):
    p = inner(payload)
    assert x.expect(frame(p), REDIRECT, "DECAP") == stripped(p)
    assert x.expect(frame(Raw(bytes(p) + b"trailer")) + b"pad" * 6, REDIRECT, "DECAP") == stripped(p)
    f = native(payload)
    outer(x.expect(f, REDIRECT, "ENCAP", "v6"), f)
    outer(x.expect(f + b"pad" * 6, REDIRECT, "ENCAP", "v6"), f)


def test_rfc6040_congestion_marks(x):
    p = inner(tc=0xB2)
    assert x.expect(frame(p, ip=dict(tos=3)), REDIRECT, "DECAP") == stripped(p, tc=0xB3)
    assert x.expect(frame(p, ip=dict(tos=1)), REDIRECT, "DECAP") == stripped(p, tc=0xB1)
    f = native(tc=0xB3)
    outer(x.expect(f, REDIRECT, "ENCAP", "v6"), f)


@pytest.mark.parametrize("place", [1, 15])
def test_an_endpoint_is_found_wherever_it_stands(x, place):
    far = ("11.0.9.7", 5000 + place)
    x.expect(native(dst=bob(*far)), PASS, "UNCONFIRMED_OUT", "v6")
    x.add_hg48(*far, place=place)
    x.expect(native(dst=bob(*far)), REDIRECT, "ENCAP", "v6")
    x.expect(frame(src=bob(*far), ip=dict(src=far[0]), udp=dict(sport=far[1])), REDIRECT, "DECAP")
    x.expect(native(dst=bob(far[0], far[1] + 1)), PASS, "UNCONFIRMED_OUT", "v6")
    x.expect(native(dst=bob("11.0.9.6", far[1])), PASS, "UNCONFIRMED_OUT", "v6")


@pytest.mark.parametrize("heard,sent,reason", [(LIFE + 2, 0, "UNCONFIRMED_IN"), (None, 0, "UNCONFIRMED_IN"), (None, None, "UNSOLICITED"),
                                               (LIFE + 2, WINDOW + 2, "UNSOLICITED"), (None, WINDOW + 2, "UNSOLICITED")])
def test_5_5_who_has_not_answered_lately_is_not_served_here(x, heard, sent, reason):
    """Nor is anything written down."""
    at = x.add_hg48(BOB, BPORT, heard, sent)
    before = x.get("hg48_peers", at)
    x.expect(frame(), PASS if reason == "UNCONFIRMED_IN" else DROP, reason)
    x.expect(native(), PASS, "UNCONFIRMED_OUT", "v6")
    assert x.get("hg48_peers", at) == before


def test_5_6_what_goes_through_is_written_down(x):
    at = x.add_hg48(BOB, BPORT, LIFE // 2, LIFE // 4)
    x.expect(frame(), REDIRECT, "DECAP")
    heard, sent = x.hg48_ages(at)
    assert heard < LIFE // 4 and LIFE // 4 <= sent < LIFE // 2
    at = x.add_hg48(BOB, BPORT, LIFE // 2, None)
    x.expect(native(), REDIRECT, "ENCAP", "v6")
    heard, sent = x.hg48_ages(at)
    assert heard >= LIFE // 2 and sent < LIFE // 4
    at = x.add_hg48(BOB, BPORT, heard=-5, sent=-5)  # another CPU's clock is ahead
    before = x.get("hg48_peers", at)
    x.expect(frame(), REDIRECT, "DECAP")
    x.expect(native(), REDIRECT, "ENCAP", "v6")
    assert x.get("hg48_peers", at) == before


def test_what_is_carried_is_counted(x):
    with x.carries(("HG48", 0, 1, 56, 1, 100)):
        x.expect(frame(Raw(bytes(inner()) + b"trailer")), REDIRECT, "DECAP")
        x.expect(native(sized(100)), REDIRECT, "ENCAP", "v6")
        x.expect(frame(dst="ff02::1"), DROP, "DST_MULTICAST")
        x.expect(native(dst=bob("11.0.9.1")), PASS, "UNCONFIRMED_OUT", "v6")


IN = {
    "to another port": (lambda: frame(udp=dict(dport=PORT + 1)), PASS, "NOT_OURS"),
    "to another address": (lambda: frame(ip=dict(dst="8.0.2.99")), PASS, "NOT_OURS"),
    "rfc791 first fragment": (lambda: frame(ip=dict(flags="MF")), PASS, "IP4_FRAGMENT"),
    "rfc791 options": (lambda: frame(ip=dict(options=[b"\x01"] * 4)), PASS, "IP4_OPTIONS"),
    "rfc791 checksum": (lambda: frame(ip=dict(chksum=7)), DROP, "IP4_CHECKSUM"),
    "rfc768 length below the header": (lambda: frame(udp=dict(len=7)), DROP, "UDP_LENGTH"),
    "rfc768 length beyond the packet": (lambda: frame(udp=dict(len=1000)), DROP, "UDP_LENGTH"),
    "keepalive": (lambda: frame(Raw(b"")), DROP, "KEEPALIVE"),
    "39 bytes": (lambda: frame(Raw(bytes(inner())[:39])), DROP, "INNER_NOT_IP6"),
    "inner longer than outer": (lambda: frame(Raw(bytes(inner())[:-1])), DROP, "INNER_LENGTH"),
    "rfc3964 5.3.1 from 10/8": (lambda: frame(src=bob("10.0.0.1"), ip=dict(src="10.0.0.1")), DROP, "OUTER_REFUSED"),
    "rfc6324 3 from us": (lambda: frame(src=bob(SERVICE), ip=dict(src=SERVICE)), DROP, "OUTER_OURS"),
    "another endpoint's address": (lambda: frame(src=bob("11.0.9.8")), DROP, "SRC_MISMATCH"),
    "from another address": (lambda: frame(ip=dict(src="11.0.9.8")), DROP, "SRC_MISMATCH"),
    "from another port": (lambda: frame(udp=dict(sport=BPORT + 1)), DROP, "SRC_MISMATCH"),
    "from a low port": (lambda: frame(src=bob(port=53), udp=dict(sport=53)), DROP, "ENDPOINT_PORT"),
    "native source": (lambda: frame(src="2a00::1"), DROP, "SRC_NOT_TUNNEL"),
    "the prefix of 81 bits": (lambda: frame(src="fd4a:6b8c:2d10:1:8000:" + bob().split(":", 5)[5]), DROP, "SRC_SITE"),
    "to an endpoint": (lambda: frame(dst=bob("11.0.9.8")), DROP, "DST_TUNNEL"),
    "to Teredo": (lambda: frame(dst=address("8.0.1.1", "8.0.9.8", 9)), DROP, "DST_TUNNEL"),
    "to 6to4": (lambda: frame(dst="2002:800:909::1"), DROP, "DST_TUNNEL"),
    "to ff02::1": (lambda: frame(dst="ff02::1"), DROP, "DST_MULTICAST"),
    "to fe80::9": (lambda: frame(dst="fe80::9"), DROP, "DST_LINK_LOCAL"),
    "to fd00::1": (lambda: frame(dst="fd00::1"), DROP, "DST_SITE"),
    "to ::1": (lambda: frame(dst="::1"), DROP, "DST_UNSPECIFIED"),
    "hop limit 1": (lambda: frame(hlim=1), PASS, "HOP_LIMIT_IN"),
    "rfc6040 4.2 congestion on not-ECT": (lambda: frame(ip=dict(tos=3)), DROP, "ECN_CONGESTED"),
    "neighbour discovery": (lambda: frame(inner(Raw(b"\x86\0\0\0"), nh=58)), DROP, "ND_FORWARD"),
    "rfc5095 routing header 0": (lambda: frame(inner(Raw(b"\x3b\0\0\0\0\0\0\0"), nh=43)), DROP, "INNER_ROUTING"),
    "destination options": (lambda: frame(inner(Raw(b"\x3b\0\x01\x04\0\0\0\0"), nh=60)), PASS, "INNER_EXTENSION"),
}


@pytest.mark.parametrize("case", IN)
def test_one_defect_in(x, case):
    """Nor does it count as an answer, where the slow path would not take it for one."""
    make, action, reason = IN[case]
    at = x.add_hg48(BOB, BPORT, LIFE // 2, LIFE // 2)
    before = x.get("hg48_peers", at)
    x.expect(make(), action, reason)
    assert x.get("hg48_peers", at) == before


@pytest.mark.parametrize("dst", ["2a00:1::1", "2a00:1::77"])
def test_to_this_host_and_to_a_host_without_neighbour(x, dst):
    x.expect(frame(dst=dst), PASS, "NO_NEXT_HOP_IN")


OUT = {
    "from an endpoint": (lambda: native(src=bob("11.0.9.8")), DROP, "SRC_TUNNEL"),
    "from ::1": (lambda: native(src="::1"), DROP, "SRC_UNSPECIFIED"),
    "from multicast": (lambda: native(src="ff0e::1"), DROP, "SRC_MULTICAST"),
    "from unique local": (lambda: native(src="fd00::1"), DROP, "SRC_SITE"),
    "to 10/8": (lambda: native(dst=bob("10.0.0.1")), DROP, "CLIENT_REFUSED"),
    "to us": (lambda: native(dst=bob(SERVICE)), DROP, "CLIENT_OURS"),
    "to the gateway": (lambda: native(dst=bob(LOCAL, PORT)), DROP, "CLIENT_OURS"),
    "to a low port": (lambda: native(dst=bob(port=53)), DROP, "ENDPOINT_PORT"),
    "to the port of Teredo servers": (lambda: native(dst=bob(port=3544)), DROP, "ENDPOINT_PORT"),
    "1281 bytes": (lambda: native(sized(1281)), PASS, "TOO_BIG"),
    "hop limit 1": (lambda: native(hlim=1), PASS, "HOP_LIMIT_OUT"),
    "longer than the frame": (lambda: native()[:-1], DROP, "NATIVE_LENGTH"),
    "ESP": (lambda: native(Raw(b"esp" * 8), nh=50), PASS, "NEEDS_CHECKSUM"),
    "beside the prefix": (lambda: native(dst="fd4a:6b8c:2d10:1:8000:" + bob().split(":", 5)[5]), PASS, "NOT_OURS"),
}


@pytest.mark.parametrize("case", OUT)
def test_one_defect_out(x, case):
    make, action, reason = OUT[case]
    at = x.add_hg48(BOB, BPORT, LIFE // 2, LIFE // 2)
    before = x.get("hg48_peers", at)
    x.expect(make(), action, reason, "v6")
    assert x.get("hg48_peers", at) == before


def test_an_endpoint_without_neighbour(x):
    x.add_hg48("8.0.2.77", 5000)
    x.expect(native(dst=bob("8.0.2.77", 5000)), PASS, "NO_NEXT_HOP_OUT", "v6")


@pytest.mark.parametrize("make,nic", [(frame, "v4"), (native, "v6")])
def test_every_truncation_of_a_frame_is_refused(x, make, nic):
    whole = make()
    for n in range(14, len(whole)):
        action, reason, out = x.run(whole[:n], nic)
        assert action != REDIRECT and out == whole[:n], (n, reason)


def test_settings(x):
    x.load(**{**CONFIG, "checksum_zero": 1, "cross": [(HG48, SIXTO4)]})
    x.add_hg48(BOB, BPORT)
    f = native(Raw(b"esp" * 8), nh=50)
    outer(x.expect(f, REDIRECT, "ENCAP", "v6"), f, chksum=0)
    x.expect(frame(dst="2002:800:909::1"), REDIRECT, "DECAP")
    x.load(**{**CONFIG, "served": (("2a00:f::", 32),)})
    x.add_hg48(BOB, BPORT)
    x.expect(frame(dst="2a01::1"), DROP, "DST_NOT_SERVED")
    x.expect(native(src="2a01::1"), DROP, "SRC_NOT_SERVED", "v6")
    x.load(**{**CONFIG, "hg48": hg48(PREFIX, LOCAL, PORT, life=LIFE, unsolicited=1)})
    x.expect(frame(), PASS, "UNCONFIRMED_IN")
    x.load(**{**CONFIG, "meter": 1, "burst": 2})
    x.expect(frame(), DROP, "UNSOLICITED")
    x.add_hg48(BOB, BPORT, None, 0)
    for make, nic, over in (frame, "v4", "OVER_IN"), (native, "v6", "OVER_OUT"):
        assert ("UNCONFIRMED" + over[4:]) in [x.run(make(), nic)[1] for _ in range(4)]
        x.expect(make(), DROP, over, nic)
    x.load(own4=(SERVICE, LOCAL))
    x.expect(frame(), PASS, "NOT_OURS")
    x.expect(native(), PASS, "NOT_OURS", "v6")
    x.load(**CONFIG)

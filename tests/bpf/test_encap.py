# SPDX-License-Identifier: GPL-2.0-or-later
"""From native IPv6 to UDP/IPv4: a frame that is valid by construction, and one defect at a time."""
import struct

import pytest

from teredo import Ether, ICMPv6EchoRequest, IP, IPv6, Raw, TCP, UDP, address
from xdp import DROP, LIFE, MACS, NAMES, PASS, PORT, REDIRECT, REPROOF, SERVICE, note

SERVER, CLIENT, CPORT = "8.0.1.1", "8.0.9.9", 40000
TEREDO = address(SERVER, CLIENT, CPORT, 0x24C7)
NATIVE = "2a00:f::7"
ETH = Ether(src=MACS["gw6"], dst=MACS["v6"])
ECHO = ICMPv6EchoRequest(id=1, seq=2, data=b"abcdefgh")
REFUSED = (("10.0.0.0", "10.255.255.255"), ("192.168.0.0", "192.168.255.255"))


def packet(payload=ECHO, **kw):
    return IPv6(**{**dict(src=NATIVE, dst=TEREDO, hlim=62), **kw}) / payload


def frame(payload=ECHO, **kw):
    return bytes(ETH / packet(payload, **kw))


@pytest.fixture(scope="module")
def x(machine):
    return machine.load(own4=(SERVICE,), refused=REFUSED)


@pytest.fixture(autouse=True)
def fresh(x):
    x.where = x.add(TEREDO)


def same_but_for_id(out, p, to=CLIENT, port=CPORT, checksum=True):
    """Compares with what scapy builds, checksums and all; the IPv4 ID is taken from the frame."""
    ident = struct.unpack("!H", out[18:20])[0]
    want = IPv6(bytes(p))
    want.hlim -= 1
    outer = IP(src=SERVICE, dst=to, ttl=64, id=ident) / UDP(sport=PORT, dport=port,
                                                          **({} if checksum else dict(chksum=0)))
    assert out == bytes(Ether(src=MACS["v4"], dst=MACS["gw4"]) / outer / Raw(bytes(want)))
    return ident


PAYLOADS = {
    "empty echo": ICMPv6EchoRequest(id=1, seq=1, data=b""), "odd echo": ICMPv6EchoRequest(id=9, data=b"1234567"),
    "largest": ICMPv6EchoRequest(id=1, data=b"\xff" * 1232), "SYN": TCP(sport=80, dport=1024, flags="S"),
    "odd TCP": TCP(sport=80, dport=1024, flags="A") / Raw(b"odd"), "even TCP": TCP(flags="A") / Raw(b"even"),
    "UDP": UDP(sport=1, dport=2) / Raw(b"\xff" * 1200), "odd UDP": UDP(sport=1, dport=2) / Raw(b"\xff" * 1201),
}


@pytest.mark.parametrize("payload", PAYLOADS)
def test_rfc4380_5_4_1_native_packet_is_encapsulated(x, payload):
    p = packet(PAYLOADS[payload])
    same_but_for_id(x.expect(bytes(ETH / p), REDIRECT, "ENCAP", "v6"), p)
    same_but_for_id(x.expect(bytes(ETH / p) + b"pad" * 5, REDIRECT, "ENCAP", "v6"), p)


def test_rfc6864_4_3_identification_changes(x):
    ids = {same_but_for_id(x.expect(frame(), REDIRECT, "ENCAP", "v6"), packet()) for _ in range(8)}
    assert len(ids) == 8


def test_remapped_client_gets_it_where_it_is(x):
    far = address(SERVER, "8.0.9.20", 7)
    x.add_remapped(far, "8.0.9.21", 999)
    p = packet(dst=far)
    same_but_for_id(x.expect(bytes(ETH / p), REDIRECT, "ENCAP", "v6"), p, "8.0.9.21", 999)


@pytest.mark.parametrize("age,sent", [(REPROOF - 1, 0), (REPROOF, 1)])
def test_sending_after_long_silence_is_marked(x, age, sent):
    def marked():
        where = x.add(TEREDO, age=age)
        before = x.stamp_at(where)
        x.expect(frame(), REDIRECT, "ENCAP", "v6")
        assert x.stamp_at(where) == before | sent
    x.at_once(marked)


@pytest.mark.parametrize("age,verdict", [(LIFE - 1, (REDIRECT, "ENCAP")), (LIFE, (PASS, "UNPROVEN_OUT"))])
def test_rfc4380_5_2_4_valid_for_30_s(x, age, verdict):
    def judged():
        x.add(TEREDO, age=age)
        x.expect(frame(), *verdict, "v6")
    x.at_once(judged)


def to(server, client, port, flags=0):
    return lambda: frame(dst=address(server, client, port, flags))


NEGATIVE = {
    "to native": (lambda: frame(dst="2a00::1"), PASS, "NOT_OURS"),
    "rfc4380 2.6 2001:db8 is not Teredo": (lambda: frame(dst="2001:db8::1"), PASS, "NOT_OURS"),
    "version 5": (lambda: ETH.build() + b"\x50" + bytes(packet())[1:], PASS, "NOT_OURS"),
    "rfc8200 3 payload longer than the frame": (lambda: frame()[:-1], DROP, "NATIVE_LENGTH"),
    "rfc4213 3.6 from ::": (lambda: frame(src="::"), DROP, "SRC_UNSPECIFIED"),
    "rfc4213 3.6 from ::1": (lambda: frame(src="::1"), DROP, "SRC_UNSPECIFIED"),
    "rfc4291 2.7 from multicast": (lambda: frame(src="ff0e::1"), DROP, "SRC_MULTICAST"),
    "rfc4291 2.5.6 from link-local": (lambda: frame(src="fe80::1"), DROP, "SRC_LINK_LOCAL"),
    "rfc4193 from fc00::1": (lambda: frame(src="fc00::1"), DROP, "SRC_SITE"),
    "rfc6324 3 from Teredo": (lambda: frame(src=address(SERVER, "8.0.9.8", 9)), DROP, "SRC_TEREDO"),
    "rfc6324 3.3 from own 6to4": (lambda: frame(src="2002:800:201::1"), DROP, "SRC_OWN_TUNNEL"),
    "rfc4380 5.2.4 client in 10/8": (to(SERVER, "10.0.0.1", 9), DROP, "CLIENT_REFUSED"),
    "rfc4380 5.2.4 client at the end of 10/8": (to(SERVER, "10.255.255.255", 9), DROP, "CLIENT_REFUSED"),
    "client just behind 10/8": (to(SERVER, "11.0.0.0", 9), PASS, "UNPROVEN_OUT"),
    "rfc4380 5.2.4 server in 192.168/16": (to("192.168.0.1", CLIENT, 9), DROP, "SERVER_REFUSED"),
    "port 0": (to(SERVER, CLIENT, 0), DROP, "CLIENT_PORT"),
    "the server's own port": (to(SERVER, SERVER, 3544), DROP, "CLIENT_PORT"),
    "another port of the server": (to(SERVER, SERVER, 3545), PASS, "UNPROVEN_OUT"),
    "rfc6324 3.3 client is us": (to(SERVER, SERVICE, 9), DROP, "CLIENT_OURS"),
    "rfc5991 3.2 cone bit changes nothing": (to(SERVER, "8.0.9.7", 9, 0x8000), PASS, "UNPROVEN_OUT"),
    "rfc4380 5.1.2 1281 bytes": (lambda: frame(ICMPv6EchoRequest(data=b"x" * 1233)), PASS, "TOO_BIG"),
    "rfc8200 3 hop limit 1": (lambda: frame(hlim=1), PASS, "HOP_LIMIT_OUT"),
    "UDP without checksum": (lambda: frame(UDP(sport=1, dport=2, chksum=0) / Raw(b"x")), PASS, "NEEDS_CHECKSUM"),
    "fragment header": (lambda: frame(Raw(b"\x3a\0\0\x01\0\0\0\0" + b"x" * 8), nh=44), PASS, "NEEDS_CHECKSUM"),
    "ESP": (lambda: frame(Raw(b"esp" * 8), nh=50), PASS, "NEEDS_CHECKSUM"),
    "bytes behind an inner datagram": (lambda: frame(Raw(bytes(UDP(sport=1, dport=2, len=9, chksum=7) / b"x") + b"yy"), nh=17),
                                       PASS, "NEEDS_CHECKSUM"),
}


@pytest.mark.parametrize("case", NEGATIVE)
def test_one_defect(x, case):
    make, action, reason = NEGATIVE[case]
    x.expect(make(), action, reason, "v6")


def test_every_truncation_of_a_frame_is_refused(x):
    whole = frame()
    for n in range(14, len(whole)):
        action, reason, out = x.run(whole[:n], "v6")
        assert action != REDIRECT and out == whole[:n], (n, reason)


def test_rfc4380_5_4_served_prefixes_zero_checksum_meter_and_no_route(x):
    x.load(served=(("2a00:f::", 32),))
    x.expect(frame(src="2a01::1"), DROP, "SRC_NOT_SERVED", "v6")
    x.load(meter=1, burst=2)
    x.emptied(frame(), "UNPROVEN_OUT", "OVER_OUT", 2, "v6")
    x.load(checksum_zero=1)
    x.add(TEREDO)
    p = packet(Raw(b"esp" * 8), nh=50)
    same_but_for_id(x.expect(bytes(ETH / p), REDIRECT, "ENCAP", "v6"), p, checksum=False)
    on_link = address(SERVER, "8.0.2.77", 9)  # on the service's own network, and no such neighbour
    x.add(on_link)
    x.expect(frame(dst=on_link), PASS, "NO_NEXT_HOP_OUT", "v6")
    x.load(own4=(SERVICE,), refused=REFUSED)


def test_no_headroom_for_the_outer_headers(x):
    """TEST_RUN takes metadata out of the headroom; a driver that leaves none looks the same."""
    try:
        a = x.ask(op="run", frame=(bytes(200) + frame()).hex(), ifindex=x.ifindex["v6"], meta=200)
    except RuntimeError as e:
        pytest.skip("this kernel has no room for so much metadata: %s" % e)
    assert a["verdict"] == DROP and [1, 1 + NAMES.index("NO_ROOM"), 1, len(frame())] in a["counters"]
    note("NO_ROOM")


def test_verifier_and_stack_have_room(x):
    """
    200,000 of the million instructions that the verifier looks at; of 512 bytes of stack 416 for the program and the
    largest of its functions (Linux 6.1 lists those that are off, too).
    """
    processed = int(x.loaded["verifier"].split()[1])
    depths, = [line.split()[2] for line in x.loaded["log"].splitlines() if line.startswith("stack depth")]
    own, *steps = map(int, depths.split("+"))
    stack = own + max(steps)
    assert processed < 200000 and stack <= 416, (processed, stack)

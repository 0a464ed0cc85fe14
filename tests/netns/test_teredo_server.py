# SPDX-License-Identifier: GPL-2.0-or-later
"""Our Teredo server: real miredo clients behind every kind of NAT qualify with it, and our relay punches through it."""
import os
import select
import socket
import struct
import sys
import time

import pytest

from counted import hits
from lab import NATS, ROOT, Lab, Navalis, fresh_native, wait_for
from native import count, counted, fast, native_get

sys.path.insert(0, os.path.join(ROOT, "tests/pkts"))
from sixbed4 import solicitation  # noqa: E402
from teredo import ICMPv6EchoRequest, IPv6, Raw, UDP, address, v4, v6  # noqa: E402

CONF = "[teredo-server]\nprimary = 8.0.1.1\nsecondary = 8.0.1.2\n"


@pytest.fixture(scope="module", params=["off", "native"])
def yard(request):
    def start(lab):
        lab.inet.answerable("to-server")
        lab.ours = Navalis(lab, request.param, extra=CONF, instance="nvs%d" % os.getpid(), ns=lab.server)
    with Lab(NATS, server=start) as lab, lab.ours:
        with Navalis(lab, "off", instance="nvp%d" % os.getpid()) as lab.our_relay:
            yield lab
        hits(lab.ours)
        status = lab.ours.json("status")
        assert status["slow_path"]["balanced"] and all(n["balanced"] for n in status["nics"]), status


@pytest.fixture
def stranger(yard):
    """A socket on the IPv4 Internet."""
    with yard.clients[0].ns.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("8.0.11.1", 0))
        yield s


def get(s, seconds=30.0):
    if not select.select([s], [], [], seconds)[0]:
        raise TimeoutError("the server did not answer")
    return s.recvfrom(65536)


def silent(s):
    return not select.select([s], [], [], 0.3)[0]


def origin(endpoint):
    """RFC 4380 5.1.1."""
    return b"\0\0" + struct.pack("!H", endpoint[1] ^ 0xFFFF) + bytes(b ^ 0xFF for b in v4(endpoint[0]))


@pytest.mark.parametrize("nat", NATS)
def test_a_real_client_qualifies_and_reaches_native_hosts(yard, nat):
    c = next(c for c in yard.clients if c.nat == nat)
    assert c.address.startswith("2001:0:800:101:") or c.address.startswith("2001::800:101:")
    native = fresh_native()
    assert c.ns.ping(native, count=2)[1] == 2
    assert yard.native.ping(c.address, src=fresh_native(), count=2)[1] == 2


def test_what_the_server_did_for_it(yard):
    def done():
        return [count(yard.ours, reason) for reason in ("SOLICITED", "SERVER_RELAYED", "DECAP")]
    assert all(done())
    for reason in ("SOLICITED", "SERVER_RELAYED", "DECAP"):
        assert bool(count(yard.ours, reason, "v4")) == (yard.ours.mode == "native"), reason
    # what is relayed comes and goes

    def agree():
        before = done()
        row = next(r for r in yard.ours.json("tunnels")["mechanisms"] if r["kind"] == "teredo-server")
        return done() == before and (row["in"]["packets"], row["out"]["packets"]) == (before[1] + before[2], before[0] + before[1])
    wait_for("the figures agree", agree)


def test_rfc4380_5_3_2_the_cone_bit_asks_for_an_answer_from_the_other_address(yard, stranger):
    own = stranger.getsockname()
    for cone, to, wanted in ((0, "8.0.1.1", "8.0.1.1"), (1, "8.0.1.1", "8.0.1.2"), (1, "8.0.1.2", "8.0.1.1"), (0, "8.0.1.2", "8.0.1.2")):
        src = "fe80::%s:1:2:3" % ("8000" if cone else "0")
        nonce = os.urandom(8)
        with fast(yard.ours, "SOLICITED", "v4", 1):
            stranger.sendto(b"\0\1\0\0" + nonce + b"\0" + solicitation(src), (to, 3544))
            answer, at = get(stranger)
        assert at == (wanted, 3544)
        assert answer[:13] == b"\0\1\0\0" + nonce + b"\0" and answer[13:21] == origin(own)
        ra = answer[21:]
        assert ra[24:40] == v6(src) and ra[40] == 134 and v6("2001:0:800:101::")[:8] in ra


def test_rfc4380_5_3_1_a_bubble_is_sent_on_with_its_origin(yard, stranger):
    own = stranger.getsockname()
    with yard.clients[0].ns.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("8.0.11.1", 0))
        bubble = bytes(IPv6(src=address("8.0.1.1", *own), dst=address("8.0.1.1", *other.getsockname()), nh=59))
        with fast(yard.ours, "SERVER_RELAYED", "v4", 1):
            stranger.sendto(bubble, ("8.0.1.1", 3544))
            assert get(other) == (origin(own) + bubble, ("8.0.1.1", 3544))


def test_an_echo_service_does_not_send_a_bubble_round_for_ever(yard, stranger):
    """RFC 862: it returns whatever it gets; and what the server sends on has no hop limit that would end."""
    with yard.clients[0].ns.socket(socket.AF_INET, socket.SOCK_DGRAM) as service:
        service.bind(("8.0.11.1", 7))
        with counted(yard.ours, "DST_TEREDO"):
            stranger.sendto(bytes(IPv6(src="2a00::1", dst=address("8.0.1.1", "8.0.11.1", 7), nh=59)), ("8.0.1.1", 3544))
            packet, server = get(service)
            service.sendto(packet, server)
        assert silent(service)


def test_an_echo_to_the_server_itself(yard, stranger):
    own = address("8.0.1.1", *stranger.getsockname())
    link = "fe80::8000:f227:f7ff:fefe"
    stranger.sendto(bytes(IPv6(src=own, dst=link) / ICMPv6EchoRequest(data=b"12345678")), ("8.0.1.1", 3544))
    answer, _ = get(stranger)
    assert answer[8:24] == v6(link) and answer[24:40] == v6(own) and answer[40] == 129


def test_rfc4380_5_3_1_an_echo_to_a_native_host_pays_a_hop_and_may_be_the_last(yard, stranger):
    own, native, cap = address("8.0.1.1", *stranger.getsockname()), fresh_native(), yard.native.capture("to-server")

    def arrives(kind):
        return native_get(cap, lambda p: p[6] == 58 and p[40] == kind and v6(own) in (p[8:24], p[24:40]))
    for size in (0, 80):
        request = bytes(IPv6(src=own, dst=native, hlim=2) / ICMPv6EchoRequest(data=os.urandom(size)))
        with fast(yard.ours, "DECAP", "v4", 1):
            stranger.sendto(request, ("8.0.1.1", 3544))
            assert arrives(128) == request[:7] + b"\x01" + request[8:]
    request = bytes(IPv6(src=own, dst=native, hlim=1) / ICMPv6EchoRequest(data=b"too far"))
    with counted(yard.ours, "HOP_LIMIT_IN"):
        stranger.sendto(request, ("8.0.1.1", 3544))
    error = arrives(3)
    assert error[24:40] == v6(own) and error[48:] == request
    cap.close()


def test_who_is_refused(yard, stranger):
    own = address("8.0.1.1", *stranger.getsockname())
    peer = address("8.0.1.1", "8.0.12.1", 4000)
    echo = IPv6(src=own, dst=peer) / ICMPv6EchoRequest()
    for packet, reason in ((IPv6(src=own, dst=peer) / UDP(), "SERVER_KIND"),
                           (IPv6(src=own, dst=peer) / ICMPv6EchoRequest(data=bytes(81)), "SERVER_SIZE"),
                           (IPv6(src=peer, dst=own) / ICMPv6EchoRequest(), "SRC_MISMATCH"),
                           (IPv6(src="2a00::1", dst="2a00::2") / ICMPv6EchoRequest(), "SERVER_NOT_OURS"),
                           (IPv6(src=own, dst=address("8.0.1.1", "10.0.0.1", 4000)) / ICMPv6EchoRequest(), "CLIENT_REFUSED"),
                           (IPv6(src=own, dst=address("8.0.1.1", "8.0.1.2", 3544)) / ICMPv6EchoRequest(), "CLIENT_OURS"),
                           (IPv6(src=own, dst="2a00:2::1") / ICMPv6EchoRequest(), "DST_LOCAL"),
                           (Raw(b"\0\1\5\0" + bytes(9)), "INDICATION"),
                           (Raw(bytes(echo)[:47]), "INNER_LENGTH")):
        with counted(yard.ours, reason):
            stranger.sendto(bytes(packet), ("8.0.1.1", 3544))
    assert silent(stranger)


def test_an_icmpv4_error_is_of_no_use_to_the_server(yard):
    """Of an answer to who has gone. It is counted, and sends nothing."""
    with yard.clients[0].ns.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP) as s:
        s.bind(("8.0.11.1", 0))
        asked = bytes(UDP(sport=4444, dport=3544, chksum=0) / Raw(solicitation("fe80::1:2:3")))
        with counted(yard.ours, "ICMP4_IGNORED"):
            s.sendto(asked, ("8.0.1.1", 0))


def test_advertisements_are_limited_for_each_address(yard, stranger):
    limited, began, n = count(yard.ours, "LIMIT_CLIENT"), time.monotonic(), 0
    for _ in range(60):
        stranger.sendto(solicitation("fe80::1"), ("8.0.1.1", 3544))

    def all_judged():
        nonlocal n
        while select.select([stranger], [], [], 0)[0]:
            stranger.recv(65536)
            n += 1
        return count(yard.ours, "LIMIT_CLIENT") - limited + n >= 60
    wait_for("all are judged", all_judged)
    buckets = os.cpu_count() if yard.ours.mode == "native" else 1
    assert 15 <= n <= buckets * (21 + 20 * (time.monotonic() - began)) and count(yard.ours, "LIMIT_CLIENT") > limited
    wait_for("clients stay qualified", lambda: all(c.qualified() for c in yard.clients))

# SPDX-License-Identifier: GPL-2.0-or-later
"""A 6bed4 router: peers made by hand, the native kernel on the other side."""
import ipaddress
import os
import struct
import sys
import time

import pytest

from lab import ROOT, Lab, fresh_native, wait_for
from native import UdpPeer, balanced, carries, count, counted, data, fast, native_get, native_send, unreachable

sys.path.insert(0, os.path.join(ROOT, "tests/pkts"))
from proto41 import IPv6, Raw, echo, in_header, v6  # noqa: E402
from sixbed4 import address, address_2012, advertised, solicitation  # noqa: E402

NET, NET_2012 = "2a03:6bed:4::", "2a03:6bed:5::"
CONF = """[6bed4]
service = 8.0.2.1
prefix = %s/64
routes = 2a03:6bed::/32
retract = yes
[6bed4 old]
service = 8.0.2.1
format = 2012
prefix = %s/64
""" % (NET, NET_2012)
FOREVER = 0xFFFFFFFF


class Peer(UdpPeer):
    def __init__(self, ns, own, port, router):
        super().__init__(ns, (own, port), router)
        self.ns, self.own, self.router = ns, (own, port), router
        old = router[1] == 25788
        self.inside = address_2012(NET_2012, self.own) if old else address(NET, self.own)


@pytest.fixture(scope="module")
def yard():
    with Lab((), server=False) as lab:
        for net in (NET, NET_2012):
            lab.native.run("ip -6 route add %s/64 via 2a00:1::1" % net)
        one, two = (lab.public(name, i) for i, name in enumerate(("one", "two"), 1))
        one.sysctl("net.ipv4.icmp_ratelimit=0")  # whose kernel says that a port is shut, each time
        lab.inet.answerable("to-relay")
        router = ("8.0.2.1", 25790)
        lab.one, lab.two = Peer(one, "8.0.11.1", 4000, router), Peer(two, "8.0.12.1", 4002, router)
        lab.old = Peer(one, "8.0.11.1", 4004, ("8.0.2.1", 25788))
        yield lab


@pytest.fixture(scope="module", params=["off", "native"])
def relay(yard, request):
    with balanced(yard, request.param, CONF) as made:
        yield made


@pytest.fixture(params=["draft-04", "2012"])
def peer(request, yard, relay):
    p = yard.old if request.param == "2012" else yard.one
    while not p.silent(0):
        p.get()
    return p


def plain(a):
    return str(ipaddress.IPv6Address(a))


# ---- addresses

def test_a_solicitation_is_answered_with_the_peers_prefix(yard, relay):
    with counted(relay, "SOLICITED"), carries(relay, "6bed4", 0, 0, 1, 40 + 16 + 2 * 32):
        yard.one.send(solicitation())
    own = (address(NET, yard.one.own, 0), 114, 0xC0, FOREVER)
    assert advertised(yard.one.get()) == ("ff02::1", [own, ("2a03:6bed::", 32, 0, FOREVER)])
    yard.one.send(solicitation("fe80::77"))
    assert advertised(yard.one.get())[0] == "fe80::77"


def test_a_peer_of_2012_reads_its_address_from_the_destination(yard, relay):
    with fast(relay, "SOLICITED", "v4", 1):
        yard.old.send(solicitation())
        answer = yard.old.get()
    assert advertised(answer) == (address_2012("fe80::", yard.old.own), [(NET_2012, 64, 0xC0, FOREVER)])


def test_a_bad_solicitation_is_not_answered(yard, relay):
    good = solicitation()
    for bad in (solicitation(hop_limit=254), good[:42] + bytes([good[42] ^ 1]) + good[43:]):
        with counted(relay, "ND_BAD"):
            yard.one.send(bad)
    assert yard.one.silent()


def test_a_peer_that_moved_is_told_its_new_prefix(yard, relay):
    cap = yard.native.capture("to-relay")
    was = ("8.0.11.1", 4444)
    with counted(relay, "SIXBED4_MOVED"):
        yard.one.send(data(address(NET, was), fresh_native()))
    to, options = advertised(yard.one.get())
    assert to == "ff02::1" and options[0] == (address(NET, was, 0), 114, 0xC0, 0)
    assert options[1] == (address(NET, yard.one.own, 0), 114, 0xC0, FOREVER)
    assert not [f for f in cap.frames() if f[14 + 6] == 253]
    cap.close()


def test_advertisements_are_limited_for_each_address(yard, relay):
    limited, began, n = count(relay, "LIMIT_CLIENT"), time.monotonic(), 0
    for _ in range(60):
        yard.two.send(solicitation())

    def all_judged():
        nonlocal n
        while not yard.two.silent(0):
            yard.two.get()
            n += 1
        return count(relay, "LIMIT_CLIENT") - limited + n >= 60
    wait_for("all are judged", all_judged)
    assert 20 <= n <= 21 + 20 * (time.monotonic() - began) and count(relay, "LIMIT_CLIENT") > limited


def test_keepalives_are_eaten(yard, relay):
    with counted(relay, "KEEPALIVE"):
        yard.one.send(b"")
    assert yard.one.silent()


# ---- what goes through

def test_echoes_of_all_sizes_come_back(relay, peer):
    native = fresh_native()
    with fast(relay, "DECAP", "v4", 5), fast(relay, "ENCAP", "v6", 5):
        for size in (48, 49, 600, 1279, 1280):
            request = echo(peer.inside, native, size)
            with carries(relay, "6bed4", 1, size, 1, size):
                peer.send(request)
                reply = peer.get()
            assert in_header(reply)[:2] == (plain(native), plain(peer.inside)) and reply[40] == 129
            assert len(reply) == size and reply[44:] == request[44:]


def test_both_ways_packets_arrive_unchanged_but_for_a_hop(yard, peer):
    native, cap = fresh_native(), yard.native.capture("to-relay")
    for size in (41, 1280):
        packet = bytes(IPv6(src=native, dst=peer.inside, nh=253, hlim=2, tc=0x2e, fl=0x12345) / Raw(bytes(size - 40)))
        native_send(yard, packet)
        assert peer.get() == packet[:7] + b"\x01" + packet[8:]
        packet = packet[:8] + packet[24:40] + packet[8:24] + packet[40:]
        peer.send(packet)
        assert native_get(cap, lambda p: p[6] == 253 and p[8:24] == v6(peer.inside)) == packet[:7] + b"\x01" + packet[8:]
        assert peer.get()[40] == 4  # parameter problem: the native host knows no header 253
    cap.close()


def test_between_two_peers_a_packet_bounces(yard, relay):
    for packet, by_xdp in ((echo(yard.one.inside, yard.two.inside), 1), (data(yard.one.inside, yard.two.inside), 0)):
        size = len(packet)
        with counted(relay, "BOUNCED"), fast(relay, "BOUNCED", "v4", by_xdp), carries(relay, "6bed4", 1, size, 1, size):
            yard.one.send(packet)
        assert yard.two.get() == packet[:7] + bytes([packet[7] - 1]) + packet[8:]


def test_nothing_bounces_back_to_its_sender(yard, relay):
    """An echo service there would send it round until its hops are used up."""
    with counted(relay, "DST_TUNNEL"):
        yard.one.send(data(yard.one.inside, yard.one.inside))
    assert yard.one.silent()


def test_too_big_and_time_exceeded(yard, peer):
    native, cap = fresh_native(), yard.native.capture("to-relay")
    native_send(yard, bytes(IPv6(src=native, dst=peer.inside, nh=253) / Raw(bytes(1241))))
    assert struct.unpack("!I", native_get(cap, lambda p: p[6] == 58 and p[40] == 2)[44:48])[0] == 1280
    native_send(yard, echo(native, peer.inside, hop_limit=1))
    assert native_get(cap, lambda p: p[6] == 58 and p[40] == 3)
    assert peer.silent()
    peer.send(bytes(IPv6(src=peer.inside, dst=native, nh=253) / Raw(bytes(1241))))
    error = peer.get()
    assert error[40] == 2 and struct.unpack("!I", error[44:48])[0] == 1280
    peer.send(echo(peer.inside, native, hop_limit=1))
    assert peer.get()[40] == 3
    cap.close()


# ---- to the router itself

def test_a_neighbour_solicitation_and_an_echo_to_the_router(yard, relay):
    from scapy.layers.inet6 import ICMPv6ND_NS
    p = yard.one
    own = address(NET, ("8.0.2.1", 25790), 0)
    for target in ("fe80::", own):
        p.send(bytes(IPv6(src=p.inside, dst=target, hlim=255) / ICMPv6ND_NS(tgt=target)))
        answer = p.get()
        assert in_header(answer) == ("fe80::", plain(p.inside), 255, 58) and answer[40] == 136 and answer[44] == 0xC0
        assert answer[48:64] == v6(own)
        p.send(echo(p.inside, target))
        assert in_header(p.get())[0] == target
    cap, native = yard.native.capture("to-relay"), fresh_native()
    native_send(yard, echo(native, own))
    assert in_header(native_get(cap, lambda q: q[6] == 58 and q[40] == 129))[:2] == (own, plain(native))
    cap.close()


# ---- who is refused

def test_a_peer_that_is_gone_is_unreachable(yard, relay):
    unreachable(yard, relay, fresh_native(), address(NET, ("8.0.11.1", 4010)))


def test_native_packets_to_what_names_no_good_endpoint(yard, relay):
    for endpoint, reason in ((("8.0.11.1", 1023), "CLIENT_PORT"), (("10.0.0.1", 4000), "CLIENT_REFUSED"),
                             (("8.0.2.1", 4000), "CLIENT_OURS")):
        with counted(relay, reason), fast(relay, reason, "v6", 1):
            native_send(yard, data(fresh_native(), address(NET, endpoint)))
    with counted(relay, "SIXBED4_OPAQUE"), fast(relay, "SIXBED4_OPAQUE", "v6", 1):
        native_send(yard, data(fresh_native(), NET + "0200:1:2:3"))
    with counted(relay, "SIXBED4_SRC_PEER"):
        native_send(yard, data(yard.two.inside, yard.one.inside))
    assert yard.one.silent()


def test_peers_cannot_go_everywhere(yard, relay):
    from scapy.layers.inet6 import ICMPv6ND_RA
    cap = yard.native.capture("to-relay")
    for packet, reason in ((data(yard.one.inside, "2a00:1::1"), "DST_LOCAL"),
                           (data(yard.one.inside, "ff0e::1"), "DST_MULTICAST"),
                           (data(yard.one.inside, "fd00::1"), "DST_SITE"),
                           (data(yard.one.inside, address_2012(NET_2012, yard.old.own)), "DST_TUNNEL"),
                           (data(yard.one.inside, address(NET, ("10.0.0.1", 4000))), "CLIENT_REFUSED"),
                           (bytes(IPv6(src=yard.one.inside, dst=fresh_native(), hlim=255) / ICMPv6ND_RA()), "ND_FORWARD")):
        with counted(relay, reason):
            yard.one.send(packet)
    assert not [f for f in cap.frames() if f[14 + 6] == 253]
    assert yard.one.silent() and yard.old.silent(0)
    cap.close()

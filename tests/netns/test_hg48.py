# SPDX-License-Identifier: GPL-2.0-or-later
"""A gateway of HG48: an endpoint made by hand, the native kernel on the other side. With XDP, and without."""
import contextlib
import ipaddress
import os
import signal
import socket
import struct
import sys

import pytest
from scapy.layers.inet import ICMP

from lab import ROOT, Lab, fresh_native, wait_for
from native import UdpPeer, balanced, carries, counted, data, narrowed, native_get, native_send, unreachable
from pinned import Hg48

sys.path.insert(0, os.path.join(ROOT, "tests/pkts"))
from hg48 import address  # noqa: E402
from proto41 import IP, IPv6, Raw, echo, in_header, v6  # noqa: E402
from teredo import TCP, UDP  # noqa: E402

NET = "fd4a:6b8c:2d10:1::"
CONF = "[hg48]\nservice = 8.0.2.1\nprefix = %s/80\nnew_per_source = 5\n" % NET


def inside(endpoint):
    return address(NET, *endpoint)


class Bob(UdpPeer):
    def __init__(self, ns, own):
        super().__init__(ns, own, ("8.0.2.1", 3546))
        self.own, self.inside = own, inside(own)

    def answers(self, yard):
        """The native side begins; from then on it is confirmed."""
        native = fresh_native()
        native_send(yard, data(native, self.inside))
        assert self.get()[40:] == b"12345678"
        self.exchange(native)
        return native

    def exchange(self, native, size=100):
        """An echo and its answer."""
        request = echo(self.inside, native, size)
        self.send(request)
        reply = self.get()
        assert in_header(reply)[:2] == (str(ipaddress.IPv6Address(native)), self.inside) and len(reply) == size
        assert reply[40] == 129 and reply[44:] == request[44:]


@pytest.fixture(scope="module")
def yard():
    with Lab((), server=False) as lab:
        lab.native.run("ip -6 route add %s/64 via 2a00:1::1" % NET)
        lab.box = lab.public("bob", 1)
        lab.box.sysctl("net.ipv4.icmp_ratelimit=0")  # whose kernel says that a port is shut, each time
        yield lab


@pytest.fixture(scope="module", params=["off", "native"])
def relay(request, yard):
    with balanced(yard, request.param, CONF) as made:
        yield made


@pytest.fixture
def bob(yard, relay):
    """Always another one: what the gateway knows of one lasts."""
    b = Bob(yard.box, ("8.0.11.1", next(ports)))
    yield b
    b.sock.close()


ports = iter(range(4000, 5000))


@contextlib.contextmanager
def forwarded(relay, n):
    """So many packets go each way meanwhile, by XDP where there is XDP, and none by the other path."""
    def now():
        return relay.json("status", "--no-rates")["forwarded"]
    want = now()
    yield
    for way in ("decap", "encap"):
        want["xdp" if relay.mode == "native" else "daemon"][way] += n
    wait_for("forwarded: %s" % want, lambda: now() == want)


def test_three_packets_and_then_unreachable_until_it_answers(yard, relay, bob):
    cap, native = yard.native.capture("to-relay"), fresh_native()
    packet = data(native, bob.inside)
    for _ in range(3):
        native_send(yard, packet)
        assert bob.get() == packet[:7] + bytes([packet[7] - 1]) + packet[8:]
    with counted(relay, "UNCONFIRMED"), counted(relay, "UNREACHABLE_SENT"):
        native_send(yard, packet)
    error = native_get(cap, lambda p: p[6] == 58 and p[40] == 1)
    assert error[41] == 3 and error[48 + 24:48 + 40] == v6(bob.inside) and bob.silent()
    bob.send(echo(bob.inside, native))
    assert bob.get()[40] == 129  # the native kernel's answer
    for _ in range(10):
        native_send(yard, packet)
        assert bob.get()[40:] == packet[40:]
    cap.close()


def test_echoes_of_all_sizes_come_back(yard, relay, bob):
    native = bob.answers(yard)
    sizes = (48, 49, 600, 1279, 1280)
    with forwarded(relay, 5), carries(relay, "hg48", 5, sum(sizes), 5, sum(sizes)):
        for size in sizes:
            bob.exchange(native, size)


def test_both_paths_send_the_same_bytes(yard, relay, bob):
    """The outer headers, too, but for the IPv4 ID and with it their checksum."""
    native = bob.answers(yard)
    v4_side, v6_side = yard.inet.capture("to-relay"), yard.native.capture("to-relay")
    for payload in (TCP(sport=80, dport=1024, flags="A") / Raw(b"odd"), UDP(sport=7, dport=1) / Raw(b"u" * 1232), UDP(chksum=0) / Raw(b"x")):
        p = IPv6(src=native, dst=bob.inside, hlim=9, tc=0xB9, fl=0x54321) / payload
        native_send(yard, bytes(p))
        p.hlim -= 1
        bob.get()
        want = bytes(IP(src="8.0.2.1", dst=bob.own[0], ttl=64) / UDP(sport=3546, dport=bob.own[1]) / Raw(bytes(p)))
        assert want[:4] + want[6:10] + want[12:] in [f[14:18] + f[20:24] + f[26:] for f in v4_side.frames()]
        p = IPv6(src=bob.inside, dst=native, hlim=9, tc=0xB9, fl=0x54321) / payload
        bob.send(bytes(p))
        p.hlim -= 1
        assert native_get(v6_side, lambda got: got[8:24] == v6(bob.inside)) == bytes(p)
        while not bob.silent(0.1):  # what the native kernel says to that
            bob.get()
    v4_side.close()
    v6_side.close()


def test_what_xdp_forwards_keeps_an_endpoint_confirmed(yard, relay, bob):
    native, peers = bob.answers(yard), Hg48(relay.instance)
    for ago in (60, 100):
        peers.age(bob.own, ago)
        assert peers.heard(bob.own) > ago - 1
        with forwarded(relay, 1):
            bob.exchange(native)
        assert peers.heard(bob.own) < 2


def test_who_has_been_silent_for_its_life_is_sent_three_packets_again(yard, relay, bob):
    native, peers = bob.answers(yard), Hg48(relay.instance)
    peers.age(bob.own, 121)
    with counted(relay, "UNSOLICITED"):
        bob.send(echo(bob.inside, native))
    with counted(relay, "UNCONFIRMED", 2):
        for _ in range(5):
            native_send(yard, data(native, bob.inside))
    for _ in range(3):
        bob.get()
    assert bob.silent()
    bob.exchange(native)
    with forwarded(relay, 1):
        bob.exchange(native)


def test_forged_packets_confirm_and_keep_nobody(yard, relay, bob):
    """From another endpoint, and from one that was sent to and has not answered."""
    native, peers = bob.answers(yard), Hg48(relay.instance)
    peers.age(bob.own, 100)
    mallory = Bob(yard.box, ("8.0.11.1", next(ports)))
    with counted(relay, "SRC_MISMATCH"):
        mallory.send(echo(bob.inside, native))
    assert peers.heard(bob.own) > 99
    with counted(relay, "UNSOLICITED"):
        mallory.send(echo(mallory.inside, native))
    mallory.sock.close()


def test_too_big_and_time_exceeded(yard, relay, bob):
    native, cap = fresh_native(), yard.native.capture("to-relay")
    native_send(yard, bytes(IPv6(src=native, dst=bob.inside, nh=253) / Raw(bytes(1241))))
    assert struct.unpack("!I", native_get(cap, lambda p: p[6] == 58 and p[40] == 2)[44:48])[0] == 1280
    native_send(yard, echo(native, bob.inside, hop_limit=1))
    assert native_get(cap, lambda p: p[6] == 58 and p[40] == 3)
    assert bob.silent()
    native = bob.answers(yard)  # and the other way
    request = echo(bob.inside, native, hop_limit=1)
    bob.send(request)
    error = bob.get()
    assert error[40:42] == b"\x03\0" and in_header(error)[1] == bob.inside and error[48:] == request
    with narrowed(yard, native, 1290):
        request = echo(bob.inside, native, 1291)
        bob.send(request)
        error = bob.get()
    assert error[40:42] == b"\x02\0" and error[44:48] == struct.pack("!I", 1290) and error[48:] == request[:1232]
    cap.close()


def test_a_stranger_may_not_begin(yard, relay, bob):
    cap = yard.native.capture("to-relay")
    with counted(relay, "UNSOLICITED"):
        bob.send(data(bob.inside, fresh_native()))
    where = next(r for r in relay.json("drops")["reasons"] if r["reason"] == "UNSOLICITED")["where"]
    assert {k for k, n in where.items() if n} == {"v4" if relay.mode == "native" else "daemon"}
    with counted(relay, "KEEPALIVE"):
        bob.send(b"")
    assert not [f for f in cap.frames() if f[14 + 6] == 253]
    cap.close()


def test_who_has_shut_his_port_is_unreachable(yard, relay, bob):
    native = bob.answers(yard)
    bob.sock.close()
    unreachable(yard, relay, native, bob.inside)


def test_an_icmpv4_error_about_what_was_never_sent_is_believed_by_nobody(yard, relay, bob):
    native = bob.answers(yard)
    stranger = inside(("8.0.11.1", 9999))
    for about, port in ((bob.inside, bob.own[1] + 1), (stranger, 9999)):
        sent = IP(src="8.0.2.1", dst="8.0.11.1") / UDP(sport=3546, dport=port, chksum=0) / Raw(data(native, about))
        with counted(relay, "ICMP4_IGNORED"), yard.box.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as s:
            s.sendto(bytes(ICMP(type=3, code=3) / Raw(bytes(sent))), ("8.0.2.1", 0))
    with forwarded(relay, 1):
        bob.exchange(native)


def test_new_endpoints_of_one_native_prefix_are_limited(yard, relay):
    with counted(relay, "LIMIT_SOURCE", None):
        for port in range(6000, 6020):
            native_send(yard, data("2a00:f:7::1", inside(("8.0.11.9", port))))


def test_who_is_refused(yard, relay, bob):
    native_send(yard, data(fresh_native(), bob.inside))
    bob.get()
    for packet, reason in ((data(inside(("8.0.11.1", 9)), fresh_native()), "SRC_MISMATCH"),
                           (data("2a05::1", fresh_native()), "SRC_NOT_TUNNEL"),
                           (data(bob.inside, inside(("8.0.11.2", 4000))), "DST_TUNNEL"),
                           (data(bob.inside, "2001:0:800:101::1"), "DST_TUNNEL"),
                           (data(bob.inside, "2a00:1::1"), "DST_LOCAL")):
        with counted(relay, reason):
            bob.send(packet)
    for endpoint, reason in ((("8.0.11.1", 1023), "ENDPOINT_PORT"), (("8.0.11.1", 3544), "ENDPOINT_PORT"),
                             (("10.0.0.1", 4000), "CLIENT_REFUSED"), (("8.0.2.1", 4000), "CLIENT_OURS")):
        with counted(relay, reason):
            native_send(yard, data(fresh_native(), inside(endpoint)))
    with counted(relay, "SRC_SITE"):
        native_send(yard, data("fd00::1", bob.inside))
    assert bob.silent()


def row(relay):
    return next(r for r in relay.json("tunnels")["mechanisms"] if r["kind"] == "hg48")


def configure(relay, old, new):
    """As in the file, but for this; returns how it was."""
    with open(relay.conf) as f:
        was = f.read()
    assert old in was
    with open(relay.conf, "w") as f:
        f.write(was.replace(old, new))
    return was


def test_neither_a_restart_nor_a_reload_forgets_an_endpoint_that_answers(yard, relay, bob):
    native = bob.answers(yard)
    confirmed = row(relay)["peers"]["confirmed"]
    assert confirmed and row(relay)["xdp"] == (relay.mode == "native")
    relay.stop(signal.SIGKILL)
    if relay.mode == "native":
        with forwarded(relay, 1):
            bob.exchange(native)
    relay.start()
    with forwarded(relay, 1):
        bob.exchange(native)
    assert row(relay)["peers"]["confirmed"] == confirmed
    was = configure(relay, "[hg48]", "[hg48]\nlife = 60")
    relay.ctl("reload")
    with forwarded(relay, 1):
        bob.exchange(native)
    with open(relay.conf, "w") as f:
        f.write(was)
    relay.ctl("reload")


def test_where_strangers_may_begin_they_do_until_the_table_is_full(yard, relay, bob):
    relay.stop()
    was = configure(relay, "new_per_source = 5\n", "max_peers = 2\nunsolicited = yes\n")
    relay.start()
    for _ in range(2):
        stranger = Bob(yard.box, ("8.0.11.1", next(ports)))
        stranger.exchange(fresh_native())
        stranger.sock.close()
    with counted(relay, "TABLE_FULL"):
        bob.send(echo(bob.inside, fresh_native()))
    assert row(relay)["peers"] == {"confirmed": 2, "unconfirmed": 0, "max": 2}
    relay.stop()
    with open(relay.conf, "w") as f:
        f.write(was)
    relay.start()


def test_another_number_of_endpoints_is_another_table(yard, relay, bob):
    native, path = bob.answers(yard), "/sys/fs/bpf/%s/hg48_peers" % relay.instance
    relay.stop()
    was = configure(relay, "new_per_source = 5\n", "max_peers = 7\n")
    relay.start()
    assert row(relay)["peers"] == {"confirmed": 0, "unconfirmed": 0, "max": 7}
    with counted(relay, "UNSOLICITED"):
        bob.send(echo(bob.inside, native))
    relay.stop()
    with open(relay.conf, "w") as f:
        f.write(was)
    relay.start()
    bob.answers(yard)
    relay.stop()
    assert os.path.exists(path)
    configure(relay, CONF, "")
    relay.start()
    assert not os.path.exists(path)
    relay.stop()
    with open(relay.conf, "w") as f:
        f.write(was)
    relay.start()
    bob.answers(yard)

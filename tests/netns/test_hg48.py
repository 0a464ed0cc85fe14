# SPDX-License-Identifier: GPL-2.0-or-later
"""A gateway of HG48: an endpoint made by hand, the native kernel on the other side."""
import ipaddress
import os
import struct
import sys

import pytest

from counted import hits
from lab import ROOT, Lab, Navalis, fresh_native
from native import UdpPeer, counted, data, native_get, native_send

sys.path.insert(0, os.path.join(ROOT, "tests/pkts"))
from proto41 import IPv6, Raw, echo, in_header, v4, v6  # noqa: E402

NET = "fd4a:6b8c:2d10:1::"
CONF = "[hg48]\nservice = 8.0.2.1\nprefix = %s/80\nnew_per_source = 5\n" % NET


def inside(endpoint):
    """proto41.md 5.2: the last 48 bits are address and port, all of them turned over."""
    return str(ipaddress.IPv6Address(v6(NET)[:10] + bytes(b ^ 0xFF for b in v4(endpoint[0]) + struct.pack("!H", endpoint[1]))))


class Bob(UdpPeer):
    def __init__(self, ns, own):
        super().__init__(ns, own, ("8.0.2.1", 3546))
        self.own, self.inside = own, inside(own)


@pytest.fixture(scope="module")
def yard():
    with Lab((), server=False) as lab:
        lab.native.run("ip -6 route add %s/64 via 2a00:1::1" % NET)
        lab.box = lab.public("bob", 1)
        yield lab


@pytest.fixture(scope="module")
def relay(yard):
    with Navalis(yard, "off", extra=CONF, instance="nvp%d" % os.getpid()) as made:
        yield made
        hits(made)
        slow = made.json("status")["slow_path"]
        assert slow["balanced"], slow


@pytest.fixture
def bob(yard, relay):
    """Always another one: what the gateway knows of one lasts."""
    b = Bob(yard.box, ("8.0.11.1", next(ports)))
    yield b
    b.sock.close()


ports = iter(range(4000, 5000))



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
    native = fresh_native()
    native_send(yard, data(native, bob.inside))
    bob.get()
    for size in (48, 49, 600, 1279, 1280):
        request = echo(bob.inside, native, size)
        bob.send(request)
        reply = bob.get()
        assert in_header(reply)[:2] == (str(ipaddress.IPv6Address(native)), bob.inside) and len(reply) == size
        assert reply[40] == 129 and reply[44:] == request[44:]


def test_too_big_and_time_exceeded(yard, relay, bob):
    native, cap = fresh_native(), yard.native.capture("to-relay")
    native_send(yard, bytes(IPv6(src=native, dst=bob.inside, nh=253) / Raw(bytes(1241))))
    assert struct.unpack("!I", native_get(cap, lambda p: p[6] == 58 and p[40] == 2)[44:48])[0] == 1280
    native_send(yard, echo(native, bob.inside, hop_limit=1))
    assert native_get(cap, lambda p: p[6] == 58 and p[40] == 3)
    assert bob.silent()
    cap.close()


def test_a_stranger_may_not_begin(yard, relay, bob):
    cap = yard.native.capture("to-relay")
    with counted(relay, "UNSOLICITED"):
        bob.send(data(bob.inside, fresh_native()))
    with counted(relay, "KEEPALIVE"):
        bob.send(b"")
    assert not [f for f in cap.frames() if f[14 + 6] == 253]
    cap.close()


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

# SPDX-License-Identifier: GPL-2.0-or-later
"""Anybody can write an ICMPv4 «fragmentation needed»: what it says of a path, no socket of the relay believes."""
import os
import socket
import sys

import pytest
from scapy.layers.inet import ICMP

from lab import ROOT, Lab, Navalis, fresh_native, wait_for
from native import counted, data, native_send

sys.path.insert(0, os.path.join(ROOT, "tests/pkts"))
from proto41 import IP, IPv6, Raw, outer, sixrd  # noqa: E402
from teredo import UDP  # noqa: E402

EDGE, STRANGER = "8.0.12.1", "8.0.11.1"
CONF = """[teredo-server]
primary = 8.0.2.4
[6bed4]
service = 8.0.2.1
prefix = 2a03:6bed:4::/64
[hg48]
service = 8.0.2.1
prefix = fd4a:6b8c:2d10:1::/80
[6to4]
local = 8.0.2.1
[6rd]
prefix = 2a01:db8::/32
border_relay = 8.0.2.2
mtu = 1480
df = yes
[6in4]
local = 8.0.2.3
remote = 8.0.13.1
prefixes = 2a02:5::/48
"""
INSIDE = sixrd("2a01:db8::/32", 0, EDGE)
ENDS = {"teredo": ("8.0.2.1", 3545), "server": ("8.0.2.4", 3544), "server 2": ("8.0.2.5", 3544),
        "6bed4": ("8.0.2.1", 25790), "hg48": ("8.0.2.1", 3546),
        "6to4": ("8.0.2.1", None), "6rd": ("8.0.2.2", None), "6in4": ("8.0.2.3", None)}


@pytest.fixture(scope="module")
def yard():
    with Lab((), server=False) as lab:
        for i in range(2, 6):
            lab.relay.run("ip addr add 8.0.2.%d/24 dev v4" % i)
        lab.native.run("ip -6 route add 2a01:db8::/32 via 2a00:1::1")
        lab.stranger, lab.edge = lab.public("stranger", 1), lab.public("edge", 2)
        yield lab


@pytest.fixture(scope="module", params=["off", "native"])
def relay(yard, request):
    with Navalis(yard, request.param, extra=CONF, instance="nvp%d" % os.getpid()) as made:
        yield made


def unreachables(yard):
    """ICMPv4 destination unreachables that the relay's host has read."""
    head, values = [line.split() for line in yard.relay.run("cat /proc/net/snmp").stdout.splitlines() if line.startswith("Icmp:")]
    return int(values[head.index("InDestUnreachs")])


def forge(yard, end, remote, code=4):
    """A stranger says that a packet from one of our ends to the remote was too long, or what else the code says."""
    addr, port = ENDS[end]
    quote = (bytes(IP(src=addr, dst=remote, ttl=60) / UDP(sport=port, dport=4000) / Raw(bytes(40))) if port else
             outer(addr, remote, data(fresh_native(), INSIDE)))
    error = IP(src=STRANGER, dst=addr) / ICMP(type=3, code=code, nexthopmtu=552) / Raw(quote)
    before = unreachables(yard)
    with yard.stranger.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as s:
        s.sendto(bytes(error), (addr, 0))
    wait_for("the error is read", lambda: unreachables(yard) > before)


@pytest.mark.parametrize("end", ENDS)
def test_the_route_to_the_remote_stays_as_it_is(yard, relay, end):
    remote = "8.0.14.%d" % (1 + 10 * (relay.mode == "off") + list(ENDS).index(end))
    if end == "6in4":
        remote = "8.0.13.1"
    forge(yard, end, remote)
    route = yard.relay.run("ip route get " + remote).stdout
    assert "mtu" not in route, route


def test_a_tunnel_that_does_not_fragment_goes_on(yard, relay):
    wire = yard.edge.socket(socket.AF_INET, socket.SOCK_RAW, 41)
    wire.settimeout(3)
    forge(yard, "6rd", EDGE)
    packet = bytes(IPv6(src=fresh_native(), dst=INSIDE, nh=253) / Raw(bytes(1440)))
    native_send(yard, packet)
    assert wire.recv(2048)[20 + 8:] == packet[8:]
    wire.close()


def test_of_a_client_it_says_nothing_either(yard, relay):
    with counted(relay, "ICMP4_IGNORED"):  # the second one
        forge(yard, "teredo", "8.0.15.1")
        forge(yard, "teredo", "8.0.15.1", code=1)

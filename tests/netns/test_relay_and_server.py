# SPDX-License-Identifier: GPL-2.0-or-later
"""Relay and server in one instance: real clients behind every kind of NAT qualify with it, and are punched to through it."""
import os
import subprocess

import pytest

from counted import hits
from lab import NATS, Lab, Navalis, fresh_native
from native import count

SERVERS = ("8.0.1.1", "8.0.1.2")
CONF = "[teredo-server]\nprimary = %s\nsecondary = %s\n" % SERVERS


@pytest.fixture(scope="module", params=["off", "native"])
def yard(request):
    def start(lab):
        lab.server.run("ip -4 addr flush dev v4")
        for a in SERVERS:
            lab.relay.run("ip addr add %s/32 dev lo" % a)
            lab.inet.run("ip route add %s via 8.0.2.1" % a)
        lab.both = Navalis(lab, request.param, extra=CONF, instance="nvb%d" % os.getpid())
    with Lab(NATS, server=start) as lab, lab.both:
        yield lab
        hits(lab.both)
        status = lab.both.json("status")
        assert status["slow_path"]["balanced"] and all(n["balanced"] for n in status["nics"]), status


@pytest.mark.parametrize("nat", NATS)
def test_a_client_and_a_native_host_reach_each_other(yard, nat):
    c = next(c for c in yard.clients if c.nat == nat)
    assert "2001:0:800:101:" in c.address or "2001::800:101:" in c.address
    bubbles, relayed = (count(yard.both, r) for r in ("BUBBLE_SENT", "SERVER_RELAYED"))
    assert yard.native.ping(c.address, src=fresh_native(), count=3)[1] == 3
    assert c.ns.ping(fresh_native(), count=3)[1] == 3
    # the relay asks by way of its own server
    assert count(yard.both, "BUBBLE_SENT") > bubbles and count(yard.both, "SERVER_RELAYED") > relayed


def test_clients_reach_each_other(yard):
    one, other = (next(c for c in yard.clients if c.nat == n) for n in ("fullcone", "restricted"))
    # what XDP sends back waits at a veth without a program until the next frame that was sent to it otherwise
    wake = yard.relay.popen("ping -q -i 0.1 8.0.2.254", stdout=subprocess.DEVNULL)
    try:
        assert one.ns.ping(other.address, count=3)[1] == 3
    finally:
        wake.kill()
        wake.wait()

# SPDX-License-Identifier: GPL-2.0-or-later
"""The main job, between real peers: Debian's miredo behind every kind of NAT, native hosts, and us."""
import os
import struct
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from counted import hits
from lab import NATS, ROOT, fresh_native, wait_for

SIZES = (0, 1, 7, 8, 64, 512, 1000, 1231, 1232)
TCP = os.path.join(ROOT, "tests/netns/tcp.py")


def client_behind(lab, nat):
    return next(c for c in lab.clients if c.nat == nat)


def count(relay, reason, where=None):
    for r in relay.json("drops")["reasons"]:
        if r["reason"] == reason:
            return r["where"][where] if where else r["packets"]
    return 0


@pytest.mark.parametrize("nat", NATS)
@pytest.mark.parametrize("first", ["native", "client"])
def test_rfc4380_5_4_ping_through_the_hole(lab, relay, nat, first):
    c, native = client_behind(lab, nat), fresh_native()
    ns, dst, src = (lab.native, c.address, native) if first == "native" else (c.ns, native, None)
    for size in SIZES:
        sent, received, out = ns.ping(dst, src=src, count=2, size=size, interval=0.05)
        assert received == sent, "%d bytes: %s" % (size, out)
    # and the other way, through the same hole
    ns, dst, src = (c.ns, native, None) if first == "native" else (lab.native, c.address, native)
    assert ns.ping(dst, src=src, count=2, interval=0.05)[1] == 2


@pytest.mark.parametrize("nat", ["restricted", "symmetric"])
@pytest.mark.parametrize("sender", ["native", "client"])
def test_tcp_50_megabytes_arrive_unchanged(lab, relay, nat, sender):
    c, native = client_behind(lab, nat), fresh_native()
    assert lab.native.ping(c.address, src=native)[1] == 1
    a, b = (lab.native, c.ns) if sender == "native" else (c.ns, lab.native)
    to, bind = (c.address, native) if sender == "native" else (native, c.address)
    listener = b.popen([sys.executable, TCP, "receive", to], stdout=subprocess.PIPE, text=True)
    listener.stdout.readline()
    sent = a.run([sys.executable, TCP, "send", to, bind, str(50 << 20)], timeout=600).stdout
    assert listener.communicate(timeout=60)[0] == sent


def test_proven_clients_take_the_fast_path(lab, relay):
    c, native = client_behind(lab, "restricted"), fresh_native()
    lab.native.ping(c.address, src=native)
    before = count(relay, "DECAP", "v4"), count(relay, "ENCAP", "v6")
    assert lab.native.ping(c.address, src=native, count=100, interval=0.005)[1] == 100
    got = count(relay, "DECAP", "v4") - before[0], count(relay, "ENCAP", "v6") - before[1]
    assert got == ((100, 100) if relay.mode == "native" else (0, 0))


def test_two_clients_at_once(lab, relay):
    native = fresh_native()
    two = [c for c in lab.clients if c.nat == "restricted"]
    with ThreadPoolExecutor() as pool:
        for _, received, _ in pool.map(lambda c: lab.native.ping(c.address, native, count=50, interval=0.01), two):
            assert received == 50


def test_rfc4380_5_1_2_oversize_packet_gets_packet_too_big(lab, relay):
    c, native = client_behind(lab, "restricted"), fresh_native()
    lab.native.ping(c.address, src=native)
    lab.native.run("ip -6 route flush cache")  # what it learnt of path MTUs before
    out = lab.native.run(["ping", "-6", "-M", "do", "-c", "1", "-W", "20", "-s", "1352", "-I", native,
                          c.address], check=False)
    assert "mtu=1280" in (out.stdout + out.stderr).replace(" = ", "=").replace(": ", "=").lower()
    if relay.mode == "native":
        assert count(relay, "TOO_BIG")


def test_rfc8200_3_hop_limit_used_up_gets_time_exceeded(lab, relay):
    c, native = client_behind(lab, "restricted"), fresh_native()
    assert lab.native.ping(c.address, src=native)[1] == 1
    _, received, out = lab.native.ping(c.address, src=native, hop_limit=1)
    assert received == 0 and "Time exceeded" in out


def test_rfc4380_5_4_1_silent_client_gets_four_bubbles_then_unreachable(lab, relay):
    """Bubbles at 0, 2, 4 and 6 s while traffic goes on; then address unreachable, and no more."""
    gone = "2001:0:800:101:%x:1234:f7ff:f4fd" % (0x2000 | int(time.monotonic()) & 0xFF)
    cap, said, began = lab.relay.capture("v4"), [], time.monotonic()
    ping = lab.native.popen(["stdbuf", "-oL", "ping", "-6", "-n", "-i", "0.2", "-I", fresh_native(), gone], stdout=subprocess.PIPE, text=True)
    try:
        while sum("Address unreachable" in line for line in said) < 15:  # for three seconds
            said.append(ping.stdout.readline())
            assert said[-1] and time.monotonic() < began + 120
    finally:
        ping.kill()
        ping.communicate()
    assert time.monotonic() - began > 9
    bubbles = [f for f in cap.frames() if f[36:38] == struct.pack("!H", 3544) and len(f) == 82]
    cap.close()
    assert len(bubbles) == 4 and all(f[42 + 6] == 59 for f in bubbles)


def test_restart_with_an_empty_table_finds_its_clients_again(lab, relay):
    """A client that still trusts us sends data; it is asked through its server, and nothing is lost."""
    c, native = client_behind(lab, "restricted"), fresh_native()
    assert c.ns.ping(native)[1] == 1
    hits(relay)  # what it counted goes with its maps
    relay.stop()
    relay.detach()
    relay.start()
    sent, received, _ = c.ns.ping(native, count=5, interval=0.1)
    assert received == sent
    assert count(relay, "PROVEN") == 1


def test_restart_keeps_proven_clients(lab, relay):
    c, native = client_behind(lab, "restricted"), fresh_native()
    assert lab.native.ping(c.address, src=native)[1] == 1
    relay.stop()
    relay.start()
    cap = lab.relay.capture("v4")
    assert lab.native.ping(c.address, src=native, count=3)[1] == 3
    assert not [f for f in cap.frames() if f[36:38] == struct.pack("!H", 3544)], "punched again"
    cap.close()


def test_rfc4380_5_2_4_client_expires_after_30_s_and_returns(lab, relay):
    c, native = client_behind(lab, "none"), fresh_native()
    assert lab.native.ping(c.address, src=native)[1] == 1

    def known():
        return [x for x in relay.json("clients")["clients"] if x["address"] == c.address]
    assert known()
    wait_for("the client is forgotten", lambda: not known(), 120)
    wait_for("it has expired", lambda: count(relay, "EXPIRED"))
    assert lab.native.ping(c.address, src=fresh_native())[1] == 1


def test_rfc4380_5_2_4_refused_destinations_are_dropped_by_name(lab, relay):
    for address, reason in (("2001:0:800:101:0:63bf:f5ff:fffe", "CLIENT_REFUSED"),
                            ("2001:0:a00:1:0:63bf:f7ff:f4fe", "SERVER_REFUSED"),
                            ("2001:0:800:101:0:ffff:f7ff:f4fe", "CLIENT_PORT"),
                            ("2001:0:800:101:0:f226:f7ff:fdfe", "CLIENT_OURS")):
        before = count(relay, reason)
        lab.native.ping(address, src=fresh_native(), wait=0.1)
        wait_for(reason, lambda: count(relay, reason) > before)
        assert count(relay, reason) == before + 1, reason

# SPDX-License-Identifier: GPL-2.0-or-later
"""Clients and relays that are not as all others: a relay behind a NAT, a /64 for bubbles, admission = rfc, one-way traffic."""
import ipaddress
import json
import os
import socket
import struct
import time

import pytest

from counted import ONE_WAY_S, hits
from lab import NATS, SERVICE, Lab, Navalis, fresh_native, wait_for
from test_console_client import Console, IPv6, Raw, UDP



def counts(drops):
    return {r["reason"]: r["packets"] for r in drops["reasons"]}


def bubbles(frames, src=None):
    """(IPv4 destination, port, inner source) of each bubble that left."""
    out = []
    for f in frames:
        if f[12:14] == b"\x08\x00" and f[23] == 17 and len(f) == 82 and f[48] == 59 and (not src or f[26:30] == socket.inet_aton(src)):
            out.append((socket.inet_ntoa(f[30:34]), struct.unpack("!H", f[36:38])[0], ipaddress.IPv6Address(f[50:66])))
    return out


# ---- 5.4.1: the relay itself behind a NAT


@pytest.fixture(scope="module", params=["off", "native"])
def behind_nat(request):
    with Lab(("none", "restricted", "fullcone"), relay_nat="restricted") as lab:
        yield lab, request.param


def test_rfc4380_5_4_1_relay_behind_a_nat(behind_nat):
    lab, mode = behind_nat
    with Navalis(lab, mode, extra="behind_nat = yes\n", instance="nvc%d" % os.getpid()) as relay:
        for c in lab.clients:
            capture, native = lab.relay.capture("v4"), fresh_native()
            assert lab.native.ping(c.address, src=native)[1] == 1, c.nat  # alone: one packet is kept
            assert lab.native.ping(c.address, src=native, count=3, interval=0.05)[1] == 3, c.nat
            sent = bubbles(capture.frames(), "10.9.0.2")
            capture.close()
            # the direct one first: an answer to the other would find our NAT shut, and keep it so
            assert sent[0][1] != 3544 and sent[1][:2] == ("8.0.1.1", 3544), sent
            there = fresh_native()
            assert c.ns.ping(there)[1] == 1 and c.ns.ping(there, count=3, interval=0.05)[1] == 3, c.nat
        assert mode == "off" or relay.json("status")["forwarded"]["xdp"]["encap"] > 3
        hits(relay)


def test_rfc4380_5_4_1_without_direct_bubbles_the_nat_stays_shut(behind_nat):
    """What behind_nat = yes is for."""
    lab, mode = behind_nat
    with Navalis(lab, mode, instance="nvc%d" % os.getpid(), start=False) as relay:
        with open(relay.conf) as f:
            text = f.read().replace(":3545", ":3600")  # a port that the NAT has never seen
        c = next(c for c in lab.clients if c.nat == "restricted")
        for extra, received in (("", 0), ("behind_nat = yes\n", 1)):
            with open(relay.conf, "w") as f:
                f.write(text + extra)
            relay.start()
            assert lab.native.ping(c.address, src=fresh_native(), wait=20 if received else 1)[1] == received
            relay.stop()
            relay.detach()


# ---- the source of bubbles


@pytest.mark.parametrize("nat", NATS)
def test_rfc4380_5_4_1_bubbles_from_a_prefix_of_ours(lab, nat):
    with Navalis(lab, "native", extra="bubble_source = 2a00:b:b:b::/64\n", instance="nvc%d" % os.getpid()) as relay:
        c = next(c for c in lab.clients if c.nat == nat)
        capture, native = lab.relay.capture("v4"), fresh_native()
        assert lab.native.ping(c.address, src=native, count=3)[1] == 3
        sent = bubbles(capture.frames(), SERVICE[0])
        capture.close()
        assert sent and all(b[2] in ipaddress.IPv6Network("2a00:b:b:b::/64") for b in sent)
        assert relay.json("status")["forwarded"]["xdp"]["decap"] >= 2
        hits(relay)


# ---- admission = rfc


@pytest.fixture(params=["off", "native"])
def trusting(request, lab):
    with Navalis(lab, request.param, extra="admission = rfc\n", instance="nvc%d" % os.getpid()) as relay:
        yield relay
        hits(relay)
        status = relay.json("status")
        assert all(n["balanced"] for n in status["nics"]) and status["slow_path"]["balanced"], status


def test_rfc4380_5_4_2_admission_rfc_with_miredo(lab, trusting):
    for c in lab.clients:
        native = fresh_native()
        assert lab.native.ping(c.address, src=native, count=3)[1] == 3, c.nat
        assert c.ns.ping(fresh_native(), count=3)[1] == 3, c.nat
    wait_for("all have proven themselves", lambda: trusting.json("status", "--no-rates")["weak"] == 0)


def test_rfc4380_5_4_2_admission_rfc_serves_who_never_answers_a_bubble(lab, trusting):
    """It sends data at once: forwarded by the daemon, never by XDP, and never in the table."""
    c, native = next(c for c in lab.clients if c.nat == "none"), fresh_native()
    console = Console(c.ns, 0x1234, b"", port=3075).qualify()
    with lab.native.entered():
        host = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        host.bind((native, 9))
    with host, console.sock:
        host.settimeout(30)
        before = counts(trusting.json("drops"))
        for _ in range(3):
            packet = IPv6(src=console.address, dst=native, hlim=128) / UDP(sport=3075, dport=9) / Raw(b"unproven")
            console.sock.sendto(bytes(packet), SERVICE)
            data, source = host.recvfrom(100)
            assert data == b"unproven"
            host.sendto(b"answer", source)
        status = trusting.json("status", "--no-rates")
        assert console.address not in [x["address"] for x in trusting.json("clients")["clients"]]
        wait_for("the gauge", lambda: trusting.json("status", "--no-rates")["weak"] == 1)
        wait_for("the last answer", lambda: counts(trusting.json("drops"))["ENCAP"] - before.get("ENCAP", 0) >= 3)
        after = counts(trusting.json("drops"))
        assert after["DECAP"] - before.get("DECAP", 0) == 3 and after["ENCAP"] - before.get("ENCAP", 0) == 3
        assert status["forwarded"]["xdp"] == {"decap": 0, "encap": 0}
        # a bubble that answers nothing is consumed, and no drop
        console.sock.sendto(bytes(IPv6(src=console.address, dst="fe80::1", nh=59, plen=0)), SERVICE)
        wait_for("the bubble", lambda: counts(trusting.json("drops")).get("WEAK"))


# ---- one-way traffic


def test_ten_minutes_of_one_way_traffic_never_pause(one_way):
    """The client never says a word but bubbles; 100 packets a second, behind a restricted and a symmetric NAT."""
    lab, relay, pairs, began, drops_at_end = one_way
    for (sender, receiver), c in zip(pairs, lab.clients):
        sent = json.loads(sender.communicate(timeout=max(30, began + ONE_WAY_S + 600 - time.monotonic()))[0])["sent"]
        result = json.loads(receiver.communicate(timeout=60)[0])
        print("\nbehind %s NAT: %d sent in %d s: %s" % (c.nat, sent, ONE_WAY_S, result))
        assert result["first"] == 0 and result["last"] == sent - 1 and result["lost"] == 0, result
    n = counts(drops_at_end())
    assert n["REPROOF"] >= 2 * (ONE_WAY_S // 30) and "EXPIRED" not in n and "UNPROVED" not in n
    fast = relay.json("status", "--no-rates")["forwarded"]
    assert fast["xdp"]["encap"] > 0.99 * 2 * ONE_WAY_S * 100
    hits(relay)

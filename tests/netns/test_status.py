# SPDX-License-Identifier: GPL-2.0-or-later
"""status and tunnels name every mechanism that is configured, with what has gone through it."""
import os
import re
import socket

import pytest

from counted import hits
from lab import Lab, Navalis, fresh_native, wait_for
from native import native_get, native_send
from test_ctl import keys_of, words_of_the_man_page
from test_proto41 import BR, CONF, DOMAIN, END, LOCAL, RELAY, IPv6, Peer, Raw

ALL = CONF + """[6in4 empty]
local = 8.0.2.3
remote = 8.0.13.2
prefixes = 2a02:8::/48
[teredo-server]
primary = 8.0.2.4
secondary = 8.0.2.5
[6bed4 new]
service = 8.0.2.6:25790
prefix = 2a02:64:0:1::/64
[hg48]
service = 8.0.2.7:3546
prefix = fd4a:6b8c:2d10:1::/80
"""


@pytest.fixture(scope="module")
def yard():
    with Lab((), server=False) as lab:
        for last in (2, 3, 4, 5, 6, 7):
            lab.relay.run("ip addr add 8.0.2.%d/24 dev v4" % last)
        lab.native.run("ip -6 route add 2a02:5::/48 via 2a00:1::1")
        lab.peer = Peer(lab.public("end", 3), END, LOCAL, "2a02:5::9", 1480)
        yield lab


@pytest.fixture(params=["off", "native"])
def relay(request, yard):
    with Navalis(yard, request.param, extra=ALL, instance="nvs%d" % os.getpid()) as made:
        yield made
        hits(made)


def rows(relay, verb="tunnels"):
    return {(r["kind"], r["name"]): r for r in relay.json(verb)["mechanisms"]}


def carried(row):
    return [(row[way]["packets"], row[way]["bytes"]) for way in ("in", "out")]


def test_every_mechanism_has_its_line(yard, relay):
    fast = relay.mode != "off"
    by = "by XDP" if fast else "by the daemon alone"
    got = rows(relay)
    assert list(got) == [("teredo-server", ""), ("6bed4", "new"), ("6to4", ""), ("6rd", "home"), ("6in4", "branch"), ("6in4", "empty"),
                         ("hg48", "")]
    assert len({tuple(r) for r in got.values()}) == 1, "other keys in some"
    assert {k: r["local"] for k, r in got.items()} == {
        ("teredo-server", ""): ["8.0.2.4", "8.0.2.5"], ("6bed4", "new"): ["8.0.2.6:25790"], ("6to4", ""): [RELAY], ("6rd", "home"): [BR],
        ("6in4", "branch"): [LOCAL], ("6in4", "empty"): [LOCAL], ("hg48", ""): ["8.0.2.7:3546"]}
    assert [r["prefixes"] for r in got.values()] == [
        [], ["2a02:64:0:1::/64"], ["2002::/16"], [DOMAIN], ["2a02:5::/48", "2a02:7::/64"], ["2a02:8::/48"], ["fd4a:6b8c:2d10:1::/80"]]
    assert [r["mtu"] for r in got.values()] == [None, 1280, 1280, 1400, 1480, 1280, 1280]
    assert [r["xdp"] for r in got.values()] == [fast] * 7 and not any(r["missing"] for r in got.values())
    assert got["6in4", "branch"]["remote"] == END and got["hg48", ""]["peers"] == {"confirmed": 0, "unconfirmed": 0, "max": 16384}
    lines = relay.ctl("status", "--no-rates").stdout.splitlines()
    at = next(i for i, l in enumerate(lines) if l.startswith("service ")) + 1
    assert all("; 0 packets in, 0 out" in l for l in lines[at:at + 6])
    assert [l.replace("; 0 packets in, 0 out", "") for l in lines[at:at + 6]] == [
        "server    8.0.2.4 8.0.2.5, " + by,
        "6bed4     new: 2a02:64:0:1::/64 at 8.0.2.6:25790, " + by,
        "6to4      2002::/16 at 8.0.2.1, " + by,
        "6rd       home: %s at 8.0.2.2, %s" % (DOMAIN, by),
        "6in4      2 configured, at 8.0.2.3, " + by,
        "hg48      fd4a:6b8c:2d10:1::/80 at 8.0.2.7:3546, %s; 0 endpoints confirmed, 0 not, at most 16384" % by]
    assert {"clients", "pending"} <= {l.split()[0] for l in lines}
    table = relay.ctl("tunnels").stdout.splitlines()
    assert len(table) == 8 and re.fullmatch(
        r"branch +6in4 +8.0.2.3 +8.0.13.1 +1480 +0 +0 +0 +0  2a02:5::/48 2a02:7::/64", table[5])


def carries(relay, figures, name="branch"):
    """A packet arrives a moment before the daemon has counted it."""
    wait_for("figures %s" % figures, lambda: carried(rows(relay)["6in4", name]) == figures)


def exchange(yard, sizes=(100, 200)):
    """A packet of each size each way through the first tunnel of 6in4; returns the bytes."""
    p, native, cap = yard.peer, fresh_native(), yard.native.capture("to-relay")
    p.forget()
    for size in sizes:
        def packet(src, dst):  # next header 59, which no kernel answers
            return bytes(IPv6(src=src, dst=dst, nh=59) / Raw(bytes(size - 40)))
        p.send(packet(p.inside, native))
        assert native_get(cap, lambda got: got[6] == 59 and len(got) == size)
        native_send(yard, packet(native, p.inside))
        assert len(next(i for i in p.packets() if i[6] == 59)) == size
    cap.close()
    return len(sizes), sum(sizes)


def test_a_tunnel_of_6in4_counts_what_it_carries(yard, relay):
    n = exchange(yard)
    carries(relay, [n, n])
    assert carried(rows(relay)["6in4", "empty"]) == [(0, 0), (0, 0)]
    stats = relay.json("stats")["counters"]
    assert [stats["6in4.branch_%s_%s" % (way, unit)] for way in ("in", "out") for unit in ("packets", "bytes")] == 2 * list(n)
    assert stats["6in4.empty_in_packets"] == stats["hg48_out_bytes"] == stats["teredo-server_in_packets"] == 0
    assert "6in4.branch_in_bytes %d\n" % n[1] in relay.ctl("stats").stdout
    quiet = relay.json("stats", "--interval", "0.1")
    assert quiet["counters"]["6in4.branch_in_packets"] == 0 == quiet["rates"]["6in4.branch_in_packets"]
    assert carried(rows(relay, "status")["6in4", ""]) == [n, n] and rows(relay, "status")["6in4", ""]["tunnels"] == 2
    assert "; 2 packets in, 2 out" in relay.ctl("status", "--no-rates").stdout
    if relay.mode == "native":  # the first of each waits for its next hop
        assert sum(relay.json("status")["forwarded"]["xdp"].values()) >= 2
    # a reload that changes nothing of them counts on
    relay.ctl("reload")
    n = tuple(2 * x for x in exchange(yard))
    carries(relay, [n, n])
    # one that changes them begins at 0, and reaches the new ones
    with open(relay.conf, "a") as f:
        f.write("[6in4 third]\nlocal = 8.0.2.3\nremote = 8.0.13.3\nprefixes = 2a02:9::/48\n")
    relay.ctl("reload")
    assert carried(rows(relay)["6in4", "branch"]) == [(0, 0), (0, 0)]
    n = exchange(yard)
    carries(relay, [n, n])
    assert ("6in4", "third") in rows(relay)


def test_endpoints_of_hg48_are_counted_by_what_they_have_proven(yard, relay):
    native = fresh_native()
    there = ["fd4a:6b8c:2d10:1::f7ff:%04x:%04x" % (0xf2fe, port ^ 0xffff) for port in (5001, 5002)]  # 8.0.13.1
    with yard.peer.ns.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind((END, 5001))
        s.settimeout(30)
        for address in there:
            native_send(yard, bytes(IPv6(src=native, dst=address, nh=59)))
        assert len(s.recv(2000)) == 40
        wait_for("both are known", lambda: rows(relay)["hg48", ""]["peers"] == {"confirmed": 0, "unconfirmed": 2, "max": 16384})
        s.sendto(bytes(IPv6(src=there[0], dst=native, nh=59)), ("8.0.2.7", 3546))
        wait_for("one has answered", lambda: rows(relay)["hg48", ""]["peers"] == {"confirmed": 1, "unconfirmed": 1, "max": 16384})
    assert "; 1 endpoints confirmed, 1 not, at most 16384\n" in relay.ctl("status", "--no-rates").stdout


def test_an_address_that_is_not_here(yard, relay):
    yard.relay.run("ip addr del 8.0.2.2/24 dev v4")
    try:
        wait_for("it is missed", lambda: rows(relay)["6rd", "home"]["missing"] == [BR])
        assert [k for k, r in rows(relay).items() if r["missing"]] == [("6rd", "home")]
        assert "; NOT on this host: 8.0.2.2 (ip address add)\n" in relay.ctl("status", "--no-rates").stdout
        assert "; NOT on this host: 8.0.2.2\n" in relay.ctl("tunnels").stdout
    finally:
        yard.relay.run("ip addr add 8.0.2.2/24 dev v4")


def test_every_json_key_is_in_the_man_page(relay):
    keys = keys_of([relay.json("tunnels"), relay.json("status")])
    assert {"mechanisms", "unconfirmed", "bytes"} <= keys and keys - words_of_the_man_page() == set()


def test_without_a_daemon_status_says_what_it_cannot_know(yard, relay):
    relay.stop(9)
    assert "which there are besides, only the daemon knows" in relay.ctl("status", "--no-rates", check=False).stdout
    assert relay.json("status", "--no-rates")["mechanisms"] is None
    assert relay.ctl("tunnels", check=False).returncode == 3


def test_a_host_without_a_teredo_relay(yard):
    with Navalis(yard, "off", extra=CONF, instance="nvs%d" % os.getpid(), ns=yard.relay) as relay:
        lines = relay.ctl("status", "--no-rates").stdout.splitlines()
        assert relay.json("status")["service"] is None and lines[1].startswith("6to4 ") and not any(l.startswith("service ") for l in lines)


def test_as_many_tunnels_as_there_may_be(yard):
    """XDP finds the last of them, and nothing is counted for another."""
    extra = "".join("[6in4 t%d]\nlocal = 8.0.2.3\nremote = 8.0.%d.%d\nprefixes = 2a02:a:%x::/48 2a02:b:%x::/48 2a02:c:%x::/48 2a02:d:%x::/48\n" %
                    (i, 20 + i // 128, 1 + i % 128, i, i, i, i) for i in range(511))
    extra += "[6in4 last]\nlocal = 8.0.2.3\nremote = %s\nprefixes = 2a02:5::/48\n" % END
    with Navalis(yard, "native", extra=extra, instance="nvs%d" % os.getpid()) as relay:
        n = exchange(yard)
        carries(relay, [n, n], "last")
        got = rows(relay)
        assert len(got) == 512 and {k: carried(r) for k, r in got.items() if any(map(any, carried(r)))} == {("6in4", "last"): [n, n]}
        assert carried(rows(relay, "status")["6in4", ""]) == [n, n] and sum(relay.json("status")["forwarded"]["xdp"].values()) >= 2


def test_a_reload_that_cannot_attach_leaves_the_tunnels_as_they_are(yard):
    yard.relay.run("ip link add bare type bridge")  # has no native XDP
    try:
        with Navalis(yard, "native", extra=CONF, instance="nvs%d" % os.getpid()) as relay:
            exchange(yard)
            with open(relay.conf) as f:
                good = f.read()
            with open(relay.conf, "w") as f:
                f.write(good.replace("\nmode", " bare\nmode").replace("2a02:5::/48", "2a02:6::/48"))
            refused = relay.ctl("reload", check=False)
            assert refused.returncode == 1 and "bare" in refused.stderr
            with open(relay.conf, "w") as f:
                f.write(good)
            n = tuple(2 * x for x in exchange(yard))
            carries(relay, [n, n])
    finally:
        yard.relay.run("ip link del bare")

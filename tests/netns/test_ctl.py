# SPDX-License-Identifier: GPL-2.0-or-later
"""navalisctl against a running relay: filters, orders, three ways of output, exit codes."""
import json
import os
import re

import pytest

from lab import Navalis, fresh_native

@pytest.fixture(scope="module")
def relay(lab):
    with Navalis(lab, "native", instance="nvt%d" % os.getpid()) as made:
        native = fresh_native()
        for c in lab.clients:
            assert lab.native.ping(c.address, src=native)[1] == 1
        yield made


def test_filters_sorting_and_limit(lab, relay):
    every = [c["address"] for c in relay.json("clients")["clients"]]
    assert sorted(every) == sorted(c.address for c in lab.clients)

    def shown(*args):
        return [c["address"] for c in relay.json("clients", *args)["clients"]]
    ages = [c["age_ms"] for c in relay.json("clients", "--sort", "age", "--reverse")["clients"]]
    assert ages == sorted(ages, reverse=True)
    key = [tuple(map(int, re.split("[.:]", c["endpoint"]))) for c in relay.json("clients", "--sort", "endpoint")["clients"]]
    assert key == sorted(key) and len(key) == len(every)
    assert shown("--sort", "address") == list(reversed(shown("--sort", "address", "--reverse")))
    assert shown("--sort", "address", "--limit", "2") == shown("--sort", "address")[:2] and len(shown("--limit", "1")) == 1
    one = lab.clients[2].address
    assert shown("--client", one) == [one] and shown("--address", "8.0.13.0/24") == [one]
    assert len(shown("--server", "8.0.0.0/16")) == len(every) and shown("--server", "9.0.0.0/8") == []
    assert len(shown("--state", "live")) == len(every) and shown("--state", "aged") == []
    assert relay.ctl("clients", "--client", one, "endpoint").stdout.startswith(one + "\t8.0.13.1:")
    remapped = [c for c in relay.json("clients")["clients"] if c["remapped"]]
    assert [c["address"] for c in remapped] == [c.address for c in lab.clients if c.nat == "symmetric"]


WRONG = {
    "clients --sotr age": "did you mean «--sort»", "clients --sort beauty": "no such value", "clients --limit 0": "no such value",
    "clients --limit -1": "no such value", "clients --server 8.0.0.0/33": "no such value", "clients --client x": "no such value",
    "clients colour": "did you mean", "flush": "wants a filter, or --all", "flush --adress 8.0.0.1": "did you mean «--address»",
    "flush --address x": "no such value", "reload now": "takes nothing", "pending x": "takes nothing", "stats --interval x": "no such value",
    "stats --all": "did you mean «--interval»", "status --rates": "--no-rates alone", "decode": "wants one IPv6 address",
    "decode x": "not an IPv6 address", "drops x": "--all alone", "detach x": "--force alone", "version x": "takes nothing", "": "a verb is missing",
}


@pytest.mark.parametrize("line", WRONG)
def test_what_is_not_understood_is_2_and_a_json_document(relay, line):
    p = relay.ctl(*line.split(), "--json", check=False)
    document = json.loads(p.stdout)
    assert p.returncode == 2 and document["error"]["code"] == 2 and document["schema"] == 1
    assert WRONG[line] in document["error"]["message"]
    if line:
        p = relay.ctl(*line.split(), check=False)
        assert p.returncode == 2 and p.stdout == "" and WRONG[line] in p.stderr


def test_every_verb_speaks_json(lab, relay):
    for line in ("status", "status --no-rates", "clients", "pending", "stats", "stats --interval 0.1", "drops", "drops --all",
                 "decode " + lab.clients[0].address, "reload", "flush --server 9.9.9.9 --dry-run", "version", "--help", "--version"):
        p = relay.ctl("--json", *line.split())
        assert json.loads(p.stdout)["schema"] == 1, line
        assert p.stderr == ""


def test_stats(lab, relay):
    stats = relay.json("stats")["counters"]
    drops = {r["reason"]: r["where"] for r in relay.json("drops", "--all")["reasons"]}
    assert stats["v6_encap_packets"] == drops["ENCAP"]["v6"] > 0
    assert stats["daemon_proven_packets"] == drops["PROVEN"]["daemon"] >= len(lab.clients)
    text = dict(l.split() for l in relay.ctl("stats").stdout.splitlines())
    assert set(text) == set(stats) and len(text) == 3 * 2 * (1 + len(drops))
    assert all(v == 0 for k, v in relay.json("stats", "--interval", "0.2")["counters"].items() if "encap" in k)


def test_orders(lab, relay):
    assert relay.ctl("reload").stdout == "reloaded: 0 keys changed\n"
    assert relay.ctl("pending").stdout == "nobody is pending\n"
    lab.native.ping("2001:0:800:101:2000:1234:f7ff:f4fd", src=fresh_native(), wait=0.1)
    assert re.search(r"2001:0:800:101:2000:1234:f7ff:f4fd +probe +1 ", relay.ctl("pending").stdout)
    assert relay.ctl("flush", "--address", "8.0.0.0/8", "--dry-run").stdout == "would forget %d proven clients\n" % len(lab.clients)
    with open(relay.conf) as f:
        good = f.read()
    try:
        with open(relay.conf, "a") as f:
            f.write("max_client = 5\n")
        p = relay.ctl("reload", check=False)
        assert p.returncode == 1 and "no key «max_client» in [teredo]: did you mean «max_clients»?" in p.stderr
        assert "a reload was REFUSED" in relay.ctl("status").stdout
    finally:
        with open(relay.conf, "w") as f:
            f.write(good)
    assert relay.ctl("reload").returncode == 0 and "REFUSED" not in relay.ctl("status").stdout

# SPDX-License-Identifier: GPL-2.0-or-later
"""navalisctl against a running relay: filters, orders, three ways of output, exit codes."""
import json
import os
import re
import subprocess
import time

import pytest

from lab import BUILD, Navalis, fresh_native, wait_for


@pytest.fixture(scope="module")
def relay(lab):
    with Navalis(lab, "native", instance="nvt%d" % os.getpid()) as made:
        yield made


@pytest.fixture
def proven(lab, relay):
    """All clients, heard of a moment ago."""
    native = fresh_native()
    for c in lab.clients:
        assert lab.native.ping(c.address, src=native)[1] == 1


def test_filters_sorting_and_limit(lab, relay, proven):
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
    assert shown("--address", "8.0.13.0/24") == [one]
    for c in lab.clients:  # behind a symmetric NAT, too
        assert shown("--client", c.address) == [c.address] and shown("--client", c.address, "--sort", "age") == [c.address]
        assert shown("--client", c.address, "--server", "8.0.0.0/8", "--limit", "1", "--reverse") == [c.address]
    assert len(shown("--server", "8.0.0.0/16")) == len(every) and shown("--server", "9.0.0.0/8") == []
    assert len(shown("--state", "live")) == len(every) and shown("--state", "aged") == []
    assert relay.ctl("clients", "--client", one, "endpoint").stdout.startswith(one + "\t8.0.13.1:")
    remapped = [c for c in relay.json("clients")["clients"] if c["remapped"]]
    assert [c["address"] for c in remapped] == [c.address for c in lab.clients if c.nat == "symmetric"]


def test_a_client_that_is_not_there(lab, relay, proven):
    gone, here = "2001:0:800:101:2000:1234:f7ff:f4fd", lab.clients[1].address
    for line, why in (("clients --client " + gone, gone + " is no proven client"),
                      ("clients endpoint --client " + gone, gone + " is no proven client"),
                      ("clients --sort age --client " + gone, gone + " is no proven client"),
                      ("clients --client %s --server 9.0.0.0/8" % here, here + " is no proven client that the other filters fit"),
                      ("clients --client %s --state aged" % here, here + " is no proven client that the other filters fit"),
                      ("flush --dry-run --client " + gone, "flush: there is no such client, proven or pending"),
                      ("flush --client " + gone, "flush: there is no such client, proven or pending"),
                      ("flush --client %s --address 9.0.0.0/8" % here, "flush: there is no such client, proven or pending")):
        p = relay.ctl(*line.split(), check=False)
        assert (p.returncode, p.stdout, p.stderr) == (4, "", "navalisctl: %s\n" % why), line
        if " endpoint" not in line:
            assert relay.json(*line.split()) == {"error": {"code": 4, "message": why}, "schema": 1}
    assert relay.ctl("clients", "--client", here).returncode == 0


NET4 = "an IPv4 address, or one with a length, as 192.0.2.0/24, is allowed here"
TEREDO = "a Teredo address, as 2001:0:4136:e378:8000:63bf:3fff:fdd2, is allowed here"
WORDS = "address, server, endpoint, age or state is allowed here"
SECONDS = "a number of seconds from 0.01 to 86400 is allowed here"
NUMBER = "a number from 1 to 999999999 is allowed here"
WRONG = {
    "clients --sotr age": "did you mean «--sort»", "clients --sort beauty": "--sort beauty: " + WORDS, "clients --sort": "--sort wants a value: " + WORDS,
    "clients --limit 0": NUMBER, "clients --limit -1": NUMBER, "clients --limit 5x": NUMBER, "clients --limit 99999999999999999999": NUMBER,
    "clients --server 8.0.0.0/+8": NET4, "clients --server 8.0.0.0/33": NET4, "clients --server 8.0.0.0/": NET4, "clients --address 8.0.0.1/%s8" % ("0" * 30): NET4, "clients --address": NET4,
    "clients --client x": TEREDO, "clients --client 2a00::1": TEREDO, "clients --state dead": "live or aged is allowed here",
    "flush": "wants a filter (--server, --address, --client), or --all", "flush --dry-run": "wants a filter",
    "flush --adress 8.0.0.1": "did you mean «--address»", "flush --address x": NET4, "flush --client 2a00::1": TEREDO,
    "reload now": "takes nothing", "pending x": "takes nothing", "version x": "takes nothing",
    "stats --interval x": SECONDS, "stats --interval nan": SECONDS, "stats --interval 5x": SECONDS, "stats --interval 0": SECONDS,
    "stats --interval 1e9": SECONDS, "stats --interval": SECONDS, "stats --interval 1 2": "one word too many", "stats --all": "did you mean «--interval»",
    "status --rates": "--no-rates alone", "decode": "wants one IPv6 address", "decode x": "not an IPv6 address",
    "explain": "wants one address", "explain ::1 ::2": "wants one address", "explain 8.0.0.0/8": "neither an IPv6 nor an IPv4 address",
    "drops x": "--all alone", "detach x": "--force or --dry-run", "clinets": "did you mean «clients»", "": "a verb is missing",
}


def test_fields(relay):
    p = relay.ctl("clients", "colour", check=False)
    assert p.returncode == 2 and "no field «colour»: endpoint, server, flags, age or state is allowed here" in p.stderr
    assert "one field at a time" in relay.ctl("clients", "age", "state", check=False).stderr
    assert "shows all fields" in relay.json("clients", "age")["error"]["message"]


@pytest.mark.parametrize("line", WRONG)
def test_what_is_not_understood_is_2_and_a_json_document(relay, line):
    p = relay.ctl(*line.split(), "--json", check=False)
    document = json.loads(p.stdout)
    assert p.returncode == 2 and document["error"]["code"] == 2 and document["schema"] == 1
    assert WRONG[line] in document["error"]["message"]
    if line:
        p = relay.ctl(*line.split(), check=False)
        assert p.returncode == 2 and p.stdout == "" and WRONG[line] in p.stderr


def test_every_verb_speaks_json(lab, relay, proven):
    for line in ("status", "status --no-rates", "clients", "pending", "stats", "stats --interval 0.1", "drops", "drops --all",
                 "decode " + lab.clients[0].address, "explain " + lab.clients[0].address, "explain 8.0.9.9", "reload", "flush --server 9.9.9.9 --dry-run", "version", "--help", "--version"):
        p = relay.ctl("--json", *line.split())
        assert json.loads(p.stdout)["schema"] == 1, line
        assert p.stderr == ""


def test_stats(lab, relay, proven):
    stats = relay.json("stats")["counters"]
    drops = {r["reason"]: r["where"] for r in relay.json("drops", "--all")["reasons"]}
    assert stats["v6_encap_packets"] == drops["ENCAP"]["v6"] > 0
    assert stats["daemon_proven_packets"] == drops["PROVEN"]["daemon"] >= len(lab.clients)
    text = dict(l.split() for l in relay.ctl("stats").stdout.splitlines())
    assert set(text) == set(stats) and len(text) == 3 * 2 * (1 + len(drops))
    assert relay.json("stats")["rates"] is None and relay.json("stats")["interval_s"] is None


def test_stats_of_an_interval(lab, relay):
    quiet = relay.json("stats", "--interval", "0.2")
    assert all(v == 0 for k, v in quiet["counters"].items() if "encap" in k)
    c, native = lab.clients[0], fresh_native()
    pinging = lab.native.popen(["ping", "-6", "-n", "-q", "-i", "0.01", "-s", "100", "-I", native, c.address], stdout=subprocess.DEVNULL)
    try:
        wait_for("it pings", lambda: lab.native.ping(c.address, src=native)[1])
        def during(*args):
            """While it really pings, and how long the order took at most."""
            while True:
                began = time.monotonic()
                out = relay.ctl("stats", "--interval", "0.5", *args).stdout
                took = time.monotonic() - began
                if int(re.search(r"v6_encap_packets\W+(\d+)", out)[1]) > 5:
                    return out, took
        got = json.loads(during("--json")[0])
        packets, rate = (got[k]["v6_encap_packets"] for k in ("counters", "rates"))
        assert got["interval_s"] >= 0.5 and set(got["rates"]) == set(got["counters"])
        assert abs(rate * got["interval_s"] - packets) < 0.01
        out, took = during()
        lines = [l.split() for l in out.splitlines()]
        assert {len(l) for l in lines} == {3} and {l[0] for l in lines} == set(got["counters"])
        value, rate = map(float, next(l[1:] for l in lines if l[0] == "v6_encap_packets"))
        assert value / took - 0.1 < rate < value / 0.5 + 0.1
    finally:
        pinging.kill()
        pinging.wait()


def test_help_of_every_verb(relay):
    verbs = {v["verb"]: v for v in relay.json("--help")["verbs"]}
    for name, verb in verbs.items():
        assert relay.ctl(name, "--help").stdout.splitlines()[0] == ("Usage: navalisctl %s %s" % (name, verb["usage"])).rstrip()
        assert relay.json(name, "--help") == {**verb, "schema": 1}
        assert relay.ctl(name, "--nonsense", "-h").returncode == 0


def test_orders(lab, relay, proven):
    assert relay.ctl("reload").stdout == "reloaded: 0 keys changed\n"
    assert relay.ctl("pending").stdout == "nobody is pending\n"
    began = time.monotonic()
    lab.native.ping("2001:0:800:101:2000:1234:f7ff:f4fd", src=fresh_native(), wait=0.1)
    said = wait_for("it is pending", lambda: re.search(r"2001:0:800:101:2000:1234:f7ff:f4fd +probe +(\d) ", relay.ctl("pending").stdout))
    assert 1 <= int(said[1]) <= 1 + (time.monotonic() - began) // 2  # a bubble each two seconds
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


def verdicts(relay, address, about):
    return [(x["reason"], x["text"]) for x in relay.json("explain", address)["lines"] if x["about"] == about and x["reason"]]


def facts(relay, address):
    return [x["text"] for x in relay.json("explain", address)["lines"] if x["about"] == "address"]


def test_explain_of_clients(lab, relay, proven):
    """What it says of each is what happens to its packets."""
    where = {c["address"]: c["endpoint"] for c in relay.json("clients")["clients"]}
    for c in lab.clients:
        assert lab.native.ping(c.address, src=fresh_native())[1] == 1
        assert verdicts(relay, c.address, "to") == [("ENCAP", "goes to %s, by XDP" % where[c.address])]
        assert verdicts(relay, c.address, "from") == [("DECAP", "from %s goes on to native IPv6, by XDP" % where[c.address]),
                                                      ("SRC_MISMATCH", "from anywhere but %s" % where[c.address])]
        said = facts(relay, c.address)
        assert any(x.startswith("proven: heard ") for x in said)
        assert any("symmetric NAT: towards this relay it is at " + where[c.address] in x for x in said) == (c.nat == "symmetric")
        assert any("its last proof was " in x for x in said) == (c.nat != "symmetric")
    unknown = "2001:0:800:101:2000:1235:f7ff:f4fd"
    assert verdicts(relay, unknown, "to") == [("UNPROVEN_OUT", "is kept, and a hole punched: a bubble through 8.0.1.1:3544")]
    began = time.monotonic()
    lab.native.ping(unknown, src=fresh_native(), wait=0.1)
    wait_for("it is pending", lambda: verdicts(relay, unknown, "to")[0][0] == "QUEUE_FULL")
    said = facts(relay, unknown)
    bubbles, = (int(re.match(r".*?(\d) bubbles sent, no answer yet", x)[1]) for x in said if "one packet waits" in x)
    assert 1 <= bubbles <= 1 + (time.monotonic() - began) // 2


def test_explain_of_what_is_refused(lab, relay):
    def drops(reason):
        return {x["reason"]: x["packets"] for x in relay.json("drops", "--all")["reasons"]}[reason]
    for address in ("2001:0:800:101:2000:1234:f5ff:fffe", "2001:0:a00:1:2000:1234:f7ff:f4fd", "2001:0:800:101:2000:1234:f7ff:fdfe"):
        reason = verdicts(relay, address, "to")[0][0]
        before = drops(reason)
        assert lab.native.ping(address, src=fresh_native(), wait=0.1)[1] == 0
        wait_for("one more " + reason, lambda: drops(reason) == before + 1)
    assert verdicts(relay, "2a00:f::7", "to") == [("DECAP", "out of Teredo")]
    assert relay.json("explain", "2a00:1::1")["mechanism"] == "host" and verdicts(relay, "2a00:1::1", "to")[0][0] == "DST_LOCAL"
    assert verdicts(relay, "10.1.2.3", "to") == [("CLIENT_REFUSED", "a Teredo client, once it is proven, there")]
    assert "the Teredo relay's service address: UDP port 3545" in facts(relay, "8.0.2.1")


def keys_of(document):
    """All keys but those that are names of counters and of NICs."""
    if isinstance(document, list):
        return set().union(*map(keys_of, document))
    if not isinstance(document, dict):
        return set()
    return set(document).union(*(keys_of(v) for k, v in document.items() if k not in ("counters", "where") and
                                 not (k == "rates" and v and "decap" not in v)))


def words_of_the_man_page():
    page = subprocess.run(["mandoc", "-Tascii", BUILD + "/ctl/man/navalisctl.8"], capture_output=True, text=True, check=True).stdout
    page = re.sub(".\b", "", page)
    return set(re.findall(r"\w+", page[page.index("\nOUTPUT"):page.index("\nREASONS")]))


def test_every_json_key_is_in_the_man_page(lab, relay, proven):
    lab.native.ping("2001:0:800:101:2000:1234:f7ff:f4fd", src=fresh_native(), wait=0.1)
    documents = [relay.json(*line.split()) for line in (
        "status", "clients", "pending", "tunnels", "stats", "drops --all", "reload", "flush --server 9.9.9.9", "version", "--help", "nonsense",
        "decode " + lab.clients[0].address, "decode 2002:a00:1::1", "explain " + lab.clients[0].address)]
    keys = keys_of(documents)
    assert len(keys) > 60 and keys - words_of_the_man_page() == set()

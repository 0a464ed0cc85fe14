# SPDX-License-Identifier: GPL-2.0-or-later
"""The bench works: every frame of its load comes through the attached program, and its report can be read."""
import importlib.machinery
import importlib.util
import json
import os
import re
import subprocess
import sys
import xml.dom.minidom

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import report  # noqa: E402
import yard  # noqa: E402
from lab import missing, wait_for  # noqa: E402
from yard import WAYS, Yard, percentile  # noqa: E402

_spec = importlib.util.spec_from_loader("bench", importlib.machinery.SourceFileLoader("bench", HERE + "/bench"))
bench = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(bench)


@pytest.fixture(scope="module")
def able():
    why = missing()
    if why:
        pytest.skip(why)


@pytest.fixture(scope="module")
def place(able):
    with Yard() as y:
        yield y


def test_every_frame_comes_through_the_program(place):
    """Of 1,000 clients and back, in XDP, and at no more than 1.7 times a bare redirect: the bench itself has the figure."""
    with place.navalis(1000, fill=1000) as relay:
        best, rounds = {}, 0
        while rounds < 3 or (rounds < 10 and any(best["relay", w] >= 1.7 * best["floor", w] for w in WAYS)):  # others run here, too
            rounds += 1
            for way in WAYS:
                for to in ("floor", "relay"):
                    yard.fill_table(relay, 1000)
                    got = place.run(to, way, 1000, 500000)
                    assert 0.9999 < got["share"] < 1.0001, (to, way, got)
                    best[to, way] = min(best.get((to, way), 1e9), got["ns"])
        counts = dict(l.split() for l in relay.ctl("stats").stdout.splitlines())
        # the first batch of each run has its own call
        assert int(counts["v4_decap_packets"]) == int(counts["v6_encap_packets"]) == rounds * (500000 + 64)
        for way in WAYS:
            assert best["relay", way] < 1.7 * best["floor", way], best


def test_new_clients_are_punched_to_and_answer(place):
    with place.navalis(4096, fill=1000) as relay:
        got = place.paced(1000, {"new": 256}, 1, rate=2000)
        assert got["sent"]["new"] > 300 and got["got"]["new"] == got["answered"] == got["sent"]["new"]
        assert relay.json("status", "--no-rates")["clients"]["live"] == 1000 + got["sent"]["new"]
        assert 0 < percentile(got["delays"]["new"], 0.5) < 100e6


def test_forged_traffic_is_dropped_beside_proven_clients(place):
    with place.navalis(4096, fill=1000) as relay:
        share = {"decap": 40, "encap": 40, "stranger": 44, "forged": 44, "unproven": 44, "bubble": 44}
        got = place.paced(1000, share, 1, rate=50000)
        for way in WAYS:
            assert got["sent"][way] > 1000 and got["got"][way] == got["sent"][way]
        drops = {r["reason"]: r["packets"] for r in relay.json("drops")["reasons"]}
        assert drops["SRC_MISMATCH"] == got["sent"]["forged"] and drops["BUBBLE_COOKIE"] == got["sent"]["bubble"]
        assert relay.json("status", "--no-rates")["clients"]["live"] == 1000


@pytest.mark.parametrize("mode", ["native", "off", None], ids=["XDP", "daemon", "miredo-server"])
def test_solicitations_of_many_are_answered(place, mode):
    """None of the server's limits decides; and the daemon sees nothing of what XDP answers."""
    with place.server(mode, 0) as ours:
        bench.first_in_first_out(place.processes[-1])
        before = place.answered()
        got = place.solicit(20000)
        assert got["share"] == 1 if mode == "native" else got["share"] > 0, got  # others run here, too
        if ours:
            where = "v4" if mode == "native" else "daemon"
            wait_for("each has been counted", lambda: bench.solicited(ours) == {"v4": 0, "daemon": 0, where: place.answered() - before})


def keys(out):
    """(part, key) of all that the report holds."""
    def below(value):
        for k, v in value.items() if isinstance(value, dict) else ():
            if not k[0].isdigit() and "," not in k:  # percentiles; who and where
                yield k
            yield from below(v)
    return {(part, k) for part, value in out.items() if part != "about" for k in below(value)}


def explained(out):
    for part, name in keys(out):
        assert re.search(r"\b%s\b" % name, bench.ABOUT[part]), "the report does not say what %s of %s is" % (name, part)


def test_the_report_can_be_read(place, tmp_path):
    """The smallest part alone; all parts take minutes."""
    subprocess.run([sys.executable, HERE + "/bench", "--only", "flood", "--out", str(tmp_path)], check=True, timeout=600)
    with open(tmp_path / "report.json") as f:
        out = json.load(f)
    assert set(out["flood"]["flood"]) == {"a_second", "decap", "encap"}
    assert out["about"] == bench.ABOUT
    explained(out)
    assert "proven clients beside unproven traffic" in (tmp_path / "report.txt").read_text()
    xml.dom.minidom.parse(str(tmp_path / "report.svg"))


def test_servers_are_compared(able):
    out = {}
    bench.server(out, rounds=1, packets=50000, xdp_packets=500000, least=0)
    explained(out)
    answers = out["server"]["answers"]
    assert len(answers) == 5 and all(len(rates) == 1 and rates[0] > 0 for rates in answers.values())
    text = report.table({"machine": dict.fromkeys(("commit", "cpu", "kernel", "date"), "?"), **out})
    assert re.search(r"to miredo-server's, one core +XDP [0-9.]+ x +navalisd alone [0-9.]+ x\n", text), text
    assert re.search(r"to the daemon beside XDP +0\n", text), text

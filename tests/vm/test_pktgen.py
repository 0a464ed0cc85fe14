# SPDX-License-Identifier: GPL-2.0-or-later
"""The load tests of scripts/pktgen, for real on Debian's kernels: pktgen, native XDP on virtio, at a bounded rate."""
import contextlib
import importlib.machinery
import importlib.util
import os

import pytest

import vm
from test_kernels import BUILD, ROOT, TREE

FILES = TREE + [(os.path.join(ROOT, "scripts/pktgen"), "scripts/pktgen"),
                (os.path.join(BUILD, "scripts/pktgen/load.bpf.o"), "build/scripts/pktgen/load.bpf.o")]


@pytest.fixture(scope="module")
def load():
    loader = importlib.machinery.SourceFileLoader("load", os.path.join(ROOT, "scripts/pktgen/load"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("load", loader))
    loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def tested(machines):
    return machines.at_once(lambda kernel: vm.run(kernel, "/usr/bin/python3 tests/vm/inside_pktgen.py\n", FILES, timeout=1200))


@pytest.mark.parametrize("kernel", vm.KERNELS)
def test_load_tests_lose_nothing_at_a_bounded_rate(tested, kernel):
    r = tested[kernel].result()
    print("\n%s:\n%s" % (kernel, "\n".join(l for l in r.text.splitlines() if l.startswith("|"))))
    assert r.code == 0 and "load tests: good" in r.text, r.text


def test_the_limit_of_the_link(load):
    """Frame, FCS, preamble and gap."""
    for inner, mpps in ((40, 11.79), (48, 10.96), (60, 9.92), (72, 9.06), (576, 1.95), (1280, 0.929)):
        assert load.limit(10, inner) / 1e6 == pytest.approx(mpps, rel=0.003)


@pytest.mark.parametrize("most,ndr,pdr", [(9.6e6, 3.3e6, 3.3e6 / 0.995), (3e6, 3e6, 3e6), (9.6e6, 0, 0)])
def test_the_search_finds_what_a_relay_forwards(load, most, ndr, pdr):
    """One that forwards so many packets a second and loses the others; and the second threshold begins where the first ended."""
    def trial(rate):
        return load.Run(rate, int(rate), int(min(rate, ndr)), 0, 1, 0)
    known = []
    for allowed, wanted in ((0, ndr), (load.PDR, pdr)):
        best = load.bisect(trial, 0, most, 0.0005, allowed, known)
        assert (best.asked if best else 0) == pytest.approx(wanted, abs=0.0005 * most)
        assert not best or load.loss(best) <= allowed
    assert len(known) == len({r.asked for r in known}) < 25


def test_no_trial_is_so_slow_that_clients_are_forgotten(load):
    asked = []

    def trial(rate):
        asked.append(rate)
        return load.Run(rate, 1000, 0, 0, 1, 0)
    assert load.bisect(trial, 40000, 1e6, 0.001, 0, []) is None and min(asked) > 40000 and len(asked) == 5


@pytest.mark.parametrize("line,refused", [("--rate 40000", True), ("--rate 42000", False), ("--rate 40000 --seconds 15", False),
                                          ("--rate 40000 --direction encap", False)])
def test_a_rate_that_clients_would_be_forgotten_at_is_refused(load, monkeypatch, capsys, line, refused):
    monkeypatch.setattr("sys.argv", ["load", "run", "--dev4", "a", "--clients", str(1 << 20)] + line.split())
    with pytest.raises(SystemExit) if refused else contextlib.nullcontext():
        load.options()
    assert ("at least 41944 packets a second" in capsys.readouterr().err) == refused


def test_the_table_has_the_run_in_the_middle(load, capsys):
    runs = [load.Run(2e6, int(10 * r), int(10 * r), 0, 10, 0) for r in (1e6, 4e5, 1.5e6)]
    load.Table(10).row("decap", 576, "NDR", runs)
    cells = [c.strip() for c in capsys.readouterr().out.splitlines()[-1].split("|")[1:-1]]
    assert cells[:9] == ["576 B", "decap", "NDR", "10000000", "10000000", "0.000 %", "1.0000", "5.1360", "1.947 Mpps"]
    assert cells[9:] == ["51.36 %", "3 trials: median 1.0000, 0.4000 to 1.5000; all that the generator sends"]

# SPDX-License-Identifier: GPL-2.0-or-later
"""The units of loader/systemd, installed by make install and started by systemd itself."""
import os
import subprocess

import pytest

import vm
from test_kernels import ROOT, TREE


@pytest.fixture(scope="module")
def started(machines, tmp_path_factory):
    to = str(tmp_path_factory.mktemp("installed"))
    subprocess.run(["make", "-s", "-C", ROOT, "B=" + os.environ.get("B", "build"), "PREFIX=/usr", "DESTDIR=" + to, "install"],
                   check=True, capture_output=True)
    return machines.at_once(lambda kernel: vm.run(
        kernel, "/usr/bin/python3 tests/vm/inside_systemd.py\n", TREE + [(to, "installed")], systemd=True))


@pytest.mark.parametrize("kernel", vm.KERNELS)
def test_the_unit_runs_unprivileged_and_hardened(started, kernel):
    r = started[kernel].result()
    print("\n" + "\n".join(l for l in r.text.splitlines() if "exposure" in l))
    assert r.code == 0 and "systemd: good" in r.text, r.text

# SPDX-License-Identifier: GPL-2.0-or-later
"""The units of loader/systemd, installed by make install and started by systemd itself."""
import os
import subprocess

import pytest

import vm
from test_kernels import ROOT, TREE


@pytest.mark.parametrize("kernel", vm.KERNELS)
def test_the_unit_runs_unprivileged_and_hardened(machines, kernel, tmp_path):
    subprocess.run(["make", "-s", "-C", ROOT, "B=" + os.environ.get("B", "build"), "PREFIX=/usr", "DESTDIR=%s" % tmp_path, "install"],
                   check=True, capture_output=True)
    r = machines.run(kernel, "/usr/bin/python3 tests/vm/inside_systemd.py\n", TREE + [(str(tmp_path), "installed")], systemd=True)
    print("\n" + "\n".join(l for l in r.text.splitlines() if "exposure" in l))
    assert r.code == 0 and "systemd: good" in r.text, r.text

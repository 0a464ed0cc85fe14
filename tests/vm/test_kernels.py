# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's kernels 6.1 and 6.12: the program loads, passes its tests, and forwards on virtio with real VLANs."""
import os
import re

import pytest

import vm

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, os.environ.get("B", "build"))
PROGRAMS = ("navalisd", "navalisctl", "tests/bpf/runner", "tests/bpf/stress")
TREE = [(os.path.join(ROOT, d), d) for d in ("tests/bpf", "tests/pkts", "tests/netns", "tests/vm", "tests/conftest.py", "include")] + \
       [(os.path.join(BUILD, p), "build/" + p) for p in PROGRAMS]


@pytest.mark.parametrize("kernel", vm.KERNELS)
def test_the_xdp_program_passes_its_tests(machines, kernel):
    r = machines.run(kernel, "uname -r; STRESS_S=3 STRESS_LOOKS=1 /usr/bin/python3 -m pytest -q -s -p no:cacheprovider tests/bpf\n", TREE)
    assert r.code == 0, r.text
    passed, failed, skipped = map(int, re.findall(r"(\d+) passed, (\d+) failed, (\d+) skipped", r.text)[-1])
    print("\n%s: %d passed, %d skipped" % (r.text.splitlines()[0], passed, skipped))
    assert passed > 150 and failed == 0


@pytest.mark.parametrize("kernel", vm.KERNELS)
def test_native_xdp_on_virtio_with_vlan_interfaces(machines, kernel):
    r = machines.run(kernel, "/usr/bin/python3 tests/vm/inside_kernel.py\n", TREE)
    assert r.code == 0 and "VLAN on virtio: good" in r.text, r.text

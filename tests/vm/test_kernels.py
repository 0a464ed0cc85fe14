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


def test_behind_the_dispatcher_of_libxdp(machines):
    """Beside another program of the dispatcher's, on 6.1."""
    r = machines.run("6.1", "/usr/bin/python3 tests/vm/inside_kernel.py dispatcher\n", TREE)
    assert r.code == 0 and "VLAN on virtio: good" in r.text, r.text


NO_DISPATCHER = """set -e
ip link set eth0 up
ip addr add 8.0.2.1/24 dev eth0
sysctl -qw net.ipv4.conf.all.forwarding=1 net.ipv6.conf.all.forwarding=1
start() {
	printf '[navalis]\\ninterfaces = eth0\\nmode = native\\ndispatcher = %s\\n[teredo]\\nservice = 8.0.2.1\\n' $1 > c.conf
	./build/navalisd --config c.conf > log 2>&1 &
	for i in $(seq 200); do grep -q ready log && return; [ -d /proc/$! ] || { cat log; return 1; }; sleep 0.1; done
}
! start yes
grep -q 'eth0: no dispatcher: .*recent kernels want 1.5.5: set dispatcher = no' log
! ip link show dev eth0 | grep prog/xdp
! ip link show dev teredo
start try
grep -q '<4>eth0: no dispatcher' log
grep -q 'eth0: XDP native' log
ip link show dev eth0 | grep prog/xdp
kill $!; wait
./build/navalisctl detach > /dev/null
echo refused and tried
"""


def test_where_libxdp_has_no_dispatcher_for_the_kernel(machines):
    """6.12 refuses what Debian's libxdp 1.3.1 does: yes says so and leaves no trace, try attaches alone."""
    r = machines.run("6.12", NO_DISPATCHER, TREE)
    assert r.code == 0 and "refused and tried" in r.text, r.text

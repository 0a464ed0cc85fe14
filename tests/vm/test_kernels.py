# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's kernels 6.1 and 6.12: the program loads, passes its tests, and forwards on virtio with real VLANs."""
import re

import pytest

import builds
import vm
from builds import BUILD, ROOT, TREE  # noqa: F401

SUITE = "echo suite; B=%s STRESS_S=3 STRESS_LOOKS=1 /usr/bin/python3 -m pytest -q -s --color=no -p no:cacheprovider tests/bpf\n"
VIRTIO = "/usr/bin/python3 tests/vm/inside_kernel.py %s %s\n"


def suite(kernel):
    """What the tests say of the program from each compiler: in one machine, to start it once."""
    script = "uname -r\n" + "".join(SUITE % builds.FOLDERS[c] for c in builds.builds())
    release, *said = vm.run(kernel, script, builds.tree(), timeout=1200).text.split("suite\n")
    return release.strip(), dict(zip(builds.builds(), said))


@pytest.fixture(scope="module")
def suites(machines):
    builds.other()
    return machines.at_once(suite)


@pytest.mark.parametrize("kernel", vm.KERNELS)
@pytest.mark.parametrize("compiler", builds.FOLDERS)
def test_the_xdp_program_passes_its_tests(suites, kernel, compiler):
    if compiler not in builds.builds():
        pytest.skip("%s is not installed (scripts/setup)" % compiler)
    release, said = suites[kernel].result()
    text = said[compiler]
    passed, failed, skipped = map(int, re.findall(r"(\d+) passed, (\d+) failed, (\d+) skipped", text)[-1])
    print("\n%s, clang %s: %d passed, %d skipped" % (release, builds.version(builds.builds()[compiler]), passed, skipped))
    assert passed > 150 and failed == 0, text


def virtio(how):
    """One compiler's program after the other's."""
    return VIRTIO % (how, " ".join(builds.FOLDERS[c] for c in builds.builds()))


def good(r):
    return r.code == 0 and r.text.count("VLAN on virtio: good") == len(builds.builds())


@pytest.fixture(scope="module")
def alone(machines):
    builds.other()
    return machines.at_once(lambda kernel: vm.run(kernel, virtio("alone"), builds.tree()))


@pytest.mark.parametrize("kernel", vm.KERNELS)
def test_native_xdp_on_virtio_with_vlan_interfaces(alone, kernel):
    r = alone[kernel].result()
    assert good(r), r.text


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


@pytest.fixture(scope="module")
def shared(machines):
    builds.other()
    script = {"6.1": virtio("dispatcher"), "6.12": NO_DISPATCHER}
    return machines.at_once(lambda kernel: vm.run(kernel, script[kernel], builds.tree()))


def test_behind_the_dispatcher_of_libxdp(shared):
    """Beside another program of the dispatcher's, on 6.1."""
    r = shared["6.1"].result()
    assert good(r), r.text


def test_where_libxdp_has_no_dispatcher_for_the_kernel(shared):
    """6.12 refuses what Debian's libxdp 1.3.1 does: yes says so and leaves no trace, try attaches alone."""
    r = shared["6.12"].result()
    assert r.code == 0 and "refused and tried" in r.text, r.text

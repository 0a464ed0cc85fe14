# SPDX-License-Identifier: GPL-2.0-or-later
"""navalisctl and what it finds below /sys/fs/bpf: instances of other versions, of other names, of other people."""
import fcntl
import json
import os
import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../netns"))
from lab import BUILD, Lab, Navalis, missing, wait_for  # noqa: E402
from pins import meta, pin, pinned  # noqa: E402

pytestmark = pytest.mark.skipif(missing() is not None, reason=str(missing()))
ME = "nvi%d" % os.getpid()


@pytest.fixture(scope="module")
def box():
    """A laboratory with nobody in it."""
    with Lab((), server=False) as made:
        yield made


def ctl(*args, ns=None):
    cmd = [BUILD + "/navalisctl", *args]
    return ns.run(cmd, check=False) if ns else subprocess.run(cmd, capture_output=True, text=True)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a.b", "a b", "x" * 16])
def test_a_name_that_no_instance_can_have(name):
    for args in (["--instance", name, "status", "--json"], ["--json", "status", "--instance", name]):
        p = ctl(*args)
        error = json.loads(p.stdout)["error"]
        assert p.returncode == error["code"] == 2 and "1 to 15 letters, digits, - or _" in error["message"]
    assert json.loads(ctl("status", "--json", "--instance").stdout)["error"]["code"] == 2


def test_somebody_elses_pins_are_not_taken_for_an_instance():
    for maps in ({"theirs": bytes(8)}, {"meta": bytes(4096)}, {"meta": bytes(4)}, {"clients": bytes(64), "zzz": bytes(4)}):
        with pinned(ME, **maps) as folder:
            for verb in ("status", "clients", "stats", "drops", "detach"):
                p = ctl("--instance", ME, verb)
                assert p.returncode == 4, (maps, verb, p)
            assert ctl("--instance", ME, "detach", "--force").returncode == 4
            assert sorted(os.listdir(folder)) == sorted(maps)
            assert json.loads(ctl("--instance", ME, "version", "--json").stdout)["instance"] is None


@pytest.mark.parametrize("size", [16, 64, 4096])
def test_an_instance_of_another_version_is_named_and_can_be_detached(box, size):
    with pinned(ME, meta=meta(77, size), clients=bytes(64)) as folder:
        p = ctl("--instance", ME, "status")
        assert p.returncode == 1 and "made by another version (ABI 77 with 3 reasons" in p.stderr
        version = json.loads(ctl("--instance", ME, "version", "--json").stdout)
        assert version["instance"] == {"name": ME, "abi": 77, "alive": False} and version["navalisd"] is None
        assert "instance %s: ABI 77, of another version" % ME in ctl("--instance", ME, "version").stdout
        p = ctl("--instance", ME, "detach", ns=box.relay)
        assert p.returncode == 0 and not os.path.exists(folder), p


def test_a_start_that_was_cut_short_can_be_detached(box):
    for maps in ({}, {"clients": bytes(64), "own": bytes(8)}):
        with pinned(ME, **maps) as folder:
            assert ctl("--instance", ME, "detach", ns=box.relay).returncode == 0 and not os.path.exists(folder)


@pytest.fixture
def relay(box):
    """With a TUN name of its own: instances of other namespaces share /sys/fs/bpf, and a name is left to who has it."""
    with Navalis(box, "native", instance=ME, extra="[navalis]\ntun = mine") as made:
        yield made


def routes(box):
    return box.relay.run("ip -6 route show 2001::/32").stdout


def test_version_of_a_running_instance(relay):
    version = relay.json("version")
    assert version["instance"] == {"name": ME, "abi": version["abi"], "alive": True} and version["navalisd"] == version["navalisctl"]
    assert relay.ctl("version").stdout.splitlines()[1].endswith(", running")
    relay.stop()
    assert relay.json("version")["instance"]["alive"] is False


def test_detach_leaves_another_instances_routes_alone(box, relay):
    before = routes(box)
    assert "dev mine" in before and "blackhole" in before
    with pinned(ME + "b"):
        assert relay.ctl("--instance", ME + "b", "detach").stdout == "removed folder /sys/fs/bpf/%sb\n" % ME
    with pinned(ME + "b", meta=meta(77)):
        relay.ctl("--instance", ME + "b", "detach")
    assert routes(box) == before and "mine" in box.relay.run("ip -o link").stdout


def test_detach_does_not_take_a_hung_daemon_for_a_dead_one(box, relay):
    relay.process.send_signal(19)
    try:
        wait_for("it counts as dead", lambda: not relay.json("version")["instance"]["alive"])
        p = relay.ctl("detach", check=False)
        assert p.returncode == 1 and "gives no sign of life: stop it first" in p.stderr
        assert "prog/xdp" in box.relay.run("ip link show dev v4").stdout
    finally:
        relay.process.send_signal(18)


def test_the_tun_of_another_version_goes_with_it(box, relay):
    relay.stop()
    folder = "/sys/fs/bpf/" + ME
    os.unlink(folder + "/meta")
    pin(folder, "meta", meta(77))
    assert relay.ctl("detach", "--json").returncode == 0
    assert routes(box) == "" and "mine" not in box.relay.run("ip -o link").stdout
    assert not os.path.exists(folder) and "xdp" not in box.relay.run("ip link").stdout


def test_detach_from_another_namespace_leaves_its_network_alone(box, relay):
    """Pins are seen from everywhere; a TUN of that name and a route there are another relay's."""
    relay.stop()
    folder = "/sys/fs/bpf/" + ME
    there = box.inet  # with a device and a route that look like ours
    there.run("ip tuntap add mine mode tun")
    there.run("ip link set mine up")
    there.run("ip -6 route add 2001::/32 dev mine proto 110 metric 1024")
    before = there.run("ip -6 route show 2001::/32").stdout
    try:
        for args in (["detach"], ["detach", "--dry-run"]):
            p = ctl("--instance", ME, *args, ns=there)
            assert p.returncode == 1 and "the network of instance %s is another namespace" % ME in p.stderr
        assert os.path.exists(folder) and routes(box)
        assert relay.json("detach", "--dry-run")["removed"] == [] and os.path.exists(folder)
        run = [os.path.join(os.path.dirname(BUILD), "scripts/detach-all"), BUILD + "/navalisctl"]
        p = there.run(run, check=False)
        assert p.returncode == 1 and os.path.exists(folder)
        p = ctl("--instance", ME, "detach", "--force", ns=there)
        assert p.returncode == 0 and not os.path.exists(folder) and "TUN device mine, routes and neighbours stay" in p.stderr, p
        assert there.run("ip -6 route show 2001::/32").stdout == before and "mine" in there.run("ip -o link").stdout
        assert "mine" in box.relay.run("ip -o link").stdout and "prog/xdp" not in box.relay.run("ip link").stdout
    finally:
        there.run("ip link del mine")
        box.relay.run(["sh", "-c", "ip link del mine; ip -6 route flush 2001::/32"], check=False)


def test_detach_all_stops_before_it_begins(box, relay, tmp_path):
    """No instance is detached while another runs, whichever is looked at first."""
    path = tmp_path / "ctl"  # only these two: others on this machine are not the test's
    path.write_text("#!/bin/sh\ncase $2 in %s*) exec %s/navalisctl \"$@\";; esac\n" % (ME, BUILD))
    path.chmod(0o755)
    run = [os.path.join(os.path.dirname(BUILD), "scripts/detach-all"), str(path)]
    with pinned(ME + "-", meta=meta(77)) as first:
        p = box.relay.run(run, check=False)
        assert p.returncode == 1 and "navalisd of instance %s is running: stop it first" % ME in p.stderr
        assert os.path.exists(first + "/meta")
        relay.stop()
        # one of another version says nothing, but holds its lock
        lock = "/run/navalis/%sz.lock" % ME
        with pinned(ME + "z", meta=meta(77)), open(lock, "w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            p = box.relay.run(run, check=False)
            assert p.returncode == 1 and "navalisd of instance %sz is running and gives no sign of life: stop it first" % ME in p.stderr
            assert os.path.exists(first + "/meta") and os.path.exists("/sys/fs/bpf/" + ME)
            fcntl.flock(held, fcntl.LOCK_UN)
            assert box.relay.run(run).returncode == 0
        assert not [n for n in os.listdir("/sys/fs/bpf") + os.listdir("/run/navalis") if n.startswith(ME)]


def test_detach_all_says_nothing_of_what_is_no_instance():
    for inside in ("true", "mkdir /sys/fs/bpf/of-a-name-that-is-too-long"):
        p = subprocess.run(["unshare", "--mount", "bash", "-ec", "mount -t bpf bpf /sys/fs/bpf; %s; exec scripts/detach-all %s/navalisctl" % (inside, BUILD)],
                           cwd=os.path.dirname(BUILD), capture_output=True, text=True)
        assert (p.returncode, p.stdout, p.stderr) == (0, "", "")


def test_detach_all_fails_where_it_may_not_look():
    script = open(os.path.join(os.path.dirname(BUILD), "scripts/detach-all"))
    with script, pinned(ME + "q", meta=meta(77)) as folder:
        p = subprocess.run(["setpriv", "--reuid=65534", "--clear-groups", "bash", "-s", BUILD + "/navalisctl"], stdin=script,
                           cwd=os.path.dirname(BUILD), capture_output=True, text=True)
        assert p.returncode == 1 and "no right to look into /sys/fs/bpf/" in p.stderr and os.path.exists(folder)


def test_detach_all_takes_a_start_that_was_cut_short(box, tmp_path):
    """Known by its lock: others may have empty folders, and maps with such names."""
    path = tmp_path / "ctl"
    path.write_text("#!/bin/sh\ncase $2 in %s*) exec %s/navalisctl \"$@\";; esac\n" % (ME, BUILD))
    path.chmod(0o755)
    names = [ME + end for end in "abcde"]
    with pinned(names[0]), pinned(names[1], clients=bytes(8)), pinned(names[2], theirs=bytes(8)), pinned(names[3]), pinned(names[4], counters=bytes(8)):
        for name in names[:3]:
            open("/run/navalis/%s.lock" % name, "w").close()
        try:
            p = box.relay.run([os.path.join(os.path.dirname(BUILD), "scripts/detach-all"), str(path)])
            assert [os.path.exists("/sys/fs/bpf/" + name) for name in names] == [False, False, True, True, True]
            assert "is no instance of navalis: it holds «theirs», and stays" in p.stderr
        finally:
            for name in names[:3]:
                pathlib.Path("/run/navalis/%s.lock" % name).unlink(missing_ok=True)

# SPDX-License-Identifier: GPL-2.0-or-later
"""make install and make uninstall on a whole machine: one with file systems of its own, so that no other is touched."""
import os
import shutil
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../netns"))
from lab import ROOT, Lab, missing, wait_for  # noqa: E402

pytestmark = pytest.mark.skipif(missing() is not None, reason=str(missing()))
B = os.environ.get("B", "build")


class Machine:
    """
    The relay of a laboratory with its own /usr/local, /etc, /run and BPF file system. With nothing of
    systemd's in /run, systemctl works on /etc itself, and does not ask the real machine's.
    """

    def __init__(self, lab, tmp):
        self.lab = lab
        shutil.copytree("/etc", tmp + "/etc", symlinks=True, ignore_dangling_symlinks=True)
        shutil.rmtree(tmp + "/etc/navalis", ignore_errors=True)
        self.process = subprocess.Popen(["unshare", "--mount", "bash", "-ec", """
            mount --bind $0/etc /etc
            mount -t tmpfs none /usr/local
            mount -t tmpfs none /run
            mount -t bpf none /sys/fs/bpf
            echo ready
            exec sleep infinity""", tmp], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n"

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.process.kill()
        self.process.wait()

    def command(self, *args):
        pid = self.process.pid  # its root, too: this may run in a chroot, and what is around that is not its
        return ["nsenter", "--mount=/proc/%d/ns/mnt" % pid, "--root=/proc/%d/root" % pid, "--wd=" + ROOT, *args]

    def run(self, *args):
        return self.lab.relay.run(self.command(*args), check=False)

    def make(self, target):
        return self.run("make", "-s", "B=" + B, "PREFIX=/usr/local", target)


def links(tmp):
    """What systemctl enable has made."""
    return sorted((tmp / "etc/systemd").rglob("*navalis*"))


def test_install_run_uninstall(tmp_path):
    with Lab((), server=False) as lab, Machine(lab, str(tmp_path)) as machine:
        box = lab.relay
        assert machine.make("install").returncode == 0
        p = machine.run("/usr/local/sbin/navalisd")
        assert p.returncode == 1 and "service is missing" in p.stderr  # the sample is not yet a relay
        conf = machine.run("cat", "/etc/navalis/navalis.conf").stdout
        conf = conf.replace("#interfaces = enp1s0f0 enp1s0f1", "interfaces = v4 v6").replace("#service = 192.0.2.1", "service = 8.0.2.1")
        (tmp_path / "etc/navalis/navalis.conf").write_text(conf)
        for unit in ("navalisd", "navalisd@second"):
            assert machine.run("systemctl", "enable", unit).returncode == 0
        assert len(links(tmp_path)) == 2
        daemon = lab.start(box, machine.command("/usr/local/sbin/navalisd"), "installed")
        wait_for("it runs", lambda: "ready: " in lab.log("installed") or daemon.poll() is not None)
        assert machine.run("/usr/local/bin/navalisctl", "version").stdout.endswith(", running\n"), lab.log("installed")
        assert "prog/xdp" in box.run("ip link show dev v4").stdout

        p = machine.make("uninstall")
        assert p.returncode != 0 and "navalisd of instance navalis is running: stop it first" in p.stderr
        assert machine.run("/usr/local/sbin/navalisd", "--check-config").returncode == 0  # nothing is gone
        assert "prog/xdp" in box.run("ip link show dev v4").stdout and len(links(tmp_path)) == 2

        lab.stop(daemon)
        assert "prog/xdp" in box.run("ip link show dev v4").stdout  # proven clients are forwarded on
        # what the unit makes before a start that fails, and what is nobody's business
        with open(tmp_path / "etc/passwd", "a") as f:
            f.write("navalis:x:993:993::/:/usr/sbin/nologin\n")
        machine.run("install", "-d", "-o", "navalis", "/sys/fs/bpf/second")
        machine.run("mkdir", "/sys/fs/bpf/other")
        p = machine.make("uninstall")
        assert p.returncode == 0 and "kept: /etc/navalis/navalis.conf, which is yours" in p.stdout, p
        assert "xdp" not in box.run("ip link").stdout and "teredo" not in box.run("ip -o link").stdout
        assert "2001::/32" not in box.run("ip -6 route").stdout and "managed" not in box.run("ip neigh").stdout
        assert machine.run("find", "/usr/local", "/run", "!", "-type", "d").stdout == "" and links(tmp_path) == []
        assert machine.run("find", "/run/navalis").returncode == 1
        assert machine.run("find", "/sys/fs/bpf", "-mindepth", "1", "-type", "d").stdout == "/sys/fs/bpf/other\n"
        assert machine.run("find", "/etc/navalis", "-type", "f").stdout == "/etc/navalis/navalis.conf\n"

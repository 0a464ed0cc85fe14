# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs inside the machine, whose first process is systemd: the unit, started for real."""
import json
import os
import re
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "../netns"), os.path.join(HERE, "../pkts")]
from pinned import Table  # noqa: E402


def run(cmd, check=True):
    p = subprocess.run(cmd, shell=True, capture_output=True, text=True)
    if check and p.returncode:
        raise RuntimeError("%s: %s\n%s" % (cmd, p.stderr or p.stdout, run("journalctl -o cat -u navalisd | tail -20", False)))
    return p.stdout


def show(*names):
    out = run("systemctl show navalisd " + " ".join("-p " + n for n in names))
    return dict(l.split("=", 1) for l in out.splitlines())


def status():
    return json.loads(run("navalisctl status --no-rates --json", False))


def wait(what, condition, seconds=300):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(what + "\n" + run("journalctl -o cat -u navalisd | tail -20", False))
        time.sleep(0.2)


def configure(text):
    with open("/etc/navalis/navalis.conf", "w") as f:
        f.write(text)


GOOD = "[navalis]\ninterfaces = eth0 eth1\nmode = native\n[teredo]\nservice = 8.0.2.1:3545\n"


def drop_in(unit, section, **names):
    """The one that navalisd(8) has in this section."""
    with open("/usr/share/man/man8/navalisd.8") as f:
        text = re.search(r"^\.S[sh] %s$.*?^\.Bd .*?\n(.*?)^\.Ed$" % section, f.read(), re.M | re.S)[1]
    for name, value in names.items():
        text = text.replace(name, value)
    os.makedirs("/etc/systemd/system/%s.service.d" % unit)
    with open("/etc/systemd/system/%s.service.d/test.conf" % unit, "w") as f:
        f.write(text)
    run("systemctl daemon-reload")


def dispatcher():
    """Beside another program: not as the unit is, but with the drop-in of navalisd(8)."""
    run("xdp-filter load eth0 -m native -f tcp")
    configure(GOOD.replace("[teredo]", "dispatcher = yes\n[teredo]"))
    subprocess.run("systemctl start navalisd", shell=True, capture_output=True)
    wait("the sentence", lambda: "no dispatcher: libxdp needs CAP_SYS_ADMIN" in run("journalctl -o cat -u navalisd"))
    run("systemctl stop navalisd")
    drop_in("navalisd", "PRIVILEGES")
    for _ in range(2):  # the second takes over from the first
        run("systemctl start navalisd")
        assert [(n["mode"], n["shared"]) for n in status()["nics"]] == [("native", True)] * 2
        both = run("xdp-loader status eth0")
        assert both.count(" navalis ") == 1 and "xdpfilt" in both, both
        run("systemctl reload navalisd")
        with open("/proc/%s/status" % show("MainPID")["MainPID"]) as f:
            assert int(re.search(r"CapEff:\t(\w+)", f.read())[1], 16) == 1 << 39 | 1 << 12 | 1 << 38 | 1 << 21
        assert "navalis" in run("stat -c %G /run/navalis/navalis.sock")
        run("systemctl stop navalisd")
    run("navalisctl detach")
    assert " navalis " not in run("xdp-loader status eth0") and "xdpfilt" in run("xdp-loader status eth0")
    run("xdp-filter unload eth0")
    print("dispatcher: good")


def main():
    run("cp -a installed/* / && systemd-sysusers && systemctl daemon-reload")
    run("chmod 666 /dev/net/tun")  # as udev makes it, which is not installed here
    for key in ("net.ipv4.conf.all.forwarding", "net.ipv6.conf.all.forwarding", "net.ipv4.conf.default.forwarding"):
        run("sysctl -qw %s=1" % key)
    run("ip link set eth0 up; ip link set eth1 up; ip addr add 8.0.2.1/24 dev eth0; ip -6 addr add 2a00:1::1/64 dev eth1 nodad")

    # a configuration that is no good: the sentence is in the journal, and nothing was touched
    configure(GOOD.replace("service", "sevrice"))
    subprocess.run("systemctl start navalisd", shell=True, capture_output=True)
    wait("the sentence", lambda: "no key «sevrice» in [teredo]: did you mean «service»?" in run("journalctl -o cat -u navalisd"))
    run("systemctl stop navalisd")
    assert "prog/xdp" not in run("ip link")

    configure(GOOD)
    run("systemctl start navalisd")  # returns when the daemon says READY
    pid = int(show("MainPID")["MainPID"])
    with open("/proc/%d/status" % pid) as f:
        proc = f.read()
    print(show("ActiveState", "SubState", "StatusText", "User"))
    assert show("ActiveState", "User", "NotifyAccess") == {"ActiveState": "active", "User": "navalis", "NotifyAccess": "main"}
    uid = re.search(r"Uid:\t(\d+)", proc)[1]
    assert uid != "0" and uid == run("id -u navalis").strip()
    # CAP_NET_RAW, with which the socket of protocol 41 is opened, is gone by now, and NoNewPrivileges keeps it away
    for name, more in ("CapPrm", 0), ("CapEff", 0), ("CapBnd", 1 << 13):
        assert int(re.search(name + r":\t(\w+)", proc)[1], 16) == 1 << 39 | 1 << 12 | 1 << 38 | more, proc
    assert status()["daemon"]["alive"] and [n["mode"] for n in status()["nics"]] == ["native", "native"]
    assert os.stat("/run/navalis/navalis.sock").st_mode & 0o777 == 0o660
    assert os.stat("/sys/fs/bpf/navalis").st_mode & 0o777 == 0o700

    # reload, by systemctl: it says when it is refused
    configure(GOOD + "new_clients_per_second = 7\n")
    run("systemctl reload navalisd")
    assert "reloaded: 1 key changed: " in run("journalctl -o cat -u navalisd")
    configure(GOOD + "nonsense = 1\n")
    assert subprocess.run("systemctl reload navalisd", shell=True, capture_output=True).returncode
    assert status()["config"]["refused_ms"] is not None and status()["daemon"]["alive"]
    configure(GOOD)

    # stop leaves the program; start takes over the table
    table = Table("navalis")
    table.fill(1000)
    table.hear(600)  # to stop and to start may take more than their life here
    run("systemctl stop navalisd")
    assert run("ip link").count("prog/xdp") == 2
    assert not status()["daemon"]["alive"] and status()["clients"]["live"] == 1000
    run("systemctl start navalisd")
    assert status()["clients"]["live"] == 1000 and status()["daemon"]["alive"]

    # a daemon that hangs is replaced
    pid = int(show("MainPID")["MainPID"])
    os.kill(pid, 19)
    wait("the watchdog", lambda: int(show("MainPID")["MainPID"]) not in (0, pid) and status()["daemon"]["alive"])
    assert show("NRestarts")["NRestarts"] == "1"
    assert "Watchdog timeout" in run("journalctl -u navalisd")

    # a second instance by the template, on another service port and TUN; it is told why it cannot run beside the first
    with open("/etc/navalis/second.conf", "w") as f:
        f.write("[navalis]\nmode = off\ntun = six\n[teredo]\nservice = 8.0.2.1:3600\n")
    subprocess.run("systemctl start navalisd@second", shell=True, capture_output=True)
    wait("the other instance", lambda: "2001::/32 leads to teredo already" in run("journalctl -o cat -u navalisd@second"))
    run("systemctl stop navalisd@second && navalisctl --instance second detach")
    # and in a network namespace of its own it does
    drop_in("navalisd@second", "Several instances", INSTANCE="second")
    run("ip netns add second")
    within = "nsenter --net=/run/netns/second "
    for key in ("ipv4", "ipv6"):
        run(within + "sysctl -qw net.%s.conf.all.forwarding=1" % key)
    run(within + "ip link set lo up && " + within + "ip addr add 8.0.2.1/32 dev lo")
    run("systemctl start navalisd@second")
    for instance in ("navalis", "second"):
        assert json.loads(run("navalisctl --instance %s status --json --no-rates" % instance))["daemon"]["alive"]
    assert "dev six" in run(within + "ip -6 route show 2001::/32") and "dev teredo" in run("ip -6 route show 2001::/32")
    run("systemctl reload navalisd@second")
    assert "reloaded: 0 keys changed" in run("journalctl -o cat -u navalisd@second")
    run("systemctl stop navalisd@second && %s navalisctl --instance second detach" % within)
    assert "2001::/32" not in run(within + "ip -6 route") and status()["daemon"]["alive"]
    run("systemctl stop navalisd && navalisctl detach")

    exposure = run("systemd-analyze security navalisd --no-pager | tail -1").strip()
    print(exposure)
    assert float(re.search(r"(\d+\.\d+)", exposure)[1]) <= 2.0, run("systemd-analyze security navalisd --no-pager")
    if os.uname().release.startswith("6.1."):  # the only one that Debian's libxdp fits
        dispatcher()
    assert not os.path.exists("/sys/fs/bpf/navalis") and "teredo" not in run("ip link")
    print("systemd: good")


if __name__ == "__main__":
    main()

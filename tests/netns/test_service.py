# SPDX-License-Identifier: GPL-2.0-or-later
"""navalisctl with no daemon, with many clients, at an uninstall; and the daemon as another user."""
import json
import os
import re
import shutil
import struct
import subprocess
import threading

import pytest

from lab import BUILD, ROOT, Navalis, fresh_native
from pinned import BUCKET_CLIENTS, Table, table_places

HARDENED = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all,+bpf,+net_admin,+perfmon",
            "--ambient-caps=-all,+bpf,+net_admin,+perfmon", "--bounding-set=-all,+bpf,+net_admin,+perfmon"]


def test_orders_without_a_daemon_are_3_and_without_an_instance_4(lab):
    with Navalis(lab, "off", instance="nvtb%d" % os.getpid()) as relay:
        relay.stop(9)
        for verb in ("reload", "pending", "flush --all"):
            p = relay.ctl(*verb.split(), check=False)
            assert p.returncode == 3 and "no navalisd runs as instance" in p.stderr
        for verb in ("status", "clients", "stats", "drops"):
            p = relay.ctl("--instance", "nothere", verb, check=False)
            assert p.returncode == 4 and "no instance nothere on this host" in p.stderr
        for verb in ("clients", "stats", "drops"):
            assert relay.ctl(verb, check=False).returncode == 0
        relay.detach()
        assert not os.path.exists("/run/navalis/%s.sock" % relay.instance)


def test_many_clients_are_streamed(lab):
    with Navalis(lab, "off", instance="nvtb%d" % os.getpid()) as relay:
        made = Table(relay.instance).fill(50000)
        assert len(relay.json("clients")["clients"]) == 50000
        assert sorted(relay.ctl("clients", "--sort", "address", "state").stdout.split()[::2]) == sorted(made)
        for one in made[::5000]:
            assert [c["address"] for c in relay.json("clients", "--client", one)["clients"]] == [one]
        # in memory that would not hold them all; sorting says what it lacks
        little = ["prlimit", "--data=2000000", BUILD + "/navalisctl", "--instance", relay.instance, "clients", "--json"]
        assert len(json.loads(lab.relay.run(little).stdout)["clients"]) == 50000
        p = lab.relay.run(little + ["--sort", "age"], check=False)
        assert p.returncode == 1 and "not enough memory to sort" in json.loads(p.stdout)["error"]["message"]


def test_one_client_is_looked_up_by_its_hash(lab):
    """One that lies in none of its buckets is in the list, but is not found: the table is not read through."""
    with Navalis(lab, "off", instance="nvtb%d" % os.getpid()) as relay:
        table = Table(relay.instance)
        relay.stop()  # it would bring home the one that is astray
        astray = "2001:0:800:101:0:fbff:f6ff:fefd"
        b = next(b for b in range(4) if b not in table_places(table.seed, astray, table.buckets))
        table.put(b * BUCKET_CLIENTS, astray, table.stamp())
        assert [c["address"] for c in relay.json("clients")["clients"]] == [astray]
        assert relay.json("clients", "--client", astray)["error"]["code"] == 4


def test_a_client_that_is_looked_up_is_that_client(lab):
    """While the slot where it would be first is given to it, to nobody, to another one, and to nobody again."""
    with Navalis(lab, "off", instance="nvtb%d" % os.getpid()) as relay:
        table, one, other = Table(relay.instance), "2001:0:800:101:0:fbff:f6ff:fefd", "2001:0:800:101:0:fbfe:f6ff:fefd"
        first, _, second = (b * BUCKET_CLIENTS for b in table_places(table.seed, one, table.buckets))
        assert first != second
        relay.stop()  # it would bring home the one that is not there
        table.put(second + 3, one, table.stamp())
        stop = threading.Event()

        def switch():
            while not stop.is_set():
                table.put(second + 3, one, table.stamp())  # or it ages, where all of this takes long
                for a, ahead in (one, 0), (other, -500):
                    table.put(first, a, table.stamp(ahead))
                    table.clear(first)
        switcher = threading.Thread(target=switch)
        switcher.start()
        try:
            for _ in range(200):
                assert relay.ctl("clients", "--client", one, "state").stdout == "%s\tlive\n" % one
        finally:
            stop.set()
            switcher.join()


def test_uninstall_detaches_every_instance_that_nobody_runs(lab):
    with Navalis(lab, "native", instance="nvtb%d" % os.getpid()) as relay:
        run = [ROOT + "/scripts/detach-all", "/dev/stdin"]
        # only this instance: others of this machine are not the test's
        wrapper = "#!/bin/bash\n[ \"$2\" = %s ] || exit 0\nexec %s/navalisctl \"$@\"\n" % (relay.instance, BUILD)
        path = os.path.join(lab.dir, "ctl")
        with open(path, "w") as f:
            f.write(wrapper)
        os.chmod(path, 0o755)
        run[1] = path
        p = lab.relay.run(run, check=False)
        assert p.returncode == 1 and "is running: stop it first" in p.stderr
        relay.stop()
        assert lab.relay.run(run).returncode == 0
        assert not os.path.exists("/sys/fs/bpf/" + relay.instance) and "xdp" not in lab.relay.run("ip link").stdout


RAW = [w.replace("+perfmon", "+perfmon,+net_raw") for w in HARDENED]


@pytest.fixture
def open_to_all(lab):
    """What the unit and udev see to, for a daemon that is not root."""
    os.makedirs("/run/navalis", exist_ok=True)
    modes = {p: os.stat(p).st_mode & 0o7777 for p in ("/sys/fs/bpf", "/run/navalis", "/dev/net/tun")}
    os.chmod("/sys/fs/bpf", modes["/sys/fs/bpf"] | 0o111)
    os.chmod("/run/navalis", 0o1777)
    os.chmod("/dev/net/tun", 0o666)
    os.chmod(lab.dir, 0o755)
    yield shutil.copy(BUILD + "/navalisd", lab.dir + "/copy")  # the way to the build may be closed, as /root is
    for path, mode in modes.items():
        os.chmod(path, mode)


def test_pins_of_another_user_are_never_replaced(lab, open_to_all):
    """Once by hand as root, then by the unit, and back: whoever cannot open the table leaves it as it is."""
    instance = "nvtd%d" % os.getpid()
    folder, lock = "/sys/fs/bpf/" + instance, "/run/navalis/%s.lock" % instance
    c, native = lab.clients[0], fresh_native()
    with Navalis(lab, "native", instance=instance) as relay:
        assert lab.native.ping(c.address, src=native)[1] == 1
        Table(instance).fill(100)

        def live():
            return relay.json("status", "--no-rates")["clients"]["live"]
        before = live()
        assert before >= 100
        relay.stop()
        for path in (folder, lock):
            os.chown(path, 65534, 65534)
        relay.wrap = HARDENED
        with pytest.raises(RuntimeError, match="cannot be opened: Permission denied .it belongs to another user: chown -R"):
            relay.start(open_to_all)
        assert live() == before
        subprocess.run(["chown", "-R", "65534:65534", folder], check=True)  # as the unit does it
        relay.start(open_to_all)
        assert live() == before and lab.native.ping(c.address, src=native)[1] == 1
        relay.stop()
        relay.wrap = []
        relay.start()  # root takes what it needs
        assert live() == before and lab.native.ping(c.address, src=native)[1] == 1
        assert {os.stat(os.path.join(folder, f)).st_uid for f in [".", *os.listdir(folder)]} == {0}


def test_unprivileged_daemon_with_three_capabilities(lab, open_to_all):
    """As the unit runs it: another user, who owns the folder of pins and /run/navalis is open to him."""
    instance = "nvtc%d" % os.getpid()
    folder = "/sys/fs/bpf/" + instance
    os.mkdir(folder, 0o700)
    os.chown(folder, 65534, 65534)
    relay = Navalis(lab, "native", instance=instance, start=False)
    relay.wrap = HARDENED
    with relay:
        c, native = lab.clients[0], fresh_native()
        for _ in range(2):
            relay.start(open_to_all)
            with open("/proc/%d/status" % relay.process.pid) as f:
                status = f.read()
            assert re.search(r"Uid:\t65534\t65534", status) and "CapEff:\t000000c000001000" in status
            assert lab.native.ping(c.address, src=native, count=2)[1] == 2
            assert relay.json("clients")["clients"]
            # an attach that fails is undone, with no CAP_SYS_ADMIN to look for the old program
            with open(relay.conf) as f:
                good = f.read()
            with open(relay.conf, "w") as f:
                f.write(good.replace("interfaces = v4 v6", "interfaces = v4 v6 lo"))
            assert relay.ctl("reload", check=False).returncode == 1
            with open(relay.conf, "w") as f:
                f.write(good.replace("mode = native", "mode = generic"))
            assert relay.ctl("reload").returncode == 0
            with open(relay.conf, "w") as f:
                f.write(good)
            assert relay.ctl("reload").returncode == 0
            assert lab.native.ping(c.address, src=native, count=2)[1] == 2
            relay.stop()


def test_the_raw_socket_of_protocol_41_is_all_that_cap_net_raw_is_for(lab, open_to_all):
    """It is dropped as soon as that is open, so that a reload cannot use it, and need not."""
    instance = "nvts%d" % os.getpid()
    folder = "/sys/fs/bpf/" + instance
    os.mkdir(folder, 0o700)
    os.chown(folder, 65534, 65534)
    relay = Navalis(lab, "off", instance=instance, start=False, extra="[6to4]\nlocal = 8.0.2.1\n")
    with relay:
        relay.wrap = HARDENED
        with pytest.raises(RuntimeError, match="CAP_NET_RAW is missing, which opens the socket of 6to4"):
            relay.start(open_to_all)
        assert "2002::/16" not in lab.relay.run("ip -6 route").stdout
        relay.wrap = RAW
        relay.start(open_to_all)
        with open("/proc/%d/status" % relay.process.pid) as f:
            assert "CapEff:\t000000c000001000" in f.read()
        with open(relay.conf, "a") as f:
            f.write("mtu = 1300\n")
        assert relay.ctl("reload").returncode == 0
        assert "mtu lock 1300" in lab.relay.run("ip -6 route show 2002::/16").stdout

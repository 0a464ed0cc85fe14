# SPDX-License-Identifier: GPL-2.0-or-later
"""Reload, upgrade, stop, restart, several instances: what is proven is never lost on the way."""
import contextlib
import itertools
import json
import os
import re
import signal
import socket
import subprocess
import time

import pytest

from counted import hits
from lab import BUILD, ROOT, SERVICE, Lab, Navalis, awake, first, fresh_native, wait_for
from pinned import Table
from test_kill import NO_CAPS

CLIENTS, PPS = 200, 10000


def ask(relay, request, timeout=60):
    """One request over the control socket, past navalisctl."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(timeout)
        s.connect("/run/navalis/%s.sock" % relay.instance)
        s.sendall((request if isinstance(request, str) else json.dumps(request)).encode() + b"\n")
        return json.loads(b"".join(iter(lambda: s.recv(65536), b"")))


def configuration(relay):
    with open(relay.conf) as f:
        return f.read()


def write(relay, text):
    with open(relay.conf, "w") as f:
        f.write(text)


@pytest.fixture
def relay(lab):
    with Navalis(lab, "native", instance="nvl%d" % os.getpid()) as made:
        yield made
        hits(made)


@contextlib.contextmanager
def under_load(lab, relay):
    """A crowd of proven clients and a native host that number their packets; yields a list for the result."""
    crowd = getattr(lab, "crowd2", None) or lab.public("crowd2", 91)
    result = []
    load = subprocess.Popen([BUILD + "/tests/netns/peers", crowd.path, lab.native.path, "8.0.101.1", "8.0.1.1",
                             "%s:%d" % SERVICE, fresh_native(), str(CLIENTS), str(PPS)],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert load.stdout.readline() == "proven\n"
        yield result
    finally:
        load.stdin.close()
    result.append(json.loads(load.stdout.read()))
    load.wait()
    for way in result[0].values():
        assert way["sent"] > 1000
        assert way["got"] == way["sent"] and way["doubled"] == way["wrong"] == 0, result


def footprint(relay):
    pid = relay.process.pid
    with open("/proc/%d/status" % pid) as f:
        rss = next(int(l.split()[1]) for l in f if l.startswith("VmRSS"))
    return rss, len(os.listdir("/proc/%d/fd" % pid))


def bpftool(*args):
    return subprocess.run(["bpftool", *args], check=True, capture_output=True, text=True).stdout


def programs(relay):
    """How many there are that use this relay's table."""
    table = json.loads(bpftool("-j", "map", "show", "pinned", "/sys/fs/bpf/%s/clients" % relay.instance))["id"]
    return sum(table in p.get("map_ids", ()) for p in json.loads(bpftool("-j", "prog", "list")))


RELOADS = int(os.environ.get("RELOADS", 1000))


def test_a_thousand_reloads_under_load_lose_nothing(lab, relay):
    """Valid ones that change the program, valid ones that do not, broken and half-written files."""
    write(relay, configuration(relay) + NO_CAPS)
    assert "result" in ask(relay, {"verb": "reload"})
    good = configuration(relay)
    variants = itertools.cycle([
        (good + "refuse = 8.9.0.0/16\n".replace("refuse", "[navalis]\nrefuse"), True), (good, True),
        (good + "[navalis]\nunreachables_per_second = 7\n", True), (good + "nonsense = 1\n", False),
        (good[:len(good) * 2 // 3], False), (good[:-1], False), ("", False),
        (good.replace("max_clients", "#").replace("service = 8.0.2.1:3545", "service = 8.0.2.1:3546"), False)])
    with under_load(lab, relay) as result:
        for i in range(40):
            text, valid = next(variants)
            write(relay, text)
            assert ("result" in ask(relay, {"verb": "reload"})) == valid
        before = footprint(relay), programs(relay)
        for i in range(RELOADS - 40):
            text, valid = next(variants)
            write(relay, text)
            assert ("result" in ask(relay, {"verb": "reload"})) == valid, text
        after = footprint(relay), programs(relay)
    write(relay, good)
    print("\n%d reloads: %s; RSS %d -> %d kB, descriptors %d -> %d" % (
        RELOADS, result[0], before[0][0], after[0][0], before[0][1], after[0][1]))
    assert after[0][1] == before[0][1] and after[1] == before[1]
    assert after[0][0] <= before[0][0] + 512
    assert all(n["balanced"] for n in relay.json("status", "--no-rates")["nics"])


def test_reload_is_all_or_nothing(lab, relay):
    c, native = lab.clients[0], fresh_native()
    good = configuration(relay)
    assert lab.native.ping(c.address, src=native)[1] == 1

    def refused(text, why):
        write(relay, text)
        prog = [n["prog_id"] for n in relay.json("status", "--no-rates")["nics"]]
        a = ask(relay, {"verb": "reload"})
        assert why in a["error"]["message"] and a["error"]["code"] == 1
        status = relay.json("status", "--no-rates")
        assert [n["prog_id"] for n in status["nics"]] == prog and status["config"]["refused_ms"] is not None
        assert lab.native.ping(c.address, src=native)[1] == 1
    for key, value in (("max_clients", 128), ("pending", 99), ("queue_bytes", 4096)):
        refused(good + "%s = %d\n" % (key, value), key + " cannot change while running: restart navalisd")
    refused(good.replace("8.0.2.1:3545", "8.0.2.1:3546"), "service cannot change")
    refused(good.replace("interfaces = v4 v6", "interfaces = v4 v9"), "no interface v9 on this host")
    refused(good + "max_client = 3\n", "navalis.conf:%d: no key «max_client»" % (good.count("\n") + 1))
    refused(good + "refuse = 8.0.0.0/8\n", "no key «refuse» in [teredo]")
    # a client whose network is refused from now on is forgotten at once
    write(relay, good.replace("[teredo]", "refuse = %s/32\n[teredo]" % ("8.0.11.1")))
    a = ask(relay, {"verb": "reload"})
    assert a["result"]["changed"] == ["refuse"]
    assert relay.json("clients")["clients"] == []
    before = relay.json("status", "--no-rates")["forwarded"]
    assert lab.native.ping(c.address, src=native, wait=0.3)[1] == 0
    assert relay.json("status", "--no-rates")["forwarded"] == before
    # and SIGHUP does the same
    write(relay, good.replace("mode = native", "mode = generic"))
    relay.process.send_signal(signal.SIGHUP)
    wait_for("generic mode", lambda: {n["mode"] for n in relay.json("status", "--no-rates")["nics"]} == {"generic"})
    assert lab.native.ping(c.address, src=fresh_native())[1] == 1
    assert "reloaded: 2 keys changed: mode, refuse\n" in lab.log("navalisd")


def test_a_reload_that_changes_much_names_the_first_of_it(lab):
    tunnel = "[6in4 t%d]\nlocal = 8.0.2.1\nremote = 9.9.9.%d\nprefixes = 2a00:9:%x::/48\nmtu = %d\n"
    with Navalis(lab, "off", instance="nvl%d" % os.getpid(), start=False) as relay:
        good = configuration(relay)
        write(relay, good + "".join(tunnel % (i, i, i, 1280) for i in range(1, 101)))
        relay.start()
        write(relay, good + "".join(tunnel % (i, i, i, 1480) for i in range(1, 101)))
        changed = ask(relay, {"verb": "reload"})["result"]["changed"]
        assert changed == ["6in4 t%d: mtu" % i for i in range(1, 65)] + ["and 36 more"]
        assert "reloaded: 100 keys changed: 6in4 t1: mtu, 6in4 t2: mtu, 6in4 t3: mtu, 6in4 t4: mtu …\n" in lab.log("navalisd")


def test_a_reload_follows_a_link(lab):
    """As it is switched from one set of files to another in one step."""
    with Navalis(lab, "off", instance="nvl%d" % os.getpid(), start=False) as relay:
        link, one, two = relay.conf, relay.conf + ".1", relay.conf + ".2"
        os.rename(link, one)
        with open(one) as f, open(two, "w") as g:
            g.write(f.read() + "[navalis]\nunreachables_per_second = 7\n")
        try:
            for relay.conf in (link, os.path.relpath(link)):
                os.symlink(one, link)
                relay.start()
                assert ask(relay, {"verb": "reload"})["result"]["changed"] == []
                os.symlink(two, link + ".new")
                os.rename(link + ".new", link)
                assert ask(relay, {"verb": "reload"})["result"]["changed"] == ["unreachables_per_second"]
                relay.stop()
                os.unlink(link)
        finally:
            os.unlink(one)
            os.unlink(two)


def test_the_control_socket(lab, relay):
    path = "/run/navalis/%s.sock" % relay.instance
    assert os.stat(path).st_mode & 0o777 == 0o660
    assert ask(relay, "nonsense")["error"]["code"] == 2
    assert ask(relay, {"verb": "dance"})["error"]["message"] == "verbs are reload, flush, pending, explain and mechanisms"
    assert "too long" in ask(relay, "x" * 5000)["error"]["message"]
    assert "is not understood" in ask(relay, {"verb": "flush"})["error"]["message"]
    for bad in ({"server": "8.0.1"}, {"address": "8.0.1.0/33"}, {"address": "8.0.0.0/+5"}, {"client": "x"}, {"client": "2a00::1"},
                {"everything": True}, {"everything": "8.0.0.0/8"}, *({name: value} for name in ("server", "address", "client")
                for value in (None, 5, True, [], {}, ["8.0.0.0/8"])), *({name: value, "server": "8.0.0.0/8"}
                for name in ("all", "dry_run") for value in (None, "yes", "no", 1, 0, [], {"all": True}))):
        error = ask(relay, {"verb": "flush", **bad})["error"]
        assert (error["code"], error["message"]) == (2, "flush: %s is not understood" % next(iter(bad)))
    assert "filter (there is none: say all)" in ask(relay, {"verb": "flush", "all": False})["error"]["message"]
    for verb in (None, 5, True, ["reload"], {"reload": 1}, "", "reload "):
        assert ask(relay, {"verb": verb})["error"]["message"] == "verbs are reload, flush, pending, explain and mechanisms"
    assert ask(relay, {})["error"]["code"] == ask(relay, [])["error"]["code"] == 2
    # callers that say nothing do not keep others out for long, nor the daemon from its work
    idle = [socket.socket(socket.AF_UNIX) for _ in range(12)]
    for s in idle:
        s.connect(path)
    c = lab.clients[0]
    assert lab.native.ping(c.address, src=fresh_native())[1] == 1

    def answered():
        with contextlib.suppress(OSError, ValueError):
            return "result" in ask(relay, {"verb": "pending"})
    wait_for("patience ends", answered)
    for s in idle:
        s.close()
    # the peer is checked even if the file lets everybody in
    os.chmod(path, 0o666)
    talk = ("import socket; s = socket.socket(socket.AF_UNIX); s.connect(%r); s.send(b'{\"verb\":\"pending\"}\\n'); "
            "print(len(s.recv(99)))" % path)

    def served(*who):
        p = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", *who, "/usr/bin/python3", "-c", talk], capture_output=True, text=True)
        assert int(p.stdout or 0) > 10 or "Broken pipe" in p.stderr or "reset" in p.stderr or p.stdout == "0\n", p
        return int(p.stdout or 0) > 10
    assert not served("--clear-groups") and not served("--groups=65533,65532")
    # a member of the daemon's group beside their own: usermod -aG
    assert served("--groups=65533,%d" % os.getegid())
    p = subprocess.run(["/usr/bin/python3", "-c", talk], capture_output=True, text=True)
    assert int(p.stdout) > 10


def test_flush_and_pending(lab, relay):
    gone = "2001:0:800:101:2000:1234:f7ff:f4fd"
    native = fresh_native()
    for c in lab.clients[:3]:
        assert lab.native.ping(c.address, src=native)[1] == 1
    began = time.monotonic()
    lab.native.ping(gone, src=native, wait=0.1)
    one, = wait_for("it is pending", lambda: ask(relay, {"verb": "pending"})["result"]["pending"])
    assert (one["address"], one["state"], one["kept_bytes"]) == (gone, "probe", 104)
    assert 1 <= one["bubbles"] <= 1 + (time.monotonic() - began) // 2  # one each two seconds
    assert ask(relay, {"verb": "flush", "address": "8.0.11.0/24", "dry_run": True})["result"] == {"flushed": 1, "dry_run": True}
    assert len(relay.json("clients")["clients"]) == 3
    # one client that is asked for by name is to be there, be it as one that has not answered
    assert ask(relay, {"verb": "flush", "client": gone, "dry_run": True})["result"]["flushed"] == 0
    assert ask(relay, {"verb": "flush", "client": gone, "address": "9.0.0.0/8"})["error"]["code"] == 4
    assert ask(relay, {"verb": "flush", "client": gone})["result"]["flushed"] == 0
    assert ask(relay, {"verb": "flush", "client": gone})["error"] == {
        "code": 4, "message": "flush: there is no such client, proven or pending"}
    assert ask(relay, {"verb": "flush", "address": "8.0.11.0/24"})["result"]["flushed"] == 1
    assert ask(relay, {"verb": "flush", "server": "8.0.9.9"})["result"]["flushed"] == 0
    assert ask(relay, {"verb": "flush", "client": lab.clients[1].address})["result"]["flushed"] == 1
    assert [x["address"] for x in relay.json("clients")["clients"]] == [lab.clients[2].address]
    assert ask(relay, {"verb": "flush", "all": True})["result"]["flushed"] == 1
    assert ask(relay, {"verb": "pending"})["result"]["pending"] == []
    assert lab.native.ping(lab.clients[0].address, src=fresh_native())[1] == 1  # punched anew


def links(relay):
    """Link by link, its number: the same as long as no NIC was without a program."""
    folder = "/sys/fs/bpf/" + relay.instance
    return [json.loads(bpftool("-j", "link", "show", "pinned", "%s/%s" % (folder, name)))["id"]
            for name in sorted(os.listdir(folder)) if name.startswith("link_")]


def test_upgrade_in_place_loses_nothing(lab, relay):
    """Another build with the same maps takes the place of the one that runs."""
    other = os.path.join(BUILD, "other-version")
    subprocess.run(["make", "-s", "-C", ROOT, "B=" + os.path.relpath(other, ROOT), "VERSION=9.9", "V=1", "programs"],
                   check=True, capture_output=True)
    write(relay, configuration(relay) + NO_CAPS)
    assert "result" in ask(relay, {"verb": "reload"})
    before = links(relay)
    assert len(before) == 2
    with under_load(lab, relay) as result:
        for program in (other + "/navalisd", None) * 3:
            relay.stop()
            relay.start(program)
            assert relay.json("status", "--no-rates")["daemon"]["version"] == ("9.9" if program else "0.1")
            assert links(relay) == before
    print("\n6 upgrades: %s" % result[0])


def test_maps_of_another_layout_are_refused_and_left_alone(lab, relay):
    c, native = lab.clients[0], fresh_native()
    assert lab.native.ping(c.address, src=native)[1] == 1
    relay.stop()
    folder = "/sys/fs/bpf/" + relay.instance
    before = sorted(os.listdir(folder))
    meta = json.loads(bpftool("-j", "map", "dump", "pinned", folder + "/meta"))[0]["value"]
    other = meta[:4] + ["0x63", "0x00", "0x00", "0x00"] + meta[8:]

    def refused(why):
        with pytest.raises(RuntimeError, match=why):
            relay.start()
        relay.process = None
        assert sorted(os.listdir(folder)) == before
        assert lab.native.ping(c.address, src=native)[1] == 1  # XDP goes on
    key = ["key", "0", "0", "0", "0", "value"]
    bpftool("map", "update", "pinned", folder + "/meta", *key, *other)
    refused(r"of another version \(meta\)")
    bpftool("map", "update", "pinned", folder + "/meta", *key, *meta)
    os.rename(folder + "/own", folder + "/kept")
    before = sorted(os.listdir(folder))
    bpftool("map", "create", folder + "/own", "type", "array", "key", "4", "value", "8", "entries", "1", "name", "own")
    before = sorted(os.listdir(folder))
    refused(r"of another version \(own\)")
    os.unlink(folder + "/own")
    before = sorted(os.listdir(folder))
    refused("is missing in")
    os.rename(folder + "/kept", folder + "/own")
    relay.start()
    assert relay.json("clients")["clients"]


def test_stop_leaves_clients_forwarding_and_says_for_how_long(lab, relay):
    c, native = lab.clients[0], fresh_native()
    assert lab.native.ping(c.address, src=native)[1] == 1
    began = time.monotonic()
    relay.stop()
    stopped = time.monotonic()
    assert lab.native.ping(c.address, src=native, count=10, interval=0.1)[1] == 10
    asked = time.monotonic()
    text = relay.ctl("status", "--no-rates", check=False)
    said = re.search(r"DEAD: nobody home for (\d+\.\d)s; proven clients are forwarded", text.stdout)
    assert text.returncode == 3 and asked - stopped - 0.1 <= float(said[1]) <= time.monotonic() - began + 0.1
    status = relay.json("status", "--no-rates")
    assert asked - stopped <= status["daemon"]["for_ms"] / 1000 + 0.01 and status["daemon"]["for_ms"] / 1000 <= time.monotonic() - began
    assert not os.path.exists("/run/navalis/%s.sock" % relay.instance)


def test_restart_with_65536_clients_is_ready_within_a_second(lab):
    with Navalis(lab, "native", instance="nvl%d" % os.getpid()) as relay:
        relay.stop()
        Table(relay.instance).fill(65536)
        slowest = 0
        for sig in (signal.SIGTERM, signal.SIGKILL, signal.SIGTERM):
            began = awake()
            with first():
                relay.start()
            slowest = max(slowest, awake() - began)
            assert relay.json("status", "--no-rates")["clients"]["live"] == 65536
            relay.stop(sig)
        print("\nslowest restart with 65,536 clients: %.0f ms" % (slowest * 1e3))
        assert slowest < 1


def test_named_instances_side_by_side(lab):
    """Each with a folder, a lock, a socket and a TUN of its own; detach takes away one alone."""
    with Lab(("none",)) as second, Navalis(lab, "native", instance="nvl-a%d" % os.getpid()) as a, \
            Navalis(second, "native", instance="nvl-b%d" % os.getpid(), extra="[navalis]\ntun = six\n", start=False) as b:
        # as the template unit does it: the name is not in the file
        b.args = ["--instance", b.instance]
        good = configuration(b).replace("instance = %s\n" % b.instance, "")
        write(b, good)
        b.start()
        write(b, good + "slow_path_rate = 7000\n")
        assert ask(b, {"verb": "reload"})["result"]["changed"] == ["slow_path_rate"]
        write(b, good + "[navalis]\ninstance = %s\n" % a.instance)
        assert "instance = %s: this is instance %s" % (a.instance, b.instance) in ask(b, {"verb": "reload"})["error"]["message"]
        for where, relay in ((lab, a), (second, b)):
            assert where.native.ping(where.clients[0].address, src=fresh_native())[1] == 1
            assert [c["address"] for c in relay.json("clients")["clients"]] == [where.clients[0].address]
        assert "six" in second.relay.run("ip -6 route show 2001::/32").stdout
        a.stop()
        a.detach()
        assert not os.path.exists("/sys/fs/bpf/" + a.instance)
        assert second.native.ping(second.clients[0].address, src=fresh_native())[1] == 1

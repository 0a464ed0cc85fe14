# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs inside the machine: scripts/pktgen/load in a namespace, against the relay in this one.

One wire: virtio, eth1 and eth0, pktgen on one CPU. Two: veth, one for each side, pktgen on both CPUs.
"""
import os
import re
import signal
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "../netns"), os.path.join(HERE, "../pkts")]
from inside_kernel import BUILD, run  # noqa: E402
from lab import Capture, Ns, wait_for  # noqa: E402
from teredo import Ether, IP, IPv6, UDP, v6  # noqa: E402

LOAD = os.path.join(HERE, "../../scripts/pktgen/load")
CLIENTS = 1024
RATE = 4000  # what the slowest of these machines forwards three times over


class Boxes:
    """The relay, started as `load print` says, and the namespace of the generator."""

    def __init__(self, gen, relay_devs, gen_devs, cpus):
        self.gen, self.relay_devs, self.gen_devs, self.cpus = gen, relay_devs, gen_devs, cpus

    def _print(self, box, devs):
        return run("%s print %s --clients %d %s" % (LOAD, box, CLIENTS, self._nics(devs))).stdout

    @staticmethod
    def _nics(devs):
        return "--dev4 %s --dev6 %s" % (devs[0], devs[-1])

    def __enter__(self):
        run(self._print("relay", self.relay_devs))
        self.gen.run(["bash", "-ec", self._print("generator", self.gen_devs)])
        self.daemon = subprocess.Popen([BUILD + "/navalisd", "--config", "navalis-load.conf"], stderr=subprocess.PIPE, text=True)
        line = ""
        while "ready" not in line:
            line = self.daemon.stderr.readline()
            assert line, "navalisd did not start"
        return self

    def __exit__(self, *exc):
        if exc[0]:
            print(run(BUILD + "/navalisctl drops").stdout)
        self.daemon.terminate()
        self.daemon.wait()
        run(BUILD + "/navalisctl detach")

    def command(self, *args):
        return ["/usr/bin/python3", LOAD, *map(str, args), *self._nics(self.gen_devs).split(), "--clients", str(CLIENTS),
                "--prove-rate", "1000", "--cpus", self.cpus]

    def load(self, *args):
        p = self.gen.run(self.command(*args), check=False)
        print(p.stderr + p.stdout, flush=True)
        assert p.returncode == 0, args
        return p.stdout

    def stats(self):
        """The relay's counters, of all its NICs together."""
        total = {}
        for line in run(BUILD + "/navalisctl stats").stdout.splitlines():
            key, value = line.split()
            key = re.sub("^(%s)_" % "|".join(self.relay_devs), "xdp_", key)
            total[key] = total.get(key, 0) + int(value)
        return {k: v for k, v in total.items() if k.endswith("_packets") and v}

    def moved(self, before):
        return {k: v - before.get(k, 0) for k, v in self.stats().items() if v != before.get(k, 0)}


def rows(table):
    """Of each line: size, direction, test, sent, received."""
    cells = [[c.strip() for c in l.split("|")[1:-1]] for l in table.splitlines() if re.match(r"\| \d+ B", l)]
    return [(int(c[0][:-2]), c[1], c[2], int(c[3]), int(c[4])) for c in cells]


def forwarded(moved, direction, sent, rounds):
    """What pktgen sent is what XDP forwarded, and nothing went any other way; a round of proofs is one packet a client."""
    wanted = {"xdp_decap_packets": rounds * CLIENTS}
    wanted["xdp_%s_packets" % direction] = wanted.get("xdp_%s_packets" % direction, 0) + sent
    got = {k: v for k, v in moved.items() if not k.endswith(("rx_packets", "not_ours_packets"))}
    assert got == wanted, (got, wanted)


def proven(boxes):
    """By bubbles with right cookies, and by nothing else."""
    boxes.load("prove")
    got = boxes.stats()
    for key in ("xdp_bubble_packets", "daemon_proven_packets", "daemon_bubble_sent_packets"):
        assert got[key] >= CLIENTS, got
    assert "xdp_bubble_cookie_packets" not in got and "xdp_src_mismatch_packets" not in got, got


def undisturbed(boxes, *args):
    """
    A run without a loss, the best of some, and what it moved. Where the emulator stands still for a tenth of a second
    pktgen makes good what it has missed, in a burst for which no ring has room.
    """
    for _ in range(6):
        before = boxes.stats()
        got = rows(boxes.load("run", *args))
        if all(received == sent for *_, sent, received in got):
            break
    return got, boxes.moved(before)


def lossless(boxes, sizes):
    for direction in ("encap", "decap"):
        for size in sizes:
            got, moved = undisturbed(boxes, "--direction", direction, "--rate", RATE, "--seconds", 3, "--size", size)
            assert [r[0] for r in got] == [size] and all(received == sent > RATE for _, _, _, sent, received in got), got
            forwarded(moved, direction, got[0][3], rounds=1)


def dressed(boxes):
    """Every byte of what pktgen sends in the clients' name, and that each of them has its turn."""
    capture, seen = Capture(boxes.gen, boxes.gen_devs[0]), set()
    boxes.load("prove")
    for raw in capture.frames():
        f = Ether(raw)
        if UDP not in f or f[UDP].dport != 3545:
            continue
        f[UDP].payload = inner = IPv6(bytes(f[UDP].payload))
        assert len(raw) == 42 + 64 and inner.plen == inner[UDP].len == 24, raw.hex()
        for layer in (f[IP], f[UDP], inner[UDP]):
            del layer.chksum  # scapy finds the right one
        assert bytes(f) == raw, (raw.hex(), bytes(f).hex())
        src = v6(inner.src)
        assert bytes(b ^ 255 for b in src[10:]) == raw[34:36] + raw[26:30], raw.hex()
        seen.add(src)
    print("%d dressed packets looked at" % len(seen), flush=True)
    assert len(seen) > 100


def kept(boxes):
    """In a long run to the clients, none is silent for so long that the relay asks it again."""
    ((_, _, _, sent, received),), got = undisturbed(boxes, "--direction", "encap", "--rate", 1000, "--seconds", 24, "--size", 64)
    assert received == sent and got["xdp_encap_packets"] == sent, got
    assert got["xdp_decap_packets"] > 3 * CLIENTS and "daemon_reproof_packets" not in got, got


def interrupted(boxes):
    """^C in the middle of a run leaves no trace."""
    p = boxes.gen.popen(boxes.command("run", "--direction", "encap", "--rate", 100, "--seconds", 120, "--size", 64))
    wait_for("pktgen runs", lambda: re.search("Running: .*%s@1" % boxes.gen_devs[-1], boxes.gen.run("cat /proc/net/pktgen/kpktgend_1").stdout))
    p.send_signal(signal.SIGINT)
    assert p.wait(120) == 130
    nothing_left(boxes)


def not_ours(boxes):
    """A queue of the operator's is not taken away."""
    dev = boxes.gen_devs[0]
    boxes.gen.run("tc qdisc replace dev %s root pfifo limit 77" % dev)
    p = boxes.gen.run(boxes.command("prove"), check=False)
    assert p.returncode and "the root qdisc of %s, pfifo" % dev in p.stderr, p.stderr
    boxes.load("clean")
    assert "pfifo" in boxes.gen.run("tc qdisc show dev " + dev).stdout
    boxes.gen.run("tc qdisc del dev %s root" % dev)
    nothing_left(boxes)


def nothing_left(boxes):
    assert not os.path.exists("/sys/fs/bpf/navalis-load")
    for dev in boxes.gen_devs:
        assert "xdp" not in boxes.gen.run("ip link show dev " + dev).stdout
        qdiscs = boxes.gen.run("tc qdisc show dev " + dev).stdout
        assert "clsact" not in qdiscs and (dev.startswith("v") or "noqueue" not in qdiscs), qdiscs
    assert "@" not in boxes.gen.run("cat /proc/net/pktgen/kpktgend_0 /proc/net/pktgen/kpktgend_1").stdout


def searched(boxes):
    got = rows(boxes.load("search", "--seconds", 2, "--trials", 1, "--size", 64, "--max-rate", 100000, "--resolution", 0.3))
    assert [r[1:3] for r in got] == [("encap", "NDR"), ("encap", "PDR"), ("decap", "NDR"), ("decap", "PDR")], got
    assert all(received == sent for _, _, test, sent, received in got if test == "NDR"), got


def main():
    run("modprobe -a pktgen sch_ingress cls_bpf")
    run("sysctl -qw net.core.rmem_max=8388608")
    gen = Ns("gen")
    run("ip link set eth1 netns gen")
    with Boxes(gen, ["eth0"], ["eth1"], "1") as boxes:
        proven(boxes)
        lossless(boxes, (64, 1280))
        dressed(boxes)
        kept(boxes)
        interrupted(boxes)
        not_ours(boxes)
        searched(boxes)
        nothing_left(boxes)
    run("ip link set eth0 down")
    for side in "46":
        run("ip link add v%s type veth peer name v%sg netns gen" % (side, side))
        run("ethtool -K v%s tx off gro on" % side)
        gen.run("ethtool -K v%sg tx off" % side)
    with Boxes(gen, ["v4", "v6"], ["v4g", "v6g"], "0,1") as boxes:
        proven(boxes)
        lossless(boxes, (64,))
        nothing_left(boxes)
    print("load tests: good")


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the bench measures: a relay box, and one box that is both the IPv4 Internet and native IPv6.

    load  c4 ────── v4 ┌───────┐ v6 ────── c6  load
          g4 ────── f4 │ relay │ f6 ────── g6
                       └───────┘
f4 and f6 carry a program that does nothing but send each frame on by the other: the floor.
"""
import contextlib
import json
import os
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "../netns"), os.path.join(HERE, "../pkts")]
from lab import BUILD, Lab, Navalis, wait_for  # noqa: E402

WAYS = ("decap", "encap")
HOSTS = 64  # native ones
# Frames at once for which a UDP socket of the default size, 212,992 bytes, has room for sure: each takes 4,352, and the
# kernel keeps up to a quarter back.
BATCH_UDP = 36
# the bench's clients share servers and native hosts: no cap may stand in the way
NO_CAPS = ("[navalis]\nbubbles_per_client_address = 0\n[teredo]\nclients_per_address = 0\nclients_per_net = 0\nnew_clients_per_second = 0\nnew_clients_per_source = 0\n"
           "bubbles_per_server = 0\n")
SERVER = ("8.0.2.1", "8.0.2.2")
NO_SERVER_CAPS = "bubbles_per_client_address = 0\nadvertisements_per_second = 0\n[teredo-server]\nprimary = %s\nsecondary = %s\n" % SERVER


class Yard(Lab):
    def __init__(self):
        super().__init__(clients=(), server=False)

    def _build(self):
        load, relay = self.ns("load"), self.ns("relay")
        relay.forward()
        for a, b in (("c4", "v4"), ("c6", "v6"), ("g4", "f4"), ("g6", "f6")):
            self.wire(load, a, relay, b)
        for a in SERVER:
            relay.run("ip addr add %s/24 dev v4" % a)
        relay.run("ip -6 addr add 2a00:1::1/64 dev v6 nodad")
        relay.run("ip route add default via 8.0.2.254")
        relay.run("ip -6 route add default via 2a00:1::2")
        relay.run(["ip", "neigh", "replace", "8.0.2.254", "lladdr", load.mac("c4").hex(":"), "dev", "v4", "nud", "permanent"])
        relay.run(["ip", "neigh", "replace", "2a00:1::2", "lladdr", load.mac("c6").hex(":"), "dev", "v6", "nud", "permanent"])
        for dev in ("c4", "c6", "g4", "g6"):
            load.sysctl("net.ipv6.conf.%s.disable_ipv6=1" % dev)

        def index(ns, dev):
            return int(json.loads(ns.run("ip -j link show dev " + dev).stdout)[0]["ifindex"])
        floor = self.helper(relay, [BUILD + "/tests/bench/floor", str(index(relay, "f4")), str(index(relay, "f6"))])
        assert floor.stdout.readline() == "ready\n"
        self.loader = self.helper(load, ["taskset", "-c", "0", BUILD + "/tests/bench/load"])
        for dev in ("c4", "g4", "c6", "g6"):
            self.order(op="sink", side=int(dev[1]), ifindex=index(load, dev))
        # where frames of each way go in
        self.doors = {(to, way): {"ifindex": index(load, a), "mac": relay.mac(b).hex()}
                      for to, way, a, b in (("relay", "decap", "c4", "v4"), ("relay", "encap", "c6", "v6"), ("relay", "solicit", "c4", "v4"),
                                            ("floor", "decap", "g4", "f4"), ("floor", "encap", "g6", "f6"))}

    def helper(self, ns, cmd):
        p = ns.popen(cmd, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
        self.processes.append(p)
        return p

    def order(self, **order):
        self.loader.stdin.write(json.dumps(order) + "\n")
        self.loader.stdin.flush()
        line = self.loader.stdout.readline()
        if not line:
            raise RuntimeError("the load generator has ended")
        return json.loads(line)

    def run(self, to, way, clients, packets, inner=64, batch=64):
        """{"ns", "wall_ns", "share", "first"}: for a packet with all that follows on CPU 0; the part that came out; packets before them."""
        got = self.order(op="run", way=way, clients=clients, inner=inner, packets=packets, batch=batch, hosts=HOSTS, **self.doors[to, way])
        got["share"] = got.pop("sunk") / packets
        return got

    def solicit(self, packets):
        """The same for solicitations, and the part that was answered."""
        return self.run("relay", "solicit", 0, packets, batch=BATCH_UDP)

    def answered(self):
        """Solicitations of all runs."""
        return self.order(op="answered")["answered"]

    def paced(self, clients, share, seconds, rate=0, window=0):
        doors = {k + side: v for way, side in (("decap", "4"), ("encap", "6")) for k, v in self.doors["relay", way].items()}
        return self.order(op="paced", clients=clients, hosts=HOSTS, share=share, seconds=seconds, rate=rate, window=window, **doors)

    def take_frames(self):
        """Makes NICs without an XDP program take frames of the generator; else they are lost without a word."""
        for dev in ("v4", "v6"):
            for state in ("off", "on"):
                self.relay.run("ethtool -K %s gro %s" % (dev, state))

    @contextlib.contextmanager
    def navalis(self, n, mode="native", cpu=1, extra="", fill=0):
        """navalisd with room for n clients, of whom the first fill are proven at its start."""
        with Navalis(self, mode, extra=NO_CAPS + "max_clients = %d\n%s" % (max(n, 64), extra), interfaces="v4 v6") as r:
            r.wrap = ["taskset", "-c", str(cpu)]
            r.stop()
            r.filled = fill_table(r, fill) if fill else None
            began = time.monotonic()
            r.start()
            r.restart_s = time.monotonic() - began
            if mode == "off":
                self.take_frames()
            yield r

    @contextlib.contextmanager
    def server(self, mode, cpu):
        """navalisd as a Teredo server and nothing else; mode None: Debian's miredo-server in its place, and no figures of it."""
        if not mode:
            with self.miredo_on(cpu, lambda: self.miredo_server(self.relay, *SERVER)):
                yield None
            return
        with Navalis(self, mode, extra=NO_SERVER_CAPS, interfaces="v4", ns=self.relay, start=False) as r:
            r.wrap = ["taskset", "-c", str(cpu)]
            r.start()
            if mode == "off":
                self.take_frames()
            yield r

    @contextlib.contextmanager
    def miredo_on(self, cpu, starts=None):
        """Debian's own relay in the place of ours; or what starts() does."""
        start = self.start
        self.start = lambda ns, cmd, log: start(ns, ["taskset", "-c", str(cpu)] + cmd, log)
        try:
            p = (starts or self.miredo_relay)()
        finally:
            self.start = start
        self.take_frames()
        try:
            yield p
        finally:
            self.stop(p, signal.SIGTERM)
            wait_for("miredo's device is gone", lambda: "teredo" not in self.relay.run("ip -o link").stdout)


def fill_table(relay, n, age=0):
    """Clients 0 to n - 1 of clients.h, heard of age seconds ago, in the relay's table."""
    out = subprocess.run([BUILD + "/tests/bench/fill", relay.instance, str(n), str(age)], capture_output=True, text=True)
    if out.returncode:
        raise RuntimeError(out.stderr)
    return json.loads(out.stdout)


def percentile(classes, share):
    """Of [[ns, number]…], in rising order."""
    rest = share * sum(n for _, n in classes)
    for ns, n in sorted(classes):
        rest -= n
        if rest <= 0:
            return ns
    return None

# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the bench measures: a relay box, and one box that is both the IPv4 Internet and native IPv6.

    load  c4 ────── v4 ┌───────┐ v6 ────── c6  load
          g4 ────── f4 │ relay │ f6 ────── g6
                       └───────┘
f4 and f6 carry a program that does nothing but send each frame on by the other: the floor.
"""
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "../netns"), os.path.join(HERE, "../pkts")]
from lab import BUILD, Lab, Navalis  # noqa: E402

WAYS = ("decap", "encap")


class Yard(Lab):
    def __init__(self):
        super().__init__(clients=(), server=False)

    def _build(self):
        load, relay = self.ns("load"), self.ns("relay")
        relay.forward()
        self.load_ns = load
        for a, b in (("c4", "v4"), ("c6", "v6"), ("g4", "f4"), ("g6", "f6")):
            self.wire(load, a, relay, b)
        relay.run("ip addr add 8.0.2.1/24 dev v4")
        relay.run("ip -6 addr add 2a00:1::1/64 dev v6 nodad")
        relay.run("ip route add default via 8.0.2.254")
        relay.run("ip -6 route add default via 2a00:1::2")
        relay.run(["ip", "neigh", "replace", "8.0.2.254", "lladdr", load.mac("c4").hex(":"), "dev", "v4", "nud", "permanent"])
        relay.run(["ip", "neigh", "replace", "2a00:1::2", "lladdr", load.mac("c6").hex(":"), "dev", "v6", "nud", "permanent"])
        for dev in ("c4", "c6", "g4", "g6"):
            load.sysctl("net.ipv6.conf.%s.disable_ipv6=1" % dev)
        self.index = lambda ns, dev: int(json.loads(ns.run("ip -j link show dev " + dev).stdout)[0]["ifindex"])
        floor = relay.popen([BUILD + "/tests/bench/floor", str(self.index(relay, "f4")), str(self.index(relay, "f6"))],
                            stdout=subprocess.PIPE, text=True, start_new_session=True)
        self.processes.append(floor)
        assert floor.stdout.readline() == "ready\n"
        self.loader = load.popen(["taskset", "-c", "0", BUILD + "/tests/bench/load"], stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, text=True, start_new_session=True)
        self.processes.append(self.loader)
        for dev in ("c4", "g4", "c6", "g6"):
            self.order(op="sink", side=int(dev[1]), ifindex=self.index(load, dev))
        # where frames of each way go in: device here, and the MAC address of its other end
        self.doors = {(to, way): (self.index(load, a), relay.mac(b).hex())
                      for to, way, a, b in (("relay", "decap", "c4", "v4"), ("relay", "encap", "c6", "v6"),
                                            ("floor", "decap", "g4", "f4"), ("floor", "encap", "g6", "f6"))}

    def order(self, **order):
        self.loader.stdin.write(json.dumps(order) + "\n")
        self.loader.stdin.flush()
        return json.loads(self.loader.stdout.readline())

    def run(self, to, way, clients, inner=64, packets=2000000, hosts=64):
        """Nanoseconds a packet, all on one CPU; and how many came out."""
        ifindex, mac = self.doors[to, way]
        got = self.order(op="run", way=way, ifindex=ifindex, mac=mac, clients=clients, inner=inner, packets=packets, hosts=hosts)
        return got["ns"], got["sunk"] / packets

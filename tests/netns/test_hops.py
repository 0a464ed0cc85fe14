# SPDX-License-Identifier: GPL-2.0-or-later
"""Next hops by route: XDP follows the kernel's routes at once, with the daemon and without it."""
import ipaddress
import os
import random
import select
import signal
import struct
import sys
import time

import pytest

from lab import ROOT, SERVICE, Lab, Navalis, awake, first, wait_for
from pinned import Table

sys.path.insert(0, os.path.join(ROOT, "tests/pkts"))
from teredo import Ether, ICMPv6EchoRequest, IP, IPv6, Raw, UDP, v4, v6  # noqa: E402

CLIENTS, HOSTS = 500, 5000
OTHER_MACS = {2: "02:00:00:00:02:02", 3: "02:00:00:00:03:03"}  # of routers that are nothing but a neighbour
PROMPT = 0.1  # s: until the daemon has heard of a change
BELIEF = 1.3  # s: how long XDP believes an answer of the kernel, and what a look takes


class To6:
    """From clients to native hosts."""
    ip, key, dev, side, verdict = "ip -6", "ipv6", "v6", "native", "decap"
    gateway = {1: "2a00:1::2", 2: "2a00:1::3", 3: "2a00:1::4"}
    net, rest, apart = "2a00:f:8000::/33", "2a00:f::/33", "2a00:f::/32"

    def __init__(self, lab, clients):
        self.lab, self.source = lab, lab.inet
        self.hosts = [v6("2a00:f:%x::%x" % (i << 4, i)) for i in range(1, HOSTS // 2)]
        self.hosts += [v6("2a00:f:%x::%x" % (0x8000 | i << 3, i)) for i in range(1, HOSTS // 2)]
        eth = Ether(src=lab.inet.mac("to-relay").hex(":"), dst=lab.relay.mac("v4").hex(":"))
        self.frames = []
        for c in clients:
            raw = v6(c)
            at = bytes(b ^ 255 for b in raw[12:]), int.from_bytes(raw[10:12], "big") ^ 0xFFFF
            inner = IPv6(src=c, dst="2a00:f::1", hlim=60) / ICMPv6EchoRequest()
            self.frames.append(bytes(eth / IP(src=".".join(map(str, at[0])), dst=SERVICE[0]) /
                                     UDP(sport=at[1], dport=SERVICE[1], chksum=0) / Raw(bytes(inner))))

    def frame(self, host):
        f = random.choice(self.frames)
        return f[:66] + host + f[82:]

    @staticmethod
    def destination(f):
        return f[38:54] if f[12:14] == b"\x86\xdd" and f[20] == 58 else None


class To4:
    """From native hosts to clients."""
    ip, key, dev, side, verdict = "ip", "ipv4", "v4", "inet", "encap"
    gateway = {1: "8.0.2.254", 2: "8.0.2.3", 3: "8.0.2.4"}
    net, rest, apart = "9.0.4.0/22", "9.0.0.0/22", "9.0.0.0/16"

    def __init__(self, lab, clients):
        self.lab, self.source = lab, lab.native
        self.at = {bytes(b ^ 255 for b in v6(c)[12:]): v6(c) for c in clients}
        self.hosts = list(self.at)
        eth = Ether(src=lab.native.mac("to-relay").hex(":"), dst=lab.relay.mac("v6").hex(":"))
        self.template = bytes(eth / IPv6(src="2a00:f::1", dst="2001::1", hlim=60) / ICMPv6EchoRequest())

    def frame(self, host):
        return self.template[:22] + v6("2a00:f:%x::7" % random.randrange(HOSTS)) + self.at[host] + self.template[54:]

    @staticmethod
    def destination(f):
        return f[30:34] if f[12:14] == b"\x08\x00" and f[23] == 17 and f[26:30] == v4(SERVICE[0]) else None


class Way:
    """One direction: sends packets to its destinations, and sees to which router each goes."""

    def __init__(self, lab, relay, kind, table):
        self.lab, self.relay, self.table, self.kind = lab, relay, table, kind(lab, table.fill(CLIENTS))
        self.ip, self.gateway, self.bursts = kind.ip, kind.gateway, 0
        self.far = getattr(lab, kind.side)
        self.capture = self.far.capture("to-relay")
        self.socket = self.kind.source.socket(17, 3)  # AF_PACKET, SOCK_RAW
        self.socket.bind(("to-relay", 0))
        self.inside, self.outside = [], []
        for h in self.kind.hosts:
            (self.inside if ipaddress.ip_address(h) in ipaddress.ip_network(kind.net) else self.outside).append(h)
        self.neighbours()

    def neighbours(self):
        for n, mac in OTHER_MACS.items():
            self.lab.relay.run("%s neigh replace %s lladdr %s dev %s nud permanent" %
                               (self.ip, self.gateway[n], mac, self.kind.dev))

    def route(self, verb, net=None, via=None, more=""):
        self.lab.relay.run("%s route %s %s %s %s" % (self.ip, verb, net or self.kind.net,
                                                     "via " + self.gateway[via] if via else "", more))

    def mac(self, router):
        return bytes.fromhex(OTHER_MACS[router].replace(":", "")) if router in OTHER_MACS else self.far.mac("to-relay")

    def send(self, hosts, wait=5.0):
        """Returns {destination: MAC address of the router that it went to}. The last bytes tell one burst from another."""
        self.table.hear()
        self.bursts += 1
        mark, went, wanted = struct.pack("!I", self.bursts), {}, set(hosts)
        for h in hosts:
            self.socket.send(self.kind.frame(h)[:-4] + mark)
        end = time.monotonic() + wait
        while wanted - set(went):
            there = select.select([self.capture.sock], [], [], max(0, end - time.monotonic()))[0]
            went.update((self.kind.destination(f), f[:6]) for f in self.capture.frames() if f[-4:] == mark)
            if not there:
                break
        return {h: mac for h, mac in went.items() if h in wanted}

    def settles(self, inside, within=PROMPT, hold=0.3, outside=1):
        """Packets take the right way at the latest then, and for a while none takes another."""
        want = {False: self.mac(outside), True: self.mac(inside)}
        began, right = awake(), False
        while not right or (hold and awake() < began + within + hold):
            some_in = set(random.sample(self.inside, 20))
            some = list(some_in) + random.sample(self.outside, 20)
            random.shuffle(some)
            sent = awake() - began
            with first():
                went = self.send(some, 0.2 if sent < within else 5)
            wrong = {h.hex(): mac.hex(":") for h, mac in went.items() if mac != want[h in some_in]}
            right = not wrong and len(went) == len(some)
            if not right:
                assert sent < within, "after %.3f s: %d of %d arrived, wrong are %s" % (
                    sent, len(went), len(some), wrong)

    def forwarded(self):
        return self.relay.json("status", "--no-rates")["forwarded"]["xdp"][self.kind.verdict]

    def by(self, what):
        wait_for("next hops: " + what, lambda: self.relay.json("status", "--no-rates")["next_hops"][self.kind.key] == what)


@pytest.fixture(scope="module")
def small():
    with Lab((), server=False) as lab:
        yield lab


@pytest.fixture
def relay(small):
    with first():
        made = Navalis(small, "native", instance="nvh%d" % os.getpid())
    with made:
        yield made


@pytest.fixture(params=[To4, To6], ids=["to clients", "to native hosts"])
def way(small, relay, request):
    made = Way(small, relay, request.param, Table(relay.instance))
    made.by("route")
    made.settles(1, 3, hold=0)  # the neighbours are resolved
    yield made
    made.capture.close()
    made.socket.close()
    for net in (made.kind.net, made.kind.rest, made.kind.apart):
        small.relay.run("%s route del %s" % (made.ip, net), check=False)


def test_many_destinations_one_answer_of_the_kernel(small, relay, way):
    """With what it has heard of one of them XDP forwards to others whose router is not to be found any more."""
    before, sent = way.forwarded(), 0
    for i in range(0, len(way.kind.hosts), 100):
        some = way.kind.hosts[i:i + 100]
        assert set(way.send(some).values()) == {way.mac(1)}
        sent += len(some)
    assert sent >= (CLIENTS if way.kind.key == "ipv4" else HOSTS - 2) and way.forwarded() == before + sent
    cpus = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cpus)})  # the caches are of one CPU each
    try:
        way.route("add", via=2)
        way.settles(2, hold=0)
        way.by("route")
        before, (first, *others) = way.forwarded(), random.sample(way.inside, 20)
        assert way.send([first])
        small.relay.run("%s neigh del %s dev %s" % (way.ip, way.gateway[2], way.kind.dev))
        assert set(way.send(others).values()) == {way.mac(2)} and way.forwarded() == before + 20
    finally:
        os.sched_setaffinity(0, cpus)


def test_routes_come_change_and_go(relay, way):
    for order in (("add", None, 2), ("replace", None, 3), ("del", None, None)):
        way.route(*order)
        way.settles(order[2] or 1, hold=1.1)  # for so long it believes what it was told before it was by route again
        way.by("route")


def test_policy_rules(small, relay, way):
    """Each destination is asked for then, and each answer believed for its time."""
    way.route("add", "default", 2, "table 100")
    for verb, router in (("add", 2), ("del", 1)):
        small.relay.run("%s rule %s to %s lookup 100" % (way.ip, verb, way.kind.net))
        way.settles(router, PROMPT if verb == "add" else BELIEF)
        way.by("rules" if verb == "add" else "route")


def test_the_router_gets_another_mac_address(small, relay, way):
    old = way.far.mac("to-relay")
    key = {"ipv4": "net.ipv4.conf.to-relay.arp_notify=1", "ipv6": "net.ipv6.conf.to-relay.ndisc_notify=1"}[way.kind.key]
    way.far.run(["sysctl", "-qw", key])
    for mac in ("02:00:00:aa:bb:02", old.hex(":")):
        way.far.run("ip link set to-relay address " + mac)
        way.settles(1, BELIEF, hold=0)


def test_the_link_goes_down_and_up(small, relay, way):
    way.route("add", via=2)
    way.settles(2, hold=0)
    small.relay.run("ip link set %s down" % way.kind.dev)
    way.by("no_gateway")
    small.relay.run("ip link set %s up" % way.kind.dev)
    if way.kind.key == "ipv6":  # addresses go with the link
        small.relay.run("ip -6 addr replace 2a00:1::1/64 dev v6 nodad")
    way.neighbours()
    way.route("replace", "default", 1)
    way.route("replace", via=3)
    way.settles(3, BELIEF)
    way.by("route")


def test_nobody_follows_the_routes(relay, way):
    """After kill -9 the word holds for two seconds, and what was believed then for one more, each up to a unit of a quarter."""
    way.settles(1, hold=0)
    relay.stop(signal.SIGKILL)
    way.route("add", via=2)
    way.settles(2, 3.6, hold=0.2)
    assert relay.json("status", "--no-rates")["next_hops"] == {"ipv4": "no_daemon", "ipv6": "no_daemon"}
    assert "next hops for each destination (no daemon" in relay.ctl("status", "--no-rates", check=False).stdout
    with first():
        relay.start()
    way.settles(2, hold=0.3)
    way.by("route")


def test_a_stop_takes_the_word_back(relay, way):
    way.settles(1, hold=0)
    relay.stop()
    way.route("add", via=2)
    way.settles(2)


@pytest.mark.parametrize("way", [To6], indirect=True)
def test_a_route_expires(relay, way):
    """The kernel removes it, and says so, half a minute later."""
    way.route("add", way.kind.apart, 2)
    way.route("add", way.kind.rest, 3)  # goes on with its router
    way.route("add", way.kind.net, 3, "expires 5")
    way.settles(3, hold=0, outside=3)
    way.by("route")
    way.settles(2, 5 + BELIEF, outside=3)


@pytest.mark.parametrize("way", [To6], indirect=True)
def test_what_is_local_is_not_forwarded(small, relay, way):
    """A prefix of the local table wins over a longer one of the main table."""
    small.relay.run("ip -6 route add local 2a00:f:8000::/40 dev lo")
    way.route("add", "2a00:f:8008::/48", 1)
    try:
        way.by("route")
        here = [h for h in way.inside if h.startswith(v6("2a00:f:8008::")[:6])]
        assert here and not [h for _ in range(5) for h in way.send(way.outside[:20] + here, 0.1) if h in here]
    finally:
        small.relay.run("ip -6 route del local 2a00:f:8000::/40 dev lo")
        way.route("del", "2a00:f:8008::/48")

# SPDX-License-Identifier: GPL-2.0-or-later
"""The XDP program under BPF_PROG_TEST_RUN: a namespace with two NICs, and the runner in it."""
import contextlib
import json
import os
import re
import struct
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests/pkts"))
from teredo import STAMP_MASK, cookie, hg48_key, hg48_place, table_mark, table_places, v4, v6  # noqa: E402

BUILD = os.path.join(ROOT, os.environ.get("B", "build"))
SERVICE, PORT = "8.0.2.1", 3545
GATEWAY4, GATEWAY6 = "8.0.2.254", "2a00:1::2"
MACS = {"v4": "02:00:00:00:00:04", "v6": "02:00:00:00:00:06", "gw4": "02:00:00:00:01:04", "gw6": "02:00:00:00:01:06"}
KEYS = (bytes(range(16)), bytes(range(16, 32)))
SEED = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9)
BUCKETS = 62
SHIFT = 6  # coarse units of 64 ticks
LIFE, REPROOF = 117, 78
HG48_WINDOW = 60
NICS = 8
METER_SCALE = 1024
ABORTED, DROP, PASS, TX, REDIRECT = range(5)

with open(os.path.join(ROOT, "include/navalis/reasons.def")) as f:
    REASONS = re.findall(r"^R\((\w+), (\w+), (\w+),", f.read(), re.M)
NAMES = [r[0] for r in REASONS]


TEREDO, SIXBED4, SIXTO4, SIXRD, SIXIN4, HG48 = range(1, 7)  # enum tunnel
CARRIERS = {"server": 0, "6to4": 1, "HG48": 2, "6bed4": 3, "6rd": 5, "6in4": 13}  # enum carrier
TUNNELS = 16  # of 6in4
W2, W1 = range(2)


def prefix6(prefix):
    """struct prefix6 of «ADDRESS/LENGTH»."""
    addr, length = prefix.split("/")
    return v6(addr) + struct.pack("<I", int(length))


def endpoint(addr, port=0):
    return v4(addr) + struct.pack(">HH", port, 0)


def link(mtu=1280, df=0, copy_class=0):
    return struct.pack("<IBBH", mtu, df, copy_class, 0)


def array(items, room):
    """Their number, and as many as there is room for."""
    return struct.pack("<I", len(items)) + b"".join(items).ljust(room, b"\0")


def server(primary, secondary, relay_max=88, mtu=0):
    return v4(primary) + v4(secondary) + struct.pack("<HHI", relay_max, mtu, 0)


def sixbed4(service, port, prefix, mtu=1280, min_port=1024, format=W2, retract=0, routes=()):
    return endpoint(service, port) + v6(prefix)[:8] + struct.pack("<HHBBH", mtu, min_port, format, retract, 0) + \
        array([prefix6(r) for r in routes], 200) + bytes(4)


def sixto4(local, source=None, anycast=0, return_only=0, senders=(), **how):
    return v4(local) + v4(source or local) + struct.pack("<BBH", anycast, return_only, 0) + \
        array([prefix6(s) for s in senders], 160) + link(**how)


def sixrd(prefix, v4_net, br, relays=(), **how):
    net, length = v4_net.split("/")
    return prefix6(prefix) + v4(net) + struct.pack("<I", int(length)) + v4(br) + array([v4(r) for r in relays], 16) + link(**how)


def sixin4(local, remote, ident, prefixes, any_source=0, **how):
    """struct sixin4_tunnel: what the map holds."""
    return v4(local) + v4(remote) + struct.pack("<I", ident) + array([prefix6(p) for p in prefixes], 80) + \
        struct.pack("<B7x", any_source) + link(**how)


HG48_PEERS = 100


def hg48(prefix, service, port, life=100, min_port=1024, unsolicited=0):
    return v6(prefix) + endpoint(service, port) + struct.pack("<4I", life, HG48_WINDOW, 3, HG48_PEERS) + struct.pack("<II", 0, 0) + \
        struct.pack("<HBB", min_port, unsolicited, 0) + link()


def tunnels(prefixes, cross):
    """prefixes: (prefix, tunnel, number); cross: (from, to)."""
    bits = sum(1 << f * 8 + t for f, t in cross)
    return struct.pack("<QII", bits, len(prefixes), 0) + \
        b"".join(prefix6(p) + struct.pack("<II", kind, n) for p, kind, n in prefixes).ljust(24 * 28, b"\0")


def config(nics, served=(), refused=(), admission_rfc=0, checksum_zero=0, frags=0, meter=0, burst=0, advertise=(0, 0), life=LIFE,
           nexthop_life=4, service=SERVICE, server=b"", sixbed4=(), sixto4=b"", sixrd=(), sixin4_locals=(), hg48=b"", prefixes=(), cross=()):
    """struct nav_config of abi.h, byte for byte; service None: no Teredo relay."""
    out = endpoint(service, PORT) if service else bytes(8)
    out += v6("fe80::")[:8] + struct.pack("<IIIBBBB", 1280, life, REPROOF, admission_rfc, checksum_zero, 0, frags)
    out += struct.pack("<I", len(served))
    for prefix, length in served:
        out += v6(prefix) + struct.pack("<I", length)
    out = out.ljust(36 + 16 * 20, b"\0") + struct.pack("<II", len(refused), 0)
    for first, last in refused:
        out += struct.pack("<II", *(int.from_bytes(v4(a), "big") for a in (first, last)))
    out = out.ljust(36 + 320 + 8 + 8192, b"\0")
    out += struct.pack("<I8I", len(nics), *(list(nics) + [0] * (NICS - len(nics))))
    out += struct.pack("<II3QI", BUCKETS, SHIFT, *SEED, nexthop_life)
    out += struct.pack("<II", meter, burst) * 6 + struct.pack("<II", *advertise)
    out += server.ljust(16, b"\0") + bytes(4) + b"".join(sixbed4).ljust(2 * 232, b"\0")
    out += sixto4.ljust(184, b"\0") + array(sixrd, 8 * 60) + array([v4(a) for a in sixin4_locals], 32)
    return (out + hg48.ljust(64, b"\0") + tunnels(prefixes, cross)).ljust(10624, b"\0")


class Xdp:
    """One namespace and one runner."""

    def __init__(self, build=BUILD):
        self.ns = "nvbpf%d" % os.getpid()
        run = lambda c: subprocess.run(c.split(), check=True, capture_output=True)  # noqa: E731
        run("ip netns add " + self.ns)
        inside = ["nsenter", "--net=/run/netns/" + self.ns]
        for c in ("ip link add name v4 type veth peer name p4", "ip link add name v6 type veth peer name p6",
                  "ip link set dev v4 address %(v4)s up" % MACS, "ip link set dev v6 address %(v6)s up" % MACS,
                  "ip link set dev p4 up", "ip link set dev p6 up", "sysctl -qw net.ipv4.conf.all.forwarding=1",
                  "sysctl -qw net.ipv6.conf.all.forwarding=1", "sysctl -qw net.ipv4.conf.v6.forwarding=1",
                  "ip addr add %s/24 dev v4" % SERVICE, "ip -6 addr add 2a00:1::1/64 dev v6 nodad",
                  "ip route add default via " + GATEWAY4, "ip -6 route add default via " + GATEWAY6,
                  "ip neigh replace %s lladdr %s dev v4 nud permanent" % (GATEWAY4, MACS["gw4"]),
                  "ip neigh replace %s lladdr %s dev v6 nud permanent" % (GATEWAY6, MACS["gw6"]),
                  "ip -6 route add 2a00:dead::/32 via 2a00:1::99 dev v6",
                  "ip link add name plain type veth peer name pplain", "ip link set dev plain up", "ip link set dev pplain up",
                  "ip -6 addr add 2a00:3::1/64 dev plain nodad",
                  "ip neigh replace 2a00:3::2 lladdr 02:00:00:00:03:06 dev plain nud permanent",
                  # what a VLAN interface is to routes: an interface of its own (not every kernel has real ones)
                  "ip link add name v6.6 type veth peer name v6.6p", "ip link add name v6.6.7 type veth peer name v6.6.7p",
                  "ip link add name v4.s type veth peer name v4.sp", "ip link add name v4.4 type veth peer name v4.4p",
                  "ip link set dev v6.6 address 02:00:00:00:06:06 up", "ip link set dev v6.6.7 address 02:00:00:00:06:07 up",
                  "ip link set dev v4.s up", "ip link set dev v4.sp up", "ip link set dev v4.4p up",
                  "ip link set dev v6.6p up", "ip link set dev v6.6.7p up", "ip link set dev v4.4 address 02:00:00:00:04:44 up",
                  "ip -6 addr add 2a00:6::1/64 dev v6.6 nodad", "ip -6 addr add 2a00:67::1/64 dev v6.6.7 nodad",
                  "ip addr add 8.44.0.1/24 dev v4.4", "sysctl -qw net.ipv4.conf.all.forwarding=1",
                  "sysctl -qw net.ipv6.conf.all.forwarding=1",
                  "ip neigh replace 2a00:6::2 lladdr 02:00:00:00:06:02 dev v6.6 nud permanent",
                  "ip neigh replace 2a00:67::2 lladdr 02:00:00:00:67:02 dev v6.6.7 nud permanent",
                  "ip neigh replace 8.44.0.2 lladdr 02:00:00:00:44:02 dev v4.4 nud permanent"):
            run(" ".join(inside) + " " + c)
        link = json.loads(run(" ".join(inside) + " ip -j link").stdout)
        self.ifindex = {l["ifname"]: l["ifindex"] for l in link}
        self.nics = [self.ifindex["v4"], self.ifindex["v6"]]
        self.start(build)

    def start(self, build):
        """On one CPU: meters and caches belong to one each."""
        self.process = subprocess.Popen(["nsenter", "--net=/run/netns/" + self.ns, "taskset", "-c", "0", build + "/tests/bpf/runner"],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def stop(self):
        self.process.stdin.close()
        self.process.wait()

    def close(self):
        self.stop()
        subprocess.run(["ip", "netns", "delete", self.ns])

    def ask(self, **cmd):
        self.process.stdin.write(json.dumps(cmd) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer

    def load(self, own4=(), sixin4=(), **settings):
        """A fresh program with empty maps, but for these tunnels of 6in4."""
        settings["sixin4_locals"] = sorted({".".join(map(str, t[:4])) for t in sixin4})
        self.loaded = self.ask(op="load", cfg=config(self.nics, **settings).hex(), buckets=BUCKETS, remapped=16,
                               tunnels=TUNNELS, attach=self.nics)
        for t in sixin4:
            self.put("sixin4", t[:8], t)
            for i in range(t[12]):
                at = 16 + 20 * i
                self.put("sixin4_prefixes", t[at + 16:at + 20] + t[at:at + 16], t[:8])
        self.put("cookies", 0, (KEYS[0] + KEYS[1]).ljust(40, b"\0"))
        ranges = sorted(int.from_bytes(v4(a), "big") for a in own4)
        own = struct.pack("<II", len(own4), 0) + b"".join(struct.pack("<II", a, a) for a in ranges)
        self.put("own", 0, own.ljust(8 + 1024 * 8, b"\0"))
        for slot, dev in enumerate(("v4", "v6")):
            self.port(slot, dev, MACS[dev])
        return self

    def put(self, name, key, value):
        key = struct.pack("<I", key) if isinstance(key, int) else key
        self.ask(op="put", map=name, key=key.hex(), value=value.hex())

    def get(self, name, key):
        return bytes.fromhex(self.ask(op="get", map=name, key=struct.pack("<I", key).hex())["value"])

    def carried(self):
        """What came out of each mechanism that there may be, and went into it: packets, bytes, packets, bytes."""
        rows = (struct.iter_unpack("<4Q", self.get("carried", n)) for n in range(CARRIERS["6in4"] + TUNNELS))
        return [tuple(map(sum, zip(*cpus))) for cpus in rows]

    @contextlib.contextmanager
    def carries(self, *wanted):
        """(mechanism, its number, what comes out of it meanwhile and what goes into it); and nothing else does."""
        before = self.carried()
        yield
        grown = [tuple(b - a for a, b in zip(*rows)) for rows in zip(before, self.carried())]
        want = [(0, 0, 0, 0)] * len(grown)
        for carrier, number, *four in wanted:
            want[CARRIERS[carrier] + number] = tuple(four)
        assert grown == want

    def ticks(self):
        return self.ask(op="clock")["ticks"]

    def units(self):
        return self.ticks() >> SHIFT

    def at_once(self, check):
        """check() within one unit: done again where the clock has gone on meanwhile, as it does by many when a machine stands still."""
        while True:
            now = self.units()
            try:
                check()
            except AssertionError:
                if self.units() == now:
                    raise
            else:
                if self.units() == now:
                    return

    def stamp(self, age=0):
        return (self.units() - age) << 1 & STAMP_MASK

    def slot(self):
        return self.units() >> 8

    def cookie(self, client, slots_ago=0):
        return cookie(KEYS, client, self.slot() - slots_ago)

    def add(self, client, age=0, which=0, place=0):
        """Puts a proven client into one of its buckets. Returns where."""
        n = table_places(SEED, client, BUCKETS)[which]
        bucket = bytearray(self.get("clients", n))
        struct.pack_into("<Q", bucket, place * 8, table_mark(SEED, client) | self.stamp(age))
        self.put("clients", n, bytes(bucket))
        return n, place

    def stamp_at(self, where):
        n, place = where
        return struct.unpack_from("<Q", self.get("clients", n), place * 8)[0] & STAMP_MASK

    def add_remapped(self, client, addr, port, age=0):
        self.put("remapped", v6(client), v4(addr) + struct.pack(">H", port) + b"\0\0" +
                 struct.pack("<Q", self.stamp(age)))

    def add_hg48(self, addr, port, heard=0, sent=None, place=0):
        """Puts an endpoint of HG48 into one of its slots, heard of and sent to so many units ago (None: never). Returns where."""
        n = hg48_place(SEED, addr, port, HG48_PEERS) + place
        ago = lambda units: 0 if units is None else self.units() + 1 - units  # noqa: E731
        self.put("hg48_peers", n, struct.pack("<5Q", hg48_key(addr, port), ago(sent), ago(heard), 0, 0))
        return n

    def hg48_ages(self, n):
        """Units since the endpoint there was heard of and sent to; None: never."""
        _, sent, heard, _, _ = struct.unpack("<5Q", self.get("hg48_peers", n))
        return tuple(self.units() + 1 - then if then else None for then in (heard, sent))

    def port(self, slot, dev, *macs):
        """What navalisd tells the program of a NIC (by its slot) or a VLAN interface (by its tags): whose frames are ours."""
        words = b"".join(bytes.fromhex(m.replace(":", "")) + b"\0\0" for m in (list(macs) + [macs[0]] * 3)[:4])
        value = words + struct.pack("=II", self.ifindex[dev], 0)
        self.put("ports" if isinstance(slot, int) else "vlans", slot, value)

    def vlan(self, dev, nic, *tags):
        """What navalisd tells the program of a VLAN interface: both maps."""
        value = struct.pack("=I", self.ifindex[nic]) + b"".join(struct.pack(">HH", *t) for t in tags)
        value = value.ljust(12, b"\0")
        self.put("tagged", self.ifindex[dev], value)
        self.port(value, dev, MACS[nic])

    def run(self, frame, nic="v4", linear=0):
        """Returns (action, reason, frame out); checks that exactly one verdict was counted."""
        frame = bytes(frame)
        a = self.ask(op="run", frame=frame.hex(), ifindex=self.ifindex[nic], linear=linear)
        slot = self.nics.index(self.ifindex[nic])
        counted = {i: (packets, size) for s, i, packets, size in a["counters"] if s == slot}
        assert all(s == slot for s, *_ in a["counters"]), a["counters"]
        assert counted.pop(0) == (1, len(frame)), "RX"
        (index, amount), = counted.items()
        assert amount == (1, len(frame))
        return a["verdict"], NAMES[index - 1], bytes.fromhex(a["frame"])

    def expect(self, frame, action, reason, nic="v4", linear=0):
        got_action, got_reason, out = self.run(frame, nic, linear)
        assert (got_reason, got_action) == (reason, action)
        if action not in (REDIRECT, TX):
            assert out == bytes(frame), "changed although it was not forwarded"
        note(reason)
        return out


    def emptied(self, frame, passed, over, burst, nic="v4"):
        """A bucket that is full and gets METER_SCALE tokens, one packet, in as many ticks: that many pass, and then none."""
        began, n = self.ticks(), 0
        while (got := self.run(frame, nic)[:2]) == (PASS, passed):
            n += 1
        assert got == (DROP, over) and burst <= n <= burst + (self.ticks() - began) // METER_SCALE, (got, n)
        note(over)


def note(reason):
    """For tests/test_reasons.py."""
    with open(os.environ.get("NAVALIS_HITS", os.devnull), "a") as f:
        f.write(reason + "\n")


def missing():
    if os.geteuid():
        return "not root"
    if not os.path.exists(BUILD + "/tests/bpf/runner"):
        return "build/tests/bpf/runner is not built: make tests"
    return None

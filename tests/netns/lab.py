# SPDX-License-Identifier: GPL-2.0-or-later
"""The laboratory: an IPv4 Internet with NATs, a native IPv6 network, and real Teredo peers.

    native ── v6 ┌───────┐ v4 ── inet ──┬── server   8.0.1.1, 8.0.1.2    Debian's miredo-server
    2a00:f::/64  │ relay │ 8.0.2.1      ├── nat1 ── client1              Debian's miredo
       │         └───────┘              └── nat2 ── client2 …
       └── server (the native side of the Teredo server)

Every box is a network namespace; none has a route out of the laboratory. The IPv4 addresses look
public because Miredo, rightly, believes in no others. Waiting is always for an event.
"""
import contextlib
import ctypes
import itertools
import json
import os
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, os.environ.get("B", "build"))
MIREDO = "/var/lib/navalis-test/miredo"
SERVICE = ("8.0.2.1", 3545)
NATIVE_NET = "2a00:f::/64"
NATS = ("none", "fullcone", "restricted", "symmetric")
_libc = ctypes.CDLL(None, use_errno=True)
_fresh = itertools.count(1)
_labs = itertools.count(1)


def fresh_native():
    """A native address that no peer has ever heard of: Miredo trusts a known one for 30 s."""
    return "2a00:f::%x:%x" % (os.getpid() & 0xFFFF, next(_fresh))


class Clock:
    """Seconds, less those in which this machine stood still or had no time for us: for what is promised within a second."""
    TICK, LATE = 0.005, 0.03

    def __init__(self):
        self._last_and_lost = None

    def _tick(self):
        while True:
            time.sleep(self.TICK)
            self._last_and_lost = self._now()

    def _now(self):
        (last, lost), now = self._last_and_lost, time.monotonic()
        return now, lost + max(0.0, now - last - self.LATE)

    def __call__(self):
        if not self._last_and_lost:
            self._last_and_lost = time.monotonic(), 0.0
            threading.Thread(target=self._tick, daemon=True).start()
        now, lost = self._now()
        return now - lost


awake = Clock()


@contextlib.contextmanager
def first():
    """Goes before all others that run here, for the sake of its clock; what is started meanwhile does so from then on."""
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    try:
        yield
    finally:
        os.sched_setscheduler(0, *before)


def wait_for(what, condition, seconds=60.0, pause=0.02):
    """Waits until condition() is true, and returns its value. For so long: what hangs is to be found, not what has to wait."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise TimeoutError("%s: not within %g s" % (what, seconds))
        time.sleep(pause)


class Ns:
    """A network namespace. nsenter instead of `ip netns exec`, which hides the BPF file system."""

    def __init__(self, name):
        self.name = name
        self.path = "/run/netns/" + name
        subprocess.run(["ip", "netns", "add", name], check=True)
        self.run("ip link set lo up")
        self.sysctl("net.ipv6.conf.all.accept_dad=0", "net.ipv6.conf.default.accept_dad=0",
                    "net.ipv6.conf.default.router_solicitations=0")

    def command(self, cmd):
        return ["nsenter", "--net=" + self.path] + (cmd.split() if isinstance(cmd, str) else cmd)

    def run(self, cmd, check=True, **kw):
        p = subprocess.run(self.command(cmd), capture_output=True, text=True, **kw)
        if check and p.returncode:
            raise RuntimeError("%s: %s: %s" % (self.name, cmd, p.stderr.strip() or p.stdout))
        return p

    def popen(self, cmd, **kw):
        return subprocess.Popen(self.command(cmd), **kw)

    def sysctl(self, *settings):
        for s in settings:
            self.run(["sysctl", "-qw", s])

    def forward(self):
        self.sysctl("net.ipv4.conf.all.forwarding=1", "net.ipv6.conf.all.forwarding=1",
                    "net.ipv4.conf.default.forwarding=1", "net.ipv6.conf.default.forwarding=1",
                    "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.default.rp_filter=0")

    @contextlib.contextmanager
    def entered(self):
        """Runs a piece of Python inside; sockets made there stay there."""
        with open("/proc/self/ns/net") as home, open(self.path) as there:
            if _libc.setns(there.fileno(), 0x40000000):
                raise OSError(ctypes.get_errno(), "setns")
            try:
                yield
            finally:
                _libc.setns(home.fileno(), 0x40000000)

    def socket(self, *args):
        with self.entered():
            return socket.socket(*args)

    def capture(self, dev):
        return Capture(self, dev)

    def inject(self, dev, frame):
        with self.entered(), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as s:
            s.bind((dev, 0))
            s.send(frame)

    def answerable(self, dev):
        """What XDP sends back waits at a veth without a program for other traffic. Ours lets all pass where it is told nothing."""
        self.run("ip link set dev %s xdp obj %s/bpf/navalis.bpf.o program navalis" % (dev, BUILD))

    def mac(self, dev):
        return bytes.fromhex(json.loads(self.run("ip -j link show dev " + dev).stdout)[0]
                             ["address"].replace(":", ""))

    def ping(self, dst, src=None, count=1, size=56, interval=0.2, wait=20, hop_limit=None):
        """Returns (sent, received, output for the first). That goes alone: while a hole is punched one packet is kept."""
        cmd = ["ping", "-6", "-n", "-c", "1", "-s", str(size), "-W", str(wait)]
        cmd += ["-I", src] if src else []
        cmd += ["-t", str(hop_limit)] if hop_limit else []
        out = self.run(cmd + [dst], check=False)
        m = re.search(r"1 packets transmitted, (\d) received", out.stdout)
        if not m:
            raise RuntimeError(out.stdout + out.stderr)
        return count, int(m[1]) + self._echoes(dst, src, count - 1, size, interval, wait), out.stdout

    def _echoes(self, dst, src, count, size, interval, wait):
        """How many are answered. Where ping(8) has had an answer it waits for the last of them no longer than for two."""
        ident, data, sent, got = os.urandom(2), os.urandom(size), 0, set()
        with self.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as s:
            if src:
                s.bind((src, 0))
            until = 0
            while len(got) < count and (sent < count or time.monotonic() < until):
                if sent < count and time.monotonic() >= until:
                    s.sendto(struct.pack("!BBH2sH", 128, 0, 0, ident, sent) + data, (dst, 0))
                    sent += 1
                    until = time.monotonic() + (interval if sent < count else wait)
                if select.select([s], [], [], max(0, until - time.monotonic()))[0]:
                    p = s.recv(65536)
                    if p[0] == 129 and p[4:6] == ident and p[8:] == data:
                        got.add(p[6:8])
        return len(got)


class Capture:
    """All frames of one device, in both directions, from the moment that it is made."""

    def __init__(self, ns, dev):
        with ns.entered():
            self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
            self.sock.bind((dev, 3))
        self.sock.setblocking(False)

    def frames(self):
        got = []
        with contextlib.suppress(BlockingIOError):
            while True:
                got.append(self.sock.recv(65536))
        return got

    def close(self):
        self.sock.close()


class Client:
    def __init__(self, ns, nat, process):
        self.ns, self.nat, self.process, self.address = ns, nat, process, None

    def qualified(self):
        out = self.ns.run("ip -6 -o addr show dev teredo", check=False).stdout
        m = re.search(r"inet6 (2001:0?:[0-9a-f:]+)/", out)
        self.address = m and m[1]
        return self.address


class Lab:
    """The namespaces and all processes in them; a context manager that leaves nothing behind."""

    def __init__(self, clients=("restricted",), server=True, one_nic=False, relay_nat=None):
        self.relay_nat = relay_nat  # the relay itself is behind such a NAT
        self.service = ("10.9.0.2" if relay_nat else SERVICE[0], SERVICE[1])
        self.one_nic = one_nic  # both sides of the relay on one NIC, whose router knows both
        self.interfaces = "v4" if one_nic else "v4 v6"
        self.tag = "nv%d.%d-" % (os.getpid(), next(_labs))  # two may stand side by side
        self.dir = tempfile.mkdtemp(prefix="navalis-lab-")
        self.names, self.processes, self.clients, self.files = [], [], [], []
        self.wanted, self.wants_server = clients, server

    def __enter__(self):
        self._old_term = signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(SystemExit(143)))
        try:
            self._build()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exc):
        self.close()
        signal.signal(signal.SIGTERM, self._old_term)

    def close(self):
        for p in reversed(self.processes):
            self.stop(p)
        for name in self.names:
            subprocess.run(["ip", "netns", "delete", name], check=False)
        self.names = []
        for path in self.files:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        shutil.rmtree(self.dir, ignore_errors=True)

    def stop(self, p, sig=signal.SIGTERM):
        if p.poll() is None:
            p.send_signal(sig)
            try:
                p.wait(60)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(p.pid, signal.SIGKILL)  # what it left behind
        if p in self.processes:
            self.processes.remove(p)

    def ns(self, name):
        self.names.append(self.tag + name)
        ns = Ns(self.tag + name)
        setattr(self, name, ns)
        return ns

    def wire(self, a, a_dev, b, b_dev):
        """A veth pair whose ends finish their checksums, and may be the target of a redirect."""
        subprocess.run(["ip", "link", "add", a_dev, "netns", a.name, "type", "veth",
                        "peer", "name", b_dev, "netns", b.name], check=True)
        for ns, dev in ((a, a_dev), (b, b_dev)):
            ns.run("ethtool -K %s tx off tso off gso off gro on" % dev)
            ns.run("ip link set %s up" % dev)

    def start(self, ns, cmd, log):
        f = open(os.path.join(self.dir, log), "w")
        p = ns.popen(cmd, stdin=subprocess.DEVNULL, stdout=f, stderr=subprocess.STDOUT,
                     start_new_session=True)
        self.processes.append(p)
        return p

    def log(self, name):
        with open(os.path.join(self.dir, name)) as f:
            return f.read()

    def _build(self):
        inet, relay, native, server = (self.ns(n) for n in ("inet", "relay", "native", "server"))
        for ns in (inet, relay, native, server):
            ns.forward()
        self.wire(inet, "to-server", server, "v4")
        self.wire(native, "to-server", server, "v6")
        if self.relay_nat:
            box = self.ns("relaynat")
            box.forward()
            self.wire(inet, "to-relay", box, "pub")
            self.wire(box, "lan", relay, "v4")
            box.run("ip addr add 8.0.2.1/24 dev pub")
            box.run("ip route add default via 8.0.2.254")
            box.run("ip addr add 10.9.0.1/24 dev lan")
            relay.run("ip addr add 10.9.0.2/24 dev v4")
            relay.run("ip route add default via 10.9.0.1")
            self._nat(box, self.relay_nat, "8.0.2.1", "10.9.0.2")
        else:
            self.wire(inet, "to-relay", relay, "v4")
            relay.run("ip addr add 8.0.2.1/24 dev v4")
            relay.run("ip route add default via 8.0.2.254")
        inet.run("ip addr add 8.0.2.254/24 dev to-relay")
        inet.run("ip addr add 8.0.1.254/24 dev to-server")
        for a in ("8.0.1.1/24", "8.0.1.2/24"):
            server.run("ip addr add %s dev v4" % a)
        server.run("ip route add default via 8.0.1.254")
        # native IPv6: the host is a router too, so that the server can reach it
        native.run("ip addr add 2a00:2::2/64 dev to-server nodad")
        server.run("ip addr add 2a00:2::1/64 dev v6 nodad")
        server.run("ip -6 route add default via 2a00:2::2")
        if self.one_nic:
            self.wire(native, "to-inet", inet, "to-native")
            native.run("ip addr add 2a00:3::2/64 dev to-inet nodad")
            native.run("ip -6 route add 2a00:1::/64 via 2a00:3::1")
            inet.run("ip addr add 2a00:3::1/64 dev to-native nodad")
            inet.run("ip -6 route add default via 2a00:3::2")
            if self.relay_nat:  # a host's own relay: its NAT routes IPv6, and nobody has a route to clients
                inet.run("ip addr add 2a00:9::1/64 dev to-relay nodad")
                inet.run("ip -6 route add 2a00:1::/64 via 2a00:9::2")
                box.run("ip addr add 2a00:9::2/64 dev pub nodad")
                box.run("ip addr add 2a00:1::2/64 dev lan nodad")
                box.run("ip -6 route add default via 2a00:9::1")
            else:
                native.run("ip -6 route add 2001::/32 via 2a00:3::1")
                inet.run("ip addr add 2a00:1::2/64 dev to-relay nodad")
                inet.run("ip -6 route add 2001::/32 via 2a00:1::1")
            relay.run("ip addr add 2a00:1::1/64 dev v4 nodad")
        else:
            self.wire(native, "to-relay", relay, "v6")
            native.run("ip addr add 2a00:1::2/64 dev to-relay nodad")
            native.run("ip -6 route add 2001::/32 via 2a00:1::1")
            relay.run("ip addr add 2a00:1::1/64 dev v6 nodad")
        relay.run("ip -6 route add default via 2a00:1::2")
        native.run("ip -6 route add local %s dev lo" % NATIVE_NET)
        native.sysctl("net.ipv6.ip_nonlocal_bind=1")
        if callable(self.wants_server):  # one of ours: started by the test, for the clients to qualify with
            self.wants_server(self)
        elif self.wants_server:
            self.miredo_server(self.server, "8.0.1.1", "8.0.1.2")
        for i, nat in enumerate(self.wanted, 1):
            self.clients.append(self._client(i, nat))
        for i, c in enumerate(self.clients, 1):
            wait_for("client %d behind %s NAT qualifies\n%s" % (i, c.nat, self.log("client%d" % i)), c.qualified)

    # ---- Miredo, unpacked but never installed: its package would start it on this machine --------

    def miredo(self, ns, program, conf, log):
        name = "%s%s" % (self.tag, log)
        self.files += [MIREDO + "/run/" + name + end for end in (".conf", ".pid")]
        with open(self.files[-2], "w") as f:
            f.write(conf)
        return self.start(ns, ["chroot", MIREDO, "/usr/sbin/" + program, "-f", "-u", "nobody",
                               "-p", "/run/%s.pid" % name, "-c", "/run/%s.conf" % name], log)

    def miredo_server(self, ns, primary, secondary):
        p = self.miredo(ns, "miredo-server", "ServerBindAddress %s\nServerBindAddress2 %s\nInterfaceName teredo\n" %
                        (primary, secondary), "server")
        wait_for("miredo-server", lambda: p.poll() is not None or ":3544" in ns.run("ss -uln").stdout)
        if p.poll() is not None:
            raise RuntimeError("miredo-server: " + self.log("server"))
        return p

    def miredo_relay(self):
        """Debian's own relay in the place of ours."""
        p = self.miredo(self.relay, "miredo", "RelayType cone\nInterfaceName teredo\n"
                        "BindAddress %s\nBindPort %d\n" % SERVICE, "relay")
        wait_for("miredo relay", lambda: p.poll() is not None or "2001::/32 dev teredo" in
                 self.relay.run("ip -6 route").stdout)
        return p

    def public(self, name, i, gateway_dev="pub"):
        """A namespace on the IPv4 Internet at 8.0.(10+i).1."""
        ns = self.ns(name)
        ns.forward()
        self.wire(self.inet, "to-%s" % name, ns, gateway_dev)
        self.inet.run("ip addr add 8.0.%d.254/24 dev to-%s" % (10 + i, name))
        ns.run("ip addr add 8.0.%d.1/24 dev %s" % (10 + i, gateway_dev))
        ns.run("ip route add default via 8.0.%d.254" % (10 + i))
        return ns

    def _client(self, i, nat):
        conf = "RelayType client\nServerAddress 8.0.1.1\nInterfaceName teredo\n"
        if nat == "none":
            ns = self.public("client%d" % i, i)
        else:
            box, ns = self.public("nat%d" % i, i), self.ns("client%d" % i)
            self.wire(box, "lan", ns, "lan")
            box.run("ip addr add 192.168.%d.1/24 dev lan" % i)
            ns.run("ip addr add 192.168.%d.2/24 dev lan" % i)
            ns.run("ip route add default via 192.168.%d.1" % i)
            self._nat(box, nat, "8.0.%d.1" % (10 + i), "192.168.%d.2" % i)
            if nat == "fullcone":
                conf += "BindPort 4000\n"
        return Client(ns, nat, self.miredo(ns, "miredo", conf, "client%d" % i))

    @staticmethod
    def _nat(box, nat, public, private):
        snat = {"restricted": "masquerade", "symmetric": "masquerade fully-random",
                "fullcone": "udp sport 4000 snat to %s:40000" % public}[nat]
        dnat = "udp dport 40000 dnat to %s:4000" % private if nat == "fullcone" else ""
        box.run(["nft", "-f", "-"], input="""
            table ip nat {
                chain pre { type nat hook prerouting priority dstnat; iifname pub %s; }
                chain post { type nat hook postrouting priority srcnat; oifname pub %s; }
            }
            table ip filter { # unsolicited packets must leave no trace in conntrack
                chain in { type filter hook input priority filter; iifname pub drop; }
            }""" % (dnat or "counter", snat))


class Navalis:
    """Our relay in the laboratory."""

    def __init__(self, lab, mode="native", extra="", instance=None, start=True, interfaces=None, ns=None):
        """ns: one that is not the relay's; no Teredo relay runs there, but what extra says."""
        self.lab, self.mode, self.ns = lab, mode, ns or lab.relay
        self.instance = instance or "nv%d" % os.getpid()
        self.process, self.wrap, self.args = None, [], []  # wrap: a command that starts it
        self.name = "navalisd" if ns is None else ns.name
        self.conf = os.path.join(lab.dir, "navalis.conf" if ns is None else ns.name + ".conf")
        teredo = "" if ns else "[teredo]\nservice = %s:%d\n" % lab.service
        with open(self.conf, "w") as f:
            f.write("[navalis]\ninstance = %s\ninterfaces = %s\nmode = %s\n%s%s\n" %
                    (self.instance, interfaces or lab.interfaces, mode, teredo, extra))
        if start:
            self.start()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop()
        self.detach()

    def start(self, program=None):
        path = os.path.join(self.lab.dir, "notify")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(path)
            os.chmod(path, 0o777)
            notify.settimeout(0.1)
            self.process = self.lab.start(
                self.ns, [*self.wrap, "env", "NOTIFY_SOCKET=" + path,
                                 program or BUILD + "/navalisd", "--config", self.conf, *self.args], self.name)

            def ready():
                if self.process.poll() is not None:
                    raise RuntimeError("navalisd: " + self.lab.log(self.name))
                with contextlib.suppress(TimeoutError):
                    return b"READY=1" in notify.recv(4096)
            wait_for("navalisd is ready", ready)

    def stop(self, sig=signal.SIGTERM):
        if self.process:
            self.lab.stop(self.process, sig)
            self.process = None

    def ctl(self, *args, check=True):
        return self.ns.run([BUILD + "/navalisctl", "--instance", self.instance, *args],
                                  check=check)

    def json(self, verb, *args):
        return json.loads(self.ctl(verb, "--json", *args, check=False).stdout)

    def detach(self):
        self.ctl("detach", "--force", check=False)


def missing():
    """What keeps the laboratory from running here, or None."""
    if os.geteuid():
        return "not root"
    for tool in ("nft", "ethtool", "ping", "nsenter", "ss", "sysctl"):
        if not shutil.which(tool):
            return tool + " is not installed (scripts/setup)"
    if not os.path.exists(MIREDO + "/.complete"):
        return "Debian's miredo is not unpacked in %s (scripts/setup)" % MIREDO
    if not os.path.exists("/dev/net/tun"):
        return "no /dev/net/tun"
    if not os.path.ismount("/sys/fs/bpf") and subprocess.run(
            ["mount", "-t", "bpf", "bpf", "/sys/fs/bpf"], capture_output=True).returncode:
        return "no BPF file system at /sys/fs/bpf"
    return None

# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs inside the machine: the same frames through sit, through navalisd alone, and through XDP; prints what came out.

Three boxes with the same addresses, each between its own two wires. Frames go in by the hundred, each with a
number of its own in its flow label; behind them go markers, so that nobody waits by the clock.
"""
import base64
import json
import lzma
import os
import select
import socket
import struct
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "../netns")]
from lab import Lab, Ns, wait_for  # noqa: E402
import sit_yard as yard  # noqa: E402

BUILD = os.path.join(HERE, "../../build")
BATCH = 100
SIDES = ("v4", "v6")


def sit(box):
    """Debian's own: what the configuration of navalis says, in the words of ip(8)."""
    for line in yard.SIT.strip().splitlines():
        box.run(line)


class Navalis:
    def __init__(self, mode):
        self.mode, self.said = mode, ""

    def __call__(self, box):
        conf = "/tmp/%s.conf" % box.name
        with open(conf, "w") as f:
            f.write("[navalis]\ninstance = %s\ninterfaces = v4 v6\nmode = %s\nslow_path_rate = 10000000\n%s" %
                    (box.name, self.mode, yard.CONF))
        self.daemon = box.popen([BUILD + "/navalisd", "--config", conf], stderr=subprocess.PIPE, text=True)
        line = ""
        while "ready" not in line:
            line = self.daemon.stderr.readline()
            assert line, "navalisd did not start"
            self.said += line


class Box:
    """One that forwards, and both of its neighbours."""

    def __init__(self, name, start):
        self.box, self.far = Ns(name), Ns(name + "-far")
        self.box.forward()
        self.box.sysctl("net.ipv6.icmp.ratelimit=0", "net.ipv6.icmp.ratemask=127", "net.ipv6.auto_flowlabels=0")
        for side in SIDES:
            Lab.wire(None, self.far, "p" + side, self.box, side)
            for ns, dev in (self.box, side), (self.far, "p" + side):
                ns.run("ip link set %s address %s" % (dev, yard.MACS[dev]))
        self.far.run("ip addr add 8.0.2.254/24 dev pv4")
        self.far.run("ip addr add 2a00:1::2/64 dev pv6 nodad")
        for line in yard.BOX.strip().splitlines():
            self.box.run(line)
        self.started = start
        start(self.box)
        self.out, self.answers, self.marks, self.seen = [], [], 0, set()
        self.sock = {}
        for side in SIDES:
            s = self.far.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            s.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)
            s.bind(("p" + side, 3))
            s.setblocking(False)
            self.sock[side] = s

    def take(self, side, frame, kind):
        """What came out of the box, in the list where it belongs."""
        if kind == socket.PACKET_OUTGOING:
            return
        serial, answer = yard.serial(frame)
        if serial is None:
            return
        if serial >= yard.MARKS:
            self.seen.add((serial, side, bool(answer)))
        elif answer:
            self.answers.append((serial, side, answer))
        else:
            self.out.append((serial, side, frame.hex()))

    def drain(self, seconds):
        for s in select.select(list(self.sock.values()), [], [], seconds)[0]:
            side = next(k for k, v in self.sock.items() if v is s)
            try:
                while True:
                    frame, addr = s.recvfrom(65536)
                    self.take(side, frame, addr[2])
            except BlockingIOError:
                pass

    def mark(self, *ways, tries=1):
        """Markers of these ways; returns when all of them have come out."""
        for _ in range(tries):
            self.marks += 1
            wanted = set()
            for entry, expires in ways:
                serial = yard.MARKS + self.marks % yard.MARKS_MAX
                self.sock[entry].send(yard.marker(entry, serial, expires))
                leaves = entry if expires else SIDES[1 - SIDES.index(entry)]
                wanted.add((serial, leaves, expires))
            self.seen.clear()

            def there():
                self.drain(0.2)
                return wanted <= self.seen
            try:
                return wait_for("marker of %s: %s but %s" % (self.box.name, ways, self.seen), there, 60 if tries == 1 else 2, 0)
            except TimeoutError:
                if tries == 1:
                    raise
        raise TimeoutError("%s does not forward" % self.box.name)

    def feed(self, cases):
        """
        Behind each batch a native packet that expires: now all native ones have been looked at, and the TUN has
        its share. Then one out of a tunnel that expires: it waits behind the others in the daemon's socket, and the
        answer to it behind the others in the TUN. Then one each way: behind what waits on the wires.
        """
        if not self.marks:
            self.mark(("v4", False), ("v6", False), tries=30)
        for at in range(0, len(cases), BATCH):
            for _, side, frame in cases[at:at + BATCH]:
                self.sock[side].send(frame)
            self.mark(("v6", True))
            self.mark(("v4", True))
            self.mark(("v4", False), ("v6", False))

    def heard_of(self):
        """The numbers of the frames that something came of; errors of ICMPv4 do not count, which are limited."""
        return {n for n, *_ in self.out} | {n for n, _, answer in self.answers if answer[0] == "6"}

    def result(self):
        r = {"out": self.out, "answers": self.answers}
        if isinstance(self.started, Navalis):
            r["said"] = self.started.said
            ctl = [BUILD + "/navalisctl", "--instance", self.box.name]
            r["stats"] = dict(l.split() for l in self.box.run(ctl + ["stats"]).stdout.splitlines())
            r["status"] = json.loads(self.box.run(ctl + ["status", "--json"], check=False).stdout)
        return r


def main():
    subprocess.run(["modprobe", "sit"], check=True)
    cases = yard.load("frames")
    boxes = {"sit": sit, "slow": Navalis("off"), "fast": Navalis("native")}
    made = [Box(name, start) for name, start in boxes.items()]
    for box in made:
        box.feed(cases)
    # a machine that waits for its CPUs can lose a frame: where one box is silent and another is not, it is asked again
    heard = [box.heard_of() for box in made]
    for box, own in zip(made, heard):
        before = len(box.out)
        box.feed([c for c in cases if c[0] in set().union(*heard) - own])
        print("%s: %d came out of it, %d of them when asked again, and %d answers" %
              (box.box.name, len(box.out), len(box.out) - before, len(box.answers)), flush=True)
    results = {box.box.name: box.result() for box in made}
    packed = base64.encodebytes(lzma.compress(json.dumps(results).encode())).decode()
    print("RESULTS\n%sEND" % packed)


if __name__ == "__main__":
    main()

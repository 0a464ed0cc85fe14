# SPDX-License-Identifier: GPL-2.0-or-later
"""The native side of a tunnel's tests, and what the relay counts meanwhile."""
import contextlib
import os
import select
import socket
import sys
import time

from counted import hits
from lab import ROOT, Navalis, wait_for

sys.path.insert(0, os.path.join(ROOT, "tests/pkts"))
from teredo import IPv6, Raw  # noqa: E402


@contextlib.contextmanager
def balanced(lab, mode, conf):
    """A relay for a module's tests, whose counts agree at their end."""
    with Navalis(lab, mode, extra=conf, instance="nvp%d" % os.getpid()) as made:
        yield made
        hits(made)
        status = made.json("status")
        assert status["slow_path"]["balanced"] and all(n["balanced"] for n in status["nics"]), status


def count(relay, reason, where=None):
    """Of packets, not of looks at them: what XDP hands on, the daemon counts again. where: a NIC, or the daemon."""
    row = next((r for r in relay.json("drops")["reasons"] if r["reason"] == reason), {"packets": 0, "where": {}, "action": ""})
    if where:
        return row["where"].get(where, 0)
    return row["where"]["daemon"] if row["action"] == "PASS" else row["packets"]


class UdpPeer:
    """A UDP endpoint that talks to one of the relay's, and to nobody else."""

    def __init__(self, ns, own, relay):
        self.sock = ns.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(own)
        self.sock.connect(relay)  # an answer from elsewhere is none

    def send(self, packet):
        self.sock.send(packet)

    def get(self, seconds=30.0):
        if not select.select([self.sock], [], [], seconds)[0]:
            raise TimeoutError("nothing came from the relay")
        return self.sock.recv(65536)

    def silent(self, seconds=0.3):
        return not select.select([self.sock], [], [], seconds)[0]


@contextlib.contextmanager
def counted(relay, reason, n=1):
    """The reason is counted so many times meanwhile; None: at all."""
    before = count(relay, reason)
    yield
    wait_for(reason, lambda: count(relay, reason) >= before + (n or 1))
    assert n is None or count(relay, reason) == before + n


@contextlib.contextmanager
def fast(relay, reason, nic, n):
    """So many packets of the NIC meet it in XDP, where there is XDP."""
    before = count(relay, reason, nic)
    yield
    assert count(relay, reason, nic) - before == (n if relay.mode == "native" else 0), reason


def _carried(relay, kind):
    rows = [r for r in relay.json("tunnels")["mechanisms"] if r["kind"] == kind]
    return [sum(r[way][unit] for r in rows) for way in ("in", "out") for unit in ("packets", "bytes")]


@contextlib.contextmanager
def carries(relay, kind, *wanted):
    """Packets and bytes that come out of the mechanisms of this kind meanwhile, and those that go into them; by whatever path."""
    before = _carried(relay, kind)
    want = [a + b for a, b in zip(before, wanted)]
    yield
    wait_for("%s: %s" % (kind, want), lambda: _carried(relay, kind) == want)


@contextlib.contextmanager
def narrowed(yard, native, mtu):
    """On its way to the native host a packet finds a link that is narrower than a tunnel."""
    route = "%s/128 via 2a00:1::2 dev v6" % native
    yard.relay.run("ip -6 route add %s mtu lock %d" % (route, mtu))
    try:
        yield
    finally:
        yard.relay.run("ip -6 route del " + route)


def native_get(cap, match, seconds=30.0):
    """The first IPv6 packet that arrives at the native host and fits."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        select.select([cap.sock], [], [], 0.1)
        for frame in cap.frames():
            if frame[12:14] == b"\x86\xdd" and match(frame[14:]):
                return frame[14:]
    raise TimeoutError("nothing arrived at the native host")


def native_send(yard, packet):
    yard.native.inject("to-relay", yard.relay.mac("v6") + yard.native.mac("to-relay") + b"\x86\xdd" + packet)


def unreachable(yard, relay, src, dst):
    """A native packet goes to where no socket is: its sender hears so."""
    cap = yard.native.capture("to-relay")
    packet = data(src, dst)
    with counted(relay, "ICMP4_MATCHED"), counted(relay, "UNREACHABLE_SENT"):
        native_send(yard, packet)
    error = native_get(cap, lambda p: p[6] == 58 and p[40] == 1)
    assert error[41] == 3 and error[24:40] == packet[8:24]
    assert error[48:] == packet[:7] + bytes([packet[7] - 1]) + packet[8:]
    cap.close()


def data(src, dst):
    return bytes(IPv6(src=src, dst=dst, nh=253) / Raw(b"12345678"))

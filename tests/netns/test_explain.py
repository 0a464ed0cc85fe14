# SPDX-License-Identifier: GPL-2.0-or-later
"""What explain says of an address is what happens to a packet: hundreds of addresses, of every mechanism and of none, right and wrong,
each of its verdicts beside the reason that is counted for a packet on the wire. XDP looks first; what it passes, the daemon judges.
"""
import contextlib
import itertools
import os
import random
import re
import socket
import struct
import sys

import pytest

from counted import hits
from lab import ROOT, Lab, Navalis, wait_for
from pinned import ACTIONS, NAMES, Counts, Table
from test_differential import (BR, DOMAIN, EVERYTHING, HG48_NET, LOCAL, MASK, NET, NET_2012, ODD_V4, ODD_V6, RELAY, RETURN, SERVER, WHOLE,
                               martian, yard as quiet)

sys.path.insert(0, os.path.join(ROOT, "tests/pkts"))
from frames import icmp6, ip4, ip6, udp, v4, v6  # noqa: E402
from hg48 import address as hg48  # noqa: E402
from proto41 import sixrd, sixto4  # noqa: E402
from sixbed4 import address as bed, address_2012 as bed_2012  # noqa: E402
from teredo import address as teredo  # noqa: E402

SEED = int(os.environ.get("SEED", 7059))
# no verdict of its own on that packet: it goes on to the daemon's, and a client's first one to a hole that is punched
BEFORE = ("NO_NEXT_HOP_IN", "NO_NEXT_HOP_OUT", "UNCONFIRMED_IN", "UNCONFIRMED_OUT", "UNPROVEN_IN", "NOT_OURS")
BEDS = {25790: lambda at: bed(NET, at), 25788: lambda at: bed_2012(NET_2012, at)}


def addresses():
    """Those of the differential test, an endpoint of every kind at each odd IPv4 address, and some with a bit turned over."""
    r, ends = random.Random(SEED), ODD_V4 + ("8.0.9.9", "8.0.200.1", "9.1.2.3", "10.200.0.1")
    made = [f(a) for a in ends for f in (
        sixto4, lambda a: sixto4(a, "::"), lambda a: sixrd(WHOLE, 0, a), lambda a: sixrd(DOMAIN, MASK, a, "::7"), lambda a: teredo("8.0.1.1", a, 4000),
        lambda a: teredo(a, "8.0.9.9", 4001), lambda a: hg48(HG48_NET, a, 4000), *(lambda a, b=b: b((a, 4000)) for b in BEDS.values()))]
    made += [f(("8.0.9.9", port)) for port in (0, 53, 1023, 1024, 3544, 65534) for f in (
        lambda at: hg48(HG48_NET, *at), lambda at: teredo("8.0.9.9", *at), *BEDS.values())]
    made += ["2002:800:909::1", "2a02:5::9", "2a02:7:0:0:1::", "2a02:77::1", HG48_NET + "1", "fd4a:6b8c:2d10:1:8000::1"]
    for a in r.sample(made, 60):
        b = bytearray(v6(a))
        bit = r.randrange(128)
        b[bit // 8] ^= 0x80 >> bit % 8
        made.append(socket.inet_ntop(socket.AF_INET6, b))
    return sorted(set(made) | set(ODD_V6))


class Judge:
    """The reason for one packet: XDP's, or where that passes it on, the daemon's."""

    def __init__(self, lab, relay, counts):
        self.lab, self.counts, self.sock = lab, counts, []
        for slot, ns in enumerate((lab.inet, lab.native)):
            s = ns.socket(socket.AF_PACKET, socket.SOCK_RAW)
            s.bind(("to-relay", 0))
            self.sock.append((s, lab.relay.mac(("v4", "v6")[slot]) + ns.mac("to-relay") + (b"\x08\0", b"\x86\xdd")[slot]))
        self.client = Table(relay.instance).fill(1)[0] if relay.teredo else None
        self.serial, self.sender = itertools.count(1), None  # for whom alone 6to4 sends

    def close(self):
        for s, _ in self.sock:
            s.close()

    def __call__(self, slot, packet, said=None):
        """said: explain's word, where it may be the server's on a bubble. Our own relay sends some by it, too."""
        before = self.counts.xdp(slot), self.counts.daemon()
        s, head = self.sock[slot]
        s.send(head + packet)

        def counted(now, then):
            return [n for n, a, b in zip(NAMES, now, then) if a > b and ACTIONS[n] != "NOTE" and n != "NOT_OURS"]
        fast = wait_for("XDP has seen it", lambda: counted(self.counts.xdp(slot), before[0]), pause=0.001)
        assert len(fast) == 1, fast
        if fast[0] not in BEFORE and ACTIONS[fast[0]] != "PASS" or fast[0] == "UNPROVEN_OUT":  # the yard has no way to clients
            return fast[0]
        beside = {"SERVER_RELAYED"} - {said}
        by_daemon = wait_for("the daemon has", lambda: set(counted(self.counts.daemon(), before[1])) - beside, pause=0.001)
        assert len(by_daemon) == 1, by_daemon
        return by_daemon.pop()

    def native(self, src, dst):
        """From native IPv6."""
        src, dst = v6(src), v6(dst)
        return self(1, ip6(src, dst, 17, udp(src, dst, 7, 9, b"12345678")))

    def ipv4(self, src, port, to, dport, inner_src, inner_dst, inner=None, said=None):
        """Out of a tunnel, port 0: protocol 41; or to the Teredo server."""
        a, b = v6(inner_src), v6(inner_dst)
        inner = inner or ip6(a, b, 17, udp(a, b, 7, 9, b"12345678"))
        outer = v4(src), v4(to)
        return self(0, ip4(*outer, 17 if dport else 41, udp(*outer, port, dport, inner) if dport else inner, next(self.serial)), said)


def end_of(name, n):
    """A far end of a mechanism, by its name in a line, as explain has it for an address behind it: (address, IPv4, port), (IPv4, port) of ours."""
    far = "8.0.%d.%d" % (128 + n // 200, 1 + n % 200)
    if name.startswith("6bed4 ("):
        port = int(re.search(r":(\d+)\)", name)[1])
        return (BEDS[port]((far, 4000)), far, 4000), (RELAY, port)
    if name.startswith("6rd ("):
        return ((sixrd(DOMAIN, MASK, far) if DOMAIN in name else sixrd(WHOLE, 0, far)), far, 0), (BR, 0)
    return {"6to4": ((sixto4(far), far, 0), (RELAY, 0)), "HG48": ((hg48(HG48_NET, far, 4000), far, 4000), (RELAY, 3546)),
            "the configured tunnels (6in4)": (("2a02:77::9", "8.0.77.1", 0), (LOCAL, 0))}[name]


def ours(mechanism, address):
    """Where packets from an address of the mechanism come to."""
    return {"6to4": (RELAY, 0), "6rd": (BR, 0), "HG48": (RELAY, 3546), "Teredo": (RELAY, 3545), "6in4": (LOCAL, 0),
            "6bed4": (RELAY, 25788 if v6(address)[:8] == v6(NET_2012)[:8] else 25790)}[mechanism]


def says(reason):
    """What is counted for it."""
    return {"UNPROVEN_OUT": ("UNPROVEN_OUT",), "UNPROVEN_IN": ("UNPROVEN_IN", "QUEUED")}.get(reason, (reason,))


def of_the_server(judge, e, n):
    """(what, explain's reason, the one counted)"""
    address, server = e["address"], (SERVER, 3544)
    for x in e["lines"]:
        if "by the Teredo server" not in x["text"]:
            continue
        if x["about"] == "to":
            yield x["text"], x["reason"], judge.ipv4("8.0.99.1", 4000, *server, "fe80::1", address,
                                                          ip6(v6("fe80::1"), v6(address), 59, b""), x["reason"])
        else:
            raw, peer = v6(address), v6(e["peer"] or "2001:db8::1")
            at = socket.inet_ntoa(bytes(b ^ 255 for b in raw[12:])), int.from_bytes(raw[10:12], "big") ^ 0xFFFF
            yield x["text"], x["reason"], judge.ipv4(*at, *server, address, "::", ip6(raw, peer, 58, icmp6(raw, peer, 128, bytes(4))), x["reason"])


def of_a_tunnel(judge, e, n):
    address, peer, (to, dport) = e["address"], e["peer"], ours(e["mechanism"], e["address"])
    lines = [x for x in e["lines"] if x["reason"] and "Teredo server" not in x["text"]]
    yield "to it", [x["reason"] for x in lines if x["about"] == "to"][0], judge.native(peer, address)
    if not e["endpoint"]:
        return
    src, _, port = e["endpoint"].partition(":")
    came = [x["reason"] for x in lines if x["about"] == "from"]
    if e["mechanism"] != "Teredo" or not martian(src):  # of a client that is not proven it is the daemon that judges
        yield "from it", came[0], judge.ipv4(src, int(port or 0), to, dport, address, peer)
    if len(came) > 1 and came[1] != "UNSOLICITED":
        yield "from elsewhere", came[1], judge.ipv4("8.0.99.%d" % (1 + n % 200), 4000 if dport else 0, to, dport, address, peer)


def of_native(judge, e, n):
    address = e["address"]
    for x in e["lines"]:
        if not x["reason"] or "by the Teredo server" in x["text"]:
            continue
        way, name = re.match("(out of|into) (.*)", x["text"]).groups()
        if name == "the Teredo server":
            there, here = (teredo(SERVER, "8.0.99.1", 4000), "8.0.99.1", 4000), (SERVER, 3544)
            src, dst = v6(there[0]), v6(address)
            yield x["text"], x["reason"], judge.ipv4(*there[1:], *here, there[0], address,
                                                   ip6(src, dst, 58, icmp6(src, dst, 128, bytes(4))), x["reason"])
            continue
        if name == "Teredo":
            at = bytes(b ^ 255 for b in v6(judge.client)[10:])
            there, here = (judge.client, socket.inet_ntoa(at[2:]), struct.unpack("!H", at[:2])[0]), (RELAY, 3545)
        else:
            there, here = end_of(name, n)
        if way == "into":
            yield x["text"], x["reason"], judge.native(address, there[0])
        else:
            yield x["text"], x["reason"], judge.ipv4(there[1], there[2], *here, there[0], address)


def of_ipv4(judge, e, _):
    address, peer, beds = e["address"], e["peer"], iter(BEDS.values())
    at = address, 49152
    there = {"a Teredo client": teredo(address, *at), "an HG48 endpoint": hg48(HG48_NET, *at)}
    for x in e["lines"]:
        text, said = x["text"], x["reason"]
        if not said:
            continue
        site = re.match(r"([0-9a-f:]+)/\d+, (\S+)$", text)
        inside = site and re.sub("::$", "::1", site[1])
        if text == "a client of the Teredo server there":
            was = judge.ipv4("8.0.99.1", 4000, SERVER, 3544, "::", "::", ip6(v6("fe80::1"), v6(teredo(SERVER, *at)), 59, b""), said)
        elif text == "a solicitation to the Teredo server":
            src, dst = v6("fe80::1"), v6("ff02::2")
            was = judge.ipv4(*at, SERVER, 3544, "::", "::", ip6(src, dst, 58, icmp6(src, dst, 133, bytes(4)), hop=255), said)
        elif text.startswith("protocol 41 to "):
            was = judge.ipv4(address, 0, text.split()[-1], 0, peer, peer)
        elif site and x["about"] == "from":
            was = judge.ipv4(address, 0, {"6to4": RELAY, "6rd": BR, "6in4": LOCAL}[site[2]], 0, inside, peer)
        elif site:
            was = judge.native(judge.sender if site[2] == "6to4" and judge.sender else peer, inside)
        else:
            was = judge.native(peer, next(beds)(at) if "6bed4" in text else next(a for name, a in there.items() if name in text))
        yield text, "UNPROVEN_OUT" if "Teredo client," in text and said == "ENCAP" else said, was


@pytest.fixture(scope="module")
def yard():
    with Lab((), server=False) as lab:
        quiet(lab)
        lab.relay.run("ip -6 route add blackhole 2001:0:8000::/33")  # the other half of Teredo
        yield lab


@contextlib.contextmanager
def running(yard, extra, with_relay):
    """with_relay: Teredo's."""
    with Navalis(yard, "native", extra=extra, instance="nve%d" % os.getpid(), ns=None if with_relay else yard.relay) as relay, \
            contextlib.closing(Counts(relay.instance)) as counts:
        relay.teredo = with_relay
        with contextlib.closing(Judge(yard, relay, counts)) as judge:
            yield relay, judge
        hits(relay)


@pytest.mark.parametrize("extra,with_relay", [(EVERYTHING, True), (EVERYTHING, False), (EVERYTHING + "[navalis]\nserve = 2a00:bb::/32\n", True),
                                          (RETURN, True)], ids=["everything", "no Teredo relay", "some are served", "return relay"])
def test_explain_says_what_happens(yard, extra, with_relay):
    wrong, n, seen = [], itertools.count(), set()
    with running(yard, extra, with_relay) as (relay, judge):
        judge.sender = "2a00:f::1" if extra is RETURN else None
        for a in addresses() + list(ODD_V4) + ["8.0.9.9", "8.0.77.1", "8.0.13.1", "9.1.2.3"]:
            e = relay.json("explain", a)
            asked = {"native": of_native, "host": of_native, "ipv4": of_ipv4}.get(e["mechanism"], of_a_tunnel)
            for what, said, was in itertools.chain(asked(judge, e, next(n)), of_the_server(judge, e, n)):
                seen.add((e["mechanism"], said))
                if was not in says(said):
                    wrong.append("%s (%s) %s: explain says %s, and it is %s" % (a, e["mechanism"], what, said, was))
    assert not wrong, "%d\n%s" % (len(wrong), "\n".join(wrong))
    assert len(seen) > 30 and (extra is RETURN or {"SERVER_RELAYED", "SERVER_LOCAL", "SOLICITED"} < {reason for _, reason in seen})

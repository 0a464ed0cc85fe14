# SPDX-License-Identifier: GPL-2.0-or-later
"""Linux's own sit as an oracle: thousands of mutated frames through it, through navalisd alone and through XDP.

What comes out of navalis is what comes out of sit, byte for byte but for the IPv4 ID and with it the header
checksum; or it is what DIFFERENCES and BYTES below say. A difference that is not in these lists fails the test, and
so does an entry that navalis does not keep to, or that no frame needs.
"""
import base64
import collections
import ipaddress
import json
import lzma
import re
import struct

import pytest

import sit_frames
import vm
from builds import TREE
from sit_yard import BEHIND, BR, DOMAIN, DOMAIN4, END, MTU, OFFICE, PROVIDER, RELAY, TO4, checksum, ip4, left, save, v4

SEED, FRAMES = 6343, 4000


def nets(text):
    return [ipaddress.ip_network(n) for n in text.split()]


OWN = [ipaddress.ip_address(a) for a in (TO4, BR, END, "127.0.0.1", "8.0.2.255")]
NOT_GLOBAL = nets("0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 192.88.99.0/24 "
                  "192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4")
NOWHERE, SITE_LOCAL, LINK_LOCAL = nets("::/16"), nets("fc00::/7 fec0::/10"), nets("fe80::/10")
SIXTO4, SIXRD, COMPATIBLE = nets("2002::/16"), nets(DOMAIN), nets("::/96")
SIXIN4 = {name: nets(" ".join(BEHIND[far])) for name, far in (("office", OFFICE), ("provider", PROVIDER))}
OURS = {"6to4": SIXTO4, "6rd": SIXRD, **SIXIN4}


def within(addr, networks):
    return any(addr in n for n in networks)


def behind(addr):
    """The tunnel that an address is behind, or None."""
    return next((t for t, networks in OURS.items() if within(addr, networks)), None)


def embedded(addr):
    """The IPv4 address that a 6to4 or 6rd address has in it, or None."""
    number = int(addr)
    if within(addr, SIXTO4):
        return ipaddress.IPv4Address(number >> 80 & 0xFFFFFFFF)
    if within(addr, SIXRD):
        return ipaddress.IPv4Address(int(ipaddress.ip_network(DOMAIN4)[0]) | number >> 77 & 0xFFFF)
    return None


def embeds_own(addr):
    isatap = ipaddress.IPv4Address(int(addr) & 0xFFFFFFFF) if int(addr) >> 32 & 0xFDFFFFFF == 0x5EFE else None
    return within(addr, SIXTO4) and embedded(addr) in OWN or isatap in OWN


class Packet:
    """The IPv6 packet of a frame, and the tunnel that it comes out of or goes into: None where there is none."""

    def __init__(self, data):
        self.whole, self.native = data[14:], data[12:14] != b"\x08\0"
        self.src = self.dst = self.came = self.goes = self.far = None
        if not self.native:
            head = (self.whole[0] & 15) * 4 if self.whole else 0
            if len(self.whole) < max(head, 20) + 40:
                return
            self.far, near = (ipaddress.ip_address(self.whole[i:i + 4]) for i in (12, 16))
            self.came = {TO4: "6to4", BR: "6rd"}.get(str(near)) or \
                {(END, OFFICE): "office", (END, PROVIDER): "provider"}.get((str(near), str(self.far)))
            self.whole = self.whole[head:]
        elif len(self.whole) < 40:
            return
        self.src, self.dst = (ipaddress.ip_address(self.whole[i:i + 16]) for i in (8, 24))
        self.whole = self.whole[:40 + struct.unpack("!H", self.whole[4:6])[0]]
        self.goes = behind(self.dst)

    def headers(self):
        """(kind, bytes) of each header behind the first, up to where it can be read."""
        kind, at = self.whole[6], 40
        while kind in (0, 43, 44, 51, 60, 135, 139, 140):
            here = self.whole[at:]
            if len(here) < 8:
                return
            yield kind, here
            if kind == 44 and struct.unpack("!H", here[2:4])[0] >> 3:
                return
            at += 8 if kind == 44 else (here[1] + 2) * 4 if kind == 51 else (here[1] + 1) * 8
            kind = here[0]
        if at < len(self.whole):
            yield kind, self.whole[at:]


def drops(p, twin):
    return []


def natively(p, twin):
    """As any packet of the native network."""
    return [(side, f[:38] + p.dst.packed + f[54:]) for side, f in twin]


def turns(p, twin):
    """RFC 5969 8: what would go to native goes to the other site."""
    out = []
    for _, f in natively(p, twin):
        tos = struct.unpack("!H", f[14:16])[0] >> 4 & 0xFF
        out.append(("v4", left("v4") + ip4(v4(BR), embedded(p.dst).packed, f[14:], 0, tos=tos, frag=0x4000, ttl=64, check=0)))
    return out if len(p.whole) <= MTU[BR] else []


Difference = collections.namedtuple("Difference", "name reference when does")

# where sit and navalis do not decide alike: whom it is about, and what navalis does
DIFFERENCES = [Difference(*d) for d in [
    ("a source that is not the tunnel's", "RFC 3964 5.2, RFC 5969 9.2, RFC 4213 3.6",
     lambda p: p.came in ("6to4", "6rd", "office") and not within(p.src, OURS[p.came]), drops),
    ("any_source: a source that nobody has", "RFC 4213 3.6, RFC 4193 4.3",
     lambda p: p.came == "provider" and within(p.src, NOWHERE + SITE_LOCAL), drops),
    ("any_source: a source that leads back here", "RFC 6324 3.3", lambda p: p.came == "provider" and embeds_own(p.src), drops),
    ("6to4 from an address that is not global", "RFC 3964 5.3.1, RFC 6890 2.2.2",
     lambda p: p.came == "6to4" and within(p.far, NOT_GLOBAL), drops),
    ("6rd from another relay of the domain", "RFC 5969 12", lambda p: p.came == "6rd" and str(p.far) == RELAY, drops),
    ("from a broadcast address of this host's network", "RFC 3964 5.3.1", lambda p: p.came and p.far in OWN, drops),
    ("out of a tunnel to nowhere", "RFC 3964 5.3.2", lambda p: p.came and within(p.dst, NOWHERE), drops),
    ("out of a tunnel to a site's own addresses", "RFC 4193 4.3", lambda p: p.came and within(p.dst, SITE_LOCAL), drops),
    ("out of a tunnel to a link's own addresses", "RFC 4291 2.5.6", lambda p: p.came and within(p.dst, LINK_LOCAL), drops),
    ("out of a tunnel to an address that leads back here", "RFC 6324 3.3", lambda p: p.came and embeds_own(p.dst), drops),
    ("out of one tunnel into another, or the same", "RFC 3964 5.2, and cross in navalis.conf(5)",
     lambda p: p.came and p.goes and not p.came == p.goes == "6rd", drops),
    ("6rd: into the relay's own prefix", "RFC 5969 12", lambda p: p.came == p.goes == "6rd" and embedded(p.dst) in OWN, drops),
    ("6rd: to another relay of the domain", "RFC 5969 12", lambda p: p.goes == "6rd" and str(embedded(p.dst)) == RELAY, drops),
    ("6rd: from one site to another", "RFC 5969 8", lambda p: p.came == p.goes == "6rd" and embedded(p.src) == p.far, turns),
    ("a routing header of type 0", "RFC 5095 3", lambda p: p.came and any(k == 43 and h[2] == 0 for k, h in p.headers()), drops),
    ("neighbour discovery out of a tunnel", "RFC 3964 4.1.1",
     lambda p: p.came and any(k == 58 and 133 <= h[0] <= 137 for k, h in p.headers()), drops),
    ("into a tunnel from nowhere", "RFC 3964 5.3.2", lambda p: p.native and p.goes and within(p.src, NOWHERE), drops),
    ("into a tunnel from a site's own addresses", "RFC 4193 4.3", lambda p: p.native and p.goes and within(p.src, SITE_LOCAL), drops),
    ("into a tunnel from an address that leads back here", "RFC 6324 3.3", lambda p: p.native and p.goes and embeds_own(p.src), drops),
    ("6to4 to 6to4", "RFC 3964 5.1", lambda p: p.native and p.goes == "6to4" and within(p.src, SIXTO4), drops),
    ("into a tunnel from what is behind one", "RFC 2827", lambda p: p.native and p.goes and behind(p.src) not in (None, "6to4"), drops),
    ("6to4 to an address that is not global", "RFC 3964 5.3.1, RFC 6890 2.2.2",
     lambda p: p.native and p.goes == "6to4" and within(embedded(p.dst), NOT_GLOBAL), drops),
    ("into a tunnel to this host", "RFC 6324 3.3", lambda p: p.native and p.goes in ("6to4", "6rd") and embedded(p.dst) in OWN, drops),
    ("an IPv4-compatible destination is no tunnel", "RFC 4291 2.5.5.1", lambda p: p.native and within(p.dst, COMPATIBLE) and int(p.dst) != 1, natively),
]]

Byte = collections.namedtuple("Byte", "name reference when change")


def put(f, at, value):
    return f[:at] + bytes([value]) + f[at + 1:]


# and what an outer header has that sit writes otherwise; f: the frame that sit sent
BYTES = [Byte(*b) for b in [
    ("TTL 64 and not the hop limit, also without «do not fragment»", "RFC 4213 3.5", lambda p, f: not f[20] & 0x40, lambda f: put(f, 22, 64)),
    ("no congestion bits where the class is not copied", "RFC 6040 4.1, compatibility mode", lambda p, f: p.goes != "6rd", lambda f: put(f, 15, 0)),
    ("«congestion experienced» is copied as it is", "RFC 6040 4.1, normal mode; sit: RFC 3168 9.1.1",
     lambda p, f: p.goes == "6rd", lambda f: put(f, 15, (f[15] & 0xFC) | (f[35] >> 4 & 3))),
]]


class Expected:
    """
    What navalis has to send for each frame, made from what sit sent; which entries made a difference; and of which
    frames none speaks.
    """

    def __init__(self, drafts, sit):
        self.of, self.needed, self.alike = {}, set(), set()
        for number, draft in drafts.items():
            p, out = Packet(draft.whole(number)), sit[number]
            entries = [d for d in DIFFERENCES if p.src is not None and d.when(p)]
            entries = [d for d in entries if d.does is drops] or entries
            if not entries:
                self.alike.add(number)
            if entries:
                twin = [(side, renumbered(f, number)) for side, f in sit[draft.twin]] if draft.twin else []
                ours = entries[0].does(p, twin)
                if ours != out and len(entries) == 1:
                    self.needed.add(entries[0].name)
                out = ours
            if p.native and p.goes:
                out = [self.header(p, side, f) for side, f in out]
            self.of[number] = out

    def header(self, p, side, f):
        for b in BYTES:
            if side == "v4" and b.when(p, f) and b.change(f) != f:
                f = b.change(f)
                self.needed.add(b.name)
        return side, f


def renumbered(f, number):
    """A native frame under another number."""
    return f[:14] + struct.pack("!I", struct.unpack("!I", f[14:18])[0] & ~0xFFFFF | number) + f[18:]


def sent(result):
    """{number: [(side, frame without IPv4 ID and header checksum, which is right)]}"""
    by_number = collections.defaultdict(list)
    for number, side, text in result["out"]:
        f = bytes.fromhex(text)
        if side == "v4":
            head = f[14:14 + (f[14] & 15) * 4]
            assert not checksum(head), text
            f = f[:18] + bytes(2) + f[20:24] + bytes(2) + f[26:]
        by_number[number].append((side, f))
    return by_number


@pytest.fixture(scope="module")
def ran(machines, tmp_path_factory):
    """{kernel: a future of what each of the boxes there sent and counted}, and the drafts of the frames."""
    drafts, fed = sit_frames.cases(SEED, FRAMES)
    path = str(tmp_path_factory.mktemp("sit") / "frames")
    save(path, fed)

    def job(kernel):
        text = vm.run(kernel, "/usr/bin/python3 tests/vm/inside_sit.py\n", TREE + [(path, "frames")], timeout=600).text
        packed = re.search("RESULTS\n(.*)END", text, re.S)
        assert packed, text
        print("\n%s, seed %d, %d frames:\n%s" % (kernel, SEED, len(fed), text[:packed.start()]))
        return json.loads(lzma.decompress(base64.decodebytes(packed[1].encode())))
    return machines.at_once(job), drafts


def shown(out):
    return ["%s %s" % (side, f.hex()) for side, f in out]


@pytest.mark.parametrize("path", ["slow", "fast"])
@pytest.mark.parametrize("kernel", vm.KERNELS)
def test_what_comes_out_is_what_comes_out_of_sit(ran, kernel, path):
    results, drafts = ran
    results = results[kernel].result()
    expected, got = Expected(drafts, sent(results["sit"])).of, sent(results[path])
    wrong = ["%d: %s\n  expected %s\n  sent     %s" % (n, drafts[n].name, shown(expected[n]), shown(got[n]))
             for n in drafts if sorted(expected[n]) != sorted(got[n])]
    assert not wrong, "%d frames, seed %d:\n%s" % (len(wrong), SEED, "\n".join(w[:1500] for w in wrong[:20]))


def answers(result, among):
    """«Packet too big», with the MTU that it names, and «time exceeded»; others are limited, or the kernel's own matter."""
    return sorted(a for a in map(tuple, result["answers"]) if a[0] in among and a[2].startswith(("6 2 ", "6 3 ")))


@pytest.mark.parametrize("path", ["slow", "fast"])
@pytest.mark.parametrize("kernel", vm.KERNELS)
def test_what_expires_or_is_too_big_is_answered_as_by_sit(ran, kernel, path):
    results, drafts = ran
    results = results[kernel].result()
    among = Expected(drafts, sent(results["sit"])).alike
    wanted = answers(results["sit"], among)
    assert answers(results[path], among) == wanted
    assert {a[2] for a in wanted} == {"6 3 0 0"} | {"6 2 0 %d" % mtu for mtu in MTU.values()} and len(wanted) > 40


@pytest.mark.parametrize("kernel", vm.KERNELS)
def test_each_difference_is_one(ran, kernel):
    """No entry of the lists that sit agrees with, or that another entry covers."""
    results, drafts = ran
    needed = Expected(drafts, sent(results[kernel].result()["sit"])).needed
    assert not [e.name for e in DIFFERENCES + BYTES if e.name not in needed]


@pytest.mark.parametrize("kernel", vm.KERNELS)
def test_both_paths_were_taken_and_nothing_was_lost(ran, kernel):
    results, _ = ran
    results = results[kernel].result()
    for path in ("slow", "fast"):
        assert "the module tunnel4 is loaded" in results[path]["said"]  # as it is here, for sit
        stats = {k[:-8]: int(v) for k, v in results[path]["stats"].items() if k.endswith("_packets")}
        assert not any(v for k, v in stats.items() if "_over_" in k or "overflow" in k), stats
        assert results[path]["status"]["slow_path"]["balanced"]
        xdp = [stats.get(k, 0) for k in ("v4_decap", "v6_encap", "v4_bounced")]
        assert (min(xdp) > 3 and sum(xdp) > 1000) if path == "fast" else not any(xdp), stats
        assert stats["daemon_decap"] > 100 and stats["daemon_encap"] > 50, stats

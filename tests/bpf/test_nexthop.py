# SPDX-License-Identifier: GPL-2.0-or-later
"""Next hops by route: what navalisd says of them in the map «routes», and what the program makes of it."""
import itertools
import struct
import subprocess

import pytest

from teredo import Ether, ICMPv6EchoRequest, IP, IPv6, Raw, UDP, address, v4, v6
from xdp import GATEWAY4, GATEWAY6, MACS, PASS, PORT, REDIRECT, SERVICE

REGIONS = 8192
NATIVE, CLIENT = "2a00:f::7", address("8.0.1.1", "8.0.9.9", 40000)
_changes = itertools.count(100)


class To4:
    """From native hosts to clients: a resolved gateway leads to one of them, nothing to another."""
    family, nic, map, done, undone = 0, "v6", "nexthops4", "ENCAP", "NO_NEXT_HOP_OUT"
    known, lost, gateway = "8.0.9.9", "8.0.2.77", MACS["gw4"]  # the latter on-link, and nobody is there
    behind = "8.0.2.78"
    narrow, route = "8.0.77.1", "route add 8.0.77.0/24 via %s mtu lock 1300" % GATEWAY4

    @staticmethod
    def key(addr):
        return int.from_bytes(v4(addr), "big") << 32

    @staticmethod
    def frame(addr):
        inner = IPv6(src=NATIVE, dst=address("8.0.1.1", addr, 40000), hlim=60) / ICMPv6EchoRequest(data=b"abc")
        return bytes(Ether(src=MACS["gw6"], dst=MACS["v6"]) / inner)

    @classmethod
    def clients(cls):
        return [address("8.0.1.1", a, 40000) for a in (cls.known, cls.lost, cls.behind, cls.narrow)]


class To6:
    """From a client to native hosts."""
    family, nic, map, done, undone = 1, "v4", "nexthops6", "DECAP", "NO_NEXT_HOP_IN"
    known, lost, gateway = NATIVE, "2a00:dead::1", MACS["gw6"]
    behind = "2a00:dead:0:1::"
    narrow, route = "2a00:77::1", "-6 route add 2a00:77::/32 via %s mtu lock 1270" % GATEWAY6

    @staticmethod
    def key(addr):
        return int.from_bytes(v6(addr)[:8], "big")

    @staticmethod
    def frame(addr):
        inner = IPv6(src=CLIENT, dst=addr, hlim=60) / ICMPv6EchoRequest(data=b"abc")
        return bytes(Ether(src=MACS["gw4"], dst=MACS["v4"]) / IP(src="8.0.9.9", dst=SERVICE) /
                     UDP(sport=40000, dport=PORT) / Raw(bytes(inner)))

    @classmethod
    def clients(cls):
        return [CLIENT]


def regions(*of):
    """struct regions: (first key, hop) of each."""
    firsts = [k for k, _ in of]
    out = struct.pack("<II", len(of), 0) + struct.pack("<%dQ" % len(of), *firsts).ljust(8 * REGIONS, b"\0")
    return out + bytes(h for _, h in of).ljust(REGIONS, b"\0")


@pytest.fixture(scope="module")
def x(machine):
    """Loaded once, which takes seconds on an emulated machine. No entry gets too old."""
    return machine.load(own4=(SERVICE,), nexthop_life=1 << 20)


@pytest.fixture(params=[To4, To6], ids=["to IPv4", "to IPv6"])
def t(x, request):
    """What navalisd says is a change each time, unless it is said of the same now."""
    t = request.param
    for i, c in enumerate(t.clients()):
        x.add(c, place=i)

    def say(*sets, now=None, word=1000):
        value = struct.pack("<QII", x.units() + word if word is not None else 0, next(_changes) if now is None else now, 0)
        x.put("routes", t.family, value + b"".join((list(sets) * 2)[:2]))
    t.say = staticmethod(say)
    t.goes = staticmethod(lambda addr: goes(x, t, addr))
    return t


def goes(x, t, addr):
    """Whether a packet is forwarded; if so, to the gateway."""
    action, reason, out = x.run(t.frame(addr), t.nic)
    assert (action, reason) in ((REDIRECT, t.done), (PASS, t.undone))
    assert action == PASS or out[:6].hex(":") == t.gateway
    return action == REDIRECT


def everything(hop=1):
    return regions((0, hop))


def test_an_entry_is_for_all_destinations_of_its_hop(t):
    t.say(everything())
    assert not t.goes(t.lost)  # nobody has asked for the gateway yet
    assert t.goes(t.known) and t.goes(t.lost)


NOTHING = {"hop 0": everything(0), "all zero": bytes(8 + 9 * REGIONS),
           "n = 0": bytes(8 + 8 * REGIONS) + b"\1" * REGIONS}


@pytest.mark.parametrize("regions", NOTHING)
def test_where_nothing_is_known_each_destination_is_asked_for(t, regions):
    t.say(NOTHING[regions])
    assert t.goes(t.known) and not t.goes(t.lost)


def test_the_other_family_has_regions_of_its_own(x, t):
    t.say(NOTHING["all zero"])
    x.put("routes", 1 - t.family, struct.pack("<QII", x.units() + 1000, 0, 0) + 2 * everything())
    assert t.goes(t.known) and not t.goes(t.lost)


@pytest.mark.parametrize("word", [None, 0, -1])
def test_a_word_that_has_lapsed_or_been_taken_back(t, word):
    t.say(everything(), now=7)
    assert t.goes(t.known) and t.goes(t.lost)
    t.say(everything(), now=7, word=word)
    assert t.goes(t.known) and not t.goes(t.lost)


def test_an_entry_ends_with_a_change(t):
    t.say(everything())
    assert t.goes(t.known) and t.goes(t.lost)
    t.say(everything())
    assert not t.goes(t.lost)
    assert t.goes(t.known) and t.goes(t.lost)


@pytest.mark.parametrize("now", [2, 5, 0xFFFFFFFF])
def test_the_set_in_force(t, now):
    sets = [everything(0), everything(0)]
    sets[now & 1] = everything()
    t.say(*sets, now=now)
    assert t.goes(t.known) and t.goes(t.lost)
    t.say(*sets, now=now + 1 & 0xFFFFFFFF)
    assert not t.goes(t.lost)


@pytest.mark.parametrize("hop", [0, 2, 63])
def test_another_hop_has_another_entry(t, hop):
    first, second = sorted((t.known, t.lost), key=t.key)
    t.say(regions((0, 1 if first == t.known else hop), (t.key(second), 1 if second == t.known else hop)))
    assert t.goes(t.known) and not t.goes(t.lost)


def test_the_ends_of_regions(t):
    """The first address of one, the last of it, and the first behind it."""
    t.say(regions((0, 0), *sorted([(t.key(t.lost), 1), (t.key(t.behind), 0), (t.key(t.known), 1)])))
    assert t.goes(t.known) and t.goes(t.lost) and not t.goes(t.behind)
    t.say(regions((0, 1), *sorted([(t.key(t.lost) + 1, 0), (t.key(t.known), 1)])))
    assert t.goes(t.known) and t.goes(t.lost) and not t.goes(t.behind) and t.goes(t.lost)


def test_no_entry_for_many_is_made_from_a_narrow_path(x, t):
    """What a forged «packet too big» has narrowed looks the same as a route with such an MTU."""
    subprocess.run(["nsenter", "--net=/run/netns/" + x.ns, "ip", *t.route.split()], check=True)
    try:
        t.say(everything())
        assert t.goes(t.narrow) and not t.goes(t.lost)
        assert t.goes(t.known) and t.goes(t.lost) and t.goes(t.narrow)
    finally:
        subprocess.run(["nsenter", "--net=/run/netns/" + x.ns, "ip", *t.route.replace("add", "del").split()], check=True)


@pytest.mark.parametrize("t", [To4], indirect=True)
def test_rfc6864_4_3_identification_changes_with_one_next_hop(x, t):
    t.say(everything())
    frames = [x.run(t.frame(a), t.nic)[2] for a in (t.known, t.lost) * 8]
    for to in (t.known, t.lost):
        ids = [f[18:20] for f in frames if f[30:34] == v4(to)]
        assert len(set(ids)) == len(ids) == 8


def test_an_entry_gets_too_old(machine, t):
    """Asked without a pause. Where the clock goes on in the middle of a question, either answer will do."""
    life = 16  # some seconds
    machine.load(own4=(SERVICE,), nexthop_life=life)
    for i, c in enumerate(t.clients()):
        machine.add(c, place=i)
    t.say(everything())
    made = machine.units()
    assert t.goes(t.known)
    latest = machine.units()
    young = old = 0
    while not old:
        before, goes, after = machine.units(), t.goes(t.lost), machine.units()
        assert goes or after >= made + life
        assert not goes or before < latest + life
        young += after < made + life
        old += before >= latest + life
    assert young

# SPDX-License-Identifier: GPL-2.0-or-later
"""6to4, 6rd and 6in4 through the relay: peers made by hand on one side, the native kernel on the other."""
import ipaddress
import os
import re
import select
import socket
import struct
import sys

import pytest

from counted import hits
from lab import ROOT, Lab, Navalis, fresh_native, wait_for
from native import balanced, carries, counted, data, fast, narrowed, native_get, native_send

sys.path.insert(0, os.path.join(ROOT, "tests/pkts"))
from proto41 import IP, IPv6, Raw, echo, in_header, out_header, outer, sixrd, sixto4, v6  # noqa: E402

DOMAIN, MASK = "2a01:db8:4000::/35", 16  # nothing of it at the edge of a byte
SITE, EDGE, END = "8.0.11.1", "8.0.12.1", "8.0.13.1"
RELAY, BR, LOCAL = "8.0.2.1", "8.0.2.2", "8.0.2.3"
CONF = """[6to4]
local = 8.0.2.1
[6rd home]
prefix = %s
ipv4_prefix = 8.0.0.0/%d
border_relay = 8.0.2.2
other_relays = 8.0.200.1
mtu = 1400
df = yes
[6in4 branch]
local = 8.0.2.3
remote = 8.0.13.1
prefixes = 2a02:5::/48 2a02:7::/64
mtu = 1480
""" % (DOMAIN, MASK)


class Peer:
    """One end of a tunnel: what it gets is what arrives at its host, what it sends says what it likes."""

    def __init__(self, ns, own, relay, inside, mtu, **header):
        self.ns, self.own, self.relay, self.inside, self.mtu = ns, own, relay, inside, mtu
        self.header = dict(src=relay, dst=own, ttl=63, tos=0, df=False) | header  # a router lies between
        self.sock = ns.socket(socket.AF_INET, socket.SOCK_RAW, 41)
        self.sock.setsockopt(socket.IPPROTO_IP, socket.IP_HDRINCL, 1)

    def send(self, inner, src=None, dst=None, **fields):
        self.sock.sendto(outer(src or self.own, dst or self.relay, inner, **fields), (dst or self.relay, 0))

    def packets(self, seconds=30.0):
        """The inner packets as they arrive; ends when none does for so long."""
        while select.select([self.sock], [], [], seconds)[0]:
            packet = self.sock.recv(65536)
            assert out_header(packet) == self.header
            yield packet[20:]

    def get(self, kind=None, seconds=30.0):
        """The next one, or the next ICMPv6 message of a type."""
        for inner in self.packets(seconds):
            if kind is None or inner[6] == 58 and inner[40] == kind:
                return inner
        raise TimeoutError("nothing came out of the tunnel")

    def forget(self):
        """What came for an earlier test, be it from another tunnel."""
        while select.select([self.sock], [], [], 0)[0]:
            self.sock.recv(65536)

    def silent(self, seconds=0.3):
        return not list(self.packets(seconds))


@pytest.fixture(scope="module")
def yard():
    with Lab((), server=False) as lab:
        lab.inet.answerable("to-relay")
        for a in (BR, LOCAL):
            lab.relay.run("ip addr add %s/24 dev v4" % a)
        for net in ("2002::/16", DOMAIN, "2a02:5::/48", "2a02:7::/64"):
            lab.native.run("ip -6 route add %s via 2a00:1::1" % net)
        site, edge, end = (lab.public(name, i) for i, name in enumerate(("site", "edge", "end"), 1))
        lab.peers = {
            "6to4": Peer(site, SITE, RELAY, sixto4(SITE), 1280),
            "6rd": Peer(edge, EDGE, BR, sixrd(DOMAIN, MASK, EDGE, "::5:0:0:0:1"), 1400, df=True),
            "6in4": Peer(end, END, LOCAL, "2a02:5::9", 1480),
        }
        yield lab


@pytest.fixture(scope="module", params=["off", "native"])
def relay(yard, request):
    with balanced(yard, request.param, CONF) as made:
        yield made


@pytest.fixture(params=["6to4", "6rd", "6in4"])
def peer(request, yard, relay):
    p = yard.peers[request.param]
    p.forget()
    return p


# ---- relays of their own, before there is the one that the other tests share

def test_rfc6343_4_5_the_return_relay_only_sends(yard):
    extra = "[6to4]\nlocal = 8.0.2.1\nreturn_only = yes\nsends_for = 2a00:f::/64\n"
    p = yard.peers["6to4"]
    with Navalis(yard, "off", extra=extra, instance="nvq%d" % os.getpid()) as relay:
        native = fresh_native()
        native_send(yard, data(native, p.inside))
        assert in_header(p.get())[:2] == (str(ipaddress.IPv6Address(native)), p.inside)
        with counted(relay, "SRC_NOT_HOST"):
            native_send(yard, data("2a00:e::1", p.inside))
        for packet in (echo(p.inside, native), data(p.inside, native), echo(p.inside, sixto4(RELAY, "::"))):
            refuse(yard, relay, p, "RETURN_ONLY", packet)
        assert p.silent()
        hits(relay)


@pytest.mark.parametrize("mode", ["off", "native"])
def test_rfc3068_anycast_where_it_is_asked_for(yard, mode):
    """Requests to 192.88.99.1, and answers from there (RFC 6343 4.4.3), beside the relay's own address."""
    anycast, p = "192.88.99.1", yard.peers["6to4"]
    p.forget()
    yard.relay.run("ip addr add %s/32 dev v4" % anycast)
    yard.inet.run("ip route add %s/32 via 8.0.2.1" % anycast)
    extra = "[6to4]\nlocal = 8.0.2.1\n%s"
    try:
        with Navalis(yard, mode, extra=extra % ("anycast = yes\nsource = %s\n" % anycast), instance="nvq%d" % os.getpid()) as relay:
            far = Peer(p.ns, SITE, anycast, p.inside, 1280)
            native = fresh_native()
            for to in (anycast, RELAY):
                with fast(relay, "DECAP", "v4", 1), fast(relay, "ENCAP", "v6", 1):
                    far.send(echo(p.inside, native, 1280), dst=to)
                    assert len(far.get(129)) == 1280
            far.send(echo(p.inside, "2002:c058:6301::", hop_limit=1))
            assert in_header(far.get(129))[:2] == ("2002:c058:6301::", p.inside)
            for packet, reason, src in ((data(sixto4("8.0.11.2"), native), "SRC_MISMATCH", SITE), (data(p.inside, sixto4("8.0.9.9")), "DST_SIXTO4", SITE),
                                        (data("2002:c058:6301::1", native), "OUTER_REFUSED", anycast)):
                if src == anycast:  # which the kernel drops: it is one of its own
                    reason = "OUTER_OURS"
                    if mode == "off":
                        continue
                with counted(relay, reason):
                    far.send(packet, src=src)
            hits(relay)
        with Navalis(yard, mode, extra=extra % "", instance="nvq%d" % os.getpid()) as relay:  # RFC 7526 5: off
            with counted(relay, "NOT_OURS", None):
                far.send(echo(p.inside, native))
            assert far.silent()
    finally:
        yard.relay.run("ip addr del %s/32 dev v4" % anycast)
        yard.inet.run("ip route del %s/32 via 8.0.2.1" % anycast)


def routes(yard):
    return sorted(line.strip() for line in yard.relay.run("ip -6 route show proto 110").stdout.splitlines())


def test_routes_follow_the_configuration_and_go_with_the_instance(yard):
    def to_tun():
        return {r.split()[0]: r for r in routes(yard) if "dev teredo" in r}

    def nowhere():
        return {r.split()[1] for r in routes(yard) if r.startswith("blackhole")}
    assert routes(yard) == []
    everything = {"2001::/32", "2002::/16", DOMAIN, "2a02:5::/48", "2a02:7::/64"}
    with Navalis(yard, "off", extra=CONF, instance="nvr%d" % os.getpid()) as relay:
        assert set(to_tun()) == nowhere() == everything
        assert "mtu lock 1400" in to_tun()[DOMAIN] and "mtu lock 1480" in to_tun()["2a02:5::/48"]
        assert "mtu lock 1280" in to_tun()["2001::/32"]
        with open(relay.conf) as f:
            text = f.read()

        def reload(extra):
            with open(relay.conf, "w") as f:
                f.write(text[:text.index("[6to4]")] + extra)
            return relay.ctl("reload", check=False)
        assert reload("[6to4]\nlocal = 8.0.2.1\nmtu = 1300\n").returncode == 0
        assert set(to_tun()) == nowhere() == {"2001::/32", "2002::/16"} and "mtu lock 1300" in to_tun()["2002::/16"]
        # refused as a whole: the other end of a tunnel is this host
        before = routes(yard)
        p = reload("[6to4]\nlocal = 8.0.2.1\n[6in4 x]\nlocal = 8.0.2.3\nremote = 8.0.2.2\nprefixes = 2a02:8::/48\n")
        assert p.returncode == 1 and "remote endpoint is this host" in p.stderr and routes(yard) == before
        # refused in the middle: somebody else has one of the routes
        yard.relay.run("ip -6 route add 2a02:8::/48 dev v6 metric 1024")
        p = reload("[6to4]\nlocal = 8.0.2.1\n[6in4 x]\nlocal = 8.0.2.3\nremote = 8.0.13.1\nprefixes = 2a02:9::/48 2a02:8::/48\n")
        assert p.returncode == 1 and "2a02:8::/48 leads to v6 already" in p.stderr and routes(yard) == before
        yard.relay.run("ip -6 route del 2a02:8::/48 dev v6 metric 1024")
        assert reload(CONF).returncode == 0
        assert set(to_tun()) == nowhere() == everything
        relay.stop(9)
        assert set(to_tun()) == nowhere() == everything
        with open(relay.conf, "w") as f:
            f.write(text[:text.index("[6to4]")] + "[6in4]\nlocal = 8.0.2.3\nremote = 8.0.13.1\nprefixes = 2a02:5::/48\n")
        relay.start()
        assert set(to_tun()) == nowhere() == {"2001::/32", "2a02:5::/48"}
        relay.stop()
        relay.detach()
        assert routes(yard) == []


def test_an_address_that_is_not_here_is_said_to_be_missing(yard):
    extra = "[6to4]\nlocal = 8.0.2.1\nanycast = yes\n[6rd]\nprefix = 2a01:db8::/32\nborder_relay = 8.0.2.77\n"
    with Navalis(yard, "off", extra=extra, instance="nvr%d" % os.getpid()):
        def said(here):
            return re.findall(r"\[(\S+)\]: (\S+) is %s this host" % here, yard.log("navalisd"))
        gone = [("6to4", "192.88.99.1"), ("6rd", "8.0.2.77")]
        assert said("not on") == gone and not said("on")
        yard.relay.run("ip addr add 8.0.2.77/32 dev v4")
        try:
            wait_for("it is said to have come", lambda: said("on") == gone[1:])
        finally:
            yard.relay.run("ip addr del 8.0.2.77/32 dev v4")
        wait_for("it is said to have gone", lambda: said("not on") == gone + gone[1:])


def test_as_many_tunnels_as_there_may_be_leave_next_hops_by_route(yard):
    """No two of their prefixes lie beside each other."""
    def tunnel(i):
        nets = " ".join("2a02:%x:%x::/48" % (n + 1, 2 * i) for n in range(4))
        return "[6in4 t%d]\nlocal = 8.0.2.3\nremote = 9.0.%d.%d\nprefixes = %s\n" % (i, 1 + i // 200, 1 + i % 200, nets)
    with Navalis(yard, "native", extra="".join(map(tunnel, range(512))), instance="nvr%d" % os.getpid()) as relay:
        wait_for("next hops are known", lambda: relay.json("status", "--no-rates")["next_hops"] == {"ipv4": "route", "ipv6": "route"})


# ---- what goes through

def test_echoes_of_all_sizes_come_back(relay, peer):
    """From the peer to a native host, whose kernel answers; and are counted."""
    native, sizes = fresh_native(), (48, 49, 56, 57, 600, 1279, 1280, peer.mtu - 1, peer.mtu)
    with fast(relay, "DECAP", "v4", len(sizes)), fast(relay, "ENCAP", "v6", len(sizes)):
        for size in sizes:
            request = echo(peer.inside, native, size)
            with carries(relay, {RELAY: "6to4", BR: "6rd", LOCAL: "6in4"}[peer.relay], 1, size, 1, size):
                peer.send(request)
                reply = peer.get(129)
            assert in_header(reply)[:2] == (str(ipaddress.IPv6Address(native)), str(ipaddress.IPv6Address(peer.inside)))
            assert len(reply) == size and reply[44:] == request[44:]


def test_what_a_native_host_sends_arrives_unchanged(yard, peer):
    for size in (41, 1280, peer.mtu):
        packet = bytes(IPv6(src=fresh_native(), dst=peer.inside, nh=253, hlim=9, tc=0x2e, fl=0x12345) / Raw(bytes(size - 40)))
        if peer.relay == BR:
            peer.header["tos"] = 0x2e  # RFC 5969 9
        native_send(yard, packet)
        got = peer.get()
        peer.header["tos"] = 0
        assert got == packet[:7] + b"\x08" + packet[8:]


def test_what_a_peer_sends_arrives_unchanged(yard, peer):
    native, cap = fresh_native(), yard.native.capture("to-relay")
    for size in (41, 1280, 1480):
        packet = bytes(IPv6(src=peer.inside, dst=native, nh=253, hlim=9, tc=0x2e, fl=0x12345) / Raw(bytes(size - 40)))
        peer.send(packet)
        assert native_get(cap, lambda p: p[6] == 253) == packet[:7] + b"\x08" + packet[8:]
    cap.close()


def test_fragments_are_put_together(yard, peer):
    native, cap = fresh_native(), yard.native.capture("to-relay")
    packet = bytes(IPv6(src=peer.inside, dst=native, nh=253, hlim=9) / Raw(os.urandom(1000)))
    for at in (0, 512):
        peer.send(packet[at:at + 512] if not at else packet[at:], flags="MF" if not at else 0, frag=at // 8, id=77)
    assert native_get(cap, lambda p: p[6] == 253)[8:] == packet[8:]
    cap.close()


def test_rfc6040_congestion_is_carried_in(yard, relay, peer):
    native, cap = fresh_native(), yard.native.capture("to-relay")
    peer.send(bytes(IPv6(src=peer.inside, dst=native, nh=253, tc=2) / Raw(b"x")), tos=3)
    assert native_get(cap, lambda p: p[6] == 253)[1] >> 4 & 3 == 3
    with counted(relay, "ECN_CONGESTED"):
        peer.send(bytes(IPv6(src=peer.inside, dst=native, nh=253, tc=0) / Raw(b"x")), tos=3)
    cap.close()


@pytest.mark.parametrize("relay", ["off"], indirect=True)  # XDP believes what it knows of a link for a second
def test_a_link_narrower_than_the_tunnel_gets_fragments(yard, relay):
    p, native = yard.peers["6in4"], fresh_native()
    cap = yard.inet.capture("to-relay")
    yard.relay.run("ip link set v4 mtu 1300")
    try:
        for size in (1280, 1281, 1480):
            packet = bytes(IPv6(src=native, dst=p.inside, nh=253, hlim=9) / Raw(os.urandom(size - 40)))
            native_send(yard, packet)
            assert next(i for i in p.packets() if i[6] == 253)[8:] == packet[8:]
        offsets = [struct.unpack("!H", f[20:22])[0] for f in cap.frames() if f[12:14] == b"\x08\0" and f[23] == 41]
        assert offsets == [0, 0x2000, 640 // 8, 0x2000, 744 // 8]
    finally:
        yard.relay.run("ip link set v4 mtu 1500")
        cap.close()


# ---- what the kernel or the daemon answers

def test_a_packet_longer_than_the_tunnel_is_too_big(yard, peer):
    cap, native = yard.native.capture("to-relay"), fresh_native()
    native_send(yard, bytes(IPv6(src=native, dst=peer.inside, nh=253) / Raw(bytes(peer.mtu - 39))))
    error = native_get(cap, lambda p: p[6] == 58 and p[40] == 2)
    assert struct.unpack("!I", error[44:48])[0] == peer.mtu and in_header(error)[1] == str(ipaddress.IPv6Address(native))
    assert peer.silent()
    cap.close()


def test_a_packet_longer_than_a_native_link_is_too_big(yard, peer):
    """What the peer hears of it came through the tunnel, and no longer than that is."""
    native = fresh_native()
    with narrowed(yard, native, 1290):
        for size in (1291, 1480):
            request = echo(peer.inside, native, size)
            peer.send(request)
            error = peer.get(2)
            assert error[41] == 0 and error[44:48] == struct.pack("!I", 1290) and in_header(error)[1] == str(ipaddress.IPv6Address(peer.inside))
            assert error[48:] == request[:1232]
        if peer.mtu >= 1290:
            peer.send(echo(peer.inside, native, 1290))
            assert len(peer.get(129)) == 1290


def test_hop_limit_1_is_time_exceeded(yard, peer):
    cap, native = yard.native.capture("to-relay"), fresh_native()
    native_send(yard, echo(native, peer.inside, hop_limit=1))
    assert in_header(native_get(cap, lambda p: p[6] == 58 and p[40] == 3))[1] == str(ipaddress.IPv6Address(native))
    peer.send(echo(peer.inside, native, hop_limit=1))
    error = peer.get(3)
    assert in_header(error)[1] == str(ipaddress.IPv6Address(peer.inside)) and error[48 + 24:48 + 40] == v6(native)
    cap.close()


def test_rfc4213_3_4_an_icmpv4_error_reaches_the_native_sender(yard, relay, peer):
    cap, native = yard.native.capture("to-relay"), fresh_native()
    packet = echo(native, peer.inside, 100)
    with counted(relay, "ICMP4_MATCHED"), counted(relay, "UNREACHABLE_SENT"):
        native_send(yard, packet)
        inner = peer.get(128)
        quote = outer(peer.relay, peer.own, inner)
        error = bytes(IP(src=peer.own, dst=peer.relay, proto=1) / Raw(icmp4(3, 1, quote)))
        with peer.ns.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as s:
            s.sendto(error, (peer.relay, 0))
        told = native_get(cap, lambda p: p[6] == 58 and p[40] == 1)
        assert told[41] == 3 and told[48:48 + 40] == inner[:40] and in_header(told)[1] == str(ipaddress.IPv6Address(native))
    with counted(relay, "ICMP4_IGNORED"):  # about what we never send
        bad = outer(peer.relay, "8.0.10.9", inner)
        with peer.ns.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as s:
            s.sendto(bytes(IP(src=peer.own, dst=peer.relay, proto=1) / Raw(icmp4(3, 1, bad))), (peer.relay, 0))
    cap.close()


def icmp4(kind, code, quote):
    from scapy.layers.inet import ICMP
    return bytes(IP() / ICMP(type=kind, code=code) / Raw(quote))[20:]


# ---- who is refused

def refuse(yard, relay, peer, reason, packet, **kw):
    cap = yard.native.capture("to-relay")
    with counted(relay, reason):
        peer.send(packet, **kw)
    assert not [f for f in cap.frames() if f[12:14] == b"\x86\xdd" and f[14 + 6] in (253, 128)], "it arrived"
    cap.close()


def test_a_source_that_is_not_the_peers_is_refused_by_name(yard, relay, peer):
    other = {RELAY: (sixto4("8.0.11.2"), "SRC_MISMATCH"), BR: (sixrd(DOMAIN, MASK, "8.0.12.2"), "SRC_MISMATCH"),
             LOCAL: ("2a02:6::1", "SRC_NOT_TUNNEL")}[peer.relay]
    refuse(yard, relay, peer, other[1], data(other[0], fresh_native()))
    refuse(yard, relay, peer, "SRC_NOT_TUNNEL", data("2a05::1", fresh_native()))
    refuse(yard, relay, peer, "SRC_LINK_LOCAL", data("fe80::77", fresh_native()))
    refuse(yard, relay, peer, "NO_TUNNEL" if peer.relay == LOCAL else "SRC_MISMATCH",
           data(peer.inside, fresh_native()), src="8.0.11.77")


def test_a_destination_that_is_no_native_host_is_refused_by_name(yard, relay, peer):
    for dst, reason in (("2a00:1::1", "DST_LOCAL"), ("fe80::1", "DST_LINK_LOCAL"), ("ff0e::1", "DST_MULTICAST"),
                        ("fd00::1", "DST_SITE"), ("::1", "DST_UNSPECIFIED"), ("2001:0:800:101::1", "DST_TUNNEL"),
                        ("2a02:7::1", "DST_TUNNEL"), ("2002:800:203::1", "DST_OWN_TUNNEL")):
        refuse(yard, relay, peer, reason, data(peer.inside, dst))


def test_a_forged_native_source_goes_into_no_tunnel(yard, relay, peer):
    for src, reason in ((peer.inside, "SRC_SIXTO4" if peer.relay == RELAY else "SRC_TUNNEL"),
                        ("fd00::1", "SRC_SITE"), ("2002:800:201::1", "SRC_OWN_TUNNEL")):
        if peer.relay == RELAY and reason == "SRC_OWN_TUNNEL":
            continue  # the kernel does not forward from its own address
        with counted(relay, reason):
            native_send(yard, data(src, peer.inside))
    assert peer.silent()


# ---- to the relay itself

def test_rfc6343_4_2_1_echo_to_the_6to4_relay(yard, relay):
    p = yard.peers["6to4"]
    p.send(echo(p.inside, sixto4(RELAY, "::"), hop_limit=1))
    assert in_header(p.get(129))[:2] == (sixto4(RELAY, "::"), p.inside)


def test_rfc4213_3_8_neighbour_unreachability_at_a_configured_tunnel(yard, relay):
    from scapy.layers.inet6 import ICMPv6ND_NS
    p = yard.peers["6in4"]
    own, theirs = "fe80::800:203", "fe80::800:d01"
    for dst in (own, "ff02::1:ff00:203"):
        p.send(bytes(IPv6(src=theirs, dst=dst, hlim=255) / ICMPv6ND_NS(tgt=own)))
        answer = p.get(136)
        assert in_header(answer) == (own, theirs, 255, 58) and answer[44] & 0x40 and answer[48:64] == v6(own)
        assert len(answer) == 64
    p.send(echo(theirs, own))
    assert in_header(p.get(129))[:2] == (own, theirs)


# ---- 6rd

def test_rfc5969_8_loopback_test_and_another_site(yard, relay):
    p = yard.peers["6rd"]
    own = sixrd(DOMAIN, MASK, EDGE, "::1")
    probe = bytes(IPv6(src=own, dst=own, nh=59, hlim=64))
    other = Peer(yard.end, END, BR, sixrd(DOMAIN, MASK, END), 1400, df=True)
    with fast(relay, "BOUNCED", "v4", 2):
        p.send(probe)
        assert p.get() == probe[:7] + b"\x3f" + probe[8:]
        p.send(data(p.inside, other.inside))
        assert in_header(other.get()) == (p.inside, other.inside, 63, 253)
    with counted(relay, "HOP_LIMIT_IN", None):
        p.send(bytes(IPv6(src=own, dst=own, nh=253, hlim=1) / Raw(b"x")))
    assert p.get(3)
    with counted(relay, "TOO_BIG", None):
        p.send(bytes(IPv6(src=own, dst=other.inside, nh=253) / Raw(bytes(1361))))
    assert struct.unpack("!I", p.get(2)[44:48])[0] == 1400
    with counted(relay, "CLIENT_REFUSED"), fast(relay, "CLIENT_REFUSED", "v4", 1), carries(relay, "6rd", 0, 0, 0, 0):  # section 12
        p.send(data(p.inside, sixrd(DOMAIN, MASK, "8.0.200.1")))


# ---- what explain says is what happens

def first(relay, address, about):
    return next((x["verdict"], x["reason"]) for x in relay.json("explain", address)["lines"] if x["about"] == about and x["reason"])


EXPLAINED = [sixto4(SITE), sixto4("10.0.0.1"), sixto4(RELAY), sixto4("8.0.2.255"), sixto4("127.0.0.1"), "2a02:5::9", "2a02:7::9",
             sixrd(DOMAIN, MASK, EDGE, "::1"), sixrd(DOMAIN, MASK, BR, "::1"), "2001:0:a00:1:2000:1234:f7ff:f4fd"]


@pytest.mark.parametrize("address", EXPLAINED)
def test_explain_names_the_verdict_on_a_packet_to_the_address(yard, relay, address):
    verdict, reason = first(relay, address, "to")
    assert verdict == ("forward" if reason == "ENCAP" else "drop")
    with counted(relay, reason):
        native_send(yard, data(fresh_native(), address))


def test_explain_names_the_verdict_on_a_packet_from_the_address(yard, relay, peer):
    assert first(relay, peer.inside, "from") == ("forward", "DECAP")
    assert relay.json("explain", peer.inside)["endpoint"] == peer.own
    with counted(relay, "DECAP"):
        peer.send(data(peer.inside, fresh_native()))
    others = [x["reason"] for x in relay.json("explain", peer.inside)["lines"] if x["about"] == "from"][1:]
    assert others == ["NO_TUNNEL" if peer.own == END else "SRC_MISMATCH"]
    with counted(relay, others[0]):
        peer.send(data(peer.inside, fresh_native()), src="8.0.13.77" if peer.own == END else "8.0.11.77" if peer.own == SITE else "8.0.12.77")


def test_explain_of_a_native_address_names_every_mechanism(relay):
    lines = relay.json("explain", "2a00:f::7")["lines"]
    assert [x["text"] for x in lines if x["reason"] == "ENCAP"] == [
        "into Teredo", "into 6to4", "into 6rd (%s)" % DOMAIN, "into the configured tunnels (6in4)"]

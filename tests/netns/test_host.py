# SPDX-License-Identifier: GPL-2.0-or-later
"""A host-specific relay (RFC 4380 3.4, 5.4, 8.2): a dual-stack host behind a NAT that serves nobody but itself.

Alice is the host: native IPv6, and an IPv4 address behind a NAT that forwards nothing. Bob has IPv4 alone, behind a NAT
that forwards a port, and is a Teredo client: Debian's miredo. Bob calls Alice, and nobody else carries what they say.
"""
import os
import re
import socket
import subprocess
import sys

import pytest

from counted import hits
from lab import ROOT, Lab, Navalis, wait_for
from native import count
from test_clients import bubbles

sys.path.insert(0, os.path.join(ROOT, "tests/pkts"))
from teredo import ICMPv6EchoReply, ICMPv6EchoRequest, IPv6, address, v6  # noqa: E402

NATS = ("8.0.2.1", "8.0.11.1")  # Alice's and Bob's
HOST = "behind_nat = yes\n[navalis]\nlocal_services = yes\n"
SERVER = "[teredo-server]\nprimary = 8.0.1.1\nsecondary = 8.0.1.2\n"
FORWARDING = ("net.ipv4.conf.all.forwarding", "net.ipv6.conf.all.forwarding")
PORT = 8080


@pytest.fixture(scope="module", params=["miredo-server", "our server"])
def scene(request):
    def ours(lab):
        lab.ours = Navalis(lab, "off", extra=SERVER, instance="nvs%d" % os.getpid(), ns=lab.server)
    with Lab(("fullcone",), server=ours if request.param == "our server" else True, one_nic=True, relay_nat="restricted") as lab:
        # a host, no router: with forwarding it would believe no router advertisement
        lab.relay.sysctl(*(key + "=0" for key in FORWARDING))
        lab.relaynat.sysctl("net.netfilter.nf_conntrack_udp_timeout=3", "net.netfilter.nf_conntrack_udp_timeout_stream=3")
        yield lab
        if hasattr(lab, "ours"):
            lab.ours.stop()
            lab.ours.detach()


@pytest.fixture(scope="module", params=["off", "native"])
def alice(request, scene):
    own = ["2a00:1::%s:%d" % ("a" if request.param == "off" else "b", i) for i in range(1, 4)]
    for a in own:
        scene.relay.run("ip addr add %s/64 dev v4 nodad" % a)
    with Navalis(scene, request.param, HOST + "serve = %s\n" % " ".join(a + "/128" for a in own)) as relay:
        relay.own = own
        relay.fresh = iter(own)  # for each call: what Bob knows of an address he trusts for 30 s, her NAT shut or not
        yield relay
        hits(relay)
        status = relay.json("status")
        assert status["slow_path"]["balanced"] and all(n["balanced"] and n["mode"] == relay.mode for n in status["nics"]), status


def ip6(frame):
    """The IPv6 packet in a frame, bare or in UDP with whatever indications; or None."""
    if frame[12:14] == b"\x86\xdd":
        return frame[14:]
    if frame[12:14] != b"\x08\0" or frame[23] != 17:
        return None
    payload = frame[42:]
    if payload[:2] == b"\0\1":
        payload = payload[13 + payload[2] + payload[3]:]
    if payload[:2] == b"\0\0":
        payload = payload[8:]
    return payload if len(payload) >= 40 and payload[0] >> 4 == 6 else None


class ThirdParties:
    """Everybody but the two, their NATs, and the routers of IPv4 between these: Bob's server, and the native Internet."""

    def __init__(self, lab, bob):
        self.bob = v6(bob)
        self.taps = [lab.server.capture("v4"), lab.server.capture("v6"), lab.native.capture("to-inet"),
                     lab.inet.capture("to-native")]

    def heard(self, what):
        """The next headers of what passed that is about Bob. what: never to be in it."""
        frames = [f for tap in self.taps for f in tap.frames()]
        assert not any(what in f for f in frames)
        return [p[6] for p in map(ip6, frames) if p and self.bob in (p[8:24], p[24:40])]


class Call:
    """A TCP connection from Bob to Alice; what they say is in every segment of it."""

    def __init__(self, lab, alice):
        self.word = os.urandom(16)
        with lab.relay.socket(socket.AF_INET6, socket.SOCK_STREAM) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            address = next(alice.fresh)
            listener.bind((address, PORT))
            listener.listen()
            self.bob = lab.clients[0].ns.socket(socket.AF_INET6, socket.SOCK_STREAM)
            self.bob.settimeout(60)
            self.bob.connect((address, PORT))
            listener.settimeout(60)
            self.alice, self.seen_as = listener.accept()
            self.alice.settimeout(60)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.bob.close()
        self.alice.close()

    def say(self, sender, receiver, times=1):
        text = self.word * times
        sender.sendall(text)
        got = b""
        while len(got) < len(text):
            got += receiver.recv(65536)
        assert got == text


def outer(frames, word):
    """The IPv4 ends of what carried the word."""
    return {frozenset((socket.inet_ntoa(f[26:30]), socket.inet_ntoa(f[30:34]))) if f[12:14] == b"\x08\0" else None
            for f in frames if word in f}


def nat_is_shut(lab):
    """Alice's NAT has forgotten Bob."""
    return not re.search(r"^ipv4 .* udp .*src=10\.9\.0\.2 dst=%s " % NATS[1].replace(".", r"\."),
                         lab.relaynat.run("cat /proc/net/nf_conntrack").stdout, re.M)


def test_the_host_sends_to_clients_by_itself_and_from_its_native_address(scene, alice):
    route = scene.relay.run("ip -6 route get " + scene.clients[0].address).stdout
    assert " dev teredo " in route and " src 2a00:1::" in route, route


def test_only_the_first_packets_touch_a_third_party(scene, alice):
    bob = scene.clients[0].address
    wait_for("Alice's NAT is shut", lambda: nat_is_shut(scene))
    others, wire, own = ThirdParties(scene, bob), scene.inet.capture("to-relay"), scene.relay.capture("v4")
    with Call(scene, alice) as call:
        assert v6(call.seen_as[0]) == v6(bob)
        # the echo request by which Bob looks for Alice's relay, its answer by way of it, and bubbles; no TCP
        first = others.heard(call.word)
        assert set(first) == {58, 59} and len(first) <= 12, first
        sent = bubbles(own.frames(), "10.9.0.2")
        assert sent[0][:2] == (NATS[1], 40000) and sent[1][:2] == ("8.0.1.1", 3544), sent
        call.say(call.bob, call.alice, 20000)
        call.say(call.alice, call.bob, 20000)
        assert others.heard(call.word) == []
        assert outer(wire.frames(), call.word) == {frozenset(NATS)}
    forwarded = alice.json("status", "--no-rates")["forwarded"]
    assert forwarded["daemon"]["decap"] > 200 and forwarded["daemon"]["encap"] > 200
    assert alice.mode == "off" or count(alice, "NO_NEXT_HOP_IN", "v4") > 200  # XDP leaves to the kernel what is for this host


@pytest.mark.parametrize("scene", ["our server"], indirect=True)  # half a minute each
def test_rfc4380_5_4_1_her_nat_has_forgotten_him(scene, alice):
    """While both still know each other, and when neither does: the connection goes on, and still between the two alone."""
    bob = scene.clients[0].address
    with Call(scene, alice) as call:
        call.say(call.bob, call.alice)
        wait_for("Alice's NAT is shut", lambda: nat_is_shut(scene))
        others, wire, own = ThirdParties(scene, bob), scene.inet.capture("to-relay"), scene.relay.capture("v4")
        call.say(call.alice, call.bob)
        call.say(call.bob, call.alice)
        assert others.heard(call.word) == [] and not bubbles(own.frames(), "10.9.0.2")

        gone = count(alice, "EXPIRED")
        wait_for("Alice's relay has forgotten Bob", lambda: count(alice, "EXPIRED") > gone, 180, 0.5)
        assert nat_is_shut(scene)
        call.say(call.bob, call.alice)
        call.say(call.alice, call.bob)
        again = others.heard(call.word)
        assert set(again) == {58, 59} and len(again) <= 12, again
        sent = bubbles(own.frames(), "10.9.0.2")
        assert sent[0][:2] == (NATS[1], 40000) and sent[1][:2] == ("8.0.1.1", 3544), sent
        assert outer(wire.frames(), call.word) == {frozenset(NATS)}


# ---- RFC 4380 5.4.1 case 2: Bob has no server, or trusts none, and his address has the cone bit


@pytest.fixture
def bob_s_own(scene):
    """A client of Bob's own making, on a second port that his NAT forwards: its socket, and its address."""
    scene.nat1.run("nft add rule ip nat pre iifname pub udp dport 40001 dnat to 192.168.1.2:4001")
    scene.nat1.run("nft add rule ip nat post oifname pub udp sport 4001 snat to 8.0.11.1:40001")
    with scene.clients[0].ns.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("192.168.1.2", 4001))
        s.settimeout(30)
        yield s, address("8.0.1.1", NATS[1], 40001, 0x8000)


@pytest.mark.parametrize("scene", ["our server"], indirect=True)
@pytest.mark.parametrize("cone", ["", "8.0.12.0/24", "8.0.12.0/24 8.0.11.1/32"])
def test_rfc4380_5_4_1_case_2_is_for_configured_prefixes_alone(scene, alice, bob_s_own, cone):
    s, bob = bob_s_own
    believed = "8.0.11.1" in cone
    with open(alice.conf) as f:
        text = f.read()
    try:
        with open(alice.conf, "w") as f:
            f.write(text + "[teredo]\ncone_prefixes = %s\n" % cone if cone else text)
        alice.ctl("reload")
        alice.ctl("flush", "--all")
        assert alice.json("status", "--no-rates")["cone_prefixes"] == len(cone.split())
        assert not cone or "RFC 5991 3.2" in scene.log("navalisd")
        server, ping = scene.server.capture("v4"), scene.relay.popen(["ping", "-6", "-nqc1", "-W30", "-I", alice.own[0], bob])
        packet, at = s.recvfrom(2048)
        assert at[0] == NATS[0] and packet[24:40] == v6(bob)

        def through_the_server():
            return [f for f in server.frames() if v6(bob) in f]
        if believed:
            request = IPv6(packet)  # itself, and no bubble
            echo = request[ICMPv6EchoRequest]
            reply = IPv6(src=bob, dst=request.src) / ICMPv6EchoReply(id=echo.id, seq=echo.seq, data=echo.data)
            s.sendto(bytes(reply), at)
            assert ping.wait(60) == 0 and not through_the_server()
            assert alice.json("clients")["clients"] == []
            wait_for("it is served without proof", lambda: alice.json("status", "--no-rates")["weak"] == 1)
            assert "its cone bit is believed" in alice.ctl("explain", bob).stdout
        else:
            assert packet[6] == 59
            wait_for("the bubble goes to the server", through_the_server)
        ping.kill()
        ping.wait()
    finally:
        with open(alice.conf, "w") as f:
            f.write(text)
        alice.ctl("reload")

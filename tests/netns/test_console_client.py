# SPDX-License-Identifier: GPL-2.0-or-later
"""A scripted client as Windows and Xbox consoles are: random flags, cone bit, hop limit 255, trailers.

It qualifies with Debian's miredo-server and talks through our relay; nothing of it is the C code's.
"""
import ipaddress
import os
import random
import select
import socket
import struct
import sys

import pytest

from lab import ROOT, SERVICE, fresh_native, wait_for

sys.path.insert(0, os.path.join(ROOT, "tests/pkts"))
from teredo import IPv6, ICMPv6EchoRequest, UDP, Raw, address, v6  # noqa: E402

LINK_LOCAL = "fe80::ffff:ffff:fffe"  # Windows, outside its cone phase
TRAILERS = (b"", b"\x01\x04abcd", b"\x81\x02zz\x04\x04\x01\0\0\0")


class Console:
    """One service port, 3074 as the Xbox prefers it."""

    def __init__(self, ns, flags, trailer, port=3074):
        self.sock = ns.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("0.0.0.0", port))
        self.flags, self.trailer = flags, trailer
        self.address = None

    def receive(self, seconds=30.0):
        """Returns (payload, source), with an origin indication taken off; answers bubbles."""
        if not select.select([self.sock], [], [], seconds)[0]:
            return None, None
        data, source = self.sock.recvfrom(2048)
        if data[:2] == b"\0\1":
            data = data[13 + data[2] + data[3]:]
        origin = None
        if data[:2] == b"\0\0":
            origin = (str(ipaddress.IPv4Address(bytes(b ^ 255 for b in data[4:8]))),
                      struct.unpack("!H", data[2:4])[0] ^ 0xFFFF)
            data = data[8:]
        if origin and data[6] == 59:  # an indirect bubble: answer directly
            self.sock.sendto(bytes(IPv6(src=self.address, dst=str(ipaddress.IPv6Address(data[8:24])), nh=59, plen=0, hlim=255)) +
                             self.trailer, origin)
            return self.receive(seconds)
        return data, origin or source

    def qualify(self):
        nonce = os.urandom(8)
        icmp = b"\x85\0\0\0\0\0\0\0"
        pseudo = v6(LINK_LOCAL) + v6("ff02::2") + struct.pack("!II", len(icmp), 58) + icmp
        s = sum(struct.unpack("!%dH" % (len(pseudo) // 2), pseudo))
        while s >> 16:
            s = (s & 0xFFFF) + (s >> 16)
        icmp = icmp[:2] + struct.pack("!H", ~s & 0xFFFF) + icmp[4:]
        rs = struct.pack("!IHBB", 6 << 28, len(icmp), 58, 255) + v6(LINK_LOCAL) + v6("ff02::2") + icmp
        self.sock.sendto(b"\0\1\0\0" + nonce + b"\0" + rs, ("8.0.1.1", 3544))
        ra, mapped = self.receive()
        assert ra and ra[40] == 134, "no router advertisement"
        self.address = address("8.0.1.1", mapped[0], mapped[1], self.flags)
        return self

    def echo(self, dst, to=SERVICE, size=16):
        """An echo request through the relay; returns the reply."""
        p = IPv6(src=self.address, dst=dst, hlim=128) / ICMPv6EchoRequest(id=7, seq=random.randrange(65536),
                                                                         data=os.urandom(size))
        self.sock.sendto(bytes(p) + self.trailer, to)
        want = bytes(p)[44:]
        while True:
            data, source = self.receive()
            if data is None:
                return None
            if data[6] == 58 and data[40] == 129 and data[44:40 + struct.unpack("!H", data[4:6])[0]] == want:
                return source


@pytest.mark.parametrize("flags", [0x3CFF & random.randrange(65536), 0x8000, 0x8000 | 0x24C7], ids=["random", "cone", "both"])
@pytest.mark.parametrize("trailer", TRAILERS, ids=["bare", "nonce", "unknown and ND"])
@pytest.mark.parametrize("nat", ["none", "restricted"])
def test_rfc5991_3_console_client_reaches_native_and_is_reached(lab, relay, nat, flags, trailer):
    c = next(c for c in lab.clients if c.nat == nat)
    console, native = Console(c.ns, flags, trailer).qualify(), fresh_native()
    try:
        # it is reached: a native datagram punches the hole (cone or not, RFC 5991 3.2), and arrives
        with lab.native.entered():
            s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
            s.bind((native, 9))
        with s:
            s.sendto(b"hello console", (console.address, 3074))
            data, source = console.receive()
            assert source == SERVICE and data[48:] == b"hello console"
            reply = IPv6(src=console.address, dst=native, hlim=128) / UDP(sport=3074, dport=9) / Raw(b"hello host")
            console.sock.sendto(bytes(reply) + trailer, SERVICE)
            s.settimeout(30)
            assert s.recvfrom(100)[0] == b"hello host"
        # it reaches: any native host answers through the relay it now trusts
        for size in (0, 7, 1000, 1232):
            assert console.echo(fresh_native(), size=size) == SERVICE
    finally:
        console.sock.close()


def test_rfc8200_3_time_exceeded_comes_back_to_a_client(lab, relay):
    c = next(c for c in lab.clients if c.nat == "restricted")
    console, native = Console(c.ns, 0x1111, b"").qualify(), fresh_native()
    try:
        with lab.native.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
            s.bind((native, 9))
            s.sendto(b"punch", (console.address, 3074))
            assert console.receive()[0][48:] == b"punch"
        request = bytes(IPv6(src=console.address, dst=native, hlim=1) / ICMPv6EchoRequest(data=b"too far"))
        console.sock.sendto(request, SERVICE)
        error, source = console.receive()
        assert source == SERVICE and error[6] == 58 and error[40:42] == b"\x03\0" and error[24:40] == v6(console.address)
        assert error[48:] == request
    finally:
        console.sock.close()


def test_rfc4380_5_4_2_nobody_speaks_for_a_console(lab, relay):
    """Its address from another port, and a stranger's data: named, and not forwarded."""
    c = next(c for c in lab.clients if c.nat == "none")
    console = Console(c.ns, 0, b"").qualify()
    native = fresh_native()
    with lab.native.entered():
        s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        s.bind((native, 9))
    with s, c.ns.socket(socket.AF_INET, socket.SOCK_DGRAM) as forger:
        s.sendto(b"punch", (console.address, 3074))
        assert console.receive()[0]
        reply = IPv6(src=console.address, dst=native) / UDP(sport=3074, dport=9) / Raw(b"forged")

        def mismatches():
            return sum(r["packets"] for r in relay.json("drops")["reasons"] if r["reason"] == "SRC_MISMATCH")
        before = mismatches()
        forger.sendto(bytes(reply), SERVICE)
        s.settimeout(0.3)
        with pytest.raises(TimeoutError):
            s.recvfrom(100)
        wait_for("it is named", lambda: mismatches() > before)
        assert mismatches() == before + 1
    console.sock.close()


def test_rfc4213_3_4_icmp_error_leads_to_a_bubble_and_never_to_a_deletion(lab, relay):
    c = next(c for c in lab.clients if c.nat == "none")
    console, native = Console(c.ns, 0x1111, b"").qualify(), fresh_native()
    with lab.native.entered():
        s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        s.bind((native, 9))
    with s:
        s.sendto(b"punch", (console.address, 3074))
        assert console.receive()[0]
        console.sock.close()

        def counts():
            return {r["reason"]: r["packets"] for r in relay.json("drops")["reasons"]}
        before = counts()
        s.sendto(b"to a closed port", (console.address, 3074))
        wait_for("the error is matched", lambda: counts().get("ICMP4_MATCHED", 0) > before.get("ICMP4_MATCHED", 0))
        wait_for("the bubble", lambda: counts()["BUBBLE_SENT"] > before["BUBBLE_SENT"])
    assert console.address in [x["address"] for x in relay.json("clients")["clients"]]

# SPDX-License-Identifier: GPL-2.0-or-later
"""Frames from and to one peer of a mechanism over UDP, as scapy makes them."""
import struct

from teredo import Ether, ICMPv6EchoRequest, IP, IPv6, Raw, TCP, UDP
from xdp import MACS

NATIVE = "2a00:f::7"
ETH4 = Ether(src=MACS["gw4"], dst=MACS["v4"])
ETH6 = Ether(src=MACS["gw6"], dst=MACS["v6"])
ECHO = ICMPv6EchoRequest(id=1, seq=2, data=b"abcdefgh")
REFUSED = (("10.0.0.0", "10.255.255.255"), ("192.168.0.0", "192.168.255.255"))


def sized(n):
    """An echo whose IPv6 packet has that many bytes."""
    return ICMPv6EchoRequest(data=b"x" * (n - 48))


PAYLOADS = [ICMPv6EchoRequest(id=1, data=b""), TCP(sport=80, dport=1024, flags="A") / Raw(b"odd"),
            UDP(sport=1, dport=2) / Raw(b"u" * 101), sized(1280)]


def stripped(p, **changes):
    p = IPv6(bytes(p))
    p.hlim -= 1
    for name, value in changes.items():
        setattr(p, name, value)
    return bytes(Ether(src=MACS["v6"], dst=MACS["gw6"], type=0x86DD)) + bytes(p)


class Peer:
    def __init__(self, local, port, addr, pport, inside):
        """Ours and its endpoint, and its IPv6 address."""
        self.local, self.port, self.addr, self.pport, self.inside = local, port, addr, pport, inside

    def inner(self, payload=ECHO, **kw):
        return IPv6(**{**dict(src=self.inside, dst=NATIVE, hlim=57), **kw}) / payload

    def frame(self, payload=None, ip=None, udp=None, **kw):
        """From it: this, or such an inner packet."""
        outer = IP(**{**dict(src=self.addr, dst=self.local, ttl=60), **(ip or {})})
        body = bytes(payload if payload is not None else self.inner(**kw))
        return bytes(ETH4 / outer / UDP(**{**dict(sport=self.pport, dport=self.port), **(udp or {})}) / Raw(body))

    def native(self, payload=ECHO, **kw):
        """To it."""
        return bytes(ETH6 / IPv6(**{**dict(src=NATIVE, dst=self.inside, hlim=57), **kw}) / payload)

    def outer(self, out, p, to=None, port=None, sport=None, hops=1, **kw):
        """Compares with what scapy builds, checksums and all; the IPv4 ID is taken from the frame."""
        p = IPv6(bytes(p))
        p.hlim -= hops
        ident, = struct.unpack("!H", out[18:20])
        want = IP(src=self.local, dst=to or self.addr, ttl=64, id=ident) / UDP(sport=sport or self.port, dport=port or self.pport, **kw)
        assert out == bytes(Ether(src=MACS["v4"], dst=MACS["gw4"]) / want / Raw(bytes(p)))

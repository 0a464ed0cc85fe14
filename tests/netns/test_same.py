# SPDX-License-Identifier: GPL-2.0-or-later
"""Both paths agree: the same frame through the daemon and through XDP comes out equal, byte for byte.

Except the IPv4 ID, and with it the IPv4 header checksum. What else may differ is in DIFFERENT.
"""
import os
import socket
import struct
import sys

import pytest

from lab import ROOT, SERVICE, Lab, Navalis, wait_for
from test_console_client import Console

sys.path.insert(0, os.path.join(ROOT, "tests/pkts"))
from teredo import Ether, ICMPv6EchoRequest, IP, IPv6, Raw, TCP, UDP, v6 as v6_bytes  # noqa: E402

NATIVE = "2a00:f::5a5a"
# the kernel checks the outer UDP checksum before the daemon sees a packet; XDP leaves that to the inner one
DIFFERENT = {"wrong outer UDP checksum"}


def mac(ns, dev):
    return ns.mac(dev).hex(":")


def decaps(lab, me):
    eth = Ether(src=mac(lab.inet, "to-relay"), dst=mac(lab.relay, "v4"))

    def frame(inner, ip=None, udp=None, trailer=b""):
        return bytes(eth / IP(src="8.0.11.1", dst=SERVICE[0], ttl=60, **(ip or {})) /
                     UDP(sport=3074, dport=SERVICE[1], **(udp or {})) / Raw(bytes(inner) + trailer))

    def v6(payload, **kw):
        return IPv6(**{**dict(src=me, dst=NATIVE, hlim=50), **kw}) / payload
    echo = ICMPv6EchoRequest(id=3, seq=4, data=b"same")
    yield "echo", frame(v6(echo))
    yield "trailer", frame(v6(echo), trailer=b"\x01\x04abcd")
    yield "odd TCP", frame(v6(TCP(sport=1, dport=2, flags="A") / Raw(b"odd")))
    yield "largest", frame(v6(ICMPv6EchoRequest(data=b"x" * 1232)))
    yield "traffic class and flow label", frame(v6(echo, tc=0xB8, fl=0x12345))
    for outer in range(4):
        for inner in range(4):
            yield "ECN %d on %d" % (outer, inner), frame(v6(echo, tc=inner), ip=dict(tos=outer))
    yield "no outer checksum", frame(v6(echo), udp=dict(chksum=0))
    yield "wrong outer UDP checksum", frame(v6(echo), udp=dict(chksum=0x1234))
    yield "ESP inside", frame(v6(Raw(b"esp" * 9), nh=50))
    yield "fragment inside", frame(v6(Raw(b"\x3a\0\0\x01\0\0\0\x07" + b"x" * 16), nh=44))
    yield "destination options", frame(v6(Raw(b"\x3a\0\x01\x04\0\0\0\0") / Raw(bytes(echo)), nh=60))
    yield "routing header 0", frame(v6(Raw(b"\x3b\0\0\0\0\0\0\0"), nh=43))
    yield "hop limit 2", frame(v6(echo, hlim=2))
    yield "inner longer than outer", frame(bytes(v6(echo))[:-1])
    yield "origin indication", frame(b"\0\0\xf2\x26\xf7\xff\xfd\xfe" + bytes(v6(echo)))
    yield "native source", frame(v6(echo, src="2a00::1"))
    for dst in ("::1", "ff02::1", "fe80::1", "fd00::1", "2002:800:201::1", "2001:0:800:101::1", "2a00:1::1"):
        yield "to " + dst, frame(v6(echo, dst=dst))


def encaps(lab, me):
    eth = Ether(src=mac(lab.native, "to-relay"), dst=mac(lab.relay, "v6"))

    def frame(payload, **kw):
        return bytes(eth / IPv6(**{**dict(src=NATIVE, dst=me, hlim=50), **kw}) / payload)
    echo = ICMPv6EchoRequest(id=3, seq=4, data=b"same")
    yield "echo", frame(echo)
    yield "odd echo", frame(ICMPv6EchoRequest(data=b"odd"))
    yield "padding", frame(echo) + b"padding"
    yield "TCP", frame(TCP(sport=1, dport=2, flags="S"))
    yield "UDP", frame(UDP(sport=1, dport=2) / Raw(b"\xff" * 33))
    yield "UDP without checksum", frame(UDP(sport=1, dport=2, chksum=0) / Raw(b"x"))
    yield "largest", frame(ICMPv6EchoRequest(data=b"y" * 1232))
    yield "traffic class and flow label", frame(echo, tc=0xB9, fl=0x54321)
    yield "ESP", frame(Raw(b"esp" * 9), nh=50)
    yield "fragment", frame(Raw(b"\x3a\0\0\x01\0\0\0\x07" + b"x" * 16), nh=44)
    yield "destination options", frame(Raw(b"\x3a\0\x01\x04\0\0\0\0") / Raw(bytes(echo)), nh=60)
    yield "hop limit 2", frame(echo, hlim=2)
    for src in ("::1", "fd00::1", "2001:0:800:101::1", "2002:800:201::1"):
        yield "from " + src, frame(echo, src=src)
    yield "to a private client", frame(echo, dst="2001:0:800:101:0:63bf:f5ff:fffe")


def without_id(f):
    """An IPv4 frame less its ID and header checksum, and every frame less its MAC addresses."""
    return f[12:18] + f[20:24] + f[26:] if f[12:14] == b"\x08\x00" else f[12:]


def of_client(frame, me):
    """Forwarded for this client: from it, in IPv6, or to its port, in UDP, and no bubble."""
    if frame[12:14] == b"\x86\xdd":
        return frame[22:38] == me
    return frame[12:14] == b"\x08\x00" and frame[36:38] == struct.pack("!H", 3074) and frame[48] != 59


def through(me, frames, source, source_dev, far, far_dev, marker):
    """
    Sends each frame, and behind it a marker that is always forwarded, and by the daemon: it overtakes neither what XDP
    forwards nor what is left to the daemon. Returns what came before it.
    """
    out, cap = {}, far.capture(far_dev)
    for i, (name, f) in enumerate(frames):
        source.inject(source_dev, f)
        source.inject(source_dev, marker(i))
        got = []

        def marked():
            got.extend(x for x in cap.frames() if of_client(x, me))
            return any(b"MARK%06d" % i in x for x in got)
        wait_for("the marker behind " + name, marked)
        out[name] = [without_id(x) for x in got if b"MARK" not in x]
    cap.close()
    return out


@pytest.fixture(scope="module")
def results():
    got = {}
    with Lab(("none",)) as lab:
        lab.stop(lab.clients[0].process)
        for mode in ("off", "native"):
            with Navalis(lab, mode) as relay:
                me = Console(lab.clients[0].ns, 0x1234, b"").qualify()
                inner_me = v6_bytes(me.address)
                with lab.native.entered():
                    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
                    s.bind((NATIVE, 9))
                s.sendto(b"punch", (me.address, 3074))
                assert me.receive()[0]
                s.close()
                down = list(decaps(lab, me.address))
                up = list(encaps(lab, me.address))
                eth4 = Ether(src=mac(lab.inet, "to-relay"), dst=mac(lab.relay, "v4"))
                eth6 = Ether(src=mac(lab.native, "to-relay"), dst=mac(lab.relay, "v6"))

                def mark4(i):
                    p = IPv6(src=me.address, dst=NATIVE, hlim=9, nh=60) / Raw(b"\x3b\0\x01\x04\0\0\0\0MARK%06d" % i)
                    return bytes(eth4 / IP(src="8.0.11.1", dst=SERVICE[0]) / UDP(sport=3074, dport=SERVICE[1]) /
                                 Raw(bytes(p)))

                def mark6(i):
                    return bytes(eth6 / IPv6(src=NATIVE, dst=me.address, hlim=9, nh=60) /
                                 Raw(b"\x3b\0\x01\x04\0\0\0\0MARK%06d" % i))
                got[mode] = {
                    "decap": through(inner_me, down, lab.inet, "to-relay", lab.native, "to-relay", mark4),
                    "encap": through(inner_me, up, lab.native, "to-relay", lab.inet, "to-relay", mark6),
                }
                fast = {r["reason"]: r["where"] for r in relay.json("drops")["reasons"]}
                if mode == "native":
                    assert fast["DECAP"]["v4"] >= 25 and fast["ENCAP"]["v6"] > 20
                me.sock.close()
    return got


@pytest.mark.parametrize("way", ["decap", "encap"])
def test_daemon_and_xdp_agree(results, way):
    slow, fast = results["off"][way], results["native"][way]
    assert slow.keys() == fast.keys()
    forwarded = 0
    for name in slow:
        if name in DIFFERENT:
            assert slow[name] == [] and len(fast[name]) == 1
            continue
        assert slow[name] == fast[name], name
        forwarded += len(fast[name])
    assert forwarded >= (25 if way == "decap" else 11)

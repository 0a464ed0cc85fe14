# SPDX-License-Identifier: GPL-2.0-or-later
"""VLAN tags on the way in and out, frames in several buffers, and devices that are not to be sent to."""
import struct
import subprocess

import pytest

from test_decap import NATIVE, TEREDO, frame, inner
from test_encap import frame as native
from teredo import Ether, ICMPv6EchoRequest, IP, IPv6, Raw, UDP, address
from xdp import MACS, PASS, PORT, REDIRECT, SERVICE

Q, AD = 0x8100, 0x88A8


def tagged(f, *tags, priority=0):
    f = bytes(f)
    return f[:12] + b"".join(struct.pack(">HH", p, i | priority << 13) for p, i in tags) + f[12:]


@pytest.fixture(scope="module")
def x(machine):
    machine.load(own4=(SERVICE,))
    machine.vlan("v6.6", "v6", (Q, 6))
    machine.vlan("v6.6.7", "v6", (Q, 6), (Q, 7))
    machine.vlan("v4.s", "v4", (AD, 100))
    machine.vlan("v4.4", "v4", (AD, 100), (Q, 44))
    return machine


@pytest.fixture(autouse=True)
def fresh(x):
    x.add(TEREDO)


IN = {"untagged": (), "one": ((AD, 100),), "two": ((AD, 100), (Q, 44))}
OUT = {"untagged": (NATIVE, (), "02:00:00:00:00:06", "02:00:00:00:01:06"),
       "one": ("2a00:6::2", ((Q, 6),), "02:00:00:00:06:06", "02:00:00:00:06:02"),
       "two": ("2a00:67::2", ((Q, 6), (Q, 7)), "02:00:00:00:06:07", "02:00:00:00:67:02")}


@pytest.mark.parametrize("came", IN)
@pytest.mark.parametrize("leaves", OUT)
@pytest.mark.parametrize("size", [0, 1232])
def test_tags_come_off_and_the_next_hop_s_go_on(x, came, leaves, size):
    dst, tags, src_mac, dst_mac = OUT[leaves]
    p = inner(ICMPv6EchoRequest(data=b"d" * size), dst=dst)
    out = x.expect(tagged(frame(p, trailer=b"\x01\x04abcd"), *IN[came], priority=5), REDIRECT, "DECAP")
    want = IPv6(bytes(p))
    want.hlim -= 1
    assert out == tagged(bytes(Ether(src=src_mac, dst=dst_mac, type=0x86DD)) + bytes(want), *tags)


@pytest.mark.parametrize("came", [(), ((Q, 6),), ((Q, 6), (Q, 7))])
def test_to_a_client_behind_two_tags(x, came):
    near = address("8.0.1.1", "8.44.0.2", 7)
    x.add(near, place=1)
    f = native(dst=near)
    out = x.expect(tagged(f, *came), REDIRECT, "ENCAP", nic="v6")
    assert out[:22] == bytes.fromhex("020000004402 020000000444 88a80064 8100002c 0800")
    want = IPv6(f[14:])
    want.hlim -= 1
    ident, = struct.unpack("!H", out[26:28])
    assert out[22:] == bytes(IP(src=SERVICE, dst="8.44.0.2", id=ident) / UDP(sport=PORT, dport=7) / Raw(bytes(want)))


@pytest.mark.parametrize("tags", [((Q, 100),), ((AD, 101),), ((AD, 100), (Q, 45)), ((Q, 44), (AD, 100)),
                                  ((AD, 100), (Q, 44), (Q, 1)), ((Q, 0),)],
                         ids=["other protocol", "other number", "other inner", "swapped", "three", "priority"])
def test_a_tag_that_stands_for_nothing_here_is_somebody_else_s(x, tags):
    x.expect(tagged(frame(), *tags), PASS, "NOT_OURS")


def test_the_tags_belong_to_their_nic(x):
    x.expect(tagged(native(dst=TEREDO), (AD, 100)), PASS, "NOT_OURS", nic="v6")


FRAMES = {"untagged": ((), "v4"), "tagged": (((AD, 100),), "v4.s")}


@pytest.mark.parametrize("which", FRAMES)
def test_frames_to_another_mac_address_are_somebody_else_s(x, which):
    tags, dev = FRAMES[which]
    slot = 0 if not tags else struct.pack("=I", x.ifindex["v4"]) + struct.pack(">HHHH", *tags[0], 0, 0)
    ours = [MACS["v4"], "00:00:5e:00:01:07", "02:00:00:aa:00:04", "02:00:00:00:aa:04"]
    f = tagged(frame(), *tags)
    x.port(slot, dev, *ours)
    try:
        for mac in ours:
            x.expect(bytes.fromhex(mac.replace(":", "")) + f[6:], REDIRECT, "DECAP")
        for byte in range(6):  # no byte is without meaning
            wrong = bytearray(bytes.fromhex(ours[byte % 4].replace(":", "")))
            wrong[byte] ^= 2
            x.expect(bytes(wrong) + f[6:], PASS, "NOT_OURS")
        for mac in ("ffffffffffff", "333300000001", "01005e000001", "000000000000", "02000000de01"):
            x.expect(bytes.fromhex(mac) + f[6:], PASS, "NOT_OURS")
    finally:
        x.port(slot, dev, MACS["v4"])


def test_every_truncation_of_a_tagged_frame_is_refused(x):
    whole = tagged(frame(), (AD, 100), (Q, 44))
    for n in range(14, len(whole)):
        action, _, out = x.run(whole[:n])
        assert action != REDIRECT and out == whole[:n], n


def test_the_vlan_interface_is_where_the_packet_came_in(x):
    """The kernel is asked for the route as of that interface: one that does not forward stays shut."""
    subprocess.run(["nsenter", "--net=/run/netns/" + x.ns, "sysctl", "-qw", "net/ipv6/conf/v4.4/forwarding=0"], check=True)
    try:
        p = inner(dst="2a00:f::9999")  # a next hop that nobody has asked for yet
        x.expect(tagged(frame(p), (AD, 100), (Q, 44)), PASS, "NO_NEXT_HOP_IN")
        x.expect(tagged(frame(p), (AD, 100)), REDIRECT, "DECAP")
    finally:
        subprocess.run(["nsenter", "--net=/run/netns/" + x.ns, "sysctl", "-qw", "net/ipv6/conf/v4.4/forwarding=1"], check=True)


def test_a_device_that_is_none_of_ours_is_left_to_the_kernel(x):
    """A redirect to a device without XDP drops the frame, and nobody counts it."""
    x.expect(frame(dst="2a00:3::2"), PASS, "NO_NEXT_HOP_IN")


def frags(x, f, linear):
    try:
        return x.run(f, linear=linear)
    except RuntimeError as e:
        pytest.skip("this kernel cannot split a test frame: %s" % e)


def test_frames_in_several_buffers(x):
    x.load(own4=(SERVICE,), frags=1)
    x.add(TEREDO)
    try:
        p = inner(ICMPv6EchoRequest(data=b"f" * 1232))
        whole = frame(p)
        want = IPv6(bytes(p))
        want.hlim -= 1
        x.expect(whole, REDIRECT, "DECAP")
        for linear in (102, 200, 1000):
            action, reason, out = frags(x, whole, linear)
            assert (action, reason) == (REDIRECT, "DECAP"), linear
            assert out[14:] == bytes(want)
        x.expect(whole, PASS, "NOT_LINEAR", linear=60)
        # cut from its last buffer, and from all but the first
        action, reason, out = frags(x, whole + b"padding" * 500, 200)
        assert (action, reason) == (REDIRECT, "DECAP") and out[14:] == bytes(want)
        jumbo = frame(inner(ICMPv6EchoRequest(data=b"j" * 8000)))
        x.expect(jumbo, PASS, "NO_NEXT_HOP_IN")  # longer than the next hop's link
        x.expect(native(ICMPv6EchoRequest(data=b"j" * 8000)), PASS, "TOO_BIG", nic="v6")
    finally:
        x.load(own4=(SERVICE,))

# SPDX-License-Identifier: GPL-2.0-or-later
"""What is this host's own: services that clients are kept from, IPv4 addresses that nobody else may claim, MAC addresses."""
import os
import sys

import pytest

from lab import ROOT, SERVICE, Navalis, fresh_native, wait_for

sys.path.insert(0, os.path.join(ROOT, "tests/pkts"))
from pinned import Table  # noqa: E402
from teredo import Ether, ICMPv6EchoRequest, IP, IPv6, Raw, UDP, address, v4, v6  # noqa: E402

ME = "nvw%d" % os.getpid()


BARE_LO = "ip addr flush dev lo; ip addr add 127.0.0.1/8 dev lo; ip addr add ::1/128 dev lo"


def sh(ns, script):
    ns.run(["sh", "-c", script], check=False)


def dropped(relay, reason):
    return sum(r["packets"] for r in relay.json("drops", "--all")["reasons"] if r["reason"] == reason)


@pytest.fixture(scope="module")
def addresses(lab):
    """More of each family than fit into a small list, and what the kernel delivers here though it is no address."""
    batch = ["addr add 2a00:77::%x/128 dev lo" % i for i in range(1, 101)] + ["route add local 2a00:88::/48 dev lo"]
    batch4 = ["addr add 8.%d.%d.1/24 brd + dev lo" % (96 + i // 200, i % 200) for i in range(100)]
    for family, lines in (("-6", batch), ("-4", batch4)):
        lab.relay.run("ip %s -batch -" % family, input="\n".join(lines))
    yield
    sh(lab.relay, "ip -6 route del local 2a00:88::/48 dev lo; " + BARE_LO)


HERE = ["2a00:1::1", "2a00:1::", "2a00:77::1", "2a00:77::64", "2a00:88:0:7::9"]


class Proven:
    """A client that is proven, wherever it may be: what it sends comes in from the IPv4 Internet."""

    def __init__(self, lab, relay):
        self.lab, self.address = lab, Table(relay.instance).fill(1)[0]
        raw = v6(self.address)
        self.at = ".".join(str(b ^ 255) for b in raw[12:]), int.from_bytes(raw[10:12], "big") ^ 0xFFFF
        self.eth = Ether(src=lab.inet.mac("to-relay").hex(":"), dst=lab.relay.mac("v4").hex(":"))

    def asks(self, dst, data):
        inner = IPv6(src=self.address, dst=dst, hlim=60) / ICMPv6EchoRequest(data=data)
        self.lab.inet.inject("to-relay", bytes(self.eth / IP(src=self.at[0], dst=SERVICE[0]) /
                                               UDP(sport=self.at[1], dport=SERVICE[1]) / Raw(bytes(inner))))


@pytest.mark.parametrize("mode", ["off", "native"])
def test_clients_are_kept_from_the_relay_s_own_services(lab, addresses, mode):
    with Navalis(lab, mode, instance=ME) as relay:
        c = Proven(lab, relay)
        for n, here in enumerate(HERE, 1):
            c.asks(here, b"x")
            wait_for("%s is refused" % here, lambda: dropped(relay, "DST_LOCAL") == n)
        # those that come while the relay runs; the second when it has looked for the first, and at nothing else
        try:
            for net in ("2a00:99::", "2a00:9a::"):
                lab.relay.run("ip -6 route add local %s/64 dev lo" % net)

                def refused():
                    before = dropped(relay, "DST_LOCAL")
                    c.asks(net + "5", b"x")
                    return dropped(relay, "DST_LOCAL") > before
                wait_for("the new one is refused", refused)
        finally:
            sh(lab.relay, "for n in 2a00:99:: 2a00:9a::; do ip -6 route del local $n/64 dev lo; done")


@pytest.mark.parametrize("mode", ["off", "native"])
def test_local_services_lets_them_in(lab, addresses, mode):
    with Navalis(lab, mode, "[navalis]\nlocal_services = yes", instance=ME) as relay:
        c, wire = Proven(lab, relay), lab.inet.capture("to-relay")
        for here in HERE:
            data, got = os.urandom(16), []

            def answered():
                c.asks(here, data)  # again: it is UDP, and the answer goes by neighbours that are new
                got.extend(wire.frames())
                return [f for f in got if data in f and f[26:30] == v4(SERVICE[0])]
            wait_for("%s answers" % here, answered)
        assert dropped(relay, "DST_LOCAL") == 0


@pytest.mark.parametrize("mode", ["off", "native"])
def test_rfc4380_5_2_4_no_client_is_at_an_address_of_ours(lab, addresses, mode):
    with Navalis(lab, mode, instance=ME) as relay:
        assert relay.json("status", "--no-rates")["service_here"]
        for n, ours in enumerate(("8.96.0.1", "8.96.99.1", "8.96.99.255", "8.96.99.0", "8.0.2.0", "8.0.2.255", SERVICE[0]), 1):
            lab.native.ping(address("8.0.1.1", ours, 4000), src=fresh_native(), wait=0.1)
            wait_for("%s is refused" % ours, lambda: dropped(relay, "CLIENT_OURS") == n)


def test_more_addresses_than_the_program_has_room_for(lab):
    lines = ["addr add 8.%d.%d.1/30 dev lo" % (110 + i // 250, i % 250) for i in range(1100)]
    with Navalis(lab, "native", instance=ME) as relay:
        lab.relay.run("ip -4 -batch -", input="\n".join(lines))
        try:
            wait_for("the log says so", lambda: "this host has more than 1024 IPv4 addresses" in lab.log("navalisd"))
            assert relay.json("status", "--no-rates")["service_here"] and "is gone from this host" not in lab.log("navalisd")
            assert lab.native.ping(lab.clients[0].address, src=fresh_native())[1] == 1
        finally:
            sh(lab.relay, BARE_LO)


def test_frames_for_another_machine_stay_alone(lab):
    """On a NIC that hears all of them; and those to a virtual router above ours (VRRP) are ours."""
    c, native = lab.clients[0], fresh_native()
    with Navalis(lab, "native", instance=ME) as relay:
        assert lab.native.ping(c.address, src=native)[1] == 1
        lab.relay.run("ip link set v6 promisc on")
        source = lab.native.mac("to-relay")

        def forwarded(mac):
            def count():
                return relay.json("status", "--no-rates")["forwarded"]["xdp"]["encap"]
            before, marked = count(), dropped(relay, "SRC_SITE")
            for src, to in ((native, mac), ("fd00::1", lab.relay.mac("v6").hex(":"))):  # the second, behind it, is a mark
                inner = IPv6(src=src, dst=c.address, hlim=60) / ICMPv6EchoRequest()
                lab.native.inject("to-relay", bytes(Ether(src=source.hex(":"), dst=to) / inner))
            wait_for("the mark", lambda: dropped(relay, "SRC_SITE") > marked)
            return count() - before
        try:
            assert forwarded(lab.relay.mac("v6").hex(":")) == 1
            assert forwarded("02:00:00:de:ad:01") == 0
            lab.relay.run("ip link add link v6 name vrrp address 00:00:5e:00:02:07 type macvlan mode bridge")
            lab.relay.run("ip link set vrrp up")
            wait_for("the virtual router's address is ours", lambda: forwarded("00:00:5e:00:02:07") == 1)
            assert forwarded("00:00:5e:00:02:08") == 0
            for order in ("ip link set vrrp down", "ip link set vrrp up"):
                lab.relay.run(order)
                wait_for("after " + order, lambda: forwarded("00:00:5e:00:02:07") == order.endswith("up"))
            lab.relay.run("ip link del vrrp")
            wait_for("it is not any more", lambda: forwarded("00:00:5e:00:02:07") == 0)
        finally:
            sh(lab.relay, "ip link set v6 promisc off; ip link del vrrp")

# SPDX-License-Identifier: GPL-2.0-or-later
"""The program follows the configuration from one start to the next, all or nothing, and its NICs."""
import json
import os
import signal
import socket
import subprocess
import time

import pytest

from lab import BUILD, Lab, Navalis, awake, first, fresh_native, wait_for
from test_lifecycle import links


def configure(relay, interfaces, mode="native"):
    with open(relay.conf) as f:
        lines = f.read().splitlines()
    lines = ["interfaces = " + interfaces if l.startswith("interfaces") else
             "mode = " + mode if l.startswith("mode") else l for l in lines]
    with open(relay.conf, "w") as f:
        f.write("\n".join(lines) + "\n")


def attached(lab, dev):
    """(mode, program's number), or None; mode as ip says it: 1 native, 2 generic."""
    xdp = json.loads(lab.relay.run("ip -j link show dev " + dev).stdout)[0].get("xdp")
    return xdp and (xdp["mode"], xdp["prog"]["id"])


@pytest.fixture
def relay(lab):
    with first():
        made = Navalis(lab, "native", instance="nvn%d" % os.getpid())
    with made:
        yield made


def restarted(relay, *args):
    relay.stop()
    configure(relay, *args)
    relay.start()


@pytest.mark.parametrize("interfaces", ["v6 v4", "v6", "v4"])
def test_the_list_of_interfaces_changes(lab, relay, interfaces):
    restarted(relay, interfaces)
    for dev in ("v4", "v6"):
        assert bool(attached(lab, dev)) == (dev in interfaces.split())
    assert [n["name"] for n in relay.json("status")["nics"]] == interfaces.split()
    assert not [f for f in os.listdir("/sys/fs/bpf/" + relay.instance) if f.startswith("new_")]


def test_the_mode_changes(lab, relay):
    assert attached(lab, "v4")[0] == 1
    restarted(relay, "v4 v6", "generic")
    assert attached(lab, "v4")[0] == attached(lab, "v6")[0] == 2
    restarted(relay, "v4 v6", "native")
    assert attached(lab, "v4")[0] == attached(lab, "v6")[0] == 1
    restarted(relay, "v4 v6", "off")
    assert not attached(lab, "v4") and not attached(lab, "v6")


def test_what_fails_at_the_last_nic_is_undone_at_the_others(lab, relay):
    lab.relay.run("ip link add name plain type bridge")  # has no native XDP
    try:
        before = attached(lab, "v4"), attached(lab, "v6")
        for interfaces, mode in (("v4 v6 plain", "native"), ("v6 plain", "native")):
            with pytest.raises(RuntimeError, match="has no XDP"):
                restarted(relay, interfaces, mode)
            assert (attached(lab, "v4"), attached(lab, "v6")) == before
        restarted(relay, "v4 v6 plain", "generic")
        generic = attached(lab, "v4"), attached(lab, "v6")
        with pytest.raises(RuntimeError, match="has no XDP"):
            restarted(relay, "v4 v6 plain", "native")
        assert (attached(lab, "v4"), attached(lab, "v6")) == generic
        restarted(relay, "v4 v6", "native")
    finally:
        lab.relay.run("ip link del plain")


@pytest.fixture
def extra(lab, relay):
    """A third NIC of the relay, which can be made anew while the daemon does not look."""
    def make(args=""):
        lab.relay.run("ip link add name extra %s type veth peer name extra-peer" % args)
        lab.relay.run("ip link set extra up")

    def anew(args="", *commands):
        relay.process.send_signal(signal.SIGSTOP)
        lab.relay.run("ip link del extra")
        make(args)
        for c in commands:
            lab.relay.run(c)
        relay.process.send_signal(signal.SIGCONT)
    make()
    make.anew = anew
    restarted(relay, "v4 v6 extra")
    yield make
    lab.relay.run("ip link del extra")


def lines(lab, text):
    return lab.log("navalisd").count(text)


def test_a_nic_that_comes_back_gets_its_program_again(lab, relay, extra):
    before = links(relay)
    lab.relay.run("ip link del extra")
    wait_for("the loss is noticed", lambda: "extra is gone" in lab.log("navalisd"))
    extra()
    wait_for("it is attached again", lambda: attached(lab, "extra"))
    assert links(relay)[:2] == before[:2]
    wait_for("status", lambda: nic(relay, "extra")["mode"] == "native")
    wait_for("the log", lambda: lines(lab, "extra: XDP native") == 2)
    assert lines(lab, "v4: XDP native") == lines(lab, "v6: XDP native") == 1


def test_a_nic_that_is_made_anew_with_its_number_gets_its_program_again(lab, relay, extra):
    before = links(relay)
    with lab.relay.entered():
        number = socket.if_nametoindex("extra")
    extra.anew("index %d" % number)
    wait_for("it is attached again", lambda: attached(lab, "extra"))
    assert links(relay)[:2] == before[:2]
    wait_for("the log", lambda: lines(lab, "extra: XDP native") == 2)
    assert lines(lab, "extra has lost its XDP program") == 1
    assert lines(lab, "v4: XDP native") == 1 and nic(relay, "extra")["mode"] == "native"


def test_auto_leaves_the_other_nics_alone(lab, relay):
    """Generic mode, for one that has no other: its loss and its return are no reason to try again."""
    lab.relay.run("ip link add name plain type bridge")
    try:
        restarted(relay, "v4 v6 plain", "auto")
        before = links(relay)
        for _ in range(2):
            lab.relay.run("ip link del plain")
            wait_for("the loss is noticed", lambda: not os.path.exists("/sys/fs/bpf/%s/link_2" % relay.instance))
            assert links(relay) == before[:2]
            lab.relay.run("ip link add name plain type bridge")
            wait_for("it is attached again", lambda: nic(relay, "plain")["mode"] == "generic" and attached(lab, "plain"))
            assert links(relay)[:2] == before[:2]
        assert lines(lab, "several times slower") == 1
        restarted(relay, "v4 v6", "auto")  # without the one that had no other
        assert [n["mode"] for n in relay.json("status")["nics"]] == ["native"] * 2
    finally:
        lab.relay.run("ip link del plain", check=False)


def test_auto_stays_native_when_one_returns_that_is_not(lab, relay, extra):
    """Until the next start: the others would be without a program for a moment."""
    restarted(relay, "v4 v6 extra", "auto")
    before = links(relay)
    lab.relay.run("ip link del extra")
    said(lab, "extra is gone")
    lab.relay.run("ip link add name extra type bridge")
    said(lab, "the driver of extra has no XDP: set mode = auto or generic; mode = auto takes generic mode when navalisd is restarted")
    assert [(n["mode"], n["state"]) for n in relay.json("status")["nics"]][:2] == [("native", "up")] * 2
    assert nic(relay, "extra")["mode"] == "off" and links(relay)[:2] == before[:2]
    relay.stop()
    relay.start()
    assert {n["mode"] for n in relay.json("status")["nics"]} == {"generic"}


def test_what_cannot_be_attached_is_said_once_and_tried_again(lab, relay, extra):
    before = links(relay)
    extra.anew("", ["ip", "link", "set", "dev", "extra", "xdp", "obj", BUILD + "/bpf/navalis.bpf.o", "program", "navalis"])
    said(lab, "extra has another XDP program")
    for state in ("down", "up") * 2:
        lab.inet.run("ip link set to-relay " + state)
        wait_for("status", lambda: nic(relay, "v4")["state"] == state)  # it has looked at the NICs by then
    assert lines(lab, "extra has another XDP program") == 1
    assert (nic(relay, "extra")["mode"], links(relay)[:2]) == ("off", before[:2])
    lab.relay.run("ip link set dev extra xdp off")
    wait_for("the log", lambda: lines(lab, "extra: XDP native") == 2)
    assert lines(lab, "v4: XDP native") == 1 and attached(lab, "extra")


# ---- the life of a NIC: said in the log and in status, and proven clients are served again within a second


@pytest.fixture
def traffic(lab, relay):
    """A client that is proven, and a native host that talks to it."""
    c, native = lab.clients[0], fresh_native()
    assert lab.native.ping(c.address, src=native, count=2)[1] == 2

    def served(size=56, wait=20):
        return lab.native.ping(c.address, src=native, wait=wait, size=size)[1] == 1

    def back_within_a_second():
        began = awake()
        with first():
            while not served(wait=0.1):
                assert awake() < began + 1, lab.log("navalisd")
        # each CPU believes its next hops for a second; from then on nothing is lost
        time.sleep(max(0, began + 1.3 - awake()))
        assert lab.native.ping(c.address, src=native, count=10, interval=0.01)[1] == 10
    served.again = back_within_a_second
    return served


def nic(relay, name):
    return next(n for n in relay.json("status", "--no-rates")["nics"] if n["name"] == name)


def said(lab, text):
    wait_for("the log says «%s»" % text, lambda: text in lab.log("navalisd"))


def in_xdp(relay, served):
    """Packets take the fast path (again)."""
    def count():
        return relay.json("status", "--no-rates")["forwarded"]["xdp"]
    before = count()
    assert served()
    after = count()
    return after["encap"] > before["encap"] and after["decap"] > before["decap"]


@pytest.mark.parametrize("side,dev", [("inet", "v4"), ("native", "v6")])
def test_link_flap(lab, relay, traffic, side, dev):
    far = getattr(lab, side)
    far.run("ip link set to-relay down")
    said(lab, "%s is down" % dev)
    wait_for("status", lambda: nic(relay, dev)["state"] == "down")
    assert not traffic(wait=0.1)
    far.run("ip link set to-relay up")
    if side == "native":  # IPv6 addresses go with the link
        far.run("ip addr replace 2a00:1::2/64 dev to-relay nodad")
        far.run("ip -6 route replace 2001::/32 via 2a00:1::1")
    traffic.again()
    said(lab, "%s is up" % dev)
    wait_for("status", lambda: nic(relay, dev)["state"] == "up")
    assert in_xdp(relay, traffic)


def test_mtu_change(lab, relay, traffic):
    """A packet too long for the new MTU goes through the daemon: the kernel makes fragments of it."""
    assert traffic(1232)
    lab.relay.run("ip link set v4 mtu 1300")
    lab.inet.run("ip link set to-relay mtu 1300")
    try:
        began = awake()
        while not traffic(1232, wait=0.1):
            assert awake() < began + 2
        assert traffic(100)
        assert sum(r["packets"] for r in relay.json("drops")["reasons"] if r["reason"] == "NO_NEXT_HOP_OUT")
    finally:
        lab.relay.run("ip link set v4 mtu 1500")
        lab.inet.run("ip link set to-relay mtu 1500")
    traffic.again()
    assert in_xdp(relay, traffic)


@pytest.mark.parametrize("side,key", [("inet", "net.ipv4.conf.to-relay.arp_notify"),
                                      ("native", "net.ipv6.conf.to-relay.ndisc_notify")])
def test_next_hop_changes_its_mac(lab, relay, traffic, side, key):
    """The router announces it, as all do; XDP believes the old one for a second at most."""
    far = getattr(lab, side)
    old = far.mac("to-relay").hex(":")
    far.run(["sysctl", "-qw", key + "=1"])
    try:
        for mac in ("02:00:00:aa:bb:01", old):
            far.run("ip link set to-relay address " + mac)
            if side == "native":
                far.run("ip -6 route replace 2001::/32 via 2a00:1::1")
            traffic.again()
            assert in_xdp(relay, traffic)
    finally:
        far.run("ip link set to-relay address " + old)


def test_service_address_goes_and_returns(lab, relay, traffic):
    lab.relay.run("ip addr del 8.0.2.1/24 dev v4")
    try:
        said(lab, "service address 8.0.2.1 is gone from this host")
        assert relay.json("status", "--no-rates")["service_here"] is False
    finally:
        lab.relay.run("ip addr add 8.0.2.1/24 dev v4")
        lab.relay.run("ip route replace default via 8.0.2.254")
    traffic.again()
    said(lab, "service address 8.0.2.1 is back")
    assert relay.json("status", "--no-rates")["service_here"] is True
    assert in_xdp(relay, traffic)


@pytest.mark.parametrize("dev", ["v4", "v6"])
def test_an_interface_is_deleted_and_made_anew(lab, relay, traffic, dev):
    lab.relay.run("ip link del " + dev)
    said(lab, "%s is gone: XDP will be back with it" % dev)
    assert nic(relay, dev)["state"] == "gone"
    far = lab.inet if dev == "v4" else lab.native
    lab.wire(far, "to-relay", lab.relay, dev)
    if dev == "v4":
        far.run("ip addr add 8.0.2.254/24 dev to-relay")
        lab.relay.run("ip addr add 8.0.2.1/24 dev v4")
        lab.relay.run("ip route add default via 8.0.2.254")
    else:
        far.run("ip addr add 2a00:1::2/64 dev to-relay nodad")
        far.run("ip -6 route add 2001::/32 via 2a00:1::1")
        lab.relay.run("ip addr add 2a00:1::1/64 dev v6 nodad")
        lab.relay.run("ip -6 route add default via 2a00:1::2")
    traffic.again()  # by the daemon, until the program is there again
    wait_for("it is attached again", lambda: nic(relay, dev)["state"] == "up" and nic(relay, dev)["mode"] == "native")
    assert attached(lab, dev)[0] == 1
    wait_for("packets take the fast path again", lambda: in_xdp(relay, traffic))


@pytest.mark.parametrize("event", [True, False])
def test_a_program_that_somebody_detached_is_attached_again(lab, relay, traffic, event):
    """Of which the kernel says nothing: it is noticed with the next event of a link, or after a minute."""
    before = links(relay)
    subprocess.run(["bpftool", "link", "detach", "pinned", "/sys/fs/bpf/%s/link_1" % relay.instance], check=True)
    assert not attached(lab, "v6")
    if event:
        lab.relay.run("ip link add name plain type bridge")
        lab.relay.run("ip link del plain")
    wait_for("it is attached again", lambda: attached(lab, "v6"), 30 if event else 180)
    said(lab, "v6: XDP native")
    assert lines(lab, "v6 has lost its XDP program") == 1 and lines(lab, "v4: XDP native") == 1
    assert links(relay)[0] == before[0]
    traffic.again()
    assert in_xdp(relay, traffic)


def test_what_detach_takes_from_under_the_daemon_stays_away():
    with Lab((), server=False) as lab, Navalis(lab, "native", instance="nvn-f%d" % os.getpid()) as relay:
        relay.ctl("detach", "--force")
        os.unlink("/run/navalis/%s.lock" % relay.instance)
        lab.inet.run("ip link set to-relay down")
        said(lab, "v4 is down")  # it has looked at the NICs by then
        assert "lost its XDP program" not in lab.log("navalisd")
        assert not attached(lab, "v4") and not attached(lab, "v6")


# ---- the gateways that the kernel keeps resolved for XDP


def managed(lab):
    return {l.split()[0] for l in lab.relay.run("ip neigh").stdout.splitlines() if " managed" in l}


ROUTERS = {"8.0.2.254", "2a00:1::2"}  # of the default routes


def kept(lab, gateways):
    try:
        wait_for("gateways", lambda: managed(lab) == ROUTERS | gateways)
    except TimeoutError:
        assert managed(lab) == ROUTERS | gateways


@pytest.fixture
def routes(lab, relay):
    """None of a test is left for the next."""
    yield lab.relay.run
    lab.relay.run("ip route flush root 9.0.0.0/8")
    lab.relay.run("ip -6 route flush root 2a00:9::/32")


@pytest.mark.parametrize("gateway,net", [("8.0.2.%d", "9.9.9.0/24"), ("2a00:1::%x", "2a00:9::/48")])
def test_a_gateway_without_a_route_is_let_go(lab, routes, gateway, net):
    """One route through more gateways than are kept, one after the other, and then none."""
    for i in range(100, 120):
        routes("ip route replace %s via %s" % (net, gateway % i))
    kept(lab, {gateway % 119})
    routes("ip route del " + net)
    kept(lab, set())


def test_a_new_gateway_takes_the_place_of_a_dead_one(lab, routes):
    """As many routes through gateways of their own as are kept."""
    for i in range(62):
        routes("ip route add 9.9.%d.0/24 via 8.0.2.%d" % (i, 100 + i))
    full = {"8.0.2.%d" % (100 + i) for i in range(62)}
    kept(lab, full)
    routes("ip route change 9.9.0.0/24 via 8.0.2.200")
    kept(lab, full - {"8.0.2.100"} | {"8.0.2.200"})
    routes("ip route flush root 9.0.0.0/8")
    kept(lab, set())


def test_a_gateway_goes_with_the_address_that_its_route_needs(lab, routes):
    """The kernel removes such a route without a word."""
    routes("ip addr add 8.0.3.1/24 dev v4")
    routes("ip route add 9.9.9.0/24 via 8.0.3.254 src 8.0.3.1")
    kept(lab, {"8.0.3.254"})
    routes("ip addr del 8.0.3.1/24 dev v4")
    assert "9.9.9.0" not in routes("ip route").stdout
    kept(lab, set())

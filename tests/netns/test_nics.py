# SPDX-License-Identifier: GPL-2.0-or-later
"""The program follows the configuration from one start to the next, all or nothing, and its NICs."""
import json
import os

import pytest

from lab import Navalis, wait_for


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
    with Navalis(lab, "native", instance="nvn%d" % os.getpid()) as made:
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


def test_a_nic_that_comes_back_gets_its_program_again(lab, relay):
    def veth():
        lab.relay.run("ip link add extra type veth peer name extra-peer")
        lab.relay.run("ip link set extra up")
    veth()
    try:
        restarted(relay, "v4 v6 extra")
        survivor = attached(lab, "v4")
        lab.relay.run("ip link del extra")
        wait_for("the loss is noticed", lambda: "extra is gone" in lab.log("navalisd"))
        veth()
        wait_for("it is attached again", lambda: attached(lab, "extra"))
        assert attached(lab, "v4")[0] == survivor[0]
        assert relay.json("status")["nics"][2]["mode"] == "native"
    finally:
        lab.relay.run("ip link del extra")

# SPDX-License-Identifier: GPL-2.0-or-later
"""One NIC for both sides, several of each, and both modes of XDP."""
import os

import pytest

from counted import hits
from lab import Lab, Navalis, fresh_native


def counted(relay):
    return {(r["reason"], nic): n for r in relay.json("drops")["reasons"] for nic, n in r["where"].items()}


def gained(relay, before, *keys):
    now = counted(relay)
    return [now.get(k, 0) - before.get(k, 0) for k in keys]


@pytest.fixture(scope="module", params=["native", "generic"])
def one(request):
    with Lab(("restricted", "symmetric"), one_nic=True) as lab, Navalis(lab, request.param) as relay:
        yield lab, relay
        hits(relay)


@pytest.mark.parametrize("first", ["native", "client"])
@pytest.mark.parametrize("n", [0, 1], ids=["restricted", "symmetric"])
def test_one_nic_for_both_sides(one, n, first):
    lab, relay = one
    c, native = lab.clients[n], fresh_native()
    ns, dst, src = (lab.native, c.address, native) if first == "native" else (c.ns, native, None)
    assert ns.ping(dst, src=src)[1] == 1
    before = counted(relay)
    for size in (0, 1, 1232):
        assert ns.ping(dst, src=src, count=3, size=size, interval=0.02)[1] == 3
    # from then on all of it in XDP, in and out of the same NIC
    assert gained(relay, before, ("DECAP", "v4"), ("ENCAP", "v4")) == [9, 9]
    assert relay.json("status")["nics"][0]["mode"] == relay.mode


@pytest.fixture(scope="module", params=["native", "generic"])
def several(request):
    """Two of each: client 2 is reached by, and comes by, v4b; a second native network by v6b."""
    with Lab(("restricted", "restricted")) as lab:
        lab.wire(lab.inet, "to-relay-b", lab.relay, "v4b")
        lab.inet.run("ip addr add 8.0.3.254/24 dev to-relay-b")
        lab.relay.run("ip addr add 8.0.3.1/24 dev v4b")
        lab.relay.run("ip route add 8.0.12.0/24 via 8.0.3.254")
        lab.inet.run("ip route add 8.0.2.1 via 8.0.3.1 table 7")
        lab.inet.run("ip rule add from 8.0.12.0/24 table 7")
        other = lab.ns("other")
        lab.wire(other, "to-relay", lab.relay, "v6b")
        other.run("ip addr add 2a00:4::2/64 dev to-relay nodad")
        lab.relay.run("ip addr add 2a00:4::1/64 dev v6b nodad")
        other.run("ip -6 route add default via 2a00:4::1")
        lab.native.run("ip -6 route add 2a00:4::/64 via 2a00:1::1")  # the clients' server asks there, too
        with Navalis(lab, request.param, instance="nvs%d" % os.getpid(), interfaces="v4 v6 v4b v6b") as relay:
            yield lab, relay
            hits(relay)


def test_several_nics_of_each_side(several):
    lab, relay = several
    first, second = lab.clients
    native = fresh_native()
    paths = [(lab.native, native, first, "v6", "v4"), (lab.native, native, second, "v6", "v4b"),
             (lab.other, "2a00:4::2", first, "v6b", "v4"), (lab.other, "2a00:4::2", second, "v6b", "v4b")]
    for ns, src, c, v6, v4 in paths:
        assert ns.ping(c.address, src=src)[1] == 1, (v6, v4)
        before = counted(relay)
        assert ns.ping(c.address, src=src, count=10, interval=0.01)[1] == 10
        assert gained(relay, before, ("ENCAP", v6), ("DECAP", v4)) == [10, 10], (v6, v4)
    assert all(n["balanced"] and n["mode"] == relay.mode for n in relay.json("status")["nics"])

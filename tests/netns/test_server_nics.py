# SPDX-License-Identifier: GPL-2.0-or-later
"""Our Teredo server where the way back is not the way there: a solicitation comes by one NIC, its answer leaves by another."""
import os
import sys

import pytest

from counted import hits
from lab import ROOT, Lab, Navalis, wait_for
from native import count

sys.path.insert(0, os.path.join(ROOT, "tests/pkts"))
from sixbed4 import solicitation  # noqa: E402
from teredo import IP, Raw, UDP, v6  # noqa: E402

CONF = "[teredo-server]\nprimary = 8.0.1.1\nsecondary = 8.0.1.2\n"
CLIENTS = ["8.0.66.%d" % i for i in range(1, 101)]


@pytest.fixture(scope="module")
def yard():
    with Lab((), server=False) as lab:
        aside = lab.ns("aside")
        lab.wire(aside, "to-server", lab.server, "aside")
        lab.server.run("ip addr add 8.0.5.1/24 dev aside")
        lab.server.run("ip route add 8.0.66.0/24 via 8.0.5.254")
        mac = ":".join("%02x" % b for b in aside.mac("to-server"))
        lab.server.run("ip neigh replace 8.0.5.254 lladdr %s dev aside nud permanent" % mac)
        yield lab


@pytest.fixture(params=["both NICs have the program", "the other NIC has none"])
def server(yard, request):
    both = request.param.startswith("both")
    with Navalis(yard, "native", CONF, "nvt%d" % os.getpid(), interfaces="v4 aside" if both else "v4", ns=yard.server) as made:
        made.both = both
        yield made
        hits(made)
        status = made.json("status")
        assert status["slow_path"]["balanced"] and all(n["balanced"] for n in status["nics"]), status


def solicit(yard, client):
    packet = IP(src=client, dst="8.0.1.1") / UDP(sport=4000, dport=3544) / Raw(solicitation("fe80::1:2:3"))
    yard.inet.inject("to-server", yard.server.mac("v4") + yard.inet.mac("to-server") + b"\x08\0" + bytes(packet))


def test_the_answer_leaves_by_the_other_nic(yard, server):
    """Answered in XDP if that may send there; else the daemon answers, by the same way."""
    there, back = yard.aside.capture("to-server"), yard.inet.capture("to-server")
    head = yard.aside.mac("to-server") + yard.server.mac("aside") + b"\x08\0"
    answered = set()

    def all_answered():
        for f in there.frames():
            if f[12:14] == b"\x08\0":
                p = IP(f[14:])
                assert f[:14] == head and (p.src, p[UDP].sport, p[UDP].dport) == ("8.0.1.1", 3544, 4000)
                ra = bytes(p[UDP].payload)
                assert ra[:8] == origin(p.dst, 4000) and ra[48] == 134 and v6("2001:0:800:101::")[:8] in ra
                check = p[UDP].chksum
                del p[UDP].chksum
                assert IP(bytes(p))[UDP].chksum == check
                answered.add(p.dst)
        return answered == set(CLIENTS)

    for c in CLIENTS:
        solicit(yard, c)
    wait_for("answers", all_answered)
    assert count(server, "SOLICITED", "v4") == (len(CLIENTS) if server.both else 0)
    wait_for("the count", lambda: count(server, "SOLICITED") == len(CLIENTS))
    assert count(server, "NO_NEXT_HOP_OUT", "v4") == (0 if server.both else len(CLIENTS))
    assert not [f for f in back.frames() if f[6:12] == yard.server.mac("v4") and f[12:14] == b"\x08\0"]
    daemons = {r["reason"]: r["where"]["daemon"] for r in server.json("drops")["reasons"] if r["where"].get("daemon")}
    daemons.pop("NOT_OURS", None)  # what the kernel itself says on the TUN
    assert daemons == ({} if server.both else {"SOLICITED": len(CLIENTS)})
    for cap in (there, back):
        cap.close()


def origin(addr, port):
    """RFC 4380 5.1.1."""
    return b"\0\0" + (port ^ 0xFFFF).to_bytes(2, "big") + bytes(b ^ 0xFF for b in map(int, addr.split(".")))

# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs inside the machine, whose clock counts instructions: what each path of the program takes, and what its
verifier. Its arguments are builds; the last line that it prints is JSON.
"""
import json
import os
import re
import struct
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "../..")
sys.path[:0] = [os.path.join(HERE, "../bpf"), os.path.join(HERE, "../pkts")]
from teredo import ICMPv6EchoRequest, IP, Raw, TCP, UDP, address, v4  # noqa: E402
import test_decap as into  # noqa: E402
import test_encap as out  # noqa: E402
import test_xdp_hg48 as hg48  # noqa: E402
import test_xdp_proto41 as proto41  # noqa: E402
import test_xdp_sixbed4 as sixbed4  # noqa: E402
import test_xdp_teredo_server as server  # noqa: E402
from test_nexthop import regions, To4, To6  # noqa: E402
from test_vlan import AD, Q, tagged  # noqa: E402
from xdp import DROP, PASS, REDIRECT, REPROOF, SERVICE, TEREDO, TX, Xdp  # noqa: E402

SERVER, CLIENT = into.SERVER, into.TEREDO
AWAY = address(SERVER, "8.0.9.10", 5)      # in its far bucket, and there in the last place
FAR = address(SERVER, "8.0.9.20", 7)       # behind a symmetric NAT
BEHIND = address(SERVER, "8.44.0.2", 7)    # reached through two VLAN tags
STRANGER = address(SERVER, "8.0.9.8", 9)
TIMES = 8
BURST = 64

with open(os.path.join(ROOT, "include/navalis/refused4.def")) as f:
    REFUSED = [(".".join(m[:4]), int(m[4])) for m in
               re.findall(r"^REFUSED4\((\d+), (\d+), (\d+), (\d+), (\d+)", f.read(), re.M)]


def ranges():
    """The blocks that navalisd refuses of itself, as the program has them: first and last address, in order."""
    for net, length in REFUSED:
        first = v4(net)
        last = int.from_bytes(first, "big") | (1 << 32 - length) - 1
        yield net, ".".join(str(b) for b in last.to_bytes(4, "big"))


def decap(payload=None, **kw):
    return into.frame(into.inner(payload), **kw)


def decap_from(client, addr, port, **kw):
    return into.frame(into.inner(src=client), ip=dict(src=addr), udp=dict(sport=port), **kw)


def sized(n):
    """An echo whose IPv6 packet has that many bytes."""
    return ICMPv6EchoRequest(data=b"x" * (n - 48))


def vouch(x, family=None):
    """What navalisd says of the routes; of a family, that it says nothing any more."""
    for t, tagged_net, behind in (To4, "8.44.0.0", "8.45.0.0"), (To6, "2a00:6::", "2a00:7::"):
        said = regions((0, 1), (t.key(tagged_net), 2), (t.key(behind), 1))
        x.put("routes", t.family, struct.pack("<QII", 0 if t.family == family else x.units() + (1 << 20), 1, 0) + 2 * said)


def paths(x):
    """Name: NIC, frame, verdict, reason, and what makes the table as it is to be before each run."""
    x.add(CLIENT)
    x.add(AWAY, which=2, place=3)
    x.add(BEHIND, place=1)
    x.add_remapped(FAR, "8.0.9.21", 999)
    p = {}
    p["decap"] = "v4", decap(sized(64)), REDIRECT, "DECAP", None
    p["decap, 1280 bytes"] = "v4", decap(sized(1280)), REDIRECT, "DECAP", None
    p["decap, Ethernet padding"] = "v4", decap(sized(64)) + b"pad", REDIRECT, "DECAP", None
    p["decap, stamp changes"] = "v4", decap(sized(64)), REDIRECT, "DECAP", lambda: x.add(CLIENT, age=2)
    p["decap, far bucket"] = "v4", decap_from(AWAY, "8.0.9.10", 5), REDIRECT, "DECAP", None
    p["decap, remapped"] = "v4", decap_from(FAR, "8.0.9.21", 999), REDIRECT, "DECAP", None
    p["decap, remapped, stamp changes"] = "v4", decap_from(FAR, "8.0.9.21", 999), REDIRECT, "DECAP", \
        lambda: x.add_remapped(FAR, "8.0.9.21", 999, age=2)
    p["decap, one tag comes off"] = "v4", tagged(decap(sized(64)), (AD, 100)), REDIRECT, "DECAP", None
    p["decap, one tag goes on"] = "v4", into.frame(dst="2a00:6::2"), REDIRECT, "DECAP", None
    p["encap, ICMPv6"] = "v6", out.frame(sized(64)), REDIRECT, "ENCAP", None
    p["encap, UDP"] = "v6", out.frame(UDP() / Raw(b"x" * 16)), REDIRECT, "ENCAP", None
    p["encap, TCP"] = "v6", out.frame(TCP() / Raw(b"x" * 4)), REDIRECT, "ENCAP", None
    p["encap, 1280 bytes"] = "v6", out.frame(sized(1280)), REDIRECT, "ENCAP", None
    p["encap, Ethernet padding"] = "v6", out.frame(sized(64)) + b"pad", REDIRECT, "ENCAP", None
    p["encap, mark after silence"] = "v6", out.frame(sized(64)), REDIRECT, "ENCAP", lambda: x.add(CLIENT, age=REPROOF + 2)
    p["encap, far bucket"] = "v6", out.frame(sized(64), dst=AWAY), REDIRECT, "ENCAP", None
    p["encap, remapped"] = "v6", out.frame(sized(64), dst=FAR), REDIRECT, "ENCAP", None
    p["encap, one tag comes off"] = "v6", tagged(out.frame(sized(64)), (Q, 6)), REDIRECT, "ENCAP", None
    p["encap, two tags go on"] = "v6", out.frame(sized(64), dst=BEHIND), REDIRECT, "ENCAP", None
    p["bubble that proves"] = "v4", lambda: into.bubble(x.cookie(CLIENT)), PASS, "BUBBLE", None
    p["bubble, forged"] = "v4", into.bubble("fe80::1"), DROP, "BUBBLE_COOKIE", None
    p["source forged"] = "v4", decap_from(CLIENT, "8.0.9.8", 9), DROP, "SRC_MISMATCH", None
    p["source not Teredo"] = "v4", into.frame(src="2a00::1"), DROP, "SRC_NOT_TEREDO", None
    p["to a Teredo address"] = "v4", into.frame(dst=STRANGER), DROP, "DST_TEREDO", None
    p["from an unproven client"] = "v4", decap_from(STRANGER, "8.0.9.8", 9), PASS, "UNPROVEN_IN", None
    p["to an unproven client"] = "v6", out.frame(dst=STRANGER), PASS, "UNPROVEN_OUT", None
    p["to a refused client"] = "v6", out.frame(dst=address(SERVER, "192.168.0.1", 9)), DROP, "CLIENT_REFUSED", None
    p["not ours, TCP/IPv4"] = "v4", bytes(into.ETH / IP(src="8.0.9.9", dst=SERVICE) / TCP()), PASS, "NOT_OURS", None
    p["not ours, IPv6"] = "v6", out.frame(dst="2a00::1"), PASS, "NOT_OURS", None
    p["decap, nobody vouches for routes"] = *p["decap"][:4], lambda: vouch(x, To6.family)
    p["encap, nobody vouches for routes"] = *p["encap, ICMPv6"][:4], lambda: vouch(x, To4.family)
    # last: they use up what the slow path is given
    p["from an unproven client, over the limit"] = *p["from an unproven client"][:2], DROP, "OVER_IN", None
    p["to an unproven client, over the limit"] = *p["to an unproven client"][:2], DROP, "OVER_OUT", None
    return p


def tunnel_paths():
    """The same of the other mechanisms, with all of them on."""
    p = {}
    for kind in "6to4", "6rd", "6in4":
        p[kind + ", decap"] = "v4", proto41.arrives(kind, sized(64)), REDIRECT, "DECAP", None
        p[kind + ", encap"] = "v6", proto41.leaves(kind, sized(64)), REDIRECT, "ENCAP", None
    p["6rd, turns round"] = "v4", proto41.arrives("6rd", sized(64), dst=proto41.rd("8.0.9.8")), TX, "BOUNCED", None
    p["6bed4, decap"] = "v4", sixbed4.frame(sixbed4.inner(sized(64))), REDIRECT, "DECAP", None
    p["6bed4, encap"] = "v6", sixbed4.native(sized(64)), REDIRECT, "ENCAP", None
    p["6bed4, from peer to peer"] = "v4", sixbed4.frame(sixbed4.inner(sized(64), dst=sixbed4.peer("11.0.9.8"))), TX, "BOUNCED", None
    p["6bed4, solicitation"] = "v4", sixbed4.solicit(), TX, "SOLICITED", None
    p["Teredo server, solicitation"] = "v4", server.frame(server.solicitation(), server.AUTH), TX, "SOLICITED", None
    p["Teredo server, bubble"] = "v4", server.frame(server.bubble()), TX, "SERVER_RELAYED", None
    p["HG48, decap"] = "v4", hg48.frame(hg48.inner(sized(64))), REDIRECT, "DECAP", None
    p["HG48, encap"] = "v6", hg48.native(sized(64)), REDIRECT, "ENCAP", None
    p["HG48, to an endpoint that has not answered"] = "v6", hg48.native(sized(64), dst=hg48.bob("8.0.9.8")), PASS, "UNCONFIRMED_OUT", None
    p["decap, all on"] = "v4", decap(sized(64)), REDIRECT, "DECAP", None
    p["encap, all on"] = "v6", out.frame(sized(64)), REDIRECT, "ENCAP", None
    p["not ours, TCP/IPv4, all on"] = "v4", bytes(into.ETH / IP(src="8.0.9.9", dst=SERVICE) / TCP()), PASS, "NOT_OURS", None
    p["not ours, IPv6, all on"] = "v6", out.frame(dst="2a00::1"), PASS, "NOT_OURS", None
    return p


def everything():
    """Every mechanism at a time."""
    return {**sixbed4.CONFIG, **proto41.CONFIG, "own4": (*proto41.OWN, sixbed4.LOCAL, server.ONE, server.TWO, hg48.LOCAL),
            "server": server.CONFIG["server"], "hg48": hg48.CONFIG["hg48"], "refused": list(ranges()),
            "prefixes": proto41.CONFIG["prefixes"] + sixbed4.CONFIG["prefixes"][:1] + hg48.CONFIG["prefixes"][:1]}


def times(x, nic, frame, action, reason, before):
    """Instructions of some runs, less what TEST_RUN itself takes; not of the first ones, which ask for next hops."""
    frame = frame() if callable(frame) else frame
    ask = lambda n: x.ask(op="time", frame=frame.hex(), ifindex=x.ifindex[nic], times=n)  # noqa: E731
    for _ in range(2 * BURST if reason.startswith("OVER") else 2):
        if before:
            before()
        got = x.run(frame, nic)[:2]
        if got == (action, reason):
            break
    assert got == (action, reason), got
    took = []
    for _ in range(TIMES if before else 1):
        if before:
            before()
        runs = ask(1 if before else TIMES)
        took += [n - min(runs["null"]) for n in runs["program"]]
    return took


def instructions(x):
    x.load(own4=(SERVICE,), refused=list(ranges()), meter=1, burst=BURST, prefixes=[("2001::/32", TEREDO, 0)])
    x.vlan("v6.6", "v6", (Q, 6))
    x.vlan("v4.s", "v4", (AD, 100))
    x.vlan("v4.4", "v4", (AD, 100), (Q, 44))
    vouch(x)
    found = {name: times(x, *how) for name, how in paths(x).items()}
    x.load(**everything())
    vouch(x)
    x.add(CLIENT)
    x.add_hg48(hg48.BOB, hg48.BPORT, heard=-1000, sent=-1000)
    found.update({name: times(x, *how) for name, how in tunnel_paths().items()})
    return found


def run(cmd):
    p = subprocess.run(cmd, shell=True, capture_output=True, text=True)
    assert not p.returncode, (cmd, p.stderr)
    return p.stdout


def started(build, x, *interfaces):
    """The configurations that navalisd gives to its programs, and what the verifier took for them: by interface."""
    with open("/tmp/navalis.conf", "w") as f:
        f.write("[navalis]\nmode = native\ninterfaces = %s\n[teredo]\nservice = %s\n" % (" ".join(interfaces), SERVICE))
    daemon = subprocess.Popen([build + "/navalisd", "--config", "/tmp/navalis.conf"], stderr=subprocess.PIPE, text=True)
    said = ""
    while "ready" not in said:
        line = daemon.stderr.readline()
        assert line, said
        said += line
    found = {dev: x.ask(op="config", prog=json.loads(run("ip -j link show dev " + dev))[0]["xdp"]["prog"]["id"]) for dev in interfaces}
    daemon.terminate()
    daemon.wait()
    run(build + "/navalisctl detach")
    return found


def configurations(build, x):
    """The larger frames of the second NIC want a program that takes them in several buffers."""
    one, two = started(build, x, "nic"), started(build, x, "nic", "jumbo")
    return {"one NIC": one["nic"], "two NICs": two["nic"], "two NICs, several buffers": two["jumbo"]}


def verifier(said):
    depths, = [l.split()[2] for l in said["log"].splitlines() if l.startswith("stack depth")]
    return {"processed": int(said["verifier"].split()[1]), "stack": (lambda own, *steps: own + max(steps))(*map(int, depths.split("+"))),
            "instructions": said["insns"], "bytes": said["jited"]}


def main(builds):
    run("sysctl -qw net.ipv4.conf.all.forwarding=1 net.ipv6.conf.all.forwarding=1")
    for dev, mtu in ("nic", 1500), ("jumbo", 9000):
        run("ip link add %s mtu %d type veth peer name %s2 mtu %d" % (dev, mtu, dev, mtu))
        run("ip link set %s up && ip link set %s2 up" % (dev, dev))
    run("ip addr add %s/24 dev nic" % SERVICE)
    x = Xdp(builds[0])
    figures = {builds[0]: {"paths": instructions(x)}}
    cfgs = configurations(builds[0], x)
    for build in builds:
        if build not in figures:
            x.stop()
            x.start(build)
            figures[build] = {"paths": instructions(x)}
        load = lambda c: x.ask(op="load", cfg=c, buckets=64, remapped=16, tunnels=16, attach=[])  # noqa: E731
        figures[build]["verifier"] = {name: verifier(load(c["cfg"])) for name, c in cfgs.items()}
        figures[build]["verifier"]["all mechanisms"] = verifier(x.load(**everything()).loaded)
    x.close()
    for name, c in cfgs.items():  # the same program, or these are not the figures of what runs
        assert figures[builds[0]]["verifier"][name]["processed"] == c["verified"], (name, c["verified"])
    print(json.dumps({"kernel": os.uname().release, "builds": figures}))


if __name__ == "__main__":
    main(sys.argv[1:])

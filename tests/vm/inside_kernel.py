# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs inside the machine: native XDP on virtio, real VLAN interfaces, and not a trace afterwards.

Arguments: «alone», or «dispatcher» for the same beside another program, behind libxdp's dispatcher; and builds.
"""
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "../netns"), os.path.join(HERE, "../pkts")]
from lab import Capture, Ns, wait_for  # noqa: E402
from pinned import Table  # noqa: E402
from teredo import Ether, ICMPv6EchoRequest, IP, IPv6, Raw, UDP, v4, v6  # noqa: E402

BUILD = os.path.join(HERE, "../../build")
CONF = """[navalis]
interfaces = eth0
mode = native
dispatcher = %s
[teredo]
service = 8.0.2.1:3545
"""


def run(cmd, check=True):
    p = subprocess.run(cmd, shell=True, capture_output=True, text=True)
    if check and p.returncode:
        raise RuntimeError("%s: %s" % (cmd, p.stderr or p.stdout))
    return p


class Here:
    """The machine itself, where Capture and others want a namespace."""

    def __init__(self):
        self.name = "here"

    def run(self, cmd, check=True):
        return run(cmd if isinstance(cmd, str) else " ".join(cmd), check)


def vlans(do, dev):
    """6 for IPv6; 802.1ad 100 and in it 44 for IPv4."""
    for c in ("ip link set %(d)s up", "ip link add link %(d)s name %(d)s.6 type vlan id 6",
              "ip link add link %(d)s name %(d)s.s type vlan proto 802.1ad id 100",
              "ip link add link %(d)s.s name %(d)s.4 type vlan id 44", "ip link set %(d)s.6 up", "ip link set %(d)s.s up",
              "ip link set %(d)s.4 up"):
        do(c % {"d": dev})


def start(build=BUILD):
    daemon = subprocess.Popen([build + "/navalisd", "--config", "/tmp/navalis.conf"], stderr=subprocess.PIPE, text=True)
    line = ""
    while "ready" not in line:
        line = daemon.stderr.readline()
        assert line, "navalisd did not start"
        print(line, end="")
    return daemon


def wire():
    run("modprobe -a 8021q")
    for key in ("net.ipv4.conf.all.forwarding", "net.ipv6.conf.all.forwarding", "net.ipv4.conf.default.forwarding",
                "net.ipv6.conf.default.forwarding"):
        run("sysctl -qw %s=1" % key)
    run("sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0")
    far = Ns("far")
    run("ip link set eth1 netns far")
    vlans(far.run, "eth1")
    vlans(run, "eth0")
    far.run("ip addr add 2a00:1::2/64 dev eth1.6 nodad")
    far.run("ip addr add 8.0.2.254/24 dev eth1.4")
    run("ip addr add 2a00:1::1/64 dev eth0.6 nodad")
    run("ip addr add 8.0.2.1/24 dev eth0.4")
    run("ip route add default via 8.0.2.254")
    run("ip -6 route add default via 2a00:1::2")
    return far


def relay(far, build, shared):
    with open("/tmp/navalis.conf", "w") as f:
        f.write(CONF % ("yes" if shared else "no"))
    if shared:
        run("xdp-filter load eth0 -m native -f tcp")
    daemon = start(build)
    if shared:  # again: the new program takes the place of the old one
        daemon.terminate()
        daemon.wait()
        daemon = start(build)
        print(run("xdp-loader status eth0").stdout)
        assert run("xdp-loader status eth0").stdout.count(" navalis ") == 1
        assert "xdpfilt" in run("xdp-loader status eth0").stdout
    assert "eth0: XDP native" + (", behind a dispatcher" if shared else "") in run(build + "/navalisctl status --no-rates").stdout
    managed = run("ip neigh show dev eth0.4").stdout + run("ip -6 neigh show dev eth0.6").stdout
    assert re.search(r"^8\.0\.2\.254 .*managed", managed, re.M) and re.search(r"^2a00:1::2 .*managed", managed, re.M), managed
    table = Table("navalis")
    client, = table.fill(1)
    c = v6(client)
    endpoint = ".".join(str(b ^ 255) for b in c[12:]), int.from_bytes(c[10:12], "big") ^ 0xFFFF

    mac = open("/sys/class/net/eth0/address").read().strip()
    far_mac = far.mac("eth1").hex(":")
    far.run("ping -c 1 -W 60 8.0.2.1")
    far.run("ping -6 -c 1 -W 60 2a00:1::1")
    run("ping -c 1 -W 60 8.0.2.254")
    run("ping -6 -c 1 -W 60 2a00:1::2")
    capture = Capture(far, "eth1")

    def forwarded(frame, wanted):
        table.hear()
        far.inject("eth1", frame)
        got = []

        def there():
            got.extend(capture.frames())
            return [f for f in got if wanted in f and f[:6].hex(":") == far_mac]
        return wait_for("the forwarded frame", there)[0]
    # native, on VLAN 6, to the client: leaves on 100.44
    native = IPv6(src="2a00:f::7", dst=client, hlim=60) / ICMPv6EchoRequest(data=b"to the client")
    tag6 = b"\x81\x00\x00\x06"
    plain = bytes(Ether(src=far_mac, dst=mac, type=0x86DD) / native)
    out = forwarded(plain[:12] + tag6 + plain[12:], b"to the client")
    print("out:", out.hex())
    # a packet socket sees the outer tag only in its metadata where the stack took it off
    assert b"\x81\x00\x00\x2c\x08\x00" in out[:22] and out[-len(native) - 28 + 16:][:4] == v4(endpoint[0])
    # from the client, on 100.44, to native: leaves on VLAN 6
    inner = IPv6(src=client, dst="2a00:f::7", hlim=60) / ICMPv6EchoRequest(data=b"from the client")
    plain = bytes(Ether(src=far_mac, dst=mac) / IP(src=endpoint[0], dst="8.0.2.1") / UDP(sport=endpoint[1], dport=3545) / Raw(bytes(inner)))
    out = forwarded(plain[:12] + b"\x88\xa8\x00\x64\x81\x00\x00\x2c" + plain[12:], b"from the client")
    print("out:", out.hex())
    assert out.endswith(bytes(inner)[8:]) and b"\x86\xdd" in out[12:18]
    drops = run(build + "/navalisctl stats").stdout
    counts = dict(l.split() for l in drops.splitlines())
    assert counts["eth0_encap_packets"] == "1" and counts["eth0_decap_packets"] == "1", drops
    assert "balance" in run(build + "/navalisctl status --no-rates").stdout
    daemon.terminate()
    daemon.wait()
    run(build + "/navalisctl detach")
    if shared:
        assert "navalis" not in run("xdp-loader status eth0").stdout and "xdpfilt" in run("xdp-loader status eth0").stdout
        run("xdp-filter unload eth0")
    assert "prog/xdp" not in run("ip link show dev eth0").stdout and not os.path.exists("/sys/fs/bpf/navalis")
    print("VLAN on virtio: good")


def main(how, *builds):
    far = wire()
    for build in builds:
        relay(far, os.path.join(HERE, "../..", build), how == "dispatcher")


if __name__ == "__main__":
    main(*sys.argv[1:])

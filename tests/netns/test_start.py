# SPDX-License-Identifier: GPL-2.0-or-later
"""What cannot work says so in one sentence, with the command that repairs it, and changes nothing."""
import contextlib
import json
import os
import socket
import subprocess

import pytest

from lab import BUILD, SERVICE, Navalis, fresh_native, wait_for


@pytest.fixture
def box(lab):
    return lab.relay


def refused(lab, extra="", setup=(), undo=(), mode="native", interfaces="v4 v6", service="8.0.2.1:3545", wrap=(), attached=False):
    conf = os.path.join(lab.dir, "bad.conf")
    with open(conf, "w") as f:
        f.write("[navalis]\ninstance = nvbad%d\ninterfaces = %s\nmode = %s\n%s\n[teredo]\nservice = %s\n" %
                (os.getpid(), interfaces, mode, extra, service))
    for c in setup:
        lab.relay.run(c)
    try:
        p = lab.relay.run([*wrap, BUILD + "/navalisd", "--config", conf], check=False, timeout=20)
    finally:
        for c in undo:
            lab.relay.run(c)
        left = os.path.exists("/sys/fs/bpf/nvbad%d" % os.getpid())
        subprocess.run(["rm", "-rf", "/sys/fs/bpf/nvbad%d" % os.getpid(), "/run/navalis/nvbad%d.lock" % os.getpid()], check=True)
    assert p.returncode == 1
    assert not left
    assert "teredo" not in lab.relay.run("ip -o link").stdout
    assert "2001::/32" not in lab.relay.run("ip -6 route").stdout
    assert ("prog/xdp" in lab.relay.run("ip link show dev v4").stdout) == attached
    return p.stderr


@contextlib.contextmanager
def jumbo(lab):
    """What veth's XDP refuses is the MTU of the other end."""
    lab.relay.run("ip link set v6 mtu 9000")
    lab.native.run("ip link set to-relay mtu 9000")
    try:
        yield
    finally:
        lab.relay.run("ip link set v6 mtu 1500")
        lab.native.run("ip link set to-relay mtu 1500")


def test_no_such_interface(lab):
    assert "no interface v9 on this host" in refused(lab, interfaces="v4 v9")


def test_forwarding_off(lab):
    for family in ("ipv4", "ipv6"):
        key = "net.%s.conf.all.forwarding" % family
        text = refused(lab, setup=["sysctl -qw %s=0" % key], undo=["sysctl -qw %s=1" % key, "sysctl -qw net.%s.conf.v4.forwarding=1" % family,
                                                                   "sysctl -qw net.%s.conf.v6.forwarding=1" % family])
        assert "sysctl -w %s=1" % key in text


def test_forwarding_off_is_for_a_host_that_serves_itself_alone(lab):
    """The sockets of the service come after that question: their address is none of this host."""
    key = "net.ipv6.conf.all.forwarding"
    off = {"setup": ["sysctl -qw %s=0" % key], "undo": ["sysctl -qw %s=1" % key, "sysctl -qw net.ipv6.conf.v4.forwarding=1",
                                                         "sysctl -qw net.ipv6.conf.v6.forwarding=1"], "service": "8.0.7.7:3545"}
    services = "\nlocal_services = yes"
    own = "serve = 2a00:1::1/128 2a00:1::5/128" + services
    back = "\n[6to4]\nlocal = 8.0.2.1\nreturn_only = yes\nsends_for = 2a00:1::1/128"
    server = "\n[teredo-server]\nprimary = 8.0.7.8"
    for itself, extra in ((True, own), (True, own + back), (True, own + server),
                          (False, "serve = 2a00:1::1/128"), (False, "serve = 2a00:1::1/128" + server), (False, back),
                          (False, "serve = 2a00:1::1/128 2a00:1::/64" + services), (False, services),
                          (False, own + back + " 2a00:1::/64"), (False, own + "\n[6to4]\nlocal = 8.0.2.1"),
                          (False, own + "\n[6rd]\nprefix = 2a01:db8::/32\nborder_relay = 8.0.2.2"),
                          (False, own + "\n[6in4]\nlocal = 8.0.2.3\nremote = 8.0.13.1\nprefixes = 2a02:5::/48"),
                          (False, own + "\n[6bed4]\nservice = 8.0.2.1\nprefix = 2a03:6bed:4::/64"),
                          (False, own + "\n[hg48]\nservice = 8.0.2.1\nprefix = fd4a:6b8c:2d10:1::/80")):
        text = refused(lab, extra, **off)
        assert ("ip address add" in text, "sysctl -w" in text) == (itself, not itself), extra


def test_address_not_here_and_port_taken(lab):
    assert "ip address add 8.0.7.7/32 dev" in refused(lab, service="8.0.7.7:3545")
    with lab.relay.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("8.0.2.1", 3777))
        assert "ss -ulpn 'sport = :3777'" in refused(lab, service="8.0.2.1:3777")


def test_another_program_is_attached(lab):
    """Somebody else's, not through a link."""
    lab.relay.run(["ip", "link", "set", "dev", "v4", "xdp", "obj", BUILD + "/bpf/navalis.bpf.o", "program", "navalis"])
    try:
        text = refused(lab, attached=True)
    finally:
        lab.relay.run("ip link set dev v4 xdp off")
    assert "v4 has another XDP program: ip link set dev v4 xdp off" in text


def test_the_prefix_belongs_to_another_relay(lab):
    with Navalis(lab, "off", instance="nvx%d" % os.getpid()):
        conf = os.path.join(lab.dir, "two.conf")
        with open(conf, "w") as f:
            f.write("[navalis]\ninstance = nvbad%d\nmode = off\ntun = other\n[teredo]\n"
                    "service = 8.0.2.1:3546\n" % os.getpid())
        p = lab.relay.run([BUILD + "/navalisd", "--config", conf], check=False, timeout=20)
        subprocess.run(["rm", "-rf", "/sys/fs/bpf/nvbad%d" % os.getpid(), "/run/navalis/nvbad%d.lock" % os.getpid()], check=True)
        assert p.returncode == 1 and "2001::/32 leads to teredo already" in p.stderr
        assert "2001::/32 via fe80::1 dev teredo" in lab.relay.run("ip -6 route").stdout


def test_second_instance_of_one_name(lab):
    with Navalis(lab, "off") as first:
        p = lab.relay.run([BUILD + "/navalisd", "--config", first.conf], check=False, timeout=20)
        assert p.returncode == 1
        assert "is running already (pid %d)" % first.process.pid in p.stderr


def test_missing_capability(lab):
    text = refused(lab, wrap=["setpriv", "--bounding-set=-bpf", "--inh-caps=-bpf"])
    assert "CAP_BPF is missing" in text


def test_driver_without_xdp(lab):
    lab.relay.run("ip link add name plain type bridge")
    lab.relay.run("ip link set plain up")
    text = refused(lab, interfaces="v4 plain", undo=["ip link del plain"])
    assert "no XDP: set mode = auto or generic" in text


def test_jumbo_frames_take_the_program_that_knows_of_several_buffers(lab):
    with jumbo(lab), Navalis(lab, "native") as relay:
        assert "v6: XDP native, frames in several buffers" in lab.log("navalisd")
        assert [(n["mode"], n["frags"]) for n in relay.json("status")["nics"]] == [("native", False), ("native", True)]
        c, native = lab.clients[0], fresh_native()
        for size in (0, 1232):
            assert lab.native.ping(c.address, src=native, count=5, size=size)[1] == 5
        assert relay.json("status")["forwarded"]["xdp"]["encap"] > 5
        # a jumbo frame is longer than the tunnel
        out = lab.native.run(["ping", "-6", "-M", "do", "-c", "1", "-W", "1", "-s", "8000", "-I", native, c.address], check=False)
        assert "mtu" in (out.stdout + out.stderr)


def test_dispatcher_where_the_kernel_has_no_freplace(lab):
    text = refused(lab, extra="dispatcher = yes")
    if "no dispatcher" not in text:
        pytest.skip("this kernel has freplace: tests/vm tries the dispatcher")
    with Navalis(lab, "native", extra="[navalis]\ndispatcher = try\n") as relay:
        assert "<4>v4: no dispatcher" in lab.log("navalisd")
        assert [(n["mode"], n["shared"]) for n in relay.json("status")["nics"]] == [("native", False)] * 2
        c, native = lab.clients[0], fresh_native()
        assert lab.native.ping(c.address, src=native, count=3)[1] == 3


def test_auto_is_one_mode_for_all_nics(lab):
    """A native program cannot send through a NIC without XDP, and nobody would count the loss."""
    lab.relay.run("ip link add name plain type bridge")
    try:
        with Navalis(lab, "auto", interfaces="v4 v6 plain") as relay:
            assert "generic XDP on all NICs, which is several times slower: the driver of plain has no XDP" in lab.log("navalisd")
            assert [n["mode"] for n in relay.json("status")["nics"]] == ["generic"] * 3
            c, native = lab.clients[0], fresh_native()
            assert lab.native.ping(c.address, src=native, count=3)[1] == 3
            relay.stop()
            relay.start()  # it does not try native mode again: that would lose packets
            assert "no native XDP at an earlier start" in lab.log("navalisd")
            assert lab.native.ping(c.address, src=native, count=3)[1] == 3
            assert relay.json("status")["forwarded"]["xdp"]["encap"] >= 5
    finally:
        lab.relay.run("ip link del plain")


def test_a_table_of_another_size_is_refused(lab):
    with Navalis(lab, "off") as relay:
        relay.stop()
        with open(relay.conf, "a") as f:
            f.write("max_clients = 200000\n")
        with pytest.raises(RuntimeError, match="detach removes it, and the clients in it"):
            relay.start()


def test_privileges_are_dropped(lab):
    with Navalis(lab, "native") as relay:
        with open("/proc/%d/status" % relay.process.pid) as f:
            status = dict(l.split(":\t", 1) for l in f.read().splitlines() if ":\t" in l)
        for name in ("CapPrm", "CapEff", "CapBnd"):
            assert int(status[name], 16) == 1 << 39 | 1 << 12 | 1 << 38, name
        assert status["NoNewPrivs"] == "1"


def test_the_tun_has_no_queue_and_clients_are_no_neighbours(lab):
    """The queue would be for nothing, and the host's table of neighbours has no room for all clients."""
    with Navalis(lab, "off"):
        for i in range(3):
            lab.native.run("ping -6 -c 1 -W 1 -I 2a00:f::1:%d 2001:0:800:101:0:fbff:f6ff:%x" % (i + 1, 0xfe00 + i), check=False)
        assert "qdisc noqueue" in lab.relay.run("ip link show dev teredo").stdout
        assert "2001:" not in lab.relay.run("ip -6 neigh show dev teredo nud noarp").stdout


WITHOUT_IO_URING = """
import ctypes, os, struct, sys
program = struct.pack("HBBI" * 4, 0x20, 0, 0, 0, 0x15, 0, 1, 425, 6, 0, 0, 0x50001, 6, 0, 0, 0x7fff0000)  # 425 is EPERM
code = ctypes.create_string_buffer(program)
fprog = struct.pack("HxxxxxxQ", 4, ctypes.addressof(code))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, fprog) == 0, os.strerror(ctypes.get_errno())
os.execvp(sys.argv[1], sys.argv[1:])
"""


@pytest.mark.parametrize("wrap", [[], ["/usr/bin/python3", "-c", WITHOUT_IO_URING]], ids=["io_uring", "sandbox"])
def test_a_sandbox_may_forbid_io_uring(lab, wrap):
    with Navalis(lab, "off", start=False) as relay:
        relay.wrap = wrap
        relay.start()
        fds = "/proc/%d/fd" % relay.process.pid
        links = [os.readlink(os.path.join(fds, f)) for f in os.listdir(fds)]
        assert ("anon_inode:[io_uring]" in links) == (not wrap)
        assert lab.native.ping(lab.clients[0].address, fresh_native(), count=5)[1]
        assert relay.json("status", "--no-rates")["forwarded"]["daemon"]["decap"] > 3


def test_detach_leaves_no_trace(lab):
    with Navalis(lab, "native") as relay:
        assert "2001::/32" in lab.relay.run("ip -6 route").stdout
        assert relay.ctl("detach", check=False).returncode == 1  # the daemon is alive
        relay.stop()
        assert relay.ctl("detach").returncode == 0
        assert relay.ctl("detach", check=False).returncode == 4
    assert "2001" not in lab.relay.run("ip -6 route").stdout
    assert "teredo" not in lab.relay.run("ip -o link").stdout
    assert "managed" not in lab.relay.run("ip neigh").stdout
    assert "xdp" not in lab.relay.run("ip link").stdout
    assert not os.path.exists("/sys/fs/bpf/" + relay.instance)
    assert not os.path.exists("/run/navalis/%s.lock" % relay.instance)


def count(relay, reason):
    return sum(r["packets"] for r in relay.json("drops")["reasons"] if r["reason"] == reason)


def test_what_the_kernel_does_not_take_is_counted(lab):
    from counted import hits
    with Navalis(lab, "off") as relay:
        c, native = lab.clients[0], fresh_native()
        assert lab.native.ping(c.address, src=native)[1] == 1
        lab.relay.run("ip route del default")
        try:
            lab.native.ping(c.address, src=native, wait=0.1)
            wait_for("it is counted", lambda: count(relay, "SEND_ERROR") == 1)
        finally:
            lab.relay.run("ip route add default via 8.0.2.254")
        relay.process.send_signal(19)
        with lab.inet.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            for _ in range(60000):
                s.sendto(b"x" * 1000, SERVICE)
        relay.process.send_signal(18)
        s2 = lab.inet.socket(socket.AF_INET, socket.SOCK_DGRAM)

        def lost():
            s2.sendto(b"x", SERVICE)  # the kernel tells with the next datagram
            return count(relay, "SOCKET_OVERFLOW")
        assert wait_for("the overflow is counted", lost) > 100
        s2.close()
        wait_for("the others are counted", lambda: count(relay, "INNER_NOT_IP6") > 100)
        hits(relay)


def test_reading_works_with_the_daemon_dead(lab):
    with Navalis(lab, "native") as relay:
        c, native = lab.clients[0], fresh_native()
        assert lab.native.ping(c.address, src=native)[1] == 1
        lab.stop(relay.process, 9)
        assert lab.native.ping(c.address, src=native, count=5)[1] == 5
        status = relay.ctl("status", "--json", check=False)
        assert status.returncode == 3 and '"alive":false' in status.stdout.replace(" ", "")
        assert [x["address"] for x in relay.json("clients")["clients"]] == [c.address]
        assert relay.json("clients", "--server", "8.0.1.9")["clients"] == []
        assert relay.json("clients", "--address", "8.0.11.0/24")["clients"]
        assert c.address in relay.ctl("clients", "endpoint").stdout
        assert relay.json("nonsense")["error"]["code"] == 2
        assert relay.ctl("--instance", "nothere", "status", check=False).returncode == 4

# SPDX-License-Identifier: GPL-2.0-or-later
"""Orders to the daemon, against a server of the test's own: what is asked, and every way an answer can fail to come."""
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests/netns"))
from lab import awake, first, wait_for  # noqa: E402

CTL = os.path.join(ROOT, os.environ.get("B", "build"), "navalisctl")
ME = "nvc%d" % os.getpid()
PATH = "/run/navalis/%s.sock" % ME

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="not root")


@pytest.fixture
def daemon():
    os.makedirs("/run/navalis", exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(PATH)
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(PATH)
        s.listen(1)
        s.settimeout(60)
        yield s
    os.unlink(PATH)


def order(daemon, *args, answer=b"", read=True):
    """What navalisctl asked, and how it ended when it was answered so."""
    p = subprocess.Popen([CTL, "--instance", ME, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        with daemon.accept()[0] as c:
            asked = b""
            while read and not asked.endswith(b"\n"):
                asked += c.recv(4096)
            c.sendall(answer if isinstance(answer, bytes) else json.dumps(answer).encode() + b"\n")
        out, err = p.communicate(timeout=120)
    finally:
        p.kill()
        p.wait()
    return json.loads(asked or "null"), p.returncode, out, err


def test_reload(daemon):
    answer = {"result": {"changed": ["teredo.pending", "navalis.mode"], "generation": 7}}
    assert order(daemon, "reload", answer=answer) == (
        {"verb": "reload"}, 0, "reloaded: 2 keys changed: teredo.pending, navalis.mode\n", "")
    assert json.loads(order(daemon, "reload", "--json", answer=answer)[2]) == {**answer["result"], "schema": 1}
    answer["result"]["changed"] = ["teredo.pending"]
    assert order(daemon, "reload", answer=answer)[2] == "reloaded: 1 key changed: teredo.pending\n"


FLUSH = {
    "--all": {"all": True},
    "--server 8.0.1.1": {"server": "8.0.1.1"},
    "--address 8.0.11.0/24 --dry-run": {"address": "8.0.11.0/24", "dry_run": True},
    "--client 2001:0:800:101::1 --server 8.0.0.0/8": {"client": "2001:0:800:101::1", "server": "8.0.0.0/8"},
}


@pytest.mark.parametrize("line", FLUSH)
def test_flush_asks_for_what_was_said(daemon, line):
    dry = "dry_run" in FLUSH[line]
    got = order(daemon, "flush", *line.split(), answer={"result": {"flushed": 12, "dry_run": dry}})
    assert got == ({"verb": "flush", **FLUSH[line]}, 0, "%s 12 proven clients\n" % ("would forget" if dry else "forgot"), "")


def test_pending(daemon):
    one = {"address": "2001:0:800:101::1", "state": "probe", "bubbles": 2, "for_ms": 810, "kept_bytes": 104}
    asked, code, out, _ = order(daemon, "pending", answer={"result": {"pending": [one], "truncated": True}})
    assert (asked, code) == ({"verb": "pending"}, 0)
    assert out.splitlines()[1].split() == ["2001:0:800:101::1", "probe", "2", "0.8s", "104"] and out.endswith("\nand more\n")
    many = [one] * 10000  # more than one read
    assert len(json.loads(order(daemon, "pending", "--json", answer={"result": {"pending": many, "truncated": False}})[2])["pending"]) == 10000


def line(about, text, verdict=None, reason=None, section=None, meaning=None):
    return {"about": about, "verdict": verdict, "reason": reason, "section": section, "meaning": meaning, "text": text}


EXPLAINED = {"address": "2001:0:800:101::1", "mechanism": "Teredo", "endpoint": "8.0.9.9:40000", "peer": "2001:db8::1", "lines": [
    line("from", "from anywhere but 8.0.9.9:40000", "drop", "SRC_MISMATCH", "5.4.2", "outer source is not it"),
    line("address", "Teredo client: server 8.0.1.1"),
    line("from", "goes on", "pass", "NOT_OURS", "-", "not ours"),
    line("to", "goes to 8.0.9.9:40000, by XDP", "forward", "ENCAP", "RFC 3964 5.1", "forwarded"),
    line("from", "from here", "pass", "SIXBED4_MOVED", "6bed4 3.2", "moved")]}


def test_explain(daemon):
    address = EXPLAINED["address"]
    asked, code, out, err = order(daemon, "explain", address, answer={"result": EXPLAINED})
    assert (asked, code, err) == ({"verb": "explain", "address": address}, 0, "")
    assert out == """\
2001:0:800:101::1
  Teredo client: server 8.0.1.1
a packet to it, as from 2001:db8::1
  forward  goes to 8.0.9.9:40000, by XDP
           ENCAP: forwarded (RFC 3964 5.1)
a packet from it, as to 2001:db8::1
  drop     from anywhere but 8.0.9.9:40000
           SRC_MISMATCH: outer source is not it (RFC 4380 5.4.2)
  pass     goes on
           NOT_OURS: not ours
  pass     from here
           SIXBED4_MOVED: moved (6bed4 3.2)
"""
    assert json.loads(order(daemon, "explain", "--json", address, answer={"result": EXPLAINED})[2]) == {**EXPLAINED, "schema": 1}


def test_explain_of_an_address_with_nobody_at_the_other_end(daemon):
    native = {**EXPLAINED, "address": "8.0.9.9", "mechanism": "native", "endpoint": None, "peer": None}
    asked, code, out, _ = order(daemon, "explain", "8.0.9.9", answer={"result": native})
    assert (asked["address"], code) == ("8.0.9.9", 0) and "\na packet to it\n" in out and "\na packet from it\n" in out
    lines = [x for x in native["lines"] if x["about"] == "address"]
    assert order(daemon, "explain", "8.0.9.9", answer={"result": {**native, "lines": lines}})[2].splitlines() == [
        "8.0.9.9", "  Teredo client: server 8.0.1.1"]


@pytest.mark.parametrize("what", ["", "x", "2001:db8::/32", "8.0.9.9:40000", "8.0.9", "8.0.9.9 2001:db8::1", "--all"])
def test_explain_of_what_is_no_address(what):
    """Nobody is asked."""
    p = subprocess.run([CTL, "--instance", ME, "explain", *what.split()], capture_output=True, text=True)
    why = "is neither an IPv6 nor an IPv4 address" if len(what.split()) == 1 else "wants one address, of IPv6 or IPv4"
    assert (p.returncode, p.stdout) == (2, "") and why in p.stderr


def row(kind, **keys):
    return {"kind": kind, "name": "", "tunnels": 1, "xdp": True, "local": [], "missing": [], "prefixes": [], "options": [], "source": None,
            "remote": None, "mtu": None, "in": {"packets": 0, "bytes": 0}, "out": {"packets": 0, "bytes": 0}, "peers": None, **keys}


def test_tunnels(daemon):
    most, least = {"packets": (1 << 64) - 1, "bytes": (1 << 64) - 2}, {"packets": 0, "bytes": 1}
    answer = {"result": {"mechanisms": [
        row("teredo-server", local=["192.0.2.1", "192.0.2.2"], missing=["192.0.2.2"]),
        row("6in4", name="x" * 15, local=["255.255.255.255"], remote="255.255.255.254", mtu=1480, prefixes=["2001:db8::/48", "3fff::/20"],
            **{"in": most, "out": least})]}}
    asked, code, out, err = order(daemon, "tunnels", answer=answer)
    assert (asked, code, err) == ({"verb": "mechanisms"}, 0, "")
    assert [l.split() for l in out.splitlines()[1:]] == [
        "- teredo-server 192.0.2.1 192.0.2.2 - - 0 0 0 0 -; NOT on this host: 192.0.2.2".split(),
        ["x" * 15, "6in4", "255.255.255.255", "255.255.255.254", "1480", str((1 << 64) - 1), str((1 << 64) - 2), "0", "1",
         "2001:db8::/48", "3fff::/20"]]
    assert json.loads(order(daemon, "tunnels", "--json", answer=answer)[2]) == {**answer["result"], "schema": 1}
    assert len(order(daemon, "tunnels", answer={"result": {"mechanisms": []}})[2].splitlines()) == 1
    longest = row("6in4", prefixes=["2001:db8:1111:2222:3333:4444:5555:6666/128"] * 20, local=5, name=7, missing=[None], **{"in": 5})
    assert order(daemon, "tunnels", answer={"result": {"mechanisms": [longest, 5, None, {}]}})[1] == 0


@pytest.mark.parametrize("code", [1, 2, 4])
def test_the_daemons_error_is_told_and_is_the_exit_code(daemon, code):
    why = "/etc/navalis/navalis.conf:7: no key «x»"
    answer = {"error": {"code": code, "message": why}}
    assert order(daemon, "reload", answer=answer)[1:] == (code, "", "navalisctl: %s\n" % why)
    assert json.loads(order(daemon, "reload", "--json", answer=answer)[2]) == {**answer, "schema": 1}


NONSENSE = [b"5\n", b"[]\n", b"nothing\n", b"{}\n", b'{"result":5}\n', b'{"result":{}}\n', b'{"result":{"changed":1,"generation":1}}\n',
            b'{"result":{"pending":null,"truncated":false}}\n', b'{"result":{"flushed":"1","dry_run":false}}\n', b'{"error":5}\n',
            b'{"result":{"address":"::","mechanism":"native","lines":{}}}\n', b'{"result":{"address":"::","lines":[]}}\n',
            b'{"result":{"mechanism":"native","lines":[]}}\n', b'{"result":{"mechanisms":{}}}\n', b'{"error":{"code":1}}\n', b'{"result":{"changed":[],"gen', b"\0\xff\n"]


@pytest.mark.parametrize("answer", NONSENSE)
@pytest.mark.parametrize("verb", ["reload", "pending", "flush --all", "explain ::1", "tunnels"])
def test_an_answer_that_is_none(daemon, answer, verb):
    _, code, out, err = order(daemon, *verb.split(), answer=answer)
    assert (code, out) == (1, "") and "answer is not understood" in err
    _, code, out, err = order(daemon, *verb.split(), "--json", answer=answer)
    assert code == json.loads(out)["error"]["code"] == 1 and err == ""


def test_errors_with_an_odd_code_are_1(daemon):
    for code in (0, -1, 126, 300, "x", None):
        assert order(daemon, "reload", answer={"error": {"code": code, "message": "no"}})[1] == 1


def test_nobody_is_there():
    for verb in ("reload", "pending", "flush --all", "explain ::1", "tunnels"):
        p = subprocess.run([CTL, "--instance", ME, *verb.split()], capture_output=True, text=True)
        assert p.returncode == 3 and "no navalisd runs as instance " + ME in p.stderr
        p = subprocess.run([CTL, "--json", "--instance", ME, *verb.split()], capture_output=True, text=True)
        assert json.loads(p.stdout)["error"]["code"] == 3


def test_a_socket_that_a_dead_daemon_left(daemon):
    daemon.close()
    p = subprocess.run([CTL, "--instance", ME, "pending"], capture_output=True, text=True)
    assert p.returncode == 3 and "no navalisd runs" in p.stderr


def test_it_hangs_up(daemon):
    assert "hung up without an answer" in order(daemon, "pending")[3]
    # unread data in the socket makes it a reset; the answer sent before it counts
    answer = {"error": {"code": 2, "message": "too many"}}
    assert order(daemon, "pending", answer=answer, read=False)[1:] == (2, "", "navalisctl: too many\n")


def fill(stack):
    """Callers until no more fit the daemon's queue. Whoever connects then waits."""
    for n in range(8):
        s = stack.enter_context(socket.socket(socket.AF_UNIX))
        s.setblocking(False)
        try:
            s.connect(PATH)
        except BlockingIOError:
            return n
    pytest.fail("the queue has no end")


@pytest.mark.parametrize("how", ["silent", "slow", "full"])
def test_it_does_not_answer(daemon, how):
    """One that is silent, one that sends a byte a second, one that accepts nobody: five seconds for them all."""
    begun, rested = time.monotonic(), awake()
    with contextlib.ExitStack() as stack:
        if how == "full":
            fill(stack)
        p = stack.enter_context(subprocess.Popen([CTL, "--instance", ME, "pending"], stderr=subprocess.PIPE, text=True))
        if how != "full":
            c = stack.enter_context(daemon.accept()[0])
        while how == "slow" and p.poll() is None:
            with contextlib.suppress(BrokenPipeError):
                c.send(b" ")
            with contextlib.suppress(subprocess.TimeoutExpired):
                p.wait(1)
        err = p.communicate(timeout=120)[1]
    assert p.returncode == 1 and "has not answered within 5 s" in err
    assert time.monotonic() - begun > 4.5 and awake() - rested < 9


def stat(pid):
    """Its state (proc(5)), and where in the kernel it waits."""
    with open("/proc/%d/stat" % pid) as f, open("/proc/%d/syscall" % pid) as g:
        return f.read().rpartition(") ")[2][0], g.read().split()[0]


CONNECT = {"x86_64": "42", "aarch64": "203"}.get(os.uname().machine)


@pytest.mark.skipif(not CONNECT, reason="the number of connect() here is not known")
def test_it_is_stopped_and_goes_on_while_it_waits_for_a_full_daemon(daemon):
    """As by ^Z and fg: connect() ends early then. The time in which it is stopped counts."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(first())  # all of it has five seconds
        callers = fill(stack)
        p = stack.enter_context(subprocess.Popen([CTL, "--instance", ME, "pending"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        stack.callback(p.kill)

        def waits():
            assert p.poll() is None, p.stderr.read()
            return stat(p.pid) == ("S", CONNECT)

        for _ in range(2):
            wait_for("navalisctl", waits)
            p.send_signal(signal.SIGSTOP)
            wait_for("navalisctl", lambda: stat(p.pid)[0] == "T")
            p.send_signal(signal.SIGCONT)
        wait_for("navalisctl", waits)
        for _ in range(callers):
            daemon.accept()[0].close()
        with daemon.accept()[0] as c:
            assert json.loads(c.recv(4096)) == {"verb": "pending"}
            c.sendall(b'{"result": {"pending": [], "truncated": false}}\n')
        out, err = p.communicate(timeout=60)
    assert (p.returncode, err) == (0, "")

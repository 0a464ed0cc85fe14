# SPDX-License-Identifier: GPL-2.0-or-later
"""navalis.conf: every bad input gets its line, what is allowed, and the nearest valid word."""
import os
import subprocess

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NAVALISD = os.path.join(ROOT, os.environ.get("B", "build"), "navalisd")
GOOD = "[navalis]\ninterfaces = eth0 eth1\n[teredo]\nservice = 192.0.2.1:3545\n"


def check(tmp_path, text, *args):
    path = tmp_path / "navalis.conf"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    p = subprocess.run([NAVALISD, "--config", str(path), *(args or ["--check-config"])],
                       capture_output=True, text=True)
    return p.returncode, p.stderr.replace(str(tmp_path) + "/", ""), p.stdout


def test_good(tmp_path):
    assert check(tmp_path, GOOD) == (0, "", "")


BAD = {
    "[navalis]\ninterface = eth0\n": "navalis.conf:2: no key «interface» in [navalis]: did you mean «interfaces»?",
    GOOD + "max_client = 5\n": "navalis.conf:5: no key «max_client» in [teredo]: did you mean «max_clients»?",
    "[teredos]\nservice = 1.2.3.4:5\n": "navalis.conf:1: no section [teredos]: did you mean [teredo]?",
    GOOD + "max_clients = many\n": "navalis.conf:5: max_clients = many: a number from 64 to 16777216 is allowed here",
    GOOD + "max_clients = 63\n": "navalis.conf:5: max_clients = 63: a number from 64 to 16777216 is allowed here",
    GOOD + "max_clients = -1\n": "navalis.conf:5: max_clients = -1: a number from 64 to 16777216 is allowed here",
    GOOD + "service = 8.0.0.1:1\n": "navalis.conf:5: service is given twice",
    "[teredo]\nservice = 8.0.0:1\n": "navalis.conf:2: service = 8.0.0:1: an IPv4 address and a port, as 192.0.2.1:3545 is allowed here",
    "[teredo]\nservice = 8.0.0.1:0\n": "navalis.conf:2: service = 8.0.0.1:0: an IPv4 address and a port, as 192.0.2.1:3545 is allowed here",
    "[teredo]\nservice = 8.0.0.1:99999\n": "navalis.conf:2: service = 8.0.0.1:99999: an IPv4",
    "[navalis]\ninterfaces = eth0\n": "[teredo] service is missing",
    "[teredo]\nservice = 8.0.0.1\n": "[navalis] interfaces is missing: name the NICs, or set mode = off",
    "[navalis]\nmode = natvie\n": "navalis.conf:2: mode = natvie: auto, native, generic or off is allowed here",
    "[navalis]\ninstance = a/b\n": "navalis.conf:2: instance = a/b: 1 to 15 letters, digits, - or _ is allowed here",
    "[navalis]\nrefuse = 10.0.0.1/8\n": "navalis.conf:2: refuse: «10.0.0.1/8»: IPv4 prefixes with no bit set behind their length",
    "[navalis]\nrefuse = 8.0.0.0/+8\n": "navalis.conf:2: refuse: «8.0.0.0/+8»: IPv4 prefixes with no bit set behind their length",
    "[navalis]\nserve = 2a00::/129\n": "navalis.conf:2: serve: «2a00::/129»: IPv6 prefixes with no bit set behind their length",
    "[navalis]\nlaboratory = maybe\n": "navalis.conf:2: laboratory = maybe: yes or no is allowed here",
    "[navalis]\ninterfaces = a a\n[teredo]\nservice = 8.0.0.1\n": "interfaces: «a» is given twice",
    "[navalis]\ninterfaces = a b c d e f g h i\n": "at most 8 interfaces",
    "[teredo]\nbubble_source = 2a00::/48\n": "link-local, or an IPv6 prefix of length 64 is allowed here",
    "nonsense\n": "navalis.conf:1: neither a [section] nor «key = value»",
    GOOD + "[navalis\n": "navalis.conf:5: neither a [section] nor «key = value»",
    GOOD + "= 5\n": "navalis.conf:5: neither a [section] nor «key = value»",
    GOOD + "[6to5]\n": "navalis.conf:5: no section [6to5]: did you mean [6to4]?",
    "mode = off\n" + GOOD: "navalis.conf:1: mode stands before the first [section]",
    "[navalis]\nrefuse =" + 30 * " 8.0.0.0/8": "navalis.conf:2: longer than 197 characters: a list goes on where",
    "[navalis]\ninterfaces = teredo\n": "navalis.conf: interfaces: «teredo» is the daemon's own TUN",
    "[teredo]\nservice = 127.0.0.1\n": "navalis.conf:2: service = 127.0.0.1: an IPv4 address",
    "[teredo]\nservice = 224.0.0.1\n": "navalis.conf:2: service = 224.0.0.1: an IPv4 address",
    "[teredo]\nbubble_source = ff02::/64\n": "navalis.conf:2: bubble_source = ff02::/64: link-local, or",
    "[navalis]\nmode = \033[2J\n": "navalis.conf:2: mode = ?[2J: auto",
    GOOD[:-1]: "navalis.conf:4: the last line has no end: is the file complete?",
    "[navalis]\nmode = o\0ff\n": "navalis.conf:2: this is no text",
}


@pytest.mark.parametrize("text", BAD)
def test_bad_input_says_what_is_wrong(tmp_path, text):
    code, stderr, _ = check(tmp_path, text)
    assert code == 1 and BAD[text] in stderr


def test_lines_may_be_indented_and_commented(tmp_path):
    text = "\ufeff# first\r\n[navalis]  # all\n\tinterfaces = eth0 ; one\n  mode = off # for now\n;\n" \
           "[teredo]\nservice=192.0.2.1\n"
    code, stderr, printed = check(tmp_path, text, "--print-config")
    assert (code, stderr) == (0, "")
    assert {"interfaces = eth0", "mode = off", "service = 192.0.2.1:3545"} <= set(printed.splitlines())


def test_every_bad_line_is_reported(tmp_path):
    stderr = check(tmp_path, "[navalis]\nfoo\nmode = x\nbar\n[teredo]\npending = 0\nbaz\n")[1].splitlines()
    assert [l.split(":")[1] for l in stderr] == ["2", "3", "4", "6", "7", "5"]


def test_long_lists_are_printed_so_that_they_read_back(tmp_path):
    text = GOOD + "bubble_source = fe80:0:0:1::/64\n[navalis]\n"
    text += "".join("refuse = 100.100.%d.%d/32\n" % (i >> 8, i & 255) for i in range(1000))
    text += "".join("serve = 2a00:1111:2222:3333:4444:5555:6666:%x/128\n" % (0x7000 + i) for i in range(16))
    code, stderr, printed = check(tmp_path, text, "--print-config")
    assert (code, stderr) == (0, "") and "bubble_source = fe80:0:0:1::/64" in printed.splitlines()
    assert check(tmp_path, printed, "--print-config") == (0, "", printed)
    assert printed.count("/32") == 1000 and printed.count("/128") == 16
    assert "at most 1000 prefixes" in check(tmp_path, text + "refuse = 9.0.0.0/8\n")[1]


def test_all_errors_are_reported(tmp_path):
    assert len(check(tmp_path, "[navalis]\na = 1\nb = 2\nmode = x\n[x]\ny = z\n")[1].splitlines()) >= 4


def test_missing_file():
    p = subprocess.run([NAVALISD, "--config", "/nowhere", "--check-config"], capture_output=True, text=True)
    assert p.returncode == 1 and "/nowhere: cannot be read: No such file" in p.stderr


def test_print_config_reads_back_the_same(tmp_path):
    text = GOOD + "max_clients = 1000\nbubble_source = 2a00:5::/64\n[navalis]\nserve = 2a00::/16 2a01::/32\n" \
                  "refuse = 8.5.0.0/16\nrefuse = 8.6.0.0/16\nmode = generic\n"
    code, _, printed = check(tmp_path, text, "--print-config")
    assert code == 0
    for line in ("max_clients = 1000", "serve = 2a00::/16 2a01::/32", "refuse = 8.5.0.0/16 8.6.0.0/16",
                 "mode = generic", "bubble_source = 2a00:5::/64", "interfaces = eth0 eth1", "pending = 16384"):
        assert line in printed.splitlines()
    assert check(tmp_path, printed, "--print-config")[2] == printed


def test_the_instance_may_be_said_at_the_start(tmp_path):
    """And then the file says the same, or nothing."""
    code, _, printed = check(tmp_path, GOOD, "--instance", "b", "--print-config")
    assert code == 0 and "instance = b" in printed.splitlines()
    same = GOOD + "[navalis]\ninstance = b\n"
    assert check(tmp_path, same, "--instance", "b", "--check-config") == (0, "", "")
    code, stderr, printed = check(tmp_path, GOOD + "[navalis]\ninstance = c\nmode = off\n", "--instance", "b", "--check-config")
    assert (code, printed) == (1, "")
    assert stderr == "navalis.conf:6: instance = c: this is instance b (--instance): take the line out\n"
    for name in ("", "..", "a/b", "x" * 16):
        code, stderr, printed = check(tmp_path, GOOD, "--instance", name, "--print-config")
        assert (code, stderr, printed) == (2, "navalisd: --instance wants a name: 1 to 15 letters, digits, - or _\n", "")


def test_a_file_cut_anywhere_never_crashes(tmp_path):
    for n in range(len(GOOD)):
        assert check(tmp_path, GOOD[:n])[0] in (0, 1)
    assert check(tmp_path, b"\xff\x00[" * 200)[0] == 1


def test_usage():
    run = lambda *a: subprocess.run([NAVALISD, *a], capture_output=True, text=True)  # noqa: E731
    assert run("--version").stdout.startswith("navalisd ") and run("--help").returncode == 0
    assert run("--nonsense").returncode == 2 and run("extra").returncode == 2

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
    "[teredos]\nservice = 1.2.3.4:5\n": "navalis.conf:2: no section [teredos]: did you mean [teredo]?",
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
    "[navalis]\nserve = 2a00::/129\n": "navalis.conf:2: serve: «2a00::/129»: IPv6 prefixes with no bit set behind their length",
    "[navalis]\nlaboratory = maybe\n": "navalis.conf:2: laboratory = maybe: yes or no is allowed here",
    "[navalis]\ninterfaces = a a\n[teredo]\nservice = 8.0.0.1\n": "interfaces: «a» is given twice",
    "[navalis]\ninterfaces = a b c d e f g h i\n": "at most 8 interfaces",
    "[teredo]\nbubble_source = 2a00::/48\n": "link-local, or an IPv6 prefix of length 64 is allowed here",
    "nonsense\n": "navalis.conf:1: neither a [section] nor «key = value»",
}


@pytest.mark.parametrize("text", BAD)
def test_bad_input_says_what_is_wrong(tmp_path, text):
    code, stderr, _ = check(tmp_path, text)
    assert code == 1 and BAD[text] in stderr


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


def test_a_file_cut_anywhere_never_crashes(tmp_path):
    for n in range(len(GOOD)):
        assert check(tmp_path, GOOD[:n])[0] in (0, 1)
    assert check(tmp_path, b"\xff\x00[" * 200)[0] == 1


def test_usage():
    run = lambda *a: subprocess.run([NAVALISD, *a], capture_output=True, text=True)  # noqa: E731
    assert run("--version").stdout.startswith("navalisd ") and run("--help").returncode == 0
    assert run("--nonsense").returncode == 2 and run("extra").returncode == 2

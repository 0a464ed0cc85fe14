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
    GOOD + "local_services = yes\n": "navalis.conf:5: no key «local_services» in [teredo]: it belongs into [navalis]",
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


# ---- the mechanisms: each a section, 6rd, 6in4 and 6bed4 one for each tunnel

OFF = "[navalis]\nmode = off\n"
LAB = OFF + "laboratory = yes\n"
SERVER = "[teredo-server]\nprimary = 8.0.0.2\n"
SIXTO4 = "[6to4]\nlocal = 8.0.0.4\n"
SIXRD = "[6rd home]\nprefix = 2a00:100::/32\nborder_relay = 8.0.0.3\n"
SIXIN4 = "[6in4 a]\nlocal = 8.0.0.5\nremote = 9.0.0.7\nprefixes = 2a00:200::/48\n"
SIXBED4 = "[6bed4]\nservice = 8.0.0.6\nprefix = 2a00:300:0:1::/64\n"
HG48 = "[hg48]\nservice = 8.0.0.7\nprefix = fd4a:6b8c:2d10:1::/80\n"
MECHANISMS = [SERVER, SIXTO4, SIXRD, SIXIN4, SIXBED4, HG48]


def another(section, *changes):
    for a, b in changes:
        assert a in section
        section = section.replace(a, b)
    return section


SIXIN4_B = another(SIXIN4, ("in4 a", "in4 b"), ("0.7", "0.8"), (":200", ":201"))
SIXRD_B = another(SIXRD, ("home", "b"), ("0.3", "0.13"), (":100", ":101"))
HOST4 = "an IPv4 address of a host, as 192.0.2.1, is allowed here"
HOSTS4 = "IPv4 addresses of hosts, as 192.0.2.1, are allowed here"
CROSSINGS = "FROM:TO, each of them teredo, 6bed4, 6to4, 6rd or 6in4, but not teredo:teredo, teredo:6bed4, " \
    "6bed4:teredo and 6to4:6to4, are allowed here"
PREFIXES6 = "IPv6 prefixes with no bit set behind their length, as 2001:db8::/32 are allowed here"
LENGTHS = "an IPv6 prefix of length 1 to 64, with no bit set behind it, is allowed here"
OURS = "the tunnel's remote endpoint is this host"
STRANGE = "a prefix behind the tunnel is neither global nor unique local, or has to do with 2002::/16 or 2001::/32"

BAD_SECTIONS = {
    # the sections themselves
    OFF + "[6rds home]\n": (3, "no section [6rds home]: did you mean [6rd NAME]?"),
    OFF + "[6in home]\nx = 1\n": (3, "no section [6in home]: did you mean [6in4 NAME]?"),
    OFF + "[teredo x]\n": (3, "no section [teredo x]: did you mean [teredo]?"),
    OFF + SIXRD.replace("home", "a/b"): (3, "[6rd a/b]: a name has 1 to 15 letters, digits, - or _"),
    OFF + SIXRD.replace("home", "x" * 16): (3, "[6rd %s]: a name has 1 to 15 letters, digits, - or _" % ("x" * 16)),
    OFF + SIXRD + SIXIN4 + SIXRD: (10, "[6rd home] is there already, in line 3"),
    OFF + SIXBED4 + SIXBED4: (6, "[6bed4] is there already, in line 3"),
    OFF + SIXIN4 + "prefixs = ::/0\n": (7, "no key «prefixs» in [6in4 a]: did you mean «prefixes»?"),
    OFF + SIXRD + "mtu = 1280\nmtu = 1480\n": (7, "mtu is given twice"),
    # their values
    OFF + SIXTO4 + "source = 192.88.99\n": (5, "source = 192.88.99: " + HOST4),
    OFF + SERVER + "secondary = 127.0.0.1\n": (5, "secondary = 127.0.0.1: " + HOST4),
    OFF + SERVER + "relay_max = 7\n": (5, "relay_max = 7: a number from 8 to 1240 is allowed here"),
    OFF + SERVER + "mtu_option = 1280\n": (5, "mtu_option = 1280: yes or no is allowed here"),
    OFF + SIXTO4 + "mtu = 1481\n": (5, "mtu = 1481: a number from 1280 to 1480 is allowed here"),
    OFF + SIXTO4 + "anycast = maybe\n": (5, "anycast = maybe: yes or no is allowed here"),
    OFF + SIXTO4 + "sends_for = 2a00::1/64\n": (5, "sends_for: «2a00::1/64»: " + PREFIXES6),
    OFF + SIXTO4 + "sends_for =" + " 2a00::/16" * 9 + "\n":
        (5, "sends_for: «2a00::/16»: at most 8 prefixes are allowed here"),
    OFF + SIXRD.replace("2a00:100::/32", "2a00:100::/65"): (4, "prefix = 2a00:100::/65: " + LENGTHS),
    OFF + SIXRD.replace("2a00:100::/32", "2a00:100::/23"): (4, "prefix = 2a00:100::/23: " + LENGTHS),
    OFF + SIXRD.replace("2a00:100::/32", "::/0"): (4, "prefix = ::/0: " + LENGTHS),
    OFF + SIXRD + "ipv4_prefix = 10.0.0.1/8\n":
        (6, "ipv4_prefix = 10.0.0.1/8: an IPv4 prefix with no bit set behind its length, as 198.51.100.0/24, is allowed here"),
    OFF + SIXRD + "other_relays = 10.0.0.1 240.0.0.1\n": (6, "other_relays: «240.0.0.1»: " + HOSTS4),
    OFF + SIXRD + "other_relays =" + " 10.0.0.1" * 5 + "\n":
        (6, "other_relays: «10.0.0.1»: at most 4 addresses are allowed here"),
    OFF + SIXIN4.replace("2a00:200::/48", "2a00:200::/20"): (6, "prefixes: «2a00:200::/20»: " + PREFIXES6),
    OFF + SIXIN4 + "prefixes =" + " 2a00::/48" * 4 + "\n": (7, "prefixes: «2a00::/48»: at most 4 prefixes are allowed here"),
    OFF + SIXBED4.replace("1::/64", ":/63"): (5, "prefix = 2a00:300:0::/63: an IPv6 prefix of length 64, with no bit set behind it, is allowed here"),
    OFF + SIXBED4.replace("1::/64", "1:1::/64"):
        (5, "prefix = 2a00:300:0:1:1::/64: an IPv6 prefix of length 64, with no bit set behind it, is allowed here"),
    OFF + SIXBED4.replace("8.0.0.6", "8.0.0.6:0"):
        (4, "service = 8.0.0.6:0: an IPv4 address and a port, as 192.0.2.1:25790 is allowed here"),
    OFF + SIXBED4 + "format = 2013\n": (6, "format = 2013: draft-04 or 2012 is allowed here"),
    OFF + SIXBED4 + "min_port = 65536\n": (6, "min_port = 65536: a number from 0 to 65535 is allowed here"),
    OFF + SIXBED4 + "routes =" + " 2a00::/16" * 11 + "\n":
        (6, "routes: «2a00::/16»: at most 10 prefixes are allowed here"),
    OFF + HG48.replace("/80", "/64"): (5, "prefix = fd4a:6b8c:2d10:1::/64: an IPv6 prefix of length 80, with no bit set behind it, is allowed here"),
    OFF + HG48.replace("8.0.0.7", "8.0.0.7:x"):
        (4, "service = 8.0.0.7:x: an IPv4 address and a port, as 192.0.2.1:3546 is allowed here"),
    OFF + "cross = 6rd:6over4\n": (3, "cross: «6rd:6over4»: " + CROSSINGS),
    OFF + "cross = native:6rd\n": (3, "cross: «native:6rd»: " + CROSSINGS),
    OFF + "cross = 6rd\n": (3, "cross: «6rd»: " + CROSSINGS),
    **{OFF + "cross = 6rd:6in4 %s\n" % way: (3, "cross: «%s»: " % way + CROSSINGS)
       for way in ("teredo:teredo", "teredo:6bed4", "6bed4:teredo", "6to4:6to4", "6in4:hg48", "hg48:6rd", "hg48:hg48")},
    OFF + "cross =" + " 6rd:6in4" * 10 + "\ncross =" + " 6rd:6in4" * 12 + "\n": (4, "cross: «6rd:6in4»: at most 21 crossings are allowed here"),
    # what one of them cannot be
    OFF + SERVER + "secondary = 8.0.0.2\n": (3, "[teredo-server]: primary and secondary are the same address"),
    OFF + SERVER.replace("8.0.0.2", "10.0.0.2"): (3, "[teredo-server]: the primary address is not a global one"),
    OFF + SERVER + "secondary = 10.0.0.2\n": (3, "[teredo-server]: the secondary address is not a global one"),
    LAB + SERVER.replace("8.0.0.2", "223.255.255.255"): (4, "[teredo-server]: the secondary address is not a global one"),
    OFF + SIXTO4.replace("8.0.0.4", "10.0.0.4"): (3, "[6to4]: the IPv4 address of the 6to4 relay is not a global one"),
    LAB + SIXTO4.replace("8.0.0.4", "192.88.99.1"): (4, "[6to4]: the IPv4 address of the 6to4 relay is not a global one"),
    OFF + SIXTO4 + "source = 8.0.0.8\n":
        (3, "[6to4]: the source of 6to4 packets is neither the relay's address nor 192.88.99.1"),
    OFF + SIXTO4 + "return_only = yes\n": (3, "[6to4]: the return relay has nobody to send for"),
    OFF + SIXTO4 + "return_only = yes\nsends_for = 2a00::/16\nanycast = yes\n":
        (3, "[6to4]: the return relay accepts nothing, 192.88.99.1 not either"),
    OFF + SIXTO4 + "sends_for = 2a00::/16\n": (3, "[6to4]: sends_for is for return_only = yes alone"),
    OFF + SIXRD.replace("/32", "/33"):
        (3, "[6rd home]: the 6rd prefix and the bits of an IPv4 address are longer than 64, or have bits beyond their length"),
    OFF + SIXRD.replace("2a00:100::/32", "2002::/16"):
        (3, "[6rd home]: the 6rd prefix is not global, or has to do with 2002::/16 or 2001::/32"),
    OFF + SIXIN4.replace("9.0.0.7", "8.0.0.5"): (3, "[6in4 a]: " + OURS),
    OFF + SIXIN4.replace("9.0.0.7", "8.0.0.4") + SIXTO4: (3, "[6in4 a]: " + OURS),
    OFF + SIXIN4.replace("9.0.0.7", "8.0.0.3") + SIXRD: (3, "[6in4 a]: " + OURS),
    OFF + SIXIN4.replace("9.0.0.7", "8.0.0.7") + HG48: (3, "[6in4 a]: " + OURS),
    OFF + SIXIN4.replace("2a00:200::/48", ""): (3, "[6in4 a]: the tunnel has no prefix behind it, or too many"),
    OFF + SIXIN4.replace("2a00:200::/48", "2002:800:1::/48"): (3, "[6in4 a]: " + STRANGE),
    **{OFF + SIXBED4.replace("2a00:300:0:1::", bad):
       (3, "[6bed4]: the prefix is neither global nor unique local, or has to do with 2002::/16 or 2001::/32")
       for bad in ("fe80::", "ff02::", "::", "2001:0:0:1::", "2002:300::", "fec0::")},
    OFF + SIXBED4 + "routes = 2000::/15\n": (3, "[6bed4]: routes have a length from 16 to 128"),
    OFF + SIXBED4.replace("0.6", "0.6:25789") + "format = 2012\n":
        (3, "[6bed4]: the addresses of format = 2012 cannot hold an odd port"),
    OFF + SIXBED4 + "format = 2012\nretract = yes\n": (3, "[6bed4]: retract is for format = draft-04 alone"),
    OFF + HG48.replace("fd4a", "fc4a"): (3, "[hg48]: the HG48 prefix does not begin with fd, or has bits behind the first 64"),
    OFF + HG48.replace("1::/80", "1:1::/80"):
        (3, "[hg48]: the HG48 prefix does not begin with fd, or has bits behind the first 64"),
    # what two of them cannot be together: the line is the later one's
    OFF + SIXTO4 + SIXRD.replace("8.0.0.3", "8.0.0.4"): (5, "[6to4] and [6rd home]: 6to4 and 6rd have the same IPv4 address"),
    OFF + SIXRD.replace("8.0.0.3", "8.0.0.4") + SIXTO4: (6, "[6to4] and [6rd home]: 6to4 and 6rd have the same IPv4 address"),
    OFF + SIXRD + SIXIN4.replace("8.0.0.5", "8.0.0.3"):
        (6, "[6in4 a] and [6rd home]: the tunnel's remote endpoint may be a customer edge of 6rd, at the same IPv4 address"),
    OFF + SIXIN4 + SIXIN4_B.replace("9.0.0.8", "9.0.0.7"): (7, "[6in4 a] and [6in4 b]: two tunnels have the same endpoints"),
    OFF + SIXIN4 + SIXIN4_B.replace("2a00:201::/48", "2a00:200::/32"): (7, "[6in4 a] and [6in4 b]: the prefixes overlap"),
    OFF + SIXRD + SIXRD_B.replace("2a00:101::/32", "2a00::/16"): (6, "[6rd home] and [6rd b]: the prefixes overlap"),
    OFF + SIXRD + SIXIN4.replace("2a00:200:", "2a00:100:"): (6, "[6rd home] and [6in4 a]: the prefixes overlap"),
    OFF + SIXIN4.replace("2a00:200:", "2a00:300:") + SIXBED4: (7, "[6bed4] and [6in4 a]: the prefixes overlap"),
    OFF + SIXBED4.replace("2a00:300:", "2a00:100:") + SIXRD: (6, "[6bed4] and [6rd home]: the prefixes overlap"),
    OFF + HG48 + SIXIN4.replace("2a00:200::/48", "fd4a::/16"): (6, "[hg48] and [6in4 a]: the prefixes overlap"),
    # what is behind a tunnel is routed
    **{OFF + "[teredo]\nservice = 8.0.0.1\nbubble_source = %s\n" % inside + section: (6, "[%s]: bubble_source is behind it, and has to be routed nowhere" % name)
       for section, inside, name in ((SIXBED4, "2a00:300:0:1::/64", "6bed4"), (SIXTO4, "2002:800:1::/64", "6to4"), (HG48, "fd4a:6b8c:2d10:1::/64", "hg48"),
                                     (SIXRD, "2a00:100:7::/64", "6rd home"), (SIXIN4, "2a00:200:0:7::/64", "6in4 a"))},
    # sockets
    OFF + "[teredo]\nservice = 8.0.0.2:3544\n" + SERVER: (5, "[teredo-server]: its address and port are those of [teredo]"),
    OFF + "[teredo]\nservice = 8.0.0.3:3544\n" + SERVER: (5, "[teredo-server]: its address and port are those of [teredo]"),
    OFF + SIXBED4 + SIXBED4.replace("6bed4", "6bed4 b").replace("0:1::", "0:2::"):
        (6, "[6bed4 b]: its address and port are those of [6bed4]"),
    OFF + SIXBED4 + HG48.replace("8.0.0.7", "8.0.0.6:25790"): (6, "[hg48]: its address and port are those of [6bed4]"),
}


@pytest.mark.parametrize("text", BAD_SECTIONS)
def test_a_bad_mechanism_is_named_with_its_line(tmp_path, text):
    """Nothing else is complained of, but for what a name or a value that is not taken leaves missing."""
    line, sentence = BAD_SECTIONS[text]
    code, stderr, printed = check(tmp_path, text)
    assert (code, printed) == (1, "")
    first, *others = stderr.splitlines()
    assert first == "navalis.conf:%d: %s" % (line, sentence)
    assert all(" is missing" in o for o in others)


REQUIRED = {SERVER: "primary", SIXTO4: "local", SIXRD: "prefix border_relay", SIXIN4: "local remote prefixes",
            SIXBED4: "service prefix", HG48: "service prefix", "[teredo]\nservice = 8.0.0.1\n": "service"}


@pytest.mark.parametrize("section", REQUIRED)
def test_a_key_that_a_mechanism_cannot_do_without(tmp_path, section):
    for key in REQUIRED[section].split():
        (line,) = [l for l in section.splitlines(True) if l.startswith(key + " ")]
        for after in ("", another(SIXIN4_B, ("[6in4 b]", "[6in4 z]"))):  # the next section has all that it needs
            code, stderr, _ = check(tmp_path, OFF + section.replace(line, "") + after)
            assert code == 1 and len(stderr.splitlines()) == 1
            assert stderr.startswith("navalis.conf:3: %s %s is missing: " % (section.splitlines()[0], key))


@pytest.mark.parametrize("section", MECHANISMS)
def test_each_mechanism_may_be_alone(tmp_path, section):
    """A box may be a 6rd border relay and nothing else: then there is no Teredo relay."""
    code, stderr, printed = check(tmp_path, OFF + section, "--print-config")
    assert (code, stderr) == (0, "")
    assert [l for l in printed.splitlines() if l.startswith("[")] == ["[navalis]", section.splitlines()[0]]
    assert set(section.splitlines()) - {"service = 8.0.0.6", "service = 8.0.0.7"} <= set(printed.splitlines())
    assert check(tmp_path, printed, "--print-config") == (0, "", printed)


def test_without_any_mechanism_there_is_nothing_to_do(tmp_path):
    assert check(tmp_path, OFF)[:2] == (1, "navalis.conf: [teredo] service is missing, and no other mechanism is configured\n")
    for wrong in ("[6in4 a/b]\n", "[terdo]\nservice = 8.0.0.1\n"):  # one mistake, one sentence
        assert check(tmp_path, OFF + wrong)[1].count("\n") == 1


def test_all_mechanisms_are_printed_so_that_they_read_back(tmp_path):
    text = LAB + "cross = 6rd:6in4 6in4:6in4\ncross = teredo:6to4\n[teredo]\nservice = 192.0.2.1\n" + "".join(MECHANISMS)
    text = text.replace("[6to4]", "[6to4]\nsource = 192.88.99.1\nreturn_only = yes\nsends_for = 2a00::/16 2a01:1::/32\nmtu = 1400")
    text = text.replace("[6rd home]", "[6rd home]\nipv4_prefix = 10.0.0.0/8\nother_relays = 10.0.0.1 10.0.0.2\ndf = yes\ncopy_class = no\nmtu = 1480")
    text = text.replace("[6in4 a]", "[6in4 a]\nany_source = yes\nmtu = 1481".replace("1481", "1300"))
    text = text.replace("[6bed4]", "[6bed4]\nroutes = 2a00::/16 2a01::/17\nmin_port = 0\nretract = yes\nmtu = 1472")
    text = text.replace("[teredo-server]", "[teredo-server]\nsecondary = 9.9.9.9\nrelay_max = 1240\nmtu_option = no")
    text = text.replace("[hg48]", "[hg48]\nlife = 30\nwindow = 1\nwindow_packets = 9\nnew_per_source = 0\nmax_peers = 7\nmin_port = 1\nunsolicited = yes")
    text += "[6bed4 old]\nservice = 8.0.0.6\nformat = 2012\nprefix = fd00:1::/64\n" + SIXRD_B + SIXIN4_B
    code, stderr, printed = check(tmp_path, text, "--print-config")
    assert (code, stderr) == (0, "")
    assert check(tmp_path, printed, "--print-config") == (0, "", printed)
    for title in ("6to4", "6rd home", "6in4 a", "teredo-server", "hg48"):  # what was given stands in its section
        given = text.split("[%s]\n" % title)[1].split("\n[")[0].replace("8.0.0.7", "8.0.0.7:3546")
        there = printed.split("[%s]\n" % title)[1].split("\n\n[")[0]
        assert set(given.splitlines()) <= set(there.splitlines()), title
    assert "service = 8.0.0.6:25790" in printed and "service = 8.0.0.6:25788\nprefix = fd00:1::/64\nformat = 2012" in printed
    assert "cross = 6rd:6in4 6in4:6in4 teredo:6to4" in printed.splitlines()
    assert printed.index("[6rd home]") < printed.index("[6rd b]") < printed.index("[6in4 a]")


def tunnels(n):
    return OFF + "".join("[6in4 t%d]\nlocal = 8.0.%d.5\nremote = 9.0.%d.%d\nprefixes = 2a00:%x:%x::/48\n"
                         % (i, i % 8, i >> 8, i & 255, i >> 8, i & 255) for i in range(n))


def test_hundreds_of_tunnels(tmp_path):
    code, stderr, printed = check(tmp_path, tunnels(512), "--print-config")
    assert (code, stderr) == (0, "") and printed.count("[6in4 t") == 512
    assert check(tmp_path, printed, "--print-config") == (0, "", printed)
    assert check(tmp_path, tunnels(513))[:2] == (1, "navalis.conf:%d: at most 512 sections [6in4 …]\n" % (3 + 512 * 4))
    assert check(tmp_path, tunnels(8) + SIXIN4.replace("8.0.0.5", "8.0.9.5"))[:2] == \
        (1, "navalis.conf:35: [6in4 a]: all tunnels together have at most 8 local addresses\n")


def test_there_are_limits_to_domains_and_listeners(tmp_path):
    domains = [another(SIXRD, ("home", "d%d" % i), (":100", ":%x" % (256 + i))) for i in range(9)]
    assert check(tmp_path, OFF + "".join(domains[:8])) == (0, "", "")
    assert check(tmp_path, OFF + "".join(domains))[:2] == (1, "navalis.conf:27: at most 8 sections [6rd …]\n")
    listeners = [another(SIXBED4, ("6bed4", "6bed4 l%d" % i), ("0:1::", "0:%x::" % i), ("0.6", "0.1%d" % i)) for i in range(3)]
    assert check(tmp_path, OFF + "".join(listeners[:2])) == (0, "", "")
    assert check(tmp_path, OFF + "".join(listeners))[:2] == (1, "navalis.conf:9: at most 2 sections [6bed4 …]\n")


def test_a_name_is_a_tunnels_of_one_kind(tmp_path):
    """[6rd a] and [6in4 a] are two; one of each kind may do without a name; blanks around it do not count."""
    text = OFF.replace("navalis", " navalis ") + SIXRD.replace("home", " \t a ") + SIXIN4 + SIXIN4_B.replace(" b", "")
    code, stderr, printed = check(tmp_path, text, "--print-config")
    assert (code, stderr) == (0, "")
    assert [l for l in printed.splitlines() if l.startswith("[6")] == ["[6rd a]", "[6in4 a]", "[6in4]"]
    assert check(tmp_path, printed, "--print-config") == (0, "", printed)

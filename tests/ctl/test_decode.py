# SPDX-License-Identifier: GPL-2.0-or-later
"""navalisctl decode: what addresses say, against the vectors of the documents. It asks nobody."""
import json
import os
import subprocess

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CTL = os.path.join(ROOT, os.environ.get("B", "build"), "navalisctl")

DOC, PRIVATE = "documentation", "private use"
VECTORS = {
    "2001:0:4136:e378:8000:63bf:3fff:fdd2": {
        "kind": "Teredo client (RFC 4380)", "server": "65.54.227.120", "flags": 0x8000, "cone": True,
        "endpoint": "192.0.2.45:40000", "refused": DOC},
    "2001:0:a00:1:2000:63bf:f7ff:f6f6": {
        "kind": "Teredo client (RFC 4380)", "server": "10.0.0.1", "flags": 0x2000, "cone": False,
        "endpoint": "8.0.9.9:40000", "refused": "its server"},
    "2001:0:4136:e378:0:ffff:f7ff:f6f6": {
        "kind": "Teredo client (RFC 4380)", "server": "65.54.227.120", "flags": 0, "cone": False, "endpoint": "8.0.9.9:0", "refused": "port 0"},
    "2002:c001:203:7::1": {"kind": "6to4 (RFC 3056)", "ipv4": "192.1.2.3", "site": "2002:c001:203::/48"},
    "2001:db8::200:5efe:c001:203": {"kind": "native global", "ipv4": "192.1.2.3"},
    "fe80::5efe:c001:203": {"kind": "link-local", "ipv4": "192.1.2.3"},
    "fc64:bed:9188:1:c800:714d:d39a:c001": {
        "kind": "6bed4 peer (fc64::/16)", "netid": 0xbed, "router": "145.136.0.1", "endpoint": "203.0.113.77:54170", "refused": DOC, "lanip": 1},
    "fc64:bed:9188:1:ca00:714d:d39a:c001": {"kind": "6bed4 peer (fc64::/16)", "netid": 0xbed, "router": "145.136.0.1", "endpoint": None},
    "fd64:bed::1": {"kind": "unique local or site-local"},
    "2600::1": {"kind": "native global"},
    "--as 6bed4 2001:db8:bed4:1:2:304:400:4000": {"kind": "6bed4 peer", "endpoint": "1.2.3.4:1024", "lanip": 0},
    "--as 6bed4 2001:db8:bed4:1:fcff:1:1001:8100": {
        "kind": "6bed4 peer", "endpoint": "254.255.0.1:4097", "refused": "reserved and broadcast", "lanip": 256},
    "2001:db8:bed4:1:fcff:1:1001:8100 --as 6bed4": {
        "kind": "6bed4 peer", "endpoint": "254.255.0.1:4097", "refused": "reserved and broadcast", "lanip": 256},
    "--as 6bed4-2012 2001:db8:bed4:1:204:1ff:fe02:304": {"kind": "6bed4 peer", "endpoint": "1.2.3.4:1024"},
    "--as 6bed4-2012 2001:db8:bed4:1:bc64:91ff:fe88:1": {"kind": "6bed4 peer", "endpoint": "145.136.0.1:25790"},
    "--as 6bed4-2012 2001:db8:bed4:1:bd64:91ff:fe88:1": {"kind": "6bed4 peer", "endpoint": None},
    "--as hg48 fd4a:6b8c:2d10:1:0:f601:203:63bf": {"kind": "HG48", "endpoint": "9.254.253.252:40000"},
    "--as hg48 fd4a:6b8c:2d10:1:0:3fff:fdd2:8acf": {"kind": "HG48", "endpoint": "192.0.2.45:30000", "refused": DOC},
    "--domain 2001:db8::/32 2001:db8:6464:100::1": {"kind": "6rd (RFC 5969)", "ipv4": "100.100.1.0", "site": "2001:db8:6464:100::/64"},
    "--domain 2001:db8::/32,10.0.0.0/8 2001:db8:6464:100::1": {"kind": "6rd (RFC 5969)", "ipv4": "10.100.100.1", "site": "2001:db8:6464:100::/56"},
    "2001:db8:64:6401:ff::1 --domain 2001:db8::/40,10.0.0.0/8": {"kind": "6rd (RFC 5969)", "ipv4": "10.100.100.1", "site": "2001:db8:64:6401::/64"},
}


def decode(*args):
    return subprocess.run([CTL, "decode", *args], capture_output=True, text=True)


@pytest.mark.parametrize("line", VECTORS)
def test_what_an_address_says(line):
    address = next(w for w in line.split() if ":" in w and "/" not in w)
    p = decode("--json", *line.split())
    assert (p.returncode, p.stderr) == (0, "") and json.loads(p.stdout) == {"address": address, **VECTORS[line], "schema": 1}
    want = VECTORS[line]
    text = dict(x.split(None, 1) for x in decode(*line.split()).stdout.splitlines())
    assert set(text) - {"refused"} == set(want) - {"refused", "cone"} | {"address"}
    for key in ("kind", "site", "endpoint", "refused"):
        if want.get(key):
            assert text[key] == want[key]
    assert "endpoint" not in want or want["endpoint"] or text["endpoint"] == "none: a universal or group bit is set"


def test_what_is_refused_is_said_where_it_stands():
    assert "ipv4      10.0.0.1: refused, private use\n" in decode("2002:a00:1::1").stdout
    assert "router    10.0.0.1: refused, private use\n" in decode("fc64:bed:a00:1:c800:714d:d39a:c001").stdout
    assert "refused" not in decode("--domain", "2001:db8::/32,10.0.0.0/8", "2001:db8:6464:100::1").stdout  # a domain's own


def test_a_cone_bit_is_ignored_unless_the_configuration_believes_it():
    assert "flags     8000, cone (ignored unless in cone_prefixes), random bits 000\n" in decode("2001:0:4136:e378:8000:63bf:3fff:fdd2").stdout


WRONG = {
    "": "wants one IPv6 address", "::1 ::2": "wants one IPv6 address", "x": "«x» is not an IPv6 address", "8.0.9.9": "is not an IPv6 address",
    "--as": "--as wants a value: 6bed4, 6bed4-2012 or hg48 is allowed here", "--as teredo ::1": "--as teredo: 6bed4,",
    "--sa 6bed4 ::1": "did you mean «--as»?", "--domain 2001:db8::/32 ::1": "::1 is not in that domain",
    "--as hg48 --domain 2001:db8::/32 2001:db8::1": "one of them",
    **{"--domain %s 2001:db8::1" % d: "--domain %s: a prefix of 6rd," % d for d in (
        "2001:db8::/40", "2001:db8::", "2001:db8::/32,10.0.0.0", "2001:db8::/32,10.0.0.0/33", "2001:db8:1::/32", "::/0", "2001:db8::/64", "x/32",
        "2001:db8::/32,10.0.0.1/8", "2001:db8::/32,", "2001:db8::%s/32" % ("0" * 64))},
}


@pytest.mark.parametrize("line", WRONG)
def test_what_cannot_be_read(line):
    p = decode(*line.split())
    assert (p.returncode, p.stdout) == (2, "") and WRONG[line] in p.stderr
    assert WRONG[line] in json.loads(decode("--json", *line.split()).stdout)["error"]["message"]

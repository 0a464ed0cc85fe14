# SPDX-License-Identifier: GPL-2.0-or-later
"""A return relay (RFC 6343 4.5) on the server itself: its own answers to 6to4 hosts go the direct way.

The requests come by a relay of somebody else's, as native IPv6. The server is a host: it forwards nothing.
"""
import os
import socket
import sys

import pytest

from counted import hits
from lab import ROOT, Lab, Navalis
from native import count, native_send

sys.path.insert(0, os.path.join(ROOT, "tests/pkts"))
from proto41 import echo, in_header, out_header, sixto4  # noqa: E402
from test_host import FORWARDING  # noqa: E402

HOST, SITE = "2a00:1::1", "8.0.11.1"
CONF = "[navalis]\ninstance = %s\ninterfaces = v4 v6\nmode = %s\n[6to4]\nlocal = 8.0.2.1\nreturn_only = yes\nsends_for = %s/128\n"


@pytest.fixture(scope="module")
def yard():
    with Lab((), server=False) as lab:
        lab.relay.sysctl(*(key + "=0" for key in FORWARDING))
        lab.site = lab.public("site", 1)
        yield lab


@pytest.mark.parametrize("mode", ["off", "native"])
def test_what_the_host_itself_answers(yard, mode):
    relay = Navalis(yard, mode, instance="nvp%d" % os.getpid(), start=False)
    with open(relay.conf, "w") as f:
        f.write(CONF % (relay.instance, mode, HOST))
    with relay, yard.site.socket(socket.AF_INET, socket.SOCK_RAW, 41) as wire:
        relay.start()
        wire.settimeout(3)
        for size in (56, 1280):
            client = sixto4(SITE, "::%x" % size)
            request = echo(client, HOST, size)
            native_send(yard, request)
            packet = wire.recv(2048)
            assert out_header(packet) == dict(src="8.0.2.1", dst=SITE, ttl=63, tos=0, df=False)
            assert in_header(packet[20:])[:2] == (HOST, client) and packet[20 + 40] == 129
            assert packet[20 + 44:] == request[44:]
        assert count(relay, "ENCAP") == 2
        labels = [l.split()[0] for l in relay.ctl("status", "--no-rates").stdout.splitlines()]
        assert "6to4" in labels and not {"service", "clients", "pending"} & set(labels)  # which a Teredo relay has
        hits(relay)
        # its own kernel divides what is longer than the route to the tunnel
        client = sixto4(SITE, "::5")
        request = echo(client, HOST, 1400)
        native_send(yard, request)
        parts = {}
        for _ in range(2):
            inner = wire.recv(2048)[20:]
            assert inner[6] == 44 and len(inner) <= 1280
            parts[int.from_bytes(inner[42:44], "big") & ~7] = inner[48:]
        assert b"".join(parts[at] for at in sorted(parts))[4:] == request[44:]
        assert count(relay, "ENCAP") == 4

# SPDX-License-Identifier: GPL-2.0-or-later
"""Laboratories shared by the tests of a module, and the relay in both of its ways to run."""
import os
import select
import subprocess
import sys
import threading
import time

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import lab as laboratory  # noqa: E402
from counted import ONE_WAY_S, hits  # noqa: E402

ONE_WAY = os.path.join(laboratory.ROOT, "tests/netns/one_way.py")


def pytest_collection_modifyitems(items):
    why = laboratory.missing()
    if why:
        for item in items:
            if "/netns/" in str(item.path):
                item.add_marker(pytest.mark.skip(reason=why))


@pytest.fixture(scope="session")
def lab():
    """One client behind each kind of NAT, and two behind the commonest."""
    with laboratory.Lab(("none", "fullcone", "restricted", "symmetric", "restricted")) as made:
        yield made


@pytest.fixture(scope="module", params=["off", "native"])
def relay(request, lab):
    """off: the daemon does everything; native: XDP forwards proven clients."""
    with laboratory.Navalis(lab, mode=request.param) as made:
        yield made
        hits(made)
        status = made.json("status")
        assert all(n["balanced"] for n in status["nics"]), status
        assert status["slow_path"]["balanced"], status


@pytest.fixture(scope="session", autouse=True)
def one_way(request):
    """Started with the first test of this folder and judged by the last: ten minutes beside all others."""
    if not any("ten_minutes" in i.name for i in request.session.items):
        yield None
        return
    with laboratory.Lab(("restricted", "symmetric")) as lab, laboratory.Navalis(lab, "native", instance="nvo%d" % os.getpid()) as relay:
        pairs, at_end = [], []

        def look():
            """What the relay has counted when the first of them ends: a client that nobody speaks to expires."""
            pairs[0][0].wait()
            at_end.append(relay.json("drops"))
        for c in lab.clients:
            pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            receiver = c.ns.popen([sys.executable, ONE_WAY, "receive", c.address], **pipes)
            assert receiver.stdout.readline() == "ready\n"
            sender = lab.native.popen([sys.executable, ONE_WAY, "send", laboratory.fresh_native(), c.address, str(ONE_WAY_S)], **pipes)
            lab.processes += [sender, receiver]
            assert select.select([receiver.stdout], [], [], 60)[0] and receiver.stdout.readline() == "first\n"
            sender.stdin.write("go on\n")
            sender.stdin.flush()
            pairs.append((sender, receiver))
        looker = threading.Thread(target=look, daemon=True)
        looker.start()
        yield lab, relay, pairs, time.monotonic(), lambda: (looker.join(60), at_end[0])[1]

# SPDX-License-Identifier: GPL-2.0-or-later
"""kill -9 and restart under load: proven clients lose nothing."""
import json
import os
import subprocess
import time

import pytest

from lab import BUILD, SERVICE, Navalis, awake, first, fresh_native, wait_for

CLIENTS, PPS, KILLS = 1000, 20000, 10
# the thousand share one address, one server and one native host: no cap may stand in the way
NO_CAPS = ("[navalis]\nbubbles_per_client_address = 0\n[teredo]\nclients_per_address = 0\nclients_per_net = 0\nnew_clients_per_second = 0\n"
           "new_clients_per_source = 0\nbubbles_per_server = 0\n")


def test_kill_9_ten_times_under_20_kpps_each_way_loses_nothing(lab):
    if not os.path.exists(BUILD + "/tests/netns/peers"):
        pytest.skip("build/tests/netns/peers is not built: make tests")
    crowd = lab.public("crowd", 90)
    with Navalis(lab, "native", extra=NO_CAPS) as relay:
        load = subprocess.Popen([BUILD + "/tests/netns/peers", crowd.path, lab.native.path, "8.0.100.1", "8.0.1.1",
                                 "%s:%d" % SERVICE, fresh_native(), str(CLIENTS), str(PPS)],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            assert load.stdout.readline() == "proven\n"
            slowest = 0
            for _ in range(KILLS):
                time.sleep(0.3)  # load, not waiting: the kill falls somewhere into it
                lab.stop(relay.process, 9)
                time.sleep(0.3)
                began = awake()
                with first():
                    relay.start()
                slowest = max(slowest, awake() - began)
                assert relay.json("status", "--no-rates")["clients"]["live"] == CLIENTS
            enough = 2.1 * KILLS * 0.5 * PPS
            wait_for("they have sent enough", lambda: sum(relay.json("status", "--no-rates")["forwarded"]["xdp"].values()) > enough)
        finally:
            load.stdin.close()
        result = json.loads(load.stdout.read())
        load.wait()
        print("\n%d kills: %s, slowest restart %.0f ms" % (KILLS, result, slowest * 1e3))
        for way in result.values():
            assert way["sent"] > KILLS * 0.5 * PPS
            assert way["got"] == way["sent"] and way["doubled"] == way["wrong"] == 0
        assert slowest < 1
        status = relay.json("status", "--no-rates")
        assert all(n["balanced"] for n in status["nics"])

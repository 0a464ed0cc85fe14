# SPDX-License-Identifier: GPL-2.0-or-later
"""The page of the table in include/navalis/table.h, held for a minute on all CPUs at once: stress.c says what."""
import json
import os
import subprocess

from xdp import BUILD

SECONDS = int(os.environ.get("STRESS_S", 60))


def test_a_minute_of_insert_move_delete_and_stamp_on_all_cpus(machine):
    p = subprocess.run(["nsenter", "--net=/run/netns/" + machine.ns, BUILD + "/tests/bpf/stress",
                        *map(str, machine.nics), str(SECONDS)], capture_output=True, text=True)
    assert p.returncode == 0, p.stderr
    result = json.loads(p.stdout)
    print("\n%d s: %s" % (SECONDS, result))
    enough = int(os.environ.get("STRESS_LOOKS", 10000))  # a second; fewer on an emulated machine
    assert result["stamps"] > SECONDS * enough / 10
    assert result["looks"] > SECONDS * enough and result["moves"] > SECONDS * 1000
    assert not any(result[k] for k in ("missed", "wrong", "failed", "lost", "strange")), result

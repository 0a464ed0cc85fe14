# SPDX-License-Identifier: GPL-2.0-or-later
"""The tables that the daemon and XDP share, held on all CPUs at once: stress.c and stress_hg48.c say what."""
import json
import os
import subprocess

from xdp import BUILD

SECONDS = int(os.environ.get("STRESS_S", 60))
ENOUGH = int(os.environ.get("STRESS_LOOKS", 10000))  # a second; fewer on an emulated machine


def stress(machine, program, seconds, enough, never):
    """What it counted. It must have looked often, and never seen any of these."""
    p = subprocess.run(["nsenter", "--net=/run/netns/" + machine.ns, BUILD + "/tests/bpf/" + program,
                        *map(str, machine.nics), str(seconds)], capture_output=True, text=True)
    assert p.returncode == 0, p.stderr
    result = json.loads(p.stdout)
    print("\n%d s: %s" % (seconds, result))
    assert result["looks"] > seconds * enough
    assert not any(result[k] for k in never), result
    return result


def test_a_minute_of_insert_move_delete_and_stamp_on_all_cpus(machine):
    """The page of the table in include/navalis/table.h."""
    result = stress(machine, "stress", SECONDS, ENOUGH, ("missed", "wrong", "failed", "lost", "strange"))
    assert min(result["stamps"], result["moves"]) > SECONDS * ENOUGH / 10


def test_endpoints_of_hg48_take_slots_from_each_other(machine):
    """The page of the table in include/navalis/hg48.h."""
    seconds = (SECONDS + 1) // 2
    result = stress(machine, "stress_hg48", seconds, ENOUGH / 10,  # which are all interrupted
                    ("missed", "mixed", "wrong", "failed", "lost", "strange", "quota", "drift"))
    assert result["stamps"] > seconds * ENOUGH / 10000 and result["changes"] > seconds * ENOUGH / 10

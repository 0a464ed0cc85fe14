# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests of this folder share beside fixtures. Not in conftest.py: each folder has a module of that name."""
import os

ONE_WAY_S = float(os.environ.get("ONE_WAY_S", 600))


def hits(relay):
    """What the relay counted, it has decided: for tests/test_reasons.py."""
    with open(os.environ.get("NAVALIS_HITS", os.devnull), "a") as f:
        for r in relay.json("drops")["reasons"]:
            f.write(r["reason"] + "\n")

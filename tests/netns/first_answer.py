#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Time to the first answer of a hole punch, N times, beside Miredo's own relay in the same namespaces.

    first_answer.py [N]     interleaved; each contact from a native address that the client never heard of
"""
import re
import statistics
import sys

from lab import Lab, Navalis, fresh_native

N = int(sys.argv[1]) if len(sys.argv) > 1 else 30


def contact(lab, client):
    """One echo request from a fresh native address: ms until its answer."""
    out = lab.native.ping(client.address, src=fresh_native())[2]
    return float(re.search(r"time=([\d.]+) ms", out)[1])


def main():
    result = {}
    with Lab(("restricted",)) as lab:
        client = lab.clients[0]
        for _round in range(3):
            for kind in ("miredo", "off", "native"):
                got = []
                for _ in range(N // 3):
                    # a relay that has never heard of the client, each time
                    if kind == "miredo":
                        p = lab.miredo_relay()
                        got.append(contact(lab, client))
                        lab.stop(p)
                    else:
                        with Navalis(lab, kind):
                            got.append(contact(lab, client))
                result.setdefault(kind, []).extend(got)
    for kind, got in result.items():
        print("%-8s n=%d  min %.2f  median %.2f  max %.2f ms" % (
            kind, len(got), min(got), statistics.median(got), max(got)))

main()

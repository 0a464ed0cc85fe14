# SPDX-License-Identifier: GPL-2.0-or-later
"""
One-way UDP: `send SOURCE DESTINATION SECONDS` numbers 100 datagrams a second, `receive ADDRESS` counts them. The first goes
alone, until a line comes on the sender's input; the receiver prints one when it has come.
"""
import json
import select
import socket
import struct
import sys
import time

PORT, PPS = 7000, 100


def send(source, destination, seconds):
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
        s.bind((source, PORT))
        s.sendto(struct.pack("!I", 0), (destination, PORT))
        sys.stdin.readline()
        due = time.monotonic()
        for n in range(1, int(seconds * PPS)):
            s.sendto(struct.pack("!I", n), (destination, PORT))
            due = max(due + 1 / PPS, time.monotonic())  # what a busy machine has missed is not made good in a burst
            time.sleep(max(0, due - time.monotonic()))
    print(json.dumps({"sent": int(seconds * PPS)}))


def receive(address):
    """Until its input ends. It never says a word to the sender."""
    got, longest, last = set(), 0.0, None
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
        s.bind((address, PORT))
        s.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)  # SO_RCVBUFFORCE
        print("ready", flush=True)
        while there := select.select([s, sys.stdin], [], [])[0]:
            if s not in there:
                if select.select([s], [], [], 1)[0]:  # what is on its way still
                    continue
                break
            got.add(struct.unpack("!I", s.recv(100))[0])
            now = time.monotonic()
            longest, last = max(longest, now - (last or now)), now
            if len(got) == 1:
                print("first", flush=True)
    first = min(got)
    print(json.dumps({"got": len(got), "first": first, "last": max(got), "lost": max(got) - first + 1 - len(got),
                      "longest_gap": round(longest, 3)}))


if sys.argv[1] == "send":
    send(sys.argv[2], sys.argv[3], float(sys.argv[4]))
else:
    receive(sys.argv[2])

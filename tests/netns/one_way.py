# SPDX-License-Identifier: GPL-2.0-or-later
"""One-way UDP: `send SOURCE DESTINATION SECONDS` numbers 100 datagrams a second, `receive` counts them."""
import json
import socket
import struct
import sys
import time

PORT, PPS = 7000, 100


def send(source, destination, seconds):
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
        s.bind((source, PORT))
        began = time.monotonic()
        for n in range(int(seconds * PPS)):
            s.sendto(struct.pack("!I", n), (destination, PORT))
            time.sleep(max(0, began + (n + 1) / PPS - time.monotonic()))
    print(json.dumps({"sent": int(seconds * PPS)}))


def receive(address):
    """Until its input ends. It never says a word to the sender."""
    got, longest, last = set(), 0.0, None
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
        s.bind((address, PORT))
        s.settimeout(0.5)
        print("ready", flush=True)
        while True:
            try:
                got.add(struct.unpack("!I", s.recv(100))[0])
                now = time.monotonic()
                longest, last = max(longest, now - (last or now)), now
            except TimeoutError:
                if last and time.monotonic() - last > 3:
                    break
    first = min(got)
    print(json.dumps({"got": len(got), "first": first, "last": max(got), "lost": max(got) - first + 1 - len(got),
                      "longest_gap": round(longest, 3)}))


if sys.argv[1] == "send":
    send(sys.argv[2], sys.argv[3], float(sys.argv[4]))
else:
    receive(sys.argv[2])

# SPDX-License-Identifier: GPL-2.0-or-later
"""Moves random bytes over TCP and prints their sha256 at both ends: receive ADDR | send ADDR SRC BYTES."""
import hashlib
import os
import socket
import sys

PORT = 5001


def main():
    digest = hashlib.sha256()
    s = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if sys.argv[1] == "receive":
        s.bind((sys.argv[2], PORT))
        s.listen(1)
        print("ready", flush=True)
        conn = s.accept()[0]
        while data := conn.recv(1 << 16):
            digest.update(data)
    else:
        s.bind((sys.argv[3], 0))
        s.connect((sys.argv[2], PORT))
        block = os.urandom(1 << 16)
        for i in range(int(sys.argv[4]) >> 16):
            chunk = i.to_bytes(8, "big") + block[8:]
            digest.update(chunk)
            s.sendall(chunk)
        s.shutdown(socket.SHUT_WR)
        s.recv(1)
    print(digest.hexdigest())


main()

# SPDX-License-Identifier: GPL-2.0-or-later
"""The pinned table of an instance, written past the daemon: for tests that need many clients at once."""
import ctypes
import mmap
import os
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../pkts"))
from teredo import address, table_places, v6  # noqa: E402

_libc = ctypes.CDLL(None, use_errno=True)
BPF_MAP_LOOKUP, BPF_OBJ_GET, NR_BPF = 1, 7, 321 if os.uname().machine == "x86_64" else 280


def _bpf(cmd, attr):
    buf = ctypes.create_string_buffer(attr.ljust(128, b"\0"))
    fd = _libc.syscall(NR_BPF, cmd, buf, 128)
    if fd < 0:
        raise OSError(ctypes.get_errno(), "bpf %d" % cmd)
    return fd


class Table:
    """struct nav_meta and the buckets of struct client, as abi.h and table.h lay them out."""

    def __init__(self, instance):
        folder = "/sys/fs/bpf/" + instance
        meta = ctypes.create_string_buffer(4096)
        key = ctypes.create_string_buffer(4)
        self._path = ctypes.create_string_buffer((folder + "/meta").encode())
        fd = _bpf(BPF_OBJ_GET, struct.pack("<QII", ctypes.addressof(self._path), 0, 0))
        _bpf(BPF_MAP_LOOKUP, struct.pack("<IIQQ", fd, 0, ctypes.addressof(key), ctypes.addressof(meta)))
        os.close(fd)
        _, self.abi, self.buckets, _ = struct.unpack_from("<IIII", meta.raw)
        self.tick, self.offset, self.shift, _ = struct.unpack_from("<QqII", meta.raw, 16)
        self.seed = struct.unpack_from("<QQQ", meta.raw, 40)
        self._path = ctypes.create_string_buffer((folder + "/clients").encode())
        fd = _bpf(BPF_OBJ_GET, struct.pack("<QII", ctypes.addressof(self._path), 0, 0))
        self.memory = mmap.mmap(fd, self.buckets * 64)
        os.close(fd)
        self.filled = []

    def stamp(self, ahead=0):
        return ((time.monotonic_ns() + ahead * 10 ** 9 - self.offset) // self.tick >> self.shift) << 1 & 0xFFFFFFFF

    def fill(self, n):
        """n proven clients, heard of now. Returns their addresses."""
        used, made, i = [0] * self.buckets, [], 0
        while len(made) < n:
            i += 1
            a = address("8.0.1.1", "9.%d.%d.%d" % (i >> 14 & 255, i >> 6 & 255, i & 63), 1024 + i % 60000, i & 0x3CFF)
            for b in table_places(self.seed, a, self.buckets):
                if used[b] < 4:
                    raw = v6(a)
                    at = b * 64 + used[b] * 16
                    self.memory[at:at + 16] = raw[8:] + raw[4:8] + struct.pack("<I", self.stamp())
                    self.filled.append(at)
                    used[b] += 1
                    made.append(a)
                    break
        return made

    def hear(self, ahead=0):
        """From each of those again, or in so many seconds: for who only sends to them, or does what may take long."""
        stamp = struct.pack("<I", self.stamp(ahead))
        for at in self.filled:
            self.memory[at + 12:at + 16] = stamp

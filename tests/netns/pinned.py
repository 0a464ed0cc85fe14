# SPDX-License-Identifier: GPL-2.0-or-later
"""The pinned table of an instance, written past the daemon: for tests that need many clients at once."""
import ctypes
import mmap
import os
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../pkts"))
from teredo import BUCKET_CLIENTS, STAMP_MASK, address, table_mark, table_places, v6  # noqa: E402

_libc = ctypes.CDLL(None, use_errno=True)
BPF_MAP_LOOKUP, BPF_OBJ_GET, NR_BPF = 1, 7, 321 if os.uname().machine == "x86_64" else 280


def _bpf(cmd, attr):
    buf = ctypes.create_string_buffer(attr.ljust(128, b"\0"))
    fd = _libc.syscall(NR_BPF, cmd, buf, 128)
    if fd < 0:
        raise OSError(ctypes.get_errno(), "bpf %d" % cmd)
    return fd


class Table:
    """struct nav_meta, the buckets and the identities, as abi.h and table.h lay them out."""

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
        self.memory = self._map(folder + "/clients", self.buckets * 64)
        self.identities = self._map(folder + "/identities", self.buckets * BUCKET_CLIENTS * 16)

    def _map(self, path, size):
        self._path = ctypes.create_string_buffer(path.encode())
        fd = _bpf(BPF_OBJ_GET, struct.pack("<QII", ctypes.addressof(self._path), 0, 0))
        try:
            return mmap.mmap(fd, size)
        finally:
            os.close(fd)

    def stamp(self):
        return ((time.monotonic_ns() - self.offset) // self.tick >> self.shift) << 1 & STAMP_MASK

    def put(self, slot, a, stamp):
        """As the daemon does it: the word last."""
        self.identities[slot * 16:slot * 16 + 12] = v6(a)[8:] + v6(a)[4:8]
        self.memory[slot * 8:slot * 8 + 8] = struct.pack("<Q", table_mark(self.seed, a) | stamp)

    def clear(self, slot):
        self.memory[slot * 8:slot * 8 + 8] = bytes(8)

    def fill(self, n):
        """n proven clients, heard of now. Returns their addresses."""
        used, made, i = [0] * self.buckets, [], 0
        stamp = self.stamp()
        while len(made) < n:
            i += 1
            a = address("8.0.1.1", "9.%d.%d.%d" % (i >> 14 & 255, i >> 6 & 255, i & 63), 1024 + i % 60000, i & 0x3CFF)
            for b in table_places(self.seed, a, self.buckets):
                if used[b] < BUCKET_CLIENTS:
                    self.put(b * BUCKET_CLIENTS + used[b], a, stamp)
                    used[b] += 1
                    made.append(a)
                    break
        return made

# SPDX-License-Identifier: GPL-2.0-or-later
"""The pinned table of an instance, written past the daemon: for tests that need many clients at once."""
import ctypes
import mmap
import os
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../pkts"))
from teredo import address, hg48_key, hg48_place, table_places, v6  # noqa: E402

_libc = ctypes.CDLL(None, use_errno=True)
BPF_MAP_LOOKUP, BPF_OBJ_GET, NR_BPF = 1, 7, 321 if os.uname().machine == "x86_64" else 280


def _bpf(cmd, attr):
    buf = ctypes.create_string_buffer(attr.ljust(128, b"\0"))
    fd = _libc.syscall(NR_BPF, cmd, buf, 128)
    if fd < 0:
        raise OSError(ctypes.get_errno(), "bpf %d" % cmd)
    return fd


def _open(path):
    text = ctypes.create_string_buffer(path.encode())
    return _bpf(BPF_OBJ_GET, struct.pack("<QII", ctypes.addressof(text), 0, 0))


class Table:
    """struct nav_meta and the buckets of struct client, as abi.h and table.h lay them out."""

    def __init__(self, instance):
        folder = "/sys/fs/bpf/" + instance
        meta = ctypes.create_string_buffer(4096)
        key = ctypes.create_string_buffer(4)
        fd = _open(folder + "/meta")
        _bpf(BPF_MAP_LOOKUP, struct.pack("<IIQQ", fd, 0, ctypes.addressof(key), ctypes.addressof(meta)))
        os.close(fd)
        _, self.abi, self.buckets, _ = struct.unpack_from("<IIII", meta.raw)
        self.tick, self.offset, self.shift, _ = struct.unpack_from("<QqII", meta.raw, 16)
        self.seed = struct.unpack_from("<QQQ", meta.raw, 40)
        fd = _open(folder + "/clients")
        self.memory = mmap.mmap(fd, self.buckets * 64)
        os.close(fd)

    def units(self):
        return (time.monotonic_ns() - self.offset) // self.tick >> self.shift

    def stamp(self):
        return self.units() << 1 & 0xFFFFFFFF

    def fill(self, n):
        """n proven clients, heard of now. Returns their addresses."""
        used, made, i = [0] * self.buckets, [], 0
        stamp = struct.pack("<I", self.stamp())
        while len(made) < n:
            i += 1
            a = address("8.0.1.1", "9.%d.%d.%d" % (i >> 14 & 255, i >> 6 & 255, i & 63), 1024 + i % 60000, i & 0x3CFF)
            for b in table_places(self.seed, a, self.buckets):
                if used[b] < 4:
                    raw = v6(a)
                    at = b * 64 + used[b] * 16
                    self.memory[at:at + 16] = raw[8:] + raw[4:8] + stamp
                    used[b] += 1
                    made.append(a)
                    break
        return made


class Hg48(Table):
    """The endpoints of HG48: struct hg48_entry of hg48.h."""

    def __init__(self, instance, max_peers=16384):
        super().__init__(instance)
        self.max_peers = max_peers
        fd = _open("/sys/fs/bpf/%s/hg48_peers" % instance)
        self.peers = mmap.mmap(fd, (2 * max_peers + 16) * 40)
        os.close(fd)

    def _at(self, endpoint):
        first = hg48_place(self.seed, *endpoint, self.max_peers)
        return next(40 * n for n in range(first, first + 16) if struct.unpack_from("<Q", self.peers, 40 * n)[0] == hg48_key(*endpoint))

    def heard(self, endpoint):
        """Seconds ago."""
        then, = struct.unpack_from("<Q", self.peers, self._at(endpoint) + 16)
        return (self.units() + 1 - then) * (self.tick << self.shift) / 1e9

    def age(self, endpoint, seconds):
        """Nothing has come from it or gone to it for so long."""
        then = self.units() + 1 - int(seconds * 1e9) // (self.tick << self.shift)
        struct.pack_into("<QQ", self.peers, self._at(endpoint) + 8, then, then)

# SPDX-License-Identifier: GPL-2.0-or-later
"""The pinned maps of an instance: its table, written past the daemon for tests that need many clients at once, and its counters."""
import ctypes
import mmap
import os
import re
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../pkts"))
from teredo import BUCKET_CLIENTS, STAMP_MASK, address, hg48_key, hg48_place, table_mark, table_places, v6  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_libc = ctypes.CDLL(None, use_errno=True)
BPF_MAP_LOOKUP, BPF_OBJ_GET, BPF_OBJ_INFO, NR_BPF = 1, 7, 15, 321 if os.uname().machine == "x86_64" else 280
with open(os.path.join(ROOT, "include/navalis/reasons.def")) as f:
    REASONS = re.findall(r"^R\((\w+), (\w+),", f.read(), re.M)
NAMES, ACTIONS = [r[0] for r in REASONS], dict(REASONS)


def _bpf(cmd, attr):
    buf = ctypes.create_string_buffer(attr.ljust(128, b"\0"))
    fd = _libc.syscall(NR_BPF, cmd, buf, 128)
    if fd < 0:
        raise OSError(ctypes.get_errno(), "bpf %d" % cmd)
    return fd


def _open(instance, name):
    path = ctypes.create_string_buffer(("/sys/fs/bpf/%s/%s" % (instance, name)).encode())
    return _bpf(BPF_OBJ_GET, struct.pack("<QII", ctypes.addressof(path), 0, 0))


def _map(instance, name):
    """A map of one value, as memory."""
    fd, info = _open(instance, name), ctypes.create_string_buffer(128)
    _bpf(BPF_OBJ_INFO, struct.pack("<IIQ", fd, 128, ctypes.addressof(info)))
    size, = struct.unpack_from("<I", info.raw, 12)
    memory = mmap.mmap(fd, size, mmap.MAP_SHARED, mmap.PROT_READ)
    os.close(fd)
    return memory, size


class Counts:
    """What both paths have counted, without the microseconds that a process takes to start."""

    def __init__(self, instance):
        self._page, size = _map(instance, "daemon")
        self._at = size - 16 * len(NAMES)
        with open("/sys/devices/system/cpu/possible") as f:
            cpus = int(f.read().strip().split("-")[-1]) + 1
        self._fd, self._words = _open(instance, "counters"), 2 * (1 + len(NAMES))
        self._value = ctypes.create_string_buffer(8 * self._words * cpus)

    def close(self):
        os.close(self._fd)
        self._page.close()

    def one(self, reason):
        """Packets and bytes of the daemon's."""
        return struct.unpack_from("<QQ", self._page, self._at + 16 * NAMES.index(reason))

    def daemon(self):
        return struct.unpack_from("<%dQ" % (2 * len(NAMES)), self._page, self._at)[::2]

    def xdp(self, nic):
        """Of a NIC's slot."""
        key = ctypes.create_string_buffer(struct.pack("<I", nic), 4)
        _bpf(BPF_MAP_LOOKUP, struct.pack("<IIQQ", self._fd, 0, ctypes.addressof(key), ctypes.addressof(self._value)))
        each = struct.unpack("<%dQ" % (len(self._value) // 8), self._value.raw)
        return tuple(map(sum, zip(*(each[i + 2:i + self._words:2] for i in range(0, len(each), self._words)))))


class Table:
    """struct nav_meta, the buckets and the identities, as abi.h and table.h lay them out."""

    def __init__(self, instance):
        meta = ctypes.create_string_buffer(4096)
        key = ctypes.create_string_buffer(4)
        fd = _open(instance, "meta")
        _bpf(BPF_MAP_LOOKUP, struct.pack("<IIQQ", fd, 0, ctypes.addressof(key), ctypes.addressof(meta)))
        os.close(fd)
        _, self.abi, self.buckets, _ = struct.unpack_from("<IIII", meta.raw)
        self.tick, self.offset, self.shift, _ = struct.unpack_from("<QqII", meta.raw, 16)
        self.seed = struct.unpack_from("<QQQ", meta.raw, 40)
        self.memory = self._map(instance, "clients", self.buckets * 64)
        self.identities = self._map(instance, "identities", self.buckets * BUCKET_CLIENTS * 16)
        self.filled = []

    @staticmethod
    def _map(instance, name, size):
        fd = _open(instance, name)
        try:
            return mmap.mmap(fd, size)
        finally:
            os.close(fd)

    def units(self, ahead=0):
        return (time.monotonic_ns() + ahead * 10 ** 9 - self.offset) // self.tick >> self.shift

    def stamp(self, ahead=0):
        return self.units(ahead) << 1 & STAMP_MASK

    def put(self, slot, a, stamp):
        """As the daemon does it: the word last. Its proof has just been given (proof.h)."""
        given = time.monotonic_ns() // 256000000 & 0xFFFF
        self.identities[slot * 16:slot * 16 + 16] = v6(a)[8:] + v6(a)[4:8] + struct.pack("<HH", given, given - 292 & 0x1FFF)
        self.memory[slot * 8:slot * 8 + 8] = struct.pack("<Q", table_mark(self.seed, a) | stamp)

    def clear(self, slot):
        self.memory[slot * 8:slot * 8 + 8] = bytes(8)

    def fill(self, n):
        """n proven clients, heard of now. Returns their addresses."""
        used, made, i = [0] * self.buckets, [], 0
        while len(made) < n:
            i += 1
            a = address("8.0.1.1", "9.%d.%d.%d" % (i >> 14 & 255, i >> 6 & 255, i & 63), 1024 + i % 60000, i & 0x3CFF)
            for b in table_places(self.seed, a, self.buckets):
                if used[b] < BUCKET_CLIENTS:
                    slot = b * BUCKET_CLIENTS + used[b]
                    self.put(slot, a, self.stamp())
                    self.filled.append((slot, a))
                    used[b] += 1
                    made.append(a)
                    break
        return made

    def hear(self, ahead=0):
        """From each of those again, or in so many seconds: for who only sends to them, or does what may take long."""
        stamp = self.stamp(ahead)
        for slot, a in self.filled:
            word, = struct.unpack_from("<Q", self.memory, slot * 8)
            if word & ~STAMP_MASK == table_mark(self.seed, a):  # else it has moved
                self.put(slot, a, stamp)


class Hg48(Table):
    """The endpoints of HG48: struct hg48_entry of hg48.h."""

    def __init__(self, instance, max_peers=16384):
        super().__init__(instance)
        self.max_peers = max_peers
        self.peers = self._map(instance, "hg48_peers", (2 * max_peers + 16) * 40)

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

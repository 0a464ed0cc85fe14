# SPDX-License-Identifier: GPL-2.0-or-later
"""Pins that no navalisd made."""
import contextlib
import os
import shutil
import struct
import subprocess

BPFTOOL = "/usr/sbin/bpftool"
MAGIC = 0x6E617661


def pin(folder, name, value):
    """A map of one value."""
    path = "%s/%s" % (folder, name)
    subprocess.run([BPFTOOL, "map", "create", path, "type", "array", "key", "4", "value", str(len(value)), "entries", "1",
                    "name", name], check=True)
    subprocess.run([BPFTOOL, "map", "update", "pinned", path, "key", "0", "0", "0", "0", "value", *(str(b) for b in value)], check=True)


@contextlib.contextmanager
def pinned(name, **maps):
    """A folder of the BPF file system with maps in it, gone afterwards."""
    folder = "/sys/fs/bpf/" + name
    os.mkdir(folder)
    try:
        for what, value in maps.items():
            pin(folder, what, value)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def meta(abi, size=64, magic=MAGIC):
    return struct.pack("<IIII", magic, abi, 64, 3).ljust(size, b"\0")

# SPDX-License-Identifier: GPL-2.0-or-later
"""What goes into the machine: the tests, and the programs, as each compiler makes them."""
import functools
import os
import re
import shutil
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, os.environ.get("B", "build"))
PROGRAMS = ("navalisd", "navalisctl", "tests/bpf/runner", "tests/bpf/stress", "tests/bpf/stress_hg48")
FOLDERS = {"clang": "build", "clang-19": "build-19"}  # of each compiler, in the machine
TREE = [(os.path.join(ROOT, d), d) for d in ("tests/bpf", "tests/pkts", "tests/netns", "tests/vm", "tests/conftest.py", "include")] + \
       [(os.path.join(BUILD, p), "build/" + p) for p in PROGRAMS]


@functools.lru_cache
def other():
    """The folder with the programs from clang-19, made when it is not there; None without that compiler."""
    if not shutil.which("clang-19"):
        return None
    made = BUILD + "-19"
    subprocess.run(["make", "-s", "-j2", "-C", ROOT, "B=" + os.path.relpath(made, ROOT), "CLANG=clang-19"] +
                   [os.path.relpath(os.path.join(made, p), ROOT) for p in PROGRAMS], check=True, stdout=subprocess.DEVNULL)
    return made


def builds():
    """{compiler: folder}"""
    return {"clang": BUILD, **({"clang-19": other()} if other() else {})}


def tree():
    """TREE with the programs from every compiler."""
    return TREE + [(os.path.join(made, p), FOLDERS[c] + "/" + p) for c, made in builds().items() if c != "clang" for p in PROGRAMS]


def version(made):
    """Of the compiler, as it stands in the object."""
    with open(made + "/bpf/navalis.bpf.o", "rb") as f:
        return re.search(rb"clang version (\d[0-9.]*)", f.read())[1].decode()

# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine that panics or hangs before its script begins boots again, twice at most; later only for its emulator's fault."""
import pytest

import vm

PANIC = "[    2.01] Kernel panic - not syncing: Fatal exception in interrupt\n"
BEGIN, END = "\n%sbegin\n" % vm.MARK, "%send 0\n" % vm.MARK
QEMU = """#!/bin/sh
# says what the file with the number of this run holds
cd "${0%/*}"
echo boot >> boots
cat "$(wc -l < boots)"
if grep -q HANG "$(wc -l < boots)"; then exec sleep 60; fi
"""
BREAKPOINT = "[    9.01] int3: 0000 [#1] PREEMPT SMP NOPTI\n"


@pytest.fixture
def consoles(tmp_path, monkeypatch):
    """Puts a qemu that says these things, one after the other, in place of the real one; boots() counts its runs."""
    def say(*texts):
        for n, text in enumerate(texts, 1):
            (tmp_path / str(n)).write_text(text)
    qemu = tmp_path / "qemu-system-x86_64"
    qemu.write_text(QEMU)
    qemu.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(vm, "prepare", lambda: None)
    say.boots = lambda: len((tmp_path / "boots").read_text().split())
    return say


def test_a_panic_before_the_script_boots_again(consoles):
    consoles(PANIC, PANIC, BEGIN + "good\n" + END)
    with pytest.warns(UserWarning, match="the machine with 6.12 boots again: Kernel panic - not syncing: Fatal"):
        r = vm.run("6.12", "")
    assert (r.text, r.code, consoles.boots()) == ("good\n", 0, 3)


def test_a_stale_breakpoint_boots_again_whenever_it_comes(consoles):
    consoles(BEGIN + BREAKPOINT + PANIC, BEGIN + "good\n" + END)
    with pytest.warns(UserWarning, match="Kernel panic"):
        assert vm.run("6.12", "").text == "good\n" and consoles.boots() == 2


def test_a_boot_that_hangs_is_tried_again(consoles, monkeypatch):
    monkeypatch.setattr(vm, "BOOT_S", 1)
    consoles("HANG\n", BEGIN + "good\n" + END)
    with pytest.warns(UserWarning, match="the machine with 6.12 boots again: .*not begun in 1 s"):
        assert vm.run("6.12", "").text == "good\n"


def test_a_script_that_hangs_is_not_tried_again(consoles):
    consoles(BEGIN + "HANG\n", BEGIN + END)
    with pytest.raises(TimeoutError, match="not done in 1 s"):
        vm.run("6.12", "", timeout=1)
    assert consoles.boots() == 1


def test_the_third_panic_is_the_last(consoles):
    consoles(*[PANIC] * 4)
    with pytest.warns(UserWarning) as said, pytest.raises(RuntimeError, match="Kernel panic"):
        vm.run("6.12", "")
    assert consoles.boots() == 3 and len(said) == 2


@pytest.mark.parametrize("console", [BEGIN + PANIC, "no room on the disk\n"])
def test_nothing_else_boots_again(consoles, console):
    """Neither a panic that the script has led to, nor a machine that says nothing of a panic."""
    consoles(console, BEGIN + END)
    with pytest.raises(RuntimeError, match="did not run the script"):
        vm.run("6.12", "")
    assert consoles.boots() == 1

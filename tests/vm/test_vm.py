# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine that panics before its script begins boots again, twice at most; one that panics later does not."""
import pytest

import vm

PANIC = "[    2.01] Kernel panic - not syncing: Fatal exception in interrupt\n"
BEGIN, END = "\n%sbegin\n" % vm.MARK, "%send 0\n" % vm.MARK
QEMU = """#!/bin/sh
# says what the file with the number of this run holds
cd "${0%/*}"
echo boot >> boots
cat "$(wc -l < boots)"
"""


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

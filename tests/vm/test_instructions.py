# SPDX-License-Identifier: GPL-2.0-or-later
"""What a packet costs: exact counts, which change only together with the code, and the verifier's room."""
import pytest

import instructions


@pytest.fixture(scope="module")
def figures(machines):
    return instructions.measure()


def test_no_path_takes_more_or_less_than_is_stored(figures):
    old = instructions.stored()
    wrong, notes = instructions.compare(figures, old)
    print("\n" + instructions.table(figures, old), *notes, sep="\n")
    assert not wrong, "\n".join(wrong + notes + ["Is that meant? Then store it together with what it comes from: make instructions"])


def test_the_verifier_has_room(figures):
    """
    200,000 of the million instructions that it looks at, 600,000 with every mechanism; and of 512 bytes of stack 416 for
    the program and its largest function, which calls one more of at most 64. What is deeper Linux 6.1 refuses.
    """
    for kernel, on in figures.items():
        for compiler, f in on["compilers"].items():
            for case, v in f["verifier"].items():
                assert v["processed"] <= (600000 if case == "all mechanisms" else 200000) and v["stack"] <= 416, (kernel, compiler, case, v)

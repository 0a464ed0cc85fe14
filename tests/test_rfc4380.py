# SPDX-License-Identifier: GPL-2.0-or-later
"""tests/rfc4380.md is true: every test that it names exists, and every test named after its RFCs is in it."""
import glob
import os
import re

TESTS = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(TESTS)
RFC = r"rfc(?:4380|5991|6081)"


def rows():
    with open(os.path.join(TESTS, "rfc4380.md")) as f:
        for line in f:
            cells = [c.strip() for c in line.strip().strip("|").split(" | ")]
            if line.startswith("|") and cells[0] not in ("section", "---", "---|---|---|---|---") and len(cells) > 1:
                yield cells


def text(path):
    with open(os.path.join(ROOT, path)) as f:
        return f.read()


def named():
    for row in rows():
        for m in re.finditer(r"(tests/[\w/.]+)::(\w+)(?:\[([^]]+)\])?", row[4]):
            yield m[0], m[1], m[2], m[3]


def test_every_line_has_a_test_or_a_reason():
    assert len(list(rows())) > 35
    for row in rows():
        assert len(row) == 5 and row[1] in ("MUST", "MUST NOT", "SHOULD", "SHOULD NOT", "MAY"), row
        assert "::" in row[4] or re.match(r"not tested: \w+", row[4]), row


def test_every_test_that_is_named_exists():
    for whole, path, name, case in named():
        source = text(path)
        if path.endswith(".c"):
            assert re.search(r"^static void %s\(" % name, source, re.M) and re.search(r"\b%s\)" % name, source.split("int main")[1]), whole
        else:
            assert re.search(r"^def %s\(" % name, source, re.M), whole
        assert not case or '"%s"' % case in source, whole


def test_every_test_that_carries_their_sections_is_named():
    in_table = {(path, name) for _, path, name, _ in named()} | {(path, case) for _, path, _, case in named() if case}
    for path in glob.glob(os.path.join(TESTS, "*", "*.py")) + glob.glob(os.path.join(TESTS, "unit", "*.c")):
        rel = os.path.relpath(path, ROOT)
        found = set(re.findall(r"^def (test_%s\w+)\(" % RFC, text(rel), re.M)) | set(re.findall(r"^static void (%s\w+)\(" % RFC, text(rel), re.M))
        found |= set(re.findall(r'^    "(%s [^"]+)":' % RFC, text(rel), re.M))
        for name in found:
            assert (rel, name) in in_table, "%s::%s stands in no line of tests/rfc4380.md" % (rel, name)

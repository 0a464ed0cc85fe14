# SPDX-License-Identifier: GPL-2.0-or-later
"""No reason without a test that asserts it."""
import os
import re

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def test_every_reason_is_hit_by_some_test(request):
    if not request.config.whole_suite:
        pytest.skip("only part of the suite runs")
    with open(os.path.join(ROOT, "include/navalis/reasons.def")) as f:
        reasons = set(re.findall(r"^R\((\w+),", f.read(), re.M))
    with open(os.environ["NAVALIS_HITS"]) as f:
        hit = set(f.read().split())
    assert hit <= reasons, "unknown: %s" % sorted(hit - reasons)
    assert not reasons - hit, "no test asserts: %s" % " ".join(sorted(reasons - hit))

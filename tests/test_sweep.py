# SPDX-License-Identifier: GPL-2.0-or-later
"""Whose a name is that a test makes: one that is misread would be taken away from under another run, or stay for ever."""
import glob
import os
import re

import pytest

TESTS = os.path.dirname(os.path.abspath(__file__))


@pytest.fixture
def owner(request):
    return request.config.pluginmanager.get_plugin(TESTS + "/conftest.py").owner


def test_all_names_are_read_right(owner):
    names = set()
    for path in glob.glob(TESTS + "/*/*.py"):
        with open(path) as f:
            names.update(re.findall(r"\"(nv[^\"/%]*%d[^\"]*)\" %", f.read()))
    assert len(names) > 15
    for name in names:
        assert owner(name % ((4711,) + (1,) * (name.count("%d") - 1))) == "4711", name


def test_nothing_else_is_ours(owner):
    assert not any(map(owner, ("navalis", "nvidia", "navalis1", "nv", "load-nv1")))

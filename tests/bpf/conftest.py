# SPDX-License-Identifier: GPL-2.0-or-later
"""One namespace and one runner for all tests of the XDP program."""
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import xdp as harness  # noqa: E402


@pytest.fixture(scope="session")
def machine():
    if harness.missing():
        pytest.skip(harness.missing())
    made = harness.Xdp()
    yield made
    made.close()

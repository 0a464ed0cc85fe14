# SPDX-License-Identifier: GPL-2.0-or-later
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import vm  # noqa: E402


@pytest.fixture(scope="session")
def machines():
    why = vm.missing()
    if why:
        pytest.skip(why)
    try:
        vm.prepare()
    except Exception as e:  # no mirror, no room, …
        detail = getattr(e, "stderr", "") or str(e)
        pytest.skip("the machine cannot be made: %s" % detail.strip().splitlines()[-1:])
    return vm

# SPDX-License-Identifier: GPL-2.0-or-later
"""The suite: C tests as pytest items, the file of asserted reasons, and the closing line.

Every test that asserts a reason of reasons.def appends its name to the file $NAVALIS_HITS;
tests/test_reasons.py, run last, fails on a reason that nobody hit.
"""
import os
import re
import shutil
import subprocess

import pytest

TESTS = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(TESTS)
BUILD = os.path.join(ROOT, os.environ.get("B", "build"))
HITS = os.path.join(BUILD, "hits")


def owner(name):
    """The number of the process that a test's name ends with, or None: «nvl-a4711», and of a laboratory «nv4711.1-relay»."""
    m = re.match(r"nv[a-z-]*(\d+)\b", name)
    return m and m[1]


def sweep():
    """What runs that were killed left behind."""
    def dead(name):
        return owner(name) and not os.path.exists("/proc/" + owner(name))

    for folder in ("/run/netns", "/sys/fs/bpf", "/run/navalis"):
        for name in filter(dead, os.listdir(folder) if os.path.isdir(folder) else []):
            path = os.path.join(folder, name)
            if folder == "/run/netns":
                subprocess.run(["ip", "netns", "delete", name])
            elif os.path.isdir(path):
                shutil.rmtree(path)
            else:
                os.unlink(path)


def pytest_configure(config):
    if not os.geteuid():
        sweep()
    os.makedirs(BUILD, exist_ok=True)
    open(HITS, "w").close()
    os.environ["NAVALIS_HITS"] = HITS
    config.whole_suite = [os.path.abspath(a) for a in config.args] == [TESTS]


def pytest_collect_file(parent, file_path):
    if file_path.suffix == ".c" and file_path.name.startswith("test_"):
        return CmockaFile.from_parent(parent, path=file_path)


class CmockaFile(pytest.File):
    """One program of cmocka tests, run once; each line of its TAP output is an item."""

    def collect(self):
        program = os.path.join(BUILD, os.path.relpath(str(self.path), ROOT))[:-2]
        if not os.path.exists(program):
            raise self.CollectError("%s is not built: make tests" % program)
        p = subprocess.run([program], capture_output=True, text=True,
                           env={**os.environ, "CMOCKA_MESSAGE_OUTPUT": "TAP"})
        lines = p.stdout.splitlines()
        results = [l for l in lines if l.startswith(("ok ", "not ok "))]
        if not results or (p.returncode and all(l.startswith("ok") for l in results)):
            results.append("not ok 0 - the program ended with status %d" % p.returncode)
        for line in results:
            yield CmockaItem.from_parent(self, name=line.split(" - ", 1)[1].split(" # ")[0],
                                         line=line, output=p.stdout + p.stderr)


class CmockaItem(pytest.Item):
    def __init__(self, line, output, **kw):
        super().__init__(**kw)
        self.line, self.output = line, output

    def runtest(self):
        if "# SKIP" in self.line:
            pytest.skip(self.line.split("# SKIP")[1].strip())
        if not self.line.startswith("ok"):
            raise CmockaFailure(self.output)

    def repr_failure(self, excinfo):
        return str(excinfo.value)


class CmockaFailure(Exception):
    pass


def pytest_collection_modifyitems(items):
    """Those that wait for what runs beside the others, and the one that looks at them all, come last."""
    items.sort(key=lambda i: 2 * ("test_reasons" in str(i.path)) + ("ten_minutes" in i.name))


def pytest_terminal_summary(terminalreporter):
    count = {k: len(terminalreporter.stats.get(k, ())) for k in ("passed", "failed", "error", "skipped")}
    for report in terminalreporter.stats.get("skipped", ()):
        terminalreporter.write_line("SKIP %s: %s" % (report.nodeid, report.longrepr[-1]))
    terminalreporter.config.closing_line = "%d passed, %d failed, %d skipped" % (
        count["passed"], count["failed"] + count["error"], count["skipped"])


def pytest_unconfigure(config):
    """Behind pytest's own summary: the last line that the suite prints."""
    if hasattr(config, "closing_line"):
        print("\n" + config.closing_line)

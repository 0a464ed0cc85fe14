# SPDX-License-Identifier: GPL-2.0-or-later
"""Exact figures of the XDP program on Debian's kernels, from each compiler: the instructions, helpers included,
that every path takes for a packet, and what the verifier takes.

    instructions.py            prints them, beside what is stored in instructions.json
    instructions.py --write    stores them
    instructions.py --json     prints all of them as JSON (measure())
"""
import json
import os
import subprocess
import sys

import builds
import vm

STORED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "instructions.json")
SHARE, LEAST = 0.03, 2  # a path may take so much more or less; the clock's own rounding is 1


def _one(kernel):
    made = builds.builds()
    script = "dmesg -n 1\n/usr/bin/python3 tests/vm/inside_instructions.py %s\n" % " ".join(builds.FOLDERS[c] for c in made)
    r = vm.run(kernel, script, builds.tree(), icount=True, timeout=900)
    if r.code:
        raise RuntimeError("%s: %s" % (kernel, r.text))
    said = json.loads(r.text.strip().splitlines()[-1])
    figures = {}
    for compiler, folder in made.items():
        version = builds.version(folder)
        got = said["builds"][builds.FOLDERS[compiler]]
        figures["clang " + version.split(".")[0]] = {
            "version": version, "paths": {n: min(runs) for n, runs in got["paths"].items()}, "runs": got["paths"],
            "verifier": got["verifier"]}
    return {"version": said["kernel"], "compilers": figures}


def measure():
    """
    {kernel: {"version", "compilers": {compiler: {"version", "paths": {path: instructions}, "runs": {path: [instructions]},
     "verifier": {case: {"processed", "stack" in bytes, of the program and its largest function, "instructions" of the kernel's program, "bytes" of machine code}}}}}}

    A machine is one thread, and its clock does not see the others: both at a time.
    """
    builds.other()
    return {kernel: future.result() for kernel, future in vm.at_once(_one).items()}


def columns(figures):
    """{"6.1, clang 14": its paths}, and the versions of what they were taken with."""
    took = {k: v["version"] for k, v in figures.items()}
    took.update({c: f["version"] for v in figures.values() for c, f in v["compilers"].items()})
    took["qemu"] = subprocess.run(["qemu-system-x86_64", "--version"], capture_output=True, text=True).stdout.split()[3]
    return {"%s, %s" % (k, c): f["paths"] for k, v in figures.items() for c, f in v["compilers"].items()}, took


def stored():
    with open(STORED) as f:
        return json.load(f)


def write(figures):
    """One line a path: whoever changes what it takes changes that line."""
    paths, took = columns(figures)
    names = next(iter(paths.values()))
    rows = ["%s: %s" % (json.dumps(n), json.dumps({c: p[n] for c, p in paths.items()})) for n in names]
    with open(STORED, "w") as f:
        f.write('{"taken with": %s,\n "paths": {\n%s}}\n' % (json.dumps(took), ",\n".join(rows)))


def compare(figures, old):
    """What is wrong, a sentence each; and what is to be known of it."""
    paths, took = columns(figures)
    wrong, notes = [], []
    for column, now in paths.items():
        for name in {**now, **old["paths"]}:
            was = old["paths"].get(name, {}).get(column)
            if was is None or name not in now:
                wrong.append("%s, %s: %s" % (name, column, "not stored" if was is None else "stored, and there is no such path"))
            elif abs(now[name] - was) > max(SHARE * was, LEAST):
                wrong.append("%s, %s: %d instructions, stored are %d (%+.1f %%)" %
                             (name, column, now[name], was, 100 * (now[name] - was) / was))
    for what, version in took.items():
        if old["taken with"].get(what) != version:
            notes.append("the stored figures were taken with %s %s, this is %s" % (what, old["taken with"].get(what), version))
    return wrong, notes


def table(figures, old=None):
    paths, _ = columns(figures)
    out = ["%-40s" % "instructions a packet" + "".join("%18s" % c for c in paths)]
    for name in next(iter(paths.values())):
        cells = []
        for column, now in paths.items():
            was = (old or {}).get("paths", {}).get(name, {}).get(column, now[name])
            cells.append("%d%s" % (now[name], " (%+d)" % (now[name] - was) if now[name] != was else ""))
        out.append("%-40s" % name + "".join("%18s" % c for c in cells))
    found = {"%s, %s" % (k, c): f["verifier"] for k, v in figures.items() for c, f in v["compilers"].items()}
    for title, key in ("verifier: instructions processed", "processed"), ("verifier: bytes of stack", "stack"), \
            ("instructions of the program", "instructions"), ("bytes of machine code", "bytes"):
        out.append(title)
        for case in next(iter(found.values())):
            out.append("  %-38s" % case + "".join("%18d" % v[case][key] for v in found.values()))
    return "\n".join(out)


def main(args):
    if vm.missing():
        sys.exit(vm.missing())
    figures = measure()
    if args == ["--json"]:
        json.dump(figures, sys.stdout, indent=1)
        return
    print(table(figures, stored() if os.path.exists(STORED) else None))
    if args == ["--write"]:
        write(figures)
        print("stored in " + os.path.relpath(STORED))


if __name__ == "__main__":
    main(sys.argv[1:])

# SPDX-License-Identifier: GPL-2.0-or-later
"""What is made from the lists: man pages, the sample configuration, the completion; and installing it all."""
import os
import re
import subprocess
import sys
import types

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
B = os.environ.get("B", "build")
BUILD = os.path.join(ROOT, B)
PAGES = {"navalisd.8": "loader/man", "navalis.conf.5": "loader/man", "navalis-speed.7": "loader/man", "navalisctl.8": "ctl/man"}

sys.path.insert(0, os.path.join(ROOT, "tests/netns"))
from lab import missing  # noqa: E402
from pins import meta, pinned  # noqa: E402

generate = types.ModuleType("generate")
generate.__file__ = os.path.join(ROOT, "scripts/generate")
with open(generate.__file__) as f:
    exec(compile(f.read(), generate.__file__, "exec"), generate.__dict__)


def rendered(page):
    p = subprocess.run(["mandoc", "-Tascii", os.path.join(BUILD, PAGES[page], page)], capture_output=True, text=True, check=True)
    return re.sub(".\b", "", p.stdout)


@pytest.mark.parametrize("page", PAGES)
def test_man_page_has_no_fault(page):
    p = subprocess.run(["mandoc", "-Tlint", "-W", "warning", os.path.join(BUILD, PAGES[page], page)], capture_output=True, text=True)
    assert (p.returncode, p.stdout) == (0, "")
    assert not re.search("@[A-Z_]+@", rendered(page))  # nothing that ought to have been filled in


def test_every_key_reason_and_verb_is_in_its_page():
    conf, ctl = rendered("navalis.conf.5"), rendered("navalisctl.8")
    keys, reasons, verbs = generate.keys(), generate.reasons(), generate.verbs()
    assert len(keys) > 20 and len(reasons) > 70 and len(verbs) >= 10
    for k in keys:
        assert re.search(r"^ +%s\n" % k["name"], conf, re.M) or re.search(r"^ +%s  " % k["name"], conf, re.M), k
    for r in reasons:
        assert re.search(r"^ +%s\b" % r["name"], ctl, re.M), r
    for v in verbs:
        assert re.search(r"^ +%s\b" % v["name"], ctl, re.M), v
    assert len(re.findall(r"Changes\s+with\s+a\s+restart\s+only", conf)) == sum(k["when"] == "RESTART" for k in keys)


def test_the_usage_of_each_program_is_in_its_page():
    usage = subprocess.run([BUILD + "/navalisd", "--help"], capture_output=True, text=True).stdout
    page = rendered("navalisd.8")
    for option in re.findall(r"--[a-z-]+", usage):
        assert option in page, option
    for v in generate.verbs():
        text = subprocess.run([BUILD + "/navalisctl", v["name"], "--help"], capture_output=True, text=True).stdout
        assert text == "%s\n%s\n" % (("Usage: navalisctl %s %s" % (v["name"], v["usage"])).rstrip(), v["text"])


def test_every_option_of_a_verb_is_explained():
    with open(os.path.join(BUILD, PAGES["navalisctl.8"], "navalisctl.8")) as f:
        explained = set(re.findall(r"^\.It Fl \\-([a-z-]+)", f.read(), re.M))
    wanted = {o for v in generate.verbs() for o in re.findall(r"--([a-z-]+)", v["usage"])}
    assert len(wanted) > 10 and wanted | {"instance", "json", "help", "version"} == explained


def test_every_error_in_the_page_is_one_that_the_daemon_says():
    with open(os.path.join(BUILD, PAGES["navalisd.8"], "navalisd.8")) as f:
        told = re.findall(r"^\.It Dq (.*)", f.read(), re.M)
    said = ""
    for folder, _, names in os.walk(os.path.join(ROOT, "loader")):
        for name in (n for n in names if n.endswith(".c")):
            with open(os.path.join(folder, name)) as f:
                said += re.sub(r'"\s*"', "", f.read())
    assert len(told) > 15 and [t for t in told if t not in said] == []


def source(page):
    with open(os.path.join(BUILD, PAGES[page], page)) as f:
        return f.read()


def test_the_guide_to_speed_names_what_there_is():
    page = source("navalis-speed.7")
    words = set(re.findall(r"\bCm ([a-z_]+)", page))
    assert len(words) >= 9 and words <= {k["name"] for k in generate.keys()} | {v["name"] for v in generate.verbs()}
    reasons = set(re.findall(r"\b[A-Z]+_[A-Z0-9_]+\b", page))
    assert len(reasons) > 15 and reasons <= {r["name"] for r in generate.reasons()}
    with open(os.path.join(ROOT, "ctl/cmd-status.c")) as f:
        status = f.read()
    lines = re.findall(r"^\.It Dq (.*)", page, re.M)
    assert len(lines) == 8 and [l for l in lines if not re.search(r'(printf|puts)\("%s\b' % l, status)] == []
    for text in ("for lack of native mode", "DOES NOT BALANCE"):
        assert ".Ql %s\n" % text in page and text in status


def test_the_guide_to_speed_can_count():
    """The wire, and the memory of the table: that is the layout's, and no matter of the machine."""
    page = source("navalis-speed.7")
    rows = [[float(x) for x in m] for m in re.findall(r"^\.It (\d+) Ta (\d+) Ta ([\d.]+)$", page, re.M)]
    assert len(rows) == 5 and rows[-1][0] == 1280
    for inner, wire, mpps in rows:
        assert wire == inner + 14 + 20 + 8 + 4 + 20 and mpps == round(1e4 / (8 * wire), 2)
    tables = [[int(x.replace(",", "")) for x in m] for m in re.findall(r'^\.It "([\d,]+)" Ta (\d+) Ta (\d+)$', page, re.M)]
    assert len(tables) == 3
    for clients, kernel, _ in tables:  # 24 bytes for 4 / 5 of a client, and some for those behind symmetric NATs
        assert 24e-6 * 5 / 4 * clients <= kernel <= 32e-6 * clients + 1
    assert "34 bytes each" in next(k["text"] for k in generate.keys() if k["name"] == "max_clients") and "takes 34 bytes" in page


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_the_page_can_be_copied(page):
    """A quotation mark that stands bare in a macro's line is one of the macro's."""
    text = "".join(rendered(page).split())
    with open(os.path.join(ROOT, PAGES[page], page + ".in")) as f:
        commands = re.findall(r"^\.Dl (.*)", f.read(), re.M)
    wrong = [c for c in commands if "".join(c.replace(r"\(dq", '"').split()) not in text]
    assert wrong == []


def test_pages_name_pages_that_there_are():
    named = {p: set(re.findall(r"^\.Xr (navalis\S*) (\d)", source(p), re.M)) for p in PAGES}
    all_pages = {tuple(p.rsplit(".", 1)) for p in PAGES}
    for page, others in named.items():
        assert all_pages - {tuple(page.rsplit(".", 1))} == others - {tuple(page.rsplit(".", 1))}, page


def test_documents_that_the_code_names_are_in_the_tree():
    here, named = {"README.md"}, {}
    for top in ("include", "bpf", "loader", "ctl", "scripts", "tests"):
        for folder, _, names in os.walk(os.path.join(ROOT, top)):
            here.update(names)
            for name in (n for n in names if not n.endswith((".pyc", ".svg"))):
                with open(os.path.join(folder, name), errors="ignore") as f:
                    named.update((m, os.path.join(folder, name)) for m in re.findall(r"\b[\w-]+\.md\b", f.read()))
    assert "rfc4380.md" in named and {m: f for m, f in named.items() if m not in here} == {}


def test_keys_that_a_reload_cannot_change_are_listed():
    page = rendered("navalis.conf.5")
    listed = re.search(r"in\s+between\.\n\n(.*?)\.\n", page, re.S)[1]
    restart = [k for k in generate.keys() if k["when"] == "RESTART"]
    assert re.split(r",\s+", listed.strip(" \n")) == [k["full"] for k in restart]
    assert {"service", "teredo-server.primary", "6bed4.service"} <= {k["full"] for k in restart}


def printed(path):
    p = subprocess.run([BUILD + "/navalisd", "--config", path, "--print-config"], capture_output=True, text=True)
    assert p.returncode == 0, p.stderr
    return p.stdout


def test_the_sample_is_a_configuration_and_its_defaults_are_the_defaults(tmp_path):
    with open(BUILD + "/navalis.conf.sample") as f:
        sample = f.read()
    # nothing is set in it; the two keys that have to be come first
    assert all(l.startswith(("#", "[")) or not l for l in sample.splitlines())
    given = re.findall(r"^#(\w+) =", sample, re.M)
    assert given[:2] == ["interfaces", "service"] and sorted(given) == sorted(k["name"] for k in generate.keys())
    needed = {"#interfaces = enp1s0f0 enp1s0f1": "interfaces = a b", "#service = 192.0.2.1:3545": "service = 192.0.2.1"}
    for a, b in needed.items():
        assert sample.count(a) == 1
        sample = sample.replace(a, b)
    bare, full = tmp_path / "bare", tmp_path / "full"
    bare.write_text(sample)
    p = subprocess.run([BUILD + "/navalisd", "--config", str(bare), "--check-config"], capture_output=True, text=True)
    assert (p.returncode, p.stdout, p.stderr) == (0, "", "")
    # first what is there without further sections, then they: with what they need, and with all
    mechanisms = sample.index("#[")
    head = re.sub(r"^#(\w+ =)", r"\1", sample[:mechanisms], flags=re.M)
    full.write_text(head)
    assert printed(str(bare)) == printed(str(full))
    laboratory = head.replace("laboratory = no", "laboratory = yes")
    sections = re.sub(r"^#(\[.*\])$", r"\1", sample[mechanisms:], flags=re.M)
    bare.write_text(laboratory + re.sub(r"^(# Required\.\n)#", r"\1", sections, flags=re.M))
    full.write_text(laboratory + re.sub(r"^#(\w+ =)", r"\1", sections, flags=re.M))
    assert printed(str(bare)) == printed(str(full))
    assert len(re.findall(r"^\w+ =", full.read_text(), re.M)) == len(generate.keys())
    assert re.findall(r"^\[.*\]$", printed(str(full)), re.M) == [generate.heading(s) for s in generate.sections()]
    for k in generate.keys():
        if k["type"] == "NUMBER":
            assert "# a number from %s to %s" % (k["min"], k["max"]) in sample


def test_the_examples_of_the_page_are_configurations(tmp_path):
    examples = re.findall(r"^\.Bd -literal -offset indent\n(\[navalis\]\n.*?)^\.Ed$", source("navalis.conf.5"), re.M | re.S)
    assert len(examples) >= 4
    for text in examples:  # their addresses are documentation's
        path = tmp_path / "navalis.conf"
        path.write_text(text.replace("[navalis]", "[navalis]\nlaboratory = yes"))
        given = {l for l in text.splitlines() if l.startswith("[")}
        assert {l for l in printed(str(path)).splitlines() if l.startswith("[")} == given


def test_the_sample_says_what_is_missing_until_it_is_set():
    p = subprocess.run([BUILD + "/navalisd", "--config", BUILD + "/navalis.conf.sample", "--check-config"], capture_output=True, text=True)
    assert p.returncode == 1 and "service is missing" in p.stderr


def complete(*words, cwd=None):
    """As bash calls it, with the cursor behind the last word."""
    script = '. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _navalisctl; printf "%s\\n" "${COMPREPLY[@]}"'
    p = subprocess.run(["bash", "-c", script, "-", os.path.join(BUILD, "ctl/completion/navalisctl"), "navalisctl", *words],
                       capture_output=True, text=True, check=True, cwd=cwd)
    assert p.stderr == ""
    return p.stdout.split()


def test_completion():
    assert complete("cl") == ["clients"]
    assert set(complete("")) >= {v["name"] for v in generate.verbs()}
    assert complete("clients", "--so") == ["--sort"]
    assert complete("clients", "--sort", "") == ["address", "server", "endpoint", "age", "state"]
    assert complete("--json", "clients", "--state", "l") == ["live"]
    assert complete("--instance", "x", "flush", "--d") == ["--dry-run"]
    assert "endpoint" in complete("clients", "")
    assert complete("clients", "--limit", "") == []
    for v in generate.verbs():
        options = set(re.findall(r"--[a-z-]+", v["usage"]))
        assert options | {"--json", "--help", "--instance"} == set(complete(v["name"], "-")), v


@pytest.mark.skipif(missing() is not None, reason=str(missing()))
def test_completion_of_instances(tmp_path):
    name = "nvx%d" % os.getpid()
    with pinned(name, meta=meta(1)), pinned(name + "b", theirs=bytes(4)), pinned("$(touch run)", meta=meta(1)):
        assert complete("--instance", name) == [name]
        assert name in complete("clients", "--instance", "nvx")
        assert all(re.fullmatch("[A-Za-z0-9_-]+", w) for w in complete("--instance", "", cwd=tmp_path))
        assert not os.listdir(tmp_path)  # the folder's name was not run
    assert complete("--instance", name) == []


def files(folder):
    return sorted(os.path.relpath(os.path.join(d, f), folder) for d, _, fs in os.walk(folder) for f in fs)


def make(dest, target, prefix="/usr"):
    return subprocess.run(["make", "-s", "-C", ROOT, "B=" + B, "PREFIX=" + prefix, "DESTDIR=" + dest, target],
                          check=True, capture_output=True, text=True).stdout


def test_install_and_uninstall(tmp_path):
    dest = str(tmp_path) + "/a b"
    make(dest, "install")
    got = files(dest)
    for f in ("usr/sbin/navalisd", "usr/bin/navalisctl", "usr/share/man/man8/navalisd.8", "usr/share/man/man5/navalis.conf.5",
              "usr/share/man/man7/navalis-speed.7", "usr/share/man/man8/navalisctl.8",
              "usr/share/bash-completion/completions/navalisctl", "usr/lib/systemd/system/navalisd.service",
              "usr/lib/systemd/system/navalisd@.service", "usr/lib/sysusers.d/navalis.conf", "etc/navalis/navalis.conf"):
        assert f in got, f
    assert subprocess.run([dest + "/usr/bin/navalisctl", "--version"], capture_output=True).returncode == 0
    # what the operator wrote stays his, and a second install does not touch it
    with open(dest + "/etc/navalis/navalis.conf", "a") as f:
        f.write("# mine\n")
    make(dest, "install")
    assert "which is yours" in make(dest, "uninstall")
    assert files(dest) == ["etc/navalis/navalis.conf"]
    os.unlink(dest + "/etc/navalis/navalis.conf")
    make(dest, "install")
    make(dest, "uninstall")
    assert files(dest) == [] and not os.path.exists(dest + "/etc/navalis")


@pytest.mark.parametrize("prefix", ["/usr", "/usr/local"])
def test_units_name_the_prefix_of_this_install(tmp_path, prefix):
    """Whatever PREFIX the texts were built for before."""
    make(str(tmp_path), "install", prefix)
    for unit, config in {"navalisd": "navalis", "navalisd@": "%i"}.items():
        with open("%s%s/lib/systemd/system/%s.service" % (tmp_path, prefix, unit)) as f:
            text = f.read()
        assert "ExecStart=%s/sbin/navalisd --instance %s --config /etc/navalis/%s.conf\n" % (prefix, config, config) in text
        assert not re.search("@[A-Z]+@", text)

# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's own kernels in QEMU, without an accelerator: one machine that runs one script, and is gone.

The root file system is Debian 12, made once by debootstrap below HOME; the kernels' packages are only
unpacked. What a script needs goes in as a tar archive on a second disk. Two virtio NICs, eth0 and eth1,
are the ends of one wire.
"""
import concurrent.futures
import glob
import hashlib
import io
import os
import re
import select
import shutil
import subprocess
import tarfile
import tempfile
import time
import warnings

HOME = "/var/lib/navalis-test/vm"
KERNELS = {"6.1": r"linux-image-6\.1\.0-[0-9]+-cloud-amd64", "6.12": r"linux-image-6\.12\.[0-9]+\+deb12-cloud-amd64"}
PACKAGES = ("systemd,systemd-sysv,kmod,iproute2,ethtool,iputils-ping,procps,util-linux,python3,python3-pytest,python3-scapy,"
            "xdp-tools,libbpf1,libxdp1,libmnl0,libinih1,libjson-c5,libcap-ng0,liburing2,libsystemd0,bpftool")
MARK = "=== navalis vm: "
BOOTS = 3  # at most
BOOT_S = 240  # most take ten
BREAKPOINT = r"\bint3: 0000 \[#"

INIT = """#!/bin/bash
# The first process: everything that the script wants, then the script, then off.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8
if [ $$ = 1 ]; then
	mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t tmpfs tmp /tmp; mount -t tmpfs run /run
	mount -t devtmpfs dev /dev 2>/dev/null; mount -t bpf bpf /sys/fs/bpf; mkdir -p /dev/pts; mount -t devpts pts /dev/pts
fi
modprobe -qa virtio_net veth tun
ip link set lo up
mkdir -p /payload
tar -xf /dev/vdb -C /payload
cd /payload
echo; echo "%sbegin"
bash ./script </dev/null 2>&1
echo "%send $?"
sync
if [ $$ = 1 ]; then echo o > /proc/sysrq-trigger; sleep 60; else systemctl poweroff -ff; fi
""" % (MARK, MARK)

UNIT = """[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/vm-init
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS0
[Install]
WantedBy=multi-user.target
"""


def missing():
    """What keeps virtual machines from running here, or None."""
    if os.geteuid():
        return "not root"
    for tool in ("qemu-system-x86_64", "debootstrap", "mkfs.ext4", "busybox", "depmod", "cpio", "xz"):
        if not shutil.which(tool):
            return tool + " is not installed (scripts/setup)"
    if os.uname().machine != "x86_64":
        return "the machines are x86-64"
    return None


def _run(*cmd, **kw):
    return subprocess.run(cmd, check=True, capture_output=True, text=True, **kw).stdout


def _newest(pattern):
    names = [l.split()[0] for l in _run("apt-cache", "search", "-n", "^" + pattern + "$").splitlines()]
    if not names:
        raise RuntimeError("no package %s in Debian's lists" % pattern)
    return max(names, key=lambda n: [int(x) for x in re.findall(r"\d+", n)])


def _kernels(root):
    """Unpacks the kernels; their modules go into the root file system."""
    tmp = tempfile.mkdtemp(prefix="navalis-vm-")
    try:
        shutil.chown(tmp, "_apt")
        for name, pattern in KERNELS.items():
            package = _newest(pattern)
            _run("apt-get", "-qq", "download", package, cwd=tmp)
            unpacked = os.path.join(tmp, name)
            _run("dpkg-deb", "-x", glob.glob(os.path.join(tmp, package + "_*.deb"))[0], unpacked)
            shutil.copy(glob.glob(unpacked + "/boot/vmlinuz-*")[0], os.path.join(HOME, "vmlinuz-" + name))
            release = os.listdir(unpacked + "/lib/modules")[0]
            shutil.copytree(unpacked + "/lib/modules/" + release, root + "/usr/lib/modules/" + release, symlinks=True)
            _run("depmod", "-b", root, release)
            _initrd(root, release, os.path.join(HOME, "initrd-" + name))
    finally:
        shutil.rmtree(tmp)


def _initrd(root, release, out):
    """As much as it takes to find the root file system: the disk's driver, and busybox."""
    modules = root + "/usr/lib/modules/" + release
    with open(modules + "/modules.dep") as f:
        needs = {l.split(":")[0]: l.split(":")[1].split() for l in f}
    order = []

    def want(path):
        for p in reversed(needs[path]):
            want(p)
        if path not in order:
            order.append(path)
    for path in needs:
        if re.search(r"/virtio_(pci|blk)\.ko", path):
            want(path)
    with tempfile.TemporaryDirectory() as tmp:
        for d in ("bin", "dev", "proc", "root"):
            os.mkdir(os.path.join(tmp, d))
        shutil.copy(shutil.which("busybox"), tmp + "/bin/busybox")
        lines = ["#!/bin/busybox sh", "/bin/busybox mount -t devtmpfs dev /dev"]
        for path in order:
            name = os.path.basename(path).replace(".xz", "")
            with open(os.path.join(tmp, name), "wb") as f:
                source = os.path.join(modules, path)
                f.write(subprocess.run(["xz", "-dc", source], check=True, capture_output=True).stdout if source.endswith(".xz")
                        else open(source, "rb").read())
            lines.append("/bin/busybox insmod /" + name)
        lines += ["until /bin/busybox mount -t ext4 /dev/vda /root 2>/dev/null; do /bin/busybox usleep 50000; done",
                  "/bin/busybox mount --move /dev /root/dev",
                  "/bin/busybox mount -t proc proc /proc",
                  "for w in $(/bin/busybox cat /proc/cmdline); do case $w in boot=*) init=${w#boot=} ;; esac; done",
                  "/bin/busybox umount /proc", "exec /bin/busybox switch_root /root $init"]
        with open(tmp + "/init", "w") as f:
            f.write("\n".join(lines) + "\n")
        os.chmod(tmp + "/init", 0o755)
        with open(out, "wb") as f:
            subprocess.run("find . | cpio -o -H newc --quiet", shell=True, cwd=tmp, stdout=f, check=True)


def prepare():
    """Makes kernels and root file system, once, and again when what they are made of changes. About two minutes."""
    done = os.path.join(HOME, ".made-of-" + hashlib.sha256(repr((KERNELS, PACKAGES, INIT, UNIT)).encode()).hexdigest()[:12])
    if os.path.exists(done):
        return
    shutil.rmtree(HOME, ignore_errors=True)
    os.makedirs(HOME)
    root = os.path.join(HOME, "root")
    _run("debootstrap", "--variant=minbase", "--include=" + PACKAGES, "bookworm", root, "http://deb.debian.org/debian")
    shutil.rmtree(root + "/var/cache/apt", ignore_errors=True)
    shutil.rmtree(root + "/var/lib/apt/lists", ignore_errors=True)
    _kernels(root)
    for path, text, mode in (("/vm-init", INIT, 0o755), ("/etc/systemd/system/vm.service", UNIT, 0o644),
                             ("/etc/fstab", "", 0o644), ("/etc/hostname", "vm\n", 0o644)):
        with open(root + path, "w") as f:
            f.write(text)
        os.chmod(root + path, mode)
    wants = root + "/etc/systemd/system/multi-user.target.wants"
    os.makedirs(wants, exist_ok=True)
    os.symlink("/etc/systemd/system/vm.service", wants + "/vm.service")
    for unit in ("systemd-networkd-wait-online", "apt-daily.timer", "apt-daily-upgrade.timer", "getty@tty1", "serial-getty@ttyS0",
                 "console-getty", "systemd-update-utmp", "e2scrub_reap", "systemd-timesyncd"):
        name = unit if "." in unit else unit + ".service"
        link = root + "/etc/systemd/system/" + name
        if not os.path.lexists(link):
            os.symlink("/dev/null", link)
    _run("mkfs.ext4", "-q", "-F", "-O", "^has_journal", "-d", root, HOME + "/root.img", "1500M")
    shutil.rmtree(root)
    open(done, "w").close()


class Result:
    def __init__(self, console, text, code):
        self.console, self.text, self.code = console, text, code


def _console(cmd, timeout):
    """What the machine says until it is off, or has not begun in time."""
    said, began = b"", time.monotonic()
    with subprocess.Popen(cmd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as p:
        try:
            while True:
                begun = MARK.encode() + b"begin" in said
                left = began + (timeout if begun else BOOT_S) - time.monotonic()
                more = os.read(p.stdout.fileno(), 65536) if select.select([p.stdout], [], [], max(0, left))[0] else None
                if not more:
                    break
                said += more
        finally:
            p.kill()
    text = said.decode(errors="replace").replace("\r", "")
    if more is None and begun:
        raise TimeoutError("the machine was not done in %d s:\n%s" % (timeout, text[-4000:]))
    return text + ("" if more is not None else "\n%snot begun in %d s" % (MARK, BOOT_S))


def _fault(console):
    """What is the fault of this machine, or of its emulator, and not of the script, if anything is."""
    found = re.search("Kernel panic.*|%snot begun.*" % MARK, console)
    return found and (MARK + "begin" not in console or re.search(BREAKPOINT, console)) and found[0]


def run(kernel, script, files=(), systemd=False, timeout=900, memory=1024, icount=False):
    """
    Boots, runs the script in a folder with these files ((path here, name there)…; folders with all
    that is in them), and returns what it printed and its exit code. No accelerator: seconds are long.
    With icount it has one CPU, and a nanosecond of its clock is an instruction that it has executed.

    A kernel that patches its own code while the other CPU runs it can panic here, over the emulator's stale copy of a
    breakpoint. Then it boots again, as it does when it panics or hangs before the script begins. Any other panic is a result.
    """
    prepare()
    with tempfile.TemporaryDirectory(prefix="navalis-vm-") as tmp:
        payload = tmp + "/payload.tar"
        with tarfile.open(payload, "w") as tar:
            for here, there in files:
                tar.add(here, there)
            info = tarfile.TarInfo("script")
            info.size = len(script.encode())
            tar.addfile(info, io.BytesIO(script.encode()))
        cmd = ["qemu-system-x86_64", "-accel", "tcg" if icount else "tcg,thread=multi", "-cpu", "max",
               "-smp", "1" if icount else "2", "-m", str(memory), "-display", "none",
               "-monitor", "none", "-serial", "stdio", "-no-reboot", "-kernel", HOME + "/vmlinuz-" + kernel,
               "-initrd", HOME + "/initrd-" + kernel,
               # a TSC that is unstable from the start is no reason to patch sched_clock() once two CPUs run it
               "-append", "console=ttyS0 quiet panic=-1 mitigations=off net.ifnames=0 %sboot=" % ("" if icount else "tsc=unstable ") +
               ("/sbin/init systemd.show_status=0 systemd.default_timeout_start_sec=300" if systemd else "/vm-init"),
               "-drive", "file=%s/root.img,if=virtio,format=raw,snapshot=on" % HOME,
               "-drive", "file=%s,if=virtio,format=raw,readonly=on" % payload]
        for i in range(2):
            cmd += ["-netdev", "hubport,id=n%d,hubid=0" % i, "-device",
                    "virtio-net-pci,netdev=n%d,mac=02:00:00:00:00:0%d,guest_tso4=off,guest_tso6=off,guest_ecn=off,guest_ufo=off" % (i, i)]
        cmd += ["-icount", "shift=0,sleep=off"] if icount else []
        for boot in range(BOOTS):
            if boot:
                warnings.warn("the machine with %s boots again: %s" % (kernel, fault))
            console = _console(cmd, timeout)
            fault = _fault(console)
            if not fault:
                break
    m = re.search(r"%sbegin\n(.*)%send (\d+)" % (MARK, MARK), console, re.S)
    if not m:
        raise RuntimeError("the machine did not run the script%s:\n%s" %
                           (" %d times, which is no verdict on it" % BOOTS if fault else "", console[-4000:]))
    return Result(console, m[1], int(m[2]))


def at_once(job):
    """{kernel: a future of what job(kernel) returns}: a machine keeps little more than one core busy, so both at a time."""
    prepare()
    pool = concurrent.futures.ThreadPoolExecutor()
    return {kernel: pool.submit(job, kernel) for kernel in KERNELS}

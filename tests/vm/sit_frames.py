# SPDX-License-Identifier: GPL-2.0-or-later
"""Frames for every tunnel and both directions: valid by construction, then changed in one field or in several."""
import copy
import random
import struct

from sit_yard import (BEHIND, BR, DOMAIN, EDGE, END, MTU, NATIVE, OFFICE, PROVIDER, RELAY, SITE, TO4, frame, ip4, ip6,
                      sixto4, v4, v6)

TWIN = "2a00:f::8"
V4 = """10.0.0.1 172.16.0.1 192.168.1.1 100.64.0.1 127.0.0.1 0.1.2.3 0.0.0.0 169.254.1.1 224.0.0.1 239.1.2.3 240.0.0.1
255.255.255.255 192.88.99.1 192.88.99.9 192.0.2.1 198.51.100.1 203.0.113.1 198.18.0.1 192.0.0.1 8.0.2.1 8.0.2.2 8.0.2.3
8.0.2.255 8.0.11.1 8.0.11.2 8.0.12.1 8.0.12.2 8.0.13.1 8.0.13.2 8.0.14.1 8.0.9.77 8.0.9.9 8.0.255.255 8.1.0.1 1.1.1.1""".split()


def sixrd(edge, rest=1):
    """RFC 5969 4: a /51 of the domain."""
    return (int.from_bytes(v6(DOMAIN.split("/")[0]), "big") | (int.from_bytes(v4(edge), "big") & 0xFFFF) << 77 | rest).to_bytes(16, "big")


def within_domain(addr):
    return int.from_bytes(addr, "big") >> 93 == int.from_bytes(sixrd("0.0.0.0"), "big") >> 93


V6 = [v6(a) for a in """:: ::1 ::2 ::8.0.11.1 ::ffff:8.0.11.1 ::ffff:0:8.0.11.1 0:1::1 64:ff9b::8.0.11.1 100::1 fe80::1 febf::1
fe80::8.0.2.3 fe80::8.0.13.1 fec0::1 feff::1 fc00::1 fd00::1 ff01::1 ff02::1 ff02::2 ff02::1:ff00:203 ff05::1 ff0e::1
2001:0:800:101::1 2001:db8::1 2a00:f::7 2a00:f::8 2a00:1::1 2a00:abcd::1 2a00:abcd::5efe:8.0.2.1
2a00:abcd::200:5efe:8.0.2.2 2a00:abcd::5efe:8.0.11.1 2a02:5::9 2a02:5:ffff::9 2a02:6::9 2a02:7::9 2a02:7:0:1::9 2a02:9::9
2002:: 3fff::1 4000::1 e000::1""".split()] + \
    [sixto4(a) for a in V4] + [sixto4(a, 0) for a in (TO4, BR, SITE)] + \
    [sixrd(a) for a in (EDGE, "8.0.12.2", BR, TO4, RELAY, "8.0.2.255", "8.0.255.255", "8.0.0.0")] + [sixrd(BR, 0), sixrd(EDGE, 0)]

INSIDE = {"6to4": (SITE, TO4, sixto4(SITE)), "6rd": (EDGE, BR, sixrd(EDGE)), "6in4": (OFFICE, END, v6("2a02:5::9")),
          "6in4 any": (PROVIDER, END, v6("2a02:9::9"))}
DATA = bytes(range(24))
UDP = struct.pack("!HHHH", 7, 9, 8 + len(DATA), 0x1234) + DATA

HEADERS = [  # next header, what comes behind the IPv6 header
    (17, UDP), (6, bytes(20)), (58, b"\x80\0\0\0" + DATA), (58, b"\x81\0\0\0" + DATA), (59, b""), (59, DATA), (50, DATA), (51, DATA),
    (4, DATA), (41, DATA), (135, DATA), (140, DATA), (255, DATA),
    (44, b"\xfd\0\0\x01\0\0\0\x07" + DATA), (44, b"\xfd\0\0\x08\0\0\0\x07" + DATA), (44, b"\x3a\0\0\0\0\0\0\x07\x87\0\0\0" + DATA),
    (44, b"\x2b\0\0\0\0\0\0\x07\xfd\0\0\0\0\0\0\0" + DATA), (44, b"\xfd"),
    (0, b"\xfd\0\x01\x04\0\0\0\0" + DATA), (0, b"\xfd\0\x05\x02\0\0\0\0" + DATA), (0, b"\xfd\0\x1e\x04\0\0\0\0" + DATA),
    (0, b"\xfd\0\x9e\x04\0\0\0\0" + DATA), (0, b"\xfd\0\xde\x04\0\0\0\0" + DATA), (0, b"\xfd\x09\x01\x04\0\0\0\0" + DATA),
    (0, b"\xfd\0\xc2\x04\0\0\0\0" + DATA), (0, b"\xfd"),
    (60, b"\xfd\0\x01\x04\0\0\0\0" + DATA), (60, b"\xfd\0\x9e\x04\0\0\0\0" + DATA), (60, b"\x2b\0\x01\x04\0\0\0\0\xfd\0\0\0\0\0\0\0" + DATA),
    (60, b"\x3a\0\x01\x04\0\0\0\0\x88\0\0\0" + DATA),
    (43, b"\xfd\0\0\0\0\0\0\0" + DATA), (43, b"\xfd\0\0\x01\0\0\0\0" + DATA), (43, b"\xfd\0\x02\x01\0\0\0\0" + DATA),
    (43, b"\xfd\x02\x04\0\0\0\0\0" + DATA), (43, b"\xfd"),
] + [(58, bytes((t, 0, 0, 0)) + DATA) for t in (130, 133, 134, 135, 136, 137, 143, 148, 200)]

OPTIONS = [b"\x01" * 4, b"\0" * 4, b"\x01" * 40, b"\x94\x04\0\0", b"\x44\x08\x09\0\0\0\0\0", b"\x07\x07\x04\0\0\0\0\0", b"\x83\x07\x04\x01\x01\x01\x01\0",
           b"\x83\x07\x08\x01\x01\x01\x01\0", b"\x89\x07\x08\x01\x01\x01\x01\0", b"\x82\x0b" + bytes(10), b"\x86\x04\0\0", b"\x99\x04\0\0", b"\x07\x00\x04\0",
           b"\x07\x63\x04\0"]


class Draft:
    """One frame, or the fragments of one, before it is written out."""

    def __init__(self, kind, entry):
        self.kind, self.entry, self.said = kind, entry, []
        far, near, inside = INSIDE[kind]
        self.o = dict(src=v4(far), dst=v4(near))
        self.i = dict(src=inside, dst=v6(NATIVE), payload=DATA)
        if entry == "v6":
            self.i.update(src=v6(NATIVE), dst=inside)
        self.trailer, self.padding, self.cut, self.split = b"", b"", None, None
        self.twin = None  # the number of the same with a native destination that is no tunnel's

    @property
    def name(self):
        return " ".join([self.kind, "in:" if self.entry == "v4" else "out:"] + self.said)

    def whole(self, serial):
        """The one frame, in which what is divided is not."""
        inner = ip6(serial=serial, **self.i) + self.trailer
        packet = inner if self.entry == "v6" else ip4(payload=inner, ident=serial & 0xFFFF, **self.o)
        return frame(self.entry, packet[:self.cut] + self.padding)[:1514]

    def frames(self, serial):
        if not self.split:
            return [self.whole(serial)]
        inner = ip6(serial=serial, **self.i) + self.trailer
        return [frame("v4", ip4(payload=inner[a:b], ident=serial & 0xFFFF, **self.o, frag=a // 8 | (0 if b >= len(inner) else 0x2000)))
                for a, b in self.split]


def change(draft, part, **fields):
    {"o": draft.o, "i": draft.i}[part].update(fields)
    draft.said += ["%s=%s" % (k, v.hex(":", 2) if isinstance(v, bytes) else v) for k, v in fields.items()]


def change_self(draft, **fields):
    for k, v in fields.items():
        setattr(draft, k, v)
        draft.said.append("%s=%s" % (k, len(v) if isinstance(v, bytes) else v))


def inner_changes(entry):
    """(field, what to do with a draft), whatever carries it."""
    for end in ("src", "dst"):
        for a in V6:
            yield "i." + end, lambda d, end=end, a=a: change(d, "i", **{end: a})
    for value in (0, 4, 5, 7, 15):
        yield "i.version", lambda d, v=value: change(d, "i", version=v)
    for value in (0, 1, 2, 23, 25, 31, 32, 4000, 65535):
        yield "i.plen", lambda d, v=value: change(d, "i", plen=v)
    for value in (0, 1, 2, 3, 63, 128, 255):
        yield "i.hlim", lambda d, v=value: change(d, "i", hlim=v)
    for value in (1, 2, 3, 0xB8, 0xB9, 0xBA, 0xBB, 0xFF):
        yield "i.tc", lambda d, v=value: change(d, "i", tc=v)
    for nh, payload in HEADERS:
        yield "i.nh", lambda d, n=nh, p=payload: change(d, "i", nh=n, payload=p)
    for size in (0, 1, 7, 100, 500, 1239, 1240):
        yield "i.size", lambda d, n=size: change(d, "i", payload=bytes(i & 255 for i in range(n)))
    for size in (-1, 0, 1):
        yield "i.size", lambda d, n=size: change(d, "i", payload=bytes(min(MTU.get(INSIDE[d.kind][0], MTU.get(INSIDE[d.kind][1], 0)), 1480) - 40 + n)
                                                 if d.entry == "v6" else bytes(1439 + n))
    for value in (b"x", b"\xff" * 8, b"\x60" * 60):
        yield "trailer", lambda d, v=value: change_self(d, trailer=v)
        yield "padding", lambda d, v=value: change_self(d, padding=v)


def outer_changes():
    for end in ("src", "dst"):
        for a in V4:
            yield "o." + end, lambda d, end=end, a=a: change(d, "o", **{end: v4(a)})
    for a in V4:  # with an inner source that fits
        yield "o.src", lambda d, a=a: (change(d, "o", src=v4(a)), change(d, "i", src=(sixrd if d.kind == "6rd" else sixto4)(a)))
    for value in (0, 3, 5, 6, 15):
        yield "o.version", lambda d, v=value: change(d, "o", version=v)
    for value in (0, 1, 4, 6, 15):
        yield "o.ihl", lambda d, v=value: change(d, "o", ihl=v)
    for value in OPTIONS:
        yield "o.options", lambda d, v=value: change(d, "o", options=v)
    for value in (1, 2, 3, 0x10, 0xB8, 0xB9, 0xBA, 0xBB, 0xFF):
        yield "o.tos", lambda d, v=value: change(d, "o", tos=v)
        for inner in (1, 2, 3):
            yield "o.tos", lambda d, v=value, i=inner: (change(d, "o", tos=v), change(d, "i", tc=i))
    for value in (0, 19, 20, 21, 40, 59, 60, 61, 83, 85, 92, 65535):
        yield "o.total", lambda d, v=value: change(d, "o", total=v)
    for value in (0x4000, 0x8000, 0xC000, 0x2000, 1, 0x2001, 0x6000, 0x1FFF):
        yield "o.frag", lambda d, v=value: change(d, "o", frag=v)
    for value in (0, 1, 2, 255):
        yield "o.ttl", lambda d, v=value: change(d, "o", ttl=v)
    for value in (0, 4, 6, 17, 47, 58, 103, 132, 253, 255):
        yield "o.proto", lambda d, v=value: change(d, "o", proto=v)
    for value in (0, 1, 0xFFFF):
        yield "o.check", lambda d, v=value: change(d, "o", check=v)
    whole = 40 + len(DATA)
    for split in (((0, 32), (32, whole)), ((32, whole), (0, 32)), ((0, 8), (8, 48), (48, whole)), ((0, 32), (40, whole)),
                  ((0, 40), (32, whole)), ((0, 32), (0, 32), (32, whole)), ((0, 32),), ((32, whole),), ((0, 40), (40, whole)),
                  ((0, 48), (48, whole))):
        yield "split", lambda d, s=split: change_self(d, split=s)


def drafts(seed, n):
    """Every change alone, each truncation, and then, up to n, several changes at a time as the seed has it."""
    ways = [(kind, entry) for kind in INSIDE for entry in ("v4", "v6")]
    made = 0

    def done(d):
        nonlocal made
        made += 1
        return d
    changes = {entry: list(inner_changes(entry)) + (list(outer_changes()) if entry == "v4" else []) for entry in ("v4", "v6")}
    for kind, entry in ways:
        yield done(Draft(kind, entry))
        for _, do in changes[entry]:
            d = Draft(kind, entry)
            do(d)
            yield done(d)
    for entry in ("v4", "v6"):
        whole = (60 if entry == "v4" else 40) + len(DATA)
        for cut in range(whole):
            d = Draft("6to4", entry)
            change_self(d, cut=cut)
            yield done(d)
            if entry == "v4" and cut >= 20:  # the outer length says the same
                d = Draft("6rd", entry)
                change(d, "o", total=cut)
                change_self(d, cut=cut)
                yield done(d)
    rng = random.Random(seed)
    while made < n:
        kind, entry = rng.choice(ways)
        d, fields = Draft(kind, entry), set()
        by_field = {}
        for field, do in changes[entry]:
            by_field.setdefault(field, []).append(do)
        for field in rng.sample(sorted(by_field), rng.choice((2, 2, 2, 3, 4))):
            if field == "split" and d.o.keys() & {"frag", "total"}:
                continue
            rng.choice(by_field[field])(d)
            fields.add(field)
        if d.split and d.o.keys() & {"frag", "total"}:
            d.split = None
        yield done(d)


def cases(seed, n):
    """{number: draft}, and what is fed: (number, side, frame)…"""
    by_number = dict(enumerate(drafts(seed, n), 1))
    for d in list(by_number.values()):
        if d.entry == "v6" and int.from_bytes(d.i["dst"], "big") >> 32 == 0 or d.kind == "6rd" and within_domain(d.i["dst"]):
            twin = copy.deepcopy(d)
            change(twin, "i", dst=v6(TWIN))
            d.twin = len(by_number) + 1
            by_number[d.twin] = twin
    return by_number, [(number, d.entry, f) for number, d in by_number.items() for f in d.frames(number)]

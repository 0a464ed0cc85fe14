# SPDX-License-Identifier: GPL-2.0-or-later
"""The bench's figures for people: a table, and a picture for the README."""
from html import escape


def speed_rows(out):
    """(name, way, figures) in the order of the file."""
    for key, ways in out.get("speed", {}).items():
        clients, inner, mode = key.split(",")
        name = "%s clients, %s bytes%s" % (format(int(clients), ","), inner, "" if mode == "native" else ", " + mode)
        for way, f in ways.items():
            yield name, way, f


def ratio_to_miredo(out, way):
    """Packets a second on one core, XDP's to Miredo's."""
    miredo = out.get("slow", {}).get("Miredo, one core", {}).get(way)
    xdp = out.get("speed", {}).get("1000,64,native", {}).get(way)
    return 1e9 / xdp["relay"]["min"] / max(miredo) if miredo and xdp else None


def table(out):
    m = out["machine"]
    lines = ["navalis %s, %s, Linux %s, %s" % (m["commit"], m["cpu"], m["kernel"], m["date"])]

    def add(*cells):
        lines.append("".join("%-36s" % c if i == 0 else "%12s" % c for i, c in enumerate(cells)).rstrip())

    if "speed" in out:
        lines += ["", "ns a packet with all on one core; each cell lowest / median / highest of its rounds"]
        lines.append("%-36s%18s%18s%8s%8s" % ("", "bare redirect", "relay", "lowest", "median"))
        for name, way, f in speed_rows(out):
            cell = {w: "%.0f/%.0f/%.0f" % tuple(f[w][k] for k in ("min", "median", "max")) for w in ("floor", "relay")}
            lines.append("%-36s%18s%18s%8s%8s" % (name + ", " + way, cell["floor"], cell["relay"], "%.2f x" % f["ratio"],
                                                 "%.2f x" % (f["relay"]["median"] / f["floor"]["median"])))
    if "slow" in out:
        lines += ["", "packets a second without XDP: best of the rounds (the others)"]
        for who, ways in out["slow"].items():
            for way, rates in ways.items():
                add("%s, %s" % (who, way), format(round(max(rates)), ","), " (%s)" % ", ".join(
                    format(round(r), ",") for r in sorted(rates)[:-1]))
        for way in ("decap", "encap"):
            if ratio_to_miredo(out, way):
                ours, its = (max(out["slow"][w + ", one core"][way]) for w in ("navalisd alone", "Miredo"))
                add("to Miredo's, one core, " + way, "XDP %.1f x" % ratio_to_miredo(out, way), "alone %.2f x" % (ours / its))
    if "server" in out:
        answers = out["server"]["answers"]
        lines += ["", "solicitations answered a second: best of the rounds (the others)"]
        for who, rates in answers.items():
            add(who, format(round(max(rates)), ","), " (%s)" % ", ".join(format(round(r), ",") for r in sorted(rates)[:-1]))
        for where in ("one core", "own core"):
            if its := answers.get("miredo-server, " + where):
                add("to miredo-server's, " + where, *(" %s %.1f x" % (who, max(answers["%s, %s" % (who, where)]) / max(its))
                                                      for who in ("XDP", "navalisd alone") if "%s, %s" % (who, where) in answers))
        add("to the daemon beside XDP", out["server"]["to_daemon"])
    if "scale" in out:
        lines.append("")
        add("scale", *(format(int(n), ",") for n in out["scale"]))
        for key, name, form in (("insert_ns", "insert, ns", "%.0f"), ("beside_percent", "beside their home, %", "%.1f"),
                                ("far_percent", "in their far bucket, %", "%.1f"),
                                ("restart_s", "restart until ready, s", "%.2f"), ("dump_s", "clients --json, s", "%.1f"),
                                ("dump_kb", "its own memory, kB", "%d"), ("expiry_s", "expiry of all at once, s", "%.1f"),
                                ("hold_ms", "longest hold of the loop meanwhile, ms", "%.1f"),
                                ("maps_mb", "maps, MB", "%.1f"), ("daemon_mb", "navalisd without them, MB", "%.1f")):
            add(name, *(form % s[key] for s in out["scale"].values()))
        add("both, bytes a client", *("%.0f" % ((s["maps_mb"] + s["daemon_mb"]) * 1e6 / int(n)) for n, s in out["scale"].items()))
    if "punch" in out:
        p = out["punch"]
        lines.append("")
        add("hole punches a second", "%d" % p["a_second"])
        add("at %d a second" % p["at"], "lost %.2f %%" % (100 * p["lost"]),
            *("p%s %.0f us" % (k, v) for k, v in p["first_us"].items()))
    if "flood" in out:
        lines += ["", "proven clients beside unproven traffic"]
        for name in ("idle", "flood"):
            f = out["flood"][name]
            for way in ("decap", "encap"):
                add("%s, %d packets/s in all, %s" % (name, f["a_second"], way), "lost %.3f %%" % (100 * f[way]["lost"]),
                    *("p%s %.0f us" % (p, d) for p, d in f[way]["delay_us"].items()))
    if "instructions_table" in out:
        lines += ["", out["instructions_table"]]
    return "\n".join(lines) + "\n"


BAR, GAP, LEFT, WIDTH = 16, 6, 250, 860


def picture(out):
    """Bars: nanoseconds a packet, the floor beside the relay; and packets a second beside Miredo's."""
    parts, y = [], 30

    def text(x, at, what, anchor="start", size=13, weight="normal"):
        parts.append('<text x="%d" y="%d" font-size="%d" text-anchor="%s" font-weight="%s">%s</text>' % (
            x, at, size, anchor, weight, escape(what)))

    def bar(at, value, most, colour, label):
        width = max(1, round((WIDTH - LEFT - 150) * value / most))
        parts.append('<rect x="%d" y="%d" width="%d" height="%d" fill="%s"/>' % (LEFT, at, width, BAR, colour))
        text(LEFT + width + 6, at + BAR - 3, label)

    rows = list(speed_rows(out))
    if rows:
        text(10, y, "Nanoseconds a packet, generator, relay and sink on one core (lowest of the rounds)", weight="bold")
        y += 14
        most = max(f["relay"]["min"] for _, _, f in rows)
        for name, way, f in rows:
            text(LEFT - 8, y + BAR + 4, "%s, %s" % (name, way), "end", 12)
            bar(y, f["floor"]["min"], most, "#b8b8b8", "%.0f bare redirect" % f["floor"]["min"])
            bar(y + BAR, f["relay"]["min"], most, "#2b6cb0", "%.0f navalis, %.2f ×" % (f["relay"]["min"], f["ratio"]))
            y += 2 * BAR + GAP
        y += 26
    rates = [(who, way, max(r)) for who, ways in out.get("slow", {}).items() if "one core" in who for way, r in ways.items()]
    if rates and rows:
        text(10, y, "Packets a second on one core, 1,000 clients, 64 bytes", weight="bold")
        y += 14
        first = out["speed"]["1000,64,native"]
        rates = [("navalis, XDP", way, 1e9 / first[way]["relay"]["min"]) for way in first] + rates
        most = max(r for _, _, r in rates)
        for who, way, rate in sorted(rates, key=lambda r: r[1]):
            text(LEFT - 8, y + BAR - 3, "%s, %s" % (who.split(",")[0] if "XDP" not in who else who, way), "end", 12)
            bar(y, rate, most, "#2b6cb0" if "XDP" in who else "#b8b8b8", format(round(rate), ","))
            y += BAR + GAP
        y += 10
    m = out["machine"]
    text(10, y + 14, "%s, Linux %s, %s" % (m["cpu"], m["kernel"], m["date"]), size=11)
    return ('<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" fill="#222">'
            '<rect width="100%%" height="100%%" fill="#fff"/>%s</svg>\n') % (WIDTH, y + 30, "".join(parts))

# SPDX-License-Identifier: GPL-2.0
"""The charts, as SVG: bars, histograms, and a timeline; each with its numbers as text."""
import math
from collections import namedtuple
from html import escape

MECHANISMS = {"hardirq": "hard IRQ", "threaded-mutex": "stock threaded", "lazy": "lazy",
              "lazy-ithread": "lazy, ithread"}
STOCK = "threaded-mutex"
KINDS = {"lazy": "lazy: done in the lazy path", "blocked": "lazy: blocked and resumed",
         "deferred": "lazy: deferred", "held": "lazy: held back", "threaded": "stock threaded",
         "wait": "lazy: of the blocked ones, from block to going on"}
UNIT = "instructions"
# For light and dark backgrounds: colours that the colour-blind can tell apart (Okabe and Ito), lighter for dark.
LIGHT = {"bg": "#ffffff", "ink": "#1f2328", "muted": "#57606a", "grid": "#d5dae0", "hardirq": "#868d96",
         "threaded-mutex": "#d55e00", "lazy": "#0072b2", "lazy-ithread": "#56b4e9", "none": "#b9c0c8"}
DARK = {"bg": "#14181d", "ink": "#e3e8ee", "muted": "#9da7b2", "grid": "#363d46", "hardirq": "#8d96a0",
        "threaded-mutex": "#e8803a", "lazy": "#4a9fdc", "lazy-ithread": "#a3d6f6", "none": "#5c6570"}

# The colours are put in place of their names; not as CSS variables, which not all SVG viewers know.
CHART_STYLE = """
svg text{font:13px system-ui,-apple-system,'Segoe UI','DejaVu Sans',sans-serif;fill:$ink;}
svg text.t{font-weight:600;font-size:15px}svg text.h,svg .b{font-weight:600}svg text.s{font-size:12px}
svg text.m,svg .m{fill:$muted;font-size:12px}svg text.top{font-weight:600;font-size:19px}
svg .n{font-variant-numeric:tabular-nums}svg .g{stroke:$grid;}svg .mark{stroke:$muted;stroke-width:.8}
svg .lane{fill:$grid;opacity:.3}svg .bg{fill:$bg;stroke:$grid;}
svg .blocked{stroke:$lazy;stroke-width:2.5;stroke-dasharray:2 5;stroke-linecap:round}
svg .k-thread{fill:$none;}svg .k-handler{fill:$lazy;}svg .k-kernel{fill:$lazy;fill-opacity:.15;stroke:$lazy;}
"""


Panel = namedtuple("Panel", "title desc width height body")


def num(value):
    return f"{value:,}"


def text(x, y, what, cls="", anchor="start"):
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{cls}" text-anchor="{anchor}">{escape(what)}</text>'


def rect(x, y, width, height, cls):
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" class="{cls}"/>'


def line(x1, y1, x2, y2, cls="g"):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{cls}"/>'


def short(value, letters=("k", "M", "G"), base=1000):
    """1000 -> 1k, for axes; with base 1024 for powers of two."""
    for power, letter in reversed(list(enumerate(letters, 1))):
        if value >= base ** power:
            return f"{value // base ** power}{letter}"
    return str(value)


def bar_panel(title, groups, ratio=False, log=False):
    """Groups of bars, or of dots on a logarithmic axis: (heading, [(label, colour, value)])."""
    left, right, width, y = 140, 350 if ratio else 400, 480, 24
    values = [value for _, rows in groups for _, _, value in rows]
    top = max(values + [1])
    low, high = len(str(max(min(values), 1))) - 1, len(str(top))
    out, desc = [text(0, 15, title, "t")], []

    def place(value):
        if log:
            return (right - left) * (math.log10(max(value, 1)) - low) / (high - low)
        return (right - left) * value / top

    for heading, rows in groups:
        y += 22
        out.append(text(0, y - 6, heading, "h"))
        base = next((value for _, colour, value in rows if colour == STOCK), None)
        if ratio:
            out.append(text(width - 2, y - 6, "× stock", "m", "end"))
        for label, colour, value in rows:
            out.append(text(left - 8, y + 14, label, "", "end"))
            if log:
                out += [line(left, y + 10, right, y + 10),
                        f'<circle cx="{left + place(value):.1f}" cy="{y + 10}" r="5.5" class="c-{colour}"/>']
            else:
                out.append(rect(left, y + 3, max(place(value), 1), 14, f"c-{colour}"))
            x = width - 2 if log else left + place(value) + 6
            out.append(text(x, y + 14, num(value), "n", "end" if log else "start"))
            if ratio and base:
                out.append(text(width - 2, y + 14, f"{value / base:.2f}", "n", "end"))
            desc.append(f"{heading}, {label}: {num(value)}")
            y += 21
        if not log:
            out.append(line(left, y - 21 * len(rows), left, y))
        y += 6
    if log:
        for decade in range(low, high + 1):
            x = left + (right - left) * (decade - low) / (high - low)
            out.append(text(x, y + 10, short(10 ** decade), "m", "middle"))
            out.append(line(x, y - 7, x, y - 2))
        out.append(line(left, y - 7, right, y - 7))
        y += 14
    return Panel(title, f"{'; '.join(desc)} {UNIT}.", width, y + 2, "".join(out))


def exponents(rows):
    """The powers of two from which on, and below which, all of them are."""
    found = [max(start, 1).bit_length() - 1 for row in rows for start, _, count in row["buckets"] if count]
    return min(found), max(found) + 1


def histogram_panel(title, rows, resumed, axis):
    """A row of bars for each kind, on one axis of powers of two; resumed: the colour of who was resumed."""
    low, high = axis
    margin, tall, y = 20, 64, 24
    width = max((high - low) * 36 + 2 * margin, 480)
    step = (width - 2 * margin) / (high - low)
    out, desc = [text(0, 15, title, "t")], []
    for row in rows:
        name = KINDS.get(row["kind"], row["kind"])
        colour = STOCK if row["mechanism"] == "stock" else "lazy" if row["kind"] == "lazy" else resumed
        most = max((count for *_, count in row["buckets"]), default=1)
        y += 26
        out += [text(0, y - 7, name, "h"), text(width - 2, y - 7, f"{num(row['count'])} times", "m", "end")]
        y += 16 + tall
        for start, to, count in row["buckets"]:
            if count:
                x = margin + (max(start, 1).bit_length() - 1 - low) * step
                bar = max(tall * count / most, 2)
                out += [rect(x + 1.5, y - bar, step - 3, bar, f"c-{colour}"),
                        text(x + step / 2, y - bar - 4, num(count), "n s", "middle")]
                desc.append(f"{name}: {num(count)} from {num(start)} to below {num(to)}")
        out.append(line(margin, y, width - margin, y))
        y += 6
    for exponent in range(low, high + 1):
        x = margin + (exponent - low) * step
        out.append(line(x, y - 6, x, y - 1))
        # There is no room for every label.
        if (exponent - low) % 2 == 0:
            out.append(text(x, y + 11, short(1 << exponent, (" Ki", " Mi", " Gi"), 1024), "m", "middle"))
    out.append(text(width / 2, y + 29, f"{UNIT} (Ki: 1,024; Mi: 1,024 Ki)", "m", "middle"))
    return Panel(title, f"{'; '.join(desc)} {UNIT}.", width, y + 36, "".join(out))


def flags(events, place):
    """The row of each event's label, right of its line, so that no line runs through a label of another."""
    ends, rows = [], []
    for event in events:
        x = place(event.at)
        row = max((r + 1 for r, end in enumerate(ends) if end > x - 4), default=0)
        ends += [0] * (row + 1 - len(ends))
        ends[row] = x + 7.2 * len(f"{event.label} {num(event.at)}") + 4
        rows.append(row)
    return rows, len(ends)


def timeline_panel(title, trace, span):
    """span: up to where the axis goes, the same for all so that they can be compared."""
    # Right of the axis there is room for the label of its last event.
    left, right, width, lead = 160, 845, 960, span / 25
    lanes = ["interrupted thread", "hard IRQ (lazy path)", "interrupt thread"]

    def place(at):
        return left + (at + lead) * (right - left) / (span + 2 * lead)

    rows, count = flags(trace.events, place)
    out, top = [text(0, 15, title, "t")], 30 + 17 * count
    bottom = top + 36 * len(lanes)
    for number, lane in enumerate(lanes):
        y = top + 36 * number
        out += [text(0, y + 22, lane, "h"), rect(left, y + 4, right - left, 28, "lane")]
    if not trace.in_ithread:
        out[1] = text(0, top + 16, "interrupted thread,", "h") + text(0, top + 31, "then releaser", "h")
    for lane, start, end, kind in trace.bars(lead):
        x, y, long = place(start), top + 36 * lane + 6, place(end) - place(start)
        if kind == "blocked":
            out.append(line(x, y + 12, x + long, y + 12, "blocked"))
        else:
            out.append(rect(x, y, long, 24, f"k-{kind}"))
    for event, row in zip(trace.events, rows):
        x, y = place(event.at), 42 + 17 * row
        out.append(f'{line(x, y - 10, x, bottom, "mark")}<text x="{x + 4:.1f}" y="{y}"><tspan class="b">{event.label}'
                   f'</tspan><tspan class="m n" dx="4">{num(event.at)}</tspan></text>')
    step = next(step for e in range(20) for step in (10 ** e, 2 * 10 ** e, 5 * 10 ** e) if span / step <= 9)
    for at in range(0, span + 1, step):
        out += [line(place(at), bottom, place(at), bottom + 5), text(place(at), bottom + 18, num(at), "m", "middle")]
    out += [line(left, bottom, right, bottom), text(left, bottom + 36, f"{UNIT} since irq_handler_entry", "m")]
    x, bottom = left, bottom + 22
    for kind, what in (("thread", "the thread runs"), ("handler", "the handler runs"),
                       ("kernel", "entry and exit"), ("blocked", "the handler is blocked")):
        out.append(line(x, bottom + 38, x + 22, bottom + 38, "blocked") if kind == "blocked"
                   else rect(x, bottom + 32, 22, 12, f"k-{kind}"))
        out.append(text(x + 28, bottom + 43, what, "m"))
        x += 54 + 7 * len(what)
    desc = "; ".join(f"{event.label} at {num(event.at)}" for event in trace.events)
    return Panel(title, f"{desc} {UNIT} since the interrupt.", width, bottom + 52, "".join(out))


def coloured(style, colours):
    for name, colour in colours.items():
        style = style.replace(f"${name};", f"{colour};")
    return style + "".join(f"svg .c-{name}{{fill:{colours[name]}}}.key .c-{name}{{background:{colours[name]}}}"
                           for name in (*MECHANISMS, "none"))


def stand_alone(title, panels, columns=2):
    """One picture of several panels, with a background of its own."""
    pad, gap = 20, 44
    width = 2 * pad + columns * max(p.width for p in panels) + (columns - 1) * gap
    out, y = [text(pad, 36, title, "top")], 54
    for start in range(0, len(panels), columns):
        row = panels[start:start + columns]
        for number, panel in enumerate(row):
            x = pad + number * (max(p.width for p in panels) + gap)
            out.append(f'<g transform="translate({x} {y})">{panel.body}</g>')
        y += max(p.height for p in row) + 16
    desc = " ".join(f"{panel.title}: {panel.desc}" for panel in panels)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {y}" width="{width}" height="{y}" '
            f'role="img" aria-labelledby="title desc"><title id="title">{escape(title)}</title>'
            f'<desc id="desc">{escape(desc)}</desc><style>{coloured(CHART_STYLE, LIGHT)}</style>'
            f'<rect class="bg" x=".5" y=".5" width="{width - 1}" height="{y - 1}" rx="6"/>{"".join(out)}</svg>\n')

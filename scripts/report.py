#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Turns what "guest-run.sh report" prints into report.html and stand-alone pictures.

usage: report.py INPUT OUTPUT_DIR

INPUT has sections, each after a line "report-section NAME". All of it is read and drawn before
anything is written. Exit status: 1 if something is missing or cannot be read, 2 for wrong usage.
"""
import json
import math
import re
import sys
from collections import namedtuple
from dataclasses import dataclass
from html import escape
from pathlib import Path

POLICIES = {"releaser": "resume=releaser", "ithread": "resume=ithread"}
NEEDED = ["figures"] + [f"{what}-{policy}" for what in ("histograms", "compare", "trace")
                        for policy in POLICIES] + ["end"]
LINES = {"msi": "MSI", "intx": "INTx"}
MECHANISMS = {"hardirq": "hard IRQ", "threaded-mutex": "stock threaded", "lazy": "lazy",
              "lazy-ithread": "lazy, ithread"}
STOCK = "threaded-mutex"
LOCKS = {  # name in the figures: (label, whose colour)
    "no-lock": ("no lock", "none"), "irqsave-spinlock": ("irqsave spinlock", "hardirq"),
    "SpinLockIrq": ("SpinLockIrq", "hardirq"), "mutex": ("mutex", STOCK),
    "rt_mutex": ("rt_mutex", STOCK), "lazy-mutex": ("lazy Mutex", "lazy"),
    "lazy-write": ("lazy RwLock, write", "lazy"), "lazy-read": ("lazy RwLock, read", "lazy")}
KINDS = {"lazy": "lazy: done in the lazy path", "blocked": "lazy: blocked and resumed",
         "deferred": "lazy: deferred", "held": "lazy: held back", "threaded": "stock threaded",
         "wait": "lazy: of the blocked ones, from block to going on"}
COUNTERS = ("interrupts lazy blocked deferred held remembered refused threaded resumed lent switches "
            "latency_mean_ns latency_p50_ns latency_p99_ns latency_max_ns memory continuation").split()
UNIT = "instructions"
LOG = "the run was cut off or failed, look at its log"
# For light and dark; colours that the colour-blind can tell apart (Okabe and Ito), dark ones lighter.
LIGHT = {"bg": "#ffffff", "ink": "#1f2328", "muted": "#57606a", "grid": "#d5dae0", "hardirq": "#868d96",
         "threaded-mutex": "#d55e00", "lazy": "#0072b2", "lazy-ithread": "#56b4e9", "none": "#b9c0c8"}
DARK = {"bg": "#14181d", "ink": "#e3e8ee", "muted": "#9da7b2", "grid": "#363d46", "hardirq": "#8d96a0",
        "threaded-mutex": "#e8803a", "lazy": "#4a9fdc", "lazy-ithread": "#a3d6f6", "none": "#5c6570"}


class Bad(Exception):
    """INPUT is not what it should be."""


def bad(section, number, what):
    return Bad(f"section {section}, line {number}: {what}; {LOG}")


# Reading

def read_sections(text):
    """Section name -> its lines, as (line number, text)."""
    sections, name, number = {}, None, 0
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("report-section "):
            name = line.removeprefix("report-section ").strip()
            if name in sections:
                raise bad(name, number, "the section is there twice")
            sections[name] = []
        elif name not in (None, "end") and line.strip():
            sections[name].append((number, line.rstrip()))
    missing = [needed for needed in NEEDED if needed not in sections]
    if missing:
        where = f"in section {name}" if name else "before any section"
        raise Bad(f"no section {', '.join(missing)}; the input ends in line {number}, {where}; {LOG}")
    for name in NEEDED[:-1]:
        if not sections[name]:
            raise Bad(f"section {name} is empty; {LOG}")
    return sections


Figure = namedtuple("Figure", "min p50 max rounds")


class Figures:
    PATTERN = re.compile(r"(\S+) (\S+) (\S+) (\S+) min (\d+) p50 (\d+) max (\d+) rounds (\d+)")

    def __init__(self, lines):
        self.all = {}
        for number, line in lines:
            match = self.PATTERN.fullmatch(line)
            if not match:
                raise bad("figures", number, f"not a figure: {line!r}")
            if match.groups()[:4] in self.all:
                raise bad("figures", number, "the figure is there twice")
            self.all[match.groups()[:4]] = Figure(*map(int, match.groups()[4:]))

    def get(self, *key):
        if key not in self.all:
            raise Bad(f"section figures: no line {' '.join(key)!r}; {LOG}")
        return self.all[key]

    def of_case(self, case):
        """Lock name -> figure, in the order of the run."""
        found = {key[0]: figure for key, figure in self.all.items() if key[2] == case}
        if not found:
            raise Bad(f"section figures: no line with {case!r}; {LOG}")
        return found


def read_json(section, lines, check):
    """An object a line; check() trips over what is not as it should be."""
    objects = []
    for number, line in lines:
        try:
            objects.append(json.loads(line))
            check(objects[-1])
        except (ValueError, TypeError, KeyError) as error:
            raise bad(section, number, f"cannot be read ({type(error).__name__}: {error})") from error
    return objects


def check_histogram(row):
    check_types(str, row["name"], row["kind"], row["mechanism"])
    check_types(int, *(row[key] for key in ("count", "min_ns", "p50_ns", "p99_ns", "max_ns")))
    check_types(int, *(part for start, to, count in row["buckets"] for part in (start, to, count)))


def check_compare(row):
    check_types(str, row["name"])
    check_types(int, *(row[side][key] for side in ("lazy", "stock") for key in COUNTERS))


def check_types(wanted, *values):
    for value in values:
        if type(value) is not wanted:
            raise ValueError(f"{value!r} is no {wanted.__name__}")


@dataclass
class Event:
    at: int
    name: str
    task: str
    pid: str
    fields: dict
    label: str = ""
    meaning: str = ""


class Trace:
    """One blocked interrupt: its events, from its irq_handler_entry on, which is at 0."""
    PATTERN = re.compile(r"\s*(.+)-(\d+)\s+\[\d+\]\s+\S+\s+(\d+): (\w+): (.*)")
    STEPS = {  # event: (the field that says whose it is, label, meaning)
        "irq_handler_entry": ("irq", "interrupt", "hard IRQ: the thread is interrupted"),
        "entry": ("irq", "entry", "the handler starts in the lazy path"),
        "block": ("irq", "block", "the lock is held: the handler blocks"),
        "irq_handler_exit": ("irq", "irq exit", "the interrupted thread goes on"),
        "hand_over": ("id", "hand_over", "the thread releases the lock, which goes to the handler"),
        "resume": ("irq", "resume", "the handler goes on"),
        "done": ("irq", "done", "the handler is done")}
    SWITCHES = {  # the ithread's
        "wake": ("sched_waking", "pid", "wake-up", "the interrupt thread is woken"),
        "switch": ("sched_switch", "next_pid", "switch", "the CPU goes to the interrupt thread"),
        "back": ("sched_switch", "prev_pid", "switch back", "the CPU goes back to the interrupted thread")}

    def __init__(self, section, lines):
        self.section = section
        events = [self.event(*line) for line in lines if not line[1].lstrip().startswith("#")]
        irq = self.first(events, "block").fields.get("irq")
        found, rest = {}, events
        for name, (field, *_) in self.STEPS.items():
            found[name] = self.first(rest, name, field, irq)
            rest = rest[rest.index(found[name]) + 1:]
        self.in_ithread = found["resume"].fields.get("by") == "ithread"
        if self.in_ithread:
            # A thread's name may have blanks in it, its pid has not.
            rest = events[events.index(found["hand_over"]):]
            for key, (name, field, *_) in self.SWITCHES.items():
                found[key] = self.first(rest, name, field, found["resume"].pid)
        start = found["irq_handler_entry"].at
        for key, event in found.items():
            event.at -= start
            event.label, event.meaning = (self.STEPS.get(key) or self.SWITCHES[key])[-2:]
        self.events = sorted(found.values(), key=lambda event: event.at)
        self.at = {key: event.at for key, event in found.items()}
        self.end = self.events[-1].at

    def event(self, number, line):
        match = self.PATTERN.fullmatch(line)
        if not match:
            raise bad(self.section, number, f"not an event: {line!r}")
        task, pid, at, name, rest = match.groups()
        return Event(int(at), name, task.strip(), pid, dict(re.findall(r"(\w+)=(\S+)", rest)))

    def first(self, events, name, field="", value=None):
        for event in events:
            if event.name == name and event.fields.get(field) == value:
                return event
        raise Bad(f"section {self.section}: no {name} where it should be, so the trace is not of one "
                  f"blocked interrupt; {LOG}")

    def bars(self, lead):
        """Who runs when: (lane, from, to, kind)."""
        at = self.at
        yield 0, -lead, 0, "thread"
        yield 1, 0, at["entry"], "kernel"
        yield 1, at["entry"], at["block"], "handler"
        yield 1, at["block"], at["irq_handler_exit"], "kernel"
        yield 1, at["irq_handler_exit"], at["resume"], "blocked"
        yield 0, at["irq_handler_exit"], at["switch" if self.in_ithread else "resume"], "thread"
        yield 2 if self.in_ithread else 0, at["resume"], at["done"], "handler"
        if self.in_ithread:
            yield 2, at["switch"], at["resume"], "kernel"
            yield 2, at["done"], at["back"], "kernel"
        yield 0, self.end, self.end + lead, "thread"


# Drawing

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


# Output

# The colours come in place of their names; not as CSS variables, which not all that shows SVG knows.
CHART_STYLE = """
svg text{font:13px system-ui,-apple-system,'Segoe UI','DejaVu Sans',sans-serif;fill:$ink;}
svg text.t{font-weight:600;font-size:15px}svg text.h,svg .b{font-weight:600}svg text.s{font-size:12px}
svg text.m,svg .m{fill:$muted;font-size:12px}svg text.top{font-weight:600;font-size:19px}
svg .n{font-variant-numeric:tabular-nums}svg .g{stroke:$grid;}svg .mark{stroke:$muted;stroke-width:.8}
svg .lane{fill:$grid;opacity:.3}svg .bg{fill:$bg;stroke:$grid;}
svg .blocked{stroke:$lazy;stroke-width:2.5;stroke-dasharray:2 5;stroke-linecap:round}
svg .k-thread{fill:$none;}svg .k-handler{fill:$lazy;}svg .k-kernel{fill:$lazy;fill-opacity:.15;stroke:$lazy;}
"""
PAGE_COLOURS = "body{background:$bg;color:$ink;}th,td,h2{border-color:$grid;}.note{color:$muted;}"
PAGE_STYLE = """
body{font:16px/1.5 system-ui,-apple-system,'Segoe UI','DejaVu Sans',sans-serif;margin:0}
main{max-width:1040px;margin:auto;padding:16px 20px 48px}p,ul{max-width:46em}h1{font-size:1.7em;margin:.5em 0}
h2{font-size:1.25em;margin:2em 0 .6em;padding-top:.6em;border-top:1px solid}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,430px),1fr));gap:24px 40px;margin:20px 0}
.charts.wide{grid-template-columns:minmax(0,1fr)}.charts svg{display:block;width:100%;max-width:520px}
.charts.wide svg{max-width:none;min-width:760px}.scroll{overflow-x:auto}
table{border-collapse:collapse;font-size:.875em;margin:0 0 16px}.note{font-size:.875em;margin:24px 0 4px}
th,td{text-align:left;padding:3px 18px 3px 0;border-bottom:1px solid;vertical-align:top}th{vertical-align:bottom}
td{white-space:nowrap}td.long{white-space:normal;min-width:16em}.n{font-variant-numeric:tabular-nums}
th.n,td.n{text-align:right}ul.key{list-style:none;padding:0}
.key i{display:inline-block;width:.8em;height:.8em;margin-right:.5em;print-color-adjust:exact}
"""
PAGE_MEDIA = """
@media(max-width:600px){td:nth-child(2):not(.n){white-space:normal;min-width:9em}
th,td{padding-right:10px}table{font-size:.8em}}
@media print{body{font-size:11pt}main{max-width:none;padding:0}.scroll{overflow:visible}td{white-space:normal}
.charts.wide svg{min-width:0}h2,.note{break-after:avoid}svg,tr{break-inside:avoid}}
"""


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


class Page:
    """HTML, piece by piece."""

    def __init__(self):
        self.parts, self.ids = [], 0

    def add(self, tag, what):
        self.parts.append(f"<{tag}>{escape(what)}</{tag}>")

    def section(self, title, what):
        self.add("h2", title)
        self.add("p", what)

    def charts(self, panels, wide=False):
        self.parts.append(f'<div class="charts{" wide" if wide else ""}">')
        for panel in panels:
            self.ids += 1
            i = self.ids
            self.parts.append(f'<div class="scroll"><svg viewBox="0 0 {panel.width} {panel.height}" role="img" '
                              f'aria-labelledby="t{i} d{i}"><title id="t{i}">{escape(panel.title)}</title>'
                              f'<desc id="d{i}">{escape(panel.desc)}</desc>{panel.body}</svg></div>')
        self.parts.append("</div>")

    def table(self, caption, head, rows):
        """Whole numbers, and what has none (None), are to the right; text is to the left."""
        def cell(value):
            if isinstance(value, str):
                return f"<td{' class=long' if len(value) > 40 else ''}>{escape(value)}</td>"
            shown = "–" if value is None else num(value) if isinstance(value, int) else f"{value:,.2f}"
            return f'<td class="n">{shown}</td>'

        numeric = [not all(isinstance(row[i], str) for row in rows) for i in range(len(head))]
        heads = "".join(f'<th scope="col"{" class=n" if right else ""}>{escape(name)}</th>'
                        for name, right in zip(head, numeric))
        body = "".join(f"<tr>{''.join(map(cell, row))}</tr>" for row in rows)
        self.ids += 1
        self.parts.append(f'<p class="note" id="c{self.ids}">{escape(caption)}</p>'
                          f'<div class="scroll" tabindex="0" role="region" aria-labelledby="c{self.ids}">'
                          f'<table aria-labelledby="c{self.ids}"><thead><tr>{heads}</tr></thead>'
                          f"<tbody>{body}</tbody></table></div>")

    def html(self):
        return ('<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
                '<meta name="viewport" content="width=device-width, initial-scale=1">'
                '<meta name="color-scheme" content="light dark"><title>lazyirq: a run, measured</title>'
                f"<style>{page_style()}</style></head><body><main>{chr(10).join(self.parts)}</main></body></html>\n")


def page_style():
    light, dark = (coloured(PAGE_COLOURS + CHART_STYLE, colours) for colours in (LIGHT, DARK))
    return f"{PAGE_STYLE}{light}@media screen and (prefers-color-scheme:dark){{{dark}}}{PAGE_MEDIA}"


# Sections

def introduction(page, rounds):
    page.add("h1", "lazyirq: a run, measured")
    page.add("p", "A lazyirq handler first runs lazily: at once, in hard-IRQ context, on the context of whatever was "
             "interrupted. If it meets a held lock it blocks: its state is kept and the interrupted task goes on at "
             "once. When the lock is released the handler goes on where it stopped. These are compared:")
    what = {"hardirq": "a plain hard-IRQ handler under an irqsave spinlock",
            STOCK: "Linux's stock threaded interrupts, with a mutex",
            "lazy": "lazyirq, resume=releaser (the default): the thread that releases the lock runs the handler",
            "lazy-ithread": "lazyirq, resume=ithread: a high-priority per-CPU interrupt thread, the ithread, runs it"}
    items = [f'<li><i class="c-{key}"></i><b>{MECHANISMS[key]}</b>: {escape(what[key])}</li>' for key in MECHANISMS]
    page.parts.append(f'<ul class="key">{"".join(items)}</ul>')
    page.add("p", f"The unit is {UNIT}, everywhere. The machine is emulated, with one CPU, and its clock counts: 1 ns "
             "of its time is 1 instruction, so 1 ms is 1,000,000. Charts show the minimum of the rounds (up to "
             f"{num(rounds)}), which is what the code itself takes; p50 (the median) and max, in the tables, also have "
             "what else ran meanwhile. The handler is short: it acknowledges, counts under a lock, and is done.")
    page.add("p", "What a count of instructions does not see: cache misses, what an atomic instruction or a pipeline "
             "flush costs, and what several CPUs do to each other.")


def comparison(page, figures, case, points, mechanisms):
    """Bars, and the same in a table, for the mechanisms on MSI and INTx."""
    panels, rows = [], []
    for key, name in LINES.items():
        groups = []
        for point, what in points.items():
            found = {m: figures.get(m, key, case, point) for m in mechanisms}
            groups.append((what, [(MECHANISMS[m], m, figure.min) for m, figure in found.items()]))
            stock, hard = max(found[STOCK].min, 1), found["hardirq"].min
            rows += [(name, what, MECHANISMS[m], f.min, f.p50, f.max, f.min - hard, f.min / stock,
                      stock / max(f.min, 1)) for m, f in found.items()]
        panels.append(bar_panel(name, groups, ratio=True))
    page.charts(panels)
    page.table(f"In {UNIT}. Over hard IRQ: the minimum less that of hard IRQ. × stock: the minimum over that of stock "
               "threaded. Stock / it: the inverse, how many times as long stock threaded takes.",
               ["line", "from, to", "mechanism", "min", "p50", "max", "over hard IRQ", "×\u00a0stock",
                "stock\u00a0/\u00a0it"], rows)
    return panels


def others(page, figures):
    page.section("What it costs others",
                 "A handler that has waited for its lock goes on for 1 ms. How long do others wait: another "
                 "interrupt that comes meanwhile, and a real-time thread that this one wakes? The axes are "
                 "logarithmic.")
    points = {"interrupt": "another interrupt waits", "thread": "a real-time thread waits"}
    panels, rows = [], []
    for key, name in LINES.items():
        found = {(p, m): figures.get(m, key, "handler-1ms", p) for p in points for m in MECHANISMS}
        panels.append(bar_panel(f"A handler of 1 ms, {name}", [
            (what, [(MECHANISMS[m], m, found[p, m].min) for m in MECHANISMS]) for p, what in points.items()], log=True))
        rows += [(name, points[p], MECHANISMS[m], f.min, f.p50, f.max) for (p, m), f in found.items()]
    held = figures.of_case("held-1ms")
    locks = [(*LOCKS.get(name, (name, "none")), figure) for name, figure in held.items()]
    panels.append(bar_panel("A thread holds a lock for 1 ms", [
        ("an interrupt that needs no lock waits", [(name, colour, f.min) for name, colour, f in locks])], log=True))
    page.charts(panels)
    page.add("p", "A releaser is not preempted while it resumes a handler, so a real-time thread waits for a long one; "
             "with resume=ithread it does not.")
    page.table(f"A handler of 1 ms: the others wait, in {UNIT}",
               ["line", "who", "mechanism", "min", "p50", "max"], rows)
    lock_table(page, f"A thread holds a lock for 1 ms: an interrupt that needs no lock waits, in {UNIT}", locks)


def lock_table(page, caption, locks):
    page.table(caption, ["lock", "min", "p50", "max"], [(name, f.min, f.p50, f.max) for name, _, f in locks])


def pairs(page, figures):
    page.section("A thread locks and unlocks",
                 "A lock that nobody else wants, or that others read, too. Grey ones keep interrupts off; lazy ones "
                 "are those that handlers of the lazy path take.")
    locks = []
    for name, figure in figures.of_case("lock-unlock").items():
        beside = name.removeprefix("lazy-read-beside-")
        label = LOCKS.get(name, (name, "none")) if beside == name else (f"… beside {beside} more", "lazy")
        locks.append((*label, figure))
    page.charts([bar_panel("Lock and unlock", [(UNIT, [(name, colour, f.min) for name, colour, f in locks])])])
    lock_table(page, f"A pair, in {UNIT}", locks)


def histograms(page, found):
    page.section("Latencies, each interrupt counted",
                 "From hard-IRQ entry to handler done, and how long the blocked ones waited. Some interrupts come "
                 "while the lock is free, others while it is held: lazy ones are counted apart, stock threaded ones "
                 "together. Each bar is a power of two, and as high as its share of the row's highest. p50 and p99 "
                 "are known to a quarter of a power of two.")
    panels, rows = [], []
    for policy in POLICIES:
        if not any(count for row in found[policy] for *_, count in row["buckets"]):
            raise Bad(f"section histograms-{policy}: nothing was counted; {LOG}")
    axis = exponents([row for policy in POLICIES for row in found[policy]])
    for policy, what in POLICIES.items():
        shown = [row for row in found[policy] if row["count"]]
        shown.sort(key=lambda row: list(KINDS).index(row["kind"]) if row["kind"] in KINDS else len(KINDS))
        panels.append(histogram_panel(what, shown, "lazy-ithread" if policy == "ithread" else "lazy", axis))
        rows += [(what, KINDS.get(r["kind"], r["kind"]), r["count"], r["min_ns"], r["p50_ns"], r["p99_ns"], r["max_ns"])
                 for r in shown]
    page.charts(panels)
    page.table(f"In {UNIT}", ["run", "kind", "times", "min", "p50", "p99", "max"], rows)
    return panels


def timelines(page, traces):
    page.section("One blocked interrupt",
                 "Drawn from a trace, both on one scale. Tracing itself costs some hundred instructions an event, "
                 "so the distances are longer than the figures above.")
    span = max(1, *(trace.end for trace in traces.values()))
    panels = [timeline_panel(POLICIES[policy], trace, span) for policy, trace in traces.items()]
    page.charts(panels, wide=True)
    for policy, trace in traces.items():
        before = [0] + [event.at for event in trace.events]
        page.table(f"{POLICIES[policy]}, {UNIT} since the interrupt",
                   ["mark", "at", "later by", "event", "in", "what happens"],
                   [(e.label, e.at, e.at - b, e.name, e.task, e.meaning) for e, b in zip(trace.events, before)])
    return panels


def counters(page, compared):
    page.section("What became of the interrupts", "The counters of the runs that the histograms are of.")
    for name in dict.fromkeys(row["name"] for row in compared["releaser"]):
        sides, head = [], ["counter"]
        for policy, what in POLICIES.items():
            for row in (row for row in compared[policy] if row["name"] == name):
                sides += [("lazy", row["lazy"]), ("stock", row["stock"])]
                head += [f"lazy, {what}", "stock threaded, same run"]

        def row(what, value, stock=True):
            return (what, *(value(c) if stock or side == "lazy" else None for side, c in sides))

        rows = [row("interrupts", lambda c: c["interrupts"]),
                row("done in the lazy path", lambda c: c["lazy"], False),
                row("blocked", lambda c: c["blocked"], False)]
        # These are rare, and there only if it happened.
        rows += [row(key, lambda c, key=key: c[key], False) for key in ("deferred", "held", "remembered", "refused")
                 if any(c[key] for _, c in sides)]
        rows += [row("resumed by the releaser", lambda c: c["lent"], False),
                 row("run in a thread", lambda c: c["resumed"] - c["lent"]),
                 row("context switches", lambda c: c["switches"]),
                 row("context switches per 1,000 interrupts",
                     lambda c: round(1000 * c["switches"] / max(c["interrupts"], 1)))]
        rows += [row(f"entry to done, {what}, {UNIT}", lambda c, what=what: c[f"latency_{what}_ns"])
                 for what in ("mean", "p50", "p99", "max")]
        rows += [row("memory, bytes (stock: the thread)", lambda c: c["memory"]),
                 row("of it for a blocked handler's state", lambda c: c["continuation"])]
        page.table(name, head, rows)


def report(content):
    """Name -> content of each file."""
    sections = read_sections(content)
    figures = Figures(sections["figures"])
    rows = {what: {p: read_json(f"{what}-{p}", sections[f"{what}-{p}"], check) for p in POLICIES}
            for what, check in (("histograms", check_histogram), ("compare", check_compare))}
    traces = {policy: Trace(f"trace-{policy}", sections[f"trace-{policy}"]) for policy in POLICIES}
    page, files = Page(), {}
    introduction(page, max(figure.rounds for figure in figures.all.values()))
    page.section("Nobody holds the lock",
                 "The device raises its interrupt: until the handler is done, and until the interrupted code goes "
                 "on. No handler blocks, so who resumes does not matter.")
    panels = comparison(page, figures, "uncontended", {"done": "raise to handler done", "return": "raise to return"},
                        list(MECHANISMS)[:3])
    files["uncontended.svg"] = stand_alone(f"Lock free: {UNIT} for one interrupt", panels)
    page.section("The interrupted thread holds the lock",
                 "A thread takes the lock, the interrupt comes, the thread releases the lock. Under a spinlock the "
                 "interrupt is kept waiting, and all others with it: that is cheap, and what lazyirq is there to "
                 "avoid.")
    panels = comparison(page, figures, "contended-same-cpu", {"total": "lock, raise, unlock, until both are done",
                        "resume": "of it, unlock to handler done"}, list(MECHANISMS))
    files["contended.svg"] = stand_alone(f"Lock held by the interrupted thread: {UNIT} for one round", panels)
    others(page, figures)
    pairs(page, figures)
    files["histograms.svg"] = stand_alone(f"Latency of each interrupt, {UNIT}", histograms(page, rows["histograms"]))
    files["timeline.svg"] = stand_alone("One blocked interrupt, traced", timelines(page, traces), columns=1)
    counters(page, rows["compare"])
    files["report.html"] = page.html()
    return files


def main(arguments):
    if len(arguments) != 2:
        print("usage: report.py INPUT OUTPUT_DIR", file=sys.stderr)
        return 2
    try:
        files = report(Path(arguments[0]).read_text(encoding="utf-8", errors="replace"))
        directory = Path(arguments[1])
        directory.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (directory / name).write_text(content, encoding="utf-8")
    except Bad as error:
        print(f"report.py: {arguments[0]}: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"report.py: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

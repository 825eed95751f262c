# SPDX-License-Identifier: GPL-2.0
"""What was measured: reading the sections of the input, and refusing what is not as it should be."""
import json
import re
from collections import namedtuple
from dataclasses import dataclass

POLICIES = {"releaser": "resume=releaser", "ithread": "resume=ithread"}
NEEDED = ["figures"] + [f"{what}-{policy}" for what in ("histograms", "compare", "trace")
                        for policy in POLICIES] + ["end"]
COUNTERS = ("interrupts lazy blocked deferred held remembered refused threaded resumed by_releaser switches "
            "latency_mean_ns latency_p50_ns latency_p99_ns latency_max_ns memory continuation").split()
LOG = "the run was cut off or failed, look at its log"


class Bad(Exception):
    """What was read is not what it should be."""


def bad(section, number, what):
    return Bad(f"section {section}, line {number}: {what}; {LOG}")


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


Figure = namedtuple("Figure", "min p50 max rounds switches")


def read_figure(line):
    """What was measured (mechanism, vector, case, point), and the figure; or None if the line is not one."""
    match = re.fullmatch(r"(\S+) (\S+) (\S+) (\S+) min (\d+) p50 (\d+) max (\d+) rounds (\d+) switches (\d+|-)", line)
    if not match:
        return None
    # With several CPUs the context switches are not known.
    switches = None if match[9] == "-" else int(match[9])
    return match.groups()[:4], Figure(*map(int, match.groups()[4:8]), switches)


class Figures:
    def __init__(self, lines):
        self.all = {}
        for number, line in lines:
            found = read_figure(line)
            if not found:
                raise bad("figures", number, f"not a figure: {line!r}")
            key, figure = found
            if key in self.all:
                raise bad("figures", number, "the figure is there twice")
            self.all[key] = figure

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
            # A thread's name may contain blanks, its pid does not.
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

# SPDX-License-Identifier: GPL-2.0
"""Turns what "guest-bench.sh report" prints into report.html and stand-alone pictures.

usage: report INPUT OUTPUT_DIR

INPUT has sections, each after a line "report-section NAME". All of it is read and drawn before
anything is written. Exit status: 1 if something is missing or cannot be read, 2 for wrong usage.
"""
import sys
from html import escape
from pathlib import Path

from charts import (KINDS, MECHANISMS, STOCK, UNIT, bar_panel, exponents, histogram_panel, num, stand_alone,
                    timeline_panel)
from measured import LOG, POLICIES, Bad, Figures, Trace, check_compare, check_histogram, read_json, read_sections
from page import Page

LINES = {"msi": "MSI", "intx": "INTx"}
LOCKS = {  # name in the figures: (label, whose colour)
    "no-lock": ("no lock", "none"), "irqsave-spinlock": ("irqsave spinlock", "hardirq"),
    "SpinLockIrq": ("SpinLockIrq", "hardirq"), "mutex": ("mutex", STOCK),
    "rt_mutex": ("rt_mutex", STOCK), "lazy-mutex": ("lazy Mutex", "lazy"),
    "lazy-write": ("lazy RwLock, write", "lazy"), "lazy-read": ("lazy RwLock, read", "lazy")}


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
        # These are rare, and shown only if they happened.
        rows += [row(key, lambda c, key=key: c[key], False) for key in ("deferred", "held", "remembered", "refused")
                 if any(c[key] for _, c in sides)]
        rows += [row("resumed by the releaser", lambda c: c["by_releaser"], False),
                 row("run in a thread", lambda c: c["resumed"] - c["by_releaser"]),
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
        print("usage: report INPUT OUTPUT_DIR", file=sys.stderr)
        return 2
    try:
        files = report(Path(arguments[0]).read_text(encoding="utf-8", errors="replace"))
        directory = Path(arguments[1])
        directory.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (directory / name).write_text(content, encoding="utf-8")
    except Bad as error:
        print(f"report: {arguments[0]}: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"report: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

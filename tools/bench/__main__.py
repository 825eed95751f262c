# SPDX-License-Identifier: GPL-2.0
"""Turns what "guest-bench.sh bench" prints into records, a table, pictures, and a verdict.

usage: bench --out DIR [--budget FILE] [--history FILE] [--host KEY=VALUE]... KERNEL=INPUT...

Each INPUT has lines "figure MECHANISM VECTOR CASE POINT min N p50 N max N rounds N switches N", or "switches -",
and for each boot a first line, the kernel's release, and a last line "bench-end". Writes DIR/bench.json, bench.csv and bench.svg, and prints the table. With --budget, each of
that file's lines "KERNEL MECHANISM VECTOR CASE POINT LIMIT" has to hold for the minimum, where KERNEL was
measured. LIMIT is a number, FACTOR*MECHANISM or NUMBER+MECHANISM, for so many times another mechanism's minimum,
or so much more; with a > before it the minimum has to be at least that. With --history a row is added to the
table in FILE. Exit status: 1 if something is over budget, missing or cannot be read, 2 for wrong usage.
"""
import argparse
import csv
import json
import re
import sys
from datetime import date
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "report"))
import charts  # noqa: E402
from measured import Bad, read_figure  # noqa: E402

FIELDS = ["kernel", "mechanism", "vector", "case", "point", "unit", "min", "p50", "max", "rounds", "context_switches"]
KEY = FIELDS[:5]
LIMIT = re.compile(r"(>?)([\d.]+)(?:([*+])([\w-]+))?")
MECHANISMS = ["hardirq", "threaded-mutex", "threaded-rtmutex", "lazy", "lazy-ithread"]
LABELS = {**charts.MECHANISMS, "threaded-rtmutex": "stock, rt_mutex"}
UNITS = {"lines-written": "cache lines", "lines-shared": "cache lines", "wake-ups": "in all rounds", "switches": "in all rounds", "time": "percent of threaded-mutex's"}
HISTORY_ENDS = "<!-- history ends -->"


def read(kernel, path):
    """The records of one kernel."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    if not lines or lines.count("bench-end") != lines.count(lines[0]):
        raise Bad(f"{path}: the run was cut off or failed: a boot has no line bench-end")
    records = []
    for number, line in enumerate(lines, 1):
        if not line.startswith("figure "):
            continue
        found = read_figure(line.removeprefix("figure "))
        if not found:
            raise Bad(f"{path}, line {number}: not a figure: {line!r}")
        key, figure = found
        switches = None if figure.switches is None else round(figure.switches / figure.rounds, 2)
        _, _, case, point = key
        unit = "bytes" if case == "memory" else UNITS.get(point, "instructions")
        records.append(dict(zip(FIELDS, (kernel, *key, unit, *figure[:4], switches))))
    if not records:
        raise Bad(f"{path}: there are no figures")
    return records


def table(records):
    """What each mechanism takes, a case a line; then what has no mechanism's name."""
    out = []
    for kernel in dict.fromkeys(record["kernel"] for record in records):
        of_kernel = [record for record in records if record["kernel"] == kernel]
        rows, single = {}, []
        for record in of_kernel:
            if record["mechanism"] in MECHANISMS:
                rows.setdefault((record["vector"], record["case"], record["point"]), {})[record["mechanism"]] = record
            else:
                single.append(record)
        out.append(f"{kernel + ': minimum':<52}" + "".join(f"{LABELS[m]:>18}" for m in MECHANISMS))
        for row, found in rows.items():
            cells = [f"{found[m]['min']:,}" if m in found else "" for m in MECHANISMS]
            out.append(f"{row[0]:<6}{row[1]:<34}{row[2]:<12}" + "".join(f"{cell:>18}" for cell in cells))
        for record in single:
            what = f"{record['mechanism']} {record['case']} {record['point']}"
            out.append(f"{record['vector']:<6}{what:<64}{record['min']:>18,}")
        out.append("")
    return "\n".join(out)


def over_budget(records, path):
    """A sentence for each line of the budget that does not hold."""
    minima = {tuple(record[field] for field in KEY): record["min"] for record in records}
    kernels = {record["kernel"] for record in records}
    said = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        words = line.split("#")[0].split()
        if not words:
            continue
        limit = LIMIT.fullmatch(words[-1])
        if len(words) != 6 or not limit:
            raise Bad(f"{path}, line {number}: not a budget: {line!r}")
        key, (at_least, number_of, operator, mechanism) = words[:-1], limit.groups()
        if key[0] not in kernels:
            continue
        bound, found = float(number_of), minima.get(tuple(key))
        other = minima.get((key[0], mechanism, *key[2:]))
        if found is None or (mechanism and other is None):
            said.append(f"{' '.join(key)}: it was not measured" + f", or {mechanism} was not" * bool(mechanism))
            continue
        if mechanism:
            bound = bound * other if operator == "*" else bound + other
        if found < bound if at_least else found > bound:
            said.append(f"{' '.join(key)}: {found:,}, and it has to be at {'least' if at_least else 'most'} "
                        f"{bound:,.0f} ({words[-1]})")
    return said


def picture(records):
    """The cases with several mechanisms, on the kernel that was measured first."""
    kernel, panels = records[0]["kernel"], []
    cases = {"uncontended": "done", "contended-same-cpu": "total", "burst-8": "done", "burst-64": "done"}
    for vector, name in (("msi", "MSI"), ("intx", "INTx")):
        groups = []
        for case, point in cases.items():
            found = [(LABELS[r["mechanism"]], r["mechanism"].replace("rtmutex", "mutex"), r["min"]) for r in records
                     if (r["kernel"], r["vector"], r["case"], r["point"]) == (kernel, vector, case, point)
                     and r["mechanism"] in MECHANISMS]
            if found:
                groups.append((f"{case}, to {point}", found))
        if groups:
            panels.append(charts.bar_panel(name, groups, ratio=True))
    return charts.stand_alone(f"{kernel}: {charts.UNIT}, the minimum", panels) if panels else ""


def add_history(path, records, host):
    """A row for this run before the table's end."""
    content = path.read_text(encoding="utf-8")
    if content.count(HISTORY_ENDS) != 1:
        raise Bad(f"{path}: there is no line {HISTORY_ENDS}")
    minima = {tuple(record[field] for field in KEY): record["min"] for record in records}
    kernel = records[0]["kernel"]
    columns = [("lazy", vector, case, point) for vector in ("msi", "intx") for case, point in
               (("uncontended", "done"), ("uncontended", "return"), ("contended-same-cpu", "total"))]
    columns += [("lazy-ithread", "msi", "contended-same-cpu", "total"), ("lazy-mutex", "-", "lock-unlock", "total")]
    cells = [f"{minima[kernel, *column]:,}" if (kernel, *column) in minima else "" for column in columns]
    row = " | ".join([date.today().isoformat(), host.get("version", ""), host.get(f"release-{kernel}", kernel), *cells])
    path.write_text(content.replace(HISTORY_ENDS, f"| {row} |\n{HISTORY_ENDS}"), encoding="utf-8")


def pair(text):
    key, separator, value = text.partition("=")
    if not separator:
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    return key, value


def main():
    parser = argparse.ArgumentParser(prog="bench", description="Records, a table and a verdict of measured runs.")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--budget", type=Path)
    parser.add_argument("--history", type=Path)
    parser.add_argument("--host", type=pair, action="append", default=[])
    parser.add_argument("inputs", type=pair, nargs="+", metavar="KERNEL=INPUT")
    arguments = parser.parse_intermixed_args()
    host = dict(arguments.host)
    try:
        records = [record for kernel, path in arguments.inputs for record in read(kernel, Path(path))]
        said = over_budget(records, arguments.budget) if arguments.budget else []
        arguments.out.mkdir(parents=True, exist_ok=True)
        (arguments.out / "bench.json").write_text(json.dumps({"host": host, "records": records}, indent=1) + "\n")
        with open(arguments.out / "bench.csv", "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, FIELDS)
            writer.writeheader()
            writer.writerows(records)
        (arguments.out / "bench.svg").write_text(picture(records), encoding="utf-8")
        if arguments.history and not said:
            add_history(arguments.history, records, host)
    except Bad as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"bench: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    print(table(records))
    for sentence in said:
        print(f"over budget: {sentence}")
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main())

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# where: machine (boots a machine of its own, with time counted in instructions)
# make bench: the figures that the project promises, both sides measured in one boot, are within their budget; and
# if they were not, that would be noticed.
set -uo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
. "$top/scripts/lib.sh"
. "$top/selftests/checks.sh"

plan 6
export LAZYIRQ_CACHE=$cache
run=$(this_kernel)
bench() { "$scripts/bench" "$run" 2>&1 | sed 's/^/# /'; }
check "make bench, within the budget" bench

# evaluate [LINE]: evaluates that run again, as one of two, with a budget of this line.
evaluate() {
	printf '%s\n' "$@" >"$logs/budget"
	"$scripts/in-root" python3 /src/tools/bench --out /tmp/bench --budget /cache/logs/budget \
		"$run=/cache/logs/bench-$run.txt" --host version=none "again=/cache/logs/bench-$run.txt" >"$said" 2>&1
}
over() { ! evaluate "$1" && grep -q "^over budget: $2" "$said"; }
check "a figure over its budget is named" over "$run lazy msi uncontended done 0.01*hardirq" "$run lazy msi uncontended done: "
check "so is one that is missing" over "$run lazy msi uncontended nowhere 10" "$run lazy msi uncontended nowhere: "
records() {
	"$scripts/in-root" python3 -c '
import json
bench = json.load(open("/src/build/bench.json"))
assert bench["host"]["machine"] and bench["host"]["release-'"$run"'"], bench["host"]
fields = ["kernel", "mechanism", "vector", "case", "point", "unit", "min", "p50", "max", "rounds", "context_switches"]
for record in bench["records"]:
	assert list(record) == fields and record["min"] <= record["p50"] <= record["max"], record
counted = [r for r in bench["records"] if r["context_switches"] is not None]
found = {(r["mechanism"], r["vector"], r["case"]): r for r in counted}
# A stock thread is switched to and away from; a lazy handler runs where it is.
assert 2 <= found["threaded-mutex", "msi", "uncontended"]["context_switches"] < 2.2
assert found["lazy", "msi", "uncontended"]["context_switches"] < 0.2
assert found["lazy", "msi", "contended-same-cpu"]["context_switches"] < 0.2
elsewhere = {r["mechanism"] for r in bench["records"] if r["case"] == "contended-other-cpu"}
assert elsewhere >= {"hardirq", "threaded-mutex", "lazy", "lazy-ithread"}, elsewhere
assert len(open("/src/build/bench.csv").readlines()) == len(bench["records"]) + 1'
}
check "the records are there, and count the context switches" records
cut_off() {
	head -n "$1" "$logs/bench-$run.txt" >"$logs/bench-cut.txt"
	! "$scripts/in-root" python3 /src/tools/bench --out /tmp/bench "$run=/cache/logs/bench-cut.txt" >"$said" 2>&1 &&
		grep -q 'the run was cut off' "$said"
}
check "a run that was cut off is refused" cut_off 20
check "so is one whose last boot was" cut_off $(($(grep -n bench-end "$logs/bench-$run.txt" | tail -n 1 | cut -d : -f 1) - 1))
exit $bad

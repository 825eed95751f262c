#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# where: machine native (boots a machine of its own, with time counted in instructions by x86's trace clock)
# make report: the file and the pictures exist and are complete, and a run that was cut off is refused.
set -uo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
. "$top/scripts/lib.sh"
. "$top/selftests/checks.sh"

plan 4
# In the toolchain root.
python() { LAZYIRQ_CACHE=$cache "$scripts/in-root" python3 "$@"; }

check "make report" "$scripts/report"
whole() {
	python -c '
import sys, xml.dom.minidom
for name in sys.argv[1:]:
	tree = xml.dom.minidom.parse(f"/src/build/{name}.svg")
	assert tree.getElementsByTagName("title") and tree.getElementsByTagName("text"), name' \
		uncontended contended histograms timeline
}
check "the pictures are there, and are XML" whole
self_contained() {
	[ "$(grep -c '<svg' "$top/build/report.html")" -ge 4 ] && ! grep -E '(src|href|url)[=(]"?(http|//)' "$top/build/report.html"
}
check "the file is there, and refers to no other one" self_contained
refused() {
	head -n 70 "$cache/logs/report.txt" >"$cache/logs/report-cut.txt"
	! python /src/tools/report /cache/logs/report-cut.txt /tmp/report 2>"$cache/logs/report-cut.log" &&
		sed 's/^/# /' "$cache/logs/report-cut.log" && grep -q 'no section' "$cache/logs/report-cut.log"
}
check "a run that was cut off is refused, with a reason" refused
exit $bad

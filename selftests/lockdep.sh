#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# where: debughost (boots machines of its own: after a report lockdep is off)
# Lock orders that could end in a deadlock are reported before they do.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
. "$top/scripts/lib.sh"
. "$scripts/ready.sh"

echo "TAP version 13"
echo "1..5"
number=0 bad=0

# planted TEXT LOCK... -- PROGRAM...: what the programs do, one after the other, is reported, and
# the report names the locks. If no locks are given, nothing is reported.
planted() {
	local what=$1 report='circular locking dependency|recursive locking' rc=0 lock log locks=()
	shift
	while [ "$1" != -- ]; do locks+=("$1"); shift; done
	shift
	number=$((number + 1))
	log=$logs/lockdep-$number.log
	local allow=()
	# Allow the lines of a report, and its taint.
	[ ${#locks[@]} -eq 0 ] || allow=(--allow . --taint 512)
	"$scripts/in-root" /src/scripts/boot-qemu --memory 1G --timeout 300 --log "/cache/logs/${log##*/}" \
		"${allow[@]}" /src/selftests/lockdep-guest.sh "$@" 2>&1 | sed 's/^/# /' || rc=1
	for lock in "${locks[@]}"; do
		[[ "$(sed -nE "/possible ($report)/,\$p" "$log")" == *"($lock)"* ]] || rc=1
	done
	if [ $rc -eq 0 ]; then echo "ok $number $what"; else echo "not ok $number $what"; bad=1; fi
}

planted "handlers and threads in one order: no report" -- \
	"H x0 x1" "A x0 x1" "H w0 r1" "A w0 r1" "A k0 x0" "H d x0 x1"
planted "two threads, two mutexes" X0 X1 -- "A x0 x1" "B x1 x0"
planted "a handler and a thread" X0 X1 -- "H x0 x1" "B x1 x0"
planted "a mutex and one of the kernel's" X0 K0 -- "A x0 k0" "B k0 x0"
planted "a thread reads twice" RW0 -- "A r0 r0"
exit $bad

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# where: host (boots a machine of its own, with time counted in instructions)
# The figures that the project promises, both sides measured in one boot.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
. "$top/scripts/lib.sh"
. "$scripts/ready.sh"

echo "TAP version 13"
echo "1..16"
table=$("$scripts/in-root" /src/scripts/boot-qemu --icount \
	--log /cache/logs/figures.log /src/scripts/guest-run.sh icount 2>&1) || {
	sed 's/^/# /' <<<"$table"
	echo "Bail out! the machine failed"
	exit 1
}
sed 's/^/# /' <<<"$table"

number=0 bad=0
# promise TEXT LINE CASE EXPRESSION: an awk expression of hard, stock and lazy.
promise() {
	number=$((number + 1))
	if awk -v line="$2" -v what="$3" '
		$1 == line && index($0, what) {
			hard = $(NF - 4); stock = $(NF - 3); lazy = $(NF - 2); found = 1
			ok = ('"$4"')
		}
		END { exit !(found && ok) }' <<<"$table"; then
		echo "ok $number $1"
	else
		echo "not ok $number $1"
		bad=1
	fi
}
for line in msi intx; do
	promise "$line: at most 29 instructions over the bare hard IRQ, to done" \
		$line 'raise to handler done' 'lazy <= hard + 29'
	promise "$line: at most 29 instructions over the bare hard IRQ, to return" \
		$line 'raise to return' 'lazy <= hard + 29'
	promise "$line: 10 times fewer than stock threaded, to done" $line 'raise to handler done' 'lazy * 10 <= stock'
	promise "$line: 10 times fewer than stock threaded, to return" $line 'raise to return' 'lazy * 10 <= stock'
done
promise "msi: contended, at most 0.11 of stock threaded" msi 'both done' 'lazy <= stock * 0.11'
promise "intx: contended, at most 0.19 of stock threaded" intx 'both done' 'lazy <= stock * 0.19'
promise "msi: contended, resume=ithread: at most 0.56" msi 'all of it, resume=ithread' 'lazy <= stock * 0.56'
# lock_promise TEXT EXPRESSION: of the locks' figures, pair[lock] and wait[lock]; of the last table, so, what
# an interrupt waits and what a thread does, by mechanism.
lock_promise() {
	number=$((number + 1))
	if awk '
		/^lock / { here = 1; next }
		here && NF >= 2 { pair[$1] = $2; wait[$1] = $NF; found++ }
		END { exit !(found > 5 && ('"$2"')) }' <<<"$table"; then
		echo "ok $number $1"
	else
		echo "not ok $number $1"
		bad=1
	fi
}
lock_promise "a thread's lock and unlock costs less than the irqsave spinlock's, for mutex and read/write lock" \
	'pair["lazy-mutex"] < pair["irqsave-spinlock"] && pair["lazy-read"] < pair["irqsave-spinlock"] && pair["lazy-write"] < pair["irqsave-spinlock"]'
lock_promise "reading beside 15 readers costs less, too" 'pair["lazy-read-beside-15"] < pair["irqsave-spinlock"]'
lock_promise "a mutex held for 1 ms keeps no other interrupt waiting, as a spinlock does" \
	'wait["lazy-mutex"] <= wait["no-lock"] + 10 && wait["irqsave-spinlock"] >= 1000000'
lock_promise "while a handler that has waited works for 1 ms, another interrupt does not wait" \
	'pair["lazy"] <= wait["no-lock"] + 10 && pair["lazy-ithread"] <= wait["no-lock"] + 10 && pair["hardirq"] >= 1000000'
lock_promise "nor, with resume=ithread, a real-time thread" \
	'wait["lazy-ithread"] <= wait["threaded-mutex"] + 10 && wait["lazy"] < 1010000'
exit $bad

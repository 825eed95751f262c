#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# What "make run" does in the virtual machine (busybox). It has two edu devices:
# one is served lazily, the other by the stock threaded mechanism.
#   guest-run.sh          thousands of interrupts; the counters side by side
#   guest-run.sh icount   the instruction counts side by side
. /guest-lib.sh

served() {
	uncontended=3000 contended=500
	echo 1 >$debugfs/latency
	for irq in 0 1; do
		line=$([ $irq = 0 ] && echo MSI || echo 'INTx (level)')
		insmod lazyirq_edu.ko irq=$irq mechanism=2 || fail "lazyirq_edu.ko does not load"
		for node in /dev/lazyirq_edu0 /dev/lazyirq_edu1; do
			echo 10 >$node && [ "$(cat $node)" = 3628800 ] || fail "$node: 10! is $(cat $node)"
		done
		echo 0 >$debugfs/interrupts
		for node in /dev/lazyirq_edu0 /dev/lazyirq_edu1; do
			for what in "$uncontended" "$contended held"; do
				echo "raise $what" >$node || fail "$node: raise $what"
				[ "$(cat $node)" = "raised ${what% held} handled ${what% held}" ] || fail "$node: $(cat $node)"
			done
		done
		echo "== $line: $uncontended interrupts uncontended, $contended with the lock held by the thread that raises =="
		cat $debugfs/compare
		all=$((uncontended + contended))
		[ "$(counter interrupts lazy)" = $all ] &&
			[ $(($(counter lazy lazy) + $(counter resumed lazy))) = $all ] ||
			fail "lazy: $all raised, $(counter interrupts lazy) came, $(counter lazy lazy) done lazily, $(counter resumed lazy) resumed"
		[ "$(counter interrupts stock)" = $all ] || fail "stock: $all raised, $(counter interrupts stock) came"
		echo "every one of the $all + $all interrupts raised is accounted for"
		echo
		rmmod lazyirq_edu || fail "lazyirq_edu does not unload"
	done
}

counted() {
	count
	echo "== instructions, minimum of $rounds, one CPU, all mechanisms in this boot =="
	awk '
	{ figure[$1, $2, $3, $4] = $6; order[$2, $3, $4]++ || (names[++n] = $2 SUBSEP $3 SUBSEP $4) }
	function row(line, what, hard, stock, lazy) {
		printf "%-6s %-34s %10d %15d %8d %+12d %8.2f\n", line, what, hard, stock, lazy, lazy - hard, lazy / stock
	}
	$3 == "lock-unlock" || $3 == "held-1ms" { locks[++l] = $1 }
	END {
		printf "%-6s %-34s %10s %15s %8s %12s %8s\n", "line", "case",
			"hard IRQ", "stock threaded", "lazy", "over hard", "x stock"
		for (i = 1; i <= n; i++) {
			split(names[i], part, SUBSEP)
			if (part[2] == "uncontended") what = "raise to " (part[3] == "done" ? "handler done" : "return")
			else if (part[3] == "resume") what = "of it, unlock to handler done"
			else if (part[2] == "contended-same-cpu") what = "lock, raise, unlock, both done"
			else continue
			hard = figure["hardirq", names[i]]
			stock = figure["threaded-mutex", names[i]]
			row(part[1], what, hard, stock, figure["lazy", names[i]])
			if (part[2] == "uncontended") continue
			what = (part[3] == "resume" ? "  that" : "  all of it") ", resume=ithread"
			row(part[1], what, hard, stock, figure["lazy-ithread", names[i]])
		}
		printf "\n%-22s %18s %41s %25s\n", "lock", "lock and unlock", "held for 1 ms: another interrupt waits", "a timer is late by"
		for (i = 1; i <= l; i++) {
			if (shown[locks[i]]++) continue
			printf "%-22s %18s %41s %25s\n", locks[i], figure[locks[i], "-", "lock-unlock", "total"],
				figure[locks[i], "msi", "held-1ms", "latency"], figure[locks[i], "-", "held-1ms-timer", "latency"]
		}
		printf "\n%-22s %24s %49s\n", "handler of 1 ms", "another interrupt waits", "a real-time thread that it wakes waits"
		split("hardirq threaded-mutex lazy lazy-ithread", mechanisms, " ")
		for (i = 1; i in mechanisms; i++)
			printf "%-22s %24s %49s\n", mechanisms[i], figure[mechanisms[i], "msi", "handler-1ms", "interrupt"],
				figure[mechanisms[i], "msi", "handler-1ms", "thread"]
	}' /figures
}

case ${1:-} in
icount) counted ;;
*) served ;;
esac
rmmod lazyirq || fail "lazyirq does not unload"

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Bad parameters are refused, with a line in the log, and leave nothing behind; good ones do what they say.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/driver.sh"

ktap_print_header
ktap_set_plan 13
expect_log 'is no interrupt priority level'
expect_log 'lazyirq: .*invalid for parameter'
expect_log 'probe with driver lazyirq_test failed'

log_has() { messages | grep -q "$1"; }
refused() { ! load "$@" 2>/dev/null && ! loaded "$1"; }
check "lazyirq latency=perhaps is refused" refused lazyirq latency=perhaps
check "the log says which parameter is invalid" log_has "perhaps' invalid for parameter .latency"
check "debugfs has no trace of it" test ! -e $debugfs

measures() { load lazyirq latency=1 && [ "$(cat $debugfs/latency)" = 1 ] && rmmod lazyirq; }
check "latency=1 measures from the start" measures

load lazyirq
for ipl in 0 11 255; do
	load lazyirq_test ipl=$ipl
	nothing() { [ -z "$(irqs)" ] && ! pgrep '^lazyirq[0-9]+/' >/dev/null; }
	check "ipl=$ipl: no interrupt and no thread is there" nothing
	check "ipl=$ipl: the log says what it has to be" log_has "$ipl is no interrupt priority level: it has to be 1 to 10"
	rmmod lazyirq_test
done
check "ipl=10 is fine" load lazyirq_test ipl=10
fifo() {
	local pid
	pid=$(pgrep -f '^\[lazyirq10/0\]$') && chrt -p "$pid" | grep -q 'SCHED_FIFO' &&
		chrt -p "$pid" | grep -q 'priority: 60'
}
check "its threads are SCHED_FIFO, 50 and the IPL" fifo
check "it unloads" stop
ktap_finished

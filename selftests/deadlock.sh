#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A thread or handler that would wait for itself is told so at once, with the locks' names.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/driver.sh"
. "$(dirname "$0")/locks.sh"

ktap_print_header
ktap_set_plan 13
expect_log 'Call [Tt]race:'
# On the debug kernel lockdep reports this as well, once, and is off from then on: so this test comes late.
expect_log 'WARNING: possible (recursive|circular) locking'

said() {
	counted() { messages | grep -cE "lazyirq: $1" | grep -qx "${2:-1}"; }
	within counted "$@" && return
	ktap_print_msg "the log does not say so ${2:-1} times"
	return 1
}

check "the driver loads" start_locks

alone() {
	reset
	thread A x0 i0 && failed A && trace_is_all 'Ax0 A!' && said 'a thread waits for lock X0, which it has itself'
}
check "a thread that waits for a mutex it has gets an error" alone
alone_writing() {
	reset
	thread A w1 R1 && failed A && said 'a thread waits for lock RW1, which it has itself'
}
check "one that wants to read what it writes, too" alone_writing

cycle() {
	reset
	thread A x0 h i1 && thread B x1 h i0 && trace_has Ah Bh || return 1
	go A && within queued A || return 1
	go B
	wait "${pid[A]}" "${pid[B]}"
	# One fails; the other one continues, and may be done first.
	trace_is_like '(A!.*B\.)|(B\..*A!)|(B!.*A\.)|(A\..*B!)' || return 1
	said 'deadlock: ' && said '  lock X0' && said '  lock X1' && said 'a thread that waits .* gets an error'
}
check "two threads that wait for each other: one gets an error" cycle

victim() {
	reset
	thread A x0 h x1 && thread B x1 h i0 && trace_has Ah Bh || return 1
	go B && go A
	failed B && ended A && trace_has A. B!
}
check "it is the one whose call can fail" victim

with_handler() {
	reset
	thread -c 1 A x1 h x0 && trace_has Ah || return 1
	handler 0 H x0 x1
	# Two more events are remembered, and lost.
	trace_has Hx0 && handler 0 H x0 && handler 0 H x0 || return 1
	go A
	ended A && trace_is_all "Ax1 Ah Hx0 Ax0 A." &&
		said 'the handler that waits for lock X1 is shut down' &&
		said 'interrupt .* is shut down' &&
		device_stats 0 && [ "${stats[illegal]}" = 3 ]
}
expect_log 'lazyirq: interrupt .* shut down'
check "a thread and a handler: the handler is shut down, the thread goes on" with_handler
other_goes_on() { reset; handler 1 I x0 x1 w0; trace_has I.; }
check "the other device's interrupt goes on" other_goes_on

# Two can be told: better the thread, whose call fails, than the handler, whose interrupt would be shut down.
spared() {
	reset
	thread -c 1 A x1 h i0 && trace_has Ah || return 1
	handler 1 H x0 x1
	trace_has Hx0 || return 1
	go A
	failed A && trace_has "H.'" && device_stats 1 && [ "${stats[illegal]}" = 0 ]
}
check "a thread whose call can fail and a handler: the thread is told" spared

three() {
	reset
	thread A x0 h x1 && thread B x1 h w0 && thread C w0 h i0 && trace_has Ah Bh Ch || return 1
	go A && go B && go C
	failed C && ended B && ended A
}
check "three in a row" three

no_cycle() {
	local before
	before=$(dmesg | grep -c 'lazyirq: deadlock')
	reset
	# A chain of three, which exists long enough to be looked at.
	thread A x0 h && thread B x1 h x0 && trace_has Ah Bh || return 1
	go B && within queued B || return 1
	thread C w0 x1 && within queued C && mark_looks && thread -f 1 D w0 && within looked || return 1
	go A
	ended A && ended B && ended C && ended D && [ "$(dmesg | grep -c 'lazyirq: deadlock')" = "$before" ]
}
check "a chain without a cycle is none" no_cycle

nothing_left() { reset; thread A w0 w1 x0 x1 && ended A; }
check "all locks are free in the end" nothing_left
check "the driver unloads" stop_locks
reload() { start_locks && stop_locks; }
check "and can be loaded again" reload
ktap_finished

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# resume: both
# Which waiter gets a mutex next: handlers before threads, by IPL, by priority, first
# come, first served; and what a wait that is given up leaves behind.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/driver.sh"
. "$(dirname "$0")/locks.sh"

ktap_print_header
ktap_set_plan 7

check "the driver loads" start_locks

order() {
	reset
	thread -c 1 A x0 h && trace_has Ah || return 1
	thread B x0 && within queued B || return 1
	thread -f 10 C x0 && within queued C || return 1
	thread D x0 && within queued D || return 1
	thread -f 20 E x0 && within queued E || return 1
	handler 0 H x0
	go A
	ended A && ended B && ended C && ended D && ended E || return 1
	trace_is_like "Hx0.*Ex0.*Cx0.*Bx0.*Dx0"
}
check "handlers, then threads by priority, then in order" order

higher_ipl_first() {
	reset
	thread -c 1 A x0 h && trace_has Ah || return 1
	handler 0 H x0
	handler 1 I x0
	go A
	ended A && trace_is_all "Ax0 Ah A. Ix0' I.' Hx0' H.'"
}
check "the higher IPL first" higher_ipl_first

signal() {
	reset
	thread A x0 h && trace_has Ah || return 1
	thread B i0 && within queued B || return 1
	thread C x0 && within queued C || return 1
	kill -USR1 "${pid[B]}"
	failed B && trace_has B! || return 1
	go A
	ended A && ended C && trace_has Cx0
}
check "a signal ends an interruptible wait, others go on" signal

raced() {
	local round
	for round in $(seq 40); do
		reset
		thread -c 0 A x0 h && trace_has Ah || return 1
		thread -c 1 B i0 && within queued B || return 1
		thread C x0 && within queued C || return 1
		# At the same time: the mutex is B's, or passed on to C. B may even be done before the signal.
		kill -USR1 "${pid[B]}" 2>/dev/null & go A
		ended A && ended C || return 1
		wait "${pid[B]}"
		trace_is_like "B[!.]" || return 1
	done
}
check "a signal that comes together with the release loses nothing, 40 times" raced

nothing_left() { reset; thread A x0 x1 && ended A; }
check "all locks are free in the end" nothing_left
check "the driver unloads" stop_locks
ktap_finished

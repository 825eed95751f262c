#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# resume: both
# A CPU goes offline while a handler that has blocked there waits: the handler continues
# on another one, and nothing of it is left when the CPU is back.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/driver.sh"
. "$(dirname "$0")/locks.sh"

ktap_print_header
ktap_set_plan 11

online() { echo "$1" >/sys/devices/system/cpu/cpu1/online; }

check "the driver loads" start_locks
# The script and what it starts run on the CPU that stays online.
taskset -pc 0 $$ >/dev/null

for round in 1 2 3; do
	rehomed() {
		online 1 && pin 1 1 || return 1
		reset
		thread -c 0 A x0 h && trace_has Ah || return 1
		handler 1 H x0
		online 0 || return 1
		go A
		ended A && trace_is_all "Ax0 Ah A. Hx0' H.'"
	}
	check "round $round: a handler that waits goes on on another CPU" rehomed
	lazy_again() {
		online 1 && pin 1 1 || return 1
		reset
		# This one has a lower IPL: it would be held if the other were still counted.
		pin 0 1 || return 1
		reset
		handler 0 G x0
		trace_is_all 'Gx0 G.'
	}
	check "round $round: when the CPU is back, interrupts are lazy there" lazy_again
done

gone() {
	pin 1 1 || return 1
	reset
	thread -c 0 A x0 h && trace_has Ah || return 1
	handler 1 H x0
	online 0 || return 1
	go A
	ended A && trace_has "H.'" && stop_locks || return 1
	online 1 && start_locks && pin 0 1 || return 1
	reset
	handler 0 G x0
	trace_is_all 'Gx0 G.'
}
check "the same with the driver gone when the CPU comes back" gone

# A handler that is in another CPU's queue by now, with a lock that a thread waits for. The hog is above its
# ithread, and the script, for once, above the hog; no program is started meanwhile.
boosted() {
	online 1 && pin 0 1 || return 1
	reset
	thread -f 60 A x1 h && trace_has Ah || return 1
	local before=$(stat reblocked)
	handler 0 G x0 d x1 || return 1
	waits_again() { device_stats 0 && [ "${stats[reblocked]}" -gt "$before" ]; }
	within waits_again && online 0 && thread -f 58 B h x0 && trace_has Bh && chrt --fifo -p 70 $$ || return 1
	thread -f 55 Z b && trace_has Zb && go A && ended A && go B && trace_has "G.'" Bx0
	local result=$?
	go Z
	chrt --other -p 0 $$
	ended Z && ended B && return $result
}
check "it runs there at the priority of a thread that waits for its lock" boosted

# The first interrupt that an ithread runs after its CPU was offline costs a switch to it and one away, as always.
# (Something else may preempt it once. The first time it also notices what other CPUs have taken over.)
charged() {
	local round before
	for round in 0 1 2 3; do
		online 0 && online 1 && pin 0 1 && reset && device_stats 0 && before=${stats[switches]} || return 1
		handler 0 G d && trace_has "G.'" && device_stats 0 || return 1
		[ $round = 0 ] && continue
		[ $((stats[switches] - before)) = 2 ] && return
		ktap_print_msg "it has cost $((stats[switches] - before))"
	done
	return 1
}
check "what it does there meanwhile is charged to no interrupt" charged
check "the driver unloads" stop_locks
online 1
ktap_finished

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# resume: both
# Interrupts are moved from CPU to CPU while they come and block: each is answered,
# once, on the CPU that was interrupted.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/driver.sh"
. "$(dirname "$0")/locks.sh"
. "$(dirname "$0")/vectors.sh"

ktap_print_header
ktap_set_plan 11

check "the driver loads" start_vectors

# While vector 9's handler is blocked on one CPU, its interrupts are sent to the other: those that come there
# start it again where it is.
blocked() {
	local round cpu
	for round in {1..10}; do
		cpu=$((round % 2))
		pin 9 $cpu && get_counts 9 || return 1
		reset
		hold h && raise 9h && trace_has 9E || return 1
		# The first one moves the interrupt, the next ones come on the other CPU.
		move 9 $((1 - cpu))
		raise 9h && within remembered 1 && raise 9h && within remembered 2 && release h || return 1
		trace_is_all "(h 9E )h 9h' 9.' 9E' 9h' 9.' 9E' 9h' 9.'" || return 1
		has_moved 9 0 || return 1
		reset
		raise 9h && trace_is_all "9E 9h 9." || return 1
		echo 0 >"$dir/stats"
	done
}
remembered() { get_stats 9 && [ "${stats[remembered]}" = "$1" ]; }
check "sent elsewhere while the handler is blocked: all are answered, where it is" blocked

# More interrupts than are remembered: the line is masked when it is sent elsewhere.
masked() {
	local round n
	for round in {1..10}; do
		pin 9 $((round % 2)) || return 1
		reset
		hold h && raise 9h && trace_has 9E || return 1
		for n in 1 2 3 4 5; do raise 9h && within remembered $n || return 1; done
		move 9 $(((round + 1) % 2))
		raise 9h && release h || return 1
		rest() { get_stats 9 && [ "${stats[resumed]}" = $((1 + stats[remembered])) ]; }
		within rest || return 1
		pin 9 $(((round + 1) % 2)) && reset && raise 9h && trace_is_all "9E 9h 9." || return 1
		echo 0 >"$dir/stats"
	done
}
check "sent elsewhere while the line is masked: it is free again afterwards" masked

settled 9 && restart_counts
check "interrupts come and block, of three vectors and two level lines" start_load
everywhere() {
	local round vector edu masks=(1 2 3 2 1 3)
	edu=$(sed -n 's/^ *\([0-9]*\):.* lazyirq_edu.*/\1/p' /proc/interrupts)
	for round in {1..40}; do
		for vector in 1 4 7; do
			move $vector $(((round + vector) % 2)) || return 1
		done
		for irq in $edu; do
			echo "${masks[round % 6]}" >"/proc/irq/$irq/smp_affinity" || return 1
		done
		reset
		hold h && raise 9h || return 1
		move 9 $((round % 2))
		release h && settled 9 || return 1
	done
}
check "all are sent to and fro, 40 times" everywhere
check "the load has gone on all the time" end_load
check "each interrupt is accounted for" accounted 1 4 7 9
check "the lowest level is lazy on CPU 0" lazy_on 0
check "and on CPU 1" lazy_on 1
rmmod lazyirq_edu
gone() { rmmod lazyirq_vectors && no_ithread; }
check "the driver unloads, and no ithread is left" gone
check "the core unloads" rmmod lazyirq
ktap_finished

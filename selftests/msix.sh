#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# resume: both
# A device with ten MSI-X vectors, a registration for each: each is counted in its
# own row, none is lost, and one that is unfinished leaves the others alone.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/driver.sh"
. "$(dirname "$0")/locks.sh"
. "$(dirname "$0")/vectors.sh"

ktap_print_header
ktap_set_plan 12

check "the driver loads" start_vectors
# The script and what it starts run where the interrupts go: each has come when the write is done.
taskset -pc 0 $$ >/dev/null

msix() {
	local count
	count=$(grep -c 'PCI-MSIX.* vector[0-9]$' /proc/interrupts)
	[ "$count" = 10 ] || { ktap_print_msg "$count MSI-X lines"; return 1; }
}
check "the vectors are ten MSI-X lines" msix

own_rows() {
	local vector n
	restart_counts
	for vector in {0..9}; do
		for ((n = 0; n <= vector; n++)); do raise $vector a || return 1; done
	done
	for vector in {0..9}; do
		vector_counted $vector interrupts $((vector + 1)) lazy $((vector + 1)) || return 1
	done
}
check "1 to 10 interrupts by vector: each is counted in its own row" own_rows

in_order() {
	local vector expected=
	reset
	for vector in 3 9 0 7; do
		raise $vector b
		expected+="${vector}E ${vector}b $vector. "
	done
	trace_is_all "${expected% }"
}
check "each runs its own handler, at once" in_order

lowest_blocked() {
	local vector expected="(a 0E "
	reset
	hold a && raise 0 a || return 1
	for vector in {1..9}; do
		raise $vector b
		expected+="${vector}E ${vector}b $vector. "
	done
	trace_is_all "${expected% }" && release a && trace_is_all "$expected)a 0a' 0.'"
}
check "one is blocked: all of higher levels are lazy" lowest_blocked

highest_blocked() {
	pin 4 1 || return 1
	reset
	hold a && raise 9 a && raise 8 b && trace_has "8.'" && raise 4 b || return 1
	trace_is_all "(a 9E 8E' 8b' 8.' 4E 4b 4." && release a || return 1
	trace_is_all "(a 9E 8E' 8b' 8.' 4E 4b 4. )a 9a' 9.'" && pin 4 0
}
check "one is blocked: of a lower level it is lazy on another CPU, held on this one" highest_blocked

# Each vector blocks on a mutex of its own; the last two have none.
all_blocked() {
	local vector
	restart_counts
	reset
	hold a b c d e f g h || return 1
	for vector in {0..7}; do raise $vector "${letters:vector:1}"; done
	raise 8 D
	raise 9
	trace_has "9." "8D'" "8.'"
	for vector in {0..7}; do vector_counted $vector blocked 1 resumed 0 || return 1; done
	release d g a h b f c e || return 1
	for vector in {0..7}; do vector_counted $vector blocked 1 resumed 1 interrupts 1 || return 1; done
	vector_counted 8 deferred 1 resumed 1 && vector_counted 9 lazy 1 resumed 0
}
letters=abcdefgh
check "eight are blocked at a time, on eight mutexes" all_blocked

# All on one mutex, from the lowest level up, so that all block.
one_mutex() {
	local vector expected="(a "
	reset
	hold a || return 1
	for vector in {0..9}; do
		raise $vector a
		expected+="${vector}E "
	done
	release a
	expected+=")a"
	for vector in {9..0}; do expected+=" ${vector}a' $vector.'"; done
	trace_is_all "$expected"
}
check "ten are blocked at a time, on one mutex: they get it by level" one_mutex

# From the highest level down: one blocks, nine are held, and each comes three more times.
remembered() {
	local vector n
	restart_counts
	reset
	hold a || return 1
	for vector in {9..0}; do
		for n in 1 2 3 4; do raise $vector a; done
	done
	release a
	vector_counted 9 blocked 1 held 0 remembered 3 resumed 4 interrupts 4 || return 1
	for vector in {8..0}; do
		vector_counted $vector blocked 0 held 1 remembered 3 resumed 4 interrupts 4 || return 1
	done
	for vector in {0..9}; do
		get_counts $vector
		[ "$raised,$answered" = 4,4 ] || { ktap_print_msg "vector $vector: $answered of $raised"; return 1; }
	done
}
check "while they are unfinished, each comes three times more: all are answered" remembered

# More interrupts than are remembered: the line is masked, and keeps one of them.
masked() {
	local n
	restart_counts
	reset
	hold a && raise 5 a || return 1
	for n in {1..20}; do raise 5 a; done
	raise 6 a
	release a
	rest() { get_stats 5 && [ "${stats[resumed]}" = $((1 + stats[remembered])) ]; }
	within rest && [ "${stats[remembered]}" -ge 4 ] || { ktap_print_msg "${stats[remembered]}"; return 1; }
	vector_counted 6 interrupts 1 blocked 1 resumed 1 && reset && raise 5 a && trace_is_all "5E 5a 5."
}
check "one that comes on and on is masked, alone, and free again afterwards" masked

nothing_left() {
	local vector
	reset
	for vector in {0..9}; do raise $vector abcd && trace_has $vector. || return 1; done
	get_trace
	[[ $trace != *\'* ]]
}
check "all are lazy in the end, and all mutexes free" nothing_left
check "the driver unloads" stop_vectors
ktap_finished

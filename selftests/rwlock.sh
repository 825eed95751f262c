#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# resume: both
# The read/write lock between threads and handlers: which get in together, which
# wait, and which go first.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/driver.sh"
. "$(dirname "$0")/locks.sh"

ktap_print_header
ktap_set_plan 16

check "the driver loads" start_locks

readers_share() {
	reset
	thread A r0 h && trace_has Ah || return 1
	thread B r0 && ended B || return 1
	handler 1 H r0
	go A
	ended A && trace_is_all 'Ar0 Ah Br0 B. Hr0 H. A.'
}
check "readers share: two threads and a handler, lazily" readers_share

writer_excludes() {
	reset
	thread A w0 h && trace_has Ah || return 1
	thread B p0 && failed B || return 1
	handler 1 H r0
	# This one has a lower IPL, so it is held.
	handler 0 I v0 && trace_has "I.'" || return 1
	go A
	ended A && trace_is_all "Aw0 Ah B! I!' I.' A. Hr0' H.'"
}
check "a thread that writes excludes readers; a handler that reads waits for it" writer_excludes

handler_writes() {
	reset
	thread A r0 h && thread B r0 h && trace_has Ah Bh || return 1
	handler 1 H w0
	reset && go A
	ended A || return 1
	trace_is_all 'A.' || return 1
	go B
	ended B && trace_is_all "A. B. Hw0' H.'"
}
check "a handler that writes waits for the last of the readers" handler_writes

no_starving_by_equals() {
	reset
	thread A r0 h && trace_has Ah || return 1
	thread B w0 h && within queued B || return 1
	thread C r0 && within queued C || return 1
	go A
	trace_has Bh || return 1
	go B
	ended C && ended B && ended A && trace_is_all 'Ar0 Ah A. Bw0 Bh B. Cr0 C.'
}
check "a reader waits behind a writer of its priority" no_starving_by_equals

higher_reader_joins() {
	reset
	thread A r0 h && trace_has Ah || return 1
	thread B w0 && within queued B || return 1
	handler 1 H r0
	trace_is_all 'Ar0 Ah Hr0 H.' || return 1
	go A
	ended B && ended A && trace_is_all 'Ar0 Ah Hr0 H. A. Bw0 B.'
}
check "a handler that reads joins readers, a writer notwithstanding, lazily" higher_reader_joins

no_starving_by_handlers() {
	local round
	reset
	thread A r0 h && trace_has Ah || return 1
	thread B w0 && within queued B || return 1
	for round in $(seq 16); do
		# One after the other: the device merges two into one.
		reset
		handler 1 H r0 && trace_has H. || return 1
	done
	reset
	# That was the limit: the writer is first now.
	handler 1 I r0
	trace_is_all '' || return 1
	go A
	ended B && ended A && trace_has "I.'" && trace_is_like "Bw0.*Ir0'"
}
check "16 readers of a higher priority pass a writer, no more" no_starving_by_handlers

let_in() {
	reset
	thread A r0 h && trace_has Ah || return 1
	thread B W0 && within queued B || return 1
	thread C r0 && within queued C || return 1
	kill -USR1 "${pid[B]}"
	ended C && failed B || return 1
	go A
	ended A && trace_has B! Cr0 C. A.
}
check "who waits behind a writer that gives up is let in" let_in

together() {
	reset
	thread A w0 h && trace_has Ah || return 1
	thread B r0 h && within queued B || return 1
	thread C r0 h && within queued C || return 1
	handler 1 H r0
	go A
	# All three get in, though neither of the threads releases.
	trace_has "H.'" Bh Ch || return 1
	go B && go C
	ended A && ended B && ended C
}
check "readers that wait get in together" together

interruptible() {
	reset
	thread A w0 h && trace_has Ah || return 1
	thread B R0 && within queued B || return 1
	kill -USR1 "${pid[B]}"
	failed B && trace_has B! || return 1
	go A
	ended A && thread C w0 && ended C
}
check "a wait to read ends with a signal, and leaves nothing behind" interruptible

for cpu in 0 1; do
	repeated() {
		local round
		pin 1 $cpu || return 1
		for round in $(seq 20); do
			reset
			thread -c 0 A r0 h && trace_has Ah || return 1
			handler 1 H w0 u r0 u
			go A
			ended A && trace_has "H.'" || return 1
		done
	}
	check "20 times, interrupts on CPU $cpu: write and read after a reader" repeated
done
try_forms() {
	reset
	thread A p0 u v0 u t0 u t1 && ended A || return 1
	handler 1 H p0 u v0 u t0 u t1
	trace_is_all 'Ap0 Au Av0 Au At0 Au At1 A. Hp0 Hu Hv0 Hu Ht0 Hu Ht1 H.'
}
check "what is free can be had by trying" try_forms
held_forms() {
	reset
	thread A w0 w1 x0 x1 h && trace_has Ah || return 1
	handler 1 H p0 v1 t0 t1
	trace_has H. || return 1
	go A
	ended A && trace_is_all 'Aw0 Aw1 Ax0 Ax1 Ah H! H! H! H! H. A.'
}
check "what is not free cannot" held_forms
nothing_left() { thread A w0 w1 x0 x1 && ended A; }
check "all locks are free in the end" nothing_left
check "the driver unloads" stop_locks
ktap_finished

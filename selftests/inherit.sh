#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# resume: both
# Priority inheritance: a hog of middling priority on the CPU of a lock's owner
# must not keep an interrupt waiting.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/driver.sh"
. "$(dirname "$0")/locks.sh"

lockdep() { [ -e /proc/lockdep ]; }

ktap_print_header
ktap_set_plan $((37 + $(realtime && echo 1 || echo 0) + $(lockdep && echo 0 || echo 1)))

# What is tested happens on CPU 0; the script and the interrupts are on CPU 1.
taskset -pc 1 $$ >/dev/null

# hog FIFO-PRIORITY: on CPU 0, until unhog. Meanwhile no program should be started, not even here: the thread
# that reads it from the disk may have to run on CPU 0.
hog() {
	thread -c 0 -f "$1" Z b
	trace_has Zb
}
unhog() {
	local result=$?
	go Z
	ended Z && return $result
}

start_here() { start_locks "$@" && pin 0 1 && pin 1 1; }

# Without inheritance the owner, which has the lowest real-time priority, does not run again.
check "boost_delay_us=4000000000 (never): the driver loads" start_here boost_delay_us=4000000000
starved() {
	reset
	thread -c 0 -f 1 A x0 h && trace_has Ah && hog 40 || return 1
	handler 1 H x0
	go A
	! read -rt 3 -u $nothing && ! has "H.'" && fifo_of "${pid[A]}" && [ "$fifo" = 1 ]
	unhog && ended A && trace_has "H.'"
}
check "the interrupt waits for as long as there is a hog" starved
check "the driver unloads" stop_locks

for delay in 0 200 20000; do
	check "boost_delay_us=$delay: the driver loads" start_here boost_delay_us=$delay
	lent() {
		reset
		thread -c 0 -f 1 A "$1" h && trace_has Ah && hog 40 || return 1
		handler 1 H "$2"
		fifo_becomes A 57 && go A && trace_has "H.'"
		unhog && ended A
	}
	check "boost_delay_us=$delay: the owner of a mutex runs at the ithread's priority" lent x0 x0
	check "boost_delay_us=$delay: so does the writer of a read/write lock" lent w0 r0
	check "boost_delay_us=$delay: the driver unloads" stop_locks
done

check "the driver loads" start_here

# lend_on CPUS: the dispatcher and the lenders run there.
lend_on() {
	local thread
	for thread in $(pgrep '^lazyirq_lend'); do taskset -pc "$1" "$thread" >/dev/null || return 1; done
}
# As long as the owner runs, a lender on another CPU has nothing to do but wait, and must not spin.
lenders_time() {
	local lender stat
	time=0
	for lender in $lenders; do read -r -a stat <"/proc/$lender/stat" && time=$((time + 10 * (stat[13] + stat[14]))); done
}
sleeps() {
	local lenders before
	lenders=$(pgrep '^lazyirq_lend/')
	reset
	lend_on 1 && thread -c 0 A x0 b && trace_has Ab && lenders_time && before=$time || return 1
	handler 1 H x0 && fifo_becomes A 57 && ! read -rt 1 -u $nothing && lenders_time
	local result=$?
	go A && ended A && trace_has "H.'" && lend_on 0-1 && [ $result = 0 ] || return 1
	[ $((time - before)) -lt 300 ] && return
	ktap_print_msg "the lenders have run for $((time - before)) ms of a second"
	return 1
}
check "who lends to an owner that runs sleeps" sleeps

repaid() {
	reset
	thread -c 0 -f 1 A x0 h u h && trace_has Ah || return 1
	handler 1 H x0
	fifo_becomes A 57 || return 1
	go A
	# It has released the lock, and still exists.
	trace_has "H.'" Au && fifo_becomes A 1 || return 1
	go A
	ended A
}
check "it has its own priority again once it has released" repaid

raised() {
	reset
	thread -c 0 A x0 h && trace_has Ah || return 1
	handler 0 G x0
	fifo_becomes A 53 || return 1
	handler 1 H x0
	fifo_becomes A 57 || return 1
	go A
	ended A && trace_has "H.'" "G.'"
}
check "a higher IPL raises what is lent" raised

chain() {
	reset
	thread -c 0 -f 1 A x1 h && trace_has Ah || return 1
	thread -c 0 -f 2 B x0 x1 && within queued B && hog 40 || return 1
	handler 1 H x0
	fifo_becomes A 57 && go A && trace_has "H.'"
	unhog && ended A && ended B
}
check "through a chain: the owner waits for another lock" chain

# The owner at the chain's end needs no loan. When it has released, the one that waited for it does.
chain_moves() {
	reset
	thread -c 1 -f 58 A x1 h && trace_has Ah && mark_looks || return 1
	thread -c 0 -f 2 B x0 x1 && within queued B || return 1
	# The first pass is B's, maybe; the second one follows the chain in any case.
	handler 1 H x0 && within looked && mark_looks && handler 0 G x0 && within looked && hog 40 || return 1
	go A && trace_has "H.'" "G.'"
	unhog && ended A && ended B
}
check "through a chain whose end moves" chain_moves

# A waiter inside a chain gets the place of those that depend on it.
place() {
	reset
	thread -c 1 A x1 h && trace_has Ah && thread -c 0 B x0 x1 && within queued B || return 1
	thread -c 0 -f 10 C x1 && within queued C || return 1
	handler 1 H x0 && fifo_becomes A 57 && go A && ended A && ended B && ended C || return 1
	trace_is_like ' Bx1 .*Cx1'
}
check "who waits in a chain is not overtaken by those below its end" place

# So a reader need not wait any longer for a writer that was ahead of it.
joins() {
	reset
	thread -c 1 A r0 h && trace_has Ah && thread -c 1 -f 20 B w0 && within queued B || return 1
	thread -c 0 C x0 r0 && within queued C || return 1
	handler 1 H x0 && trace_has Cr0 "H.'" && go A && ended A && ended B && ended C
}
check "a reader in a chain joins others ahead of a writer below the chain's end" joins

# The dispatcher and the lenders must run ahead of those they serve.
highest() {
	reset
	lend_on 0 && thread -c 0 A x0 h && trace_has Ah && hog 70 || return 1
	thread -c 1 -f 90 B x0 && fifo_becomes A 90 && go A && ended B
	unhog && ended A
	local result=$?
	lend_on 0-1 && return $result
}
check "for threads above all ithreads, too" highest

# A chain along which nothing is lent is looked at once, and not again when it changes.
quiet() {
	no_look() { count_looks && looks_before=$looks && ! read -rt 0.5 -u $nothing && count_looks && [ "$looks" = "$looks_before" ]; }
	reset
	thread A x1 h && trace_has Ah && thread B x0 x1 h && within queued B && mark_looks || return 1
	thread C x0 && within queued C && within looked && within no_look || return 1
	go A && ended A && trace_has Bh && go B && ended B && ended C && count_looks && [ "$looks" = "$looks_before" ]
}
check "ordinary threads leave the dispatcher alone" quiet

# On PREEMPT_RT the kernel's mutexes inherit, too, and what is lent to a waiter for one goes on to its owner.
into_kernel() {
	reset
	thread -c 0 -f 1 A k0 h && trace_has Ah || return 1
	thread -c 0 -f 2 B x0 k0 && trace_has Bx0 && hog 40 || return 1
	handler 1 H x0
	fifo_becomes A 57 && go A && trace_has "H.'"
	unhog && ended A && ended B
}
! realtime || check "through one of the kernel's mutexes" into_kernel

through_handler() {
	reset
	thread -c 0 -f 1 A x1 h && trace_has Ah && hog 54 || return 1
	handler 0 G x0 x1
	handler 1 H x0
	fifo_becomes A 57 && go A && trace_has "G.'" "H.'"
	unhog && ended A
}
check "through a handler of a lower IPL, which waits for a thread" through_handler

between_handlers() {
	pin 0 0 || return 1
	reset
	# The handler continues in the ithread of IPL 3 on CPU 0, which is SCHED_FIFO 53.
	hog 55 || return 1
	handler 0 G x0 d
	trace_has Gx0 && handler 1 H x0 && trace_has "G.'" "H.'"
	unhog && pin 0 1
}
check "a handler of a lower IPL that is runnable runs at the higher one's priority" between_handlers
still_owner() {
	pin 0 0 || return 1
	reset
	hog 55 || return 1
	# It still has the lock when it has deferred for the second time.
	handler 0 G x0 d d d
	trace_has Gx0 && handler 1 H x0 && trace_has "G.'" "H.'"
	unhog && pin 0 1
}
check "as long as it has the lock, however often it defers" still_owner
# The owner is in the lazy path when the dispatcher comes, and only then goes on in its ithread.
in_motion() {
	pin 0 0 && reset && mark_looks && lend_on 1 && hog 55 || return 1
	printf %s 'G x0 b d' >$locks_debugfs/raise0
	trace_has Gb && count_looks && looks_before=$looks &&
		handler 1 H x0 && within looked && go G && trace_has "G.'" "H.'"
	unhog && pin 0 1
	local result=$?
	lend_on 0-1 && return $result
}
check "also if it was in the lazy path at first" in_motion
# It waits for two locks and has been given one, but has not got round to giving up its wait for the other, whose
# owner waits for it: that is no deadlock. (Lockdep, which does not know of waits for one of two, would rightly object.)
woken() {
	pin 0 0 && reset || return 1
	thread -c 1 A x0 h i1 && thread -c 1 B w0 h && trace_has Ah Bh && handler 0 H x1 e0 && mark_looks || return 1
	go A && within queued A && within looked && hog 70 || return 1
	echo ithread >$resume && count_looks && looks_before=$looks && go B && ended B && within looked && queued A
	unhog && ended A && trace_has "He0'" && pin 0 1
	local result=$?
	echo "$RESUME" >$resume && return $result
}
resume=/sys/module/lazyirq/parameters/resume
lockdep || check "a handler that one of two locks has woken is not taken for blocked" woken
ithread_is_back() { fifo_of "$(pgrep -x lazyirq3/0)" && [ "$fifo" = 53 ]; }
check "its ithread has its own priority again" ithread_is_back

threads() {
	reset
	thread -c 0 -f 1 A x0 h && trace_has Ah || return 1
	thread -c 1 -f 50 B x0 && within queued B && hog 40 || return 1
	fifo_becomes A 50 && go A && ended B
	unhog && ended A
}
check "a thread that waits lends, too" threads

given_up() {
	reset
	thread A x0 h u h && trace_has Ah || return 1
	thread -f 30 B i0 && fifo_becomes A 30 || return 1
	kill -USR1 "${pid[B]}"
	failed B || return 1
	go A
	trace_has Au && fifo_becomes A 0 || return 1
	# What was repaid can be lent again, to another owner.
	thread C x0 h && trace_has Ch && thread -f 31 D x0 && fifo_becomes C 31 || return 1
	go A && go C
	ended A && ended C && ended D
}
check "what was lent by one that has given up is repaid, too" given_up

many() {
	reset
	# More owners to lend to than there are lenders at first.
	thread A x0 h && thread B x1 h && thread C w0 h && thread D w1 h && trace_has Ah Bh Ch Dh || return 1
	thread -f 30 E x0 && thread -f 31 F x1 && thread -f 32 G w0 && thread -f 33 I w1
	fifo_becomes A 30 && fifo_becomes B 31 && fifo_becomes C 32 && fifo_becomes D 33 || return 1
	go A && go B && go C && go D
	ended A && ended B && ended C && ended D && ended E && ended F && ended G && ended I
}
check "to four at a time" many
check "the driver unloads" stop_locks

# All four are found at the same time, by one pass.
check "boost_delay_us=4000000: the driver loads, with two lenders" start_here boost_delay_us=4000000
check "to four at a time, with two lenders at first" many

# A thread that is to end must run once more.
unloads() {
	local result hog
	rm -f /tmp/hogging
	taskset -c 0 chrt -f 80 bash -c ': >/tmp/hogging; while :; do :; done' &
	hog=$!
	within test -e /tmp/hogging && stop_locks
	result=$?
	kill $hog && return $result
}
check "the driver unloads, whoever keeps a CPU busy" unloads
ktap_finished

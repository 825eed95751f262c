#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# resume: both
# An interrupt's IPL is changed while it is registered: the new one is in force from the
# next interrupt on, the ithreads are those of the levels in use, nonsense is refused,
# and nothing is lost.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/driver.sh"
. "$(dirname "$0")/locks.sh"
. "$(dirname "$0")/vectors.sh"

ktap_print_header
ktap_set_plan 21

check "the driver loads" start_vectors
taskset -pc 0 $$ >/dev/null

# set_ipl VECTOR IPL
set_ipl() { find_vector "$1" && echo "$2" >"$dir/ipl"; }
# has_ipl VECTOR IPL: shown in its file, and among its counters.
has_ipl() {
	local ipl
	find_vector "$1"
	read -r ipl <"$dir/ipl" && get_stats "$1" && [ "$ipl,${stats[ipl]}" = "$2,$2" ] && return
	ktap_print_msg "vector $1 has IPL $ipl, ${stats[ipl]}, not $2"
	return 1
}
changed() { set_ipl "$@" && has_ipl "$@"; }
# threads_of IPL: there is one for each CPU, with its priority.
threads_of() {
	local thread threads
	mapfile -t threads < <(pgrep "^lazyirq$1/[01]\$")
	[ ${#threads[@]} -eq 2 ] || return 1
	for thread in "${threads[@]}"; do
		fifo_of "$thread" && [ "$fifo" = $((50 + $1)) ] || return 1
	done
}
shown() {
	local vector
	for vector in {0..9}; do has_ipl $vector $((vector + 1)) || return 1; done
}
check "each has the level that it was registered with" shown

# Vector 4, of IPL 5, is blocked.
check "with 5 blocked, 3 is held" eval 'begin; hold a && raise 4a && goes_on "(a 4E" && came 2 held'
check "changed to 6, it is lazy" eval 'changed 2 6 && came 2 lazily'
check "changed to 5, it is held" eval 'changed 2 5 && came 2 held'
check "changed to 10, it is lazy" eval 'changed 2 10 && came 2 lazily'
check "changed to 1, it is held" eval 'changed 2 1 && came 2 held'
check "the one that is blocked goes on" eval 'release a && goes_on ")a 4a'\'' 4.'\''" && changed 2 3'

# The blocked one itself is changed, twice.
blocked() {
	begin
	hold a && raise 4a && goes_on "(a 4E" && changed 4 9 && changed 4 2 || return 1
	came 5 lazily && came 3 held && threads_of 5
}
check "changed while it is blocked, it keeps its level until it is done" blocked
done_then() {
	release a && goes_on ")a 4a' 4.'" || return 1
	begin
	hold a && raise 2a && goes_on "(a 2E" && came 4 held && release a && goes_on ")a 2a' 2.'"
}
check "then the new one is in force" done_then

no_thread_of() { ! pgrep "^lazyirq$1/" >/dev/null; }
check "its old level's threads go with the next change" eval 'changed 4 2 && no_thread_of 5'
check "they are back when it is" eval 'changed 4 5 && threads_of 5'
all_one() {
	local vector
	for vector in {0..9}; do changed $vector 7 || return 1; done
	threads_of 7 && [ "$(pgrep -c '^lazyirq[0-9]')" = 2 ]
}
check "all of one level: there are its threads, and no others" all_one
all_again() {
	local vector
	for vector in {0..9}; do changed $vector $((vector + 1)) && threads_of $((vector + 1)) || return 1; done
}
check "all of a level of their own: there are the threads of each" all_again

# refused TEXT: fails with this error, and a line in the log.
refused() {
	local said before
	before=$(dmesg | grep -c 'lazyirq: .*has to be 1 to 10')
	find_vector 4
	said=$(LC_ALL=C bash -c 'printf "%s\n" "$0" >"$1"' "$1" "$dir/ipl" 2>&1) && return 1
	[[ $said == *"Invalid argument"* ]] && [ "$(dmesg | grep -c 'lazyirq: .*has to be 1 to 10')" -gt "$before" ] && has_ipl 4 5 && return
	ktap_print_msg "\"${1:0:20}\": $said"
	return 1
}
nonsense() {
	local text
	for text in 0 11 -1 255 256 4294967301 5.0 5x x '' ' ' "5 5" "$(printf %01000d 5)"; do
		refused "$text" || return 1
	done
}
check "nonsense is refused, with a line in the log" nonsense
while_blocked() {
	begin
	hold a && raise 4a && raise 4a && raise 4a && goes_on "(a 4E" && refused 0 && refused x && release a &&
		goes_on ")a 4a' 4.' 4E' 4a' 4.' 4E' 4a' 4.'" && settled 4
}
check "nonsense loses nothing of one that is blocked" while_blocked

taskset -pc 0-1 $$ >/dev/null
restart_counts
check "interrupts come and block, of three vectors and two level lines" start_load
under_load() {
	local round vector file edu
	edu=$(echo $debugfs/*-lazyirq_edu-lazy*/ipl)
	for round in {1..40}; do
		for vector in 1 4 7; do set_ipl $vector $(((3 * round + vector) % 10 + 1)) || return 1; done
		for file in $edu; do echo $((round % 10 + 1)) >"$file" || return 1; done
	done
}
check "all are changed again and again, 40 times" under_load
check "the load has gone on all the time" end_load
check "each interrupt is accounted for" accounted 1 4 7
gone() { lazy_on 0 && rmmod lazyirq_edu lazyirq_vectors && no_ithread && rmmod lazyirq; }
check "the lowest level is lazy, the drivers unload, and no ithread is left" gone
ktap_finished

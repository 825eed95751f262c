#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# resume: both
# Handlers of three levels and more in flight on one CPU: a higher one goes first,
# lazily, an equal or lower one is held; those that can continue do so by level, and
# within a level first come, first served; one that is stuck stops no other.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/driver.sh"
. "$(dirname "$0")/locks.sh"
. "$(dirname "$0")/vectors.sh"

ktap_print_header
ktap_set_plan 18

# Vectors 0 and 1 are of IPL 2, 2 and 3 of IPL 4, and so on.
check "the driver loads" start_vectors pairs=1
taskset -pc 0 $$ >/dev/null

in_flight() {
	begin
	hold a b c && raise 0a && raise 4b && raise 6c && goes_on "(a (b (c 0E 4E 6E"
}

three_in_flight() {
	in_flight || return 1
	came 8 lazily && came 7 held && came 5 held && came 3 held && came 1 held && came 9 lazily
}
check "2, 6 and 8 are blocked: 10 goes lazily in front, 8, 6, 4 and 2 are held" three_in_flight
middle_done() {
	release b && goes_on ")b 4b' 4.'" || return 1
	came 9 lazily && came 7 held && came 5 held && came 3 held && came 1 held
}
check "6 is done: there are still 2 and 8" middle_done
highest_done() {
	release c && goes_on ")c 6c' 6.'" || return 1
	came 7 lazily && came 5 lazily && came 3 lazily && came 1 held
}
check "8 is done: there is still 2" highest_done
all_done() {
	release a && goes_on ")a 0a' 0.'" && came 1 lazily && came 0 lazily
}
check "2 is done: all are lazy" all_done

# What a mutex's release brings, if those in flight are blocked on it.
declare -A with=([a]=")a 0a' 0.'" [b]=")b 4b' 4.'" [c]=")c 6c' 6.'")
# in_turn MUTEX...: each is released when what the release before it has brought is over.
in_turn() {
	local mutex
	for mutex in "$@"; do release "$mutex" && goes_on "${with[$mutex]}" || return 1; done
}

# held_in_order RAISED RAN: those raised come at once, and run in that order.
held_in_order() {
	local vector
	in_flight || return 1
	# shellcheck disable=SC2086
	burst $1
	for vector in $2; do expected+=" ${vector}E' ${vector}d' $vector.'"; done
	trace_is_all "$expected" && in_turn a b c
}
check "held at a time: by level" held_in_order "1d 3d 5d 7d" "7 5 3 1"
check "held at a time, the highest first: the same" held_in_order "7d 5d 3d 1d" "7 5 3 1"
check "held at a time: within a level in order" held_in_order "3d 1d 2d 5d" "5 3 2 1"
check "held at a time, in the other order" held_in_order "2d 5d 3d 1d" "5 2 3 1"
in_front_of_held() {
	in_flight || return 1
	burst 3d 8d 7d 9d
	goes_on "8E 8d 8. 9E 9d 9. 7E' 7d' 7.' 3E' 3d' 3.'" && in_turn c b a
}
check "a higher one is in front of those that are held, too" in_front_of_held

# In whatever order the mutexes are released.
released() {
	local order
	for order in abc acb bac bca cab cba; do
		begin
		hold -f $order && raise 0a && raise 4b && raise 6c && release $order || return 1
		if by_ithread; then
			goes_on "(a (b (c 0E 4E 6E )${order:0:1} )${order:1:1} )${order:2:1} 6c' 6.' 4b' 4.' 0a' 0.'"
		else
			goes_on "(a (b (c 0E 4E 6E ${with[${order:0:1}]} ${with[${order:1:1}]} ${with[${order:2:1}]}"
		fi || return 1
	done
}
check "released at a time, in any of six orders: they go on by level, or with the release" released

released_within() {
	local order
	for order in ab ba; do
		begin
		hold -f $order && raise 4a && raise 5b && goes_on "(a (b 4E 5E'" && release $order || return 1
		if [ $order = ab ] && by_ithread; then
			goes_on ")a )b 4a' 4.' 5b' 5.'"
		elif [ $order = ab ]; then
			goes_on ")a 4a' 4.' )b 5b' 5.'"
		else
			goes_on ")b )a 5b' 5.' 4a' 4.'"
		fi || return 1
	done
}
check "released at a time, of one level: they go on in the order of the releases" released_within

# Vector 4's handler, in its ithread, raises the others.
while_running() {
	begin
	raise 8d && raise 5d && raise 3d && goes_on "8E 8d 8. 5E 5d 5. 3E 3d 3." || return 1
	hold a && raise 4a385 && goes_on "(a 4E" && release a &&
		goes_on ")a 4a' 43' 8E 8d 8. 48' 45' 4.' 5E' 5d' 5.' 3E' 3d' 3.'"
}
check "one goes on in its ithread: a higher one interrupts it, others come after it" while_running

# 5 has blocked again, after 4 went on.
stuck_twice() {
	begin
	hold a b && raise 4ab && raise 5b && goes_on "(a (b 4E 5E'" && release a &&
		goes_on ")a 4a'" && came 7 lazily && came 3 held && release b && goes_on ")b 5b' 5.' 4b' 4.'"
}
check "one that blocks once more comes after those that were there first" stuck_twice

stuck() {
	local n
	begin
	hold a b && raise 6a && raise 7b && goes_on "(a (b 6E 7E'" && release b && goes_on ")b 7b' 7.'" || return 1
	for n in {1..10}; do came 7 held && came 4 held && came 8 lazily || return 1; done
}
check "two of a level, the first is stuck: the other goes on, as do all" stuck
unstuck() { release a && goes_on ")a 6a' 6.'" && came 7 lazily; }
check "the first one is released in the end" unstuck

# One handler of each level is stuck, blocked lazily or in its ithread.
all_stuck() {
	local vector n
	begin
	hold a && raise 8a && goes_on "(a 8E" || return 1
	for vector in 6 4 2 0; do raise ${vector}a && goes_on "${vector}E'" || return 1; done
	for n in 1 2 3; do
		for vector in 1 3 5 7 9; do came $vector held || return 1; done
	done
	release a && goes_on ")a 8a' 8.' 6a' 6.' 4a' 4.' 2a' 2.' 0a' 0.'" || return 1
	for vector in 0 1 2 3 4 5 6 7 8 9; do came $vector lazily || return 1; done
}
check "one of each level is stuck: the other goes on; all are lazy in the end" all_stuck
check "the driver unloads" stop_vectors
ktap_finished

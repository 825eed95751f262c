#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# resume: both
# A line that a lazy driver shares with a stock one, hard, threaded or oneshot, or
# with another lazy one, in both orders of registration: while a handler is blocked,
# a level line's other devices are answered once and then wait, and an edge line's need not; whichever driver
# comes and goes meanwhile, all are answered afterwards. If the lazy handler dies, they wait until its driver goes.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/driver.sh"
. "$(dirname "$0")/sim.sh"

ktap_print_header
# On PREEMPT_RT the kernel turns primary handlers into threads, and masks the line until they are done: there,
# a threaded driver is a oneshot one.
if realtime; then
	first=(hard lines) last=(hard threaded lines) refused=(oneshot threaded)
else
	first=(hard threaded lines) last=("${first[@]}") refused=(oneshot)
fi
ktap_set_plan $((2 + 2 * (7 * (${#first[@]} + ${#last[@]} + 1) + ${#refused[@]})))
expect_log 'Flags mismatch irq'
expect_log 'waits in the lazy path for what nothing would ever end'
# What the debug kernel adds to that.
case $(uname -r) in *-debug) expect_log 'Call [Tt]race:' ;; esac

# The lazy device's source and its neighbour's, and the neighbour's driver: $me, $other, $driver.
# The line is $n.

blocks() { reset $n && hold $me && raise $me && becomes $n "answered${me#*.}" 1 depth 0; }
released() { release $me && rests $n "$1"; }

# No handler is blocked.
both_answered() { reset $n && raise $me 50 && raise $other 50 && raise $me 50 && rests $n 150; }

# The neighbour's events come while the lazy handler is blocked.
waits() {
	blocks && raise $other 3 || return 1
	if [ $n -ge 4 ]; then
		becomes $n delivered 2 masked 1 && get_line $n && ((line[answered${other#*.}] > 0)) || return 1
	else
		becomes $n "answered${other#*.}" 3 || return 1
	fi
	raise $other 9 && raise $me 2 && released 15
}

# Both devices ask when the interrupt comes: it is the neighbour's as well.
at_once() {
	reset $n && control disable $n && raise $me && raise $other && hold $me || return 1
	control enable $n && becomes $n answered 2 depth 0 && released 2
}

# When either driver leaves the line, that waits for all handlers on it.
comes_and_goes() {
	unbind $other && blocks && bind $other "$driver" && raise $other && released 2 || return 1
	blocks && unbinding $other && release $me && wait $unbinder || return 1
	bind $other "$driver" && raise $other && rests $n 2
}

# The lazy driver is unbound while its handler is blocked, which it waits for.
lazy_goes() {
	blocks && raise $other 2 && unbinding $me && release $me && wait $unbinder || return 1
	goes_on 3 && raise $other && goes_on 4
}
# The same as rests, without looking at the lazy driver.
goes_on() {
	at_rest() { get_line $n && is raised "$1" answered "$1" resting 1 masked 0 depth 0 jammed 0; }
	within at_rest "$1" && return
	ktap_print_msg "line $n: $why"
	return 1
}

# It is not bound to begin with.
lazy_dies() {
	is_shut() { get_line $n && is answered 1 depth 1; }
	bind $me lines && reset $n && mode $me dead-answered 1 && raise $me && within is_shut || return 1
	raise $other 3 && get_line $n && is answered 1 masked 1 || return 1
	unbind $me && goes_on 4 && raise $other && goes_on 5
}

# shared KIND FIRST SECOND: the one called lazy here is the one that blocks.
shared() {
	local what="$1, $2 and then $3"
	n=$([ "$1" = edge ] && echo 0 || echo 4)
	me=$n.0 other=$n.1 driver=$3 nth=
	[ "$2" = lazy ] || { me=$n.1 other=$n.0 driver=$2; }
	[ "$2" != lines ] || nth=1
	bound() { bind_all $n "${2/lazy/lines}" "${3/lazy/lines}" && pin $n 0; }
	check "$what: are bound" bound "$@"
	check "$what: both are answered" both_answered
	check "$what: one waits while the lazy one is blocked" waits
	check "$what: both ask at once" at_once
	check "$what: one comes and goes while the lazy one is blocked" comes_and_goes
	check "$what: the lazy one goes while it is blocked" lazy_goes
	check "$what: when the lazy one has died, the other is answered once it is gone" lazy_dies
	unbind_all $n
}

# A driver whose line is masked until its thread is done must come first: the kernel requires it.
# is_refused LINE DRIVER
is_refused() {
	nth=
	bind $1.0 lines && ! bind $1.1 "$2" 2>/dev/null || return 1
	reset $1 && raise $1.0 10 && rests $1 10 && unbind_all $1
}

check "the modules load" start_sim
load lazyirq_neighbours
taskset -pc 0 $$ >/dev/null
for kind in edge level; do
	for neighbour in "${first[@]}"; do shared $kind lazy $neighbour; done
	for neighbour in "${last[@]}" oneshot; do shared $kind $neighbour lazy; done
	for neighbour in "${refused[@]}"; do
		check "$kind: after a lazy driver a $neighbour one is refused" is_refused $n $neighbour
	done
done
check "the modules unload" stop_sim
ktap_finished

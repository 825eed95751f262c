#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Handlers that say it was not their device, at once or after they have blocked or
# deferred, handlers that never acknowledge, and handlers that die: the kernel shuts a
# line down if no handler answers it, and only then; a dead handler's line stays masked;
# whatever a device does, its driver can be unbound, and all others go on.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/driver.sh"
. "$(dirname "$0")/sim.sh"

ktap_print_header
ktap_set_plan 39

# start_mode LINE MODE [COUNT]
start_mode() { local n=$1; shift; reset "$n" && mode "$n.0" "$@"; }

# lazy_again LINE
lazy_again() {
	mode "$1.0" plain && reset "$1" && raise "$1.0" 10 && accounted "$1" 10 && becomes "$1" LAZY 10
}

# One by one, with an edge for each.
early_edge() {
	start_mode 0 foreign 100 && raise 0.0 100 && becomes 0 SPURIOUS 100 LAZY 100 coalesced 0 || return 1
	raise 0.0 && accounted 0 101 && lazy_again 0
}
# The device keeps asking.
early_level() {
	start_mode 4 foreign 100 && raise 4.0 && becomes 4 SPURIOUS 100 delivered 101 || return 1
	accounted 4 1 && lazy_again 4
}
# late LINE MODE
late() {
	start_mode "$1" "$2" 1 && hold "$1.0" && raise "$1.0" && release "$1.0" || return 1
	becomes "$1" LATE_NONE 1 || return 1
	# Nothing repeats an edge. A level line stays asserted.
	raise "$1.0" && accounted "$1" 2 || return 1
	# An interrupt whose handler has not answered yet stands for the one that was none. That is over then, also if
	# the counters are reset.
	told "$1" 1 && told "$1" 0 && told "$1" 0 && lazy_again "$1"
}
# told LINE COUNT: when an interrupt's handler blocks, the kernel is told that this many were not handled.
told() {
	reset "$1" && hold "$1.0" && control unhandled "$1" 0 0 && raise "$1.0" || return 1
	becomes "$1" BLOCKED 1 delivered 1 unhandled "$2" && release "$1.0" && accounted "$1" 1
}

# A blocked handler that has not acknowledged, and one that will not.
mute() {
	start_mode "$1" mute 1 && hold "$1.0" && raise "$1.0" && becomes "$1" BLOCKED 1 delivered $((1 + $1 / 4)) || return 1
	release "$1.0" && raise "$1.0" && accounted "$1" 2 && lazy_again "$1"
}
mute_for_long() {
	start_mode 4 "$1" 500 && raise 4.0 && accounted 4 1 && becomes 4 delivered 501 && lazy_again 4
}

# dies LINE: a handler waits for what never comes, and has not answered its device. Its line is shut.
dies() {
	start_mode "$1" dead 1 && raise "$1.0" && becomes "$1" ILLEGAL 1 INTERRUPTS 1 delivered 1 depth 1 || return 1
	# The kernel masks an edge line with the next edge that comes, and its handler is not called for that.
	[ "$1" -ge 4 ] || { raise "$1.0" && becomes "$1" delivered 2; } || return 1
	becomes "$1" masked 1 depth 1 resting 1 INTERRUPTS 1 answered 0
}
# The device still asks.
bound_after_death() {
	unbind "$1.0" && bind "$1.0" lines && pin "$1" 0 || return 1
	[ "$1" -ge 4 ] || raise "$1.0" || return 1
	all_answered() { get_line "$1" && is masked 0 depth 0 resting 1 answered "${line[raised]}"; }
	within all_answered "$1" && lazy_again "$1"
}

# A storm goes to the other CPU, so that this one can watch it.
storm=5 calm=6

# Another device on that CPU, which is answered all the time.
calm() {
	reset $calm && raise $calm.0 && accounted $calm 1
}
# This must be seen twice: while a handler that has deferred is unfinished, the line is masked, too.
shut() {
	local before=$delivered
	get $storm && is depth 1 masked 1 answered 0 jammed 0 || return 1
	delivered=${line[delivered]} why="$delivered interrupts"
	((lazy[interrupts] == lazy[lazy] + lazy[resumed] && delivered == before))
}
# The kernel looks after 100,000, and starts anew if there was a break of a tenth of a second, as may happen in an
# emulated machine. To defer that many takes long, so most of them may be simulated.
shut_in_time() {
	local end=$((SECONDS + 150)) delivered=0 before=100000
	[ "$1" = foreign ] || before=5000
	until
		[ "$1" = foreign ] || control unhandled $storm 0 95000
		within shut
	do [ $SECONDS -lt $end ] || { ktap_print_msg "$why"; return 1; }; done
	[ "$delivered" -ge $before ] || { ktap_print_msg "$why"; return 1; }
}
# The kernel polls a line that it has shut down: its handlers are called in a timer, and may block there, too.
polled() {
	mode $storm.0 plain && within answered_all || return 1
	reset $storm && hold $storm.0 && raise $storm.0 && becomes $storm BLOCKED 1 || return 1
	release $storm.0 && becomes $storm answered 1 depth 1
}
answered_all() { get_line $storm && ((line[answered] == line[raised])); }

# A new driver gives the line another chance.
bound_again() {
	bind $storm.0 lines && pin $storm 0 && within answered_all && lazy_again $storm &&
		unbind $storm.0
}

# screams MODE...: its line is shut down.
screams() {
	check "$*: a driver is bound" bind $storm.0 lines
	pin $storm 1
	start_mode $storm "$@"
	raise $storm.0
	check "$*: the line is shut" shut_in_time "$@"
	check "$*: others of its CPU go on" calm
	check "$*: when the device is answered after all, the kernel's polling does it" polled
	check "$*: the driver is unbound" unbind $storm.0
	check "$*: bound again, the line works" bound_again
}

# unbound_in MODE: the kernel sees no reason to shut it down.
unbound_in() {
	check "$*: a driver is bound" bind $storm.0 lines
	pin $storm 1
	start_mode $storm "$@"
	raise $storm.0
	stormy() { get_line $storm && ((line[delivered] > 1000)); }
	check "$*: the device screams" within stormy
	[ "$1" = mute ] || check "$*: others of its CPU go on" calm
	check "$*: the driver is unbound meanwhile" unbind $storm.0
	ended() { get_line $storm && is masked 1 resting 1 jammed 0; }
	check "$*: and the storm is over" within ended
	check "$*: bound again, the line works" bound_again
}

check "the modules load" start_sim
taskset -pc 0 $$ >/dev/null
for n in 0 4 $calm; do bind $n.0 lines && pin $n 0; done
pin $calm 1
check "edge: a hundred answers of None do no harm" early_edge
check "level: a hundred answers of None do no harm" early_level
for kind in edge level; do
	n=$([ $kind = edge ] && echo 0 || echo 4)
	check "$kind: None from a handler that was blocked is counted, and reported once" late $n foreign-locked
	check "$kind: None from a handler that has deferred is counted, and reported once" late $n foreign-deferred
	check "$kind: a blocked handler that has not acknowledged is left alone" mute $n
done
check "level: a handler that does not acknowledge for 500 interrupts recovers" mute_for_long mute
check "level: the same if it defers" mute_for_long mute-deferred
expect_log 'waits in the lazy path for what nothing would ever end'
for kind in edge level; do
	n=$([ $kind = edge ] && echo 0 || echo 4)
	check "$kind: a handler that dies leaves its line masked" dies $n
	check "$kind: bound again, the line works" bound_after_death $n
done
expect_log 'irq [0-9]+: nobody cared'
expect_log 'Disabling IRQ #[0-9]+'
expect_log 'Call [Tt]race:'
screams foreign
screams foreign-deferred
unbound_in mute-deferred
unbound_in mute
check "the modules unload" stop_sim
ktap_finished

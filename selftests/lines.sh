#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# resume: both
# Edge and level lines, on a simulated controller that counts what the hardware
# does: whatever comes while a handler is unfinished, and whenever the line is
# disabled, every event is answered, no level line storms, and each interrupt is
# accounted for.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/driver.sh"
. "$(dirname "$0")/sim.sh"

ktap_print_header
ktap_set_plan 45

# blocks LINE MODE: a thread holds the mutex, and a first interrupt blocks on it.
blocks() {
	mode "$1.0" "$2" && reset "$1" && hold "$1.0" && raise "$1.0" && becomes "$1" BLOCKED 1
}

# Interrupts that came while the handler was unfinished are answered afterwards, and then it is lazy again.
over() {
	release "$1.0" && accounted "$1" "$2" || return 1
	reset "$1" && raise "$1.0" && accounted "$1" 1 && becomes "$1" LAZY 1
}

# $1 interrupts on line $2 from this CPU, the line's own: all lazy, one after the other.
uncontended() {
	reset "$2" && raise "$2.0" "$1" && accounted "$2" "$1" &&
		becomes "$2" LAZY "$1" coalesced 0 delivered "$1"
}

# Raised here, on a line of the other CPU, as fast as possible, until $1 interrupts have got through.
bursts() {
	local raised=0
	burst() {
		raise "$1.0" 500 && raised=$((raised + 500)) && get_line "$1" && ((line[delivered] >= $2))
	}
	reset "$2" && pin "$2" 1 && within burst "$2" "$1" && pin "$2" 0 && accounted "$2" $raised || return 1
	get "$2" && is LAZY "${lazy[interrupts]}" || { ktap_print_msg "$why"; return 1; }
}

# All that comes while a handler is blocked comes at once.
many() {
	local count=$1 number=$2
	blocks "$number" "$3" && raise "$number.0" "$count" || return 1
	get "$number" || return 1
	if [ "$number" -ge 4 ]; then
		# One more, with which the line is masked, though the device keeps asking.
		is delivered 2 masked 1 depth 1 REMEMBERED 1 || { ktap_print_msg "$why"; return 1; }
	elif [ "$count" -le 5 ]; then
		# The kernel masks the line at the controller with the next one that comes.
		is coalesced 0 REMEMBERED "$count" depth $((count > 4)) masked 0 || { ktap_print_msg "$why"; return 1; }
	else
		# The line was masked after a few, and the hardware remembers the rest.
		is masked 1 depth 1 || { ktap_print_msg "$why"; return 1; }
	fi
	over "$number" $((count + 1))
}

# A handler that was started again takes its time, and more interrupts come meanwhile.
again_and_again() {
	local round
	blocks "$1" plain || return 1
	for round in 1 2 3 4 5; do
		raise "$1.0" "$round"
		release "$1.0" && hold "$1.0" && raise "$1.0" || return 1
	done
	over "$1" 21
}

deferred() {
	mode "$2.0" defer && reset "$2" && raise "$2.0" "$1" && accounted "$2" "$1" || return 1
	get "$2" && [ $((lazy[deferred] + lazy[remembered] + lazy[held])) = "${lazy[interrupts]}" ] &&
		mode "$2.0" plain
}

disabled_before() {
	reset "$1" && control disable "$1" && raise "$1.0" 3 || return 1
	becomes "$1" INTERRUPTS 0 depth 1 masked 1 || return 1
	hold "$1.0" && control enable "$1" && becomes "$1" BLOCKED 1 && over "$1" 3
}

disabled_within() {
	blocks "$1" "$2" && control disable_nosync "$1" && raise "$1.0" 3 && control enable "$1" &&
		raise "$1.0" && over "$1" 5
}

# Disabled twice, while the handler is blocked.
disabled_around() {
	blocks "$1" plain || return 1
	control disable_nosync "$1" && raise "$1.0" 2 && control disable_nosync "$1" || return 1
	release "$1.0" || return 1
	# The handler is not called for them, however long that takes.
	becomes "$1" RESUMED 1 depth 2 raised 3 answered 1 || return 1
	control enable "$1" && raise "$1.0" && becomes "$1" depth 1 INTERRUPTS 1 || return 1
	control enable "$1" && accounted "$1" 4
}

# disable_irq() waits for the line's handlers, including a blocked one.
disabling_waits() {
	local other
	blocks "$1" plain || return 1
	control disable "$1" &
	other=$!
	becomes "$1" depth 1 && raise "$1.0" && kill -0 $other || return 1
	becomes "$1" RESUMED 0 && release "$1.0" && wait $other || return 1
	becomes "$1" answered 1 depth 1 RESUMED 1 && control enable "$1" && accounted "$1" 2
}

# Another process keeps disabling and enabling the line, while handlers block and are resumed.
disabled_always() {
	local round going=/tmp/lazyirq-going other
	reset "$1" && mode "$1.0" "$2" || return 1
	: >$going
	(
		while [ -e $going ]; do
			control disable_nosync "$1" && control enable "$1"
			control disable "$1" && control enable "$1"
		done
	) &
	other=$!
	for round in {1..40}; do
		hold "$1.0" && raise "$1.0" "$round" && release "$1.0" && raise "$1.0" || break
	done
	rm $going
	wait $other
	[ "$round" = 40 ] && accounted "$1" 860
}

# The device asks again while its driver is unbound, which waits for the blocked handler: there is no answer.
asks_late() {
	line_is() { get_line "$1" && shift && is "$@"; }
	blocks "$1" plain && unbinding "$1.0" && raise "$1.0" && line_is "$1" delivered 2 masked 1 || return 1
	release "$1.0" && wait "$unbinder" && bind "$1.0" lines && pin "$1" 0 && within line_is "$1" raised 2 answered 2 masked 0
}

check "the modules load" start_sim
# This runs where the lines' interrupts go; the other CPU is for what disturbs them.
taskset -pc 0 $$ >/dev/null
for kind in edge level; do
	n=$([ $kind = edge ] && echo 0 || echo 4)
	check "$kind: a lazy driver is bound" bind $n.0 lines
	pin $n 0
	check "$kind: 1,000 interrupts of its own CPU are lazy" uncontended 1000 $n
	check "$kind: of bursts from the other CPU none is lost" bursts 20 $n
	for count in 1 4 5 100; do
		check "$kind: $count more while the handler is blocked" many $count $n plain
		check "$kind: the same, not acknowledged before" many $count $n late
	done
	check "$kind: more at each time that the handler is started again" again_and_again $n
	check "$kind: 1,000 handlers defer" deferred 1000 $n
	check "$kind: disabled by others before the handler runs" disabled_before $n
	check "$kind: disabled by others while it is blocked" disabled_within $n plain
	check "$kind: the same, not acknowledged before" disabled_within $n late
	check "$kind: disabled by others across the release" disabled_around $n
	check "$kind: disabling it waits for a blocked handler" disabling_waits $n
	check "$kind: disabled by others at any moment" disabled_always $n plain
	check "$kind: the same, not acknowledged before" disabled_always $n late
	mode $n.0 plain
	[ $kind = edge ] || check "$kind: what comes while the driver goes does not storm" asks_late $n
	check "$kind: the driver is unbound" unbind $n.0
done
check "the modules unload" stop_sim
ktap_finished

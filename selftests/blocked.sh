#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# resume: both
# A handler meets a mutex that a thread holds, on its own CPU (the very thread
# that it has interrupted) or on another: it blocks, the thread goes on, and
# after the release the handler continues where it stopped, exactly once, in order.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/driver.sh"

rounds=300
ktap_print_header
ktap_set_plan 26

# by_whom CPU: resumed by the releaser on that CPU, if it should be. On the other CPU a release may come while
# the handler's hard IRQ is not over: then the ithread resumes it.
by_whom() {
	local by_releaser
	by_releaser=$(stat by_releaser)
	case $RESUME,$1 in
	ithread,*) [ "$by_releaser" = 0 ] ;;
	*,0) [ "$by_releaser" = $rounds ] ;;
	*) [ "$by_releaser" -gt 0 ] ;;
	esac && return
	ktap_print_msg "$by_releaser of $rounds by a releaser"
	return 1
}
for intx in 0 1; do
	line=$([ $intx = 0 ] && echo MSI || echo INTx)
	check "$line: the driver loads" start intx=$intx
	for cpu in 0 1; do
		echo 0 >$debugfs/interrupts
		check "$line: $rounds interrupts block on a mutex held on CPU $cpu" scenario $cpu locked $rounds
		check "$line: each blocked once and was resumed once" \
			stats_are interrupts $rounds blocked $rounds resumed $rounds lazy 0 reblocked 0
		check "$line: by whom it had to be" by_whom $cpu
	done
	check "$line: an interrupt blocks behind a sleeping holder" hold a 1
	raise plain
	check "$line: it waits" stat_becomes blocked $((rounds + 1))
	released() { release && trace_becomes '(!E)ad'; }
	check "$line: it goes on after the release" released

	# A thread comes first, the handler later, and the lock still goes to the handler.
	check "$line: a thread holds the mutex" hold a 1
	taskset -c 1 bash -c "echo a >${test_debugfs}0/hold" &
	second=$!
	# That is, asleep in the lock, and not on its way there.
	asleep() {
		local function
		read -r function <"/proc/$second/wchan"
		[[ $function == *lazyirq4sync4wait* ]]
	}
	check "$line: another waits for it" within asleep
	raise plain
	stat_becomes blocked $((rounds + 2))
	# The handler releases the mutex before it is done: its end may be seen after the thread's turn.
	gone_on() { trace=$(<${test_debugfs}0/trace) && [[ $trace == '(!E)ad()' || $trace == '(!E)a()d' ]]; }
	in_order() {
		release && wait $second && within gone_on && return
		ktap_print_msg "the trace is $trace"
		return 1
	}
	check "$line: the handler gets it before the thread" in_order
	stop || ktap_print_msg "cannot unload"
done
ktap_finished

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A handler that waits too long is reported, once for each wait, with the lock and
# its owner; then everything goes on.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/driver.sh"
. "$(dirname "$0")/locks.sh"

ktap_print_header
ktap_set_plan 27
expect_log 'Call [Tt]race:'

# new: the log is read from here on.
part=0
new() {
	part=$((part + 1))
	echo "stall-part $part" >/dev/kmsg
	reset
}
log() { messages | sed -n "/stall-part $part\$/,\$p"; }
said() { [ "$(log | grep -cE "lazyirq: $1")" = "${2:-1}" ]; }
# soon REGEX: the log says it, within ten seconds, and once.
soon() {
	within said "$1" && return
	ktap_print_msg "not said, or not once: $1"
	return 1
}
# waits DEVICE LOCK: the report's first line.
waits() { echo "interrupt $(locks_irq "$1") \(lazyirq_test\): its handler has waited for lock $2 for [0-9]+ ms"; }
# stalled DEVICE COUNT: its counter.
stalled() { grep -qE "^stalled +$2\$" "$debugfs/$(locks_irq "$1")-lazyirq_test-lazy/stats"; }

check "stall_ms=300: the driver loads" start_locks stall_ms=300

behind_thread() {
	new
	thread -c 1 A x0 h && trace_has Ah || return 1
	handler 0 H x0
	soon "$(waits 0 X0)" && soon "lock X0 is held by thread ${pid[A]}, which is here:"
}
check "a handler behind a thread that sleeps is reported, with the lock and the thread" behind_thread
where_it_is() { log | grep -qE "task:bash .* pid:${pid[A]} " && log | sed -n '/Call [Tt]race:/,$p' | grep -q '\[lazyirq_locks\]'; }
check "so is where the thread is" where_it_is
# The second report is delayed by the time that the first one took.
once() {
	handler 1 I x0
	soon "$(waits 1 X0)" && said "$(waits 0 X0)" && stalled 0 1 && stalled 1 1
}
check "another one is reported when it has waited for as long, and the first no more" once
goes_on() { go A; ended A && trace_has "I.'" "H.'"; }
check "both go on after the release" goes_on

again() {
	new
	thread -c 1 A x0 h && thread B x1 h && trace_has Ah Bh || return 1
	handler 0 H x0 u x1
	soon "$(waits 0 X0)" || return 1
	go A
	ended A && soon "$(waits 0 X1)" && said "$(waits 0 X0)" && stalled 0 3 || return 1
	go B
	ended B && trace_has "H.'"
}
check "a second wait is a report more" again

behind_handler() {
	new
	thread -c 1 A x1 h && trace_has Ah || return 1
	handler 0 G x0 x1
	trace_has Gx0 || return 1
	handler 1 H x0
	soon "$(waits 0 X1)" && soon "$(waits 1 X0)" &&
		soon "lock X0 is held by the handler of interrupt $(locks_irq 0) \(lazyirq_test\)" &&
		soon "lock X1 is held by thread ${pid[A]}, which is here:" || return 1
	go A
	ended A && trace_has "G.'" "H.'"
}
check "behind a handler that waits itself: both are reported" behind_handler

behind_readers() {
	new
	thread A r0 h && thread B r0 h && trace_has Ah Bh || return 1
	handler 1 H w0
	soon "$(waits 1 RW0)" && soon 'lock RW0 is held by readers: 2' || return 1
	go A && go B
	ended A && ended B && trace_has "H.'"
}
check "behind readers: their number is" behind_readers

threads_are_not() {
	new
	thread A x0 h && trace_has Ah && thread B x0 && within queued B || return 1
	# By the time that a handler is reported, a thread would have been.
	thread C x1 h && trace_has Ch || return 1
	handler 0 H x1
	soon "$(waits 0 X1)" && said 'lock X0' 0 || return 1
	go A && go C
	ended A && ended B && ended C && trace_has "H.'"
}
check "a thread that waits is not" threads_are_not

check "the driver unloads" stop_locks

check "stall_ms=2000: the driver loads" start_locks stall_ms=2000
unbound() {
	local driver=/sys/bus/pci/drivers/lazyirq_locks device
	new
	device=$(cd $driver && printf '%s\n' 0000:* | head -n 1)
	irq=$(locks_irq 0)
	thread -c 1 A x0 h && trace_has Ah || return 1
	handler 0 H x0
	echo "$device" >$driver/unbind &
	unbinder=$!
	soon "interrupt $irq \(lazyirq_test\): it is being unregistered, and that waits for its handler" &&
		soon "lock X0 is held by thread ${pid[A]}, which is here:" || return 1
	go A
	ended A && wait $unbinder && trace_has "H.'"
}
check "unbinding waits: the report says so" unbound
check "the driver unloads" stop_locks

# However late priority is lent, or if it is at once.
for delay in 4000000000 0; do
	check "boost_delay_us=$delay: the driver loads" start_locks stall_ms=300 boost_delay_us=$delay
	check "boost_delay_us=$delay: a handler behind a thread is reported" behind_thread
	# The report is counted before it is printed.
	counted() { device_stats 0 && [ "${stats[stall_lock]}" = X0 ] && [ "${stats[stall_ms]}" -ge 300 ]; }
	check "boost_delay_us=$delay: debugfs has its lock and its time" counted
	cleared() {
		go A && ended A && trace_has "H.'" && echo 0 >$debugfs/interrupts && device_stats 0 &&
			[ "${stats[stall_lock]} ${stats[stall_ms]}" = "- 0" ]
	}
	check "boost_delay_us=$delay: until they are reset" cleared
	check "boost_delay_us=$delay: the driver unloads" stop_locks
done

check "stall_ms=0: the driver loads" start_locks stall_ms=0
never() {
	new
	thread -c 1 A x0 h && trace_has Ah || return 1
	handler 0 H x0
	# Longer than any of the above.
	read -r -t 3 -u "$nothing"
	said 'interrupt' 0 && stalled 0 0 || return 1
	go A
	ended A && trace_has "H.'"
}
check "nothing is ever reported" never
check "the driver unloads" stop_locks
check "bad values are refused" eval '! load lazyirq stall_ms=never 2>/dev/null && ! loaded lazyirq'
expect_log 'invalid for parameter'
ktap_finished

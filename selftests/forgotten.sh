#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# What a driver's safe code may forget, with mem::forget(): the guard of a lock that outlives its handler, its wait for
# a lock, its counters, and its registration, so that the vectors are freed first. Something is lost then, but nothing
# is used after it is freed: neither is a static lock that was waited for, once its module is gone.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/driver.sh"
. "$(dirname "$0")/locks.sh"

ktap_print_header
# A wait or a registration that is forgotten leaks, which a pass with kmemleak would find.
leaks=$([ -e /sys/kernel/debug/kmemleak ] || echo yes)
ktap_set_plan $((9 ${leaks:+ + 10}))
if [ -n "$leaks" ]; then
	expect_log 'its vector was freed before it was unregistered'
	expect_log "its handler is still in a lock's queue; its memory is not freed"
	# About the kernel's entries in /proc for the interrupt.
	expect_warning remove_proc_entry
	expect_log 'Call [Tt]race:'
fi

check "the driver loads" start_locks
tracing=/sys/kernel/tracing
unbound() {
	local devices=(/sys/bus/pci/drivers/lazyirq_locks/0000:*)
	reset && handler 0 G x0 f && trace_has G. && echo "${devices[0]##*/}" >"${devices[0]%/*}/unbind"
}
check "a handler forgets its guard, and is unregistered" unbound
waits() {
	echo 1 >$tracing/events/lazyirq/enable && mark_looks || return 1
	# There is no owner to which its priority could be lent.
	thread -f 30 B i0 && within queued B && within looked && echo 0 >$tracing/events/lazyirq/enable
}
check "a real-time thread waits for the lock" waits
gets_error() { kill -USR1 "${pid[B]}" && failed B; }
check "a signal ends that" gets_error
# That lock is still listed as one that is waited for. What takes its module's memory is loaded before it goes.
module_goes() { load lazyirq_sim && load lazyirq_lines && rmmod lazyirq_locks; }
check "the driver goes, and its locks with it" module_goes
# In a subshell: the functions for that driver have the same names.
look_again() (
	. "$(dirname "$0")/sim.sh"
	bind 0.0 lines && pin 0 0 && reset 0 && mark_looks || return 1
	hold 0.0 && raise 0.0 && becomes 0 BLOCKED 1 && within looked && release 0.0 && rests 0 1
)
check "a look is made at the locks of another driver" look_again
others_go() { rmmod lazyirq_lines lazyirq_sim; }
check "which unloads" others_go
none_left() { [ -z "$(cat $debugfs/locks $debugfs/interrupts)" ]; }
check "nothing is left in debugfs" none_left
check "the core unloads" rmmod lazyirq
[ -n "$leaks" ] || { ktap_finished; exit; }

check "a forgotten wait: the driver loads" start
# The file exists until its writer, which holds the lock, is done.
wait_forgotten() {
	hold b 1 && raise forgets && trace_becomes '(!EAD' || return 1
	rmmod lazyirq_test &
	local unloading=$!
	log_says() { messages | grep -q "lazyirq: .*its handler is still in a lock's queue; its memory is not freed"; }
	within log_says && release && wait $unloading
}
check "a forgotten wait: the log says that the memory is not freed, and the driver unloads" wait_forgotten
check "a forgotten wait: the core unloads" rmmod lazyirq

check "forgotten registrations: the driver loads" start forget=1
check "forgotten registrations: interrupts are handled" scenario 0 locked 10
# The kernel frees the vectors when the handler, which waits for lock a, is done. Then another driver gets the number,
# before the registration ends: the files exist until their writer, which holds lock b, is done.
blocked_meanwhile() {
	local number unloading keeper
	number=$(irqs | head -n 1)
	hold b 1 && keeper=$holder || return 1
	echo a >${test_debugfs}0/hold &
	holder=$!
	trace_becomes '((' && raise plain && stat_becomes blocked 11 || return 1
	rmmod lazyirq_test &
	unloading=$!
	gone() { [ "$(grep -c lazyirq_test /proc/interrupts)" = 1 ]; }
	freed() { [ ! -e "/sys/kernel/irq/$number" ]; }
	within gone && [ -e "/sys/kernel/irq/$number" ] && echo a >${test_debugfs}0/release && wait $holder || return 1
	within freed && others_have "$number" && echo b >${test_debugfs}0/release && wait $keeper && wait $unloading
}
# In a subshell: the functions for that driver have the same names.
others_have() (
	. "$(dirname "$0")/vectors.sh"
	start_vectors && compgen -G "$debugfs/$1-vector*-lazy" >/dev/null
)
check "forgotten registrations: the driver unloads, though a handler is blocked" blocked_meanwhile
others_work() (
	. "$(dirname "$0")/vectors.sh"
	for vector in {0..9}; do raise "$vector" && settled "$vector" || return 1; done
	rmmod lazyirq_vectors
)
check "forgotten registrations: the driver that has got their numbers works" others_work
told() { [ "$(messages | grep -c 'its vector was freed before it was unregistered')" = 2 ]; }
check "forgotten registrations: the log has both" told
# Their files went with the driver's module.
no_meters() { [ -z "$(cat $debugfs/interrupts)" ] && ! compgen -G "$debugfs/*-lazyirq_test-*"; }
check "forgotten registrations: nor does debugfs show the forgotten counters" no_meters
unloads() { rmmod lazyirq && [ ! -e $debugfs ]; }
check "forgotten registrations: the core unloads, and its directory goes" unloads
ktap_finished

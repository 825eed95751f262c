#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# What a driver's safe code may forget, with mem::forget(): the guard of a lock that outlives its handler, and its
# registration, so that the vectors are freed first. Something is lost then, but nothing is used after it is freed.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/driver.sh"
. "$(dirname "$0")/locks.sh"

ktap_print_header
# A registration that is forgotten leaks, which a pass with kmemleak would find.
registrations=$([ -e /sys/kernel/debug/kmemleak ] || echo yes)
ktap_set_plan $((5 ${registrations:+ + 5}))
expect_log 'its vector was freed before it was unregistered'
# About the kernel's entries in /proc for the interrupt.
if [ -n "$registrations" ]; then
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
check "the driver unloads" stop_locks
[ -n "$registrations" ] || { ktap_finished; exit; }

check "forgotten registrations: the driver loads" start forget=1
check "forgotten registrations: interrupts are handled" scenario 0 locked 10
# The file exists until its writer, which holds the lock, is done. Once the vectors have been freed, the writer is
# told to finish, and the handler continues.
blocked_meanwhile() {
	hold a 1 && raise plain && stat_becomes blocked 11 || return 1
	rmmod lazyirq_test &
	local unloading=$!
	gone() { [ "$(grep -c lazyirq_test /proc/interrupts)" = 1 ]; }
	within gone && release && wait $unloading
}
check "forgotten registrations: the driver unloads, though a handler is blocked" blocked_meanwhile
told() { [ "$(messages | grep -c 'its vector was freed before it was unregistered')" = 2 ]; }
check "forgotten registrations: the log has both" told
check "forgotten registrations: the core unloads" rmmod lazyirq
ktap_finished

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# where: stock (a kernel that is built to find sleepers complains by itself)
# A handler that sleeps in its interrupt thread is reported once, by name, and
# counted; it and the others go on.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/driver.sh"

ktap_print_header
ktap_set_plan 8

check "the driver loads" start
check "a handler sleeps in its interrupt thread" scenario 0 sleep 5
check "each time is counted" stats_are deferred 5 resumed 5 slept 5
irq=$(irqs | head -n 1)
once() {
	[ "$(messages |
		grep -cE "lazyirq: interrupt $irq \(lazyirq_test\): the handler has slept in its interrupt thread")" = 1 ]
}
check "one is reported, with its name" once
check "waiting for a lock is no sleep" scenario 0 locked 20
check "so nothing more is counted" stats_are slept 5
check "the other device's interrupt goes on" scenario 0 locked 20 1
check "the driver unloads" stop
ktap_finished

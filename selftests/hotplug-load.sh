#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# resume: both
# A CPU goes offline and online while interrupts come that block: those of the load are
# for any CPU, one more is blocked on that CPU at the time. Each is answered, once. And
# drivers are bound and unbound meanwhile.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/driver.sh"
. "$(dirname "$0")/locks.sh"
. "$(dirname "$0")/vectors.sh"

ktap_print_header
ktap_set_plan 16

online() { echo "$1" >/sys/devices/system/cpu/cpu1/online; }

# blocks_on_1: vector 9's handler is blocked on CPU 1.
blocks_on_1() {
	online 1 && pin 9 1 && get_stats 9 || return 1
	local before=${stats[blocked]}
	reset
	hold h && raise 9h && vector_counted 9 blocked $((before + 1)) || return 1
	get_counts 9
}
# goes_on TIMES: it continues, and was finished on another CPU that often.
goes_on() {
	local before=$moved
	settled 9 && moved=$before && has_moved 9 "$1"
}

released_offline() { blocks_on_1 && online 0 && release h && goes_on 1 && online 1; }
released_meanwhile() {
	blocks_on_1 || return 1
	online 0 &
	release h && settled 9 && wait $! && online 1
}
released_online() { blocks_on_1 && online 0 && online 1 && release h && goes_on 0; }
released_as_it_comes() {
	blocks_on_1 && online 0 || return 1
	online 1 &
	release h && settled 9 && wait $!
}
# Raised and blocked as the CPU goes offline, and as it comes online.
raised_meanwhile() {
	online 1 && pin 9 1 || return 1
	online 0 &
	printf %s "9h 4" >$vectors_debugfs/load && wait $! || return 1
	online 1 &
	printf %s "9h 4" >$vectors_debugfs/load && wait $!
}

check "the driver loads" start_vectors
check "interrupts come and block, of three vectors and two level lines" start_load
rounds() {
	local round
	for round in 1 2 3 4 5; do "$1" || { ktap_print_msg "round $round"; return 1; }; done
}
check "blocked there, released while it is offline" rounds released_offline
check "blocked there, released while it goes" rounds released_meanwhile
check "blocked there, released when it is back" rounds released_online
check "blocked there, released while it comes" rounds released_as_it_comes
check "raised while it goes and comes" rounds raised_meanwhile
check "the load has gone on all the time" end_load
check "each interrupt is accounted for" accounted 1 4 7 9
check "the lowest level is lazy on CPU 1" lazy_on 1
check "and on CPU 0" lazy_on 0
rmmod lazyirq_edu

# A PCI driver's probe keeps CPUs from coming and going, so registering is repeated afterwards.
register() {
	local round rc=0
	stopping=$(mktemp -u)
	until [ -e "$stopping" ]; do online 0 && online 1 || exit 1; done &
	for round in {1..20}; do
		echo >$vectors_debugfs/register && printf %s "9h 4" >$vectors_debugfs/load &&
			printf %s "0h 4" >$vectors_debugfs/load && continue
		ktap_print_msg "round $round"
		rc=1
		break
	done
	echo >"$stopping"
	wait $! && rm "$stopping" && return $rc
}
check "registered again and again while the CPU comes and goes" register
threads() { [ "$(pgrep -c '^lazyirq[0-9]*/[01]$')" = 20 ]; }
check "each level has a thread on each CPU" threads
check "the lowest level is lazy on CPU 1" lazy_on 1
gone() { rmmod lazyirq_vectors && no_ithread; }
check "the driver unloads, and no ithread is left" gone
check "the core unloads" rmmod lazyirq
ktap_finished

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# resume: both
# A handler that takes two mutexes: it blocks on the second while it holds the
# first, and on both one after the other.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/driver.sh"

rounds=300
ktap_print_header
ktap_set_plan 10

check "the driver loads" start
for cpu in 0 1; do
	echo 0 >$debugfs/interrupts
	check "blocks on the second mutex, held on CPU $cpu" scenario $cpu second $rounds
	check "blocked and was resumed once" \
		stats_are blocked $rounds reblocked 0 resumed $rounds
	echo 0 >$debugfs/interrupts
	check "blocks on both mutexes, held on CPU $cpu" scenario $cpu both $rounds
	check "blocked twice, the second time in the ithread" \
		stats_are blocked $rounds reblocked $rounds resumed $rounds
done
check "the driver unloads" stop
ktap_finished

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Unloading: the core stays while a driver uses it, and a driver's unloading
# waits for its blocked handler.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/driver.sh"

ktap_print_header
ktap_set_plan 14

core_stays() { ! rmmod lazyirq 2>/dev/null && loaded lazyirq; }
for intx in 0 1; do
	check "the driver loads (intx=$intx)" start intx=$intx
	check "the core cannot be unloaded under it" core_stays
	check "a handler blocks" hold a 1
	raise plain
	check "it waits" stat_becomes blocked 1
	rmmod lazyirq_test &
	unloader=$!
	# The first thing that unloading does is to remove the interrupt from debugfs.
	stopping() { [ -z "$(irqs)" ]; }
	check "unloading has begun" within stopping
	# read does not succeed here: there is no end of line.
	waits() {
		read -r function <"/proc/$unloader/wchan"
		[[ $function == *synchronize_irq* ]] && loaded lazyirq_test
	}
	check "unloading waits for the handler" within waits
	finished() { release && wait $unloader && ! loaded lazyirq_test && rmmod lazyirq; }
	check "and is done after the release" finished
done
ktap_finished

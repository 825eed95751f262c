#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Uncontended: N interrupts raised are N handled, all in the lazy path, and no thread runs.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/driver.sh"

rounds=1000
ktap_print_header
ktap_set_plan 12

for intx in 0 1; do
	line=$([ $intx = 0 ] && echo MSI || echo INTx)
	check "$line: the driver loads" start intx=$intx
	before=$(ithread_switches)
	check "$line: $rounds interrupts of this CPU leave the trace they should" scenario 0 plain $rounds
	check "$line: all of them were done in the lazy path" \
		stats_are interrupts $rounds lazy $rounds resumed 0 blocked 0 held 0 remembered 0
	check "$line: no context switch was counted" stats_are switches 0
	no_switch() { [ "$(ithread_switches)" = "$before" ]; }
	check "$line: the kernel knows of none either" no_switch
	check "$line: the driver unloads" stop
done
ktap_finished

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A handler that defers continues in its interrupt thread.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/driver.sh"

rounds=300
ktap_print_header
ktap_set_plan 8

for intx in 0 1; do
	check "the driver loads (intx=$intx)" start intx=$intx
	check "$rounds handlers defer" scenario 0 defer $rounds
	check "and none blocks" stats_are interrupts $rounds deferred $rounds resumed $rounds blocked 0
	check "the driver unloads" stop
done
ktap_finished

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# resume: both
# Interrupts that come while their handler, or one of its IPL, is unfinished:
# all are answered afterwards, in order, and the line is free again.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/driver.sh"

ktap_print_header
ktap_set_plan 25

check "the driver loads" start
# Four are remembered; from the fifth on, the line is masked, and the kernel keeps one.
for n in 3 12; do
	echo 0 >$debugfs/interrupts
	check "$n more MSIs: a handler blocks" hold a 1
	raise plain
	stat_becomes blocked 1
	for _ in $(seq $n); do raise plain; done
	release
	# The kernel's own may come as late as now.
	answered() {
		device_stats 0 && [ "${stats[resumed]}" = $((1 + stats[remembered] + stats[held])) ] &&
			[ "${stats[interrupts]}" = $((stats[lazy] + stats[resumed])) ]
	}
	check "$n more MSIs: each that arrived is answered" within answered
	check "$n more MSIs: the line is free again" scenario 0 plain 10
done
# Five, and the one kept by the kernel, which may come before the handler is done.
remembered_all() { [ "$(stat remembered)" -le 6 ] || { ktap_print_msg "$(stat remembered)"; return 1; }; }
check "a blocked handler's line is masked after a few" remembered_all

check "the driver unloads" stop

# The level line of a held interrupt is still asserted: if unmasked, it would fire again and again.
for intx in 0 1; do
	line=$([ $intx = 0 ] && echo MSI || echo INTx)
	check "$line: the driver loads" start intx=$intx
	check "$line: a handler blocks" hold a 1
	raise plain
	stat_becomes blocked 1
	echo 0 >${test_debugfs}1/reset
	raise plain 1
	check "$line: another of its IPL and CPU is held, and done in the ithread" trace_becomes '!ead' 1
	check "$line: it was not run lazily in front" stat_becomes held 1 1
	quiet() { [ "$(stat remembered 1)" = 0 ] || { ktap_print_msg "$(stat remembered 1) more"; return 1; }; }
	check "$line: its line was quiet meanwhile" quiet
	check "$line: the first is done after the release" release
	stat_becomes resumed 1
	check "$line: afterwards the other is lazy again" scenario 0 plain 10 1
	check "$line: the driver unloads" stop
done
ktap_finished

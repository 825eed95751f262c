#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# where: debug (failures are injected)
# Memory runs out at each step of a driver's probe, and of the core's start: it
# fails, leaves nothing behind, and can be tried again.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/driver.sh"

ktap_print_header
ktap_set_plan 6
# What the kernel logs about that, in some cases with a stack.
expect_log 'probe with driver lazyirq_test failed'
expect_log 'Call [Tt]race:'
# If /proc has no room for an interrupt's entries, the kernel goes on without, and complains when it
# removes them. It complains as well if there is no room for a tracepoint's fields.
expect_warning remove_proc_entry
expect_warning event_define_fields

each() { python3 "$(dirname "$0")/fail-nth.py" "$1"; }
check "the core: each allocation fails once" each core
check "the driver loads" start
check "a device is bound: each allocation fails once" each bind
again() {
	local addresses
	addresses=$(cd /sys/bus/pci/devices && grep -l 0x11e8 */device)
	for address in $addresses; do
		echo "${address%/device}" >/sys/bus/pci/drivers/lazyirq_test/bind || return 1
	done
	[ "$(irqs | wc -l)" = 2 ]
}
check "both devices can be bound afterwards" again
works() { local last; last=$(ls -d ${test_debugfs}* | sort -V | tail -n 1); echo "plain 10" >"$last/run"; }
check "their interrupts are handled" works
check "the driver unloads" stop
ktap_finished

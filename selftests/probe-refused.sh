#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A registration is refused, because the line is taken, is too slow to mask, or there can be no more threads:
# the log says so, nothing is left behind, and later it works.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/driver.sh"
. "$(dirname "$0")/sim.sh"

driver=/sys/bus/pci/drivers/lazyirq_test
limit=/proc/sys/kernel/threads-max
ktap_print_header
ktap_set_plan 17
expect_log 'probe with driver lazyirq_(test|lines) failed'
# The kernel's own report of a line that is not shared, if it was built with DEBUG_SHIRQ.
expect_log 'Call [Tt]race:'

log_has() { messages | grep -qE "$1"; }
nothing_left() {
	! pgrep '^lazyirq[0-9]+/' >/dev/null && [ -z "$(irqs)" ] && [ ! -e ${test_debugfs}0 ] &&
		! grep lazyirq_test /proc/interrupts
}

load lazyirq
check "the driver loads, though no line can be had twice" load lazyirq_test twice=1
check "the log says so" log_has 'lazyirq: interrupt [0-9]+ \(lazyirq_test\) cannot be had: (EBUSY|Error\(16\))'
check "nothing is left of the one that could be had first" nothing_left
rmmod lazyirq_test

check "the driver loads" load lazyirq_test
mapfile -t addresses < <(cd $driver && printf '%s\n' 0000:*)
for address in "${addresses[@]}"; do echo "$address" >$driver/unbind; done
for room in 0 1; do
	# Room for that many more threads, of the two needed. If others end meanwhile, it is tried again.
	refused() {
		local try all max failed
		read -r max <$limit
		for try in 1 2 3 4 5; do
			read -r _ _ _ all _ </proc/loadavg
			echo $((${all#*/} + room)) >$limit || return 1
			failed=
			# Nothing is started until the limit is restored.
			echo "${addresses[0]}" 2>/dev/null >$driver/bind || failed=yes
			echo "$max" >$limit
			[ -z "$failed" ] || return 0
			echo "${addresses[0]}" >$driver/unbind
		done
		return 1
	}
	check "room for $room interrupt threads: the device cannot be bound" refused
	said() { [ "$(messages | grep -c 'lazyirq: no interrupt threads for IPL 5: error -11')" -gt $room ]; }
	check "room for $room interrupt threads: the log says why" said
	check "room for $room interrupt threads: nothing is left behind" nothing_left
done
again() {
	local address
	for address in "${addresses[@]}"; do echo "$address" >$driver/bind || return 1; done
	[ "$(irqs | wc -l)" = 2 ]
}
check "both devices can be bound afterwards" again
works() { local last=(${test_debugfs}*); echo "locked 10" >"${last[-1]}/run"; }
check "their interrupts are handled" works
check "the driver unloads" stop

# A controller behind a bus that must be waited for cannot mask in hard-IRQ context.
slow() { load lazyirq && load lazyirq_sim slow=1 && load lazyirq_lines && ! bind 0.0 lines 2>/dev/null; }
check "a line whose masking sleeps is refused" slow
check "the log says what can serve it" log_has 'cannot be had: masking it sleeps.* a stock threaded handler can'
no_trace() { ! pgrep '^lazyirq[0-9]+/' >/dev/null && ! ls $debugfs | grep -q lazyirq_lines; }
check "nothing is left of it" no_trace
check "the modules unload" stop_sim
ktap_finished

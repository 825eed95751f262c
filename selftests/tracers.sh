#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# where: stock native (the debug kernel has no BTF)
# The tracepoints with trace-cmd, and the example for bpftrace.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/driver.sh"

ktap_print_header
ktap_set_plan 6
out=/tmp/lazyirq-traced

check "the driver loads" start
recorded() {
	trace-cmd record -o $out.dat -e lazyirq bash -c "echo locked 3 >${test_debugfs}0/run" >$out 2>&1 || return 1
	trace-cmd report -i $out.dat >$out 2>&1
	[ "$(grep -c 'block: *irq=[0-9]* name=lazyirq_test lock=lock a owner=thread id=[0-9]*$' $out)" = 3 ] && return
	sed 's/^/# /' $out
	return 1
}
check "trace-cmd records and reports them" recorded
check "the kernel has BTF" [ -e /sys/kernel/btf/vmlinux ]
script=$(dirname "$0")/../samples/blocked.bt
probes=$(grep -c '^rawtracepoint:' "$script")
bpftrace "$script" >$out 2>&1 &
tracer=$!
# All its probes are, or it is dead.
attached() { [ "$(ls -l /proc/$tracer/fd 2>/dev/null | grep -c bpf_link)" = "$probes" ] || ! kill -0 $tracer; }
# The compiler of bpftrace takes its time in an emulated machine.
attaches() {
	local _
	for _ in {1..12}; do within attached && break; done
	kill -0 $tracer
}
check "samples/blocked.bt attaches" attaches
scenario 0 plain 5 && scenario 0 locked 7
blocked() {
	kill -INT $tracer && wait $tracer
	sed 's/^/# /' $out
	grep -qF '@a_thread_had[lazyirq_test, lock a]: 7' $out && grep -qF '@us_until_the_releaser[lazyirq_test]:' $out
}
check "it counts the blocked handlers, by lock and owner, and how long they took" blocked
check "the driver unloads" stop
ktap_finished

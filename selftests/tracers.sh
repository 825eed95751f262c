#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# where: stock native (the debug kernel has no BPF)
# The tracepoints with trace-cmd, and the example for bpftrace.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/driver.sh"

ktap_print_header
ktap_set_plan 4
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
# bpftrace attaches before it starts its command, and detaches after the command's end.
cat >$out.sh <<-END
	echo plain 5 >${test_debugfs}0/run
	echo locked 7 >${test_debugfs}0/run
END
script=$(dirname "$0")/../samples/blocked.bt
if [[ $(bpftrace --version) == *v0.23.* ]]; then
	# The script says how.
	sed "$(sed -n "/sed 's/,/>raw/s/^ [*]\|sed '\|' samples.*//gp" "$script")" "$script" >$out.bt
	script=$out.bt
fi
# bpftrace's compiler takes some time in an emulated machine.
blocked() {
	timeout 120 bpftrace -c "/bin/bash $out.sh" "$script" >$out 2>&1 &&
		grep -qF '@a_thread_had[lazyirq_test, lock a]: 7' $out && grep -qF '@us_until_the_releaser[lazyirq_test]:' $out &&
		return
	sed 's/^/# /' $out
	return 1
}
check "samples/blocked.bt counts the blocked handlers, by lock and owner, and how long they took" blocked
check "the driver unloads" stop
ktap_finished

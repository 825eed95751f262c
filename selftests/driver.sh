# SPDX-License-Identifier: GPL-2.0
# For the test scripts that use lazyirq_test.ko, the driver that leaves a trace
# of what its handler does (its source says what the letters mean).

test_debugfs=lazyirq_test

# start [parameter]...: load both modules. The interrupts go to CPU 0.
start() {
	loaded lazyirq || load lazyirq || return 1
	load lazyirq_test "$@" || return 1
	local irq device=0
	for irq in $(irqs); do
		echo 1 >"/proc/irq/$irq/smp_affinity" || return 1
		# An MSI moves with the next interrupt.
		scenario 0 plain 1 $device || return 1
		device=$((device + 1))
	done
	echo 0 >$debugfs/interrupts
}

stop() { rmmod lazyirq_test && rmmod lazyirq; }

# The numbers of the test driver's interrupts, by device.
irqs() { ls $debugfs | sed -n 's/^\([0-9]*\)-lazyirq_test-lazy.*/\1/p' | sort -n; }

# device_stats DEVICE: leaves the n-th device's counters in the array stats. (The devices' interrupt numbers
# have the same length, so that the names are in the right order.)
device_stats() {
	local dirs=("$debugfs"/*-lazyirq_test-lazy*)
	read_fields "${dirs[$1]}/stats"
}

# stat NAME [DEVICE]: one of them.
stat() { device_stats "${2:-0}" && echo "${stats[$1]}"; }

# stats_are NAME VALUE...: several counters of the first device at once.
stats_are() {
	local value
	while [ $# -gt 0 ]; do
		value=$(stat "$1")
		[ "$value" = "$2" ] || { ktap_print_msg "$1 is $value, not $2"; return 1; }
		shift 2
	done
}

# within COMMAND...: it becomes true within ten seconds. Starts no program itself: that takes a tenth of a second
# in an emulated machine, and for ever if a test keeps the CPU busy that reading from the disk needs.
exec {nothing}<> <(:)
within() {
	local end=$((SECONDS + 11))
	until "$@"; do
		[ $SECONDS -lt $end ] || return 1
		read -r -t 0.05 -u "$nothing"
	done
	return 0
}

# stat_becomes NAME VALUE [DEVICE], within ten seconds.
stat_becomes() {
	stat_is() { [ "$(stat "$1" "${3:-0}")" = "$2" ]; }
	within stat_is "$@" && return
	ktap_print_msg "$1 is $(stat "$1" "${3:-0}"), not $2, after ten seconds"
	return 1
}

# scenario CPU NAME ROUNDS [DEVICE]: run it on a CPU; the module compares the
# traces of all rounds with what is expected.
scenario() {
	local run=$test_debugfs${4:-0}/run
	taskset -c "$1" bash -c "echo $2 $3 >$run" 2>/dev/null && return
	ktap_print_msg "$2 on CPU $1: $(cat "$run")"
	return 1
}

# raise MODE [DEVICE]: one interrupt, not waited for.
raise() { echo "$1" >"$test_debugfs${2:-0}/raise"; }

# trace_becomes TRACE [DEVICE], within ten seconds.
trace_becomes() {
	local file=$test_debugfs${2:-0}/trace
	trace_is() { [ "$(cat "$file")" = "$1" ]; }
	within trace_is "$1" && return
	ktap_print_msg "the trace is $(cat "$file"), not $1"
	return 1
}

# hold MUTEX CPU [DEVICE]: a thread holds it until release.
hold() {
	local file=$test_debugfs${3:-0}/hold
	echo 0 >"$test_debugfs${3:-0}/reset"
	taskset -c "$2" bash -c "echo $1 >$file" &
	holder=$!
	trace_becomes '(' "${3:-0}"
}
release() {
	echo >"$test_debugfs${1:-0}/release" && wait "$holder"
}

# How often all ithreads together were switched out so far.
ithread_switches() {
	local pid
	for pid in $(pgrep '^lazyirq[0-9]+/'); do cat "/proc/$pid/status"; done |
		awk '/ctxt_switches/ { sum += $2 } END { print sum + 0 }'
}

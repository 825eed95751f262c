#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# usage (busybox, in the guest): suspend-guest.sh
# See suspend.sh. The kernel suspends except for the last step, waits, and resumes.
. /checks.sh
dir=/sys/kernel/debug/lazyirq_test
hold_ms=4000

# becomes DEVICE TRACE, within twenty seconds.
becomes() {
	local try=0 trace
	while :; do
		trace=$(cat $dir$1/trace)
		[ "$trace" != "$2" ] || return 0
		try=$((try + 1))
		[ $try -lt 200 ] || { echo "# the trace is $trace, not $2"; return 1; }
		usleep 100000
	done
}

# The first device's handler waits, behind a kernel thread that is not frozen, for longer than the
# suspend takes; so does the second one's when it is on the same CPU and held.
suspended() {
	local device
	for device in 0 1; do
		echo 0 >$dir$device/reset
		echo $hold_ms >$dir$device/work
		becomes $device '(' || return 1
		echo plain >$dir$device/raise
	done
	becomes 0 '(!E' || return 1
	echo "$1" >/sys/power/pm_test && echo "$2" >/sys/power/state || return 1
	# The handler was waited for: its line is not suspended while it is unfinished.
	case $(cat ${dir}0/trace) in
	'(!E)a'*) ;;
	*) echo "# suspended with the handler unfinished: $(cat ${dir}0/trace)"; return 1 ;;
	esac
	becomes 0 '(!E)ad'
}
flows() {
	local device
	for device in 0 1; do
		echo 'plain 20' >$dir$device/run && echo 'locked 20' >$dir$device/run || {
			echo "# $(cat $dir$device/run)"
			return 1
		}
	done
}

# QEMU's arm64 machine has no deep sleep: the later stages cannot be tested there.
case $(uname -m) in
aarch64) plan=10 ways=platform-freeze ;;
*) plan=18 ways='platform-freeze platform-mem core-mem' ;;
esac
plan $plan
echo 0 >/sys/module/suspend/parameters/pm_test_delay
insmod /ko/lazyirq.ko stall_ms=60000 || exit 1
for intx in 0 1; do
	line=$([ $intx = 0 ] && echo MSI || echo INTx)
	check "$line: the driver loads" insmod /ko/lazyirq_test.ko intx=$intx
	for way in $ways; do
		check "$line: $way: it is suspended when the handler is done" suspended ${way%-*} ${way#*-}
		check "$line: $way: afterwards interrupts are handled" flows
	done
	check "$line: nothing is lost" sh -c '! grep -qE "^(refused|illegal) +[1-9]" /sys/kernel/debug/lazyirq/*lazyirq_test*/stats'
	check "$line: the driver unloads" rmmod lazyirq_test
done
rmmod lazyirq || exit 1
exit $bad

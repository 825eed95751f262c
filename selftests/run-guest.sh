#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage (in the guest): run-guest.sh test...
# Run the test scripts one after the other. After each one, check the kernel's
# log, its taint, and that nothing was left behind: a kernel that complains
# has failed, whatever the script says.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/settings"
case $(uname -r) in *-debug) timeout=$debug_timeout ;; esac
mountpoint -q /sys/kernel/debug || mount -t debugfs debugfs /sys/kernel/debug
cd /sys/kernel/debug || exit

export KO KTAP_HELPERS LAZYIRQ_EXPECT=/tmp/lazyirq-expect
fault() { echo "# test-fault $*"; }

# A test's kernel messages begin with this mark, and end with the next one's.
number=0
mark() {
	export LAZYIRQ_MARK="lazyirq-mark $((number += 1))"
	echo "$LAZYIRQ_MARK" >/dev/kmsg
}

# What the kernel says about the test just run.
check_kernel() {
	local allow=() taint expected=0 begin=$LAZYIRQ_MARK
	mapfile -t allow < <(sed 's/^/--allow\n/' "$LAZYIRQ_EXPECT" 2>/dev/null)
	mark
	dmesg | sed -n "/$begin\$/,/$LAZYIRQ_MARK\$/p" >/tmp/lazyirq-log
	[ -s /tmp/lazyirq-log ] || fault "its kernel messages are gone: the log is too short for them"
	taint=$(cat /proc/sys/kernel/tainted)
	[ ! -e "$LAZYIRQ_EXPECT-taint" ] || expected=$(<"$LAZYIRQ_EXPECT-taint")
	# Taint stays: a test is responsible only for the bits that it has added.
	"$here/../scripts/check-log" --name "kernel log" --taint $((taint_before | expected)) \
		--taint-is "$taint" "${allow[@]}" /tmp/lazyirq-log >/tmp/lazyirq-check || {
		fault "$(head -n 2 /tmp/lazyirq-check | tr '\n' ' ')"
		sed 's/^/# /' /tmp/lazyirq-check
	}
	taint_before=$taint
}

# Modules that use lazyirq are unloaded before it.
unload_all() {
	local left
	left=$(lsmod | awk '/^(lazyirq)/ { print $1, $4 }' | tr ',' ' ' | tr ' ' '\n' | grep . | sort -u)
	[ -n "$left" ] || return 0
	fault "left modules loaded:" $left
	for _ in 1 2 3; do
		# shellcheck disable=SC2086
		rmmod $left 2>/dev/null
	done
	! grep -q '^lazyirq' /proc/modules || fault "they cannot be unloaded"
}

# What would have the tests that follow fail.
tidy_up() {
	local left file
	left=$(compgen -G "/sys/kernel/debug/lazyirq*"; pgrep -l '^lazyirq'; grep lazyirq /proc/interrupts)
	[ -z "$left" ] || fault "left behind: ${left//$'\n'/, }"
	for file in $(grep -slx 0 /sys/devices/system/cpu/cpu*/online); do
		fault "left offline: ${file//[^0-9]/}"
		echo 1 >"$file"
	done
	[ "$(<$limit)" = "$threads_max" ] || fault "left $limit at $(<$limit)"
	echo "$threads_max" >$limit
}
limit=/proc/sys/kernel/threads-max
threads_max=$(<$limit)

# A PREEMPT_RT kernel does in threads what others do in interrupts, and a test that keeps a CPU busy with a
# real-time thread does not mean to stop that.
if grep -q PREEMPT_RT /proc/version; then
	for pid in $(pgrep '^(irq/|rcu|ktimers/|ksoftirqd/)'); do
		chrt --fifo -p 90 "$pid"
	done
fi

# A test scans by itself.
[ ! -e kmemleak ] || echo scan=off >kmemleak

taint_before=$(cat /proc/sys/kernel/tainted)
mark
dmesg >/tmp/lazyirq-log
boot=$("$here/../scripts/check-log" --name "boot" \
	--taint-is "$taint_before" /tmp/lazyirq-log) || boot_bad=yes

# A name may end in @ithread: run it with resume=ithread.
left=$#
for name in "$@"; do
	echo "# test-begin ${PREFIX:-}$name"
	export RESUME=releaser
	[ "$name" = "${name%@ithread}" ] || RESUME=ithread
	[ -z "${boot_bad:-}" ] || { fault "${boot//$'\n'/ }"; boot_bad=; }
	rm -f "$LAZYIRQ_EXPECT" "$LAZYIRQ_EXPECT-taint"
	echo "lazyirq-test $name" >/dev/kmsg
	t0=$SECONDS
	timeout -k 5 "$timeout" bash "$here/${name%@*}.sh" 2>&1
	rc=$?
	[ $rc -ne 124 ] && [ $rc -ne 137 ] || fault "was not done after $timeout s"
	unload_all
	tidy_up
	# What comes too late for this one counts for the next.
	[ $((left -= 1)) -gt 0 ] || sleep 1
	check_kernel
	echo "# took $((SECONDS - t0)) s"
	echo "# test-end ${PREFIX:-}$name $rc"
done

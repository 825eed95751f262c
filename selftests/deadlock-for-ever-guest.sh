#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# usage (busybox, in the guest): deadlock-for-ever-guest.sh
# See deadlock-for-ever.sh. Two threads wait for each other by calls that cannot fail.
. /checks.sh
dir=/sys/kernel/debug/lazyirq_locks

# within COMMAND...: it becomes true within twenty seconds.
within() {
	local try=0
	until "$@"; do
		try=$((try + 1))
		[ $try -lt 200 ] || return 1
		usleep 100000
	done
}

# has WORD: is it in the trace?
has() { grep -qwF "$1" $dir/go; }
said() { dmesg | grep -q 'lazyirq: none of them can be told so'; }
once() { [ "$(dmesg | grep -c 'lazyirq: deadlock')" = 1 ]; }

deadlock() {
	(echo 'A x0 h x1' >$dir/run) &
	(echo 'B x1 h x0' >$dir/run) &
	within has Ah && within has Bh && echo A >$dir/go && echo B >$dir/go && within said
}

# The dispatcher comes again, for another lock, and finds this deadlock again.
comes_again() {
	local round
	lent() { [ "$(awk '$1 == "RW0" { print $6 }' /sys/kernel/debug/lazyirq/locks)" = "$round" ]; }
	for round in 1 2 3; do
		echo >$dir/reset
		(echo 'C w0 h' >$dir/run) &
		within has Ch && echo 'H w0' >$dir/raise0 && within lent && echo C >$dir/go && within has "H.'" || return 1
	done
}

quiet() { ! grep -q 'look \[lazyirq\]' /proc/timer_list; }

plan 4
insmod /ko/lazyirq.ko stall_ms=60000 && insmod /ko/lazyirq_locks.ko || exit 1
check "it is reported" deadlock
check "the dispatcher comes again" comes_again
check "it is reported once" once
check "no timer is set for it" within quiet
exit $bad

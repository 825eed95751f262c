#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# usage (busybox, in the guest): lockdep-guest.sh PROGRAM...
# Makes the actors of lazyirq_locks.ko carry out the programs, one after the other:
# that of the actor H is for the handler, the others are for threads.
dir=/sys/kernel/debug/lazyirq_locks
insmod /ko/lazyirq.ko && insmod /ko/lazyirq_locks.ko || exit 1
grep -q 'debug_locks: *1' /proc/lockdep_stats || { echo "lockdep is off"; exit 1; }
for program in "$@"; do
	echo >$dir/reset
	case $program in
	H*) echo "$program" >$dir/raise0 ;;
	*) echo "$program" >$dir/run ;;
	esac
	for try in $(seq 100); do
		grep -q '\.' $dir/go && continue 2
		sleep 0.1
	done
	echo "$program was not done: $(cat $dir/go)"
	exit 1
done
rmmod lazyirq_locks && rmmod lazyirq

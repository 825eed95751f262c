#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# where: debug
# The debug kernel's tools for finding bugs are there, and still on after the tests
# that ran before this one: lockdep, for one, turns itself off after a complaint.
. "$(dirname "$0")/lib.sh"

ktap_print_header
ktap_set_plan 8

asked() {
	local here
	here=$(dirname "$0")
	! cat "$here/config" "$here/debug.config" | grep -E '^(# )?CONFIG_' |
		grep -vxFf <(zcat /proc/config.gz)
}
check "the kernel is configured as it was asked for" asked
instrumented() { grep -q __asan_ "$(ko lazyirq)"; }
check "the modules are instrumented for KASAN" instrumented
lockdep() { [ -e /proc/lockdep ] && grep -qE '^ debug_locks: +1$' /proc/lockdep_stats; }
check "lockdep is on" lockdep
# If it has turned itself off, even a setting that changes nothing is refused.
kmemleak() { echo stack=on >/sys/kernel/debug/kmemleak; }
check "kmemleak is on" kmemleak
objects() { grep -qE '^pool_used +: *[1-9]' /sys/kernel/debug/debug_objects/stats; }
check "objects are watched" objects
hung() { [ "$(cat /proc/sys/kernel/hung_task_timeout_secs)" -gt 0 ]; }
check "hung tasks are detected" hung
lockup() { [ "$(cat /proc/sys/kernel/soft_watchdog)" = 1 ]; }
check "lockups are detected" lockup
injection() { [ -e /sys/kernel/debug/failslab/probability ] && [ -e /sys/kernel/debug/fail_function/inject ]; }
check "failures can be injected" injection
ktap_finished

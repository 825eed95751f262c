#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A handler that waits for something that never comes is reported once, by name,
# and loses its interrupt; all others go on, and it can be unloaded.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/driver.sh"

ktap_print_header
ktap_set_plan 28
expect_log 'lazyirq: interrupt [0-9]+ '
# On the debug kernel lockdep reports this as well, once, and is off from then on: so this test comes late.
expect_log 'WARNING: possible recursive locking'
expect_log 'Call [Tt]race:'

reports() { messages | grep -c "lazyirq: interrupt .*$1"; }
reported() { [ "$(reports "$1")" = "$2" ] || { ktap_print_msg "reported $(reports "$1") times"; return 1; }; }
seen=0
for mode in illegal deadlock; do
	for where in 'the lazy path' 'its interrupt thread'; do
		check "$mode in $where: the driver loads" start
		held=
		[ "$where" = 'the lazy path' ] || { hold a 1 && held=yes; }
		raise $mode
		[ -z "$held" ] || { stat_becomes blocked 1 && release; }
		check "$mode in $where: it is found" stat_becomes illegal 1
		seen=$((seen + 1))
		check "$mode in $where: it adds up" stats_are interrupts 1 blocked 1 resumed 0 illegal 1
		check "$mode in $where: it is reported once" reported 'lazyirq_test.*shut down' $seen
		check "$mode in $where: the other device's interrupt goes on" scenario 0 locked 20 1
		check "$mode in $where: the driver unloads" stop
	done
done
check "a wait that was given up: the driver loads" start
hold b 1
raise gives-up
check "a wait that was given up: that for something else is found" stat_becomes illegal 1
check "a wait that was given up: the lock is nobody's" release
check "a wait that was given up: the driver unloads" stop
ktap_finished

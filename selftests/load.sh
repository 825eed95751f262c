#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lazyirq.ko loads and unloads, again and again, and leaves nothing behind.
. "$(dirname "$0")/lib.sh"

rounds=10
ktap_print_header
ktap_set_plan $((rounds + 1))

round() {
	load lazyirq && loaded lazyirq && [ -d "$debugfs" ] || return 1
	rmmod lazyirq && ! loaded lazyirq && [ ! -e "$debugfs" ]
}

for n in $(seq $rounds); do
	check "load and unload $n" round
done
no_threads() { ! pgrep lazyirq >/dev/null; }
check "no thread is left" no_threads
ktap_finished

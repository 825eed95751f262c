#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The driver and the core are loaded and unloaded a hundred times: nothing is leaked.
. "$(dirname "$0")/lib.sh"

rounds=100
ktap_print_header
ktap_set_plan 2
reloaded() { python3 "$(dirname "$0")/reload.py" $rounds; }
check "$rounds times: no object, page, thread or interrupt is lost" reloaded
nothing_left() { ! grep -q lazyirq /proc/modules && ! pgrep lazyirq >/dev/null; }
check "nothing is left loaded or running" nothing_left
ktap_finished

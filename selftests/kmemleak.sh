#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# where: debug
# Finds memory that the tests before this one have leaked. Ends every pass on the debug kernel.
. "$(dirname "$0")/lib.sh"

kmemleak=/sys/kernel/debug/kmemleak
ktap_print_header
ktap_set_plan 2
expect_log 'kmemleak: [0-9]+ new suspected'

# Memory is not suspected if it is younger than five seconds, or has changed since the previous scan.
scan() { sleep 5 && echo scan >$kmemleak && echo scan >$kmemleak; }
check "memory is scanned" scan
# All modules were the project's, and the addresses of those that are gone have no names.
none() {
	! awk '
		/^unreferenced/ { object = ""; ours = 0 }
		{ object = object "# " $0 "\n" }
		/\[lazyirq|^ +0x[0-9a-f]+$/ && !ours++ { lost++ }
		ours { printf "%s", object; object = "" }
		END { exit !lost }' $kmemleak
}
check "none was lost by lazyirq" none
ktap_finished

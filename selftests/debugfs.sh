#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# What debugfs shows, to whom, and what it makes of what is written to it.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/driver.sh"

ktap_print_header
ktap_set_plan 18
expect_log 'lazyirq: debugfs: '

check "the driver loads" start
scenario 0 plain 10 && scenario 0 locked 10 && scenario 0 defer 10
modes() { [ -z "$(find $debugfs -type f -perm /077)" ]; }
check "only root may read or write" modes
no_addresses() { ! grep -rE '(0x)?ffff[0-9a-f]{8}' $debugfs; }
check "no kernel address is shown" no_addresses
table() {
	awk 'NR == 1 { for (i = 1; i <= NF; i++) column[$i] = i }
		NR > 1 && $column["name"] == "lazyirq_test" && $column["interrupts"] == 30 \
			&& $column["lazy"] == 10 && $column["blocked"] == 10 && $column["resumed"] == 20 { found++ }
		END { exit found != 1 }' $debugfs/interrupts
}
check "the table has a heading and the counts" table
aligned() { [ "$(awk '{ print length }' $debugfs/interrupts | sort -u | wc -l)" = 1 ]; }
check "its lines are aligned" aligned
json() {
	python3 -c "
import json, sys
rows = [json.loads(line) for line in open('$debugfs/interrupts.json')]
assert len(rows) == 2 and all(row['mechanism'] == 'lazy' for row in rows)
row = next(row for row in rows if row['interrupts'])
parts = ('lazy', 'blocked', 'deferred', 'held', 'remembered', 'refused', 'threaded')
assert row['interrupts'] == sum(row[part] for part in parts) == 30
assert row['blocked'] + row['deferred'] + row['held'] + row['remembered'] == row['resumed'] == 20"
}
check "the JSON lines parse, and add up" json
fits() { [ "$(stat memory)" -gt 0 ] && [ "$(stat memory)" -le 1024 ] && [ "$(stat continuation)" -lt "$(stat memory)" ]; }
check "a registered handler takes 1 KiB at the most" fits
no_twin() { grep -q 'no name is registered with both' $debugfs/compare; }
check "compare says that there is nothing to compare" no_twin

check "no latency is measured by default" stats_are latency_count 0
echo 1 >$debugfs/latency
scenario 0 plain 10 && scenario 0 locked 10
check "it is once it is switched on" stats_are latency_count 20
ordered() {
	local min mean max
	min=$(stat latency_min_ns) mean=$(stat latency_mean_ns) max=$(stat latency_max_ns)
	[ "$min" -gt 0 ] && [ "$min" -le "$mean" ] && [ "$mean" -le "$max" ]
}
check "its min, mean and max are in order" ordered
echo 0 >$debugfs/latency
scenario 0 plain 10
check "and no more once it is switched off" stats_are latency_count 20

refused() { ! bash -c "echo '$1' >$2" 2>/dev/null; }
one=$(ls -d $debugfs/*-lazy | head -n 1)
check "nonsense for a reset is refused" refused nonsense $debugfs/interrupts
check "so is very much of it" refused "$(printf '0%.0s' $(seq 100))" "$one/stats"
check "and nonsense for the latency switch" refused 2 $debugfs/latency
kept() { stats_are interrupts 60 && [ "$(cat $debugfs/latency)" = 0 ]; }
check "nothing was lost by that" kept
reset() { echo 0 >$debugfs/interrupts && stats_are interrupts 0 lazy 0 resumed 0 latency_count 0 latency_max_ns 0; }
check "writing 0 resets" reset
check "the driver unloads" stop
ktap_finished

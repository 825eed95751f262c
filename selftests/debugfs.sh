#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# What debugfs shows, to whom, and what it does with what is written to it.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/driver.sh"

ktap_print_header
ktap_set_plan 33
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
aligned() {
	local table
	for table in interrupts locks ithreads; do
		[ "$(awk '{ print length, NF }' $debugfs/$table | sort -u | wc -l)" = 1 ] || { ktap_print_msg $table; return 1; }
	done
}
check "the tables' lines are aligned, and no field is empty" aligned
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
met() { stats_are met_thread 10 met_handler 0 met_readers 0 met_lock lock_a stall_lock - cpu 0; }
check "whom and which lock the handler has met is counted" met
lock() {
	python3 -c "
import json
locks = [json.loads(line) for line in open('$debugfs/locks.json')]
assert len(locks) == 1, locks
# Lent is what the scheduler makes of it, at most once for each.
assert 0 <= locks[0].pop('lent') <= 10, locks
assert locks[0] == dict(name='lock a', takes=0, contended_thread=0, contended_irq=10, handed_over=10,
	waiting=0, longest_ns=0), locks"
}
check "the lock that was waited for is listed, with its counts" lock
ithread() {
	python3 -c "
import json, os
ithreads = [json.loads(line) for line in open('$debugfs/ithreads.json')]
ipls = {row['ipl'] for row in ithreads}
assert len(ithreads) == len(ipls) * os.cpu_count(), ithreads
for row in ithreads:
	comm = open(f\"/proc/{row['pid']}/comm\").read().strip()
	assert comm == f\"lazyirq{row['ipl']}/{row['cpu']}\", comm
resumed = sum(row['resumed'] for row in ithreads)
by_releaser = sum(json.loads(line)['by_releaser'] for line in open('$debugfs/interrupts.json'))
assert resumed + by_releaser == 20, (resumed, by_releaser)
assert all(row['most_queued'] == (row['resumed'] > 0) for row in ithreads), ithreads"
}
check "the interrupt threads are listed, and their counts add up" ithread
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
percentiles() {
	local max p50 p99 p999
	max=$(stat latency_max_ns) p50=$(stat latency_p50_ns) p99=$(stat latency_p99_ns) p999=$(stat latency_p999_ns)
	[ "$p50" -gt 0 ] && [ "$p50" -le "$p99" ] && [ "$p99" -le "$p999" ] && [ "$p999" -le "$max" ]
}
check "its percentiles are in order" percentiles
waited() {
	stats_are wait_count 10 && [ "$(stat wait_min_ns)" -gt 0 ] && [ "$(stat wait_max_ns)" -le "$(stat latency_max_ns)" ]
}
check "so were the waits for the lock" waited
measured_lock() {
	python3 -c "
import json
lock, = [json.loads(line) for line in open('$debugfs/locks.json')]
# Each interrupt takes it, and each thread that holds it: in each of the ten rounds with one.
assert lock['takes'] == 30 and lock['contended_irq'] == 20, lock
assert 0 < lock['longest_ns'] <= $(stat wait_max_ns), lock"
}
check "and the lock's takes and its longest hold" measured_lock
histograms() {
	python3 -c "
import json
rows = {row['kind']: row for row in map(json.loads, open('$debugfs/histograms.json'))}
assert {kind: row['count'] for kind, row in rows.items()} == dict(lazy=10, blocked=10, wait=10), rows
for row in rows.values():
	assert sum(count for _, _, count in row['buckets']) == row['count'], row
	assert all(first < last == 2 * max(first, 2) for first, last, _ in row['buckets']), row
	assert row['buckets'][0][0] <= row['min_ns'] and row['max_ns'] < row['buckets'][-1][1], row"
}
check "there is a histogram for each kind of interrupt, and for the waits" histograms
drawn() { [ "$(grep -c '\*$' $debugfs/histograms)" -ge 3 ] && ! grep -v '\*$' $debugfs/histograms | grep -q ' ns to '; }
check "and they are drawn" drawn
deferred_and_held() {
	echo 1 >$debugfs/latency && scenario 0 defer 10 && echo 0 >$debugfs/latency || return 1
	grep -q '"kind":"deferred","count":10,' $debugfs/histograms.json
}
check "those that defer have one of their own" deferred_and_held
raised_before() {
	echo 1 >$debugfs/latency && raise late && stat_becomes latency_count 31 && echo 0 >$debugfs/latency || return 1
	[ "$(stat latency_max_ns)" -ge 1000000000 ]
}
check "a handler can tell when its device raised the interrupt" raised_before
# while_interrupts_come ASSERTIONS: checked for each row that is read meanwhile, until it has changed 200 times.
while_interrupts_come() {
	local going=/tmp/lazyirq-going running result
	: >$going
	taskset -c 0 bash -c "while [ -e $going ]; do echo locked 50 >${test_debugfs}0/run || exit 1; done" &
	running=$!
	taskset -c 1 python3 -c "
import json, time
looks, changes, last, end = 0, 0, None, time.monotonic() + 60
while changes < 200:
	assert time.monotonic() < end, f'{looks} looks, {changes} changes'
	row = json.loads(open('$debugfs/interrupts.json').readline())
	unfinished = row['blocked'] + row['deferred'] + row['held'] + row['remembered'] - row['resumed']
$1
	changes += row != last
	last = row
	looks += 1"
	result=$?
	rm $going
	wait $running && return $result
}
# A reader sees the state at one moment. (First a handler meets the lock, then it is blocked.)
check "what is shown while interrupts come adds up" while_interrupts_come "
	assert 0 <= unfinished <= 1, row
	assert row['blocked'] <= row['met_thread'] <= row['blocked'] + 1, row
	assert row['by_releaser'] <= row['resumed'], row"
came=$(stat interrupts)

refused() { ! bash -c "echo '$1' >$2" 2>/dev/null; }
one=$(ls -d $debugfs/*-lazy | head -n 1)
check "nonsense for a reset is refused" refused nonsense $debugfs/interrupts
check "so is very much of it" refused "$(printf '0%.0s' $(seq 100))" "$one/stats"
check "and for the locks and the interrupt threads" eval 'refused 1 $debugfs/locks && refused "" $debugfs/ithreads'
check "and nonsense for the latency switch" eval 'refused 2 $debugfs/latency && refused 10 $debugfs/latency && refused yes $debugfs/latency'
kept() { stats_are interrupts "$came" latency_count 31 && [ "$(cat $debugfs/latency)" = 0 ]; }
check "nothing was lost by that" kept
reset() {
	echo 0 >$debugfs/interrupts && [ -z "$(cat $debugfs/histograms)" ] &&
		stats_are interrupts 0 lazy 0 resumed 0 latency_count 0 latency_max_ns 0 wait_count 0 met_lock -
}
check "writing 0 resets" reset
# Handlers that were unfinished at the reset are resumed after it.
reset_meanwhile() {
	echo 1 >$debugfs/latency && while_interrupts_come "
	assert -1 <= unfinished <= 1, row
	assert row['blocked'] - 1 <= row['met_thread'] <= row['blocked'] + 1, row
	for kind in 'latency', 'wait':
		least, mean, most = [row[f'{kind}_{what}_ns'] for what in ('min', 'mean', 'max')]
		assert least <= mean <= most, row
	for kind in map(json.loads, open('$debugfs/histograms.json')):
		assert sum(count for _, _, count in kind['buckets']) == kind['count'], kind
	if looks % 5 == 0:
		open('$debugfs/interrupts', 'w').write('0')" && echo 0 >$debugfs/latency
}
check "what is measured, and reset, while interrupts come adds up" reset_meanwhile
reset_others() {
	echo 0 >$debugfs/locks && echo 0 >$debugfs/ithreads || return 1
	awk 'NR > 1 && $2 + $3 + $4 + $5 + $6 + $8 > 0 { bad = 1 } END { exit bad }' $debugfs/locks &&
		awk 'NR > 1 && $4 + $5 + $6 > 0 { bad = 1 } END { exit bad }' $debugfs/ithreads
}
check "also the locks' counts and the threads'" reset_others
forgotten() {
	local driver=/sys/bus/pci/drivers/lazyirq_test device
	[ "$(wc -l <$debugfs/locks.json)" = 1 ] || return 1
	for device in $driver/*:*; do echo "${device##*/}" >$driver/unbind || return 1; done
	[ -z "$(cat $debugfs/locks $debugfs/ithreads $debugfs/interrupts)" ]
}
check "with the devices their locks, threads and interrupts go" forgotten
check "driver and core unload" stop
ktap_finished

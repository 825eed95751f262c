#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# usage (busybox, in the guest): soak-guest.sh SEED SECONDS
# Everything at once, for that long: threads and handlers that take locks at random, CPUs that come
# and go, interrupts that move, change their IPL, are unbound and bound, handlers that are resumed now by releasers
# and now by ithreads, readers of all files. Then every interrupt must be accounted for. All choices are drawn from the seed.
seed=$1 seconds=$2
debugfs=/sys/kernel/debug
sim=$debugfs/lazyirq_sim soak=$debugfs/lazyirq_soak
platform=/sys/bus/platform
going=/tmp/going
fail() { echo "FAILED: $*"; exit 1; }
cd /ko || fail "no modules"

# The choices of the n-th process. Leaves one of 0 to limit - 1 in $random.
begin() { state=$((seed * 64 + $1)); }
choose() {
	state=$(((state * 1103515245 + 12345) & 0x7fffffff))
	random=$((state / 65536 % $1))
}
pause() {
	choose "$1"
	usleep $((random * 1000))
}

bind() {
	echo "lazyirq_$2" >$platform/devices/lazyirq_sim"$1"/driver_override &&
		echo lazyirq_sim"$1" >$platform/drivers/lazyirq_"$2"/bind
}

# Simulated lines 0 to 3 are edge-triggered, the others level-triggered. Two are shared: by two lazy
# handlers, and by a lazy and a stock threaded one. Two are unbound and bound all the time.
always="0.0 1.0 2.0 4.0 5.0 6.0 6.1"
now_and_then="3.0 7.0"

insmod lazyirq.ko stall_ms=60000 && insmod lazyirq_sim.ko && insmod lazyirq_neighbours.ko &&
	insmod lazyirq_soak.ko "seed=$seed" || fail "the modules do not load"
# This one comes first, as PREEMPT_RT requires of a threaded driver.
bind 5.1 threaded || fail "5.1 cannot be bound"
for device in $always $now_and_then; do bind "$device" soak || fail "$device cannot be bound"; done
cpus=$(ls -d /sys/devices/system/cpu/cpu[0-9]* | wc -l)
# A thread that is moving to a CPU that goes offline at that moment is left behind, and on PREEMPT_RT the kernel
# warns about that when the handler, which is a forced one there, is done: so line 5 stays where it is.
lines="0 1 2 3 4 5 6 7"
! grep -q PREEMPT_RT /proc/version || lines="0 1 2 3 4 6 7"
irqs=$(for line in $lines; do sed -n 's/^irq //p' $sim/line"$line"; done)

hotplug() {
	begin 1
	while [ -e $going ]; do
		choose $((cpus - 1))
		online=/sys/devices/system/cpu/cpu$((random + 1))/online
		echo 0 >$online || fail "a CPU stays"
		pause 30
		echo 1 >$online || fail "a CPU does not come back"
		pause 30
	done
}

# A CPU that is currently offline is refused.
affinity() {
	begin 2
	moved=
	while [ -e $going ]; do
		for irq in $irqs; do
			choose "$cpus"
			echo $((1 << random)) >/proc/irq/"$irq"/smp_affinity && moved=yes
		done 2>/dev/null
		pause 5
	done
	[ -n "$moved" ] || fail "no interrupt was moved"
}

# Interrupts that are just going away have no IPL file.
ipl() {
	begin 3
	changed=
	while [ -e $going ]; do
		for file in $debugfs/lazyirq/*/ipl; do
			choose 10
			echo $((random + 1)) >"$file" && changed=yes
		done 2>/dev/null
		pause 50
	done
	[ -n "$changed" ] || fail "no IPL was changed"
}

rebind() {
	begin 4
	while [ -e $going ]; do
		for device in $now_and_then; do
			echo lazyirq_sim$device >$platform/drivers/lazyirq_soak/unbind || fail "$device stays bound"
			pause 20
			bind $device soak || fail "$device cannot be bound again"
			pause 50
		done
	done
}

policy() {
	begin 5
	while [ -e $going ]; do
		for resume in releaser ithread; do
			echo $resume >/sys/module/lazyirq/parameters/resume || fail "resume cannot be $resume"
			pause 40
		done
	done
}

# An interrupt's files that are just going away cannot be read.
readers() {
	while [ -e $going ]; do
		cat $debugfs/lazyirq/interrupts $debugfs/lazyirq/locks $debugfs/lazyirq/ithreads >/dev/null ||
			fail "a table cannot be read"
		for file in $(find $debugfs/lazyirq $soak $sim/line* -type f); do
			cat "$file" >/dev/null 2>&1
		done
		usleep 10000
	done
}

disturb() {
	: >$going
	others=
	for other in affinity ipl rebind policy readers; do $other & others="$others $!"; done
	[ "$cpus" = 1 ] || { hotplug & others="$others $!"; }
	workers=
	for worker in "10" "11" "12" "13 fifo"; do
		(
			set -- $worker
			echo "$((seed * 64 + $1)) $((seconds * 1000))${2:+ $2}" >$soak/work
		) & workers="$workers $!"
	done
	for pid in $workers; do wait "$pid" || fail "a thread has failed"; done
	rm $going
	for pid in $others; do wait "$pid" || fail "see above"; done
}

# Is everything at rest, and does it add up? Says what is not.
accounts() {
	awk -v shared=5 '
		function claim(ok, what) { if (!ok) { print "line " line ": " what; bad = 1 } }
		FILENAME ~ /accounts$/ {
			split(substr($1, 12), device, ".")
			runs[$3] += $5; answering[$3] += $7; merged[$3] += $9; none[$3] += $11
			next
		}
		FILENAME ~ /interrupts$/ {
			if (FNR == 1) { for (i = 1; i <= NF; i++) column[$i] = i; next }
			for (name in column) sum[$1, name] += $column[name]
			next
		}
		{ sim[FILENAME, $1] = $2; files[FILENAME] }
		END {
			for (file in files) {
				line = substr(file, length(file))
				irq = sim[file, "irq"]
				claim(sim[file, "raised"] > 0 && sim[file, "raised"] == sim[file, "answered"],
					sim[file, "raised"] " raised, " sim[file, "answered"] " answered")
				claim(sim[file, "resting"] == 1 && sim[file, "masked"] == 0 && sim[file, "depth"] == 0,
					"resting " sim[file, "resting"] " masked " sim[file, "masked"] " depth " sim[file, "depth"])
				came = sum[irq, "interrupts"]; lazy = sum[irq, "lazy"]; resumed = sum[irq, "resumed"]
				left = sum[irq, "blocked"] + sum[irq, "deferred"] + sum[irq, "held"] + sum[irq, "remembered"]
				claim(came == lazy + resumed && left == resumed,
					came " came, " lazy " lazy, " left " left, " resumed " resumed")
				claim(came == runs[irq], came " came, " runs[irq] " runs")
				claim(sum[irq, "spurious"] + sum[irq, "late_none"] == none[irq],
					sum[irq, "spurious"] " spurious, " sum[irq, "late_none"] " late, " none[irq] " found none")
				claim(!(sum[irq, "refused"] + sum[irq, "illegal"] + sum[irq, "slept"]), "refused, illegal or slept")
				# Of those that were bound all the time, and alone or all lazy.
				if (line == 3 || line == 7) continue
				raised = sim[file, "raised"] - (line == 5 ? sim[file, "raised1"] : 0)
				claim(raised == answering[irq] + merged[irq],
					raised " raised, " answering[irq] " runs answered, and " merged[irq] " more")
				if (line < 4)
					claim(sim[file, "raised"] == came + sim[file, "coalesced"],
						sim[file, "raised"] " raised, " came " came, " sim[file, "coalesced"] " coalesced")
				total["raised"] += raised; total["came"] += came; total["lazy"] += lazy
				total["resumed"] += resumed; total["blocked"] += sum[irq, "blocked"]
				total["resumed by releasers"] += sum[irq, "by_releaser"]
			}
			for (name in total) if (total[name] == 0) { print "nothing was " name; bad = 1 }
			if (!bad) print "raised " total["raised"] " came " total["came"] " lazy " total["lazy"] \
				" resumed " total["resumed"] ", of these blocked at first " total["blocked"] \
				", resumed by releasers " total["resumed by releasers"]
			exit bad
		}' $soak/accounts $debugfs/lazyirq/interrupts $sim/line[0-7]
}

settled() {
	tries=100
	until said=$(accounts); do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || { echo "$said"; fail "this does not add up"; }
		usleep 100000
	done
	echo "$said"
}

# Nothing is counted as unfinished on the CPUs any more: the lowest IPL is lazy on each.
levels() {
	for device in $always $now_and_then; do
		echo lazyirq_sim"$device" >$platform/drivers/lazyirq_soak/unbind
	done
	insmod lazyirq_lines.ko || fail "lazyirq_lines.ko does not load"
	echo 1 >$debugfs/lazyirq_lines/ipl
	bind 0.0 lines || fail "line 0 cannot be bound again"
	irq=$(sed -n 's/^irq //p' $sim/line0)
	cpu=0
	while [ $cpu -lt "$cpus" ]; do
		echo $((1 << cpu)) >/proc/irq/"$irq"/smp_affinity || fail "CPU $cpu is not there"
		echo "raise 0 0 1" >$sim/control
		cpu=$((cpu + 1))
		tries=100
		until grep -q "^lazy  *$cpu\$" $debugfs/lazyirq/"$irq"-lazyirq_lines-lazy/stats; do
			tries=$((tries - 1))
			[ $tries -gt 0 ] || fail "CPU $((cpu - 1)) does not run the lowest IPL lazily"
			usleep 100000
		done
	done
}

echo "seed $seed, $seconds s, $cpus CPUs"
disturb
settled
levels
rmmod lazyirq_lines lazyirq_soak lazyirq_neighbours lazyirq_sim lazyirq || fail "the modules do not unload"

# SPDX-License-Identifier: GPL-2.0
# Shared by guest-run.sh and guest-bench.sh, in the virtual machine (busybox). Sourced, never run: loads the core.
debugfs=/sys/kernel/debug/lazyirq tracing=/sys/kernel/tracing
fail() { echo "FAILED: $*"; exit 1; }

# counter COLUMN MECHANISM
counter() {
	awk -v name="$1" -v mechanism="$2" '
		NR == 1 { for (i = 1; i <= NF; i++) column[$i] = i }
		NR > 1 && $column["mechanism"] == mechanism { print $column[name] }' $debugfs/interrupts
}

# Leaves the instruction counts in /figures.
count() {
	rounds=1000
	# The second pass is for what depends on the resumer; the rest repeats the first.
	for resume in releaser ithread; do
		echo $resume >/sys/module/lazyirq/parameters/resume
		dmesg -c >/dev/null
		insmod lazyirq_bench.ko rounds=$rounds || fail "lazyirq_bench.ko does not load"
		dmesg | sed -n 's/^.*lazyirq_bench: figure //p' >/figures-$resume
		rmmod lazyirq_bench
	done
	grep -E '^lazy .*(contended-|burst-|hog-|handler-1ms)' /figures-ithread | sed 's/^lazy/lazy-ithread/' | cat /figures-releaser - >/figures
	[ -s /figures ] || fail "nothing was measured"
}

cd /ko || fail "no modules"
insmod lazyirq.ko || fail "lazyirq.ko does not load"

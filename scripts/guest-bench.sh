#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# What "make bench" and "make report" measure in the virtual machine (busybox). It has two edu devices, as for
# guest-run.sh.
#   guest-bench.sh bench       the figures that tools/bench records
#   guest-bench.sh elsewhere   the same with the lock's owner on another CPU than the interrupt: needs two CPUs
#   guest-bench.sh scale       the same as events and time, for interrupts on the last CPU, however many there are
#   guest-bench.sh sharing     interrupts on two CPUs, for tools/cachelines
#   guest-bench.sh report      everything that tools/report draws, with time counted in instructions
. /guest-lib.sh

# counted_with NAME CASE...: lazyirq's figures for these cases again, under changed conditions: recorded as
# cases CASE-NAME.
counted_with() {
	name=$1
	shift
	dmesg -c >/dev/null
	insmod lazyirq_bench.ko rounds=200 || fail "lazyirq_bench.ko does not load"
	for case; do
		dmesg | sed -n "s/^.*lazyirq_bench: figure \(lazy [^ ]*\) $case /\1 $case-$name /p" >>/figures
	done
	rmmod lazyirq_bench
}

# registered NUMBER: that many other handlers are registered, at all levels in turn, and have each run once.
registered() {
	bus=/sys/bus/platform
	insmod lazyirq_sim.ko lines="$1" sources=1 && insmod lazyirq_lines.ko || fail "lazyirq_lines.ko does not load"
	n=0
	while [ $n -lt "$1" ]; do
		echo $((n % 10 + 1)) >/sys/kernel/debug/lazyirq_lines/ipl
		echo lazyirq_lines >$bus/devices/lazyirq_sim$n.0/driver_override
		echo lazyirq_sim$n.0 >$bus/drivers/lazyirq_lines/bind || fail "lazyirq_sim$n.0 is not bound"
		echo "raise $n 0" >/sys/kernel/debug/lazyirq_sim/control
		n=$((n + 1))
	done
	[ "$(counter lazy lazy | grep -cv '^0$')" = "$1" ] || fail "not all have run"
}
unregistered() { rmmod lazyirq_lines lazyirq_sim || fail "lazyirq_lines.ko does not unload"; }

# wake_ups MECHANISM NODE: how often an interrupt wakes a thread that handles it, with the lock free and held.
wake_ups() {
	for held in "" held; do
		case=$([ -z "$held" ] && echo uncontended || echo contended-same-cpu)
		echo >$tracing/trace
		echo 1 >$tracing/events/sched/sched_waking/enable
		echo "raise 200${held:+ $held}" >"$2" || fail "$2: raise 200 $held"
		echo 0 >$tracing/events/sched/sched_waking/enable
		woken=$(grep -cE 'comm=(irq/|lazyirq[0-9])' $tracing/trace)
		echo "$1 msi $case wake-ups min $woken p50 $woken max $woken rounds 200 switches -" >>/figures
	done
}

# The first line is the kernel's release, the last one bench-end.
benched() {
	uname -r
	count
	echo 1 >$debugfs/latency
	counted_with histograms uncontended
	echo 0 >$debugfs/latency
	echo 1 >$tracing/events/lazyirq/enable
	counted_with tracepoints uncontended
	echo 0 >$tracing/events/lazyirq/enable
	echo releaser >/sys/module/lazyirq/parameters/resume
	for n in 10 1000; do
		registered $n
		counted_with beside-$n uncontended contended-same-cpu
		unregistered
	done
	rmmod lazyirq && insmod lazyirq.ko boost_delay_us=4000000000 || fail "lazyirq.ko does not load again"
	counted_with unlent hog-10ms
	rmmod lazyirq && insmod lazyirq.ko resume=ithread || fail "lazyirq.ko does not load again"
	insmod lazyirq_edu.ko mechanism=2 || fail "lazyirq_edu.ko does not load"
	for mechanism in lazy stock; do
		for column in memory continuation; do
			bytes=$(counter $column $mechanism)
			echo "$mechanism - memory $column min $bytes p50 $bytes max $bytes rounds 1 switches 0"
		done
	done | sed 's/^stock/threaded-mutex/' >>/figures
	wake_ups lazy-ithread /dev/lazyirq_edu0
	echo releaser >/sys/module/lazyirq/parameters/resume
	wake_ups lazy /dev/lazyirq_edu0
	wake_ups threaded-mutex /dev/lazyirq_edu1
	rmmod lazyirq_edu
	sed 's/^/figure /' /figures
	echo bench-end
}

# With two CPUs: the interrupts go to CPU 0, the lock's owner is on CPU 1.
elsewhere() {
	uname -r
	echo 1 >/proc/irq/default_smp_affinity
	for resume in releaser ithread; do
		echo $resume >/sys/module/lazyirq/parameters/resume
		dmesg -c >/dev/null
		taskset 2 insmod lazyirq_bench.ko rounds=200 elsewhere=1 || fail "lazyirq_bench.ko does not load"
		dmesg | sed -n 's/^.*lazyirq_bench: \(figure .* switches\) .*/\1 -/p' >/figures-$resume
		rmmod lazyirq_bench
	done
	cat /figures-releaser
	sed -n 's/^figure lazy /figure lazy-ithread /p' /figures-ithread
	echo bench-end
}

# Time is arbitrary in an emulated machine, so it is given in percent of the stock mechanism's in the same run.
scaled() {
	uname -r
	last=$(($(nproc) - 1)) rounds=300
	taskset -p "$(printf %x $((1 << last)))" $$ >/dev/null || fail "there is no CPU $last"
	echo 1 >$debugfs/latency
	insmod lazyirq_edu.ko mechanism=2 || fail "lazyirq_edu.ko does not load"
	for irq in $(sed -n 's/^ *\([0-9]*\):.* lazyirq_edu.*/\1/p' /proc/interrupts); do
		echo $last >"/proc/irq/$irq/smp_affinity_list" || fail "interrupt $irq does not go to CPU $last"
	done
	for held in "" held; do
		case=$([ -z "$held" ] && echo uncontended || echo contended-same-cpu)-$((last + 1))-cpus
		# During the first ones the interrupts are still moving to that CPU.
		for count in 10 $rounds; do
			echo 0 >$debugfs/interrupts
			for node in /dev/lazyirq_edu0 /dev/lazyirq_edu1; do
				echo "raise $count${held:+ $held}" >$node || fail "$node: raise $count $held"
			done
		done
		for mechanism in lazy stock; do
			switches=$(counter switches $mechanism)
			echo "$mechanism msi $case switches min $switches p50 $switches max $switches rounds $rounds switches -"
		done | sed 's/^stock/threaded-mutex/' >>/figures
		percent=$((100 * $(counter latency_p50_ns lazy) / $(counter latency_p50_ns stock)))
		echo "lazy msi $case time min $percent p50 $percent max $percent rounds $rounds switches -" >>/figures
	done
	rmmod lazyirq_edu
	sed 's/^/figure /' /figures
	echo bench-end
}

# Prints sections, each after a line that names it.
reported() {
	count
	echo "report-section figures"
	cat /figures
	echo 1 >$debugfs/latency
	insmod lazyirq_edu.ko irq=0 mechanism=2 || fail "lazyirq_edu.ko does not load"
	for resume in releaser ithread; do
		echo $resume >/sys/module/lazyirq/parameters/resume
		echo 0 >$debugfs/interrupts
		for node in /dev/lazyirq_edu0 /dev/lazyirq_edu1; do
			for what in 2000 "1000 held"; do
				echo "raise $what" >$node || fail "$node: raise $what"
			done
		done
		echo "report-section histograms-$resume"
		cat $debugfs/histograms.json
		echo "report-section compare-$resume"
		cat $debugfs/compare.json
	done
	echo 0 >$debugfs/latency
	# One blocked interrupt. The time stamp counter counts instructions, too, and is shown to the last digit.
	echo x86-tsc >$tracing/trace_clock
	for resume in releaser ithread; do
		echo $resume >/sys/module/lazyirq/parameters/resume
		for event in lazyirq sched/sched_switch sched/sched_waking irq/irq_handler_entry irq/irq_handler_exit; do
			echo 1 >$tracing/events/$event/enable
		done
		# The first ones find the tracer's caches cold.
		echo 'raise 20 held' >/dev/lazyirq_edu0
		echo >$tracing/trace
		echo 'raise 1 held' >/dev/lazyirq_edu0
		echo 0 >$tracing/events/enable
		echo "report-section trace-$resume"
		cat $tracing/trace
	done
	echo "report-section end"
	rmmod lazyirq_edu || fail "lazyirq_edu does not unload"
}

# bound KIND: CPU 0 takes the first device's interrupts of that kind, then CPU 1 the second one's.
bound() {
	driver=/sys/bus/pci/drivers/lazyirq_sharing
	insmod lazyirq_sharing.ko kind="$1" || fail "lazyirq_sharing.ko does not load"
	cpu=0
	for device in $edus; do
		echo $((1 << cpu)) >/proc/irq/default_smp_affinity
		# A process of its own, which stays until the end, or the next one might have the same stack or memory map.
		rm -f /bound
		taskset $((1 << cpu)) sh -c "echo $device >$driver/bind; echo \$? >/bound; sleep 1000; :" &
		while [ ! -s /bound ]; do sleep 0.1; done
		[ "$(cat /bound)" = 0 ] || fail "$device is not bound"
		cpu=$((cpu + 1))
	done
	kill $(jobs -p)
	wait
	rmmod lazyirq_sharing
}

# With two CPUs. The emulator, which looks at each access, is so slow that any delay would be over.
sharing() {
	uname -r
	echo 0 >/sys/bus/pci/drivers_autoprobe
	edus=$(grep -lx 0x11e8 /sys/bus/pci/devices/*/device | cut -d / -f 6)
	rmmod lazyirq && insmod lazyirq.ko boost_delay_us=4000000000 || fail "lazyirq.ko does not load again"
	for kind in 1 3 5 9; do bound $kind; done
	echo ithread >/sys/module/lazyirq/parameters/resume
	bound 7
	echo bench-end
}

case ${1:-} in
bench) benched ;;
elsewhere) elsewhere ;;
sharing) sharing ;;
scale) scaled ;;
report) reported ;;
*) fail "there is nothing to measure by the name of '${1:-}'" ;;
esac
rmmod lazyirq || fail "lazyirq does not unload"

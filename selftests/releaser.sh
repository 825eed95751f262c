#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The releaser of a lock resumes the handler that waits for it, on the spot, where that is allowed; else the
# ithread does, as it always does with resume=ithread.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/driver.sh"
. "$(dirname "$0")/locks.sh"

parameters=/sys/module/lazyirq/parameters
events=/sys/kernel/tracing
ktap_print_header
ktap_set_plan 26

# The script is on CPU 1, the interrupts on CPU 0.
taskset -pc 1 $$ >/dev/null

# counted DEVICE TIMES: its handler has been resumed, once; TIMES by a releaser, which costs no switch.
counted() {
	local by_releaser resumed switches
	by_releaser=$(stat by_releaser "$1") resumed=$(stat resumed "$1") switches=$(stat switches "$1")
	[ "$resumed,$by_releaser,$((switches > 0))" != "1,$2,$((1 - $2))" ] || return 0
	ktap_print_msg "device $1: resumed $resumed, by a releaser $by_releaser, switches $switches"
	return 1
}
fresh() { reset && echo 0 >$debugfs/interrupts; }

# No thread is to be woken to lend a priority.
start_here() {
	start_locks resume=releaser boost_delay_us=4000000000 || return 1
	for device in 0 1; do
		ipl=$debugfs/$(locks_irq $device)-lazyirq_test-lazy/ipl
		echo 5 >"$ipl" || return 1
	done
}
check "the driver loads" start_here
is_releaser() { [ "$(cat $parameters/resume)" = releaser ]; }
check "resume=releaser" is_releaser

for cpu in 0 1; do
	resumed_on() {
		fresh && thread -c $cpu A x0 b u b && trace_has Ab || return 1
		handler 0 H x0 && stat_becomes blocked 1 && go A || return 1
		# The thread does not go on before that.
		trace_is_all "Ax0 Ab Hx0' H.' Au Ab" && go A && ended A && counted 0 1
	}
	check "a release on CPU $cpu resumes the handler" resumed_on
	lazy_again() { handler 0 P x0 && trace_has 'P.' && [ "$(stat held)" = 0 ] && [ "$(stat lazy)" = 1 ]; }
	check "the next interrupt is lazy again" lazy_again
done

# What the thread A does itself, apart from interrupts: it is not preempted, so that the events do not come
# from another thread.
traced() {
	for event in sched/sched_waking ipi/ipi_send_cpu ipi/ipi_send_cpumask; do
		[ ! -e $events/events/$event ] || echo "$1" >$events/events/$event/enable || return 1
	done
}
no_wake_up() {
	# Some of these writes wait for every CPU.
	echo 0 >$events/tracing_on && echo >$events/trace && traced 1 || return 1
	fresh && thread -c 1 -f 70 A x0 b u b && trace_has Ab && handler 0 H x0 && stat_becomes blocked 1 || return 1
	echo 1 >$events/tracing_on && go A && trace_is_all "Ax0 Ab Hx0' H.' Au Ab"
	local result=$?
	echo 0 >$events/tracing_on
	go A && ended A && traced 0 && counted 0 1 && [ $result = 0 ] || return 1
	# The third letter of the third column says what an event is in: h, H, s, z for interrupts. On PREEMPT_RT
	# a timer's interrupt wakes the kernel's own threads when it is over.
	awk -v pid="${pid[A]}" '
		$1 ~ "-" pid "$" && substr($3, 3, 1) == "." && !/comm=(ksoftirqd|ktimers|rcuc)\// { print "# " $0; found = 1 }
		END { exit found }' $events/trace
}
# The script must not run on that CPU.
taskset -pc 0 $$ >/dev/null
check "on another CPU, without a wake-up or an interrupt between the CPUs" no_wake_up
taskset -pc 1 $$ >/dev/null

for cpu in 0 1; do
	not_preemptible() {
		fresh && thread -c $cpu A x0 h U h && trace_has Ah && handler 0 H x0 && go A || return 1
		trace_has "H.'" && go A && ended A && counted 0 0
	}
	check "a release that is not preemptible, on CPU $cpu, does not" not_preemptible
done

deferred() {
	fresh && thread A x0 h && trace_has Ah && handler 0 H d x0 && go A && ended A &&
		trace_has "H.'" && counted 0 0
}
check "a handler that has deferred is its ithread's" deferred

second_block() {
	fresh && thread A x0 h && trace_has Ah && thread B x1 h && trace_has Bh || return 1
	handler 0 H x0 x1 && go A && ended A && trace_has "Hx0'" && go B && ended B || return 1
	trace_has "H.'" && counted 0 0 && [ "$(stat reblocked)" = 1 ]
}
check "so is one that blocks for the second time" second_block

# I waits for H, which waits for A. No other thread must run on A's CPU: the second handler would be left
# to its ithread. (On PREEMPT_RT the kernel's own threads have priority 90 here.)
chain() {
	echo 6 >"$ipl" && fresh && thread -c 0 -f 95 A x1 b && trace_has Ab || return 1
	handler 0 H x0 x1 && stat_becomes blocked 1 && handler 1 I x0 && stat_becomes blocked 1 1 || return 1
	go A && ended A && trace_is_all "Ax1 Ab Hx0 A. Hx1' H.' Ix0' I.'" && counted 0 1 && counted 1 "$1"
}
check "what a resumed handler releases is resumed as well" chain 1
# Both are equally deep in the stack.
not_nested() {
	local depths
	read -r -a depths <$locks_debugfs/stack
	ktap_print_msg "stack of the releaser down to the handler: ${depths[*]} bytes"
	[ ${#depths[@]} = 2 ] && [ "${depths[0]}" = "${depths[1]}" ] && [ "${depths[0]}" -lt 1500 ]
}
check "one after the other" not_nested
echo 1 >$parameters/resume_budget
check "if that is no more than resume_budget" chain 0
echo 8 >$parameters/resume_budget
# The thread Z is woken while the first handler runs, and outranks the releaser.
wanted() {
	local stat
	echo 6 >"$ipl" && fresh && thread -c 0 -f 90 Z h && trace_has Zh && thread -c 0 -f 70 A x1 b && trace_has Ab || return 1
	handler 0 H x0 x1 b && stat_becomes blocked 1 && handler 1 I x0 && stat_becomes blocked 1 1 || return 1
	go A && trace_has "Hb'" || return 1
	runnable() { read -r -a stat <"/proc/${pid[Z]}/stat" && [ "${stat[2]}" = R ]; }
	within runnable && go H && ended A || return 1
	trace_is_all "Zh Ax1 Ab Hx0 A. Hx1' Hb' H.' Ix0' I.'" && counted 0 1 && counted 1 0 && go Z && ended Z
}
check "and no other thread is to run on the releaser's CPU" wanted

# The thread A outranks the ithreads, so that what is queued on its CPU stays queued. Meanwhile no program
# should be started: the thread that reads it from the disk may have to run there.
behind() {
	echo 6 >"$ipl" && fresh && thread -c 0 -f 70 A x0 b u b && trace_has Ab && handler 0 H x0 && stat_becomes blocked 1 || return 1
	handler 1 I d && stat_becomes deferred 1 1 && go A && trace_has Au && go A && ended A || return 1
	trace_is_all "Ax0 Ab Au Ab A. Id' I.' Hx0' H.'" && counted 0 0
}
before() {
	echo 4 >"$ipl" && fresh && thread -c 0 -f 70 A x0 b u b && trace_has Ab || return 1
	handler 1 I d && stat_becomes deferred 1 1 && handler 0 H x0 && stat_becomes blocked 1 || return 1
	go A && trace_has Au && go A && ended A || return 1
	trace_is_all "Ax0 Ab Hx0' H.' Au Ab A. Id' I.'" && counted 0 1
}
check "a handler is not resumed in front of one of a higher IPL" behind
check "but in front of one of a lower IPL" before
# The thread Z keeps the CPU where the handlers blocked busy.
behind_at_home() {
	echo 6 >"$ipl" && fresh && thread -c 1 A x0 h && trace_has Ah && thread -c 0 -f 70 Z b && trace_has Zb || return 1
	handler 0 H x0 && stat_becomes blocked 1 && handler 1 I d && stat_becomes deferred 1 1 || return 1
	go A && ended A && go Z && ended Z || return 1
	trace_is_all "Ax0 Ah Zb A. Z. Id' I.' Hx0' H.'" && counted 0 0 && counted 1 0
}
check "not even from another CPU" behind_at_home

# On the releaser's CPU, which is neither the one that the handler blocked on nor the script's: nothing is
# preempted there.
meanwhile() {
	echo "$1" >"$ipl" && pin 1 1 && fresh && thread -c 1 A x0 b && trace_has Ab && handler 0 H x0 b || return 1
	stat_becomes blocked 1 && go A && trace_has "Hb'" || return 1
	handler 1 I && stat_becomes "$2" 1 1 && go H && ended A && trace_is_all "$3" && counted 0 1
}
taskset -pc 0 $$ >/dev/null
check "meanwhile interrupts of its IPL are held there" meanwhile 5 held "Ax0 Ab A. Hx0' Hb' H.' I.'"
check "and higher ones are not" meanwhile 6 lazy "Ax0 Ab A. Hx0' Hb' I. H.'"
pin 1 0
taskset -pc 1 $$ >/dev/null

refused() {
	expect_log 'lazyirq: resume has to be releaser or ithread'
	expect_log 'lazyirq: resume_budget has to be a number, at least 1'
	! echo thread 2>/dev/null >$parameters/resume && ! echo 0 2>/dev/null >$parameters/resume_budget &&
		is_releaser && [ "$(cat $parameters/resume_budget)" = 8 ]
}
check "nonsense is refused" refused
echo ithread >$parameters/resume
for cpu in 0 1; do
	in_ithread() {
		fresh && thread -c $cpu A x0 h && trace_has Ah && handler 0 H x0 && stat_becomes blocked 1 || return 1
		go A && ended A && trace_has "H.'" && counted 0 0
	}
	check "resume=ithread: a release on CPU $cpu wakes the ithread" in_ithread
done
# I waits for H, which waits for A, as above; and for both handlers somebody waits who unbinds their device. To be told,
# the first one needs the releaser's thread, which must not go on to the second handler before that.
awaited() {
	local driver=/sys/bus/pci/drivers/lazyirq_locks devices device unbinder unbinders=()
	echo releaser >$parameters/resume && echo 6 >"$ipl" && fresh || return 1
	devices=("$driver"/0000:*)
	thread -c 0 -f 95 A x1 h && trace_has Ah && handler 0 H x0 x1 && stat_becomes blocked 1 || return 1
	handler 1 I x0 && stat_becomes blocked 1 1 || return 1
	for device in "${devices[@]##*/}"; do
		echo "$device" >"$driver/unbind" &
		unbinders+=($!)
	done
	for unbinder in "${unbinders[@]}"; do within synchronizes "$unbinder" || return 1; done
	go A && ended A || return 1
	over() { ! kill -0 "$1" 2>/dev/null; }
	for unbinder in "${unbinders[@]}"; do
		within over "$unbinder" && wait "$unbinder" || { ktap_print_msg "an unbinder hangs"; return 1; }
	done
	trace_is_all "Ax1 Ah Hx0 A. Hx1' H.' Ix0' I.'"
}
# synchronizes PROCESS: it waits for the handlers of a line. (There is no end of line to read.)
synchronizes() {
	local function
	read -r function <"/proc/$1/wchan"
	[[ $function == *synchronize_irq* ]]
}
check "two devices are unbound while one release resumes the handlers of both" awaited
check "the driver unloads" stop_locks
expect_log "lazyirq: .*invalid for parameter .resume'"
does_not_load() { ! load lazyirq resume=nobody 2>/dev/null && ! loaded lazyirq; }
check "resume=nobody: the module does not load" does_not_load
ktap_finished

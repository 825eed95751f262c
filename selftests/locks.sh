# SPDX-License-Identifier: GPL-2.0
# For the test scripts that use lazyirq_locks.ko, whose threads and handlers
# carry out little programs on locks (described in its source).

locks_debugfs=lazyirq_locks
trace_file=$locks_debugfs/go

# start_locks [parameter of the core]...: load both modules.
start_locks() {
	load lazyirq "$@" && load lazyirq_locks || return 1
	# Each line's interrupts have been seen once on the CPU that they are for.
	pin 0 0 && pin 1 0
}
stop_locks() { rmmod lazyirq_locks && rmmod lazyirq; }

# The number of a device's interrupt.
locks_irq() { ls $debugfs | sed -n 's/^\([0-9]*\)-lazyirq_test-lazy.*/\1/p' | sort -n | sed -n "$(($1 + 1))p"; }

# pin DEVICE CPU: its interrupts go there.
pin() {
	echo $((1 << $2)) >"/proc/irq/$(locks_irq "$1")/smp_affinity" || return 1
	# An MSI moves with the next interrupt, or with a later one if it has just moved.
	moved() { reset && handler "$1" P && trace_has 'P.' && device_stats "$1" && [ "${stats[cpu]}" = "$2" ]; }
	within moved "$@"
}

reset() { echo >$locks_debugfs/reset; }

# thread [-c CPU] [-f FIFO-PRIORITY] ACTOR STEP...: in the background. Its process is ${pid[ACTOR]}.
declare -A pid
thread() {
	local as=()
	while :; do
		case $1 in
		-c) as+=(taskset -c "$2") ;;
		-f) as+=(chrt --fifo "$2") ;;
		*) break ;;
		esac
		shift 2
	done
	# An emulated machine takes a tenth of a second for each program that is started.
	if [ ${#as[@]} -eq 0 ]; then
		(trap : USR1; printf %s "$*" >$locks_debugfs/run) 2>/dev/null &
	else
		"${as[@]}" bash -c 'trap : USR1; printf %s "$0" >'$locks_debugfs/run "$*" 2>/dev/null &
	fi
	pid[$1]=$!
}

# handler DEVICE ACTOR STEP...: its handler carries that out. It has left the lazy path then, or is held.
handler() {
	local device=$1 before
	shift
	device_stats "$device" && before=${stats[interrupts]} || return 1
	printf %s "$*" >"$locks_debugfs/raise$device" || return 1
	# It may take another CPU some time to notice an interrupt.
	arrived() { device_stats "$device" && [ "${stats[interrupts]}" != "$before" ]; }
	within arrived && return
	ktap_print_msg "the interrupt for $* does not come"
	return 1
}

go() { printf %s "$1" >$locks_debugfs/go; }

# ended ACTOR: its thread has ended, with success.
ended() { wait "${pid[$1]}"; }
# failed ACTOR: its thread has ended, with an error.
failed() { ! wait "${pid[$1]}"; }

# Leaves the trace in $trace.
get_trace() {
	trace=
	read -r trace <$trace_file
}

# has WORD: is it in the trace?
has() { get_trace && [[ " $trace " == *" $1 "* ]]; }

# trace_has WORD..., each within ten seconds.
trace_has() {
	local word
	for word in "$@"; do
		within has "$word" && continue
		ktap_print_msg "no $word in the trace: $trace"
		return 1
	done
}

# trace_is_all WORDS: the trace is exactly that, within ten seconds.
trace_is_all() {
	is() { get_trace && [ "$trace" = "$1" ]; }
	within is "$*" && return
	ktap_print_msg "the trace is $trace, not $*"
	return 1
}

# trace_is_like REGEX: the trace matches it, without waiting.
trace_is_like() {
	get_trace
	[[ "$trace" =~ $1 ]] && return
	ktap_print_msg "the trace is $trace, not like $1"
	return 1
}

# queued ACTOR: its thread sleeps in a lock's queue, which the name of the function tells.
queued() {
	local function
	read -r function <"/proc/${pid[$1]}/wchan"
	[[ $function == *lazyirq4sync4wait* ]]
}

# looked: the dispatcher, which lends priorities, has looked at all locks since mark_looks.
count_looks() {
	local file=/proc/$dispatcher/status line
	while read -r line; do [[ $line != voluntary_ctxt_switches* ]] || looks=${line##*[^0-9]}; done <"$file"
}
mark_looks() {
	dispatcher=$(pgrep -x lazyirq_lend) && count_looks && looks_before=$looks
}
looked() { count_looks && [ "$looks" -gt "$looks_before" ]; }

# The scheduler's priority of a process, as SCHED_FIFO's in $fifo: 0 if it is not real-time.
fifo_of() {
	local stat
	read -r -a stat <"/proc/$1/stat"
	fifo=$((stat[17] < 0 ? -1 - stat[17] : 0))
}

# fifo_becomes ACTOR PRIORITY, within ten seconds.
fifo_becomes() {
	fifo_is() { fifo_of "${pid[$1]}" && [ "$fifo" = "$2" ]; }
	within fifo_is "$@" && return
	ktap_print_msg "$1 has priority $fifo, not $2"
	return 1
}

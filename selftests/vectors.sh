# SPDX-License-Identifier: GPL-2.0
# For the test scripts that use lazyirq_vectors.ko, the driver of a device with
# ten MSI-X vectors (its source says what can be done with them). Sourced after
# driver.sh and locks.sh, whose functions for traces these scripts share.

vectors_debugfs=lazyirq_vectors
trace_file=$vectors_debugfs/reset

# start_vectors [parameter]...: load both modules. All interrupts go to CPU 0.
start_vectors() {
	loaded lazyirq || load lazyirq || return 1
	load lazyirq_vectors "$@" || return 1
	local vector
	for vector in {0..9}; do pin "$vector" 0 || return 1; done
	restart_counts
}
stop_vectors() { rmmod lazyirq_vectors && rmmod lazyirq; }

reset() { echo >$vectors_debugfs/reset; }
# Resets the counts of the driver and of the core.
restart_counts() { echo >$vectors_debugfs/counts && echo 0 >$debugfs/interrupts; }

# find_vector VECTOR: leaves its directory in $dir, its interrupt's number in $irq. Starts no program.
find_vector() {
	local dirs=("$debugfs"/*-vector"$1"-lazy)
	dir=${dirs[0]}
	irq=${dir##*/}
	irq=${irq%%-*}
}

# move VECTOR CPU: its interrupts are to go there.
move() {
	find_vector "$1"
	echo $((1 << $2)) >"/proc/irq/$irq/smp_affinity"
}

# pin VECTOR CPU: they do go there. An MSI moves with one of the next interrupts, when the previous move
# is over.
pin() {
	moved_to() {
		local mask
		raise "$1" && settled "$1" && read -r mask <"/proc/irq/$irq/effective_affinity" &&
			[ $((0x$mask)) = $((1 << $2)) ]
	}
	move "$@" && within moved_to "$@" && return
	ktap_print_msg "vector $1 does not go to CPU $2"
	return 1
}

# raise VECTOR [PROGRAM]: raises it, without waiting for anything.
raise() { printf %s "$1${2:-}" >$vectors_debugfs/raise; }

# Runs a program ahead of all ithreads of CPU 0.
front=(chrt --fifo 99 taskset -c 0)

# burst [VECTOR[PROGRAM]]...: raises them one after the other, with none of CPU 0's ithreads in between.
burst() {
	"${front[@]}" bash -c 'for what; do printf %s "$what" >'$vectors_debugfs/raise'; done' burst "$@"
}

# hold [-f] MUTEXES...: for each word, a thread holds its mutexes until release WORD..., and releases
# them in this order; with -f, with none of CPU 0's ithreads in between.
hold() {
	local word letter before=()
	if [ "$1" = -f ]; then
		before=("${front[@]}")
		shift
	fi
	for word in "$@"; do
		if [ ${#before[@]} -eq 0 ]; then
			printf %s "$word" >$vectors_debugfs/hold &
		else
			"${before[@]}" bash -c 'printf %s "$0" >'$vectors_debugfs/hold "$word" &
		fi
		pid[$word]=$!
		for ((letter = 0; letter < ${#word}; letter++)); do
			trace_has "(${word:letter:1}" || return 1
		done
	done
}
release() {
	local word
	for word in "$@"; do
		printf %s "$word" >$vectors_debugfs/release && ended "$word" || return 1
	done
}

# get_stats VECTOR: leaves its counters in the array stats.
get_stats() {
	find_vector "$1"
	read_fields "$dir/stats"
}

# vector_counted VECTOR NAME VALUE...: these are its counters, within ten seconds.
vector_counted() {
	counted() {
		local vector=$1
		get_stats "$vector"
		shift
		while [ $# -gt 0 ]; do
			[ "${stats[$1]}" = "$2" ] || return 1
			shift 2
		done
	}
	within counted "$@" && return
	ktap_print_msg "vector $1: ${*:2}, not $(paste -sd ' ' "$dir/stats" | tr -s ' ')"
	return 1
}

# get_counts VECTOR: leaves what the driver knows of it in $raised, $answered, $moved.
get_counts() {
	local line
	mapfile -t line <$vectors_debugfs/counts
	read -r _ raised answered moved <<<"${line[$1]}"
}

# has_moved VECTOR TIMES: since get_counts was last used, it was finished on another CPU than it began on that
# often. A releaser may be on any CPU.
has_moved() {
	local before=$moved
	get_counts "$1"
	! by_ithread || [ $((moved - before)) = "$2" ] && return
	ktap_print_msg "$((moved - before)) were finished on another CPU"
	return 1
}

# settled VECTOR...: every interrupt raised on them is answered, within ten seconds each.
settled() {
	local vector
	answered() { get_counts "$1" && [ "$answered" = "$raised" ]; }
	for vector in "$@"; do
		within answered "$vector" && continue
		ktap_print_msg "vector $vector: $answered of $raised are answered"
		return 1
	done
}

# In the background, until end_load: vectors 1, 4 and 7 and both edu devices (the sample driver's, with
# level lines) are raised again and again, by threads that hold the mutexes meanwhile. Each interrupt
# is answered before the next of its device, or the load ends in an error.
start_load() {
	local node
	load lazyirq_edu irq=1 || return 1
	stopping=$(mktemp -u)
	load_on 1 a && load_on 4 b && load_on 7 a || return 1
	for node in /dev/lazyirq_edu[01]; do
		raise_on $node &
		pid[$node]=$!
	done
}
load_on() {
	until [ -e "$stopping" ]; do
		printf %s "$1$2 8" >$vectors_debugfs/load || exit 1
	done &
	pid[$1]=$!
}
raise_on() {
	local answer
	until [ -e "$stopping" ]; do
		echo "raise 10 held" >"$1" && read -r answer <"$1" || exit 1
		[ "$answer" = "raised 10 handled 10" ] && continue
		ktap_print_msg "$1: $answer"
		exit 1
	done
}
# Ends the load, which has gone well up to now.
end_load() {
	local who rc=0
	echo >"$stopping"
	for who in 1 4 7 /dev/lazyirq_edu0 /dev/lazyirq_edu1; do
		ended $who || { ktap_print_msg "the load on $who failed"; rc=1; }
	done
	rm -f "$stopping"
	return $rc
}

# accounted VECTOR...: each interrupt that was raised came and was handled, lazily or not, and some of them
# blocked. One that moves can come once more than it was raised; the handler then answers that it was
# not its device.
accounted() {
	local vector foreign rc=
	accounts() {
		get_counts "$1"
		get_stats "$1"
		foreign=$((stats[spurious] + stats[late_none]))
		[ "$answered" = "$raised" ] && [ "${stats[interrupts]}" = $((raised + foreign)) ] &&
			[ $((stats[lazy] + stats[resumed])) = "${stats[interrupts]}" ] && [ "${stats[blocked]}" -gt 0 ]
	}
	for vector in "$@"; do
		within accounts "$vector" || rc=1
		ktap_print_msg "vector $vector: $raised raised, $answered answered, ${stats[interrupts]} came," \
			"${stats[lazy]} lazy, ${stats[resumed]} resumed, ${stats[blocked]} blocked, $foreign foreign"
		[ -z "$rc" ] || return 1
	done
}

# lazy_on CPU: the lowest level is lazy there, so nothing unfinished is counted.
lazy_on() {
	pin 0 "$1" || return 1
	reset
	raise 0a && trace_is_all "0E 0a 0."
}

no_ithread() { ! pgrep '^lazyirq[0-9]' >/dev/null; }

# goes_on WORD...: after what has come since begin, the trace has exactly this.
begin() { reset; expected=; }
goes_on() {
	expected+="${expected:+ }$*"
	trace_is_all "$expected"
}
# came VECTOR lazily|held: an interrupt comes now, whose handler only leaves its trace.
came() {
	raise "$1d"
	if [ "$2" = lazily ]; then
		goes_on "$1E $1d $1."
	else
		goes_on "$1E' $1d' $1.'"
	fi
}

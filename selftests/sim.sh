# SPDX-License-Identifier: GPL-2.0
# For the test scripts that use the simulated lines of lazyirq_sim.ko: lines 0 to 3
# are edge-triggered, 4 to 7 level-triggered. A device is <line>.<source>. Its driver
# is "lines", which is lazy, or "hard", "threaded", "oneshot" of lazyirq_neighbours.ko.

sim=lazyirq_sim
platform=/sys/bus/platform

start_sim() { load lazyirq && load lazyirq_sim && load lazyirq_lines; }
# A thread's interrupt is not over when its device is answered: unbinding waits for it.
stop_sim() {
	local modules=(lazyirq_lines lazyirq_sim lazyirq)
	! loaded lazyirq_neighbours || modules=(lazyirq_neighbours "${modules[@]}")
	rmmod "${modules[@]}"
}

# bind DEVICE DRIVER
bind() {
	echo "lazyirq_$2" >"$platform/devices/lazyirq_sim$1/driver_override" &&
		echo "lazyirq_sim$1" >"$platform/drivers/lazyirq_$2/bind"
}
unbind() { echo "lazyirq_sim$1" >"$platform/devices/lazyirq_sim$1/driver/unbind"; }

# unbinding DEVICE: unbinds it, which waits for the blocked handler. Its process is $unbinder.
unbinding() {
	local stat
	unbind "$1" &
	unbinder=$!
	asleep() { read -r -a stat <"/proc/$unbinder/stat" && [ "${stat[2]}" = D ]; }
	within asleep
}

# bind_all LINE DRIVER...: its devices from source 0 on, in this order.
bind_all() {
	local line=$1 source=0
	shift
	while [ $# -gt 0 ]; do
		bind "$line.$source" "$1" || return 1
		source=$((source + 1))
		shift
	done
}
unbind_all() {
	local driver device
	for driver in "$platform/devices/lazyirq_sim$1".*/driver; do
		[ -e "$driver" ] || continue
		device=${driver%/driver}
		echo "${device##*/}" >"$driver/unbind" || return 1
	done
}

# The line's counters, in the array line; and its lazy registration's, in the array lazy. If the
# line has several, $nth says which: 1 is the second.
declare -A line lazy
nth=
# counters ARRAY FILE. Reads it in one piece: "read" would seek in a file that changes.
counters() {
	local -n array=$1
	local rows row
	mapfile -t rows <"$2" && [ ${#rows[@]} -gt 0 ] || return 1
	for row in "${rows[@]}"; do array[${row%% *}]=${row##* }; done
}
get_line() { counters line "$sim/line$1"; }
get() {
	get_line "$1" && counters lazy "$debugfs/${line[irq]}-lazyirq_lines-lazy${nth:+-$nth}/stats"
}

control() { echo "$*" >"$sim/control"; }

# raise DEVICE [COUNT]
raise() { control "raise ${1/./ } ${2:-1}"; }

# reset LINE: all counters.
reset() { control "reset $1" && echo 0 >"$debugfs/interrupts"; }

# pin LINE CPU: its interrupts go there.
pin() { get_line "$1" && echo $((1 << $2)) >"/proc/irq/${line[irq]}/smp_affinity"; }

# mode DEVICE MODE [COUNT]
mode() {
	local file=$sim$1/mode
	shift
	echo "$*" >"$file"
}

# hold DEVICE: a thread holds its mutex until release.
declare -A holder
hold() {
	local file=$sim$1/hold held
	(echo >"$file") &
	holder[$1]=$!
	held() { read -r held <"$file" && [ "$held" = 1 ]; }
	within held
}
release() { echo >"$sim$1/release" && wait "${holder[$1]}"; }

# is NAME VALUE...: checks several of the counters last fetched; lazyirq's are in capitals.
is() {
	local value
	while [ $# -gt 0 ]; do
		if [ "$1" = "${1,,}" ]; then value=${line[$1]}; else value=${lazy[${1,,}]}; fi
		[ "$value" = "$2" ] || { why="$1 is $value, not $2"; return 1; }
		shift 2
	done
}

# becomes LINE NAME VALUE...: within ten seconds.
becomes() {
	local number=$1
	shift
	as_said() { get "$number" && is "$@"; }
	within as_said "$@" && return
	ktap_print_msg "line $number: $why"
	return 1
}

# rests LINE RAISED: every event raised is answered, and the line is as it was before.
rests() { becomes "$1" raised "$2" answered "$2" resting 1 masked 0 depth 0 jammed 0; }

# accounted LINE RAISED: the same; and every interrupt is accounted for. The lazy handler is the
# line's only one.
accounted() {
	rests "$@" || return 1
	adds_up() {
		get "$1" || return 1
		why="lazyirq: ${lazy[interrupts]} came, ${lazy[lazy]} lazy, ${lazy[resumed]} resumed"
		((lazy[interrupts] == lazy[lazy] + lazy[resumed])) || return 1
		why="$2 raised, ${lazy[interrupts]} came, ${line[coalesced]} coalesced"
		[ "$1" -ge 4 ] || ((lazy[interrupts] + line[coalesced] == $2))
	}
	within adds_up "$@" && return
	ktap_print_msg "line $1: $why"
	return 1
}

# SPDX-License-Identifier: GPL-2.0
# For the test scripts: KTAP output by the kernel's own helpers, and what most
# tests need. Sourced first. KO is where the modules are.

. "${KTAP_HELPERS:?is not set: use make test}"

# Tests run in debugfs. In an emulated machine, a path from the root is looked up on the host, and the
# answer may have to wait for a CPU that a test keeps busy.
debugfs=lazyirq

# The path of a built module.
ko() { find "$KO" -name "$1.ko" -print -quit; }

load() {
	local path
	path=$(ko "$1")
	[ -n "$path" ] || { ktap_print_msg "$1.ko was not built"; return 1; }
	# In an emulated machine, tests hold locks for a time that is long for an interrupt.
	if [ "$1" = lazyirq ]; then
		[[ "$*" == *stall_ms=* ]] || set -- "$@" stall_ms=60000
		[[ "$*" == *resume=* ]] || set -- "$@" resume="$RESUME"
	fi
	shift
	insmod "$path" "$@"
}

# Are handlers resumed by their ithreads only? A test whose header says "resume: both" is run both
# ways.
RESUME=${RESUME:-releaser}
by_ithread() { [ "$RESUME" = ithread ]; }

# Is it a PREEMPT_RT kernel?
realtime() { [[ $(</proc/version) == *PREEMPT_RT* ]]; }

loaded() { grep -q "^$1 " /proc/modules; }

# check DESCRIPTION COMMAND...: a result, by the command's exit code.
check() {
	local what=$1
	shift
	if "$@"; then ktap_test_pass "$what"; else ktap_test_fail "$what"; fi
}

# Kernel messages since the test began.
messages() { dmesg | sed -n "/$LAZYIRQ_MARK\$/,\$p"; }

# A kernel message this test provokes on purpose (extended regex); any other
# warning fails the test.
expect_log() { echo "$1" >>"$LAZYIRQ_EXPECT"; }

# The same for a WARN() at this place, which also taints the kernel.
expect_warning() {
	expect_log "WARNING: .* at $1"
	expect_log '------\[ cut here'
	echo 512 >"$LAZYIRQ_EXPECT-taint"
}

# read_fields FILE: leaves its fields, a name and a value per line, in the array stats. Starts no program. The file
# is read in one go: bash's read seeks back to the end of its line, and the next line would show a later state.
declare -A stats
read_fields() {
	local lines line
	mapfile -t lines <"$1"
	stats=()
	for line in "${lines[@]}"; do stats[${line%% *}]=${line##* }; done
}

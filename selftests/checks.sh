# SPDX-License-Identifier: GPL-2.0
# For the test scripts that lack the kernel's helpers, on the host or in a machine with busybox alone: results in KTAP.
# Sourced first; a script ends with "exit $bad".

number=0 bad=0
plan() {
	echo "TAP version 13"
	echo "1..$1"
}

# check DESCRIPTION COMMAND...: a result, by the command's exit code.
check() {
	local what=$1
	shift
	number=$((number + 1))
	if "$@"; then
		echo "ok $number $what"
	else
		echo "not ok $number $what"
		bad=1
	fi
}

# quietly COMMAND...: its output (both streams) goes to $said, and is shown if it fails.
said=$(mktemp)
trap 'rm -f "$said"' EXIT
quietly() {
	"$@" >"$said" 2>&1 && return
	tail -n 20 "$said" | sed 's/^/# /'
	return 1
}

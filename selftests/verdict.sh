#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# where: host (needs nothing but the scripts)
# The scripts that judge all other tests: what check-log and ktap-sum accept, and what they reject.
set -uo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
. "$top/selftests/checks.sh"

given=$(mktemp)
trap 'rm -f "$said" "$given"' EXIT
given() { printf '%s\n' "$@" >"$given"; }

plan 19

# log RESULT OPTION...: check-log exits with this code.
log() {
	local rc=0
	"$top/scripts/check-log" "${@:2}" "$given" >"$said" 2>&1 || rc=$?
	[ $rc = "$1" ]
}
splat='[   12.3] WARNING: CPU: 0 PID: 1 at kernel/irq/manage.c:1 disable_irq+0x1/0x2'
given '[    1.0] Linux version 7.3' '[    1.0] Command line: oops=panic' '[   12.0] lazyirq: a line'
check "a quiet log passes" log 0
check "so does an out-of-tree, unsigned module's taint" log 0 --taint-is 12288
check "other taint does not" log 1 --taint-is 512
check "unless it is expected" log 0 --taint-is 512 --taint 512
check "taint that is no number does not" log 1 --taint-is unknown
given '[    1.0] Linux version 7.3' "$splat"
check "a splat does not pass" log 1
check "unless it is expected" log 0 --allow 'WARNING: .* disable_irq'
given "$splat" '[   12.4] BUG: scheduling while atomic: sh/1/0x2'
check "one that is expected does not hide another" log 1 --allow 'WARNING: .* disable_irq'
check "an expectation that cannot be understood does not pass" log 2 --allow 'WARNING: ('
given=$given.none check "a log that is not there does not pass" log 2

# sum RESULT VERDICT: ktap-sum's for the tests one and two.
sum() {
	local rc=0
	"$top/scripts/ktap-sum" "$given" one two >"$said" || rc=$?
	[ $rc = "$1" ] && [ "$(tail -n 1 "$said")" = "$2" ]
}
one=('# test-begin one' '1..2' 'ok 1 a' 'ok 2 b' '# test-end one 0')
given "${one[@]}" '# test-begin two' '1..1' 'ok 1 c' '# test-end two 0'
check "results are counted" sum 0 "3 passed, 0 failed, 0 skipped"
given "${one[@]}" '# test-begin two' '1..1' 'not ok 1 c' '# test-end two 1'
check "a failure is one" sum 1 "2 passed, 1 failed, 0 skipped"
given "${one[@]}" '# test-begin two' '1..2' 'ok 1 c' '# test-end two 0'
check "so is a result that is missing" sum 1 "3 passed, 1 failed, 0 skipped"
given "${one[@]}" '# test-begin two' '1..1' 'ok 1 c' '# test-end two 4'
check "so is an exit code" sum 1 "3 passed, 1 failed, 0 skipped"
given "${one[@]}" '# test-begin two' '1..1' 'ok 1 c' '# test-fault the kernel complained' '# test-end two 0'
check "so is what the kernel says" sum 1 "3 passed, 1 failed, 0 skipped"
given "${one[@]}" '# test-begin two' '1..1' 'ok 1 c'
check "so is a test that has no end" sum 1 "3 passed, 1 failed, 0 skipped"
given "${one[@]}"
check "so is a test that did not run" sum 1 "2 passed, 1 failed, 0 skipped"
given "${one[@]}" '# test-begin two' '1..1' 'ok 1 c # SKIP no device' '# test-end two 0'
check "what was skipped has not passed" sum 1 "2 passed, 0 failed, 1 skipped"
given "${one[@]}" '# test-begin two' '1..0 # SKIP no device' '# test-end two 4'
check "nor has a test that was skipped" sum 1 "2 passed, 0 failed, 1 skipped"
exit $bad

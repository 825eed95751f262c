#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# resume: both
# The tracepoints: what they say about each thing that can happen to an interrupt.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/driver.sh"
. "$(dirname "$0")/locks.sh"

tracing=/sys/kernel/tracing
events=$tracing/events/lazyirq
by=releaser
by_ithread && by=ithread
ktap_print_header
ktap_set_plan 21
expect_log 'lazyirq: interrupt [0-9]+ '
expect_log 'lazyirq: lock X0 is held'
expect_log 'Call [Tt]race:'

# The script is on CPU 1, the interrupts on CPU 0.
taskset -pc 1 $$ >/dev/null

fresh() { reset && echo >$tracing/trace; }
# What was traced of lazyirq, without task, CPU and time.
traced() { sed -n 's/^.*: \('"$1"': .*\)$/\1/p' $tracing/trace; }
all='\(entry\|block\|defer\|hold\|hand_over\|lend\|resume\|done\|stall\|illegal\)'
# traced_is LINE...: all of it, except for what depends on how long things take.
traced_is() {
	local found expected
	expected=$(printf '%s\n' "$@")
	same() {
		found=$(traced "$all" | grep -vE '^(lend|stall):')
		[ "$found" = "$expected" ]
	}
	within same && return
	sed 's/^/# traced: /' <<<"$found"
	return 1
}
# traces EVENT FIELDS: once.
traces() {
	once() { [ "$(traced "$1" | grep -cxE "$1: $2")" = 1 ]; }
	within once "$@" && return
	traced "$all" | sed 's/^/# traced: /'
	return 1
}

start_here() {
	start_locks stall_ms=300 && echo 1 >$events/enable && echo 1 >$tracing/tracing_on || return 1
	low="irq=$(locks_irq 0) name=lazyirq_test" high="irq=$(locks_irq 1) name=lazyirq_test"
	echo 3 >"$debugfs/$(locks_irq 0)-lazyirq_test-lazy/ipl" && echo 7 >"$debugfs/$(locks_irq 1)-lazyirq_test-lazy/ipl"
}
check "the driver loads, the events are there" start_here

lazy() {
	fresh && handler 0 H x0 && trace_has 'H.' &&
		traced_is "entry: $low ipl=3" "done: $low by=lazy handled=1"
}
check "entry, done: the lazy path" lazy

blocks() {
	fresh && thread -c 0 A x0 h && trace_has Ah && handler 0 H x0 && go A && ended A && trace_has "H.'" || return 1
	traced_is "entry: $low ipl=3" "block: $low lock=X0 owner=thread id=${pid[A]}" \
		"hand_over: lock=X0 to=handler id=$(locks_irq 0)" "resume: $low by=$by" "done: $low by=$by handled=1"
}
check "block, hand_over, resume: a handler that waits for a thread" blocks

behind_handler() {
	fresh && thread -c 1 A x1 h && trace_has Ah && handler 0 H x0 x1 && traces block "$low lock=X1 .*" || return 1
	handler 1 I x0 && traces block "$high lock=X0 owner=handler id=$(locks_irq 0)" || return 1
	go A && ended A && trace_has "H.'" "I.'" && traces hand_over "lock=X0 to=handler id=$(locks_irq 1)"
}
check "block: behind a handler" behind_handler

behind_readers() {
	fresh && thread A r0 h && thread B r0 h && trace_has Ah Bh && handler 0 H w0 || return 1
	traces block "$low lock=RW0 owner=readers id=2" && go A && go B && ended A && ended B && trace_has "H.'"
}
check "block: behind readers" behind_readers

to_thread() {
	fresh && thread A x0 h && trace_has Ah && thread B x0 && within queued B && go A && ended A && ended B || return 1
	traced_is "hand_over: lock=X0 to=thread id=${pid[B]}"
}
check "hand_over: to a thread" to_thread

defers() {
	fresh && handler 0 H d && trace_has "H.'" || return 1
	traces 'done' "$low by=ithread handled=1" && traced_is "entry: $low ipl=3" "defer: $low" "resume: $low by=ithread" \
		"done: $low by=ithread handled=1"
}
check "defer: a handler that defers" defers

holds() {
	fresh && thread -c 1 A x0 h && trace_has Ah && handler 1 H x0 && traces block "$high.*" || return 1
	handler 0 I && traces hold "$low ipl=3 level=7 remembered=0" && trace_has "I.'" || return 1
	# Its program, which takes no lock, is carried out by all interrupts from here on.
	handler 1 J && traces hold "$high ipl=7 level=7 remembered=1" && go A && ended A && trace_has "H.'"
}
check "hold: what may not go first, and what comes again" holds

lends() {
	fresh && thread -c 0 -f 1 A x0 h && trace_has Ah && handler 0 H x0 || return 1
	traces lend "lock=X0 to=thread id=${pid[A]} priority=53" && go A && ended A && trace_has "H.'"
}
check "lend: to whom, and which priority" lends
deferred_blocks() {
	fresh && thread -c 1 A x1 h && trace_has Ah && handler 0 H d x1 || return 1
	traces block "$low lock=X1 owner=thread id=${pid[A]}" && go A && ended A && trace_has "H.'"
}
check "a handler that has deferred blocks as well" deferred_blocks

stalls() {
	fresh && thread -c 1 A x0 h && trace_has Ah && handler 0 H x0 || return 1
	traces stall "$low lock=X0 ms=[0-9]+" && go A && ended A && trace_has "H.'"
}
check "stall: a wait that takes too long" stalls

filtered() {
	echo 'ipl > 5' >$events/entry/filter && fresh && handler 0 H && handler 1 I && trace_has 'H.' 'I.' || return 1
	traces entry "$high ipl=7" && [ "$(traced entry | wc -l)" = 1 ]
	local result=$?
	echo 0 >$events/entry/filter && return $result
}
check "fields can be filtered by" filtered

# One event and its fields per line, as they are and as they are documented.
in_tracefs() {
	local event
	for event in "$events"/*/; do
		echo "$(basename "$event")" \
			$(sed -n 's/^.*field:.*[ *]\([a-z_]*\)\(\[.*\]\)\?;.*$/\1/p' "$event/format" | grep -v '^common')
	done
}
in_documentation() {
	sed -n 's/^\t\tlazyirq:\([a-z_]*\) *\([a-z ]*\):.*/\1 \2/p' \
		"$(dirname "$0")/../Documentation/ABI/testing/debugfs-lazyirq"
}
in_order() {
	local event fields
	while read -r event fields; do
		# shellcheck disable=SC2086
		echo "$event" $(printf '%s\n' $fields | sort)
	done | sort
}
documented() { diff <(in_tracefs | in_order) <(in_documentation | in_order); }
check "all events and fields are documented" documented

only_one() {
	echo 0 >$events/enable && echo 1 >$events/done/enable && fresh && handler 0 H && trace_has 'H.' &&
		traces 'done' "$low by=lazy handled=1" && traced_is "done: $low by=lazy handled=1"
}
check "one of them can be on by itself" only_one
none() { echo 0 >$events/enable && fresh && handler 0 H && trace_has 'H.' && [ -z "$(traced "$all")" ]; }
check "nothing is traced when they are off" none

# (After a handler that waits for itself, lockdep would be off.)
illegal() {
	stop_locks && start && echo 1 >$events/illegal/enable && raise illegal && traces illegal 'irq=[0-9]+ name=lazyirq_test'
}
check "illegal: a handler that waits for what nothing would ever end" illegal
check "the driver unloads with an event on" stop
gone() { [ ! -e $events ]; }
check "its events are gone" gone
check "it loads again" start_here
locks_go() {
	handler 0 H && trace_has 'H.' && thread -c 1 A x0 h && trace_has Ah && handler 0 I x0 && traces block "$low lock=X0 .*" || return 1
	go A && ended A && trace_has "I.'" && [ "$(wc -l <$debugfs/locks)" = 2 ] && rmmod lazyirq_locks && [ -z "$(cat $debugfs/locks)" ]
}
check "with the driver its locks go, which are statics" locks_go
check "the core unloads with all events on" rmmod lazyirq
ktap_finished

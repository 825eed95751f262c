#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# resume: both
# A device is unbound, or its driver unloaded, while its handler is unfinished, in
# each of the states that it may be in: that waits until the handler is done, and
# then nothing of it is left. The other device keeps working, and so does this one
# when it is bound again.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/driver.sh"

driver=/sys/bus/pci/drivers/lazyirq_test
resume=/sys/module/lazyirq/parameters/resume
ktap_print_header
ktap_set_plan 64

# The interrupts are on CPU 0, all else is on CPU 1.
taskset -pc 1 $$ >/dev/null

# hog: keeps the ithreads of CPU 0 from running, until unhog. Meanwhile no program should be started: the
# thread that reads it from the disk may have to run on CPU 0.
ready=$(mktemp -u)
hog() {
	taskset -c 0 chrt --fifo 60 bash -c "echo >$ready; while :; do :; done" &
	hog=$!
	hogged() { [ -e "$ready" ]; }
	within hogged
}
unhog() {
	kill $hog
	wait $hog 2>/dev/null
	rm -f "$ready"
}

# traced TEXT [DEVICE]: that is the trace. Starts no program.
traced() {
	local trace
	read -r trace <"$test_debugfs${2:-0}/trace"
	[ "$trace" = "$1" ]
}

# How the first device's handler gets into a state, and out of it.
enter_blocked() { hold a 1 && raise plain && within traced '(!E'; }
leave_blocked() { release; }
enter_queued() {
	echo ithread >$resume && enter_blocked && hog && release && within traced '(!E)'
}
leave_queued() { unhog && echo "$RESUME" >$resume; }
enter_running() { echo 0 >${test_debugfs}0/reset && raise busy && within traced '!Ef'; }
leave_running() { echo >${test_debugfs}0/release; }
# Held behind a handler of the same IPL, on the other device.
enter_held() {
	hold a 1 1 && raise plain 1 && within traced '(!E' 1 && hog || return 1
	echo 0 >${test_debugfs}0/reset && raise plain && stat_becomes held 1
}
leave_held() { release 1 && unhog; }

# Each way to end it, as the process $ending, which is ready before CPU 0 is kept busy, and begins when
# it is told to.
end_unbind() { echo && read -r && echo "${addresses[0]}" >$driver/unbind; }
end_rmmod() {
	exec python3 -c '
import sys
sys.path.insert(0, sys.argv[1])
import modules
print(flush=True)
sys.stdin.readline()
modules.unload("lazyirq_test")' "$(dirname "$0")"
}
prepare() {
	coproc ender { "$1"; }
	ending=$ender_PID
	read -r -u "${ender[0]}"
}
begin() { echo >&"${ender[1]}"; }

# The process $ending waits for the handlers of a line; or, while CPU 0 is kept busy, for what RCU
# must do there, after those of the other device.
waits() {
	# read does not succeed here: there is no end of line.
	read -r function <"/proc/$ending/wchan"
	[[ $function == *synchronize_irq* ]] || { [ -e "$ready" ] && [[ $function == *rcu* ]]; }
}
unfinished() {
	local function=
	within waits && return
	ktap_print_msg "it waits in $function"
	return 1
}
over() { ! kill -0 $ending 2>/dev/null; }
done_now() { within over && wait $ending; }

for state in blocked queued running held; do
	for way in unbind rmmod; do
		check "$state, $way: the driver loads" start
		mapfile -t addresses < <(cd $driver && printf '%s\n' 0000:*)
		prepare end_$way
		check "$state, $way: that is what the handler is" enter_$state
		begin
		check "$state, $way: it waits" unfinished
		leave_$state
		check "$state, $way: it is done when the handler is" done_now
		if [ $way = unbind ]; then
			one() { [ "$(irqs | wc -l)" = 1 ] && [ ! -e ${test_debugfs}0 ] && [ "$(grep -c lazyirq_test /proc/interrupts)" = 1 ]; }
			check "$state, $way: its interrupt is gone" one
			check "$state, $way: the other device goes on" scenario 0 locked 10 1
			again() { echo "${addresses[0]}" >$driver/bind && scenario 0 locked 10 2; }
			check "$state, $way: and the first one, bound again" again
			rmmod lazyirq_test
		else
			none() { ! loaded lazyirq_test && [ -z "$(irqs)" ] && ! grep -q lazyirq_test /proc/interrupts; }
			check "$state, $way: its interrupts are gone" none
		fi
		no_thread() { ! pgrep '^lazyirq[0-9]+/' >/dev/null; }
		check "$state, $way: no interrupt thread is left" no_thread
		check "$state, $way: the core unloads" rmmod lazyirq
	done
done
ktap_finished

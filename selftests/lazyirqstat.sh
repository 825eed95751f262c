#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# where: native (the tool is built for the host)
# The tool lazyirqstat, as its users see it: it shows what debugfs shows, and says what is missing.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/driver.sh"

ktap_print_header
ktap_set_plan 14
PATH+=:${TOOLS:?is not set: use make test}
out=/tmp/lazyirqstat-out

# says TEXT COMMAND...: it fails with exit code 1, and says that.
says() {
	local said rc text=$1
	shift
	said=$("$@" 2>&1)
	rc=$?
	[ $rc = 1 ] && [[ $said == "lazyirqstat: "*"$text"* ]] && return
	ktap_print_msg "exit code $rc: $said"
	return 1
}
check "without lazyirq it says what to do" says "lazyirq is not loaded: insmod lazyirq.ko" lazyirqstat
check "without debugfs, too" says "debugfs is not mounted: mount -t debugfs none" \
	unshare --mount bash -c "cd / && umount /sys/kernel/debug && lazyirqstat"

check "the driver loads" start
check "nobody but root may look, and is told so" says "needs root: run it with sudo" \
	setpriv --reuid=65534 --clear-groups lazyirqstat
echo 1 >$debugfs/latency
scenario 0 plain 20 && scenario 0 locked 10
echo 0 >$debugfs/latency
totals() { lazyirqstat >$out && grep -qE '^ *[0-9]+ lazyirq_test +lazy .* 30 +66\.7 +10 ' $out; }
check "the totals of an interrupt" totals
sorted() { lazyirqstat --sort IRQ >$out && lazyirqstat --sort irq --json | python3 -c "
import json, sys
rows = [json.loads(line) for line in sys.stdin]
assert [row['irq'] for row in rows] == [$(irqs | paste -sd ,)], rows
known = [json.loads(line) for line in open('$debugfs/interrupts.json')]
for row, other in zip(rows, known):
	del row['time'], row['interval']
	assert row == other, (row, other)"; }
check "as JSON, with all that debugfs has" sorted
locks() { lazyirqstat -b lock >$out && grep -qE '^lock a +40 +0 +10 +10 ' $out; }
check "the locks" locks
threads() {
	local threads
	threads=$(($(wc -l <$debugfs/ithreads) - 1))
	lazyirqstat -b thread >$out && [ $threads -gt 0 ] && [ "$(wc -l <$out)" = $((threads + 1)) ] &&
		[ "$(awk 'NR > 1 { print $3 }' $out | xargs ps -o comm= -p | grep -c '^lazyirq')" = $threads ]
}
check "the interrupt threads" threads

# The differences add up to the interrupts that came.
differences() {
	local before
	before=$(stat interrupts)
	lazyirqstat --json 0.3 >$out &
	reported() { [ "$(grep -c '"lazyirq_test"' $out)" -ge "$1" ]; }
	within reported 4
	scenario 0 plain 25 && scenario 0 locked 12
	came() {
		python3 -c "
import json
total = 0
for row in map(json.loads, open('$out')):
	total += row['interrupts'] if row['interval'] else 0
raise SystemExit(total != $(stat interrupts) - $before)"
	}
	within came
	local result=$?
	kill $! && wait $! 2>/dev/null
	return $result
}
check "in intervals: the differences add up" differences

check "a column that there is not: exit code 2" eval 'lazyirqstat --sort nonsense 2>$out; [ $? = 2 ] && grep -q "no column" $out'
check "in a pipe that is closed it ends" eval 'lazyirqstat 0.1 | head -n 1 | grep -q NAME'

# Full screen, on a terminal of 120 columns: what its user sees.
top() {
	python3 - <<-'EOT'
		import os, pty, re, select, struct, fcntl, termios, time
		pid, terminal = pty.fork()
		if pid == 0:
		    os.environ["TERM"] = "xterm"
		    os.execvp("lazyirqstat", ["lazyirqstat", "--top", "0.2"])
		fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 120, 0, 0))
		seen = ""
		def expect(pattern):
		    global seen
		    end = time.monotonic() + 20
		    while not re.search(pattern, seen, re.S):
		        assert time.monotonic() < end, f"no {pattern} in {seen!r}"
		        if select.select([terminal], [], [], 0.1)[0]:
		            try:
		                seen += os.read(terminal, 65536).decode()
		            except OSError:
		                break
		    assert re.search(pattern, seen, re.S), f"no {pattern} in {seen!r}"
		    seen = ""
		expect("lazyirq_test")
		os.write(terminal, b"l")
		expect("LONGEST")
		os.write(terminal, b"t")
		expect("PREEMPTED")
		os.write(terminal, b"q")
		# It leaves the other screen.
		expect(r"\x1b\[\?1049l")
		assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
	EOT
}
check "on the whole screen, by keys" top

unloaded() {
	lazyirqstat 0.2 >$out 2>&1 &
	shown() { [ -s $out ]; }
	within shown && stop && ! wait $! && tail -n 1 $out | grep -q '^lazyirqstat: lazyirq is not loaded'
}
check "it survives that lazyirq is unloaded, and says so" unloaded
gone() { ! loaded lazyirq; }
check "and does not keep it" gone
ktap_finished

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The sample drivers, on QEMU's edu devices: right answers with each kind of
# interrupt and each mechanism, and every interrupt accounted for.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/driver.sh"

export LC_ALL=C
# The modules are loaded again and again: they should not come from the host each time.
copies=$(mktemp -d)
for module in lazyirq lazyirq_edu lazyirq_minimal; do
	file=$(ko $module)
	[ -z "$file" ] || cp "$file" "$copies"
done
KO=$copies
trap 'rm -rf "$copies"' EXIT

nodes=(/dev/lazyirq_edu0 /dev/lazyirq_edu1)
raises=100
# QEMU's "virt" has no memory below 1 GiB. Its edu devices here drive more address bits than by default.
dma_bits=28 plan=72
[ "$(uname -m)" != aarch64 ] || dma_bits=32 plan=73

# tell NODE TEXT: write it, in one piece; the shell itself would split a long text.
tell() {
	if [ ${#2} -lt 512 ]; then
		echo "$2" >"$1"
	else
		printf '%s\n' "$2" | dd bs=16k iflag=fullblock status=none of="$1"
	fi
}

# expect NODE TEXT ANSWER
expect() {
	local answer=
	if tell "$1" "$2"; then
		# Read a short answer without a new process: under emulation these take long.
		if [ ${#3} -lt 512 ]; then read -r answer <"$1"; else answer=$(cat "$1"); fi
	fi
	[ "$answer" = "$3" ] && return
	ktap_print_msg "$1: \"${2:0:40}\" is answered \"${answer:0:40}\", not \"${3:0:40}\""
	return 1
}

# on_all COMMAND...: for each node, which is passed as the first argument.
on_all() {
	local command=$1 node
	shift
	for node in "${nodes[@]}"; do "$command" "$node" "$@" || return; done
}

factorials() {
	local n factorial=1
	for n in {1..12}; do
		factorial=$((factorial * n))
		expect "$1" "$n" "$factorial" || return
	done
	# From 13 on, modulo 2^32.
	expect "$1" 13 $((factorial * 13 & 0xffffffff))
}

dma() {
	local long
	long=$(printf '%04096d' 7)
	# The shorter text last: nothing of the longer one may come back with it.
	expect "$1" "dma $long" "$long" && expect "$1" "dma to the device, and back" \
		"to the device, and back"
}

# refused NODE ERROR TEXT: the write fails, and with that error.
refused() {
	local said
	said=$(tell "$1" "$3" 2>&1) && { ktap_print_msg "$1 took \"${3:0:40}\""; return 1; }
	[[ $said == *"$2"* ]] && return
	ktap_print_msg "$1: \"${3:0:40}\": $said"
	return 1
}

nonsense() {
	local text
	for text in nonsense -1 '' 4294967296 'dma ' raise 'raise many' 'raise 1 hold'; do
		refused "$1" 'Invalid argument' "$text" || return
	done
	refused "$1" 'Message too long' "dma $(printf '%04097d' 7)"
}

# raised NODE HOW
raised() { expect "$1" "raise $raises${2:+ $2}" "raised $raises handled $raises"; }

reset_counters() { echo 0 >"$debugfs/interrupts"; }

# adds_up FILE: the counters in this stats file are those of $raises interrupts.
# Additional ones, which a shared line brings from other devices, are spurious.
adds_up() {
	read_fields "$1"
	((stats[interrupts] - stats[spurious] - stats[late_none] == raises)) || return
	((stats[refused] + stats[illegal] == 0)) || return
	if [ "${stats[mechanism]}" = lazy ]; then
		((stats[interrupts] == stats[lazy] + stats[blocked] + stats[deferred] + stats[held] + stats[remembered])) &&
			((stats[resumed] == stats[blocked] + stats[deferred] + stats[held] + stats[remembered])) || return
		# On a CPU other than the thread's, an interrupt may come too late to meet the lock.
		[ -z "$2" ] || ((stats[blocked] > 0))
	else
		((stats[interrupts] == stats[threaded] && stats[resumed] == raises))
	fi
}

# accounted HOW: in every device's counters. A handler counts after it has
# woken the thread that waits for it, so this may have to wait.
accounted() {
	local file tries
	for file in "$debugfs"/*-lazyirq_edu-*/stats; do
		for tries in {1..50}; do
			adds_up "$file" "$1" && continue 2
			sleep 0.1
		done
		ktap_print_msg "$file:" $(cat "$file")
		return 1
	done
	[ -e "$file" ]
}

# served MECHANISM...: the devices are served by these, in the order of the nodes.
served() {
	local found
	found=$(awk '$2 == "lazyirq_edu" { print $3 }' "$debugfs/interrupts" | sort | xargs)
	[ "$found" = "$*" ] && return
	ktap_print_msg "the devices are served by $found, not $*"
	return 1
}

unloaded() {
	rmmod lazyirq_edu && ! compgen -G '/dev/lazyirq_edu*' >/dev/null &&
		! compgen -G "$debugfs/*-lazyirq_edu-*" >/dev/null
}

# The driver with one kind of interrupt and one mechanism: 10 checks.
drive() {
	local irq=$1 mechanism=$2 what="irq=$1 mechanism=$2"
	shift 2
	check "$what: load" load lazyirq_edu "irq=$irq" "mechanism=$mechanism" "dma_bits=$dma_bits"
	check "$what: served by $*" served "$@"
	check "$what: factorials" on_all factorials
	check "$what: DMA" on_all dma
	check "$what: nonsense is refused" on_all nonsense
	reset_counters
	check "$what: raise" on_all raised ''
	check "$what: accounted for" accounted ''
	reset_counters
	check "$what: raise, held" on_all raised held
	check "$what: accounted for, held" accounted held
	check "$what: unload" unloaded
}

# not_loaded PARAMETER SENTENCE
not_loaded() {
	local before
	before=$(dmesg | grep -cF "$2")
	! load lazyirq_edu "$1" 2>/dev/null && ! loaded lazyirq_edu &&
		[ "$(dmesg | grep -cF "$2")" -gt "$before" ] &&
		! compgen -G '/dev/lazyirq_edu*' >/dev/null
}

# A device is taken away while it works for one process and transfers for
# another, with its file open in a third.
unbind_in_use() {
	local driver=/sys/bus/pci/drivers/lazyirq_edu device raising said
	load lazyirq_edu || return
	# The nodes were made in the order of the devices.
	device=$(cd "$driver" && printf '%s\n' 0000:* | head -n 1)
	exec 3<>"${nodes[0]}"
	echo "raise 1000000" 2>/dev/null >&3 &
	raising=$!
	echo "dma on the way" 2>/dev/null >&3 &
	at_work() { [ "$(cat "$debugfs"/*-lazyirq_edu-*/stats | awk '$1 == "interrupts" { n += $2 } END { print n }')" -gt 20 ]; }
	within at_work || return
	echo "$device" >"$driver/unbind"
	! wait $raising || { ktap_print_msg "raising went on"; return 1; }
	said=$(echo 3 2>&1 >&3)
	exec 3>&-
	wait
	[[ $said == *'No such device'* ]] || { ktap_print_msg "unbound, it says: $said"; return 1; }
	echo "$device" >"$driver/bind" && expect "${nodes[0]}" 4 24 && unloaded
}

minimal_counts() {
	local file tries
	for tries in {1..50}; do
		# One interrupt from each device.
		[ "$(awk '
			NR == 1 { for (i = 1; i <= NF; i++) column[$i] = i }
			$2 == "lazyirq_minimal" { n += $column["interrupts"] - $column["spurious"] - $column["late_none"] }
			END { print n }' "$debugfs/interrupts")" = 2 ] && return
		sleep 0.1
	done
	return 1
}

ktap_print_header
ktap_set_plan $plan
check "load lazyirq" load lazyirq
for irq in 0 1; do
	drive $irq 0 lazy lazy
	drive $irq 1 stock stock
	drive $irq 2 lazy stock
done
check "irq=2 is refused" not_loaded irq=2 'irq=2 is not known: 0 is MSI, 1 is INTx'
check "mechanism=3 is refused" not_loaded mechanism=3 'mechanism=3 is not known'
check "ipl=0 is refused" not_loaded ipl=0 'ipl=0 is not allowed: 1 to 10 is'
check "ipl=11 is refused" not_loaded ipl=11 'ipl=11 is not allowed: 1 to 10 is'
for bits in 27 33; do
	check "dma_bits=$bits is refused" not_loaded dma_bits=$bits "dma_bits=$bits is not allowed: 28 to 32 is"
done
out_of_reach() {
	load lazyirq_edu && refused "${nodes[0]}" 'No such device or address' 'dma to the device' &&
		expect "${nodes[0]}" 4 24 && unloaded
}
[ $dma_bits = 28 ] || check "without memory in reach DMA is refused, and the rest works" out_of_reach
check "unbind while in use" unbind_in_use
check "minimal: load" load lazyirq_minimal
check "minimal: counts" minimal_counts
check "minimal: unload" rmmod lazyirq_minimal
check "unload lazyirq" rmmod lazyirq
ktap_finished

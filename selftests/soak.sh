#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# where: machine (boots machines of its own)
# Everything at once for a minute: see soak-guest.sh. With other choices each time, and in QEMU's
# deterministic mode, where the same choices give the same result. "make soak" does more of it.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
. "$top/scripts/lib.sh"
. "$top/selftests/checks.sh"
. "$scripts/ready.sh"

plan 4

# soak NAME SEED SECONDS [option of boot-qemu]...: the kernel's log is soak-NAME.log.
soak() {
	local name=$1 seed=$2 seconds=$3
	shift 3
	"$scripts/in-root" /src/scripts/boot-qemu --memory 1G --timeout 600 "$@" \
		--log "/cache/logs/soak-$name.log" /src/selftests/soak-guest.sh "$seed" "$seconds" 2>&1 |
		sed 's/^/# /'
}
replayed() { cmp "$logs/soak-first.log" "$logs/soak-second.log"; }

for cpus in 2 4; do
	seed=$((RANDOM * 32768 + RANDOM))
	check "30 s with $cpus CPUs, seed $seed" soak "$cpus" $seed 30 --cpus "$cpus"
done
check "1 s in deterministic mode, seed 17" soak first 17 1 --icount --cpus 2
same() { soak second 17 1 --icount --cpus 2 && replayed; }
check "once more, to the same end, byte for byte" same
exit $bad

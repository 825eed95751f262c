#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# where: host native (builds in the toolchain root)
# Rust sources are formatted like the kernel's, and clippy, with the kernel's settings, has no complaints.
set -uo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
. "$top/scripts/lib.sh"
. "$scripts/ready.sh"
. "$top/selftests/checks.sh"

plan 2
formatted() {
	quietly "$scripts/in-root" sh -c 'find rust samples selftests tools -name "*.rs" -not -path "*/target/*" |
		xargs rustfmt --check --edition 2021 --config-path /kernel/source/.rustfmt.toml'
}
check "rustfmt changes nothing" formatted
clippy() {
	# Built anew: clippy says nothing about what it has seen before.
	quietly "$scripts/in-root" sh -c 'out=/cache/clippy; rm -rf $out && mkdir $out && read -r toolchain </kernel/toolchain &&
		make -C /kernel/build M=/src MO=$out $toolchain -j$(nproc) LAZYIRQ_TESTS=y CLIPPY=1 modules' &&
		! grep -A8 -E '^(warning|error)' "$said"
}
check "clippy has nothing to say" clippy
exit $bad

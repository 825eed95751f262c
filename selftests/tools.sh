#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# where: host native (compiles in the toolchain root)
# The tools' own tests, on files as debugfs has them.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
. "$top/scripts/lib.sh"

lock_cache
export LAZYIRQ_CACHE=$cache
"$scripts/setup"
"$scripts/cargo-build" tools/lazyirqstat --tests
rc=0
result=$("$scripts/in-root" CARGO_HOME=/cache/cargo CARGO_TARGET_DIR=/cache/cargo-lazyirqstat \
	cargo test -q --no-fail-fast --offline --locked --manifest-path /src/tools/lazyirqstat/Cargo.toml -- --format pretty 2>&1) || rc=$?
echo "TAP version 13"
sed -n '/^test /!s/^/# /p' <<<"$result"
# As TAP: "test NAME ... ok".
awk '/^test .* \.\.\. / {
	n++; good = $NF == "ok"; bad += !good
	print (good ? "ok" : "not ok"), n, "lazyirqstat: " $2
}
END { print "1.." n; exit n == 0 || bad > 0 }' <<<"$result" && exit $rc

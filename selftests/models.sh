#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# where: host (compiles in the toolchain root)
# The locks and the state machine, in every order that loom's bounds allow; and broken, to see that
# this would be noticed.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
. "$top/scripts/lib.sh"

lock_cache
export LAZYIRQ_CACHE=$cache
"$scripts/setup"
in_root=("$scripts/in-root" CARGO_HOME=/cache/cargo CARGO_TARGET_DIR=/cache/models)
manifest=/src/selftests/models/Cargo.toml
step "crates for the models" "check the network" \
	"${in_root[@]}" cargo fetch --locked --manifest-path "$manifest" \
	--target "$(uname -m)-unknown-linux-gnu"
step "models" "see the log: the compiler's message is there" \
	"${in_root[@]}" cargo test --locked --manifest-path "$manifest" --no-run --lib
say "running the models, then broken ones: some minutes"
exec "${in_root[@]}" python3 /src/selftests/models/run.py

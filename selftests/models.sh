#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# where: host native (compiles in the toolchain root)
# The locks and the state machine, in every order that loom's bounds allow; and again with errors
# planted, to see that these are noticed.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
. "$top/scripts/lib.sh"

lock_cache
export LAZYIRQ_CACHE=$cache
"$scripts/setup"
"$scripts/cargo-build" selftests/models --tests
say "running the models, then broken ones: some minutes"
exec "$scripts/in-root" CARGO_HOME=/cache/cargo CARGO_TARGET_DIR=/cache/cargo-models \
	python3 /src/selftests/models/run.py

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# where: host native (compiles in the toolchain root)
# The compiler refuses what it must refuse, for the right reason.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
. "$top/scripts/lib.sh"
. "$scripts/ready.sh"

exec "$scripts/in-root" python3 /src/selftests/compile_fail/run.py "$ko"

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# where: machine full (virtme-ng's cannot be suspended, as its root is virtiofs; the cloud kernel lacks PM_DEBUG)
# The machine is suspended while a handler is blocked: its line is disabled when the
# handler is done, no sooner, and its interrupts are handled afterwards.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
. "$top/scripts/lib.sh"
. "$scripts/ready.sh"

exec "$scripts/in-root" /src/scripts/boot-qemu --file /src/selftests/checks.sh --timeout 600 --log /cache/logs/suspend.log \
	/src/selftests/suspend-guest.sh

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# where: machine (its threads cannot be killed, nor its modules unloaded)
# A deadlock of which nobody can be told is reported once, and then left alone.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
. "$top/scripts/lib.sh"
. "$scripts/ready.sh"

exec "$scripts/in-root" /src/scripts/boot-qemu --file /src/selftests/checks.sh --timeout 600 --log /cache/logs/deadlock-for-ever.log \
	/src/selftests/deadlock-for-ever-guest.sh

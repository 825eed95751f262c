#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# where: host (builds in the toolchain root)
# What users with their own kernel do: make KDIR=, modules_install, and what comes with it.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
. "$top/scripts/lib.sh"
. "$scripts/ready.sh"
exec "$scripts/in-root" bash /src/selftests/kbuild-root.sh

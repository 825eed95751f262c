#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# where: host native (builds in the toolchain root)
# The core with dkms: built, installed, removed; a kernel that it cannot be built for is passed over.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
. "$top/scripts/lib.sh"
. "$scripts/ready.sh"
exec "$scripts/in-root" bash /src/selftests/dkms-root.sh

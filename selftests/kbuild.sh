#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# where: host (builds in the toolchain root)
# The way of people with their own kernel: make KDIR=, modules_install, clean.
set -uo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
. "$top/scripts/lib.sh"
. "$scripts/ready.sh"

echo "TAP version 13"
echo "1..5"
# shellcheck disable=SC2016
"$scripts/in-root" bash -c '
set -u
number=0 bad=0
check() {
	local what=$1
	shift
	number=$((number + 1))
	if "$@" >/tmp/kbuild-log 2>&1; then
		echo "ok $number $what"
	else
		tail -n 20 /tmp/kbuild-log | sed "s/^/# /"
		echo "not ok $number $what"
		bad=1
	fi
}
tree=$(mktemp -d)
trap "rm -rf $tree" EXIT
mkdir $tree/src
(cd /src && tar -c --exclude=.git --exclude=./build .) | tar -x -C $tree/src
cd $tree/src
find . -type f | sort >$tree/before
check "make KDIR= builds" make KDIR=/kernel/build CC=x86_64-linux-gnu-gcc-14
# One is the kernel tool'"'"'s own: objtool does not know the panic of an async fn that is polled
# after its end as one that does not return.
grep -E "warning: " /tmp/kbuild-log | grep -v "objtool: .*interrupt5serve() falls through" >$tree/warnings
check "without a warning" sh -c "! grep . $tree/warnings"
check "modules_install installs" make KDIR=/kernel/build CC=x86_64-linux-gnu-gcc-14 INSTALL_MOD_PATH=$tree/installed modules_install
installed() {
	find $tree/installed -name "lazyirq.ko*" | grep . &&
		find $tree/installed -name "lazyirq_edu.ko*" | grep .
}
check "the core and the sample are there" installed
clean() { make KDIR=/kernel/build clean && find . -type f | sort | diff $tree/before -; }
check "clean leaves nothing behind" clean
exit $bad
'

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage (in the toolchain root): kbuild-root.sh
# The steps of kbuild.sh.
set -uo pipefail
. /src/selftests/checks.sh

tree=/tmp/kbuild
mkdir -p $tree/src
(cd /src && tar -c --exclude=.git --exclude=./build --exclude=target .) | tar -x -C $tree/src
cd $tree/src || exit
find . -type f | sort >$tree/before
read -ra toolchain </kernel/toolchain
make=(make KDIR=/kernel/build "${toolchain[@]}")
installed=$tree/installed

plan 11
check "make KDIR= builds" quietly "${make[@]}"
no_warning() {
	# One is objtool's own: it does not know that the panic of an async fn that is polled after its end
	# does not return.
	! grep "warning: " "$said" | grep -v "objtool: .*interrupt5serve() falls through"
}
check "without a warning" no_warning
check "modules_install installs" quietly "${make[@]}" INSTALL_MOD_PATH=$installed modules_install
both() {
	find $installed -name 'lazyirq.ko*' | grep -q . && find $installed -name 'lazyirq_edu.ko*' | grep -q .
}
check "the core and the sample are there" both
first() {
	modprobe -d $installed -S "$(cat /kernel/release)" --show-depends lazyirq_edu | head -n 1 | grep -q '/lazyirq\.ko'
}
check "modprobe of the sample loads the core first" first

documented() {
	quietly "${make[@]}" rustdoc && ! grep "warning: " "$said" &&
		grep -q 'href="https://[^"]*/kernel/error/' build/rustdoc/lazyirq/struct.Lock.html
}
check "rustdoc links to the documentation of the kernel crate" documented
editors() {
	quietly "${make[@]}" rust-analyzer && python3 -c '
import json
crates = json.load(open("rust-project.json"))["crates"]
driver = crates[[crate["display_name"] for crate in crates].index("lazyirq_edu")]
assert {dep["name"] for dep in driver["deps"]} >= {"kernel", "lazyirq"}, driver'
}
check "rust-analyzer is told of the crates" editors
clean() { quietly "${make[@]}" clean && find . -type f | sort | diff $tree/before -; }
check "clean leaves nothing behind" clean

# A driver in a directory of its own.
make=(make -C $tree/uart KDIR=/kernel/build "${toolchain[@]}")
driver() {
	mkdir $tree/uart && cp samples/driver.mk $tree/uart/Makefile && cp samples/lazyirq_minimal.rs $tree/uart/uart.rs &&
		quietly "${make[@]}" INSTALL_MOD_PATH=$installed && [ "$(modinfo -F depends $tree/uart/uart.ko)" = lazyirq ]
}
check "a driver elsewhere builds against what is installed" driver
refused() {
	! "${make[@]}" INSTALL_MOD_PATH=/nowhere >"$said" 2>&1 &&
		grep -q 'lazyirq is not installed for the kernel of /kernel/build' "$said"
}
check "and is refused with a sentence without that" refused
forgotten() { quietly "${make[@]}" clean && diff <(ls $tree/uart) <(printf '%s\n' Makefile uart.rs); }
check "clean leaves nothing behind there" forgotten
exit $bad

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage (in the toolchain root): dkms-root.sh
# The steps of dkms.sh: as on a machine that has the kernel installed, but with no lasting effect.
set -uo pipefail
. /src/selftests/checks.sh

version=$(sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' /src/dkms.conf)
this=lazyirq/$version
release=$(cat /kernel/release)
for place in /usr/src /var/lib/dkms /usr/lib/modules; do
	mount -t tmpfs tmpfs $place
done
mkdir -p "/usr/lib/modules/$release" "/usr/src/lazyirq-$version"
ln -s /kernel/build "/usr/lib/modules/$release/build"
(cd /src && tar -c --exclude=.git --exclude=./build .) | tar -x -C "/usr/src/lazyirq-$version"

plan 8
check "dkms add" quietly dkms add "$this"
check "dkms build" quietly dkms build "$this" -k "$release"
check "dkms install" quietly dkms install "$this" -k "$release"
installed() {
	find "/usr/lib/modules/$release/updates" -name 'lazyirq.ko*' | grep -q . &&
		dkms status "$this" -k "$release" | grep -q ': installed'
}
check "the core is there" installed
check "dkms remove" quietly dkms remove "$this" --all
gone() { [ -z "$(find /usr/lib/modules /var/lib/dkms -name 'lazyirq*')" ]; }
check "and nothing is left" gone

# A kernel as in its headers package: without Rust's metadata.
lacking=7.3.0-lacking
mkdir -p /usr/lib/modules/$lacking/build/include
cp -r /kernel/build/include/config /kernel/build/include/generated /usr/lib/modules/$lacking/build/include/
cp /kernel/build/.config /kernel/build/Makefile /usr/lib/modules/$lacking/build/
passed_over() {
	quietly dkms add "$this" && quietly dkms autoinstall -k $lacking && grep -q "skipped for module(s) lazyirq" "$said"
}
check "a kernel without Rust's metadata is passed over, without failing" passed_over
given() { quietly dkms install "$this" -k $lacking --kernelsourcedir /kernel/build; }
check "unless a tree that has it is given" given
exit $bad

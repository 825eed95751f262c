#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# where: host native
# The build refuses a kernel tree it cannot use, with a sentence that helps.
# Trees and tools are fabricated.
check_kdir=$(cd "$(dirname "$0")/.." && pwd)/scripts/check-kdir
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
kdir=$work/build
rustc_text='rustc 1.85.1 (4eb161250 2025-03-15)'

# The tools that the check calls, and no others of the host's.
fresh() {
	rm -rf "$kdir" "$work/bin"
	mkdir -p "$kdir"/include/{generated,config} "$kdir/rust" "$work/bin"
	for t in sh cat grep sed; do ln -s "$(command -v $t)" "$work/bin/$t"; done
	printf '#!/bin/sh\necho "%s"\n' "$rustc_text" >"$work/bin/rustc"
	printf '#!/bin/sh\n' >"$work/bin/bindgen"
	chmod +x "$work/bin/rustc" "$work/bin/bindgen"
	touch "$kdir/include/generated/autoconf.h" "$kdir/rust/libkernel.rmeta" "$kdir/Module.symvers"
	echo 7.3.4+test >"$kdir/include/config/kernel.release"
	printf 'CONFIG_RUST=y\nCONFIG_RUSTC_VERSION_TEXT=%s\n' "$rustc_text" \
		>"$kdir/include/config/auto.conf"
}

n=0
result() { n=$((n + 1)); echo "$1 $n $2"; }

# check [VARIABLE=VALUE]... [OPTION]: it has only these tools.
check() {
	local given=()
	while [[ ${1:-} == *=* ]]; do
		given+=("$1")
		shift
	done
	env "${given[@]}" PATH="$work/bin" "$work/bin/sh" "$check_kdir" "$@" "$kdir"
}

# accepted WHAT [VARIABLE=VALUE]... [OPTION]
accepted() {
	if check "${@:2}"; then result ok "$1"; else result "not ok" "$1"; fi
}

# refused WHAT SENTENCE: the fabricated tree is refused, in one line that
# contains SENTENCE.
refused() {
	local out rc=0
	out=$(check 2>&1) || rc=$?
	if [ $rc -ne 0 ] && [ "$(wc -l <<<"$out")" -eq 1 ] && [[ $out == "lazyirq: "*"$2"* ]]; then
		result ok "$1"
	else
		echo "# exit code $rc: $out"
		result "not ok" "$1"
	fi
}

echo "TAP version 13"
echo "1..17"
fresh
accepted "a good tree"
echo 7.2.0 >"$kdir/include/config/kernel.release"
accepted "the oldest kernel"
echo 10.0-rc1 >"$kdir/include/config/kernel.release"
accepted "a kernel to come"
mkdir "$work/bin/elsewhere"
mv "$work/bin/rustc" "$work/bin/bindgen" "$work/bin/elsewhere/"
accepted "tools elsewhere" RUSTC="$work/bin/elsewhere/rustc" BINDGEN="$work/bin/elsewhere/bindgen"
accepted "no tools, to install" --no-tools

fresh; rm -r "$kdir"; refused "no tree" "there is no kernel tree in $kdir: give a prepared one with KDIR=/path/to/build; prepare"
fresh; rm "$kdir/include/generated/autoconf.h"; refused "not prepared" 'is not prepared: run "make modules_prepare"'
fresh; rm "$kdir/include/config/kernel.release"; refused "no release" 'is not prepared: run "make modules_prepare"'
fresh; echo 6.12.1 >"$kdir/include/config/kernel.release"; refused "old major" "kernel 6.12.1 in $kdir is too old"
fresh; echo 7.1.13 >"$kdir/include/config/kernel.release"; refused "old minor" "take 7.2 or newer"
fresh; echo >"$kdir/include/config/auto.conf"; refused "no Rust" "CONFIG_RUST=y"
fresh; rm "$kdir/rust/libkernel.rmeta"; refused "no Rust metadata" "Rust metadata of kernel 7.3.4+test is missing"
fresh; rm "$work/bin/rustc"; refused "no rustc" "or give it with RUSTC=/path/to/rustc"
fresh; rm "$work/bin/bindgen"; refused "no bindgen" "bindgen is not installed"
fresh; printf '#!/bin/sh\necho rustc 1.97.1\n' >"$work/bin/rustc"; refused "another rustc" 'but rustc is "rustc 1.97.1"'
fresh; rm "$kdir/Module.symvers"; refused "no Module.symvers" "copy it from the headers package"
fresh; mkdir "$work/a place"; cd "$work/a place" || exit; refused "a blank in the path" "Kbuild cannot build in "

# SPDX-License-Identifier: GPL-2.0
# Shared by the scripts: where things live, how steps are reported, how
# processes and trees are removed. Sourced, never run.

say() { printf '[%s] %s\n' "$tag" "$*" >&2; }
die() { printf '[%s] error: %s\n' "$tag" "$*" >&2; exit 1; }
tag=${0##*/}

# The kernel everything is built for and tested on. A new series changes only this line.
series=7.3
# A script that is called by another one may be given "sid".
[[ ${KERNEL_SERIES:-sid} == sid ]] || series=$KERNEL_SERIES
# Older ones have a different kernel crate, see check-kdir.
oldest=7.2

# Debian's flavour of a kernel that is named as in KERNEL=...; sid: Debian's newest kernel, of whatever series,
# with sid's compilers; debug: built here.
kernels=(stock rt cloud arm64 sid debug)
flavour_of() {
	case $1 in
	stock | sid) echo amd64 ;;
	rt | cloud) echo "$1-amd64" ;;
	arm64 | debug) echo "$1" ;;
	*) die "there is no kernel $1; there are: ${kernels[*]}" ;;
	esac
}
# choose NAME: sets the series and the flavour for everything called from here on.
choose() {
	KERNEL_FLAVOUR=$(flavour_of "$1")
	KERNEL_SERIES=$series
	[ "$1" != sid ] || KERNEL_SERIES=sid
	places
}
# The name of the chosen kernel.
this_kernel() {
	local name
	for name in "${kernels[@]}"; do
		(choose "$name"; echo "$KERNEL_SERIES $KERNEL_FLAVOUR $name")
	done | sed -n "s/^$KERNEL_SERIES $KERNEL_FLAVOUR //p"
}
# Where its files are.
places() {
	kernel_link=$cache/kernel-$KERNEL_SERIES-$KERNEL_FLAVOUR
	DEBIAN_SUITE=trixie root_link=$cache/root
	[ "$KERNEL_SERIES" != sid ] || DEBIAN_SUITE=sid root_link=$cache/root-sid
}

# Is it for a processor other than the host's?
foreign() { [[ $KERNEL_FLAVOUR == *arm64 ]]; }

scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
top=$(dirname "$scripts")
cache=${LAZYIRQ_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/lazyirq}
logs=$cache/logs

# The user's choice.
kernel=${KERNEL:-}
unset KERNEL
if [ -n "$kernel" ]; then
	choose "$kernel"
else
	KERNEL_SERIES=${KERNEL_SERIES:-$series}
	KERNEL_FLAVOUR=${KERNEL_FLAVOUR:-$(flavour_of stock)}
	places
fi
export KERNEL_SERIES KERNEL_FLAVOUR

# A path in the cache, seen from inside the root, as the user knows it.
host_path() { echo "${1/#\/cache\//${HOST_CACHE:-/cache}/}"; }

# make_cache DIRECTORY: the cache, or a directory in it.
make_cache() {
	mkdir -p "$1" || die "cannot make the cache $cache: set LAZYIRQ_CACHE to a directory with 12 GB of room"
}

# Mounting and making a root need uid 0. The cache is chosen and made before sudo, so
# that it stays the user's.
need_root() {
	[ "$(id -u)" -ne 0 ] || return 0
	command -v sudo >/dev/null ||
		die "this needs root, and sudo is not installed: run it as root"
	make_cache "$cache"
	local v keep=()
	for v in http_proxy https_proxy no_proxy LAZYIRQ_MIRROR TESTS TIMEOUT SEED LENGTH CPUS; do
		[ -z "${!v:-}" ] || keep+=("$v=${!v}")
	done
	exec sudo env "${keep[@]}" LAZYIRQ_CACHE="$cache" KERNEL="$kernel" \
		KERNEL_SERIES="$KERNEL_SERIES" KERNEL_FLAVOUR="$KERNEL_FLAVOUR" \
		"$scripts/${0##*/}" "$@"
}

# step NAME CURE COMMAND...: run COMMAND with its output in a log. When it
# fails, say what failed, why (the log's end), what to do, and where the log is.
step() {
	local name=$1 cure=$2 rc=0 t0=$SECONDS log ticker=
	shift 2
	log=$logs/$tag-${name//[^a-zA-Z0-9.]/-}.log
	mkdir -p "$logs"
	printf '[%s] %s …' "$tag" "$name" >&2
	if [ -t 2 ]; then
		# shellcheck disable=SC2030
		(while sleep 1; do printf '\r[%s] %s … %d s' "$tag" "$name" $((SECONDS - t0)) >&2; done) &
		ticker=$!
	fi
	"$@" >"$log" 2>&1 </dev/null 9>&- || rc=$?
	if [ -n "$ticker" ]; then
		kill "$ticker" && wait "$ticker" 2>/dev/null || true
		printf '\r[%s] %s …' "$tag" "$name" >&2
	fi
	if [ $rc -eq 0 ]; then
		printf ' %d s\n' $((SECONDS - t0)) >&2
		return 0
	fi
	printf ' FAILED after %d s (exit %d)\n' $((SECONDS - t0)) $rc >&2
	tail -n 15 "$log" | sed 's/^/    | /' >&2
	say "to cure it: $cure"
	say "log: $log"
	return $rc
}

# Prefix of a command that gets mount and process namespaces of its own. Its
# mounts never show on the host, and it dies with its parent, kill -9 included,
# as does all it has started: nothing keeps working on a half-made tree.
contain=(setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child --mount-proc)

# Two runs at once would work on the same trees, builds and logs.
lock_cache() {
	[ -z "${LAZYIRQ_LOCKED:-}" ] || return 0
	make_cache "$logs"
	exec 9>"$cache/lock"
	if ! flock -n 9; then
		say "another run is at work in $cache: waiting for it"
		flock 9
	fi
	export LAZYIRQ_LOCKED=1
}

# Remove a tree, but never what is mounted on it: mounts are removed first, in
# a private namespace.
remove_tree() {
	[ -e "$1" ] || return 0
	unshare --mount bash -euc '
		tree=$(readlink -f "$1")
		awk -v t="$tree/" "index(\$5, t) == 1 { print \$5 }" /proc/self/mountinfo |
			sort -r | while read -r m; do umount -l "$(printf %b "$m")"; done
		rm -rf --one-file-system -- "$tree"' bash "$1"
}

hash_of() { sha256sum | cut -c1-12; }

# Boots a machine with the caller's function boot, and again, at most twice, while that leaves $up empty. The
# kernel's log is $log.
boot_sound() {
	local n
	for n in 1 2 3; do
		boot "$@"
		[ -z "$up" ] || return 0
		mv "$log" "$log.lost-$n"
		say "the machine was lost while it booted, with nothing loaded yet, kernel log: $(host_path "$log.lost-$n")"
	done
	die "it was lost each time that it was booted"
}

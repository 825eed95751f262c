# SPDX-License-Identifier: GPL-2.0
# What run and test begin with: set-up, build, and how machines are emulated.
# Sourced after lib.sh. Leaves the modules' directory, as the root sees it, in $ko.

lock_cache
export LAZYIRQ_CACHE=$cache
"$scripts/setup"
# shellcheck disable=SC2034
ko=/cache/build-$KERNEL_SERIES-$KERNEL_FLAVOUR
step "modules for $(cat "$kernel_link/release")" "see the log: the compiler's message is there" \
	"$scripts/in-root" /src/scripts/build
accel=$("$scripts/in-root" /src/scripts/accel)
if [ "$accel" = kvm ]; then
	say "virtual machines use KVM"
elif foreign; then
	say "virtual machines are emulated (TCG): their processor is another"
else
	say "virtual machines are emulated (TCG): KVM does not work here"
fi

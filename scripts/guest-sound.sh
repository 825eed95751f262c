#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# In a guest, before anything is loaded: says guest-up once a timer has gone off on each CPU, and RCU gets on. QEMU's
# emulation loses a machine now and then, if it has several CPUs and the host is busy: a CPU runs code that the kernel
# has changed meanwhile, and dies of it, or gets no timer interrupt any more, and whatever waits for it hangs.
for cpu in /sys/devices/system/cpu/cpu[0-9]*; do
	taskset "$(printf %x $((1 << ${cpu##*cpu})))" sleep 0.02
done
# This waits for a grace period.
echo >/sys/kernel/tracing/trace
echo guest-up

#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# In a guest, before anything is loaded: says guest-up once a timer has fired on each CPU, and RCU makes progress.
# QEMU's emulation occasionally loses a machine with several CPUs if the host is busy: a CPU runs code that the
# kernel has changed meanwhile, and crashes, or gets no more timer interrupts, and whatever waits for it hangs.
for cpu in /sys/devices/system/cpu/cpu[0-9]*; do
	taskset "$(printf %x $((1 << ${cpu##*cpu})))" sleep 0.02
done
# This waits for a grace period.
echo >/sys/kernel/tracing/trace
echo guest-up

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""usage: reload.py ROUNDS

Load the core and the test driver, have each device interrupt, once lazily and once blocked, and
unload both, so often. Then the kernel must have no more objects, pages, threads or interrupts than
before: what is lost in each round is found, and what comes and goes by itself, once, is not."""

import glob
import os
import sys
import time

import modules

WARM_UP = 10


def round(core, driver):
    modules.load(core, "stall_ms=60000")
    modules.load(driver)
    for run in glob.glob(modules.DEBUGFS + "lazyirq_test*/run"):
        modules.write(run, "plain 1")
        modules.write(run, "locked 1")
    modules.unload("lazyirq_test")
    modules.unload("lazyirq")


def names(cache):
    return [
        os.path.basename(link)
        for link in glob.glob("/sys/kernel/slab/*")
        if os.path.realpath(link) == os.path.realpath(cache)
    ]


def kernel_has():
    """How much there is, by what it is: a dictionary."""
    found = {}
    # With kmemleak there is a better way to find lost objects; and counting takes minutes there.
    kmemleak = os.path.exists(modules.DEBUGFS + "kmemleak")
    for cache in [] if kmemleak else glob.glob("/sys/kernel/slab/*"):
        # Several names, which are links, may stand for one cache. What can be reclaimed, such as
        # inodes, is kept for later use, and what belongs to them as well.
        kept = modules.read(cache + "/reclaim_account") != "0\n" or "lsm_inode_cache" in names(cache)
        if not os.path.islink(cache) and not kept:
            modules.write(cache + "/shrink", "1")
            found[cache] = int(modules.read(cache + "/objects").split()[0])
    found["areas of vmalloc"] = modules.read("/proc/vmallocinfo").count("\n")
    found["threads"] = len(glob.glob("/proc/[0-9]*"))
    found["interrupts"] = len(glob.glob("/sys/kernel/irq/*"))
    for line in modules.read("/proc/meminfo").splitlines():
        name, size, *_ = line.split()
        if name == "Percpu:":
            found["KiB of per-CPU data"] = int(size)
    return found


def lost(before, rounds):
    """What there is more of, by as much as one in every round or nearly."""
    now = kernel_has()
    return {
        what: count - before.get(what, 0)
        for what, count in now.items()
        if count - before.get(what, 0) >= rounds * 9 // 10
    }


def main():
    rounds = int(sys.argv[1])
    core, driver = map(modules.image, ("lazyirq", "lazyirq_test"))
    for _ in range(WARM_UP):
        round(core, driver)
    before = kernel_has()
    for _ in range(rounds):
        round(core, driver)
    # What is freed after a grace period may take a while.
    end = time.monotonic() + 10
    while more := lost(before, rounds):
        if time.monotonic() > end:
            break
        time.sleep(0.2)
    for what, count in more.items():
        print(f"# {count} more of {', '.join(names(what)[:8]) or what}")
    if more:
        sys.exit(f"something is lost in each of {rounds} rounds")


main()

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""usage: fail-nth.py core|bind

Load the core, or bind a device to the test driver, with the first allocation of memory failing,
then the second one, and so on, until nothing fails any more. After each failure nothing may be
left behind."""

import os
import sys

import modules

# Which allocations may fail: all that may sleep as well, of any size; and without a report each.
KNOBS = {
    "failslab": {"ignore-gfp-wait": "N", "verbose": "0"},
    "fail_page_alloc": {"ignore-gfp-wait": "N", "min-order": "0", "verbose": "0"},
}


def left_by_core():
    if os.path.exists("/sys/module/lazyirq"):
        yield "the module"
    if os.path.exists(modules.DEBUGFS + "lazyirq"):
        yield "debugfs"
    yield from modules.threads("lazyirq")


def left_by_bind():
    if modules.bound("lazyirq_test"):
        yield "the binding"
    if "lazyirq_test" in modules.read("/proc/interrupts"):
        yield "an interrupt"
    for directory in modules.DEBUGFS, modules.DEBUGFS + "lazyirq":
        yield from (name for name in os.listdir(directory) if "lazyirq_test" in name)
    # Such as lazyirq5/0.
    yield from (name for name in modules.threads("lazyirq") if name[7].isdigit())


def fail_nth(action, undo, left):
    """How many allocations the action makes, or those that could fail of them."""
    failed = tolerated = nth = 0
    while True:
        nth += 1
        ok = True
        file = os.open("/proc/self/fail-nth", os.O_RDWR)
        os.write(file, str(nth).encode())
        try:
            action()
        except OSError:
            ok = False
        # 0 if that many were made.
        rest = int(os.read(file, 20))
        os.write(file, b"0")
        os.close(file)
        if ok:
            undo()
        if remains := list(left()):
            sys.exit(f"after failure {nth}: {', '.join(remains)} left")
        if rest != 0:
            if not ok:
                sys.exit(f"failed with nothing injected, in round {nth}")
            break
        if ok:
            tolerated += 1
        else:
            failed += 1
    print(f"# {nth - 1} allocations: {failed} failures, {tolerated} that were of no importance")
    if failed < 20:
        sys.exit("hardly anything failed")


def main():
    for knob, settings in KNOBS.items():
        for name, value in settings.items():
            modules.write(f"{modules.DEBUGFS}{knob}/{name}", value)
    if sys.argv[1] == "core":
        core = modules.image("lazyirq")
        fail_nth(lambda: modules.load(core), lambda: modules.unload("lazyirq"), left_by_core)
        return
    driver = "/sys/bus/pci/drivers/lazyirq_test/"
    address, *_ = addresses = modules.bound("lazyirq_test")
    for each in addresses:
        modules.write(driver + "unbind", each)
    fail_nth(
        lambda: modules.write(driver + "bind", address),
        lambda: modules.write(driver + "unbind", address),
        left_by_bind,
    )


main()

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The examples in the crate's documentation compile (or this would not have been
# built), and those that need no device do what they say.
. "$(dirname "$0")/lib.sh"

ktap_print_header
ktap_set_plan 3
check "the core loads" load lazyirq
check "the examples run" load lazyirq_examples
unloaded() { rmmod lazyirq_examples && rmmod lazyirq; }
check "and unload" unloaded
ktap_finished

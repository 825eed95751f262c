// SPDX-License-Identifier: GPL-2.0
/*
 * Exports the Rust symbols of the lazyirq crate to the drivers that are built on it. The list is
 * taken from the object file (see Kbuild); generic and inlined code needs no export.
 */
#include <linux/export.h>

#define EXPORT_SYMBOL_RUST_GPL(sym) extern int sym; EXPORT_SYMBOL_GPL(sym)

#include "exports_generated.h"

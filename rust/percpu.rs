// SPDX-License-Identifier: GPL-2.0

//! The per-CPU variables on the way of an interrupt: that of the lazy path, and another for handlers that block.

use crate::bindings;

/// Sets what [`level`] reads. Called with interrupts off, on the CPU in question: no other CPU writes it.
#[inline(always)]
pub(crate) fn set_level(level: i32) {
    #[cfg(all(CONFIG_X86_64, CONFIG_SMP))]
    // SAFETY: Writes a per-CPU variable of this module, as `this_cpu_write()` does.
    unsafe {
        core::arch::asm!(
            "mov gs:[rip + {variable}], {level:e}",
            level = in(reg) level,
            variable = sym bindings::lazyirq_level,
            options(nostack, preserves_flags),
        )
    };
    #[cfg(not(all(CONFIG_X86_64, CONFIG_SMP)))]
    // SAFETY: Safe in any context.
    unsafe {
        bindings::lazyirq_set_level(level)
    };
}

/// The highest IPL with an unfinished continuation on this CPU, 0 for none. The caller stays on it.
#[inline(always)]
pub(crate) fn level() -> i32 {
    #[cfg(all(CONFIG_X86_64, CONFIG_SMP))]
    {
        let level;
        // SAFETY: Reads a per-CPU variable of this module, as `this_cpu_read()` does.
        unsafe {
            core::arch::asm!(
                "mov {level:e}, gs:[rip + {variable}]",
                level = out(reg) level,
                variable = sym bindings::lazyirq_level,
                options(readonly, nostack, preserves_flags),
            )
        };
        level
    }
    // The same by a call, for an architecture that has no version of the above.
    #[cfg(not(all(CONFIG_X86_64, CONFIG_SMP)))]
    // SAFETY: Safe in any context.
    unsafe {
        bindings::lazyirq_this_level()
    }
}

/// The CPU's element of `ithread.rs`'s array. The caller stays on it.
#[inline(always)]
pub(crate) fn this_cpu() -> *mut bindings::lazyirq_cpu {
    #[cfg(all(CONFIG_X86_64, CONFIG_SMP))]
    {
        let element;
        // SAFETY: As in `level`.
        unsafe {
            core::arch::asm!(
                "mov {element}, gs:[rip + {variable}]",
                element = out(reg) element,
                variable = sym bindings::lazyirq_this_one,
                options(readonly, nostack, preserves_flags),
            )
        };
        element
    }
    #[cfg(not(all(CONFIG_X86_64, CONFIG_SMP)))]
    // SAFETY: Safe in any context.
    unsafe {
        bindings::lazyirq_this_cpu()
    }
}

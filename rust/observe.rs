// SPDX-License-Identifier: GPL-2.0

//! What can be watched while it happens: the tracepoints, and how long things take (see [`times`](crate::times)).
//!
//! All of it is behind one static key: while nothing is watched, each place costs a NOP. The key is on while
//! a tracepoint is on, or times are measured; the functions called then check which of them it is.

use crate::{
    bindings,
    primitive::{AtomicBool, Relaxed},
    slot::Head,
    times::Kind,
};
use kernel::prelude::*;

/// Is anything watched? A NOP while nothing is.
#[inline(always)]
pub(crate) fn observed() -> bool {
    // SAFETY: `lazyirq_keys.observed` is a static key, defined in trace.c.
    unsafe {
        kernel::jump_label::static_branch_unlikely!(
            bindings::lazyirq_keys,
            bindings::lazyirq_key_set,
            observed
        )
    }
}

static MEASURING: AtomicBool = AtomicBool::new(false);

/// Are times measured?
pub(crate) fn measuring() -> bool {
    MEASURING.load(Relaxed)
}

/// Switches the measuring on or off. Thread, may sleep.
pub(crate) fn measure(on: bool) {
    if MEASURING.swap(on, Relaxed) != on {
        // SAFETY: Thread context; each call with true is undone by the next one, with false.
        unsafe { bindings::lazyirq_observe(on) };
    }
}

pub(crate) fn now() -> u64 {
    // SAFETY: Safe in any context.
    unsafe { bindings::ktime_get_mono_fast_ns() }
}

/// What runs a handler. As in trace.h.
#[derive(Clone, Copy)]
pub(crate) enum By {
    Lazy,
    Releaser,
    Ithread,
}

/// A handler's interrupt and name, for the tracepoints.
pub(crate) fn identity(head: &Head) -> (u32, *const c_char) {
    (head.irq(), head.stats.name.as_char_ptr())
}

/// A handler starts in the lazy path. Hard IRQ.
#[cold]
pub(crate) fn enters(head: &Head) {
    head.stats.timer.start(Kind::Lazy);
    let (irq, name) = identity(head);
    // SAFETY: `name` is a string; any context.
    unsafe { bindings::lazyirq_trace_entry(irq, name, head.ipl() as u32) };
}

/// An interrupt may not take the lazy path: its handler will be started later, or again. Hard IRQ.
#[cold]
pub(crate) fn holds(head: &Head, again: bool) {
    if !again {
        head.stats.timer.start(Kind::Held);
    }
    let (irq, name) = identity(head);
    let (ipl, level) = (head.ipl() as u32, crate::percpu::level() as u32);
    // SAFETY: As above.
    unsafe { bindings::lazyirq_trace_hold(irq, name, ipl, level, again) };
}

/// The handler leaves the lazy path. Hard IRQ.
#[cold]
pub(crate) fn leaves_lazy_path(head: &Head, deferred: bool) {
    let kind = if deferred {
        Kind::Deferred
    } else {
        Kind::Blocked
    };
    head.stats.timer.become_kind(kind);
}

/// The handler defers. In the context that runs it.
#[cold]
pub(crate) fn defers(head: &Head) {
    let (irq, name) = identity(head);
    // SAFETY: As above.
    unsafe { bindings::lazyirq_trace_defer(irq, name) };
}

/// The handler continues, or starts. In the context that runs it.
#[cold]
pub(crate) fn resumes(head: &Head, by: By) {
    let (irq, name) = identity(head);
    // SAFETY: As above.
    unsafe { bindings::lazyirq_trace_resume(irq, name, by as u32) };
}

/// The handler is done. In the context that ran it.
#[cold]
pub(crate) fn is_done(head: &Head, by: By, ret: bindings::irqreturn_t) {
    head.stats.timer.stop();
    let (irq, name) = identity(head);
    let handled = ret != bindings::irqreturn::IRQ_NONE;
    // SAFETY: As above.
    unsafe { bindings::lazyirq_trace_done(irq, name, by as u32, handled) };
}

/// The handler is shut down. In the context that ran it.
#[cold]
pub(crate) fn is_illegal(head: &Head) {
    let (irq, name) = identity(head);
    // SAFETY: As above.
    unsafe { bindings::lazyirq_trace_illegal(irq, name) };
}

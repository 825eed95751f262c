// SPDX-License-Identifier: GPL-2.0

//! A requested interrupt line: what a registration needs beside its slot.

use crate::{bindings, debugfs::Listed, irq::Options, primitive::Relaxed, slot::Head};
use core::ptr::NonNull;
use kernel::{error::to_result, prelude::*};

/// # Invariants
///
/// The slot that `head` is the head of lives longer, and its interrupt is requested with it as the
/// cookie.
pub(crate) struct Line {
    head: NonNull<Head>,
    listed: Option<Listed>,
}

// SAFETY: Heads are `Sync`.
unsafe impl Send for Line {}
// SAFETY: As above.
unsafe impl Sync for Line {}

impl Line {
    /// Requests the interrupt of a slot. Thread, may sleep.
    ///
    /// # Safety
    ///
    /// The slot lives until this is dropped.
    pub(crate) unsafe fn request(head: NonNull<Head>, options: Options) -> Result<Self> {
        // SAFETY: By the requirement.
        let this = unsafe { head.as_ref() };
        let irq = this.irq();
        this.ithreads.change(options.ipl, || true)?;
        // SAFETY: The entry is for slots of this type, the cookie is one, and it is there until
        // `free_irq`, in this type's drop.
        to_result(unsafe {
            bindings::request_irq(
                irq,
                Some(this.entry),
                options.flags,
                options.name.as_char_ptr(),
                head.as_ptr().cast(),
            )
        })
        .inspect_err(|error| {
            this.ithreads.none();
            let name = crate::debugfs::text(options.name);
            pr_err!("interrupt {irq} ({name}) cannot be had: {error:?}\n");
        })?;
        // INVARIANT: Requested above, and by the function's requirement.
        let mut line = Self { head, listed: None };
        // Edge and MSI lines need no mask. Until this is known, every line is masked.
        // SAFETY: The interrupt exists: it was requested.
        let level = unsafe { bindings::lazyirq_line_is_level(irq) };
        if level {
            // SAFETY: As above.
            unsafe { bindings::lazyirq_mask_at_once(irq) };
        }
        this.level_triggered.store(level.into(), Relaxed);
        // SAFETY: It is dropped before the slot.
        line.listed = Some(unsafe { Listed::new(&this.stats, Some(this)) }?);
        Ok(line)
    }

    pub(crate) fn synchronize(&self) {
        // SAFETY: By the type invariant.
        unsafe { self.head.as_ref() }.synchronize();
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.listed = None;
        // SAFETY: By the type invariant.
        let head = unsafe { self.head.as_ref() };
        let masked = head.close();
        // SAFETY: Requested with this cookie, by the type invariant; after `close` nothing runs
        // the handler any more.
        unsafe { bindings::free_irq(head.irq(), self.head.as_ptr().cast()) };
        // SAFETY: The line has other handlers, which get it back; without, it was shut.
        if masked && unsafe { bindings::lazyirq_line_in_use(head.irq()) } {
            // SAFETY: Undoes the masking for this handler.
            unsafe { bindings::enable_irq(head.irq()) };
        }
        // A handler that waited for several locks at a time may have finished while it was about to
        // be woken for another one. Whoever wakes it has interrupts off. And its name may be on its
        // way into the kernel's log.
        kernel::sync::rcu::synchronize_rcu();
        head.ithreads.none();
    }
}

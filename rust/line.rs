// SPDX-License-Identifier: GPL-2.0

//! A requested interrupt line: what a registration needs besides its slot.

use crate::{
    bindings,
    irq::Options,
    primitive::{AtomicI32, Relaxed},
    registered,
    slot::Head,
};
use core::ptr::NonNull;
use kernel::{error::to_result, prelude::*};

/// The kernel's description of a line.
///
/// # Invariants
///
/// The description exists, and stays, whatever becomes of the line; or this is null, for an interrupt that
/// does not exist, whose request fails.
pub(crate) struct LineRef {
    line: *mut bindings::irq_desc,
    /// The number of its unfinished handlers, in the description.
    active: *mut c_int,
}

impl LineRef {
    pub(crate) fn new(irq: u32) -> Self {
        // SAFETY: Any context.
        let line = unsafe { bindings::lazyirq_line_get(irq) };
        // SAFETY: It is a line, or null.
        let active = unsafe { bindings::lazyirq_line_active(line) };
        // INVARIANT: This holds a reference to it, if there is one.
        Self { line, active }
    }

    pub(crate) fn as_ptr(&self) -> *mut bindings::irq_desc {
        self.line
    }

    /// Counts one more unfinished handler. Hard IRQ.
    #[inline(always)]
    pub(crate) fn count(&self) {
        // SAFETY: By the type invariant; what is requested exists. It is an atomic for C.
        unsafe { AtomicI32::from_ptr(self.active) }.fetch_add(1, Relaxed);
    }

    /// Does the line still have its number? A driver may have freed its vectors before their registrations
    /// ended.
    pub(crate) fn is_there(&self) -> bool {
        // SAFETY: By the type invariant; what is requested exists.
        unsafe { bindings::lazyirq_line_is_there(self.line) }
    }

    /// Undoes a masking.
    pub(crate) fn unmask(&self) {
        // SAFETY: By the type invariant; what was masked exists.
        unsafe { bindings::lazyirq_line_unmask(self.line) };
    }

    /// Waits for the unfinished handlers of a requested line, as `synchronize_irq()` does where the line
    /// still exists. Thread, may sleep.
    pub(crate) fn wait_until_idle(&self) {
        // SAFETY: By the type invariant; what is requested exists.
        unsafe { bindings::lazyirq_line_await(self.line) };
    }
}

impl Drop for LineRef {
    fn drop(&mut self) {
        // SAFETY: By the type invariant; it is not used again.
        unsafe { bindings::lazyirq_line_put(self.line) };
    }
}

/// # Invariants
///
/// The slot of `head` outlives this, and its interrupt is requested with the slot as the cookie.
pub(crate) struct Line {
    head: NonNull<Head>,
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
    /// The slot lives until the returned value is dropped.
    pub(crate) unsafe fn request(head: NonNull<Head>, options: Options) -> Result<Self> {
        // SAFETY: By the requirement.
        let this = unsafe { head.as_ref() };
        let irq = this.irq();
        // SAFETY: Any context.
        if unsafe { bindings::lazyirq_line_is_slow(irq) } {
            pr_err!(
                "{} cannot be had: masking it sleeps, as its controller is behind a slow bus; a stock threaded handler \
                 can serve it\n",
                this.named()
            );
            return Err(EOPNOTSUPP);
        }
        this.ithreads.change(options.ipl, || true)?;
        // SAFETY: The slot lives until this type's drop, which removes it; a failed request removes it, too.
        unsafe { registered::add(this) };
        // SAFETY: The entry is for slots of this type, the cookie is one, and it exists until `free_irq`, in
        // this type's drop.
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
            registered::remove(this);
            this.ithreads.none();
            pr_err!("{} cannot be had: {error:?}\n", this.named());
        })?;
        // INVARIANT: Requested above, and by the function's requirement.
        let line = Self { head };
        // Edge and MSI lines need no mask for their first events. Until the type is known, every line is
        // masked.
        // SAFETY: The interrupt exists: it was requested.
        let level = unsafe { bindings::lazyirq_line_is_level(irq) };
        if level {
            // SAFETY: As above.
            unsafe { bindings::lazyirq_mask_at_once(irq) };
        }
        this.level_triggered.store(level.into(), Relaxed);
        Ok(line)
    }

    pub(crate) fn synchronize(&self) {
        // SAFETY: By the type invariant.
        unsafe { self.head.as_ref() }.synchronize();
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // SAFETY: By the type invariant.
        let head = unsafe { self.head.as_ref() };
        let masked = head.close();
        if head.line.is_there() {
            // SAFETY: Requested with this cookie, by the type invariant; after `close` nothing runs
            // the handler any more.
            unsafe { bindings::free_irq(head.irq(), self.head.as_ptr().cast()) };
            // If the line has other handlers, they get it back; otherwise it was shut down.
            // SAFETY: Any context.
            if masked && unsafe { bindings::lazyirq_line_in_use(head.irq()) } {
                head.line.unmask();
            }
        } else {
            // Its number may be another line's by now. It cannot interrupt any more.
            pr_err!(
                "{}: its vector was freed before it was unregistered\n",
                head.named()
            );
        }
        registered::remove(head);
        // A handler may have finished while it was about to be woken, by a context with interrupts or preemption
        // off: it saw that it was granted the lock, or waited for several locks at a time. Also, its name may be on
        // its way into the kernel's log.
        kernel::sync::rcu::synchronize_rcu();
        head.ithreads.none();
    }
}

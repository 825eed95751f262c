// SPDX-License-Identifier: GPL-2.0

//! The other side of the comparison: counts for an interrupt that the stock mechanism serves.

use crate::{
    bindings,
    debugfs::Listed,
    observe::observed,
    primitive::{AtomicU64, AtomicUsize, Relaxed},
    stats::{Mechanism, Stats},
    times::Kind,
};
use kernel::{
    irq::{IrqRequest, IrqReturn},
    prelude::*,
    str::CStr,
    task::Task,
};

/// Counts the interrupts of a stock threaded registration, so that debugfs shows them beside a
/// lazy one's: same counters, same points of measurement.
///
/// A driver calls [`entered`](StockMeter::entered) in its hard-IRQ half and [`done`](StockMeter::done) at the
/// end of its thread's half. The interrupt is compared with the lazy one of the same name.
///
/// # Examples
///
/// ```
/// use kernel::irq::{IrqReturn, ThreadedHandler, ThreadedIrqReturn};
/// use lazyirq::StockMeter;
///
/// struct Twin(StockMeter);
///
/// impl ThreadedHandler for Twin {
///     fn handle(&self) -> ThreadedIrqReturn {
///         self.0.entered();
///         ThreadedIrqReturn::WakeThread
///     }
///
///     fn handle_threaded(&self) -> IrqReturn {
///         // The same work as in the lazy handler.
///         self.0.done(IrqReturn::Handled)
///     }
/// }
/// ```
pub struct StockMeter {
    // Dropped before what it lists.
    _listed: Listed,
    stats: KBox<Stats>,
    /// The thread that was done last, and how often it had been switched out by then.
    thread: AtomicUsize,
    switches: AtomicU64,
}

impl StockMeter {
    /// A meter for the interrupt `request`, named `name`.
    ///
    /// # Context
    ///
    /// Thread, may sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new(request: &IrqRequest<'_>, name: &'static CStr) -> Result<Self> {
        // SAFETY: A constant of this kernel.
        let thread = unsafe { bindings::lazyirq_thread_memory() };
        let stats = Stats::new(Mechanism::Stock, name, request.irq(), 0, thread, thread);
        let stats = KBox::new(stats, GFP_KERNEL)?;
        // SAFETY: The statistics are in a box, and dropped after `_listed`.
        let listed = unsafe { Listed::new(&stats, None) }?;
        Ok(Self {
            _listed: listed,
            stats,
            thread: AtomicUsize::new(0),
            switches: AtomicU64::new(0),
        })
    }

    /// The interrupt has come.
    ///
    /// # Context
    ///
    /// Hard IRQ, once for each interrupt of the device.
    pub fn entered(&self) {
        self.stats.counters.threaded.add(1);
        if observed() {
            self.stats.timer.start(Kind::Threaded);
        }
    }

    /// The handler is done, and answers `ret`, which is returned.
    ///
    /// # Context
    ///
    /// The IRQ's thread, as the last thing that the handler does.
    pub fn done(&self, ret: IrqReturn) -> IrqReturn {
        let counters = &self.stats.counters;
        if observed() {
            self.stats.timer.stop();
        }
        counters.resumed.add(1);
        if matches!(ret, IrqReturn::None) {
            counters.spurious.add(1);
        }
        let task = Task::current_raw();
        // SAFETY: Reads the running thread's own counters.
        let now = unsafe { (*task).nvcsw.wrapping_add((*task).nivcsw) } as u64;
        let thread = task as usize;
        // For a thread other than last time, it is not known how many are new.
        let last = match self.thread.swap(thread, Relaxed) == thread {
            true => self.switches.load(Relaxed),
            false => now.wrapping_sub(1),
        };
        self.switches.store(now, Relaxed);
        // Each of these was one switch away from the thread, and one to it.
        counters
            .switches
            .add(now.wrapping_sub(last).wrapping_mul(2));
        ret
    }
}

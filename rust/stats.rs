// SPDX-License-Identifier: GPL-2.0

//! What is counted for each registered interrupt.
//!
//! Every counter has one writer at a time (the line's hard-IRQ entry, or the thread that runs the
//! handler), so counting is a plain addition to memory that no other CPU writes. Readers may see
//! counters of one handler that are an interrupt apart while it runs; at rest they add up:
//!
//! ```text
//! interrupts = lazy + blocked + deferred + held + remembered + refused + threaded
//! blocked + deferred + held + remembered = resumed + unfinished + illegal off the lazy path
//! ```

use crate::{
    bindings,
    primitive::{AtomicU32, AtomicU64, Relaxed},
};
use kernel::str::CStr;

/// A counter with one writer at a time.
#[derive(Default)]
pub(crate) struct Counter {
    count: AtomicU64,
    /// The count at the last reset: resetting does not write what the counting writes.
    base: AtomicU64,
}

impl Counter {
    #[inline(always)]
    pub(crate) fn add(&self, n: u64) {
        self.count
            .store(self.count.load(Relaxed).wrapping_add(n), Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.count
            .load(Relaxed)
            .wrapping_sub(self.base.load(Relaxed))
    }

    /// The count since registration, resets or not.
    pub(crate) fn total(&self) -> u64 {
        self.count.load(Relaxed)
    }

    fn reset(&self) {
        self.base.store(self.count.load(Relaxed), Relaxed);
    }
}

/// An IPL to be shown: the one that was set last.
pub(crate) struct Level(AtomicU32);

impl Level {
    pub(crate) const fn new(ipl: u8) -> Self {
        Self(AtomicU32::new(ipl as u32))
    }

    pub(crate) fn get(&self) -> u8 {
        self.0.load(Relaxed) as u8
    }

    pub(crate) fn set(&self, ipl: u8) {
        self.0.store(ipl.into(), Relaxed);
    }
}

/// Nanoseconds from hard-IRQ entry to handler done, while latency statistics are on.
#[derive(Default)]
pub(crate) struct Latency {
    entry: AtomicU64,
    count: AtomicU64,
    sum: AtomicU64,
    min: AtomicU64,
    max: AtomicU64,
    /// A reset is the writer's work too: the reader only asks for it.
    stale: AtomicU32,
}

/// A latency summary in nanoseconds; all zero if nothing was measured.
#[derive(Clone, Copy, Default)]
pub(crate) struct LatencySummary {
    pub(crate) count: u64,
    pub(crate) min: u64,
    pub(crate) mean: u64,
    pub(crate) max: u64,
}

impl Latency {
    /// Stamps the hard-IRQ entry.
    #[cold]
    pub(crate) fn start(&self) {
        // The first of several that one run of a stock thread answers.
        if self.entry.load(Relaxed) == 0 {
            // SAFETY: Safe in any context.
            let now = unsafe { bindings::ktime_get_mono_fast_ns() };
            self.entry.store(now, Relaxed);
        }
    }

    /// The handler that was stamped is done.
    #[cold]
    pub(crate) fn stop(&self) {
        let entry = self.entry.load(Relaxed);
        if entry == 0 {
            return; // It was switched on after the entry.
        }
        self.entry.store(0, Relaxed);
        // SAFETY: Safe in any context.
        let ns = unsafe { bindings::ktime_get_mono_fast_ns() }.wrapping_sub(entry);
        let fresh = self.stale.load(Relaxed) != 0 || self.count.load(Relaxed) == 0;
        let old = |value: &AtomicU64| if fresh { 0 } else { value.load(Relaxed) };
        self.min
            .store(if fresh { ns } else { ns.min(old(&self.min)) }, Relaxed);
        self.max.store(ns.max(old(&self.max)), Relaxed);
        self.sum.store(old(&self.sum).wrapping_add(ns), Relaxed);
        self.count.store(old(&self.count).wrapping_add(1), Relaxed);
        self.stale.store(0, Relaxed);
    }

    pub(crate) fn get(&self) -> LatencySummary {
        let count = self.count.load(Relaxed);
        if count == 0 || self.stale.load(Relaxed) != 0 {
            return LatencySummary::default();
        }
        LatencySummary {
            count,
            min: self.min.load(Relaxed),
            mean: self.sum.load(Relaxed) / count,
            max: self.max.load(Relaxed),
        }
    }
}

/// Is latency measured? A NOP while it is not.
#[inline(always)]
pub(crate) fn latency_on() -> bool {
    // SAFETY: `lazyirq_keys.latency` is a static key, defined in helpers.c.
    unsafe {
        kernel::jump_label::static_branch_unlikely!(
            bindings::lazyirq_keys,
            bindings::lazyirq_key_set,
            latency
        )
    }
}

/// Which mechanism serves an interrupt.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mechanism {
    Lazy,
    Stock,
}

impl Mechanism {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Mechanism::Lazy => "lazy",
            Mechanism::Stock => "stock",
        }
    }
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// The counters of one registered interrupt.
        #[derive(Default)]
        pub(crate) struct Counters {
            $($(#[$doc])* pub(crate) $name: Counter,)*
        }

        impl Counters {
            /// The counters' names, in the order of [`Counters::values`].
            pub(crate) const NAMES: &'static [&'static str] = &[$(stringify!($name)),*];

            pub(crate) fn values(&self) -> [u64; Self::NAMES.len()] {
                [$(self.$name.get()),*]
            }

            fn reset(&self) {
                $(self.$name.reset();)*
            }
        }
    };
}

counters! {
    /// Handlers that were done in the lazy path.
    lazy,
    /// Handlers that left the lazy path waiting for a lock.
    blocked,
    /// Handlers that left the lazy path by `defer()`.
    deferred,
    /// Interrupts started in the ithread, since a handler of their IPL or above was unfinished.
    held,
    /// Interrupts that came while their own handler was unfinished, and started it once more.
    remembered,
    /// Interrupts of a handler that is dead or being dropped.
    refused,
    /// Interrupts that went to the stock mechanism's thread.
    threaded,
    /// Handlers that were done after they had left the lazy path, or in the stock IRQ thread.
    resumed,
    /// Of these, handlers that whoever released their lock has resumed. The others: the ithread.
    lent,
    /// Waits for a lock after the lazy path was left.
    reblocked,
    /// Answers `IrqReturn::None` from the lazy path (or the stock mechanism).
    spurious,
    /// Answers `IrqReturn::None` off the lazy path, after "handled" had been reported.
    late_none,
    /// Pending polls that nothing would ever have ended. The handler is dead then.
    illegal,
    /// Waits for a lock that took longer than `stall_ms`. Counted by whoever reports them.
    stalled,
    /// Runs in the ithread in which the handler has slept.
    slept,
    /// Context switches that the interrupts caused: to the thread that ran the handler, and back.
    switches,
}

/// What is known of one registered interrupt, whatever serves it.
pub(crate) struct Stats {
    pub(crate) counters: Counters,
    pub(crate) latency: Latency,
    pub(crate) mechanism: Mechanism,
    pub(crate) name: &'static CStr,
    pub(crate) irq: u32,
    pub(crate) ipl: Level,
    /// Memory that the registration takes, in bytes.
    pub(crate) memory: usize,
    /// Memory that a blocked handler's state takes of it, in bytes.
    pub(crate) continuation: usize,
}

impl Stats {
    pub(crate) fn interrupts(&self) -> u64 {
        let c = &self.counters;
        [
            &c.lazy,
            &c.blocked,
            &c.deferred,
            &c.held,
            &c.remembered,
            &c.refused,
            &c.threaded,
        ]
        .iter()
        .fold(0, |sum, counter| sum.wrapping_add(counter.get()))
    }

    pub(crate) fn reset(&self) {
        self.counters.reset();
        self.latency.stale.store(1, Relaxed);
    }
}

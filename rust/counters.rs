// SPDX-License-Identifier: GPL-2.0

//! The counters of one registered interrupt, and how they are read and reset.
//!
//! Every counter has one writer at a time (the line's hard-IRQ entry, or the thread that runs the handler),
//! so counting is a plain addition to memory that no other CPU writes. The counters of an interrupt are read
//! as of one moment, and add up:
//!
//! ```text
//! interrupts = lazy + blocked + deferred + held + remembered + refused + threaded
//! blocked + deferred + held + remembered = resumed + unfinished + illegal
//! ```

use crate::{
    primitive::{const_fn, load_own, AtomicU64, Relaxed, Release},
    seqcount::SeqCount,
};

/// A counter with one writer at a time.
#[derive(Default)]
pub(crate) struct Counter {
    count: AtomicU64,
    /// The count at the last reset: resetting does not write what the counting writes.
    base: AtomicU64,
}

impl Counter {
    const_fn! {
        pub(crate) fn new() -> Self {
            Self {
                count: AtomicU64::new(0),
                base: AtomicU64::new(0),
            }
        }
    }

    /// The `Release` pairs with the fence after each look: a reader that sees a count sees what was counted
    /// before.
    #[inline(always)]
    pub(crate) fn add(&self, n: u64) {
        self.count
            .store(load_own(&self.count).wrapping_add(n), Release);
    }

    /// The count since the last reset, given the count since registration.
    fn since_reset(&self, total: u64) -> u64 {
        total.wrapping_sub(self.base.load(Relaxed))
    }

    pub(crate) fn get(&self) -> u64 {
        self.since_reset(self.total())
    }

    /// The count since registration, regardless of resets.
    #[inline]
    pub(crate) fn total(&self) -> u64 {
        self.count.load(Relaxed)
    }

    pub(crate) fn reset(&self) {
        self.reset_at(self.total());
    }

    fn reset_at(&self, total: u64) {
        self.base.store(total, Relaxed);
    }
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// The counters of one registered interrupt.
        #[derive(Default)]
        pub(crate) struct Counters {
            $($(#[$doc])* pub(crate) $name: Counter,)*
            /// Changed by the hard-IRQ entry while an interrupt that is not counted yet may be answered.
            pub(crate) arriving: SeqCount,
        }

        impl Counters {
            fn look(&self) -> Counts {
                Counts { $($name: self.$name.total()),* }
            }

            /// All counts since the last reset, as of one moment.
            pub(crate) fn snapshot(&self) -> Counts {
                let totals = self.totals();
                Counts { $($name: self.$name.since_reset(totals.$name)),* }
            }

            /// Resets all counters as of one moment.
            pub(crate) fn reset(&self) {
                let totals = self.totals();
                $(self.$name.reset_at(totals.$name);)*
            }
        }

        /// What the counters of one interrupt were at one moment.
        #[derive(Clone, Copy, PartialEq)]
        pub(crate) struct Counts {
            $(pub(crate) $name: u64,)*
        }

        impl Counts {
            /// Each count with its name.
            pub(crate) fn each(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name)),*].into_iter()
            }
        }
    };
}

counters! {
    /// Handlers that were done in the lazy path.
    lazy,
    /// Handlers that left the lazy path waiting for a lock, or for something that nothing would ever end.
    blocked,
    /// Handlers that left the lazy path by `defer()`.
    deferred,
    /// Interrupts started in the ithread, because a handler of their IPL or above was unfinished.
    held,
    /// Interrupts that came while their own handler was unfinished, and started it once more.
    remembered,
    /// Interrupts of a handler that is dead or being dropped.
    refused,
    /// Interrupts that went to the stock mechanism's thread.
    threaded,
    /// Handlers that were done after they had left the lazy path, or in the stock IRQ thread.
    resumed,
    /// Of these, handlers that the releaser of their lock has resumed. The ithread resumed the others.
    by_releaser,
    /// Waits for a lock after the lazy path was left.
    reblocked,
    /// Waits for a lock that a thread owned.
    met_thread,
    /// Waits for a lock that another handler owned.
    met_handler,
    /// Waits for a lock that readers owned.
    met_readers,
    /// Answers `IrqReturn::None` from the lazy path (or the stock mechanism).
    spurious,
    /// Answers `IrqReturn::None` off the lazy path, after "handled" had been reported.
    late_none,
    /// Pending polls that nothing would ever have ended, and events remembered by then. The handler is dead.
    illegal,
    /// Waits for a lock that took longer than `stall_ms`. Counted by the context that reports them.
    stalled,
    /// Runs in the ithread in which the handler has slept.
    slept,
    /// Context switches that the interrupts caused: to the thread that ran the handler, and back.
    switches,
}

impl Counters {
    /// All counts since registration, as of one moment. None of them ever returns to an earlier value, so
    /// what two looks both see was true at a moment between them.
    fn totals(&self) -> Counts {
        let look = || self.arriving.read(|| self.look());
        let mut last = look();
        for _ in 0..SeqCount::LOOKS {
            let seen = look();
            if seen == last {
                break;
            }
            last = seen;
        }
        last
    }
}

impl Counts {
    pub(crate) fn interrupts(&self) -> u64 {
        [
            self.lazy,
            self.blocked,
            self.deferred,
            self.held,
            self.remembered,
            self.refused,
            self.threaded,
        ]
        .into_iter()
        .fold(0, u64::wrapping_add)
    }
}

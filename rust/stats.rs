// SPDX-License-Identifier: GPL-2.0

//! What is counted for each registered interrupt.
//!
//! Every counter has one writer at a time (the line's hard-IRQ entry, or the thread that runs the
//! handler), so counting is a plain addition to memory that no other CPU writes. What is read of an
//! interrupt is what was counted at one moment, and adds up:
//!
//! ```text
//! interrupts = lazy + blocked + deferred + held + remembered + refused + threaded
//! blocked + deferred + held + remembered = resumed + unfinished + illegal off the lazy path
//! ```

use crate::{
    observe::Timer,
    primitive::{Acquire, AtomicPtr, AtomicU32, AtomicU64, Relaxed, Release},
    seqcount::SeqCount,
    sync::Holder,
};
use core::ptr;
use kernel::{prelude::*, str::CStr};

/// A counter with one writer at a time.
#[derive(Default)]
pub(crate) struct Counter {
    count: AtomicU64,
    /// The count at the last reset: resetting does not write what the counting writes.
    base: AtomicU64,
}

impl Counter {
    /// The `Release` pairs with the `Acquire` in `total`: who sees a count sees what was counted before.
    #[inline(always)]
    pub(crate) fn add(&self, n: u64) {
        self.count
            .store(self.count.load(Relaxed).wrapping_add(n), Release);
    }

    /// The count since the last reset, out of what it was since registration.
    fn since_reset(&self, total: u64) -> u64 {
        total.wrapping_sub(self.base.load(Relaxed))
    }

    pub(crate) fn get(&self) -> u64 {
        self.since_reset(self.total())
    }

    /// The count since registration, resets or not.
    #[inline]
    pub(crate) fn total(&self) -> u64 {
        self.count.load(Acquire)
    }

    pub(crate) fn reset(&self) {
        self.reset_at(self.total());
    }

    fn reset_at(&self, total: u64) {
        self.base.store(total, Relaxed);
    }
}

/// A name to be shown: of a lock, set by whoever runs the handler.
///
/// # Invariants
///
/// It is null, or of a string in a module that is loaded: when one goes, so do its names (see
/// `Name::forget`).
pub(crate) struct Name(AtomicPtr<c_char>);

impl Name {
    const fn none() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// A module is going.
    fn forget(&self, goes: &impl Fn(*const c_char) -> bool) {
        let name = self.0.load(Relaxed);
        if !name.is_null() && goes(name) {
            self.0.store(ptr::null_mut(), Relaxed);
        }
    }

    fn set(&self, name: &'static CStr) {
        self.0.store(name.as_char_ptr().cast_mut(), Relaxed);
    }

    pub(crate) fn get(&self) -> Option<&'static CStr> {
        let name = self.0.load(Relaxed);
        // SAFETY: By the type invariant. Who shows it keeps names from being forgotten meanwhile.
        (!name.is_null()).then(|| unsafe { CStr::from_char_ptr(name) })
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
            /// For the hard-IRQ entry, while an interrupt may be answered that is not counted yet.
            pub(crate) arriving: SeqCount,
        }

        impl Counters {
            fn look(&self) -> Counts {
                Counts { $($name: self.$name.total()),* }
            }

            /// What they all were at one moment, since the last reset.
            pub(crate) fn snapshot(&self) -> Counts {
                let totals = self.totals();
                Counts { $($name: self.$name.since_reset(totals.$name)),* }
            }

            /// They all begin anew at one moment.
            fn reset(&self) {
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
            /// Each with its name.
            pub(crate) fn each(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name)),*].into_iter()
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
    /// Waits for a lock that a thread had.
    met_thread,
    /// Waits for a lock that another handler had.
    met_handler,
    /// Waits for a lock that readers had.
    met_readers,
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

impl Counters {
    /// What they all were at one moment, since registration. None of them ever returns to an earlier
    /// value, so between two looks that see the same it was so.
    fn totals(&self) -> Counts {
        let mut last = None;
        for _ in 0..SeqCount::LOOKS {
            let seen = self.arriving.look(|| self.look());
            if let Some(totals) = seen.filter(|_| seen == last) {
                return totals;
            }
            last = seen;
        }
        self.look()
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

/// What is known of one registered interrupt, whatever serves it.
pub(crate) struct Stats {
    pub(crate) counters: Counters,
    pub(crate) timer: Timer,
    pub(crate) mechanism: Mechanism,
    pub(crate) name: &'static CStr,
    pub(crate) irq: u32,
    pub(crate) ipl: Level,
    /// The lock that it has waited for last.
    pub(crate) met_lock: Name,
    /// Of the last stall: the lock, and how long it had been waited for, in milliseconds.
    pub(crate) stall_lock: Name,
    pub(crate) stall_ms: AtomicU64,
    /// Memory that the registration takes, in bytes.
    pub(crate) memory: usize,
    /// Memory that a blocked handler's state takes of it, in bytes.
    pub(crate) continuation: usize,
}

impl Stats {
    pub(crate) fn new(
        mechanism: Mechanism,
        name: &'static CStr,
        irq: u32,
        ipl: u8,
        memory: usize,
        continuation: usize,
    ) -> Self {
        Self {
            counters: Counters::default(),
            timer: Timer::new(),
            mechanism,
            name,
            irq,
            ipl: Level::new(ipl),
            met_lock: Name::none(),
            stall_lock: Name::none(),
            stall_ms: AtomicU64::new(0),
            memory,
            continuation,
        }
    }

    /// The handler waits for a lock. Whoever runs it.
    pub(crate) fn meets(&self, lock: &'static CStr, holder: Holder) {
        let counter = match holder {
            Holder::Thread => &self.counters.met_thread,
            Holder::Handler => &self.counters.met_handler,
            Holder::Readers => &self.counters.met_readers,
        };
        counter.add(1);
        self.met_lock.set(lock);
    }

    /// The handler has waited for a lock for too long. Whoever reports it.
    pub(crate) fn stalls(&self, lock: &'static CStr, ms: u64) {
        self.counters.stalled.add(1);
        self.stall_lock.set(lock);
        self.stall_ms.store(ms, Relaxed);
    }

    /// The names for which `goes` says so are forgotten: their module is going.
    pub(crate) fn forget_names(&self, goes: impl Fn(*const c_char) -> bool) {
        self.met_lock.forget(&goes);
        self.stall_lock.forget(&goes);
    }

    pub(crate) fn reset(&self) {
        self.counters.reset();
        self.timer.reset();
    }
}

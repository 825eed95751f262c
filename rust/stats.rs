// SPDX-License-Identifier: GPL-2.0

//! What is known of each registered interrupt: what was counted and measured, and what it met.

use crate::{
    counters::Counters,
    primitive::{AtomicPtr, AtomicU32, AtomicU64, Relaxed},
    sync::OwnerKind,
    times::Timer,
};
use core::ptr;
use kernel::{fmt, prelude::*, str::CStr};

/// The name of a lock, to be shown; set by the context that runs the handler, or reports its stall.
///
/// # Invariants
///
/// The pointer is null, or to a string in a module that is loaded: when a module goes away, so do its names
/// (see `Name::forget`).
pub(crate) struct Name(AtomicPtr<c_char>);

impl Name {
    const fn none() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// A module is going away.
    fn forget(&self, goes: &impl Fn(*const c_char) -> bool) {
        let name = self.0.load(Relaxed);
        if !name.is_null() && goes(name) {
            self.clear();
        }
    }

    fn clear(&self) {
        self.0.store(ptr::null_mut(), Relaxed);
    }

    fn set(&self, name: &'static CStr) {
        self.0.store(name.as_char_ptr().cast_mut(), Relaxed);
    }

    pub(crate) fn get(&self) -> Option<&'static CStr> {
        let name = self.0.load(Relaxed);
        // SAFETY: By the type invariant. The context that shows it keeps names from being forgotten
        // meanwhile.
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

/// An interrupt's number and name, to be printed.
pub(crate) struct Named {
    irq: u32,
    name: &'static CStr,
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_fmt(fmt!("interrupt {} ({})", self.irq, self.name))
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
    /// The lock that it last waited for.
    pub(crate) met_lock: Name,
    /// Of the last stall: the lock, and how long it had been waited for, in milliseconds.
    pub(crate) stall_lock: Name,
    pub(crate) stall_ms: AtomicU64,
    /// Memory that the registration takes, in bytes.
    pub(crate) memory: usize,
    /// The part of `memory` that a blocked handler's state takes, in bytes.
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

    pub(crate) fn named(&self) -> Named {
        Named {
            irq: self.irq,
            name: self.name,
        }
    }

    /// The handler waits for a lock. In the context that runs it.
    pub(crate) fn meets(&self, lock: &'static CStr, owner: OwnerKind) {
        let counter = match owner {
            OwnerKind::Thread => &self.counters.met_thread,
            OwnerKind::Handler => &self.counters.met_handler,
            OwnerKind::Readers => &self.counters.met_readers,
        };
        counter.add(1);
        self.met_lock.set(lock);
    }

    /// The handler has waited for a lock for too long. In the context that reports it.
    pub(crate) fn stalls(&self, lock: &'static CStr, ms: u64) {
        self.counters.stalled.add(1);
        self.stall_lock.set(lock);
        self.stall_ms.store(ms, Relaxed);
    }

    /// Forgets the names for which `goes` returns true: their module is going away.
    pub(crate) fn forget_names(&self, goes: impl Fn(*const c_char) -> bool) {
        self.met_lock.forget(&goes);
        self.stall_lock.forget(&goes);
    }

    pub(crate) fn reset(&self) {
        self.counters.reset();
        self.timer.reset();
        self.met_lock.clear();
        self.stall_lock.clear();
        self.stall_ms.store(0, Relaxed);
    }
}

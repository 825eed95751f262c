// SPDX-License-Identifier: GPL-2.0

//! How long interrupts take: histograms, which a registration gets when times are first measured.

use crate::{
    histogram::{Histogram, Seen, Summary},
    observe::{measuring, now},
    primitive::{Acquire, AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Relaxed, Release},
    seqcount::SeqCount,
};
use core::ptr;
use kernel::{prelude::*, time::Delta};
use pin_init::init_array_from_fn;

/// What a time was measured of: a handler, from its interrupt until it was done, by what became of it; or a
/// wait.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Lazy,
    Blocked,
    Deferred,
    Held,
    /// Handled by the stock mechanism's thread.
    Threaded,
    /// From blocking on a lock until the handler continues.
    Wait,
}

/// The times of one interrupt.
pub(crate) struct Times {
    /// Indexed by [`Kind`].
    histograms: [Histogram; Self::KINDS.len()],
    recording: SeqCount,
    /// The histograms are to be cleared. The writer does that too: a reset only asks for it.
    stale: AtomicBool,
}

impl Times {
    /// The kinds' names.
    const KINDS: [&str; 6] = ["lazy", "blocked", "deferred", "held", "threaded", "wait"];

    fn new() -> impl Init<Self> {
        init!(Self {
            histograms <- init_array_from_fn(|_| Histogram::new()),
            recording: SeqCount::default(),
            stale: AtomicBool::new(false),
        })
    }

    fn record(&self, kind: usize, ns: u64) {
        self.recording.change(|| {
            if self.stale.load(Relaxed) {
                self.histograms.iter().for_each(Histogram::clear);
                // A reader that sees this sees them cleared, or looks again.
                self.stale.store(false, Release);
            }
            self.histograms[kind].record(ns);
        });
    }

    /// Each kind's name and what was measured for it.
    pub(crate) fn each(&self) -> impl Iterator<Item = (&'static str, Seen)> + '_ {
        let seen = |histogram: &Histogram| self.recording.read(|| histogram.look());
        Self::KINDS
            .into_iter()
            .zip(self.histograms.iter().map(seen))
    }

    /// How long handlers took, whatever became of them; and how long they waited for locks.
    pub(crate) fn summaries(&self) -> [Summary; 2] {
        let (latency, waits) = self.histograms.split_at(Kind::Wait as usize);
        self.recording.read(|| [latency, waits].map(Summary::of))
    }
}

/// Measures one interrupt. Written by one context at a time, as its counters are.
pub(crate) struct Timer {
    /// When the interrupt that is not done yet came. 0: not known.
    entry: AtomicU64,
    kind: AtomicU32,
    /// Null until times are measured for the first time.
    times: AtomicPtr<Times>,
}

impl Timer {
    pub(crate) fn new() -> Self {
        Self {
            entry: AtomicU64::new(0),
            kind: AtomicU32::new(Kind::Lazy as u32),
            times: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// Makes room for the times that will be measured. Thread, may sleep; under the lock under which
    /// `measure` is called.
    pub(crate) fn prepare(&self) -> Result {
        // Measuring may have been switched off in the midst of an interrupt.
        self.entry.store(0, Relaxed);
        if self.times.load(Relaxed).is_null() {
            let times = KBox::init(Times::new(), GFP_KERNEL)?;
            // The `Release` shows the contents to contexts that load the pointer.
            self.times.store(KBox::into_raw(times), Release);
        }
        Ok(())
    }

    /// What was measured, unless it has been reset.
    pub(crate) fn times(&self) -> Option<&Times> {
        self.room().filter(|times| !times.stale.load(Acquire))
    }

    fn room(&self) -> Option<&Times> {
        // SAFETY: It is null, or was made by `prepare` and exists until this is dropped.
        unsafe { self.times.load(Acquire).as_ref() }
    }

    pub(crate) fn reset(&self) {
        if let Some(times) = self.room() {
            times.stale.store(true, Relaxed);
        }
    }

    /// The interrupt has come.
    #[cold]
    pub(crate) fn start(&self, kind: Kind) {
        // Counted from the first of several interrupts that one run of a stock thread answers.
        if measuring() && self.entry.load(Relaxed) == 0 {
            self.entry.store(now(), Relaxed);
            self.become_kind(kind);
        }
    }

    /// The device raised the interrupt `ago` before now.
    #[cold]
    pub(crate) fn raised(&self, ago: Delta) {
        if self.entry.load(Relaxed) != 0 {
            // A time in the future is an error of the device's clock.
            let ago = u64::try_from(ago.as_nanos()).unwrap_or(0);
            self.entry.store(now().saturating_sub(ago).max(1), Relaxed);
        }
    }

    pub(crate) fn become_kind(&self, kind: Kind) {
        self.kind.store(kind as u32, Relaxed);
    }

    /// Its handler has got a lock after waiting for `ns`. 0: not known.
    #[cold]
    pub(crate) fn has_waited(&self, ns: u64) {
        if let Some(times) = self.room().filter(|_| ns != 0) {
            times.record(Kind::Wait as usize, ns);
        }
    }

    /// Its handler is done.
    #[cold]
    pub(crate) fn stop(&self) {
        let entry = self.entry.load(Relaxed);
        if entry == 0 {
            return; // Measuring was switched on after the entry, or the event was remembered.
        }
        self.entry.store(0, Relaxed);
        if !measuring() {
            return; // It may be of long ago: while nothing is watched, this is not called.
        }
        if let Some(times) = self.room() {
            times.record(
                self.kind.load(Relaxed) as usize,
                now().saturating_sub(entry),
            );
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let times = *self.times.get_mut();
        if !times.is_null() {
            // SAFETY: It was made from a box, in `prepare`, and is no longer used.
            drop(unsafe { KBox::from_raw(times) });
        }
    }
}

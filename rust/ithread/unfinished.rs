// SPDX-License-Identifier: GPL-2.0

//! How many continuations are unfinished, on each CPU, by IPL.
//!
//! The highest of these levels is what the lazy path compares with (`lazyirq_level`, a per-CPU variable).
//! Only the CPU itself touches its counts, with interrupts off: they need no lock. A context that takes over
//! or finishes a continuation of another CPU adds to `moved` there, and that CPU looks at it in its ithread,
//! or when an interrupt is about to be held for nothing else.

use super::{boost, cpu};
use crate::{
    bindings,
    ipl::Ipl,
    percpu,
    primitive::{Acquire, Relaxed, Release},
    releaser::Batch,
    slot::Head,
};
use kernel::{cpu::CpuId, types::NotThreadSafe};

/// How many continuations of each IPL are unfinished: blocked, queued or running.
pub(super) struct Unfinished {
    counts: [u32; Ipl::COUNT],
    /// A bit for each IPL whose count is not 0.
    levels: u32,
}

impl Unfinished {
    pub(super) const NONE: Unfinished = Unfinished {
        counts: [0; Ipl::COUNT],
        levels: 0,
    };

    // Neither can overflow: there are not that many handlers, and each is counted once.
    fn add(&mut self, ipl: usize) -> i32 {
        self.counts[ipl] = self.counts[ipl].wrapping_add(1);
        self.levels |= 1 << ipl;
        self.level()
    }

    pub(super) fn remove(&mut self, ipl: usize, count: u32) -> i32 {
        self.counts[ipl] = self.counts[ipl].wrapping_sub(count);
        if self.counts[ipl] == 0 {
            self.levels &= !(1 << ipl);
        }
        self.level()
    }

    /// The highest IPL with an unfinished continuation, 0 for none.
    fn level(&self) -> i32 {
        self.levels.checked_ilog2().unwrap_or(0) as i32
    }
}

/// One more continuation is unfinished on `id`.
///
/// # Safety
///
/// `id` is this CPU, and interrupts are off.
pub(crate) unsafe fn add_unfinished(id: u32, ipl: usize) {
    // SAFETY: By the requirement, nothing else accesses it.
    let level = unsafe { (*cpu(id).unfinished.get()).add(ipl) };
    percpu::set_level(level);
}

/// One fewer continuation is unfinished on `id`.
///
/// # Safety
///
/// As for `add_unfinished`.
unsafe fn finished(id: u32, ipl: usize) {
    // SAFETY: By the requirement, nothing else accesses it.
    let level = unsafe { (*cpu(id).unfinished.get()).remove(ipl, 1) };
    percpu::set_level(level);
}

/// Interrupts are off until this is dropped.
pub(crate) struct InterruptsOff(NotThreadSafe);

impl InterruptsOff {
    /// # Safety
    ///
    /// The caller is a thread that has interrupts on.
    #[inline(always)]
    pub(crate) unsafe fn new() -> Self {
        // SAFETY: By the requirement; they are on again when the result is dropped.
        unsafe { bindings::lazyirq_irq_off() };
        Self(NotThreadSafe)
    }
}

impl Drop for InterruptsOff {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: They were on before.
        unsafe { bindings::lazyirq_irq_on() };
    }
}

/// One fewer continuation is unfinished on `home`, and on `id` if a releaser has run it there.
///
/// # Safety
///
/// `id` is this CPU, where it was run, and interrupts are off.
#[inline(always)]
pub(crate) unsafe fn finished_for(id: u32, home: u32, ipl: usize) {
    // SAFETY: By the requirement.
    unsafe { finished(id, ipl) };
    if home != id {
        // Only that CPU may change its count. It does so when an interrupt asks.
        cpu(home).work[ipl].moved.fetch_add(1, Release);
    }
}

/// Is there only one unfinished continuation of `ipl` on this CPU, and none above?
///
/// # Safety
///
/// `id` is this CPU, and the caller stays on it.
#[inline(always)]
pub(crate) unsafe fn is_alone(id: u32, ipl: usize) -> bool {
    // SAFETY: By the requirement; only interrupts change it meanwhile.
    let count = unsafe { (&raw const (*cpu(id).unfinished.get()).counts[ipl]).read_volatile() };
    percpu::level() == ipl as i32 && count == 1
}

/// A releaser resumes a continuation: meanwhile it counts on the releaser's CPU. It may be gone afterwards.
///
/// # Safety
///
/// To be called by the batch's releaser, with what was in the batch.
#[inline(always)]
pub(crate) unsafe fn resume_in_releaser(head: &Head, batch: &Batch) {
    let (id, home, ipl) = (batch.cpu(), head.home(), head.ipl());
    if home != id {
        // SAFETY: The releaser is a thread that stays on that CPU.
        unsafe {
            let _off = InterruptsOff::new();
            add_unfinished(id, ipl);
        }
    }
    let rests = head.resume(batch);
    if home != id && !rests {
        // SAFETY: As above.
        unsafe {
            let _off = InterruptsOff::new();
            finished(id, ipl);
        }
    }
    boost::has_run(home, ipl);
}

/// Stops counting on this CPU what other CPUs have finished. Hard IRQ.
#[cold]
pub(crate) fn forget_all_moved() {
    let id = CpuId::current().as_u32();
    for ipl in 1..Ipl::COUNT {
        if cpu(id).work[ipl].moved.load(Relaxed) != 0 {
            // SAFETY: Interrupts are off here.
            unsafe { forget_moved(id, ipl) };
        }
    }
}

/// Stops counting here the continuations that other CPUs have taken over, or finished.
///
/// # Safety
///
/// As for `add_unfinished`.
#[cold]
pub(super) unsafe fn forget_moved(id: u32, ipl: usize) {
    let moved = cpu(id).work[ipl].moved.swap(0, Acquire);
    // SAFETY: By the requirement, nothing else accesses it.
    let level = unsafe { (*cpu(id).unfinished.get()).remove(ipl, moved) };
    percpu::set_level(level);
}

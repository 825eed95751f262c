// SPDX-License-Identifier: GPL-2.0

//! How many continuations are unfinished, on each CPU, by IPL.
//!
//! The highest of these levels is what the lazy path compares with (`lazyirq_level`, a per-CPU variable).
//! Only the CPU itself touches its counts, with interrupts off: they need no lock. A context that takes over
//! or finishes a continuation of another CPU adds to `moved` there, and that CPU looks at it in its ithread,
//! or when an interrupt is about to be held for nothing else.

use super::{boost, cpu, Cpu};
use crate::{
    bindings,
    ipl::Ipl,
    percpu,
    primitive::{Acquire, Relaxed, Release},
    releaser::Batch,
    slot::Head,
};
use core::ptr;
use kernel::{cpu::CpuId, types::NotThreadSafe};

/// How many continuations of each IPL are unfinished: blocked, queued or running.
pub(super) struct Unfinished {
    /// The IPL of the only one, which `counts` leaves out: the usual case, at the price of one comparison. 0 if there is
    /// none, or if there have been others beside it.
    only: usize,
    counts: [u32; Ipl::COUNT],
    /// A bit for each IPL whose count is not 0.
    levels: u32,
}

impl Unfinished {
    pub(super) const NONE: Unfinished = Unfinished {
        only: 0,
        counts: [0; Ipl::COUNT],
        levels: 0,
    };

    /// Returns the highest IPL of those that are unfinished now.
    #[inline(always)]
    fn add(&mut self, ipl: usize) -> i32 {
        if self.only | self.levels as usize == 0 {
            self.only = ipl;
            return ipl as i32;
        }
        self.add_to_others(ipl)
    }

    #[cold]
    #[inline(never)]
    fn add_to_others(&mut self, ipl: usize) -> i32 {
        let only = core::mem::take(&mut self.only);
        if only > 0 {
            self.count(only);
        }
        self.count(ipl);
        self.level()
    }

    // This cannot overflow: there are not that many handlers, and each is counted once.
    fn count(&mut self, ipl: usize) {
        self.counts[ipl] = self.counts[ipl].wrapping_add(1);
        self.levels |= 1 << ipl;
    }

    /// Returns the highest IPL of those that are still unfinished, 0 for none.
    #[inline(always)]
    pub(super) fn remove(&mut self, ipl: usize, count: u32) -> i32 {
        if self.only == ipl && count > 0 {
            self.only = 0;
            return 0;
        }
        self.remove_from_others(ipl, count)
    }

    #[cold]
    #[inline(never)]
    fn remove_from_others(&mut self, ipl: usize, count: u32) -> i32 {
        self.counts[ipl] = self.counts[ipl].wrapping_sub(count);
        if self.counts[ipl] == 0 {
            self.levels &= !(1 << ipl);
        }
        self.level()
    }

    fn level(&self) -> i32 {
        self.levels.checked_ilog2().unwrap_or(self.only as u32) as i32
    }
}

/// One more continuation is unfinished on `cpu`.
///
/// # Safety
///
/// It is this CPU, and interrupts are off.
#[inline(always)]
pub(crate) unsafe fn add_unfinished(cpu: &Cpu, ipl: usize) {
    // SAFETY: By the requirement, nothing else accesses it.
    let level = unsafe { (*cpu.unfinished.get()).add(ipl) };
    percpu::set_level(level);
}

/// One fewer continuation is unfinished on `cpu`.
///
/// # Safety
///
/// As for `add_unfinished`.
#[inline(always)]
unsafe fn finished(cpu: &Cpu, ipl: usize) {
    // SAFETY: By the requirement, nothing else accesses it.
    let level = unsafe { (*cpu.unfinished.get()).remove(ipl, 1) };
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

/// One fewer continuation is unfinished on `home`, and on `here` if a releaser has run it there.
///
/// # Safety
///
/// `here` is this CPU, where it was run, and interrupts are off.
#[inline(always)]
pub(crate) unsafe fn finished_for(here: &Cpu, home: &Cpu, ipl: usize) {
    // SAFETY: By the requirement.
    unsafe { finished(here, ipl) };
    if !ptr::eq(home, here) {
        // Only that CPU may change its count. It does so when an interrupt asks.
        home.work[ipl].moved.fetch_add(1, Release);
    }
}

/// Is a continuation of `ipl` the only unfinished one on this CPU?
///
/// # Safety
///
/// `cpu` is this one, and the caller stays on it.
#[inline(always)]
pub(crate) unsafe fn is_alone(cpu: &Cpu, ipl: usize) -> bool {
    // SAFETY: By the requirement; only interrupts change it meanwhile.
    unsafe { (&raw const (*cpu.unfinished.get()).only).read_volatile() == ipl }
}

/// A releaser resumes a continuation: meanwhile it counts on the releaser's CPU. It may be gone afterwards.
///
/// # Safety
///
/// To be called by the batch's releaser, with what was in the batch.
#[inline(always)]
pub(crate) unsafe fn resume_in_releaser(head: &Head, batch: &Batch) {
    let (here, home, ipl) = (batch.cpu(), head.home(), head.ipl());
    let is_elsewhere = !ptr::eq(home, here);
    if is_elsewhere {
        // SAFETY: The releaser is a thread that stays on that CPU.
        unsafe {
            let _off = InterruptsOff::new();
            add_unfinished(here, ipl);
        }
    }
    let rests = head.resume(batch);
    if is_elsewhere && !rests {
        // SAFETY: As above.
        unsafe {
            let _off = InterruptsOff::new();
            finished(here, ipl);
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

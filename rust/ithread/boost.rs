// SPDX-License-Identifier: GPL-2.0

//! Boosts: ithreads that run at a higher priority for the sake of one continuation.

use super::{cpu, Work};
use crate::{
    bindings,
    ipl::Ipl,
    primitive::{fence, Acquire, Relaxed},
    slot::Head,
};
use core::ptr;
use kernel::{prelude::*, sync::global_lock};

global_lock! {
    // SAFETY: Initialised in `Ithreads::new`, before the first registration.
    pub(super) unsafe(uninit) static BOOSTED: Mutex<()> = ();
}

/// An ithread is to run at a higher priority until it has run a certain continuation, which has a
/// lock that somebody of that priority waits for.
pub(crate) struct Boost {
    home: u32,
    ipl: usize,
    head: *mut Head,
    fifo: u32,
}

impl Boost {
    /// `None` if the ithread's own priority will do. The caller keeps the continuation from releasing
    /// the lock.
    pub(crate) fn new(head: &Head, fifo: u32) -> Option<Self> {
        let (home, ipl) = (head.home(), head.ipl());
        if fifo <= Ipl::FIFO_BASE + ipl as u32 {
            return None;
        }
        let head = ptr::from_ref(head).cast_mut();
        cpu(home).work[ipl].boosted_for.store(head, Relaxed);
        Some(Self {
            home,
            ipl,
            head,
            fifo,
        })
    }

    /// Thread, may sleep.
    pub(crate) fn perform(self) {
        let _boosted = BOOSTED.lock();
        let work = &cpu(self.home).work[self.ipl];
        // Not if it has run by now.
        if ptr::eq(work.boosted_for.load(Relaxed), self.head) {
            // SAFETY: There is a boost, and its lock is held.
            unsafe { work.set_priority(self.fifo) };
        }
    }

    /// An ithread of `ipl` has run the continuation, on one of these CPUs; for its sake the ithread of
    /// either may have been boosted. Thread, may sleep.
    ///
    /// Whoever boosts does it with the turnstile of the lock locked, while the lock's word says that
    /// somebody waits. The handler has released it since: with the turnstile locked, or by the word as it
    /// was afterwards. So the boost is seen.
    #[inline]
    pub(super) fn has_run(cpus: [u32; 2], ipl: usize, head: *const Head) {
        fence(Acquire);
        for id in cpus {
            if ptr::eq(cpu(id).work[ipl].boosted_for.load(Relaxed), head) {
                Self::end(id, ipl, head);
            }
        }
    }

    /// The boost for the sake of `head` is over. Thread, may sleep.
    #[cold]
    fn end(id: u32, ipl: usize, head: *const Head) {
        let _boosted = BOOSTED.lock();
        let work = &cpu(id).work[ipl];
        // Not if that thread is about to end.
        if ptr::eq(work.boosted_for.load(Relaxed), head) {
            // SAFETY: There is a boost, and its lock is held.
            unsafe { work.set_priority(Ipl::FIFO_BASE + ipl as u32) };
            // Another one may have come meanwhile, on its way to `perform`.
            let head = head.cast_mut();
            let _ = work
                .boosted_for
                .compare_exchange(head, ptr::null_mut(), Relaxed, Relaxed);
        }
    }

    /// In place of the continuation: it is over, and the ithread has to end it.
    fn left() -> *mut Head {
        ptr::without_provenance_mut(1)
    }

    pub(super) fn is_left(work: &Work) -> bool {
        work.boosted_for.load(Relaxed) == Self::left()
    }

    /// The same of one that was run by another thread, which has preemption off: the ithread on `id` is to
    /// end the boost.
    #[inline(always)]
    pub(super) fn has_run_elsewhere(id: u32, ipl: usize, head: *const Head) {
        fence(Acquire);
        if !cpu(id).work[ipl].boosted_for.load(Relaxed).is_null() {
            Self::leave(id, ipl, head);
        }
    }

    #[cold]
    fn leave(id: u32, ipl: usize, head: *const Head) {
        let work = &cpu(id).work[ipl];
        let thread = work.thread.load(Relaxed);
        let left =
            work.boosted_for
                .compare_exchange(head.cast_mut(), Self::left(), Relaxed, Relaxed);
        if left.is_ok() && !thread.is_null() {
            // SAFETY: A thread's memory goes after an RCU grace period only, and a thread that has
            // ended is not woken.
            unsafe { bindings::wake_up_process(thread) };
        }
    }

    /// Ends a boost that was left to this ithread.
    pub(super) fn end_left(id: u32, ipl: usize) {
        if Self::is_left(&cpu(id).work[ipl]) {
            Self::end(id, ipl, Self::left());
        }
    }

    /// The ithreads of `ipl` are about to end. Nothing of it is unfinished, but those who have seen
    /// something may be on their way to `perform` or `end`.
    pub(super) fn forget(ipl: usize) {
        let _boosted = BOOSTED.lock();
        for id in 0..kernel::cpu::nr_cpu_ids() {
            cpu(id).work[ipl]
                .boosted_for
                .store(ptr::null_mut(), Relaxed);
        }
    }
}

impl Work {
    /// # Safety
    ///
    /// It is boosted, and the caller holds `BOOSTED`: so its thread does not end (see `forget`).
    unsafe fn set_priority(&self, fifo: u32) {
        let thread = self.thread.load(Relaxed);
        if !thread.is_null() {
            // SAFETY: By the requirement.
            unsafe { bindings::lazyirq_set_fifo(thread, fifo) };
        }
    }
}

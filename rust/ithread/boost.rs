// SPDX-License-Identifier: GPL-2.0

//! Boosts: an ithread runs at a higher priority while a continuation that it is to run owns a lock that has a
//! waiter of that priority.
//!
//! All of it is done by the [dispatcher](crate::sync): in each of its passes it raises the priorities of the
//! ithreads for which it finds such a continuation, and at the end lowers those for which it no longer finds
//! any. (An ithread that lowered its own priority might not get any further.) The context that has run a
//! continuation of a boosted ithread calls for the next pass.

use super::{cpu, Cpu, Work};
use crate::{
    bindings,
    ipl::Ipl,
    primitive::{fence, Acquire, AtomicU32, Cell, Relaxed, Release},
    slot::Head,
    sync::{await_dispatcher, dispatch},
};

/// How an ithread is boosted.
pub(super) struct Boosted {
    /// To which `SCHED_FIFO` priority it is boosted: 0 if it is not, `NEVER` if it is about to end.
    fifo: AtomicU32,
    /// What this pass has found that the ithread needs. Touched by the dispatcher alone.
    need: Cell<u32>,
}

const NEVER: u32 = u32::MAX;

impl Boosted {
    pub(super) fn new() -> Self {
        Self {
            fifo: AtomicU32::new(0),
            need: Cell::new(0),
        }
    }

    fn set(&self, fifo: u32) {
        // Not that of an ithread that is about to end.
        let _ = self
            .fifo
            .fetch_update(Relaxed, Relaxed, |old| (old != NEVER).then_some(fifo));
    }

    fn is_boosted(&self) -> bool {
        !matches!(self.fifo.load(Relaxed), 0 | NEVER)
    }

    /// The ithread has ended, and is not known any more.
    pub(super) fn reset(&self) {
        self.fifo.store(0, Release);
    }
}

/// An ithread's priority is to be changed.
pub(crate) struct Boost {
    /// The CPU.
    id: u32,
    ipl: usize,
}

impl Boost {
    /// The ithread of the continuation needs this priority. `None` if it has it. Called by the dispatcher,
    /// which keeps the continuation from releasing the lock.
    pub(crate) fn new(head: &Head, fifo: u32) -> Option<Self> {
        let (id, ipl) = (head.ithread_cpu(), head.ipl());
        let boosted = &cpu(id).work[ipl].boosted;
        boosted.need.set(fifo.max(boosted.need.get()));
        let has = boosted.fifo.load(Relaxed).max(own(ipl));
        if fifo <= has {
            return None;
        }
        // Before the lock is released: see `has_run`.
        cpu(id).has_boosts.store(true, Relaxed);
        boosted.set(fifo);
        Some(Self { id, ipl })
    }

    /// The dispatcher.
    pub(crate) fn perform(self) {
        cpu(self.id).work[self.ipl].set_priority(self.ipl);
    }
}

/// The dispatcher has looked at all locks. If that was all that there is to know, boosted ithreads need
/// no more than it has found. The dispatcher.
pub(crate) fn end_pass(is_all_known: bool) {
    let cpus = || (0..kernel::cpu::nr_cpu_ids()).map(cpu);
    if !cpus().any(|cpu| cpu.has_boosts.load(Relaxed)) {
        return;
    }
    for cpu in cpus() {
        for (ipl, work) in cpu.work.iter().enumerate() {
            let need = work.boosted.need.replace(0);
            if is_all_known && work.boosted.is_boosted() {
                work.boosted.set(if need > own(ipl) { need } else { 0 });
                work.set_priority(ipl);
            }
        }
        if !cpu.work.iter().any(|work| work.boosted.is_boosted()) {
            cpu.has_boosts.store(false, Relaxed);
        }
    }
}

/// A continuation of the ithread of `ipl` on `cpu` has been run. Any context.
///
/// No boost is missed: it is stored with the lock's turnstile locked, while the lock's word has the waiters' bit.
/// The handler has released the lock since: with the turnstile locked, or, if the waiters had given up, by a
/// compare-exchange of a word that was stored so, which the fence makes an acquire.
#[inline(always)]
pub(crate) fn has_run(cpu: &Cpu, ipl: usize) {
    fence(Acquire);
    if cpu.has_boosts.load(Relaxed) {
        ithread_has_run(cpu, ipl);
    }
}

#[cold]
#[inline(never)]
fn ithread_has_run(cpu: &Cpu, ipl: usize) {
    if cpu.work[ipl].boosted.fifo.load(Relaxed) != 0 {
        dispatch();
    }
}

/// The ithreads of `ipl` are about to end: when this returns, the dispatcher does not touch them any more. (Nothing
/// of that IPL is unfinished, but it may have seen something.) Thread, may sleep.
pub(super) fn forget(ipl: usize) {
    for id in 0..kernel::cpu::nr_cpu_ids() {
        cpu(id).work[ipl].boosted.fifo.store(NEVER, Relaxed);
    }
    await_dispatcher();
}

/// An ithread's own priority.
fn own(ipl: usize) -> u32 {
    Ipl::FIFO_BASE + ipl as u32
}

impl Work {
    /// Gives the thread, if there is one, the priority that it is boosted to, or its own. The dispatcher.
    fn set_priority(&self, ipl: usize) {
        // The `Acquire` pairs with the `Release` in `reset`: who sees that does not see the thread of before.
        let fifo = self.boosted.fifo.load(Acquire);
        let thread = self.thread.load(Relaxed);
        if !thread.is_null() && fifo != NEVER {
            // SAFETY: It does not end during this pass: `forget` would have stored `NEVER` before this pass
            // began, or would wait for it.
            unsafe { bindings::lazyirq_set_fifo(thread, fifo.max(own(ipl))) };
        }
    }
}

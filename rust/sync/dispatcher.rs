// SPDX-License-Identifier: GPL-2.0

//! The dispatcher: priority inheritance. A waiter lends its priority to the owner that it waits for in the end.
//!
//! A lock whose waiters have not moved from one [look](super::watch) to the next is the dispatcher's
//! work. This is a thread above all ithreads. It follows the [chain](super::chain) to the owner that does not
//! wait for a lazyirq lock, and
//!
//! - if that is a thread, has a [lender](super::lender) lend it the priority, which the thread
//!   repays when it releases the lock;
//! - if that is a handler, raises the priority of the ithread that runs it, until it has released the lock;
//! - if the chain leads back to itself, tells one of the owners in it that it waits in vain.
//!
//! Repaying a loan calls for the dispatcher at once.

use crate::{
    bindings,
    continuation::Phase,
    ithread, registered,
    sync::{
        chain::{Chain, Changed, Cycle, End},
        events,
        lender::{Lender, Lenders, Loan},
        raw::{Owner, Party, RawLock},
        sleeper::{fifo_priority, priority_of},
        stall,
        watch::{self, Watched, WATCHED},
    },
};

/// Calls for the dispatcher. Any context.
pub(crate) fn dispatch() {
    // SAFETY: Any context; the dispatcher exists while the module does.
    unsafe { bindings::lazyirq_dispatch() };
}

/// Waits until what the dispatcher is doing is done. Thread, may sleep; not the dispatcher itself.
pub(crate) fn await_dispatcher() {
    // SAFETY: Thread context; the dispatcher exists while the module does.
    unsafe { bindings::lazyirq_await_dispatcher() };
}

/// The dispatcher's work. Thread.
#[no_mangle]
extern "C" fn lazyirq_dispatched() {
    WATCHED.lock().begin_pass();
    let mut again = false;
    loop {
        // One lock at a time, as interrupts are off meanwhile.
        let Some(verdict) = WATCHED.lock().next_verdict() else {
            break;
        };
        match verdict {
            Verdict::Settled => (),
            Verdict::Act(action) => action.perform(),
            Verdict::Later(action) => {
                again = true;
                action.into_iter().for_each(Action::perform);
            }
        }
    }
    // A boosted ithread remains so until it is known whether it must be.
    ithread::end_pass(!again);
    if again {
        watch::dispatch_again();
    }
    // With a delay of 0 the timer may not have looked.
    stall::expect();
}

/// A lender has become idle, or is new.
pub(super) fn lender_is_idle(lender: &'static Lender) {
    let watched = WATCHED.lock();
    lender.next_idle.set(watched.idle.replace(Some(lender)));
    if watched.short.take() {
        dispatch();
    }
}

enum Action {
    Lend(Loan),
    Raise(Loan),
    Boost(ithread::Boost),
    Report(Cycle),
}

impl Action {
    /// Does what cannot be done under the list's lock. Thread.
    fn perform(self) {
        match self {
            Self::Lend(loan) => loan.begin(),
            Self::Raise(loan) => loan.raise(),
            Self::Boost(boost) => boost.perform(),
            Self::Report(cycle) => cycle.report(),
        }
    }
}

impl Watched {
    /// The verdict on the next lock in this pass.
    fn next_verdict(&self) -> Option<Verdict> {
        let (lock, need) = self.next_in_pass()?;
        let verdict = self.settle(lock, need);
        if matches!(verdict, Verdict::Later(_)) {
            lock.turnstile().set_settled(false);
        }
        Some(verdict)
    }

    /// What is to be done for the waiters of `lock`?
    fn settle(&self, lock: &RawLock, need: u32) -> Verdict {
        let mut chain = Chain::new(lock, need > 0);
        match self.follow(&mut chain) {
            End::Nobody => Verdict::Settled,
            End::Owner(..) if need == 0 => Verdict::Settled,
            End::Owner(last, owner) => match owner.party() {
                Party::Handler(slot) => boost(last, owner, slot, need),
                Party::Thread(task) => self.lend(last, owner, task, need),
            },
            End::Cycle(start) => match Cycle::break_up(&chain, start, self) {
                Err(Changed) => Verdict::Later(None),
                Ok(None) => Verdict::Settled,
                Ok(Some(cycle)) => Verdict::Act(Action::Report(cycle)),
            },
        }
    }

    /// Lends the priority to the thread that owns `lock`.
    fn lend(&self, lock: &RawLock, owner: Owner, task: usize, need: u32) -> Verdict {
        let mut turnstile = lock.turnstile();
        if turnstile.is_empty() || lock.owner() != Some(owner) {
            return Verdict::Later(None);
        }
        let task = task as *mut bindings::task_struct;
        // SAFETY: It owns the lock and has not released it, which would take the turnstile's
        // lock; so it is alive. (A priority that others lend it may be lost at any time.)
        let has = fifo_priority(priority_of(unsafe { (*task).normal_prio }));
        if has >= need {
            return Verdict::Settled;
        }
        if let Some(loan) = turnstile.loan {
            if !loan.set_priority(need) {
                return Verdict::Settled;
            }
            events::lends(lock, owner, need);
            return Verdict::Act(Action::Raise(loan));
        }
        let idle = self.idle.get();
        let next = idle.and_then(|lender| lender.next_idle.take());
        self.idle.set(next);
        if next.is_none() {
            // In advance, since making a thread depends on others that are not urgent.
            Lenders::one_more();
        }
        let Some(lender) = idle else {
            // The next lender to become idle calls for the dispatcher.
            self.short.set(true);
            return Verdict::Settled;
        };
        let loan = Loan::new(lender, task, need);
        turnstile.loan = Some(loan);
        turnstile.tally.lent += 1;
        events::lends(lock, owner, need);
        Verdict::Act(Action::Lend(loan))
    }
}

/// Has the handler that owns `lock` run at the priority.
fn boost(lock: &RawLock, owner: Owner, slot: usize, need: u32) -> Verdict {
    let mut turnstile = lock.turnstile();
    if turnstile.is_empty() || lock.owner() != Some(owner) {
        return Verdict::Later(None);
    }
    // It has not released the lock, which would take the turnstile's lock. So it is unfinished, unless it has
    // forgotten its guard.
    let found = registered::find(slot, |head| match head.continuation.load().phase() {
        Phase::Queued | Phase::Running => Some((ithread::Boost::new(head, need), true)),
        // On its way into a wait. If it is in the lazy path, its home is yet to be known.
        Phase::Armed | Phase::Notified => Some((ithread::Boost::new(head, need), false)),
        Phase::Dead => Some((None, true)),
        // In the lazy path, or has just begun to wait.
        Phase::Idle | Phase::Parked => None,
    });
    let (boost, is_final) = match found {
        Some(found) => found.unwrap_or((None, false)),
        None => (None, true),
    };
    let action = boost.map(|boost| {
        turnstile.tally.lent += 1;
        events::lends(lock, owner, need);
        Action::Boost(boost)
    });
    if !is_final {
        return Verdict::Later(action);
    }
    action.map_or(Verdict::Settled, Verdict::Act)
}

enum Verdict {
    Settled,
    Act(Action),
    /// The chain is in motion. This may be done all the same.
    Later(Option<Action>),
}

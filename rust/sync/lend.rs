// SPDX-License-Identifier: GPL-2.0

//! Priority inheritance: a waiter lends its priority to the owner that it waits for in the end.
//!
//! A lock whose waiters have not moved from one [look](super::watch) to the next is the dispatcher's
//! work. This is a thread above all ithreads. It follows the chain (the owner of the lock may itself wait
//! for a lock) to the owner that does not wait for a lazyirq lock, and
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
        events,
        lender::{Lender, Lenders},
        raw::{Owner, RawLock},
        sleeper::{fifo_priority, priority_of},
        stall,
        turnstile::Waiter,
        watch::{self, Watched, WATCHED},
    },
};
use core::{ffi::CStr, ptr};
use kernel::{prelude::*, sync::rcu};

pub(super) use crate::sync::lender::Loan;

/// The maximum number of locks in a chain. A longer one lends nothing, and a longer cycle is not found.
const CHAIN: usize = 8;

/// Calls for the dispatcher. Any context.
pub(crate) fn dispatch() {
    // SAFETY: Any context; the dispatcher exists while the module does.
    unsafe { bindings::lazyirq_dispatch() };
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
    ithread::Boost::end_pass(!again);
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
    fn next_verdict(&mut self) -> Option<Verdict> {
        let (lock, need) = self.next_in_pass()?;
        // SAFETY: It is in the list, whose lock is held.
        let lock = unsafe { &*lock };
        let verdict = self.settle(lock, need);
        if matches!(verdict, Verdict::Later(_)) {
            lock.turnstile.lock().set_settled(false);
        }
        Some(verdict)
    }

    /// What is to be done for the waiters of `lock`?
    fn settle(&self, lock: &RawLock, need: u32) -> Verdict {
        let mut chain = Chain::new();
        match self.follow(lock, &mut chain) {
            End::Nobody => Verdict::Settled,
            End::Owner(last, owner) if need > 0 => match owner.address() {
                Ok(slot) => boost(last, owner, slot, need),
                Err(_) => self.lend(last, owner, need),
            },
            End::Owner(..) => Verdict::Settled,
            End::Cycle(start) => {
                // Did all of it exist at one time, or only parts at different times? If nothing has
                // changed between the two looks, all of it existed in between.
                let mut second = Chain::new();
                // SAFETY: By the type invariant.
                let begin = unsafe { &*chain.links[start].lock };
                self.follow(begin, &mut second);
                let cycle = &chain.links[start..chain.len];
                if cycle != &second.links[..second.len] {
                    return Verdict::Later(None);
                }
                Cycle::break_up(cycle).map_or(Verdict::Settled, |cycle| {
                    Verdict::Act(Action::Report(cycle))
                })
            }
        }
    }

    /// Follows the chain from the owner of `lock` to the lock that it waits for, and on. Each waiter on the way is
    /// moved up to the place of the first of the waiters that depend on it. When such a wait ends, the chain is a
    /// different one, and the dispatcher is called.
    fn follow(&self, lock: &RawLock, chain: &mut Chain) -> End {
        let mut lock = lock;
        let mut order = 0;
        while chain.len < CHAIN {
            let (owner, changes) = {
                let turnstile = lock.turnstile.lock();
                let first = turnstile.iter().next();
                order = first.map_or(0, Waiter::order).max(order);
                (lock.owner().filter(|_| first.is_some()), turnstile.changes)
            };
            let Some(owner) = owner else {
                return End::Nobody;
            };
            let link = &mut chain.links[chain.len];
            link.lock = lock;
            link.changes = changes;
            let Some((next, waiter, can_fail)) = self.wait_of(owner, order) else {
                return End::Owner(lock, owner);
            };
            (link.waiter, link.can_fail) = (waiter, can_fail);
            link.is_thread = owner.address().is_err();
            chain.len += 1;
            let known = chain.links[..chain.len].iter();
            if let Some(start) = known.map(|link| link.lock).position(|l| ptr::eq(l, next)) {
                return End::Cycle(start);
            }
            // SAFETY: By the type invariant.
            lock = unsafe { &*next };
        }
        End::Nobody
    }

    /// The lock that `owner` waits for, and how. The waiter is moved up to `order` if it is lower.
    fn wait_of(&self, owner: Owner, order: u32) -> Option<(*const RawLock, *const Waiter, bool)> {
        self.locks().find_map(|lock| {
            let mut turnstile = lock.turnstile.lock();
            let waiter = turnstile.iter().find(|w| w.request.owner == owner)?;
            waiter.set_followed();
            let (is_lower, can_fail) = (waiter.order() < order, waiter.request.can_fail);
            let waiter = ptr::from_ref(waiter);
            if is_lower {
                turnstile.raise(waiter, order);
            }
            Some((ptr::from_ref(lock), waiter, can_fail))
        })
    }

    /// Lends the priority to the thread that owns `lock`.
    fn lend(&self, lock: *const RawLock, owner: Owner, need: u32) -> Verdict {
        // SAFETY: By the type invariant.
        let lock = unsafe { &*lock };
        let mut turnstile = lock.turnstile.lock();
        if turnstile.is_empty() || lock.owner() != Some(owner) {
            return Verdict::Later(None);
        }
        let task = owner.word() as *mut bindings::task_struct;
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
fn boost(lock: *const RawLock, owner: Owner, slot: usize, need: u32) -> Verdict {
    // SAFETY: It is in the list, whose lock is held.
    let lock = unsafe { &*lock };
    let mut turnstile = lock.turnstile.lock();
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

/// Where a chain ends.
enum End {
    /// At a lock without a known owner, or too far away.
    Nobody,
    /// At the owner of this lock, which does not wait for another.
    Owner(*const RawLock, Owner),
    /// Nowhere: the last lock's owner waits for the lock at this place in the chain.
    Cycle(usize),
}

/// A lock, and what its owner waits for.
#[derive(Clone, Copy, PartialEq)]
struct ChainLink {
    lock: *const RawLock,
    changes: u32,
    /// The owner's wait for the next lock.
    waiter: *const Waiter,
    can_fail: bool,
    is_thread: bool,
}

struct Chain {
    links: [ChainLink; CHAIN],
    len: usize,
}

impl Chain {
    fn new() -> Self {
        let none = ChainLink {
            lock: ptr::null(),
            changes: 0,
            waiter: ptr::null(),
            can_fail: false,
            is_thread: false,
        };
        Self {
            links: [none; CHAIN],
            len: 0,
        }
    }
}

/// Owners that wait for each other, for the report.
struct Cycle {
    /// Keeps the names valid: the locks may be gone by then, but not the modules that they were in.
    _rcu: rcu::Guard,
    names: [Option<&'static CStr>; CHAIN],
    /// The name of the lock that a waiter is refused, and whether the waiter is a thread.
    refused: Option<(&'static CStr, bool)>,
}

impl Cycle {
    /// Tells one of the owners that wait for each other that it waits in vain: a thread whose call may
    /// fail, or else a handler, which is shut down. Called with the list's lock held. `None` if there is no such
    /// owner, and that was reported before.
    fn break_up(cycle: &[ChainLink]) -> Option<Self> {
        let mut this = Self {
            _rcu: rcu::read_lock(),
            names: [None; CHAIN],
            refused: None,
        };
        // SAFETY: They are in the list, whose lock is held.
        let lock = |link: &ChainLink| unsafe { &*link.lock };
        for (name, link) in this.names.iter_mut().zip(cycle) {
            *name = Some(lock(link).name);
        }
        let next = |place: usize| &cycle[(place + 1) % cycle.len()];
        let threads_first = [true, false];
        let places = threads_first.iter().flat_map(|&thread| {
            (0..cycle.len()).filter(move |&place| cycle[place].is_thread == thread)
        });
        for place in places {
            let link = &cycle[place];
            let lock = lock(next(place));
            if link.can_fail && lock.refuse(link.waiter, next(place).changes) {
                this.refused = Some((lock.name, link.is_thread));
                return Some(this);
            }
        }
        let mut is_new = true;
        for (place, link) in cycle.iter().enumerate() {
            is_new &= lock(next(place)).turnstile.lock().report(link.waiter);
        }
        is_new.then_some(this)
    }

    fn report(&self) {
        let text = crate::debugfs::text;
        pr_err!("deadlock: each of these locks is held by one who waits for the next:\n");
        self.names
            .iter()
            .flatten()
            .for_each(|name| pr_err!("  lock {}\n", text(name)));
        match self.refused {
            Some((name, true)) => {
                pr_err!(
                    "a thread that waits for lock {} gets an error\n",
                    text(name)
                )
            }
            Some((name, false)) => {
                pr_err!(
                    "the handler that waits for lock {} is shut down\n",
                    text(name)
                )
            }
            None => pr_err!("none of them can be told so: they wait for ever\n"),
        }
    }
}

/// What the inheritance needs, for as long as the module is loaded.
pub(crate) struct Lending {
    _lenders: Lenders,
}

impl Lending {
    /// Thread, may sleep.
    pub(crate) fn new(delay_us: u32, stall_ms: u32) -> Result<Self> {
        watch::set_delay(delay_us, stall_ms);
        stall::set_limit(stall_ms);
        Ok(Self {
            _lenders: Lenders::new()?,
        })
    }
}

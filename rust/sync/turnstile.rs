// SPDX-License-Identifier: GPL-2.0

//! The wait queue of one lock: ordered by priority, first in, first out within each.
//!
//! Everything here happens under the turnstile's raw spinlock, including wake-ups: once a waiter
//! that gives up has taken that lock, nobody is about to wake it.
//!
//! Readers at the front are let in together, [`TOGETHER`] at most: interrupts are off meanwhile. So that readers of
//! higher priority, of which there may always be more, do not starve a writer, it goes to the front when
//! [`OVERTAKEN`] of them have gone ahead of it.

use crate::{
    primitive::{const_fn, Acquire, AtomicU32, Cell, Relaxed, Release},
    releaser::Batch,
    slot::Head,
    sync::{
        dispatcher::dispatch,
        events::Tally,
        lender::Loan,
        raw::Owner,
        sleeper::{fifo_priority, Sleeper},
    },
};
use core::{marker::PhantomPinned, ptr};

/// How many readers of higher priority may go ahead of a waiting writer.
pub(super) const OVERTAKEN: u32 = 16;

/// How many readers are let in at a time.
pub(super) const TOGETHER: usize = 16;

/// Which owner wants a lock, and how.
#[derive(Clone, Copy)]
pub(super) struct Request {
    pub(super) owner: Owner,
    /// Higher ones go first. See `sleeper.rs`.
    pub(super) priority: u32,
    /// It wants to read, beside other readers.
    pub(super) shared: bool,
    /// It can be told that it waits in vain.
    pub(super) can_fail: bool,
}

/// The state of a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Waiting,
    /// The waiter owns the lock.
    Granted,
    /// The waiter does not get the lock: it would have waited for itself.
    Refused,
    /// It waits, or has been granted the lock: the lock's word tells. It is a handler, in that word.
    Alone,
}

/// One wait. It lies in the lock's future, or on the waiting thread's stack.
///
/// # Invariants
///
/// While it is in a turnstile it stays where it is, and its sleeper is alive.
#[repr(C)]
pub(crate) struct Waiter {
    sleeper: Sleeper,
    pub(super) request: Request,
    /// The dispatcher has followed a chain through it: when it ends, that chain leads elsewhere.
    followed: Cell<bool>,
    /// Its stall, or its deadlock, was reported.
    reported: Cell<bool>,
    next: Cell<*const Waiter>,
    /// When it was first seen waiting, in nanoseconds; 0 if it was not.
    since: Cell<u64>,
    outcome: AtomicU32,
    overtaken: Cell<u32>,
    /// Its priority; that of a waiter that depends on its owner, if higher; or the highest of all, once it has
    /// been overtaken too often.
    order: Cell<u32>,
    _pin: PhantomPinned,
}

impl Waiter {
    pub(super) fn new(request: Request, sleeper: Sleeper) -> Self {
        Self {
            next: Cell::new(ptr::null()),
            request,
            order: Cell::new(request.priority),
            overtaken: Cell::new(0),
            since: Cell::new(0),
            reported: Cell::new(false),
            followed: Cell::new(false),
            sleeper,
            outcome: AtomicU32::new(Outcome::Waiting as u32),
            _pin: PhantomPinned,
        }
    }

    /// The `Acquire` pairs with the `Release` in [`Waiter::end`]: a waiter that was granted the lock
    /// sees what its owners did before.
    #[inline(always)]
    pub(super) fn is(&self, outcome: Outcome) -> bool {
        self.outcome.load(Acquire) == outcome as u32
    }

    /// A handler that is about to wait in the lock's word, in place of that of the owner, `met`.
    #[inline(always)]
    pub(super) fn alone(request: Request, head: &Head, met: usize) -> Self {
        Self {
            next: Cell::new(ptr::without_provenance(met)),
            outcome: AtomicU32::new(Outcome::Alone as u32),
            ..Self::new(request, Sleeper::Handler(head))
        }
    }

    /// The word of the owner that it waits alone for.
    pub(super) fn owner_met(&self) -> usize {
        self.next.get() as usize
    }

    /// It waits in the turnstile.
    pub(super) fn is_queued(&self) {
        self.outcome.store(Outcome::Waiting as u32, Relaxed);
    }

    /// The handler, if it is one that waits. Called under the turnstile's lock.
    pub(super) fn handler(&self) -> Option<&Head> {
        match self.sleeper {
            // SAFETY: By the type invariant.
            Sleeper::Handler(head) => Some(unsafe { &*head }),
            Sleeper::Thread(_) => None,
        }
    }

    /// The waiter is seen waiting.
    pub(super) fn waits_at(&self, now: u64) {
        if self.since.get() == 0 {
            self.since.set(now);
        }
    }

    /// How long it has been seen waiting; 0 if it was not.
    pub(super) fn waited(&self, now: u64) -> u64 {
        match self.since.get() {
            0 => 0,
            since => now.saturating_sub(since),
        }
    }

    pub(super) fn is_reported(&self) -> bool {
        self.reported.get()
    }

    /// Returns whether it was reported before.
    pub(super) fn set_reported(&self) -> bool {
        self.reported.replace(true)
    }

    /// Its place among the waiters: see `order`.
    pub(super) fn order(&self) -> u32 {
        self.order.get()
    }

    pub(super) fn set_followed(&self) {
        self.followed.set(true);
    }

    /// The waiter has left the turnstile.
    #[inline(always)]
    fn leaves(&self) {
        if self.followed.get() {
            dispatch();
        }
    }

    /// Ends the wait. Called under the turnstile's lock, after the waiter has left the turnstile. A
    /// handler is added to the batch, if there is one.
    ///
    /// # Safety
    ///
    /// The sleeper is alive. The waiter may be gone afterwards.
    #[inline(always)]
    unsafe fn end(waiter: *const Self, outcome: Outcome, batch: Option<&Batch>) {
        // SAFETY: The waiter is alive until its outcome is known. Its sleeper is alive by the
        // requirement: it has not given up its wait, which would take the turnstile's lock.
        unsafe {
            let sleeper = (*waiter).sleeper;
            // The `Release` pairs with the `Acquire` in `outcome`.
            (*waiter).outcome.store(outcome as u32, Release);
            sleeper.wake(batch);
        }
    }
}

/// The waiters that get the lock next.
pub(super) struct Heirs {
    /// The number of waiters that get it, from the first.
    pub(super) count: usize,
    /// They are readers.
    pub(super) shared: bool,
    /// The lock's word with them as owners.
    pub(super) word: usize,
    /// Whether there are more waiters than these.
    pub(super) more: bool,
}

/// The waiters of one lock, highest priority first.
pub(super) struct Turnstile {
    first: Cell<*const Waiter>,
    /// Counts waiters that come or go, to tell whether any have.
    pub(super) changes: u32,
    /// A loan of priority to the lock's owner, to be repaid when it releases the lock.
    pub(super) loan: Option<Loan>,
    /// The lock is in the list of locks that are watched for owners to lend to.
    pub(super) listed: bool,
    /// The lock is in the list of locks that have ever been waited for.
    pub(super) known: bool,
    pub(super) tally: Tally,
    /// How often the lock had been handed over when the timer last looked.
    pub(super) seen: u64,
    /// `changes` as it was when the dispatcher had done what it had to for these waiters.
    settled: Option<u32>,
    /// The last of the dispatcher's passes that has looked at the lock.
    pub(super) pass: u32,
}

// SAFETY: The waiters it points to may be used from any context, under the turnstile's lock.
unsafe impl Send for Turnstile {}

impl Turnstile {
    const_fn! {
        pub(super) fn new() -> Self {
            Self {
                first: Cell::new(ptr::null()),
                changes: 0,
                loan: None,
                listed: false,
                known: false,
                tally: Tally::NONE,
                seen: 0,
                settled: None,
                pass: 0,
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first.get().is_null()
    }

    /// The link to the first waiter for which `stop` holds, or the last link.
    fn link(&self, stop: impl Fn(&Waiter) -> bool) -> &Cell<*const Waiter> {
        let mut link = &self.first;
        // SAFETY: What is in the turnstile is alive, by the requirement of `insert`.
        while let Some(waiter) = unsafe { link.get().as_ref() } {
            if stop(waiter) {
                break;
            }
            link = &waiter.next;
        }
        link
    }

    /// The waiters, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Waiter> {
        let mut link = &self.first;
        core::iter::from_fn(move || {
            // SAFETY: As in `link`.
            let waiter = unsafe { link.get().as_ref() }?;
            link = &waiter.next;
            Some(waiter)
        })
    }

    /// The wait of `owner`, or the first of its waits, if it waits here.
    pub(super) fn waiter_of(&self, owner: Owner) -> Option<&Waiter> {
        self.iter().find(|waiter| waiter.request.owner == owner)
    }

    /// Is there a waiter that was seen by a look?
    pub(super) fn is_seen(&self) -> bool {
        self.iter().any(|waiter| waiter.since.get() != 0)
    }

    fn changed(&mut self) {
        self.changes = self.changes.wrapping_add(1);
    }

    /// Has the dispatcher done what it has to for these waiters?
    pub(super) fn is_settled(&self) -> bool {
        self.settled == Some(self.changes)
    }

    pub(super) fn set_settled(&mut self, settled: bool) {
        self.settled = settled.then_some(self.changes);
    }

    /// Does `request` come before all waiters?
    pub(super) fn is_outranked_by(&self, request: &Request) -> bool {
        self.iter()
            .next()
            .is_none_or(|first| first.order.get() < request.priority)
    }

    /// Adds a waiter behind those of its priority.
    ///
    /// # Safety
    ///
    /// The waiter stays where it is, with its sleeper alive, until it was granted the lock, refused
    /// or removed.
    pub(super) unsafe fn insert(&mut self, waiter: *const Waiter) {
        self.changed();
        // SAFETY: By the requirement.
        let waiter = unsafe { &*waiter };
        let link = self.link(|other| other.order.get() < waiter.order.get());
        waiter.next.set(link.get());
        link.set(waiter);
    }

    /// Removes a waiter that gives up; false if its wait was over already.
    pub(super) fn remove(&mut self, waiter: *const Waiter) -> bool {
        let Some(waiter) = self.take_out(waiter) else {
            return false;
        };
        waiter.leaves();
        true
    }

    fn take_out(&mut self, waiter: *const Waiter) -> Option<&Waiter> {
        let link = self.link(|other| ptr::eq(other, waiter));
        // SAFETY: If it is in the turnstile, it is alive.
        let waiter = unsafe { link.get().as_ref() }?;
        link.set(waiter.next.get());
        self.changed();
        Some(waiter)
    }

    /// Moves the waiter, if it is in the turnstile, ahead of those of a lower order.
    pub(super) fn raise(&mut self, waiter: *const Waiter, order: u32) {
        let Some(waiter) = self.take_out(waiter) else {
            return;
        };
        waiter.order.set(order);
        let waiter = ptr::from_ref(waiter);
        // SAFETY: It was in the turnstile until now, and nothing about it changes.
        unsafe { self.insert(waiter) };
    }

    /// Marks the waiter, which waits, as part of a deadlock that is reported now; false if that was done before.
    pub(super) fn report(&self, waiter: *const Waiter) -> bool {
        let waiter = self.iter().find(|other| ptr::eq(*other, waiter));
        waiter.is_some_and(|waiter| !waiter.set_reported())
    }

    /// Tells the waiter that it waits in vain; false if something has changed since `changes`.
    pub(super) fn refuse(&mut self, waiter: *const Waiter, changes: u32) -> bool {
        let removed = self.changes == changes && self.remove(waiter);
        if removed {
            // SAFETY: It was in the turnstile until now.
            unsafe { Waiter::end(waiter, Outcome::Refused, None) };
        }
        removed
    }

    /// The highest `SCHED_FIFO` priority that a waiter has to lend.
    pub(super) fn need(&self) -> u32 {
        self.iter()
            .map(|waiter| fifo_priority(waiter.request.priority))
            .max()
            .unwrap_or(0)
    }

    /// The waiter that gets the lock if it is released now, if there is just one. `None` if readers get it, or
    /// nobody waits.
    #[inline(always)]
    pub(super) fn heir(&self) -> Option<Heirs> {
        let first = self.iter().next().filter(|first| !first.request.shared)?;
        Some(Heirs {
            count: 1,
            shared: false,
            word: first.request.owner.word(),
            more: !first.next.get().is_null(),
        })
    }

    /// The waiters that get the lock if readers are first.
    pub(super) fn reading_heirs(&self) -> Heirs {
        let count = self.readers();
        Heirs {
            count,
            shared: true,
            word: crate::sync::raw::readers(count),
            more: self.iter().nth(count).is_some(),
        }
    }

    /// The number of readers that wait ahead of the first writer, as far as they are let in together.
    pub(super) fn readers(&self) -> usize {
        let readers = self.iter().take_while(|w| w.request.shared);
        readers.take(TOGETHER).count()
    }

    fn first_writer(&self) -> Option<&Waiter> {
        self.iter().find(|waiter| !waiter.request.shared)
    }

    /// Hands the lock to the first `count` waiters, which are readers. The lock's word says so already. Handlers
    /// are added to the batch, if there is one.
    #[cold]
    pub(super) fn grant(&mut self, count: usize, batch: Option<&Batch>) {
        let writer = self.first_writer().map(|writer| writer.request.priority);
        let mut passing = 0;
        for _ in 0..count {
            let priority = self.grant_first(batch);
            passing += u32::from(writer.is_some_and(|writer| priority > writer));
        }
        if passing > 0 {
            self.overtake(passing);
        }
    }

    /// Hands the lock to the first waiter; there must be one. Returns its priority.
    #[inline(always)]
    pub(super) fn grant_first(&mut self, batch: Option<&Batch>) -> u32 {
        let waiter = self.first.get();
        // SAFETY: By the requirement there is one, and it is alive.
        let (next, priority) = unsafe { ((*waiter).next.get(), (*waiter).request.priority) };
        self.first.set(next);
        self.changed();
        self.tally.goes_on();
        // SAFETY: It is alive until its wait is ended.
        unsafe { (*waiter).leaves() };
        // SAFETY: It was in the turnstile until now.
        unsafe { Waiter::end(waiter, Outcome::Granted, batch) };
        priority
    }

    /// This many readers of a higher priority have got the lock ahead of the first writer that waits.
    #[cold]
    pub(super) fn overtake(&mut self, readers: u32) {
        let Some(writer) = self.first_writer() else {
            return;
        };
        writer.overtaken.set(writer.overtaken.get() + readers);
        if writer.overtaken.get() >= OVERTAKEN && writer.order.get() != u32::MAX {
            let writer = ptr::from_ref(writer);
            self.raise(writer, u32::MAX);
        }
    }
}

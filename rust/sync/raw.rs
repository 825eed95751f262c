// SPDX-License-Identifier: GPL-2.0

//! A lock without its data: the lock word, which says what owns the lock and whether anything waits.
//!
//! | word | meaning |
//! |---|---|
//! | 0 | free |
//! | pointer to a task | a thread owns it |
//! | pointer to a handler's slot, bit 1 set | a handler owns it |
//! | number of readers above bit 2, bit 2 set | readers own it |
//! | bit 0 set beside one of these | the turnstile has waiters |
//!
//! Uncontended, taking the lock is one compare-exchange and releasing it is another. Bit 0 is set
//! exactly while the turnstile has waiters, or the owner has a loan to repay for a waiter that has given up.
//! It changes only under the turnstile's lock, and while it is set the word is written only under that
//! lock: then the lock goes straight from hand to hand, never free. A mutex is a lock that nobody reads.
//!
//! The waiter of the highest priority goes first, first come, first served among equals; together with
//! a reader go those ahead of the next writer, up to 16 at a time. A reader that comes while others read joins them at
//! once if it outranks all waiters, and otherwise waits behind its equals: readers do not starve a
//! writer of their priority, nor does a writer make readers of a higher IPL wait for it.

use crate::{
    primitive::{
        const_fn, Acquire, AtomicU64, AtomicUsize, LockClass, Ordering, RawSpinGuard, RawSpinLock,
        Relaxed, Release,
    },
    releaser::{self, Batch},
    sync::{
        events::{self, observed},
        list::Links,
        turnstile::{Heirs, Turnstile, Waiter},
        watch::{self, watch},
    },
};
use core::ffi::CStr;

const WAITERS: usize = 1;
const HANDLER: usize = 2;
const READERS: usize = 4;
const READER: usize = 8;

/// The word of a lock that `count` readers own.
#[inline(always)]
pub(super) const fn readers(count: usize) -> usize {
    READERS + count * READER
}

/// What owns a lock, or wants it. Never simply the running task: in hard-IRQ context that is
/// whatever was interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner(usize);

impl Owner {
    /// An owner whose identity does not matter: a reader.
    pub(super) const ANYBODY: Owner = Owner(0);

    /// A thread, by its task. Tasks are aligned to cache lines, at least to 8.
    #[inline(always)]
    pub(super) const fn of_task(task: usize) -> Self {
        Self(task)
    }

    /// A handler, by its slot, which is aligned to 8.
    #[inline(always)]
    pub(super) const fn of_slot(slot: usize) -> Self {
        Self(slot | HANDLER)
    }

    #[inline(always)]
    pub(super) const fn word(self) -> usize {
        self.0
    }

    /// Who that is.
    #[inline(always)]
    pub(crate) const fn party(self) -> Party {
        if self.0 & HANDLER != 0 {
            Party::Handler(self.0 & !HANDLER)
        } else {
            Party::Thread(self.0)
        }
    }
}

/// A thread, by the address of its task, or a handler, by that of its slot.
#[derive(Clone, Copy)]
pub(crate) enum Party {
    Thread(usize),
    Handler(usize),
}

/// What kind of owner a lock has. The tracepoints show these numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum OwnerKind {
    Thread = 0,
    Handler = 1,
    Readers = 2,
}

impl OwnerKind {
    fn of(word: usize) -> Self {
        match word & (HANDLER | READERS) {
            0 => Self::Thread,
            HANDLER => Self::Handler,
            _ => Self::Readers,
        }
    }
}

/// The result of an attempt to take a lock, so far.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    Yes,
    /// The waiter is in the turnstile, since the lock has an owner of this kind.
    Queued(OwnerKind),
    /// The owner-to-be owns it already.
    Deadlock,
}

/// See the top of this file.
pub(crate) struct RawLock {
    word: AtomicUsize,
    pub(super) turnstile: RawSpinLock<Turnstile>,
    /// For reports.
    pub(super) name: &'static CStr,
    pub(super) links: Links,
    /// How often it was taken while times were measured.
    pub(super) takes: AtomicU64,
}

impl RawLock {
    const_fn! {
        pub(crate) fn new(name: &'static CStr) -> Self {
            Self {
                word: AtomicUsize::new(0),
                turnstile: RawSpinLock::new(Turnstile::new(), LockClass::Turnstile),
                name,
                links: Links::new(),
                takes: AtomicU64::new(0),
            }
        }
    }

    /// Takes the lock if it is free. The `Acquire` pairs with the `Release` of every release.
    #[inline(always)]
    pub(super) fn try_write(&self, owner: Owner) -> bool {
        self.exchange(0, owner.0, Acquire).is_ok()
    }

    /// Takes the lock to read if it is free, or held by readers with nobody waiting. The `Acquire`
    /// pairs with the `Release` of the last writer's release.
    #[inline(always)]
    pub(super) fn try_read(&self) -> bool {
        let mut word = self.word.load(Relaxed);
        while word == 0 || word & (READERS | WAITERS) == READERS {
            match self.exchange(word, Self::with_reader(word), Acquire) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
        false
    }

    /// The `Release` pairs with the `Acquire` that takes the lock next.
    #[inline(always)]
    pub(super) fn release_write(&self, owner: Owner) {
        if self.exchange(owner.0, 0, Release).is_err() {
            self.hand_over_cold(owner);
        }
    }

    /// The `Release` pairs with the `Acquire` of the next writer, or of the waiter that sets the bit. Either
    /// sees what all readers did, not only the last: their writes to the word follow one another.
    #[inline(always)]
    pub(super) fn release_read(&self, owner: Owner) {
        let mut word = self.word.load(Relaxed);
        while word & WAITERS == 0 {
            match self.exchange(word, Self::without_reader(word), Release) {
                Ok(_) => return,
                Err(now) => word = now,
            }
        }
        self.leave(owner);
    }

    #[inline(always)]
    fn exchange(&self, from: usize, to: usize, order: Ordering) -> Result<usize, usize> {
        self.word.compare_exchange(from, to, order, Relaxed)
    }

    /// There cannot be enough readers to overflow it.
    #[inline(always)]
    fn with_reader(word: usize) -> usize {
        (word | READERS).wrapping_add(READER)
    }

    #[inline(always)]
    fn without_reader(word: usize) -> usize {
        if word == readers(1) {
            0
        } else {
            word.wrapping_sub(READER)
        }
    }

    /// The lock has been taken.
    #[inline(always)]
    pub(super) fn taken(&self) {
        if observed() {
            events::is_taken(self);
        }
    }

    /// Are there waiters? Any context; the answer may be out of date at once.
    #[inline]
    pub(super) fn has_waiters(&self) -> bool {
        self.word.load(Relaxed) & WAITERS != 0
    }

    /// The number of readers that own the lock.
    pub(super) fn readers(&self) -> usize {
        let word = self.word.load(Relaxed);
        if word & READERS != 0 {
            word / READER
        } else {
            0
        }
    }

    /// The owner, if there is one that can be told. Under the turnstile's lock, and with waiters, the
    /// owner stays the owner.
    pub(super) fn owner(&self) -> Option<Owner> {
        let word = self.word.load(Relaxed) & !WAITERS;
        (word != 0 && word & READERS == 0).then_some(Owner(word))
    }

    /// Takes the lock, or queues `waiter` for it.
    ///
    /// # Safety
    ///
    /// As for [`Turnstile::insert`]. A handler has armed its continuation.
    #[inline(always)]
    pub(super) unsafe fn take_or_queue(&self, waiter: &Waiter) -> Taken {
        let mut turnstile = self.turnstile.lock();
        let request = &waiter.request;
        loop {
            let word = self.word.load(Relaxed);
            let joins = request.shared && word & READERS != 0 && turnstile.is_outranked_by(request);
            let taken = match word {
                0 if request.shared => readers(1),
                0 => request.owner.0,
                _ if joins => Self::with_reader(word),
                _ if word & !WAITERS == request.owner.0 => return Taken::Deadlock,
                _ => {
                    // An owner that releases sees the bit and takes the turnstile's lock, or has
                    // released already, and the loop sees that. The `Acquire` pairs with the releases so far, of
                    // all past owners: from here on what they did is passed on by the turnstile's lock.
                    if word & WAITERS != 0 || self.exchange(word, word | WAITERS, Acquire).is_ok() {
                        // SAFETY: By the function's own requirement.
                        unsafe { turnstile.insert(waiter) };
                        turnstile.tally.waits(waiter);
                        if observed() {
                            events::waits(self, waiter);
                        }
                        watch(self, &mut turnstile);
                        return Taken::Queued(OwnerKind::of(word));
                    }
                    continue;
                }
            };
            // As in `try_write` and `try_read`.
            if self.exchange(word, taken, Acquire).is_ok() {
                if joins {
                    turnstile.overtake(1);
                }
                return Taken::Yes;
            }
        }
    }

    /// A reader releases the lock, and there were waiters.
    #[cold]
    #[inline(never)]
    fn leave(&self, owner: Owner) {
        releaser::release(owner, |batch| {
            let turnstile = self.turnstile.lock();
            let mut word = self.word.load(Relaxed);
            // The last reader of a lock with waiters hands it over. If there are none, as those that
            // there were have given up, other readers may still come and go.
            while word != readers(1) | WAITERS {
                // As in `release_read`.
                match self.exchange(word, Self::without_reader(word), Release) {
                    Ok(_) => return,
                    Err(now) => word = now,
                }
            }
            self.hand_over(turnstile, batch);
        });
    }

    /// A writer releases the lock, and there were waiters.
    #[cold]
    #[inline(never)]
    fn hand_over_cold(&self, owner: Owner) {
        releaser::release(owner, |batch| self.hand_over(self.turnstile.lock(), batch));
    }

    /// Releases the lock to those that are next. The caller is its only owner; if it is a reader,
    /// there are waiters; if it is a writer, they may have given up.
    #[inline(always)]
    fn hand_over(&self, mut turnstile: RawSpinGuard<'_, Turnstile>, batch: Option<&Batch>) {
        match turnstile.heir() {
            Some(heir) => self.pass_on(&mut turnstile, heir, batch),
            None if turnstile.is_empty() => self.word.store(0, Release), // As in `release_write`.
            None => self.pass_on_to_readers(&mut turnstile, batch),
        }
        if let Some(loan) = turnstile.loan {
            turnstile.loan = None;
            drop(turnstile);
            loan.repay();
        }
    }

    #[cold]
    fn pass_on_to_readers(&self, turnstile: &mut Turnstile, batch: Option<&Batch>) {
        self.pass_on(turnstile, turnstile.reading_heirs(), batch);
    }

    #[inline(always)]
    fn pass_on(&self, turnstile: &mut Turnstile, heirs: Heirs, batch: Option<&Batch>) {
        if observed() {
            events::hands_over(self, turnstile, heirs.count);
        }
        let waiters = if heirs.more { WAITERS } else { 0 };
        // Before they are granted the lock, since then they own it. The `Release` pairs with the
        // `Acquire` of readers that join them.
        self.word.store(heirs.word | waiters, Release);
        if heirs.shared {
            turnstile.grant(heirs.count, batch);
        } else {
            turnstile.grant_first(batch);
        }
        if heirs.more {
            watch(self, turnstile);
        }
    }

    /// Ends a wait that is given up. False if it was over already: then the waiter may own the lock.
    #[must_use]
    pub(super) fn cancel(&self, waiter: &Waiter) -> bool {
        let mut turnstile = self.turnstile.lock();
        let removed = turnstile.remove(waiter);
        if removed {
            self.let_in(&mut turnstile);
        }
        removed
    }

    /// Tells the waiter that it waits in vain; false if the turnstile has changed since `changes`.
    ///
    /// `waiter` is compared with those that wait, and not dereferenced if it is none of them.
    pub(super) fn refuse(&self, waiter: *const Waiter, changes: u32) -> bool {
        let mut turnstile = self.turnstile.lock();
        let refused = turnstile.refuse(waiter, changes);
        if refused {
            self.let_in(&mut turnstile);
        }
        refused
    }

    /// A waiter has left, or moved: those that are first now may no longer have to wait, and the bit may be
    /// cleared.
    pub(super) fn let_in(&self, turnstile: &mut Turnstile) {
        // Until here the bit was set, and the word written only under the turnstile's lock.
        let word = self.word.load(Relaxed) & !WAITERS;
        let joining = if word & READERS != 0 {
            turnstile.readers()
        } else {
            0
        };
        // An owner with a loan must come to the turnstile to repay, even if nobody waits any more.
        let waiters = if turnstile.iter().nth(joining).is_some() || turnstile.loan.is_some() {
            WAITERS
        } else {
            0
        };
        let owners = word + joining * READER;
        // The `Release` pairs with the `Acquire` that takes the lock next, and passes on what all that
        // have released it so far did.
        self.word.store(owners | waiters, Release);
        if joining > 0 && observed() {
            events::hands_over(self, turnstile, joining);
        }
        turnstile.grant(joining, None);
    }
}

impl Drop for RawLock {
    fn drop(&mut self) {
        watch::forget(self);
    }
}

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
//! | pointer to a handler's slot, bits 1 and 2 set | the handler [waits alone](RawLock::wait_alone) |
//!
//! Uncontended, taking the lock is one compare-exchange and releasing it is another. Bit 0 is set
//! exactly while the turnstile has waiters, or the owner has a loan to repay for a waiter that has given up.
//! It changes only under the turnstile's lock, and while it is set the word is written only under that
//! lock: then the lock goes straight from hand to hand, never free. A mutex is a lock that nobody reads.
//!
//! A handler that is the only waiter is not in the turnstile but in the word: it waits alone, see
//! [`RawLock::wait_alone`].
//!
//! The waiter of the highest priority goes first, first come, first served among equals; together with
//! a reader go those ahead of the next writer, up to 16 at a time. A reader that comes while others read joins them at
//! once if it outranks all waiters, and otherwise waits behind its equals: readers do not starve a
//! writer of their priority, nor does a writer make readers of a higher IPL wait for it.

use crate::{
    counters::Counter,
    primitive::{
        const_fn, AcqRel, Acquire, AtomicBool, AtomicU64, AtomicUsize, LockClass, Ordering,
        RawSpinGuard, RawSpinLock, Relaxed, Release, SeqCst,
    },
    releaser::{self, Batch},
    slot::Head,
    sync::{
        events::{self, observed},
        list::Links,
        turnstile::{Heirs, Outcome, Turnstile, Waiter},
        watch::{self, watch},
    },
};
use core::{ffi::CStr, hint::black_box};

const WAITERS: usize = 1;
const HANDLER: usize = 2;
const READERS: usize = 4;
const READER: usize = 8;
/// Beside the slot of a handler that waits alone.
const ALONE: usize = HANDLER | READERS;

#[inline(always)]
fn is_alone(word: usize) -> bool {
    word & (ALONE | WAITERS) == ALONE
}

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

    pub(super) fn kind(self) -> OwnerKind {
        OwnerKind::of(self.0)
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
    turnstile: RawSpinLock<Turnstile>,
    /// A look will come at this lock's waiters. Set and reset under the turnstile's lock.
    pub(super) watched: AtomicBool,
    /// For reports.
    pub(super) name: &'static CStr,
    pub(super) links: Links,
    /// Handlers that it was handed to while they waited alone. Written by them, when they own it.
    pub(super) alone: Counter,
    /// How often it was taken while times were measured.
    pub(super) takes: AtomicU64,
}

impl RawLock {
    const_fn! {
        pub(crate) fn new(name: &'static CStr) -> Self {
            Self {
                word: AtomicUsize::new(0),
                turnstile: RawSpinLock::new(Turnstile::new(), LockClass::Turnstile),
                watched: AtomicBool::new(false),
                name,
                links: Links::new(),
                alone: Counter::new(),
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
        while word == 0 || word & (ALONE | WAITERS) == READERS {
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
        let word = self.word.load(Relaxed);
        word & WAITERS != 0 || is_alone(word)
    }

    /// The number of readers that own the lock.
    pub(super) fn readers(&self) -> usize {
        let word = self.word.load(Relaxed);
        if word & ALONE == READERS {
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

    /// The turnstile, with all waiters in it.
    #[inline(always)]
    pub(super) fn turnstile(&self) -> RawSpinGuard<'_, Turnstile> {
        let mut turnstile = self.turnstile.lock();
        self.word_with(&mut turnstile);
        turnstile
    }

    /// The word, when the handler that waits alone, if there is one, has gone to the turnstile. If no bit is set
    /// in it then another may come at any time.
    #[inline(always)]
    fn word_with(&self, turnstile: &mut Turnstile) -> usize {
        loop {
            let word = self.word.load(Relaxed);
            if !is_alone(word) {
                return word;
            }
            self.admit(turnstile);
        }
    }

    /// The owner that a handler can wait for alone, if there is one.
    #[inline(always)]
    pub(super) fn owner_alone(&self) -> Option<Owner> {
        let word = self.word.load(Relaxed);
        (word != 0 && word & (READERS | WAITERS) == 0).then_some(Owner(word))
    }

    /// A handler whose first poll finds the lock with an owner, and nobody waiting, is the usual case: it waits
    /// in the lock's word, without the turnstile and its lock, and a thread hands the lock over by one
    /// compare-exchange. Whoever needs the turnstile first [puts it there](Self::admit), and so does the handler
    /// itself if it is polled again.
    ///
    /// `SeqCst`, as is what follows: see [`watch::is_watched`].
    ///
    /// Returns false if the owner is not the one that it has met.
    ///
    /// # Safety
    ///
    /// As for [`Turnstile::insert`]. The waiter is that of the handler of `head`, which waits for no other lock,
    /// and has armed its continuation.
    #[must_use]
    #[inline(always)]
    pub(super) unsafe fn wait_alone(&self, met: Owner, waiter: &Waiter, head: &Head) -> bool {
        head.alone.set(waiter);
        let alone = Owner::handler(head).0 | READERS;
        self.exchange(met.0, alone, SeqCst).is_ok()
    }

    /// The handler that waits alone goes to the turnstile, so that it is watched. Returns false: it waits.
    #[cold]
    #[inline(never)]
    pub(super) fn admit_alone(&self) -> bool {
        drop(self.turnstile());
        // If the compiler knew this, it would not make the call of this function a tail call.
        black_box(false)
    }

    /// The handler that waits alone, if there still is one, goes to the turnstile.
    #[cold]
    #[inline(never)]
    fn admit(&self, turnstile: &mut Turnstile) {
        let word = self.word.load(Relaxed);
        // The `Acquire` pairs with the exchange in `wait_alone`, and those of past owners.
        if !is_alone(word) || self.exchange(word, word | WAITERS, Acquire).is_err() {
            return;
        }
        // From here on the owner comes to the turnstile to release the lock.
        // SAFETY: The handler waits, and cannot give up without the turnstile's lock.
        let waiter = unsafe { (*((word & !ALONE) as *const Head)).alone.get() };
        // SAFETY: As above; and by the requirement of `wait_alone`.
        let owner = unsafe {
            let owner = (*waiter).owner_met();
            (*waiter).is_queued();
            turnstile.insert(waiter);
            turnstile.tally.waits(&*waiter);
            owner
        };
        // As in `let_in`.
        self.word.store(owner | WAITERS, Release);
        watch(self, turnstile);
    }

    /// Nobody waits: the lock is not watched any more, unless a handler waits alone by now. Returns whether it
    /// is not.
    pub(super) fn unlist(&self, turnstile: &mut Turnstile) -> bool {
        self.watched.store(false, SeqCst);
        if is_alone(self.word.load(SeqCst)) {
            self.admit(turnstile);
        }
        turnstile.listed = !turnstile.is_empty();
        !turnstile.listed
    }

    /// Hands the lock over to the handler that waits alone, if there is one.
    ///
    /// It owns the lock then, may run, and be dropped, but is there until the next RCU grace period.
    #[inline(always)]
    fn pass_on_alone(&self) -> Option<*const Head> {
        let word = self.word.load(Relaxed);
        // The `Acquire` pairs with the exchange in `wait_alone`; the `Release` with the handler's `Acquire`.
        let passed_on = is_alone(word)
            && self
                .exchange(word, word.wrapping_sub(READERS), AcqRel)
                .is_ok();
        passed_on.then_some((word & !ALONE) as *const Head)
    }

    /// Was the waiter granted the lock? For the waiter's own context, which asks no more once it was.
    #[inline(always)]
    pub(super) fn has_granted(&self, waiter: &Waiter) -> bool {
        // The word first: if the lock was handed over by the turnstile, the waiter is seen not to be alone.
        let word = self.word.load(Acquire);
        if !waiter.is(Outcome::Alone) {
            return waiter.is(Outcome::Granted);
        }
        let granted = word & !WAITERS == waiter.request.owner.0;
        if granted {
            self.alone.add(1);
        }
        granted
    }

    /// Takes the lock, or queues `waiter` for it.
    ///
    /// # Safety
    ///
    /// As for [`Turnstile::insert`]. A handler has armed its continuation.
    #[inline(always)]
    pub(super) unsafe fn take_or_queue(&self, waiter: &Waiter) -> Taken {
        let mut turnstile = self.turnstile();
        let request = &waiter.request;
        loop {
            let word = self.word_with(&mut turnstile);
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
        releaser::release(
            owner,
            || None,
            |batch| {
                let turnstile = self.turnstile();
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
            },
        );
    }

    /// A writer releases the lock, and there were waiters.
    #[cold]
    #[inline(never)]
    fn hand_over_cold(&self, owner: Owner) {
        releaser::release(
            owner,
            || self.pass_on_alone(),
            |batch| self.hand_over(self.turnstile(), batch),
        );
    }

    /// Releases the lock to those that are next. The caller is its only owner; if it is a reader,
    /// there are waiters; if it is a writer, they may have given up.
    #[inline(always)]
    fn hand_over(&self, mut turnstile: RawSpinGuard<'_, Turnstile>, batch: Option<&Batch>) {
        match turnstile.heir() {
            Some(heir) => self.pass_on(&mut turnstile, heir, batch),
            None if turnstile.is_empty() => {
                let word = self.word.load(Relaxed);
                // As in `release_write`.
                if is_alone(word) || self.exchange(word, 0, Release).is_err() {
                    drop(turnstile);
                    return self.hand_over(self.turnstile(), batch);
                }
            }
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
        let mut turnstile = self.turnstile();
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
        let mut turnstile = self.turnstile();
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

// SPDX-License-Identifier: GPL-2.0

//! The lock word: who owns the lock, and whether somebody waits.
//!
//! | word | meaning |
//! |---|---|
//! | 0 | free |
//! | pointer to a `task_struct` | a thread owns it |
//! | pointer to a [`Head`], bit 1 set | a handler owns it |
//! | bit 0 set beside it | the turnstile has waiters: the owner releases through it |
//!
//! Uncontended, taking the lock is one compare-exchange from 0 and releasing it is one to 0. Bit 0
//! is set under the turnstile's lock alone, and from then on until the turnstile is empty again the
//! word is written under that lock alone: the lock goes straight from hand to hand, never free.

use crate::{
    primitive::{AcqRel, Acquire, AtomicUsize, RawSpinLock, Relaxed, Release},
    slot::Head,
    sync::turnstile::{Turnstile, Waiter},
};
use kernel::{prelude::*, task::Task};

const WAITERS: usize = 1;
const HANDLER: usize = 2;

/// Who owns a lock, or wants it. Never the running task by itself: in hard-IRQ context that is
/// whoever was interrupted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Owner(usize);

impl Owner {
    #[inline(always)]
    pub(super) fn handler(head: &Head) -> Self {
        Self(core::ptr::from_ref(head) as usize | HANDLER)
    }

    /// The running thread. Not in hard-IRQ context.
    #[inline(always)]
    pub(super) fn thread() -> Self {
        Self(Task::current_raw() as usize)
    }
}

/// How taking a lock ended, or did not yet.
pub(super) enum Taken {
    Yes,
    /// The waiter is in the turnstile.
    Queued,
    /// The owner-to-be owns it already.
    Deadlock,
}

/// A lock without its data.
#[pin_data]
pub(super) struct RawMutex {
    word: AtomicUsize,
    #[pin]
    turnstile: RawSpinLock<Turnstile>,
}

impl RawMutex {
    pub(super) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            word: AtomicUsize::new(0),
            turnstile <- RawSpinLock::new(Turnstile::new()),
        })
    }

    /// Takes the lock if it is free. The `Acquire` pairs with the `Release` of every release.
    #[inline(always)]
    pub(super) fn try_take(&self, owner: Owner) -> bool {
        self.word
            .compare_exchange(0, owner.0, Acquire, Relaxed)
            .is_ok()
    }

    #[inline]
    pub(super) fn has_waiters(&self) -> bool {
        self.word.load(Relaxed) & WAITERS != 0
    }

    #[inline(always)]
    pub(super) fn release(&self, owner: Owner) {
        if self
            .word
            .compare_exchange(owner.0, 0, Release, Relaxed)
            .is_err()
        {
            self.hand_over();
        }
    }

    /// Takes the lock, or queues `waiter` for it.
    ///
    /// # Safety
    ///
    /// As for [`Turnstile::insert`]. A handler has armed its continuation.
    pub(super) unsafe fn take_or_queue(&self, waiter: &Waiter) -> Taken {
        let mut turnstile = self.turnstile.lock();
        let owner = waiter.owner();
        loop {
            let word = self.word.load(Relaxed);
            if word == 0 {
                if self.try_take(owner) {
                    return Taken::Yes;
                }
            } else if word & !WAITERS == owner.0 {
                return Taken::Deadlock;
            } else if word & WAITERS != 0
                // The owner sees the bit and comes here, or has released and the loop sees that.
                || self.word.compare_exchange(word, word | WAITERS, AcqRel, Relaxed).is_ok()
            {
                // SAFETY: By the function's own requirement.
                unsafe { turnstile.insert(waiter) };
                return Taken::Queued;
            }
        }
    }

    /// Releases the lock to the first waiter. The caller owns it, and the waiters' bit is set.
    #[cold]
    #[inline(never)]
    fn hand_over(&self) {
        let mut turnstile = self.turnstile.lock();
        let Some(waiter) = turnstile.pop() else {
            // Those who waited have given up.
            self.word.store(0, Release);
            return;
        };
        // The waiter may be gone as soon as it is granted, so that comes last.
        let waiter = core::ptr::from_ref(waiter);
        let waiters = if turnstile.is_empty() { 0 } else { WAITERS };
        // SAFETY: What was popped is alive until it is granted.
        unsafe {
            self.word.store((*waiter).owner().0 | waiters, Release);
            (*waiter).grant();
        }
    }

    /// Ends a wait that is given up. If the lock was handed over meanwhile, it goes on to the next.
    pub(super) fn cancel(&self, waiter: &Waiter) {
        let removed = self.turnstile.lock().remove(waiter);
        if !removed && waiter.is_granted() {
            self.release(waiter.owner());
        }
    }
}

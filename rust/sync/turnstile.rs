// SPDX-License-Identifier: GPL-2.0

//! The wait queue of one lock: ordered by priority, first in, first out within one.
//!
//! Everything here happens under the turnstile's raw spinlock, the waking included: once a waiter
//! that gives up has taken that lock, nobody is about to wake it.

use crate::{
    primitive::{Acquire, AtomicU32, Release},
    slot::Head,
    sync::raw::Owner,
};
use core::{cell::Cell, marker::PhantomPinned, ptr};
use kernel::sync::Completion;

/// Who waits, and how to wake it.
#[derive(Clone, Copy)]
pub(super) enum Sleeper {
    /// A handler: its continuation is made runnable.
    Handler(*const Head),
    /// A thread, asleep on this.
    Thread(*const Completion),
}

/// One wait. It lies in the lock's future, or on the waiting thread's stack.
///
/// # Invariants
///
/// While it is in a turnstile it stays where it is, and its sleeper is alive.
pub(super) struct Waiter {
    next: Cell<*const Waiter>,
    priority: u32,
    owner: Owner,
    sleeper: Sleeper,
    granted: AtomicU32,
    _pin: PhantomPinned,
}

impl Waiter {
    pub(super) fn new(priority: u32, owner: Owner, sleeper: Sleeper) -> Self {
        Self {
            next: Cell::new(ptr::null()),
            priority,
            owner,
            sleeper,
            granted: AtomicU32::new(0),
            _pin: PhantomPinned,
        }
    }

    pub(super) fn owner(&self) -> Owner {
        self.owner
    }

    /// Has the lock been handed over to this waiter? The `Acquire` pairs with [`Waiter::grant`].
    pub(super) fn is_granted(&self) -> bool {
        self.granted.load(Acquire) != 0
    }

    /// Hands the lock over. Under the turnstile's lock.
    pub(super) fn grant(&self) {
        self.granted.store(1, Release);
        match self.sleeper {
            // SAFETY: The handler has not given up its wait, which would need the turnstile's
            // lock, so its slot is alive.
            Sleeper::Handler(head) => unsafe { (*head).wake() },
            // SAFETY: The thread is in `wait_for_completion`, which does not return before this
            // call is through with the completion.
            Sleeper::Thread(done) => unsafe { (*done).complete_all() },
        }
    }
}

/// The waiters of one lock, highest priority first.
pub(super) struct Turnstile {
    first: Cell<*const Waiter>,
}

// SAFETY: The waiters it points to may be used from any context, under the turnstile's lock.
unsafe impl Send for Turnstile {}

impl Turnstile {
    pub(super) const fn new() -> Self {
        Self {
            first: Cell::new(ptr::null()),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first.get().is_null()
    }

    /// The link for which `stop` holds at first, or the last one.
    ///
    /// # Safety
    ///
    /// All waiters in the turnstile satisfy their invariant, and the caller holds its lock.
    unsafe fn link(&self, stop: impl Fn(*const Waiter) -> bool) -> &Cell<*const Waiter> {
        let mut link = &self.first;
        while !link.get().is_null() && !stop(link.get()) {
            // SAFETY: By the function's own requirement.
            link = unsafe { &(*link.get()).next };
        }
        link
    }

    /// Adds a waiter behind those of its priority.
    ///
    /// # Safety
    ///
    /// The waiter stays where it is, with its sleeper alive, until it was popped or removed.
    pub(super) unsafe fn insert(&mut self, waiter: *const Waiter) {
        // SAFETY: By the requirement, here and for those inserted before.
        unsafe {
            let link = self.link(|other| (*other).priority < (*waiter).priority);
            (*waiter).next.set(link.get());
            link.set(waiter);
        }
    }

    /// Takes the waiter of the highest priority.
    pub(super) fn pop(&mut self) -> Option<&Waiter> {
        // SAFETY: What is in the turnstile is alive, by the requirement of `insert`.
        let waiter = unsafe { self.first.get().as_ref() }?;
        self.first.set(waiter.next.get());
        Some(waiter)
    }

    /// Takes out a waiter that gives up; false if it was popped before.
    pub(super) fn remove(&mut self, waiter: *const Waiter) -> bool {
        // SAFETY: As in `pop`.
        unsafe {
            let link = self.link(|other| ptr::eq(other, waiter));
            if link.get().is_null() {
                return false;
            }
            link.set((*waiter).next.get());
        }
        true
    }
}

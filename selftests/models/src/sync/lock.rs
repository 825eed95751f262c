// SPDX-License-Identifier: GPL-2.0

//! What is left of `rust/sync/lock.rs`: a lock with a number, whose use loom tracks.

use crate::{
    handler::Interrupt,
    prelude::Result,
    sync::{
        raw::{Owner, RawLock},
        turnstile::Waiter,
        wait,
    },
};
use loom::cell::UnsafeCell;
use std::{
    future::Future,
    marker::PhantomPinned,
    pin::Pin,
    task::{Context, Poll},
};

pub(crate) struct Lock {
    pub(super) raw: RawLock,
    number: UnsafeCell<u32>,
}

impl Lock {
    pub(crate) fn new() -> Self {
        Self {
            raw: RawLock::new(c"lock"),
            number: UnsafeCell::new(0),
        }
    }

    fn try_take(&self, owner: Owner, shared: bool) -> bool {
        if shared {
            self.raw.try_read()
        } else {
            self.raw.try_write(owner)
        }
    }

    fn release(&self, owner: Owner, shared: bool) {
        if shared {
            self.raw.release_read(owner);
        } else {
            self.raw.release_write(owner);
        }
    }

    fn take(&self, shared: bool, interruptible: bool) -> Result<Guard<'_>> {
        let owner = Owner::thread();
        if !self.try_take(owner, shared) {
            wait::thread(&self.raw, shared, interruptible)?;
        }
        Ok(self.guard(owner, shared))
    }

    fn guard(&self, owner: Owner, shared: bool) -> Guard<'_> {
        Guard {
            lock: self,
            owner,
            shared,
        }
    }

    pub(crate) fn write(&self) -> Guard<'_> {
        self.take(false, false).unwrap()
    }

    /// Takes the lock for a thread that is yet to be spawned.
    pub(crate) fn held(&self) -> Guard<'_> {
        let owner = Owner::of_task(core::ptr::from_ref(self) as usize);
        assert!(self.try_take(owner, false));
        self.guard(owner, false)
    }

    pub(crate) fn read(&self) -> Guard<'_> {
        self.take(true, false).unwrap()
    }

    pub(crate) fn write_interruptible(&self) -> Result<Guard<'_>> {
        self.take(false, true)
    }

    pub(crate) fn try_write(&self) -> Option<Guard<'_>> {
        let owner = Owner::thread();
        self.try_take(owner, false)
            .then(|| self.guard(owner, false))
    }

    fn ask<'a>(&'a self, irq: Interrupt<'a>, shared: bool) -> LockIrq<'a> {
        LockIrq {
            lock: self,
            irq,
            shared,
            waiter: None,
            _pin: PhantomPinned,
        }
    }

    pub(crate) fn write_irq<'a>(&'a self, irq: Interrupt<'a>) -> LockIrq<'a> {
        self.ask(irq, false)
    }

    pub(crate) fn read_irq<'a>(&'a self, irq: Interrupt<'a>) -> LockIrq<'a> {
        self.ask(irq, true)
    }

    /// Asserts that it has no owner and no waiters, and was changed that often.
    pub(crate) fn assert_free(&self, changes: u32) {
        assert!(self.raw.turnstile().is_empty());
        assert!(!self.raw.has_waiters());
        let guard = self.try_write().expect("the lock is not free");
        assert_eq!(guard.look(), changes);
    }

    /// Asserts that the bit is set while there are waiters.
    pub(crate) fn assert_bit(&self) {
        let turnstile = self.raw.turnstile();
        assert!(self.raw.has_waiters() || turnstile.is_empty());
    }
}

pub(crate) struct Guard<'a> {
    lock: &'a Lock,
    owner: Owner,
    shared: bool,
}

impl Guard<'_> {
    /// For an exclusive owner.
    pub(crate) fn change(&self) {
        // SAFETY: Loom has checked that nothing uses it meanwhile.
        self.lock.number.with_mut(|number| unsafe { *number += 1 });
    }

    pub(crate) fn look(&self) -> u32 {
        // SAFETY: Loom has checked that nothing changes it meanwhile.
        self.lock.number.with(|number| unsafe { *number })
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.lock.release(self.owner, self.shared);
        }
    }
}

pub(crate) struct LockIrq<'a> {
    lock: &'a Lock,
    irq: Interrupt<'a>,
    shared: bool,
    waiter: Option<Waiter>,
    _pin: PhantomPinned,
}

impl<'a> Future for LockIrq<'a> {
    type Output = Guard<'a>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Guard<'a>> {
        // SAFETY: Nothing is moved out; the waiter stays where it is once it is queued.
        let this = unsafe { self.get_unchecked_mut() };
        let (lock, irq, shared) = (this.lock, this.irq, this.shared);
        let owner = Owner::handler(irq.head());
        if this.waiter.is_none() {
            if lock.try_take(owner, shared) {
                return Poll::Ready(lock.guard(owner, shared));
            }
        } else if wait::handler_has(&lock.raw, irq, &mut this.waiter) {
            return Poll::Ready(lock.guard(owner, shared));
        }
        // SAFETY: `waiter` is pinned with the future, and the future's drop ends the wait.
        let wait = if shared {
            wait::reading_handler
        } else {
            wait::handler
        };
        // SAFETY: As above.
        if unsafe { wait(&lock.raw, irq, &mut this.waiter) } {
            return Poll::Ready(lock.guard(owner, shared));
        }
        Poll::Pending
    }
}

impl Drop for LockIrq<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        if let Some(waiter) = &self.waiter {
            if wait::give_up(&self.lock.raw, self.irq, waiter) {
                self.lock.release(waiter.request.owner, self.shared);
            }
        }
    }
}

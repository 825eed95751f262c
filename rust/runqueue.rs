// SPDX-License-Identifier: GPL-2.0

//! The runnable continuations of one ithread, first in, first out, without a lock.
//!
//! Anybody adds to `incoming`, and so newest first. The ithread takes all of that at once when it
//! has nothing else left, and turns it round into `ready`: what comes later belongs behind it.

use crate::{
    primitive::{Acquire, AtomicPtr, Relaxed, Release},
    slot::Head,
};
use core::{cell::Cell, ptr};

/// # Invariants
///
/// What is in a queue is Queued, so that it is alive, and in no other queue; its `next` belongs to
/// whoever is adding it, and then to the ithread. `ready` belongs to the ithread.
pub(crate) struct RunQueue {
    incoming: AtomicPtr<Head>,
    ready: Cell<*mut Head>,
}

// SAFETY: By the type invariant; slots are `Sync`.
unsafe impl Send for RunQueue {}

impl RunQueue {
    pub(crate) const fn new() -> Self {
        Self {
            incoming: AtomicPtr::new(ptr::null_mut()),
            ready: Cell::new(ptr::null_mut()),
        }
    }

    /// Adds a Queued continuation. Any context. The `Release` pairs with the `Acquire` in `pop`.
    pub(crate) fn push(&self, head: &Head) {
        let new = ptr::from_ref(head).cast_mut();
        let mut first = self.incoming.load(Relaxed);
        loop {
            head.next.set(first);
            match self
                .incoming
                .compare_exchange_weak(first, new, Release, Relaxed)
            {
                Ok(_) => return,
                Err(now) => first = now,
            }
        }
    }

    /// The ithread's question. It may miss what is being added.
    pub(crate) fn is_empty(&self) -> bool {
        self.ready.get().is_null() && self.incoming.load(Relaxed).is_null()
    }

    /// Takes the continuation that has waited longest.
    ///
    /// # Safety
    ///
    /// To be called by the queue's ithread alone.
    pub(crate) unsafe fn pop(&self) -> Option<*const Head> {
        if self.ready.get().is_null() {
            let mut newest = self.incoming.swap(ptr::null_mut(), Acquire);
            // SAFETY: By the type invariant.
            while let Some(head) = unsafe { newest.as_ref() } {
                let older = head.next.replace(self.ready.get());
                self.ready.set(newest);
                newest = older;
            }
        }
        // SAFETY: By the type invariant.
        let head = unsafe { self.ready.get().as_ref() }?;
        self.ready.set(head.next.get());
        Some(head)
    }
}

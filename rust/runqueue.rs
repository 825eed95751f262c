// SPDX-License-Identifier: GPL-2.0

//! The runnable continuations of one ithread, first in, first out, without a lock.
//!
//! Any context adds to `incoming`, which is thus newest first. The ithread takes all of that at once when it
//! has nothing else left, and reverses it into `ready`: what comes later belongs behind it.
//!
//! While its CPU is offline the queue is closed. That is a value of `incoming` as well, so that an item that
//! comes at that moment is either found by the ithread when it closes the queue, or turned away.

use crate::primitive::{
    const_fn, AcqRel, Acquire, AtomicBool, AtomicPtr, AtomicU32, Cell, Relaxed, Release,
};
use core::ptr;

/// What can be in a queue: it has room for a pointer to the next item.
pub(crate) trait Link {
    fn next(&self) -> &Cell<*mut Self>;
}

/// # Invariants
///
/// What is in a queue is alive, and in no other queue; its `next` belongs to the context that is adding it,
/// and then to the ithread. `ready` belongs to the ithread.
pub(crate) struct RunQueue<T> {
    incoming: AtomicPtr<T>,
    ready: Cell<*mut T>,
    /// The ithread is working on an item, or has more of them in `ready`.
    busy: AtomicBool,
    /// The most items that the ithread has found here at a time, if more than one.
    most: AtomicU32,
}

// SAFETY: By the type invariant.
unsafe impl<T: Sync> Send for RunQueue<T> {}

impl<T: Link> RunQueue<T> {
    const_fn! {
        pub(crate) fn new() -> Self {
            Self {
                incoming: AtomicPtr::new(ptr::null_mut()),
                ready: Cell::new(ptr::null_mut()),
                busy: AtomicBool::new(false),
                most: AtomicU32::new(0),
            }
        }
    }

    /// The value of `incoming` when no more items are accepted.
    fn closed() -> *mut T {
        ptr::without_provenance_mut(1)
    }

    /// Adds `item`, or returns false if the queue is closed. Any context.
    ///
    /// The `Release` pairs with the `Acquire` in `pop` and `close`.
    ///
    /// # Safety
    ///
    /// It is in no queue or batch, nobody else adds it to one, and it stays where it is until it is popped.
    #[must_use]
    pub(crate) unsafe fn push(&self, item: &T) -> bool {
        let new = ptr::from_ref(item).cast_mut();
        let mut first = self.incoming.load(Relaxed);
        while first != Self::closed() {
            item.next().set(first);
            match self
                .incoming
                .compare_exchange_weak(first, new, Release, Relaxed)
            {
                Ok(_) => return true,
                Err(now) => first = now,
            }
        }
        false
    }

    /// For the ithread only. It may miss what is being added.
    pub(crate) fn is_empty(&self) -> bool {
        !self.has_ready() && !self.has_incoming()
    }

    /// Has the ithread taken more than it has popped? For the ithread only.
    fn has_ready(&self) -> bool {
        !self.ready.get().is_null()
    }

    /// Is something in the queue that the ithread has not taken? Any context.
    fn has_incoming(&self) -> bool {
        !self.is_nothing(self.incoming.load(Acquire))
    }

    /// Is something in the queue, or is the ithread not yet done with it? Any context; the answer may be out
    /// of date at once.
    pub(crate) fn is_busy(&self) -> bool {
        // In this order: the ithread sets `busy` before it takes what came.
        self.has_incoming() || self.busy.load(Relaxed)
    }

    /// Takes the item that has waited longest, to work on it: if there is one, the queue is busy until
    /// [`done`](Self::done).
    ///
    /// # Safety
    ///
    /// To be called by the queue's ithread alone.
    pub(crate) unsafe fn take(&self) -> Option<*const T> {
        self.busy.store(true, Relaxed);
        // SAFETY: By the requirement.
        let item = unsafe { self.pop() };
        if item.is_none() {
            self.busy.store(false, Relaxed);
        }
        item
    }

    /// The item that was taken is done. For the ithread only.
    pub(crate) fn done(&self) {
        self.busy.store(self.has_ready(), Relaxed);
    }

    fn is_nothing(&self, incoming: *mut T) -> bool {
        incoming.is_null() || incoming == Self::closed()
    }

    /// The most items that the ithread has found in it at a time; 1 is not distinguished from 0. Any context.
    pub(crate) fn most(&self) -> u32 {
        self.most.load(Relaxed)
    }

    /// Resets [`most`](Self::most). The reset may be lost if the ithread is counting at the same time.
    pub(crate) fn reset_most(&self) {
        self.most.store(0, Relaxed);
    }

    /// Takes the item that has waited longest.
    ///
    /// # Safety
    ///
    /// To be called by the queue's ithread alone.
    pub(crate) unsafe fn pop(&self) -> Option<*const T> {
        // No other context closes the queue or takes from it between the look and the swap.
        if !self.has_ready() && self.has_incoming() {
            // `Release` as well: a context that finds nothing more sees what the ithread did before (see
            // `is_busy`).
            let newest = self.incoming.swap(ptr::null_mut(), AcqRel);
            // SAFETY: By the type invariant. The queue was not empty.
            if unsafe { (*newest).next().get() }.is_null() {
                return Some(newest);
            }
            self.make_ready(newest);
        }
        // SAFETY: By the type invariant.
        let item = unsafe { self.ready.get().as_ref() }?;
        self.ready.set(item.next().get());
        Some(item)
    }

    /// Closes the queue. What is in it can still be popped.
    ///
    /// # Safety
    ///
    /// To be called by the queue's ithread alone, while it is open.
    pub(crate) unsafe fn close(&self) {
        self.busy.store(false, Relaxed);
        self.make_ready(self.incoming.swap(Self::closed(), Acquire));
    }

    /// Opens it again, if it is closed.
    ///
    /// # Safety
    ///
    /// To be called by the queue's ithread alone.
    pub(crate) unsafe fn open(&self) {
        if self.incoming.load(Relaxed) == Self::closed() {
            self.incoming.store(ptr::null_mut(), Relaxed);
        }
    }

    /// Puts what came, linked from the newest, behind what is ready.
    fn make_ready(&self, mut newest: *mut T) {
        let mut oldest = ptr::null_mut();
        let mut count = 0;
        // SAFETY: By the type invariant.
        while let Some(item) = unsafe { newest.as_ref() } {
            let older = item.next().replace(oldest);
            oldest = newest;
            newest = older;
            count += 1;
        }
        let mut end = &self.ready;
        // SAFETY: As above.
        while let Some(item) = unsafe { end.get().as_ref() } {
            end = item.next();
            count += 1;
        }
        end.set(oldest);
        self.most.store(count.max(self.most.load(Relaxed)), Relaxed);
    }
}

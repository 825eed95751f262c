// SPDX-License-Identifier: GPL-2.0

//! Lists of locks. Any context can add to one, without a lock; the holder of the list's own lock takes in
//! what was added.

use crate::{
    primitive::{AtomicPtr, Cell, Relaxed, SeqCst},
    sync::raw::RawLock,
};
use core::ptr;

/// A lock's place in a list. It belongs to the context that adds the lock, and then to the list.
struct Link {
    before: Cell<*const RawLock>,
    after: Cell<*const RawLock>,
}

/// A lock's places in the lists, one for each list.
pub(crate) struct Links([Link; 2]);

impl Links {
    pub(super) const fn new() -> Self {
        Self(
            [const {
                Link {
                    before: Cell::new(ptr::null()),
                    after: Cell::new(ptr::null()),
                }
            }; 2],
        )
    }
}

/// The locks that are waited for; see `watch.rs`.
pub(super) const WATCHED: usize = 0;
/// The locks that have ever been waited for; see `known.rs`.
pub(super) const KNOWN: usize = 1;

/// Locks that were added to the list `LIST` since they were last taken in.
pub(super) struct Added<const LIST: usize>(AtomicPtr<RawLock>);

impl<const LIST: usize> Added<LIST> {
    pub(super) const fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// Adds a lock. Any context.
    ///
    /// # Safety
    ///
    /// It is in no such list, and nobody else adds it to one. It removes itself before it goes away.
    #[cold]
    pub(super) unsafe fn add(&self, lock: &RawLock) {
        let lock_ptr = ptr::from_ref(lock).cast_mut();
        // `SeqCst` here and in `collect`: a context that adds a lock and then finds that a look is due
        // can rely on that look to see the lock.
        let mut first = self.0.load(Relaxed);
        loop {
            lock.links.0[LIST].after.set(first);
            match self
                .0
                .compare_exchange_weak(first, lock_ptr, SeqCst, Relaxed)
            {
                Ok(_) => return,
                Err(now) => first = now,
            }
        }
    }
}

/// A list of locks, under a lock of its own.
///
/// # Invariants
///
/// The locks in it are alive: a lock that goes away removes itself.
pub(super) struct List<const LIST: usize>(Cell<*const RawLock>);

// SAFETY: It is accessed under the list's lock.
unsafe impl<const LIST: usize> Send for List<LIST> {}

impl<const LIST: usize> List<LIST> {
    pub(super) const fn new() -> Self {
        Self(Cell::new(ptr::null()))
    }

    /// Takes in the locks that were added.
    pub(super) fn collect(&self, added: &Added<LIST>) {
        let mut added = added.0.swap(ptr::null_mut(), SeqCst).cast_const();
        // SAFETY: By the type invariant.
        while let Some(lock) = unsafe { added.as_ref() } {
            let next = lock.links.0[LIST].after.get();
            self.join(lock, self.0.get());
            self.join(ptr::null(), lock);
            added = next;
        }
    }

    /// Links `after` right behind `before`. Null stands for the list's beginning, or its end.
    fn join(&self, before: *const RawLock, after: *const RawLock) {
        // SAFETY: By the type invariant.
        let (first, second) = unsafe { (before.as_ref(), after.as_ref()) };
        first
            .map_or(&self.0, |lock| &lock.links.0[LIST].after)
            .set(after);
        if let Some(lock) = second {
            lock.links.0[LIST].before.set(before);
        }
    }

    /// Removes a lock that is in the list.
    pub(super) fn remove(&self, lock: &RawLock) {
        let link = &lock.links.0[LIST];
        self.join(link.before.get(), link.after.get());
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &RawLock> {
        let mut link = &self.0;
        core::iter::from_fn(move || {
            // SAFETY: By the type invariant.
            let lock = unsafe { link.get().as_ref() }?;
            link = &lock.links.0[LIST].after;
            Some(lock)
        })
    }

    /// Removes the locks for which `stays` returns false. Once it has done so, the lock may be gone.
    pub(super) fn retain(&self, mut stays: impl FnMut(&RawLock) -> bool) {
        let mut next = self.0.get();
        // SAFETY: By the type invariant.
        while let Some(lock) = unsafe { next.as_ref() } {
            let link = &lock.links.0[LIST];
            let (before, after) = (link.before.get(), link.after.get());
            if !stays(lock) {
                self.join(before, after);
            }
            next = after;
        }
    }
}

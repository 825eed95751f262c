// SPDX-License-Identifier: GPL-2.0

//! The handlers that are registered.
//!
//! A lock's word names the handler that owns it. A handler may forget its guard (`mem::forget` is safe) and
//! be unregistered; the word names it all the same. So any context that follows such a name looks here first.

use crate::{
    primitive::{Cell, LockClass, RawSpinLock},
    slot::Head,
};
use core::ptr;

/// A handler's place in the list: a pointer to the handler behind it.
///
/// # Invariants
///
/// The pointer is null, or to a handler that is in the list and alive.
pub(crate) struct Link(Cell<*const Head>);

// SAFETY: Heads are `Sync`; the cell is touched under the list's lock.
unsafe impl Send for Link {}

impl Link {
    pub(crate) const fn new() -> Self {
        Self(Cell::new(ptr::null()))
    }

    fn get(&self) -> Option<&Head> {
        // SAFETY: By the type invariant.
        unsafe { self.0.get().as_ref() }
    }
}

static FIRST: RawSpinLock<Link> = RawSpinLock::new(Link::new(), LockClass::Registered);

/// Adds a handler: from here on a lock may name it.
///
/// # Safety
///
/// It stays where it is until it is removed.
pub(crate) unsafe fn add(head: &Head) {
    let first = FIRST.lock();
    // INVARIANT: By the requirement.
    head.registered().0.set(first.0.replace(head));
}

/// Removes a handler: a context that turns interrupts off from now on does not find it any more.
pub(crate) fn remove(head: &Head) {
    let first = FIRST.lock();
    let mut link: &Link = &first;
    while let Some(other) = link.get() {
        if ptr::eq(other, head) {
            link.0.set(other.registered().0.get());
            return;
        }
        link = other.registered();
    }
}

/// Calls `then` with the handler that has this slot, if it is registered. It stays so during the call. Any context.
pub(crate) fn find<R>(slot: usize, then: impl FnOnce(&Head) -> R) -> Option<R> {
    let first = FIRST.lock();
    let mut link: &Link = &first;
    while let Some(head) = link.get() {
        if ptr::from_ref(head) as usize == slot {
            return Some(then(head));
        }
        link = head.registered();
    }
    None
}

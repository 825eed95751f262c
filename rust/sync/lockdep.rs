// SPDX-License-Identifier: GPL-2.0

//! What lockdep is told. None of this exists on a kernel without it.
//!
//! Lockdep is told of a thread's locks as of any others. It cannot be told of a handler's: in hard-IRQ context
//! it counts a lock as one of the interrupt's (which must not be held with interrupts on, as these
//! are), and as one of the interrupted thread's (which must release it). But a handler takes its locks
//! as a thread of its own would. So that is what lockdep is shown each time a handler asks for a lock:
//! for a moment, a thread that holds what the handler holds, and takes one more.

#[cfg(CONFIG_DEBUG_LOCK_ALLOC)]
use crate::bindings;
use crate::slot::Head;
#[cfg(CONFIG_DEBUG_LOCK_ALLOC)]
use core::cell::{Cell, UnsafeCell};
use kernel::{prelude::*, sync::LockClassKey};

/// A lock, as lockdep knows it.
pub(crate) struct LockMap {
    #[cfg(CONFIG_DEBUG_LOCK_ALLOC)]
    map: UnsafeCell<bindings::lockdep_map>,
}

/// The maximum number of a handler's locks that lockdep is told of at a time.
#[cfg(CONFIG_DEBUG_LOCK_ALLOC)]
const HELD: usize = bindings::LAZYIRQ_HELD as usize;

/// The locks that a handler holds. Accessed by the context that runs the handler.
#[derive(Default)]
pub(crate) struct Held {
    #[cfg(CONFIG_DEBUG_LOCK_ALLOC)]
    locks: Cell<[Option<HeldLock>; HELD]>,
}

/// A lock that a handler holds. The map is a copy: a handler may forget the lock's guard, and the lock may go.
#[cfg(CONFIG_DEBUG_LOCK_ALLOC)]
#[derive(Clone, Copy)]
struct HeldLock {
    original: *mut bindings::lockdep_map,
    map: bindings::lockdep_map,
}

#[cfg(not(CONFIG_DEBUG_LOCK_ALLOC))]
#[allow(clippy::unused_self)]
impl LockMap {
    pub(super) const fn new(
        _name: &'static CStr,
        _key: Option<Pin<&'static LockClassKey>>,
    ) -> Self {
        Self {}
    }

    #[inline(always)]
    pub(super) fn acquire(&self, _shared: bool, _trying: bool) {}

    #[inline(always)]
    pub(super) fn release(&self) {}

    #[inline(always)]
    pub(super) fn handler_asks(&self, _head: &Head, _shared: bool) {}

    #[inline(always)]
    pub(super) fn handler_has(&self, _head: &Head) {}

    #[inline(always)]
    pub(super) fn handler_releases(&self, _head: &Head) {}
}

#[cfg(CONFIG_DEBUG_LOCK_ALLOC)]
impl LockMap {
    /// Without a key, as for a static lock, the lock's address is the class.
    pub(super) const fn new(name: &'static CStr, key: Option<Pin<&'static LockClassKey>>) -> Self {
        // SAFETY: It has integers and pointers, for all of which zero is a valid value.
        let mut map: bindings::lockdep_map = unsafe { core::mem::zeroed() };
        map.name = kernel::str::as_char_ptr_in_const_context(name);
        map.wait_type_inner = bindings::lockdep_wait_type_LD_WAIT_SLEEP as u8;
        if let Some(key) = key {
            // The class is the key's address. (The type is transparent, but `as_ptr()` is not const.)
            // SAFETY: The reference is not moved from.
            let key: &'static LockClassKey = unsafe { Pin::into_inner_unchecked(key) };
            map.key = core::ptr::from_ref(key).cast_mut().cast();
        }
        Self {
            map: UnsafeCell::new(map),
        }
    }

    /// The running thread takes the lock; if `trying`, without waiting for it.
    pub(super) fn acquire(&self, shared: bool, trying: bool) {
        // SAFETY: The map is initialised. So are all those below.
        unsafe { bindings::lazyirq_lockdep_acquire(self.map.get(), shared, trying) };
    }

    pub(super) fn release(&self) {
        // SAFETY: See `acquire`.
        unsafe { bindings::lazyirq_lockdep_release(self.map.get()) };
    }

    /// The handler is about to take the lock, and would wait for it.
    pub(super) fn handler_asks(&self, head: &Head, shared: bool) {
        let mut held = head.held.locks.get();
        let mut maps = [core::ptr::null_mut(); HELD];
        for (map, lock) in maps.iter_mut().zip(held.iter_mut().flatten()) {
            *map = &raw mut lock.map;
        }
        // SAFETY: See `acquire`; the copies exist until the call returns.
        unsafe { bindings::lazyirq_lockdep_handler(maps.as_mut_ptr(), self.map.get(), shared) };
    }

    pub(super) fn handler_has(&self, head: &Head) {
        let original = self.map.get();
        // SAFETY: See `acquire`. Lockdep may write the key and its cache meanwhile, each in one piece.
        let mut map = unsafe { original.read_volatile() };
        if map.key.is_null() {
            // What lockdep makes of a static lock's.
            map.key = original.cast();
        }
        Self::replace(head, None, Some(HeldLock { original, map }));
    }

    pub(super) fn handler_releases(&self, head: &Head) {
        Self::replace(head, Some(self.map.get()), None);
    }

    fn replace(head: &Head, old: Option<*mut bindings::lockdep_map>, new: Option<HeldLock>) {
        let mut held = head.held.locks.get();
        // Locks beyond `HELD` are not reported.
        let place = held
            .iter_mut()
            .find(|lock| lock.map(|lock| lock.original) == old);
        if let Some(place) = place {
            *place = new;
        }
        head.held.locks.set(held);
    }
}

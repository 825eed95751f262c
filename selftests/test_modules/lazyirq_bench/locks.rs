// SPDX-License-Identifier: GPL-2.0

//! Locks of the kernel's that the kernel crate does not have, without calls around them.

use core::cell::UnsafeCell;
use kernel::{bindings, types::ScopeGuard};

#[cfg(not(CONFIG_DEBUG_LOCK_ALLOC))]
pub(crate) use rt_mutex::RtMutex;

/// The kernel's `rt_mutex`, and a count. (With lock debugging it is another function.)
#[cfg(not(CONFIG_DEBUG_LOCK_ALLOC))]
mod rt_mutex {
    use core::{
        cell::UnsafeCell,
        ops::{Deref, DerefMut},
    };
    use kernel::bindings;

    pub(crate) struct RtMutex {
        raw: UnsafeCell<bindings::rt_mutex>,
        count: UnsafeCell<u64>,
    }

    // SAFETY: The count is behind the lock.
    unsafe impl Send for RtMutex {}
    // SAFETY: As above.
    unsafe impl Sync for RtMutex {}

    impl RtMutex {
        pub(crate) fn new() -> Self {
            Self {
                // SAFETY: Without debugging, zero is an unlocked one.
                raw: UnsafeCell::new(unsafe { core::mem::zeroed() }),
                count: UnsafeCell::new(0),
            }
        }

        #[inline(always)]
        pub(crate) fn lock(&self) -> Guard<'_> {
            // SAFETY: It is initialised; thread context.
            unsafe { bindings::rt_mutex_lock(self.raw.get()) };
            Guard(self)
        }
    }

    pub(crate) struct Guard<'a>(&'a RtMutex);

    impl Deref for Guard<'_> {
        type Target = u64;

        fn deref(&self) -> &u64 {
            // SAFETY: It is locked.
            unsafe { &*self.0.count.get() }
        }
    }

    impl DerefMut for Guard<'_> {
        fn deref_mut(&mut self) -> &mut u64 {
            // SAFETY: It is locked.
            unsafe { &mut *self.0.count.get() }
        }
    }

    impl Drop for Guard<'_> {
        #[inline(always)]
        fn drop(&mut self) {
            // SAFETY: It is locked, by this thread.
            unsafe { bindings::rt_mutex_unlock(self.0.raw.get()) };
        }
    }
}

/// The C spinlock that turns interrupts off.
pub(crate) struct IrqSave(UnsafeCell<bindings::raw_spinlock_t>);

impl IrqSave {
    pub(crate) fn new() -> Self {
        // SAFETY: Without debugging, zero is an unlocked one.
        Self(UnsafeCell::new(unsafe { core::mem::zeroed() }))
    }

    pub(crate) fn lock(&self) -> impl Drop + '_ {
        // SAFETY: It is initialised, and unlocked with the flags that locking it returned.
        let flags = unsafe { bindings::_raw_spin_lock_irqsave(self.0.get()) };
        // SAFETY: As above.
        ScopeGuard::new(move || unsafe {
            bindings::_raw_spin_unlock_irqrestore(self.0.get(), flags)
        })
    }
}

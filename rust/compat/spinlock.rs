// SPDX-License-Identifier: GPL-2.0

//! A spinlock that turns interrupts off.

use crate::interrupt::LocalInterruptDisabled;
use core::ptr;
use kernel::{
    bindings,
    ffi::{c_char, c_ulong},
    sync::lock::{spinlock::SpinLockBackend, Backend, Guard, Lock},
};

pub type SpinLockIrq<T> = Lock<T, SpinLockIrqBackend>;

pub struct SpinLockIrqBackend;

/// As `spin_lock_irqsave()`. On PREEMPT_RT that is a lock that sleeps, and interrupts stay on.
///
/// # Safety
///
/// The lock is initialised.
#[inline]
unsafe fn lock_irqsave(lock: *mut bindings::spinlock_t) -> c_ulong {
    #[cfg(not(CONFIG_PREEMPT_RT))]
    // SAFETY: By the requirement; without PREEMPT_RT a spinlock begins with a raw one.
    return unsafe { bindings::_raw_spin_lock_irqsave(lock.cast()) };
    #[cfg(CONFIG_PREEMPT_RT)]
    {
        // SAFETY: By the requirement.
        unsafe { SpinLockBackend::lock(lock) };
        0
    }
}

/// Undoes that.
///
/// # Safety
///
/// The caller has locked it, and `flags` is what that returned.
#[inline]
unsafe fn unlock_irqrestore(lock: *mut bindings::spinlock_t, flags: c_ulong) {
    #[cfg(not(CONFIG_PREEMPT_RT))]
    // SAFETY: By the requirement; without PREEMPT_RT a spinlock begins with a raw one.
    unsafe {
        bindings::_raw_spin_unlock_irqrestore(lock.cast(), flags)
    };
    #[cfg(CONFIG_PREEMPT_RT)]
    {
        let _ = flags;
        // SAFETY: By the requirement.
        unsafe { SpinLockBackend::unlock(lock, &()) };
    }
}

// SAFETY: It is the kernel's spinlock, and no other context gets it while it is held.
unsafe impl Backend for SpinLockIrqBackend {
    type State = bindings::spinlock_t;
    type GuardState = c_ulong;

    unsafe fn init(
        lock: *mut Self::State,
        name: *const c_char,
        key: *mut bindings::lock_class_key,
    ) {
        // SAFETY: By the requirement.
        unsafe { SpinLockBackend::init(lock, name, key) }
    }

    #[inline]
    unsafe fn lock(lock: *mut Self::State) -> c_ulong {
        // SAFETY: By the requirement.
        unsafe { lock_irqsave(lock) }
    }

    unsafe fn try_lock(_: *mut Self::State) -> Option<c_ulong> {
        None // Nobody tries.
    }

    #[inline]
    unsafe fn unlock(lock: *mut Self::State, flags: &c_ulong) {
        // SAFETY: By the requirement.
        unsafe { unlock_irqrestore(lock, *flags) }
    }

    unsafe fn assert_is_held(lock: *mut Self::State) {
        // SAFETY: By the requirement.
        unsafe { SpinLockBackend::assert_is_held(lock) }
    }
}

/// In scope through the prelude.
pub trait LockWith<T> {
    /// Takes the lock where interrupts are off already.
    fn lock_with(&self, off: &LocalInterruptDisabled) -> Guard<'_, T, SpinLockBackend>;
}

impl<T> LockWith<T> for SpinLockIrq<T> {
    #[inline]
    fn lock_with(&self, _: &LocalInterruptDisabled) -> Guard<'_, T, SpinLockBackend> {
        // SAFETY: The layout of the type is determined by its state, which is the same.
        unsafe { &*ptr::from_ref(self).cast::<Lock<T, SpinLockBackend>>() }.lock()
    }
}

#[macro_export]
macro_rules! new_spinlock_irq {
    ($data:expr $(, $name:literal)? $(,)?) => {
        $crate::sync::SpinLockIrq::new(
            $data,
            $crate::optional_name!($($name)?),
            $crate::static_lock_class!(),
        )
    };
}

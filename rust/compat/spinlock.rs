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
        // As `spin_lock_irqsave()`: on PREEMPT_RT that is a lock that sleeps, and interrupts stay on.
        #[cfg(CONFIG_PREEMPT_RT)]
        // SAFETY: By the requirement.
        unsafe {
            SpinLockBackend::lock(lock);
            0
        }
        #[cfg(not(CONFIG_PREEMPT_RT))]
        // SAFETY: By the requirement; without PREEMPT_RT a spinlock begins with a raw one.
        unsafe {
            bindings::_raw_spin_lock_irqsave(lock.cast())
        }
    }

    unsafe fn try_lock(_: *mut Self::State) -> Option<c_ulong> {
        None // Nobody tries.
    }

    #[inline]
    #[cfg_attr(CONFIG_PREEMPT_RT, allow(unused_variables))]
    unsafe fn unlock(lock: *mut Self::State, flags: &c_ulong) {
        #[cfg(CONFIG_PREEMPT_RT)]
        // SAFETY: By the requirement.
        unsafe {
            SpinLockBackend::unlock(lock, &())
        }
        #[cfg(not(CONFIG_PREEMPT_RT))]
        // SAFETY: By the requirement; the flags are what locking it returned.
        unsafe {
            bindings::_raw_spin_unlock_irqrestore(lock.cast(), *flags)
        }
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

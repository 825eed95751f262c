// SPDX-License-Identifier: GPL-2.0

//! The driver core's seam, `rust/primitive.rs`, over loom.
//!
//! Dropping an atomic or a cell counts as one more use of it, before which all others must be
//! ordered: so a use after free is noticed.

pub(crate) use loom::hint::spin_loop;
// Loom would not notice that a bool is dropped.
pub(crate) use loom::sync::atomic::{
    fence, AtomicBool,
    Ordering::{self, AcqRel, Acquire, Relaxed, Release, SeqCst},
};

use std::{
    ops::{Deref, DerefMut},
    ptr,
    thread::panicking,
};

macro_rules! atomic {
    ($name:ident $(<$t:ident>)?, $value:ty) => {
        pub(crate) struct $name $(<$t>)? (loom::sync::atomic::$name $(<$t>)?);

        impl $(<$t>)? $name $(<$t>)? {
            #[track_caller]
            pub(crate) fn new(value: $value) -> Self {
                Self(loom::sync::atomic::$name::new(value))
            }
        }

        impl $(<$t>)? Deref for $name $(<$t>)? {
            type Target = loom::sync::atomic::$name $(<$t>)?;

            fn deref(&self) -> &Self::Target {
                &self.0
            }
        }

        impl $(<$t>)? Default for $name $(<$t>)? where $value: Default {
            #[track_caller]
            fn default() -> Self {
                Self::new(Default::default())
            }
        }

        impl $(<$t>)? Drop for $name $(<$t>)? {
            fn drop(&mut self) {
                if !panicking() {
                    self.0.with_mut(|_| ());
                }
            }
        }
    };
}

atomic!(AtomicU32, u32);
atomic!(AtomicU64, u64);
atomic!(AtomicUsize, usize);
atomic!(AtomicPtr<T>, *mut T);

#[track_caller]
pub(crate) fn load_own(atomic: &AtomicU64) -> u64 {
    // SAFETY: Loom checks that all stores come before.
    unsafe { atomic.unsync_load() }
}

pub(crate) struct Cell<T>(loom::cell::UnsafeCell<T>);

impl<T> Cell<T> {
    #[track_caller]
    pub(crate) fn new(value: T) -> Self {
        Self(loom::cell::UnsafeCell::new(value))
    }

    #[track_caller]
    pub(crate) fn get(&self) -> T
    where
        T: Copy,
    {
        // SAFETY: Loom has checked that nothing writes it meanwhile.
        self.0.with(|value| unsafe { *value })
    }

    #[track_caller]
    pub(crate) fn set(&self, value: T) {
        self.replace(value);
    }

    #[track_caller]
    pub(crate) fn replace(&self, value: T) -> T {
        // SAFETY: Loom has checked that nothing uses it meanwhile.
        self.0.with_mut(|old| unsafe { ptr::replace(old, value) })
    }
}

impl<T> Drop for Cell<T> {
    fn drop(&mut self) {
        if !panicking() {
            self.0.with_mut(|_| ());
        }
    }
}

/// There are no statics here.
macro_rules! const_fn {
    ($($function:tt)*) => { $($function)* };
}
pub(crate) use const_fn;

pub(crate) enum LockClass {
    Turnstile,
}

pub(crate) struct RawSpinLock<T> {
    data: loom::sync::Mutex<T>,
}

impl<T> RawSpinLock<T> {
    pub(crate) fn new(data: T, _class: LockClass) -> Self {
        Self {
            data: loom::sync::Mutex::new(data),
        }
    }

    pub(crate) fn lock(&self) -> RawSpinGuard<'_, T> {
        RawSpinGuard {
            data: self.data.lock().unwrap(),
        }
    }
}

pub(crate) struct RawSpinGuard<'a, T> {
    data: loom::sync::MutexGuard<'a, T>,
}

impl<T> Deref for RawSpinGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.data
    }
}

impl<T> DerefMut for RawSpinGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.data
    }
}

// SPDX-License-Identifier: GPL-2.0

//! What the state machine, the locks and the queues use of the kernel, and nothing else. The models replace this
//! file.
//!
//! The atomics are `core`'s, since those compile to single instructions where they stand; the kernel crate's
//! are calls on a kernel built with gcc, which the lazy path cannot afford. `Acquire`, `Release` and
//! `Relaxed` mean the same under both memory models. But a read-modify-write operation is not a full barrier
//! here, unlike its kernel namesake: where each of two sides writes one thing and then reads the other
//! side's, all four accesses are `SeqCst`, or a lock or the kernel's own wake-up is in between.

pub(crate) use core::cell::Cell;
pub(crate) use core::hint::spin_loop;
pub(crate) use core::sync::atomic::{
    fence, AtomicBool, AtomicI32, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize,
    Ordering::{self, AcqRel, Acquire, Relaxed, Release, SeqCst},
};

use crate::bindings;
use core::{
    cell::UnsafeCell,
    ops::{Deref, DerefMut},
};
use kernel::types::{NotThreadSafe, Opaque};

/// `raw_spin_lock_irqsave` and its counterpart: the functions behind the kernel's macros where there are any,
/// since each call saved counts on the path of a blocked interrupt; else the shim's.
mod raw_spin {
    #[cfg(all(
        CONFIG_SMP,
        not(CONFIG_INLINE_SPIN_LOCK_IRQSAVE),
        not(CONFIG_INLINE_SPIN_UNLOCK_IRQRESTORE)
    ))]
    pub(super) use crate::bindings::{
        _raw_spin_lock_irqsave as lock, _raw_spin_unlock_irqrestore as unlock,
    };
    #[cfg(not(all(
        CONFIG_SMP,
        not(CONFIG_INLINE_SPIN_LOCK_IRQSAVE),
        not(CONFIG_INLINE_SPIN_UNLOCK_IRQRESTORE)
    )))]
    pub(super) use crate::bindings::{
        lazyirq_raw_spin_lock as lock, lazyirq_raw_spin_unlock as unlock,
    };
}

/// Makes a constructor that statics can use. (The models' primitives cannot be made at compile time: there,
/// this makes a plain function of the same text.)
macro_rules! const_fn {
    ($(#[$meta:meta])* $vis:vis fn $($rest:tt)*) => { $(#[$meta])* $vis const fn $($rest)* };
}
pub(crate) use const_fn;

/// What the only writer of an atomic, which is the caller, has stored last. (The models check that.)
#[inline(always)]
pub(crate) fn load_own(atomic: &AtomicU64) -> u64 {
    atomic.load(Relaxed)
}

/// What a raw spinlock protects. They are taken in this order, at most one of each.
#[derive(Clone, Copy)]
pub(crate) enum LockClass {
    /// A list of locks.
    List,
    /// A lock's turnstile.
    Turnstile,
    /// The registered handlers.
    Registered,
}

/// A raw spinlock taken with interrupts off: the short critical sections behind the slow paths.
/// It spins on PREEMPT_RT too.
pub(crate) struct RawSpinLock<T> {
    raw: Opaque<bindings::raw_spinlock_t>,
    data: UnsafeCell<T>,
}

// SAFETY: The lock gives out its data to one context at a time.
unsafe impl<T: Send> Send for RawSpinLock<T> {}
// SAFETY: As above.
unsafe impl<T: Send> Sync for RawSpinLock<T> {}

impl<T> RawSpinLock<T> {
    /// What `__RAW_SPIN_LOCK_UNLOCKED()` makes. All locks of one class are one for lockdep, wherever they lie.
    #[cfg_attr(not(CONFIG_DEBUG_LOCK_ALLOC), allow(unused_variables))]
    pub(crate) const fn new(data: T, class: LockClass) -> Self {
        // SAFETY: Integers and pointers, for all of which zero is valid. Without debugging, zero is an
        // unlocked spinlock on every architecture that the kernel supports Rust on.
        #[cfg_attr(not(CONFIG_DEBUG_SPINLOCK), allow(unused_mut))]
        let mut raw: bindings::raw_spinlock_t = unsafe { core::mem::zeroed() };
        #[cfg(CONFIG_DEBUG_SPINLOCK)]
        {
            raw.magic = bindings::SPINLOCK_MAGIC;
            raw.owner_cpu = u32::MAX;
            raw.owner = core::ptr::without_provenance_mut(usize::MAX);
        }
        #[cfg(CONFIG_DEBUG_LOCK_ALLOC)]
        {
            raw.dep_map.key = (&raw mut bindings::lazyirq_spin_classes)
                .cast::<bindings::lock_class_key>()
                .wrapping_add(class as usize);
            // Not a literal: drivers make locks too, and lockdep compares the addresses of the names.
            raw.dep_map.name = (&raw const bindings::lazyirq_spin_name).cast();
            raw.dep_map.wait_type_inner = bindings::lockdep_wait_type_LD_WAIT_SPIN as u8;
        }
        Self {
            raw: Opaque::new(raw),
            data: UnsafeCell::new(data),
        }
    }

    #[inline]
    pub(crate) fn lock(&self) -> RawSpinGuard<'_, T> {
        // SAFETY: `raw` is an initialised spinlock: `new` is the only constructor.
        let flags = unsafe { raw_spin::lock(self.raw.get()) };
        RawSpinGuard {
            lock: self,
            flags,
            _not_send: NotThreadSafe,
        }
    }
}

/// # Invariants
///
/// The guard's owner holds `lock`, and `flags` is what taking it returned.
pub(crate) struct RawSpinGuard<'a, T> {
    lock: &'a RawSpinLock<T>,
    flags: usize,
    _not_send: NotThreadSafe,
}

impl<T> Deref for RawSpinGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: The lock is held, by the type invariant.
        unsafe { &*self.lock.data.get() }
    }
}

impl<T> DerefMut for RawSpinGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: The lock is held, by the type invariant.
        unsafe { &mut *self.lock.data.get() }
    }
}

impl<T> Drop for RawSpinGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: The lock is held, by the type invariant, and is given up here.
        unsafe { raw_spin::unlock(self.lock.raw.get(), self.flags) };
    }
}

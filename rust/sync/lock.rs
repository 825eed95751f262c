// SPDX-License-Identifier: GPL-2.0

//! A lock with its data, and its guards: what [`Mutex`](crate::Mutex) and [`RwLock`](crate::RwLock)
//! have in common.

use crate::{
    handler::Interrupt,
    sync::{
        lockdep::LockMap,
        raw::{Owner, RawLock},
        turnstile::Waiter,
        wait,
    },
};
use core::{
    cell::UnsafeCell,
    future::Future,
    hint::assert_unchecked,
    marker::{PhantomData, PhantomPinned},
    ops::{Deref, DerefMut},
    pin::Pin,
    task::{Context, Poll},
};
use kernel::{prelude::*, sync::LockClassKey, types::NotThreadSafe};
use pin_init::Wrapper;

mod private {
    pub trait Sealed {}
}

/// How a lock is held: [`Exclusive`] or [`Shared`]. Not for drivers to implement.
pub trait Access: private::Sealed {
    #[doc(hidden)]
    const SHARED: bool;
}

/// Held by one owner, to read and write.
pub struct Exclusive(());

/// Held by any number of owners at a time, to read.
pub struct Shared(());

impl private::Sealed for Exclusive {}
impl private::Sealed for Shared {}

impl Access for Exclusive {
    const SHARED: bool = false;
}

impl Access for Shared {
    const SHARED: bool = true;
}

/// Data that threads and interrupt handlers share: a [`Mutex`](crate::Mutex) or a
/// [`RwLock`](crate::RwLock), depending on its `Kind`.
#[pin_data]
pub struct Lock<T: ?Sized, Kind> {
    raw: RawLock,
    map: LockMap,
    _kind: PhantomData<Kind>,
    /// Waiters and the list of watched locks point to the lock.
    #[pin]
    _pin: PhantomPinned,
    #[pin]
    data: UnsafeCell<T>,
}

// SAFETY: A lock may be sent if its data may be. It stays pinned where it is; what points to it, the
// lists of `watch.rs` and `known.rs` among them, is used from any thread, under locks of its own.
unsafe impl<T: ?Sized + Send, Kind> Send for Lock<T, Kind> {}

impl<T, Kind> Lock<T, Kind> {
    /// Makes a lock. The name is for reports, the key is lockdep's class. See
    /// [`new_mutex!`](crate::new_mutex) and [`new_rwlock!`](crate::new_rwlock), which supply both.
    ///
    /// # Examples
    ///
    /// ```
    /// # use kernel::prelude::*;
    /// use lazyirq::Mutex;
    ///
    /// let key = kernel::static_lock_class!();
    /// let lock = KBox::pin_init(Mutex::new(5u32, c"five", key), GFP_KERNEL)?;
    /// # Ok::<(), Error>(())
    /// ```
    pub fn new(
        data: impl PinInit<T>,
        name: &'static CStr,
        key: Pin<&'static LockClassKey>,
    ) -> impl PinInit<Self> {
        pin_init!(Self {
            raw: RawLock::new(name),
            map: LockMap::new(name, Some(key)),
            _kind: PhantomData,
            _pin: PhantomPinned,
            data <- UnsafeCell::pin_init(data),
        })
    }

    /// Makes a lock for a static; see [`static_lock!`](crate::static_lock).
    ///
    /// # Safety
    ///
    /// It must not be moved once it has been used, nor dropped.
    #[doc(hidden)]
    pub const unsafe fn new_static(data: T, name: &'static CStr) -> Self {
        Self {
            raw: RawLock::new(name),
            map: LockMap::new(name, None),
            _kind: PhantomData,
            _pin: PhantomPinned,
            data: UnsafeCell::new(data),
        }
    }
}

/// Makes a [`Mutex`](crate::Mutex) or [`RwLock`](crate::RwLock) that is a static.
///
/// # Examples
///
/// ```
/// use lazyirq::static_lock;
///
/// static_lock! {
///     /// Events so far, of all devices.
///     pub static EVENTS: Mutex<u64> = 0;
///     static LIMITS: RwLock<(u32, u32)> = (0, 100);
/// }
///
/// *EVENTS.lock() += 1;
/// assert_eq!(LIMITS.read().1, 100);
/// ```
#[macro_export]
macro_rules! static_lock {
    ($(
        $(#[$meta:meta])* $visibility:vis static $name:ident: $lock:ident<$data:ty> = $value:expr;
    )*) => {$(
        $(#[$meta])*
        $visibility static $name: $crate::$lock<$data> = {
            let value: $data = $value;
            // SAFETY: A static stays where it is, and is not dropped.
            unsafe {
                $crate::$lock::<$data>::new_static(
                    value,
                    ::kernel::c_str!(::core::stringify!($name)),
                )
            }
        };
    )*};
}

impl<T: ?Sized, Kind> Lock<T, Kind> {
    /// The lock's name.
    ///
    /// # Context
    ///
    /// Any.
    ///
    /// # Examples
    ///
    /// ```
    /// lazyirq::static_lock! { static EVENTS: Mutex<u64> = 0; }
    /// assert_eq!(EVENTS.name(), c"EVENTS");
    /// ```
    pub fn name(&self) -> &'static CStr {
        self.raw.name
    }

    /// Does anybody wait for the lock? For a thread that holds it for long and can let others in between.
    ///
    /// # Context
    ///
    /// Any. The answer may be out of date at once.
    ///
    /// # Examples
    ///
    /// ```
    /// # use kernel::prelude::*;
    /// # let lock = KBox::pin_init(lazyirq::new_mutex!(5u32, "five"), GFP_KERNEL)?;
    /// let mut five = lock.lock();
    /// if lock.is_contended() {
    ///     drop(five);
    ///     five = lock.lock();
    /// }
    /// # Ok::<(), Error>(())
    /// ```
    #[inline]
    pub fn is_contended(&self) -> bool {
        self.raw.has_waiters()
    }

    #[inline(always)]
    fn try_take<A: Access>(&self, owner: Owner) -> bool {
        if A::SHARED {
            self.raw.try_read()
        } else {
            self.raw.try_write(owner)
        }
    }

    /// The caller holds the lock.
    #[inline(always)]
    fn release<A: Access>(&self, owner: Owner) {
        if A::SHARED {
            self.raw.release_read(owner);
        } else {
            self.raw.release_write(owner);
        }
    }

    /// Takes the lock for a thread, which sleeps if it has to.
    #[inline(always)]
    #[track_caller]
    pub(super) fn take<A: Access>(&self) -> Guard<'_, T, Kind, A> {
        let owner = self.thread_asks::<A>();
        if !self.try_take::<A>(owner) {
            // It is not interruptible, so it cannot fail.
            let _ = wait::thread(&self.raw, A::SHARED, false);
        }
        self.guard(owner)
    }

    #[inline(always)]
    #[track_caller]
    pub(super) fn take_interruptible<A: Access>(&self) -> Result<Guard<'_, T, Kind, A>> {
        let owner = self.thread_asks::<A>();
        if !self.try_take::<A>(owner) {
            wait::thread(&self.raw, A::SHARED, true).inspect_err(|_| self.map.release())?;
        }
        Ok(self.guard(owner))
    }

    /// Tells the debugging facilities; returns the would-be owner.
    #[inline(always)]
    #[track_caller]
    fn thread_asks<A: Access>(&self) -> Owner {
        #[cfg(CONFIG_DEBUG_ATOMIC_SLEEP)]
        kernel::task::might_sleep();
        self.map.acquire(A::SHARED, false);
        Self::thread::<A>()
    }

    /// The running thread, as the owner of a lock that it takes.
    #[inline(always)]
    fn thread<A: Access>() -> Owner {
        if A::SHARED {
            Owner::ANYBODY
        } else {
            Owner::thread()
        }
    }

    #[inline(always)]
    pub(super) fn try_take_thread<A: Access>(&self) -> Option<Guard<'_, T, Kind, A>> {
        let owner = Self::thread::<A>();
        if !self.try_take::<A>(owner) {
            return None;
        }
        self.map.acquire(A::SHARED, true);
        Some(self.guard(owner))
    }

    /// The running thread holds the lock.
    #[inline(always)]
    fn guard<A: Access>(&self, owner: Owner) -> Guard<'_, T, Kind, A> {
        self.raw.taken();
        Guard {
            lock: self,
            owner,
            _access: PhantomData,
            _not_send: NotThreadSafe,
        }
    }

    #[inline(always)]
    pub(super) fn ask<'a, A: Access>(&'a self, irq: Interrupt<'a>) -> LockIrq<'a, T, Kind, A> {
        LockIrq {
            lock: self,
            irq,
            waiter: None,
            _access: PhantomData,
            _pin: PhantomPinned,
        }
    }

    #[inline(always)]
    pub(super) fn try_take_irq<'a, A: Access>(
        &'a self,
        irq: Interrupt<'a>,
    ) -> Option<IrqGuard<'a, T, Kind, A>> {
        self.try_take::<A>(Owner::handler(irq.head()))
            .then(|| self.irq_guard(irq))
    }

    /// The handler holds the lock.
    #[inline(always)]
    fn irq_guard<'a, A: Access>(&'a self, irq: Interrupt<'a>) -> IrqGuard<'a, T, Kind, A> {
        self.map.handler_has(irq.head());
        self.raw.taken();
        IrqGuard {
            lock: self,
            irq,
            _access: PhantomData,
            _data: PhantomData,
        }
    }
}

/// The future with which a handler takes a lock; see [`Mutex::lock_irq`](crate::Mutex::lock_irq),
/// [`RwLock::read_irq`](crate::RwLock::read_irq) and [`RwLock::write_irq`](crate::RwLock::write_irq).
#[must_use = "a handler takes the lock when this is awaited"]
pub struct LockIrq<'a, T: ?Sized, Kind, A: Access> {
    lock: &'a Lock<T, Kind>,
    irq: Interrupt<'a>,
    /// Set while the handler waits.
    waiter: Option<Waiter>,
    _access: PhantomData<A>,
    _pin: PhantomPinned,
}

// SAFETY: It has a reference to the lock, which may be sent if the lock is `Sync`; the waiter's
// pointers are used under the turnstile's lock.
unsafe impl<T: ?Sized, Kind, A: Access> Send for LockIrq<'_, T, Kind, A> where Lock<T, Kind>: Sync {}

impl<'a, T: ?Sized, Kind, A: Access> Future for LockIrq<'a, T, Kind, A> {
    type Output = IrqGuard<'a, T, Kind, A>;

    #[inline]
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: Nothing is moved out; the waiter stays where it is once it is queued.
        let this = unsafe { self.get_unchecked_mut() };
        let (lock, irq) = (this.lock, this.irq);
        let taken = if this.waiter.is_none() {
            lock.map.handler_asks(irq.head(), A::SHARED);
            lock.try_take::<A>(Owner::handler(irq.head()))
        } else {
            wait::handler_has(&lock.raw, irq, &mut this.waiter)
        };
        let wait = if A::SHARED {
            wait::reading_handler
        } else {
            wait::handler
        };
        // SAFETY: `waiter` is pinned with the future, and the future's drop ends the wait.
        if !taken && !unsafe { wait(&lock.raw, irq, &mut this.waiter) } {
            return Poll::Pending;
        }
        let guard = lock.irq_guard(irq);
        // The future is dropped next. Letting the compiler omit the code that would end a wait keeps seven
        // instructions off the lazy path.
        // SAFETY: It was `None`, or was made so when the wait was found to be over.
        unsafe { assert_unchecked(this.waiter.is_none()) };
        Poll::Ready(guard)
    }
}

impl<T: ?Sized, Kind, A: Access> Drop for LockIrq<'_, T, Kind, A> {
    #[inline]
    fn drop(&mut self) {
        if let Some(waiter) = &self.waiter {
            if wait::give_up(&self.lock.raw, self.irq, waiter) {
                // The lock goes on to the next owner.
                self.lock.release::<A>(waiter.request.owner);
            }
        }
    }
}

/// A thread's hold on a lock. The lock is released when this is dropped.
///
/// The guard is not `Send`: the thread that took the lock must release it.
///
/// # Examples
///
/// ```
/// use lazyirq::Guard;
///
/// lazyirq::static_lock! { static EVENTS: Mutex<u64> = 0; }
///
/// fn count(events: &mut Guard<'_, u64>) {
///     **events += 1;
/// }
/// count(&mut EVENTS.lock());
/// ```
#[must_use = "the lock is released at once if the guard is not kept"]
pub struct Guard<'a, T: ?Sized, Kind = super::mutex::Kind, A: Access = Exclusive> {
    lock: &'a Lock<T, Kind>,
    owner: Owner,
    _access: PhantomData<A>,
    _not_send: NotThreadSafe,
}

/// A handler's hold on a lock. The lock is released when this is dropped.
///
/// The guard is `Send`: the handler may take it along from hard-IRQ context to a thread.
///
/// # Examples
///
/// ```
/// use lazyirq::{Interrupt, IrqGuard, Mutex};
///
/// async fn count(events: &Mutex<u64>, irq: Interrupt<'_>) {
///     let mut events: IrqGuard<'_, u64> = events.lock_irq(irq).await;
///     *events += 1;
/// }
/// ```
#[must_use = "the lock is released at once if the guard is not kept"]
pub struct IrqGuard<'a, T: ?Sized, Kind = super::mutex::Kind, A: Access = Exclusive> {
    lock: &'a Lock<T, Kind>,
    irq: Interrupt<'a>,
    _access: PhantomData<A>,
    /// `Send` and `Sync` as this type is.
    _data: PhantomData<&'a mut T>,
}

// SAFETY: A shared guard gives out shared references to the data, and to the lock.
unsafe impl<T: ?Sized + Sync, Kind, A: Access> Sync for Guard<'_, T, Kind, A> where
    Lock<T, Kind>: Sync
{
}

macro_rules! guard {
    ($guard:ident, |$this:ident| $release:block) => {
        impl<'a, T: ?Sized, Kind, A: Access> $guard<'a, T, Kind, A> {
            /// The lock that is held, to assert that it is the right one.
            ///
            /// # Examples
            ///
            /// ```
            /// lazyirq::static_lock! { static EVENTS: Mutex<u64> = 0; }
            /// let events = EVENTS.lock();
            /// assert!(core::ptr::eq(events.lock_ref(), &EVENTS));
            /// ```
            pub fn lock_ref(&self) -> &'a Lock<T, Kind> {
                self.lock
            }
        }

        impl<T: ?Sized, Kind> $guard<'_, T, Kind, Exclusive> {
            /// The data, pinned: for types that must not be moved. Others have `DerefMut`.
            ///
            /// # Examples
            ///
            /// ```
            /// # use core::pin::Pin;
            /// lazyirq::static_lock! { static EVENTS: Mutex<u64> = 0; }
            /// let mut guard = EVENTS.lock();
            /// let events: Pin<&mut u64> = guard.as_mut();
            /// ```
            pub fn as_mut(&mut self) -> Pin<&mut T> {
                // SAFETY: The guard's owner holds the lock; the data is structurally pinned.
                unsafe { Pin::new_unchecked(&mut *self.lock.data.get()) }
            }
        }

        impl<T: ?Sized, Kind, A: Access> Deref for $guard<'_, T, Kind, A> {
            type Target = T;

            #[inline]
            fn deref(&self) -> &T {
                // SAFETY: The guard's owner holds the lock.
                unsafe { &*self.lock.data.get() }
            }
        }

        impl<T: ?Sized + Unpin, Kind> DerefMut for $guard<'_, T, Kind, Exclusive> {
            #[inline]
            fn deref_mut(&mut self) -> &mut T {
                // SAFETY: The guard's owner holds the lock exclusively.
                unsafe { &mut *self.lock.data.get() }
            }
        }

        impl<T: ?Sized, Kind, A: Access> Drop for $guard<'_, T, Kind, A> {
            #[inline]
            fn drop(&mut self) {
                let $this = self;
                $release
            }
        }
    };
}

guard!(Guard, |this| {
    this.lock.map.release();
    this.lock.release::<A>(this.owner);
});
guard!(IrqGuard, |this| {
    this.lock.map.handler_releases(this.irq.head());
    this.lock.release::<A>(Owner::handler(this.irq.head()));
});

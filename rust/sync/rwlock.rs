// SPDX-License-Identifier: GPL-2.0

//! The read/write lock.

use crate::{
    handler::Interrupt,
    sync::lock::{Exclusive, Guard, IrqGuard, Lock, LockIrq, Shared},
};
use kernel::prelude::*;

/// Makes a [`Lock`] a [`RwLock`].
pub struct Kind(());

/// A read/write lock that threads and interrupt handlers share.
///
/// It is like [`Mutex`](crate::Mutex), with `read` and `write` in place of `lock`: any number of readers
/// may hold it at a time, or one writer. Uncontended, and for a reader beside others, each is one
/// compare-exchange to take and one to release.
///
/// A release hands the lock to the first waiter: interrupts before threads, higher priorities before
/// lower, and first come, first served among equals; together with a reader it goes to those ahead of the
/// next writer, up to 16 at a time. A reader that comes while others read joins them at once if it outranks
/// all waiters, and otherwise waits behind its equals. So readers do not starve a writer of their own
/// priority, and a writer does not starve readers of a higher IPL. Nor do these starve it: when 16 have passed it,
/// it goes to the front.
///
/// A waiter lends its priority to a writer, as with a mutex. Readers are counted, not known: they are lent
/// nothing, and it is not detected if one waits for itself. A reader must not ask for the lock again, to
/// read (a writer may have come in between) or to write, or it waits for ever. `EDEADLK` is for waits that
/// lead to a writer. Lockdep reports either.
///
/// A thread that is the last reader to release it, or the writer, resumes the handlers that get it, as with
/// a mutex.
///
/// # Examples
///
/// ```
/// use kernel::prelude::*;
/// use lazyirq::{new_rwlock, RwLock};
///
/// #[pin_data]
/// struct Filter {
///     #[pin]
///     range: RwLock<(u32, u32)>,
/// }
///
/// let filter = KBox::pin_init(
///     pin_init!(Filter { range <- new_rwlock!((0, 10), "range") }),
///     GFP_KERNEL,
/// )?;
/// filter.range.write().1 = 20;
/// // Beside any number of others, but once in a thread: a writer may have come in between.
/// let range = filter.range.read();
/// assert_eq!(*range, (0, 20));
/// # Ok::<(), Error>(())
/// ```
pub type RwLock<T> = Lock<T, Kind>;

/// A thread's hold on a [`RwLock`], to read.
pub type ReadGuard<'a, T> = Guard<'a, T, Kind, Shared>;

/// A thread's hold on a [`RwLock`], to write.
pub type WriteGuard<'a, T> = Guard<'a, T, Kind, Exclusive>;

/// A handler's hold on a [`RwLock`], to read.
pub type IrqReadGuard<'a, T> = IrqGuard<'a, T, Kind, Shared>;

/// A handler's hold on a [`RwLock`], to write.
pub type IrqWriteGuard<'a, T> = IrqGuard<'a, T, Kind, Exclusive>;

// SAFETY: It gives its data to one writer at a time, or to readers that share it.
unsafe impl<T: ?Sized + Send + Sync> Sync for Lock<T, Kind> {}

/// Makes a [`RwLock`](crate::RwLock), named after the place in the source if no name is given, with a
/// lockdep class of its own.
///
/// # Examples
///
/// ```
/// use kernel::prelude::*;
/// let lock = KBox::pin_init(lazyirq::new_rwlock!(5u32, "five"), GFP_KERNEL)?;
/// assert_eq!(*lock.read(), 5);
/// # Ok::<(), Error>(())
/// ```
#[macro_export]
macro_rules! new_rwlock {
    ($data:expr $(, $name:literal)? $(,)?) => {
        $crate::RwLock::new(
            $data,
            ::kernel::optional_name!($($name)?),
            ::kernel::static_lock_class!(),
        )
    };
}

impl<T: ?Sized> Lock<T, Kind> {
    /// Takes the lock for a thread to read, and sleeps if it has to.
    ///
    /// # Context
    ///
    /// Thread, may sleep. Not in a handler. A thread that holds the lock to write is reported, and
    /// sleeps for ever, as with [`Mutex::lock`](crate::Mutex::lock).
    ///
    /// # Examples
    ///
    /// ```
    /// lazyirq::static_lock! { static LIMIT: RwLock<u32> = 100; }
    /// assert_eq!(*LIMIT.read(), 100);
    /// ```
    #[inline]
    #[track_caller]
    pub fn read(&self) -> ReadGuard<'_, T> {
        self.take()
    }

    /// Takes the lock for a thread to read, and sleeps if it has to, or until a signal comes.
    ///
    /// # Context
    ///
    /// Thread, may sleep.
    ///
    /// # Errors
    ///
    /// `EINTR`, and `EDEADLK` if the thread is the writer itself or waits for one that waits for it, as with
    /// [`Mutex::lock_interruptible`](crate::Mutex::lock_interruptible).
    ///
    /// # Examples
    ///
    /// ```
    /// lazyirq::static_lock! { static LIMIT: RwLock<u32> = 100; }
    /// assert_eq!(*LIMIT.read_interruptible()?, 100);
    /// # Ok::<(), Error>(())
    /// ```
    #[inline]
    #[track_caller]
    pub fn read_interruptible(&self) -> Result<ReadGuard<'_, T>> {
        self.take_interruptible()
    }

    /// Takes the lock for a thread to read if that is possible at once.
    ///
    /// # Context
    ///
    /// Thread, also with preemption or interrupts off. Not a handler, softirq or timer: what runs then is
    /// not the running thread, which would be taken for the owner.
    ///
    /// # Examples
    ///
    /// ```
    /// lazyirq::static_lock! { static LIMIT: RwLock<u32> = 100; }
    /// assert!(LIMIT.try_read().is_some());
    /// ```
    #[must_use = "the lock is released at once if the guard is not kept"]
    #[inline]
    pub fn try_read(&self) -> Option<ReadGuard<'_, T>> {
        self.try_take_thread()
    }

    /// Takes the lock for a thread to write, and sleeps if it has to.
    ///
    /// # Context
    ///
    /// Thread, may sleep. Not in a handler. A thread that holds the lock to write is reported, and sleeps
    /// for ever, as with [`Mutex::lock`](crate::Mutex::lock); one that holds it to read sleeps for ever.
    ///
    /// # Examples
    ///
    /// ```
    /// lazyirq::static_lock! { static LIMIT: RwLock<u32> = 100; }
    /// assert_eq!(*LIMIT.write(), 100);
    /// ```
    #[inline]
    #[track_caller]
    pub fn write(&self) -> WriteGuard<'_, T> {
        self.take()
    }

    /// Takes the lock for a thread to write, and sleeps if it has to, or until a signal comes.
    ///
    /// # Context
    ///
    /// Thread, may sleep.
    ///
    /// # Errors
    ///
    /// `EINTR`, and `EDEADLK` if the thread is the writer itself or waits for one that waits for it, as with
    /// [`Mutex::lock_interruptible`](crate::Mutex::lock_interruptible).
    ///
    /// # Examples
    ///
    /// ```
    /// lazyirq::static_lock! { static LIMIT: RwLock<u32> = 100; }
    /// assert_eq!(*LIMIT.write_interruptible()?, 100);
    /// # Ok::<(), Error>(())
    /// ```
    #[inline]
    #[track_caller]
    pub fn write_interruptible(&self) -> Result<WriteGuard<'_, T>> {
        self.take_interruptible()
    }

    /// Takes the lock for a thread to write if that is possible at once.
    ///
    /// # Context
    ///
    /// Thread, also with preemption or interrupts off. Not a handler, softirq or timer: what runs then is
    /// not the running thread, which would be taken for the owner.
    ///
    /// # Examples
    ///
    /// ```
    /// lazyirq::static_lock! { static LIMIT: RwLock<u32> = 100; }
    /// assert!(LIMIT.try_write().is_some());
    /// ```
    #[must_use = "the lock is released at once if the guard is not kept"]
    #[inline]
    pub fn try_write(&self) -> Option<WriteGuard<'_, T>> {
        self.try_take_thread()
    }

    /// Takes the lock for a handler to read, and blocks it if it has to.
    ///
    /// # Context
    ///
    /// A handler.
    ///
    /// # Errors
    ///
    /// A deadlock shuts the interrupt down, as with [`Mutex::lock_irq`](crate::Mutex::lock_irq).
    ///
    /// # Examples
    ///
    /// ```
    /// use lazyirq::{Interrupt, RwLock};
    ///
    /// async fn limit(limit: &RwLock<u32>, irq: Interrupt<'_>) -> u32 {
    ///     *limit.read_irq(irq).await
    /// }
    /// ```
    #[inline]
    pub fn read_irq<'a>(&'a self, irq: Interrupt<'a>) -> LockIrq<'a, T, Kind, Shared> {
        self.ask(irq)
    }

    /// Takes the lock for a handler to read if that is possible at once.
    ///
    /// # Context
    ///
    /// A handler.
    ///
    /// # Examples
    ///
    /// ```
    /// use lazyirq::{Interrupt, RwLock};
    ///
    /// fn limit(limit: &RwLock<u32>, irq: Interrupt<'_>) -> Option<u32> {
    ///     Some(*limit.try_read_irq(irq)?)
    /// }
    /// ```
    #[must_use = "the lock is released at once if the guard is not kept"]
    #[inline]
    pub fn try_read_irq<'a>(&'a self, irq: Interrupt<'a>) -> Option<IrqReadGuard<'a, T>> {
        self.try_take_irq(irq)
    }

    /// Takes the lock for a handler to write, and blocks it if it has to.
    ///
    /// # Context
    ///
    /// A handler.
    ///
    /// # Errors
    ///
    /// A deadlock shuts the interrupt down, as with [`Mutex::lock_irq`](crate::Mutex::lock_irq).
    ///
    /// # Examples
    ///
    /// ```
    /// use lazyirq::{Interrupt, RwLock};
    ///
    /// async fn limit(limit: &RwLock<u32>, irq: Interrupt<'_>) -> u32 {
    ///     *limit.write_irq(irq).await
    /// }
    /// ```
    #[inline]
    pub fn write_irq<'a>(&'a self, irq: Interrupt<'a>) -> LockIrq<'a, T, Kind, Exclusive> {
        self.ask(irq)
    }

    /// Takes the lock for a handler to write if that is possible at once.
    ///
    /// # Context
    ///
    /// A handler.
    ///
    /// # Examples
    ///
    /// ```
    /// use lazyirq::{Interrupt, RwLock};
    ///
    /// fn limit(limit: &RwLock<u32>, irq: Interrupt<'_>) -> Option<u32> {
    ///     Some(*limit.try_write_irq(irq)?)
    /// }
    /// ```
    #[must_use = "the lock is released at once if the guard is not kept"]
    #[inline]
    pub fn try_write_irq<'a>(&'a self, irq: Interrupt<'a>) -> Option<IrqWriteGuard<'a, T>> {
        self.try_take_irq(irq)
    }
}

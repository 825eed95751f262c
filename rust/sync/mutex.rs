// SPDX-License-Identifier: GPL-2.0

//! The mutex.

use crate::{
    handler::Interrupt,
    sync::lock::{Exclusive, Guard, IrqGuard, Lock, LockIrq},
};
use kernel::prelude::*;

/// Makes a [`Lock`] a [`Mutex`].
pub struct Kind(());

/// A mutex that threads and interrupt handlers share.
///
/// Threads take it with [`lock`](Mutex::lock): they sleep if they have to, and interrupts stay on
/// while it is held. Handlers take it with [`lock_irq`](Mutex::lock_irq): they block if they have
/// to, and what they interrupted goes on at once. Uncontended, either is one compare-exchange, and
/// so is the release.
///
/// A release hands the lock straight to the first waiter: interrupts before threads, higher
/// priorities before lower, and first come, first served among equals. A waiter lends its priority
/// to the owner or, if that waits for another lock, to that lock's owner, and so on, across up to eight locks. A thread is lent the
/// priority of an ithread (`SCHED_FIFO` 50 + IPL), or of a real-time thread, after `boost_delay_us`
/// (a parameter of `lazyirq.ko`, in microseconds) at the latest, until it releases the lock.
///
/// A thread that releases the mutex while preemptible and with interrupts on resumes a waiting handler: the
/// thread goes on when the handler is done or waits again, and is not preempted meanwhile. Otherwise, or with
/// `resume=ithread` (another parameter), the handler's interrupt thread resumes it.
///
/// A thread must not sleep for long while it holds one: interrupts wait for it.
///
/// # Examples
///
/// ```
/// use kernel::prelude::*;
/// use lazyirq::{new_mutex, Mutex};
///
/// #[pin_data]
/// struct Fifo {
///     #[pin]
///     words: Mutex<u32>,
/// }
///
/// let fifo = KBox::pin_init(pin_init!(Fifo { words <- new_mutex!(0, "words") }), GFP_KERNEL)?;
/// *fifo.words.lock() += 1;
/// assert_eq!(*fifo.words.lock(), 1);
/// # Ok::<(), Error>(())
/// ```
pub type Mutex<T> = Lock<T, Kind>;

// SAFETY: It gives its data to one owner at a time.
unsafe impl<T: ?Sized + Send> Sync for Lock<T, Kind> {}

/// Makes a [`Mutex`](crate::Mutex), named after the place in the source if no name is given, with a
/// lockdep class of its own.
///
/// # Examples
///
/// ```
/// use kernel::prelude::*;
/// let lock = KBox::pin_init(lazyirq::new_mutex!(5u32, "five"), GFP_KERNEL)?;
/// assert_eq!(*lock.lock(), 5);
/// # Ok::<(), Error>(())
/// ```
#[macro_export]
macro_rules! new_mutex {
    ($data:expr $(, $name:literal)? $(,)?) => {
        $crate::Mutex::new(
            $data,
            ::kernel::optional_name!($($name)?),
            ::kernel::static_lock_class!(),
        )
    };
}

impl<T: ?Sized> Lock<T, Kind> {
    /// Takes the mutex for a thread, and sleeps while another owner holds it.
    ///
    /// # Context
    ///
    /// Thread, may sleep. Not in a handler: use [`lock_irq`](Mutex::lock_irq) there.
    ///
    /// A thread that asks for a mutex that it holds is reported, with its stack, and sleeps for
    /// ever, as this cannot return an error. [`lock_interruptible`](Mutex::lock_interruptible)
    /// returns one.
    ///
    /// # Examples
    ///
    /// ```
    /// # use kernel::prelude::*;
    /// # let lock = KBox::pin_init(lazyirq::new_mutex!(5u32, "five"), GFP_KERNEL)?;
    /// let mut five = lock.lock();
    /// *five += 1;
    /// # Ok::<(), Error>(())
    /// ```
    #[inline]
    #[track_caller]
    pub fn lock(&self) -> Guard<'_, T> {
        self.take()
    }

    /// Takes the mutex for a thread, and sleeps while another owner holds it, or until a signal comes.
    ///
    /// # Context
    ///
    /// Thread, may sleep.
    ///
    /// # Errors
    ///
    /// `EINTR` if there was a signal. `EDEADLK` if the thread holds the mutex itself, or waits for an owner
    /// that waits, directly or not, for a lock that the thread holds; that is reported with the locks' names.
    ///
    /// # Examples
    ///
    /// ```
    /// # use kernel::prelude::*;
    /// # let lock = KBox::pin_init(lazyirq::new_mutex!(5u32, "five"), GFP_KERNEL)?;
    /// *lock.lock_interruptible()? += 1;
    /// # Ok::<(), Error>(())
    /// ```
    #[inline]
    #[track_caller]
    pub fn lock_interruptible(&self) -> Result<Guard<'_, T>> {
        self.take_interruptible()
    }

    /// Takes the mutex for a thread if it is free.
    ///
    /// # Context
    ///
    /// Thread, also with preemption or interrupts off. Not a handler, softirq or timer: what runs then is
    /// not the running thread, which would be taken for the owner.
    ///
    /// # Examples
    ///
    /// ```
    /// # use kernel::prelude::*;
    /// # let lock = KBox::pin_init(lazyirq::new_mutex!(5u32, "five"), GFP_KERNEL)?;
    /// let first = lock.try_lock();
    /// assert!(first.is_some() && lock.try_lock().is_none());
    /// # Ok::<(), Error>(())
    /// ```
    #[must_use = "the lock is released at once if the guard is not kept"]
    #[inline]
    pub fn try_lock(&self) -> Option<Guard<'_, T>> {
        self.try_take_thread()
    }

    /// Takes the mutex for a handler, and blocks it while another owner holds it.
    ///
    /// # Context
    ///
    /// A handler.
    ///
    /// # Errors
    ///
    /// A handler that asks for a mutex that it holds would wait for itself; so would a handler that the
    /// mutex's owner waits for, directly or not. Either is reported with the locks' names, what the
    /// handler holds is released, and its interrupt is shut down.
    ///
    /// # Examples
    ///
    /// ```
    /// use lazyirq::{Interrupt, Mutex};
    ///
    /// async fn count(events: &Mutex<u64>, irq: Interrupt<'_>) {
    ///     *events.lock_irq(irq).await += 1;
    /// }
    /// ```
    #[inline]
    pub fn lock_irq<'a>(&'a self, irq: Interrupt<'a>) -> LockIrq<'a, T, Kind, Exclusive> {
        self.ask(irq)
    }

    /// Takes the mutex for a handler if it is free.
    ///
    /// # Context
    ///
    /// A handler.
    ///
    /// # Examples
    ///
    /// ```
    /// use lazyirq::{Interrupt, Mutex};
    ///
    /// fn count(events: &Mutex<u64>, irq: Interrupt<'_>) {
    ///     if let Some(mut events) = events.try_lock_irq(irq) {
    ///         *events += 1;
    ///     }
    /// }
    /// ```
    #[must_use = "the lock is released at once if the guard is not kept"]
    #[inline]
    pub fn try_lock_irq<'a>(&'a self, irq: Interrupt<'a>) -> Option<IrqGuard<'a, T>> {
        self.try_take_irq(irq)
    }
}

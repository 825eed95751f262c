// SPDX-License-Identifier: GPL-2.0

//! The mutex.

use crate::{
    handler::Interrupt,
    sync::{
        raw::{Owner, RawMutex, Taken},
        turnstile::{Sleeper, Waiter},
    },
};
use core::{
    cell::UnsafeCell,
    future::Future,
    marker::{PhantomData, PhantomPinned},
    ops::{Deref, DerefMut},
    pin::Pin,
    task::{Context, Poll},
};
use kernel::{bindings, prelude::*, str::CStr, sync::Completion, types::NotThreadSafe};

/// A mutex that threads and interrupt handlers share.
///
/// Threads take it with [`lock`](Mutex::lock): they sleep if they have to, and interrupts stay on
/// while it is held. Handlers take it with [`lock_irq`](Mutex::lock_irq): they block if they have
/// to, and what they interrupted goes on at once. Uncontended, either is one compare-exchange.
///
/// A release hands the lock straight to the first waiter: interrupts before threads, higher IPLs
/// before lower, and first come, first served among equals.
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
#[pin_data]
pub struct Mutex<T> {
    #[pin]
    raw: RawMutex,
    name: &'static CStr,
    #[pin]
    data: UnsafeCell<T>,
}

// SAFETY: A mutex is as fit to be sent as its data.
unsafe impl<T: Send> Send for Mutex<T> {}
// SAFETY: It gives its data to one owner at a time.
unsafe impl<T: Send> Sync for Mutex<T> {}

/// Makes a [`Mutex`](crate::Mutex), named after the place if no name is given.
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
        $crate::Mutex::new($data, ::kernel::optional_name!($($name)?))
    };
}

impl<T> Mutex<T> {
    /// Makes a mutex; see [`new_mutex!`](crate::new_mutex). The name is for reports.
    pub fn new(data: T, name: &'static CStr) -> impl PinInit<Self> {
        pin_init!(Self {
            raw <- RawMutex::new(),
            name,
            data: UnsafeCell::new(data),
        })
    }

    /// The mutex's name.
    pub fn name(&self) -> &'static CStr {
        self.name
    }

    /// Takes the mutex for a thread, and sleeps while somebody else has it.
    ///
    /// # Context
    ///
    /// Thread, may sleep. Not in a handler: there it is [`lock_irq`](Mutex::lock_irq).
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
    pub fn lock(&self) -> Guard<'_, T> {
        let owner = Owner::thread();
        if !self.raw.try_take(owner) {
            sleep(&self.raw, owner);
        }
        Guard {
            mutex: self,
            owner,
            _not_send: NotThreadSafe,
        }
    }

    /// Takes the mutex for a thread if it is free.
    ///
    /// # Context
    ///
    /// Thread, or anything else that has a task of its own; not a handler.
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
    #[inline]
    pub fn try_lock(&self) -> Option<Guard<'_, T>> {
        let owner = Owner::thread();
        // Lazily: a guard that is made releases.
        self.raw.try_take(owner).then(|| Guard {
            mutex: self,
            owner,
            _not_send: NotThreadSafe,
        })
    }

    /// Does somebody wait for the mutex? For a thread that holds it for long and may let others
    /// in between.
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

    /// Takes the mutex for a handler, and blocks it while somebody else has it.
    ///
    /// # Context
    ///
    /// A handler: hard IRQ or ithread.
    ///
    /// # Errors
    ///
    /// A handler that asks for a mutex that it holds would wait for itself. That is reported with
    /// both names, and the interrupt is shut down.
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
    pub fn lock_irq<'a>(&'a self, irq: Interrupt<'a>) -> LockIrq<'a, T> {
        LockIrq {
            mutex: self,
            irq,
            waiter: None,
            _pin: PhantomPinned,
        }
    }

    /// Takes the mutex for a handler if it is free.
    ///
    /// # Context
    ///
    /// A handler: hard IRQ or ithread.
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
    #[inline]
    pub fn try_lock_irq<'a>(&'a self, irq: Interrupt<'a>) -> Option<IrqGuard<'a, T>> {
        self.raw
            .try_take(Owner::handler(irq.head()))
            .then(|| IrqGuard {
                mutex: self,
                irq,
                _data: PhantomData,
            })
    }
}

/// A thread waits for the lock until it is handed over.
#[cold]
#[inline(never)]
fn sleep(raw: &RawMutex, owner: Owner) {
    pin_init::stack_pin_init!(let done = Completion::new());
    let waiter = Waiter::new(thread_priority(), owner, Sleeper::Thread(&*done));
    // SAFETY: Both lie on this stack until the wait is over.
    match unsafe { raw.take_or_queue(&waiter) } {
        Taken::Yes => (),
        Taken::Queued => done.wait_for_completion(),
        Taken::Deadlock => {
            pr_err!("a thread waits for a mutex that it holds\n");
            done.wait_for_completion();
        }
    }
}

/// The running thread's place among the waiters, below every handler's: the higher, the earlier.
fn thread_priority() -> u32 {
    // SAFETY: `current` is a task. The scheduler's number is lower for higher priorities, 0 to 139.
    let prio = unsafe { (*bindings::get_current()).prio };
    140u32.saturating_sub(prio as u32)
}

/// The IPL's place among the waiters.
fn handler_priority(ipl: u8) -> u32 {
    1000 + u32::from(ipl)
}

/// The future of [`Mutex::lock_irq`].
#[must_use = "a handler takes the lock when this is awaited"]
pub struct LockIrq<'a, T> {
    mutex: &'a Mutex<T>,
    irq: Interrupt<'a>,
    /// Set while the handler waits.
    waiter: Option<Waiter>,
    _pin: PhantomPinned,
}

// SAFETY: The waiter's pointers are used under the turnstile's lock.
unsafe impl<T: Send> Send for LockIrq<'_, T> {}

impl<'a, T> LockIrq<'a, T> {
    #[inline(always)]
    fn guard(&self) -> Poll<IrqGuard<'a, T>> {
        Poll::Ready(IrqGuard {
            mutex: self.mutex,
            irq: self.irq,
            _data: PhantomData,
        })
    }
}

impl<'a, T> Future for LockIrq<'a, T> {
    type Output = IrqGuard<'a, T>;

    #[inline]
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<IrqGuard<'a, T>> {
        // SAFETY: Nothing is moved out; the waiter stays where it is once it is queued.
        let this = unsafe { self.get_unchecked_mut() };
        if this.waiter.is_none() && this.mutex.raw.try_take(Owner::handler(this.irq.head())) {
            return this.guard();
        }
        // SAFETY: `waiter` is pinned with the future, and the future's drop ends the wait.
        if unsafe { wait(&this.mutex.raw, this.irq, &mut this.waiter) } {
            return this.guard();
        }
        Poll::Pending
    }
}

/// Begins or goes on with a handler's wait. Returns whether the lock is taken.
///
/// # Safety
///
/// `waiter` stays where it is until it is `None` or the wait was cancelled.
#[cold]
#[inline(never)]
unsafe fn wait(raw: &RawMutex, irq: Interrupt<'_>, waiter: &mut Option<Waiter>) -> bool {
    let head = irq.head();
    if let Some(queued) = waiter {
        let granted = queued.is_granted();
        if granted {
            *waiter = None;
        } else {
            head.arm();
        }
        return granted;
    }
    // First, since it may be woken, on another CPU, as soon as it is queued.
    let before = head.arm();
    let priority = handler_priority(head.stats.ipl);
    let new = waiter.insert(Waiter::new(
        priority,
        Owner::handler(head),
        Sleeper::Handler(head),
    ));
    // SAFETY: By the function's own requirement; the handler is armed.
    let taken = unsafe { raw.take_or_queue(new) };
    if matches!(taken, Taken::Queued) {
        return false;
    }
    *waiter = None;
    head.disarm(before);
    if matches!(taken, Taken::Deadlock) {
        // Not armed, its pending poll is found to be one that nothing would ever end.
        pr_err!("interrupt {} waits for a mutex that it holds\n", head.irq());
    }
    matches!(taken, Taken::Yes)
}

impl<T> Drop for LockIrq<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if let Some(waiter) = &self.waiter {
            self.mutex.raw.cancel(waiter);
        }
    }
}

/// A thread's hold of a [`Mutex`]. It is released when this is dropped.
///
/// It is not `Send`: the thread that took the mutex releases it.
#[must_use = "the mutex is released at once if the guard is not kept"]
pub struct Guard<'a, T> {
    mutex: &'a Mutex<T>,
    owner: Owner,
    _not_send: NotThreadSafe,
}

/// A handler's hold of a [`Mutex`]. It is released when this is dropped.
///
/// It is `Send`: the handler may take it along from hard-IRQ context to its interrupt thread.
#[must_use = "the mutex is released at once if the guard is not kept"]
pub struct IrqGuard<'a, T> {
    mutex: &'a Mutex<T>,
    irq: Interrupt<'a>,
    /// As fit to be sent and shared as this.
    _data: PhantomData<&'a mut T>,
}

// SAFETY: A shared guard gives out shared references to the data.
unsafe impl<T: Sync> Sync for Guard<'_, T> {}

macro_rules! guard {
    ($guard:ident, |$this:ident| $owner:expr) => {
        impl<T> Deref for $guard<'_, T> {
            type Target = T;

            #[inline]
            fn deref(&self) -> &T {
                // SAFETY: The guard's owner holds the mutex.
                unsafe { &*self.mutex.data.get() }
            }
        }

        impl<T> DerefMut for $guard<'_, T>
        where
            T: Unpin,
        {
            #[inline]
            fn deref_mut(&mut self) -> &mut T {
                // SAFETY: The guard's owner holds the mutex.
                unsafe { &mut *self.mutex.data.get() }
            }
        }

        impl<T> Drop for $guard<'_, T> {
            #[inline]
            fn drop(&mut self) {
                let $this = self;
                $this.mutex.raw.release($owner);
            }
        }
    };
}

guard!(Guard, |this| this.owner);
guard!(IrqGuard, |this| Owner::handler(this.irq.head()));

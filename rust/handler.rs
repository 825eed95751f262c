// SPDX-License-Identifier: GPL-2.0

//! What a driver writes: the handler, and what it may await.

use crate::{bindings, observe::observed, slot::Head};
use core::{
    future::Future,
    mem::size_of,
    pin::Pin,
    task::{Context, Poll},
};
use kernel::{
    device::{Bound, Device},
    irq::IrqReturn,
    sync::{Arc, Completion},
    time::{Instant, Monotonic},
};

/// An interrupt handler that may block on a lock.
///
/// # Context
///
/// [`handle`](Handler::handle) nearly always starts in hard-IRQ context, with interrupts off, on top of whatever
/// was interrupted. It starts in a thread, with interrupts on, if the interrupt was held (a handler of its IPL or
/// above was unfinished on the CPU) or came while the handler itself was unfinished. After an `.await` that had to
/// wait it goes on in a thread, too: in the one that has released the lock, which is not preempted meanwhile, or in
/// an interrupt thread. So all of it must be fit for hard-IRQ context: no sleeping call, no sleeping
/// allocation. And it must not rely on interrupts being off: a spinlock that it shares with hard-IRQ code has to
/// be taken with interrupts turned off, in the handler too.
///
/// It may await [`Mutex::lock_irq`](crate::Mutex::lock_irq), [`RwLock::read_irq`](crate::RwLock::read_irq)
/// and [`write_irq`](crate::RwLock::write_irq), and [`Interrupt::defer`], and nothing else: a wait that
/// nothing in lazyirq will end is reported, and the interrupt is shut down.
///
/// The future is `Send`, so a handler that holds across a block what must not be held there (a spinlock's
/// guard, an RCU read section) does not compile.
///
/// # Examples
///
/// ```
/// use kernel::{irq::IrqReturn, prelude::*};
/// use lazyirq::{Handler, Interrupt, Mutex};
///
/// #[pin_data]
/// struct Counter {
///     #[pin]
///     events: Mutex<u64>,
/// }
///
/// impl Handler for Counter {
///     async fn handle(&self, irq: Interrupt<'_>) -> IrqReturn {
///         *self.events.lock_irq(irq).await += 1;
///         IrqReturn::Handled
///     }
/// }
/// ```
pub trait Handler: Send + Sync + 'static {
    /// Handles one interrupt. Written as `async fn`.
    ///
    /// It returns [`IrqReturn::None`] if the device did not interrupt. If it has blocked by then, the kernel
    /// was told "handled" already: it is told "not handled" in answer to the next interrupt that leaves the lazy
    /// path.
    fn handle(&self, irq: Interrupt<'_>) -> impl Future<Output = IrqReturn> + Send;
}

/// A handler that threads share with the interrupt.
impl<H: Handler> Handler for Arc<H> {
    fn handle(&self, irq: Interrupt<'_>) -> impl Future<Output = IrqReturn> + Send {
        H::handle(self, irq)
    }
}

/// The interrupt that is being handled: proof that its bearer is a handler. Everything that a handler may
/// await asks for it.
///
/// Only lazyirq's hard-IRQ entry makes it, and it does not outlive the run of the handler. A thread cannot
/// obtain one, so a thread cannot lock as a handler does.
///
/// # Examples
///
/// ```
/// use kernel::irq::IrqReturn;
/// use lazyirq::{Handler, Interrupt};
///
/// struct Uart;
///
/// impl Handler for Uart {
///     async fn handle(&self, irq: Interrupt<'_>) -> IrqReturn {
///         let _dev = irq.device(); // To reach registers: `bar.access(irq.device())`.
///         let much_work = true;
///         if much_work {
///             irq.defer().await; // From here on in an interrupt thread.
///         }
///         IrqReturn::Handled
///     }
/// }
/// ```
#[derive(Clone, Copy)]
pub struct Interrupt<'a> {
    head: &'a Head,
}

impl<'a> Interrupt<'a> {
    /// # Safety
    ///
    /// Must be called only for a run of the handler of `head`, and the result given to that run.
    #[inline(always)]
    pub(crate) unsafe fn new(head: &'a Head) -> Self {
        Self { head }
    }

    #[inline(always)]
    pub(crate) fn head(self) -> &'a Head {
        self.head
    }

    /// The device whose interrupt it is. The registration ends before the device is unbound, and before its
    /// managed resources are released, except those that were made after the registration: what a handler
    /// reaches through [`Devres`](kernel::devres::Devres) must have been made before.
    ///
    /// # Context
    ///
    /// A handler.
    ///
    /// # Examples
    ///
    /// ```
    /// use kernel::{devres::Devres, io::Io, irq::IrqReturn, pci};
    /// use lazyirq::{Handler, Interrupt};
    ///
    /// struct Disk {
    ///     bar: Devres<pci::Bar<'static, 16>>,
    /// }
    ///
    /// impl Handler for Disk {
    ///     async fn handle(&self, irq: Interrupt<'_>) -> IrqReturn {
    ///         match self.bar.access(irq.device()) {
    ///             Ok(bar) if bar.read32(0) != 0 => IrqReturn::Handled,
    ///             _ => IrqReturn::None,
    ///         }
    ///     }
    /// }
    /// ```
    #[inline]
    pub fn device(self) -> &'a Device<Bound> {
        self.head.device()
    }

    /// Says that the device raised the interrupt at `when`, for a device that reports this. While times are
    /// measured, the handler's latency counts from then; without this call it counts from the hard-IRQ entry.
    ///
    /// # Context
    ///
    /// A handler.
    ///
    /// # Examples
    ///
    /// ```
    /// use kernel::{irq::IrqReturn, time::{Delta, Instant, Monotonic}};
    /// use lazyirq::{Handler, Interrupt};
    ///
    /// struct Clock;
    ///
    /// impl Handler for Clock {
    ///     async fn handle(&self, irq: Interrupt<'_>) -> IrqReturn {
    ///         let ticks_since = 20; // Of the device's own clock, of 1 MHz.
    ///         irq.raised_at(Instant::<Monotonic>::now() - Delta::from_micros(ticks_since));
    ///         IrqReturn::Handled
    ///     }
    /// }
    /// ```
    #[inline]
    pub fn raised_at(self, when: Instant<Monotonic>) {
        if observed() {
            self.head.stats.timer.raised(when.elapsed());
        }
    }

    /// Continues in the interrupt thread from here on: for a handler that has found a lot of work.
    ///
    /// A handler that is already there lets others of the same IPL go first. Locks that it holds it keeps.
    ///
    /// # Context
    ///
    /// A handler, any number of times. What follows can be preempted, but must not sleep either.
    ///
    /// # Examples
    ///
    /// ```
    /// use lazyirq::Interrupt;
    ///
    /// async fn process(packets: &[u32], irq: Interrupt<'_>) {
    ///     for some in packets.chunks(16) {
    ///         irq.defer().await;
    ///         core::hint::black_box(some);
    ///     }
    /// }
    /// ```
    #[inline]
    pub fn defer(self) -> Defer<'a> {
        Defer {
            irq: self,
            deferred: false,
        }
    }
}

/// The future of [`Interrupt::defer`].
#[must_use = "a handler defers when this is awaited"]
pub struct Defer<'a> {
    irq: Interrupt<'a>,
    deferred: bool,
}

impl Future for Defer<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if self.deferred {
            return Poll::Ready(());
        }
        self.deferred = true;
        self.irq.head.defer();
        Poll::Pending
    }
}

/// Wakes a thread that waits for `completion`, or lets the next one that does pass: for a handler that ends what a
/// thread has begun.
///
/// # Context
///
/// Any. The kernel crate's `complete_all()` wakes any number of threads, and so is not allowed in
/// hard-IRQ context on a PREEMPT_RT kernel.
///
/// # Examples
///
/// ```
/// # use kernel::{prelude::*, sync::{Arc, Completion}};
/// let done = Arc::pin_init(Completion::new(), GFP_KERNEL)?;
/// lazyirq::complete(&done);
/// done.wait_for_completion();
/// # Ok::<(), Error>(())
/// ```
#[inline]
pub fn complete(completion: &Completion) {
    const { assert!(size_of::<Completion>() == size_of::<bindings::completion>()) };
    // SAFETY: It is a `struct completion` and nothing else, and initialised.
    unsafe { bindings::complete(core::ptr::from_ref(completion).cast_mut().cast()) };
}

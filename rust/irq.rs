// SPDX-License-Identifier: GPL-2.0

//! Registration, and the hard-IRQ entry: the lazy path.

use crate::{
    bindings,
    debugfs::Listed,
    handler::{Handler, Interrupt},
    ipl::Ipl,
    line::Line,
    observe::{self, observed, By},
    percpu,
    slot::{irqreturn, Head, Place, Slot, RESUME, UNFINISHED},
    stats::{Mechanism, Stats},
};
use core::{
    cell::UnsafeCell,
    convert::Infallible,
    future::Future,
    mem::{size_of, MaybeUninit},
    pin::Pin,
    ptr::NonNull,
    task::{Context, Poll, Waker},
};
use kernel::{
    device::{Bound, Device},
    devres::Devres,
    irq::IrqRequest,
    prelude::*,
    str::CStr,
};

/// How an interrupt is to be registered.
///
/// # Examples
///
/// ```
/// use lazyirq::{Ipl, Options};
///
/// const OPTIONS: Options = Options::new(c"my-disk", Ipl::from_const::<4>()).shared();
/// ```
#[derive(Clone, Copy)]
pub struct Options {
    pub(crate) name: &'static CStr,
    pub(crate) ipl: Ipl,
    pub(crate) flags: c_ulong,
}

impl Options {
    /// An interrupt named `name` (in debugfs, reports and `/proc/interrupts`), at level `ipl`, whose line is its
    /// own.
    ///
    /// # Examples
    ///
    /// ```
    /// use lazyirq::{Ipl, Options};
    ///
    /// let options = Options::new(c"my-disk", Ipl::new(4)?);
    /// # Ok::<(), kernel::error::Error>(())
    /// ```
    #[must_use]
    pub const fn new(name: &'static CStr, ipl: Ipl) -> Self {
        // `threadirqs` and PREEMPT_RT leave the handler in hard-IRQ context: it deals with blocking itself.
        Self {
            name,
            ipl,
            flags: bindings::IRQF_NO_THREAD as c_ulong,
        }
    }

    /// The line may be shared with other devices, as `INTx` lines are. All its handlers have to say so.
    ///
    /// # Examples
    ///
    /// ```
    /// use lazyirq::{Ipl, Options};
    ///
    /// let options = Options::new(c"my-disk", Ipl::LOWEST).shared();
    /// ```
    #[must_use]
    pub const fn shared(mut self) -> Self {
        self.flags |= bindings::IRQF_SHARED as c_ulong;
        self
    }
}

/// A registered handler.
///
/// It ends when it is dropped, or else when its device is unbound: then no interrupt starts the handler any
/// more, and an unfinished run of it has been finished.
///
/// # Context
///
/// Dropped in a thread that may sleep, with no lock held that the handler takes; not in the handler.
///
/// # Examples
///
/// ```
/// use kernel::devres::Devres;
/// use lazyirq::{Handler, Registration};
///
/// struct Data<H: Handler> {
///     irq: Devres<Registration<H>>,
/// }
/// ```
pub struct Registration<H: Handler> {
    // Dropped in this order: debugfs shows a requested line, and the line needs its slot.
    _listed: Listed,
    line: Line,
    slot: OwnedSlot<H>,
}

/// Registers `handler` for the interrupt `request` (a [`kernel::pci::IrqVector`], say) of the device `dev`.
///
/// The returned value (the kernel crate's [`Devres`]) belongs to the device, which must be the calling driver's own:
/// the registration ends, at the latest, when the device is unbound. The interrupt's vectors must be kept for as
/// long; a driver stores both in its data, the registration first. Managed resources that the handler reaches
/// must be made before: at unbinding, the newest ones are released first.
///
/// Interrupts may start the handler even before this returns: what it needs is to be made before, or by its
/// initialiser, and the device is told to interrupt afterwards.
///
/// # Context
///
/// Thread, may sleep.
///
/// # Errors
///
/// The kernel's error for the interrupt's request (`EBUSY` if it is taken, `EINVAL` if it cannot be requested),
/// `EOPNOTSUPP` if masking it sleeps, `EAGAIN` if no more interrupt threads can be made, `ENOMEM`, or the error of
/// the handler's own initialiser. Nothing is left behind.
///
/// # Examples
///
/// ```
/// use kernel::{device::{Bound, Device}, devres::Devres, irq::{IrqRequest, IrqReturn}, prelude::*};
/// use lazyirq::{Handler, Interrupt, Ipl, Options, Registration};
///
/// struct Disk;
///
/// impl Handler for Disk {
///     async fn handle(&self, _irq: Interrupt<'_>) -> IrqReturn {
///         IrqReturn::Handled
///     }
/// }
///
/// fn start(dev: &Device<Bound>, irq: IrqRequest<'_>) -> Result<Devres<Registration<Disk>>> {
///     lazyirq::register(dev, irq, Options::new(c"disk", Ipl::from_const::<4>()), Disk)
/// }
/// ```
pub fn register<'a, H: Handler, E>(
    dev: &Device<Bound>,
    request: impl Into<IrqRequest<'a>>,
    options: Options,
    handler: impl PinInit<H, E>,
) -> Result<Devres<Registration<H>>>
where
    Error: From<E>,
{
    let registration = Registration::new(dev, request.into().irq(), options, H::handle, handler)?;
    Devres::new::<Infallible>(dev, registration)
}

impl<H: Handler> Registration<H> {
    fn new<F, M, E>(
        dev: &Device<Bound>,
        irq: u32,
        options: Options,
        make: M,
        handler: impl PinInit<H, E>,
    ) -> Result<Self>
    where
        F: Future<Output = kernel::irq::IrqReturn> + Send + 'static,
        M: Fn(&'static H, Interrupt<'static>) -> F + Copy + 'static,
        Error: From<E>,
    {
        let stats = Stats::new(
            Mechanism::Lazy,
            options.name,
            irq,
            options.ipl.get(),
            size_of::<Slot<H, F, M>>(),
            size_of::<F>(),
        );
        let slot = KBox::pin_init::<Error>(
            try_pin_init!(Slot {
                head: Head::new(enter::<H, F, M>, drop_future::<H, F, M>, dev, options.ipl, stats),
                make,
                future: UnsafeCell::new(MaybeUninit::<F>::uninit()),
                handler <- handler,
            }? Error),
            GFP_KERNEL,
        )?;
        let slot = OwnedSlot::new::<F, M>(slot);
        // SAFETY: The slot is dropped after the line.
        let line = unsafe { Line::request(slot.head, options) }?;
        // SAFETY: The head is in the slot, and this is dropped before it.
        let listed = unsafe {
            let head = slot.head.as_ref();
            Listed::new(&head.stats, Some(head))
        }?;
        Ok(Self {
            _listed: listed,
            line,
            slot,
        })
    }

    /// Waits until the handler is neither running nor unfinished: an interrupt that was taken before the call
    /// has been handled when it returns.
    ///
    /// # Context
    ///
    /// Thread, may sleep, with no lock held that the handler takes.
    ///
    /// # Examples
    ///
    /// ```
    /// use lazyirq::{Handler, Registration};
    ///
    /// fn quiesce<H: Handler>(irq: &Registration<H>, mask_in_device: impl FnOnce()) {
    ///     mask_in_device();
    ///     irq.synchronize();
    ///     // The handler has seen all that the device has raised.
    /// }
    /// ```
    pub fn synchronize(&self) {
        self.line.synchronize();
    }

    /// The handler, for the driver's `probe` and `unbind`, which reach the registration by
    /// [`Devres::access`](kernel::devres::Devres::access). (`try_access` has other threads in an RCU read section for
    /// as long, where they must not take a lock.) What other threads share with the handler is in an [`Arc`]:
    /// that of a [`Handler`] is one, too.
    ///
    /// [`Arc`]: kernel::sync::Arc
    ///
    /// # Context
    ///
    /// Any.
    ///
    /// # Examples
    ///
    /// ```
    /// # use kernel::{irq::IrqReturn, prelude::*};
    /// # use lazyirq::{Handler, Interrupt, Mutex, Registration};
    /// # #[pin_data]
    /// # struct Counter { #[pin] events: Mutex<u64> }
    /// # impl Handler for Counter {
    /// #     async fn handle(&self, _irq: Interrupt<'_>) -> IrqReturn { IrqReturn::Handled }
    /// # }
    /// fn events(irq: &Registration<Counter>) -> u64 {
    ///     *irq.handler().events.lock()
    /// }
    /// ```
    pub fn handler(&self) -> &H {
        // SAFETY: It lies in the slot, which is owned.
        unsafe { self.slot.handler.as_ref() }
    }
}

/// A slot on the heap, with the type of its future forgotten.
///
/// # Invariants
///
/// `head` and `handler` point into one slot, which this owns and `free` frees.
struct OwnedSlot<H> {
    head: NonNull<Head>,
    handler: NonNull<H>,
    free: unsafe fn(NonNull<Head>),
}

// SAFETY: It owns the slot, which is `Send` if the handler is, as it must be.
unsafe impl<H: Handler> Send for OwnedSlot<H> {}
// SAFETY: It gives out shared references to the handler, which is `Sync`.
unsafe impl<H: Handler> Sync for OwnedSlot<H> {}

impl<H> OwnedSlot<H> {
    fn new<F, M>(slot: Pin<KBox<Slot<H, F, M>>>) -> Self {
        let handler = NonNull::from(&slot.handler);
        // SAFETY: The slot is not moved; it is pinned again to be freed.
        let slot: *mut Slot<H, F, M> = KBox::into_raw(unsafe { Pin::into_inner_unchecked(slot) });
        // SAFETY: It comes from a box.
        let head = unsafe { NonNull::new_unchecked(slot) }.cast();
        // INVARIANT: `slot` comes from the box, and is of this type.
        Self {
            head,
            handler,
            free: free::<H, F, M>,
        }
    }
}

impl<H> Drop for OwnedSlot<H> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant; it is not used again.
        unsafe { (self.free)(self.head) };
    }
}

/// # Safety
///
/// `head` is that of a leaked `KBox<Slot<H, F, M>>` that is no longer used.
unsafe fn free<H, F, M>(head: NonNull<Head>) {
    // SAFETY: By the requirement.
    let this = unsafe { head.as_ref() };
    if this.waits.get() > 0 {
        // The handler has forgotten the future instead of dropping it.
        pr_err!(
            "{}: its handler is still in a lock's queue; its memory is not freed\n",
            this.named()
        );
        return;
    }
    // SAFETY: By the requirement.
    drop(unsafe { Pin::from(KBox::from_raw(head.cast::<Slot<H, F, M>>().as_ptr())) });
}

/// # Safety
///
/// `head` is that of a `Slot<H, F, M>` whose future exists and is not used again.
unsafe fn drop_future<H, F, M>(head: *const Head) {
    // SAFETY: By the requirement.
    unsafe { (*(*head.cast::<Slot<H, F, M>>()).future.get()).assume_init_drop() };
}

/// The hard-IRQ entry. The context that resumes a handler calls it too, with [`RESUME`] for the IRQ, so that
/// the handler's code exists once, inlined. The lazy path does not ask which of them calls: an idle word
/// rules a resumption out, so that is asked only where the word is not idle.
///
/// # Safety
///
/// `cookie` is a `Slot<H, F, M>` that is registered. The kernel calls this for its interrupt, or it is called
/// as [`Entry`] says.
unsafe extern "C" fn enter<H, F, M>(irq: c_int, cookie: *mut c_void) -> bindings::irqreturn_t
where
    H: Handler,
    F: Future<Output = kernel::irq::IrqReturn> + 'static,
    M: Fn(&'static H, Interrupt<'static>) -> F + 'static,
{
    // SAFETY: By the requirement. The slot outlives any run of its handler, and neither the handler nor its
    // future can hold on to it: both are made for any lifetime.
    let slot = unsafe { &*cookie.cast_const().cast::<Slot<H, F, M>>() };
    let head = &slot.head;
    let future = slot.future.get();
    let start = || {
        // SAFETY: The token is for the run of the handler that begins here.
        let irq = unsafe { Interrupt::new(head) };
        // SAFETY: This context owns the continuation (see there), whose future does not exist.
        unsafe { (*future).write((slot.make)(&slot.handler, irq)) };
    };

    let may_start = head.continuation.may_start(percpu::level());
    if may_start || (irq != RESUME && head.may_start_after_all()) {
        if observed() {
            observe::enters(head);
        }
        start();
    } else if irq != RESUME {
        return head.arrived_busy();
    } else {
        cold();
        if head.place.get() == Place::Held {
            head.place.set(Place::Resumed);
            start();
        }
    }

    // SAFETY: The future exists, and is pinned: it lies in the slot until it is dropped there.
    let pinned = unsafe { Pin::new_unchecked((*future).assume_init_mut()) };
    let Poll::Ready(ret) = pinned.poll(&mut Context::from_waker(Waker::noop())) else {
        return match head.place.get() {
            Place::LazyPath => head.left_lazy_path(),
            _ => UNFINISHED,
        };
    };
    // SAFETY: It is done, and not used again.
    unsafe { (*future).assume_init_drop() };
    let ret = irqreturn(ret);
    if !head.continuation.may_start(0) {
        cold();
        if head.place.get() != Place::LazyPath {
            return ret;
        }
        head.continuation.done_lazily();
    }
    if observed() {
        observe::is_done(head, By::Lazy, ret);
    }
    head.stats.counters.lazy.add(1);
    if ret == bindings::irqreturn::IRQ_NONE {
        head.stats.counters.spurious.add(1);
    }
    ret
}

/// Marks its call sites as rare.
#[cold]
#[inline]
fn cold() {}

// SPDX-License-Identifier: GPL-2.0

//! Handlers are not told their device, and may borrow; the code that registers them ensures that the
//! registration is dropped, before the device is unbound.

use core::{
    ffi::c_void,
    marker::{PhantomData, PhantomPinned},
    ops::BitOr,
    ptr,
};
pub use kernel::irq::{IrqReturn, ThreadedIrqReturn};
use kernel::{
    bindings,
    device::{Bound, Device},
    error::to_result,
    ffi::{c_int, c_ulong},
    prelude::*,
};

#[derive(Clone, Copy)]
pub struct Flags(c_ulong);

impl Flags {
    pub const SHARED: Self = Self(bindings::IRQF_SHARED as c_ulong);
    pub const ONESHOT: Self = Self(bindings::IRQF_ONESHOT as c_ulong);
}

impl BitOr for Flags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// # Invariants
///
/// It is an interrupt of a device that is bound for `'a`.
pub struct IrqRequest<'a> {
    irq: u32,
    _dev: PhantomData<&'a Device<Bound>>,
}

impl<'a> IrqRequest<'a> {
    /// # Safety
    ///
    /// See the type's invariant.
    pub(crate) unsafe fn new(irq: u32) -> Self {
        // INVARIANT: By the requirement.
        Self {
            irq,
            _dev: PhantomData,
        }
    }

    pub fn irq(&self) -> u32 {
        self.irq
    }
}

impl<'a> From<kernel::irq::IrqRequest<'a>> for IrqRequest<'a> {
    fn from(request: kernel::irq::IrqRequest<'a>) -> Self {
        // SAFETY: It was an interrupt of a device that is bound for `'a`.
        unsafe { Self::new(request.irq()) }
    }
}

pub trait Handler: Sync {
    fn handle(&self) -> IrqReturn;
}

pub trait ThreadedHandler: Sync {
    fn handle(&self) -> ThreadedIrqReturn {
        ThreadedIrqReturn::WakeThread
    }

    fn handle_threaded(&self) -> IrqReturn;
}

/// Defines a type of registrations, given the trait of its handlers and the functions that the kernel calls.
macro_rules! registration {
    ($registration:ident, $handler:ident, $hard:ident, $threaded:expr) => {
        /// # Invariants
        ///
        /// The interrupt is requested with this as its cookie.
        #[pin_data(PinnedDrop)]
        pub struct $registration<'a, T: $handler> {
            handler: T,
            request: IrqRequest<'a>,
            #[pin]
            _pin: PhantomPinned,
        }

        impl<'a, T: $handler + 'a> $registration<'a, T> {
            /// # Safety
            ///
            /// The registration is dropped, not forgotten.
            pub unsafe fn new(
                request: IrqRequest<'a>,
                flags: Flags,
                name: &'static CStr,
                handler: impl Init<T, Error> + 'a,
            ) -> impl PinInit<Self, Error> + 'a {
                // INVARIANT: Requested as the last step.
                try_pin_init!(&this in Self {
                    handler <- handler,
                    request,
                    _pin: PhantomPinned,
                    _: {
                        // SAFETY: The callbacks are for this type, all that they use is in place, and the
                        // interrupt is freed when this is dropped.
                        to_result(unsafe {
                            bindings::request_threaded_irq(
                                request.irq,
                                Some($hard::<T>),
                                $threaded,
                                flags.0,
                                name.as_char_ptr(),
                                this.as_ptr().cast(),
                            )
                        })?;
                    },
                })
            }
        }

        #[pinned_drop]
        impl<T: $handler> PinnedDrop for $registration<'_, T> {
            fn drop(self: Pin<&mut Self>) {
                let cookie = ptr::from_ref(&*self).cast_mut().cast();
                // SAFETY: By the type invariant.
                unsafe { bindings::free_irq(self.request.irq, cookie) };
            }
        }
    };
}

registration!(Registration, Handler, handle, None);
registration!(
    ThreadedRegistration,
    ThreadedHandler,
    handle_first,
    Some(handle_threaded::<T>)
);

/// # Safety
///
/// `cookie` is a `Registration<'_, T>`.
unsafe extern "C" fn handle<T: Handler>(_: c_int, cookie: *mut c_void) -> u32 {
    // SAFETY: By the requirement.
    let registration = unsafe { &*cookie.cast::<Registration<'_, T>>() };
    registration.handler.handle() as u32
}

/// # Safety
///
/// `cookie` is a `ThreadedRegistration<'_, T>`.
unsafe extern "C" fn handle_first<T: ThreadedHandler>(_: c_int, cookie: *mut c_void) -> u32 {
    // SAFETY: By the requirement.
    let registration = unsafe { &*cookie.cast::<ThreadedRegistration<'_, T>>() };
    registration.handler.handle() as u32
}

/// # Safety
///
/// `cookie` is a `ThreadedRegistration<'_, T>`.
unsafe extern "C" fn handle_threaded<T: ThreadedHandler>(_: c_int, cookie: *mut c_void) -> u32 {
    // SAFETY: By the requirement.
    let registration = unsafe { &*cookie.cast::<ThreadedRegistration<'_, T>>() };
    registration.handler.handle_threaded() as u32
}

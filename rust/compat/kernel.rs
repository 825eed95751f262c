// SPDX-License-Identifier: GPL-2.0

//! The kernel crate of Linux 7.2 with the interface of 7.3's, as far as it is used here. On 7.2 this is
//! presented to the core and drivers as the kernel crate (see Kbuild), so none of them checks the version; on
//! later kernels it is not compiled. 7.3's own documentation says what each item is for.

#![allow(missing_docs)]

pub mod dma;
pub mod irq;
pub mod pci;
mod spinlock;

#[doc(hidden)]
pub use kernel as old;
pub use kernel::*;

/// C's `enum irqreturn` is a type of its own, with constants.
pub mod bindings {
    pub use kernel::bindings::*;

    #[allow(non_camel_case_types)]
    pub enum irqreturn {}

    impl irqreturn {
        pub const IRQ_NONE: irqreturn_t = irqreturn_IRQ_NONE;
        pub const IRQ_HANDLED: irqreturn_t = irqreturn_IRQ_HANDLED;
        pub const IRQ_WAKE_THREAD: irqreturn_t = irqreturn_IRQ_WAKE_THREAD;
    }
}

/// Parameters are returned by value.
pub mod module_param {
    use core::ffi::c_void;
    pub use kernel::module_param::*;

    pub struct ModuleParamAccess<T>(kernel::module_param::ModuleParamAccess<T>);

    impl<T: Copy> ModuleParamAccess<T> {
        pub const fn new(default: T) -> Self {
            Self(kernel::module_param::ModuleParamAccess::new(default))
        }

        #[inline]
        pub fn value(&self) -> T {
            *self.0.value()
        }

        pub const fn as_void_ptr(&self) -> *mut c_void {
            self.0.as_void_ptr()
        }
    }
}

pub mod prelude {
    pub use crate::{
        dma::CoherentBytes as _,
        error::code::{EDEADLK, EOPNOTSUPP},
        spinlock::LockWith as _,
    };
    pub use kernel::prelude::*;
}

pub mod error {
    pub use kernel::error::*;

    pub mod code {
        use core::mem::transmute;
        pub use kernel::error::code::*;
        use kernel::error::Error;

        pub const EDEADLK: Error = error(kernel::bindings::EDEADLK);
        pub const EOPNOTSUPP: Error = error(kernel::bindings::EOPNOTSUPP);

        /// A constant cannot be made from a number otherwise.
        const fn error(number: u32) -> Error {
            // SAFETY: An `Error` is one number.
            let known: i32 = unsafe { transmute(EINVAL) };
            assert!(known == -22);
            // SAFETY: As above; it is a negative error number, as that one is.
            unsafe { transmute(-(number as i32)) }
        }
    }
}

pub mod sync {
    pub use crate::{new_spinlock_irq, spinlock::SpinLockIrq};
    pub use kernel::sync::*;

    pub mod rcu {
        pub use kernel::sync::rcu::*;

        #[inline]
        pub fn synchronize_rcu() {
            // SAFETY: Thread, may sleep.
            unsafe { kernel::bindings::synchronize_rcu() }
        }
    }
}

pub mod interrupt {
    use kernel::{ffi::c_ulong, types::NotThreadSafe};

    // helpers.c
    extern "C" {
        fn lazyirq_irq_save() -> c_ulong;
        fn lazyirq_irq_restore(flags: c_ulong);
    }

    pub struct LocalInterruptDisabled(c_ulong, NotThreadSafe);

    #[inline]
    pub fn local_interrupt_disable() -> LocalInterruptDisabled {
        // SAFETY: Undone when this is dropped, by the same thread.
        LocalInterruptDisabled(unsafe { lazyirq_irq_save() }, NotThreadSafe)
    }

    impl LocalInterruptDisabled {
        /// # Safety
        ///
        /// Interrupts are off.
        #[inline]
        pub unsafe fn assume_disabled<'a>() -> &'a Self {
            const OFF: &LocalInterruptDisabled = &LocalInterruptDisabled(0, NotThreadSafe);
            OFF
        }
    }

    impl Drop for LocalInterruptDisabled {
        #[inline]
        fn drop(&mut self) {
            // SAFETY: Undoes what made this.
            unsafe { lazyirq_irq_restore(self.0) }
        }
    }
}

/// Takes no name for the table that user space reads.
#[macro_export]
macro_rules! pci_device_table {
    ($table:ident, $info:ty, $entries:expr) => {
        $crate::old::pci_device_table!($table, MODULE_TABLE, $info, $entries);
    };
}

#[macro_export]
macro_rules! module_pci_driver {
    ($($info:tt)*) => {
        $crate::module_driver!(<T>, $crate::pci::Adapter<T>, { $($info)* });
    };
}

// SPDX-License-Identifier: GPL-2.0

//! A device of `lazyirq_sim.ko`, for the drivers that are bound to it by `driver_override`. See
//! `lazyirq_sim.h`.

use kernel::{device::Core, prelude::*};

extern "C" {
    fn lazyirq_sim_source(dev: *mut c_void) -> *mut c_void;
    fn lazyirq_sim_asks(source: *mut c_void) -> bool;
    fn lazyirq_sim_answer(source: *mut c_void) -> c_ulong;
}

/// A simulated device.
///
/// # Invariants
///
/// It is one of `lazyirq_sim.ko`'s, which exist as long as that is loaded; this module depends on it.
pub(crate) struct Device(*mut c_void);

// SAFETY: It may be used in any context.
unsafe impl Send for Device {}
// SAFETY: As above.
unsafe impl Sync for Device {}

impl Device {
    pub(crate) fn new(dev: &kernel::device::Device<Core<'_>>) -> Self {
        let dev = core::ptr::from_ref(dev).cast_mut();
        // SAFETY: A `Device` is a `struct device`. It was bound to this driver by `driver_override`,
        // so it is a simulated one.
        // INVARIANT: As above.
        Self(unsafe { lazyirq_sim_source(dev.cast()) })
    }

    /// Does it ask for anything?
    pub(crate) fn asks(&self) -> bool {
        // SAFETY: By the type invariant.
        unsafe { lazyirq_sim_asks(self.0) }
    }

    /// Answers everything that it asks for. Returns how many events that was.
    pub(crate) fn answer(&self) -> c_ulong {
        // SAFETY: By the type invariant.
        unsafe { lazyirq_sim_answer(self.0) }
    }
}

// SPDX-License-Identifier: GPL-2.0

//! The interrupt of another device, and the thread that it wakes, which is above all ithreads: how long do
//! they wait? Or, as a hog, that thread keeps the CPU busy: above all that is not real-time, below all
//! threads of interrupts.

use crate::registers::{now, work_for, Registers};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use kernel::{
    bindings,
    irq::{IrqReturn, ThreadedHandler, ThreadedIrqReturn},
    sync::Arc,
};

pub(crate) struct Witness {
    registers: Registers,
    raised: AtomicU64,
    entered: AtomicU64,
    ran: AtomicU64,
    /// For so many instructions it is a hog, next time.
    hog: AtomicU64,
}

impl Witness {
    pub(crate) fn new(registers: Registers) -> Self {
        Self {
            registers,
            raised: AtomicU64::new(0),
            entered: AtomicU64::new(0),
            ran: AtomicU64::new(0),
            hog: AtomicU64::new(0),
        }
    }

    pub(crate) fn raise(&self) {
        self.raised.store(now(), Relaxed);
        self.registers.raise();
    }

    /// The thread is a hog from now on, for so many instructions. `waited` tells when that is over.
    pub(crate) fn hog(&self, instructions: u64) {
        self.hog.store(instructions, Relaxed);
        self.raise();
    }

    /// How long the interrupt has waited, and the thread, when both are over.
    pub(crate) fn waited(&self) -> (u64, u64) {
        while self.ran.load(Relaxed) == 0 {
            core::hint::spin_loop();
        }
        let raised = self.raised.load(Relaxed);
        let ran = self.ran.swap(0, Relaxed);
        (self.entered.load(Relaxed) - raised, ran - raised)
    }
}

/// `struct sched_attr`, which the kernel crate knows by name only, as far as it was in its first version.
#[repr(C)]
pub(crate) struct Attributes {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    rest: [u64; 3],
}

impl Attributes {
    pub(crate) const NORMAL: Self = Self::new(bindings::SCHED_NORMAL, 0);

    pub(crate) const fn fifo(priority: u32) -> Self {
        Self::new(bindings::SCHED_FIFO, priority)
    }

    const fn new(policy: u32, priority: u32) -> Self {
        Self {
            size: core::mem::size_of::<Self>() as u32,
            policy,
            flags: 0,
            nice: 0,
            priority,
            rest: [0; 3],
        }
    }

    /// To the running thread.
    pub(crate) fn apply(&self) {
        // The kernel reads all that it knows.
        let mut whole = [0u64; 16];
        // SAFETY: It is long enough, and the running thread is there.
        unsafe {
            whole.as_mut_ptr().cast::<Self>().copy_from(self, 1);
            bindings::sched_setattr_nocheck(bindings::get_current(), whole.as_ptr().cast());
        }
    }
}

pub(crate) struct Watching(pub(crate) Arc<Witness>);

impl ThreadedHandler for Watching {
    fn handle(&self) -> ThreadedIrqReturn {
        self.0.registers.acknowledge();
        self.0.entered.store(now(), Relaxed);
        ThreadedIrqReturn::WakeThread
    }

    fn handle_threaded(&self) -> IrqReturn {
        let time = now();
        let hog = self.0.hog.swap(0, Relaxed);
        if hog != 0 {
            Attributes::fifo(40).apply();
            work_for(time, hog);
        }
        Attributes::fifo(90).apply();
        self.0.ran.store(time, Relaxed);
        IrqReturn::Handled
    }
}

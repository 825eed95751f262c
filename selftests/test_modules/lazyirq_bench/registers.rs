// SPDX-License-Identifier: GPL-2.0

//! The device's registers, mapped without the kernel crate's checks and calls, which would be measured
//! too; and the processor's counter, which tells instructions in a machine that counts them.

use kernel::{bindings, device::Core, pci, prelude::*};

const REGISTERS: usize = 0x100;
const IRQ_RAISE: usize = 0x60;
const IRQ_ACK: usize = 0x64;

pub(crate) struct Registers(*mut u8);

// SAFETY: Device registers may be written from any context.
unsafe impl Send for Registers {}
// SAFETY: As above.
unsafe impl Sync for Registers {}

impl Registers {
    pub(crate) fn map(pdev: &pci::Device<Core<'_>>) -> Result<Self> {
        // SAFETY: The region is this device's, which the driver is bound to.
        let address = unsafe { bindings::ioremap(pdev.resource_start(0)?, REGISTERS) };
        if address.is_null() {
            return Err(ENOMEM);
        }
        Ok(Self(address.cast()))
    }

    #[inline(always)]
    pub(crate) fn write(&self, offset: usize, value: u32) {
        assert!(offset < REGISTERS);
        // SAFETY: It is within what is mapped.
        unsafe { self.0.add(offset).cast::<u32>().write_volatile(value) };
    }

    /// The device interrupts.
    #[inline(always)]
    pub(crate) fn raise(&self) {
        self.write(IRQ_RAISE, 1);
    }

    #[inline(always)]
    pub(crate) fn acknowledge(&self) {
        self.write(IRQ_ACK, 1);
    }
}

impl Drop for Registers {
    fn drop(&mut self) {
        // SAFETY: It was mapped by `map`.
        unsafe { bindings::iounmap(self.0.cast()) };
    }
}

#[inline(always)]
pub(crate) fn now() -> u64 {
    // SAFETY: Reads the time stamp counter.
    #[cfg(CONFIG_X86_64)]
    unsafe {
        core::arch::x86_64::_rdtsc()
    }
    #[cfg(CONFIG_ARM64)]
    {
        let now: u64;
        // SAFETY: Reads the virtual counter.
        unsafe { core::arch::asm!("mrs {}, cntvct_el0", out(reg) now) };
        now
    }
}

/// Works for a millisecond.
#[inline(always)]
pub(crate) fn work(start: u64) {
    work_for(start, 1_000_000);
}

/// Works for so many instructions.
#[inline(always)]
pub(crate) fn work_for(start: u64, instructions: u64) {
    while now() - start < instructions {
        core::hint::spin_loop();
    }
}

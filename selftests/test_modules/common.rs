// SPDX-License-Identifier: GPL-2.0

//! What the selftests' drivers share: the `edu` device's registers, bounded waiting, control files.

use kernel::{
    prelude::*,
    time::{Delta, Instant, Monotonic},
    uaccess::UserSliceReader,
};

pub(crate) const REGISTERS: usize = 0x100;
pub(crate) const IRQ_STATUS: usize = 0x24;
pub(crate) const IRQ_RAISE: usize = 0x60;
pub(crate) const IRQ_ACK: usize = 0x64;

/// The bound of any wait. A script that must start a dozen processes meanwhile takes twenty seconds
/// on an emulated debug kernel.
pub(crate) const BOUND: Delta = Delta::from_secs(60);

/// The bound of a wait without sleeping: after 21 seconds the kernel complains.
const SPIN_BOUND: Delta = Delta::from_secs(15);

/// Calls `f` until it returns true, without sleeping: the interrupt may be for this CPU.
pub(crate) fn spin_until(f: impl Fn() -> bool) -> bool {
    let start = Instant::<Monotonic>::now();
    while !f() {
        if start.elapsed() > SPIN_BOUND {
            return false;
        }
        core::hint::spin_loop();
    }
    true
}

/// Is this a hard IRQ, as far as the handler is concerned? Decided by whether the processor takes interrupts:
/// the running task's name does not tell, since a hard IRQ may have interrupted an ithread.
pub(crate) fn in_hard_irq() -> bool {
    let flags: u64;
    // SAFETY: Reads the flags.
    #[cfg(CONFIG_X86_64)]
    unsafe {
        core::arch::asm!("pushfq", "pop {}", out(reg) flags)
    };
    // SAFETY: Reads the interrupt mask.
    #[cfg(CONFIG_ARM64)]
    unsafe {
        core::arch::asm!("mrs {}, daif", out(reg) flags)
    };
    if cfg!(CONFIG_ARM64) {
        flags & 1 << 7 != 0
    } else {
        flags & 1 << 9 == 0
    }
}

/// Calls `f` with what was written to a control file.
pub(crate) fn with_text(reader: &mut UserSliceReader, f: impl FnOnce(&str) -> Result) -> Result {
    let mut buffer = [0; 64];
    let length = reader.len();
    let bytes = buffer.get_mut(..length).ok_or(EINVAL)?;
    reader.read_slice(bytes)?;
    f(core::str::from_utf8(bytes).map_err(|_| EINVAL)?.trim())
}

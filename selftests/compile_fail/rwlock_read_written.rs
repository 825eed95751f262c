// SPDX-License-Identifier: GPL-2.0

//! A reader does not write.

use lazyirq::{Interrupt, RwLock};

/// Counts.
pub async fn count(count: &RwLock<u32>, irq: Interrupt<'_>) {
    #[cfg(not(fail))]
    let mut count = count.write_irq(irq).await;
    #[cfg(fail)]
    let mut count = count.read_irq(irq).await;
    *count += 1; //~ ERROR cannot assign to data in dereference of `IrqGuard<'_, u32, [E0594]
}

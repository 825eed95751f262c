// SPDX-License-Identifier: GPL-2.0

//! A mutex is locked where it is pinned: what waits for it has to find it there.

use kernel::prelude::*;

/// Makes a mutex and locks it.
pub fn lock() -> Result {
    let count = lazyirq::new_mutex!(0u32);
    #[cfg(not(fail))]
    let count = KBox::pin_init(count, GFP_KERNEL)?;
    drop(count.lock());
    //~^ ERROR no method named `lock` found for opaque type `impl PinInit< [E0599]
    Ok(())
}

// SPDX-License-Identifier: GPL-2.0

//! A mutex stays where it is pinned: it cannot be swapped for another.

use core::pin::Pin;
use lazyirq::Mutex;

/// Locks a mutex.
pub fn lock(count: Pin<&mut Mutex<u32>>) {
    #[cfg(fail)]
    let count = count.get_mut();
    //~^ ERROR `PhantomPinned` cannot be unpinned [E0277]
    //~^^ NOTE required for `Lock<u32, lazyirq::sync::mutex::Kind>` to implement `Unpin`
    drop(count.lock());
}

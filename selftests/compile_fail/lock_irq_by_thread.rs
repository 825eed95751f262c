// SPDX-License-Identifier: GPL-2.0

//! A thread has no token, so it does not lock as a handler does.

use lazyirq::Mutex;

/// Holds the mutex for a moment.
pub fn hold(count: &Mutex<u32>) {
    #[cfg(not(fail))]
    let _count = count.lock();
    #[cfg(fail)]
    let _count = count.lock_irq();
    //~^ ERROR this method takes 1 argument but 0 arguments were supplied [E0061]
    //~^^ NOTE argument #1 of type `Interrupt<'_>` is missing
}

// SPDX-License-Identifier: GPL-2.0

//! Nobody but lazyirq makes the token, not even by promising that all is well.

use lazyirq::Interrupt;

/// Gives back what it is given.
pub fn token(irq: Interrupt<'_>) -> Interrupt<'_> {
    // SAFETY: It would be the same one.
    #[cfg(fail)]
    let irq = unsafe { Interrupt::new(irq.head()) };
    //~^ ERROR associated function `new` is private [E0624]
    //~^^ ERROR method `head` is private [E0624]
    irq
}

// SPDX-License-Identifier: GPL-2.0

//! Nobody but lazyirq makes the token, which tells a handler from a thread.

use lazyirq::Interrupt;

/// Gives back what it is given.
pub fn token(irq: Interrupt<'_>) -> Interrupt<'_> {
    #[cfg(fail)]
    let irq = Interrupt { ..irq }; //~ ERROR field `head` of struct `Interrupt` is private [E0451]
    irq
}

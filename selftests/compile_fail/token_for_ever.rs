// SPDX-License-Identifier: GPL-2.0

//! A handler takes any token: it cannot ask for one that never ends.

use lazyirq::{Handler, Interrupt, IrqReturn};

struct Uart;

impl Handler for Uart {
    #[cfg(not(fail))]
    async fn handle(&self, _irq: Interrupt<'_>) -> IrqReturn {
        IrqReturn::Handled
    }

    #[cfg(fail)]
    async fn handle(&self, _irq: Interrupt<'static>) -> IrqReturn {
        //~^ ERROR method not compatible with trait [E0308]
        //~^^ NOTE found signature `fn(&Uart, Interrupt<'static>) -> _`
        IrqReturn::Handled
    }
}

// SPDX-License-Identifier: GPL-2.0

//! A handler ends with its registration: a run of it cannot ask for one that never ends.

use lazyirq::{Handler, Interrupt, IrqReturn};

struct Uart;

impl Handler for Uart {
    #[cfg(not(fail))]
    async fn handle(&self, _irq: Interrupt<'_>) -> IrqReturn {
        IrqReturn::Handled
    }

    #[cfg(fail)]
    async fn handle(&'static self, _irq: Interrupt<'_>) -> IrqReturn {
        //~^ ERROR method not compatible with trait [E0308]
        //~^^ NOTE found signature `fn(&'static Uart, Interrupt<'_>) -> _`
        IrqReturn::Handled
    }
}

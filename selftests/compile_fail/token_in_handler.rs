// SPDX-License-Identifier: GPL-2.0

//! The token ends with the run of the handler, which does not keep it for the next one.

use kernel::prelude::*;
use lazyirq::{Handler, Interrupt, IrqReturn, Mutex};

#[pin_data]
struct Uart {
    #[pin]
    last: Mutex<Option<Interrupt<'static>>>,
}

impl Handler for Uart {
    async fn handle(&self, irq: Interrupt<'_>) -> IrqReturn {
        let mut last = self.last.lock_irq(irq).await;
        //~^ ERROR borrowed data escapes outside of method [E0521]
        //~^^ NOTE `irq` escapes the method body here
        last.take();
        #[cfg(fail)]
        last.replace(irq);
        //~|^ ERROR borrowed data escapes outside of method [E0521]
        //~|^^ NOTE `irq` escapes the method body here
        IrqReturn::Handled
    }
}

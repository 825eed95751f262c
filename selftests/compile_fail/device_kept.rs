// SPDX-License-Identifier: GPL-2.0

//! A device that the token gives is known to be bound until the handler is done, and no longer.

use kernel::{
    device::{Bound, Device},
    prelude::*,
};
use lazyirq::{Handler, Interrupt, IrqReturn, Mutex};

#[pin_data]
struct Uart {
    #[pin]
    last: Mutex<Option<&'static Device<Bound>>>,
}

impl Handler for Uart {
    async fn handle(&self, irq: Interrupt<'_>) -> IrqReturn {
        let mut last = self.last.lock_irq(irq).await;
        //~^ ERROR borrowed data escapes outside of method [E0521]
        //~^^ NOTE `irq` escapes the method body here
        last.take();
        #[cfg(fail)]
        last.replace(irq.device());
        //~|^ ERROR borrowed data escapes outside of method [E0521]
        //~|^^ NOTE `irq` escapes the method body here
        IrqReturn::Handled
    }
}

// SPDX-License-Identifier: GPL-2.0

//! A handler's guard ends with its run: no mutex is held from one interrupt to the next.

use kernel::prelude::*;
use lazyirq::{Handler, Interrupt, IrqGuard, IrqReturn, Mutex};

#[pin_data]
struct Uart {
    count: &'static Mutex<u32>,
    #[pin]
    held: Mutex<Option<IrqGuard<'static, u32>>>,
}

impl Handler for Uart {
    async fn handle(&self, irq: Interrupt<'_>) -> IrqReturn {
        let mut held = self.held.lock_irq(irq).await;
        //~^ ERROR borrowed data escapes outside of method [E0521]
        //~^^ NOTE `irq` escapes the method body here
        held.take();
        let _count = self.count.lock_irq(irq).await;
        //~|^ ERROR borrowed data escapes outside of method [E0521]
        //~|^^ NOTE `irq` escapes the method body here
        #[cfg(fail)]
        held.replace(_count);
        IrqReturn::Handled
    }
}

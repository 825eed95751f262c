// SPDX-License-Identifier: GPL-2.0

//! A handler does not block with a thread's guard: in its interrupt thread it is another thread.

use kernel::prelude::*;
use lazyirq::{Handler, Interrupt, IrqReturn, Mutex};

#[pin_data]
struct Uart {
    #[pin]
    count: Mutex<u32>,
}

impl Handler for Uart {
    async fn handle(&self, irq: Interrupt<'_>) -> IrqReturn {
        //~^ ERROR future cannot be sent between threads safely
        #[cfg(not(fail))]
        let _count = self.count.lock_irq(irq).await;
        #[cfg(fail)]
        let _count = self.count.lock();
        //~^ NOTE has type `lazyirq::Guard<'_, u32>` which is not `Send`
        irq.defer().await; //~ NOTE await occurs here, with `_count` maybe used later
        IrqReturn::Handled
    }
}

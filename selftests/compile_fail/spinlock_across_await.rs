// SPDX-License-Identifier: GPL-2.0

//! A handler does not block with a spinlock held: what it has interrupted may want it next.

use kernel::{prelude::*, sync::SpinLock};
use lazyirq::{Handler, Interrupt, IrqReturn};

#[pin_data]
struct Uart {
    #[pin]
    count: SpinLock<u32>,
}

impl Handler for Uart {
    async fn handle(&self, irq: Interrupt<'_>) -> IrqReturn {
        //~^ ERROR future cannot be sent between threads safely
        {
            let mut count = self.count.lock();
            //~^ NOTE ::sync::lock::Guard<'_, u32, SpinLockBackend>` which is not `Send`
            *count += 1;
            #[cfg(fail)]
            irq.defer().await; //~ NOTE await occurs here, with `mut count` maybe used later
        }
        irq.defer().await;
        IrqReturn::Handled
    }
}

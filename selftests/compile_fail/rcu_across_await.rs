// SPDX-License-Identifier: GPL-2.0

//! A handler does not block in an RCU read section: it would end on another task than it began.

use kernel::{prelude::*, sync::rcu};
use lazyirq::{Handler, Interrupt, IrqReturn, Mutex};

#[pin_data]
struct Uart {
    #[pin]
    count: Mutex<u32>,
}

impl Handler for Uart {
    async fn handle(&self, irq: Interrupt<'_>) -> IrqReturn {
        //~^ ERROR future cannot be sent between threads safely
        {
            let _reading = rcu::read_lock();
            //~^ NOTE ::sync::rcu::Guard` which is not `Send`
            #[cfg(fail)]
            drop(self.count.lock_irq(irq).await);
            //~^ NOTE await occurs here, with `_reading` maybe used later
        }
        drop(self.count.lock_irq(irq).await);
        IrqReturn::Handled
    }
}

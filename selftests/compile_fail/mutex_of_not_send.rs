// SPDX-License-Identifier: GPL-2.0

//! What a mutex guards goes from thread to handler and back: it is `Send`.

use kernel::prelude::*;
use lazyirq::{Handler, Interrupt, IrqReturn, Mutex};

#[cfg(not(fail))]
type Data = core::cell::Cell<u32>; // Need not be `Sync`.
#[cfg(fail)]
type Data = *mut u32;

#[pin_data]
struct Uart {
    #[pin]
    data: Mutex<Data>,
}

impl Handler for Uart {
    //~^ ERROR `*mut u32` cannot be sent between threads safely [E0277]
    //~^^ NOTE required for `lazyirq::Lock<*mut u32, lazyirq::sync::mutex::Kind>` to implement `Sync`
    async fn handle(&self, irq: Interrupt<'_>) -> IrqReturn {
        //~^ ERROR future cannot be sent between threads safely
        drop(self.data.lock_irq(irq).await);
        //~^ NOTE await occurs here on type `LockIrq<'_, *mut u32,
        IrqReturn::Handled
    }
}

// SPDX-License-Identifier: GPL-2.0

//! What a read/write lock guards is seen by several readers at a time: it is `Sync`.

use kernel::prelude::*;
use lazyirq::{Handler, Interrupt, IrqReturn, RwLock};

#[cfg(not(fail))]
type Data = core::sync::atomic::AtomicU32;
#[cfg(fail)]
type Data = core::cell::Cell<u32>; // Enough for a mutex.

#[pin_data]
struct Uart {
    #[pin]
    data: RwLock<Data>,
}

impl Handler for Uart {
    //~^ ERROR `Cell<u32>` cannot be shared between threads safely [E0277]
    //~^^ NOTE required for `lazyirq::Lock<Cell<u32>, lazyirq::sync::rwlock::Kind>` to implement `Sync`
    async fn handle(&self, _irq: Interrupt<'_>) -> IrqReturn {
        //~^ ERROR future cannot be sent between threads safely
        IrqReturn::Handled
    }
}

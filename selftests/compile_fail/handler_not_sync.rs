// SPDX-License-Identifier: GPL-2.0

//! Threads look at a handler while it runs: it is `Sync`.

use lazyirq::{Handler, Interrupt, IrqReturn};

#[cfg(not(fail))]
type Count = core::sync::atomic::AtomicU32;
#[cfg(fail)]
type Count = core::cell::Cell<u32>;

struct Uart {
    _count: Count,
}

impl Handler for Uart {
    //~^ ERROR `Cell<u32>` cannot be shared between threads safely [E0277]
    //~? NOTE required by a bound in `Handler`
    async fn handle(&self, _irq: Interrupt<'_>) -> IrqReturn {
        //~^ ERROR future cannot be sent between threads safely
        //~^^ NOTE has type `&Uart` which is not `Send`, because `Uart` is not `Sync`
        IrqReturn::Handled
    }
}

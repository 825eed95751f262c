// SPDX-License-Identifier: GPL-2.0

//! A handler runs, and is dropped, elsewhere than it was made: it is `Send`.

use lazyirq::{Handler, Interrupt, IrqReturn};

#[cfg(not(fail))]
type Registers = usize;
#[cfg(fail)]
type Registers = *mut u32; // Not `Sync` either.

struct Uart {
    _registers: Registers,
}

impl Handler for Uart {
    //~^ ERROR `*mut u32` cannot be sent between threads safely [E0277]
    //~^^ ERROR `*mut u32` cannot be shared between threads safely [E0277]
    //~? NOTE required by a bound in `Handler`
    async fn handle(&self, _irq: Interrupt<'_>) -> IrqReturn {
        //~^ ERROR future cannot be sent between threads safely
        //~^^ NOTE has type `&Uart` which is not `Send`, because `Uart` is not `Sync`
        IrqReturn::Handled
    }
}

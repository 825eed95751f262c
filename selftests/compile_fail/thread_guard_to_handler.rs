// SPDX-License-Identifier: GPL-2.0

//! A thread's guard is not given to a handler: the thread that took the mutex releases it.

use lazyirq::{Handler, Interrupt, IrqReturn};

#[cfg(not(fail))]
type Count = &'static lazyirq::Mutex<u32>;
#[cfg(fail)]
type Count = lazyirq::Guard<'static, u32>;

struct Uart {
    _count: Count,
}

impl Handler for Uart {
    //~^ ERROR `*mut ()` cannot be sent between threads safely [E0277]
    //~? NOTE required because it appears within the type `Guard<'static, u32>`
    //~? NOTE required by a bound in `Handler`
    async fn handle(&self, _irq: Interrupt<'_>) -> IrqReturn {
        IrqReturn::Handled
    }
}

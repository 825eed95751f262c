// SPDX-License-Identifier: GPL-2.0

//! The token ends with the run of the handler, which does not leave it for threads to find.

use lazyirq::{Handler, Interrupt, IrqReturn};

static mut LAST: Option<Interrupt<'static>> = None;

struct Uart;

impl Handler for Uart {
    async fn handle(&self, irq: Interrupt<'_>) -> IrqReturn {
        //~^ ERROR lifetime may not live long enough
        //~^^ NOTE assignment requires that `'1` must outlive `'static`
        let last = Some(irq);
        #[cfg(not(fail))]
        let last = last.and(None);
        // SAFETY: Nobody reads it.
        unsafe { LAST = last };
        //~|^ ERROR lifetime may not live long enough
        //~|^^ NOTE assignment requires that `'1` must outlive `'static`
        IrqReturn::Handled
    }
}

// SPDX-License-Identifier: GPL-2.0

//! The interrupt: its handler, in a lazy and in a stock threaded version.

use crate::device::{Edu, Mechanism};
use core::{
    future::{pending, Future},
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    task::{Context, Poll, Waker},
};
use kernel::{
    device::{Bound, Device},
    irq::{self, Flags, IrqRequest, IrqReturn, ThreadedHandler, ThreadedIrqReturn},
    pci::{self, IrqType, IrqTypes},
    prelude::*,
    str::CStr,
    sync::Arc,
};
use lazyirq::{Handler, Interrupt, Ipl, Options, StockMeter};

/// The interrupt's name, the same for both mechanisms, so that debugfs compares them.
const NAME: &CStr = c"lazyirq_edu";

/// The lazy handler: one function, which blocks where it must.
impl Handler for Edu {
    async fn handle(&self, irq: Interrupt<'_>) -> IrqReturn {
        // Acknowledge before anything can block, so that a level-triggered line is quiet by then.
        let Some((bar, status)) = self.acknowledge(irq.device()) else {
            return IrqReturn::None;
        };
        Edu::record(&mut *self.lazy.lock_irq(irq).await, bar, status);
        IrqReturn::Handled
    }
}

/// The stock threaded handler: the same, split in two, with what the two halves share.
struct Stock<'a> {
    edu: Arc<Edu>,
    dev: &'a Device<Bound>,
    meter: StockMeter,
    /// What is acknowledged, but not yet recorded.
    status: AtomicU32,
}

impl ThreadedHandler for Stock<'_> {
    fn handle(&self) -> ThreadedIrqReturn {
        let Some((_, status)) = self.edu.acknowledge(self.dev) else {
            return ThreadedIrqReturn::None;
        };
        self.meter.entered();
        self.status.fetch_or(status, Relaxed);
        ThreadedIrqReturn::WakeThread
    }

    fn handle_threaded(&self) -> IrqReturn {
        let status = self.status.swap(0, Relaxed);
        let Ok(bar) = self.edu.registers(self.dev) else {
            return self.meter.done(IrqReturn::None);
        };
        Edu::record(&mut self.edu.stock.lock(), bar, status);
        self.meter.done(IrqReturn::Handled)
    }
}

/// A served interrupt. It is no longer served once this is dropped.
pub(crate) type Served<'a> = KBox<dyn Send + 'a>;

/// Serves the interrupt of `pdev`.
pub(crate) fn serve<'a>(
    pdev: &'a pci::Device<Bound>,
    edu: Arc<Edu>,
    irq_type: IrqType,
    ipl: Ipl,
) -> Result<Served<'a>> {
    let mut holder = KBox::pin(hold(pdev, edu, irq_type, ipl), GFP_KERNEL)?;
    match holder
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Pending => Ok(KBox::new(holder, GFP_KERNEL)?),
        Poll::Ready(result) => {
            let error = result.err().unwrap_or(EIO);
            dev_err!(
                pdev,
                "the interrupt cannot be served ({irq_type:?}): {error:?}\n"
            );
            Err(error)
        }
    }
}

/// Holds the vectors and the registration. The registration borrows from the vectors, which fields
/// of one struct cannot do, but variables of an `async fn` can. It never completes: it is dropped.
async fn hold(pdev: &pci::Device<Bound>, edu: Arc<Edu>, irq_type: IrqType, ipl: Ipl) -> Result {
    let dev: &Device<Bound> = pdev.as_ref();
    let vectors = pdev.alloc_irq_vectors(1, 1, IrqTypes::default().with(irq_type))?;
    let request: IrqRequest<'_> = vectors.index(0)?.into();
    match edu.mechanism {
        Mechanism::Lazy => {
            let options = Options::new(NAME, ipl).shared();
            let _registration = lazyirq::register(dev, request, options, edu)?;
            pending::<()>().await;
        }
        Mechanism::Stock => {
            let meter = StockMeter::new(&request, NAME)?;
            let stock = Stock {
                edu,
                dev,
                meter,
                status: AtomicU32::new(0),
            };
            // SAFETY: The registration must be dropped, not forgotten. It is moved from here into
            // a box that only this function's future owns. The driver core drops the future as part
            // of the driver's data, before the device is unbound, or, if the probe fails, with what
            // the probe had made by then. Nothing in this driver forgets either.
            let registration =
                unsafe { irq::ThreadedRegistration::new(request, Flags::SHARED, NAME, Ok(stock)) };
            let _registration = KBox::pin_init(registration, GFP_KERNEL)?;
            pending::<()>().await;
        }
    }
    Ok(())
}

// SPDX-License-Identifier: GPL-2.0

//! The smallest driver with a lazy interrupt handler: the one to copy from.
//!
//! It binds to QEMU's `edu` device, makes it interrupt once, and counts its interrupts. The count
//! is shown in `/sys/kernel/debug/lazyirq/interrupts`.

use kernel::{
    device::{Bound, Core, Device},
    devres::Devres,
    io::Io,
    irq::IrqReturn,
    pci::{self, IrqTypes, IrqVectorRegistration},
    prelude::*,
};
use lazyirq::{Handler, Interrupt, Ipl, Mutex, Options, Registration};

const IRQ_STATUS: usize = 0x24;
const IRQ_RAISE: usize = 0x60;
const IRQ_ACK: usize = 0x64;

/// What the handler works on. `probe` reaches it through [`Registration::handler`]; other threads would need it in an
/// `Arc`, as in `lazyirq_edu`.
#[pin_data]
struct Counter {
    bar: pci::DevresBar<0x100>,
    /// Shared with threads, which take it with `lock()`.
    #[pin]
    events: Mutex<u64>,
}

impl Handler for Counter {
    // This nearly always starts in hard-IRQ context: nothing in it may sleep, not even after it has blocked.
    // But sometimes it starts in a thread, with interrupts on.
    async fn handle(&self, irq: Interrupt<'_>) -> IrqReturn {
        let Ok(bar) = self.bar.access(irq.device()) else {
            return IrqReturn::None;
        };
        // The line may be shared: `None` if the interrupt is not ours.
        let status = bar.read32(IRQ_STATUS);
        if status == 0 {
            return IrqReturn::None;
        }
        // Acknowledge before the first `.await`, so the device is quiet if the handler blocks.
        bar.write32(status, IRQ_ACK);
        // If a thread holds it, the handler blocks here, and continues when the thread releases it.
        *self.events.lock_irq(irq).await += 1;
        IrqReturn::Handled
    }
}

/// Dropped from top to bottom: first the registration, then the vectors that it needs.
struct Minimal<'bound> {
    _registration: Devres<Registration<Counter>>,
    _vectors: IrqVectorRegistration<'bound>,
}

struct MinimalDriver;

kernel::pci_device_table!(
    TABLE,
    <MinimalDriver as pci::Driver>::IdInfo,
    // The kernel crate's list of vendors lacks QEMU: match the class here, and the IDs in probe.
    [(pci::DeviceId::from_class(0x00ff00, 0xffff00), ())]
);

impl pci::Driver for MinimalDriver {
    type IdInfo = ();
    type Data<'bound> = Minimal<'bound>;
    const ID_TABLE: pci::IdTable<Self::IdInfo> = &TABLE;

    fn probe<'bound>(
        pdev: &'bound pci::Device<Core<'_>>,
        _info: Option<&'bound Self::IdInfo>,
    ) -> impl PinInit<Minimal<'bound>, Error> + 'bound {
        if pdev.vendor_id().as_raw() != 0x1234 || pdev.device_id() != 0x11e8 {
            return Err(ENODEV);
        }
        pdev.enable_device_mem()?;
        pdev.set_master(); // MSI is a write by the device.
        let dev: &Device<Bound> = pdev.as_ref();
        let bar = pdev
            .iomap_region_sized(0, c"lazyirq_minimal")?
            .into_devres()?;
        let vectors = pdev.alloc_irq_vectors(1, 1, IrqTypes::all())?;
        let registration = lazyirq::register(
            dev,
            vectors.index(0)?,
            // The name is shown in debugfs. A higher level is more important.
            Options::new(c"lazyirq_minimal", Ipl::from_const::<5>()).shared(),
            try_pin_init!(Counter { bar, events <- lazyirq::new_mutex!(0) }? Error),
        )?;
        // Interrupts can arrive from here on, so the device is told to interrupt only now.
        let counter = registration.access(dev)?.handler();
        let bar = counter.bar.access(dev)?;
        bar.write32(1, IRQ_RAISE);
        // This is answered once the write has arrived. The handler may not be done yet.
        bar.read32(IRQ_STATUS);
        dev_info!(pdev, "interrupts so far: {}\n", *counter.events.lock());
        Ok(Minimal {
            _registration: registration,
            _vectors: vectors,
        })
    }
}

kernel::module_pci_driver! {
    type: MinimalDriver,
    name: "lazyirq_minimal",
    authors: ["The lazyirq developers"],
    description: "Sample: the smallest driver with a lazy interrupt handler",
    license: "GPL v2",
}

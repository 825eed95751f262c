// SPDX-License-Identifier: GPL-2.0

//! A driver for QEMU's `edu` device, whose interrupt handler is a lazy one, or a stock threaded
//! one for comparison.
//!
//! Each device has a character device, `/dev/lazyirq_edu0` and so on, for up to four of them.
//! A command written to it is complete when the write returns, and its answer can then be read:
//!
//! ```text
//! echo 10 > /dev/lazyirq_edu0; cat /dev/lazyirq_edu0              3628800
//! ```
//!
//! - A number: its factorial, modulo 2^32, by the device's factorial engine.
//! - `dma TEXT` (up to 4096 bytes): the text goes to the device's memory by DMA, and back to
//!   another place. The answer is the text.
//! - `raise NUMBER` (up to 1,000,000): that many interrupts, one after the other, each waited for. The answer is
//!   `raised NUMBER handled NUMBER`, the latter as counted by the handler.
//! - `raise NUMBER held`: the same, but each is raised by a thread that holds the lock that the
//!   handler takes, and releases it at once.
//!
//! The answer belongs to the device, not to the open file: a read returns the last one. A write fails with
//!
//! - `EINVAL` if it is none of these commands, and `EMSGSIZE` if it is longer than any of them can be;
//! - `ETIMEDOUT` if the device does not interrupt, and `EBUSY` while it is still busy with a job that timed out;
//! - `ENXIO` if it is DMA and the machine has no memory that the device can reach (see `dma_bits`), and `EIO` if
//!   DMA returns different data;
//! - `EINTR` if a signal interrupts `raise`;
//! - `ENODEV` if the device was unbound.
//!
//! Where to look:
//!
//! - `interrupt.rs`: the handler, and how it is registered.
//! - `state.rs`: what the handler shares with threads, and how threads wait for it.
//! - `device.rs`: registers and engines.
//! - `node.rs`: the character device.

use device::{Edu, Mechanism};
use interrupt::Served;
use kernel::{
    device::Core,
    driver,
    miscdevice::MiscDeviceRegistration,
    pci::{self, IrqType},
    prelude::*,
    sync::Arc,
    InPlaceModule, ModuleMetadata,
};
use lazyirq::Ipl;
use node::Place;

#[path = "lazyirq_edu/device.rs"]
mod device;
#[path = "lazyirq_edu/interrupt.rs"]
mod interrupt;
#[path = "lazyirq_edu/node.rs"]
mod node;
#[path = "lazyirq_edu/state.rs"]
mod state;

/// The module's parameters, checked.
struct Settings {
    irq_type: IrqType,
    /// For the devices with even numbers, and for those with odd ones.
    mechanisms: [Mechanism; 2],
    ipl: Ipl,
    dma_bits: u8,
}

impl Settings {
    fn read() -> Result<Self> {
        let irq_type = match module_parameters::irq.value() {
            0 => IrqType::Msi,
            1 => IrqType::Intx,
            other => {
                pr_err!("irq={other} is not known: 0 is MSI, 1 is INTx\n");
                return Err(EINVAL);
            }
        };
        let mechanisms = match module_parameters::mechanism.value() {
            0 => [Mechanism::Lazy, Mechanism::Lazy],
            1 => [Mechanism::Stock, Mechanism::Stock],
            2 => [Mechanism::Lazy, Mechanism::Stock],
            other => {
                pr_err!("mechanism={other} is not known: 0 is lazy, 1 is stock, 2 is both\n");
                return Err(EINVAL);
            }
        };
        let ipl = module_parameters::ipl.value();
        let ipl =
            Ipl::new(ipl).inspect_err(|_| pr_err!("ipl={ipl} is not allowed: 1 to 10 is\n"))?;
        let dma_bits = module_parameters::dma_bits.value();
        if !(28..=32).contains(&dma_bits) {
            pr_err!("dma_bits={dma_bits} is not allowed: 28 to 32 is\n");
            return Err(EINVAL);
        }
        Ok(Self {
            irq_type,
            mechanisms,
            ipl,
            dma_bits,
        })
    }
}

/// What each bound device has. The fields are dropped from top to bottom.
#[pin_data]
struct Binding<'bound> {
    // Once this is dropped, no file can be opened.
    #[pin]
    _node: MiscDeviceRegistration<Edu>,
    _served: Served<'bound>,
    edu: Arc<Edu>,
    _place: Place,
}

struct EduDriver;

kernel::pci_device_table!(
    TABLE,
    <EduDriver as pci::Driver>::IdInfo,
    // The kernel crate's list of vendors lacks QEMU: match the class here, and the IDs in probe.
    [(pci::DeviceId::from_class(0x00ff00, 0xffff00), ())]
);

impl pci::Driver for EduDriver {
    type IdInfo = ();
    type Data<'bound> = Binding<'bound>;
    const ID_TABLE: pci::IdTable<Self::IdInfo> = &TABLE;

    fn probe<'bound>(
        pdev: &'bound pci::Device<Core<'_>>,
        _info: Option<&'bound Self::IdInfo>,
    ) -> impl PinInit<Binding<'bound>, Error> + 'bound {
        pin_init::pin_init_scope(move || {
            if pdev.vendor_id().as_raw() != 0x1234 || pdev.device_id() != 0x11e8 {
                return Err(ENODEV);
            }
            let settings = Settings::read()?;
            let place =
                Place::new().inspect_err(|_| dev_err!(pdev, "there are too many edu devices\n"))?;
            let mechanism = settings.mechanisms[place.index() % 2];

            pdev.enable_device_mem()?;
            // MSI and DMA are both writes by the device.
            pdev.set_master();
            let edu = Edu::new(pdev, mechanism, settings.dma_bits)?;
            let served = interrupt::serve(pdev, edu.clone(), settings.irq_type, settings.ipl)?;
            Ok(try_pin_init!(Binding {
                _node <- place.register(&edu),
                _served: served,
                edu,
                _place: place,
            }? Error))
        })
    }

    fn unbind<'bound>(pdev: &'bound pci::Device<Core<'_>>, this: Pin<&Binding<'bound>>) {
        this.edu.shut_down(pdev.as_ref());
    }
}

/// The module. Written out in place of `module_pci_driver!`, so that loading fails if a parameter
/// is invalid: it does not fail if a probe does.
#[pin_data]
struct EduModule {
    #[pin]
    _driver: driver::Registration<pci::Adapter<EduDriver>>,
}

impl InPlaceModule for EduModule {
    fn init(module: &'static ThisModule) -> impl PinInit<Self, Error> {
        pin_init::pin_init_scope(move || {
            Settings::read()?;
            Ok(try_pin_init!(Self {
                _driver <- driver::Registration::new(<Self as ModuleMetadata>::NAME, module),
            }? Error))
        })
    }
}

module! {
    type: EduModule,
    name: "lazyirq_edu",
    authors: ["The lazyirq developers"],
    description: "Sample: a driver for QEMU's edu device, with lazy interrupts",
    license: "GPL v2",
    params: {
        irq: u8 {
            default: 0,
            description: "The kind of interrupt: 0 is MSI, 1 is INTx",
        },
        mechanism: u8 {
            default: 0,
            description: "What serves it: 0 is lazy, 1 is stock threaded, 2 is both in turn",
        },
        ipl: u8 {
            default: 5,
            description: "The interrupt priority level, 1 to 10",
        },
        dma_bits: u8 {
            default: 28,
            description: "How many address bits the device drives, 28 to 32: see QEMU's edu,dma_mask",
        },
    },
}

// SPDX-License-Identifier: GPL-2.0

//! Takes interrupts in windows that the emulator knows, so that it can tell which cache lines they touch
//! (tools/cachelines).
//!
//! It binds to QEMU's `edu` devices. To bind one measures, on the CPU that does it: that CPU has to be the one that the
//! device's interrupts go to. The device's handler, and what it uses, stay there until it is unbound, so
//! that the next device, on another CPU, has memory of its own.

use core::{
    future::{pending, Future},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    task::{Context, Poll, Waker},
};
use kernel::{
    device::{Bound, Core, Device},
    interrupt::LocalInterruptDisabled,
    irq::{self, Flags, IrqReturn, ThreadedHandler},
    pci::{self, IrqType, IrqTypes},
    prelude::*,
    sync::{new_mutex, new_spinlock_irq, Arc, SpinLockIrq},
};
use lazyirq::{Handler, Interrupt, Ipl, Options};
use registers::Registers;

#[expect(dead_code)]
#[path = "lazyirq_bench/registers.rs"]
mod registers;

/// Kinds of windows: this, and one more for a lock that is held, with each mechanism.
const HARDIRQ: u32 = 1;
const THREADED: u32 = 3;
const LAZY: u32 = 5;
const LAZY_ITHREAD: u32 = 7;
/// And this for a counter that is shared.
const COUNTER: u32 = 9;

/// The register by which the emulator is told. It does nothing.
const LIVENESS: usize = 0x04;
/// Closes a window.
const CLOSE: u32 = 0;

const NAME: &CStr = c"lazyirq_sharing";

/// All CPUs write it.
static COUNTED: AtomicU64 = AtomicU64::new(0);

/// What a handler shares with the thread that raises its interrupt.
#[pin_data]
struct Shared {
    registers: Registers,
    done: AtomicU64,
    #[pin]
    spin: SpinLockIrq<u64>,
    #[pin]
    mutex: kernel::sync::Mutex<u64>,
    #[pin]
    lazy: lazyirq::Mutex<u64>,
}

impl Shared {
    fn handle(&self, mut count: impl core::ops::DerefMut<Target = u64>) -> IrqReturn {
        self.registers.acknowledge();
        *count += 1;
        drop(count);
        self.done.store(1, Relaxed);
        IrqReturn::Handled
    }

    /// Opens a window of this kind.
    fn mark(&self, kind: u32) {
        self.registers.write(LIVENESS, kind);
    }

    /// Takes interrupts in windows of this kind, and of the next one with the lock held meanwhile.
    fn measure<G>(&self, kind: u32, lock: impl Fn() -> G) {
        for _ in 0..rounds() {
            self.mark(kind);
            self.registers.raise();
            self.await_done();
            self.mark(CLOSE);
        }
        for _ in 0..rounds() {
            self.mark(kind + 1);
            let guard = lock();
            self.registers.raise();
            drop(guard);
            self.await_done();
            self.mark(CLOSE);
        }
    }

    fn await_done(&self) {
        while self.done.swap(0, Relaxed) == 0 {
            core::hint::spin_loop();
        }
    }
}

struct Hard(Arc<Shared>);

impl irq::Handler for Hard {
    fn handle(&self) -> IrqReturn {
        // SAFETY: Hard-IRQ context.
        let off = unsafe { LocalInterruptDisabled::assume_disabled() };
        self.0.handle(self.0.spin.lock_with(off))
    }
}

struct Threaded(Arc<Shared>);

impl ThreadedHandler for Threaded {
    fn handle_threaded(&self) -> IrqReturn {
        self.0.handle(self.0.mutex.lock())
    }
}

struct Lazy(Arc<Shared>);

impl Handler for Lazy {
    async fn handle(&self, irq: Interrupt<'_>) -> IrqReturn {
        self.0.handle(self.0.lazy.lock_irq(irq).await)
    }
}

fn rounds() -> u32 {
    module_parameters::rounds.value()
}

/// Serves the device's interrupt, and measures. It does not complete then: it is dropped.
async fn hold(pdev: &pci::Device<Bound>, shared: Arc<Shared>) -> Result {
    let dev: &Device<Bound> = pdev.as_ref();
    let vectors = pdev.alloc_irq_vectors(1, 1, IrqTypes::default().with(IrqType::Msi))?;
    let request: irq::IrqRequest<'_> = vectors.index(0)?.into();
    let kind = module_parameters::kind.value();
    match kind {
        HARDIRQ => {
            let handler = Ok(Hard(shared.clone()));
            // SAFETY: Whoever has this function's future drops it.
            let registration =
                unsafe { irq::Registration::new(request, Flags::SHARED, NAME, handler) };
            let _registration = KBox::pin_init(registration, GFP_KERNEL)?;
            shared.measure(kind, || shared.spin.lock());
            pending::<()>().await;
        }
        THREADED => {
            let handler = Ok(Threaded(shared.clone()));
            let flags = Flags::SHARED | Flags::ONESHOT;
            // SAFETY: As above.
            let registration =
                unsafe { irq::ThreadedRegistration::new(request, flags, NAME, handler) };
            let _registration = KBox::pin_init(registration, GFP_KERNEL)?;
            shared.measure(kind, || shared.mutex.lock());
            pending::<()>().await;
        }
        LAZY | LAZY_ITHREAD => {
            let options = Options::new(NAME, Ipl::from_const::<5>()).shared();
            let handler = Lazy(shared.clone());
            let _registration = lazyirq::register(dev, request, options, handler)?;
            shared.measure(kind, || shared.lazy.lock());
            pending::<()>().await;
        }
        COUNTER => {
            for _ in 0..rounds() {
                shared.mark(kind);
                COUNTED.fetch_add(1, Relaxed);
                shared.mark(CLOSE);
            }
            pending::<()>().await;
        }
        _ => pr_err!("there is no kind={kind}\n"),
    }
    Err(EINVAL)
}

struct Sharing;

kernel::pci_device_table!(
    TABLE,
    <Sharing as pci::Driver>::IdInfo,
    // The kernel crate's list of vendors lacks QEMU: match the class here, and the IDs in probe.
    [(pci::DeviceId::from_class(0x00ff00, 0xffff00), ())]
);

impl pci::Driver for Sharing {
    type IdInfo = ();
    type Data<'bound> = KBox<dyn Send + 'bound>;
    const ID_TABLE: pci::IdTable<Self::IdInfo> = &TABLE;

    fn probe<'bound>(
        pdev: &'bound pci::Device<Core<'_>>,
        _info: Option<&'bound Self::IdInfo>,
    ) -> impl PinInit<Self::Data<'bound>, Error> + 'bound {
        if pdev.vendor_id().as_raw() != 0x1234 || pdev.device_id() != 0x11e8 {
            return Err(ENODEV);
        }
        pdev.enable_device_mem()?;
        pdev.set_master();
        let shared = Arc::pin_init(
            try_pin_init!(Shared {
                registers: Registers::map(pdev)?,
                done: AtomicU64::new(0),
                spin <- new_spinlock_irq!(0),
                mutex <- new_mutex!(0),
                lazy <- lazyirq::new_mutex!(0, "sharing"),
            }? Error),
            GFP_KERNEL,
        )?;
        let mut holder = KBox::pin(hold(pdev, shared), GFP_KERNEL)?;
        match holder
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            Poll::Pending => Ok(KBox::new(holder, GFP_KERNEL)?),
            Poll::Ready(result) => Err(result.err().unwrap_or(EIO)),
        }
    }
}

kernel::module_pci_driver! {
    type: Sharing,
    name: "lazyirq_sharing",
    authors: ["The lazyirq developers"],
    description: "Interrupts in windows, for who counts the cache lines that they touch",
    license: "GPL v2",
    params: {
        kind: u32 {
            default: 5,
            description: "Kind of windows: 1 hard IRQ, 3 threaded, 5 lazy, 7 lazy with resume=ithread, 9 a shared counter",
        },
        rounds: u32 {
            default: 200,
            description: "How many windows there are of a kind",
        },
    },
}

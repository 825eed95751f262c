// SPDX-License-Identifier: GPL-2.0

//! Counts instructions: the same handler body, on the same device, under each mechanism.
//!
//! The body is the smallest there is, so that what is measured is the mechanism: one register
//! write to acknowledge, and one count under a lock. The lock is the one that a driver would use
//! with the mechanism: an interrupt-disabling spinlock, a mutex, a lazyirq mutex.
//!
//! It binds to two of QEMU's `edu` devices. The first one's interrupt is the [`Witness`]: it comes while
//! the handlers of the second one work. The module measures with the second one, in its probe, and prints
//! one line for each figure. Time stamps are from the TSC, which counts instructions when QEMU
//! runs with `-icount shift=0`.
//!
//! Here are the mechanisms; the cases are in `run.rs`.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use kernel::{
    device::{Bound, Core, Device},
    interrupt::LocalInterruptDisabled,
    irq::{self, Flags, IrqReturn, ThreadedHandler},
    pci::{self, IrqType, IrqTypes},
    prelude::*,
    sync::{new_mutex, new_spinlock_irq, Arc, SpinLockIrq},
};
use lazyirq::{Handler, Interrupt, Ipl, Options};
use locks::IrqSave;
#[cfg(not(CONFIG_DEBUG_LOCK_ALLOC))]
use locks::RtMutex;
use registers::{now, work, Registers};
use run::Run;
use witness::{Watching, Witness};

#[path = "lazyirq_bench/alarm.rs"]
mod alarm;
#[path = "lazyirq_bench/locks.rs"]
mod locks;
#[path = "lazyirq_bench/registers.rs"]
mod registers;
#[path = "lazyirq_bench/run.rs"]
mod run;
#[path = "lazyirq_bench/witness.rs"]
mod witness;

lazyirq::static_lock! {
    /// The witness, while the first device is bound.
    static WITNESS: Mutex<Option<Arc<Witness>>> = None;
}

/// What all mechanisms share: the device, and the time at which the handler was done.
#[pin_data]
struct Shared {
    registers: Registers,
    witness: Arc<Witness>,
    done: AtomicU64,
    /// The number of interrupts so far, under one lock for each mechanism.
    #[pin]
    spin: SpinLockIrq<u64>,
    #[pin]
    mutex: kernel::sync::Mutex<u64>,
    #[cfg(not(CONFIG_DEBUG_LOCK_ALLOC))]
    rt_mutex: RtMutex,
    #[pin]
    lazy: lazyirq::Mutex<u64>,
    #[pin]
    rw: lazyirq::RwLock<u64>,
}

impl Shared {
    /// Waits until the handler is done, and returns when that was.
    fn await_done(&self) -> u64 {
        loop {
            match self.done.load(Relaxed) {
                0 => core::hint::spin_loop(),
                done => return done,
            }
        }
    }

    fn take_done(&self) -> u64 {
        let done = self.await_done();
        self.done.store(0, Relaxed);
        done
    }
}

/// The handler's body, except for the lock. A `LONG` one works for a millisecond, during which the other
/// interrupt comes.
macro_rules! body {
    ($shared:expr, $lock:expr) => {{
        $shared.registers.acknowledge();
        let mut count = $lock;
        *count += 1;
        drop(count);
        if LONG {
            let start = now();
            $shared.witness.raise();
            work(start);
        }
        $shared.done.store(now(), Relaxed);
        IrqReturn::Handled
    }};
}

struct Hard<const LONG: bool>(Arc<Shared>);

impl<const LONG: bool> irq::Handler for Hard<LONG> {
    fn handle(&self) -> IrqReturn {
        // SAFETY: Hard-IRQ context.
        let off = unsafe { LocalInterruptDisabled::assume_disabled() };
        body!(self.0, self.0.spin.lock_with(off))
    }
}

struct Threaded<const LONG: bool>(Arc<Shared>);

impl<const LONG: bool> ThreadedHandler for Threaded<LONG> {
    fn handle_threaded(&self) -> IrqReturn {
        body!(self.0, self.0.mutex.lock())
    }
}

/// The same with an `rt_mutex`.
#[cfg(not(CONFIG_DEBUG_LOCK_ALLOC))]
struct RtThreaded<const LONG: bool>(Arc<Shared>);

#[cfg(not(CONFIG_DEBUG_LOCK_ALLOC))]
impl<const LONG: bool> ThreadedHandler for RtThreaded<LONG> {
    fn handle_threaded(&self) -> IrqReturn {
        body!(self.0, self.0.rt_mutex.lock())
    }
}

struct Lazy<const LONG: bool>(Arc<Shared>);

impl<const LONG: bool> Handler for Lazy<LONG> {
    async fn handle(&self, irq: Interrupt<'_>) -> IrqReturn {
        body!(self.0, self.0.lazy.lock_irq(irq).await)
    }
}

/// A lazy handler that always continues in its interrupt thread.
struct Deferring(Arc<Shared>);

impl Handler for Deferring {
    async fn handle(&self, irq: Interrupt<'_>) -> IrqReturn {
        const LONG: bool = false;
        self.0.registers.acknowledge();
        irq.defer().await;
        body!(self.0, self.0.lazy.lock_irq(irq).await)
    }
}

/// A handler that needs no lock.
struct Unlocked(Arc<Shared>);

impl irq::Handler for Unlocked {
    fn handle(&self) -> IrqReturn {
        self.0.registers.acknowledge();
        self.0.done.store(now(), Relaxed);
        IrqReturn::Handled
    }
}

/// Do the interrupts go to another CPU than the one that measures?
fn elsewhere() -> bool {
    module_parameters::elsewhere.value() != 0
}

/// Measures what a thread pays to lock and unlock, and what others pay for a millisecond in between.
fn measure_locks(shared: &Arc<Shared>, request: irq::IrqRequest<'_>, rounds: usize) -> Result {
    let irq = request.irq();
    let run = |mechanism, vector| Run {
        shared,
        mechanism,
        vector,
        irq,
        rounds,
    };
    let irqsave = IrqSave::new();
    run("irqsave-spinlock", "-").pair(|| irqsave.lock())?;
    run("SpinLockIrq", "-").pair(|| shared.spin.lock())?;
    run("mutex", "-").pair(|| shared.mutex.lock())?;
    #[cfg(not(CONFIG_DEBUG_LOCK_ALLOC))]
    run("rt_mutex", "-").pair(|| shared.rt_mutex.lock())?;
    run("lazy-mutex", "-").pair(|| shared.lazy.lock())?;
    run("lazy-write", "-").pair(|| shared.rw.write())?;
    run("lazy-read", "-").pair(|| shared.rw.read())?;
    let mut readers = KVec::new();
    for (readers_before, name) in [
        (1, "lazy-read-beside-1"),
        (3, "lazy-read-beside-3"),
        (15, "lazy-read-beside-15"),
    ] {
        while readers.len() < readers_before {
            readers.push(shared.rw.read(), GFP_KERNEL)?;
        }
        run(name, "-").pair(|| shared.rw.read())?;
    }
    drop(readers);

    // SAFETY: It is dropped at the end of this function.
    let registration = unsafe {
        irq::Registration::new(
            request,
            Flags::SHARED,
            c"lazyirq_bench",
            Ok(Unlocked(shared.clone())),
        )
    };
    let _registration = KBox::pin_init(registration, GFP_KERNEL)?;
    run("no-lock", "msi").latency(|| ())?;
    run("irqsave-spinlock", "msi").latency(|| irqsave.lock())?;
    run("mutex", "msi").latency(|| shared.mutex.lock())?;
    run("lazy-mutex", "msi").latency(|| shared.lazy.lock())?;

    run("no-lock", "-").timer(|| ())?;
    run("irqsave-spinlock", "-").timer(|| irqsave.lock())?;
    run("mutex", "-").timer(|| shared.mutex.lock())?;
    run("lazy-mutex", "-").timer(|| shared.lazy.lock())
}

impl Run<'_> {
    /// Measures with the handler registered; `lock` takes the lock that the thread shares with it.
    fn measure_handler<const LONG: bool, G>(&self, lock: impl Fn() -> G) -> Result {
        if LONG {
            return self.others(lock);
        }
        if elsewhere() {
            return self.contended_elsewhere(lock);
        }
        self.uncontended("uncontended")?;
        self.contended(&lock)?;
        self.burst("burst-1", 1, &lock)?;
        self.burst("burst-8", 8, &lock)?;
        self.burst("burst-64", 64, &lock)?;
        self.behind_hog(&lock)?;
        self.under_load()
    }
}

/// Measures with handlers that are `LONG` or not.
fn measure<const LONG: bool>(
    pdev: &pci::Device<Core<'_>>,
    witness: Arc<Witness>,
    rounds: usize,
) -> Result {
    let dev: &Device<Bound> = pdev.as_ref();
    let shared = Arc::pin_init(
        try_pin_init!(Shared {
            registers: Registers::map(pdev)?,
            witness,
            done: AtomicU64::new(0),
            spin <- new_spinlock_irq!(0),
            mutex <- new_mutex!(0),
            #[cfg(not(CONFIG_DEBUG_LOCK_ALLOC))]
            rt_mutex: RtMutex::new(),
            lazy <- lazyirq::new_mutex!(0, "bench"),
            rw <- lazyirq::new_rwlock!(0, "bench"),
        }? Error),
        GFP_KERNEL,
    )?;
    for (vector, irq_type) in [("msi", IrqType::Msi), ("intx", IrqType::Intx)] {
        let vectors = pdev.alloc_irq_vectors(1, 1, IrqTypes::default().with(irq_type))?;
        let request = || -> Result<irq::IrqRequest<'_>> { Ok(vectors.index(0)?.into()) };
        let irq = request()?.irq();
        let run = |mechanism| Run {
            shared: &shared,
            mechanism,
            vector,
            irq,
            rounds,
        };
        {
            let handler = Hard::<LONG>(shared.clone());
            // SAFETY: It is dropped at the end of this block.
            let registration = unsafe {
                irq::Registration::new(request()?, Flags::SHARED, c"lazyirq_bench", Ok(handler))
            };
            let _registration = KBox::pin_init(registration, GFP_KERNEL)?;
            run("hardirq").measure_handler::<LONG, _>(|| shared.spin.lock())?;
        }
        macro_rules! threaded {
            ($mechanism:literal, $handler:ident, $lock:ident) => {
                let handler = $handler::<LONG>(shared.clone());
                let flags = Flags::SHARED | Flags::ONESHOT;
                // SAFETY: It is dropped at the end of the block that this is in.
                let registration = unsafe {
                    irq::ThreadedRegistration::new(request()?, flags, c"lazyirq_bench", Ok(handler))
                };
                let _registration = KBox::pin_init(registration, GFP_KERNEL)?;
                run($mechanism).measure_handler::<LONG, _>(|| shared.$lock.lock())?;
            };
        }
        {
            threaded!("threaded-mutex", Threaded, mutex);
        }
        #[cfg(not(CONFIG_DEBUG_LOCK_ALLOC))]
        {
            threaded!("threaded-rtmutex", RtThreaded, rt_mutex);
        }
        let options = Options::new(c"lazyirq_bench", Ipl::from_const::<5>()).shared();
        {
            let handler = Lazy::<LONG>(shared.clone());
            let _registration = lazyirq::register(dev, request()?, options, handler)?;
            run("lazy").measure_handler::<LONG, _>(|| shared.lazy.lock())?;
        }
        if LONG || elsewhere() {
            continue;
        }
        {
            let handler = Deferring(shared.clone());
            let _registration = lazyirq::register(dev, request()?, options, handler)?;
            run("lazy").uncontended("defer")?;
        }
        if matches!(irq_type, IrqType::Msi) {
            measure_locks(&shared, request()?, rounds)?;
        }
    }
    Ok(())
}

struct Bench;

/// The first device's data.
struct Data<'bound> {
    witness: Option<Pin<KBox<irq::ThreadedRegistration<'bound, Watching>>>>,
    _vectors: Option<KBox<pci::IrqVectorRegistration<'bound>>>,
}

impl Drop for Data<'_> {
    fn drop(&mut self) {
        if self.witness.is_some() {
            *WITNESS.lock() = None;
        }
    }
}

impl Bench {
    /// The first device is the witness.
    fn watch<'bound>(pdev: &'bound pci::Device<Core<'_>>) -> Result<Data<'bound>> {
        let witness = Arc::new(Witness::new(Registers::map(pdev)?), GFP_KERNEL)?;
        let vectors = pdev.alloc_irq_vectors(1, 1, IrqTypes::default().with(IrqType::Msi))?;
        let vectors = KBox::new(vectors, GFP_KERNEL)?;
        // SAFETY: They stay in their box until the registration has been dropped; see `Data`.
        let request = unsafe { &*core::ptr::from_ref(&*vectors) }.index(0)?.into();
        // SAFETY: It is kept in the device's data, which is dropped.
        let registration = unsafe {
            irq::ThreadedRegistration::new(
                request,
                Flags::SHARED,
                c"witness",
                Ok(Watching(witness.clone())),
            )
        };
        let registration = KBox::pin_init(registration, GFP_KERNEL)?;
        // This gives its thread the priority.
        witness.raise();
        witness.waited();
        *WITNESS.lock() = Some(witness);
        Ok(Data {
            witness: Some(registration),
            _vectors: Some(vectors),
        })
    }
}

kernel::pci_device_table!(
    TABLE,
    <Bench as pci::Driver>::IdInfo,
    // The kernel crate's list of vendors lacks QEMU: match the class here, and the IDs in probe.
    [(pci::DeviceId::from_class(0x00ff00, 0xffff00), ())]
);

impl pci::Driver for Bench {
    type IdInfo = ();
    type Data<'bound> = Data<'bound>;
    const ID_TABLE: pci::IdTable<Self::IdInfo> = &TABLE;

    fn probe<'bound>(
        pdev: &'bound pci::Device<Core<'_>>,
        _info: Option<&'bound Self::IdInfo>,
    ) -> impl PinInit<Data<'bound>, Error> + 'bound {
        if pdev.vendor_id().as_raw() != 0x1234 || pdev.device_id() != 0x11e8 {
            return Err(ENODEV);
        }
        pdev.enable_device_mem()?;
        pdev.set_master();
        let Some(witness) = WITNESS.lock().clone() else {
            return Self::watch(pdev);
        };
        let rounds = module_parameters::rounds.value().max(1) as usize;
        let mut result = measure::<false>(pdev, witness.clone(), rounds);
        if result.is_ok() && !elsewhere() {
            result = measure::<true>(pdev, witness, rounds);
        }
        pr_info!("measured: {result:?}\n");
        result?;
        Ok(Data {
            witness: None,
            _vectors: None,
        })
    }
}

kernel::module_pci_driver! {
    type: Bench,
    name: "lazyirq_bench",
    authors: ["The lazyirq developers"],
    description: "Instruction counts of interrupt mechanisms, on QEMU's edu device",
    license: "GPL v2",
    params: {
        rounds: u32 {
            default: 1000,
            description: "How often each case is measured",
        },
        elsewhere: u8 {
            default: 0,
            description: "1: the interrupts go to another CPU; measures what that changes alone",
        },
    },
}

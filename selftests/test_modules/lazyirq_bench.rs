// SPDX-License-Identifier: GPL-2.0

//! Counts instructions: the same handler body, on the same device, under each mechanism.
//!
//! The body is the smallest there is, so that what is measured is the mechanism: one register
//! write to acknowledge, and one count under a lock. The lock is the one that a driver would use
//! with the mechanism: an interrupt-disabling spinlock, a mutex, a lazyirq mutex.
//!
//! It binds to two of QEMU's `edu` devices. The first one's interrupt is the [`Witness`]: it comes while
//! the handlers of the second one work. With that one the module measures, in its probe, and prints one
//! line for each figure. Time stamps are the TSC's, which counts instructions when QEMU
//! runs with `-icount shift=0`.

use core::{
    arch::x86_64::_rdtsc,
    cell::UnsafeCell,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};
use kernel::{
    bindings,
    device::{Bound, Core, Device},
    interrupt::LocalInterruptDisabled,
    irq::{self, Flags, IrqReturn, ThreadedHandler, ThreadedIrqReturn},
    pci::{self, IrqType, IrqTypes},
    prelude::*,
    sync::{new_mutex, new_spinlock_irq, Arc, SpinLockIrq},
    types::ScopeGuard,
};
use lazyirq::{Handler, Interrupt, Ipl, Options};

const REGISTERS: usize = 0x100;
const IRQ_RAISE: usize = 0x60;
const IRQ_ACK: usize = 0x64;

/// The device's registers, mapped without the kernel crate's checks and calls, which would be
/// measured too.
struct Registers(*mut u8);

// SAFETY: Device registers may be written from any context.
unsafe impl Send for Registers {}
// SAFETY: As above.
unsafe impl Sync for Registers {}

impl Registers {
    fn map(pdev: &pci::Device<Core<'_>>) -> Result<Self> {
        // SAFETY: The region is this device's, which the driver is bound to.
        let address = unsafe { bindings::ioremap(pdev.resource_start(0)?, REGISTERS) };
        if address.is_null() {
            return Err(ENOMEM);
        }
        Ok(Self(address.cast()))
    }

    #[inline(always)]
    fn write(&self, offset: usize, value: u32) {
        // SAFETY: `offset` is one of the constants above, within what is mapped.
        unsafe { self.0.add(offset).cast::<u32>().write_volatile(value) };
    }
}

impl Drop for Registers {
    fn drop(&mut self) {
        // SAFETY: It was mapped by `map`.
        unsafe { bindings::iounmap(self.0.cast()) };
    }
}

/// What all mechanisms share: the device, and the time at which the handler was done.
#[pin_data]
struct Shared {
    registers: Registers,
    witness: Arc<Witness>,
    done: AtomicU64,
    /// Interrupts so far, under one lock for each mechanism.
    #[pin]
    spin: SpinLockIrq<u64>,
    #[pin]
    mutex: kernel::sync::Mutex<u64>,
    #[pin]
    lazy: lazyirq::Mutex<u64>,
    #[pin]
    rw: lazyirq::RwLock<u64>,
}

/// The interrupt of another device, and the thread that it wakes, which is above all ithreads: how long do
/// they wait?
struct Witness {
    registers: Registers,
    raised: AtomicU64,
    entered: AtomicU64,
    ran: AtomicU64,
}

lazyirq::static_lock! {
    /// While the first device is bound.
    static WITNESS: Mutex<Option<Arc<Witness>>> = None;
}

impl Witness {
    fn raise(&self) {
        self.raised.store(now(), Relaxed);
        self.registers.write(IRQ_RAISE, 1);
    }

    /// How long the interrupt has waited, and the thread, when both are over.
    fn waited(&self) -> (u64, u64) {
        while self.ran.load(Relaxed) == 0 {
            core::hint::spin_loop();
        }
        let raised = self.raised.load(Relaxed);
        let ran = self.ran.swap(0, Relaxed);
        (self.entered.load(Relaxed) - raised, ran - raised)
    }
}

/// `struct sched_attr`, which the kernel crate knows by name only, as far as it was in its first version.
#[repr(C)]
struct Attributes {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    rest: [u64; 3],
}

impl Attributes {
    const FIFO_90: Self = Self {
        size: core::mem::size_of::<Self>() as u32,
        policy: bindings::SCHED_FIFO,
        flags: 0,
        nice: 0,
        priority: 90,
        rest: [0; 3],
    };

    /// To the running thread.
    fn apply(&self) {
        // The kernel reads all that it knows.
        let mut whole = [0u64; 16];
        // SAFETY: It is long enough, and the running thread is there.
        unsafe {
            whole.as_mut_ptr().cast::<Self>().copy_from(self, 1);
            bindings::sched_setattr_nocheck(bindings::get_current(), whole.as_ptr().cast());
        }
    }
}

struct Watching(Arc<Witness>);

impl ThreadedHandler for Watching {
    fn handle(&self) -> ThreadedIrqReturn {
        self.0.registers.write(IRQ_ACK, 1);
        self.0.entered.store(now(), Relaxed);
        ThreadedIrqReturn::WakeThread
    }

    fn handle_threaded(&self) -> IrqReturn {
        let time = now();
        Attributes::FIFO_90.apply();
        self.0.ran.store(time, Relaxed);
        IrqReturn::Handled
    }
}

fn now() -> u64 {
    // SAFETY: Reads the time stamp counter.
    unsafe { _rdtsc() }
}

impl Shared {
    fn raise(&self) {
        self.registers.write(IRQ_RAISE, 1);
    }

    fn take_done(&self) -> u64 {
        loop {
            match self.done.load(Relaxed) {
                0 => core::hint::spin_loop(),
                done => {
                    self.done.store(0, Relaxed);
                    return done;
                }
            }
        }
    }
}

/// The handler's body, the lock apart. A `LONG` one works for a millisecond, in which the other interrupt
/// comes.
macro_rules! body {
    ($shared:expr, $lock:expr) => {{
        $shared.registers.write(IRQ_ACK, 1);
        *$lock += 1;
        if LONG {
            let start = now();
            $shared.witness.raise();
            while now() - start < 1_000_000 {
                core::hint::spin_loop();
            }
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

struct Lazy<const LONG: bool>(Arc<Shared>);

impl<const LONG: bool> Handler for Lazy<LONG> {
    async fn handle(&self, irq: Interrupt<'_>) -> IrqReturn {
        body!(self.0, self.0.lazy.lock_irq(irq).await)
    }
}

#[derive(Default)]
struct Series {
    values: KVec<u64>,
}

impl Series {
    /// Keeps the values in order.
    fn push(&mut self, value: u64) -> Result {
        let place = self.values.partition_point(|&other| other <= value);
        self.values.push(value, GFP_KERNEL)?;
        self.values[place..].rotate_right(1);
        Ok(())
    }

    fn print(self, mechanism: &str, vector: &str, case: &str, point: &str) {
        let (min, p50) = (self.values[0], self.values[self.values.len() / 2]);
        let max = self.values[self.values.len() - 1];
        pr_info!(
            "figure {mechanism} {vector} {case} {point} min {min} p50 {p50} max {max} rounds {}\n",
            self.values.len()
        );
    }
}

/// Where and how one mechanism is measured.
struct Run<'a> {
    shared: &'a Shared,
    mechanism: &'a str,
    vector: &'a str,
    rounds: usize,
}

impl Run<'_> {
    fn uncontended(&self) -> Result {
        let (mut done, mut back) = (Series::default(), Series::default());
        for _ in 0..self.rounds {
            let start = now();
            self.shared.raise();
            let end = self.shared.take_done();
            back.push(now() - start)?;
            done.push(end - start)?;
        }
        done.print(self.mechanism, self.vector, "uncontended", "done");
        back.print(self.mechanism, self.vector, "uncontended", "return");
        Ok(())
    }

    /// Lock, raise, unlock, until handler and thread are both done; and, of such a round, from the
    /// unlock to handler done: hand-over and resumption.
    fn contended<G>(&self, lock: impl Fn() -> G) -> Result {
        let (mut total, mut resumed) = (Series::default(), Series::default());
        for _ in 0..self.rounds {
            let start = now();
            let guard = lock();
            self.shared.raise();
            drop(guard);
            self.shared.take_done();
            total.push(now() - start)?;
        }
        for _ in 0..self.rounds {
            let guard = lock();
            self.shared.raise();
            let unlock = now();
            drop(guard);
            resumed.push(self.shared.take_done() - unlock)?;
        }
        total.print(self.mechanism, self.vector, "contended-same-cpu", "total");
        resumed.print(self.mechanism, self.vector, "contended-same-cpu", "resume");
        Ok(())
    }

    /// How long the others wait while a long handler works that has waited for the lock.
    fn others<G>(&self, lock: impl Fn() -> G) -> Result {
        let (mut interrupt, mut thread) = (Series::default(), Series::default());
        for _ in 0..self.rounds.min(20) {
            let guard = lock();
            self.shared.raise();
            drop(guard);
            self.shared.take_done();
            let (interrupt_waited, thread_waited) = self.shared.witness.waited();
            interrupt.push(interrupt_waited)?;
            thread.push(thread_waited)?;
        }
        interrupt.print(self.mechanism, self.vector, "handler-1ms", "interrupt");
        thread.print(self.mechanism, self.vector, "handler-1ms", "thread");
        Ok(())
    }

    /// The thread's side alone.
    fn pair<G>(&self, lock: impl Fn() -> G) -> Result {
        let mut pair = Series::default();
        for _ in 0..self.rounds {
            let start = now();
            drop(lock());
            pair.push(now() - start)?;
        }
        pair.print(self.mechanism, "-", "lock-unlock", "total");
        Ok(())
    }

    /// How long an interrupt that needs no lock waits if it comes at the beginning of a critical
    /// section of a millisecond.
    fn latency<G>(&self, lock: impl Fn() -> G) -> Result {
        let mut latency = Series::default();
        for _ in 0..self.rounds.min(20) {
            let guard = lock();
            let start = now();
            self.shared.raise();
            while now() - start < 1_000_000 {
                core::hint::spin_loop();
            }
            drop(guard);
            latency.push(self.shared.take_done() - start)?;
        }
        latency.print(self.mechanism, self.vector, "held-1ms", "latency");
        Ok(())
    }
}

/// A handler that needs no lock.
struct Unlocked(Arc<Shared>);

impl irq::Handler for Unlocked {
    fn handle(&self) -> IrqReturn {
        self.0.registers.write(IRQ_ACK, 1);
        self.0.done.store(now(), Relaxed);
        IrqReturn::Handled
    }
}

/// The kernel's `rt_mutex`, of which the kernel crate has none.
#[cfg(not(CONFIG_DEBUG_LOCK_ALLOC))]
struct RtMutex(UnsafeCell<bindings::rt_mutex>);

#[cfg(not(CONFIG_DEBUG_LOCK_ALLOC))]
impl RtMutex {
    fn new() -> Self {
        // SAFETY: Without debugging, zero is an unlocked one.
        Self(UnsafeCell::new(unsafe { core::mem::zeroed() }))
    }

    fn lock(&self) -> impl Drop + '_ {
        // SAFETY: It is initialised; thread context, and so when it is unlocked.
        unsafe { bindings::rt_mutex_lock(self.0.get()) };
        // SAFETY: As above.
        ScopeGuard::new(|| unsafe { bindings::rt_mutex_unlock(self.0.get()) })
    }
}

/// The C spinlock, without the kernel crate's calls around it.
struct IrqSave(UnsafeCell<bindings::raw_spinlock_t>);

impl IrqSave {
    fn new() -> Self {
        // SAFETY: Without debugging, zero is an unlocked one.
        Self(UnsafeCell::new(unsafe { core::mem::zeroed() }))
    }

    fn lock(&self) -> impl Drop + '_ {
        // SAFETY: It is initialised, and unlocked with the flags that locking it returned.
        let flags = unsafe { bindings::_raw_spin_lock_irqsave(self.0.get()) };
        // SAFETY: As above.
        ScopeGuard::new(move || unsafe {
            bindings::_raw_spin_unlock_irqrestore(self.0.get(), flags)
        })
    }
}

/// What a thread pays to lock and unlock, and others for a millisecond in between.
fn measure_locks(shared: &Arc<Shared>, request: irq::IrqRequest<'_>, rounds: usize) -> Result {
    let run = |mechanism| Run {
        shared,
        mechanism,
        vector: "msi",
        rounds,
    };
    let irqsave = IrqSave::new();
    run("irqsave-spinlock").pair(|| irqsave.lock())?;
    run("SpinLockIrq").pair(|| shared.spin.lock())?;
    run("mutex").pair(|| shared.mutex.lock())?;
    #[cfg(not(CONFIG_DEBUG_LOCK_ALLOC))]
    {
        let rt_mutex = RtMutex::new();
        run("rt_mutex").pair(|| rt_mutex.lock())?;
    }
    run("lazy-mutex").pair(|| shared.lazy.lock())?;
    run("lazy-write").pair(|| shared.rw.write())?;
    run("lazy-read").pair(|| shared.rw.read())?;
    let mut readers = KVec::new();
    for (readers_before, name) in [
        (1, "lazy-read-beside-1"),
        (3, "lazy-read-beside-3"),
        (15, "lazy-read-beside-15"),
    ] {
        while readers.len() < readers_before {
            readers.push(shared.rw.read(), GFP_KERNEL)?;
        }
        run(name).pair(|| shared.rw.read())?;
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
    run("no-lock").latency(|| ())?;
    run("irqsave-spinlock").latency(|| irqsave.lock())?;
    run("mutex").latency(|| shared.mutex.lock())?;
    run("lazy-mutex").latency(|| shared.lazy.lock())
}

/// With handlers that are `LONG` or not.
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
            lazy <- lazyirq::new_mutex!(0, "bench"),
            rw <- lazyirq::new_rwlock!(0, "bench"),
        }? Error),
        GFP_KERNEL,
    )?;
    for (vector, irq_type) in [("msi", IrqType::Msi), ("intx", IrqType::Intx)] {
        let vectors = pdev.alloc_irq_vectors(1, 1, IrqTypes::default().with(irq_type))?;
        let run = |mechanism| Run {
            shared: &shared,
            mechanism,
            vector,
            rounds,
        };
        {
            // SAFETY: It is dropped at the end of this block.
            let registration = unsafe {
                irq::Registration::new(
                    vectors.index(0)?.into(),
                    Flags::SHARED,
                    c"lazyirq_bench",
                    Ok(Hard::<LONG>(shared.clone())),
                )
            };
            let _registration = KBox::pin_init(registration, GFP_KERNEL)?;
            let run = run("hardirq");
            if LONG {
                run.others(|| shared.spin.lock())?;
            } else {
                run.uncontended()?;
                run.contended(|| shared.spin.lock())?;
            }
        }
        {
            // SAFETY: It is dropped at the end of this block.
            let registration = unsafe {
                irq::ThreadedRegistration::new(
                    vectors.index(0)?.into(),
                    Flags::SHARED | Flags::ONESHOT,
                    c"lazyirq_bench",
                    Ok(Threaded::<LONG>(shared.clone())),
                )
            };
            let _registration = KBox::pin_init(registration, GFP_KERNEL)?;
            let run = run("threaded-mutex");
            if LONG {
                run.others(|| shared.mutex.lock())?;
            } else {
                run.uncontended()?;
                run.contended(|| shared.mutex.lock())?;
            }
        }
        {
            let _registration = lazyirq::register(
                dev,
                vectors.index(0)?.into(),
                Options::new(c"lazyirq_bench", Ipl::from_const::<5>()).shared(),
                Lazy::<LONG>(shared.clone()),
            )?;
            let run = run("lazy");
            if LONG {
                run.others(|| shared.lazy.lock())?;
            } else {
                run.uncontended()?;
                run.contended(|| shared.lazy.lock())?;
            }
        }
        if !LONG && matches!(irq_type, IrqType::Msi) {
            measure_locks(&shared, vectors.index(0)?.into(), rounds)?;
        }
    }
    Ok(())
}

struct Bench;

/// What there is of the first device.
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
        let witness = Arc::new(
            Witness {
                registers: Registers::map(pdev)?,
                raised: AtomicU64::new(0),
                entered: AtomicU64::new(0),
                ran: AtomicU64::new(0),
            },
            GFP_KERNEL,
        )?;
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
        // Gives its thread the priority.
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
    // The kernel crate's list of vendors has no QEMU, so the class it is, and a look in probe.
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
        let result = measure::<false>(pdev, witness.clone(), rounds)
            .and_then(|()| measure::<true>(pdev, witness, rounds));
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
    },
}

// SPDX-License-Identifier: GPL-2.0

//! The selftests' device with many interrupts: QEMU's `igb`, which raises each of its ten MSI-X
//! vectors on demand. Each has a handler of its own, registered as `vector0` and so on.
//!
//! In `/sys/kernel/debug/lazyirq_vectors/`, what is written to
//!
//! - `raise` is a vector's digit and a program for its handler: the interrupt is raised, and not
//!   waited for;
//! - `hold` is some mutexes, which the writer holds until all have been written to `release`, and then
//!   releases in the order in which it has written them;
//! - `load` is a vector, a mutex and a number of rounds: in each the vector is raised, in most with
//!   the mutex held for a while, and answered before the next; it leaves no trace;
//! - `register` drops all registrations, and makes new ones;
//! - `reset` empties the trace, and `counts` the counts.
//!
//! A program is up to four letters: `a` to `h` takes that mutex, `D` defers, a digit raises that
//! vector, to do what it was last told to. At the end all mutexes are released. `trace` tells what was
//! done, in order: `3E` means that vector 3's handler was entered, `3a` that it has taken mutex `a` (and
//! so on), `3.` that it is at its end; with a `'` if in an ithread. `(a` means that a thread has taken the
//! mutex, `)a` that it is about to release it.
//!
//! `counts` has a line for each vector: its number, how often it was raised, how often that was
//! answered, and how many of these were finished on another CPU than the one interrupted.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use kernel::{
    cpu::CpuId,
    debugfs::{Dir, File},
    device::{self, Bound, Core},
    devres::Devres,
    fmt,
    io::Io,
    irq::IrqReturn,
    pci::{self, IrqType, IrqTypes},
    prelude::*,
    sync::{new_mutex, Arc, Mutex},
    time::{delay::fsleep, Delta, Instant, Monotonic},
    uaccess::UserSliceReader,
};
use lazyirq::{static_lock, Handler, Interrupt, Ipl, Options};

// Its device is a different one.
#[allow(dead_code)]
mod common;
use common::{in_hard_irq, with_text, BOUND};

mod trace;
use trace::mark;

/// The 82576's registers, as far as they are needed here.
const REGISTERS: usize = 0x2000;
/// General purpose interrupt enable: with this bit, each cause has a vector.
const GPIE: usize = 0x1514;
const GPIE_MULTIPLE_MSIX: u32 = 1 << 4;
/// Extended interrupts, one bit each: raise, enable; and which of them are cleared as they are sent,
/// so that they can be raised again.
const EICS: usize = 0x1520;
const EIMS: usize = 0x1524;
const EIAC: usize = 0x152c;

const NAMES: [&CStr; 10] = [
    c"vector0", c"vector1", c"vector2", c"vector3", c"vector4", c"vector5", c"vector6", c"vector7",
    c"vector8", c"vector9",
];
const VECTORS: usize = NAMES.len();
const STEPS: usize = 4;

static_lock! {
    static A: Mutex<u64> = 0;
    static B: Mutex<u64> = 0;
    static C: Mutex<u64> = 0;
    static D: Mutex<u64> = 0;
    static E: Mutex<u64> = 0;
    static F: Mutex<u64> = 0;
    static G: Mutex<u64> = 0;
    static H: Mutex<u64> = 0;
}

static MUTEXES: [&lazyirq::Mutex<u64>; 8] = [&A, &B, &C, &D, &E, &F, &G, &H];

/// Which mutexes are to be released, one bit each.
static RELEASED: AtomicU32 = AtomicU32::new(0);

/// A step of a handler.
enum Step {
    Lock(usize),
    Raise(usize),
    Defer,
}

impl Step {
    fn parse(letter: u8) -> Result<Self> {
        match letter {
            b'a'..=b'h' => Ok(Step::Lock(usize::from(letter - b'a'))),
            b'0'..=b'9' => Ok(Step::Raise(usize::from(letter - b'0'))),
            b'D' => Ok(Step::Defer),
            _ => Err(EINVAL),
        }
    }
}

fn number(letter: u8) -> Result<usize> {
    match Step::parse(letter)? {
        Step::Raise(number) => Ok(number),
        _ => Err(EINVAL),
    }
}

fn mutex(letter: u8) -> Result<usize> {
    match Step::parse(letter)? {
        Step::Lock(index) => Ok(index),
        _ => Err(EINVAL),
    }
}

#[derive(Default)]
struct Vector {
    /// One letter per byte.
    program: AtomicU32,
    untraced: AtomicBool,
    raised: AtomicU32,
    /// How many of these the handler has begun to answer.
    taken: AtomicU32,
    answered: AtomicU32,
    moved: AtomicU32,
}

#[pin_data]
struct Device {
    bar: pci::DevresBar<REGISTERS>,
    vectors: [Vector; VECTORS],
}

impl Device {
    /// Tells a vector's handler what to do.
    fn tell(&self, number: usize, program: &[u8]) -> Result {
        let mut steps = [0; STEPS];
        let place = steps.get_mut(..program.len()).ok_or(EINVAL)?;
        place.copy_from_slice(program);
        if program.iter().any(|&letter| Step::parse(letter).is_err()) {
            return Err(EINVAL);
        }
        let program = &self.vectors[number].program;
        program.store(u32::from_le_bytes(steps), SeqCst);
        Ok(())
    }

    fn raise(&self, number: usize) -> Result {
        self.vectors[number].raised.fetch_add(1, SeqCst);
        let bar = self.bar.try_access().ok_or(ENXIO)?;
        bar.write32(1 << number, EICS);
        Ok(())
    }

    /// In place of a device's status register: is there an interrupt to be answered? One that moves
    /// from CPU to CPU can come once more than it was raised.
    fn take(&self, number: usize) -> bool {
        let vector = &self.vectors[number];
        let raised = |taken| (taken < vector.raised.load(SeqCst)).then_some(taken + 1);
        vector.taken.fetch_update(SeqCst, SeqCst, raised).is_ok()
    }

    /// Waits until every interrupt raised on a vector has been answered.
    fn answered(&self, number: usize) -> Result {
        let vector = &self.vectors[number];
        let start = Instant::<Monotonic>::now();
        loop {
            let (answered, raised) = (vector.answered.load(SeqCst), vector.raised.load(SeqCst));
            if answered == raised {
                return Ok(());
            }
            if start.elapsed() > BOUND {
                pr_info!("vector {number}: {raised} were raised, {answered} answered\n");
                return Err(ETIMEDOUT);
            }
            fsleep(Delta::from_micros(100));
        }
    }

    fn load(&self, number: usize, letter: u8, rounds: u32) -> Result {
        let mutex = MUTEXES[mutex(letter)?];
        self.tell(number, &[letter])?;
        self.vectors[number].untraced.store(true, SeqCst);
        for round in 0..rounds {
            // Held not at all, or for 0.4, 1.6 and 6.4 ms.
            let guard = (round % 4 != 0).then(|| mutex.lock());
            self.raise(number)?;
            if guard.is_some() {
                fsleep(Delta::from_micros(100 << (2 * (round % 4))));
            }
            drop(guard);
            self.answered(number)?;
        }
        self.vectors[number].untraced.store(false, SeqCst);
        Ok(())
    }
}

struct OnVector {
    device: Arc<Device>,
    number: usize,
}

impl Handler for OnVector {
    async fn handle(&self, irq: Interrupt<'_>) -> IrqReturn {
        if !self.device.take(self.number) {
            return IrqReturn::None;
        }
        let vector = &self.device.vectors[self.number];
        let step = |what| {
            if !vector.untraced.load(SeqCst) {
                mark(b'0' + self.number as u8, what, 0, !in_hard_irq());
            }
        };
        step(b'E');
        let cpu = CpuId::current().as_u32();
        let program = vector.program.load(SeqCst).to_le_bytes();
        let mut taken = [const { None }; STEPS];
        for (place, letter) in program.into_iter().enumerate().filter(|&(_, c)| c != 0) {
            match Step::parse(letter) {
                Ok(Step::Lock(index)) => taken[place] = Some(MUTEXES[index].lock_irq(irq).await),
                Ok(Step::Raise(number)) => drop(self.device.raise(number)),
                _ => irq.defer().await,
            }
            step(letter);
        }
        // The end is recorded first: the actors that get the mutexes record that after it.
        step(b'.');
        drop(taken);
        if CpuId::current().as_u32() != cpu {
            vector.moved.fetch_add(1, SeqCst);
        }
        vector.answered.fetch_add(1, SeqCst);
        IrqReturn::Handled
    }
}

fn write_raise(this: &Arc<Device>, reader: &mut UserSliceReader) -> Result {
    with_text(reader, |text| match text.as_bytes() {
        [vector, program @ ..] => {
            let number = number(*vector)?;
            this.tell(number, program)?;
            this.raise(number)
        }
        _ => Err(EINVAL),
    })
}

fn write_load(this: &Arc<Device>, reader: &mut UserSliceReader) -> Result {
    with_text(reader, |text| {
        let (what, rounds) = text.split_once(' ').ok_or(EINVAL)?;
        let &[vector, letter] = what.as_bytes() else {
            return Err(EINVAL);
        };
        let rounds = rounds.parse().map_err(|_| EINVAL)?;
        this.load(number(vector)?, letter, rounds)
    })
}

/// A bit for each mutex that a text names.
fn bits(text: &str) -> Result<u32> {
    text.as_bytes()
        .iter()
        .try_fold(0, |bits, &letter| Ok(bits | 1 << mutex(letter)?))
}

fn write_hold(_: &Arc<Device>, reader: &mut UserSliceReader) -> Result {
    with_text(reader, |text| {
        let bits = bits(text)?;
        RELEASED.fetch_and(!bits, SeqCst);
        // All threads take them in the same order.
        let mut guards = [const { None }; MUTEXES.len()];
        for (index, guard) in guards.iter_mut().enumerate() {
            if bits & 1 << index != 0 {
                *guard = Some(MUTEXES[index].lock());
                mark(b'(', b'a' + index as u8, 0, false);
            }
        }
        let start = Instant::<Monotonic>::now();
        while RELEASED.load(SeqCst) & bits != bits {
            if start.elapsed() > BOUND {
                return Err(ETIMEDOUT);
            }
            fsleep(Delta::from_millis(1));
        }
        for &letter in text.as_bytes() {
            mark(b')', letter, 0, false);
            guards[mutex(letter)?] = None;
        }
        Ok(())
    })
}

fn write_release(_: &Arc<Device>, reader: &mut UserSliceReader) -> Result {
    with_text(reader, |text| {
        let bits = bits(text)?;
        RELEASED.fetch_or(bits, SeqCst);
        Ok(())
    })
}

fn write_reset(_: &Arc<Device>, _: &mut UserSliceReader) -> Result {
    trace::reset();
    Ok(())
}

fn write_counts(this: &Arc<Device>, _: &mut UserSliceReader) -> Result {
    for vector in &this.vectors {
        vector.raised.store(0, SeqCst);
        vector.taken.store(0, SeqCst);
        vector.answered.store(0, SeqCst);
        vector.moved.store(0, SeqCst);
    }
    Ok(())
}

fn write_register(this: &Registered, _: &mut UserSliceReader) -> Result {
    this.renew()
}

fn read_trace(_: &Arc<Device>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    trace::write(f)
}

fn read_counts(this: &Arc<Device>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (number, vector) in this.vectors.iter().enumerate() {
        let [raised, answered, moved] =
            [&vector.raised, &vector.answered, &vector.moved].map(|count| count.load(SeqCst));
        writeln!(f, "{number} {raised} {answered} {moved}")?;
    }
    Ok(())
}

type Control = Pin<KBox<File<Arc<Device>>>>;

/// What the file `register` needs.
///
/// # Invariants
///
/// The device is bound, and the vectors are there, for as long as this is.
#[pin_data]
struct Registered {
    device: Arc<Device>,
    bound: *const device::Device<Bound>,
    vectors: *const pci::IrqVectorRegistration<'static>,
    #[pin]
    registrations: Mutex<KVec<Devres<lazyirq::Registration<OnVector>>>>,
}

// SAFETY: Devices, vectors and registrations are `Send` and `Sync`.
unsafe impl Send for Registered {}
// SAFETY: As above.
unsafe impl Sync for Registered {}

impl Registered {
    /// Drops the registrations, if there are any, and makes new ones.
    fn renew(&self) -> Result {
        // SAFETY: By the type invariant.
        let (bound, vectors) = unsafe { (&*self.bound, &*self.vectors) };
        let mut registrations = self.registrations.lock();
        registrations.clear();
        for (number, name) in NAMES.into_iter().enumerate() {
            let ipl = if module_parameters::pairs.value() != 0 {
                (number | 1) + 1
            } else {
                number + 1
            };
            let registration = lazyirq::register(
                bound,
                vectors.index(number)?,
                Options::new(name, Ipl::new(ipl as u8)?),
                OnVector {
                    device: self.device.clone(),
                    number,
                },
            )?;
            registrations.push(registration, GFP_KERNEL)?;
        }
        Ok(())
    }
}

/// The device's data. Its fields are dropped in this order: `load` goes first, the registrations
/// before their vectors, and `release` is still there while they wait for their handlers.
struct Data<'bound> {
    _load: Control,
    _registered: Pin<KBox<File<Registered>>>,
    _vectors: KBox<pci::IrqVectorRegistration<'bound>>,
    _files: [Control; 5],
    _dir: Dir,
}

struct Vectors;

kernel::pci_device_table!(
    TABLE,
    <Vectors as pci::Driver>::IdInfo,
    [(pci::DeviceId::from_id(pci::Vendor::INTEL, 0x10c9), ())]
);

impl pci::Driver for Vectors {
    type IdInfo = ();
    type Data<'bound> = Data<'bound>;
    const ID_TABLE: pci::IdTable<Self::IdInfo> = &TABLE;

    fn probe<'bound>(
        pdev: &'bound pci::Device<Core<'_>>,
        _info: Option<&'bound Self::IdInfo>,
    ) -> impl PinInit<Data<'bound>, Error> + 'bound {
        pdev.enable_device_mem()?;
        pdev.set_master();
        let device = Arc::pin_init(
            try_pin_init!(Device {
                bar: pdev.iomap_region_sized::<REGISTERS>(0, c"lazyirq_vectors")?.into_devres()?,
                vectors: core::array::from_fn(|_| Vector::default()),
            }? Error),
            GFP_KERNEL,
        )?;
        let count = VECTORS as u32;
        let vectors = KBox::new(
            pdev.alloc_irq_vectors(count, count, IrqTypes::default().with(IrqType::MsiX))?,
            GFP_KERNEL,
        )?;
        {
            let bar = device.bar.access(pdev.as_ref())?;
            let all = (1 << VECTORS) - 1;
            bar.write32(GPIE_MULTIPLE_MSIX, GPIE);
            bar.write32(all, EIAC);
            bar.write32(all, EIMS);
        }

        let dir = Dir::new(c"lazyirq_vectors");
        macro_rules! control {
            ($name:literal, $read:expr, $write:expr) => {
                KBox::pin_init(
                    dir.read_write_callback_file($name, device.clone(), &$read, &$write),
                    GFP_KERNEL,
                )?
            };
        }
        let served = device.clone();
        let bound: &device::Device<Bound> = pdev.as_ref();
        let requests = core::ptr::from_ref(&*vectors).cast();
        // INVARIANT: It is dropped before the vectors, and they before the device is unbound.
        let registered = try_pin_init!(Registered {
            device: served,
            bound,
            vectors: requests,
            registrations <- new_mutex!(KVec::new()),
        }? Error);
        let registered = KBox::pin_init(
            dir.write_callback_file(c"register", registered, &write_register),
            GFP_KERNEL,
        )?;
        registered.renew()?;
        Ok(Data {
            _load: control!(c"load", read_trace, write_load),
            _registered: registered,
            _vectors: vectors,
            _files: [
                control!(c"raise", read_trace, write_raise),
                control!(c"hold", read_trace, write_hold),
                control!(c"release", read_trace, write_release),
                control!(c"reset", read_trace, write_reset),
                control!(c"counts", read_counts, write_counts),
            ],
            _dir: dir,
        })
    }
}

kernel::module_pci_driver! {
    type: Vectors,
    name: "lazyirq_vectors",
    authors: ["The lazyirq developers"],
    description: "Selftests of lazyirq, on the MSI-X vectors of QEMU's igb device",
    license: "GPL v2",
    params: {
        pairs: u8 {
            default: 0,
            description: "1: IPLs 2, 2, 4, 4 to 10, 10 by vector, instead of 1 to 10",
        },
    },
}

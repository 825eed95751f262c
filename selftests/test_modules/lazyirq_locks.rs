// SPDX-License-Identifier: GPL-2.0

//! The selftests' actors on locks: threads and handlers that each carry out a little program, so that
//! the scripts can make them contend as needed.
//!
//! In `/sys/kernel/debug/lazyirq_locks/`, what is written to
//!
//! - `run` is a program that the writing thread carries out; the write returns when it is done, and
//!   fails if a step did;
//! - `raise0` and `raise1` is a program for the handler of the first and second `edu` device, for
//!   which an interrupt is raised, without waiting for anything;
//! - `go` is the name of an actor that may continue;
//! - `reset` empties the trace, which tells which actor did what, in order, and is read from any of
//!   these three.
//!
//! `stack` tells, for each handler that a thread has resumed, how deep in that thread's stack it ran, in bytes
//! from where the thread had begun.
//!
//! A program is the actor's name, a letter, and steps:
//!
//! | step | what it does |
//! |---|---|
//! | `x0` `i0` `t0` | take mutex 0: uninterruptibly, interruptibly, if it is free |
//! | `r0` `w0` | take read/write lock 0 to read, to write |
//! | `R0` `W0` | the same, interruptibly |
//! | `p0` `v0` | the same, if it is possible at once |
//! | `k0` | take the kernel's mutex 0 (threads) |
//! | `e0` | take mutex 0, or read/write lock 0 to write: the first that can be had (handlers) |
//! | `u` | release what was taken last |
//! | `U` | the same, not preemptible (threads) |
//! | `h` `b` | wait for `go`, asleep (threads) or busily |
//! | `d` | defer (handlers) |
//! | `f` | forget the guard of what was taken last (handlers) |
//!
//! At the end all locks are released, last first. A step that is done leaves the actor's name and its own in
//! the trace; `.` is the end, `!` a step that failed. A handler's steps off the lazy path have a `'`.

use core::{
    future::{poll_fn, Future},
    pin::pin,
    sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::SeqCst},
    task::Poll,
};
use kernel::{
    debugfs::{Dir, File},
    device::Core,
    devres::Devres,
    fmt,
    interrupt::local_interrupt_disable,
    io::Io,
    irq::IrqReturn,
    pci::{self, IrqType, IrqTypes},
    prelude::*,
    sync::{global_lock, Arc},
    time::{delay::fsleep, Delta, Instant, Monotonic},
    uaccess::UserSliceReader,
};
use lazyirq::{
    static_lock, Guard, Handler, Interrupt, Ipl, IrqGuard, IrqReadGuard, IrqWriteGuard, Options,
    ReadGuard, WriteGuard,
};

mod common;
use common::{
    in_hard_irq, spin_until, with_text, BOUND, IRQ_ACK, IRQ_RAISE, IRQ_STATUS, REGISTERS,
};

mod trace;
use trace::mark;

static_lock! {
    static X0: Mutex<u64> = 0;
    static X1: Mutex<u64> = 0;
    static RW0: RwLock<u64> = 0;
    static RW1: RwLock<u64> = 0;
}

global_lock! {
    // SAFETY: Initialised in the module's init.
    unsafe(uninit) static K0: Mutex<u64> = 0;
}

/// Where on its stack the thread that carries out a program began, for handlers that it resumes; 0 if
/// there are several such threads.
static BEGIN: AtomicUsize = AtomicUsize::new(0);
static THREADS: AtomicU32 = AtomicU32::new(0);
static DEPTHS: [AtomicUsize; 4] = [const { AtomicUsize::new(0) }; 4];

/// A step of a program, or its end.
#[derive(Clone, Copy)]
struct Step {
    what: u8,
    which: u8,
}

const STEPS: usize = 8;

/// A program in one word, one byte per step: what, and which in the top bit.
#[derive(Clone, Copy, Default)]
struct Program {
    actor: u8,
    steps: [u8; STEPS],
}

impl Program {
    fn parse(text: &str) -> Result<Self> {
        let mut words = text.split(' ');
        let &[actor @ b'A'..=b'Z'] = words.next().ok_or(EINVAL)?.as_bytes() else {
            return Err(EINVAL);
        };
        let mut this = Self {
            actor,
            ..Self::default()
        };
        for (place, word) in words.enumerate() {
            *this.steps.get_mut(place).ok_or(EINVAL)? = match word.as_bytes() {
                [what @ (b'u' | b'U' | b'h' | b'b' | b'd' | b'f')] => *what,
                [what @ (b'x' | b'i' | b't' | b'r' | b'w' | b'R' | b'W' | b'p' | b'v' | b'k'
                | b'e'), which @ b'0'..=b'1'] => what | (which - b'0') << 7,
                _ => return Err(EINVAL),
            };
        }
        Ok(this)
    }

    fn steps(self) -> impl Iterator<Item = Step> {
        self.steps
            .into_iter()
            .take_while(|&step| step != 0)
            .map(|step| Step {
                what: step & 0x7f,
                which: step >> 7,
            })
    }
}

/// Records a step that is done in the trace, with the lock that it is about.
fn mark_step(actor: u8, what: u8, which: u8, ithread: bool) {
    let which = match what {
        b'd' | b'u' | b'U' | b'b' | b'!' => 0,
        _ => b'0' + which,
    };
    mark(actor, what, which, ithread);
}

/// A bit for each actor that may continue.
static GO: AtomicU32 = AtomicU32::new(0);

/// Waits for `go`. A signal ends the wait as well.
fn wait_for_go(actor: u8, busily: bool) -> Result {
    let bit = 1 << (actor - b'A');
    let may_go = || GO.fetch_and(!bit, SeqCst) & bit != 0;
    if busily {
        return spin_until(may_go).then_some(()).ok_or(ETIMEDOUT);
    }
    let start = Instant::<Monotonic>::now();
    while !may_go() {
        if start.elapsed() > BOUND {
            return Err(ETIMEDOUT);
        }
        fsleep(Delta::from_millis(1));
    }
    Ok(())
}

/// Something a thread has taken.
#[allow(dead_code)]
enum Taken {
    Mutex(Guard<'static, u64>),
    Read(ReadGuard<'static, u64>),
    Write(WriteGuard<'static, u64>),
    Kernel(K0Guard),
}

type K0Guard = kernel::sync::GlobalGuard<K0>;

/// Something a handler has taken.
#[allow(dead_code)]
enum TakenIrq<'a> {
    Mutex(IrqGuard<'a, u64>),
    Read(IrqReadGuard<'a, u64>),
    Write(IrqWriteGuard<'a, u64>),
}

/// Releases all, last first.
fn release_all<T>(taken: &mut [Option<T>; STEPS]) {
    while release_last(taken) {}
}

fn release_last<T>(taken: &mut [Option<T>; STEPS]) -> bool {
    taken
        .iter_mut()
        .rev()
        .find_map(|place| place.take())
        .is_some()
}

fn step(step: Step, actor: u8, taken: &mut [Option<Taken>; STEPS]) -> Result {
    let mutex = [&X0, &X1][usize::from(step.which)];
    let rwlock = [&RW0, &RW1][usize::from(step.which)];
    let new = match step.what {
        b'x' => Taken::Mutex(mutex.lock()),
        b'i' => Taken::Mutex(mutex.lock_interruptible()?),
        b't' => Taken::Mutex(mutex.try_lock().ok_or(EBUSY)?),
        b'r' => Taken::Read(rwlock.read()),
        b'R' => Taken::Read(rwlock.read_interruptible()?),
        b'p' => Taken::Read(rwlock.try_read().ok_or(EBUSY)?),
        b'w' => Taken::Write(rwlock.write()),
        b'W' => Taken::Write(rwlock.write_interruptible()?),
        b'v' => Taken::Write(rwlock.try_write().ok_or(EBUSY)?),
        b'k' => Taken::Kernel(K0.lock()),
        b'u' => {
            release_last(taken);
            return Ok(());
        }
        b'U' => {
            let _off = local_interrupt_disable();
            release_last(taken);
            return Ok(());
        }
        b'h' => return wait_for_go(actor, false),
        b'b' => return wait_for_go(actor, true),
        _ => return Err(EINVAL),
    };
    *taken
        .iter_mut()
        .find(|place| place.is_none())
        .ok_or(EINVAL)? = Some(new);
    Ok(())
}

/// A place on the running thread's stack.
#[inline(never)]
fn stack() -> usize {
    let here = 0u8;
    core::hint::black_box(&raw const here).addr()
}

/// Notes how deep in the stack of the thread that resumes it a handler runs.
fn note_depth() {
    let depth = BEGIN.load(SeqCst).wrapping_sub(stack());
    // Another thread's stack is farther away, and so is the one used in hard IRQ.
    if depth < 1 << 14 {
        let place = DEPTHS.iter().find(|place| place.load(SeqCst) == 0);
        place.inspect(|place| place.store(depth, SeqCst));
    }
}

/// A thread carries out a program.
fn run(program: Program) -> Result {
    let begin = if THREADS.fetch_add(1, SeqCst) == 0 {
        stack()
    } else {
        0
    };
    BEGIN.store(begin, SeqCst);
    let result = carry_out(program);
    THREADS.fetch_sub(1, SeqCst);
    result
}

fn carry_out(program: Program) -> Result {
    let mut taken = [const { None }; STEPS];
    let actor = program.actor;
    for this in program.steps() {
        // A wait is recorded when it begins.
        let waits = matches!(this.what, b'h' | b'b');
        if waits {
            mark(actor, this.what, 0, false);
        }
        if let Err(error) = step(this, actor, &mut taken) {
            release_all(&mut taken);
            mark(actor, b'!', 0, false);
            return Err(error);
        }
        if !waits {
            mark_step(actor, this.what, this.which, false);
        }
    }
    // The end is recorded first: the actors that get the locks record that after it.
    mark(actor, b'.', 0, false);
    release_all(&mut taken);
    Ok(())
}

#[pin_data]
struct Shared {
    bar: pci::DevresBar<REGISTERS>,
    actor: AtomicU32,
    program: AtomicU64,
}

struct Actor(Arc<Shared>);

impl Handler for Actor {
    async fn handle(&self, irq: Interrupt<'_>) -> IrqReturn {
        let Ok(bar) = self.0.bar.access(irq.device()) else {
            return IrqReturn::None;
        };
        let status = bar.read32(IRQ_STATUS);
        if status == 0 {
            return IrqReturn::None;
        }
        bar.write32(status, IRQ_ACK);
        let program = Program {
            actor: self.0.actor.load(SeqCst) as u8,
            steps: self.0.program.load(SeqCst).to_le_bytes(),
        };
        let mut taken = [const { None }; STEPS];
        for (place, step) in program.steps().enumerate() {
            let mutex = [&X0, &X1][usize::from(step.which)];
            let rwlock = [&RW0, &RW1][usize::from(step.which)];
            taken[place] = match step.what {
                b'x' => Some(TakenIrq::Mutex(mutex.lock_irq(irq).await)),
                b't' => mutex.try_lock_irq(irq).map(TakenIrq::Mutex),
                b'r' => Some(TakenIrq::Read(rwlock.read_irq(irq).await)),
                b'p' => rwlock.try_read_irq(irq).map(TakenIrq::Read),
                b'w' => Some(TakenIrq::Write(rwlock.write_irq(irq).await)),
                b'v' => rwlock.try_write_irq(irq).map(TakenIrq::Write),
                b'e' => {
                    let mut mutex = pin!(mutex.lock_irq(irq));
                    let mut rwlock = pin!(rwlock.write_irq(irq));
                    let either = poll_fn(|context| match mutex.as_mut().poll(context) {
                        Poll::Ready(guard) => Poll::Ready(TakenIrq::Mutex(guard)),
                        Poll::Pending => rwlock.as_mut().poll(context).map(TakenIrq::Write),
                    });
                    Some(either.await)
                }
                b'd' => {
                    irq.defer().await;
                    None
                }
                b'b' => {
                    mark(program.actor, b'b', 0, !in_hard_irq());
                    let _ = wait_for_go(program.actor, true);
                    continue;
                }
                b'f' => {
                    core::mem::forget(taken.iter_mut().rev().find_map(Option::take));
                    None
                }
                _ => {
                    release_last(&mut taken);
                    None
                }
            };
            let tried = matches!(step.what, b't' | b'p' | b'v');
            let what = if tried && taken[place].is_none() {
                b'!'
            } else {
                step.what
            };
            mark_step(program.actor, what, step.which, !in_hard_irq());
        }
        note_depth();
        mark(program.actor, b'.', 0, !in_hard_irq());
        release_all(&mut taken);
        IrqReturn::Handled
    }
}

fn write_run(_: &(), reader: &mut UserSliceReader) -> Result {
    with_text(reader, |text| run(Program::parse(text)?))
}

fn write_go(_: &(), reader: &mut UserSliceReader) -> Result {
    with_text(reader, |text| match text.as_bytes() {
        [actor @ b'A'..=b'Z'] => {
            GO.fetch_or(1 << (actor - b'A'), SeqCst);
            Ok(())
        }
        _ => Err(EINVAL),
    })
}

fn read_stack(_: &(), f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for depth in DEPTHS.iter().map(|depth| depth.load(SeqCst)) {
        if depth != 0 {
            write!(f, "{depth} ")?;
        }
    }
    writeln!(f)
}

fn write_reset(_: &(), _: &mut UserSliceReader) -> Result {
    trace::reset();
    DEPTHS.iter().for_each(|depth| depth.store(0, SeqCst));
    GO.store(0, SeqCst);
    Ok(())
}

fn read_trace(_: &(), f: &mut fmt::Formatter<'_>) -> fmt::Result {
    trace::write(f)
}

fn write_raise(this: &Arc<Shared>, reader: &mut UserSliceReader) -> Result {
    with_text(reader, |text| {
        let program = Program::parse(text)?;
        this.actor.store(program.actor.into(), SeqCst);
        this.program
            .store(u64::from_le_bytes(program.steps), SeqCst);
        this.bar.try_access().ok_or(ENXIO)?.write32(1, IRQ_RAISE);
        Ok(())
    })
}

type Control<T> = Pin<KBox<File<T>>>;

/// A device's data.
struct Data<'bound> {
    _raise: Control<Arc<Shared>>,
    _registration: Devres<lazyirq::Registration<Actor>>,
    _vectors: pci::IrqVectorRegistration<'bound>,
}

struct Locks;

/// The files' directory, while the module is loaded.
struct Files {
    dir: Dir,
    _files: [Control<()>; 4],
}

global_lock! {
    // SAFETY: Initialised in the module's init.
    unsafe(uninit) static FILES: Mutex<(Option<Files>, u32)> = (None, 0);
}

kernel::pci_device_table!(
    TABLE,
    <Locks as pci::Driver>::IdInfo,
    // The kernel crate's list of vendors lacks QEMU: match the class here, and the IDs in probe.
    [(pci::DeviceId::from_class(0x00ff00, 0xffff00), ())]
);

impl pci::Driver for Locks {
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
        let shared = Arc::pin_init(
            try_pin_init!(Shared {
                bar: pdev.iomap_region_sized::<REGISTERS>(0, c"lazyirq_locks")?.into_devres()?,
                actor: AtomicU32::new(0),
                program: AtomicU64::new(0),
            }? Error),
            GFP_KERNEL,
        )?;
        let mut files = FILES.lock();
        let number = files.1;
        files.1 += 1;
        let (name, ipl) = match number {
            0 => (c"raise0", module_parameters::ipl0.value()),
            _ => (c"raise1", module_parameters::ipl1.value()),
        };
        let vectors = pdev.alloc_irq_vectors(1, 1, IrqTypes::default().with(IrqType::Msi))?;
        let registration = lazyirq::register(
            pdev.as_ref(),
            vectors.index(0)?,
            Options::new(c"lazyirq_test", Ipl::new(ipl)?),
            Actor(shared.clone()),
        )?;
        let dir = &files.0.as_ref().ok_or(ENODEV)?.dir;
        let raise = KBox::pin_init(
            dir.write_callback_file(name, shared, &write_raise),
            GFP_KERNEL,
        )?;
        Ok(Data {
            _raise: raise,
            _registration: registration,
            _vectors: vectors,
        })
    }
}

#[pin_data(PinnedDrop)]
struct Module {
    #[pin]
    driver: kernel::driver::Registration<pci::Adapter<Locks>>,
}

impl kernel::InPlaceModule for Module {
    fn init(module: &'static ThisModule) -> impl PinInit<Self, Error> {
        // SAFETY: Once, here.
        unsafe {
            K0.init();
            FILES.init();
        }
        pin_init::pin_init_scope(move || {
            let dir = Dir::new(c"lazyirq_locks");
            macro_rules! control {
                ($name:literal, $write:expr) => {
                    KBox::pin_init(
                        dir.read_write_callback_file($name, (), &read_trace, &$write),
                        GFP_KERNEL,
                    )?
                };
            }
            let files = [
                control!(c"run", write_run),
                control!(c"go", write_go),
                control!(c"reset", write_reset),
                KBox::pin_init(
                    dir.read_callback_file(c"stack", (), &read_stack),
                    GFP_KERNEL,
                )?,
            ];
            FILES.lock().0 = Some(Files { dir, _files: files });
            Ok(try_pin_init!(Self {
                driver <- kernel::driver::Registration::new(c"lazyirq_locks", module),
            }))
        })
    }
}

#[pinned_drop]
impl PinnedDrop for Module {
    fn drop(self: Pin<&mut Self>) {
        // Statics are not dropped.
        FILES.lock().0 = None;
    }
}

module! {
    type: Module,
    name: "lazyirq_locks",
    authors: ["The lazyirq developers"],
    description: "Selftests of lazyirq's locks, on QEMU's edu device",
    license: "GPL v2",
    params: {
        ipl0: u8 {
            default: 3,
            description: "Interrupt priority level of the first device",
        },
        ipl1: u8 {
            default: 7,
            description: "Interrupt priority level of the second device",
        },
    },
}

// SPDX-License-Identifier: GPL-2.0

//! The selftests' driver: a handler on QEMU's `edu` device that leaves a trace of what it does.
//!
//! For the n-th device, `/sys/kernel/debug/lazyirq_test<n>/` holds
//!
//! - `run`: write `<scenario> <rounds>`; each round checks the trace that the scenario leaves. The
//!   write fails with `EIO` if a trace differs, and reading tells what was expected and what came;
//! - `raise`: write `<mode>`, and one interrupt is raised for it, without waiting for anything;
//! - `hold`: write `a` or `b`, and the writer holds that mutex until its name, or nothing, is written to
//!   `release`;
//! - `work`: write a number, and a kernel thread holds `a` for that many milliseconds. It must be
//!   done when the module is unloaded;
//! - `trace`: what has happened since the last round, or since something was written to `reset`.
//!
//! | in the trace | what happened |
//! |---|---|
//! | `(` `)` | a thread has taken a mutex, is about to release it |
//! | `!` | a thread is about to raise an interrupt |
//! | `E` | the handler was entered |
//! | `F` | the handler has deferred, and continues |
//! | `A` `B` | the handler has got that mutex |
//! | `D` | the handler is done |
//!
//! The handler's letters are in lower case when it runs in an ithread.

use core::{
    future::{poll_fn, Future},
    pin::pin,
    sync::atomic::{AtomicBool, AtomicU32, AtomicU8, AtomicUsize, Ordering::SeqCst},
    task::Poll,
};
use kernel::{
    debugfs::{Dir, File},
    device::Core,
    devres::Devres,
    fmt,
    io::Io,
    irq::IrqReturn,
    pci::{self, IrqType, IrqTypes},
    prelude::*,
    str::CString,
    sync::{new_mutex, Arc},
    time::{delay::fsleep, Delta, Instant, Monotonic},
    uaccess::UserSliceReader,
    workqueue,
};
use lazyirq::{Handler, Interrupt, Ipl, Mutex, Options};

mod common;
use common::{
    in_hard_irq, spin_until, with_text, BOUND, IRQ_ACK, IRQ_RAISE, IRQ_STATUS, REGISTERS,
};

/// What the handler does, besides leaving its trace.
#[derive(Clone, Copy, PartialEq)]
#[repr(u32)]
enum Mode {
    /// Takes `a`.
    Plain,
    /// Takes `a`, and then `b` too.
    Two,
    /// Defers, and then takes `a`.
    Defer,
    /// Waits for something that never comes.
    Illegal,
    /// Gives up its wait for `b`, and waits for something that never comes.
    GivesUp,
    /// Forgets its wait for `b`, and is done.
    Forgets,
    /// Takes `a` while it holds it.
    Deadlock,
    /// Answers that it was not its device.
    Foreign,
    /// Defers, and is busy until `a` is released.
    Busy,
    /// Defers, and sleeps, which it must not do.
    Sleep,
    /// Says that its device raised the interrupt a second ago.
    Late,
}

impl Mode {
    fn parse(name: &str) -> Result<Mode> {
        Ok(match name {
            "plain" => Mode::Plain,
            "two" => Mode::Two,
            "defer" => Mode::Defer,
            "illegal" => Mode::Illegal,
            "gives-up" => Mode::GivesUp,
            "forgets" => Mode::Forgets,
            "deadlock" => Mode::Deadlock,
            "foreign" => Mode::Foreign,
            "busy" => Mode::Busy,
            "sleep" => Mode::Sleep,
            "late" => Mode::Late,
            _ => return Err(EINVAL),
        })
    }
}

const TRACE: usize = 64;

#[pin_data]
struct Shared {
    bar: pci::DevresBar<REGISTERS>,
    #[pin]
    a: Mutex<u64>,
    #[pin]
    b: Mutex<u64>,
    mode: AtomicU32,
    trace: [AtomicU8; TRACE],
    length: AtomicUsize,
    /// `a`, `b`.
    released: [AtomicBool; 2],
    #[pin]
    result: kernel::sync::Mutex<KVec<u8>>,
}

impl Shared {
    fn mark(&self, what: u8) {
        let place = self.length.fetch_add(1, SeqCst);
        if let Some(byte) = self.trace.get(place) {
            byte.store(what, SeqCst);
        }
    }

    /// A step of the handler.
    fn step(&self, what: u8) {
        self.mark(if in_hard_irq() {
            what
        } else {
            what.to_ascii_lowercase()
        });
    }

    fn saw(&self, what: u8) -> bool {
        self.trace
            .iter()
            .any(|byte| byte.load(SeqCst).to_ascii_uppercase() == what)
    }

    fn forget(&self) {
        self.trace.iter().for_each(|byte| byte.store(0, SeqCst));
        self.length.store(0, SeqCst);
    }

    fn trace(&self) -> [u8; TRACE] {
        core::array::from_fn(|place| self.trace[place].load(SeqCst))
    }

    fn raise(&self, mode: Mode) -> Result {
        self.mode.store(mode as u32, SeqCst);
        if mode == Mode::Busy {
            self.released[0].store(false, SeqCst);
        }
        self.mark(b'!');
        self.bar.try_access().ok_or(ENXIO)?.write32(1, IRQ_RAISE);
        Ok(())
    }

    /// One round of a scenario. Returns the trace that is expected, if it was done in time.
    fn round(&self, scenario: &str) -> Result<&'static str> {
        let entered = || spin_until(|| self.saw(b'E'));
        // The handler may be on another CPU: it is blocked when it is in the mutex's queue.
        let blocked = |mutex: &Mutex<u64>| spin_until(|| mutex.is_contended());
        let mark_release = || self.mark(b')');
        let (expected, in_time) = match scenario {
            "plain" => {
                self.raise(Mode::Plain)?;
                ("!EAD", entered())
            }
            "defer" => {
                self.raise(Mode::Defer)?;
                ("!Efad", entered())
            }
            "sleep" => {
                self.raise(Mode::Sleep)?;
                ("!Efad", entered())
            }
            "foreign" => {
                self.raise(Mode::Foreign)?;
                ("!ED", entered())
            }
            "locked" => {
                let _guard = self.a.lock();
                self.mark(b'(');
                self.raise(Mode::Plain)?;
                let blocked = blocked(&self.a);
                mark_release();
                ("(!E)ad", blocked)
            }
            "second" => {
                let _guard = self.b.lock();
                self.mark(b'(');
                self.raise(Mode::Two)?;
                let blocked = blocked(&self.b);
                mark_release();
                ("(!EA)bd", blocked)
            }
            "both" => {
                let a = self.a.lock();
                let b = self.b.lock();
                self.mark(b'(');
                self.raise(Mode::Two)?;
                let first = blocked(&self.a);
                mark_release();
                drop(a);
                let second = blocked(&self.b);
                mark_release();
                drop(b);
                ("(!E)a)bd", first && second)
            }
            _ => return Err(EINVAL),
        };
        let done = spin_until(|| self.saw(b'D'));
        if in_time && done {
            Ok(expected)
        } else {
            Ok("(in time)")
        }
    }

    fn run(&self, registration: &Registered, scenario: &str, rounds: u32) -> Result {
        let mut text = KVec::new();
        // When the handler says that it is done, the interrupt is not over yet: the next one, or the other
        // device's, would be remembered or held. So synchronize here, for the last one, and below.
        registration.synchronize();
        for round in 0..rounds {
            self.forget();
            let expected = self.round(scenario)?;
            registration.synchronize();
            let came = self.trace();
            let came = core::str::from_utf8(&came)
                .unwrap_or("?")
                .trim_end_matches('\0');
            if came != expected {
                pr_info!("{scenario}, round {round}: expected {expected}, came {came}\n");
                text.extend_from_slice(expected.as_bytes(), GFP_KERNEL)?;
                text.extend_from_slice(b" expected, came ", GFP_KERNEL)?;
                text.extend_from_slice(came.as_bytes(), GFP_KERNEL)?;
                *self.result.lock() = text;
                return Err(EIO);
            }
        }
        text.extend_from_slice(b"ok", GFP_KERNEL)?;
        *self.result.lock() = text;
        Ok(())
    }

    fn hold(&self, which: &str) -> Result {
        let (mutex, released) = match which {
            "a" => (&self.a, &self.released[0]),
            "b" => (&self.b, &self.released[1]),
            _ => return Err(EINVAL),
        };
        released.store(false, SeqCst);
        let _guard = mutex.lock();
        self.mark(b'(');
        let start = Instant::<Monotonic>::now();
        while !released.load(SeqCst) {
            if start.elapsed() > BOUND {
                return Err(ETIMEDOUT);
            }
            fsleep(Delta::from_millis(1));
        }
        self.mark(b')');
        Ok(())
    }
}

struct Traced(Arc<Shared>);

impl Handler for Traced {
    async fn handle(&self, irq: Interrupt<'_>) -> IrqReturn {
        let this = &self.0;
        let Ok(bar) = this.bar.access(irq.device()) else {
            return IrqReturn::None;
        };
        let status = bar.read32(IRQ_STATUS);
        if status == 0 {
            return IrqReturn::None;
        }
        this.step(b'E');
        bar.write32(status, IRQ_ACK);
        let mode = this.mode.load(SeqCst);
        let is = |other: Mode| mode == other as u32;
        if is(Mode::Late) {
            irq.raised_at(Instant::<Monotonic>::now() - Delta::from_secs(1));
        }
        if is(Mode::Foreign) {
            this.step(b'D');
            return IrqReturn::None;
        }
        if is(Mode::Defer) || is(Mode::Busy) || is(Mode::Sleep) {
            irq.defer().await;
            this.step(b'F');
        }
        if is(Mode::Busy) {
            spin_until(|| this.released[0].load(SeqCst));
        }
        if is(Mode::Sleep) {
            fsleep(Delta::from_millis(1));
        }
        {
            let mut a = this.a.lock_irq(irq).await;
            *a += 1;
            this.step(b'A');
            if is(Mode::Two) {
                *this.b.lock_irq(irq).await += 1;
                this.step(b'B');
            }
            if is(Mode::GivesUp) {
                let mut b = pin!(this.b.lock_irq(irq));
                poll_fn(|context| Poll::Ready(b.as_mut().poll(context).is_pending())).await;
            }
            if is(Mode::Forgets) {
                // In memory that is never freed: the lock's queue is left with the wait.
                if let Ok(mut b) = KBox::pin(this.b.lock_irq(irq), GFP_ATOMIC) {
                    poll_fn(|context| Poll::Ready(b.as_mut().poll(context).is_pending())).await;
                    core::mem::forget(b);
                }
            }
            if is(Mode::Illegal) || is(Mode::GivesUp) {
                core::future::pending::<()>().await;
            }
            if is(Mode::Deadlock) {
                *this.a.lock_irq(irq).await += 1;
            }
        }
        this.step(b'D');
        IrqReturn::Handled
    }
}

fn write_run(this: &Run, reader: &mut UserSliceReader) -> Result {
    with_text(reader, |text| {
        let (scenario, rounds) = text.split_once(' ').ok_or(EINVAL)?;
        // SAFETY: By the type invariant.
        let registration = unsafe { &*this.registration };
        this.shared
            .run(registration, scenario, rounds.parse().map_err(|_| EINVAL)?)
    })
}

fn read_run(this: &Run, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(
        f,
        "{}",
        core::str::from_utf8(&this.shared.result.lock()).unwrap_or("?")
    )
}

fn write_raise(this: &Arc<Shared>, reader: &mut UserSliceReader) -> Result {
    with_text(reader, |mode| this.raise(Mode::parse(mode)?))
}

fn write_hold(this: &Arc<Shared>, reader: &mut UserSliceReader) -> Result {
    with_text(reader, |which| this.hold(which))
}

fn write_work(this: &Arc<Shared>, reader: &mut UserSliceReader) -> Result {
    with_text(reader, |ms| {
        let ms = Delta::from_millis(ms.parse().map_err(|_| EINVAL)?);
        let this = this.clone();
        let work = move || {
            let _guard = this.a.lock();
            this.mark(b'(');
            fsleep(ms);
            this.mark(b')');
        };
        Ok(workqueue::system_unbound().try_spawn(GFP_KERNEL, work)?)
    })
}

fn write_release(this: &Arc<Shared>, reader: &mut UserSliceReader) -> Result {
    with_text(reader, |which| {
        for (name, released) in ["a", "b"].iter().zip(&this.released) {
            if which.is_empty() || which == *name {
                released.store(true, SeqCst);
            }
        }
        Ok(())
    })
}

fn write_reset(this: &Arc<Shared>, _: &mut UserSliceReader) -> Result {
    this.forget();
    Ok(())
}

fn read_trace(this: &Arc<Shared>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let trace = this.trace();
    writeln!(
        f,
        "{}",
        core::str::from_utf8(&trace)
            .unwrap_or("?")
            .trim_end_matches('\0')
    )
}

type Registered = lazyirq::Registration<Traced>;
type Control = Pin<KBox<File<Arc<Shared>>>>;

/// What the file `run` needs.
///
/// # Invariants
///
/// The registration is there for as long as this is.
struct Run {
    shared: Arc<Shared>,
    registration: *const Registered,
}

// SAFETY: Registrations are `Send` and `Sync`.
unsafe impl Send for Run {}
// SAFETY: As above.
unsafe impl Sync for Run {}

/// The device's data. Its fields are dropped in this order: `run` goes first, the registration
/// before its vectors, and `release` is still there while the registration waits for its handler.
struct Data<'bound> {
    _run: Pin<KBox<File<Run>>>,
    _registration: Option<Devres<Registered>>,
    _vectors: pci::IrqVectorRegistration<'bound>,
    _files: [Control; 6],
    _dir: Dir,
}

struct Test;

static DEVICES: AtomicUsize = AtomicUsize::new(0);

kernel::pci_device_table!(
    TABLE,
    <Test as pci::Driver>::IdInfo,
    // The kernel crate's list of vendors lacks QEMU: match the class here, and the IDs in probe.
    [(pci::DeviceId::from_class(0x00ff00, 0xffff00), ())]
);

impl pci::Driver for Test {
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
                bar: pdev.iomap_region_sized::<REGISTERS>(0, c"lazyirq_test")?.into_devres()?,
                a <- lazyirq::new_mutex!(0, "lock a"),
                b <- lazyirq::new_mutex!(0, "b"),
                mode: AtomicU32::new(0),
                trace: [const { AtomicU8::new(0) }; TRACE],
                length: AtomicUsize::new(0),
                released: [const { AtomicBool::new(false) }; 2],
                result <- new_mutex!(KVec::new()),
            }? Error),
            GFP_KERNEL,
        )?;
        let irq_type = if module_parameters::intx.value() != 0 {
            IrqType::Intx
        } else {
            IrqType::Msi
        };
        let vectors = pdev.alloc_irq_vectors(1, 1, IrqTypes::default().with(irq_type))?;
        let ipl = Ipl::new(module_parameters::ipl.value())?;
        let registration = lazyirq::register(
            pdev.as_ref(),
            vectors.index(0)?,
            Options::new(c"lazyirq_test", ipl).shared(),
            Traced(shared.clone()),
        )?;

        if module_parameters::twice.value() != 0 {
            // This is refused, since it does not share the line.
            lazyirq::register(
                pdev.as_ref(),
                vectors.index(0)?,
                Options::new(c"lazyirq_test", ipl),
                Traced(shared.clone()),
            )?;
        }

        let number = DEVICES.fetch_add(1, SeqCst);
        let dir = Dir::new(&CString::try_from_fmt(fmt!("lazyirq_test{number}"))?);
        macro_rules! file {
            ($init:expr) => {
                KBox::pin_init($init, GFP_KERNEL)?
            };
        }
        // INVARIANT: It is dropped before the registration, and both before the device is unbound.
        let run = Run {
            shared: shared.clone(),
            registration: core::ptr::from_ref(registration.access(pdev.as_ref())?),
        };
        let run = file!(dir.read_write_callback_file(c"run", run, &read_run, &write_run));
        macro_rules! control {
            ($name:literal, $write:expr) => {
                file!(dir.read_write_callback_file($name, shared.clone(), &read_trace, &$write))
            };
        }
        let files = [
            control!(c"raise", write_raise),
            control!(c"hold", write_hold),
            control!(c"work", write_work),
            control!(c"release", write_release),
            control!(c"reset", write_reset),
            file!(dir.read_callback_file(c"trace", shared.clone(), &read_trace)),
        ];
        let mut registration = Some(registration);
        if module_parameters::forget.value() != 0 {
            core::mem::forget(registration.take());
            let meter = lazyirq::StockMeter::new(&vectors.index(0)?.into(), c"lazyirq_test")?;
            core::mem::forget(meter);
        }
        Ok(Data {
            _run: run,
            _registration: registration,
            _vectors: vectors,
            _files: files,
            _dir: dir,
        })
    }
}

kernel::module_pci_driver! {
    type: Test,
    name: "lazyirq_test",
    authors: ["The lazyirq developers"],
    description: "Selftests of lazyirq, on QEMU's edu device",
    license: "GPL v2",
    params: {
        intx: u8 {
            default: 0,
            description: "1: use INTx instead of MSI",
        },
        ipl: u8 {
            default: 5,
            description: "Interrupt priority level, 1 to 10",
        },
        twice: u8 {
            default: 0,
            description: "1: register each interrupt twice, which fails",
        },
        forget: u8 {
            default: 0,
            description: "1: forget each registration, so that its vectors go first, and a StockMeter",
        },
    },
}

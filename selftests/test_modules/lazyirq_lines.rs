// SPDX-License-Identifier: GPL-2.0

//! The selftests' lazy driver of the simulated devices of `lazyirq_sim.ko`.
//!
//! It takes the devices that are bound to it by `driver_override`. Each has, in
//! `/sys/kernel/debug/<device>/`,
//!
//! - `mode`: write `<mode> [<count>]`, and the handler does that (for that many interrupts, and is
//!   `plain` again afterwards);
//! - `hold`: the writer holds the device's mutex until something is written to `release`; reading
//!   tells whether it is held.
//!
//! | mode | the handler |
//! |---|---|
//! | `plain` | answers its device, takes the mutex |
//! | `late` | takes the mutex, then answers its device |
//! | `defer` | answers its device, defers, takes the mutex |
//! | `mute` | takes the mutex, and says "handled" without having answered |
//! | `mute-deferred` | defers, and says "handled" without having answered |
//! | `foreign` | says that it was not its device |
//! | `foreign-locked` | takes the mutex, and then says so |
//! | `foreign-deferred` | defers, and then says so |
//! | `dead` | waits for what never comes, without having answered |
//! | `dead-answered` | answers its device, and waits for what never comes |
//!
//! Writing to `/sys/kernel/debug/lazyirq_lines/ipl` sets the IPL of what is bound afterwards.

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU8, Ordering::SeqCst};
use kernel::{
    debugfs::{Dir, File},
    device::Core,
    devres::Devres,
    driver, fmt,
    irq::IrqReturn,
    platform,
    prelude::*,
    sync::Arc,
    time::{delay::fsleep, Delta, Instant, Monotonic},
    uaccess::UserSliceReader,
};
use lazyirq::{Handler, Interrupt, Ipl, Mutex, Options};

#[allow(dead_code)]
mod common;
use common::{with_text, BOUND};
mod sim;
use sim::Device;

#[derive(Clone, Copy)]
enum Mode {
    Plain,
    Late,
    Defer,
    Mute,
    MuteDeferred,
    Foreign,
    ForeignLocked,
    ForeignDeferred,
    Dead,
    DeadAnswered,
}

const MODES: [(&str, Mode); 10] = [
    ("plain", Mode::Plain),
    ("late", Mode::Late),
    ("defer", Mode::Defer),
    ("mute", Mode::Mute),
    ("mute-deferred", Mode::MuteDeferred),
    ("foreign", Mode::Foreign),
    ("foreign-locked", Mode::ForeignLocked),
    ("foreign-deferred", Mode::ForeignDeferred),
    ("dead", Mode::Dead),
    ("dead-answered", Mode::DeadAnswered),
];

#[pin_data]
struct Shared {
    device: Device,
    /// Counts the times that a handler has taken it.
    #[pin]
    mutex: Mutex<u64>,
    /// An index into `MODES`.
    mode: AtomicU8,
    /// For how many interrupts the mode applies.
    count: AtomicU32,
    held: AtomicBool,
    released: AtomicBool,
}

impl Shared {
    fn set_mode(&self, text: &str) -> Result {
        let (name, count) = text.split_once(' ').unwrap_or((text, "4294967295"));
        let mode = MODES.iter().position(|mode| mode.0 == name).ok_or(EINVAL)?;
        let count = count.parse().map_err(|_| EINVAL)?;
        // The handler may read these at any moment.
        self.count.store(0, SeqCst);
        self.mode.store(mode as u8, SeqCst);
        self.count.store(count, SeqCst);
        Ok(())
    }

    /// What to do with the interrupt that has come.
    fn next_mode(&self) -> Mode {
        let less = |count: u32| count.checked_sub(1);
        match self.count.fetch_update(SeqCst, SeqCst, less) {
            Ok(_) => MODES[usize::from(self.mode.load(SeqCst)) % MODES.len()].1,
            Err(_) => Mode::Plain,
        }
    }

    fn hold(&self) -> Result {
        self.released.store(false, SeqCst);
        let _guard = self.mutex.lock();
        self.held.store(true, SeqCst);
        let start = Instant::<Monotonic>::now();
        let mut result = Ok(());
        while !self.released.load(SeqCst) {
            if start.elapsed() > BOUND {
                result = Err(ETIMEDOUT);
                break;
            }
            fsleep(Delta::from_millis(1));
        }
        self.held.store(false, SeqCst);
        result
    }
}

struct Line(Arc<Shared>);

impl Handler for Line {
    async fn handle(&self, irq: Interrupt<'_>) -> IrqReturn {
        let Shared { device, mutex, .. } = &*self.0;
        if !device.asks() {
            return IrqReturn::None;
        }
        match self.0.next_mode() {
            Mode::Plain => {
                device.answer();
                *mutex.lock_irq(irq).await += 1;
            }
            Mode::Late => {
                let mut count = mutex.lock_irq(irq).await;
                device.answer();
                *count += 1;
            }
            Mode::Defer => {
                device.answer();
                irq.defer().await;
                *mutex.lock_irq(irq).await += 1;
            }
            Mode::Mute => *mutex.lock_irq(irq).await += 1,
            Mode::MuteDeferred => irq.defer().await,
            Mode::Foreign => return IrqReturn::None,
            Mode::ForeignLocked => {
                *mutex.lock_irq(irq).await += 1;
                return IrqReturn::None;
            }
            Mode::ForeignDeferred => {
                irq.defer().await;
                return IrqReturn::None;
            }
            Mode::Dead => core::future::pending().await,
            Mode::DeadAnswered => {
                device.answer();
                core::future::pending().await
            }
        }
        IrqReturn::Handled
    }
}

fn write_mode(this: &Arc<Shared>, reader: &mut UserSliceReader) -> Result {
    with_text(reader, |text| this.set_mode(text))
}

fn write_hold(this: &Arc<Shared>, _: &mut UserSliceReader) -> Result {
    this.hold()
}

fn write_release(this: &Arc<Shared>, _: &mut UserSliceReader) -> Result {
    this.released.store(true, SeqCst);
    Ok(())
}

fn read_held(this: &Arc<Shared>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(f, "{}", u8::from(this.held.load(SeqCst)))
}

type Control<T> = Pin<KBox<File<T>>>;

/// The device's data. Its fields are dropped in this order: `release` is still there while the
/// registration waits for its handler.
struct Data {
    _registration: Devres<lazyirq::Registration<Line>>,
    _files: [Control<Arc<Shared>>; 3],
    _dir: Dir,
}

static IPL: AtomicU8 = AtomicU8::new(5);

struct Lines;

impl platform::Driver for Lines {
    type IdInfo = ();
    type Data<'bound> = Data;

    fn probe<'bound>(
        pdev: &'bound platform::Device<Core<'_>>,
        _info: Option<&'bound Self::IdInfo>,
    ) -> impl PinInit<Data, Error> + 'bound {
        let shared = Arc::pin_init(
            try_pin_init!(Shared {
                device: Device::new(pdev.as_ref()),
                mutex <- lazyirq::new_mutex!(0, "line"),
                mode: AtomicU8::new(0),
                count: AtomicU32::new(0),
                held: AtomicBool::new(false),
                released: AtomicBool::new(false),
            }? Error),
            GFP_KERNEL,
        )?;
        let registration = lazyirq::register(
            pdev.as_ref(),
            pdev.irq_by_index(0)?,
            Options::new(c"lazyirq_lines", Ipl::new(IPL.load(SeqCst))?).shared(),
            Line(shared.clone()),
        )?;
        let dir = Dir::new(pdev.as_ref().name());
        macro_rules! control {
            ($name:literal, $write:expr) => {
                KBox::pin_init(
                    dir.read_write_callback_file($name, shared.clone(), &read_held, &$write),
                    GFP_KERNEL,
                )?
            };
        }
        let files = [
            control!(c"mode", write_mode),
            control!(c"hold", write_hold),
            control!(c"release", write_release),
        ];
        Ok(Data {
            _registration: registration,
            _files: files,
            _dir: dir,
        })
    }
}

fn write_ipl(_: &(), reader: &mut UserSliceReader) -> Result {
    with_text(reader, |text| {
        IPL.store(text.parse().map_err(|_| EINVAL)?, SeqCst);
        Ok(())
    })
}

#[pin_data]
struct Module {
    #[pin]
    _driver: driver::Registration<platform::Adapter<Lines>>,
    _ipl: Control<()>,
    _dir: Dir,
}

impl kernel::InPlaceModule for Module {
    fn init(module: &'static ThisModule) -> impl PinInit<Self, Error> {
        let dir = Dir::new(c"lazyirq_lines");
        let ipl = KBox::pin_init(dir.write_callback_file(c"ipl", (), &write_ipl), GFP_KERNEL);
        try_pin_init!(Self {
            _driver <- driver::Registration::new(c"lazyirq_lines", module),
            _ipl: ipl?,
            _dir: dir,
        })
    }
}

module! {
    type: Module,
    name: "lazyirq_lines",
    authors: ["The lazyirq developers"],
    description: "Selftests of lazyirq, on simulated interrupt lines",
    license: "GPL v2",
}

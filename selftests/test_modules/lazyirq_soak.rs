// SPDX-License-Identifier: GPL-2.0

//! The soak's driver, on the simulated devices of `lazyirq_sim.ko`: handlers and threads that do
//! random things that they may do, and account for every interrupt.
//!
//! It takes the devices that are bound to it by `driver_override`. In `/sys/kernel/debug/lazyirq_soak/`
//!
//! - `work`: write `<seed> <milliseconds>`, and the writer raises interrupts and takes locks for that
//!   long, all of it drawn from the seed; with ` fifo` appended, as a real-time thread;
//! - `accounts`: for each device, what its handler has counted: how often it was run, how many of the
//!   runs answered an event, how many events came on top of these, and how many runs found none.
//!
//! The handlers' choices are drawn from the parameter `seed`, with a sequence of its own for each device.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use kernel::{
    debugfs::{Dir, File},
    device::Core,
    devres::Devres,
    driver, fmt,
    irq::IrqReturn,
    platform,
    prelude::*,
    str::CStr,
    sync::{global_lock, Arc},
    time::{
        delay::{fsleep, udelay},
        Delta, Instant, Monotonic,
    },
    uaccess::UserSliceReader,
};
use lazyirq::{static_lock, Handler, Interrupt, Ipl, Options};

#[allow(dead_code)]
mod common;
use common::with_text;
mod sim;
use sim::Device;

// lazyirq_sim.h
extern "C" {
    fn lazyirq_sim_raise(line: c_uint, source: c_uint);
}

/// The devices that are raised: soak-guest.sh has each of them bound, some not all the time.
const RAISED: [(c_uint, c_uint); 10] = [
    (0, 0),
    (1, 0),
    (2, 0),
    (3, 0),
    (4, 0),
    (5, 0),
    (5, 1),
    (6, 0),
    (6, 1),
    (7, 0),
];

static_lock! {
    // If several are taken, they are taken in this order.
    static M0: Mutex<u64> = 0;
    static M1: Mutex<u64> = 0;
    static M2: Mutex<u64> = 0;
    static RW: RwLock<u64> = 0;
}

/// Numbers that look random: xorshift64*.
struct Random(AtomicU64);

impl Random {
    fn new(seed: u64) -> Self {
        let this = Self(AtomicU64::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1));
        // The first numbers are alike for seeds that differ little.
        (0..8).for_each(|_| _ = this.below(1));
        this
    }

    /// One of 0 to `limit` - 1. One caller at a time.
    fn below(&self, limit: u64) -> u64 {
        let mut x = self.0.load(Relaxed);
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        self.0.store(x, Relaxed);
        // The upper 31 bits are the most random ones.
        ((x.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) * limit) >> 31
    }
}

struct Shared {
    name: [u8; 16],
    irq: u32,
    device: Device,
    random: Random,
    runs: AtomicU64,
    answering: AtomicU64,
    merged: AtomicU64,
    none: AtomicU64,
}

impl Shared {
    /// Counts a run that is over and has answered this many events.
    fn account(&self, events: usize) -> IrqReturn {
        if events == 0 {
            self.none.fetch_add(1, Relaxed);
            return IrqReturn::None;
        }
        self.answering.fetch_add(1, Relaxed);
        self.merged.fetch_add(events as u64 - 1, Relaxed);
        IrqReturn::Handled
    }
}

struct Soaked(Arc<Shared>);

impl Handler for Soaked {
    async fn handle(&self, irq: Interrupt<'_>) -> IrqReturn {
        let Shared { random, .. } = &*self.0;
        self.0.runs.fetch_add(1, Relaxed);
        if !self.0.device.asks() {
            return self.0.account(0);
        }
        // Some answer their devices only at the end: until then the devices keep asking.
        let late = random.below(4) == 0;
        let mut events = if late { 0 } else { self.0.device.answer() };
        let work = || udelay(Delta::from_micros(random.below(10) as i64));
        let which = random.below(3);
        let mutex = [&M0, &M1, &M2][which as usize];
        match random.below(8) {
            0 | 1 => {
                *mutex.lock_irq(irq).await += 1;
                work();
            }
            2 => {
                let mut first = M0.lock_irq(irq).await;
                let mut second = [&M1, &M2][random.below(2) as usize].lock_irq(irq).await;
                (*first, *second) = (*second, *first);
                work();
            }
            3 => {
                let seen = RW.read_irq(irq).await;
                work();
                core::hint::black_box(*seen);
            }
            4 => *RW.write_irq(irq).await += 1,
            5 => {
                irq.defer().await;
                *mutex.lock_irq(irq).await += 1;
            }
            6 => {
                if let Some(mut count) = mutex.try_lock_irq(irq) {
                    *count += 1;
                }
            }
            _ => work(),
        }
        if late {
            events = self.0.device.answer();
        }
        self.0.account(events)
    }
}

/// Raises a few interrupts.
fn raise(random: &Random) {
    for _ in 0..random.below(4) {
        let (line, source) = RAISED[random.below(RAISED.len() as u64) as usize];
        // SAFETY: Any context. There are such devices.
        unsafe { lazyirq_sim_raise(line, source) };
    }
}

/// What a thread does while it holds a lock.
fn hold(random: &Random) {
    raise(random);
    match random.below(4) {
        0 => udelay(Delta::from_micros(random.below(100) as i64)),
        1 => fsleep(Delta::from_micros(random.below(500) as i64)),
        _ => (),
    }
    raise(random);
}

fn work(seed: u64, time: Delta) {
    let random = Random::new(seed);
    let start = Instant::<Monotonic>::now();
    while start.elapsed() < time {
        match random.below(8) {
            0..=2 => raise(&random),
            3 => {
                let _guard = [&M0, &M1, &M2][random.below(3) as usize].lock();
                hold(&random);
            }
            4 => {
                let _first = M0.lock();
                hold(&random);
                let _second = [&M1, &M2][random.below(2) as usize].lock();
                hold(&random);
            }
            5 => {
                let _guard = RW.read();
                hold(&random);
            }
            6 => {
                let _guard = RW.write();
                hold(&random);
            }
            _ => fsleep(Delta::from_micros(random.below(1000) as i64)),
        }
    }
}

fn write_work(_: &(), reader: &mut UserSliceReader) -> Result {
    with_text(reader, |text| {
        let (text, fifo) = match text.strip_suffix(" fifo") {
            Some(text) => (text, true),
            None => (text, false),
        };
        let (seed, ms) = text.split_once(' ').ok_or(EINVAL)?;
        let (seed, ms) = (
            seed.parse().map_err(|_| EINVAL)?,
            ms.parse().map_err(|_| EINVAL)?,
        );
        if fifo {
            // SAFETY: It is the running thread, which ends soon.
            unsafe { kernel::bindings::sched_set_fifo(kernel::bindings::get_current()) };
        }
        work(seed, Delta::from_millis(ms));
        Ok(())
    })
}

global_lock! {
    // SAFETY: Initialised in the module's init.
    unsafe(uninit) static BOUND: Mutex<KVec<Arc<Shared>>> = KVec::new();
}

fn read_accounts(_: &(), f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for this in &*BOUND.lock() {
        let name =
            CStr::from_bytes_until_nul(&this.name).map_or("?", |name| name.to_str().unwrap_or("?"));
        let count = |count: &AtomicU64| count.load(Relaxed);
        writeln!(
            f,
            "{name} irq {} runs {} answering {} merged {} none {}",
            this.irq,
            count(&this.runs),
            count(&this.answering),
            count(&this.merged),
            count(&this.none)
        )?;
    }
    Ok(())
}

/// A device's data. Its fields are dropped in this order.
struct Data {
    _registration: Devres<lazyirq::Registration<Soaked>>,
    listed: Arc<Shared>,
}

impl Drop for Data {
    fn drop(&mut self) {
        BOUND
            .lock()
            .retain(|other| !Arc::ptr_eq(other, &self.listed));
    }
}

struct Soak;

impl platform::Driver for Soak {
    type IdInfo = ();
    type Data<'bound> = Data;

    fn probe<'bound>(
        pdev: &'bound platform::Device<Core<'_>>,
        _info: Option<&'bound Self::IdInfo>,
    ) -> impl PinInit<Data, Error> + 'bound {
        let dev: &kernel::device::Device<Core<'_>> = pdev.as_ref();
        let request = pdev.irq_by_index(0)?;
        let mut name = [0; 16];
        let bytes = dev.name().to_bytes();
        name.get_mut(..bytes.len())
            .ok_or(EINVAL)?
            .copy_from_slice(bytes);
        let number = bytes.iter().fold(0u64, |sum, &byte| {
            sum.wrapping_mul(31).wrapping_add(byte.into())
        });
        let random = Random::new(module_parameters::seed.value() ^ number);
        // The more important a level, the fewer devices have it.
        let ipl = Ipl::new(1 + (random.below(10) * random.below(10) / 9) as u8)?;
        let shared = Arc::new(
            Shared {
                name,
                irq: request.irq(),
                device: Device::new(dev),
                random,
                runs: AtomicU64::new(0),
                answering: AtomicU64::new(0),
                merged: AtomicU64::new(0),
                none: AtomicU64::new(0),
            },
            GFP_KERNEL,
        )?;
        let registration = lazyirq::register(
            pdev.as_ref(),
            request,
            Options::new(c"lazyirq_soak", ipl).shared(),
            Soaked(shared.clone()),
        )?;
        BOUND.lock().push(shared.clone(), GFP_KERNEL)?;
        Ok(Data {
            _registration: registration,
            listed: shared,
        })
    }
}

#[pin_data]
struct Module {
    #[pin]
    _driver: driver::Registration<platform::Adapter<Soak>>,
    _files: [Pin<KBox<File<()>>>; 2],
    _dir: Dir,
}

impl kernel::InPlaceModule for Module {
    fn init(module: &'static ThisModule) -> impl PinInit<Self, Error> {
        // SAFETY: Once, here.
        unsafe { BOUND.init() };
        pin_init::pin_init_scope(move || {
            let dir = Dir::new(c"lazyirq_soak");
            let files = [
                KBox::pin_init(
                    dir.write_callback_file(c"work", (), &write_work),
                    GFP_KERNEL,
                )?,
                KBox::pin_init(
                    dir.read_callback_file(c"accounts", (), &read_accounts),
                    GFP_KERNEL,
                )?,
            ];
            Ok(try_pin_init!(Self {
                _driver <- driver::Registration::new(c"lazyirq_soak", module),
                _files: files,
                _dir: dir,
            }))
        })
    }
}

module! {
    type: Module,
    name: "lazyirq_soak",
    authors: ["The lazyirq developers"],
    description: "Selftests of lazyirq: a soak on simulated interrupt lines",
    license: "GPL v2",
    params: {
        seed: u64 {
            default: 1,
            description: "What the handlers' choices are drawn from",
        },
    },
}

// SPDX-License-Identifier: GPL-2.0

//! The device: its registers, its engines, and what its interrupts report.

use crate::state::{Job, Source, State, Wait};
use kernel::{
    device::{Bound, Core, Device},
    dma::{Coherent, Device as _, DmaMask},
    io::{poll::read_poll_timeout, Io},
    new_mutex, pci,
    prelude::*,
    sync::{aref::ARef, Arc, Mutex},
    time::Delta,
};

/// How much of the BAR is mapped.
pub(crate) const REGISTERS: usize = 0x100;
const ID: usize = 0x00;
const LIVENESS: usize = 0x04;
const FACTORIAL: usize = 0x08;
const STATUS: usize = 0x20;
const IRQ_STATUS: usize = 0x24;
const IRQ_RAISE: usize = 0x60;
const IRQ_ACK: usize = 0x64;
const DMA_SOURCE: usize = 0x80;
const DMA_DESTINATION: usize = 0x88;
const DMA_COUNT: usize = 0x90;
const DMA_COMMAND: usize = 0x98;

/// Any number will do.
const LIVENESS_PROBE: u32 = 0x1a2b3c4d;
const STATUS_COMPUTING: u32 = 1 << 0;
const STATUS_INTERRUPT: u32 = 1 << 7;
const DMA_START: u32 = 1 << 0;
const DMA_TO_RAM: u32 = 1 << 1;
const DMA_INTERRUPT: u32 = 1 << 2;

/// Where the device's own buffer is, in its own address space, and how long it is.
const DEVICE_BUFFER: u32 = 0x40000;
pub(crate) const DMA_BYTES: usize = 4096;

/// The mapped part of the BAR, until the device is unbound.
type DevresBar = pci::DevresBar<REGISTERS>;
pub(crate) type Bar<'a> = pci::Bar<'a, REGISTERS>;

/// What serves the interrupt, and thus which of the two locks is in use.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mechanism {
    Lazy,
    Stock,
}

/// A bound device, and what remains of it for files that are still open after it is unbound.
#[pin_data]
pub(crate) struct Edu {
    pub(crate) dev: ARef<Device>,
    pub(crate) mechanism: Mechanism,
    bar: DevresBar,
    /// The state, if lazyirq serves the interrupt.
    #[pin]
    pub(crate) lazy: lazyirq::Mutex<State>,
    /// The state, if the stock mechanism does.
    #[pin]
    pub(crate) stock: Mutex<State>,
    /// The engines: each has one requester at a time. These are taken before the state's lock.
    #[pin]
    factorial: Mutex<()>,
    /// With the memory it transfers from and to, which is taken out when the device is unbound.
    #[pin]
    dma: Mutex<Option<DmaMemory>>,
    #[pin]
    raised: Mutex<()>,
    /// What a read of the character device returns.
    #[pin]
    pub(crate) answer: Mutex<KVec<u8>>,
}

struct DmaMemory {
    there: DmaBuffer,
    back: DmaBuffer,
}

struct DmaBuffer {
    memory: Coherent<[u8]>,
    /// Its DMA address, which fits, since the device drives at most 32 address bits.
    address: u32,
}

impl DmaMemory {
    fn new(pdev: &pci::Device<Core<'_>>, dma_bits: u8) -> Result<Self> {
        let mask = DmaMask::try_new(dma_bits.into())?;
        // SAFETY: The device was just found: nobody allocates DMA memory for it yet.
        unsafe { pdev.dma_set_mask_and_coherent(mask)? };
        let dev: &Device<Bound> = pdev.as_ref();
        Ok(Self {
            there: DmaBuffer::new(dev)?,
            back: DmaBuffer::new(dev)?,
        })
    }
}

impl DmaBuffer {
    fn new(dev: &Device<Bound>) -> Result<Self> {
        let memory = Coherent::zeroed_slice(dev, DMA_BYTES, GFP_KERNEL)?;
        let address = memory.dma_address().try_into()?;
        Ok(Self { memory, address })
    }
}

impl Edu {
    /// Checks that this is a working edu device, and makes it ready. It does not interrupt yet.
    pub(crate) fn new(
        pdev: &pci::Device<Core<'_>>,
        mechanism: Mechanism,
        dma_bits: u8,
    ) -> Result<Arc<Self>> {
        let bar = pdev.iomap_region_sized::<REGISTERS>(0, c"lazyirq_edu")?;
        let id = bar.read32(ID);
        if id & 0xffff != 0x00ed {
            dev_err!(
                pdev,
                "not an edu device: it says {id:#010x}, not 0xRRrr00ed\n"
            );
            return Err(ENODEV);
        }
        bar.write32(LIVENESS_PROBE, LIVENESS);
        let alive = bar.read32(LIVENESS);
        if alive != !LIVENESS_PROBE {
            dev_err!(
                pdev,
                "the device is not alive: it says {alive:#010x}, not {:#010x}\n",
                !LIVENESS_PROBE
            );
            return Err(EIO);
        }
        // Clear what a previous driver may have left behind.
        bar.write32(!0, IRQ_ACK);
        bar.write32(STATUS_INTERRUPT, STATUS);

        let dev: &Device<Bound> = pdev.as_ref();
        // The rest works without DMA.
        let memory = DmaMemory::new(pdev, dma_bits)
            .inspect_err(|error| {
                dev_warn!(
                    dev,
                    "no DMA: no memory can be had that {dma_bits} address bits reach: {error:?}\n"
                )
            })
            .ok();
        Arc::pin_init(
            try_pin_init!(Self {
                dev: (&**dev).into(),
                mechanism,
                bar: bar.into_devres()?,
                lazy <- lazyirq::new_mutex!(State::default(), "edu"),
                stock <- new_mutex!(State::default()),
                factorial <- new_mutex!(()),
                dma <- new_mutex!(memory),
                raised <- new_mutex!(()),
                answer <- new_mutex!(KVec::new()),
            }? Error),
            GFP_KERNEL,
        )
    }

    /// The registers, while the device is bound.
    pub(crate) fn registers<'a>(&'a self, dev: &'a Device<Bound>) -> Result<&'a Bar<'a>> {
        self.bar.access(dev)
    }

    /// The first half of either handler, before anything can block: acknowledges the interrupt, and
    /// returns the registers and the status. None if the device does not interrupt.
    pub(crate) fn acknowledge<'a>(&'a self, dev: &'a Device<Bound>) -> Option<(&'a Bar<'a>, u32)> {
        let bar = self.registers(dev).ok()?;
        let status = bar.read32(IRQ_STATUS);
        if status == 0 {
            return None;
        }
        bar.write32(status, IRQ_ACK);
        Some((bar, status))
    }

    /// The second half of either handler, with the state's lock held.
    pub(crate) fn record(state: &mut State, bar: &Bar<'_>, status: u32) {
        for source in Source::ALL {
            if status & source.bit() != 0 {
                let answer = match source {
                    Source::Factorial => bar.read32(FACTORIAL),
                    Source::Dma => 0,
                    Source::Raised => state.count_raised(),
                };
                state.end(source, Ok(answer));
            }
        }
    }

    /// Calls `f` with the state's lock held, taken as by a thread.
    fn with_state<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        match self.mechanism {
            Mechanism::Lazy => f(&mut self.lazy.lock()),
            Mechanism::Stock => f(&mut self.stock.lock()),
        }
    }

    /// Gives the device a job, waits for the interrupt that ends it, and returns its answer.
    ///
    /// With `held`, it is started with the state's lock held, so that the interrupt finds it held.
    fn run(&self, source: Source, held: bool, start: impl Fn(&Bar<'_>)) -> Result<u32> {
        let wait = Wait::new()?;
        let job = Job {
            wait: wait.clone(),
            answer: None,
        };
        let start = || {
            let bar = self.bar.try_access().ok_or(ENODEV)?;
            start(&bar);
            // The write may be posted: once a read is answered, it has reached the device.
            bar.read32(ID);
            Ok(())
        };
        let mut started: Result = self.with_state(|state| {
            state.begin(source, job)?;
            if held {
                start()?;
                self.wait_for_contention();
            }
            Ok(())
        });
        if !held && started.is_ok() {
            started = start();
        }
        if started.is_ok() {
            wait.wait();
        }
        let job = self.with_state(|state| state.take(source));
        started?;
        job.and_then(|job| job.answer).unwrap_or_else(|| {
            dev_err!(self.dev, "no interrupt came for a job ({source:?})\n");
            Err(ETIMEDOUT)
        })
    }

    /// The interrupt may go to another CPU: gives it time to find the lock held. (The kernel's
    /// mutex does not tell whether it is contended.)
    fn wait_for_contention(&self) {
        if self.mechanism == Mechanism::Lazy {
            // A timeout is not a failure: the interrupt is handled all the same.
            let _ = read_poll_timeout(
                || Ok(self.lazy.is_contended()),
                |&contended| contended,
                Delta::from_micros(10),
                Delta::from_millis(100),
            );
        }
    }

    /// The factorial of `n`, modulo 2^32.
    pub(crate) fn factorial(&self, n: u32) -> Result<u32> {
        let _engine = self.factorial.lock();
        let status = self.bar.try_access().ok_or(ENODEV)?.read32(STATUS);
        if status & STATUS_COMPUTING != 0 {
            return Err(EBUSY); // Still busy with a job that timed out.
        }
        self.run(Source::Factorial, false, |bar| bar.write32(n, FACTORIAL))
    }

    /// Transfers `bytes` to the device and back. Returns what came back.
    pub(crate) fn dma(&self, bytes: &[u8]) -> Result<KVec<u8>> {
        let memory = self.dma.lock();
        let command = self.bar.try_access().ok_or(ENODEV)?.read32(DMA_COMMAND);
        let memory = memory.as_ref().ok_or(ENXIO)?;
        if command & DMA_START != 0 {
            return Err(EBUSY); // Still busy with a job that timed out.
        }
        let mut buffer = KVec::from_elem(0, DMA_BYTES, GFP_KERNEL)?;
        memory.back.memory.copy_from_slice(&buffer);
        buffer
            .get_mut(..bytes.len())
            .ok_or(EMSGSIZE)?
            .copy_from_slice(bytes);
        memory.there.memory.copy_from_slice(&buffer);

        let count = bytes.len() as u32;
        let transfer = |source, destination, direction| {
            self.run(Source::Dma, false, |bar| {
                bar.write32(source, DMA_SOURCE);
                bar.write32(destination, DMA_DESTINATION);
                bar.write32(count, DMA_COUNT);
                bar.write32(DMA_START | DMA_INTERRUPT | direction, DMA_COMMAND);
            })
        };
        transfer(memory.there.address, DEVICE_BUFFER, 0)?;
        transfer(DEVICE_BUFFER, memory.back.address, DMA_TO_RAM)?;

        memory.back.memory.copy_to_slice(&mut buffer);
        buffer.truncate(bytes.len());
        Ok(buffer)
    }

    /// Makes the device interrupt `count` times, and waits for each interrupt. Returns how many
    /// the handler has counted.
    pub(crate) fn raise(&self, count: u32, held: bool) -> Result<u32> {
        let _engine = self.raised.lock();
        let before = self.with_state(|state| state.raised());
        for _ in 0..count {
            if current!().signal_pending() {
                return Err(EINTR);
            }
            self.run(Source::Raised, held, |bar| {
                bar.write32(Source::Raised.bit(), IRQ_RAISE)
            })?;
        }
        Ok(self.with_state(|state| state.raised()).wrapping_sub(before))
    }

    /// The device is being unbound: ends the jobs, and stops its DMA and interrupts.
    pub(crate) fn shut_down(&self, dev: &Device<Bound>) {
        self.with_state(State::shut_down);
        let Ok(bar) = self.registers(dev) else {
            return;
        };
        bar.write32(0, STATUS);
        let memory = self.dma.lock().take();
        let idle = read_poll_timeout(
            || Ok(bar.read32(DMA_COMMAND)),
            |command| command & DMA_START == 0,
            Delta::from_millis(10),
            Delta::from_secs(1),
        );
        if idle.is_err() {
            dev_err!(dev, "a transfer does not end: its memory is not freed\n");
            core::mem::forget(memory);
        }
    }
}

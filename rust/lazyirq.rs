// SPDX-License-Identifier: GPL-2.0

//! Lazy interrupt threads: interrupt handlers that run at hard-IRQ speed and may block on a lock.
//!
//! A [`Handler`] starts in hard-IRQ context, on top of whatever was interrupted. If it meets a [`Mutex`] or
//! [`RwLock`] that somebody holds, it blocks: its state is kept where it lies, the interrupted code continues
//! at once, and when the lock is released the handler continues from there: in the thread that releases the
//! lock, before anything else, or, where that is not allowed, in an interrupt thread, of which there is one
//! for each CPU and interrupt priority level ([`Ipl`]).
//!
//! A driver implements [`Handler`], calls [`register`], and shares its data in a [`Mutex`]
//! or a [`RwLock`].

use kernel::prelude::*;

mod bindings;
mod continuation;
mod counters;
mod debugfs;
mod handler;
mod histogram;
mod ipl;
mod irq;
mod ithread;
mod line;
mod observe;
mod percpu;
mod primitive;
mod registered;
mod releaser;
mod runqueue;
mod seqcount;
mod slot;
mod stats;
mod stock;
mod sync;
mod times;

pub use handler::{complete, Defer, Handler, Interrupt};
pub use ipl::Ipl;
pub use irq::{register, Options, Registration};
pub use kernel::irq::IrqReturn;
pub use stock::StockMeter;
pub use sync::{
    Access, Exclusive, Guard, IrqGuard, IrqReadGuard, IrqWriteGuard, Lock, LockIrq, Mutex,
    ReadGuard, RwLock, Shared, WriteGuard,
};

module! {
    type: LazyIrq,
    name: "lazyirq",
    authors: ["The lazyirq developers"],
    description: "Lazy interrupt threads: interrupt handlers that may block on a lock",
    license: "GPL v2",
    params: {
        boost_delay_us: u32 {
            default: 200,
            description: "Microseconds within which an interrupt or a real-time thread that waits for a lock lends its priority to the owner; 0: at once",
        },
        stall_ms: u32 {
            default: 1000,
            description: "Milliseconds after which a handler that still waits for a lock is reported; 0: never",
        },
    },
}

struct LazyIrq {
    // Dropped before what they show.
    _files: debugfs::Files,
    _lenders: sync::Lenders,
    _ithreads: ithread::Ithreads,
}

impl kernel::Module for LazyIrq {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        debugfs::init();
        let ithreads = ithread::Ithreads::new()?;
        let lenders = sync::Lenders::new(
            module_parameters::boost_delay_us.value(),
            module_parameters::stall_ms.value(),
        )?;
        let files = debugfs::Files::new()?;
        // SAFETY: It was set before, and is not set again.
        observe::measure(unsafe { bindings::lazyirq_latency });
        Ok(Self {
            _files: files,
            _lenders: lenders,
            _ithreads: ithreads,
        })
    }
}

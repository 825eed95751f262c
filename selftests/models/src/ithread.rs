// SPDX-License-Identifier: GPL-2.0

//! What is left of `rust/ithread.rs` without a kernel: one CPU, where nothing else is unfinished, with
//! an ithread of one IPL, whose priority can be set. What it runs is in `slot.rs`.

#[path = "../../../rust/ithread/boost.rs"]
mod boost;

#[cfg(test)]
mod models;

use crate::{
    bindings::lazyirq_cpu,
    primitive::{AtomicBool, AtomicPtr, Cell},
    releaser::Batch,
    slot::Head,
};
use boost::Boosted;
pub(crate) use boost::{has_run, Boost};
use std::ptr;

pub(crate) fn enqueue(head: &Head, _home: &Cpu) {
    head.enqueue();
}

pub(crate) unsafe fn resume_in_releaser(head: &Head, batch: &Batch) {
    head.resume(batch);
}

pub(crate) unsafe fn is_alone(_cpu: &Cpu, _ipl: usize) -> bool {
    true
}

pub(crate) fn is_busy(_cpu: &Cpu, _ipl: usize) -> bool {
    unreachable!()
}

/// A thread, as the scheduler knows it.
pub(crate) struct Task {
    pub(crate) fifo: Cell<u32>,
}

struct Work {
    thread: AtomicPtr<Task>,
    boosted: Boosted,
}

pub(crate) struct Cpu {
    /// For IPL 1, and for none.
    work: [Work; 2],
    has_boosts: AtomicBool,
}

// SAFETY: Loom checks what is done with it.
unsafe impl Sync for Cpu {}

loom::lazy_static! {
    static ref CPU: Cpu = Cpu {
        work: std::array::from_fn(|_| Work {
            thread: AtomicPtr::new(ptr::null_mut()),
            boosted: Boosted::new(),
        }),
        has_boosts: AtomicBool::new(false),
    };
}

impl Cpu {
    pub(crate) unsafe fn from_raw(element: *mut lazyirq_cpu) -> Option<&'static Self> {
        (!element.is_null()).then(|| cpu(0))
    }

    pub(crate) fn id(&self) -> u32 {
        0
    }
}

pub(crate) fn cpu(_id: u32) -> &'static Cpu {
    &CPU
}

// SPDX-License-Identifier: GPL-2.0

//! What is left of `rust/ithread.rs` without a kernel: one CPU, where nothing else is unfinished, with
//! an ithread of one IPL, whose priority can be set. What it runs is in `slot.rs`.

#[path = "../../../rust/ithread/boost.rs"]
mod boost;

#[cfg(test)]
mod models;

use crate::{
    primitive::{AtomicPtr, Cell},
    releaser::Batch,
    slot::Head,
};
pub(crate) use boost::Boost;
use boost::Boosted;
use std::ptr;

pub(crate) fn enqueue(head: &Head, _home: u32) {
    head.enqueue();
}

pub(crate) unsafe fn resume_in_releaser(head: &Head, batch: &Batch) {
    head.resume(batch);
}

pub(crate) unsafe fn is_alone(_cpu: u32, _ipl: usize) -> bool {
    true
}

pub(crate) fn is_busy(_cpu: u32, _ipl: usize) -> bool {
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

struct Cpu {
    /// For IPL 1, and for none.
    work: [Work; 2],
}

// SAFETY: Loom checks what is done with it.
unsafe impl Sync for Cpu {}

loom::lazy_static! {
    static ref CPU: Cpu = Cpu {
        work: std::array::from_fn(|_| Work {
            thread: AtomicPtr::new(ptr::null_mut()),
            boosted: Boosted::new(),
        }),
    };
}

fn cpu(_id: u32) -> &'static Cpu {
    &CPU
}

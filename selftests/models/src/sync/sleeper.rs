// SPDX-License-Identifier: GPL-2.0

//! What is left of `rust/sync/sleeper.rs`: a loom thread is a task.

use crate::{
    prelude::{Result, EINTR},
    primitive::Cell,
    releaser::Batch,
    slot::Head,
    sync::raw::Owner,
};
use loom::sync::{Condvar, Mutex};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

const HANDLERS: u32 = 1000;

#[repr(align(8))]
struct Task {
    priority: AtomicU32,
    signalled: AtomicBool,
}

loom::thread_local! {
    static TASK: Task = Task {
        priority: AtomicU32::new(20),
        signalled: AtomicBool::new(false),
    };
}

/// Gives the running thread a priority.
pub(super) fn set_priority(priority: u32) {
    TASK.with(|task| task.priority.store(priority, Relaxed));
}

/// Gives the running thread a signal. It is no loss that it comes before the wait: it is looked at when
/// the thread would sleep, which may be at any time.
pub(crate) fn signal() {
    TASK.with(|task| task.signalled.store(true, Relaxed));
}

impl Owner {
    pub(super) fn handler(head: &Head) -> Self {
        Self::of_slot(core::ptr::from_ref(head) as usize)
    }

    pub(super) fn thread() -> Self {
        Self::of_task(TASK.with(|task| core::ptr::from_ref(task) as usize))
    }
}

pub(super) fn thread_priority() -> u32 {
    TASK.with(|task| task.priority.load(Relaxed))
}

pub(super) fn handler_priority(ipl: usize) -> u32 {
    HANDLERS + ipl as u32
}

pub(super) fn fifo_priority(priority: u32) -> u32 {
    priority
}

#[derive(Clone, Copy)]
pub(super) enum Sleeper {
    Handler(*const Head),
    Thread(*const Sleep),
}

impl Sleeper {
    /// # Safety
    ///
    /// What it points to is alive. It may be gone afterwards.
    pub(super) unsafe fn wake(self, batch: Option<&Batch>) {
        // SAFETY: By the requirement.
        unsafe {
            match self {
                Sleeper::Handler(head) => (*head).wake(batch),
                Sleeper::Thread(sleep) => (*sleep).complete(),
            }
        }
    }
}

/// The kernel's completion.
pub(crate) struct Sleep {
    over: Mutex<Cell<bool>>,
    woken: Condvar,
}

impl Sleep {
    pub(crate) fn new() -> Self {
        Self {
            over: Mutex::new(Cell::new(false)),
            woken: Condvar::new(),
        }
    }

    pub(crate) fn complete(&self) {
        let over = self.over.lock().unwrap();
        over.set(true);
        self.woken.notify_one();
    }

    pub(crate) fn wait(&self) {
        let mut over = self.over.lock().unwrap();
        while !over.get() {
            over = self.woken.wait(over).unwrap();
        }
        over.set(false);
    }

    pub(super) fn wait_interruptible(&self) -> Result {
        if !TASK.with(|task| task.signalled.load(Relaxed)) {
            self.wait();
        } else if !self.over.lock().unwrap().get() {
            return Err(EINTR);
        }
        Ok(())
    }
}

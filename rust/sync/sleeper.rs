// SPDX-License-Identifier: GPL-2.0

//! The takers of locks, as the kernel knows them: threads and handlers, how urgent they are, and how
//! they are woken.

use crate::{bindings, ipl::Ipl, releaser::Batch, slot::Head, sync::raw::Owner};
use kernel::{prelude::*, task::Task, types::Opaque};

impl Owner {
    #[inline(always)]
    pub(super) fn handler(head: &Head) -> Self {
        Self::of_slot(core::ptr::from_ref(head) as usize)
    }

    /// The running thread. Not in hard-IRQ context.
    #[inline(always)]
    pub(super) fn thread() -> Self {
        Self::of_task(Task::current_raw() as usize)
    }
}

/// Handlers come before threads of any kind.
const HANDLERS: u32 = 1000;

/// The scheduler's number for the lowest thread without a real-time policy is 139, for the highest
/// 100; `SCHED_FIFO` 1 to 99 are 98 to 0, and `SCHED_DEADLINE` is -1.
const LOWEST: i32 = 140;

/// The priority, among a lock's waiters, of a thread whose number in the scheduler is `prio`.
pub(super) fn priority_of(prio: c_int) -> u32 {
    (LOWEST - prio) as u32
}

/// The running thread's priority among a lock's waiters.
pub(super) fn thread_priority() -> u32 {
    // SAFETY: `current` is a task.
    priority_of(unsafe { (*Task::current_raw()).prio })
}

/// The priority of a handler among a lock's waiters.
pub(super) fn handler_priority(ipl: usize) -> u32 {
    HANDLERS + ipl as u32
}

/// The `SCHED_FIFO` priority that a waiter of this priority has, and lends to what it waits for; 0
/// for threads without a real-time policy.
pub(super) fn fifo_priority(priority: u32) -> u32 {
    match priority.checked_sub(HANDLERS) {
        Some(ipl) => Ipl::FIFO_BASE + ipl,
        None => priority.saturating_sub(LOWEST as u32 - 99).min(99), // 99 - prio
    }
}

/// How a waiter is woken.
#[derive(Clone, Copy)]
pub(super) enum Sleeper {
    /// A handler: its continuation is made runnable.
    Handler(*const Head),
    /// A thread, asleep on this.
    Thread(*const Sleep),
}

impl Sleeper {
    /// Wakes the waiter. Any context. A handler is added to the batch, if there is one.
    ///
    /// # Safety
    ///
    /// What `self` points to is alive. It may be gone after the call.
    #[inline(always)]
    pub(super) unsafe fn wake(self, batch: Option<&Batch>) {
        match self {
            // SAFETY: By the requirement.
            Sleeper::Handler(head) => unsafe { (*head).wake(batch) },
            // SAFETY: By the requirement. The thread does not return from its wait before this call
            // is done with the completion.
            Sleeper::Thread(sleep) => unsafe { bindings::complete((*sleep).over.get()) },
        }
    }
}

/// A thread's sleep. The kernel crate's `Completion` has neither an interruptible wait nor a
/// `complete()`, which, unlike `complete_all()`, PREEMPT_RT allows in hard-IRQ context.
#[pin_data]
pub(super) struct Sleep {
    #[pin]
    over: Opaque<bindings::completion>,
}

impl Sleep {
    pub(super) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            over <- Opaque::ffi_init(|slot| {
                // SAFETY: `slot` is where the completion is to be.
                unsafe { bindings::init_completion(slot) }
            }),
        })
    }

    /// Sleeps until it is woken. Thread, may sleep.
    pub(super) fn wait(&self) {
        // SAFETY: It was initialised.
        unsafe { bindings::wait_for_completion(self.over.get()) };
    }

    /// Sleeps until it is woken, or there is a signal. Thread, may sleep.
    pub(super) fn wait_interruptible(&self) -> Result {
        // SAFETY: It was initialised.
        let ret = unsafe { bindings::wait_for_completion_interruptible(self.over.get()) };
        if ret == 0 {
            Ok(())
        } else {
            Err(EINTR)
        }
    }
}

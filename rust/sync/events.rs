// SPDX-License-Identifier: GPL-2.0

//! What can be [watched](crate::observe) of a lock: what waits for it, to whom it goes, and how long that
//! takes. And what is counted of it in any case.

pub(super) use crate::observe::observed;
use crate::{
    bindings,
    observe::{identity, measuring, now},
    primitive::Relaxed,
    registered,
    slot::Head,
    sync::{
        raw::{Owner, OwnerKind, Party, RawLock},
        turnstile::{Turnstile, Waiter},
    },
};
use kernel::prelude::*;

/// What is counted of a lock beside its turnstile's work. Protected by the turnstile's lock.
#[derive(Clone, Copy)]
pub(super) struct Tally {
    /// Threads that have waited for the lock.
    pub(super) threads: u64,
    /// Handlers that have waited for it.
    pub(super) handlers: u64,
    /// How often it was handed over.
    pub(super) handed_over: u64,
    /// How often its owner was lent a priority.
    pub(super) lent: u64,
    /// The longest that a handler has waited for it, in nanoseconds, while times are measured.
    pub(super) longest: u64,
}

impl Tally {
    pub(super) const NONE: Self = Self {
        threads: 0,
        handlers: 0,
        handed_over: 0,
        lent: 0,
        longest: 0,
    };

    /// There is one more waiter. Neither count overflows within centuries.
    #[inline]
    pub(super) fn waits(&mut self, waiter: &Waiter) {
        let count = match waiter.handler() {
            Some(_) => &mut self.handlers,
            None => &mut self.threads,
        };
        *count = count.wrapping_add(1);
    }

    /// The lock goes to one more waiter.
    #[inline]
    pub(super) fn goes_on(&mut self) {
        self.handed_over = self.handed_over.wrapping_add(1);
    }
}

/// A lock's owner or waiter, for the tracepoints: a thread with its pid, or a handler with its
/// interrupt's number, 0 if it is gone.
///
/// # Safety
///
/// If it is a thread, it is alive.
pub(super) unsafe fn who(owner: Owner) -> (OwnerKind, u32) {
    match owner.party() {
        Party::Handler(slot) => {
            let irq = registered::find(slot, Head::irq).unwrap_or(0);
            (OwnerKind::Handler, irq)
        }
        Party::Thread(task) => {
            // SAFETY: By the requirement.
            let pid = unsafe { (*(task as *const bindings::task_struct)).pid };
            (OwnerKind::Thread, pid as u32)
        }
    }
}

/// The lock has been taken.
#[cold]
pub(super) fn is_taken(lock: &RawLock) {
    if measuring() {
        lock.takes.fetch_add(1, Relaxed);
    }
}

/// The waiter has been put into the turnstile, whose lock is held.
#[cold]
pub(super) fn waits(lock: &RawLock, waiter: &Waiter) {
    if measuring() {
        waiter.waits_at(now());
    }
    let Some(head) = waiter.handler() else {
        return;
    };
    let (owner, id) = match lock.owner() {
        // SAFETY: With waiters, it cannot release the lock without the turnstile's lock.
        Some(owner) => unsafe { who(owner) },
        None => (OwnerKind::Readers, lock.readers() as u32),
    };
    let (irq, name) = identity(head);
    // SAFETY: Strings; any context.
    unsafe { bindings::lazyirq_trace_block(irq, name, lock.name.as_char_ptr(), owner as u32, id) };
}

/// The lock goes to the first `count` waiters. The turnstile's lock is held.
#[cold]
pub(super) fn hands_over(lock: &RawLock, turnstile: &mut Turnstile, count: usize) {
    let mut longest = 0;
    for waiter in turnstile.iter().take(count) {
        let (to, id) = match waiter.handler() {
            Some(head) => (OwnerKind::Handler, head.irq()),
            // SAFETY: It waits.
            None => unsafe { who(waiter.request.owner) },
        };
        // SAFETY: A string; any context.
        unsafe { bindings::lazyirq_trace_hand_over(lock.name.as_char_ptr(), to as u32, id) };
        if measuring() && waiter.handler().is_some() {
            longest = longest.max(waiter.waited(now()));
        }
    }
    turnstile.tally.longest = longest.max(turnstile.tally.longest);
}

/// A handler has got the lock that it waited for, and goes on. Called in the context that runs it.
#[cold]
pub(super) fn has_waited(head: &Head, waiter: &Option<Waiter>) {
    if let Some(waiter) = waiter.as_ref().filter(|_| measuring()) {
        head.stats.timer.has_waited(waiter.waited(now()));
    }
}

/// The lock's owner is lent a `SCHED_FIFO` priority. The turnstile's lock is held, so that the owner is
/// alive.
#[cold]
pub(super) fn lends(lock: &RawLock, owner: Owner, priority: u32) {
    // SAFETY: By the requirement.
    let (to, id) = unsafe { who(owner) };
    // SAFETY: A string; any context.
    unsafe { bindings::lazyirq_trace_lend(lock.name.as_char_ptr(), to as u32, id, priority) };
}

/// A handler has waited for the lock for `ms`, which is being reported. The turnstile's lock is held.
#[cold]
pub(super) fn stalls(head: &Head, lock: &RawLock, ms: u64) {
    let (irq, name) = identity(head);
    // SAFETY: Strings; any context.
    unsafe { bindings::lazyirq_trace_stall(irq, name, lock.name.as_char_ptr(), ms) };
}

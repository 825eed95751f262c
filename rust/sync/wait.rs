// SPDX-License-Identifier: GPL-2.0

//! How threads and handlers wait for a lock that has another owner.

use crate::{
    bindings,
    continuation::Phase,
    handler::Interrupt,
    slot::Head,
    sync::{
        events::{self, observed},
        raw::{Owner, RawLock, Taken},
        sleeper::{handler_priority, thread_priority, Sleep, Sleeper},
        turnstile::{Outcome, Request, Waiter},
        watch::is_watched,
    },
};
use kernel::prelude::*;

/// A thread waits for the lock until it is handed over; or, if that is `interruptible`, until there is
/// a signal (`EINTR`) or it turns out to wait for itself (`EDEADLK`).
#[cold]
#[inline(never)]
pub(super) fn thread(raw: &RawLock, shared: bool, interruptible: bool) -> Result {
    pin_init::stack_pin_init!(let sleep = Sleep::new());
    let request = Request {
        owner: Owner::thread(),
        priority: thread_priority(),
        shared,
        can_fail: interruptible,
    };
    let waiter = Waiter::new(request, Sleeper::Thread(&*sleep));
    // SAFETY: Both lie on this stack until the wait is over.
    match unsafe { raw.take_or_queue(&waiter) } {
        Taken::Yes => return Ok(()),
        Taken::Queued(_) => (),
        Taken::Deadlock => {
            report_thread(raw);
            if interruptible {
                return Err(EDEADLK);
            }
            // `lock()` cannot return an error. The thread is never woken.
        }
    }
    if !interruptible {
        sleep.wait();
    } else if let Err(error) = sleep.wait_interruptible() {
        if raw.cancel(&waiter) {
            return Err(error);
        }
        // The outcome came together with the signal: use it.
    }
    if waiter.is(Outcome::Refused) {
        Err(EDEADLK)
    } else {
        Ok(())
    }
}

#[cold]
fn report_thread(raw: &RawLock) {
    pr_err!(
        "a thread waits for lock {}, which it has itself\n",
        raw.name
    );
    // SAFETY: Safe in any context.
    unsafe { bindings::dump_stack() };
}

#[cold]
#[inline(never)]
fn report_handler(raw: &RawLock, head: &Head) {
    pr_err!(
        "{} waits for lock {}, which it has itself\n",
        head.named(),
        raw.name
    );
}

/// Has the lock been handed over to a handler that waits for it?
#[inline]
pub(super) fn handler_has(raw: &RawLock, irq: Interrupt<'_>, waiter: &mut Option<Waiter>) -> bool {
    let granted = matches!(waiter, Some(waiter) if raw.has_granted(waiter));
    if granted {
        succeeds(irq, waiter);
    }
    granted
}

#[inline]
fn succeeds(irq: Interrupt<'_>, waiter: &mut Option<Waiter>) {
    if observed() {
        succeeds_observed(irq, waiter);
    } else {
        over(irq, waiter);
    }
}

/// Does everything, so that where `succeeds` is inlined nothing must be kept across a call.
#[cold]
#[inline(never)]
fn succeeds_observed(irq: Interrupt<'_>, waiter: &mut Option<Waiter>) {
    events::has_waited(irq.head(), waiter);
    over(irq, waiter);
}

#[inline]
fn over(irq: Interrupt<'_>, waiter: &mut Option<Waiter>) {
    irq.head().waits.set(irq.head().waits.get().wrapping_sub(1));
    *waiter = None;
}

/// Begins or continues a handler's wait. Returns whether the lock is taken.
///
/// # Safety
///
/// `waiter` stays where it is until it is `None` or the wait was given up.
#[cold]
#[inline(never)]
pub(super) unsafe fn handler(
    raw: &RawLock,
    irq: Interrupt<'_>,
    waiter: &mut Option<Waiter>,
) -> bool {
    let head = irq.head();
    // All calls of the usual case are tail calls, so that no register has to be saved.
    if waiter.is_some() {
        return goes_on(raw, irq, waiter);
    }
    if observed() || head.waits.get() > 0 {
        // SAFETY: By the function's own requirement.
        return unsafe { queues(raw, irq, false, waiter) };
    }
    let met = raw.owner_alone();
    let Some(met) = met.filter(|&met| met != Owner::handler(head)) else {
        // SAFETY: As above.
        return unsafe { queues(raw, irq, false, waiter) };
    };
    let Some(ipl) = head.arm_first() else {
        // SAFETY: As above.
        return unsafe { queues(raw, irq, false, waiter) };
    };
    let new = waiter.insert(Waiter::alone(request(head, ipl, false), head, met.word()));
    // SAFETY: As above; the handler is armed.
    if !unsafe { raw.wait_alone(met, new, head) } {
        // SAFETY: As above.
        return unsafe { queues_after_all(raw, irq, waiter) };
    }
    head.meets(raw.name, met.kind());
    head.waits.set(1);
    if is_watched(raw) {
        return false;
    }
    raw.admit_alone()
}

/// The same for a handler that wants to read.
///
/// # Safety
///
/// As for `handler`.
#[cold]
#[inline(never)]
pub(super) unsafe fn reading_handler(
    raw: &RawLock,
    irq: Interrupt<'_>,
    waiter: &mut Option<Waiter>,
) -> bool {
    if waiter.is_some() {
        return goes_on(raw, irq, waiter);
    }
    // SAFETY: By the function's own requirement.
    unsafe { queues(raw, irq, true, waiter) }
}

#[inline(always)]
fn request(head: &Head, ipl: usize, shared: bool) -> Request {
    Request {
        owner: Owner::handler(head),
        priority: handler_priority(ipl),
        shared,
        can_fail: true,
    }
}

/// The lock's owner has changed.
///
/// # Safety
///
/// As for `handler`.
#[cold]
#[inline(never)]
unsafe fn queues_after_all(raw: &RawLock, irq: Interrupt<'_>, waiter: &mut Option<Waiter>) -> bool {
    irq.head().disarm(Phase::Idle);
    // SAFETY: By the function's own requirement.
    unsafe { queues(raw, irq, false, waiter) }
}

/// Begins a handler's wait, in the turnstile. Returns whether the lock is taken.
///
/// # Safety
///
/// As for `handler`.
#[cold]
#[inline(never)]
unsafe fn queues(
    raw: &RawLock,
    irq: Interrupt<'_>,
    shared: bool,
    waiter: &mut Option<Waiter>,
) -> bool {
    let head = irq.head();
    // Armed first, since it may be woken, on another CPU, as soon as it is queued.
    let before = head.arm();
    let request = request(head, head.ipl(), shared);
    let new = waiter.insert(Waiter::new(request, Sleeper::Handler(head)));
    // SAFETY: By the function's own requirement; the handler is armed.
    let taken = unsafe { raw.take_or_queue(new) };
    if let Taken::Queued(owner) = taken {
        head.meets(raw.name, owner);
        head.waits.set(head.waits.get().wrapping_add(1));
        return false;
    }
    *waiter = None;
    head.disarm(before);
    if matches!(taken, Taken::Deadlock) {
        // As it is not armed, its pending poll is recognised as one that nothing would end.
        report_handler(raw, head);
    }
    matches!(taken, Taken::Yes)
}

/// A handler that waits is polled. Returns whether the lock is taken.
#[cold]
#[inline(never)]
fn goes_on(raw: &RawLock, irq: Interrupt<'_>, waiter: &mut Option<Waiter>) -> bool {
    let Some(waiting) = waiter else {
        return false;
    };
    // It was polled for something else. Only one that waits since its first poll may be resumed at once.
    raw.admit_alone();
    if raw.has_granted(waiting) {
        succeeds(irq, waiter);
        return true;
    }
    if waiting.is(Outcome::Refused) {
        // Not armed: its pending poll is recognised as one that nothing would end.
        over(irq, waiter);
    } else {
        irq.head().arm();
    }
    false
}

/// Ends a handler's wait. Returns whether the lock was handed over meanwhile.
#[cold]
pub(super) fn give_up(raw: &RawLock, irq: Interrupt<'_>, waiter: &Waiter) -> bool {
    let head = irq.head();
    let waits = head.waits.get().wrapping_sub(1);
    head.waits.set(waits);
    if raw.cancel(waiter) {
        if waits == 0 {
            // If it goes on to wait for something else, nothing in lazyirq will end that.
            head.ends_last_wait();
        }
        return false;
    }
    raw.has_granted(waiter)
}

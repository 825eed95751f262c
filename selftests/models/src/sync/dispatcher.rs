// SPDX-License-Identifier: GPL-2.0

//! Calls for the dispatcher are noted, and boosts are made by a function.

use crate::{
    continuation::Phase,
    ithread::Boost,
    primitive::{AcqRel, AtomicBool},
    slot::Head,
    sync::{raw::Owner, Lock},
};

loom::lazy_static! {
    static ref DISPATCHED: AtomicBool = AtomicBool::new(false);
}

pub(crate) fn dispatch() {
    DISPATCHED.swap(true, AcqRel);
}

/// In models no ithread ends.
pub(crate) fn await_dispatcher() {}

/// Was the dispatcher called since this was last asked?
#[cfg(test)]
pub(crate) fn dispatched() -> bool {
    DISPATCHED.swap(false, AcqRel)
}

/// The dispatcher has seen that the handler owns the lock, and that the lock has a waiter.
pub(crate) fn boost(lock: &Lock, head: &Head, fifo: u32) {
    let turnstile = lock.raw.turnstile();
    if turnstile.is_empty() || lock.raw.owner() != Some(Owner::handler(head)) {
        return;
    }
    let boost = match head.continuation.load().phase() {
        Phase::Queued | Phase::Running => Boost::new(head, fifo),
        _ => None,
    };
    drop(turnstile);
    if let Some(boost) = boost {
        boost.perform();
    }
}

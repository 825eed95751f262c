// SPDX-License-Identifier: GPL-2.0

//! The locks that have ever been waited for: those whose counts are of interest.
//!
//! A lock is added when it gets its first waiter, and removed when it is dropped, or when the module that
//! its name is in goes away.

use crate::{
    primitive::{LockClass, RawSpinLock, Relaxed},
    sync::{
        events::Tally,
        list::{Added, List, KNOWN},
        raw::RawLock,
        turnstile::Turnstile,
    },
};
use core::ffi::CStr;
use kernel::{prelude::*, sync::rcu};

static ADDED: Added<KNOWN> = Added::new();
static LIST: RawSpinLock<List<KNOWN>> = RawSpinLock::new(List::new(), LockClass::List);

/// The lock has got a waiter. Called with its turnstile's lock held.
#[cold]
pub(super) fn learn(lock: &RawLock, turnstile: &mut Turnstile) {
    if !turnstile.known {
        turnstile.known = true;
        // SAFETY: It is in no such list, nor being added to one, as its turnstile's lock is held; and `forget`.
        unsafe { ADDED.add(lock) };
    }
}

/// The lock goes away.
pub(super) fn forget(lock: &RawLock) {
    if !lock.turnstile().known {
        return;
    }
    let list = LIST.lock();
    list.collect(&ADDED);
    // Not if it is off the list by now, as the module that has its name is gone.
    if lock.turnstile().known {
        list.remove(lock);
    }
}

/// A module is going away, and with it its static locks, and the names of locks that it has forgotten to
/// drop: those for whose names `goes` returns true.
pub(super) fn forget_module(goes: impl Fn(*const c_char) -> bool) {
    let list = LIST.lock();
    list.collect(&ADDED);
    list.retain(|lock| {
        let goes = goes(lock.name.as_char_ptr());
        if goes {
            lock.turnstile().known = false;
        }
        !goes
    });
}

/// What a lock's counts were at one moment.
pub(crate) struct Known {
    pub(crate) name: &'static CStr,
    pub(crate) takes: u64,
    pub(crate) threads: u64,
    pub(crate) handlers: u64,
    pub(crate) handed_over: u64,
    pub(crate) lent: u64,
    pub(crate) waiting: u64,
    pub(crate) longest: u64,
}

impl Known {
    fn of(lock: &RawLock) -> Self {
        let turnstile = lock.turnstile();
        let tally = turnstile.tally;
        Self {
            name: lock.name,
            takes: lock.takes.load(Relaxed),
            threads: tally.threads,
            handlers: tally.handlers + lock.alone.get(),
            handed_over: tally.handed_over + lock.alone.get(),
            lent: tally.lent,
            waiting: turnstile.iter().count() as u64,
            longest: tally.longest,
        }
    }
}

/// Calls `show` for each of them. Thread, may sleep.
pub(crate) fn each<E>(show: impl FnMut(&Known) -> Result<(), E>) -> Result<Result<(), E>> {
    let mut known = KVec::new();
    // The names are in modules, whose memory goes after a grace period.
    let _rcu = loop {
        let count = {
            let list = LIST.lock();
            list.collect(&ADDED);
            list.iter().count()
        };
        known.reserve(count, GFP_KERNEL)?;
        let rcu = rcu::read_lock();
        let list = LIST.lock();
        list.collect(&ADDED);
        if list.iter().count() > known.capacity() {
            continue;
        }
        for lock in list.iter() {
            // There is room.
            let _ = known.push_within_capacity(Known::of(lock));
        }
        break rcu;
    };
    Ok(known.iter().rev().try_for_each(show))
}

/// Resets all counts.
pub(crate) fn reset() {
    let list = LIST.lock();
    list.collect(&ADDED);
    for lock in list.iter() {
        lock.turnstile().tally = Tally::NONE;
        lock.alone.reset();
        lock.takes.store(0, Relaxed);
    }
}

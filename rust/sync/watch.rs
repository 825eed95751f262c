// SPDX-License-Identifier: GPL-2.0

//! The locks that somebody waits for.
//!
//! Most waits are over before anything could be done about them. So a lock that gets a waiter is
//! only put in a list, and a timer set for half of `boost_delay_us`, if none is set. It takes out
//! the locks that nobody waits for any more. Where nothing has moved from one look to the next, it
//! calls for the [dispatcher](super::lend); where somebody waits for long, [`stall`] reports it. A new
//! waiter, or a lock that goes to its next owner with others waiting, sets the timer anew.
//!
//! Locks are held in this order: the list's, one turnstile's.

use crate::{
    bindings,
    primitive::{AtomicBool, AtomicU64, Cell, RawSpinLock, Relaxed, SeqCst},
    sync::{
        known,
        lend::dispatch,
        lender::Lender,
        list::{self, Added, List},
        raw::RawLock,
        stall,
        turnstile::Turnstile,
    },
};
use kernel::prelude::*;

/// Locks that were added to the list since it was last looked through.
static ADDED: Added<{ list::WATCHED }> = Added::new();

pub(super) static WATCHED: RawSpinLock<Watched> = RawSpinLock::new(
    Watched {
        list: List::new(),
        idle: Cell::new(None),
        short: Cell::new(false),
    },
    1,
);

/// A look is on its way.
static DUE: AtomicBool = AtomicBool::new(false);

/// Half of `boost_delay_us`, in nanoseconds.
static INTERVAL: AtomicU64 = AtomicU64::new(0);

/// Nanoseconds to the next look at what was in motion during the last.
const RETRY: u64 = 50_000;

/// To be called once, with `boost_delay_us`.
pub(super) fn set_delay(us: u32) {
    INTERVAL.store(u64::from(us) * 1000 / 2, Relaxed);
}

/// The lock has got a waiter, or its waiters another owner. With its turnstile's lock held.
#[inline]
pub(super) fn watch(lock: &RawLock, turnstile: &mut Turnstile) {
    if !turnstile.listed {
        turnstile.listed = true;
        known::learn(lock, turnstile);
        ADDED.add(lock);
    }
    // Without a delay one is due only while something is in motion.
    if !DUE.load(SeqCst) {
        look_soon();
    }
}

#[cold]
fn look_soon() {
    match INTERVAL.load(Relaxed) {
        0 => dispatch(),
        interval => look_in(interval),
    }
}

/// There will be a look in so many nanoseconds at the latest. Any context.
fn look_in(interval: u64) {
    if !DUE.swap(true, SeqCst) {
        // SAFETY: Any context; the timer is not set.
        unsafe { bindings::lazyirq_look_in(interval) };
    }
}

/// There will be one at what is in motion now. Any context.
pub(super) fn look_again() {
    look_in(INTERVAL.load(Relaxed).max(RETRY));
}

/// Locks that nobody waits for are taken out of the list, this one among them: it is going away.
pub(super) fn forget(lock: &RawLock) {
    if lock.turnstile.lock().listed {
        WATCHED.lock().sweep();
    }
    known::forget(lock);
}

/// A module is going, its static locks with it.
#[no_mangle]
extern "C" fn lazyirq_module_goes(module: *mut bindings::module) {
    WATCHED.lock().sweep();
    // SAFETY: The module is there.
    let goes = |name: *const c_char| unsafe { bindings::lazyirq_module_has(module, name.cast()) };
    known::forget_module(goes);
    crate::debugfs::forget_names(goes);
}

/// The timer. Hard IRQ.
#[no_mangle]
extern "C" fn lazyirq_look() {
    DUE.swap(false, SeqCst);
    let found = WATCHED.lock().sweep();
    if found.stuck {
        dispatch();
    }
    if found.moving {
        look_again();
    }
    if found.waiting {
        stall::expect();
    }
}

/// What a look has found among the locks with waiters.
#[derive(Default)]
struct Found {
    /// One where nothing has moved since the last look, for the dispatcher to see.
    stuck: bool,
    /// One where something has.
    moving: bool,
    /// Any.
    waiting: bool,
}

/// The locks that had waiters when they were last looked at, and the lenders that have nothing to do.
///
/// A lock stays in the list only while it is marked as listed.
pub(super) struct Watched {
    list: List<{ list::WATCHED }>,
    pub(super) idle: Cell<Option<&'static Lender>>,
    /// A lender was missing.
    pub(super) short: Cell<bool>,
}

// SAFETY: Under the list's lock.
unsafe impl Send for Watched {}

impl Watched {
    /// Takes in the locks that were added.
    pub(super) fn collect(&mut self) {
        self.list.collect(&ADDED);
    }

    pub(super) fn locks(&self) -> impl Iterator<Item = &RawLock> {
        self.list.iter()
    }

    /// Takes out the locks without waiters, and looks at the others.
    fn sweep(&mut self) -> Found {
        self.collect();
        let mut found = Found::default();
        // SAFETY: Any context.
        let now = unsafe { bindings::ktime_get_mono_fast_ns() };
        self.list.retain(|lock| {
            let mut turnstile = lock.turnstile.lock();
            if turnstile.is_empty() {
                // Once this is seen, the lock may be gone.
                turnstile.listed = false;
                return false;
            }
            turnstile.iter().for_each(|waiter| waiter.waits_at(now));
            found.waiting = true;
            if turnstile.seen != turnstile.changes {
                turnstile.seen = turnstile.changes;
                found.moving = true;
            } else if !turnstile.is_settled() {
                found.stuck = true;
            }
            true
        });
        found
    }

    pub(super) fn unsettle(&mut self) {
        self.collect();
        self.locks()
            .for_each(|lock| lock.turnstile.lock().set_settled(false));
    }
}

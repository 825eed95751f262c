// SPDX-License-Identifier: GPL-2.0

//! The locks that are waited for.
//!
//! Most waits are over before anything could be done about them. So a lock that gets a waiter is
//! only put in a list, and a timer is set for half of `boost_delay_us` (or of `stall_ms`, if that is less),
//! unless one is set. The timer removes the locks that nobody waits for any more. If a lock has not been
//! handed over from one look to the next, it calls for the [dispatcher](super::dispatcher); if a handler waits for
//! long, [`stall`] reports it. A new waiter, or a lock that goes to its next owner with others waiting, sets
//! the timer anew.

use crate::{
    bindings, observe,
    primitive::{AtomicBool, AtomicU64, Cell, LockClass, RawSpinLock, Relaxed, SeqCst},
    sync::{
        dispatcher::dispatch,
        known,
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
        pass: Cell::new(0),
    },
    LockClass::List,
);

/// A look is pending.
static DUE: AtomicBool = AtomicBool::new(false);

/// The time from one look to the next, in nanoseconds.
static INTERVAL: AtomicU64 = AtomicU64::new(0);

/// Nanoseconds to the next look at what was in motion during the last look.
const RETRY: u64 = 50_000;

/// Called once. However late priority is lent, the looks must see stalls, too.
pub(super) fn set_delay(boost_delay_us: u32, stall_ms: u32) {
    let boost_us = u64::from(boost_delay_us);
    let us = match u64::from(stall_ms) * 1000 {
        0 => boost_us,
        stall_us => boost_us.min(stall_us),
    };
    INTERVAL.store(us * 1000 / 2, Relaxed);
}

/// The lock has got a waiter, or its waiters another owner. Called with its turnstile's lock held.
#[inline]
pub(super) fn watch(lock: &RawLock, turnstile: &mut Turnstile) {
    if !turnstile.listed {
        turnstile.listed = true;
        known::learn(lock, turnstile);
        // SAFETY: It is in no such list, nor being added to one, as its turnstile's lock is held; and `forget`.
        unsafe { ADDED.add(lock) };
    }
    // With a delay of 0 a look is due only while something is in motion.
    if !DUE.load(SeqCst) {
        look_soon();
    }
    lock.watched.store(DUE.load(SeqCst), SeqCst);
}

/// Will a look see a handler that waits alone from now on? `SeqCst`, as are a look's accesses: it first takes a lock
/// off the list, then looks whether a handler waits alone.
#[inline(always)]
pub(super) fn is_watched(lock: &RawLock) -> bool {
    lock.watched.load(SeqCst)
}

#[cold]
fn look_soon() {
    match INTERVAL.load(Relaxed) {
        0 => dispatch(),
        interval => look_in(interval),
    }
}

/// Has a look made within `interval` nanoseconds. Any context.
fn look_in(interval: u64) {
    if !DUE.swap(true, SeqCst) {
        // SAFETY: Any context; the timer is not set.
        unsafe { bindings::lazyirq_look_in(interval) };
    }
}

/// Has another look made at what is in motion now. Any context.
fn look_again() {
    look_in(INTERVAL.load(Relaxed).max(RETRY));
}

/// The next look calls the dispatcher, whatever it finds.
static AGAIN: AtomicBool = AtomicBool::new(false);

/// Has the dispatcher called again, since something was in motion. The dispatcher.
pub(super) fn dispatch_again() {
    AGAIN.store(true, SeqCst);
    look_again();
}

/// The lock is going away. A future that was forgotten may still be in its turnstile.
pub(super) fn forget(lock: &RawLock) {
    if lock.turnstile().listed {
        WATCHED.lock().forget(lock);
    }
    known::forget(lock);
}

/// A module is going away, and its static locks with it.
///
/// # Safety
///
/// The module still exists.
#[no_mangle]
unsafe extern "C" fn lazyirq_module_goes(module: *mut bindings::module) {
    // SAFETY: By the requirement.
    let goes = |name: *const c_char| unsafe { bindings::lazyirq_module_has(module, name.cast()) };
    WATCHED.lock().forget_module(goes);
    known::forget_module(goes);
    crate::debugfs::forget_names(goes);
}

/// The timer's callback. Hard IRQ.
#[no_mangle]
extern "C" fn lazyirq_look() {
    DUE.swap(false, SeqCst);
    let found = WATCHED.lock().sweep(true);
    if AGAIN.swap(false, SeqCst) || found.stuck {
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
    /// One that has not been handed over since the last look, with a waiter even then: for the dispatcher.
    stuck: bool,
    /// One that has been handed over since, or that nobody waited for at the last look.
    moving: bool,
    /// Any at all.
    waiting: bool,
}

/// The locks that had waiters when they were last looked at, and the idle lenders.
///
/// A lock stays in the list only while it is marked as listed.
pub(super) struct Watched {
    list: List<{ list::WATCHED }>,
    pub(super) idle: Cell<Option<&'static Lender>>,
    /// No lender was idle when needed.
    pub(super) short: Cell<bool>,
    /// The dispatcher's passes so far, wrapping.
    pass: Cell<u32>,
}

// SAFETY: It is accessed under the list's lock.
unsafe impl Send for Watched {}

impl Watched {
    /// Takes in the locks that were added.
    pub(super) fn collect(&self) {
        self.list.collect(&ADDED);
    }

    pub(super) fn locks(&self) -> impl Iterator<Item = &RawLock> {
        self.list.iter()
    }

    fn forget(&self, lock: &RawLock) {
        self.collect();
        // Not if a look has taken it out by now.
        if lock.turnstile().listed {
            self.list.remove(lock);
        }
    }

    /// Removes a module's locks.
    fn forget_module(&self, goes: impl Fn(*const c_char) -> bool) {
        self.collect();
        self.list.retain(|lock| {
            let goes = goes(lock.name.as_char_ptr());
            if goes {
                lock.turnstile().listed = false;
                lock.watched.store(false, Relaxed);
            }
            !goes
        });
    }

    /// Removes the locks without waiters, and looks at the others: does the caller have another look made at those that
    /// are in motion?
    fn sweep(&self, looks_again: bool) -> Found {
        self.collect();
        let mut found = Found::default();
        let now = observe::now();
        self.list.retain(|lock| {
            let mut turnstile = lock.turnstile();
            if turnstile.is_empty() {
                // Once this is seen, the lock may be gone.
                if lock.unlist(&mut turnstile) {
                    return false;
                }
            }
            let waited = turnstile.is_seen();
            turnstile.iter().for_each(|waiter| waiter.waits_at(now));
            found.waiting = true;
            // A waiter that comes and gives up, or comes and waits, is no progress.
            let handed_over = turnstile.tally.handed_over + lock.alone.total();
            let moved = turnstile.seen != handed_over;
            turnstile.seen = handed_over;
            let moving = moved || !waited;
            lock.watched.store(moving && looks_again, SeqCst);
            if moving {
                found.moving = true;
            } else if !turnstile.is_settled() {
                found.stuck = true;
            }
            true
        });
        found
    }

    /// The dispatcher begins to look at all locks.
    pub(super) fn begin_pass(&self) {
        self.pass.set(self.pass.get().wrapping_add(1));
        if INTERVAL.load(Relaxed) == 0 {
            // There may be no looks.
            self.sweep(false);
        }
    }

    /// A lock with waiters that the dispatcher has not looked at in this pass, and the `SCHED_FIFO` priority
    /// that its waiters have to lend. Not one whose waiters have all come since the last look: most waits are
    /// over soon.
    pub(super) fn next_in_pass(&self) -> Option<(&RawLock, u32)> {
        self.collect();
        self.locks().find_map(|lock| {
            let mut turnstile = lock.turnstile();
            if turnstile.pass == self.pass.get() || !turnstile.is_seen() {
                return None;
            }
            turnstile.pass = self.pass.get();
            turnstile.set_settled(true);
            Some((lock, turnstile.need()))
        })
    }
}

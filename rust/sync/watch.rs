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
    primitive::{AtomicBool, AtomicPtr, AtomicU64, Cell, RawSpinLock, Relaxed, SeqCst},
    sync::{lend::dispatch, lender::Lender, raw::RawLock, stall, turnstile::Turnstile},
};
use core::ptr;

/// A lock's place in the list. It belongs to whoever adds the lock, and then to the list.
pub(crate) struct Link(Cell<*const RawLock>);

impl Link {
    pub(super) const fn new() -> Self {
        Self(Cell::new(ptr::null()))
    }

    /// The next lock in the list. With the list's lock held.
    pub(super) fn next(&self) -> *const RawLock {
        self.0.get()
    }
}

/// Locks that were added to the list since it was last looked through.
static ADDED: AtomicPtr<RawLock> = AtomicPtr::new(ptr::null_mut());

pub(super) static WATCHED: RawSpinLock<Watched> = RawSpinLock::new(
    Watched {
        first: Cell::new(ptr::null()),
        idle: None,
        short: false,
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
        add(lock);
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

#[cold]
fn add(lock: &RawLock) {
    let lock_ptr = ptr::from_ref(lock).cast_mut();
    // `SeqCst` here and below: either the look that is due sees the lock, or it is found to be over
    // here, and another one set.
    let mut first = ADDED.load(Relaxed);
    loop {
        lock.link.0.set(first);
        match ADDED.compare_exchange_weak(first, lock_ptr, SeqCst, Relaxed) {
            Ok(_) => return,
            Err(now) => first = now,
        }
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
}

/// A module is going, its static locks with it.
#[no_mangle]
extern "C" fn lazyirq_module_goes() {
    WATCHED.lock().sweep();
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
/// # Invariants
///
/// The locks in the list are alive: each stays in it only while it is marked as listed, and a lock
/// that goes away takes itself out.
pub(super) struct Watched {
    pub(super) first: Cell<*const RawLock>,
    pub(super) idle: Option<&'static Lender>,
    /// A lender was missing.
    pub(super) short: bool,
}

// SAFETY: Under the list's lock.
unsafe impl Send for Watched {}

impl Watched {
    /// Takes in the locks that were added.
    pub(super) fn collect(&mut self) {
        let mut added = ADDED.swap(ptr::null_mut(), SeqCst).cast_const();
        // SAFETY: By the type invariant.
        while let Some(lock) = unsafe { added.as_ref() } {
            let next = lock.link.0.replace(self.first.get());
            self.first.set(added);
            added = next;
        }
    }

    pub(super) fn locks(&self) -> impl Iterator<Item = &RawLock> {
        let mut link = &self.first;
        core::iter::from_fn(move || {
            // SAFETY: By the type invariant.
            let lock = unsafe { link.get().as_ref() }?;
            link = &lock.link.0;
            Some(lock)
        })
    }

    /// Takes out the locks without waiters, and looks at the others.
    fn sweep(&mut self) -> Found {
        self.collect();
        let mut found = Found::default();
        // SAFETY: Any context.
        let now = unsafe { bindings::ktime_get_mono_fast_ns() };
        let mut link = &self.first;
        // SAFETY: By the type invariant.
        while let Some(lock) = unsafe { link.get().as_ref() } {
            let mut turnstile = lock.turnstile.lock();
            if turnstile.is_empty() {
                link.set(lock.link.0.get());
                // Once this is seen, the lock may be gone.
                turnstile.listed = false;
                continue;
            }
            turnstile.iter().for_each(|waiter| waiter.waits_at(now));
            found.waiting = true;
            if turnstile.seen != turnstile.changes {
                turnstile.seen = turnstile.changes;
                found.moving = true;
            } else if !turnstile.is_settled() {
                found.stuck = true;
            }
            link = &lock.link.0;
        }
        found
    }

    pub(super) fn unsettle(&mut self) {
        self.collect();
        self.locks()
            .for_each(|lock| lock.turnstile.lock().set_settled(false));
    }
}

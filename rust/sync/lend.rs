// SPDX-License-Identifier: GPL-2.0

//! Priority inheritance: who waits lends its priority to whoever it waits for, in the end.
//!
//! Most waits are over before anything could be done about them. So a lock that gets a waiter is
//! only put in a list, and a timer set for half of `boost_delay_us`, if none is set. It takes out
//! the locks that nobody waits for any more. One where nothing has moved from one look to the next
//! is the dispatcher's work: a thread above all ithreads that follows the chain (the owner of the
//! lock may itself wait for a lock) to whoever does not wait for a lock of lazyirq's, and
//!
//! - if that is a thread, has a [lender](super::lender) lend it the priority, which the thread
//!   repays when it releases the lock;
//! - if that is a handler, raises the priority of the ithread that runs it, until it has;
//! - if the chain leads back to itself, tells one of those in it that it waits in vain.
//!
//! A new waiter, or a lock that goes to its next owner with others waiting, sets the timer anew; a
//! loan that is repaid calls for the dispatcher at once.
//!
//! Locks are held in this order: the list's, one turnstile's.

use crate::{
    bindings,
    continuation::Phase,
    ithread,
    primitive::{AtomicBool, AtomicPtr, AtomicU64, Cell, RawSpinLock, Relaxed, SeqCst},
    slot::Head,
    sync::{
        lender::{Lender, Lenders},
        raw::{Owner, RawLock},
        sleeper::{fifo_priority, priority_of},
        turnstile::{Turnstile, Waiter},
    },
};
use core::{ffi::CStr, ptr};
use kernel::prelude::*;

pub(super) use crate::sync::lender::Loan;

/// How many locks a chain may have. A longer one lends nothing.
const CHAIN: usize = 8;

/// A lock's place in the list. It belongs to whoever adds the lock, and then to the list.
pub(crate) struct Link(Cell<*const RawLock>);

impl Link {
    pub(super) const fn new() -> Self {
        Self(Cell::new(ptr::null()))
    }
}

/// Locks that were added to the list since it was last looked through.
static ADDED: AtomicPtr<RawLock> = AtomicPtr::new(ptr::null_mut());

static WATCHED: RawSpinLock<Watched> = RawSpinLock::new(
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

/// Calls for the dispatcher. Any context.
pub(super) fn dispatch() {
    // SAFETY: Any context; the dispatcher is there while the module is.
    unsafe { bindings::lazyirq_dispatch() };
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
        look_in(INTERVAL.load(Relaxed).max(RETRY));
    }
}

/// The dispatcher. Thread.
#[no_mangle]
extern "C" fn lazyirq_dispatched() {
    WATCHED.lock().unsettle();
    loop {
        let Some(action) = WATCHED.lock().next_action() else {
            return;
        };
        match action {
            Action::Lend(loan) => loan.begin(),
            Action::Raise(loan) => loan.raise(),
            Action::Boost(boost) => boost.perform(),
            Action::Report(cycle) => cycle.report(),
        }
    }
}

/// A lender has nothing to do any more, or is new.
pub(super) fn lender_is_idle(lender: &'static Lender) {
    let mut watched = WATCHED.lock();
    lender.next_idle.set(watched.idle);
    watched.idle = Some(lender);
    if core::mem::take(&mut watched.short) {
        dispatch();
    }
}

/// What a look has found among the locks with waiters.
#[derive(Default)]
struct Found {
    /// One where nothing has moved since the last look, for the dispatcher to see.
    stuck: bool,
    /// One where something has.
    moving: bool,
}

enum Action {
    Lend(Loan),
    Raise(Loan),
    Boost(ithread::Boost),
    Report(Cycle),
}

/// The locks that had waiters when they were last looked at, and the lenders that have nothing to do.
///
/// # Invariants
///
/// The locks in the list are alive: each stays in it only while it is marked as listed, and a lock
/// that goes away takes itself out.
struct Watched {
    first: Cell<*const RawLock>,
    idle: Option<&'static Lender>,
    /// A lender was missing.
    short: bool,
}

// SAFETY: Under the list's lock.
unsafe impl Send for Watched {}

impl Watched {
    /// Takes in the locks that were added.
    fn collect(&mut self) {
        let mut added = ADDED.swap(ptr::null_mut(), SeqCst).cast_const();
        // SAFETY: By the type invariant.
        while let Some(lock) = unsafe { added.as_ref() } {
            let next = lock.link.0.replace(self.first.get());
            self.first.set(added);
            added = next;
        }
    }

    fn locks(&self) -> impl Iterator<Item = &RawLock> {
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

    fn unsettle(&mut self) {
        self.collect();
        self.locks()
            .for_each(|lock| lock.turnstile.lock().set_settled(false));
    }

    /// Goes on until there is something to be done that this lock is in the way of.
    fn next_action(&mut self) -> Option<Action> {
        self.collect();
        let mut again = false;
        let mut link = self.first.get();
        // SAFETY: By the type invariant.
        while let Some(lock) = unsafe { link.as_ref() } {
            link = lock.link.0.get();
            let need = {
                let mut turnstile = lock.turnstile.lock();
                if turnstile.is_empty() || turnstile.is_settled() {
                    continue;
                }
                turnstile.set_settled(true);
                turnstile.need()
            };
            match self.settle(lock, need) {
                Verdict::Settled => (),
                Verdict::Act(action) => return Some(action),
                Verdict::Later => {
                    lock.turnstile.lock().set_settled(false);
                    again = true;
                }
            }
        }
        if again {
            look_in(INTERVAL.load(Relaxed).max(RETRY));
        }
        None
    }

    /// What is to be done for those who wait for `lock`?
    fn settle(&mut self, lock: &RawLock, need: u32) -> Verdict {
        let mut chain = Chain::new();
        match self.follow(lock, &mut chain) {
            End::Nobody => Verdict::Settled,
            End::Owner(last, owner) if need > 0 => match owner.address() {
                Ok(head) => boost(last, owner, head as *const Head, need),
                Err(_) => self.lend(last, owner, need),
            },
            End::Owner(..) => Verdict::Settled,
            End::Cycle(start) => {
                // All of it at one time, or only a bit now and a bit then? If nothing has changed
                // between the two looks, it was all there in between.
                let mut second = Chain::new();
                // SAFETY: By the type invariant.
                let begin = unsafe { &*chain.links[start].lock };
                self.follow(begin, &mut second);
                let cycle = &chain.links[start..chain.len];
                if cycle != &second.links[..second.len] {
                    return Verdict::Later;
                }
                Verdict::Act(Action::Report(Cycle::break_up(cycle)))
            }
        }
    }

    /// Follows the chain from the owner of `lock` to the lock that it waits for, and on.
    fn follow(&self, lock: &RawLock, chain: &mut Chain) -> End {
        let mut lock = lock;
        while chain.len < CHAIN {
            let (owner, changes) = {
                let turnstile = lock.turnstile.lock();
                (
                    lock.owner().filter(|_| !turnstile.is_empty()),
                    turnstile.changes,
                )
            };
            let Some(owner) = owner else {
                return End::Nobody;
            };
            let link = &mut chain.links[chain.len];
            link.lock = lock;
            link.changes = changes;
            let Some((next, waiter, can_fail)) = self.wait_of(owner) else {
                return End::Owner(lock, owner);
            };
            (link.waiter, link.can_fail) = (waiter, can_fail);
            link.is_thread = owner.address().is_err();
            chain.len += 1;
            let known = chain.links[..chain.len].iter();
            if let Some(start) = known.map(|link| link.lock).position(|l| ptr::eq(l, next)) {
                return End::Cycle(start);
            }
            // SAFETY: By the type invariant.
            lock = unsafe { &*next };
        }
        End::Nobody
    }

    /// The lock that `owner` waits for, and how.
    fn wait_of(&self, owner: Owner) -> Option<(*const RawLock, *const Waiter, bool)> {
        self.locks().find_map(|lock| {
            let turnstile = lock.turnstile.lock();
            let waiter = turnstile.iter().find(|w| w.request.owner == owner)?;
            Some((
                ptr::from_ref(lock),
                ptr::from_ref(waiter),
                waiter.request.can_fail,
            ))
        })
    }

    /// The thread that owns `lock` is lent the priority.
    fn lend(&mut self, lock: *const RawLock, owner: Owner, need: u32) -> Verdict {
        // SAFETY: By the type invariant.
        let lock = unsafe { &*lock };
        let mut turnstile = lock.turnstile.lock();
        if turnstile.is_empty() || lock.owner() != Some(owner) {
            return Verdict::Later;
        }
        let task = owner.word() as *mut bindings::task_struct;
        // SAFETY: It owns the lock and has not released it, for which it needs the turnstile's
        // lock; so it is alive.
        let has = fifo_priority(priority_of(unsafe { (*task).prio }));
        if has >= need {
            return Verdict::Settled;
        }
        if let Some(loan) = turnstile.loan {
            return match loan.set_priority(need) {
                true => Verdict::Act(Action::Raise(loan)),
                false => Verdict::Settled,
            };
        }
        let idle = self.idle;
        self.idle = idle.and_then(|lender| lender.next_idle.take());
        if self.idle.is_none() {
            // Beforehand, since making a thread takes others that are not urgent.
            Lenders::one_more();
        }
        let Some(lender) = idle else {
            // The next that is idle calls for the dispatcher.
            self.short = true;
            return Verdict::Settled;
        };
        let loan = Loan::new(lender, task, need);
        turnstile.loan = Some(loan);
        Verdict::Act(Action::Lend(loan))
    }
}

/// The handler that owns `lock` is to run at the priority.
fn boost(lock: *const RawLock, owner: Owner, head: *const Head, need: u32) -> Verdict {
    // SAFETY: It is in the list, whose lock is held.
    let lock = unsafe { &*lock };
    let turnstile = lock.turnstile.lock();
    if turnstile.is_empty() || lock.owner() != Some(owner) {
        return Verdict::Later;
    }
    // SAFETY: It owns the lock and has not released it, for which it needs the turnstile's lock; so
    // it is alive, and unfinished.
    let head = unsafe { &*head };
    match head.continuation.load().phase() {
        Phase::Queued | Phase::Running | Phase::Notified => match ithread::Boost::new(head, need) {
            Some(boost) => Verdict::Act(Action::Boost(boost)),
            None => Verdict::Settled,
        },
        // Still in the lazy path, or on its way into or out of a wait.
        _ => Verdict::Later,
    }
}

enum Verdict {
    Settled,
    Act(Action),
    /// It is in motion.
    Later,
}

/// Where a chain ends.
enum End {
    /// With a lock that nobody owns who could be told, or too far away.
    Nobody,
    /// With the owner of this lock, who does not wait for another.
    Owner(*const RawLock, Owner),
    /// Not at all: the last lock's owner waits for the one at this place of the chain.
    Cycle(usize),
}

/// A lock, and what its owner waits for.
#[derive(Clone, Copy, PartialEq)]
struct ChainLink {
    lock: *const RawLock,
    changes: u32,
    /// The owner's wait for the next lock.
    waiter: *const Waiter,
    can_fail: bool,
    is_thread: bool,
}

struct Chain {
    links: [ChainLink; CHAIN],
    len: usize,
}

impl Chain {
    fn new() -> Self {
        let none = ChainLink {
            lock: ptr::null(),
            changes: 0,
            waiter: ptr::null(),
            can_fail: false,
            is_thread: false,
        };
        Self {
            links: [none; CHAIN],
            len: 0,
        }
    }
}

/// Owners that wait for each other, to be reported.
struct Cycle {
    names: [Option<&'static CStr>; CHAIN],
    /// The name of the lock that somebody does not get, and whether that is a thread.
    refused: Option<(&'static CStr, bool)>,
}

impl Cycle {
    /// Tells one of those who wait for each other that it does so in vain: a thread whose call may
    /// fail, or else a handler, which is shut down. With the list's lock held.
    fn break_up(cycle: &[ChainLink]) -> Self {
        let mut this = Self {
            names: [None; CHAIN],
            refused: None,
        };
        // SAFETY: They are in the list, whose lock is held.
        let lock = |link: &ChainLink| unsafe { &*link.lock };
        for (name, link) in this.names.iter_mut().zip(cycle) {
            *name = Some(lock(link).name);
        }
        let next = |place: usize| &cycle[(place + 1) % cycle.len()];
        let threads_first = [true, false];
        let places = threads_first.iter().flat_map(|&thread| {
            (0..cycle.len()).filter(move |&place| cycle[place].is_thread == thread)
        });
        for place in places {
            let link = &cycle[place];
            let lock = lock(next(place));
            if link.can_fail && lock.refuse(link.waiter, next(place).changes) {
                this.refused = Some((lock.name, link.is_thread));
                break;
            }
        }
        this
    }

    fn report(&self) {
        let text = crate::debugfs::text;
        pr_err!("deadlock: each of these locks is held by one who waits for the next:\n");
        self.names
            .iter()
            .flatten()
            .for_each(|name| pr_err!("  lock {}\n", text(name)));
        match self.refused {
            Some((name, true)) => {
                pr_err!(
                    "a thread that waits for lock {} gets an error\n",
                    text(name)
                )
            }
            Some((name, false)) => {
                pr_err!(
                    "the handler that waits for lock {} is shut down\n",
                    text(name)
                )
            }
            None => pr_err!("none of them can be told so: they wait for ever\n"),
        }
    }
}

/// What the inheritance needs, for as long as the module is loaded.
pub(crate) struct Lending {
    _lenders: Lenders,
}

impl Lending {
    /// Thread, may sleep.
    pub(crate) fn new(delay_us: u32) -> Result<Self> {
        INTERVAL.store(u64::from(delay_us) * 1000 / 2, Relaxed);
        Ok(Self {
            _lenders: Lenders::new()?,
        })
    }
}

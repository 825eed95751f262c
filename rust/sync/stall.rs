// SPDX-License-Identifier: GPL-2.0

//! Stalls: a handler that has waited for a lock for `stall_ms` is reported, once, with the lock and its
//! owner.
//!
//! The looks at the locks with waiters note when they first see each waiter, so that blocking costs
//! nothing more. A delayed work finds what is to be reported.

use crate::{
    bindings, observe,
    primitive::{AtomicBool, AtomicU64, Relaxed, SeqCst},
    registered,
    slot::Head,
    stats::Named,
    sync::{
        events,
        raw::{Owner, Party, RawLock},
        turnstile::Waiter,
        watch::{Watched, WATCHED},
    },
};
use core::ffi::CStr;
use kernel::{
    prelude::*,
    sync::{aref::ARef, rcu},
    task::Task,
};

/// `stall_ms` in nanoseconds. If 0, nothing is reported.
static LIMIT: AtomicU64 = AtomicU64::new(0);

/// The work is pending.
static DUE: AtomicBool = AtomicBool::new(false);

const NS_PER_MS: u64 = 1_000_000;

pub(super) fn set_limit(stall_ms: u32) {
    LIMIT.store(u64::from(stall_ms) * NS_PER_MS, Relaxed);
}

/// There are waiters. Any context.
pub(super) fn expect() {
    expect_in(LIMIT.load(Relaxed));
}

fn expect_in(ns: u64) {
    if ns != 0 && !DUE.swap(true, SeqCst) {
        // SAFETY: Any context; the work is not queued.
        unsafe { bindings::lazyirq_stalls_in(ns.div_ceil(NS_PER_MS) as u32) };
    }
}

/// The delayed work. Thread.
#[no_mangle]
extern "C" fn lazyirq_look_for_stalls() {
    DUE.swap(false, SeqCst);
    loop {
        // The guard is gone before anything is printed.
        let found = WATCHED.lock().next_stall();
        match found {
            Found::Stall(stall) => stall.report(),
            Found::Nothing(None) => return,
            Found::Nothing(Some(ns)) => return expect_in(ns),
        }
    }
}

enum Found {
    Stall(Stall),
    /// Nothing now. If there is a handler that waits, the next stall may be due in that many nanoseconds.
    Nothing(Option<u64>),
}

impl Watched {
    fn next_stall(&self) -> Found {
        self.collect();
        let limit = LIMIT.load(Relaxed);
        let now = observe::now();
        let mut next = None;
        for lock in self.locks() {
            let turnstile = lock.turnstile();
            for waiter in turnstile.iter() {
                let Some(head) = waiter.handler() else {
                    continue;
                };
                waiter.waits_at(now);
                // A handler that has forgotten its wait and is no longer registered is refusing: its name may be
                // gone with its module.
                if waiter.is_reported() || head.continuation.load().is_refusing() {
                    continue;
                }
                let waited = waiter.waited(now);
                if waited >= limit {
                    return Found::Stall(Stall::new(lock, waiter, head, waited));
                }
                let left = limit - waited;
                next = Some(next.map_or(left, |other: u64| other.min(left)));
            }
        }
        Found::Nothing(next)
    }
}

/// Who has the lock.
enum LockOwner {
    Thread(ARef<Task>),
    /// `None`: a handler that has forgotten the lock, and is no longer registered.
    Handler(Option<Named>),
    Readers(usize),
}

/// What is reported.
struct Stall {
    handler: Named,
    lock: &'static CStr,
    ms: u64,
    /// The handler is being unregistered.
    awaited: bool,
    owner: LockOwner,
    /// Keeps the names valid: the handlers and the lock may be gone by then, but not the modules that
    /// they were in.
    _rcu: rcu::Guard,
}

impl Stall {
    /// Called with both locks held, so the waiter, its handler and, if it is a thread, the lock's owner exist.
    fn new(lock: &RawLock, waiter: &Waiter, head: &Head, waited: u64) -> Self {
        waiter.set_reported();
        let ms = waited / NS_PER_MS;
        head.stats.stalls(lock.name, ms);
        events::stalls(head, lock, ms);
        let owner = match lock.owner().map(Owner::party) {
            Some(Party::Handler(slot)) => LockOwner::Handler(registered::find(slot, Head::named)),
            Some(Party::Thread(task)) => {
                // SAFETY: It owns the lock, and cannot release it now: so it is alive.
                LockOwner::Thread(unsafe { &*(task as *const Task) }.into())
            }
            None => LockOwner::Readers(lock.readers()),
        };
        Self {
            handler: head.named(),
            lock: lock.name,
            ms,
            awaited: head.continuation.load().is_stopped(),
            owner,
            _rcu: rcu::read_lock(),
        }
    }

    fn report(&self) {
        let (handler, lock, ms) = (&self.handler, self.lock, self.ms);
        pr_err!("{handler}: its handler has waited for lock {lock} for {ms} ms\n");
        if self.awaited {
            pr_err!("{handler}: it is being unregistered, and that waits for its handler\n");
        }
        match &self.owner {
            LockOwner::Handler(Some(name)) => {
                pr_err!("lock {lock} is held by the handler of {name}\n")
            }
            LockOwner::Handler(None) => {
                pr_err!("lock {lock} was never released by a handler, which is gone\n")
            }
            LockOwner::Readers(count) => pr_err!("lock {lock} is held by readers: {count}\n"),
            LockOwner::Thread(task) => {
                pr_err!(
                    "lock {lock} is held by thread {}, which is here:\n",
                    task.pid()
                );
                // SAFETY: The task exists.
                unsafe { bindings::sched_show_task(task.as_ptr()) };
            }
        }
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Chains: the owner of a lock may itself wait for a lock, and so on. They end at an owner that does not, or
//! lead back to where they were: a deadlock.

use crate::{
    continuation::Phase,
    registered,
    sync::{
        raw::{Owner, Party, RawLock},
        turnstile::Waiter,
        watch::Watched,
    },
};
use core::{ffi::CStr, ptr};
use kernel::{prelude::*, sync::rcu};

/// The maximum number of locks in a chain. A longer one lends nothing, and a longer cycle is not found.
const LONGEST: usize = 8;

/// Where a chain ends.
pub(super) enum End<'a> {
    /// At a lock without a known owner, or too far away.
    Nobody,
    /// At the owner of this lock, which does not wait for another.
    Owner(&'a RawLock, Owner),
    /// Nowhere: the last lock's owner waits for the lock at this place in the chain.
    Cycle(usize),
}

/// A lock, and what its owner waits for.
#[derive(Clone, Copy)]
pub(super) struct Link<'a> {
    lock: &'a RawLock,
    changes: u32,
    /// The owner's wait for the next lock. For comparison alone: it may be over.
    waiter: *const Waiter,
    can_fail: bool,
    owner: Owner,
}

impl Link<'_> {
    fn is_thread(&self) -> bool {
        matches!(self.owner.party(), Party::Thread(_))
    }
}

impl PartialEq for Link<'_> {
    fn eq(&self, other: &Self) -> bool {
        ptr::eq(self.lock, other.lock)
            && self.changes == other.changes
            && ptr::eq(self.waiter, other.waiter)
    }
}

pub(super) struct Chain<'a> {
    /// Something is to be lent to the owner at its end.
    lends: bool,
    links: [Link<'a>; LONGEST],
    len: usize,
}

impl<'a> Chain<'a> {
    /// A chain that begins with this lock.
    pub(super) fn new(lock: &'a RawLock, lends: bool) -> Self {
        let first = Link {
            lock,
            changes: 0,
            waiter: ptr::null(),
            can_fail: false,
            owner: Owner::ANYBODY,
        };
        Self {
            lends,
            links: [first; LONGEST],
            len: 0,
        }
    }
}

impl Watched {
    /// Follows the chain from its first lock's owner to the lock that it waits for, and on. Each waiter on the
    /// way is moved up to the place of the first of the waiters that depend on it. When such a wait ends, the
    /// chain is a different one, and the dispatcher is called if there is something to lend.
    pub(super) fn follow<'a>(&'a self, chain: &mut Chain<'a>) -> End<'a> {
        let mut lock = chain.links[0].lock;
        let mut order = 0;
        while chain.len < LONGEST {
            let (owner, changes) = {
                let turnstile = lock.turnstile();
                let first = turnstile.iter().next();
                order = first.map_or(0, Waiter::order).max(order);
                (lock.owner().filter(|_| first.is_some()), turnstile.changes)
            };
            let Some(owner) = owner else {
                return End::Nobody;
            };
            if is_awake(owner) {
                return End::Owner(lock, owner);
            }
            let Some((next, waiter, can_fail)) = self.wait_of(owner, order, chain.lends) else {
                return End::Owner(lock, owner);
            };
            chain.links[chain.len] = Link {
                lock,
                changes,
                waiter,
                can_fail,
                owner,
            };
            chain.len += 1;
            let mut known = chain.links[..chain.len].iter();
            if let Some(start) = known.position(|link| ptr::eq(link.lock, next)) {
                return End::Cycle(start);
            }
            lock = next;
        }
        End::Nobody
    }

    /// The lock that `owner` waits for, and how. The waiter is moved up to `order` if it is lower.
    fn wait_of(
        &self,
        owner: Owner,
        order: u32,
        lends: bool,
    ) -> Option<(&RawLock, *const Waiter, bool)> {
        self.locks().find_map(|lock| {
            let mut turnstile = lock.turnstile();
            let waiter = turnstile.waiter_of(owner)?;
            if lends {
                waiter.set_followed();
            }
            let (is_lower, can_fail) = (waiter.order() < order, waiter.request.can_fail);
            let waiter = ptr::from_ref(waiter);
            if is_lower {
                turnstile.raise(waiter, order);
                // A reader that is ahead of a writer now may join those that hold the lock.
                lock.let_in(&mut turnstile);
                turnstile.iter().find(|other| ptr::eq(*other, waiter))?;
            }
            Some((lock, waiter, can_fail))
        })
    }

    /// Does `owner` wait for more than one lock? A handler may, if it polls their futures by itself. If so, the
    /// dispatcher is called when one of these waits ends.
    fn waits_twice(&self, owner: Owner) -> bool {
        let waits = |lock: &&RawLock| {
            let turnstile = lock.turnstile();
            let waiter = turnstile.waiter_of(owner);
            waiter.inspect(|waiter| waiter.set_followed()).is_some()
        };
        self.locks().filter(waits).count() > 1
    }
}

/// Is it a handler that runs, or is to run? It may be in a lock's queue all the same, if it polls several locks'
/// futures by itself and one of them has woken it.
fn is_awake(owner: Owner) -> bool {
    let Party::Handler(slot) = owner.party() else {
        return false;
    };
    let phase = registered::find(slot, |head| head.continuation.load().phase());
    matches!(
        phase,
        Some(Phase::Notified | Phase::Queued | Phase::Running)
    )
}

/// Something has changed while it was looked at.
pub(super) struct Changed;

/// Owners that wait for each other, for the report.
pub(super) struct Cycle {
    /// Keeps the names valid: the locks may be gone by then, but not the modules that they were in.
    _rcu: rcu::Guard,
    names: [Option<&'static CStr>; LONGEST],
    /// The name of the lock that a waiter is refused, and whether the waiter is a thread.
    refused: Option<(&'static CStr, bool)>,
}

impl Cycle {
    /// Tells one of the owners that wait for each other, from this place in the chain, that it waits in vain: a
    /// thread whose call may fail, or else a handler, which is shut down. Called with the list's lock held.
    /// `None` if there is nothing to report: that there is no such owner was reported before, or one of them
    /// waits for another lock as well.
    pub(super) fn break_up(
        chain: &Chain<'_>,
        start: usize,
        watched: &Watched,
    ) -> Result<Option<Self>, Changed> {
        let cycle = &chain.links[start..chain.len];
        // Did all of it exist at one time, or only parts at different times? If nothing has changed between two
        // looks, all of it existed in between.
        let mut second = Chain::new(cycle[0].lock, chain.lends);
        watched.follow(&mut second);
        if cycle != &second.links[..second.len] {
            return Err(Changed);
        }
        if cycle.iter().any(|link| watched.waits_twice(link.owner)) {
            return Ok(None);
        }
        let mut this = Self {
            _rcu: rcu::read_lock(),
            names: [None; LONGEST],
            refused: None,
        };
        for (name, link) in this.names.iter_mut().zip(cycle) {
            *name = Some(link.lock.name);
        }
        // A link's owner waits for the next link's lock.
        let waits = || cycle.iter().zip(cycle.iter().cycle().skip(1));
        let who_can_fail =
            |thread| waits().find(|(link, _)| link.can_fail && link.is_thread() == thread);
        if let Some((link, next)) = who_can_fail(true).or_else(|| who_can_fail(false)) {
            if !next.lock.refuse(link.waiter, next.changes) {
                return Err(Changed);
            }
            this.refused = Some((next.lock.name, link.is_thread()));
            return Ok(Some(this));
        }
        let mut is_new = true;
        for (link, next) in waits() {
            is_new &= next.lock.turnstile().report(link.waiter);
        }
        Ok(is_new.then_some(this))
    }

    pub(super) fn report(&self) {
        pr_err!("deadlock: each of these locks is held by one who waits for the next:\n");
        self.names
            .iter()
            .flatten()
            .for_each(|name| pr_err!("  lock {}\n", name));
        match self.refused {
            Some((name, true)) => pr_err!("a thread that waits for lock {name} gets an error\n"),
            Some((name, false)) => {
                pr_err!("the handler that waits for lock {name} is shut down\n")
            }
            None => pr_err!("none of them can be told so: they wait for ever\n"),
        }
    }
}

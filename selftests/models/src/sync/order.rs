// SPDX-License-Identifier: GPL-2.0

//! Who goes first: the rules at the top of `raw.rs` and `turnstile.rs`, one by one. One thread plays
//! all parts.

use super::{
    raw::{Owner, RawLock, Taken},
    sleeper::{Sleep, Sleeper},
    turnstile::{Outcome, Request, Waiter, OVERTAKEN, TOGETHER},
};
use crate::model;

/// A lock, and those who have asked for it, who are known by their numbers.
struct Scene {
    raw: RawLock,
    /// Boxed, since they are linked into the turnstile.
    #[allow(clippy::vec_box)]
    asked: Vec<Box<(Sleep, Option<Waiter>, Taken)>>,
}

impl Scene {
    fn new() -> Self {
        Self {
            raw: RawLock::new(c"lock"),
            asked: Vec::new(),
        }
    }

    fn ask(&mut self, priority: u32, shared: bool) -> usize {
        let number = self.asked.len();
        let request = Request {
            owner: Self::owner(number),
            priority,
            shared,
            can_fail: true,
        };
        self.asked.push(Box::new((Sleep::new(), None, Taken::Yes)));
        let (sleep, waiter, taken) = &mut **self.asked.last_mut().unwrap();
        let waiter = waiter.insert(Waiter::new(request, Sleeper::Thread(sleep)));
        // SAFETY: The waiter stays in its box.
        *taken = unsafe { self.raw.take_or_queue(waiter) };
        self.check();
        number
    }

    fn write(&mut self, priority: u32) -> usize {
        self.ask(priority, false)
    }

    fn read(&mut self, priority: u32) -> usize {
        self.ask(priority, true)
    }

    fn owner(number: usize) -> Owner {
        Owner::of_task((number + 1) * 8)
    }

    fn waiter(&self, number: usize) -> &Waiter {
        self.asked[number].1.as_ref().unwrap()
    }

    fn has(&self, number: usize) -> bool {
        self.asked[number].2 == Taken::Yes || self.waiter(number).is(Outcome::Granted)
    }

    fn release(&mut self, number: usize) {
        assert!(self.has(number));
        if self.waiter(number).request.shared {
            self.raw.release_read(Owner::ANYBODY);
        } else {
            self.raw.release_write(Self::owner(number));
        }
        self.check();
    }

    fn cancel(&mut self, number: usize) -> bool {
        let cancelled = self.raw.cancel(self.waiter(number));
        self.check();
        cancelled
    }

    fn refuse(&mut self, number: usize, changes: u32) -> bool {
        let refused = self.raw.refuse(self.waiter(number), changes);
        self.check();
        refused
    }

    fn report(&self, number: usize) -> bool {
        let turnstile = self.raw.turnstile();
        turnstile.report(self.waiter(number))
    }

    fn changes(&self) -> u32 {
        self.raw.turnstile().changes
    }

    /// The waiters, first to last.
    fn queue(&self) -> Vec<usize> {
        let turnstile = self.raw.turnstile();
        let number = |waiter: &Waiter| waiter.request.owner.word() / 8 - 1;
        turnstile.iter().map(number).collect()
    }

    /// Checks that the bit is set exactly while there are waiters.
    fn check(&self) {
        assert_eq!(self.raw.has_waiters(), !self.queue().is_empty());
    }

    /// Asserts that the lock is free.
    fn assert_free(&self) {
        assert!(self.raw.try_write(Self::owner(1000)));
        self.raw.release_write(Self::owner(1000));
    }
}

/// By priority, and within a priority first come, first served.
#[test]
fn highest_first() {
    model(0, || {
        let mut s = Scene::new();
        let owner = s.write(1);
        let [low, high, same, handler] = [10, 20, 20, 1005].map(|priority| s.write(priority));
        let order = [handler, high, same, low];
        assert_eq!(s.queue(), order);
        let mut last = owner;
        for next in order {
            assert!(!s.has(next));
            s.release(last);
            assert!(s.has(next));
            last = next;
        }
        s.release(last);
        s.assert_free();
    });
}

/// A reader joins readers only if it outranks all waiters.
#[test]
fn reader_joins() {
    model(0, || {
        let mut s = Scene::new();
        let first = s.read(10);
        let second = s.read(1);
        assert!(s.has(second), "nobody waits");
        let writer = s.write(20);
        let [lower, same, higher] = [19, 20, 21].map(|priority| s.read(priority));
        assert!(s.has(higher));
        assert_eq!(s.queue(), [writer, same, lower]);
        let first_waiting = s.read(20);
        assert!(!s.has(first_waiting), "it is the equal of one that waits");
        assert!(!s.raw.try_read(), "somebody waits");
        for reader in [first, second, higher] {
            assert!(!s.has(writer));
            s.release(reader);
        }
        assert!(s.has(writer));
        s.release(writer);
        for reader in [same, first_waiting, lower] {
            assert!(s.has(reader), "they are let in together");
            s.release(reader);
        }
        s.assert_free();
    });
}

/// Readers that come before the next writer are let in together, and no others.
#[test]
fn readers_together() {
    model(0, || {
        let mut s = Scene::new();
        let owner = s.write(1);
        let [a, b] = [30, 20].map(|priority| s.read(priority));
        let writer = s.write(15);
        let late = s.read(10);
        s.release(owner);
        assert!(s.has(a) && s.has(b) && !s.has(writer) && !s.has(late));
        s.release(a);
        assert!(!s.has(writer));
        s.release(b);
        assert!(s.has(writer) && !s.has(late));
        s.release(writer);
        assert!(s.has(late));
        s.release(late);
        s.assert_free();
    });
}

/// A writer that enough readers have passed, by joining those that read, goes to the front.
#[test]
fn joined_too_often() {
    model(0, || {
        let mut s = Scene::new();
        let first = s.read(10);
        let writer = s.write(20);
        let mut readers: Vec<_> = (0..OVERTAKEN).map(|_| s.read(30)).collect();
        assert!(readers.iter().all(|&reader| s.has(reader)));
        let late = s.read(1010);
        assert_eq!(s.queue(), [writer, late]);
        readers.push(first);
        for reader in readers {
            s.release(reader);
        }
        assert!(s.has(writer) && !s.has(late));
        s.release(writer);
        s.release(late);
        s.assert_free();
    });
}

/// The same for readers that are let in before it.
#[test]
fn let_in_before_too_often() {
    model(0, || {
        let mut s = Scene::new();
        let owner = s.write(1);
        let [before, writer] = [25, 20].map(|priority| s.write(priority));
        let readers: Vec<_> = (0..OVERTAKEN).map(|_| s.read(30)).collect();
        s.release(owner);
        assert!(readers.iter().all(|&reader| s.has(reader)));
        // Readers are counted only for the first waiting writer.
        let late = s.read(1010);
        assert_eq!(s.queue(), [before, late, writer]);
    });
}

/// And for one that is let in alone.
#[test]
fn let_in_alone() {
    model(0, || {
        let mut s = Scene::new();
        let owner = s.write(1);
        let [writer, reader] = [s.write(20), s.read(30)];
        s.release(owner);
        assert!(s.has(reader));
        for _ in 1..OVERTAKEN {
            let joins = s.read(30);
            assert!(s.has(joins));
        }
        let late = s.read(1010);
        assert_eq!(s.queue(), [writer, late]);
    });
}

/// A writer is not passed by those that are ahead of it anyway.
#[test]
fn equals_do_not_pass() {
    model(0, || {
        let mut s = Scene::new();
        let owner = s.write(1);
        let readers: Vec<_> = (0..OVERTAKEN).map(|_| s.read(20)).collect();
        let writer = s.write(20);
        s.release(owner);
        assert!(readers.iter().all(|&reader| s.has(reader)));
        let late = s.read(1010);
        assert!(s.has(late) && !s.has(writer));
    });
}

/// Not all readers are let in at a time, and each is in the end.
#[test]
fn some_together() {
    model(0, || {
        let mut s = Scene::new();
        let owner = s.write(1);
        let mut readers: Vec<_> = (0..TOGETHER + 1).map(|_| s.read(20)).collect();
        let writer = s.write(20);
        s.release(owner);
        let last = readers.pop().unwrap();
        assert!(readers.iter().all(|&reader| s.has(reader)) && !s.has(last));
        for reader in readers {
            s.release(reader);
        }
        assert!(s.has(last) && !s.has(writer));
        s.release(last);
        assert!(s.has(writer));
    });
}

/// When a waiter gives up, those that wait only because of it are let in.
#[test]
fn gives_up() {
    model(0, || {
        let mut s = Scene::new();
        let first = s.read(10);
        let writer = s.write(20);
        let [a, b] = [15, 15].map(|priority| s.read(priority));
        let other = s.write(10);
        assert!(s.cancel(writer));
        assert!(s.has(a) && s.has(b) && !s.has(other));
        assert!(!s.cancel(a), "its wait is over");
        for reader in [first, a, b] {
            s.release(reader);
        }
        assert!(s.has(other));
        s.release(other);
        s.assert_free();
    });
}

/// That somebody waits for ever is reported once, and does not hide that it waits.
#[test]
fn reported() {
    model(0, || {
        let mut s = Scene::new();
        let first = s.write(10);
        let [a, b] = [20, 15].map(|priority| s.write(priority));
        assert!(s.report(a) && !s.report(a) && s.report(b));
        s.waiter(a).waits_at(1000);
        assert_eq!(s.waiter(a).waited(1500), 500);
        for owner in [first, a, b] {
            s.release(owner);
        }
        s.assert_free();
    });
}

/// An owner that asks for its lock is told so; a waiter in a cycle is, if nothing has changed.
#[test]
fn refused() {
    model(0, || {
        let mut s = Scene::new();
        let first = s.read(10);
        let writer = s.write(20);
        let reader = s.read(15);
        let changes = s.changes();
        assert!(!s.refuse(writer, changes.wrapping_sub(1)));
        assert!(s.refuse(writer, changes));
        assert!(s.waiter(writer).is(Outcome::Refused));
        assert!(s.has(reader));
        s.release(first);
        s.release(reader);

        let request = Request {
            owner: Scene::owner(0),
            priority: 1,
            shared: false,
            can_fail: true,
        };
        let sleep = Sleep::new();
        assert!(s.raw.try_write(request.owner));
        let waiter = Waiter::new(request, Sleeper::Thread(&sleep));
        // SAFETY: It is not queued.
        assert_eq!(unsafe { s.raw.take_or_queue(&waiter) }, Taken::Deadlock);
        s.raw.release_write(request.owner);
        s.assert_free();
    });
}

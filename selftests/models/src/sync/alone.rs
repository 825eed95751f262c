// SPDX-License-Identifier: GPL-2.0

//! Models of handlers that wait alone, in the lock's word, and of what comes between.

use super::Lock;
use crate::{
    lending_model,
    models::writing,
    slot::{Ithread, Slot},
    threads::threads,
};
use std::{
    future::{poll_fn, Future},
    pin::pin,
    task::Poll,
};

/// A handler that asks once more in the poll that began its wait, and then takes the lock as it comes.
pub(super) fn asking_twice<'a>(lock: &'a Lock, ithread: &'a Ithread) -> Slot<'a> {
    Slot::new(ithread, move |irq| async move {
        let mut asked = pin!(lock.write_irq(irq));
        let guard = poll_fn(|cx| match asked.as_mut().poll(cx) {
            Poll::Pending => asked.as_mut().poll(cx),
            ready => ready,
        });
        guard.await.change();
    })
}

/// A thread changes what the lock guards and releases it, and lends its context, while the handler comes, and `other`
/// does what it does. All of it together makes that many `changes`.
fn released_meanwhile(
    preemptions: usize,
    handler: for<'a> fn(&'a Lock, &'a Ithread) -> Slot<'a>,
    other: fn(&Lock),
    changes: u32,
) {
    lending_model(preemptions, move || {
        let (lock, ithread) = (&Lock::new(), &Ithread::new());
        let slot = handler(lock, ithread);
        threads(|t| {
            let guard = lock.held();
            t.spawn(move || {
                guard.change();
                drop(guard);
            });
            t.spawn(|| other(lock));
            t.spawn(|| ithread.run(u32::MAX));
            slot.enter();
            slot.synchronize();
            ithread.end();
        });
        lock.assert_free(changes);
        slot.assert_rested();
    });
}

/// The handler asks again, while the lock may have been handed to it and it is about to be woken.
#[test]
fn asks_again() {
    released_meanwhile(3, asking_twice, |_| (), 2);
}

/// A thread comes, and waits behind the handler.
#[test]
fn and_thread() {
    released_meanwhile(2, asking_twice, |lock| lock.write().change(), 3);
}

/// A thread comes to read.
#[test]
fn and_reader() {
    released_meanwhile(2, writing, |lock| _ = lock.read().look(), 2);
}

/// Somebody looks at the turnstile, and finds the handler there.
#[test]
fn and_look() {
    let look = |lock: &Lock| {
        let turnstile = lock.raw.turnstile();
        assert!(turnstile.iter().all(|waiter| !waiter.request.shared));
    };
    released_meanwhile(2, asking_twice, look, 2);
}

/// One handler gives up its wait, and then another waits, while the lock is released.
#[test]
fn one_after_the_other() {
    lending_model(3, || {
        let (lock, ithread) = (&Lock::new(), &Ithread::new());
        let impatient = Slot::new(ithread, |irq| async move {
            let mut asked = pin!(lock.write_irq(irq));
            poll_fn(|cx| Poll::Ready(asked.as_mut().poll(cx).is_ready())).await;
        });
        let slot = asking_twice(lock, ithread);
        threads(|t| {
            let guard = lock.held();
            t.spawn(move || {
                guard.change();
                drop(guard);
            });
            t.spawn(|| ithread.run(u32::MAX));
            impatient.enter();
            slot.enter();
            slot.synchronize();
            ithread.end();
        });
        lock.assert_free(2);
        slot.assert_rested();
        impatient.assert_rested();
    });
}

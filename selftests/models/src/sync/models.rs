// SPDX-License-Identifier: GPL-2.0

//! Models of the locks.

use super::{alone::asking_twice, sleeper::signal, Lock, Sleep};
use crate::{
    continuation::Phase,
    model,
    prelude::{EDEADLK, EINTR},
    slot::{Ithread, Slot},
    threads::threads,
};
use std::{
    future::{pending, poll_fn, Future},
    pin::pin,
    ptr,
    task::Poll,
};

/// Three threads take a lock and release it.
#[test]
fn take_and_release() {
    model(3, || {
        let lock = Lock::new();
        threads(|t| {
            t.spawn(|| lock.write().change());
            t.spawn(|| lock.write().change());
            lock.write().change();
        });
        lock.assert_free(3);
    });
}

/// A handler learns of the grant by itself, in the poll that began the wait, and is done while the releaser
/// that grants is still about to wake it. (Its slot is there for a grace period, which that lasts.)
#[test]
fn grant_seen_before_wake() {
    model(3, || {
        let (lock, ithread) = (&Lock::new(), &Ithread::new());
        let slot = asking_twice(lock, ithread);
        threads(|t| {
            let guard = lock.held();
            t.spawn(move || guard.change());
            t.spawn(|| ithread.run(u32::MAX));
            slot.enter();
            slot.synchronize();
            ithread.end();
        });
        lock.assert_free(2);
        slot.assert_rested();
    });
}

/// A handler takes two locks of two threads, one after the other.
#[test]
fn two_releases() {
    model(3, || {
        let (first, second, ithread) = (&Lock::new(), &Lock::new(), &Ithread::new());
        let slot = Slot::new(ithread, |irq| async move {
            let first = first.write_irq(irq).await;
            let second = second.write_irq(irq).await;
            first.change();
            second.change();
        });
        threads(|t| {
            for lock in [first, second] {
                let guard = lock.held();
                t.spawn(move || guard.change());
            }
            if slot.enter() {
                ithread.run(1);
            }
        });
        first.assert_free(2);
        second.assert_free(2);
        slot.assert_rested();
    });
}

/// A handler waits for two locks at once, in their turnstiles, and takes each as it comes.
#[test]
fn two_waits_at_once() {
    model(2, || {
        let (first, second, ithread) = (&Lock::new(), &Lock::new(), &Ithread::new());
        let slot = Slot::new(ithread, |irq| async move {
            let mut asked = [first, second].map(|lock| Some(Box::pin(lock.read_irq(irq))));
            poll_fn(|cx| {
                for asked in &mut asked {
                    if let Some(Poll::Ready(guard)) = asked.as_mut().map(|it| it.as_mut().poll(cx))
                    {
                        guard.look();
                        *asked = None;
                    }
                }
                match asked {
                    [None, None] => Poll::Ready(()),
                    _ => Poll::Pending,
                }
            })
            .await;
        });
        threads(|t| {
            for lock in [first, second] {
                let guard = lock.held();
                t.spawn(move || guard.change());
            }
            if slot.enter() {
                ithread.run(1);
            }
        });
        first.assert_free(1);
        second.assert_free(1);
        slot.assert_rested();
    });
}

/// A handler gives up its wait for one lock and waits for another one, while it may have been woken
/// for the first.
#[test]
fn wake_left_over() {
    model(3, || {
        let (first, second, ithread) = (&Lock::new(), &Lock::new(), &Ithread::new());
        let slot = Slot::new(ithread, |irq| async move {
            ask_once(first.read_irq(irq)).await;
            second.read_irq(irq).await.look();
        });
        threads(|t| {
            for lock in [first, second] {
                let guard = lock.held();
                t.spawn(move || guard.change());
            }
            if slot.enter() {
                ithread.run(1);
            }
        });
        first.assert_free(1);
        second.assert_free(1);
        slot.assert_rested();
    });
}

/// Asks once, and takes no for an answer.
async fn ask_once(asked: impl Future) {
    let mut asked = pin!(asked);
    poll_fn(|cx| Poll::Ready(asked.as_mut().poll(cx).is_ready())).await;
}

/// A handler gives up its wait: the lock goes to the thread that waits behind it. (Its slot is there for a
/// grace period: the thread that has handed it the lock meanwhile may be about to wake it.)
#[test]
fn cancel_and_hand_over() {
    model(3, || {
        let (lock, ithread) = (&Lock::new(), &Ithread::new());
        let slot = Slot::new(ithread, |irq| ask_once(lock.write_irq(irq)));
        threads(|t| {
            let guard = lock.held();
            t.spawn(move || guard.change());
            t.spawn(|| lock.write().change());
            assert!(!slot.enter());
            slot.assert_rested();
        });
        lock.assert_free(2);
    });
}

/// A handler gives up its wait, and then waits for something that never comes: this is detected, whether the
/// lock has come meanwhile or not.
#[test]
fn give_up_and_wait_for_nothing() {
    model(2, || {
        let (lock, ithread) = (&Lock::new(), &Ithread::new());
        let slot = Slot::new(ithread, |irq| async move {
            ask_once(lock.write_irq(irq)).await;
            pending().await
        });
        threads(|t| {
            let guard = lock.held();
            t.spawn(move || drop(guard));
            t.spawn(|| ithread.run(1));
            if !slot.enter() {
                ithread.end();
            }
        });
        slot.assert_dead();
    });
}

/// A thread gives up its wait because of a signal: the lock goes to the thread behind it.
#[test]
fn signal_and_hand_over() {
    model(3, || {
        let lock = Lock::new();
        threads(|t| {
            let guard = lock.held();
            t.spawn(move || guard.change());
            t.spawn(|| {
                signal();
                match lock.write_interruptible() {
                    Ok(guard) => assert!(guard.look() > 0),
                    Err(error) => assert_eq!(error, EINTR),
                }
                lock.assert_bit();
            });
            lock.write().change();
        });
        lock.assert_free(2);
    });
}

/// A thread is either told that it waits in vain, or granted the lock: not both, and not neither.
#[test]
fn refuse_and_grant() {
    model(3, || {
        let lock = Lock::new();
        threads(|t| {
            let guard = lock.held();
            t.spawn(move || drop(guard));
            t.spawn(|| match lock.write_interruptible() {
                Ok(guard) => guard.change(),
                Err(error) => assert_eq!(error, EDEADLK),
            });
            refuse_first(&lock);
        });
        let changes = lock.write().look();
        lock.assert_free(changes);
    });
}

/// The same with a handler, which dies of it.
#[test]
fn refuse_handler_and_grant() {
    model(2, || {
        let (lock, ithread) = (&Lock::new(), &Ithread::new());
        let slot = Slot::new(
            ithread,
            |irq| async move { lock.write_irq(irq).await.change() },
        );
        threads(|t| {
            let guard = lock.held();
            t.spawn(move || drop(guard));
            t.spawn(|| refuse_first(lock));
            if slot.enter() {
                ithread.run(1);
            }
        });
        let dead = slot.continuation.load().phase() == Phase::Dead;
        lock.assert_free(if dead { 0 } else { 1 });
    });
}

/// What the dispatcher does about a deadlock: the first look and the refusal are two steps.
fn refuse_first(lock: &Lock) {
    let (waiter, changes) = {
        let turnstile = lock.raw.turnstile();
        let first = turnstile.iter().next().map_or(ptr::null(), ptr::from_ref);
        (first, turnstile.changes)
    };
    lock.raw.refuse(waiter, changes);
    lock.assert_bit();
}

/// Two readers release while a writer queues: the writer sees that both are done.
#[test]
fn readers_release_to_writer() {
    model(3, || {
        let lock = Lock::new();
        threads(|t| {
            for _ in 0..2 {
                let guard = lock.read();
                t.spawn(move || assert_eq!(guard.look(), 0));
            }
            lock.write().change();
        });
        lock.assert_free(1);
    });
}

/// The writer that waits for them gives up meanwhile, and later comes back.
#[test]
fn readers_release_and_writer_gives_up() {
    model(3, || {
        let lock = Lock::new();
        threads(|t| {
            for _ in 0..2 {
                let guard = lock.read();
                t.spawn(move || assert_eq!(guard.look(), 0));
            }
            signal();
            drop(lock.write_interruptible());
            lock.write().change();
        });
        lock.assert_free(1);
    });
}

/// Readers and a writer come and go.
#[test]
fn readers_and_writer() {
    model(3, || {
        let lock = Lock::new();
        threads(|t| {
            for _ in 0..2 {
                t.spawn(|| assert!(lock.read().look() <= 1));
            }
            lock.write().change();
            assert_eq!(lock.read().look(), 1);
        });
        lock.assert_free(1);
    });
}

/// A handler reads alongside a thread, ahead of a writer that is already waiting.
#[test]
fn reading_handler_joins() {
    model(3, || {
        let (lock, ithread) = (&Lock::new(), &Ithread::new());
        let slot = Slot::new(ithread, |irq| async move {
            assert!(lock.read_irq(irq).await.look() <= 1);
        });
        threads(|t| {
            let guard = lock.read();
            t.spawn(move || assert_eq!(guard.look(), 0));
            t.spawn(|| lock.write().change());
            if slot.enter() {
                ithread.run(1);
            }
        });
        lock.assert_free(1);
        slot.assert_rested();
    });
}

/// A writer gives up while there is a reader: those that wait behind it are let in, and see what the
/// last writer did.
#[test]
fn writer_gives_up() {
    model(3, || {
        let (lock, seen) = (Lock::new(), Sleep::new());
        threads(|t| {
            t.spawn(|| {
                assert!(lock.read().look() <= 1);
                seen.complete();
            });
            lock.write().change();
            let guard = lock.read();
            signal();
            assert_eq!(lock.write_interruptible().err(), Some(EINTR));
            seen.wait();
            drop(guard);
        });
        lock.assert_free(1);
    });
}

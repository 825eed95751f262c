// SPDX-License-Identifier: GPL-2.0

//! Models of the state machine and of the run queue.

use crate::{
    continuation::{Continuation, Pending, Phase},
    ipl::Ipl,
    lending_model, model,
    primitive::{AtomicU32, Cell, Relaxed},
    runqueue::{Link, RunQueue},
    slot::{Ithread, Slot},
    sync::Lock,
    threads::threads,
};
use std::{future::pending, ptr};

fn push(queue: &RunQueue<Item>, item: &Item) -> bool {
    // SAFETY: No model adds an item that is in a queue, and the items outlive the queues' threads.
    unsafe { queue.push(item) }
}

/// A poll returns pending while what it waits for comes: one of the two sides queues the continuation.
#[test]
fn pending_and_wake() {
    model(3, || {
        let continuation = Continuation::new(Ipl::from_const::<1>());
        let queue = RunQueue::new();
        let item = Item::new(0);
        let enqueue = || assert!(push(&queue, &item));
        threads(|t| {
            assert_eq!(continuation.arm(), Phase::Idle);
            // Two, since a wait may be left over from an earlier poll.
            for _ in 0..2 {
                t.spawn(|| {
                    if continuation.wake() {
                        enqueue();
                    }
                });
            }
            item.value.set(1);
            if continuation.pending() == Pending::Queue {
                enqueue();
            }
        });
        // If it had been pushed twice, it would be its own successor.
        // SAFETY: There is no other thread left.
        let popped = unsafe { [queue.pop(), queue.pop()] };
        assert_eq!(popped, [Some(ptr::from_ref(&item)), None]);
        assert_eq!(continuation.load().phase(), Phase::Queued);
    });
}

/// A handler that changes what the lock guards.
pub(crate) fn writing<'a>(lock: &'a Lock, ithread: &'a Ithread) -> Slot<'a> {
    Slot::new(ithread, move |irq| async move {
        lock.write_irq(irq).await.change();
    })
}

/// A handler that waits for a lock is woken once, whether its first poll is over or not, and never
/// runs twice at a time.
#[test]
fn block_and_release() {
    model(3, || {
        let (lock, ithread) = (&Lock::new(), &Ithread::new());
        let slot = writing(lock, ithread);
        threads(|t| {
            let guard = lock.held();
            t.spawn(move || {
                guard.change();
                drop(guard);
            });
            t.spawn(|| ithread.run(1));
            if !slot.enter() {
                ithread.end();
            }
        });
        lock.assert_free(2);
        slot.assert_rested();
    });
}

/// The same with a handler that does not wait alone, as it wants to read.
#[test]
fn read_and_release() {
    model(3, || {
        let (lock, ithread) = (&Lock::new(), &Ithread::new());
        let slot = Slot::new(ithread, move |irq| async move {
            lock.read_irq(irq).await.look();
        });
        threads(|t| {
            let guard = lock.held();
            t.spawn(move || {
                guard.change();
                drop(guard);
            });
            t.spawn(|| ithread.run(1));
            if !slot.enter() {
                ithread.end();
            }
        });
        lock.assert_free(1);
        slot.assert_rested();
    });
}

/// Interrupts come while the handler waits, is resumed and is done: it runs once for each, and the
/// line is unmasked as often as it was masked.
#[test]
fn interrupts_and_done() {
    model(2, || {
        let (lock, ithread) = (&Lock::new(), &Ithread::new());
        let slot = writing(lock, ithread);
        threads(|t| {
            t.spawn(|| ithread.run(u32::MAX));
            // By IPL order, the first one may not start the handler at once.
            slot.arrived_busy();
            (0..3).for_each(|_| slot.interrupt());
            slot.synchronize();
            ithread.end();
        });
        lock.assert_free(4);
        slot.assert_rested();
    });
}

/// The same with a level-triggered line, and a handler that waits.
#[test]
fn level_interrupts_and_done() {
    model(2, level_interrupts);
}

/// The same while the releaser resumes it.
#[test]
fn interrupts_and_releaser() {
    lending_model(2, level_interrupts);
}

fn level_interrupts() {
    let (lock, ithread) = (&Lock::new(), &Ithread::new());
    let slot = writing(lock, ithread).level_triggered();
    threads(|t| {
        let guard = lock.held();
        t.spawn(move || drop(guard));
        t.spawn(|| ithread.run(u32::MAX));
        (0..2).for_each(|_| slot.interrupt());
        slot.synchronize();
        ithread.end();
    });
    slot.assert_rested();
}

/// As `block_and_release`, but the releaser resumes the handler where it may, and else the ithread does.
#[test]
fn block_and_resume_by_releaser() {
    lending_model(3, || {
        let (lock, ithread) = (&Lock::new(), &Ithread::new());
        let slot = writing(lock, ithread);
        threads(|t| {
            let guard = lock.held();
            t.spawn(move || {
                guard.change();
                drop(guard);
            });
            t.spawn(|| ithread.run(u32::MAX));
            slot.enter();
            slot.synchronize();
            ithread.end();
        });
        lock.assert_free(2);
        slot.assert_rested();
    });
}

/// Two handlers wait to read and one to write. The releaser resumes the two that read; the second of
/// them releases the lock to the third, which its ithread resumes, as the budget is two.
#[test]
fn releaser_and_batch() {
    lending_model(2, || {
        let (lock, ithread) = (&Lock::new(), &Ithread::new());
        let reading = [(); 2].map(|()| {
            Slot::new(ithread, |irq| async move {
                lock.read_irq(irq).await.look();
            })
        });
        let writing = writing(lock, ithread);
        let slots = [&reading[0], &reading[1], &writing];
        let guard = lock.held();
        for slot in slots {
            assert!(slot.enter());
        }
        threads(|t| {
            t.spawn(move || drop(guard));
            ithread.run(1);
        });
        lock.assert_free(1);
        slots.iter().for_each(|slot| slot.assert_rested());
    });
}

/// A handler that the releaser has resumed blocks again: next, its ithread resumes it.
#[test]
fn second_block() {
    lending_model(2, || {
        let (first, second, ithread) = (&Lock::new(), &Lock::new(), &Ithread::new());
        let slot = Slot::new(ithread, |irq| async move {
            first.write_irq(irq).await.change();
            second.write_irq(irq).await.change();
        });
        let guards = [first.held(), second.held()];
        slot.enter();
        threads(|t| {
            for guard in guards {
                t.spawn(move || drop(guard));
            }
            t.spawn(|| ithread.run(u32::MAX));
            slot.synchronize();
            ithread.end();
        });
        first.assert_free(1);
        second.assert_free(1);
        slot.assert_rested();
    });
}

/// The registration is dropped while the handler is unfinished and interrupts come: it goes when
/// nothing is about to touch it any more, and every interrupt that was taken was answered.
#[test]
fn stop_and_done() {
    model(2, || {
        let ithread = &Ithread::new();
        threads(|t| {
            let slot = Slot::new(ithread, |_| async {});
            slot.arrived_busy();
            t.spawn(|| ithread.run(u32::MAX));
            stop(&slot, 2);
            drop(slot);
            ithread.end();
        });
    });
}

fn stop(slot: &Slot<'_>, interrupts: u32) {
    threads(|line| {
        line.spawn(move || (0..interrupts).for_each(|_| slot.interrupt()));
        slot.continuation.stop();
    });
    slot.synchronize();
    slot.assert_answered();
    slot.assert_refuses();
    assert_eq!(
        u32::from(slot.continuation.load().is_masked()),
        slot.masked()
    );
}

/// The same while the handler is blocked on a level-triggered line, which is not masked yet.
#[test]
fn stop_and_level_interrupt() {
    model(2, || {
        let (lock, ithread) = (&Lock::new(), &Ithread::new());
        let slot = writing(lock, ithread).level_triggered();
        threads(|t| {
            let guard = lock.held();
            slot.interrupt();
            t.spawn(move || drop(guard));
            t.spawn(|| ithread.run(u32::MAX));
            stop(&slot, 1);
            ithread.end();
        });
    });
}

/// The handler waits for something that never comes, and is given up, while an interrupt masks the line: it is
/// masked once.
#[test]
fn die_and_interrupts() {
    model(2, || {
        let ithread = &Ithread::new();
        let slot = Slot::new(ithread, |_| pending());
        slot.arrived_busy();
        threads(|t| {
            t.spawn(|| ithread.run(1));
            (0..2).for_each(|_| slot.interrupt());
        });
        slot.assert_dead();
    });
}

/// The IPL is changed while interrupts come: an unfinished handler keeps the one it is counted by.
#[test]
fn ipl_and_done() {
    model(2, || {
        let ithread = &Ithread::new();
        let slot = Slot::new(ithread, |_| async {});
        threads(|t| {
            t.spawn(|| ithread.run(u32::MAX));
            t.spawn(|| {
                slot.continuation.set_ipl(Ipl::from_const::<2>());
            });
            slot.arrived_busy();
            slot.interrupt();
            slot.synchronize();
            ithread.end();
        });
        assert_eq!(slot.ipl(), 2);
        slot.assert_rested();
    });
}

/// An ithread closes its queue while other threads add to it: what they add is either popped by the
/// ithread, which moves it to another queue, or turned away, and they add it to the other queue.
#[test]
fn push_and_close() {
    model(3, || {
        let (home, other) = (RunQueue::new(), RunQueue::new());
        let items = [Item::new(0), Item::new(0)];
        threads(|t| {
            for item in &items {
                let (home, other) = (&home, &other);
                t.spawn(move || {
                    item.value.set(1);
                    assert!(push(home, item) || push(other, item), "both are closed");
                });
            }
            // SAFETY: This is the ithread, and what is in a queue is alive.
            unsafe {
                home.close();
                while let Some(item) = home.pop() {
                    assert_eq!((*item).value.get(), 1);
                    assert!(push(&other, &*item));
                }
            }
        });
        // SAFETY: There is no other thread left.
        let mut popped = unsafe { [other.pop(), other.pop()].map(Option::unwrap) };
        popped.sort();
        assert_eq!(popped, [0, 1].map(|i| ptr::from_ref(&items[i])));
        // SAFETY: As above.
        unsafe {
            assert_eq!(other.pop(), None);
            assert_eq!(home.pop(), None);
            home.open();
        }
        assert!(push(&home, &items[0]));
    });
}

/// What one thread adds is popped in that order, and complete.
#[test]
fn push_and_pop() {
    model(3, || {
        let queue = RunQueue::new();
        let items = [Item::new(1), Item::new(2), Item::new(3)];
        threads(|t| {
            t.spawn(|| {
                assert!(push(&queue, &items[0]));
                assert!(push(&queue, &items[1]));
            });
            t.spawn(|| assert!(push(&queue, &items[2])));
            let mut popped = Vec::new();
            while popped.len() < items.len() {
                // SAFETY: This is the ithread, and what is in a queue is alive.
                match unsafe { queue.pop() } {
                    // SAFETY: As above.
                    Some(item) => popped.push(unsafe { (*item).value.get() }),
                    None => loom::thread::yield_now(),
                }
            }
            popped.retain(|&value| value != 3);
            assert_eq!(popped, [1, 2]);
        });
    });
}

/// What is in the queue is not overlooked while the ithread takes it.
#[test]
fn push_and_take() {
    model(3, || {
        let queue = RunQueue::new();
        let item = Item::new(1);
        let taken = AtomicU32::new(0);
        threads(|t| {
            t.spawn(|| {
                // SAFETY: This is the ithread. It is not done with what it takes.
                if unsafe { queue.take() }.is_some() {
                    taken.store(1, Relaxed);
                }
            });
            assert!(push(&queue, &item));
            // This orders nothing; it makes loom also try what comes next after the taking.
            taken.load(Relaxed);
            assert!(queue.is_busy());
        });
    });
}

struct Item {
    next: Cell<*mut Item>,
    value: Cell<u32>,
}

impl Item {
    fn new(value: u32) -> Self {
        Self {
            next: Cell::new(ptr::null_mut()),
            value: Cell::new(value),
        }
    }
}

impl Link for Item {
    fn next(&self) -> &Cell<*mut Self> {
        &self.next
    }
}

// SAFETY: As for slots: loom checks that its cells are used by one thread at a time.
unsafe impl Sync for Item {}

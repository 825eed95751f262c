// SPDX-License-Identifier: GPL-2.0

//! Models of the counters of one interrupt: what is read, or reset, is as of one moment.

use crate::{
    counters::Counters,
    model,
    primitive::{Acquire, AtomicU32, Cell, Relaxed, Release},
    seqcount::SeqCount,
    threads::threads,
};

/// What is changed in two steps is seen as before the first or after the second.
#[test]
fn two_steps() {
    model(3, || {
        let count = SeqCount::default();
        let (one, other) = (AtomicU32::new(0), AtomicU32::new(0));
        let look = || count.look(|| (one.load(Relaxed), other.load(Relaxed)));
        threads(|t| {
            t.spawn(|| {
                for n in 1..=2 {
                    count.change(|| {
                        one.store(n, Relaxed);
                        other.store(n, Relaxed);
                    });
                }
            });
            if let Some((one, other)) = look() {
                assert_eq!(one, other);
            }
        });
        assert_eq!(look(), Some((2, 2)));
    });
}

/// Two interrupts whose handlers are finished by another thread, while `look` looks. The first blocks: it is
/// counted before any other thread can know of it. The second is remembered: it may be answered, and that
/// counted, before it is counted itself.
fn two_interrupts(counters: &Counters, look: impl FnOnce()) {
    let (published, resumed) = (AtomicU32::new(0), Cell::new(0));
    let publish = || published.fetch_add(1, Release);
    let resume = || {
        if published.load(Acquire) > resumed.get() {
            resumed.set(resumed.get() + 1);
            counters.resumed.add(1);
        }
    };
    threads(|t| {
        t.spawn(|| {
            counters.blocked.add(1);
            publish();
            counters.arriving.change(|| {
                publish();
                counters.remembered.add(1);
            });
        });
        t.spawn(|| (0..2).for_each(|_| resume()));
        look();
    });
    // Resume what that thread was too early for.
    (0..2).for_each(|_| resume());
}

/// How many handlers are unfinished, according to the counts.
fn unfinished(counters: &Counters) -> i64 {
    let counts = counters.snapshot();
    (counts.blocked + counts.remembered).wrapping_sub(counts.resumed) as i64
}

/// A reader sees numbers that add up.
#[test]
fn snapshot() {
    model(2, || {
        let counters = Counters::default();
        two_interrupts(&counters, || {
            assert!((0..=2).contains(&unfinished(&counters)));
        });
        assert_eq!(counters.snapshot().interrupts(), 2);
        assert_eq!(unfinished(&counters), 0);
    });
}

/// After a reset the counters are less by what they were at one moment: what was unfinished then is
/// finished without having begun.
#[test]
fn reset() {
    model(2, || {
        let counters = Counters::default();
        two_interrupts(&counters, || counters.reset());
        assert!((-2..=0).contains(&unfinished(&counters)));
    });
}

// SPDX-License-Identifier: GPL-2.0

//! Models of boosts.

use super::{cpu, Boost, Task};
use crate::{
    ipl::Ipl,
    model,
    models::writing,
    primitive::{Acquire, AtomicBool, Cell, Relaxed, Release},
    slot::{Ithread, Slot},
    sync::{boost, signal, Lock, Sleep},
    threads::threads,
};
use std::ptr;

const OWN: u32 = Ipl::FIFO_BASE + 1;
const HIGHER: u32 = OWN + 5;

/// The ithread's task. It has its own priority.
fn task() -> Task {
    Task {
        fifo: Cell::new(OWN),
        awake: Sleep::new(),
    }
}

impl Task {
    /// It is that of the ithread.
    fn begin(&self) {
        let task = ptr::from_ref(self).cast_mut();
        cpu(0).work[1].thread.store(task, Relaxed);
    }

    /// It has its own priority, and nothing keeps another one for it.
    fn assert_own(&self) {
        assert_eq!(
            self.fifo.get(),
            OWN,
            "it keeps the priority that it was lent"
        );
        assert!(cpu(0).work[1].boosted_for.load(Relaxed).is_null());
    }
}

fn wait_and_give_up(lock: &Lock) {
    signal();
    let _ = lock.write_interruptible();
}

/// An ithread runs a handler that has a lock, and is boosted for the sake of one who waits for that, and
/// who may have given up: in the end it has its own priority.
#[test]
fn boost_and_run() {
    model(3, || {
        let (lock, ithread, task) = (&Lock::new(), &Ithread::new(), &task());
        task.begin();
        let slot = writing(lock, ithread);
        slot.arrived_busy();
        threads(|t| {
            t.spawn(|| {
                ithread.run(1);
                Boost::has_run([0, 0], 1, &*slot);
            });
            t.spawn(|| wait_and_give_up(lock));
            t.spawn(|| boost(lock, &slot, HIGHER));
        });
        task.assert_own();
    });
}

/// The same with a releaser in the ithread's place: that is to end the boost.
#[test]
fn boost_and_run_elsewhere() {
    model(3, || {
        let (lock, ithread, task) = (&Lock::new(), &Ithread::new(), &task());
        let over = AtomicBool::new(false);
        task.begin();
        let slot = writing(lock, ithread);
        slot.arrived_busy();
        threads(|t| {
            t.spawn(|| {
                while !over.load(Acquire) {
                    task.awake.wait();
                    Boost::end_left(0, 1);
                }
                Boost::end_left(0, 1);
            });
            t.spawn(|| wait_and_give_up(lock));
            t.spawn(|| boost(lock, &slot, HIGHER));
            ithread.run(1);
            Boost::has_run_elsewhere(0, 1, &*slot);
            over.store(true, Release);
            task.awake.complete();
        });
        task.assert_own();
    });
}

/// A handler has run for whose sake its ithread was boosted, while that is boosted for another one, which is
/// yet to run.
#[test]
fn boost_for_the_next() {
    model(3, || {
        let (ithread, task) = (&Ithread::new(), &task());
        task.begin();
        let [first, second] = [(); 2].map(|()| Slot::new(ithread, |_| async {}));
        let boost = |slot| Boost::new(slot, HIGHER).unwrap().perform();
        boost(&first);
        threads(|t| {
            t.spawn(|| Boost::has_run([0, 0], 1, &*first));
            boost(&second);
        });
        assert_eq!(task.fifo.get(), HIGHER, "it is not boosted any more");
        Boost::has_run([0, 0], 1, &*second);
        task.assert_own();
    });
}

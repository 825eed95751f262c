// SPDX-License-Identifier: GPL-2.0

//! Models of boosts.

use super::{boost, cpu, Task};
use crate::{
    ipl::Ipl,
    model,
    models::writing,
    primitive::{Cell, Relaxed},
    slot::{Ithread, Slot},
    sync::{boost as boost_owner, dispatch as call_dispatcher, dispatched, signal, Lock},
    threads::threads,
};
use std::ptr;

const OWN: u32 = Ipl::FIFO_BASE + 1;
const HIGHER: u32 = OWN + 5;

/// The ithread's task. It has its own priority.
fn task() -> Task {
    Task {
        fifo: Cell::new(OWN),
    }
}

impl Task {
    /// Makes this the ithread's task.
    fn begin(&self) {
        let task = ptr::from_ref(self).cast_mut();
        cpu(0).work[1].thread.store(task, Relaxed);
    }

    /// Asserts that it has its own priority.
    fn assert_own(&self) {
        assert_eq!(
            self.fifo.get(),
            OWN,
            "it keeps the priority that it was lent"
        );
    }
}

fn wait_and_give_up(lock: &Lock) {
    signal();
    let _ = lock.write_interruptible();
}

/// Makes the dispatcher's passes, until no other one is called for.
fn dispatch(lock: &Lock, slot: &Slot<'_>) {
    while dispatched() {
        boost_owner(lock, slot, HIGHER);
        boost::end_pass(true);
    }
}

/// An ithread runs a handler that has a lock, and is boosted for the sake of a waiter for that lock,
/// which may have given up: in the end the ithread has its own priority.
#[test]
fn boost_and_run() {
    model(3, || {
        let (lock, ithread, task) = (&Lock::new(), &Ithread::new(), &task());
        task.begin();
        let slot = writing(lock, ithread);
        slot.arrived_busy();
        call_dispatcher();
        threads(|t| {
            t.spawn(|| {
                ithread.run(1);
                boost::has_run(super::cpu(0), 1);
            });
            t.spawn(|| wait_and_give_up(lock));
            t.spawn(|| dispatch(lock, &slot));
        });
        dispatch(lock, &slot);
        task.assert_own();
    });
}

// SPDX-License-Identifier: GPL-2.0

//! The cases: what a thread does in each round, and what of it is measured.
//!
//! A figure is a line in the log: mechanism, vector, case, point, and the minimum, median and maximum of
//! so many rounds, with the context switches that all of these took.

use crate::{
    alarm::Alarm,
    registers::{now, work, work_for},
    witness::Attributes,
    Shared,
};
use kernel::{bindings, prelude::*, time::Delta};

#[derive(Default)]
struct Series {
    values: KVec<u64>,
}

impl Series {
    /// Keeps the values in order.
    fn push(&mut self, value: u64) -> Result {
        let place = self.values.partition_point(|&other| other <= value);
        self.values.push(value, GFP_KERNEL)?;
        self.values[place..].rotate_right(1);
        Ok(())
    }
}

/// How often the running thread has been switched out so far. With one CPU, each time another thread
/// has run in between: two context switches.
fn switched_out() -> u64 {
    // SAFETY: There is a running thread, which changes its counts only by being switched out.
    unsafe {
        let thread = bindings::get_current();
        ((*thread).nvcsw + (*thread).nivcsw) as u64
    }
}

/// Where and how one mechanism is measured.
pub(crate) struct Run<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) mechanism: &'a str,
    pub(crate) vector: &'a str,
    pub(crate) irq: u32,
    pub(crate) rounds: usize,
}

impl Run<'_> {
    /// Measures rounds, and prints the points of which each tells.
    fn measure<const POINTS: usize>(
        &self,
        case: &str,
        points: [&str; POINTS],
        rounds: usize,
        mut round: impl FnMut() -> [u64; POINTS],
    ) -> Result {
        let mut series = [const {
            Series {
                values: KVec::new(),
            }
        }; POINTS];
        let before = switched_out();
        for _ in 0..rounds {
            for (series, value) in series.iter_mut().zip(round()) {
                series.push(value)?;
            }
        }
        let switches = 2 * (switched_out() - before);
        for (Series { values }, point) in series.iter().zip(points) {
            let (mechanism, vector) = (self.mechanism, self.vector);
            let (min, p50, max) = (values[0], values[rounds / 2], values[rounds - 1]);
            pr_info!(
                "figure {mechanism} {vector} {case} {point} min {min} p50 {p50} max {max} rounds {rounds} switches {switches}\n"
            );
        }
        Ok(())
    }

    /// From the raise to the handler's end, and to the return to what it interrupted.
    pub(crate) fn uncontended(&self, case: &str) -> Result {
        self.measure(case, ["done", "return"], self.rounds, || {
            let start = now();
            self.shared.registers.raise();
            // Where the interrupt is taken at once this is after it, to the instruction.
            let back = now();
            let done = self.shared.take_done();
            let back = if back < done { now() } else { back };
            [done - start, back - start]
        })
    }

    /// Lock, raise, unlock, until handler and thread are both done; and, of such a round, from the
    /// unlock to handler done: hand-over and resumption.
    pub(crate) fn contended<G>(&self, lock: impl Fn() -> G) -> Result {
        let case = "contended-same-cpu";
        self.measure(case, ["total"], self.rounds, || {
            let start = now();
            let guard = lock();
            self.shared.registers.raise();
            drop(guard);
            self.shared.take_done();
            [now() - start]
        })?;
        self.measure(case, ["resume"], self.rounds, || {
            let guard = lock();
            self.shared.registers.raise();
            let unlock = now();
            drop(guard);
            [self.shared.take_done() - unlock]
        })
    }

    /// The same with the interrupt on another CPU, and the lock held for a thousand pauses, at which the
    /// emulator goes on with the other CPU; and, of a round, from the unlock to handler done, and how long the
    /// unlock itself takes. What the other CPU does meanwhile counts as well.
    pub(crate) fn contended_elsewhere<G>(&self, lock: impl Fn() -> G) -> Result {
        let case = "contended-other-cpu";
        self.measure(case, ["total"], self.rounds, || {
            let start = now();
            let guard = lock();
            self.shared.registers.raise();
            // While both take turns.
            for _ in 0..1_000 {
                core::hint::spin_loop();
            }
            drop(guard);
            self.shared.take_done();
            [now() - start]
        })?;
        let points = ["resume", "unlock"];
        self.measure(case, points, self.rounds, || {
            let guard = lock();
            let start = now();
            self.shared.registers.raise();
            // Until the other CPU has done all that it can without the lock.
            work_for(start, 100_000);
            let unlock = now();
            drop(guard);
            let unlocked = now();
            [self.shared.take_done() - unlock, unlocked - unlock]
        })
    }

    /// Lock, raise so many times, unlock, until the handler is done for the last time. It may answer several
    /// events at once, as the hardware and the mechanism bring them.
    pub(crate) fn burst<G>(&self, case: &str, events: usize, lock: impl Fn() -> G) -> Result {
        self.measure(case, ["done"], self.rounds.min(200), || {
            let start = now();
            let guard = lock();
            for _ in 0..events {
                self.shared.registers.raise();
            }
            drop(guard);
            self.shared.await_done();
            // SAFETY: The line is requested; a thread, which may sleep.
            unsafe { bindings::synchronize_irq(self.irq) };
            [self.shared.take_done() - start]
        })
    }

    /// From the raise to the handler's end, if a real-time thread keeps the CPU busy for ten milliseconds
    /// once the handler waits for the lock.
    pub(crate) fn behind_hog<G>(&self, lock: impl Fn() -> G) -> Result {
        self.measure("hog-10ms", ["done"], self.rounds.min(5), || {
            let guard = lock();
            let start = now();
            self.shared.registers.raise();
            self.shared.witness.hog(10_000_000);
            drop(guard);
            let done = self.shared.take_done();
            self.shared.witness.waited();
            [done - start]
        })
    }

    /// From the raise to the handler's end, if it interrupts a real-time thread, above all threads of interrupts,
    /// that works on for ten milliseconds.
    pub(crate) fn under_load(&self) -> Result {
        self.measure("load-10ms", ["done"], self.rounds.min(5), || {
            Attributes::fifo(90).apply();
            let start = now();
            self.shared.registers.raise();
            work_for(start, 10_000_000);
            Attributes::NORMAL.apply();
            [self.shared.take_done() - start]
        })
    }

    /// How long the others wait while a long handler works that has waited for the lock.
    pub(crate) fn others<G>(&self, lock: impl Fn() -> G) -> Result {
        let points = ["interrupt", "thread"];
        self.measure("handler-1ms", points, self.rounds.min(20), || {
            let guard = lock();
            self.shared.registers.raise();
            drop(guard);
            self.shared.take_done();
            let (interrupt, thread) = self.shared.witness.waited();
            [interrupt, thread]
        })
    }

    /// The thread's side alone.
    pub(crate) fn pair<G>(&self, lock: impl Fn() -> G) -> Result {
        self.measure("lock-unlock", ["total"], self.rounds, || {
            let start = now();
            drop(lock());
            [now() - start]
        })
    }

    /// How long an interrupt that needs no lock waits if it comes at the beginning of a critical
    /// section of a millisecond.
    pub(crate) fn latency<G>(&self, lock: impl Fn() -> G) -> Result {
        self.measure("held-1ms", ["latency"], self.rounds.min(20), || {
            let guard = lock();
            let start = now();
            self.shared.registers.raise();
            work(start);
            drop(guard);
            [self.shared.take_done() - start]
        })
    }

    /// How late a timer goes off whose time comes early in such a critical section.
    pub(crate) fn timer<G>(&self, lock: impl Fn() -> G) -> Result {
        let alarm = Alarm::new()?;
        self.measure("held-1ms-timer", ["latency"], self.rounds.min(20), || {
            let guard = lock();
            let start = now();
            let went_off = alarm.ring(Delta::from_micros(100), || {
                work(start);
                drop(guard);
            });
            [went_off - start - 100_000]
        })
    }
}

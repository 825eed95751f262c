// SPDX-License-Identifier: GPL-2.0

//! The rows of lazyirq's files, field by field, and how they are subtracted.
//!
//! All fields are required: a counter that is missing must not be shown as zero. Fields that are not
//! listed here are ignored, so that lazyirq may add some.

use std::collections::HashMap;

use serde::{de::DeserializeOwned, Deserialize, Serialize};

/// A row of one of the files.
pub trait Row: Clone + Serialize + DeserializeOwned {
    /// The file it is read from.
    const FILE: &'static str;

    /// What tells rows apart. Rows with the same key are told apart by their order.
    fn key(&self) -> String;

    /// Leaves by how much the counters went up since `earlier`. What is not a counter stays as it is.
    fn subtract(&mut self, earlier: &Self);
}

/// Subtracts counters that are reset together. If one went backwards they were reset, and what they
/// have counted since then is the best that is known.
macro_rules! subtract {
    ($now:ident - $earlier:ident: $($counter:ident)*) => {
        if $($now.$counter >= $earlier.$counter)&&* {
            $($now.$counter -= $earlier.$counter;)*
        }
    };
}

/// A registered interrupt.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Interrupt {
    pub irq: u32,
    pub name: String,
    pub mechanism: String,
    pub ipl: u32,
    pub cpu: u32,
    pub interrupts: u64,
    pub lazy: u64,
    pub blocked: u64,
    pub deferred: u64,
    pub held: u64,
    pub remembered: u64,
    pub refused: u64,
    pub threaded: u64,
    pub resumed: u64,
    pub by_releaser: u64,
    pub reblocked: u64,
    pub spurious: u64,
    pub late_none: u64,
    pub illegal: u64,
    pub stalled: u64,
    pub slept: u64,
    pub switches: u64,
    pub met_thread: u64,
    pub met_handler: u64,
    pub met_readers: u64,
    pub met_lock: String,
    pub stall_lock: String,
    pub stall_ms: u64,
    pub latency_count: u64,
    pub latency_min_ns: u64,
    pub latency_mean_ns: u64,
    pub latency_max_ns: u64,
    pub latency_p50_ns: u64,
    pub latency_p99_ns: u64,
    pub latency_p999_ns: u64,
    pub wait_count: u64,
    pub wait_min_ns: u64,
    pub wait_mean_ns: u64,
    pub wait_max_ns: u64,
    pub wait_p50_ns: u64,
    pub wait_p99_ns: u64,
    pub wait_p999_ns: u64,
    pub memory: u64,
    pub continuation: u64,
}

impl Row for Interrupt {
    const FILE: &'static str = "interrupts.json";

    fn key(&self) -> String {
        format!("{} {} {}", self.irq, self.mechanism, self.name)
    }

    fn subtract(&mut self, earlier: &Self) {
        subtract!(self - earlier: interrupts lazy blocked deferred held remembered refused threaded
            resumed by_releaser reblocked spurious late_none illegal stalled slept switches
            met_thread met_handler met_readers);
        // Measuring may start over while the other counters go on.
        subtract!(self - earlier: latency_count);
        subtract!(self - earlier: wait_count);
    }
}

/// A lock that interrupts take.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Lock {
    pub name: String,
    pub takes: u64,
    pub contended_thread: u64,
    pub contended_irq: u64,
    pub handed_over: u64,
    pub lent: u64,
    pub waiting: u64,
    pub longest_ns: u64,
}

impl Row for Lock {
    const FILE: &'static str = "locks.json";

    fn key(&self) -> String {
        self.name.clone()
    }

    fn subtract(&mut self, earlier: &Self) {
        subtract!(self - earlier: contended_thread contended_irq handed_over lent);
        subtract!(self - earlier: takes);
    }
}

/// An interrupt thread.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Thread {
    pub cpu: u32,
    pub ipl: u32,
    pub pid: u32,
    pub resumed: u64,
    pub preempted: u64,
    pub most_queued: u64,
}

impl Row for Thread {
    const FILE: &'static str = "ithreads.json";

    fn key(&self) -> String {
        // With the PID: a thread that is restarted counts from zero.
        format!("{} {} {}", self.cpu, self.ipl, self.pid)
    }

    fn subtract(&mut self, earlier: &Self) {
        subtract!(self - earlier: resumed preempted);
    }
}

/// The differences between all rows and the earlier ones. A row that is new is compared with zero, one
/// that is gone is left out.
pub fn differences<R: Row>(now: &[R], earlier: &[R]) -> Vec<R> {
    let earlier: HashMap<_, _> = numbered(earlier).collect();
    numbered(now)
        .map(|(key, row)| {
            let mut row = row.clone();
            if let Some(old) = earlier.get(&key) {
                row.subtract(old);
            }
            row
        })
        .collect()
}

/// The rows with their keys, made unique by counting those that are the same.
fn numbered<R: Row>(rows: &[R]) -> impl Iterator<Item = ((String, usize), &R)> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    rows.iter().map(move |row| {
        let key = row.key();
        let number = seen.entry(key.clone()).or_default();
        *number += 1;
        ((key, *number), row)
    })
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// An interrupt that came `interrupts` times, and blocked on a lock `blocked` of these times.
    pub fn interrupt(irq: u32, name: &str, interrupts: u64, blocked: u64) -> Interrupt {
        Interrupt {
            irq,
            name: name.into(),
            mechanism: "lazy".into(),
            ipl: 5,
            interrupts,
            lazy: interrupts - blocked,
            blocked,
            resumed: blocked,
            ..Interrupt::default()
        }
    }

    /// A lock that was found held that often, by a thread and by an interrupt.
    pub fn lock(name: &str, by_thread: u64, by_irq: u64) -> Lock {
        Lock {
            name: name.into(),
            contended_thread: by_thread,
            contended_irq: by_irq,
            ..Lock::default()
        }
    }

    #[test]
    fn counters_are_subtracted_and_nothing_else() {
        let earlier = interrupt(30, "edu", 100, 40);
        let mut now = interrupt(30, "edu", 110, 43);
        now.latency_count = 7;
        now.latency_max_ns = 5000;
        now.memory = 400;
        let difference = &differences(&[now], &[earlier])[0];
        assert_eq!(
            (difference.interrupts, difference.lazy, difference.blocked),
            (10, 7, 3)
        );
        assert_eq!(
            (difference.irq, difference.ipl, difference.memory),
            (30, 5, 400)
        );
        assert_eq!(
            (difference.latency_count, difference.latency_max_ns),
            (7, 5000)
        );
    }

    #[test]
    fn a_reset_shows_the_new_values_of_the_whole_row() {
        let earlier = interrupt(30, "edu", 100, 2);
        // More were blocked than before, but these, too, are counted from the reset.
        let now = interrupt(30, "edu", 9, 5);
        assert_eq!(differences(std::slice::from_ref(&now), &[earlier]), [now]);
    }

    #[test]
    fn measuring_anew_is_no_reset_of_the_counters() {
        let (mut earlier, mut now) = (lock("fifo", 1, 20), lock("fifo", 1, 25));
        earlier.takes = 1000;
        now.takes = 3;
        let difference = &differences(&[now], &[earlier])[0];
        assert_eq!((difference.takes, difference.contended_irq), (3, 5));
    }

    #[test]
    fn rows_come_and_go() {
        let earlier = [interrupt(30, "edu", 100, 0), interrupt(31, "edu", 50, 0)];
        let now = [interrupt(31, "edu", 51, 0), interrupt(32, "edu", 7, 0)];
        let interrupts: Vec<_> = differences(&now, &earlier)
            .iter()
            .map(|row| (row.irq, row.interrupts))
            .collect();
        assert_eq!(interrupts, [(31, 1), (32, 7)]);
    }

    #[test]
    fn rows_of_the_same_name_are_told_apart_by_their_order() {
        let earlier = [lock("m", 10, 0), lock("m", 20, 0)];
        let now = [lock("m", 11, 0), lock("m", 25, 0), lock("m", 3, 0)];
        let contended: Vec<_> = differences(&now, &earlier)
            .iter()
            .map(|row| row.contended_thread)
            .collect();
        assert_eq!(contended, [1, 5, 3]);
    }
}

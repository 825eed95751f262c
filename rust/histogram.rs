// SPDX-License-Identifier: GPL-2.0

//! Times, counted by their logarithm.
//!
//! Each power of two is divided into [`PARTS`], so that a percentile is known to within a quarter of it; the
//! histograms that are shown have a line for each power of two.

use crate::primitive::{AtomicU64, Relaxed};
use kernel::prelude::*;
use pin_init::init_array_from_fn;

/// The parts of each power of two.
const PARTS: usize = 4;
/// Up to four minutes. Longer times are in the last one.
const POWERS: usize = 37;
const BUCKETS: usize = POWERS * PARTS;

/// How often something took how long, in nanoseconds. It has one writer at a time.
pub(crate) struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    sum: AtomicU64,
    min: AtomicU64,
    max: AtomicU64,
}

/// Nanoseconds; all zero if nothing was measured.
#[derive(Clone, Copy, Default)]
pub(crate) struct Summary {
    pub(crate) count: u64,
    pub(crate) min: u64,
    pub(crate) mean: u64,
    pub(crate) max: u64,
    /// What half of them did not exceed, to within a quarter of it. The next two likewise.
    pub(crate) p50: u64,
    pub(crate) p99: u64,
    pub(crate) p999: u64,
}

/// A histogram as it was at one moment.
pub(crate) struct Seen {
    pub(crate) summary: Summary,
    powers: [u64; POWERS],
}

/// A line of a histogram: `count` of them took at least `from` nanoseconds, and less than `to`.
pub(crate) struct Line {
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) count: u64,
}

fn bucket_of(ns: u64) -> usize {
    let exponent = ns.checked_ilog2().unwrap_or(0) as usize;
    let bucket = match exponent {
        0 | 1 => ns as usize,
        _ => (exponent - 1) * PARTS + (ns >> (exponent - 2)) as usize % PARTS,
    };
    bucket.min(BUCKETS - 1)
}

/// Where a bucket begins; it ends where the next one begins. The last one is open-ended.
fn start_of(bucket: usize) -> u64 {
    match bucket / PARTS {
        POWERS => u64::MAX,
        0 => bucket as u64,
        power => ((PARTS + bucket % PARTS) as u64) << (power - 1),
    }
}

impl Histogram {
    pub(crate) fn new() -> impl Init<Self> {
        init!(Self {
            buckets <- init_array_from_fn(|_| AtomicU64::new(0)),
            sum: AtomicU64::new(0),
            min: AtomicU64::new(u64::MAX),
            max: AtomicU64::new(0),
        })
    }

    pub(crate) fn record(&self, ns: u64) {
        let add = |value: &AtomicU64, n| value.store(value.load(Relaxed).wrapping_add(n), Relaxed);
        add(&self.buckets[bucket_of(ns)], 1);
        add(&self.sum, ns);
        self.min.store(ns.min(self.min.load(Relaxed)), Relaxed);
        self.max.store(ns.max(self.max.load(Relaxed)), Relaxed);
    }

    /// For the writer only.
    pub(crate) fn clear(&self) {
        self.buckets
            .iter()
            .for_each(|bucket| bucket.store(0, Relaxed));
        self.sum.store(0, Relaxed);
        self.max.store(0, Relaxed);
        self.min.store(u64::MAX, Relaxed);
    }

    fn count(&self) -> u64 {
        let counts = self.buckets.iter().map(|bucket| bucket.load(Relaxed));
        counts.fold(0, u64::wrapping_add)
    }

    /// Its contents. The caller makes sure that nothing is recorded meanwhile.
    pub(crate) fn look(&self) -> Seen {
        let mut powers = [0; POWERS];
        for (power, parts) in powers.iter_mut().zip(self.buckets.chunks(PARTS)) {
            *power = parts.iter().map(|part| part.load(Relaxed)).sum();
        }
        Seen {
            summary: Summary::of(core::slice::from_ref(self)),
            powers,
        }
    }
}

impl Seen {
    pub(crate) fn lines(&self) -> impl Iterator<Item = Line> + '_ {
        let line = |(power, &count)| Line {
            from: start_of(power * PARTS),
            to: start_of((power + 1) * PARTS),
            count,
        };
        let lines = self.powers.iter().enumerate().map(line);
        lines.filter(|line| line.count > 0)
    }
}

impl Summary {
    /// Of several histograms, taken together. The caller makes sure that nothing is recorded meanwhile.
    pub(crate) fn of(histograms: &[Histogram]) -> Self {
        let count: u64 = histograms.iter().map(Histogram::count).sum();
        if count == 0 {
            return Self::default();
        }
        let each = |value: fn(&Histogram) -> &AtomicU64| {
            histograms.iter().map(move |h| value(h).load(Relaxed))
        };
        let sum = each(|h| &h.sum).fold(0, u64::wrapping_add);
        let max = each(|h| &h.max).max().unwrap_or(0);
        // What `thousandths` of a thousand did not exceed.
        let percentile = |thousandths: u64| {
            let rank = count.saturating_mul(thousandths).div_ceil(1000);
            let mut seen = 0;
            for bucket in 0..BUCKETS - 1 {
                seen += histograms
                    .iter()
                    .map(|h| h.buckets[bucket].load(Relaxed))
                    .sum::<u64>();
                if seen >= rank {
                    return (start_of(bucket + 1) - 1).min(max);
                }
            }
            max
        };
        Self {
            count,
            min: each(|h| &h.min).min().unwrap_or(0),
            mean: sum / count,
            max,
            p50: percentile(500),
            p99: percentile(990),
            p999: percentile(999),
        }
    }
}

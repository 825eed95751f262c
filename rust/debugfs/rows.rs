// SPDX-License-Identifier: GPL-2.0

//! What is shown in each row, in the order of the tables' columns.

use super::{
    table::{Field, Row, Value},
    text,
};
use crate::{
    bindings,
    histogram::Summary,
    ithread::Ithread,
    primitive::Relaxed,
    stats::{Mechanism, Name, Stats},
    sync::Known,
    times::Times,
};
use kernel::fmt;
use Value::{Number, Word};

impl Row for Stats {
    fn fields(&self, field: &mut Field<'_>) -> fmt::Result {
        let counts = self.counters.snapshot();
        identity(self, field)?;
        field("ipl", Number(self.ipl.get().into()))?;
        // SAFETY: Thread context.
        let cpu = unsafe { bindings::lazyirq_line_cpu(self.irq) };
        field("cpu", Number(cpu.into()))?;
        field("interrupts", Number(counts.interrupts()))?;
        for (name, count) in counts.each() {
            field(name, Number(count))?;
        }
        lock(field, "met_lock", &self.met_lock)?;
        lock(field, "stall_lock", &self.stall_lock)?;
        field("stall_ms", Number(self.stall_ms.load(Relaxed)))?;
        let [latency, waits] = self.times();
        summary(&LATENCY, &latency, field)?;
        summary(&WAIT, &waits, field)?;
        field("memory", Number(self.memory as u64))?;
        field("continuation", Number(self.continuation as u64))
    }
}

impl Stats {
    /// The summaries of the latency, and of the waits.
    fn times(&self) -> [Summary; 2] {
        let times = self.timer.times().map(Times::summaries);
        times.unwrap_or_default()
    }
}

/// The fields that say which interrupt it is.
fn identity(stats: &Stats, field: &mut Field<'_>) -> fmt::Result {
    field("irq", Number(stats.irq.into()))?;
    field("name", Value::Name(Some(text(stats.name))))?;
    field("mechanism", Word(stats.mechanism.name()))
}

fn lock(field: &mut Field<'_>, what: &str, name: &Name) -> fmt::Result {
    field(what, Value::Name(name.get().map(text)))
}

const LATENCY: [&str; 7] = [
    "latency_count",
    "latency_min_ns",
    "latency_mean_ns",
    "latency_max_ns",
    "latency_p50_ns",
    "latency_p99_ns",
    "latency_p999_ns",
];
const WAIT: [&str; 7] = [
    "wait_count",
    "wait_min_ns",
    "wait_mean_ns",
    "wait_max_ns",
    "wait_p50_ns",
    "wait_p99_ns",
    "wait_p999_ns",
];
const TIMES: [&str; 7] = [
    "count", "min_ns", "mean_ns", "max_ns", "p50_ns", "p99_ns", "p999_ns",
];

fn summary(names: &[&str; 7], s: &Summary, field: &mut Field<'_>) -> fmt::Result {
    let values = [s.count, s.min, s.mean, s.max, s.p50, s.p99, s.p999];
    let mut pairs = names.iter().zip(values);
    pairs.try_for_each(|(name, value)| field(name, Number(value)))
}

/// How long it took for the interrupts of one kind to be done, or for handlers to continue.
pub(super) struct Took<'a> {
    pub(super) stats: &'a Stats,
    pub(super) kind: &'a str,
    pub(super) summary: Summary,
}

impl Row for Took<'_> {
    fn fields(&self, field: &mut Field<'_>) -> fmt::Result {
        identity(self.stats, field)?;
        field("kind", Word(self.kind))?;
        summary(&TIMES, &self.summary, field)
    }
}

impl Row for Known {
    fn fields(&self, field: &mut Field<'_>) -> fmt::Result {
        field("name", Value::Name(Some(text(self.name))))?;
        field("takes", Number(self.takes))?;
        field("contended_thread", Number(self.threads))?;
        field("contended_irq", Number(self.handlers))?;
        field("handed_over", Number(self.handed_over))?;
        field("lent", Number(self.lent))?;
        field("waiting", Number(self.waiting))?;
        field("longest_ns", Number(self.longest))
    }
}

impl Row for Ithread {
    fn fields(&self, field: &mut Field<'_>) -> fmt::Result {
        field("cpu", Number(self.cpu.into()))?;
        field("ipl", Number(self.ipl as u64))?;
        field("pid", Number(self.pid as u64))?;
        field("resumed", Number(self.resumed))?;
        field("preempted", Number(self.preempted as u64))?;
        field("most_queued", Number(self.most.into()))
    }
}

/// An interrupt's lazy handler and its stock twin, side by side.
pub(super) struct Compared<'a> {
    pub(super) lazy: &'a Stats,
    pub(super) stock: &'a Stats,
}

impl Compared<'_> {
    pub(super) fn are_twins(lazy: &Stats, stock: &Stats) -> bool {
        let mechanisms = (lazy.mechanism, stock.mechanism);
        mechanisms == (Mechanism::Lazy, Mechanism::Stock) && lazy.name == stock.name
    }

    pub(super) fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let both = [self.lazy, self.stock];
        let [lazy, stock] = both.map(|stats| stats.counters.snapshot());
        let [[lazy_took, _], [stock_took, _]] = both.map(Stats::times);
        let name = text(self.lazy.name);
        writeln!(f, "{name:<28} {:>14} {:>14}", "lazy", "stock threaded")?;
        let mut pair =
            |what: &str, one: u64, other: u64| writeln!(f, "{what:<28} {one:>14} {other:>14}");
        macro_rules! pairs {
            ($($what:literal: |$c:ident| $value:expr),* $(,)?) => {$(
                let value = |$c: &crate::counters::Counts| -> u64 { $value };
                pair($what, value(&lazy), value(&stock))?;
            )*};
        }
        pair(
            "interrupt line",
            self.lazy.irq.into(),
            self.stock.irq.into(),
        )?;
        pairs! {
            "interrupts": |c| c.interrupts(),
            "done in the lazy path": |c| c.lazy,
            "blocked on a lock": |c| c.blocked,
            "deferred": |c| c.deferred,
            "held": |c| c.held,
            "resumed by the releaser": |c| c.by_releaser,
            "done in a thread": |c| c.resumed.saturating_sub(c.by_releaser),
            "spurious": |c| c.spurious + c.late_none,
            "context switches": |c| c.switches,
            "  per 1,000 interrupts": |c| {
                c.switches.saturating_mul(1000).checked_div(c.interrupts()).unwrap_or(0)
            },
        }
        let mut times = |what: &str, value: fn(&Summary) -> u64| {
            pair(what, value(&lazy_took), value(&stock_took))
        };
        times("latency to done, min (ns)", |s| s.min)?;
        times("latency to done, mean (ns)", |s| s.mean)?;
        times("  99 of 100 at most (ns)", |s| s.p99)?;
        times("latency to done, max (ns)", |s| s.max)?;
        let [memory, kept] = [
            |stats: &Stats| stats.memory as u64,
            |stats: &Stats| stats.continuation as u64,
        ];
        pair("memory (bytes)", memory(self.lazy), memory(self.stock))?;
        pair(
            "  of it a blocked handler's",
            kept(self.lazy),
            kept(self.stock),
        )?;
        writeln!(f)
    }
}

// SPDX-License-Identifier: GPL-2.0

//! What the windows have in common.

use crate::{Cpu, Window, CPUS};
use std::{collections::BTreeMap, fmt::Write, iter};

/// What windows are of, by the number that opens one.
pub const KINDS: [&str; 10] = [
    "",
    "hardirq msi uncontended",
    "hardirq msi contended-same-cpu",
    "threaded-mutex msi uncontended",
    "threaded-mutex msi contended-same-cpu",
    "lazy msi uncontended",
    "lazy msi contended-same-cpu",
    "lazy-ithread msi uncontended",
    "lazy-ithread msi contended-same-cpu",
    "shared-counter - uncontended",
];

/// What a CPU does in its windows of one kind: lines, and the address of an instruction that touches, or writes, each.
struct Usual {
    windows: usize,
    touched: BTreeMap<u64, u64>,
    written: BTreeMap<u64, u64>,
}

impl Usual {
    fn new(windows: &[Window], kind: usize) -> Option<Self> {
        let windows: Vec<_> = windows
            .iter()
            .filter(|window| window.kind == kind)
            .collect();
        let usual = |lines: fn(&Window) -> &BTreeMap<u64, u64>| {
            let mut counts: BTreeMap<u64, (usize, u64)> = BTreeMap::new();
            for (&line, &pc) in windows.iter().flat_map(|&window| lines(window)) {
                counts.entry(line).or_insert((0, pc)).0 += 1;
            }
            let usual = counts
                .into_iter()
                .filter(|(_, (count, _))| 2 * count >= windows.len());
            usual.map(|(line, (_, pc))| (line, pc)).collect()
        };
        (!windows.is_empty()).then(|| Self {
            windows: windows.len(),
            touched: usual(|window| &window.touched),
            written: usual(|window| &window.written),
        })
    }
}

/// All figures, a line each.
pub fn report() -> String {
    let windows = CPUS.each_ref().map(Cpu::windows);
    let mut out = String::new();
    for (kind, name) in KINDS.iter().enumerate().skip(1) {
        let cpus: Vec<_> = windows
            .iter()
            .filter_map(|windows| Usual::new(windows, kind))
            .collect();
        if cpus.is_empty() {
            continue;
        }
        let mut shared = BTreeMap::new();
        for (line, writer) in cpus.iter().flat_map(|cpu| &cpu.written) {
            let touching: Vec<_> = cpus
                .iter()
                .filter_map(|cpu| cpu.touched.get(line))
                .collect();
            if touching.len() > 1 {
                shared.insert(line, (writer, touching));
            }
        }
        figure(
            &mut out,
            name,
            "lines-written",
            &cpus,
            cpus.iter().map(|cpu| cpu.written.len()),
        );
        figure(
            &mut out,
            name,
            "lines-shared",
            &cpus,
            iter::once(shared.len()),
        );
        for (line, (writer, touching)) in shared {
            let _ = writeln!(
                out,
                "# {name}: line {line:#x}, written at {writer:#x}, touched at {touching:x?}"
            );
        }
    }
    out
}

/// A line with these values, of which there is at least one.
fn figure(
    out: &mut String,
    name: &str,
    point: &str,
    cpus: &[Usual],
    values: impl Iterator<Item = usize>,
) {
    let mut values: Vec<_> = values.collect();
    values.sort_unstable();
    let (min, p50, max) = (
        values[0],
        values[values.len() / 2],
        values[values.len() - 1],
    );
    let rounds: usize = cpus.iter().map(|cpu| cpu.windows).sum();
    let _ = writeln!(
        out,
        "figure {name} {point} min {min} p50 {p50} max {max} rounds {rounds} switches -"
    );
}

// SPDX-License-Identifier: GPL-2.0

//! The columns of each kind of row, their order, and how they are printed.

use std::{cmp::Ordering, fmt};

use crate::rows::{Interrupt, Lock, Row, Thread};

/// The maximum width of a table, unless hardly anything would be left of its names.
const WIDTH: usize = 120;

/// The least that is left of a name.
const SHORTEST_NAME: usize = 8;

/// Columns do not change their width for numbers that are no longer than this.
const NUMBER_WIDTH: usize = 6;

/// The content of one cell of the table. Its order is the sort order: an empty cell comes first.
#[derive(Clone, Debug, PartialEq, PartialOrd)]
pub enum Cell {
    Nothing,
    Text(String),
    Count(u64),
    Decimal(f64),
}

impl Cell {
    fn is_text(&self) -> bool {
        matches!(self, Self::Text(_))
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("-"),
            // A name must not move the terminal's cursor.
            Self::Text(text) => text
                .chars()
                .try_for_each(|c| write!(f, "{}", if c.is_control() { '?' } else { c })),
            // Exact as long as there is room: seven digits.
            Self::Count(count @ 0..10_000_000) => write!(f, "{count}"),
            Self::Count(count) => short(f, *count as f64),
            Self::Decimal(value) if *value < 999.95 => write!(f, "{value:.1}"),
            Self::Decimal(value) if *value < 999_999.5 => write!(f, "{value:.0}"),
            Self::Decimal(value) => short(f, *value),
        }
    }
}

/// Three digits and a unit. The exact number is for `--json`.
fn short(f: &mut fmt::Formatter<'_>, mut value: f64) -> fmt::Result {
    let mut units = "kMGTPE".chars();
    let mut unit = 'E';
    while value >= 999.5 {
        let Some(next) = units.next() else { break };
        (value, unit) = (value / 1000.0, next);
    }
    let decimals = match value {
        ..9.995 => 2,
        ..99.95 => 1,
        _ => 0,
    };
    write!(f, "{value:.decimals$}{unit}")
}

/// A column of the rows `R`.
pub struct Column<R> {
    pub heading: &'static str,
    /// Does the least come first when sorted by it? For counters, the most does.
    ascending: bool,
    /// Is the column left out if it is entirely empty?
    optional: bool,
    /// Its cell in a row of a report, given the seconds that the report is about, if it is not about
    /// all time.
    cell: fn(&R, Option<f64>) -> Cell,
}

impl<R> Column<R> {
    const fn label(heading: &'static str, cell: fn(&R, Option<f64>) -> Cell) -> Self {
        Self {
            heading,
            ascending: true,
            optional: false,
            cell,
        }
    }

    const fn count(heading: &'static str, cell: fn(&R, Option<f64>) -> Cell) -> Self {
        Self {
            heading,
            ascending: false,
            optional: false,
            cell,
        }
    }

    const fn optional(heading: &'static str, cell: fn(&R, Option<f64>) -> Cell) -> Self {
        Self {
            heading,
            ascending: false,
            optional: true,
            cell,
        }
    }
}

/// A row that has a table.
pub trait Columns: Row + 'static {
    const COLUMNS: &'static [Column<Self>];

    /// What is printed if there is no row.
    const NONE: &'static str;

    /// What [`Columns::weight`] is, for a title.
    const ORDER: &'static str;

    /// Rows with the most of this come first, if nothing else is asked for.
    fn weight(&self) -> u64;
}

fn text(text: &str) -> Cell {
    Cell::Text(text.into())
}

fn rate(count: u64, seconds: Option<f64>) -> Cell {
    seconds.map_or(Cell::Nothing, |seconds| {
        Cell::Decimal(count as f64 / seconds.max(1e-9))
    })
}

fn percent(part: u64, whole: u64) -> Cell {
    match whole {
        0 => Cell::Nothing,
        _ => Cell::Decimal(100.0 * part as f64 / whole as f64),
    }
}

/// A latency in microseconds, if one was measured.
fn measured(row: &Interrupt, ns: u64) -> Cell {
    match row.latency_max_ns {
        0 => Cell::Nothing,
        _ => Cell::Decimal(ns as f64 / 1e3),
    }
}

impl Columns for Interrupt {
    const COLUMNS: &'static [Column<Self>] = &[
        Column::label("IRQ", |r, _| Cell::Count(r.irq.into())),
        Column::label("NAME", |r, _| text(&r.name)),
        Column::label("MECH", |r, _| text(&r.mechanism)),
        Column::label("IPL", |r, _| Cell::Count(r.ipl.into())),
        Column::label("CPU", |r, _| Cell::Count(r.cpu.into())),
        Column::count("INTR", |r, _| Cell::Count(r.interrupts)),
        Column::optional("INTR/s", |r, seconds| rate(r.interrupts, seconds)),
        Column::count("LAZY%", |r, _| percent(r.lazy, r.interrupts)),
        Column::count("BLOCKED", |r, _| Cell::Count(r.blocked)),
        Column::count("DEFER", |r, _| Cell::Count(r.deferred)),
        Column::count("HELD", |r, _| Cell::Count(r.held)),
        Column::count("RESUMED", |r, _| Cell::Count(r.resumed)),
        Column::count("RELEASER", |r, _| Cell::Count(r.by_releaser)),
        Column::count("SWITCHES", |r, _| Cell::Count(r.switches)),
        Column::optional("P50us", |r, _| measured(r, r.latency_p50_ns)),
        Column::optional("P99us", |r, _| measured(r, r.latency_p99_ns)),
        Column::optional("MAXus", |r, _| measured(r, r.latency_max_ns)),
    ];
    const NONE: &'static str = "no interrupt is registered with lazyirq";
    const ORDER: &'static str = "most interrupts";

    fn weight(&self) -> u64 {
        self.interrupts
    }
}

impl Columns for Lock {
    const COLUMNS: &'static [Column<Self>] = &[
        Column::label("LOCK", |r, _| text(&r.name)),
        Column::count("TAKES", |r, _| Cell::Count(r.takes)),
        Column::count("BY-THREAD", |r, _| Cell::Count(r.contended_thread)),
        Column::count("BY-IRQ", |r, _| Cell::Count(r.contended_irq)),
        Column::count("HANDED", |r, _| Cell::Count(r.handed_over)),
        Column::count("LENT", |r, _| Cell::Count(r.lent)),
        Column::count("WAITING", |r, _| Cell::Count(r.waiting)),
        Column::count("LONGESTus", |r, _| Cell::Decimal(r.longest_ns as f64 / 1e3)),
    ];
    const NONE: &'static str = "nobody has had to wait for a lock of lazyirq";
    const ORDER: &'static str = "most contended";

    fn weight(&self) -> u64 {
        self.contended_thread.saturating_add(self.contended_irq)
    }
}

impl Columns for Thread {
    const COLUMNS: &'static [Column<Self>] = &[
        Column::label("CPU", |r, _| Cell::Count(r.cpu.into())),
        Column::label("IPL", |r, _| Cell::Count(r.ipl.into())),
        Column::label("PID", |r, _| Cell::Count(r.pid.into())),
        Column::count("RESUMED", |r, _| Cell::Count(r.resumed)),
        Column::optional("/s", |r, seconds| rate(r.resumed, seconds)),
        Column::count("PREEMPTED", |r, _| Cell::Count(r.preempted)),
        Column::count("MOSTQ", |r, _| Cell::Count(r.most_queued)),
    ];
    const NONE: &'static str = "lazyirq has no interrupt thread";
    const ORDER: &'static str = "most resumed";

    fn weight(&self) -> u64 {
        self.resumed
    }
}

/// What comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sort {
    /// A heading; the rows' weight if there is none.
    pub column: Option<&'static str>,
    pub reversed: bool,
}

/// Sorts rows. Where the column does not decide, the weight does, and then lazyirq's own order.
pub fn sort<R: Columns>(rows: &mut [R], seconds: Option<f64>, sort: Sort) {
    let column = sort
        .column
        .and_then(|heading| R::COLUMNS.iter().find(|column| column.heading == heading));
    rows.sort_by(|a, b| {
        let by_column = column.map_or(Ordering::Equal, |column| {
            let order = (column.cell)(a, seconds)
                .partial_cmp(&(column.cell)(b, seconds))
                .unwrap_or(Ordering::Equal);
            if column.ascending {
                order
            } else {
                order.reverse()
            }
        });
        let order = by_column.then(b.weight().cmp(&a.weight()));
        if sort.reversed {
            order.reverse()
        } else {
            order
        }
    });
}

/// A table, ready to be printed.
#[derive(Debug, PartialEq)]
pub struct Table {
    pub headings: Vec<&'static str>,
    /// The texts of the headings and of all rows, each as wide as its column.
    pub lines: Vec<Vec<String>>,
    /// What to print instead if there is no row.
    pub none: &'static str,
}

impl Table {
    pub fn new<R: Columns>(rows: &[R], seconds: Option<f64>) -> Self {
        let columns: Vec<(&Column<R>, Vec<Cell>)> = R::COLUMNS
            .iter()
            .map(|column| (column, cells(column, rows, seconds)))
            .filter(|(column, cells)| {
                !column.optional || cells.iter().any(|cell| *cell != Cell::Nothing)
            })
            .collect();
        let mut texts: Vec<Vec<String>> = columns
            .iter()
            .map(|(column, cells)| {
                let cells = cells.iter().map(Cell::to_string);
                std::iter::once(column.heading.into())
                    .chain(cells)
                    .collect()
            })
            .collect();
        let left = |index: usize| columns[index].1.iter().any(Cell::is_text);

        let mut widths: Vec<usize> = texts
            .iter()
            .enumerate()
            .map(|(index, texts)| {
                let least = if columns[index].0.ascending {
                    0
                } else {
                    NUMBER_WIDTH
                };
                let longest = texts.iter().map(|text| text.chars().count()).max();
                longest.unwrap_or(0).max(least)
            })
            .collect();
        // The first texts are the names. They make room for the numbers.
        if let Some(name) = (0..widths.len()).find(|index| left(*index)) {
            let total = widths.iter().sum::<usize>() + widths.len() - 1;
            let spare = widths[name].saturating_sub(SHORTEST_NAME);
            widths[name] -= total.saturating_sub(WIDTH).min(spare);
        }

        for (index, texts) in texts.iter_mut().enumerate() {
            for text in texts {
                *text = fit(text, widths[index], left(index));
            }
        }
        Self {
            headings: columns.iter().map(|(column, _)| column.heading).collect(),
            lines: (0..=rows.len())
                .map(|line| texts.iter().map(|texts| texts[line].clone()).collect())
                .collect(),
            none: R::NONE,
        }
    }

    /// Is there no row?
    pub fn is_empty(&self) -> bool {
        self.lines.len() < 2
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return writeln!(f, "{}", self.none);
        }
        self.lines
            .iter()
            .try_for_each(|line| writeln!(f, "{}", line.join(" ").trim_end()))
    }
}

fn cells<R>(column: &Column<R>, rows: &[R], seconds: Option<f64>) -> Vec<Cell> {
    rows.iter().map(|row| (column.cell)(row, seconds)).collect()
}

/// A text exactly as wide as its column. If it is cut, a `~` says so.
fn fit(text: &str, width: usize, left: bool) -> String {
    if text.chars().count() > width {
        let kept: String = text.chars().take(width.saturating_sub(1)).collect();
        kept + "~"
    } else if left {
        format!("{text:<width$}")
    } else {
        format!("{text:>width$}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::tests::{interrupt, lock};

    #[test]
    fn numbers_are_exact_until_they_are_too_long() {
        let count = |n| Cell::Count(n).to_string();
        assert_eq!(count(0), "0");
        assert_eq!(count(9_999_999), "9999999");
        assert_eq!(count(10_000_000), "10.0M");
        assert_eq!(count(999_600_000), "1.00G");
        assert_eq!(count(u64::MAX), "18.4E");
        let decimal = |n| Cell::Decimal(n).to_string();
        assert_eq!(decimal(0.25), "0.2");
        assert_eq!(decimal(999.96), "1000");
        assert_eq!(decimal(1_234_567.0), "1.23M");
    }

    #[test]
    fn names_cannot_move_the_cursor() {
        assert_eq!(text("a\x1b[2Jb").to_string(), "a?[2Jb");
    }

    #[test]
    fn rates_are_for_intervals_and_latencies_for_measured_ones() {
        let mut row = interrupt(30, "edu", 10, 5);
        let headings = |row: &Interrupt, seconds| {
            Table::new(std::slice::from_ref(row), seconds)
                .headings
                .join(" ")
        };
        assert_eq!(
            headings(&row, None),
            "IRQ NAME MECH IPL CPU INTR LAZY% BLOCKED DEFER HELD RESUMED RELEASER SWITCHES"
        );
        row.latency_max_ns = 1;
        assert_eq!(
            headings(&row, Some(2.0)),
            "IRQ NAME MECH IPL CPU INTR INTR/s LAZY% BLOCKED DEFER HELD RESUMED RELEASER SWITCHES \
             P50us P99us MAXus"
        );
    }

    #[test]
    fn the_columns_are_aligned() {
        let rows = [lock("fifo", 3, 20), lock("a-longer-name", 12_345_678, 0)];
        let text = Table::new(&rows, None).to_string();
        assert_eq!(
            text,
            "\
LOCK           TAKES BY-THREAD BY-IRQ HANDED   LENT WAITING LONGESTus
fifo               0         3     20      0      0       0       0.0
a-longer-name      0     12.3M      0      0      0       0       0.0
"
        );
    }

    #[test]
    fn the_widest_table_has_120_columns() {
        let most = 9_999_999;
        let mut row = interrupt(9999, "a name that is far too long for a table", most, most);
        row.mechanism = "stock".into();
        (row.ipl, row.cpu) = (10, 511);
        (row.deferred, row.held, row.by_releaser, row.switches) = (most, most, most, most);
        (row.latency_p50_ns, row.latency_p99_ns, row.latency_max_ns) =
            (999_999_000, 999_999_000, 999_999_000);
        let text = Table::new(&[row], Some(10.1)).to_string();
        for line in text.lines() {
            assert_eq!(line.len(), 120, "{text}");
        }
        assert!(text.contains(" a name ~"), "{text}");
        assert!(text.contains("~ stock"), "{text}");
    }

    #[test]
    fn nothing_is_said_in_words() {
        assert_eq!(
            Table::new::<Interrupt>(&[], None).to_string(),
            "no interrupt is registered with lazyirq\n"
        );
    }

    fn sorted(column: Option<&'static str>, reversed: bool) -> Vec<u32> {
        let mut rows = [
            interrupt(1, "b", 50, 9),
            interrupt(2, "c", 70, 1),
            interrupt(3, "a", 60, 9),
            interrupt(4, "d", 0, 0),
        ];
        sort(&mut rows, Some(1.0), Sort { column, reversed });
        rows.iter().map(|row| row.irq).collect()
    }

    #[test]
    fn the_most_come_first_and_names_by_alphabet() {
        assert_eq!(sorted(None, false), [2, 3, 1, 4]);
        assert_eq!(sorted(None, true), [4, 1, 3, 2]);
        assert_eq!(sorted(Some("NAME"), false), [3, 1, 2, 4]);
        assert_eq!(sorted(Some("IRQ"), false), [1, 2, 3, 4]);
        // With equal numbers, the row with more interrupts comes first.
        assert_eq!(sorted(Some("BLOCKED"), false), [3, 1, 2, 4]);
        // An empty cell is the least.
        assert_eq!(sorted(Some("LAZY%"), false), [2, 3, 1, 4]);
    }

    #[test]
    fn locks_are_sorted_by_all_contention() {
        let mut rows = [lock("a", 3, 0), lock("b", 1, 5), lock("c", 4, 1)];
        sort(&mut rows, None, Sort::default());
        assert_eq!(rows.map(|row| row.name), ["b", "c", "a"]);
    }
}

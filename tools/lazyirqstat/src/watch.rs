// SPDX-License-Identifier: GPL-2.0

//! Watching one of the files: samples, and the reports that they give.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::{
    rows::{self, Interrupt, Lock, Thread},
    source::{Error, Source},
    table::{self, Columns, Sort, Table},
};

/// What the rows are.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum View {
    #[default]
    Interrupt,
    Lock,
    Thread,
}

impl View {
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "interrupt" => Some(Self::Interrupt),
            "lock" => Some(Self::Lock),
            "thread" => Some(Self::Thread),
            _ => None,
        }
    }

    /// For a title.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Interrupt => "interrupts",
            Self::Lock => "locks",
            Self::Thread => "interrupt threads",
        }
    }

    pub fn watch(self) -> Box<dyn Watch> {
        match self {
            Self::Interrupt => Box::new(Watched::<Interrupt>::new()),
            Self::Lock => Box::new(Watched::<Lock>::new()),
            Self::Thread => Box::new(Watched::<Thread>::new()),
        }
    }
}

/// A file that is watched. The first sample reports totals, each further one the differences to the
/// sample before.
pub trait Watch {
    fn sample(&mut self, source: &Source, now: Instant) -> Result<(), Error>;

    /// The time that the report is about; `None` for all time.
    fn interval(&self) -> Option<Duration>;

    /// All possible columns.
    fn headings(&self) -> Vec<&'static str>;

    /// What comes first if no column is chosen, for a title.
    fn default_order(&self) -> &'static str;

    fn table(&self, sort: Sort) -> Table;

    /// The report as JSON lines, `time` after the start.
    fn json(&self, sort: Sort, time: Duration) -> serde_json::Result<String>;
}

struct Watched<R> {
    last: Option<(Instant, Vec<R>)>,
    /// The report that the last two samples give.
    report: Vec<R>,
    interval: Option<Duration>,
}

impl<R: Columns> Watched<R> {
    fn new() -> Self {
        Self {
            last: None,
            report: Vec::new(),
            interval: None,
        }
    }

    fn seconds(&self) -> Option<f64> {
        self.interval.map(|interval| interval.as_secs_f64())
    }

    fn sorted(&self, sort: Sort) -> Vec<R> {
        let mut rows = self.report.clone();
        table::sort(&mut rows, self.seconds(), sort);
        rows
    }
}

impl<R: Columns> Watch for Watched<R> {
    fn sample(&mut self, source: &Source, now: Instant) -> Result<(), Error> {
        let rows: Vec<R> = source.read()?;
        (self.report, self.interval) = match &self.last {
            None => (rows.clone(), None),
            Some((then, earlier)) => (rows::differences(&rows, earlier), Some(now - *then)),
        };
        self.last = Some((now, rows));
        Ok(())
    }

    fn interval(&self) -> Option<Duration> {
        self.interval
    }

    fn headings(&self) -> Vec<&'static str> {
        R::COLUMNS.iter().map(|column| column.heading).collect()
    }

    fn default_order(&self) -> &'static str {
        R::ORDER
    }

    fn table(&self, sort: Sort) -> Table {
        Table::new(&self.sorted(sort), self.seconds())
    }

    fn json(&self, sort: Sort, time: Duration) -> serde_json::Result<String> {
        #[derive(Serialize)]
        struct Line<'a, R> {
            time: f64,
            interval: Option<f64>,
            #[serde(flatten)]
            row: &'a R,
        }
        let milliseconds = |seconds: f64| (seconds * 1e3).round() / 1e3;
        let mut lines = String::new();
        for row in &self.sorted(sort) {
            lines += &serde_json::to_string(&Line {
                time: milliseconds(time.as_secs_f64()),
                interval: self.seconds().map(milliseconds),
                row,
            })?;
            lines.push('\n');
        }
        Ok(lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/");

    fn source(name: &str) -> Source {
        Source::new(format!("{FIXTURES}{name}").into())
    }

    #[test]
    fn totals_come_first_and_differences_then() {
        let start = Instant::now();
        let mut watch = View::Interrupt.watch();
        watch.sample(&source("running"), start).unwrap();
        assert_eq!(watch.interval(), None);
        assert!(watch
            .table(Sort::default())
            .to_string()
            .contains("\n 30 edu       lazy "));
        let later = start + Duration::from_secs(2);
        watch.sample(&source("running-later"), later).unwrap();
        assert_eq!(watch.interval(), Some(Duration::from_secs(2)));
        let json = watch
            .json(Sort::default(), Duration::from_millis(2001))
            .unwrap();
        let first = json.lines().next().unwrap();
        assert!(
            first.starts_with(r#"{"time":2.001,"interval":2.0,"irq":"#),
            "{first}"
        );
    }
}

// SPDX-License-Identifier: GPL-2.0

//! The command line.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use lexopt::{Arg, Parser, ValueExt};

use crate::{table::Sort, watch::View};

pub const HELP: &str = "\
Shows what the interrupts, locks and interrupt threads of lazyirq do.

Usage: lazyirqstat [options] [interval [count]]

Without an interval: the totals since registration or reset. With one, in seconds: the totals first,
and then the differences during each interval; count reports in all, or until Ctrl-C.

Options:
  -b, --by WHAT        what the rows are: interrupt (default), lock or thread
      --sort COLUMN    what they are sorted by (default: the most interrupts, contended or resumed)
      --json           a JSON object for each row, one a line, with all that lazyirq tells
  -t, --top            full screen, live; its last line shows the keys
      --debugfs PATH   where debugfs is mounted (default: /sys/kernel/debug)
  -h, --help           this text
  -V, --version        the version

Interrupts: INTR came, LAZY% of them were done at once, in hard-IRQ context; BLOCKED left for a lock
and DEFER by themselves; HELD did not start there, as their level was busy. RESUMED were done later,
RELEASER of them by the thread that released their lock. SWITCHES are context switches. P50us, P99us
and MAXus are microseconds from hard-IRQ entry to handler done, ever since measuring began:
    echo 1 > /sys/kernel/debug/lazyirq/latency
Locks: TAKES, while measured; found taken BY-THREAD and BY-IRQ; HANDED over; LENT the priority of
who waits; WAITING now; LONGESTus that an interrupt waited, while measured.
Threads: handlers RESUMED; PREEMPTED; MOSTQ, the most that were queued at once.
";

pub const HINT: &str = "Try 'lazyirqstat --help'.";

/// What to do.
#[derive(Debug, PartialEq)]
pub enum Command {
    Help,
    Version,
    Show(Options),
}

#[derive(Debug, PartialEq)]
pub struct Options {
    pub view: View,
    pub sort: Sort,
    pub json: bool,
    pub top: bool,
    pub debugfs: PathBuf,
    pub interval: Option<Duration>,
    /// The number of reports.
    pub count: Option<u64>,
}

/// What the arguments, without the program's name, ask for; or what is wrong with them.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, lexopt::Error> {
    let mut options = Options {
        view: View::default(),
        sort: Sort::default(),
        json: false,
        top: false,
        debugfs: "/sys/kernel/debug".into(),
        interval: None,
        count: None,
    };
    let mut column: Option<String> = None;
    let mut parser = Parser::from_args(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            Arg::Short('V') | Arg::Long("version") => return Ok(Command::Version),
            Arg::Short('b') | Arg::Long("by") => options.view = view(&parser.value()?.string()?)?,
            Arg::Long("sort") => column = Some(parser.value()?.string()?),
            Arg::Long("json") => options.json = true,
            Arg::Short('t') | Arg::Long("top") => options.top = true,
            Arg::Long("debugfs") => options.debugfs = parser.value()?.into(),
            Arg::Value(value) if options.interval.is_none() => {
                options.interval = Some(interval(&value.string()?)?);
            }
            Arg::Value(value) if options.count.is_none() => {
                options.count = Some(count(&value.string()?)?);
            }
            _ => return Err(argument.unexpected()),
        }
    }
    if options.json && options.top {
        return Err("--json and --top do not go together".into());
    }
    // Checked only now, since the view may come after it.
    if let Some(column) = column {
        options.sort.column = Some(heading(options.view, &column)?);
    }
    Ok(Command::Show(options))
}

fn view(name: &str) -> Result<View, String> {
    View::named(name).ok_or_else(|| {
        format!("there is no '{name}' to show: the rows are by interrupt, lock or thread")
    })
}

fn interval(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|interval| (Duration::from_millis(1)..=MAX_INTERVAL).contains(interval))
        .ok_or_else(|| {
            format!("the interval '{text}' has to be a number of seconds, such as 1 or 0.5")
        })
}

/// A year, which the clock can still handle.
const MAX_INTERVAL: Duration = Duration::from_secs(365 * 24 * 60 * 60);

fn count(text: &str) -> Result<u64, String> {
    text.parse()
        .ok()
        .filter(|count| *count > 0)
        .ok_or_else(|| format!("the count '{text}' has to be a number of reports, from 1 on"))
}

fn heading(view: View, column: &str) -> Result<&'static str, String> {
    let headings = view.watch().headings();
    let found = headings
        .iter()
        .find(|heading| heading.eq_ignore_ascii_case(column));
    found.copied().ok_or_else(|| {
        format!(
            "there is no column '{column}' of {}: it has to be one of {}",
            view.plural(),
            headings.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &str) -> Result<Command, String> {
        parse(arguments.split_whitespace().map(OsString::from)).map_err(|error| error.to_string())
    }

    fn options(arguments: &str) -> Options {
        match parsed(arguments) {
            Ok(Command::Show(options)) => options,
            other => panic!("{arguments}: {other:?}"),
        }
    }

    fn error(arguments: &str) -> String {
        parsed(arguments).expect_err(arguments)
    }

    #[test]
    fn by_default_it_is_the_totals_of_interrupts() {
        let options = options("");
        assert_eq!((options.view, options.interval), (View::Interrupt, None));
        assert_eq!(options.debugfs, PathBuf::from("/sys/kernel/debug"));
    }

    #[test]
    fn interval_and_count() {
        let options = options("0.5 3");
        assert_eq!(options.interval, Some(Duration::from_millis(500)));
        assert_eq!(options.count, Some(3));
        for bad in ["0", "-- -1", "nan", "inf", "1e300", "x", "0.0001"] {
            assert!(error(bad).contains("has to be a number of seconds"));
        }
        for bad in ["1 0", "1 1.5", "1 x"] {
            assert!(error(bad).contains("has to be a number of reports"));
        }
        assert!(error("1 2 3").contains("unexpected argument \"3\""));
    }

    #[test]
    fn columns_are_those_of_the_view() {
        assert_eq!(options("--sort lazy%").sort.column, Some("LAZY%"));
        assert_eq!(options("--sort by-irq -b lock").sort.column, Some("BY-IRQ"));
        assert_eq!(
            error("--sort INTR --by thread"),
            "there is no column 'INTR' of interrupt threads: it has to be one of CPU, IPL, PID, \
             RESUMED, /s, PREEMPTED, MOSTQ"
        );
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert!(error("--by cpu").contains("by interrupt, lock or thread"));
        assert!(error("--fast").contains("--fast"));
        assert!(error("--sort").contains("--sort"));
        assert!(error("--top --json").contains("do not go together"));
        assert!(error("--json=1").contains("--json"));
    }

    #[test]
    fn help_and_version() {
        assert_eq!(parsed("-h"), Ok(Command::Help));
        assert_eq!(parsed("--version"), Ok(Command::Version));
        assert!(HELP.lines().all(|line| line.len() <= 100));
    }
}

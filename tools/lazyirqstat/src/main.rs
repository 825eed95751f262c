// SPDX-License-Identifier: GPL-2.0

//! Shows what the interrupts, locks and interrupt threads of lazyirq do: once, every few seconds, or
//! live on the whole screen.

mod args;
mod live;
mod rows;
mod source;
mod table;
mod watch;

use std::{
    fmt,
    io::{self, IsTerminal, Write},
    process::ExitCode,
    thread,
    time::Instant,
};

use args::{Command, Options};
use source::Source;

fn main() -> ExitCode {
    let done = match args::parse(std::env::args_os().skip(1)) {
        Ok(Command::Help) => print(args::HELP),
        Ok(Command::Version) => print(concat!("lazyirqstat ", env!("CARGO_PKG_VERSION"), "\n")),
        Ok(Command::Show(options)) => show(&options),
        Err(error) => {
            complain(&error);
            complain(&args::HINT);
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // The reader has seen enough.
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(failure) => {
            complain(&failure);
            ExitCode::FAILURE
        }
    }
}

/// Says what is wrong. If that cannot be said either, there is nothing left to do.
fn complain(message: &dyn fmt::Display) {
    let _ = writeln!(io::stderr(), "lazyirqstat: {message}");
}

/// Why the program ends early.
#[derive(Debug)]
enum Failure {
    Source(source::Error),
    Output(io::Error),
    NoTerminal,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source(error) => error.fmt(f),
            Self::Output(error) => write!(f, "writing failed: {error}"),
            Self::NoTerminal => write!(f, "--top needs a terminal: leave it out in a pipe"),
        }
    }
}

impl From<source::Error> for Failure {
    fn from(error: source::Error) -> Self {
        Self::Source(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::Output(error.into())
    }
}

fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

fn show(options: &Options) -> Result<(), Failure> {
    let source = Source::new(options.debugfs.clone());
    if !options.top {
        return report(options, &source);
    }
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Err(Failure::NoTerminal);
    }
    live::run(options, &source)
}

/// Prints one report, or one each interval.
fn report(options: &Options, source: &Source) -> Result<(), Failure> {
    let mut watch = options.view.watch();
    let start = Instant::now();
    let mut due = start;
    let count = match options.interval {
        Some(_) => options.count.unwrap_or(u64::MAX),
        None => 1,
    };
    for number in 0..count {
        if let (1.., Some(interval)) = (number, options.interval) {
            // From the last due time on, so that the work in between does not add up; but if that
            // was missed (the process was stopped), the missed reports are not made up for.
            due = (due + interval).max(Instant::now());
            thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        let now = Instant::now();
        watch.sample(source, now)?;
        let text = match (options.json, number) {
            (true, _) => watch.json(options.sort, now - start)?,
            (false, 0) => watch.table(options.sort).to_string(),
            (false, _) => format!("\n{}", watch.table(options.sort)),
        };
        print(&text)?;
    }
    Ok(())
}

// SPDX-License-Identifier: GPL-2.0

//! `/sys/kernel/debug/lazyirq`: the counters, for root alone.

use crate::{
    bindings,
    ipl::Ipl,
    slot::Head,
    stats::{Mechanism, Stats},
};
use kernel::{
    debugfs::{Dir, File},
    fmt,
    prelude::*,
    str::{kstrtobool, CString},
    sync::global_lock,
    uaccess::UserSliceReader,
};

/// A listed interrupt's statistics.
///
/// # Invariants
///
/// They are there for as long as this is: see [`Listed::new`].
#[derive(Clone, Copy)]
struct Row(*const Stats);

// SAFETY: `Stats` is `Sync`.
unsafe impl Send for Row {}
// SAFETY: As above.
unsafe impl Sync for Row {}

impl core::ops::Deref for Row {
    type Target = Stats;

    fn deref(&self) -> &Stats {
        // SAFETY: By the type invariant.
        unsafe { &*self.0 }
    }
}

struct List {
    root: Option<Dir>,
    /// The rows, with a number that tells directories of the same name apart.
    rows: KVec<(Row, u32)>,
}

global_lock! {
    // SAFETY: Initialised in `Files::new`, before the first registration.
    unsafe(uninit) static LIST: Mutex<List> = List { root: None, rows: KVec::new() };
}

/// A lazy interrupt's handler.
///
/// # Invariants
///
/// As for [`Row`].
struct Handler(*const Head);

// SAFETY: Heads are `Sync`.
unsafe impl Send for Handler {}
// SAFETY: As above.
unsafe impl Sync for Handler {}

/// An interrupt's place in debugfs. It is gone when this is dropped, and nobody reads it.
pub(crate) struct Listed {
    row: Row,
    _stats: Pin<KBox<File<Row>>>,
    _ipl: Option<Pin<KBox<File<Handler>>>>,
    _dir: Dir,
}

impl Listed {
    /// Thread, may sleep.
    ///
    /// # Safety
    ///
    /// `stats` stays where it is until this is dropped, and so does the `head` of a lazy interrupt.
    pub(crate) unsafe fn new(stats: &Stats, head: Option<&Head>) -> Result<Self> {
        // INVARIANT: By the requirement. So below.
        let row = Row(stats);
        let mut list = LIST.lock();
        let same = |other: &Row| {
            other.irq == row.irq && other.name == row.name && other.mechanism == row.mechanism
        };
        let number = list
            .rows
            .iter()
            .filter(|(other, _)| same(other))
            .map(|(_, n)| n + 1)
            .max()
            .unwrap_or(0);
        let mechanism = row.mechanism.name();
        let name = match number {
            0 => CString::try_from_fmt(fmt!("{}-{}-{mechanism}", row.irq, text(row.name)))?,
            _ => {
                CString::try_from_fmt(fmt!("{}-{}-{mechanism}-{number}", row.irq, text(row.name)))?
            }
        };
        let root = list.root.as_ref().ok_or(ENODEV)?;
        let dir = root.subdir(&name);
        let stats = dir.read_write_callback_file(c"stats", row, &show_one, &reset_one);
        let stats = KBox::pin_init(stats, GFP_KERNEL)?;
        let ipl = match head {
            None => None,
            Some(head) => {
                let file = dir.read_write_callback_file(c"ipl", Handler(head), &show_ipl, &set_ipl);
                Some(KBox::pin_init(file, GFP_KERNEL)?)
            }
        };
        list.rows.push((row, number), GFP_KERNEL)?;
        Ok(Self {
            row,
            _stats: stats,
            _ipl: ipl,
            _dir: dir,
        })
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        LIST.lock()
            .rows
            .retain(|(row, _)| !core::ptr::eq(row.0, self.row.0));
    }
}

/// The files that are there as long as the module is.
pub(crate) struct Files {
    _files: [Pin<KBox<File<()>>>; 4],
}

impl Files {
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: Called once, from the module's init.
        unsafe { LIST.init() };
        let root = Dir::new(c"lazyirq");
        macro_rules! file {
            ($init:expr) => {
                KBox::pin_init($init, GFP_KERNEL)?
            };
        }
        let files = [
            file!(root.read_write_callback_file(c"interrupts", (), &show_table, &reset_all)),
            file!(root.read_write_callback_file(c"interrupts.json", (), &show_json, &reset_all)),
            file!(root.read_callback_file(c"compare", (), &show_compare)),
            file!(root.read_write_callback_file(c"latency", (), &show_latency, &set_latency)),
        ];
        LIST.lock().root = Some(root);
        Ok(Self { _files: files })
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        // Nothing is registered any more; the directory goes with the last of its files.
        let mut list = LIST.lock();
        list.root = None;
        list.rows = KVec::new();
    }
}

/// What was written, without white space around it, if it is short.
fn written<'b>(reader: &mut UserSliceReader, buffer: &'b mut [u8; 16]) -> Result<&'b str> {
    let length = reader.len();
    let bytes = buffer.get_mut(..length).ok_or(EINVAL)?;
    reader.read_slice(bytes)?;
    core::str::from_utf8(bytes)
        .map(str::trim)
        .map_err(|_| EINVAL)
}

fn wants_reset(reader: &mut UserSliceReader) -> Result {
    match written(reader, &mut [0; 16]) {
        Ok("0") => Ok(()),
        _ => {
            pr_err!("debugfs: write 0 to reset the counters, nothing else\n");
            Err(EINVAL)
        }
    }
}

fn reset_one(row: &Row, reader: &mut UserSliceReader) -> Result {
    wants_reset(reader)?;
    row.reset();
    Ok(())
}

fn reset_all(_: &(), reader: &mut UserSliceReader) -> Result {
    wants_reset(reader)?;
    LIST.lock().rows.iter().for_each(|(row, _)| row.reset());
    Ok(())
}

fn show_one(row: &Row, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    row.fields(|name, value| writeln!(f, "{name:<20} {value}"))
}

fn show_ipl(handler: &Handler, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    // SAFETY: By the type invariant.
    writeln!(f, "{}", unsafe { (*handler.0).stats.ipl.get() })
}

fn set_ipl(handler: &Handler, reader: &mut UserSliceReader) -> Result {
    let mut buffer = [0; 16];
    let ipl = written(reader, &mut buffer)
        .and_then(|text| text.parse::<u8>().map_err(|_| EINVAL))
        .inspect_err(|_| pr_err!("debugfs: an interrupt priority level has to be 1 to 10\n"))?;
    // SAFETY: By the type invariant.
    unsafe { (*handler.0).set_ipl(Ipl::new(ipl)?) }
}

fn show_table(_: &(), f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let list = LIST.lock();
    let mut header = true;
    for (row, _) in &list.rows {
        if core::mem::take(&mut header) {
            row.fields(|name, _| column(f, name, name))?;
            writeln!(f)?;
        }
        row.fields(|name, value| column(f, name, value))?;
        writeln!(f)?;
    }
    Ok(())
}

/// A name to print: names are the drivers', so they should be UTF-8.
pub(crate) fn text(name: &CStr) -> &str {
    name.to_str().unwrap_or("?")
}

/// One cell: names to the left, numbers to the right, as wide as the heading or the usual number.
fn column(
    f: &mut fmt::Formatter<'_>,
    heading: &str,
    value: impl core::fmt::Display,
) -> fmt::Result {
    let width = heading.len().max(6);
    match heading {
        "name" => write!(f, "{value:<20} "),
        "mechanism" => write!(f, "{value:<9} "),
        _ => write!(f, "{value:>width$} "),
    }
}

fn show_json(_: &(), f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (row, _) in &LIST.lock().rows {
        let mut separator = '{';
        row.fields(|name, value| {
            write!(f, "{separator}\"{name}\":")?;
            separator = ',';
            match value {
                Value::Number(number) => write!(f, "{number}"),
                Value::Text(text) => write!(f, "\"{}\"", JsonText(text)),
            }
        })?;
        writeln!(f, "}}")?;
    }
    Ok(())
}

/// A text within a JSON string.
struct JsonText<'a>(&'a str);

impl core::fmt::Display for JsonText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '"' | '\\' => write!(f, "\\{c}"),
            '\0'..' ' => write!(f, "\\u{:04x}", c as u32),
            _ => write!(f, "{c}"),
        })
    }
}

/// Lazy beside stock, for every name that both serve.
fn show_compare(_: &(), f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let list = LIST.lock();
    let mut none = true;
    for (lazy, _) in list
        .rows
        .iter()
        .filter(|(row, _)| row.mechanism == Mechanism::Lazy)
    {
        let twin = |row: &Row| row.mechanism == Mechanism::Stock && row.name == lazy.name;
        let Some((stock, _)) = list.rows.iter().find(|(row, _)| twin(row)) else {
            continue;
        };
        none = false;
        writeln!(
            f,
            "{:<28} {:>14} {:>14}",
            text(lazy.name),
            "lazy",
            "stock threaded"
        )?;
        let mut pair = |what: &str, value: fn(&Stats) -> u64| {
            writeln!(f, "{what:<28} {:>14} {:>14}", value(lazy), value(stock))
        };
        pair("interrupt line", |s| s.irq.into())?;
        pair("interrupts", Stats::interrupts)?;
        pair("done in the lazy path", |s| s.counters.lazy.get())?;
        pair("blocked on a lock", |s| s.counters.blocked.get())?;
        pair("deferred", |s| s.counters.deferred.get())?;
        pair("held", |s| s.counters.held.get())?;
        pair("resumed by the releaser", |s| s.counters.lent.get())?;
        pair("done in a thread", |s| {
            s.counters
                .resumed
                .get()
                .saturating_sub(s.counters.lent.get())
        })?;
        pair("spurious", |s| {
            s.counters.spurious.get() + s.counters.late_none.get()
        })?;
        pair("context switches", |s| s.counters.switches.get())?;
        pair("  per 1,000 interrupts", |s| {
            let thousandfold = s.counters.switches.get().saturating_mul(1000);
            thousandfold.checked_div(s.interrupts()).unwrap_or(0)
        })?;
        pair("latency to done, min (ns)", |s| s.latency.get().min)?;
        pair("latency to done, mean (ns)", |s| s.latency.get().mean)?;
        pair("latency to done, max (ns)", |s| s.latency.get().max)?;
        pair("memory (bytes)", |s| s.memory as u64)?;
        pair("  of it a blocked handler's", |s| s.continuation as u64)?;
        writeln!(f)?;
    }
    if none {
        writeln!(f, "no name is registered with both mechanisms")?;
    }
    Ok(())
}

fn show_latency(_: &(), f: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(f, "{}", u8::from(crate::stats::latency_on()))
}

fn set_latency(_: &(), reader: &mut UserSliceReader) -> Result {
    let mut buffer = [0; 16];
    let on = written(reader, &mut buffer)
        .and_then(|text| kstrtobool(&CString::try_from_fmt(fmt!("{text}"))?));
    let on =
        on.inspect_err(|_| pr_err!("debugfs: latency is switched by 1 and 0, nothing else\n"))?;
    // SAFETY: Thread context, and no lock is held.
    unsafe { bindings::lazyirq_enable_latency(on) };
    Ok(())
}

/// What a field holds.
#[derive(Clone, Copy)]
enum Value<'a> {
    Number(u64),
    Text(&'a str),
}

impl core::fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Number(number) => core::fmt::Display::fmt(number, f),
            Value::Text(text) => f.pad(text),
        }
    }
}

impl Stats {
    /// Every field with its name, in the order of the table's columns.
    fn fields(&self, mut field: impl FnMut(&str, Value<'_>) -> fmt::Result) -> fmt::Result {
        use Value::{Number, Text};
        field("irq", Number(self.irq.into()))?;
        field("name", Text(text(self.name)))?;
        field("mechanism", Text(self.mechanism.name()))?;
        field("ipl", Number(self.ipl.get().into()))?;
        field("interrupts", Number(self.interrupts()))?;
        for (name, value) in crate::stats::Counters::NAMES
            .iter()
            .zip(self.counters.values())
        {
            field(name, Number(value))?;
        }
        let latency = self.latency.get();
        field("latency_count", Number(latency.count))?;
        field("latency_min_ns", Number(latency.min))?;
        field("latency_mean_ns", Number(latency.mean))?;
        field("latency_max_ns", Number(latency.max))?;
        field("memory", Number(self.memory as u64))?;
        field("continuation", Number(self.continuation as u64))
    }
}

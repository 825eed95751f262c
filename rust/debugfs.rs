// SPDX-License-Identifier: GPL-2.0

//! `/sys/kernel/debug/lazyirq`: the counters, for root alone.
//!
//! This module defines which files exist and what may be written to them; what is shown is in [`rows`], and
//! how in [`table`].

use crate::{histogram::Seen, ipl::Ipl, ithread, observe, slot::Head, stats::Stats, sync};
use core::ptr;
use kernel::{
    debugfs::{Dir, File},
    fmt,
    prelude::*,
    str::CString,
    sync::global_lock,
    uaccess::UserSliceReader,
};
use rows::{Compared, Took};
use table::Table;

mod rows;
mod table;

/// A listed interrupt's statistics.
///
/// # Invariants
///
/// The statistics exist for as long as this does: see [`Listed::new`].
#[derive(Clone, Copy)]
struct Entry(*const Stats);

// SAFETY: `Stats` is `Sync`.
unsafe impl Send for Entry {}
// SAFETY: As above.
unsafe impl Sync for Entry {}

impl core::ops::Deref for Entry {
    type Target = Stats;

    fn deref(&self) -> &Stats {
        // SAFETY: By the type invariant.
        unsafe { &*self.0 }
    }
}

/// A lazy interrupt's handler.
///
/// # Invariants
///
/// As for [`Entry`].
struct Handler(*const Head);

// SAFETY: Heads are `Sync`.
unsafe impl Send for Handler {}
// SAFETY: As above.
unsafe impl Sync for Handler {}

/// A listed interrupt's place in debugfs.
///
/// It must not be dropped while the list is locked: a file goes away only when nobody reads it, and a reader may
/// wait for that lock.
struct Place {
    row: Entry,
    /// Tells directories of the same name apart.
    number: u32,
    _stats: Pin<KBox<File<Entry>>>,
    _ipl: Option<Pin<KBox<File<Handler>>>>,
    _dir: Dir,
}

struct List {
    root: Option<Dir>,
    places: KVec<Place>,
}

impl List {
    fn rows(&self) -> impl Iterator<Item = &Entry> {
        self.places.iter().map(|place| &place.row)
    }
}

global_lock! {
    // SAFETY: Initialised in `init`, before all else.
    unsafe(uninit) static LIST: Mutex<List> = List { root: None, places: KVec::new() };
}

global_lock! {
    /// Held while places are made or removed, files included, so that a new one finds its name free. No reader
    /// waits for it.
    // SAFETY: As above.
    unsafe(uninit) static CHANGE: Mutex<()> = ();
}

/// Removes the places that `goes` is true for.
fn remove(goes: impl Fn(&Entry) -> bool) {
    let take = || {
        let mut list = LIST.lock();
        let index = list.rows().position(&goes)?;
        list.places.remove(index).ok()
    };
    let _change = CHANGE.lock();
    while take().is_some() {}
}

/// That an interrupt is shown in debugfs. Once this is dropped, its place is gone and nobody reads it.
///
/// The place itself is the list's, so that it goes with the driver's module if this is forgotten.
pub(crate) struct Listed(Entry);

impl Listed {
    /// Thread, may sleep.
    ///
    /// # Safety
    ///
    /// `stats` stays where it is until the returned value is dropped, and so does the `head` of a lazy
    /// interrupt.
    pub(crate) unsafe fn new(stats: &Stats, head: Option<&Head>) -> Result<Self> {
        // INVARIANT: By the requirement. The same holds for `Handler` below.
        let row = Entry(stats);
        let _change = CHANGE.lock();
        // Declared before the list is locked, so that they are dropped after it is unlocked if this fails.
        let (dir, stats, ipl);
        let mut list = LIST.lock();
        let same = |other: &Entry| {
            other.irq == row.irq && other.name == row.name && other.mechanism == row.mechanism
        };
        let number = list
            .places
            .iter()
            .filter(|other| same(&other.row))
            .map(|other| other.number + 1)
            .max()
            .unwrap_or(0);
        let mechanism = row.mechanism.name();
        let name = match number {
            0 => CString::try_from_fmt(fmt!("{}-{}-{mechanism}", row.irq, text(row.name)))?,
            _ => {
                CString::try_from_fmt(fmt!("{}-{}-{mechanism}-{number}", row.irq, text(row.name)))?
            }
        };
        if observe::measuring() {
            row.timer.prepare()?;
        }
        list.places.reserve(1, GFP_KERNEL)?;
        let root = list.root.as_ref().ok_or(ENODEV)?;
        dir = root.subdir(&name);
        let file = dir.read_write_callback_file(c"stats", row, &show_one, &reset_one);
        stats = KBox::pin_init(file, GFP_KERNEL)?;
        ipl = match head {
            None => None,
            Some(head) => {
                let file = dir.read_write_callback_file(c"ipl", Handler(head), &show_ipl, &set_ipl);
                Some(KBox::pin_init(file, GFP_KERNEL)?)
            }
        };
        let place = Place {
            row,
            number,
            _stats: stats,
            _ipl: ipl,
            _dir: dir,
        };
        // There is room for it: it is not dropped here.
        list.places.push(place, GFP_KERNEL)?;
        Ok(Self(row))
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        remove(|row| ptr::eq(row.0, self.0 .0));
    }
}

/// A module is going away, and the names of its locks with it; and those of interrupts, if it has forgotten
/// their statistics (`mem::forget` is safe): these are not shown any more. Thread, may sleep.
pub(crate) fn forget_names(goes: impl Fn(*const c_char) -> bool) {
    remove(|row| goes(row.name.as_char_ptr()));
    LIST.lock().rows().for_each(|row| row.forget_names(&goes));
}

/// Must be called first, once, from the module's init: modules may go away from then on.
pub(crate) fn init() {
    // SAFETY: By the requirement.
    unsafe {
        LIST.init();
        CHANGE.init();
    }
}

/// The files that exist for as long as the module does.
pub(crate) struct Files {
    _files: [Pin<KBox<File<()>>>; 11],
}

impl Files {
    pub(crate) fn new() -> Result<Self> {
        let root = Dir::new(c"lazyirq");
        macro_rules! file {
            ($init:expr) => {
                KBox::pin_init($init, GFP_KERNEL)?
            };
        }
        macro_rules! read {
            ($name:literal, $show:expr) => {
                file!(root.read_callback_file($name, (), $show))
            };
        }
        macro_rules! read_write {
            ($name:literal, $show:expr, $write:expr) => {
                file!(root.read_write_callback_file($name, (), $show, $write))
            };
        }
        let files = [
            read_write!(c"interrupts", &show_interrupts, &reset_interrupts),
            read_write!(c"interrupts.json", &show_interrupts_json, &reset_interrupts),
            read_write!(c"locks", &show_locks, &reset_locks),
            read_write!(c"locks.json", &show_locks_json, &reset_locks),
            read_write!(c"ithreads", &show_ithreads, &reset_ithreads),
            read_write!(c"ithreads.json", &show_ithreads_json, &reset_ithreads),
            read!(c"compare", &show_compare),
            read!(c"compare.json", &show_compare_json),
            read!(c"histograms", &show_histograms),
            read!(c"histograms.json", &show_histograms_json),
            read_write!(c"latency", &show_latency, &set_latency),
        ];
        LIST.lock().root = Some(root);
        Ok(Self { _files: files })
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        // Nothing is registered any more, but something may have been forgotten. The directory goes with the
        // last of its files.
        remove(|_| true);
        let mut list = LIST.lock();
        list.root = None;
        list.places = KVec::new();
    }
}

/// What was written, without surrounding white space, if it is short.
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

/// The list's lock keeps a reset and a look at an interrupt out of each other's way.
fn reset_one(row: &Entry, reader: &mut UserSliceReader) -> Result {
    wants_reset(reader)?;
    let _list = LIST.lock();
    row.reset();
    Ok(())
}

fn show_one(row: &Entry, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let _list = LIST.lock();
    table::list(f, &**row)
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

fn reset_interrupts(_: &(), reader: &mut UserSliceReader) -> Result {
    wants_reset(reader)?;
    LIST.lock().rows().for_each(|row| row.reset());
    Ok(())
}

fn show_interrupts(_: &(), f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (list, mut table) = (LIST.lock(), Table::new(f));
    let mut rows = list.rows();
    rows.try_for_each(|row| table.row(&**row))
}

fn show_interrupts_json(_: &(), f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let list = LIST.lock();
    let mut rows = list.rows();
    rows.try_for_each(|row| table::object(f, &**row))
}

fn reset_locks(_: &(), reader: &mut UserSliceReader) -> Result {
    wants_reset(reader)?;
    sync::reset_known();
    Ok(())
}

fn show_locks(_: &(), f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut table = Table::new(f);
    sync::each_known(|lock| table.row(lock)).unwrap_or(Err(fmt::Error))
}

fn show_locks_json(_: &(), f: &mut fmt::Formatter<'_>) -> fmt::Result {
    sync::each_known(|lock| table::object(f, lock)).unwrap_or(Err(fmt::Error))
}

fn reset_ithreads(_: &(), reader: &mut UserSliceReader) -> Result {
    wants_reset(reader)?;
    ithread::reset();
    Ok(())
}

fn show_ithreads(_: &(), f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut table = Table::new(f);
    ithread::each(|ithread| table.row(ithread))
}

fn show_ithreads_json(_: &(), f: &mut fmt::Formatter<'_>) -> fmt::Result {
    ithread::each(|ithread| table::object(f, ithread))
}

/// Calls `show` with each lazy interrupt that has a stock one of the same name. Returns whether there
/// are any.
fn each_pair(mut show: impl FnMut(Compared<'_>) -> fmt::Result) -> Result<bool, fmt::Error> {
    let list = LIST.lock();
    let mut any = false;
    for lazy in list.rows() {
        if let Some(stock) = list.rows().find(|other| Compared::are_twins(lazy, other)) {
            show(Compared { lazy, stock })?;
            any = true;
        }
    }
    Ok(any)
}

fn show_compare(_: &(), f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if !each_pair(|pair| pair.show(f))? {
        writeln!(f, "no name is registered with both mechanisms")?;
    }
    Ok(())
}

fn show_compare_json(_: &(), f: &mut fmt::Formatter<'_>) -> fmt::Result {
    each_pair(|pair| {
        write!(f, "{{\"name\":")?;
        table::string(f, text(pair.lazy.name))?;
        for (mechanism, stats) in [("lazy", pair.lazy), ("stock", pair.stock)] {
            write!(f, ",\"{mechanism}\":")?;
            table::open_object(f, stats)?;
            write!(f, "}}")?;
        }
        writeln!(f, "}}")
    })?;
    Ok(())
}

/// Calls `show` for each kind of interrupt for which times were measured, and for the waits.
fn each_histogram(mut show: impl FnMut(&Took<'_>, &Seen) -> fmt::Result) -> fmt::Result {
    for row in LIST.lock().rows() {
        let Some(times) = row.timer.times() else {
            continue;
        };
        for (kind, seen) in times.each() {
            let took = Took {
                stats: row,
                kind,
                summary: seen.summary,
            };
            if took.summary.count > 0 {
                show(&took, &seen)?;
            }
        }
    }
    Ok(())
}

fn show_histograms(_: &(), f: &mut fmt::Formatter<'_>) -> fmt::Result {
    each_histogram(|took, seen| {
        Table::new(f).row(took)?;
        let mut lines = seen.lines();
        let most = seen.lines().map(|line| line.count).max();
        lines.try_for_each(|line| {
            let stars = line
                .count
                .saturating_mul(50)
                .div_ceil(most.unwrap_or(1).max(1)) as usize;
            let (from, to, count) = (line.from, line.to, line.count);
            writeln!(
                f,
                "{from:>14} ns to {to:>14} ns {count:>10} {:*<stars$}",
                ""
            )
        })?;
        writeln!(f)
    })
}

fn show_histograms_json(_: &(), f: &mut fmt::Formatter<'_>) -> fmt::Result {
    each_histogram(|took, seen| {
        table::open_object(f, took)?;
        write!(f, ",\"buckets\":")?;
        let mut separator = '[';
        for line in seen.lines() {
            write!(f, "{separator}[{},{},{}]", line.from, line.to, line.count)?;
            separator = ',';
        }
        writeln!(f, "]}}")
    })
}

/// A name to print. Names come from drivers, so they should be UTF-8.
pub(crate) fn text(name: &CStr) -> &str {
    name.to_str().unwrap_or("?")
}

fn show_latency(_: &(), f: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(f, "{}", u8::from(observe::measuring()))
}

fn set_latency(_: &(), reader: &mut UserSliceReader) -> Result {
    let on = match written(reader, &mut [0; 16]) {
        Ok("0") => false,
        Ok("1") => true,
        _ => {
            pr_err!("debugfs: latency is switched by 1 and 0, nothing else\n");
            return Err(EINVAL);
        }
    };
    let list = LIST.lock();
    if on && !observe::measuring() {
        list.rows().try_for_each(|row| row.timer.prepare())?;
    }
    observe::measure(on);
    Ok(())
}

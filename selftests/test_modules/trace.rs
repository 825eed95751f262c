// SPDX-License-Identifier: GPL-2.0

//! Which actor did what, in order, for the scripts to compare with what is expected.

use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering::SeqCst};
use kernel::fmt;

const LENGTH: usize = 256;

/// Actor, step, its object (or none), and whether it was in an ithread, one byte each.
static WORDS: [AtomicU32; LENGTH] = [const { AtomicU32::new(0) }; LENGTH];
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// Adds a word; it is lost if the trace is full.
pub(crate) fn mark(actor: u8, what: u8, which: u8, ithread: bool) {
    let place = NEXT.fetch_add(1, SeqCst);
    if let Some(word) = WORDS.get(place) {
        word.store(
            u32::from_le_bytes([actor, what, which, ithread.into()]),
            SeqCst,
        );
    }
}

pub(crate) fn reset() {
    WORDS.iter().for_each(|word| word.store(0, SeqCst));
    NEXT.store(0, SeqCst);
}

/// All words, those from an ithread with a `'`.
pub(crate) fn write(f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for word in &WORDS {
        let [actor, what, which, ithread] = word.load(SeqCst).to_le_bytes();
        if actor == 0 {
            break;
        }
        write!(f, "{}{}", char::from(actor), char::from(what))?;
        if which != 0 {
            write!(f, "{}", char::from(which))?;
        }
        write!(f, "{} ", if ithread != 0 { "'" } else { "" })?;
    }
    writeln!(f)
}

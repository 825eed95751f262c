// SPDX-License-Identifier: GPL-2.0

//! The locks: the driver core's files, and what stands in for the others.

#[path = "../../../rust/sync/raw.rs"]
mod raw;
#[path = "../../../rust/sync/turnstile.rs"]
mod turnstile;
#[path = "../../../rust/sync/wait.rs"]
mod wait;

mod events;
mod lend;
mod list;
mod lock;
mod sleeper;
mod watch;

#[cfg(test)]
mod models;
#[cfg(test)]
mod order;

pub(crate) use lend::dispatch;
#[cfg(test)]
pub(crate) use lend::{boost, dispatched};
pub(crate) use lock::Lock;
pub(crate) use raw::{Holder, Owner};
#[cfg(test)]
pub(crate) use sleeper::signal;
pub(crate) use sleeper::Sleep;

/// A mutex that is a static.
macro_rules! global_lock {
    ($(#[$_doc:meta])* pub($vis:tt) unsafe(uninit) static $name:ident: Mutex<$data:ty> = $value:expr;) => {
        loom::lazy_static! {
            pub($vis) static ref $name: crate::sync::Global<$data> =
                crate::sync::Global(loom::sync::Mutex::new($value));
        }
    };
}
pub(crate) use global_lock;

pub(crate) struct Global<T>(pub(crate) loom::sync::Mutex<T>);

impl<T> Global<T> {
    pub(crate) fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
        self.0.lock().unwrap()
    }
}

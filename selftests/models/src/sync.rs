// SPDX-License-Identifier: GPL-2.0

//! The locks: the driver core's files, and what stands in for the others.

#[path = "../../../rust/sync/raw.rs"]
mod raw;
#[path = "../../../rust/sync/turnstile.rs"]
mod turnstile;
#[path = "../../../rust/sync/wait.rs"]
mod wait;

mod dispatcher;
mod events;
mod lender;
mod list;
mod lock;
mod sleeper;
mod watch;

#[cfg(test)]
mod alone;
#[cfg(test)]
mod models;
#[cfg(test)]
mod order;

pub(crate) use dispatcher::{await_dispatcher, dispatch};
#[cfg(test)]
pub(crate) use dispatcher::{boost, dispatched};
pub(crate) use lock::Lock;
pub(crate) use raw::{Owner, OwnerKind, Party};
#[cfg(test)]
pub(crate) use sleeper::signal;
pub(crate) use sleeper::Sleep;
pub(crate) use turnstile::Waiter;

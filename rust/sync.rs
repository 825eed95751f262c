// SPDX-License-Identifier: GPL-2.0

//! The locks that threads and handlers share.

mod chain;
mod dispatcher;
mod events;
mod known;
mod lender;
mod list;
mod lock;
mod lockdep;
mod mutex;
mod raw;
mod rwlock;
mod sleeper;
mod stall;
mod turnstile;
mod wait;
mod watch;

pub(crate) use dispatcher::{await_dispatcher, dispatch};
pub(crate) use known::{each as each_known, reset as reset_known, Known};
pub(crate) use lender::Lenders;
pub use lock::{Access, Exclusive, Guard, IrqGuard, Lock, LockIrq, Shared};
pub(crate) use lockdep::Held;
pub use mutex::Mutex;
pub(crate) use raw::{Owner, OwnerKind, Party};
pub use rwlock::{IrqReadGuard, IrqWriteGuard, ReadGuard, RwLock, WriteGuard};
pub(crate) use turnstile::Waiter;

// SPDX-License-Identifier: GPL-2.0

//! The locks that threads and handlers share.

mod mutex;
mod raw;
mod turnstile;

pub use mutex::{Guard, IrqGuard, LockIrq, Mutex};

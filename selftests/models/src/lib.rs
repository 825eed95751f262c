// SPDX-License-Identifier: GPL-2.0

//! Models of the locks and of the state machine, which [loom] runs in every order that its bound
//! allows.
//!
//! What is checked is the driver core's own source: `continuation.rs`, `runqueue.rs`, `sync/raw.rs`,
//! `sync/turnstile.rs` and `sync/wait.rs` are compiled from where they are. What they stand on is
//! replaced: the atomics and the spinlock (`primitive.rs`) by loom's, slots and interrupt threads
//! (`slot.rs`), the locks with their data (`sync/lock.rs`) and how one sleeps (`sync/sleeper.rs`) by
//! what is left of them without a kernel. Nothing is lent here (`sync/lend.rs`),
//! and nobody looks at the locks (`sync/watch.rs`).
//!
//! Loom executes a model again and again: in each order of its threads' atomic operations, with
//! each value that the C11 memory model lets a load return, and it complains of data that two
//! threads use without one's being ordered before the other's. Two things bound that:
//! threads are preempted two or three times in one execution at most (they may block as often as
//! they like), and of an atomic's values the last seven are kept. `SeqCst` is taken for `AcqRel`.
//! So a model that passes shows that there is no such execution within the bound, and no more.
//!
//! [loom]: https://docs.rs/loom

// The shared files name these crates.
extern crate self as kernel;
extern crate self as pin_init;

#[path = "../../../rust/continuation.rs"]
mod continuation;
#[path = "../../../rust/runqueue.rs"]
mod runqueue;

mod primitive;
mod slot;
mod sync;
mod threads;

#[cfg(test)]
mod models;

/// Runs a model in every order with so many preemptions at most, and says in how many executions.
/// `LOOM_MAX_PREEMPTIONS` sets another bound.
#[cfg(test)]
fn model(preemptions: usize, main: impl Fn() + Send + Sync + 'static) {
    use std::sync::{
        atomic::{AtomicUsize, Ordering::Relaxed},
        Arc,
    };

    let executions = Arc::new(AtomicUsize::new(0));
    let mut loom = loom::model::Builder::new();
    let preemptions = *loom.preemption_bound.get_or_insert(preemptions);
    let count = executions.clone();
    loom.check(move || {
        count.fetch_add(1, Relaxed);
        main();
    });
    println!(
        "{} executions, {preemptions} preemptions at most",
        executions.load(Relaxed)
    );
}

pub(crate) mod prelude {
    //! The kernel crate's, as far as it is used.

    #[derive(Debug, PartialEq, Eq)]
    pub struct Error(&'static str);

    pub const EINTR: Error = Error("EINTR");
    pub const EDEADLK: Error = Error("EDEADLK");

    pub type Result<T = (), E = Error> = core::result::Result<T, E>;

    macro_rules! pr_err {
        ($($arg:tt)*) => { { let _ = format_args!($($arg)*); } };
    }
    pub(crate) use pr_err;
}

/// In place of the kernel's.
macro_rules! stack_pin_init {
    (let $name:ident = $value:expr) => {
        let $name = core::pin::pin!($value);
    };
}
pub(crate) use stack_pin_init;

mod bindings {
    /// # Safety
    ///
    /// None is needed; the kernel's is declared like this.
    pub(crate) unsafe fn dump_stack() {}
}

mod debugfs {
    pub(crate) fn text(name: &core::ffi::CStr) -> &str {
        name.to_str().unwrap()
    }
}

mod handler {
    use crate::slot::Head;

    #[derive(Clone, Copy)]
    pub struct Interrupt<'a>(pub(crate) &'a Head);

    impl<'a> Interrupt<'a> {
        pub(crate) fn head(self) -> &'a Head {
            self.0
        }
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Models of the locks, of the state machine and of the counters, which [loom] runs in every order
//! that its bound allows.
//!
//! What is checked is the driver core's own source: `continuation.rs`, `runqueue.rs`, `releaser.rs`,
//! `counters.rs`, `seqcount.rs`, `ithread/boost.rs`, `sync/raw.rs`, `sync/turnstile.rs` and
//! `sync/wait.rs` are compiled from where they are. What they build on is
//! replaced: the atomics and the spinlock (`primitive.rs`) by loom's; slots and interrupt threads
//! (`slot.rs`, `ithread.rs`), the locks with their data (`sync/lock.rs`) and how threads sleep
//! (`sync/sleeper.rs`) by what is left of them without a kernel. No thread is lent anything here, and
//! handlers' ithreads are boosted by a function (`sync/dispatcher.rs`); nothing looks at the locks
//! (`sync/watch.rs`).
//!
//! Loom executes a model again and again: in each order of its threads' atomic operations, with
//! each value that the C11 memory model lets a load return, and it complains about data that two
//! threads use without one use being ordered before the other. Two things bound that:
//! threads are preempted at most two or three times in one execution (they may block any number of
//! times), and only the last seven values of an atomic are kept. `SeqCst` is taken for `AcqRel`.
//! So a model that passes shows that no execution within the bound fails, and no more.
//!
//! [loom]: https://docs.rs/loom

// The shared files name these crates.
extern crate self as kernel;
extern crate self as pin_init;

#[path = "../../../rust/continuation.rs"]
mod continuation;
#[path = "../../../rust/counters.rs"]
mod counters;
#[path = "../../../rust/ipl.rs"]
mod ipl;
#[path = "../../../rust/releaser.rs"]
mod releaser;
#[path = "../../../rust/runqueue.rs"]
mod runqueue;
#[path = "../../../rust/seqcount.rs"]
mod seqcount;

mod ithread;
mod primitive;
mod slot;
mod sync;
mod threads;

#[cfg(test)]
mod counting;
#[cfg(test)]
mod models;

/// As `model`, with threads that lend their context when they release a lock.
#[cfg(test)]
fn lending_model(preemptions: usize, main: impl Fn() + Send + Sync + 'static) {
    bindings::LENDS.set(true);
    model(preemptions, main);
    bindings::LENDS.set(false);
}

/// Runs a model in every order with at most that many preemptions, and prints how many executions that took.
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
    //! The kernel crate's prelude, as far as it is used.

    #[derive(Debug, PartialEq, Eq)]
    pub struct Error(&'static str);

    pub const EINTR: Error = Error("EINTR");
    pub const EINVAL: Error = Error("EINVAL");
    pub const EDEADLK: Error = Error("EDEADLK");

    pub type Result<T = (), E = Error> = core::result::Result<T, E>;

    macro_rules! pr_err {
        ($format:literal $(, $arg:expr)* $(,)?) => { { $(let _ = &$arg;)* } };
    }
    pub(crate) use pr_err;
}

/// In place of the kernel crate's macro.
macro_rules! stack_pin_init {
    (let $name:ident = $value:expr) => {
        let $name = core::pin::pin!($value);
    };
}
pub(crate) use stack_pin_init;

#[allow(
    clippy::missing_safety_doc,
    reason = "none is needed; the kernel's are declared like this"
)]
mod bindings {
    use std::cell::Cell;

    #[allow(non_camel_case_types, reason = "the kernel's name")]
    pub(crate) type irq_desc = crate::slot::Ithread;
    #[allow(non_camel_case_types, reason = "the kernel's name")]
    pub(crate) type task_struct = crate::ithread::Task;

    std::thread_local! {
        /// All of loom's threads share this: they take turns in one thread.
        pub(crate) static LENDS: Cell<bool> = const { Cell::new(false) };
    }

    pub(crate) unsafe fn dump_stack() {}

    #[allow(non_camel_case_types, reason = "the shim's name")]
    pub(crate) struct lazyirq_cpu;

    /// Something for the one CPU, if the running thread may lend its context.
    pub(crate) unsafe fn lazyirq_releaser_begin() -> *mut lazyirq_cpu {
        std::ptr::without_provenance_mut(LENDS.get().into())
    }

    pub(crate) unsafe fn lazyirq_releaser_end() {}

    /// Enough for the first two handlers of three.
    pub(crate) unsafe fn lazyirq_resume_budget() -> u32 {
        2
    }

    pub(crate) unsafe fn lazyirq_is_wanted() -> bool {
        false
    }

    pub(crate) unsafe fn lazyirq_set_fifo(task: *mut task_struct, fifo: u32) {
        // SAFETY: The task exists.
        unsafe { (*task).fifo.set(fifo) };
    }

    pub(crate) unsafe fn lazyirq_line_wake(line: *mut irq_desc) {
        // SAFETY: It outlives the handlers.
        unsafe { (*line).wake() };
    }
}

mod cpu {
    pub(crate) fn nr_cpu_ids() -> u32 {
        1
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

// SPDX-License-Identifier: GPL-2.0

//! Lenders: threads that lend a priority to the owner of a lock, by blocking on an `rt_mutex` for it.
//!
//! The kernel's `rt_mutex` passes the priority on to its owner, and through kernel locks from there.
//! Taking a lazyirq lock never touches one. A lender's `rt_mutex` is made to belong to the lock's owner
//! only when there is something to lend, as the futex code does for its proxy locks; then the lender
//! blocks on it. The owner repays with `rt_mutex_unlock()` when it releases the lock, and has its
//! own priority again.
//!
//! The lender is a thread of its own since it can do nothing else while it blocks: were it the
//! ithread, one owner that does not run would stop all handlers of a level.

use crate::{
    bindings,
    primitive::{AtomicU32, Cell, SeqCst},
    sync::{dispatcher, stall, watch},
};
use core::pin::Pin;
use kernel::{prelude::*, sync::global_lock, task::Task, types::Opaque};

/// The number of lenders made at the start. One more is made whenever all are busy.
const AT_FIRST: u32 = 2;

/// # Invariants
///
/// `work` and `loan` are initialised. Once made, a lender exists until the module is unloaded.
#[pin_data(PinnedDrop)]
pub(super) struct Lender {
    #[pin]
    work: Opaque<bindings::kthread_work>,
    #[pin]
    loan: Opaque<bindings::lazyirq_loan>,
    worker: *mut bindings::kthread_worker,
    /// The `SCHED_FIFO` priority to lend.
    fifo: AtomicU32,
    /// Link in the list of idle lenders. Protected by the list's lock.
    pub(super) next_idle: Cell<Option<&'static Lender>>,
}

// SAFETY: `next_idle` is accessed under a lock, `worker` does not change, and the rest is made for sharing.
unsafe impl Sync for Lender {}
// SAFETY: As above.
unsafe impl Send for Lender {}

impl Lender {
    fn new(number: u32) -> Result<Pin<KBox<Self>>> {
        // SAFETY: Thread context.
        let worker = kernel::error::from_err_ptr(unsafe { bindings::lazyirq_worker(number) })?;
        KBox::pin_init(
            pin_init!(Self {
                work <- Opaque::ffi_init(|slot| {
                    // SAFETY: `slot` is where the work is to be.
                    unsafe { bindings::lazyirq_work_init(slot, Some(lend)) }
                }),
                loan <- Opaque::ffi_init(|slot| {
                    // SAFETY: `slot` is where the loan is to be.
                    unsafe { bindings::lazyirq_loan_init(slot) }
                }),
                worker,
                fifo: AtomicU32::new(0),
                next_idle: Cell::new(None),
            }),
            GFP_KERNEL,
        )
        .inspect_err(|_| {
            // SAFETY: It was just made, and has no work.
            unsafe { bindings::kthread_destroy_worker(worker) }
        })
    }
}

#[pinned_drop]
impl PinnedDrop for Lender {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: It is this lender's, and nothing uses it any more.
        unsafe { bindings::kthread_destroy_worker(self.worker) };
        // SAFETY: It was initialised. Thread context; the lender's thread is gone.
        unsafe { bindings::lazyirq_loan_end(self.loan.get()) };
    }
}

/// Lends once. Runs in the lender's thread.
///
/// # Safety
///
/// `work` belongs to a lender that was given a loan to make.
unsafe extern "C" fn lend(work: *mut bindings::kthread_work) {
    // SAFETY: By the requirement; lenders stay.
    let lender = unsafe { &*kernel::container_of!(Opaque::cast_from(work), Lender, work) };
    loop {
        let fifo = lender.fifo.load(SeqCst);
        // SAFETY: Thread context. The thread sets its own priority.
        unsafe { bindings::lazyirq_set_fifo(Task::current_raw(), fifo) };
        // If it was raised meanwhile, this may have undone that.
        if lender.fifo.load(SeqCst) == fifo {
            break;
        }
    }
    // SAFETY: It was initialised. Thread context.
    unsafe { bindings::lazyirq_loan_wait(lender.loan.get()) };
    dispatcher::lender_is_idle(lender);
}

/// A lender's priority, lent to the owner of a lock.
#[derive(Clone, Copy)]
pub(super) struct Loan(&'static Lender);

impl Loan {
    /// A loan to `task`, which must repay it. Called with the lock's turnstile's lock held, so that
    /// it will.
    pub(super) fn new(
        lender: &'static Lender,
        task: *mut bindings::task_struct,
        fifo: u32,
    ) -> Self {
        lender.fifo.store(fifo, SeqCst);
        // SAFETY: The lender is idle: nothing uses its loan. The task owns a lock.
        unsafe { bindings::lazyirq_loan_owe(lender.loan.get(), task) };
        Self(lender)
    }

    /// Has the lender make the loan. Thread.
    pub(super) fn begin(self) {
        let Self(lender) = self;
        // SAFETY: Its worker and work exist. The lender sets its own priority when it runs; to get
        // to run, it starts above everything that it may lend it to.
        unsafe {
            bindings::lazyirq_set_fifo((*lender.worker).task, bindings::LAZYIRQ_HIGHEST_FIFO);
            bindings::kthread_queue_work(lender.worker, lender.work.get());
        }
    }

    /// Tells whether the loan must be raised for this priority. If so, the caller must do it.
    #[must_use]
    pub(super) fn set_priority(self, fifo: u32) -> bool {
        self.0.fifo.fetch_max(fifo, SeqCst) < fifo
    }

    /// Passes a raised priority on. Thread.
    pub(super) fn raise(self) {
        let Self(lender) = self;
        // SAFETY: The worker exists. The kernel passes the priority on to what the lender waits for.
        unsafe { bindings::lazyirq_set_fifo((*lender.worker).task, lender.fifo.load(SeqCst)) };
    }

    /// The owner has released the lock: it gets its own priority back. Called by the owner, in any
    /// context in which it may release the lock.
    pub(super) fn repay(self) {
        // Others may have depended on it, and the lock has another owner now. Once it has repaid, this
        // thread may not run again for long.
        dispatcher::dispatch();
        // SAFETY: By `new` it is owned by the running thread.
        unsafe { bindings::lazyirq_loan_repay(self.0.loan.get()) };
    }
}

global_lock! {
    // SAFETY: Initialised in `Lenders::new`, before the first lender is made.
    unsafe(uninit) static LENDERS: Mutex<KVec<Pin<KBox<Lender>>>> = KVec::new();
}

/// The lenders, for as long as the module is loaded.
pub(crate) struct Lenders(());

impl Lenders {
    /// The module's parameters are those of the same names. Thread, may sleep.
    pub(crate) fn new(boost_delay_us: u32, stall_ms: u32) -> Result<Self> {
        watch::set_delay(boost_delay_us, stall_ms);
        stall::set_limit(stall_ms);
        // SAFETY: Called once, from the module's init.
        unsafe { LENDERS.init() };
        // SAFETY: Thread context.
        kernel::error::to_result(unsafe { bindings::lazyirq_lending_start() })?;
        let this = Self(());
        for _ in 0..AT_FIRST {
            Self::make()?;
        }
        Ok(this)
    }

    /// Thread, may sleep.
    fn make() -> Result {
        let mut lenders = LENDERS.lock();
        let lender = Lender::new(lenders.len() as u32)?;
        lenders.push(lender, GFP_KERNEL)?;
        let Some(lender) = lenders.last() else {
            return Ok(());
        };
        // SAFETY: It is pinned in its box, and there until the module goes.
        dispatcher::lender_is_idle(unsafe { &*core::ptr::from_ref::<Lender>(lender) });
        Ok(())
    }

    /// Has another lender made. Any context.
    pub(super) fn one_more() {
        // SAFETY: Any context; the work exists while the module does.
        unsafe { bindings::lazyirq_grow() };
    }
}

/// The work of `one_more`. Thread.
#[no_mangle]
extern "C" fn lazyirq_make_lender() {
    if let Err(error) = Lenders::make() {
        pr_warn!("no further thread to lend priority: {error:?}\n");
    }
}

impl Drop for Lenders {
    fn drop(&mut self) {
        // No lock has waiters any more: everything that has locks is gone. But a lender may still be returning
        // from its last loan, for which it needs the dispatcher.
        *LENDERS.lock() = KVec::new();
        // SAFETY: Thread context.
        unsafe { bindings::lazyirq_lending_stop() };
        // One may have been made meanwhile.
        *LENDERS.lock() = KVec::new();
    }
}

// SPDX-License-Identifier: GPL-2.0

//! The releaser lends its context: a thread that releases a lock resumes the handlers that it goes to, on
//! the spot.
//!
//! A continuation is only a future. The thread that releases its lock can poll it as the lazy path
//! did, on top of its own work, and no other thread need be woken: the contended interrupt costs no
//! context switch either. That requires a thread with preemption and interrupts on, which holds no
//! spinlock that the handler may want. It is not preempted meanwhile, as the handler must not sleep;
//! interrupts stay on, and those of a higher IPL are handled lazily ahead of it.
//!
//! An [ithread](crate::ithread) gets the handler instead if
//!
//! - the lock is released by a handler that no releaser runs, or by a thread that may not lend its context, or
//!   `resume=ithread` is set;
//! - the handler has been resumed before (it blocked again), or has deferred;
//! - something of its IPL or a higher one is runnable on this CPU, or where it blocked: that comes first;
//! - it is not the first one, and another thread is to run on this CPU, or the releaser has done enough
//!   (`resume_budget`).
//!
//! This is never nested. If a resumed handler makes others runnable by releasing a lock, they are added
//! to the same [batch](Batch), and run when it is done.

use crate::{
    bindings,
    ithread::{self, Cpu},
    primitive::Cell,
    runqueue::Link,
    slot::{Counted, Head},
    sync::{Owner, Party},
};
use core::{mem::MaybeUninit, ptr};

/// The continuations that a releaser is to resume. Lives on its stack.
pub(crate) struct Batch {
    /// The releaser's CPU.
    cpu: &'static Cpu,
    /// First in, first out.
    first: Cell<*mut Head>,
    /// Not set while the batch is empty.
    last: Cell<MaybeUninit<*mut Head>>,
    /// A line whose last unfinished handler this releaser has finished, and that a thread waits for
    /// (`synchronize_irq()`, say).
    awaited: Cell<*mut bindings::irq_desc>,
}

/// Has `owner`, the caller, release a lock. Handlers that it goes to are added to the batch that
/// `release` is given, and resumed; without a batch the ithreads get them.
///
/// `pass_on` is tried first, unless the owner is a handler without a batch: it may hand the lock over to a
/// single handler.
#[inline(always)]
pub(crate) fn release(
    owner: Owner,
    pass_on: impl FnOnce() -> Option<*const Head>,
    release: impl FnOnce(Option<&Batch>),
) {
    if let Party::Handler(slot) = owner.party() {
        // SAFETY: A handler that owns a lock is alive, and it is what is running here.
        let batch = unsafe { (*(slot as *const Head)).batch() };
        return match batch.and_then(|_| pass_on()) {
            // SAFETY: There is a batch, so its releaser is not preempted, and no RCU grace period ends.
            Some(heir) => unsafe { (*heir).wake(batch) },
            None => release(batch),
        };
    }
    let own = Batch::begin();
    // SAFETY: The thread is not preempted: no RCU grace period ends.
    let heir = pass_on().map(|heir| unsafe { &*heir });
    let Some(own) = own else {
        match heir {
            Some(heir) => heir.wake(None),
            None => release(None),
        }
        // SAFETY: It was begun.
        return unsafe { bindings::lazyirq_releaser_end() };
    };
    match heir {
        Some(heir) => own.resume_at_once(heir),
        None => own.release_all(release),
    }
    // Once it may be preempted, this thread may not run again for long. On PREEMPT_RT, to wake somebody who
    // waits takes a lock that sleeps.
    if cfg!(not(CONFIG_PREEMPT_RT)) {
        own.tell();
    }
    // SAFETY: As above.
    unsafe { bindings::lazyirq_releaser_end() };
    if cfg!(CONFIG_PREEMPT_RT) {
        own.tell();
    }
}

impl Batch {
    /// The running thread's batch, if the thread may lend its context. In any case it is not preempted until
    /// `lazyirq_releaser_end()`.
    #[inline(always)]
    fn begin() -> Option<Self> {
        // SAFETY: Any context.
        let cpu = unsafe { Cpu::from_raw(bindings::lazyirq_releaser_begin()) }?;
        Some(Self {
            cpu,
            first: Cell::new(ptr::null_mut()),
            last: Cell::new(MaybeUninit::uninit()),
            awaited: Cell::new(ptr::null_mut()),
        })
    }

    pub(crate) fn cpu(&self) -> &'static Cpu {
        self.cpu
    }

    /// Adds a continuation.
    ///
    /// # Safety
    ///
    /// The caller has made it Queued.
    #[inline]
    pub(crate) unsafe fn add(&self, head: &Head) {
        let new = ptr::from_ref(head).cast_mut();
        head.next().set(ptr::null_mut());
        if self.first.get().is_null() {
            self.first.set(new);
        } else {
            // SAFETY: The batch is not empty. What is in it is Queued, and so alive.
            unsafe { (*self.last.get().assume_init()).next().set(new) };
        }
        self.last.set(MaybeUninit::new(new));
    }

    fn pop(&self) -> Option<&Head> {
        // SAFETY: What is in the batch is Queued, and so alive.
        let head = unsafe { self.first.get().as_ref() }?;
        self.first.set(head.next().get());
        Some(head)
    }

    /// Somebody waits for the handlers of `line`, which are done. That thread is told when the batch is done.
    pub(crate) fn tell_later(&self, line: *mut bindings::irq_desc) {
        self.awaited.set(line);
    }

    /// The lock goes to however many waiters.
    #[cold]
    #[inline(never)]
    fn release_all(&self, release: impl FnOnce(Option<&Batch>)) {
        release(Some(self));
        self.run(0);
    }

    /// Resumes the handler, which has waited alone, if it is known at a glance that it may be: this CPU is its home, and
    /// it is the only unfinished handler there. Returns whether it was. (It has not been resumed before: then it would
    /// not have waited alone.)
    #[inline(always)]
    fn resumes_at_once(&self, head: &Head) -> bool {
        let here = self.cpu;
        // Where it counts, it says before it waits.
        let Some(ipl) = head.continuation.parked_ipl() else {
            return false;
        };
        if !ptr::eq(head.home(), here) {
            return false;
        }
        // SAFETY: It is this CPU, and the thread is not preempted.
        if !unsafe { ithread::is_alone(here, ipl) } || !head.continuation.wake_running(ipl) {
            return false;
        }
        let home = here;
        head.resume_running(Counted { here, home, ipl }, self);
        ithread::has_run(here, ipl);
        true
    }

    /// The lock has gone to `head`.
    #[inline(always)]
    fn resume_at_once(&self, head: &Head) {
        if !self.resumes_at_once(head) {
            head.wake(Some(self));
            self.run(0);
        } else if !self.first.get().is_null() {
            self.run(1);
        }
    }

    /// Resumes what is in the batch, after that `number` of handlers.
    #[cold]
    #[inline(never)]
    fn run(&self, mut number: u32) {
        while let Some(head) = self.pop() {
            if self.is_behind(head) || (number > 0 && self.is_enough(number)) {
                ithread::enqueue(head, head.home());
                continue;
            }
            number += 1;
            // SAFETY: This is the releaser, and it was in the batch.
            unsafe { ithread::resume_in_releaser(head, self) };
        }
    }

    /// Has the releaser done enough, having resumed `number` handlers?
    #[cold]
    fn is_enough(&self, number: u32) -> bool {
        // SAFETY: Any context.
        let (budget, is_wanted) = unsafe {
            (
                bindings::lazyirq_resume_budget(),
                bindings::lazyirq_is_wanted(),
            )
        };
        number >= budget || is_wanted || !self.awaited.get().is_null()
    }

    /// Is something runnable that comes before `head` in IPL order?
    #[inline(always)]
    fn is_behind(&self, head: &Head) -> bool {
        let (home, ipl) = (head.home(), head.ipl());
        // SAFETY: It is this CPU, and the thread is not preempted.
        if ptr::eq(home, self.cpu) && unsafe { ithread::is_alone(self.cpu, ipl) } {
            return false;
        }
        self.is_behind_others(home, ipl)
    }

    #[cold]
    fn is_behind_others(&self, home: &Cpu, ipl: usize) -> bool {
        ithread::is_busy(self.cpu, ipl) || (!ptr::eq(home, self.cpu) && ithread::is_busy(home, ipl))
    }

    fn tell(&self) {
        let line = self.awaited.get();
        if !line.is_null() {
            // SAFETY: The batch was told that this is to be called.
            unsafe { bindings::lazyirq_line_wake(line) };
        }
    }
}

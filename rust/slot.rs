// SPDX-License-Identifier: GPL-2.0

//! A registered handler in memory, and what happens to it off the lazy path: how it is held,
//! blocks, is resumed and is done.

use crate::{
    bindings,
    continuation::{Arrival, Continuation, Done, Pending, Phase},
    ipl::Ipl,
    ithread,
    line::LineRef,
    observe::{self, observed, By},
    percpu,
    primitive::{fence, Acquire, AtomicU32, Relaxed, Release},
    registered,
    releaser::Batch,
    runqueue,
    stats::{Named, Stats},
    sync::{Held, OwnerKind},
};
use core::{
    cell::{Cell, UnsafeCell},
    mem::MaybeUninit,
};
use kernel::{
    device::{Bound, Device},
    irq::IrqReturn,
    prelude::*,
};

/// How many events an edge or MSI line may bring while its handler is unfinished before it is masked: enough
/// for a device's usual bursts, since masking and unmasking costs some 800 instructions; few, so that a
/// device gone wild does not keep the CPU in hard IRQs.
const EVENTS_BEFORE_MASKING: u32 = 4;

/// Runs the handler: `enter` in `irq.rs` with its type erased.
///
/// # Safety
///
/// The caller has made the continuation Running, and calls this with `RESUME` and the slot.
pub(crate) type Entry = unsafe extern "C" fn(c_int, *mut c_void) -> bindings::irqreturn_t;

/// In place of an IRQ number: a releaser or the ithread resumes the handler, or the ithread starts one that
/// was held.
pub(crate) const RESUME: c_int = -1;
/// What [`Entry`] returns for [`RESUME`] when the handler is not done. Never seen by the kernel.
pub(crate) const UNFINISHED: bindings::irqreturn_t = bindings::irqreturn::IRQ_WAKE_THREAD;

/// Not the number of a CPU.
const NOWHERE: u32 = u32::MAX;

/// The part of a slot that does not depend on the handler's type.
///
/// | field | written by |
/// |---|---|
/// | `continuation` | any context, see there |
/// | `stats` | the context that runs the handler, or its hard-IRQ entry; its IPL the administrator, its stalls their work |
/// | `started`, `off_lazy_path`, `deferred`, `waits`, `held`, `batch`, `fresh` | the context that runs the handler |
/// | `told` | the hard-IRQ entry |
/// | `level_triggered` | the registration, once the interrupt is requested |
/// | `ithreads` | the registration and the administrator, under a lock of its own |
/// | `next` | the context that puts it in a run queue or a batch, then the queue's ithread or the releaser |
/// | `home` | the hard-IRQ entry, while it makes the handler a continuation; an ithread that takes it over |
/// | `elsewhere` | the context that puts it in a run queue; an ithread that takes it over |
/// | `registered` | whatever changes the list, under its lock |
/// | the rest | the registration, before the interrupt is requested |
pub(crate) struct Head {
    pub(crate) continuation: Continuation,
    /// The future exists. False for an interrupt that is held.
    pub(crate) started: Cell<bool>,
    /// The handler runs off the lazy path: for `enter`, once the handler has run. Before that, the argument
    /// of `enter` tells, as an interrupt may come on another CPU. Never set in Idle.
    pub(crate) off_lazy_path: Cell<bool>,
    deferred: Cell<bool>,
    /// The handler has left the lazy path for a lock, and has not been resumed since.
    fresh: Cell<bool>,
    /// The batch of the releaser that runs the handler, if one does; else null.
    batch: Cell<*const Batch>,
    /// How many locks' queues the handler is in. More than one only if it polls their futures by itself.
    pub(crate) waits: Cell<u32>,
    /// The line must be masked at the first interrupt that does not start the handler: it is level-triggered,
    /// or its type is not known yet.
    pub(crate) level_triggered: AtomicU32,
    /// The CPU that the continuation belongs to: where the interrupt was taken.
    home: AtomicU32,
    /// The CPU in whose ithread's queue it was put as its home was offline, or `NOWHERE`.
    elsewhere: AtomicU32,
    /// How many late answers of "not mine" have been reported to the kernel.
    told: Cell<u64>,
    pub(crate) ithreads: ithread::Users,
    pub(crate) entry: Entry,
    pub(crate) line: LineRef,
    device: *const Device<Bound>,
    /// For lockdep.
    #[cfg_attr(not(CONFIG_DEBUG_LOCK_ALLOC), allow(dead_code))]
    pub(crate) held: Held,
    pub(crate) stats: Stats,
    /// Drops the future in place.
    drop_future: unsafe fn(*const Head),
    /// The next one in its run queue.
    next: Cell<*mut Head>,
    registered: registered::Link,
}

impl runqueue::Link for Head {
    fn next(&self) -> &Cell<*mut Head> {
        &self.next
    }
}

// SAFETY: The cells are touched by one context at a time, as the table says; the state machine
// hands the right to do so on, with release and acquire. `device` is a pointer to a `Sync` type.
unsafe impl Sync for Head {}
// SAFETY: Nothing in it belongs to a thread.
unsafe impl Send for Head {}

/// A registered handler: its head, the handler, and room for one run of it.
///
/// `repr(C)`: the head comes first, so that a pointer to one is a pointer to the other.
#[repr(C)]
#[pin_data]
pub(crate) struct Slot<H, F, M> {
    pub(crate) head: Head,
    /// Makes the future, whose type has no name; a function item, so it takes no room.
    pub(crate) make: M,
    pub(crate) future: UnsafeCell<MaybeUninit<F>>,
    #[pin]
    pub(crate) handler: H,
}

impl Head {
    pub(crate) fn new(
        entry: Entry,
        drop_future: unsafe fn(*const Head),
        device: &Device<Bound>,
        stats: Stats,
    ) -> Self {
        let device = core::ptr::from_ref(device);
        Self {
            continuation: Continuation::new(stats.ipl.get()),
            started: Cell::new(false),
            off_lazy_path: Cell::new(false),
            deferred: Cell::new(false),
            fresh: Cell::new(false),
            batch: Cell::new(core::ptr::null()),
            waits: Cell::new(0),
            level_triggered: AtomicU32::new(1),
            home: AtomicU32::new(0),
            elsewhere: AtomicU32::new(NOWHERE),
            told: Cell::new(0),
            ithreads: ithread::Users::new(),
            entry,
            line: LineRef::new(stats.irq),
            device,
            held: Held::default(),
            stats,
            drop_future,
            next: Cell::new(core::ptr::null_mut()),
            registered: registered::Link::new(),
        }
    }

    #[inline]
    pub(crate) fn device(&self) -> &Device<Bound> {
        // SAFETY: The registration is owned by this device's devres, so the device is there, and
        // bound, for as long as the slot is.
        unsafe { &*self.device }
    }

    pub(crate) fn irq(&self) -> u32 {
        self.stats.irq
    }

    pub(crate) fn named(&self) -> Named {
        self.stats.named()
    }

    /// The IPL by which it counts while it is unfinished.
    pub(crate) fn ipl(&self) -> usize {
        self.continuation.ipl()
    }

    /// Sets the IPL from the next interrupt on; not yet that of an unfinished handler. Thread, may sleep.
    pub(crate) fn set_ipl(&self, ipl: Ipl) -> Result {
        self.ithreads.change(ipl, || {
            self.stats.ipl.set(ipl.get());
            self.continuation.set_ipl(ipl.get())
        })
    }

    pub(crate) fn home(&self) -> u32 {
        self.home.load(Relaxed)
    }

    /// Another CPU takes the continuation over. Called by that CPU's ithread.
    pub(crate) fn set_home(&self, cpu: u32) {
        self.home.store(cpu, Relaxed);
        // Pairs with the `Acquire` in `ithread_cpu`: who sees that it is nowhere else sees its new home.
        self.elsewhere.store(NOWHERE, Release);
    }

    /// It is about to be put in the queue of this CPU's ithread, as its home may be offline.
    pub(crate) fn goes_to(&self, cpu: u32) {
        let elsewhere = if cpu == self.home() { NOWHERE } else { cpu };
        self.elsewhere.store(elsewhere, Relaxed);
    }

    /// The CPU whose ithread is to run it.
    pub(crate) fn ithread_cpu(&self) -> u32 {
        match self.elsewhere.load(Acquire) {
            NOWHERE => self.home(),
            cpu => cpu,
        }
    }

    /// The handler defers. In the running handler's context.
    pub(crate) fn defer(&self) {
        self.deferred.set(true);
        self.continuation.defer();
        if observed() {
            observe::defers(self);
        }
    }

    /// The handler waits for a lock. In the running handler's context.
    pub(crate) fn meets(&self, lock: &'static CStr, owner: OwnerKind) {
        self.stats.meets(lock, owner);
    }

    /// The handler is about to be put in a lock's queue. In the running handler's context. Returns the
    /// previous phase.
    pub(crate) fn arm(&self) -> Phase {
        self.deferred.set(false);
        self.continuation.arm()
    }

    /// The handler was not put in a queue after all. `before` is what `arm` returned.
    pub(crate) fn disarm(&self, before: Phase) {
        self.continuation.disarm(before);
    }

    /// The handler has given up its last wait. In the running handler's context.
    pub(crate) fn ends_last_wait(&self) {
        self.disarm(if self.off_lazy_path.get() {
            Phase::Running
        } else {
            Phase::Idle
        });
    }

    pub(crate) fn registered(&self) -> &registered::Link {
        &self.registered
    }

    /// What the handler waited for is available. It is added to the batch, if there is one and that is
    /// allowed. Any context; the caller keeps the wait from being cancelled meanwhile, and so the slot from
    /// going away.
    #[inline(always)]
    pub(crate) fn wake(&self, batch: Option<&Batch>) {
        if !self.continuation.wake() {
            return;
        }
        match batch {
            // SAFETY: It was made Queued above.
            Some(batch) if self.fresh.get() => unsafe { batch.add(self) },
            _ => ithread::enqueue(self, self.home()),
        }
    }

    /// The batch for the handlers that this one makes runnable while it runs.
    pub(crate) fn batch(&self) -> Option<&Batch> {
        // SAFETY: It belongs to the handler's releaser, which has not returned from running it.
        unsafe { self.batch.get().as_ref() }
    }

    /// Makes the handler a continuation on this CPU: from here on it counts in IPL order, and for anything
    /// that waits until the line's handlers are done. Hard IRQ.
    fn promote(&self) {
        // SAFETY: The line is requested. Hard IRQ.
        let cpu = unsafe { bindings::lazyirq_line_busy(self.line.as_ptr()) };
        self.home.store(cpu, Relaxed);
        // SAFETY: Hard IRQ: interrupts are off.
        unsafe { ithread::add_unfinished(cpu, self.ipl()) };
    }

    /// The handler comes to rest by the call of `rest`, if that says so, and then does not count any more.
    /// Called by its ithread or its releaser. The slot may be gone afterwards.
    #[inline(always)]
    fn finish<R>(&self, batch: Option<&Batch>, rest: impl FnOnce() -> (bool, R)) -> R {
        let (home, ipl, line) = (self.home(), self.ipl(), self.line.as_ptr());
        let cpu = batch.map_or(home, Batch::cpu);
        // This is one step with the end of its IPL's precedence: an interrupt that finds the slot free is not
        // held back by a handler that is over.
        // SAFETY: This is a thread.
        let off = unsafe { ithread::InterruptsOff::new() };
        let (rests, result) = rest();
        // SAFETY: Interrupts are off, so no RCU grace period ends before they are on again.
        let awaited = rests && unsafe { bindings::lazyirq_line_idle(line) };
        if rests {
            // SAFETY: The ithread is bound to the continuation's home, and a releaser is not preempted.
            unsafe { ithread::finished_for(cpu, home, ipl) };
        }
        drop(off);
        match batch {
            Some(batch) if awaited => batch.tell_later(line),
            // SAFETY: The call above said that this is to be called.
            None if awaited => unsafe { bindings::lazyirq_line_wake(line) },
            _ => (),
        }
        result
    }

    /// What the kernel is told of an interrupt whose handler has not answered yet: that it was handled,
    /// unless an earlier one turned out not to have been. So the kernel finds a screaming line even if its
    /// handlers answer too late. Hard IRQ.
    fn answer_early(&self) -> bindings::irqreturn_t {
        let told = self.told.get();
        if told == self.stats.counters.late_none.total() {
            return bindings::irqreturn::IRQ_HANDLED;
        }
        self.told.set(told.wrapping_add(1));
        bindings::irqreturn::IRQ_NONE
    }

    fn mask(&self) {
        // SAFETY: The line is requested: the slot is its handler's. Does not sleep.
        unsafe { bindings::disable_irq_nosync(self.irq()) };
    }

    fn unmask(&self) {
        self.line.unmask();
    }

    /// May an interrupt that was to be held start the handler lazily, once this CPU has looked at what was
    /// finished for it elsewhere? Hard IRQ.
    #[cold]
    #[inline(never)]
    pub(crate) fn may_start_after_all(&self) -> bool {
        if !self.continuation.may_start(0) {
            return false; // It is the handler itself that is unfinished.
        }
        ithread::forget_all_moved();
        self.continuation.may_start(percpu::level())
    }

    /// An interrupt that may not take the lazy path. Hard IRQ.
    #[cold]
    #[inline(never)]
    pub(crate) fn arrived_busy(&self) -> bindings::irqreturn_t {
        let counters = &self.stats.counters;
        let state = self.continuation.load();
        if state.is_refusing() {
            counters.refused.add(1);
            return bindings::irqreturn::IRQ_NONE;
        }
        // A level line stays asserted until it is answered, which will not happen at once.
        let mask = !state.is_masked()
            && (self.level_triggered.load(Relaxed) != 0 || state.events() >= EVENTS_BEFORE_MASKING);
        // Mask the line before the event is published: the ithread may be done, and unmask, right after.
        if mask {
            self.mask();
        }
        // From `arrive` on, another context may answer the event, and count that.
        let arrival = counters.arriving.change(|| {
            let arrival = self.continuation.arrive(mask);
            let counter = match arrival {
                Arrival::Held => &counters.held,
                Arrival::Remembered => &counters.remembered,
                Arrival::Late | Arrival::Refused => &counters.refused,
            };
            counter.add(1);
            arrival
        });
        match arrival {
            Arrival::Held => {
                if observed() {
                    observe::holds(self, false);
                }
                self.promote();
                ithread::enqueue(self, self.home());
            }
            Arrival::Remembered => {
                if observed() {
                    observe::holds(self, true);
                }
            }
            // The event would not be answered, so a level line must be masked all the same.
            Arrival::Late => return bindings::irqreturn::IRQ_NONE,
            // Stopped just now.
            Arrival::Refused => {
                if mask {
                    self.unmask();
                }
                return bindings::irqreturn::IRQ_NONE;
            }
        }
        self.answer_early()
    }

    /// The handler's first poll returned pending. Hard IRQ.
    #[cold]
    #[inline(never)]
    pub(crate) fn left_lazy_path(&self) -> bindings::irqreturn_t {
        let counters = &self.stats.counters;
        if !self.continuation.is_awaiting() {
            counters.blocked.add(1);
            self.shut_down("the lazy path", None);
            return bindings::irqreturn::IRQ_HANDLED;
        }
        let counter = if self.deferred.get() {
            &counters.deferred
        } else {
            &counters.blocked
        };
        counter.add(1);
        if observed() {
            observe::leaves_lazy_path(self, self.deferred.get());
        }
        self.started.set(true);
        self.fresh.set(!self.deferred.get());
        self.promote();
        // From `pending` on, another context may run the handler, and finish it.
        let answer = self.answer_early();
        if self.continuation.pending() == Pending::Queue {
            ithread::enqueue(self, self.home());
        }
        answer
    }

    /// Runs the continuation until it waits or is done. Called by its ithread, `thread`.
    ///
    /// `switches` is how many context switches it took to get here. The slot may be gone
    /// afterwards.
    pub(crate) fn resume_in_ithread(&self, thread: ithread::Thread, switches: u64) {
        self.continuation.run();
        self.stats.counters.switches.add(switches);
        self.fresh.set(false);
        if observed() {
            observe::resumes(self, By::Ithread);
        }
        let slept = thread.slept();
        // SAFETY: It is Running.
        let ret = unsafe { self.poll() };
        if thread.slept() != slept {
            self.report_sleep();
        }
        self.after_poll(ret, None);
    }

    /// Runs the continuation until it waits or is done. Called by a releaser, not preempted. Returns whether it has
    /// come to rest, and does not count any more; then the slot may be gone.
    #[inline(always)]
    pub(crate) fn resume(&self, batch: &Batch) -> bool {
        self.continuation.run();
        self.fresh.set(false);
        self.batch.set(batch);
        if observed() {
            observe::resumes(self, By::Releaser);
        }
        // SAFETY: It is Running.
        let ret = unsafe { self.poll() };
        self.batch.set(core::ptr::null());
        self.after_poll(ret, Some(batch))
    }

    /// # Safety
    ///
    /// The caller has made it Running.
    unsafe fn poll(&self) -> bindings::irqreturn_t {
        self.off_lazy_path.set(true);
        // A handler that sleeps is a bug that the kernel reports in hard-IRQ context only. This makes the
        // kernel report it here as well.
        // SAFETY: Paired with the call below, in the same thread.
        #[cfg(CONFIG_DEBUG_ATOMIC_SLEEP)]
        unsafe {
            bindings::lazyirq_non_block_start()
        };
        // SAFETY: By the requirement; and a pointer to the head is one to the slot.
        let ret = unsafe { (self.entry)(RESUME, core::ptr::from_ref(self).cast_mut().cast()) };
        // SAFETY: As above.
        #[cfg(CONFIG_DEBUG_ATOMIC_SLEEP)]
        unsafe {
            bindings::lazyirq_non_block_end()
        };
        self.off_lazy_path.set(false);
        ret
    }

    /// What follows a poll that has returned `ret`. Returns whether it has come to rest. The slot may be gone
    /// afterwards.
    #[inline(always)]
    fn after_poll(&self, ret: bindings::irqreturn_t, batch: Option<&Batch>) -> bool {
        let counters = &self.stats.counters;
        if ret == UNFINISHED {
            if !self.continuation.is_awaiting() {
                let place = match batch {
                    None => "its interrupt thread",
                    Some(_) => "the releaser of a lock",
                };
                self.shut_down(place, batch);
                return true;
            }
            self.started.set(true);
            if !self.deferred.get() {
                counters.reblocked.add(1);
            }
            // From here on, another context may run the handler, and finish it.
            let home = self.home();
            if self.continuation.pending() == Pending::Queue {
                ithread::enqueue(self, home);
            }
            return false;
        }
        counters.resumed.add(1);
        if batch.is_some() {
            counters.by_releaser.add(1);
        }
        if ret == bindings::irqreturn::IRQ_NONE {
            counters.late_none.add(1);
        }
        if observed() {
            let by = batch.map_or(By::Ithread, |_| By::Releaser);
            observe::is_done(self, by, ret);
        }
        self.started.set(false);
        self.done(batch)
    }

    /// The handler is done. Called by its ithread or its releaser. Returns whether it has come to rest.
    #[inline(always)]
    fn done(&self, batch: Option<&Batch>) -> bool {
        let rest = || {
            let next = self.continuation.done();
            (next == Done::Idle, next)
        };
        loop {
            match (self.finish(batch, rest), batch) {
                (Done::Unmask, _) => self.unmask(),
                (Done::Again, Some(batch)) => {
                    // SAFETY: It is Queued again.
                    unsafe { batch.add(self) };
                    return false;
                }
                (Done::Again, None) => {
                    ithread::enqueue(self, self.home());
                    return false;
                }
                (Done::Idle, _) => return true,
            }
        }
    }

    /// The handler waits for something that nothing here will ever end. It is reported and dropped (with all
    /// that it holds), and its line is shut down, as the kernel does with a screaming one.
    #[cold]
    fn shut_down(&self, place: &str, batch: Option<&Batch>) {
        let phase = self.continuation.load().phase();
        pr_err!(
            "{}: the handler waits in {} for what nothing would ever end; the interrupt is shut down\n",
            self.named(),
            place
        );
        self.stats.counters.illegal.add(1);
        observe::is_illegal(self);
        // SAFETY: The poll is over, it will not be polled again, and this context ran it.
        unsafe { (self.drop_future)(self) };
        self.started.set(false);
        let mask = || {
            // Its number may be another line's by now.
            if self.line.is_there() {
                self.mask();
            }
        };
        let die = || {
            let events = self.continuation.die(mask, || self.unmask());
            self.stats.counters.illegal.add(events.into());
        };
        if phase == Phase::Idle {
            die();
        } else {
            self.finish(batch, || (true, die()));
        }
    }

    /// The handler has slept in its ithread, and kept all handlers of that level waiting: a bug, even where
    /// the kernel does not see it. Reported once.
    #[cold]
    fn report_sleep(&self) {
        let slept = &self.stats.counters.slept;
        if slept.total() == 0 {
            pr_err!(
                "{}: the handler has slept in its interrupt thread: all that it calls has to be fit for hard-IRQ \
                 context\n",
                self.named()
            );
        }
        slept.add(1);
    }

    /// Waits until the handler is neither running nor unfinished. Thread, may sleep.
    pub(crate) fn synchronize(&self) {
        if self.line.is_there() {
            // SAFETY: The line is requested; may sleep here.
            unsafe { bindings::synchronize_irq(self.irq()) };
        } else {
            self.line.wait_until_idle();
        }
        // That call has seen by a plain load that nothing of the line is unfinished. What the last handler
        // did before is seen from here on.
        fence(Acquire);
    }

    /// Stops the handler for good: returns when it is not running, not unfinished, and can be
    /// neither started nor woken. Thread, may sleep.
    ///
    /// Returns whether the line is still masked for it: it is if the handler was unfinished, or is
    /// dead.
    pub(crate) fn close(&self) -> bool {
        self.continuation.stop();
        self.synchronize();
        self.continuation.load().is_masked()
    }
}

/// The answer in the kernel's terms.
#[inline(always)]
pub(crate) fn irqreturn(ret: IrqReturn) -> bindings::irqreturn_t {
    match ret {
        IrqReturn::None => bindings::irqreturn::IRQ_NONE,
        IrqReturn::Handled => bindings::irqreturn::IRQ_HANDLED,
    }
}

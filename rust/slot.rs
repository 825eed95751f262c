// SPDX-License-Identifier: GPL-2.0

//! A registered handler in memory, and what happens to it off the lazy path: how it is held,
//! blocks, is resumed and is done.

use crate::{
    bindings,
    continuation::{Arrival, Continuation, Done, Pending, Phase},
    ipl::Ipl,
    ithread::{self, Cpu},
    line::LineRef,
    observe::{self, observed, By},
    percpu,
    primitive::{fence, Acquire, AtomicPtr, AtomicU32, Relaxed, Release},
    registered,
    releaser::Batch,
    runqueue,
    stats::{Named, Stats},
    sync::{Held, OwnerKind, Waiter},
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

/// What has become of the handler's run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// It is in the lazy path, or over.
    LazyPath,
    /// It was held, or is to be run again: its future is yet to be made.
    Held,
    /// It is resumed where it waited, if it has waited.
    Resumed,
}

/// Not the number of a CPU.
const NOWHERE: u32 = u32::MAX;

/// The part of a slot that does not depend on the handler's type.
///
/// | field | written by |
/// |---|---|
/// | `continuation` | any context, see there |
/// | `stats` | the context that runs the handler, or its hard-IRQ entry; its IPL the administrator, its stalls their work |
/// | `place`, `deferred`, `waits`, `alone`, `held`, `batch`, `fresh` | the context that runs the handler |
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
    /// For `enter`, once the handler has run. Before that, the argument of `enter` tells, as an interrupt may come
    /// on another CPU.
    pub(crate) place: Cell<Place>,
    deferred: Cell<bool>,
    /// The handler has left the lazy path for a lock, and has not waited again since.
    fresh: Cell<bool>,
    /// The batch of the releaser that runs the handler, if one does; else null.
    batch: Cell<*const Batch>,
    /// How many locks' queues the handler is in. More than one only if it polls their futures by itself.
    pub(crate) waits: Cell<u32>,
    /// The line must be masked at the first interrupt that does not start the handler: it is level-triggered,
    /// or its type is not known yet.
    pub(crate) level_triggered: AtomicU32,
    /// The CPU that the continuation belongs to: where the interrupt was taken.
    home: AtomicPtr<Cpu>,
    /// The CPU in whose ithread's queue it was put as its home was offline, or `NOWHERE`.
    elsewhere: AtomicU32,
    /// How many late answers of "not mine" have been reported to the kernel.
    told: Cell<u64>,
    pub(crate) ithreads: ithread::Users,
    pub(crate) entry: Entry,
    pub(crate) line: LineRef,
    device: *const Device<Bound>,
    /// The handler's wait, if it waits alone.
    pub(crate) alone: Cell<*const Waiter>,
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
        ipl: Ipl,
        stats: Stats,
    ) -> Self {
        let device = core::ptr::from_ref(device);
        Self {
            continuation: Continuation::new(ipl),
            place: Cell::new(Place::LazyPath),
            deferred: Cell::new(false),
            fresh: Cell::new(false),
            batch: Cell::new(core::ptr::null()),
            waits: Cell::new(0),
            level_triggered: AtomicU32::new(1),
            home: AtomicPtr::new(core::ptr::from_ref(ithread::cpu(0)).cast_mut()),
            elsewhere: AtomicU32::new(NOWHERE),
            told: Cell::new(0),
            ithreads: ithread::Users::new(),
            entry,
            line: LineRef::new(stats.irq),
            device,
            alone: Cell::new(core::ptr::null()),
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
            self.continuation.set_ipl(ipl)
        })
    }

    #[inline(always)]
    pub(crate) fn home(&self) -> &'static Cpu {
        // SAFETY: It is one of the CPUs'.
        unsafe { &*self.home.load(Relaxed) }
    }

    /// Another CPU takes the continuation over. Called by that CPU's ithread.
    pub(crate) fn set_home(&self, cpu: &'static Cpu) {
        self.home
            .store(core::ptr::from_ref(cpu).cast_mut(), Relaxed);
        // Pairs with the `Acquire` in `ithread_cpu`: who sees that it is nowhere else sees its new home.
        self.elsewhere.store(NOWHERE, Release);
    }

    /// It is about to be put in the queue of this CPU's ithread, as its home may be offline.
    pub(crate) fn goes_to(&self, cpu: u32) {
        let elsewhere = if cpu == self.home().id() {
            NOWHERE
        } else {
            cpu
        };
        self.elsewhere.store(elsewhere, Relaxed);
    }

    /// The CPU whose ithread is to run it.
    pub(crate) fn ithread_cpu(&self) -> u32 {
        match self.elsewhere.load(Acquire) {
            NOWHERE => self.home().id(),
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

    /// The same, if this is its first poll and it does not wait yet. Returns its IPL.
    #[inline(always)]
    pub(crate) fn arm_first(&self) -> Option<usize> {
        self.deferred.set(false);
        self.continuation.arm_first()
    }

    /// The handler was not put in a queue after all. `before` is what `arm` returned.
    pub(crate) fn disarm(&self, before: Phase) {
        self.continuation.disarm(before);
    }

    /// The handler has given up its last wait. In the running handler's context.
    pub(crate) fn ends_last_wait(&self) {
        self.disarm(match self.place.get() {
            Place::LazyPath => Phase::Idle,
            _ => Phase::Running,
        });
    }

    pub(crate) fn registered(&self) -> &registered::Link {
        &self.registered
    }

    /// What the handler waited for is available. It is added to the batch, if there is one and that is
    /// allowed. Any context; the slot does not go away meanwhile, as the caller keeps the wait from being cancelled,
    /// or an RCU grace period from ending.
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
    #[inline(always)]
    fn promote(&self) {
        self.line.count();
        // SAFETY: The CPU has its element, as the module is loaded.
        let cpu = unsafe { Cpu::from_raw(percpu::this_cpu()).unwrap_unchecked() };
        self.home
            .store(core::ptr::from_ref(cpu).cast_mut(), Relaxed);
        // SAFETY: Hard IRQ: interrupts are off.
        unsafe { ithread::add_unfinished(cpu, self.ipl()) };
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
                self.place.set(Place::Held);
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
        if !self.continuation.is_unfinished() {
            counters.blocked.add(1);
            self.shut_down("the lazy path", None);
            return bindings::irqreturn::IRQ_HANDLED;
        }
        if self.deferred.get() {
            counters.deferred.add(1);
            self.fresh.set(false);
        } else {
            counters.blocked.add(1);
            self.fresh.set(true);
        }
        if observed() {
            observe::leaves_lazy_path(self, self.deferred.get());
        }
        self.place.set(Place::Resumed);
        self.promote();
        // From `pending` on, another context may run the handler, and finish it.
        let answer = self.answer_early();
        match self.continuation.pending() {
            Pending::Parked => answer,
            Pending::Queue => self.goes_on(answer),
        }
    }

    /// It was woken while its first poll was not yet over. Returns the answer: as a tail call, this costs a handler
    /// that is not woken nothing.
    #[cold]
    #[inline(never)]
    fn goes_on(&self, answer: bindings::irqreturn_t) -> bindings::irqreturn_t {
        ithread::enqueue(self, self.home());
        answer
    }

    /// Runs the continuation until it waits or is done. Called by its ithread, `thread`.
    ///
    /// `switches` is how many context switches it took to get here. The slot may be gone
    /// afterwards.
    #[inline(always)]
    pub(crate) fn resume_in_ithread(&self, thread: ithread::Thread, switches: u64) {
        self.continuation.run();
        self.stats.counters.switches.add(switches);
        if observed() {
            observe::resumes(self, By::Ithread);
        }
        let slept = thread.slept();
        // SAFETY: It is Running.
        let ret = unsafe { self.poll() };
        if thread.slept() != slept {
            self.report_sleep();
        }
        self.after_poll(ret, self.counted(None), None);
    }

    /// Runs the continuation until it waits or is done. Called by a releaser, not preempted. Returns whether it has
    /// come to rest, and does not count any more; then the slot may be gone.
    #[inline(always)]
    pub(crate) fn resume(&self, batch: &Batch) -> bool {
        self.continuation.run();
        self.resume_running(self.counted(Some(batch)), batch)
    }

    /// The same with a handler that the caller has made Running.
    #[inline(always)]
    pub(crate) fn resume_running(&self, counted: Counted, batch: &Batch) -> bool {
        self.batch.set(batch);
        if observed() {
            observe::resumes(self, By::Releaser);
        }
        // SAFETY: It is Running.
        let ret = unsafe { self.poll() };
        self.batch.set(core::ptr::null());
        self.after_poll(ret, counted, Some(batch))
    }

    /// For the context that resumes the handler.
    fn counted(&self, batch: Option<&Batch>) -> Counted {
        let home = self.home();
        Counted {
            here: batch.map_or(home, Batch::cpu),
            home,
            ipl: self.ipl(),
        }
    }

    /// # Safety
    ///
    /// The caller has made it Running.
    unsafe fn poll(&self) -> bindings::irqreturn_t {
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
        ret
    }

    /// What follows a poll that has returned `ret`. Returns whether it has come to rest. The slot may be gone
    /// afterwards.
    #[inline(always)]
    fn after_poll(
        &self,
        ret: bindings::irqreturn_t,
        counted: Counted,
        batch: Option<&Batch>,
    ) -> bool {
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
            self.fresh.set(false);
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
        self.place.set(Place::LazyPath);
        match self.done(counted, batch) {
            Done::Idle => true,
            next => self.is_to_do(next, batch),
        }
    }

    /// The handler is done. Called by its ithread or its releaser. If it has come to rest, the slot may be gone
    /// afterwards.
    #[inline(always)]
    fn done(&self, counted: Counted, batch: Option<&Batch>) -> Done {
        let line = self.line.as_ptr();
        // One step with the end of its IPL's precedence: an interrupt that finds the slot free is not held back by
        // a handler that is over.
        // SAFETY: This is a thread.
        let off = unsafe { ithread::InterruptsOff::new() };
        let next = self.continuation.done(counted.ipl);
        let awaited = match next {
            // SAFETY: It does not count any more.
            Done::Idle => unsafe { counted.ends(line) },
            _ => core::ptr::null_mut(),
        };
        drop(off);
        if !awaited.is_null() {
            tell(awaited, batch);
        }
        next
    }

    /// The handler is done, but has not come to rest yet. Returns whether it does so now.
    #[cold]
    #[inline(never)]
    fn is_to_do(&self, mut next: Done, batch: Option<&Batch>) -> bool {
        while next == Done::Unmask {
            self.unmask();
            next = self.done(self.counted(batch), batch);
        }
        if next == Done::Idle {
            return true;
        }
        self.place.set(Place::Held);
        match batch {
            // SAFETY: It is Queued again.
            Some(batch) => unsafe { batch.add(self) },
            None => ithread::enqueue(self, self.home()),
        }
        false
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
        self.place.set(Place::LazyPath);
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
            return;
        }
        let (counted, line) = (self.counted(batch), self.line.as_ptr());
        // SAFETY: This is a thread.
        let off = unsafe { ithread::InterruptsOff::new() };
        die();
        // SAFETY: It does not count any more.
        let awaited = unsafe { counted.ends(line) };
        drop(off);
        if !awaited.is_null() {
            tell(awaited, batch);
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

/// Where an unfinished handler counts, and at which IPL: neither changes while it is run, and it can be gone when it
/// stops counting.
#[derive(Clone, Copy)]
pub(crate) struct Counted {
    /// This CPU.
    pub(crate) here: &'static Cpu,
    pub(crate) home: &'static Cpu,
    pub(crate) ipl: usize,
}

impl Counted {
    /// The handler, of `line`, does not count any more. Called by its ithread or its releaser. Returns the line
    /// if somebody waits for it, whom to [`tell`] once interrupts are on.
    ///
    /// # Safety
    ///
    /// Interrupts are off. This is called once for each time that the handler became a continuation.
    #[inline(always)]
    unsafe fn ends(self, line: *mut bindings::irq_desc) -> *mut bindings::irq_desc {
        // SAFETY: Interrupts are off, so no RCU grace period ends before they are on again: the line is there.
        let awaited = unsafe { bindings::lazyirq_line_idle(line) };
        // SAFETY: The ithread is bound to the continuation's home, and a releaser is not preempted.
        unsafe { ithread::finished_for(self.here, self.home, self.ipl) };
        awaited
    }
}

#[cold]
fn tell(line: *mut bindings::irq_desc, batch: Option<&Batch>) {
    match batch {
        Some(batch) => batch.tell_later(line),
        // SAFETY: `lazyirq_line_idle()` has said that this is to be called.
        None => unsafe { bindings::lazyirq_line_wake(line) },
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

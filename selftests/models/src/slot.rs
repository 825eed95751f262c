// SPDX-License-Identifier: GPL-2.0

//! What is left of `rust/slot.rs`, `rust/irq.rs` and `rust/ithread.rs` without a kernel: a handler
//! that is started by its line's interrupts, waits and is resumed by an interrupt thread.

use crate::{
    continuation::{Arrival, Continuation, Done, Pending, Phase},
    handler::Interrupt,
    ipl::Ipl,
    ithread::{self, Cpu},
    primitive::Cell,
    releaser::Batch,
    runqueue::{self, RunQueue},
    sync::{OwnerKind, Sleep, Waiter},
};
use loom::{
    cell::UnsafeCell,
    sync::{atomic::AtomicBool, Mutex},
};
use std::{
    ffi::CStr,
    future::Future,
    marker::PhantomData,
    mem::transmute,
    ops::Deref,
    pin::Pin,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    task::{Context, Waker},
};

/// Fewer than in the driver core, so that a few interrupts reach it.
const EVENTS_BEFORE_MASKING: u32 = 1;

type Run<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

pub(crate) struct Counted {
    pub(crate) here: &'static Cpu,
    pub(crate) home: &'static Cpu,
    pub(crate) ipl: usize,
}

/// A registered handler.
pub(crate) struct Head {
    pub(crate) continuation: Continuation,
    pub(crate) waits: Cell<u32>,
    pub(crate) alone: Cell<*const Waiter>,
    off_lazy_path: Cell<bool>,
    fresh: Cell<bool>,
    batch: Cell<*const Batch>,
    next: Cell<*mut Head>,
    home: *const Ithread,
    line: Mutex<Line>,
    level_triggered: bool,
    make: Box<dyn Fn(Interrupt<'static>) -> Run<'static>>,
    /// Loom checks that nothing else touches it while it is polled.
    future: UnsafeCell<Option<Run<'static>>>,
    /// Counts of what has happened. Not loom's atomics: these order nothing.
    taken: AtomicU32,
    finished: AtomicU32,
}

/// What the kernel keeps of a line: for an interrupt that comes while it is masked, or being handled, and
/// for threads that wait until its handlers are done.
#[derive(Default)]
struct Line {
    masked: u32,
    pending: bool,
    in_progress: bool,
    /// By IPL.
    unfinished: [u32; 3],
    awaited: bool,
}

impl runqueue::Link for Head {
    fn next(&self) -> &Cell<*mut Head> {
        &self.next
    }
}

/// A handler that borrows its locks and its ithread.
pub(crate) struct Slot<'a> {
    head: Head,
    _borrows: PhantomData<&'a ()>,
}

impl<'a> Slot<'a> {
    pub(crate) fn new<F>(home: &'a Ithread, handler: impl Fn(Interrupt<'a>) -> F + 'a) -> Self
    where
        F: Future<Output = ()> + 'a,
    {
        let make: Box<dyn Fn(Interrupt<'a>) -> Run<'a> + 'a> =
            Box::new(move |irq| Box::pin(handler(irq)));
        let head = Head {
            continuation: Continuation::new(Ipl::from_const::<1>()),
            waits: Cell::new(0),
            alone: Cell::new(std::ptr::null()),
            off_lazy_path: Cell::new(false),
            fresh: Cell::new(false),
            batch: Cell::new(std::ptr::null()),
            next: Cell::new(std::ptr::null_mut()),
            home,
            line: Mutex::default(),
            level_triggered: false,
            // SAFETY: The slot, in which it stays, does not outlive 'a.
            make: unsafe { transmute(make) },
            future: UnsafeCell::new(None),
            taken: AtomicU32::new(0),
            finished: AtomicU32::new(0),
        };
        Self {
            head,
            _borrows: PhantomData,
        }
    }

    pub(crate) fn level_triggered(mut self) -> Self {
        self.head.level_triggered = true;
        self
    }
}

impl Deref for Slot<'_> {
    type Target = Head;

    fn deref(&self) -> &Head {
        &self.head
    }
}

impl Head {
    pub(crate) fn irq(&self) -> u32 {
        0
    }

    pub(crate) fn ipl(&self) -> usize {
        self.continuation.ipl()
    }

    pub(crate) fn meets(&self, _: &'static CStr, _: OwnerKind) {}

    pub(crate) fn arm(&self) -> Phase {
        self.continuation.arm()
    }

    pub(crate) fn arm_first(&self) -> Option<usize> {
        self.continuation.arm_first()
    }

    pub(crate) fn disarm(&self, before: Phase) {
        self.continuation.disarm(before);
    }

    pub(crate) fn ends_last_wait(&self) {
        self.disarm(if self.off_lazy_path.get() {
            Phase::Running
        } else {
            Phase::Idle
        });
    }

    pub(crate) fn wake(&self, batch: Option<&Batch>) {
        if !self.continuation.wake() {
            return;
        }
        match batch {
            // SAFETY: It was made Queued above.
            Some(batch) if self.fresh.get() => unsafe { batch.add(self) },
            _ => self.enqueue(),
        }
    }

    pub(crate) fn batch(&self) -> Option<&Batch> {
        // SAFETY: It is its releaser's, which has not returned from running it.
        unsafe { self.batch.get().as_ref() }
    }

    pub(crate) fn named(&self) {}

    /// The one CPU.
    pub(crate) fn home(&self) -> &'static Cpu {
        ithread::cpu(0)
    }

    pub(crate) fn ithread_cpu(&self) -> u32 {
        0
    }

    fn ithread<'a>(&self) -> &'a Ithread {
        // SAFETY: The slot borrows it.
        unsafe { &*self.home }
    }

    pub(crate) fn enqueue(&self) {
        self.ithread().enqueue(self);
    }

    /// The device asserts its line. This is the hard IRQ as the kernel enters it: never twice at a
    /// time, and not while the line is masked.
    pub(crate) fn interrupt(&self) {
        let mut line = self.line.lock().unwrap();
        line.pending = true;
        if line.in_progress {
            return;
        }
        while line.pending && line.masked == 0 {
            (line.pending, line.in_progress) = (false, true);
            drop(line);
            self.enter();
            line = self.line.lock().unwrap();
            line.in_progress = false;
        }
    }

    fn mask(&self) {
        self.line.lock().unwrap().masked += 1;
    }

    /// Unmasks the line. An interrupt that came meanwhile comes now.
    fn unmask(&self) {
        let mut line = self.line.lock().unwrap();
        line.masked -= 1;
        if line.pending && line.masked == 0 && !line.in_progress {
            drop(line);
            self.interrupt();
        }
    }

    /// Polls the handler. Returns whether it is done.
    fn poll(&self) -> bool {
        self.future.with_mut(|future| {
            // SAFETY: Loom has checked that nothing else uses it.
            let future = unsafe { &mut *future };
            let run = future.get_or_insert_with(|| {
                // SAFETY: It is for the handler's run that begins here, and stays in the slot.
                let head: &'static Head = unsafe { &*std::ptr::from_ref(self) };
                (self.make)(Interrupt(head))
            });
            let ready = run
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
                .is_ready();
            if ready {
                *future = None;
                self.finished.fetch_add(1, Relaxed);
            }
            ready
        })
    }

    fn poll_again(&self) -> bool {
        self.off_lazy_path.set(true);
        let is_done = self.poll();
        self.off_lazy_path.set(false);
        is_done
    }

    /// The hard-IRQ entry. Returns whether the handler is unfinished.
    pub(crate) fn enter(&self) -> bool {
        if !self.continuation.may_start(0) {
            self.arrived_busy();
            return true;
        }
        self.taken.fetch_add(1, Relaxed);
        if !self.poll() {
            return self.left_lazy_path();
        }
        if !self.continuation.may_start(0) {
            self.continuation.done_lazily();
        }
        false
    }

    /// An interrupt that may not take the lazy path, because the handler is busy, or by IPL order.
    pub(crate) fn arrived_busy(&self) {
        let state = self.continuation.load();
        if state.is_refusing() {
            return;
        }
        let mask =
            !state.is_masked() && (self.level_triggered || state.events() >= EVENTS_BEFORE_MASKING);
        if mask {
            self.mask();
        }
        match self.continuation.arrive(mask) {
            Arrival::Held => {
                self.taken.fetch_add(1, Relaxed);
                self.promote();
                self.enqueue();
            }
            Arrival::Remembered => {
                self.taken.fetch_add(1, Relaxed);
            }
            Arrival::Late => (),
            Arrival::Refused => {
                if mask {
                    self.unmask();
                }
            }
        }
    }

    fn left_lazy_path(&self) -> bool {
        if !self.continuation.is_awaiting() {
            self.shut_down();
            return false;
        }
        self.fresh.set(true);
        self.promote();
        if self.continuation.pending() == Pending::Queue {
            self.enqueue();
        }
        true
    }

    /// Called by its ithread. Returns whether it is at rest; then it may be gone.
    fn resume_in_ithread(&self) -> bool {
        self.continuation.run();
        self.fresh.set(false);
        let is_done = self.poll_again();
        self.after_poll(is_done, None)
    }

    /// Called by its releaser. It may be gone afterwards.
    pub(crate) fn resume(&self, batch: &Batch) {
        self.continuation.run();
        self.resume_running(self.counted(), batch);
    }

    fn counted(&self) -> Counted {
        Counted {
            here: self.home(),
            home: self.home(),
            ipl: self.ipl(),
        }
    }

    pub(crate) fn resume_running(&self, _: Counted, batch: &Batch) {
        self.fresh.set(false);
        self.batch.set(batch);
        let is_done = self.poll_again();
        self.batch.set(std::ptr::null());
        self.after_poll(is_done, Some(batch));
    }

    fn after_poll(&self, is_done: bool, batch: Option<&Batch>) -> bool {
        if is_done {
            return self.done(batch);
        }
        if !self.continuation.is_awaiting() {
            self.shut_down();
            return true;
        }
        let ithread = self.ithread();
        if self.continuation.pending() == Pending::Queue {
            ithread.enqueue(self);
        }
        false
    }

    fn done(&self, batch: Option<&Batch>) -> bool {
        loop {
            let ipl = self.ipl();
            match (self.continuation.done(ipl), batch) {
                (Done::Unmask, _) => self.unmask(),
                (Done::Again, None) => {
                    self.enqueue();
                    return false;
                }
                (Done::Again, Some(batch)) => {
                    // SAFETY: It is Queued again.
                    unsafe { batch.add(self) };
                    return false;
                }
                (Done::Idle, _) => {
                    self.finish(ipl, batch);
                    return true;
                }
            }
        }
    }

    fn shut_down(&self) {
        self.future.with_mut(|future| {
            // SAFETY: Loom has checked that nothing else uses it.
            unsafe { *future = None };
        });
        let (phase, ipl) = (self.continuation.load().phase(), self.ipl());
        self.continuation.die(|| self.mask(), || self.unmask());
        if phase != Phase::Idle {
            self.finish(ipl, None);
        }
    }

    fn promote(&self) {
        self.line.lock().unwrap().unfinished[self.ipl()] += 1;
    }

    /// The handler has come to rest, and had that `ipl`. It may be gone afterwards: only those parts
    /// of the slot are used that last for a grace period.
    fn finish(&self, ipl: usize, batch: Option<&Batch>) {
        let ithread = self.ithread();
        let mut line = self.line.lock().unwrap();
        line.unfinished[ipl] -= 1;
        let awaited = line.awaited;
        drop(line);
        match batch {
            _ if !awaited => (),
            None => ithread.wake(),
            Some(batch) => batch.tell_later(std::ptr::from_ref(ithread).cast_mut()),
        }
    }

    /// Returns when the handler is neither running nor unfinished. No interrupt may be in progress.
    pub(crate) fn synchronize(&self) {
        loop {
            {
                let mut line = self.line.lock().unwrap();
                if line.unfinished == [0; 3] {
                    return;
                }
                line.awaited = true;
            }
            self.ithread().quiet.wait();
        }
    }

    /// Asserts that it is dead, with its line masked once, which `close()` gives back.
    pub(crate) fn assert_dead(&self) {
        let state = self.continuation.load();
        assert_eq!(state.phase(), Phase::Dead);
        assert!(state.is_masked());
        assert_eq!(self.masked(), 1, "the line is masked once too often");
    }

    /// Asserts that it is at rest, has been run once for each interrupt taken, and can take the next.
    pub(crate) fn assert_rested(&self) {
        assert!(self.continuation.may_start(0), "it is unfinished");
        self.assert_answered();
        assert_eq!(self.masked(), 0, "the line is masked");
        assert!(
            !self.line.lock().unwrap().pending,
            "an interrupt was forgotten"
        );
    }

    /// Asserts that another interrupt does not start it.
    pub(crate) fn assert_refuses(&self) {
        let taken = self.taken.load(Relaxed);
        self.interrupt();
        assert_eq!(self.taken.load(Relaxed), taken, "it was started");
    }

    /// Asserts that it has been run once for each interrupt taken.
    pub(crate) fn assert_answered(&self) {
        assert_eq!(
            self.finished.load(Relaxed),
            self.taken.load(Relaxed),
            "an event was lost"
        );
    }

    pub(crate) fn masked(&self) -> u32 {
        self.line.lock().unwrap().masked
    }
}

/// One interrupt thread: its queue, and how it is woken and told to end.
pub(crate) struct Ithread {
    queue: RunQueue<Head>,
    awake: Sleep,
    ended: AtomicBool,
    /// For a thread that waits until a handler is quiet. It is the kernel's, and outlives the handler.
    quiet: Sleep,
}

impl Ithread {
    pub(crate) fn new() -> Self {
        Self {
            queue: RunQueue::new(),
            awake: Sleep::new(),
            ended: AtomicBool::new(false),
            quiet: Sleep::new(),
        }
    }

    /// Wakes the thread that waits until a handler is quiet.
    pub(crate) fn wake(&self) {
        self.quiet.complete();
    }

    fn enqueue(&self, head: &Head) {
        // SAFETY: It is Queued.
        assert!(unsafe { self.queue.push(head) }, "it is open");
        self.awake.complete();
    }

    /// Runs what is queued, until that many `handlers` have come to rest, or it is told to `end`.
    pub(crate) fn run(&self, handlers: u32) {
        let mut rested = 0;
        while rested < handlers {
            while self.queue.is_empty() {
                if self.ended.load(Relaxed) {
                    return;
                }
                self.awake.wait();
            }
            // SAFETY: Models have one thread do that.
            let head = unsafe { self.queue.pop() }.expect("it is not empty");
            // SAFETY: What is in a queue is Queued, and so alive.
            rested += u32::from(unsafe { (*head).resume_in_ithread() });
        }
    }

    pub(crate) fn end(&self) {
        self.ended.store(true, Relaxed);
        self.awake.complete();
    }
}

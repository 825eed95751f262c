// SPDX-License-Identifier: GPL-2.0

//! The interrupt threads: one per CPU and IPL in use, each the executor of its level's
//! continuations on its CPU.
//!
//! Each takes from a queue of its own, first in, first out; the scheduler keeps the order between
//! levels, by `SCHED_FIFO` priority.
//!
//! Besides the queues, each CPU counts its [unfinished] continuations per IPL.

use crate::{
    bindings,
    counters::Counter,
    ipl::Ipl,
    primitive::{fence, AtomicBool, AtomicPtr, AtomicU32, AtomicUsize, Relaxed, Release, SeqCst},
    runqueue::RunQueue,
    slot::Head,
    sync::dispatch,
};
use core::{
    cell::{Cell, UnsafeCell},
    ptr,
};
use kernel::{prelude::*, task::Task};

mod boost;
mod threads;
mod unfinished;

use boost::Boosted;
pub(crate) use boost::{end_pass, has_run, Boost};
pub(crate) use threads::{each, reset, Ithread, Users};
pub(crate) use unfinished::{
    add_unfinished, finished_for, forget_all_moved, is_alone, resume_in_releaser, InterruptsOff,
};
use unfinished::{forget_moved, Unfinished};

const _: () = assert!(Ipl::COUNT == bindings::LAZYIRQ_IPLS as usize);

/// What one ithread works on.
struct Work {
    /// The ithread: null until it has run for the first time, or if there is none.
    thread: AtomicPtr<bindings::task_struct>,
    runnable: RunQueue<Head>,
    /// How many continuations of this CPU other CPUs have taken over, or finished, since it last looked.
    moved: AtomicU32,
    /// How often the thread had been switched out when it last took a continuation. Touched by the thread
    /// alone.
    switches: Cell<usize>,
    /// How often it has run a continuation.
    resumed: Counter,
    /// How often it had been preempted at the last reset.
    preempted: AtomicUsize,
    boosted: Boosted,
}

impl Work {
    /// Is there something to do for the ithread, which asks? Anything queued after this look wakes it:
    /// `wake_up_process` and its going to sleep are fully ordered.
    fn is_to_do(&self) -> bool {
        !self.runnable.is_empty() || self.moved.load(Relaxed) != 0
    }
}

/// # Invariants
///
/// A cell of `work` is touched by the ithread of its IPL alone, but for those in `boosted`, which are the
/// dispatcher's; `unfinished` is touched by this CPU alone, with interrupts off.
#[repr(align(64))]
pub(crate) struct Cpu {
    id: u32,
    work: [Work; Ipl::COUNT],
    /// Any of these ithreads may be boosted.
    has_boosts: AtomicBool,
    unfinished: UnsafeCell<Unfinished>,
}

// SAFETY: By the type invariants.
unsafe impl Sync for Cpu {}

/// All CPUs, indexed by number. Set while the module is loaded.
static CPUS: AtomicPtr<Cpu> = AtomicPtr::new(ptr::null_mut());

impl Cpu {
    /// What the shim has returned for this CPU, or for none.
    ///
    /// # Safety
    ///
    /// As for `cpu`.
    #[inline(always)]
    pub(crate) unsafe fn from_raw(element: *mut bindings::lazyirq_cpu) -> Option<&'static Cpu> {
        // SAFETY: By the requirement; it was given such pointers.
        unsafe { element.cast::<Cpu>().as_ref() }
    }

    #[inline(always)]
    pub(crate) fn id(&self) -> u32 {
        self.id
    }
}

pub(crate) fn cpu(id: u32) -> &'static Cpu {
    // SAFETY: `CPUS` points to an element for each possible CPU from the module's start to its end, and all
    // calls lie in between: they come from handlers, whose registrations keep the module, and from the
    // module's own files and timer. `id` is the number of a CPU.
    unsafe { &*CPUS.load(Relaxed).add(id as usize) }
}

/// Is something of `ipl` or above runnable on the CPU? The answer may be out of date at once.
pub(crate) fn is_busy(cpu: &Cpu, ipl: usize) -> bool {
    let mut levels = cpu.work.iter().skip(ipl);
    levels.any(|work| work.runnable.is_busy())
}

/// Queues a continuation on its home CPU and wakes the ithread there; or on another CPU, if its home is
/// offline.
///
/// Called with interrupts or preemption off, or in that ithread itself: as soon as the continuation is queued
/// it may be done, its registration dropped, and the thread told to end. But a thread's memory is freed only
/// after an RCU grace period, and a thread that has ended is not woken.
#[inline]
pub(crate) fn enqueue(head: &Head, home: &'static Cpu) {
    if !push(head, home, false) {
        enqueue_elsewhere(head, home.id);
    }
}

/// Queues a continuation on `cpu`, if that is online and its ithread is known.
///
/// The ithreads of an IPL exist while a handler of it is registered, and this one is unfinished. On a CPU that
/// has just come online the ithread may not be known yet: with `is_last_resort` the continuation is queued there
/// all the same, and found by the ithread when it first looks.
#[inline]
fn push(head: &Head, cpu: &'static Cpu, is_last_resort: bool) -> bool {
    let work = &cpu.work[head.ipl()];
    let thread = work.thread.load(Relaxed);
    if thread.is_null() && !is_last_resort {
        return false;
    }
    // SAFETY: It is Queued: it is in no queue until this context puts it in one, and stays alive.
    if !unsafe { work.runnable.push(head) } {
        return false;
    }
    let thread = if thread.is_null() {
        // Either this finds it, or it finds what was pushed: it becomes known before it looks.
        fence(SeqCst);
        work.thread.load(Relaxed)
    } else {
        thread
    };
    if !thread.is_null() {
        // SAFETY: Its memory is there: see `enqueue`.
        unsafe { bindings::wake_up_process(thread) };
    }
    true
}

#[cold]
fn enqueue_elsewhere(head: &Head, home: u32) {
    let (mut id, mut tries) = (home, 0);
    loop {
        // At least one CPU is online, and stays so until it has closed its queue.
        // SAFETY: Any context.
        id = unsafe { bindings::lazyirq_next_online_cpu(id) };
        head.goes_to(id);
        if push(head, cpu(id), tries > kernel::cpu::nr_cpu_ids()) {
            break;
        }
        tries += 1;
    }
    // It is that CPU's ithread that has to be boosted, if any.
    dispatch();
}

/// This CPU takes over a continuation of another CPU that was offline when the continuation became runnable.
///
/// # Safety
///
/// The caller is the ithread of `ipl` on `cpu`, and has taken `head` from its queue.
#[cold]
unsafe fn take_over(head: &Head, cpu: &'static Cpu, ipl: usize) {
    let old = head.home();
    head.set_home(cpu);
    // SAFETY: An ithread, on its CPU.
    unsafe {
        let _off = InterruptsOff::new();
        add_unfinished(cpu, ipl);
    }
    // Only the other CPU may change its count.
    old.work[ipl].moved.fetch_add(1, Release);
    fence(SeqCst);
    // An ithread that is not known yet, since its CPU has only just come, looks by itself.
    let thread = old.work[ipl].thread.load(Relaxed);
    if !thread.is_null() {
        // SAFETY: The ithreads of this IPL exist; one that sleeps because its CPU is offline keeps sleeping.
        unsafe { bindings::wake_up_process(thread) };
    }
}

/// # Safety
///
/// To be called by smpboot, in the ithread of `IPL` on the CPU `id`. The same holds for the next four.
unsafe extern "C" fn should_run<const IPL: usize>(id: u32) -> i32 {
    cpu(id).work[IPL].is_to_do().into()
}

/// The running ithread, or one that does not end meanwhile.
///
/// # Invariants
///
/// The pointer is to such a thread.
#[derive(Clone, Copy)]
pub(crate) struct Thread(*const bindings::task_struct);

impl Thread {
    /// How often it has been switched out so far because it slept.
    pub(crate) fn slept(self) -> usize {
        // SAFETY: By the type invariant. Only the thread itself writes it, when it goes to sleep.
        unsafe { (*self.0).nvcsw }
    }

    fn pid(self) -> i32 {
        // SAFETY: By the type invariant.
        unsafe { (*self.0).pid }
    }

    /// How often it has been switched out so far while it could have run on.
    fn preempted(self) -> usize {
        // SAFETY: By the type invariant. The scheduler writes it, in one piece.
        unsafe { (*self.0).nivcsw }
    }

    /// How often it has been switched out so far.
    fn switched_out(self) -> usize {
        self.slept().wrapping_add(self.preempted())
    }
}

/// # Safety
///
/// See `should_run`.
unsafe extern "C" fn run<const IPL: usize>(id: u32) {
    let cpu = cpu(id);
    // SAFETY: By the function's own requirement.
    unsafe { run_all(cpu, IPL, &cpu.work[IPL]) };
}

/// Runs the continuations of `work`, and sleeps when there are none: smpboot's own loop would take a hundred
/// instructions from one to the next. Returns to that when it is woken for something else.
///
/// # Safety
///
/// To be called in the ithread of `ipl` on `cpu`, whose work is `work`.
#[inline(never)]
unsafe fn run_all(cpu: &'static Cpu, ipl: usize, work: &'static Work) {
    // INVARIANT: It was set by `setup`, in this thread.
    let thread = Thread(work.thread.load(Relaxed));
    // SAFETY: This is the queue's ithread.
    while let Some(head) = unsafe { work.runnable.take() } {
        work.resumed.add(1);
        let now = thread.switched_out();
        // Each of these was one switch away from the thread, and one to it.
        let switches = now.wrapping_sub(work.switches.replace(now)).wrapping_mul(2) as u64;

        // SAFETY: What is in a queue is Queued, and so alive; it is out of the queue now, so no other context
        // runs it.
        unsafe {
            if !ptr::eq((*head).home(), cpu) {
                take_over(&*head, cpu, ipl);
            }
            (*head).resume_in_ithread(thread, switches);
        }
        boost::has_run(cpu, ipl);
        work.runnable.done();
        // SAFETY: An ithread.
        unsafe {
            if !bindings::lazyirq_ithread_may_sleep() {
                return;
            }
            if work.is_to_do() {
                bindings::lazyirq_ithread_stays_awake();
            } else {
                bindings::schedule();
            }
        }
    }
    // SAFETY: An ithread, on its CPU.
    unsafe {
        let _off = InterruptsOff::new();
        forget_moved(cpu.id, ipl);
    }
    work.switches.set(thread.switched_out());
}

/// The CPU goes offline.
///
/// # Safety
///
/// See `should_run`.
unsafe extern "C" fn park<const IPL: usize>(id: u32) {
    let queue = &cpu(id).work[IPL].runnable;
    // SAFETY: This is the queue's ithread; the queue was opened when the CPU came, or has not been closed
    // yet.
    unsafe { queue.close() };
    // SAFETY: As above.
    while let Some(head) = unsafe { queue.pop() } {
        // SAFETY: What is in a queue is Queued, and so alive.
        enqueue(unsafe { &*head }, cpu(id));
    }
}

/// The CPU is back.
///
/// # Safety
///
/// See `should_run`.
unsafe extern "C" fn unpark<const IPL: usize>(id: u32) {
    let work = &cpu(id).work[IPL];
    // INVARIANT: It is this one.
    work.switches
        .set(Thread(Task::current_raw()).switched_out());
    // SAFETY: This is the queue's ithread.
    unsafe { work.runnable.open() };
}

/// # Safety
///
/// See `should_run`.
unsafe extern "C" fn setup<const IPL: usize>(id: u32) {
    let work = &cpu(id).work[IPL];
    let thread = Task::current_raw();
    // INVARIANT: It is this one.
    work.switches.set(Thread(thread).switched_out());
    // SAFETY: Sets the running thread's priority.
    let ret = unsafe { bindings::lazyirq_set_fifo(thread, Ipl::FIFO_BASE + IPL as u32) };
    if ret != 0 {
        pr_warn!("no SCHED_FIFO for the interrupt thread of IPL {IPL} on CPU {id}: {ret}\n");
    }
    work.thread.store(thread, Relaxed);
}

/// The memory that the threads need, for as long as the module is loaded.
pub(crate) struct Ithreads {
    _cpus: KVVec<Cpu>,
}

impl Ithreads {
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: Called once, from the module's init.
        unsafe { threads::USERS.init() };
        let count = kernel::cpu::nr_cpu_ids() as usize;
        let mut cpus = KVVec::with_capacity(count, GFP_KERNEL)?;
        for id in 0..count as u32 {
            let cpu = Cpu {
                id,
                work: core::array::from_fn(|_| Work {
                    thread: AtomicPtr::new(ptr::null_mut()),
                    runnable: RunQueue::new(),
                    moved: AtomicU32::new(0),
                    switches: Cell::new(0),
                    resumed: Counter::default(),
                    preempted: AtomicUsize::new(0),
                    boosted: Boosted::new(),
                }),
                has_boosts: AtomicBool::new(false),
                unfinished: UnsafeCell::new(Unfinished::NONE),
            };
            cpus.push(cpu, GFP_KERNEL)?;
        }
        for cpu in &mut cpus {
            // SAFETY: There is such a CPU, or at least such a number.
            unsafe { bindings::lazyirq_set_cpu(cpu.id, (&raw mut *cpu).cast()) };
        }
        CPUS.store(cpus.as_mut_ptr(), Relaxed);
        Ok(Self { _cpus: cpus })
    }
}

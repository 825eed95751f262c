// SPDX-License-Identifier: GPL-2.0

//! The interrupt threads: one per CPU and IPL in use, each the executor of its level's
//! continuations on its CPU.
//!
//! The threads are the kernel's per-CPU hotplug threads (smpboot): made when the first handler of
//! an IPL is registered, gone with the last. Each takes from a queue of its own, first in, first
//! out; the scheduler keeps the order between levels, by `SCHED_FIFO` priority.
//!
//! Beside the queues each CPU counts its unfinished continuations per IPL. The highest of these
//! levels is what the lazy path compares with (`lazyirq_level`, a per-CPU variable). Only the CPU
//! itself touches these counts, with interrupts off: they need no lock.

use crate::{
    bindings,
    ipl::Ipl,
    percpu,
    primitive::{AtomicPtr, Relaxed},
    runqueue::RunQueue,
    slot::Head,
};
use core::{
    cell::{Cell, UnsafeCell},
    ptr,
};
use kernel::{prelude::*, sync::global_lock};

const _: () = assert!(Ipl::COUNT == bindings::LAZYIRQ_IPLS as usize);

/// What one ithread works on.
struct Work {
    runnable: RunQueue,
    /// How often the thread had been switched out when it last took a continuation. Its own.
    switches: Cell<usize>,
}

/// How many continuations of each IPL are unfinished: blocked, queued or running.
struct Unfinished {
    counts: [u32; Ipl::COUNT],
    /// A bit for each IPL whose count is not 0.
    levels: u32,
}

impl Unfinished {
    const NONE: Unfinished = Unfinished {
        counts: [0; Ipl::COUNT],
        levels: 0,
    };

    fn add(&mut self, ipl: usize) -> i32 {
        self.counts[ipl] += 1;
        self.levels |= 1 << ipl;
        self.level()
    }

    fn remove(&mut self, ipl: usize) -> i32 {
        self.counts[ipl] -= 1;
        if self.counts[ipl] == 0 {
            self.levels &= !(1 << ipl);
        }
        self.level()
    }

    /// The highest IPL with an unfinished continuation, 0 for none.
    fn level(&self) -> i32 {
        self.levels.checked_ilog2().unwrap_or(0) as i32
    }
}

/// # Invariants
///
/// A cell of `work` is touched by the ithread of its IPL alone, and `unfinished` by this CPU
/// alone, with interrupts off.
#[repr(align(64))]
struct Cpu {
    work: [Work; Ipl::COUNT],
    unfinished: UnsafeCell<Unfinished>,
}

// SAFETY: By the type invariants.
unsafe impl Sync for Cpu {}

/// All CPUs, indexed by number. Set while the module is loaded.
static CPUS: AtomicPtr<Cpu> = AtomicPtr::new(ptr::null_mut());

fn cpu(id: u32) -> &'static Cpu {
    // SAFETY: `CPUS` points to an element for each possible CPU from the module's start to its
    // end, and lies within them: only handlers' registrations come here, and each keeps the
    // module. `id` is the number of a CPU.
    unsafe { &*CPUS.load(Relaxed).add(id as usize) }
}

/// One more continuation is unfinished on `id`.
///
/// # Safety
///
/// `id` is this CPU, and interrupts are off.
pub(crate) unsafe fn unfinished(id: u32, ipl: usize) {
    // SAFETY: By the requirement nobody else is at it.
    let level = unsafe { (*cpu(id).unfinished.get()).add(ipl) };
    percpu::set_level(level);
}

/// If `done` says so, one continuation less is unfinished on `id`, in one step with what `done`
/// does: no interrupt comes between on this CPU.
///
/// # Safety
///
/// The caller is a thread of the CPU `id`, bound to it.
pub(crate) unsafe fn finished_if<R>(id: u32, ipl: usize, done: impl FnOnce() -> (bool, R)) -> R {
    // SAFETY: Restored below.
    let flags = unsafe { bindings::lazyirq_irq_save() };
    let (finished, result) = done();
    if finished {
        // SAFETY: By the requirement this is its CPU; interrupts are off.
        let level = unsafe { (*cpu(id).unfinished.get()).remove(ipl) };
        percpu::set_level(level);
    }
    // SAFETY: They are what was saved above.
    unsafe { bindings::lazyirq_irq_restore(flags) };
    result
}

/// Queues a continuation on the CPU `id` and wakes its ithread.
///
/// With interrupts off, or in that ithread itself: as soon as the continuation is queued it may be
/// done, its registration dropped, and the thread told to end. But a thread's memory goes after an
/// RCU grace period only, and a thread that has ended is not woken.
pub(crate) fn enqueue(head: &Head, id: u32) {
    let ipl = usize::from(head.stats.ipl);
    // SAFETY: The ithreads of an IPL are there while a handler of it is registered, and this one
    // is unfinished.
    let thread = unsafe { bindings::lazyirq_ithread(id, ipl as u32) };
    cpu(id).work[ipl].runnable.push(head);
    // SAFETY: Its memory is there, as said above.
    unsafe { bindings::wake_up_process(thread) };
}

/// # Safety
///
/// To be called by smpboot, in the ithread of `IPL` on the CPU `id`. So are the next two.
unsafe extern "C" fn should_run<const IPL: usize>(id: u32) -> i32 {
    // What is queued after this look wakes the thread: `wake_up_process` and the thread's going to
    // sleep are fully ordered.
    (!cpu(id).work[IPL].runnable.is_empty()).into()
}

/// # Safety
///
/// See `should_run`.
unsafe extern "C" fn run<const IPL: usize>(id: u32) {
    let work = &cpu(id).work[IPL];
    // SAFETY: This is the queue's ithread.
    let Some(head) = (unsafe { work.runnable.pop() }) else {
        return;
    };
    // SAFETY: Reads the running thread's own counters.
    let now = unsafe { bindings::lazyirq_switches() };
    // Each was one switch away from the thread, and one to it.
    let switches = 2 * now.wrapping_sub(work.switches.replace(now)) as u64;

    // Sleeping in a handler is a bug that the kernel reports in hard-IRQ context only. This makes
    // it report the same here.
    // SAFETY: Paired, in the same thread.
    #[cfg(CONFIG_DEBUG_ATOMIC_SLEEP)]
    unsafe {
        bindings::lazyirq_non_block_start()
    };
    // SAFETY: What is in a queue is Queued, and so alive; it is out of the queue now, so that
    // nobody else runs it.
    unsafe { (*head).resume(switches) };
    // SAFETY: As above.
    #[cfg(CONFIG_DEBUG_ATOMIC_SLEEP)]
    unsafe {
        bindings::lazyirq_non_block_end()
    };
}

/// # Safety
///
/// See `should_run`.
unsafe extern "C" fn setup<const IPL: usize>(id: u32) {
    // SAFETY: Sets the running thread's own priority.
    let ret = unsafe { bindings::lazyirq_set_fifo(Ipl::FIFO_BASE + IPL as u32) };
    if ret != 0 {
        pr_warn!("no SCHED_FIFO for the interrupt thread of IPL {IPL} on CPU {id}: {ret}\n");
    }
    // SAFETY: Reads the running thread's own counters.
    let now = unsafe { bindings::lazyirq_switches() };
    cpu(id).work[IPL].switches.set(now);
}

/// The description of one IPL's threads, which smpboot keeps in a list while they are there.
struct Threads(UnsafeCell<bindings::smp_hotplug_thread>);

// SAFETY: Touched by smpboot, under its lock, and by `Use`, under `USERS`.
unsafe impl Sync for Threads {}

impl Threads {
    const fn new<const IPL: usize>(name: &'static CStr) -> Self {
        // SAFETY: Pointers, a list head and a flag, for all of which zero is a value.
        let mut threads: bindings::smp_hotplug_thread = unsafe { core::mem::zeroed() };
        threads.thread_should_run = Some(should_run::<IPL>);
        threads.thread_fn = Some(run::<IPL>);
        threads.setup = Some(setup::<IPL>);
        threads.thread_comm = kernel::str::as_char_ptr_in_const_context(name);
        Self(UnsafeCell::new(threads))
    }
}

static THREADS: [Threads; Ipl::COUNT] = [
    Threads::new::<0>(c""),
    Threads::new::<1>(c"lazyirq1/%u"),
    Threads::new::<2>(c"lazyirq2/%u"),
    Threads::new::<3>(c"lazyirq3/%u"),
    Threads::new::<4>(c"lazyirq4/%u"),
    Threads::new::<5>(c"lazyirq5/%u"),
    Threads::new::<6>(c"lazyirq6/%u"),
    Threads::new::<7>(c"lazyirq7/%u"),
    Threads::new::<8>(c"lazyirq8/%u"),
    Threads::new::<9>(c"lazyirq9/%u"),
    Threads::new::<10>(c"lazyirq10/%u"),
];

global_lock! {
    // SAFETY: Initialised in `Ithreads::new`, before the first registration.
    unsafe(uninit) static USERS: Mutex<[u32; Ipl::COUNT]> = [0; Ipl::COUNT];
}

/// The use of one IPL's ithreads: they are there for as long as it is.
pub(crate) struct Use(Ipl);

impl Use {
    /// Thread, may sleep. Fails with the kernel's error if a thread cannot be made.
    pub(crate) fn new(ipl: Ipl) -> Result<Self> {
        let index: usize = ipl.get().into();
        let mut users = USERS.lock();
        if users[index] == 0 {
            let threads = THREADS[index].0.get();
            // SAFETY: Nobody else has the description: it is in use from here on.
            let ret = unsafe {
                (*threads).store = bindings::lazyirq_ithread_store(index as u32);
                bindings::smpboot_register_percpu_thread(threads)
            };
            if ret != 0 {
                pr_err!("no interrupt threads for IPL {index}: error {ret}\n");
            }
            kernel::error::to_result(ret)?;
        }
        users[index] += 1;
        Ok(Self(ipl))
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        let index: usize = self.0.get().into();
        let mut users = USERS.lock();
        users[index] -= 1;
        if users[index] == 0 {
            // SAFETY: It was registered by the first use, and no continuation needs it any more.
            unsafe { bindings::smpboot_unregister_percpu_thread(THREADS[index].0.get()) };
        }
    }
}

/// What the threads need of memory, for as long as the module is loaded.
pub(crate) struct Ithreads {
    _cpus: KVec<Cpu>,
}

impl Ithreads {
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: Called once, from the module's init.
        unsafe { USERS.init() };
        let count = kernel::cpu::nr_cpu_ids() as usize;
        let mut cpus = KVec::with_capacity(count, GFP_KERNEL)?;
        for _ in 0..count {
            let cpu = Cpu {
                work: core::array::from_fn(|_| Work {
                    runnable: RunQueue::new(),
                    switches: Cell::new(0),
                }),
                unfinished: UnsafeCell::new(Unfinished::NONE),
            };
            cpus.push(cpu, GFP_KERNEL)?;
        }
        CPUS.store(cpus.as_mut_ptr(), Relaxed);
        Ok(Self { _cpus: cpus })
    }
}

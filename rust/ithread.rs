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
    primitive::{Acquire, AtomicPtr, AtomicU32, Relaxed, Release},
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
    /// The ithread: null until it has run for the first time, or if there is none.
    thread: AtomicPtr<bindings::task_struct>,
    runnable: RunQueue<Head>,
    /// So many continuations of this CPU have been taken over by others since it last looked.
    moved: AtomicU32,
    /// How often the thread had been switched out when it last took a continuation. Its own.
    switches: Cell<usize>,
    /// The continuation for whose sake the thread runs at a higher priority; see [`Boost`].
    boosted_for: AtomicPtr<Head>,
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

    // Neither can overflow: there are not so many handlers, and each is counted once.
    fn add(&mut self, ipl: usize) -> i32 {
        self.counts[ipl] = self.counts[ipl].wrapping_add(1);
        self.levels |= 1 << ipl;
        self.level()
    }

    fn remove(&mut self, ipl: usize, count: u32) -> i32 {
        self.counts[ipl] = self.counts[ipl].wrapping_sub(count);
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
    // SAFETY: A thread, which has them on; they are so again below.
    unsafe { bindings::lazyirq_irq_off() };
    let (finished, result) = done();
    if finished {
        // SAFETY: By the requirement this is its CPU; interrupts are off.
        let level = unsafe { (*cpu(id).unfinished.get()).remove(ipl, 1) };
        percpu::set_level(level);
    }
    // SAFETY: As above.
    unsafe { bindings::lazyirq_irq_on() };
    result
}

/// Queues a continuation on its home CPU and wakes the ithread there; or on another one, if its home
/// is offline.
///
/// With interrupts off, or in that ithread itself: as soon as the continuation is queued it may be
/// done, its registration dropped, and the thread told to end. But a thread's memory goes after an
/// RCU grace period only, and a thread that has ended is not woken.
pub(crate) fn enqueue(head: &Head, home: u32) {
    let ipl = head.ipl();
    let mut id = home;
    loop {
        // The ithreads of an IPL are there while a handler of it is registered, and this one is
        // unfinished. On a CPU that has come since, it may just not be known yet.
        let work = &cpu(id).work[ipl];
        let thread = work.thread.load(Relaxed);
        if !thread.is_null() && work.runnable.push(head) {
            // SAFETY: Its memory is there, as said above.
            unsafe { bindings::wake_up_process(thread) };
            return;
        }
        // One CPU at least is online, and stays so until it has closed its queue.
        // SAFETY: Any context.
        id = unsafe { bindings::lazyirq_next_online_cpu(id) };
    }
}

/// This CPU takes over a continuation of another's, which was offline when that became runnable.
///
/// # Safety
///
/// The caller is the ithread of `ipl` on the CPU `id`, and has taken `head` from its queue.
#[cold]
unsafe fn take_over(head: &Head, id: u32, ipl: usize) {
    let old = head.home();
    head.set_home(id);
    // SAFETY: A thread, which has interrupts on. In between they are off, on its CPU.
    unsafe {
        bindings::lazyirq_irq_off();
        unfinished(id, ipl);
        bindings::lazyirq_irq_on();
    }
    // The other CPU's count is its own to change.
    cpu(old).work[ipl].moved.fetch_add(1, Release);
    // One that is not known yet, since its CPU has only just come, looks by itself.
    let thread = cpu(old).work[ipl].thread.load(Relaxed);
    if !thread.is_null() {
        // SAFETY: The ithreads of this IPL are there; one that sleeps since its CPU is offline goes
        // on to do so.
        unsafe { bindings::wake_up_process(thread) };
    }
}

/// # Safety
///
/// To be called by smpboot, in the ithread of `IPL` on the CPU `id`. So are the next four.
unsafe extern "C" fn should_run<const IPL: usize>(id: u32) -> i32 {
    // What is queued after this look wakes the thread: `wake_up_process` and the thread's going to
    // sleep are fully ordered.
    let work = &cpu(id).work[IPL];
    (!work.runnable.is_empty() || work.moved.load(Relaxed) != 0).into()
}

/// The running ithread.
///
/// # Invariants
///
/// It is that.
#[derive(Clone, Copy)]
pub(crate) struct Thread(*const bindings::task_struct);

impl Thread {
    /// How often it has been switched out so far because it slept.
    pub(crate) fn slept(self) -> usize {
        // SAFETY: By the type invariant. Only the thread's own going to sleep writes it.
        unsafe { (*self.0).nvcsw }
    }

    /// How often it has been switched out so far.
    fn switched_out(self) -> usize {
        // SAFETY: By the type invariant.
        self.slept().wrapping_add(unsafe { (*self.0).nivcsw })
    }
}

/// # Safety
///
/// See `should_run`.
unsafe extern "C" fn run<const IPL: usize>(id: u32) {
    let work = &cpu(id).work[IPL];
    // SAFETY: This is the queue's ithread.
    let Some(head) = (unsafe { work.runnable.pop() }) else {
        return forget_moved(work, id, IPL);
    };
    // INVARIANT: It was set by `setup`, in this thread.
    let thread = Thread(work.thread.load(Relaxed));
    let now = thread.switched_out();
    // Each was one switch away from the thread, and one to it.
    let switches = now.wrapping_sub(work.switches.replace(now)).wrapping_mul(2) as u64;

    // Sleeping in a handler is a bug that the kernel reports in hard-IRQ context only. This makes
    // it report the same here.
    // SAFETY: Paired, in the same thread.
    #[cfg(CONFIG_DEBUG_ATOMIC_SLEEP)]
    unsafe {
        bindings::lazyirq_non_block_start()
    };
    // SAFETY: What is in a queue is Queued, and so alive; it is out of the queue now, so that
    // nobody else runs it.
    let home = unsafe {
        let home = (*head).home();
        if home != id {
            take_over(&*head, id, IPL);
        }
        (*head).resume(thread, switches);
        home
    };
    // SAFETY: As above.
    #[cfg(CONFIG_DEBUG_ATOMIC_SLEEP)]
    unsafe {
        bindings::lazyirq_non_block_end()
    };
    // Whoever boosts has seen that the handler has not released the lock for which it is boosted,
    // and it had to take the lock's turnstile's lock for that: so this is seen. It may have come
    // before the continuation was taken over.
    for id in [home, id] {
        if ptr::eq(cpu(id).work[IPL].boosted_for.load(Relaxed), head) {
            Boost::end(id, IPL, head);
        }
    }
}

global_lock! {
    // SAFETY: Initialised in `Ithreads::new`, before the first registration.
    unsafe(uninit) static BOOSTED: Mutex<()> = ();
}

/// An ithread is to run at a higher priority until it has run a certain continuation, which has a
/// lock that somebody of that priority waits for.
pub(crate) struct Boost {
    home: u32,
    ipl: usize,
    head: *mut Head,
    fifo: u32,
}

impl Boost {
    /// `None` if the ithread's own priority will do. The caller keeps the continuation from releasing
    /// the lock.
    pub(crate) fn new(head: &Head, fifo: u32) -> Option<Self> {
        let (home, ipl) = (head.home(), head.ipl());
        if fifo <= Ipl::FIFO_BASE + ipl as u32 {
            return None;
        }
        let head = ptr::from_ref(head).cast_mut();
        cpu(home).work[ipl].boosted_for.store(head, Relaxed);
        Some(Self {
            home,
            ipl,
            head,
            fifo,
        })
    }

    /// Thread, may sleep.
    pub(crate) fn perform(self) {
        let _boosted = BOOSTED.lock();
        let work = &cpu(self.home).work[self.ipl];
        // Not if it has run by now.
        if ptr::eq(work.boosted_for.load(Relaxed), self.head) {
            // SAFETY: There is a boost, and its lock is held.
            unsafe { work.set_priority(self.fifo) };
        }
    }

    /// The continuation has run.
    #[cold]
    fn end(id: u32, ipl: usize, head: *const Head) {
        let _boosted = BOOSTED.lock();
        let work = &cpu(id).work[ipl];
        // Not if that thread is about to end.
        if ptr::eq(work.boosted_for.load(Relaxed), head) {
            // SAFETY: There is a boost, and its lock is held.
            unsafe { work.set_priority(Ipl::FIFO_BASE + ipl as u32) };
            work.boosted_for.store(ptr::null_mut(), Relaxed);
        }
    }

    /// The ithreads of `ipl` are about to end. Nothing of it is unfinished, but those who have seen
    /// something may be on their way to `perform` or `end`.
    fn forget(ipl: usize) {
        let _boosted = BOOSTED.lock();
        for id in 0..kernel::cpu::nr_cpu_ids() {
            cpu(id).work[ipl]
                .boosted_for
                .store(ptr::null_mut(), Relaxed);
        }
    }
}

impl Work {
    /// # Safety
    ///
    /// It is boosted, and the caller holds `BOOSTED`: so its thread does not end (see `forget`).
    unsafe fn set_priority(&self, fifo: u32) {
        let thread = self.thread.load(Relaxed);
        if !thread.is_null() {
            // SAFETY: By the requirement.
            unsafe { bindings::lazyirq_set_fifo(thread, fifo) };
        }
    }
}

/// The continuations that others have taken over do not count here any more.
#[cold]
fn forget_moved(work: &Work, id: u32, ipl: usize) {
    // SAFETY: A thread, which has interrupts on. In between they are off, on its CPU.
    unsafe {
        bindings::lazyirq_irq_off();
        let moved = work.moved.swap(0, Acquire);
        percpu::set_level((*cpu(id).unfinished.get()).remove(ipl, moved));
        bindings::lazyirq_irq_on();
    }
}

/// The CPU goes offline.
///
/// # Safety
///
/// See `should_run`.
unsafe extern "C" fn park<const IPL: usize>(id: u32) {
    let queue = &cpu(id).work[IPL].runnable;
    // SAFETY: This is the queue's ithread; it was opened when the CPU came, or not yet closed.
    unsafe { queue.close() };
    // SAFETY: As above.
    while let Some(head) = unsafe { queue.pop() } {
        // SAFETY: What is in a queue is Queued, and so alive.
        enqueue(unsafe { &*head }, id);
    }
}

/// The CPU is back.
///
/// # Safety
///
/// See `should_run`.
unsafe extern "C" fn unpark<const IPL: usize>(id: u32) {
    // SAFETY: This is the queue's ithread.
    unsafe { cpu(id).work[IPL].runnable.open() };
}

/// # Safety
///
/// See `should_run`.
unsafe extern "C" fn setup<const IPL: usize>(id: u32) {
    let work = &cpu(id).work[IPL];
    // SAFETY: There is a running thread.
    let thread = unsafe { bindings::get_current() };
    // INVARIANT: It is this one.
    work.switches.set(Thread(thread).switched_out());
    // SAFETY: Sets the running thread's priority.
    let ret = unsafe { bindings::lazyirq_set_fifo(thread, Ipl::FIFO_BASE + IPL as u32) };
    if ret != 0 {
        pr_warn!("no SCHED_FIFO for the interrupt thread of IPL {IPL} on CPU {id}: {ret}\n");
    }
    work.thread.store(thread, Relaxed);
}

/// The description of one IPL's threads, which smpboot keeps in a list while they are there.
struct Threads(UnsafeCell<bindings::smp_hotplug_thread>);

// SAFETY: Touched by smpboot, under its lock, and by `Users`, under `USERS`.
unsafe impl Sync for Threads {}

impl Threads {
    const fn new<const IPL: usize>(name: &'static CStr) -> Self {
        // SAFETY: Pointers, a list head and a flag, for all of which zero is a value.
        let mut threads: bindings::smp_hotplug_thread = unsafe { core::mem::zeroed() };
        threads.thread_should_run = Some(should_run::<IPL>);
        threads.thread_fn = Some(run::<IPL>);
        threads.setup = Some(setup::<IPL>);
        threads.park = Some(park::<IPL>);
        threads.unpark = Some(unpark::<IPL>);
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

/// The IPLs whose ithreads a registration uses: a bit for each. They are there for as long.
///
/// More than one only while the handler was unfinished when its IPL was changed last.
pub(crate) struct Users(AtomicU32);

impl Users {
    pub(crate) const fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// Uses `ipl` from now on; no other one, if `change` says so. It is called with the threads there.
    ///
    /// Thread, may sleep. Fails with the kernel's error if a thread cannot be made, and changes nothing.
    pub(crate) fn change(&self, ipl: Ipl, change: impl FnOnce() -> bool) -> Result {
        let mut users = USERS.lock();
        let new = 1 << ipl.get();
        let old = self.0.load(Relaxed);
        if old & new == 0 {
            begin(&mut users, ipl.get().into())?;
        }
        let over = if change() { old & !new } else { 0 };
        self.0.store((old | new) & !over, Relaxed);
        end_all(&mut users, over);
        Ok(())
    }

    /// Uses none any more. Thread, may sleep. Nothing of the registration is unfinished.
    pub(crate) fn none(&self) {
        end_all(&mut USERS.lock(), self.0.swap(0, Relaxed));
    }
}

fn begin(users: &mut [u32; Ipl::COUNT], index: usize) -> Result {
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
        // SAFETY: `is_known` and `none_left` are called as they have to be.
        unsafe {
            match ret {
                0 => bindings::lazyirq_await_each_cpu(Some(is_known), index as u32),
                _ => bindings::lazyirq_on_each_cpu(Some(none_left), index as u32),
            }
        }
        kernel::error::to_result(ret)?;
    }
    users[index] += 1;
    Ok(())
}

/// `levels` has a bit for each IPL whose threads lose a user.
fn end_all(users: &mut [u32; Ipl::COUNT], levels: u32) {
    for index in (1..Ipl::COUNT).filter(|index| levels & 1 << index != 0) {
        users[index] -= 1;
        if users[index] == 0 {
            Boost::forget(index);
            // SAFETY: It was registered by the first user, and no continuation needs it any more.
            // `none_left` is called as it has to be.
            unsafe {
                bindings::smpboot_unregister_percpu_thread(THREADS[index].0.get());
                bindings::lazyirq_on_each_cpu(Some(none_left), index as u32);
            }
        }
    }
}

/// Is the ithread there, and can it be given work?
///
/// A CPU that goes offline before its ithread has run for the first time does not call `park`: so
/// nothing may be in its queue by then.
///
/// # Safety
///
/// `id` is the number of a CPU.
unsafe extern "C" fn is_known(id: u32, ipl: u32) -> bool {
    !cpu(id).work[ipl as usize].thread.load(Relaxed).is_null()
}

/// Nothing of this IPL is left on the CPU. What others have taken over may still have counted.
///
/// # Safety
///
/// To be called on the CPU `id` with interrupts off, or while it is offline; nothing of the IPL is
/// registered, and its ithreads have ended.
unsafe extern "C" fn none_left(id: u32, ipl: u32) {
    let work = &cpu(id).work[ipl as usize];
    work.thread.store(ptr::null_mut(), Relaxed);
    // SAFETY: Its ithread has ended.
    unsafe { work.runnable.open() };
    let moved = work.moved.swap(0, Acquire);
    // SAFETY: By the requirement nobody else is at it.
    unsafe {
        let level = (*cpu(id).unfinished.get()).remove(ipl as usize, moved);
        bindings::lazyirq_set_level_of(id, level);
    }
}

/// What the threads need of memory, for as long as the module is loaded.
pub(crate) struct Ithreads {
    _cpus: KVec<Cpu>,
}

impl Ithreads {
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: Called once, from the module's init.
        unsafe {
            USERS.init();
            BOOSTED.init();
        }
        let count = kernel::cpu::nr_cpu_ids() as usize;
        let mut cpus = KVec::with_capacity(count, GFP_KERNEL)?;
        for _ in 0..count {
            let cpu = Cpu {
                work: core::array::from_fn(|_| Work {
                    thread: AtomicPtr::new(ptr::null_mut()),
                    runnable: RunQueue::new(),
                    moved: AtomicU32::new(0),
                    switches: Cell::new(0),
                    boosted_for: AtomicPtr::new(ptr::null_mut()),
                }),
                unfinished: UnsafeCell::new(Unfinished::NONE),
            };
            cpus.push(cpu, GFP_KERNEL)?;
        }
        CPUS.store(cpus.as_mut_ptr(), Relaxed);
        Ok(Self { _cpus: cpus })
    }
}

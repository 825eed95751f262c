// SPDX-License-Identifier: GPL-2.0

//! When ithreads exist: they are the kernel's per-CPU hotplug threads (smpboot), made when the first handler
//! of an IPL is registered, and gone with the last.

use super::{boost, cpu, park, run, setup, should_run, unpark, Thread, Work};
use crate::{
    bindings,
    ipl::Ipl,
    primitive::{Acquire, AtomicU32, Relaxed},
};
use core::{cell::UnsafeCell, convert::Infallible, ptr};
use kernel::{prelude::*, sync::global_lock};

/// The description of one IPL's threads, which smpboot keeps in a list while they exist.
struct Threads(UnsafeCell<bindings::smp_hotplug_thread>);

// SAFETY: Touched by smpboot, under its lock, and by `Users`, under `USERS`.
unsafe impl Sync for Threads {}

impl Threads {
    const fn new<const IPL: usize>(name: &'static CStr) -> Self {
        // SAFETY: Pointers, a list head and a flag, for all of which zero is valid.
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
    pub(super) unsafe(uninit) static USERS: Mutex<[u32; Ipl::COUNT]> = [0; Ipl::COUNT];
}

/// The IPLs whose ithreads a registration uses: a bit for each. The ithreads exist for as long.
///
/// More than one only if the handler was unfinished when its IPL was last changed.
pub(crate) struct Users(AtomicU32);

impl Users {
    pub(crate) const fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// Uses `ipl` from now on, and no other one if `change` says so. `change` is called while the threads
    /// exist.
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

    /// Uses no ithreads any more. Thread, may sleep. Nothing of the registration is unfinished.
    pub(crate) fn none(&self) {
        end_all(&mut USERS.lock(), self.0.swap(0, Relaxed));
    }
}

fn begin(users: &mut [u32; Ipl::COUNT], index: usize) -> Result {
    if users[index] == 0 {
        let threads = THREADS[index].0.get();
        // SAFETY: Nothing else uses the description: it is in use from here on.
        let ret = unsafe {
            (*threads).store = bindings::lazyirq_ithread_store(index as u32);
            bindings::smpboot_register_percpu_thread(threads)
        };
        if ret != 0 {
            pr_err!("no interrupt threads for IPL {index}: error {ret}\n");
        }
        // SAFETY: `is_known` and `none_left` are called as they require.
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
            boost::forget(index);
            // SAFETY: It was registered by the first user, and no continuation needs it any more. `none_left`
            // is called as it requires.
            unsafe {
                // They must run once more, whatever keeps their CPU busy.
                bindings::lazyirq_ithreads_fifo(index as u32, bindings::LAZYIRQ_HIGHEST_FIFO);
                bindings::smpboot_unregister_percpu_thread(THREADS[index].0.get());
                bindings::lazyirq_on_each_cpu(Some(none_left), index as u32);
            }
        }
    }
}

/// What an ithread has done since it was made, or since the last reset.
pub(crate) struct Ithread {
    pub(crate) cpu: u32,
    pub(crate) ipl: usize,
    pub(crate) pid: i32,
    pub(crate) resumed: u64,
    pub(crate) preempted: usize,
    /// The most continuations that it has had to run at a time.
    pub(crate) most: u32,
}

/// Calls `f` for each ithread that exists. They do not end meanwhile. Thread, may sleep.
fn each_work<E>(mut f: impl FnMut(u32, usize, &Work, Thread) -> Result<(), E>) -> Result<(), E> {
    let _users = USERS.lock();
    for id in 0..kernel::cpu::nr_cpu_ids() {
        for (ipl, work) in cpu(id).work.iter().enumerate() {
            let task = work.thread.load(Relaxed);
            if !task.is_null() {
                // INVARIANT: It ends under `USERS`.
                f(id, ipl, work, Thread(task))?;
            }
        }
    }
    Ok(())
}

/// Calls `show` for each ithread that exists. Thread, may sleep.
pub(crate) fn each<E>(mut show: impl FnMut(&Ithread) -> Result<(), E>) -> Result<(), E> {
    each_work(|cpu, ipl, work, thread| {
        let resumed = work.resumed.get();
        show(&Ithread {
            cpu,
            ipl,
            pid: thread.pid(),
            resumed,
            preempted: thread
                .preempted()
                .wrapping_sub(work.preempted.load(Relaxed)),
            most: work.runnable.most().max((resumed > 0).into()),
        })
    })
}

/// Resets what is counted. Thread, may sleep.
pub(crate) fn reset() {
    let reset = |_, _, work: &Work, thread: Thread| {
        work.resumed.reset();
        work.preempted.store(thread.preempted(), Relaxed);
        work.runnable.reset_most();
        Ok::<(), Infallible>(())
    };
    let _ = each_work(reset);
}

/// Does the ithread exist, and can it be given work?
///
/// A CPU that goes offline before its ithread has run for the first time does not call `park`: so
/// nothing may be in its queue by then, except what had no other CPU to go to (see `push`).
///
/// # Safety
///
/// `id` is the number of a CPU.
unsafe extern "C" fn is_known(id: u32, ipl: u32) -> bool {
    !cpu(id).work[ipl as usize].thread.load(Relaxed).is_null()
}

/// Nothing of this IPL is left on the CPU. What other CPUs have taken over may still be counted.
///
/// # Safety
///
/// To be called on the CPU `id` with interrupts off, or while it is offline; nothing of the IPL is
/// registered, and its ithreads have ended.
unsafe extern "C" fn none_left(id: u32, ipl: u32) {
    let work = &cpu(id).work[ipl as usize];
    work.thread.store(ptr::null_mut(), Relaxed);
    work.resumed.reset();
    work.preempted.store(0, Relaxed);
    work.runnable.reset_most();
    work.boosted.reset();
    // SAFETY: Its ithread has ended.
    unsafe { work.runnable.open() };
    let moved = work.moved.swap(0, Acquire);
    // SAFETY: By the requirement, nothing else accesses it.
    unsafe {
        let level = (*cpu(id).unfinished.get()).remove(ipl as usize, moved);
        bindings::lazyirq_set_level_of(id, level);
    }
}

// SPDX-License-Identifier: GPL-2.0

//! What interrupts and requesters share.

use kernel::{
    impl_has_hr_timer,
    prelude::*,
    sync::{Arc, ArcBorrow, Completion},
    time::{
        hrtimer::{
            HrTimer, HrTimerCallback, HrTimerCallbackContext, HrTimerPointer, HrTimerRestart,
            RelativeMode,
        },
        Delta, Monotonic,
    },
};

/// How long a job may take. A transfer takes 100 ms.
const PATIENCE: Delta = Delta::from_secs(5);

/// A source of interrupts. Its number is its place in [`State::jobs`].
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source {
    Factorial,
    Dma,
    Raised,
}

impl Source {
    pub(crate) const ALL: [Source; 3] = [Source::Factorial, Source::Dma, Source::Raised];

    /// The bit in the interrupt status.
    pub(crate) const fn bit(self) -> u32 {
        match self {
            Source::Factorial => 0x1,
            // The device leaves this choice to the writer of the register.
            Source::Raised => 0x2,
            Source::Dma => 0x100,
        }
    }
}

/// The end of a job, which its requester waits for: an interrupt or a timeout.
///
/// The handler needs something that it may call in hard-IRQ context, also on PREEMPT_RT, where the
/// wait queue of a condition variable is unsuitable. A `Completion` is suitable, with
/// `lazyirq::complete()`, but waits without a bound: so each job has one, and a timer that ends it.
#[pin_data]
pub(crate) struct Wait {
    #[pin]
    done: Completion,
    #[pin]
    timer: HrTimer<Self>,
}

impl_has_hr_timer! {
    impl HasHrTimer<Self> for Wait { mode: RelativeMode<Monotonic>, field: self.timer }
}

impl HrTimerCallback for Wait {
    type Pointer<'a> = Arc<Self>;

    fn run(this: ArcBorrow<'_, Self>, _: HrTimerCallbackContext<'_, Self>) -> HrTimerRestart {
        lazyirq::complete(&this.done);
        HrTimerRestart::NoRestart
    }
}

impl Wait {
    pub(crate) fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self { done <- Completion::new(), timer <- HrTimer::new() }),
            GFP_KERNEL,
        )
    }

    pub(crate) fn wait(self: Arc<Self>) {
        let wait = self.clone();
        let _cancelled_when_dropped = self.start(PATIENCE);
        wait.done.wait_for_completion();
    }
}

/// A job that was given to the device.
pub(crate) struct Job {
    pub(crate) wait: Arc<Wait>,
    pub(crate) answer: Option<Result<u32>>,
}

/// What interrupts and requesters share, under one lock.
#[derive(Default)]
pub(crate) struct State {
    jobs: [Option<Job>; Source::ALL.len()],
    /// How many interrupts of [`Source::Raised`] there have been.
    raised: u32,
    /// The device is being unbound: no more jobs.
    gone: bool,
}

impl State {
    /// Ends a job. The requester takes it out of its place: a handler must not drop what may be the
    /// last reference, since memory must not be freed in hard-IRQ context on PREEMPT_RT.
    pub(crate) fn end(&mut self, source: Source, answer: Result<u32>) {
        // None if the interrupt came after the requester had timed out.
        if let Some(job) = &mut self.jobs[source as usize] {
            job.answer = Some(answer);
            lazyirq::complete(&job.wait.done);
        }
    }
    /// Puts a job in its place.
    pub(crate) fn begin(&mut self, source: Source, job: Job) -> Result {
        if self.gone {
            return Err(ENODEV);
        }
        self.jobs[source as usize] = Some(job);
        Ok(())
    }

    /// Takes a job out of its place.
    pub(crate) fn take(&mut self, source: Source) -> Option<Job> {
        self.jobs[source as usize].take()
    }

    /// Counts an interrupt of [`Source::Raised`], and returns how many there were.
    pub(crate) fn count_raised(&mut self) -> u32 {
        self.raised = self.raised.wrapping_add(1);
        self.raised
    }

    /// How many interrupts of [`Source::Raised`] there were.
    pub(crate) fn raised(&self) -> u32 {
        self.raised
    }

    /// Ends all jobs, and prevents new ones.
    pub(crate) fn shut_down(&mut self) {
        self.gone = true;
        for source in Source::ALL {
            self.end(source, Err(ENODEV));
        }
    }
}

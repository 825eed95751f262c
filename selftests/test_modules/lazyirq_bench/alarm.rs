// SPDX-License-Identifier: GPL-2.0

//! A timer, which has nothing to do with the device or its locks: when does it go off?

use crate::registers::now;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use kernel::{
    impl_has_hr_timer,
    prelude::*,
    sync::{Arc, ArcBorrow},
    time::{
        hrtimer::{
            HrTimer, HrTimerCallback, HrTimerCallbackContext, HrTimerPointer, HrTimerRestart,
            RelativePinnedHardMode,
        },
        Delta, Monotonic,
    },
};

#[pin_data]
pub(crate) struct Alarm {
    #[pin]
    timer: HrTimer<Self>,
    went_off: AtomicU64,
}

impl_has_hr_timer! {
    impl HasHrTimer<Self> for Alarm {
        mode: RelativePinnedHardMode<Monotonic>, field: self.timer
    }
}

impl HrTimerCallback for Alarm {
    type Pointer<'a> = Arc<Self>;

    fn run(this: ArcBorrow<'_, Self>, _: HrTimerCallbackContext<'_, Self>) -> HrTimerRestart {
        this.went_off.store(now(), Relaxed);
        HrTimerRestart::NoRestart
    }
}

impl Alarm {
    pub(crate) fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self { timer <- HrTimer::new(), went_off: AtomicU64::new(0) }),
            GFP_KERNEL,
        )
    }

    /// Sets it, does `meanwhile`, and waits. Returns when it went off.
    pub(crate) fn ring(self: &Arc<Self>, after: Delta, meanwhile: impl FnOnce()) -> u64 {
        self.went_off.store(0, Relaxed);
        let _cancelled_when_dropped = self.clone().start(after);
        meanwhile();
        loop {
            match self.went_off.load(Relaxed) {
                0 => core::hint::spin_loop(),
                time => return time,
            }
        }
    }
}

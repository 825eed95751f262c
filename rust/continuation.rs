// SPDX-License-Identifier: GPL-2.0

//! The life of one registered handler, as a state machine in one word.
//!
//! ```text
//!                  1 waits               2 poll pending
//!      +------+ ----------> +-------+ ----------------> +--------+
//!      | Idle |  (lazy      | Armed |                   | Parked |
//!      +------+   path)     +-------+                   +--------+
//!       |  ^                 ^  |  3 woken                  | 5 woken
//!       |  |       7 waits   |  v                           v
//!       |  |   +-------------+ +----------+ 4 pending   +--------+
//!       |  |   |               | Notified | ----------> | Queued | <---- 9 held
//!       |  |   |               +----------+             +--------+
//!       |  |  +---------+ 11 woken ^   6 it is resumed        |  ^
//!       |  +--| Running |----------+                          |  |
//!       |  8  +---------+ <-----------------------------------+  |
//!       |  done    +---- 10 done, events remembered -------------+
//!       +---- 9 held: IPL order says no lazy path now -----------+
//!
//!      Idle, Running --12--> Dead          a pending poll that nothing will ever wake
//!      Armed --13--> Idle, Running         it does not wait after all
//!      Armed, Notified --14--> Idle, Queued    it is done all the same
//!      Parked --15--> Running                  woken and resumed
//! ```
//!
//! | # | from, to | who, where |
//! |---|---|---|
//! | 1 | Idle → Armed | the handler's first poll (hard IRQ), before it is put in a wait queue |
//! | 2 | Armed → Parked | the hard-IRQ entry, or the context that resumed it, after the poll returned pending |
//! | 3 | Armed → Notified | the releaser of the lock, while the poll is still running |
//! | 4 | Notified → Queued | as 2: the poller queues it itself, the releaser must not |
//! | 5 | Parked → Queued | the releaser of the lock, which queues the continuation or resumes it |
//! | 6 | Queued → Running | the context that resumes it: the ithread, or the releaser of the lock |
//! | 7 | Running → Armed | as 1, in the context of 6 |
//! | 8 | Running → Idle | the same context, with no event remembered and the line unmasked (or the handler stopped) |
//! | 9 | Idle → Queued | the hard-IRQ entry, for an interrupt that is held |
//! | 10 | Running → Queued | the same context, for an event that came meanwhile |
//! | 11 | Running → Notified | as 3, for a wait left over from an earlier poll; and `defer()`, also from Idle, in the first poll |
//! | 12 | → Dead | the poller |
//! | 13 | Armed → Idle, Running | as 1 or 7: there is nothing to wait for, or the last wait was given up |
//! | 14 | Armed, Notified → Idle, Queued | the poller, as 8 or 10: what the handler was armed for, or woken by, no longer matters |
//! | 15 | Parked → Running | the releaser of the lock: 5 and 6 in one step |
//!
//! A lazy path that does not wait leaves the word alone: it stays Idle, and nothing is written. That is sound
//! because an interrupt line never runs its handlers on two CPUs at a time, and only the hard-IRQ entry
//! leaves Idle.
//!
//! The rest of the word is kept with the phase so that each of these changes in one step with it: the IPL,
//! the events that came while the handler was unfinished, whether its line is masked, and whether it is being
//! stopped. The IPL changes only in Idle: an unfinished handler counts in IPL order by the IPL that it had
//! when it left Idle.

use crate::{
    ipl::Ipl,
    primitive::{AcqRel, Acquire, AtomicU32, Relaxed},
};
use core::hint::assert_unchecked;

/// What the handler is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Phase {
    Idle = 0,
    Armed = 1,
    Notified = 2,
    Parked = 3,
    Queued = 4,
    Running = 5,
    Dead = 6,
}

/// One value of the word.
///
/// | bits | meaning |
/// |---|---|
/// | 31 | busy: the lazy path may not start it. The phase is not Idle, or bit 27 is set |
/// | 28..=30 | the phase |
/// | 27 | stopped: no new start, the registration is being dropped |
/// | 26 | masked: the line is disabled on behalf of this handler |
/// | 16..=25 | events that came while it was unfinished |
/// | 8..=15 | the IPL from the next Idle on, if it is to change |
/// | 0..=7 | IPL |
///
/// As a signed number an idle word is the IPL and a busy one is negative, so that the lazy path
/// asks both of its questions, "is it free?" and "is its IPL above all that is unfinished here?",
/// with one comparison.
///
/// # Invariants
///
/// Both IPLs are of that type, or 0.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct State(u32);

impl State {
    const BUSY: u32 = 1 << 31;
    const PHASE_SHIFT: u32 = 28;
    const PHASE: u32 = 7 << Self::PHASE_SHIFT;
    const STOPPED: u32 = 1 << 27;
    const MASKED: u32 = 1 << 26;
    const EVENTS_SHIFT: u32 = 16;
    /// Far more than can come before the line is masked.
    const MOST_EVENTS: u32 = 0x3ff;
    const EVENTS: u32 = Self::MOST_EVENTS << Self::EVENTS_SHIFT;
    const NEXT_IPL_SHIFT: u32 = 8;
    const NEXT_IPL: u32 = 0xff << Self::NEXT_IPL_SHIFT;
    const IPL: u32 = 0xff;

    pub(crate) fn phase(self) -> Phase {
        match (self.0 & Self::PHASE) >> Self::PHASE_SHIFT {
            0 => Phase::Idle,
            1 => Phase::Armed,
            2 => Phase::Notified,
            3 => Phase::Parked,
            4 => Phase::Queued,
            5 => Phase::Running,
            _ => Phase::Dead,
        }
    }

    pub(crate) fn events(self) -> u32 {
        (self.0 & Self::EVENTS) >> Self::EVENTS_SHIFT
    }

    #[inline(always)]
    pub(crate) fn ipl(self) -> usize {
        let ipl = (self.0 & Self::IPL) as usize;
        // So that arrays need not be checked.
        // SAFETY: By the type invariant.
        unsafe { assert_unchecked(ipl < Ipl::COUNT) };
        ipl
    }

    pub(crate) fn is_masked(self) -> bool {
        self.0 & Self::MASKED != 0
    }

    pub(crate) fn is_stopped(self) -> bool {
        self.0 & Self::STOPPED != 0
    }

    /// Is it at rest, and stopped or dead, so that no interrupt starts it any more?
    pub(crate) fn is_refusing(self) -> bool {
        self.phase() == Phase::Dead || (self.is_stopped() && self.phase() == Phase::Idle)
    }

    fn with(self, phase: Phase) -> State {
        let mut rest = self.0 & !(Self::PHASE | Self::BUSY);
        if phase == Phase::Idle && rest & Self::NEXT_IPL != 0 {
            let next = (rest & Self::NEXT_IPL) >> Self::NEXT_IPL_SHIFT;
            rest = rest & !(Self::NEXT_IPL | Self::IPL) | next;
        }
        let busy = phase != Phase::Idle || rest & Self::STOPPED != 0;
        let busy = if busy { Self::BUSY } else { 0 };
        State(rest | (phase as u32) << Self::PHASE_SHIFT | busy)
    }

    fn with_next_ipl(self, ipl: Ipl) -> State {
        State(self.0 & !Self::NEXT_IPL | u32::from(ipl.get()) << Self::NEXT_IPL_SHIFT)
    }

    fn masked(self) -> State {
        State(self.0 | Self::MASKED)
    }

    fn with_events(self, events: u32) -> State {
        State(self.0 & !Self::EVENTS | events << Self::EVENTS_SHIFT)
    }
}

/// What becomes of an interrupt that may not take the lazy path.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// 9: the handler is Queued now; the caller puts it in its CPU's queue.
    Held,
    /// The interrupt was added to the unfinished handler's events, and starts it again.
    Remembered,
    /// The registration is being dropped and waits for the handler: not handled, but the line's mask stays.
    Late,
    /// The registration is being dropped, or the handler is dead: not handled.
    Refused,
}

/// What the poller must do after a pending poll.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Pending {
    /// 2: nothing, the handler waits.
    Parked,
    /// 4: put it in its CPU's queue.
    Queue,
}

/// What must be done after a handler is done, by the context that resumed it.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    /// 8: it is Idle.
    Idle,
    /// 10: put it in its CPU's queue.
    Again,
    /// Unmask the line first, then ask again: an interrupt that is resent at once finds the
    /// handler unfinished, and is remembered.
    Unmask,
}

/// The atomic word. Every transition is one atomic read-modify-write: `Acquire` to see what the last owner of the
/// handler's storage left there, `Release` to show it to the next owner.
pub(crate) struct Continuation(AtomicU32);

impl Continuation {
    pub(crate) fn new(ipl: Ipl) -> Self {
        Self(AtomicU32::new(ipl.get().into()))
    }

    /// The IPL by which an unfinished handler counts, or by which the next interrupt will.
    pub(crate) fn ipl(&self) -> usize {
        State(self.0.load(Relaxed)).ipl()
    }

    /// Sets the IPL; that of an unfinished handler changes when the handler is Idle again. Returns whether it
    /// has changed already.
    pub(crate) fn set_ipl(&self, ipl: Ipl) -> bool {
        let old = self.update(|state| {
            let state = state.with_next_ipl(ipl);
            Some(state.with(state.phase()))
        });
        old.phase() == Phase::Idle
    }

    /// May an interrupt start the handler lazily on a CPU whose highest unfinished IPL is `level`?
    ///
    /// The `Acquire` pairs with 8: the storage is free, and what the last run left is seen.
    #[inline(always)]
    pub(crate) fn may_start(&self, level: i32) -> bool {
        self.0.load(Acquire) as i32 > level
    }

    /// The `Acquire` pairs with the `Release` of the transition that led to this state.
    pub(crate) fn load(&self) -> State {
        State(self.0.load(Acquire))
    }

    /// Applies `change` until it succeeds, and returns the previous state; `None` leaves the word alone, and
    /// amounts to a `load`.
    fn update(&self, change: impl Fn(State) -> Option<State>) -> State {
        let change = |word| change(State(word)).map(|state| state.0);
        match self.0.fetch_update(AcqRel, Acquire, change) {
            Ok(word) | Err(word) => State(word),
        }
    }

    /// 1, 7: the handler is about to be put in a wait queue. From here on it may be woken. Returns the
    /// previous phase.
    pub(crate) fn arm(&self) -> Phase {
        if self.arm_first().is_some() {
            return Phase::Idle;
        }
        self.arm_again()
    }

    /// 1, if the handler is Idle. Returns its IPL.
    #[inline(always)]
    pub(crate) fn arm_first(&self) -> Option<usize> {
        const ARMED: u32 = (Phase::Armed as u32) << State::PHASE_SHIFT | State::BUSY;
        let state = State(self.0.load(Relaxed));
        if state.phase() != Phase::Idle {
            return None;
        }
        // No other context leaves Idle, whose bits are 0.
        self.0.fetch_or(ARMED, AcqRel);
        Some(state.ipl())
    }

    /// 7.
    #[cold]
    fn arm_again(&self) -> Phase {
        let old = self.update(|state| match state.phase() {
            Phase::Running => Some(state.with(Phase::Armed)),
            _ => None,
        });
        old.phase()
    }

    /// 13, which reverts 1 or 7.
    pub(crate) fn disarm(&self, before: Phase) {
        self.update(|state| (state.phase() == Phase::Armed).then(|| state.with(before)));
    }

    /// 3, 5, 11: what the handler waited for is available. Returns whether the caller must queue it.
    #[must_use]
    #[inline]
    pub(crate) fn wake(&self) -> bool {
        let word = self.0.load(Relaxed);
        if State(word).phase() == Phase::Parked {
            const STEP: u32 = (Phase::Queued as u32 - Phase::Parked as u32) << State::PHASE_SHIFT;
            let queued = word.wrapping_add(STEP);
            if self
                .0
                .compare_exchange(word, queued, AcqRel, Relaxed)
                .is_ok()
            {
                return true;
            }
        }
        self.wake_disturbed()
    }

    /// Its IPL, if the handler waits, and nothing else has happened since it began to.
    #[inline(always)]
    pub(crate) fn parked_ipl(&self) -> Option<usize> {
        let state = self.load();
        let ipl = state.ipl();
        (state == Self::only(Phase::Parked, ipl)).then_some(ipl)
    }

    /// 15: the handler waits for what the caller has released, and is about to be resumed by it.
    /// Returns false, and does nothing, if that is not so any more.
    #[must_use]
    #[inline(always)]
    pub(crate) fn wake_running(&self, ipl: usize) -> bool {
        self.exchange(Phase::Parked, Phase::Running, ipl)
    }

    #[cold]
    fn wake_disturbed(&self) -> bool {
        let old = self.update(|state| match state.phase() {
            Phase::Armed | Phase::Running => Some(state.with(Phase::Notified)),
            Phase::Parked => Some(state.with(Phase::Queued)),
            // If it is Queued, its next poll is yet to come, and looks at the turnstile.
            _ => None,
        });
        old.phase() == Phase::Parked
    }

    /// The handler itself asks to be polled again, in its ithread.
    pub(crate) fn defer(&self) {
        self.update(|state| Some(state.with(Phase::Notified)));
    }

    /// 9, or one more event. `mask` tells whether the caller has disabled the line for it.
    pub(crate) fn arrive(&self, mask: bool) -> Arrival {
        let arrival = |state: State| match state.phase() {
            _ if state.is_refusing() => Arrival::Refused,
            Phase::Idle => Arrival::Held,
            _ if state.is_stopped() => Arrival::Late,
            _ => Arrival::Remembered,
        };
        let old = self.update(|state| {
            let state = if mask { state.masked() } else { state };
            match arrival(state) {
                Arrival::Refused => None,
                Arrival::Late => Some(state),
                Arrival::Held => Some(state.with(Phase::Queued)),
                Arrival::Remembered => {
                    Some(state.with_events((state.events() + 1).min(State::MOST_EVENTS)))
                }
            }
        });
        arrival(old)
    }

    /// The handler's poll has just returned pending: will something wake it, or has something done so?
    #[inline]
    pub(crate) fn is_awaiting(&self) -> bool {
        matches!(self.load().phase(), Phase::Armed | Phase::Notified)
    }

    /// The same after the first poll.
    #[inline]
    pub(crate) fn is_unfinished(&self) -> bool {
        self.load().phase() != Phase::Idle
    }

    /// 2, 4: a poll returned pending, and is awaiting something.
    #[inline]
    pub(crate) fn pending(&self) -> Pending {
        // Other contexts leave Armed only for Notified, so the phase can be changed by an addition.
        const STEP: u32 = (Phase::Parked as u32 - Phase::Armed as u32) << State::PHASE_SHIFT;
        const _: () = assert!(
            Phase::Parked as u32 - Phase::Armed as u32
                == Phase::Queued as u32 - Phase::Notified as u32
        );
        match State(self.0.fetch_add(STEP, AcqRel)).phase() {
            Phase::Armed => Pending::Parked,
            _ => Pending::Queue,
        }
    }

    /// 12: the handler is given up, with its line disabled by `mask`. If an interrupt had disabled the line
    /// already, `unmask` undoes the surplus disabling. Returns how many remembered events are lost.
    pub(crate) fn die(&self, mask: impl FnOnce(), unmask: impl FnOnce()) -> u32 {
        mask();
        let old = self.update(|state| Some(state.masked().with(Phase::Dead)));
        if old.is_masked() {
            unmask();
        }
        old.events()
    }

    /// 6: the ithread takes it from the queue, or the releaser from its batch.
    ///
    /// No other context leaves Queued, so the phase can be changed by an addition.
    pub(crate) fn run(&self) {
        const STEP: u32 = (Phase::Running as u32 - Phase::Queued as u32) << State::PHASE_SHIFT;
        self.0.fetch_add(STEP, AcqRel);
    }

    /// 14: a lazy path that was armed or stopped meanwhile is done.
    #[cold]
    #[inline(never)]
    pub(crate) fn done_lazily(&self) {
        self.update(|state| Some(state.with(Phase::Idle)));
    }

    /// 8, 10, 14: a handler is done in the context that resumed it.
    #[inline(always)]
    pub(crate) fn done(&self, ipl: usize) -> Done {
        // Nearly always nothing has happened meanwhile: no event, no new IPL.
        if self.exchange(Phase::Running, Phase::Idle, ipl) {
            return Done::Idle;
        }
        self.done_disturbed()
    }

    /// The word that says nothing but this.
    #[inline(always)]
    fn only(phase: Phase, ipl: usize) -> State {
        let busy = if phase == Phase::Idle { 0 } else { State::BUSY };
        State((phase as u32) << State::PHASE_SHIFT | busy | ipl as u32)
    }

    /// Changes the phase, if the word says nothing but `from` and the IPL.
    #[inline(always)]
    fn exchange(&self, from: Phase, to: Phase, ipl: usize) -> bool {
        let (from, to) = (Self::only(from, ipl), Self::only(to, ipl));
        self.0
            .compare_exchange(from.0, to.0, AcqRel, Relaxed)
            .is_ok()
    }

    #[cold]
    fn done_disturbed(&self) -> Done {
        let done = |state: State| {
            if state.events() > 0 {
                // Events first: a level line that is unmasked before its event is answered fires
                // at once, is masked again, and its handler never runs.
                Done::Again
            } else if state.is_masked() && !state.is_stopped() {
                // A handler that is being stopped leaves its line masked until the line is freed: a device
                // that still asserts it would not be answered.
                Done::Unmask
            } else {
                Done::Idle
            }
        };
        let old = self.update(|state| {
            Some(match done(state) {
                Done::Unmask => State(state.0 & !State::MASKED),
                Done::Again => state.with_events(state.events() - 1).with(Phase::Queued),
                Done::Idle => state.with(Phase::Idle),
            })
        });
        done(old)
    }

    /// The registration is being dropped: no interrupt starts the handler any more.
    pub(crate) fn stop(&self) {
        self.update(|state| {
            let state = State(state.0 | State::STOPPED);
            Some(state.with(state.phase()))
        });
    }
}

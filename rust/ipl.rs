// SPDX-License-Identifier: GPL-2.0

//! Interrupt priority levels.

use kernel::prelude::*;

/// An interrupt priority level (IPL), 1 to 10.
///
/// It orders the unfinished handlers on one CPU: an interrupt runs lazily ahead of unfinished handlers of
/// lower levels only. Once a handler has blocked, the level sets the priority of the interrupt thread that
/// resumes it: `SCHED_FIFO` 50 + IPL, so that all of them rank above the stock interrupt threads, which share
/// 50. The range is that of Solaris, where 10 is `LOCK_LEVEL`, the highest level at which a handler may
/// block.
///
/// # Examples
///
/// ```
/// use lazyirq::Ipl;
///
/// const DISK: Ipl = Ipl::from_const::<4>();
/// assert!(DISK < Ipl::LOCK_LEVEL);
/// assert!(Ipl::new(11).is_err());
/// # Ok::<(), kernel::error::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(transparent)]
pub struct Ipl(u8);

impl Ipl {
    /// The lowest level.
    pub const LOWEST: Ipl = Ipl(1);

    /// The highest level.
    pub const LOCK_LEVEL: Ipl = Ipl(10);

    /// The `SCHED_FIFO` priority of a level's interrupt threads is this plus the level.
    pub(crate) const FIFO_BASE: u32 = 50;

    /// One more than the highest level: the length of an array indexed by level.
    pub(crate) const COUNT: usize = Self::LOCK_LEVEL.0 as usize + 1;

    /// The level `level`.
    ///
    /// # Errors
    ///
    /// `EINVAL` if it is not in 1..=10; the kernel log says so.
    ///
    /// # Examples
    ///
    /// ```
    /// # use kernel::prelude::*;
    /// use lazyirq::Ipl;
    ///
    /// assert_eq!(Ipl::new(10)?, Ipl::LOCK_LEVEL);
    /// assert_eq!(Ipl::new(0), Err(EINVAL));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn new(level: u8) -> Result<Ipl> {
        if (Self::LOWEST.0..=Self::LOCK_LEVEL.0).contains(&level) {
            Ok(Ipl(level))
        } else {
            pr_err!("{level} is no interrupt priority level: it has to be 1 to 10\n");
            Err(EINVAL)
        }
    }

    /// The level `LEVEL`, checked by the compiler.
    ///
    /// # Examples
    ///
    /// ```
    /// const DISK: lazyirq::Ipl = lazyirq::Ipl::from_const::<4>();
    /// ```
    pub const fn from_const<const LEVEL: u8>() -> Ipl {
        const { assert!(LEVEL >= 1 && LEVEL <= 10, "an IPL is 1 to 10") };
        Ipl(LEVEL)
    }

    /// The level as a number.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(lazyirq::Ipl::LOWEST.get(), 1);
    /// ```
    #[inline]
    pub const fn get(self) -> u8 {
        self.0
    }
}

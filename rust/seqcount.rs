// SPDX-License-Identifier: GPL-2.0

//! A sequence count: what is changed in several steps is seen as it is before the first or after the last of
//! them.
//!
//! Like the kernel's `seqcount_t`, except that readers need not wait: a look may fail.

use crate::primitive::{fence, spin_loop, Acquire, AtomicU32, Relaxed, Release};

/// Odd while something is being changed. It has one writer at a time.
#[derive(Default)]
pub(crate) struct SeqCount(AtomicU32);

impl SeqCount {
    /// How often to look before settling for what there is: more often than interrupts can keep up with.
    pub(crate) const LOOKS: usize = 1000;

    /// For the writer only.
    #[inline]
    pub(crate) fn change<R>(&self, change: impl FnOnce() -> R) -> R {
        let count = self.0.load(Relaxed);
        self.0.store(count.wrapping_add(1), Relaxed);
        // A reader that sees any of the changes sees the odd count too: pairs with the fence in `look`.
        fence(Release);
        let result = change();
        self.0.store(count.wrapping_add(2), Release);
        result
    }

    /// What `look` has seen, if nothing was being changed meanwhile. Any context.
    pub(crate) fn look<R>(&self, look: impl FnOnce() -> R) -> Option<R> {
        let before = self.0.load(Acquire);
        let seen = look();
        fence(Acquire);
        (before % 2 == 0 && before == self.0.load(Relaxed)).then_some(seen)
    }

    /// What `look` has seen while nothing was being changed; or, after many attempts, regardless of that.
    pub(crate) fn read<R>(&self, mut look: impl FnMut() -> R) -> R {
        for _ in 0..Self::LOOKS {
            if let Some(seen) = self.look(&mut look) {
                return seen;
            }
            spin_loop();
        }
        look()
    }
}

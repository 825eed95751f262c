// SPDX-License-Identifier: GPL-2.0

//! An IPL that is a constant is 1 to 10.

use lazyirq::{Ipl, Options};

#[cfg(not(fail))]
const LEVEL: u8 = 10;
#[cfg(fail)]
const LEVEL: u8 = 11;

/// What a driver registers with. Not inlined, so that it is compiled here, as in a driver's probe.
#[inline(never)]
pub fn options() -> Options {
    //~? ERROR evaluation [E0080]
    //~? NOTE an IPL is 1 to 10
    //~? NOTE evaluation of `lazyirq::Ipl::from_const::<11>::{constant#0}` failed
    Options::new(c"uart", Ipl::from_const::<LEVEL>())
}

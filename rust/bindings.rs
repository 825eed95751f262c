// SPDX-License-Identifier: GPL-2.0

//! What the kernel crate lacks: `bindings.h` through bindgen, beside the kernel crate's own.

#![allow(
    clippy::all,
    dead_code,
    improper_ctypes,
    missing_docs,
    non_camel_case_types,
    non_upper_case_globals,
    unreachable_pub,
    unsafe_op_in_unsafe_fn
)]

pub(crate) use kernel::bindings::*;
use kernel::ffi;

include!(env!("LAZYIRQ_BINDINGS"));

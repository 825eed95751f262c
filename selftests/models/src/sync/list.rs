// SPDX-License-Identifier: GPL-2.0

//! There are no lists of locks in models.

pub(crate) struct Links;

impl Links {
    pub(super) fn new() -> Self {
        Self
    }
}

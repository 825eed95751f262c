// SPDX-License-Identifier: GPL-2.0

//! Threads of a model that borrow from its main thread, like those of `std::thread::scope`.

use std::{cell::RefCell, marker::PhantomData, mem::transmute};

pub(crate) struct Threads<'scope> {
    spawned: RefCell<Vec<loom::thread::JoinHandle<()>>>,
    _scope: PhantomData<&'scope mut &'scope ()>,
}

impl<'scope> Threads<'scope> {
    pub(crate) fn spawn(&self, thread: impl FnOnce() + 'scope) {
        let thread: Box<dyn FnOnce() + 'scope> = Box::new(thread);
        // SAFETY: What it borrows outlives the scope, at the end of which it is joined. When that
        // panics, the execution is over, and no thread of it runs again.
        let thread: Box<dyn FnOnce() + 'static> = unsafe { transmute(thread) };
        self.spawned.borrow_mut().push(loom::thread::spawn(thread));
    }
}

/// Runs `main`, and ends when that and the threads that it has spawned have ended.
pub(crate) fn threads<'scope>(main: impl FnOnce(&Threads<'scope>)) {
    let threads = Threads {
        spawned: RefCell::default(),
        _scope: PhantomData,
    };
    main(&threads);
    for thread in threads.spawned.take() {
        thread.join().unwrap();
    }
}

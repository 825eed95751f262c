// SPDX-License-Identifier: GPL-2.0

//! A plugin for QEMU's emulator (TCG): which cache lines does an interrupt touch, and which of these does another
//! CPU touch, too?
//!
//! What is counted lies in windows. The module `lazyirq_sharing` opens one on the CPU that it runs on by
//! writing its [kind](report::KINDS) to a register of an `edu` device, which does nothing else, and closes it by writing
//! [`CLOSE`] there. In between are an interrupt and all that it causes on this CPU.
//!
//! A CPU touches a line, or writes it, if it does so in at least half of its windows of a kind: now and then there is also a
//! timer's interrupt in a window. A line is shared if one CPU writes it, and another one touches it.
//!
//! With the argument `out=FILE` it writes the figures there when the machine ends: the number of lines that a CPU
//! writes, and of those that are shared. A line with a # tells of each shared one by which code the CPUs touch it.

use std::{
    collections::BTreeMap,
    ffi::{c_char, c_int, c_void, CStr},
    ptr,
    sync::{
        atomic::{AtomicBool, Ordering::Relaxed},
        Mutex, MutexGuard, OnceLock,
    },
};

mod qemu;
mod report;

/// Written to the register, this closes the window.
const CLOSE: u64 = 0;

/// The register's place in its page.
const REGISTER: u64 = 4;

const LINE_BITS: u32 = 6;

const MOST_CPUS: usize = 8;

/// What was touched in one window.
#[derive(Default)]
struct Window {
    kind: usize,
    /// Lines, and the address of the first instruction that touched each.
    touched: BTreeMap<u64, u64>,
    /// The same for those that wrote it.
    written: BTreeMap<u64, u64>,
}

/// What is known of one CPU.
struct Cpu {
    is_open: AtomicBool,
    /// The last one is the open one.
    windows: Mutex<Vec<Window>>,
}

impl Cpu {
    fn windows(&self) -> MutexGuard<'_, Vec<Window>> {
        self.windows.lock().expect("nobody panics with it")
    }
}

static CPUS: [Cpu; MOST_CPUS] = [const {
    Cpu {
        is_open: AtomicBool::new(false),
        windows: Mutex::new(Vec::new()),
    }
}; MOST_CPUS];

static OUT: OnceLock<String> = OnceLock::new();

/// A CPU has accessed its memory. `pc` is the instruction's address.
extern "C" fn accessed(cpu: u32, access: u32, address: u64, pc: *mut c_void) {
    let cpu = &CPUS[cpu as usize];
    let is_mark = address & 0xfff == REGISTER;
    let is_open = cpu.is_open.load(Relaxed);
    if !is_mark && !is_open {
        return;
    }
    let Some(place) = qemu::place(access, address) else {
        return;
    };
    let is_store = qemu::is_store(access);
    if place.is_device {
        if is_mark && is_store && place.device == c"edu-mmio" {
            mark(cpu, qemu::value(access));
        }
        return;
    }
    if let (true, Some(window)) = (is_open, cpu.windows().last_mut()) {
        let line = place.address >> LINE_BITS;
        window.touched.entry(line).or_insert(pc as u64);
        if is_store {
            window.written.entry(line).or_insert(pc as u64);
        }
    }
}

/// The CPU has written to the register.
fn mark(cpu: &Cpu, value: u64) {
    if value != CLOSE {
        cpu.windows().push(Window {
            kind: value as usize,
            ..Window::default()
        });
    }
    cpu.is_open.store(value != CLOSE, Relaxed);
}

/// A part of the guest's code is translated.
extern "C" fn translated(_plugin: u64, block: *mut qemu::Block) {
    // SAFETY: QEMU has it for as long as this runs.
    unsafe { qemu::for_each_access(block, accessed) };
}

/// The machine has ended.
extern "C" fn ended(_plugin: u64, _data: *mut c_void) {
    let Some(out) = OUT.get() else { return };
    if let Err(error) = std::fs::write(out, report::report()) {
        eprintln!("cachelines: {out}: {error}");
    }
}

/// The version of the interface for plugins that this uses.
#[no_mangle]
#[allow(non_upper_case_globals)]
pub static qemu_plugin_version: c_int = 4;

/// QEMU has loaded this.
///
/// # Safety
///
/// To be called by QEMU, which gives `count` arguments.
#[no_mangle]
pub unsafe extern "C" fn qemu_plugin_install(
    plugin: u64,
    _info: *const c_void,
    count: c_int,
    arguments: *const *const c_char,
) -> c_int {
    for number in 0..count as usize {
        // SAFETY: By the requirement, there are so many, which are C strings.
        let argument = unsafe { CStr::from_ptr(*arguments.add(number)) }.to_string_lossy();
        match argument.split_once('=') {
            Some(("out", file)) => _ = OUT.set(file.to_owned()),
            _ => {
                eprintln!("cachelines: unknown argument {argument}");
                return -1;
            }
        }
    }
    if OUT.get().is_none() {
        eprintln!("cachelines: out=FILE is missing");
        return -1;
    }
    // SAFETY: QEMU may call them at any time.
    unsafe {
        qemu::qemu_plugin_register_vcpu_tb_trans_cb(plugin, translated);
        qemu::qemu_plugin_register_atexit_cb(plugin, ended, ptr::null_mut());
    }
    0
}

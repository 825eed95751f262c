// SPDX-License-Identifier: GPL-2.0

//! What this uses of QEMU's interface for plugins, version 4 (QEMU 9.2 and later).

use std::ffi::{c_char, c_int, c_void, CStr};

/// Translated code.
#[repr(C)]
pub struct Block([u8; 0]);

#[repr(C)]
struct Instruction([u8; 0]);

#[repr(C)]
struct Address([u8; 0]);

#[repr(C)]
struct Value {
    /// 0 to 4, for 8 to 128 bits.
    size: c_int,
    /// The low half first.
    data: [u64; 2],
}

/// An access: by which CPU, a handle for more of it, the virtual address, and what was given for the instruction.
pub type OnAccess = extern "C" fn(u32, u32, u64, *mut c_void);

/// Does not touch the guest's registers.
const NO_REGISTERS: c_int = 0;
const READS_AND_WRITES: c_int = 3;

extern "C" {
    pub fn qemu_plugin_register_vcpu_tb_trans_cb(plugin: u64, f: extern "C" fn(u64, *mut Block));
    pub fn qemu_plugin_register_atexit_cb(
        plugin: u64,
        f: extern "C" fn(u64, *mut c_void),
        data: *mut c_void,
    );
    fn qemu_plugin_tb_n_insns(block: *const Block) -> usize;
    fn qemu_plugin_tb_get_insn(block: *const Block, index: usize) -> *mut Instruction;
    fn qemu_plugin_insn_vaddr(instruction: *const Instruction) -> u64;
    fn qemu_plugin_register_vcpu_mem_cb(
        instruction: *mut Instruction,
        f: OnAccess,
        registers: c_int,
        accesses: c_int,
        data: *mut c_void,
    );
    fn qemu_plugin_mem_is_store(access: u32) -> bool;
    fn qemu_plugin_mem_get_value(access: u32) -> Value;
    fn qemu_plugin_get_hwaddr(access: u32, address: u64) -> *mut Address;
    fn qemu_plugin_hwaddr_is_io(address: *const Address) -> bool;
    fn qemu_plugin_hwaddr_phys_addr(address: *const Address) -> u64;
    fn qemu_plugin_hwaddr_device_name(address: *const Address) -> *const c_char;
}

/// Has `f` called for each access of the block's instructions, with the instruction's address.
///
/// # Safety
///
/// `block` is one that is being translated.
pub unsafe fn for_each_access(block: *mut Block, f: OnAccess) {
    // SAFETY: By the requirement; the instructions are the block's.
    unsafe {
        for index in 0..qemu_plugin_tb_n_insns(block) {
            let instruction = qemu_plugin_tb_get_insn(block, index);
            let pc = qemu_plugin_insn_vaddr(instruction) as *mut c_void;
            qemu_plugin_register_vcpu_mem_cb(instruction, f, NO_REGISTERS, READS_AND_WRITES, pc);
        }
    }
}

/// Where an access goes.
pub struct Place {
    pub is_device: bool,
    /// Of the device; or RAM.
    pub device: &'static CStr,
    pub address: u64,
}

/// In an [`OnAccess`] only. Nothing for what has no place in the machine.
pub fn place(access: u32, address: u64) -> Option<Place> {
    // SAFETY: By the requirement. QEMU's answer is valid for as long as the call, the name for as long as the plugin.
    unsafe {
        let address = qemu_plugin_get_hwaddr(access, address).as_ref()?;
        Some(Place {
            is_device: qemu_plugin_hwaddr_is_io(address),
            device: CStr::from_ptr(qemu_plugin_hwaddr_device_name(address)),
            address: qemu_plugin_hwaddr_phys_addr(address),
        })
    }
}

pub fn is_store(access: u32) -> bool {
    // SAFETY: It looks at the handle alone.
    unsafe { qemu_plugin_mem_is_store(access) }
}

/// What was read or written. In an [`OnAccess`] only.
pub fn value(access: u32) -> u64 {
    // SAFETY: By the requirement.
    let value = unsafe { qemu_plugin_mem_get_value(access) };
    let bits = 8 << value.size;
    value.data[0] & u64::MAX.checked_shr(64 - bits.min(64)).unwrap_or(0)
}

// SPDX-License-Identifier: GPL-2.0

//! The character devices.

use crate::device::{Edu, DMA_BYTES};
use kernel::{
    fmt,
    fs::{File, Kiocb},
    iov::{IovIterDest, IovIterSource},
    miscdevice::{MiscDevice, MiscDeviceOptions, MiscDeviceRegistration},
    prelude::*,
    str::{CStr, CString},
    sync::Arc,
};

/// A misc device's name must exist for ever, so there can be as many devices as there are names.
const NAMES: [&CStr; 4] = [
    c"lazyirq_edu0",
    c"lazyirq_edu1",
    c"lazyirq_edu2",
    c"lazyirq_edu3",
];

/// The longest text that can be written.
const LONGEST: usize = DMA_BYTES + b"dma \n".len();

/// The highest number of interrupts to raise at a time.
const MOST_RAISED: u32 = 1_000_000;

/// Which device has which name. When a file is opened, its name is all that identifies the device.
struct Table([Entry; NAMES.len()]);

enum Entry {
    Free,
    /// The device is being probed.
    Taken,
    Bound(Arc<Edu>),
}

lazyirq::static_lock! {
    static TABLE: Mutex<Table> = Table([const { Entry::Free }; NAMES.len()]);
}

/// A device's name. It is free again once this is dropped.
pub(crate) struct Place(usize);

impl Place {
    /// # Errors
    ///
    /// `ENOSPC` if there is no name left.
    pub(crate) fn new() -> Result<Self> {
        let mut table = TABLE.lock();
        let free = table
            .0
            .iter()
            .position(|entry| matches!(entry, Entry::Free));
        let index = free.ok_or(ENOSPC)?;
        table.0[index] = Entry::Taken;
        Ok(Self(index))
    }

    pub(crate) fn index(&self) -> usize {
        self.0
    }

    /// Registers the character device of `edu`. Files can be opened from here on.
    pub(crate) fn register(
        &self,
        edu: &Arc<Edu>,
    ) -> impl PinInit<MiscDeviceRegistration<Edu>, Error> {
        TABLE.lock().0[self.0] = Entry::Bound(edu.clone());
        MiscDeviceRegistration::register(MiscDeviceOptions {
            name: NAMES[self.0],
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let entry = core::mem::replace(&mut TABLE.lock().0[self.0], Entry::Free);
        // Drop it without the lock: it may be the last reference.
        drop(entry);
    }
}

#[vtable]
impl MiscDevice for Edu {
    type Ptr = Arc<Edu>;

    fn open(_file: &File, misc: &MiscDeviceRegistration<Self>) -> Result<Arc<Edu>> {
        let name = misc.device().name();
        let index = NAMES
            .iter()
            .position(|other| *other == name)
            .ok_or(ENODEV)?;
        match &TABLE.lock().0[index] {
            Entry::Bound(edu) => Ok(edu.clone()),
            _ => Err(ENODEV),
        }
    }

    fn write_iter(mut kiocb: Kiocb<'_, Self::Ptr>, iov: &mut IovIterSource<'_>) -> Result<usize> {
        let edu = kiocb.file();
        if iov.len() > LONGEST {
            dev_err!(edu.dev, "no more than {LONGEST} bytes can be written\n");
            return Err(EMSGSIZE);
        }
        let mut text = KVec::new();
        let length = iov.copy_from_iter_vec(&mut text, GFP_KERNEL)?;
        let answer = edu.obey(text.strip_suffix(b"\n").unwrap_or(&text))?;
        *edu.answer.lock() = answer;
        // The next read returns the answer, from its beginning.
        *kiocb.ki_pos_mut() = 0;
        Ok(length)
    }

    fn read_iter(mut kiocb: Kiocb<'_, Self::Ptr>, iov: &mut IovIterDest<'_>) -> Result<usize> {
        let edu = kiocb.file();
        let answer = edu.answer.lock();
        iov.simple_read_from_buffer(kiocb.ki_pos_mut(), &answer)
    }
}

/// What can be written: a command.
enum Command<'a> {
    Factorial(u32),
    Dma(&'a [u8]),
    Raise { count: u32, held: bool },
}

impl<'a> Command<'a> {
    fn parse(text: &'a [u8]) -> Option<Self> {
        if let Some(bytes) = text.strip_prefix(b"dma ") {
            return (!bytes.is_empty()).then_some(Command::Dma(bytes));
        }
        let text = core::str::from_utf8(text).ok()?;
        if let Some(raise) = text.strip_prefix("raise ") {
            let (count, held) = match raise.strip_suffix(" held") {
                Some(count) => (count, true),
                None => (raise, false),
            };
            let count = count.parse().ok()?;
            return (count <= MOST_RAISED).then_some(Command::Raise { count, held });
        }
        text.parse().ok().map(Command::Factorial)
    }
}

impl Edu {
    /// Carries out the command that was written, and returns the answer.
    fn obey(&self, text: &[u8]) -> Result<KVec<u8>> {
        let mut answer = match Command::parse(text) {
            Some(Command::Factorial(n)) => print(fmt!("{}", self.factorial(n)?))?,
            Some(Command::Dma(bytes)) => {
                let back = self.dma(bytes)?;
                if back != bytes {
                    dev_err!(self.dev, "DMA brought something else back\n");
                    return Err(EIO);
                }
                back
            }
            Some(Command::Raise { count, held }) => {
                let handled = self.raise(count, held)?;
                print(fmt!("raised {count} handled {handled}"))?
            }
            None => {
                dev_err!(
                    self.dev,
                    "write a number, \"dma TEXT\" or \"raise NUMBER [held]\" (up to {MOST_RAISED})\n"
                );
                return Err(EINVAL);
            }
        };
        answer.push(b'\n', GFP_KERNEL)?;
        Ok(answer)
    }
}

fn print(text: fmt::Arguments<'_>) -> Result<KVec<u8>> {
    let mut bytes = KVec::new();
    bytes.extend_from_slice(CString::try_from_fmt(text)?.to_bytes(), GFP_KERNEL)?;
    Ok(bytes)
}

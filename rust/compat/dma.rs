// SPDX-License-Identifier: GPL-2.0

//! Memory that a device shares with its driver is copied from and to as a whole.

pub use kernel::dma::*;

/// In scope through the prelude.
pub trait CoherentBytes {
    fn dma_address(&self) -> DmaAddress;
    fn copy_from_slice(&self, bytes: &[u8]);
    fn copy_to_slice(&self, bytes: &mut [u8]);
}

impl CoherentBytes for Coherent<[u8]> {
    fn dma_address(&self) -> DmaAddress {
        self.dma_handle()
    }

    fn copy_from_slice(&self, bytes: &[u8]) {
        assert_eq!(bytes.len(), self.len());
        let to = self.as_mut_ptr().cast::<u8>();
        // SAFETY: It is as long, and whatever else the device or a driver writes there is bytes as well.
        unsafe { bytes.as_ptr().copy_to(to, bytes.len()) };
    }

    fn copy_to_slice(&self, bytes: &mut [u8]) {
        assert_eq!(bytes.len(), self.len());
        let from = self.as_ptr().cast::<u8>();
        // SAFETY: As above.
        unsafe { from.copy_to(bytes.as_mut_ptr(), bytes.len()) };
    }
}

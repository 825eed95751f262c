// SPDX-License-Identifier: GPL-2.0

//! Interrupt vectors belong to the code that allocates them, and a driver may be bound without an entry in
//! its table.

use crate::irq::IrqRequest;
use core::{marker::PhantomData, ops::Deref};
pub use kernel::pci::*;
use kernel::{
    bindings,
    device::{self, Bound, Core, DeviceContext},
    devres::Devres,
    error::to_result,
    pci as old,
    prelude::*,
};

pub type DevresBar<const SIZE: usize = 0> = Devres<Bar<'static, SIZE>>;

#[derive(Clone, Copy, Debug)]
pub enum IrqType {
    Intx = bindings::PCI_IRQ_INTX as isize,
    Msi = bindings::PCI_IRQ_MSI as isize,
    MsiX = bindings::PCI_IRQ_MSIX as isize,
}

#[derive(Clone, Copy, Default)]
pub struct IrqTypes(u32);

impl IrqTypes {
    pub const fn all() -> Self {
        Self(bindings::PCI_IRQ_ALL_TYPES)
    }

    pub const fn with(self, irq_type: IrqType) -> Self {
        Self(self.0 | irq_type as u32)
    }
}

/// # Invariants
///
/// The device has vectors, which belong to this.
pub struct IrqVectorRegistration<'a>(&'a Device<Bound>);

pub struct IrqVector<'a>(IrqRequest<'a>);

impl<'a> From<IrqVector<'a>> for IrqRequest<'a> {
    fn from(vector: IrqVector<'a>) -> Self {
        vector.0
    }
}

impl IrqVectorRegistration<'_> {
    pub fn index(&self, index: usize) -> Result<IrqVector<'_>> {
        // SAFETY: By the type invariant.
        let irq = unsafe { bindings::pci_irq_vector(self.0.as_raw(), index.try_into()?) };
        to_result(irq)?;
        // SAFETY: It is an interrupt of this device, which is bound.
        Ok(IrqVector(unsafe { IrqRequest::new(irq as u32) }))
    }
}

impl Drop for IrqVectorRegistration<'_> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant.
        unsafe { bindings::pci_free_irq_vectors(self.0.as_raw()) };
    }
}

#[repr(transparent)]
pub struct Device<C: DeviceContext>(old::Device<C>);

impl<C: DeviceContext> Device<C> {
    fn new(device: &old::Device<C>) -> &Self {
        // SAFETY: The type is transparent.
        unsafe { &*core::ptr::from_ref(device).cast() }
    }

    fn as_raw(&self) -> *mut bindings::pci_dev {
        // Both types are transparent.
        core::ptr::from_ref(self).cast_mut().cast()
    }
}

impl Device<Bound> {
    pub fn alloc_irq_vectors(
        &self,
        min: u32,
        max: u32,
        types: IrqTypes,
    ) -> Result<IrqVectorRegistration<'_>> {
        // SAFETY: The device is bound.
        let count = unsafe { bindings::pci_alloc_irq_vectors(self.as_raw(), min, max, types.0) };
        to_result(count)?;
        // INVARIANT: Allocated.
        Ok(IrqVectorRegistration(self))
    }
}

impl Device<Core<'_>> {
    pub fn enable_device_mem(&self) -> Result {
        self.0.enable_device_mem()
    }

    pub fn set_master(&self) {
        self.0.set_master()
    }
}

impl<'a> Deref for Device<Core<'a>> {
    type Target = Device<Bound>;

    fn deref(&self) -> &Device<Bound> {
        Device::new(&self.0)
    }
}

impl Deref for Device<Bound> {
    type Target = old::Device<Bound>;

    fn deref(&self) -> &old::Device<Bound> {
        &self.0
    }
}

impl<C: DeviceContext> AsRef<device::Device<C>> for Device<C> {
    fn as_ref(&self) -> &device::Device<C> {
        self.0.as_ref()
    }
}

impl<'a> kernel::dma::Device<'a> for Device<Core<'a>> {}

pub trait Driver {
    type IdInfo: 'static;
    type Data<'bound>: Send + 'bound;
    const ID_TABLE: IdTable<Self::IdInfo>;

    fn probe<'bound>(
        dev: &'bound Device<Core<'_>>,
        info: Option<&'bound Self::IdInfo>,
    ) -> impl PinInit<Self::Data<'bound>, Error> + 'bound;

    fn unbind<'bound>(_dev: &'bound Device<Core<'_>>, _this: Pin<&Self::Data<'bound>>) {}
}

/// Makes a driver for 7.3's crate one for 7.2's.
pub struct Bridge<T>(PhantomData<T>);

pub type Adapter<T> = old::Adapter<Bridge<T>>;

impl<T: Driver> old::Driver for Bridge<T> {
    type IdInfo = T::IdInfo;
    type Data<'bound> = T::Data<'bound>;
    const ID_TABLE: IdTable<T::IdInfo> = T::ID_TABLE;

    fn probe<'bound>(
        dev: &'bound old::Device<Core<'_>>,
        info: &'bound T::IdInfo,
    ) -> impl PinInit<T::Data<'bound>, Error> + 'bound {
        T::probe(Device::new(dev), Some(info))
    }

    fn unbind<'bound>(dev: &'bound old::Device<Core<'_>>, this: Pin<&T::Data<'bound>>) {
        T::unbind(Device::new(dev), this)
    }
}

//! A flash that survives its store, and that tests can access while the store uses it.

use std::{
    cell::{RefCell, RefMut},
    rc::Rc,
};

use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};
use keyfob_soft_authenticator::store::flash::{PowerIsOff, SimulatedFlash};

/// A handle. Clones are the same flash.
#[derive(Clone)]
pub struct SharedFlash<const PAGE: usize, const WORD: usize>(Rc<RefCell<SimulatedFlash<PAGE, WORD>>>);

impl<const PAGE: usize, const WORD: usize> SharedFlash<PAGE, WORD> {
    pub fn new(flash: SimulatedFlash<PAGE, WORD>) -> Self {
        Self(Rc::new(RefCell::new(flash)))
    }

    pub fn get(&self) -> RefMut<'_, SimulatedFlash<PAGE, WORD>> {
        self.0.borrow_mut()
    }

    /// Another flash with the same contents.
    pub fn copy(&self) -> Self {
        Self::new(self.get().clone())
    }
}

impl<const PAGE: usize, const WORD: usize> ErrorType for SharedFlash<PAGE, WORD> {
    type Error = PowerIsOff;
}

impl<const PAGE: usize, const WORD: usize> ReadNorFlash for SharedFlash<PAGE, WORD> {
    const READ_SIZE: usize = SimulatedFlash::<PAGE, WORD>::READ_SIZE;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), PowerIsOff> {
        self.get().read(offset, bytes)
    }

    fn capacity(&self) -> usize {
        self.get().capacity()
    }
}

impl<const PAGE: usize, const WORD: usize> NorFlash for SharedFlash<PAGE, WORD> {
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = PAGE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), PowerIsOff> {
        self.get().erase(from, to)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), PowerIsOff> {
        self.get().write(offset, bytes)
    }
}

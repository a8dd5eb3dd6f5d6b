//! A flash that is RAM, with the pages and words of an nRF52840's. A word is written once between two erasures.

use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash};
use keyfob_core::bytes;

const PAGE: usize = 4096;
/// Bytes of the flash. The smallest chip has 64 KB of RAM for everything.
pub const SIZE: usize = if cfg!(chip = "cortex-m0") { 6 } else { 12 } * PAGE;

/// The flash.
pub struct Flash<'f>(pub &'f mut [u8; SIZE]);

impl Flash<'_> {
    fn part(&mut self, from: u32, len: usize) -> Result<&mut [u8], NorFlashErrorKind> {
        let from = from as usize;
        self.0.get_mut(from..from.saturating_add(len)).ok_or(NorFlashErrorKind::OutOfBounds)
    }
}

impl ErrorType for Flash<'_> {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for Flash<'_> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, from: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        let len = bytes.len();
        bytes::copy(bytes, self.part(from, len)?);
        Ok(())
    }

    fn capacity(&self) -> usize {
        SIZE
    }
}

impl NorFlash for Flash<'_> {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = PAGE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        self.part(from, to.saturating_sub(from) as usize)?.fill(0xFF);
        Ok(())
    }

    fn write(&mut self, from: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        let part = self.part(from, bytes.len())?;
        if part.iter().any(|byte| *byte != 0xFF) {
            return Err(NorFlashErrorKind::Other);
        }
        bytes::copy(part, bytes);
        Ok(())
    }
}

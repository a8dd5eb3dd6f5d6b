//! The part of a flash that the store gets, and the device key.

use core::ops::Range;

use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash};
use keyfob_core::{
    bytes::{self, Secret},
    crypto::{Hash, RustCrypto},
};
use rand_core::TryCryptoRng;

/// A part of a flash, from its beginning counted.
pub struct Partition<F> {
    flash: F,
    range: Range<u32>,
}

impl<F> Partition<F> {
    /// The bytes `range` of the flash: whole pages, which the program must not lie in (`memory.x`).
    pub const fn new(flash: F, range: Range<u32>) -> Self {
        Self { flash, range }
    }

    /// Where `len` bytes from `from` on begin on the whole flash.
    fn place(&self, from: u32, len: u32) -> Result<u32, Failed> {
        let begin = self.range.start.checked_add(from).ok_or(Failed)?;
        let end = begin.checked_add(len).ok_or(Failed)?;
        if end <= self.range.end { Ok(begin) } else { Err(Failed) }
    }
}

/// The flash refused, or an address is not in the partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed;

impl embedded_storage::nor_flash::NorFlashError for Failed {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::Other
    }
}

fn len(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

impl<F> ErrorType for Partition<F> {
    type Error = Failed;
}

impl<F: ReadNorFlash> ReadNorFlash for Partition<F> {
    const READ_SIZE: usize = F::READ_SIZE;

    fn read(&mut self, from: u32, bytes: &mut [u8]) -> Result<(), Failed> {
        let from = self.place(from, len(bytes))?;
        self.flash.read(from, bytes).map_err(|_| Failed)
    }

    fn capacity(&self) -> usize {
        self.range.end.saturating_sub(self.range.start) as usize
    }
}

impl<F: NorFlash> NorFlash for Partition<F> {
    const WRITE_SIZE: usize = F::WRITE_SIZE;
    const ERASE_SIZE: usize = F::ERASE_SIZE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Failed> {
        let len = to.checked_sub(from).ok_or(Failed)?;
        let from = self.place(from, len)?;
        self.flash.erase(from, from.saturating_add(len)).map_err(|_| Failed)
    }

    fn write(&mut self, from: u32, bytes: &[u8]) -> Result<(), Failed> {
        let from = self.place(from, len(bytes))?;
        self.flash.write(from, bytes).map_err(|_| Failed)
    }
}

/// The device key, in the page at `page`. At the first start, or if there is no whole one, it is made.
///
/// It is as secret as the flash: switch the chip's readout protection on. A product keeps it where only the chip can
/// read it. `None` if the flash or the random source fails. If a key gets lost, the store under it cannot be opened.
pub fn device_key<F: NorFlash>(flash: &mut F, page: u32, rng: &mut impl TryCryptoRng) -> Option<Secret<32>> {
    const { assert!(LEN.is_multiple_of(F::WRITE_SIZE) && LEN.is_multiple_of(F::READ_SIZE) && LEN <= F::ERASE_SIZE) };
    if let Some(key) = stored(flash, page) {
        return Some(key);
    }
    let mut image = Secret([0; LEN]);
    let (key, check) = image.split_first_chunk_mut::<32>()?;
    rng.try_fill_bytes(key).ok()?;
    bytes::copy(check, &RustCrypto.sha256(&[&key[..]]));
    flash.erase(page, page.checked_add(u32::try_from(F::ERASE_SIZE).ok()?)?).ok()?;
    flash.write(page, &*image).ok()?;
    stored(flash, page)
}

/// Bytes of the key and its hash, which tells a whole key from an interrupted write.
const LEN: usize = 64;

fn stored<F: NorFlash>(flash: &mut F, page: u32) -> Option<Secret<32>> {
    let mut image = Secret([0; LEN]);
    flash.read(page, &mut *image).ok()?;
    let (key, check) = image.split_first_chunk::<32>()?;
    (RustCrypto.sha256(&[key]) == *check).then(|| Secret(*key))
}

#[cfg(test)]
mod tests {
    use keyfob_soft_authenticator::store::flash::SimulatedFlash;

    use super::*;
    use crate::random::reliable;

    fn nth(n: u8) -> impl TryCryptoRng {
        reliable(move |bytes| bytes.fill(n))
    }

    #[test]
    fn the_device_key_is_made_once() {
        let mut flash = SimulatedFlash::<4096, 4>::new(2);
        assert_eq!(*device_key(&mut flash, 4096, &mut nth(1)).unwrap(), [1; 32]);
        assert_eq!(*device_key(&mut flash, 4096, &mut nth(2)).unwrap(), [1; 32]);
    }

    #[test]
    fn an_interrupted_key_is_made_anew() {
        let mut flash = SimulatedFlash::<4096, 4>::new(1);
        flash.write(0, &[1; 32]).unwrap();
        assert_eq!(*device_key(&mut flash, 0, &mut nth(2)).unwrap(), [2; 32]);
    }

    #[test]
    fn a_partition_ends_where_it_ends() {
        let mut part = Partition::new(SimulatedFlash::<4096, 4>::new(4), 4096..8192);
        assert_eq!(part.capacity(), 4096);
        assert_eq!(part.write(4092, &[0; 4]), Ok(()));
        assert_eq!(part.write(4092, &[0; 8]), Err(Failed));
        assert_eq!(part.erase(0, 8192), Err(Failed));
        assert_eq!(part.read(u32::MAX, &mut [0; 4]), Err(Failed));
        part.flash.write(8192, &[0; 4]).unwrap();
        assert_eq!(part.erase(0, 4096), Ok(()));
        let mut bytes = [1; 4];
        part.flash.read(8192, &mut bytes).unwrap();
        assert_eq!(bytes, [0; 4], "the next page is not ours");
    }
}

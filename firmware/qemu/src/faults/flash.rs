//! A flash that is RAM and whose power fails when told so. It has the pages of an STM32G4, and words of four bytes that
//! are written once between two erasures.

use core::cell::RefCell;

use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};

const PAGE: usize = 2048;
const WORD: usize = 4;
/// Bytes of the flash: slightly more pages than the credentials and two large-blob arrays need, so that pages are also
/// freed within commands.
pub const SIZE: usize = 13 * PAGE;

/// What a power cut leaves of the write or erasure in which it falls.
#[derive(Clone, Copy)]
pub enum Tear {
    /// Nothing was done.
    Before,
    /// All was done, but the caller does not learn it.
    After,
    /// A part was done, another one for each seed. A word that the cut fell on holds anything, or reads as erased and
    /// does not keep what is written to it.
    Within(u32),
}

/// When the power fails.
#[derive(Clone, Copy)]
pub struct Cut {
    /// At the write or erasure with this number from now on, from 0.
    pub operation: u32,
    /// What it leaves.
    pub tear: Tear,
}

/// The memory of the flash, and its power supply.
pub struct Medium {
    bytes: [u8; SIZE],
    /// Words that read as erased and do not keep what is written to them, a bit each.
    torn: [u8; SIZE / WORD / 8],
    /// Writes and erasures so far.
    pub operations: u32,
    /// Erasures so far.
    pub erasures: u32,
    cut: Option<Cut>,
    is_off: bool,
    noise: u32,
}

/// The flash has no power, or was used as flash must not be.
#[derive(Debug)]
pub struct FlashFailed;

impl NorFlashError for FlashFailed {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::Other
    }
}

impl Medium {
    /// An erased flash.
    pub const fn new() -> Self {
        Self {
            bytes: [0xFF; SIZE],
            torn: [0; SIZE / WORD / 8],
            operations: 0,
            erasures: 0,
            cut: None,
            is_off: false,
            noise: 0,
        }
    }

    /// Makes this flash the same as another one, with power.
    pub fn copy(&mut self, other: &Self) {
        self.bytes = other.bytes;
        self.torn = other.torn;
        self.power_on();
    }

    /// Lets the power fail.
    pub fn cut(&mut self, cut: Cut) {
        self.cut = Some(cut);
    }

    /// Whether the power has failed.
    pub fn is_off(&self) -> bool {
        self.is_off
    }

    /// Gives the power back. A cut that has not come does not come.
    pub fn power_on(&mut self) {
        self.is_off = false;
        self.cut = None;
    }

    /// What the power leaves of the operation that begins now. `None` when the power stays.
    fn tear(&mut self) -> Result<Option<Tear>, FlashFailed> {
        if self.is_off {
            return Err(FlashFailed);
        }
        self.operations += 1;
        let Some(cut) = &mut self.cut else { return Ok(None) };
        if let Some(left) = cut.operation.checked_sub(1) {
            cut.operation = left;
            return Ok(None);
        }
        let tear = cut.tear;
        self.is_off = true;
        if let Tear::Within(seed) = tear {
            self.noise = seed;
        }
        Ok(Some(tear))
    }

    fn random(&mut self) -> u32 {
        self.noise = self.noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.noise >> 8
    }

    fn is_torn(&self, word: usize) -> bool {
        self.torn.get(word / 8).is_some_and(|bits| bits >> (word % 8) & 1 == 1)
    }

    fn set_torn(&mut self, word: usize, torn: bool) {
        if let Some(bits) = self.torn.get_mut(word / 8) {
            *bits = *bits & !(1 << (word % 8)) | u8::from(torn) << (word % 8);
        }
    }

    fn fill(&mut self, word: usize, bytes: [u8; WORD], torn: bool) {
        self.set_torn(word, torn);
        if let Some(at) = self.bytes.as_chunks_mut().0.get_mut(word) {
            *at = bytes;
        }
    }

    fn noise(&mut self) -> [u8; WORD] {
        (self.random() << 16 ^ self.random()).to_le_bytes()
    }

    fn program(&mut self, word: usize, bytes: [u8; WORD]) -> Result<(), FlashFailed> {
        if self.is_torn(word) {
            let noise = self.noise();
            self.fill(word, noise, false);
            return Ok(());
        }
        match self.bytes.as_chunks::<WORD>().0.get(word) {
            Some([0xFF, 0xFF, 0xFF, 0xFF]) => self.fill(word, bytes, false),
            _ => return Err(FlashFailed), // written twice
        }
        Ok(())
    }

    fn erase_page(&mut self, page: usize) -> Result<(), FlashFailed> {
        let tear = self.tear()?;
        self.erasures += 1;
        if matches!(tear, Some(Tear::Before)) {
            return Err(FlashFailed);
        }
        for word in page * PAGE / WORD..(page + 1) * PAGE / WORD {
            let (fate, noise) = (self.random() % 4, self.noise());
            match tear {
                Some(Tear::Within(_)) if fate == 0 => self.fill(word, [0xFF; WORD], true),
                Some(Tear::Within(_)) if fate == 1 => self.fill(word, noise, false),
                Some(Tear::Within(_)) if fate == 2 => {} // as it was
                _ => self.fill(word, [0xFF; WORD], false),
            }
        }
        if tear.is_some() { Err(FlashFailed) } else { Ok(()) }
    }

    fn write(&mut self, first: usize, words: &[[u8; WORD]]) -> Result<(), FlashFailed> {
        let tear = self.tear()?;
        let whole = match tear {
            Some(Tear::Before) => return Err(FlashFailed),
            Some(Tear::Within(_)) => self.random() as usize % words.len().max(1),
            _ => words.len(),
        };
        for (index, word) in words.iter().take(whole).enumerate() {
            self.program(first + index, *word)?;
        }
        if matches!(tear, Some(Tear::Within(_))) {
            let (torn, noise) = (self.random().is_multiple_of(2), self.noise());
            self.fill(first + whole, if torn { [0xFF; WORD] } else { noise }, torn);
        }
        if tear.is_some() { Err(FlashFailed) } else { Ok(()) }
    }
}

/// The driver of the flash.
#[derive(Clone, Copy)]
pub struct Flash<'f>(pub &'f RefCell<Medium>);

impl ErrorType for Flash<'_> {
    type Error = FlashFailed;
}

impl ReadNorFlash for Flash<'_> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, from: u32, bytes: &mut [u8]) -> Result<(), FlashFailed> {
        let (medium, from) = (self.0.borrow(), from as usize);
        let there = medium.bytes.get(from..from + bytes.len()).filter(|_| !medium.is_off).ok_or(FlashFailed)?;
        bytes.copy_from_slice(there);
        Ok(())
    }

    fn capacity(&self) -> usize {
        SIZE
    }
}

impl NorFlash for Flash<'_> {
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = PAGE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashFailed> {
        (from as usize / PAGE..to as usize / PAGE).try_for_each(|page| self.0.borrow_mut().erase_page(page))
    }

    fn write(&mut self, from: u32, bytes: &[u8]) -> Result<(), FlashFailed> {
        self.0.borrow_mut().write(from as usize / WORD, bytes.as_chunks().0)
    }
}

//! A NOR flash in memory. It is as strict as the strictest chip, counts operations and erasures, and loses its power
//! when a test wants it.

// A test double: a misuse of it is a panic.
#![allow(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::panic, clippy::expect_used)]

use std::{vec, vec::Vec};

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};

/// What the power cut leaves of the operation in which it falls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tear {
    /// Nothing was done.
    Before,
    /// All was done, but the caller does not learn it.
    After,
    /// Some of it, differently with every seed: of a write a few words, and one that holds anything, or reads as erased
    /// and is not; of an erasure anything, word by word.
    Within(u64),
}

/// When the power fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// At the write or erasure with this number from now on; the next one is number 0.
    pub operation: u64,
    /// What becomes of it.
    pub tear: Tear,
}

/// The flash has no power, or a page is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PowerIsOff;

impl NorFlashError for PowerIsOff {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::Other
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Erased,
    Written,
    /// The power failed while it was written: it reads as erased, and what is written to it is not kept.
    Torn,
}

/// A NOR flash with pages of `PAGE` bytes that is written in words of `WORD` bytes. It panics when it is used in a way
/// that NOR flash does not allow: words are written once between two erasures.
#[derive(Clone)]
pub struct SimulatedFlash<const PAGE: usize, const WORD: usize> {
    bytes: Vec<u8>,
    words: Vec<Word>,
    /// How often each page was erased.
    pub erasures: Vec<u32>,
    /// Words written so far.
    pub words_written: u64,
    /// Writes and erasures so far.
    pub operations: u64,
    /// Reads so far.
    pub reads: u64,
    /// Bytes read so far.
    pub bytes_read: u64,
    /// Pages that do not erase: half of their words stay as they are.
    pub broken: Vec<usize>,
    cut: Option<Cut>,
    is_off: bool,
    noise: u64,
}

impl<const PAGE: usize, const WORD: usize> SimulatedFlash<PAGE, WORD> {
    /// An erased flash.
    pub fn new(pages: usize) -> Self {
        Self::with(vec![0xFF; pages * PAGE])
    }

    /// A flash with these bytes, every one of which counts as written unless its word reads as erased. They are filled
    /// up to a page.
    pub fn with(mut bytes: Vec<u8>) -> Self {
        bytes.resize(bytes.len().next_multiple_of(PAGE), 0xFF);
        let written = |word: &[u8]| if word.iter().all(|byte| *byte == 0xFF) { Word::Erased } else { Word::Written };
        Self {
            words: (0..bytes.len() / WORD).map(|word| written(&bytes[word * WORD..][..WORD])).collect(),
            erasures: vec![0; bytes.len() / PAGE],
            bytes,
            words_written: 0,
            operations: 0,
            reads: 0,
            bytes_read: 0,
            broken: Vec::new(),
            cut: None,
            is_off: false,
            noise: 0,
        }
    }

    /// What it holds.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Makes the power fail.
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

    /// What becomes of the operation that begins now.
    fn tear(&mut self) -> Result<Option<Tear>, PowerIsOff> {
        if self.is_off {
            return Err(PowerIsOff);
        }
        self.operations += 1;
        let Some(cut) = &mut self.cut else { return Ok(None) };
        match cut.operation.checked_sub(1) {
            Some(left) => {
                cut.operation = left;
                Ok(None)
            }
            None => {
                self.is_off = true;
                if let Tear::Within(seed) = cut.tear {
                    self.noise = seed;
                }
                Ok(Some(cut.tear))
            }
        }
    }

    /// SplitMix64.
    fn random(&mut self) -> u64 {
        self.noise = self.noise.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.noise ^ (self.noise >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn fill(&mut self, word: usize, byte: impl Fn(u64) -> u8, state: Word) {
        for at in word * WORD..(word + 1) * WORD {
            let noise = self.random();
            self.bytes[at] = byte(noise);
        }
        self.words[word] = state;
    }

    fn program(&mut self, word: usize, bytes: &[u8]) {
        match self.words[word] {
            Word::Erased => {
                for (to, from) in self.bytes[word * WORD..].iter_mut().zip(bytes) {
                    *to = *from;
                }
                self.words[word] = Word::Written;
                self.words_written += 1;
            }
            Word::Torn => self.fill(word, |noise| noise as u8, Word::Written),
            Word::Written => panic!("word {word} is written twice"),
        }
    }
}

impl<const PAGE: usize, const WORD: usize> ErrorType for SimulatedFlash<PAGE, WORD> {
    type Error = PowerIsOff;
}

impl<const PAGE: usize, const WORD: usize> ReadNorFlash for SimulatedFlash<PAGE, WORD> {
    const READ_SIZE: usize = if WORD < 4 { WORD } else { 4 };

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), PowerIsOff> {
        check_read(self, offset, bytes.len()).expect("reads are aligned and in range");
        if self.is_off {
            return Err(PowerIsOff);
        }
        self.reads += 1;
        self.bytes_read += bytes.len() as u64;
        for (to, from) in bytes.iter_mut().zip(&self.bytes[offset as usize..]) {
            *to = *from;
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.bytes.len()
    }
}

impl<const PAGE: usize, const WORD: usize> NorFlash for SimulatedFlash<PAGE, WORD> {
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = PAGE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), PowerIsOff> {
        check_erase(self, from, to).expect("erasures are aligned and in range");
        for page in from as usize / PAGE..to as usize / PAGE {
            let tear = self.tear()?;
            if tear == Some(Tear::Before) {
                return Err(PowerIsOff);
            }
            self.erasures[page] += 1;
            let broken = self.broken.contains(&page);
            for word in page * PAGE / WORD..(page + 1) * PAGE / WORD {
                match tear {
                    Some(Tear::Within(_)) => match self.random() % 4 {
                        0 => self.fill(word, |_| 0xFF, Word::Torn),
                        1 => self.fill(word, |noise| noise as u8, Word::Written),
                        2 => self.words[word] = Word::Written,
                        _ => self.fill(word, |_| 0xFF, Word::Erased),
                    },
                    _ if broken && word.is_multiple_of(2) => {}
                    _ => self.fill(word, |_| 0xFF, Word::Erased),
                }
            }
            if tear.is_some() {
                return Err(PowerIsOff);
            }
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), PowerIsOff> {
        check_write(self, offset, bytes.len()).expect("writes are aligned and in range");
        let tear = self.tear()?;
        let (first, count) = (offset as usize / WORD, bytes.len() / WORD);
        let whole = match tear {
            Some(Tear::Before) => return Err(PowerIsOff),
            Some(Tear::Within(_)) => (self.random() % count.max(1) as u64) as usize,
            _ => count,
        };
        for index in 0..whole {
            self.program(first + index, &bytes[index * WORD..]);
        }
        match tear {
            None => Ok(()),
            Some(Tear::Within(_)) if self.random().is_multiple_of(2) => {
                self.fill(first + whole, |_| 0xFF, Word::Torn);
                Err(PowerIsOff)
            }
            Some(Tear::Within(_)) => {
                self.fill(first + whole, |noise| noise as u8, Word::Written);
                Err(PowerIsOff)
            }
            Some(_) => Err(PowerIsOff),
        }
    }
}

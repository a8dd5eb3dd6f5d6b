//! A security key on a chip: the store is on NOR flash, reports come and go by USB, one button is the user.
#![no_std]

use embedded_storage::nor_flash::NorFlash;
use keyfob_core::{Instant, crypto::RustCrypto, transport::hid::DeviceConfig};
use keyfob_soft_authenticator::{
    Caps,
    engine::{Config, ConfigError, Engine, Platform},
    hid::HidAuthenticator,
    store::{FlashStore, flash::FlashError},
};
use rand_core::TryCryptoRng;

/// Credentials that the key has room for.
const CREDENTIALS: usize = 50;
/// Pieces of the large-blob array, of 512 bytes.
const BLOBS: usize = 4;

/// What the key is. One that cannot work does not compile.
const CONFIG: Config<'static> = {
    let new = Config::new([0; 16]);
    Config { caps: new.caps.without(Caps::EDDSA), max_msg_size: 1_200, ..new }
};
const _: () = assert!(CONFIG.check(CONFIG.caps).is_ok());

/// What the board brings: a flash and a random source.
pub struct Board<F, R>(core::marker::PhantomData<(F, R)>);

impl<F: NorFlash, R: TryCryptoRng> Platform for Board<F, R> {
    const COMPILED: Caps = CONFIG.caps;
    type Crypto = RustCrypto;
    type Rng = R;
    type Store = FlashStore<F, RustCrypto, CREDENTIALS, BLOBS>;
}

/// Why a key does not start.
#[derive(Clone, Copy, Debug)]
pub enum StartError {
    /// The flash cannot be used.
    Flash(FlashError),
    /// The configuration cannot work.
    Config(ConfigError),
}

impl core::fmt::Display for StartError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Flash(error) => core::fmt::Display::fmt(error, f),
            Self::Config(error) => core::fmt::Display::fmt(error, f),
        }
    }
}

impl core::error::Error for StartError {}

impl From<FlashError> for StartError {
    fn from(error: FlashError) -> Self {
        Self::Flash(error)
    }
}

impl From<ConfigError> for StartError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

/// A running key.
pub struct Key<'b, F: NorFlash, R: TryCryptoRng>(HidAuthenticator<'b, Board<F, R>>);

impl<'b, F: NorFlash, R: TryCryptoRng> Key<'b, F, R> {
    /// Starts. `device_key` is a secret of the chip, such as one in its fuses.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(
        flash: F,
        rng: R,
        device_key: &[u8; 32],
        buffer: &'b mut [u8],
        now: Instant,
    ) -> Result<Self, StartError> {
        let store = FlashStore::new(flash, RustCrypto, device_key)?;
        let engine = Engine::new(buffer, CONFIG, RustCrypto, rng, store, now)?;
        Ok(Self(HidAuthenticator::new(engine, DeviceConfig::default())))
    }

    /// One round of the main loop: a report that came in, whether the button is pressed, and the report to send.
    pub fn turn(&mut self, now: Instant, report: Option<&[u8; 64]>, button: bool) -> Option<[u8; 64]> {
        if let Some(report) = report {
            self.0.receive(now, report);
        }
        if button {
            self.0.touch(now, true);
        }
        self.0.tick(now);
        self.0.transmit(now)
    }
}

/// A board, so that a compiler for its chip sees all of it.
pub mod board {
    use core::convert::Infallible;

    use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash};
    use keyfob_core::Instant;
    use rand_core::{TryCryptoRng, TryRng};

    use super::{Key, StartError};

    const PAGE: usize = 2_048;
    const PAGES: usize = 32;

    /// Flash in RAM, as a board has it that keeps RAM alive with a battery.
    pub struct Pages(pub [u8; PAGE * PAGES]);

    impl ErrorType for Pages {
        type Error = NorFlashErrorKind;
    }

    impl ReadNorFlash for Pages {
        const READ_SIZE: usize = 1;

        fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
            let start = offset as usize;
            let end = start.checked_add(bytes.len()).ok_or(NorFlashErrorKind::OutOfBounds)?;
            let from = self.0.get(start..end).ok_or(NorFlashErrorKind::OutOfBounds)?;
            bytes.copy_from_slice(from);
            Ok(())
        }

        fn capacity(&self) -> usize {
            PAGE * PAGES
        }
    }

    impl NorFlash for Pages {
        const WRITE_SIZE: usize = 4;
        const ERASE_SIZE: usize = PAGE;

        fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
            let pages = self.0.get_mut(from as usize..to as usize).ok_or(NorFlashErrorKind::OutOfBounds)?;
            pages.fill(0xFF);
            Ok(())
        }

        fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
            let start = offset as usize;
            let end = start.checked_add(bytes.len()).ok_or(NorFlashErrorKind::OutOfBounds)?;
            let to = self.0.get_mut(start..end).ok_or(NorFlashErrorKind::OutOfBounds)?;
            to.copy_from_slice(bytes);
            Ok(())
        }
    }

    /// A generator that counts: a board has a true one.
    pub struct Counter(pub u64);

    impl TryRng for Counter {
        type Error = Infallible;

        fn try_next_u32(&mut self) -> Result<u32, Infallible> {
            self.try_next_u64().map(|word| word as u32)
        }

        fn try_next_u64(&mut self) -> Result<u64, Infallible> {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            Ok(self.0)
        }

        fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
            for byte in bytes {
                *byte = (self.try_next_u64()? >> 56) as u8;
            }
            Ok(())
        }
    }

    impl TryCryptoRng for Counter {}

    /// The main function of the firmware, without its loop.
    pub fn start(pages: Pages, buffer: &mut [u8]) -> Result<Key<'_, Pages, Counter>, StartError> {
        Key::start(pages, Counter(1), &[7; 32], buffer, Instant::default())
    }

    /// The loop's body.
    pub fn turn(
        key: &mut Key<'_, Pages, Counter>,
        now: Instant,
        report: Option<&[u8; 64]>,
        button: bool,
    ) -> Option<[u8; 64]> {
        key.turn(now, report, button)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use keyfob_core::Instant;

    use super::board::{Pages, start, turn};

    #[test]
    fn a_key_answers_the_init_of_a_host() {
        let pages = std::boxed::Box::new(Pages([0xFF; 65_536]));
        let mut buffer = std::vec![0; 2_500];
        let mut key = start(*pages, &mut buffer).unwrap();
        // INIT on the broadcast channel with a nonce of eight bytes.
        let mut report = [0; 64];
        report[..15].copy_from_slice(b"\xFF\xFF\xFF\xFF\x86\x00\x08\x01\x02\x03\x04\x05\x06\x07\x08");
        let answer = turn(&mut key, Instant::from_millis(1), Some(&report), false).unwrap();
        assert_eq!((answer[4], &answer[7..15]), (0x86, &report[7..15]));
    }
}

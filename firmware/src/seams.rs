//! Minimal implementations of the traits that an integrator provides. The optimiser does not know their results.

use core::{convert::Infallible, hint::black_box};

#[cfg(not(feature = "rustcrypto"))]
use keyfob_core::crypto::StubCrypto;
use keyfob_soft_authenticator::{
    Caps,
    engine::{Config, Platform},
    store::{Blobs, Change, Found, Number, Query, Setting, Store, StoreError},
};
use rand_core::{TryCryptoRng, TryRng};

/// A platform without hardware.
pub struct Chip;

impl Platform for Chip {
    const COMPILED: Caps = COMPILED;
    const CTAP2: bool = match option_env!("KEYFOB_PROFILE") {
        Some(text) => !matches!(text.as_bytes(), b"4"), // u2f_only
        None => true,
    };
    #[cfg(feature = "rustcrypto")]
    type Crypto = keyfob_core::crypto::RustCrypto;
    #[cfg(not(feature = "rustcrypto"))]
    type Crypto = StubCrypto;
    type Rng = Noise;
    type Store = Flash;
}

/// All capabilities except those that `footprint` removes. `KEYFOB_PROFILE` is the number of a named configuration,
/// `KEYFOB_WITHOUT` the bits of [`Caps`] to remove.
pub const COMPILED: Caps = {
    let all = match option_env!("KEYFOB_PROFILE") {
        None => Caps::ALL,
        Some(text) => match number(text.as_bytes()) {
            0 => Config::fido2_3_full([0; 16]).caps,
            1 => Config::yubikey5_like([0; 16]).caps,
            2 => Config::arculus_like([0; 16]).caps,
            3 => Config::minimal_2_0([0; 16]).caps,
            4 => Config::u2f_only([0; 16]).caps,
            _ => panic!("there are profiles 0 to 4"),
        },
    };
    match option_env!("KEYFOB_WITHOUT") {
        None => all,
        Some(text) => all.without(Caps(number(text.as_bytes()))),
    }
};

const fn number(mut digits: &[u8]) -> u64 {
    let mut number = 0;
    while let [digit, rest @ ..] = digits {
        number = 10 * number + (*digit - b'0') as u64;
        digits = rest;
    }
    number
}

/// A random source.
pub struct Noise;

impl TryRng for Noise {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(black_box(4))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(black_box(4))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        black_box(bytes);
        Ok(())
    }
}

impl TryCryptoRng for Noise {}

/// A store.
pub struct Flash;

impl Store for Flash {
    fn get(&mut self, _: Setting, out: &mut [u8]) -> Result<Option<usize>, StoreError> {
        black_box(out);
        black_box(Ok(None))
    }

    fn next(&mut self, _: Query<'_>, _: Option<Number>, out: &mut [u8]) -> Result<Option<Found>, StoreError> {
        black_box(out);
        black_box(Ok(None))
    }

    fn count(&mut self, _: Query<'_>) -> Result<u32, StoreError> {
        black_box(Ok(0))
    }

    fn large_blobs_capacity(&self) -> usize {
        black_box(1024)
    }

    fn large_blobs_len(&mut self) -> Result<usize, StoreError> {
        black_box(Ok(0))
    }

    fn read_large_blobs(&mut self, _: Blobs, _: usize, out: &mut [u8]) -> Result<(), StoreError> {
        black_box(out);
        black_box(Ok(()))
    }

    fn stage(&mut self, _: usize, bytes: &[u8]) -> Result<(), StoreError> {
        black_box(bytes);
        black_box(Ok(()))
    }

    fn remaining(&mut self) -> Result<u32, StoreError> {
        black_box(Ok(0))
    }

    fn commit(&mut self, changes: &[Change<'_>]) -> Result<(), StoreError> {
        black_box(changes);
        black_box(Ok(()))
    }
}

/// A flash, for the log.
#[cfg(feature = "flash-log")]
pub struct Pages;

#[cfg(feature = "flash-log")]
mod pages {
    use core::{convert::Infallible, hint::black_box};

    use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};

    use super::Pages;

    impl ErrorType for Pages {
        type Error = Infallible;
    }

    impl ReadNorFlash for Pages {
        const READ_SIZE: usize = 4;

        fn read(&mut self, _: u32, bytes: &mut [u8]) -> Result<(), Infallible> {
            black_box(bytes);
            Ok(())
        }

        fn capacity(&self) -> usize {
            black_box(65_536)
        }
    }

    impl NorFlash for Pages {
        const WRITE_SIZE: usize = 4;
        const ERASE_SIZE: usize = 4096;

        fn erase(&mut self, _: u32, _: u32) -> Result<(), Infallible> {
            black_box(Ok(()))
        }

        fn write(&mut self, _: u32, bytes: &[u8]) -> Result<(), Infallible> {
            black_box(bytes);
            black_box(Ok(()))
        }
    }
}

//! PINs in the form that the PIN/UV auth protocols use (CTAP 2.3 §6.5.1).

use core::{fmt, hint::black_box};

use subtle::ConstantTimeEq;

use super::UserVerified;
use crate::{
    bytes::{self, Secret},
    crypto::Hash,
};

/// The longest PIN, in bytes of UTF-8.
pub const MAX_PIN_BYTES: usize = 63;
/// A PIN is padded with zeros to this many bytes.
const PADDED: usize = 64;

/// Why a PIN cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum PinError {
    /// Fewer code points than required.
    TooShort,
    /// More than 63 bytes of UTF-8.
    TooLong,
    /// The PIN ends in a zero byte, which could not be told from the padding.
    TrailingZero,
}

/// A PIN padded to 64 bytes. Wiped on drop, never printed.
pub struct PaddedPin(Secret<PADDED>);

impl fmt::Debug for PaddedPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PaddedPin(..)")
    }
}

impl PaddedPin {
    /// Pads `pin`, which the caller has brought into Unicode NFC.
    ///
    /// # Errors
    /// [`PinError`]: the PIN is too short, too long, or ends in a zero byte.
    pub fn new(pin: &str, min_length: usize) -> Result<Self, PinError> {
        if pin.len() > MAX_PIN_BYTES {
            return Err(PinError::TooLong);
        }
        if pin.ends_with('\0') {
            return Err(PinError::TrailingZero);
        }
        let padded = Self(Secret(bytes::padded(pin.as_bytes())));
        if padded.code_points() < min_length { Err(PinError::TooShort) } else { Ok(padded) }
    }

    /// Takes a decrypted newPinEnc. `None` when it is not 64 bytes long.
    pub fn from_decrypted(padded: &[u8]) -> Option<Self> {
        padded.try_into().ok().map(|padded| Self(Secret(padded)))
    }

    /// The 64 bytes to encrypt.
    pub fn as_bytes(&self) -> &[u8; PADDED] {
        &self.0
    }

    /// The PIN without its padding.
    pub fn stripped(&self) -> &[u8] {
        let length = self.0.iter().rposition(|byte| *byte != 0).map_or(0, |last| last.saturating_add(1));
        bytes::front(&*self.0, length)
    }

    /// Length in bytes.
    pub fn byte_len(&self) -> usize {
        self.stripped().len()
    }

    /// Length in Unicode code points: the number of bytes that are not UTF-8 continuation bytes.
    pub fn code_points(&self) -> usize {
        self.stripped().iter().filter(|byte| **byte & 0xC0 != 0x80).count()
    }

    /// The hash that is stored and compared.
    pub fn hash<C: Hash>(&self, crypto: &C) -> PinHash {
        PinHash::of(crypto, self.stripped())
    }
}

/// The first half of a PIN's SHA-256. Wiped on drop, never printed.
#[derive(Clone)]
pub struct PinHash(pub [u8; 16]);

impl Drop for PinHash {
    fn drop(&mut self) {
        bytes::wipe(&mut self.0);
    }
}

impl fmt::Debug for PinHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PinHash(..)")
    }
}

impl PinHash {
    /// The hash of a PIN without padding.
    pub fn of<C: Hash>(crypto: &C, pin: &[u8]) -> Self {
        Self(bytes::first(&*Secret(crypto.sha256(&[pin]))))
    }

    /// Evidence of user verification if `other` equals this hash, otherwise `None`. Compares twice, because a fault may
    /// skip one comparison.
    pub fn verify(&self, other: &[u8]) -> Option<UserVerified> {
        (self.matches(other) && black_box(self).matches(black_box(other))).then(UserVerified::new)
    }

    /// Whether `other` equals this hash. Compares in constant time; a wrong length never matches.
    pub fn matches(&self, other: &[u8]) -> bool {
        self.0.as_slice().ct_eq(other).into()
    }
}

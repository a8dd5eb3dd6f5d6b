//! PIN/UV auth protocols one and two, both ends (CTAP 2.3 §6.5.4 to §6.5.7).
//!
//! | | one | two |
//! |---|---|---|
//! | shared secret | SHA-256(Z) for both keys | HKDF-SHA-256(Z), one key each |
//! | encrypt | AES-256-CBC, zero IV | AES-256-CBC, random IV in front |
//! | authenticate | HMAC-SHA-256, first 16 bytes | HMAC-SHA-256 |
//!
//! The platform calls [`encapsulate`], the authenticator [`decapsulate`]; both get the same [`SharedSecret`]. With a
//! [`Token`] the platform then authenticates its commands, and the authenticator verifies them against its
//! [`TokenState`].

use core::fmt;

use rand_core::TryCryptoRng;
use subtle::ConstantTimeEq;

use crate::{
    bytes::{self, Secret},
    cose::CoseKey,
    crypto::{Agreement, Cipher, Error, Hash, P256Point, P256Secret, fill_random},
};

mod identifier;
mod pin;
mod proof;
mod token;

pub use identifier::{CRED_STORE_STATE, DEVICE_IDENTIFIER, ValueKey, ValuePurpose};
pub use pin::{MAX_PIN_BYTES, PaddedPin, PinError, PinHash};
pub use proof::UserVerified;
pub use token::{
    INITIAL_USAGE_LIMIT, MAX_TOKEN, MAX_USAGE_PERIOD, NFC_LIMIT, Permissions, Token, TokenState, USER_PRESENT_LIMIT,
};

/// A PIN/UV auth protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum PinUvAuthProtocol {
    /// Version 1 (CTAP 2.0).
    One = 1,
    /// Version 2 (CTAP 2.1).
    Two = 2,
}

/// The AES initialisation vector that protocol two puts in front of a ciphertext, in bytes.
const IV: usize = 16;
/// An AES block, in bytes.
const BLOCK: usize = 16;

impl PinUvAuthProtocol {
    /// The protocol with this number, if it is known.
    pub const fn from_number(number: u32) -> Option<Self> {
        match number {
            1 => Some(Self::One),
            2 => Some(Self::Two),
            _ => None,
        }
    }

    /// The protocol's number.
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// How many bytes encryption adds to the plaintext.
    pub const fn overhead(self) -> usize {
        match self {
            Self::One => 0,
            Self::Two => IV,
        }
    }

    /// The length of a pinUvAuthParam, in bytes.
    pub const fn mac_len(self) -> usize {
        match self {
            Self::One => 16,
            Self::Two => 32,
        }
    }

    fn authenticate<C: Hash>(self, crypto: &C, key: &[u8], message: &[&[u8]]) -> Mac {
        Mac { bytes: crypto.hmac_sha256(key, message), length: self.mac_len() }
    }
}

/// A pinUvAuthParam.
#[derive(Clone)]
pub struct Mac {
    bytes: [u8; 32],
    length: usize,
}

impl Mac {
    /// The bytes to send: 16 with protocol one, 32 with protocol two.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or(&self.bytes)
    }

    /// Whether `param` equals this value. Compares in constant time; a wrong length never matches.
    pub fn matches(&self, param: &[u8]) -> bool {
        // A fault in memory may alter the length. An empty value would match an empty `param`, so a length below 16
        // never matches.
        self.length >= PinUvAuthProtocol::One.mac_len() && self.as_bytes().ct_eq(param).into()
    }
}

/// The keys that platform and authenticator share after key agreement. Wiped on drop.
#[derive(Clone)]
pub struct SharedSecret {
    protocol: PinUvAuthProtocol,
    hmac_key: Secret<32>,
    aes_key: Secret<32>,
}

impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedSecret({:?}, ..)", self.protocol)
    }
}

impl SharedSecret {
    /// Derives the keys from `z`, the x coordinate of the shared point.
    pub fn derive<C: Hash>(crypto: &C, protocol: PinUvAuthProtocol, z: &[u8; 32]) -> Self {
        match protocol {
            PinUvAuthProtocol::One => {
                let key = Secret(crypto.sha256(&[z]));
                Self { protocol, hmac_key: key.clone(), aes_key: key.clone() }
            }
            PinUvAuthProtocol::Two => Self {
                protocol,
                hmac_key: Secret(crypto.hkdf_sha256(&[0; 32], z, b"CTAP2 HMAC key")),
                aes_key: Secret(crypto.hkdf_sha256(&[0; 32], z, b"CTAP2 AES key")),
            },
        }
    }

    /// The protocol this secret belongs to.
    pub const fn protocol(&self) -> PinUvAuthProtocol {
        self.protocol
    }

    /// Encrypts `plaintext` into `out` and returns the ciphertext's length, [`PinUvAuthProtocol::overhead`] more than
    /// the plaintext's.
    ///
    /// # Errors
    /// [`Error::InvalidLength`] if the plaintext is not a multiple of 16 bytes, [`Error::OutputTooSmall`],
    /// [`Error::RandomSource`].
    pub fn encrypt<C: Cipher, R: TryCryptoRng + ?Sized>(
        &self,
        crypto: &C,
        rng: &mut R,
        plaintext: &[u8],
        out: &mut [u8],
    ) -> Result<usize, Error> {
        let mut iv = [0; IV];
        if self.protocol == PinUvAuthProtocol::Two {
            fill_random(rng, &mut iv)?;
        }
        self.encrypt_with_iv(crypto, iv, plaintext, out)
    }

    /// [`SharedSecret::encrypt`] with a given IV, which must be random and used only once. Protocol one ignores it and
    /// uses zeros.
    ///
    /// # Errors
    /// [`Error::InvalidLength`] if the plaintext is not a multiple of 16 bytes, [`Error::OutputTooSmall`].
    pub fn encrypt_with_iv<C: Cipher>(
        &self,
        crypto: &C,
        iv: [u8; IV],
        plaintext: &[u8],
        out: &mut [u8],
    ) -> Result<usize, Error> {
        let iv = if self.protocol == PinUvAuthProtocol::Two { iv } else { [0; IV] };
        let overhead = self.protocol.overhead();
        let length = overhead.saturating_add(plaintext.len());
        let out = out.get_mut(..length).ok_or(Error::OutputTooSmall)?;
        let (front, body) = out.split_at_mut_checked(overhead).ok_or(Error::OutputTooSmall)?;
        bytes::copy(front, bytes::front(&iv, overhead));
        bytes::copy(body, plaintext);
        crypto.aes256_cbc_encrypt(&self.aes_key, &iv, body)?;
        Ok(length)
    }

    /// Decrypts `ciphertext` into `out` and returns the plaintext's length.
    ///
    /// # Errors
    /// [`Error::InvalidLength`] if the ciphertext is not a multiple of 16 bytes or has no IV,
    /// [`Error::OutputTooSmall`].
    pub fn decrypt<C: Cipher>(&self, crypto: &C, ciphertext: &[u8], out: &mut [u8]) -> Result<usize, Error> {
        let (iv, body) = ciphertext.split_at_checked(self.protocol.overhead()).ok_or(Error::InvalidLength)?;
        if body.len() % BLOCK != 0 {
            return Err(Error::InvalidLength);
        }
        let out = out.get_mut(..body.len()).ok_or(Error::OutputTooSmall)?;
        bytes::copy(out, body);
        crypto.aes256_cbc_decrypt(&self.aes_key, &bytes::padded(iv), out)?;
        Ok(body.len())
    }

    /// The pinUvAuthParam of the concatenated `message`.
    pub fn authenticate<C: Hash>(&self, crypto: &C, message: &[&[u8]]) -> Mac {
        self.protocol.authenticate(crypto, &*self.hmac_key, message)
    }

    /// Whether `param` is the pinUvAuthParam of `message`.
    pub fn verify<C: Hash>(&self, crypto: &C, message: &[&[u8]], param: &[u8]) -> bool {
        self.authenticate(crypto, message).matches(param)
    }
}

/// The platform's half of key agreement: a fresh key for the authenticator, and the secret shared with it.
///
/// ```
/// # #[cfg(feature = "rustcrypto")] {
/// use keyfob_core::{cose::CoseKey, crypto::{Agreement, RustCrypto}};
/// use keyfob_core::pin_uv::{PinUvAuthProtocol, decapsulate, encapsulate};
/// # use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
/// # let mut rng = ChaCha8Rng::seed_from_u64(1);
/// let protocol = PinUvAuthProtocol::Two;
/// let (secret, public) = RustCrypto.p256_generate(&mut rng)?; // the authenticator's
/// let (platform_key, shared) =
///     encapsulate(&RustCrypto, &mut rng, protocol, &CoseKey::key_agreement(&public))?;
/// let same = decapsulate(&RustCrypto, protocol, &secret, &CoseKey::key_agreement(&platform_key))?;
///
/// let param = shared.authenticate(&RustCrypto, &[b"a message"]);
/// assert!(same.verify(&RustCrypto, &[b"a message"], param.as_bytes()));
/// # }
/// # Ok::<(), keyfob_core::crypto::Error>(())
/// ```
///
/// # Errors
/// [`Error::InvalidKey`] when the authenticator's key is not a point on P-256, [`Error::RandomSource`].
pub fn encapsulate<C: Hash + Agreement, R: TryCryptoRng + ?Sized>(
    crypto: &C,
    rng: &mut R,
    protocol: PinUvAuthProtocol,
    authenticator_key: &CoseKey<'_>,
) -> Result<(P256Point, SharedSecret), Error> {
    let peer = authenticator_key.p256_point().ok_or(Error::InvalidKey)?;
    let (secret, public) = crypto.p256_generate(rng)?;
    Ok((public, shared(crypto, protocol, &secret, &peer)?))
}

/// The authenticator's half of key agreement.
///
/// # Errors
/// [`Error::InvalidKey`] when the platform's key is not a point on P-256.
pub fn decapsulate<C: Hash + Agreement>(
    crypto: &C,
    protocol: PinUvAuthProtocol,
    secret: &P256Secret,
    platform_key: &CoseKey<'_>,
) -> Result<SharedSecret, Error> {
    let peer = platform_key.p256_point().ok_or(Error::InvalidKey)?;
    shared(crypto, protocol, secret, &peer)
}

fn shared<C: Hash + Agreement>(
    crypto: &C,
    protocol: PinUvAuthProtocol,
    secret: &P256Secret,
    peer: &P256Point,
) -> Result<SharedSecret, Error> {
    let z = Secret(crypto.p256_shared(secret, peer)?);
    Ok(SharedSecret::derive(crypto, protocol, &z))
}

#[cfg(test)]
mod tests;

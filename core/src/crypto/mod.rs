//! The seam to cryptography: five small traits, so that one backend's ES256 can stand beside another's RSA.
//!
//! | trait | what it does | who needs it |
//! |---|---|---|
//! | [`Hash`] | SHA-256, HMAC, HKDF | client, engine, verifier |
//! | [`Cipher`] | AES-CBC, AES-GCM | client, engine |
//! | [`Agreement`] | ECDH on P-256 | client, engine |
//! | [`Sign`] | key generation, signatures | engine |
//! | [`Verify`] | signature verification | verifier |
//!
//! Keys are bytes, algorithms are values: a backend that lacks an algorithm answers [`Error::Unsupported`], and an
//! integrator composes two backends with one `match`. Methods take `&self`; a backend that owns a peripheral keeps it
//! in a cell. Every backend passes the suite of the crate `keyfob-conformance`.

use rand_core::TryCryptoRng;

pub use crate::cose::P256Point;
use crate::{
    bytes::{self, Secret, wipe},
    cose::{Algorithm, CoseKey},
};

pub mod der;
#[cfg(feature = "rustcrypto")]
mod rustcrypto;
#[cfg(any(test, feature = "stub-crypto"))]
mod stub;
mod watch;
#[cfg(feature = "rustcrypto")]
pub use rustcrypto::RustCrypto;
#[cfg(any(test, feature = "stub-crypto"))]
pub use stub::StubCrypto;
pub use watch::{CryptoCall, Forward, Watch, Watched};

/// Why a backend could not do what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Error {
    /// The backend does not know this algorithm.
    Unsupported,
    /// A key is malformed, out of range, or a point that is not on its curve.
    InvalidKey,
    /// An input has a length the algorithm does not take.
    InvalidLength,
    /// An output slice is too small.
    OutputTooSmall,
    /// A tag or a signature does not verify.
    Mismatch,
    /// The backend's hardware failed.
    Failed,
    /// The random source failed.
    RandomSource,
}

/// Fills `bytes` with random ones.
///
/// # Errors
/// [`Error::RandomSource`]: the source failed. The bytes are zero then.
pub fn fill_random<R: TryCryptoRng + ?Sized>(rng: &mut R, bytes: &mut [u8]) -> Result<(), Error> {
    rng.try_fill_bytes(bytes).map_err(|_| {
        wipe(bytes);
        Error::RandomSource
    })
}

/// A running SHA-256.
pub trait Sha256: Clone {
    /// Absorbs `data`.
    fn update(&mut self, data: &[u8]);
    /// The hash of everything absorbed.
    fn finish(self) -> [u8; 32];
}

/// The hash functions that a TPM may use in its attestation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashFunction {
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

/// SHA-256 and what is built on it.
pub trait Hash {
    /// A running hash of this backend.
    type Sha256: Sha256;

    /// A fresh running hash.
    fn sha256_start(&self) -> Self::Sha256;

    /// HMAC-SHA-256 of the concatenated `parts`.
    fn hmac_sha256(&self, key: &[u8], parts: &[&[u8]]) -> [u8; 32];

    /// HKDF-SHA-256 with 32 bytes of output, all that CTAP derives at a time (RFC 5869 §2). A reference to a backend
    /// and [`Watched`] make it of [`Hash::hmac_sha256`], whatever the backend does.
    fn hkdf_sha256(&self, salt: &[u8], ikm: &[u8], info: &[u8]) -> [u8; 32] {
        let prk = Secret(self.hmac_sha256(salt, &[ikm]));
        self.hmac_sha256(&*prk, &[info, &[1]])
    }

    /// Writes the hash of the concatenated `parts` and returns its length in bytes. Only verification of the attestation
    /// format "tpm" calls this. Every backend has SHA-256; the others are for hosts.
    ///
    /// # Errors
    /// [`Error::Unsupported`].
    fn digest(&self, function: HashFunction, parts: &[&[u8]], digest: &mut [u8; 64]) -> Result<usize, Error> {
        if function != HashFunction::Sha256 {
            return Err(Error::Unsupported);
        }
        let hash = self.sha256(parts);
        bytes::put(digest, &hash);
        Ok(hash.len())
    }

    /// SHA-256 of the concatenated `parts`.
    fn sha256(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut hash = self.sha256_start();
        for part in parts {
            hash.update(part);
        }
        hash.finish()
    }
}

/// The block-cipher modes CTAP uses. All work in place.
pub trait Cipher {
    /// AES-256-CBC without padding.
    ///
    /// # Errors
    /// [`Error::InvalidLength`] unless `data` is whole 16-byte blocks.
    fn aes256_cbc_encrypt(&self, key: &[u8; 32], iv: &[u8; 16], data: &mut [u8]) -> Result<(), Error>;
    /// The inverse of [`Cipher::aes256_cbc_encrypt`].
    ///
    /// # Errors
    /// [`Error::InvalidLength`] unless `data` is whole 16-byte blocks.
    fn aes256_cbc_decrypt(&self, key: &[u8; 32], iv: &[u8; 16], data: &mut [u8]) -> Result<(), Error>;
    /// AES-128-CBC of one block, for encIdentifier and encCredStoreState (CTAP 2.3 §6.4).
    fn aes128_cbc_encrypt(&self, key: &[u8; 16], iv: &[u8; 16], data: &mut [u8; 16]);
    /// The inverse of [`Cipher::aes128_cbc_encrypt`].
    fn aes128_cbc_decrypt(&self, key: &[u8; 16], iv: &[u8; 16], data: &mut [u8; 16]);
    /// AES-256-GCM: encrypts `data` in place and returns the tag.
    ///
    /// # Errors
    /// [`Error::Failed`]; [`Error::InvalidLength`] for more data than the backend takes.
    fn aes256_gcm_seal(&self, key: &[u8; 32], nonce: &[u8; 12], aad: &[u8], data: &mut [u8])
    -> Result<[u8; 16], Error>;
    /// The inverse.
    ///
    /// It takes the same work whether or not the tag is right: a backend always decrypts. Otherwise time tells which
    /// credential ids are the authenticator's, those that `credProtect` hides among them.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when the tag is wrong; `data` then has no meaning.
    fn aes256_gcm_open(
        &self,
        key: &[u8; 32],
        nonce: &[u8; 12],
        aad: &[u8],
        data: &mut [u8],
        tag: &[u8; 16],
    ) -> Result<(), Error>;
}

/// The order of P-256's group (SP 800-186 §3.2.1.3).
pub const P256_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7,
    0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// A P-256 secret scalar, 32 bytes big-endian. Wiped on drop, never printed.
#[derive(Clone)]
pub struct P256Secret(pub [u8; 32]);

impl Drop for P256Secret {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

impl core::fmt::Debug for P256Secret {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("P256Secret(..)")
    }
}

/// ECDH on P-256, the key agreement of the PIN/UV auth protocols.
pub trait Agreement {
    /// A fresh key pair.
    ///
    /// # Errors
    /// [`Error::RandomSource`]: the random source failed.
    fn p256_generate<R: TryCryptoRng + ?Sized>(&self, rng: &mut R) -> Result<(P256Secret, P256Point), Error>;
    /// The public point of `secret`.
    ///
    /// # Errors
    /// [`Error::InvalidKey`] for zero or a value past the group's order.
    fn p256_public(&self, secret: &P256Secret) -> Result<P256Point, Error>;
    /// The x coordinate of the shared point.
    ///
    /// # Errors
    /// [`Error::InvalidKey`] when `peer` is not on the curve.
    fn p256_shared(&self, secret: &P256Secret, peer: &P256Point) -> Result<[u8; 32], Error>;
}

/// Key generation and signatures for credentials and attestation.
///
/// Secret keys are stored in the backend's own form, at most [`MAX_SECRET`] bytes for the built-in one. Public keys are
/// raw: `x‖y` for elliptic curves of the COSE type EC2, the key itself for OKP and AKP, the modulus and an exponent of
/// three bytes for RSA ([`CoseKey::from_raw`]).
pub trait Sign {
    /// The algorithms this backend signs with, in order of preference.
    fn algorithms(&self) -> &[Algorithm];

    /// Generates a key pair, writes both halves and returns their lengths: `(secret, public)`. When it fails, what is
    /// written has no meaning.
    ///
    /// # Errors
    /// [`Error::Unsupported`]; [`Error::OutputTooSmall`]; [`Error::RandomSource`].
    fn generate<R: TryCryptoRng + ?Sized>(
        &self,
        algorithm: Algorithm,
        rng: &mut R,
        secret: &mut [u8],
        public: &mut [u8],
    ) -> Result<(usize, usize), Error>;

    /// Writes the raw public key of `secret` and returns its length.
    ///
    /// # Errors
    /// [`Error::Unsupported`]; [`Error::InvalidKey`]; [`Error::OutputTooSmall`].
    fn public_key(&self, algorithm: Algorithm, secret: &[u8], public: &mut [u8]) -> Result<usize, Error>;

    /// Signs the concatenated `message` in WebAuthn's signature format (DER for ECDSA) and returns the length.
    /// Does not recompute the public key where the algorithm allows it.
    ///
    /// `hedge` is 32 random bytes that go into the signature's nonce beside the key and the message (RFC 6979 §3.6 for
    /// ECDSA, the prefix of RFC 8032 §5.1.6 for EdDSA, `rnd` of FIPS 204 §3.4 for ML-DSA). Two signatures of one
    /// message then have different nonces, so that a fault in one of them does not give the key away by comparison.
    /// Predictable bytes do no harm. Without `hedge` the signature follows from the key and the message, unless the
    /// backend adds randomness of its own.
    ///
    /// # Errors
    /// [`Error::Unsupported`]; [`Error::InvalidKey`]; [`Error::OutputTooSmall`]; [`Error::Failed`].
    fn sign_hedged(
        &self,
        algorithm: Algorithm,
        secret: &[u8],
        message: &[&[u8]],
        hedge: Option<&[u8; HEDGE]>,
        signature: &mut [u8],
    ) -> Result<usize, Error>;

    /// [`Sign::sign_hedged`] without random bytes.
    ///
    /// # Errors
    /// Those of [`Sign::sign_hedged`].
    fn sign(
        &self,
        algorithm: Algorithm,
        secret: &[u8],
        message: &[&[u8]],
        signature: &mut [u8],
    ) -> Result<usize, Error> {
        self.sign_hedged(algorithm, secret, message, None, signature)
    }

    /// Verifies a signature that was just made with `secret`, under the public key that belongs to it. So a fault while
    /// it was made is noticed; a secret that was altered before is not.
    ///
    /// # Errors
    /// [`Error::Mismatch`], and those of [`Sign::public_key`].
    fn check_signature(
        &self,
        algorithm: Algorithm,
        secret: &[u8],
        message: &[&[u8]],
        signature: &[u8],
    ) -> Result<(), Error>
    where
        Self: Verify,
    {
        let mut public = [0; MAX_PUBLIC];
        let len = self.public_key(algorithm, secret, &mut public)?;
        let key = public.get(..len).and_then(|public| CoseKey::from_raw(algorithm, public));
        self.verify(&key.ok_or(Error::InvalidKey)?, message, signature)
    }
}

/// Signature verification, for the relying party.
pub trait Verify {
    /// Checks `signature` over the concatenated `message`. ECDSA signatures are strict DER. The key is looked at first:
    /// an invalid one is [`Error::InvalidKey`] whatever the signature is.
    ///
    /// # Errors
    /// [`Error::Mismatch`], [`Error::InvalidKey`], [`Error::Unsupported`].
    fn verify(&self, key: &CoseKey<'_>, message: &[&[u8]], signature: &[u8]) -> Result<(), Error>;
}

/// Everything an authenticator or a client needs for the PIN/UV auth protocols.
pub trait Crypto: Hash + Cipher + Agreement {}
impl<T: Hash + Cipher + Agreement> Crypto for T {}

/// Random bytes that hedge a signature.
pub const HEDGE: usize = 32;

/// The seed that an ML-DSA key is expanded from, in bytes (FIPS 204 §5.1).
pub const ML_DSA_SEED: usize = 32;

/// The longest secret key of the algorithms built in, in bytes: RSA's primes, a scalar of P-521, or Ed25519's seed and
/// public key. It has room for Ed25519 without `eddsa` too, for a backend of one's own.
pub const MAX_SECRET: usize = longest(0);
/// The longest raw public key of the algorithms built in, in bytes: that of ML-DSA-87, RSA's modulus and exponent, or
/// `x‖y` on the largest curve.
pub const MAX_PUBLIC: usize = longest(1);
/// The longest signature of the algorithms built in, in bytes: that of ML-DSA-87, of RSA, or the DER of ECDSA on the
/// largest curve.
pub const MAX_SIGNATURE: usize = longest(2);

/// Whether an algorithm is built in, and the lengths of its secret keys, public keys and signatures, in bytes.
const LENGTHS: [(bool, [usize; 3]); 5] = [
    (true, [64, 64, 72]), // Ed25519, and ECDSA on P-256
    (cfg!(feature = "es384"), [48, 96, 104]),
    (cfg!(feature = "es512"), [66, 132, 139]),
    (cfg!(feature = "rsa"), [256, 259, 256]),
    (cfg!(feature = "ml-dsa"), [ML_DSA_SEED, 2592, 4627]),
];

#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "runs at compile time")]
/// The longest in column `of` of [`LENGTHS`], in bytes: 0 is the secret key, 1 the public key, 2 the signature.
const fn longest(of: usize) -> usize {
    let (mut longest, mut at) = (0, 0);
    while at < LENGTHS.len() {
        let (built_in, lengths) = LENGTHS[at];
        if built_in && lengths[of] > longest {
            longest = lengths[of];
        }
        at += 1;
    }
    longest
}

/// A random source that fails.
#[cfg(all(test, feature = "rustcrypto"))]
pub(crate) struct NoRandom;

#[cfg(all(test, feature = "rustcrypto"))]
mod no_random {
    use rand_core::{TryCryptoRng, TryRng};

    use super::NoRandom;

    impl TryRng for NoRandom {
        type Error = core::fmt::Error;

        fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
            Err(core::fmt::Error)
        }

        fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
            Err(core::fmt::Error)
        }

        fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
            bytes.iter_mut().take(1).for_each(|byte| *byte = 1); // half done
            Err(core::fmt::Error)
        }
    }

    impl TryCryptoRng for NoRandom {}
}

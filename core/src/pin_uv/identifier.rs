//! encIdentifier and encCredStoreState, two members of getInfo that only a holder of the persistent pinUvAuthToken can
//! decrypt (CTAP 2.3 §6.4).
//!
//! ```text
//! IV 16 | AES-128-CBC(first 16 bytes of HKDF-SHA-256(persistent token, purpose), IV, value 16)
//! ```

use rand_core::TryCryptoRng;

use super::Token;
use crate::{
    bytes::{self, Secret},
    crypto::{Cipher, Error, Hash, fill_random},
};

/// The purpose of an encrypted value, from which its key is derived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValuePurpose(&'static str);

/// encIdentifier: distinguishes this authenticator from others of its model.
pub const DEVICE_IDENTIFIER: ValuePurpose = ValuePurpose("encIdentifier");
/// encCredStoreState: changes with each change of the discoverable credentials.
pub const CRED_STORE_STATE: ValuePurpose = ValuePurpose("encCredStoreState");

impl Token {
    /// The key under which this persistent token encrypts a value.
    pub fn value_key<C: Hash>(&self, crypto: &C, purpose: ValuePurpose) -> ValueKey {
        let long = Secret(crypto.hkdf_sha256(&[0; 32], self.as_bytes(), purpose.0.as_bytes()));
        ValueKey(Secret(bytes::first(&*long)))
    }

    /// The value of an encIdentifier or encCredStoreState. `None` unless `encrypted` is 32 bytes long. With a wrong
    /// token this returns a wrong value, because nothing authenticates the ciphertext: compare the value with a known
    /// one.
    pub fn decrypt_value<C: Hash + Cipher>(
        &self,
        crypto: &C,
        purpose: ValuePurpose,
        encrypted: &[u8],
    ) -> Option<[u8; 16]> {
        let (iv, rest) = encrypted.split_first_chunk::<16>()?;
        let mut block: [u8; 16] = rest.try_into().ok()?;
        crypto.aes128_cbc_decrypt(&self.value_key(crypto, purpose).0, iv, &mut block);
        Some(block)
    }
}

/// The key for encIdentifier or encCredStoreState. It changes only with the persistent token.
pub struct ValueKey(Secret<16>);

impl ValueKey {
    /// Encrypts `value` with a fresh IV.
    ///
    /// # Errors
    /// [`Error::RandomSource`]: the random source failed.
    pub fn encrypt<C: Cipher, R: TryCryptoRng + ?Sized>(
        &self,
        crypto: &C,
        rng: &mut R,
        value: &[u8; 16],
    ) -> Result<[u8; 32], Error> {
        let mut iv = [0; 16];
        fill_random(rng, &mut iv)?;
        Ok(self.encrypt_with_iv(crypto, iv, value))
    }

    pub(super) fn encrypt_with_iv<C: Cipher>(&self, crypto: &C, iv: [u8; 16], value: &[u8; 16]) -> [u8; 32] {
        let mut block = *value;
        crypto.aes128_cbc_encrypt(&self.0, &iv, &mut block);
        bytes::concat(&[&iv, &block])
    }
}

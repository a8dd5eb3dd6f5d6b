//! What getInfo says to none but a holder of the persistent pinUvAuthToken: encIdentifier and encCredStoreState (CTAP 2.3
//! §6.4).
//!
//! ```text
//! IV 16 | AES-128-CBC(first 16 bytes of HKDF-SHA-256(persistent token, purpose), IV, value 16)
//! ```

use rand_core::TryCryptoRng;
use zeroize::Zeroizing;

use super::Token;
use crate::{
    bytes,
    crypto::{Cipher, Error, Hash, fill_random},
};

/// What a value is encrypted as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purpose(&'static str);

/// encIdentifier: what tells this authenticator from others of its model.
pub const DEVICE_IDENTIFIER: Purpose = Purpose("encIdentifier");
/// encCredStoreState: new with each change of the discoverable credentials.
pub const CRED_STORE_STATE: Purpose = Purpose("encCredStoreState");

impl Token {
    /// Encrypts `value` under this persistent token, with a fresh IV.
    ///
    /// # Errors
    /// [`Error::RandomSource`]: the random source failed.
    pub fn encrypt_value<C: Hash + Cipher, R: TryCryptoRng + ?Sized>(
        &self,
        crypto: &C,
        rng: &mut R,
        purpose: Purpose,
        value: &[u8; 16],
    ) -> Result<[u8; 32], Error> {
        let mut iv = [0; 16];
        fill_random(rng, &mut iv)?;
        Ok(self.encrypt_value_with_iv(crypto, iv, purpose, value))
    }

    pub(super) fn encrypt_value_with_iv<C: Hash + Cipher>(
        &self,
        crypto: &C,
        iv: [u8; 16],
        purpose: Purpose,
        value: &[u8; 16],
    ) -> [u8; 32] {
        let mut block = *value;
        crypto.aes128_cbc_encrypt(&self.value_key(crypto, purpose), &iv, &mut block);
        let mut out = [0; 32];
        let (front, back) = out.split_at_mut_checked(iv.len()).unwrap_or_default();
        bytes::copy(front, &iv);
        bytes::copy(back, &block);
        out
    }

    /// The value of an encIdentifier or encCredStoreState. There is nothing in it by which a wrong token is noticed: the
    /// value is compared with one that is known. `None` unless `encrypted` is 32 bytes long.
    pub fn decrypt_value<C: Hash + Cipher>(&self, crypto: &C, purpose: Purpose, encrypted: &[u8]) -> Option<[u8; 16]> {
        let (iv, rest) = encrypted.split_first_chunk::<16>()?;
        let mut block: [u8; 16] = rest.try_into().ok()?;
        crypto.aes128_cbc_decrypt(&self.value_key(crypto, purpose), iv, &mut block);
        Some(block)
    }

    fn value_key<C: Hash>(&self, crypto: &C, purpose: Purpose) -> Zeroizing<[u8; 16]> {
        let long = Zeroizing::new(crypto.hkdf_sha256(&[0; 32], self.as_bytes(), purpose.0.as_bytes()));
        Zeroizing::new(bytes::array(&*long))
    }
}

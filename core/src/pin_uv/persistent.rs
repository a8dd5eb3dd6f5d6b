//! What an authenticator tells only to those who hold its persistentPinUvAuthToken (CTAP 2.3 §6.4, since 2.2).

use zeroize::Zeroizing;

use super::Token;
use crate::{
    bytes,
    crypto::{Cipher, Hash},
};

/// Values of getInfo that are encrypted: 16 bytes of IV, then 16 of ciphertext.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sealed {
    /// encIdentifier: which device it is, until it is reset.
    Identifier,
    /// encCredStoreState: changes with every change of a discoverable credential (2.3).
    CredStoreState,
}

impl Sealed {
    const fn info(self) -> &'static [u8] {
        match self {
            Self::Identifier => b"encIdentifier",
            Self::CredStoreState => b"encCredStoreState",
        }
    }

    /// The value in `sealed`: `None` unless that has 32 bytes. With another device's token it is meaningless.
    pub fn open<C: Hash + Cipher>(self, crypto: &C, token: &Token, sealed: &[u8]) -> Option<[u8; 16]> {
        let (iv, rest) = sealed.split_first_chunk::<16>()?;
        let mut value: [u8; 16] = rest.try_into().ok()?;
        let derived = Zeroizing::new(crypto.hkdf_sha256(&[0; 32], token.as_bytes(), self.info()));
        let key = Zeroizing::new(bytes::array::<16>(&*derived));
        crypto.aes128_cbc_decrypt(&key, iv, &mut value);
        Some(value)
    }
}

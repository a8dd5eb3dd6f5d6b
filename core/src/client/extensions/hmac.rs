//! prf, hmacCreateSecret and hmacGetSecret over hmac-secret: salts out, outputs in (WebAuthn L3 §10.1.4, CTAP 2.3 §12).
//!
//! ```text
//! PrfInput ──▶ SHA-256("WebAuthn PRF" ‖ 00 ‖ input) ──▶ Salts ──▶ EncryptedSalts ──▶ authenticator ──▶ opened, behind the response
//! HmacSalts ────────────────────────────────────────────▲
//! ```

use rand_core::CryptoRng;

use super::{HmacOutputs, PrfInput};
use crate::{
    bytes,
    client::{
        Cause,
        authorization::Encapsulated,
        operation::{Means, Room},
    },
    cose::CoseKey,
    crypto::{Crypto, Hash, P256Point},
    extensions::hmac_secret::HmacSecretInput,
    pin_uv::{Mac, SharedSecret},
};

/// A salt and its output, in bytes.
const SALT: usize = 32;
/// What the salts of prf begin with.
const PRF: &[u8] = b"WebAuthn PRF\0";

/// One or two salts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Salts {
    bytes: [u8; 2 * SALT],
    len: usize,
}

impl Salts {
    pub fn of_prf<C: Hash>(crypto: &C, input: &PrfInput<'_>) -> Self {
        let salt = |input: &[u8]| crypto.sha256(&[PRF, input]);
        Self::new(&salt(input.first), input.second.map(salt).as_ref())
    }

    pub fn new(salt1: &[u8; SALT], salt2: Option<&[u8; SALT]>) -> Self {
        let mut bytes = [0; 2 * SALT];
        let (first, second) = bytes::split_mut(&mut bytes, SALT);
        bytes::copy(first, salt1);
        let more = salt2.map_or(0, |salt2| bytes::put(second, salt2));
        Self { bytes, len: SALT.saturating_add(more) }
    }

    fn as_bytes(&self) -> &[u8] {
        bytes::front(&self.bytes, self.len)
    }
}

/// Salts, encrypted.
pub struct EncryptedSalts {
    public: P256Point,
    salt_enc: [u8; 2 * SALT + 16],
    len: usize,
    salt_auth: Mac,
    protocol: u32,
}

impl EncryptedSalts {
    /// Encrypts `salts`. `None` without salts or without a PIN/UV auth protocol. Before the key agreement it is a
    /// placeholder of the final length, to measure the request.
    pub fn new<C: Crypto, R: CryptoRng>(
        means: &mut Means<'_, C, R>,
        salts: Option<Salts>,
    ) -> Result<Option<Self>, Cause> {
        let (Some(protocol), Some(salts)) = (means.facts.protocol, salts) else { return Ok(None) };
        let nothing = Encapsulated {
            public: P256Point { x: [0; 32], y: [0; 32] },
            shared: SharedSecret::derive(means.crypto, protocol, &[0; 32]),
        };
        let Encapsulated { public, shared } = means.agreement.unwrap_or(&nothing);
        let mut salt_enc = [0; 2 * SALT + 16];
        let len = shared.encrypt(means.crypto, means.rng, salts.as_bytes(), &mut salt_enc)?;
        let salt_auth = shared.authenticate(means.crypto, &[bytes::front(&salt_enc, len)]);
        Ok(Some(Self { public: *public, salt_enc, len, salt_auth, protocol: protocol.number() }))
    }

    pub fn input(&self) -> HmacSecretInput<'_> {
        HmacSecretInput {
            key_agreement: CoseKey::key_agreement(&self.public),
            salt_enc: bytes::front(&self.salt_enc, self.len),
            salt_auth: self.salt_auth.as_bytes(),
            pin_uv_auth_protocol: Some(self.protocol),
        }
    }
}

/// Decrypts the outputs of hmac-secret into `clear` and returns their length in bytes; 0 when there are no outputs or
/// no salts.
///
/// # Errors
/// [`Cause::WrongState`] without a key agreement, [`Cause::InvalidHmacOutput`].
pub fn open<C: Crypto, R>(
    means: &Means<'_, C, R>,
    encrypted: Option<&[u8]>,
    salts: Option<Salts>,
    clear: &mut [u8; 2 * SALT],
) -> Result<usize, Cause> {
    let (Some(encrypted), Some(salts)) = (encrypted, salts) else { return Ok(0) };
    let Encapsulated { shared, .. } = means.agreement.ok_or(Cause::WrongState)?;
    let opened = shared.decrypt(means.crypto, encrypted, clear);
    opened.ok().filter(|len| *len == salts.len).ok_or(Cause::InvalidHmacOutput)
}

/// Keeps `outputs` behind the response: one byte with their length, then the outputs.
pub fn keep(room: &mut Room<'_>, outputs: &[u8]) -> Result<(), Cause> {
    let end = room.len.saturating_add(1).saturating_add(outputs.len());
    let place = room.bytes.get_mut(room.len..end).and_then(<[u8]>::split_first_mut);
    let (len, place) = place.ok_or(Cause::BufferTooSmall { needed: end })?;
    *len = outputs.len() as u8; // 0, 32 or 64
    bytes::copy(place, outputs);
    room.len = end;
    Ok(())
}

/// The outputs that lie behind a response, and what follows them.
pub fn kept(behind: &[u8]) -> (Option<HmacOutputs<'_>>, &[u8]) {
    let (len, rest) = behind.split_first().unwrap_or((&0, &[]));
    let (outputs, rest) = bytes::split(rest, usize::from(*len));
    let outputs =
        outputs.split_first_chunk().map(|(first, second)| HmacOutputs { first, second: second.first_chunk() });
    (outputs, rest)
}

#[cfg(test)]
mod tests;

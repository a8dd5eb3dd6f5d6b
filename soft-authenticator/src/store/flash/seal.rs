//! Values are sealed under keys of the device: AES-256-GCM, bound to what they are.
//!
//! The nonce is 96 bits of an HMAC of the value, what it is, and where it is written: a flash that was rolled back or
//! formatted is written at the same places again, but never two values under one nonce.

use keyfob_core::{
    bytes::{self, Secret},
    crypto::{Cipher, Hash},
};

use super::layout::Entry;
use crate::store::StoreError;

const NONCE: usize = 12;
const TAG: usize = 16;
/// How much longer a sealed value is than the plain one, in bytes.
pub const OVERHEAD: usize = NONCE + TAG;

pub struct Seal<C> {
    crypto: C,
    values: Secret<32>,
    tags: Secret<32>,
    nonces: Secret<32>,
}

impl<C: Hash + Cipher> Seal<C> {
    pub fn new(crypto: C, device_key: &[u8; 32]) -> Self {
        let values = Secret(crypto.hkdf_sha256(&[], device_key, b"keyfob flash values"));
        let tags = Secret(crypto.hkdf_sha256(&[], device_key, b"keyfob flash tags"));
        let nonces = Secret(crypto.hkdf_sha256(&[], device_key, b"keyfob flash nonces"));
        Self { crypto, values, tags, nonces }
    }

    /// The tag by which the index finds a relying party. Without the device key it does not tell which one it is.
    pub fn party(&self, rp_id_hash: &[u8; 32]) -> [u8; 6] {
        bytes::first(&self.crypto.hmac_sha256(&*self.tags, &[rp_id_hash]))
    }

    /// The first two bytes of that, which stand in the log.
    pub fn tag(&self, rp_id_hash: &[u8; 32]) -> u16 {
        let [t0, t1, ..] = self.party(rp_id_hash);
        u16::from_le_bytes([t0, t1])
    }

    /// The tag by which the index finds the id of a credential.
    pub fn id_tag(&self, id: &[u8]) -> [u8; 5] {
        bytes::first(&self.crypto.hmac_sha256(&*self.tags, &[b"id", id]))
    }

    /// The tag by which the index finds the id of a user.
    pub fn user_tag(&self, user_id: &[u8]) -> [u8; 2] {
        bytes::first(&self.crypto.hmac_sha256(&*self.tags, &[b"user", user_id]))
    }

    /// Seals the concatenated `parts` into `out` and returns the sealed value. `position` is where it will lie, and
    /// when.
    pub fn seal<'o>(
        &self,
        entry: &Entry,
        position: &[u8; 12],
        parts: &[&[u8]],
        out: &'o mut [u8],
    ) -> Result<&'o [u8], StoreError> {
        let len = parts.iter().map(|part| part.len()).fold(0, usize::saturating_add);
        let out = out.get_mut(..len.saturating_add(OVERHEAD)).ok_or(StoreError::TooLong)?;
        let (front, rest) = out.split_first_chunk_mut::<NONCE>().ok_or(StoreError::TooLong)?;
        let (value, back) = rest.split_last_chunk_mut::<TAG>().ok_or(StoreError::TooLong)?;
        parts.iter().copied().flatten().zip(value.iter_mut()).for_each(|(from, to)| *to = *from);
        let what = what(entry);
        *front = bytes::first(&self.crypto.hmac_sha256(&*self.nonces, &[position, &what, value]));
        *back = self.crypto.aes256_gcm_seal(&self.values, front, &what, value).map_err(|_| StoreError::Failed)?;
        Ok(out)
    }

    /// Opens a sealed value where it lies.
    ///
    /// # Errors
    /// [`StoreError::Failed`] for one that was not sealed as this entry.
    pub fn open<'v>(&self, entry: &Entry, sealed: &'v mut [u8]) -> Result<&'v mut [u8], StoreError> {
        let (nonce, rest) = sealed.split_first_chunk_mut::<NONCE>().ok_or(StoreError::Failed)?;
        let (value, tag) = rest.split_last_chunk_mut::<TAG>().ok_or(StoreError::Failed)?;
        self.crypto.aes256_gcm_open(&self.values, nonce, &what(entry), value, tag).map_err(|_| StoreError::Failed)?;
        Ok(value)
    }
}

/// What a value is bound to.
fn what(entry: &Entry) -> [u8; 7] {
    let ([k0, k1, k2, k3], [t0, t1]) = (entry.key.to_le_bytes(), entry.tag.to_le_bytes());
    [entry.kind as u8, k0, k1, k2, k3, t0, t1]
}

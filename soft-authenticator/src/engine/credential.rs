//! Credentials, wherever they are kept: in the store, or wrapped in their own id.
//!
//! A wrapped id is `version 1 | nonce 12 | AES-256-GCM(algorithm 4 | secret key) | tag 16`, with the version and the
//! rpIdHash as additional data. It opens only on this authenticator, for this relying party, until the next reset.

use keyfob_core::{
    bytes,
    cose::Algorithm,
    crypto::{Cipher, Error, Hash, MAX_SECRET},
    ctap2::UserEntity,
};
use rand_core::CryptoRng;
use zeroize::Zeroize;

use super::{Platform, authenticator::Authenticator};
use crate::store::{Credential, Found, Number, Store, StoreError};

const VERSION: u8 = 1;
const NONCE: usize = 12;
const TAG: usize = 16;
const ALGORITHM: usize = 4;
const BODY: usize = 1 + NONCE;
/// Bytes of a wrapped id besides the secret key.
pub(super) const OVERHEAD: usize = BODY + ALGORITHM + TAG;
/// The longest id this authenticator makes, in bytes.
pub(super) const MAX_ID: usize = OVERHEAD + MAX_SECRET;
/// The length of a discoverable credential's id, in bytes. Random, and shorter than any wrapped one.
pub(super) const STORED_ID: usize = 32;

/// The key under which credentials are wrapped. Derived once per boot, wiped on drop.
#[derive(Default)]
pub(super) struct WrappingKey([u8; 32]);

impl Drop for WrappingKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl WrappingKey {
    pub fn derive<C: Hash>(crypto: &C, seed: &[u8]) -> Self {
        Self(crypto.hkdf_sha256(&[0; 32], seed, b"keyfob wrapped credential"))
    }

    /// Wraps a secret key into `id` and returns the id's length.
    pub fn wrap<C: Cipher, R: CryptoRng + ?Sized>(
        &self,
        crypto: &C,
        rng: &mut R,
        rp_id_hash: &[u8; 32],
        algorithm: Algorithm,
        secret: &[u8],
        id: &mut [u8; MAX_ID],
    ) -> Result<usize, Error> {
        let len = OVERHEAD.saturating_add(secret.len());
        let id = id.get_mut(..len).ok_or(Error::OutputTooSmall)?;
        let mut nonce = [0; NONCE];
        rng.fill_bytes(&mut nonce);
        let (head, rest) = id.split_at_mut_checked(BODY).ok_or(Error::OutputTooSmall)?;
        let (body, tag) = rest.split_at_mut_checked(rest.len().saturating_sub(TAG)).ok_or(Error::OutputTooSmall)?;
        let (front, back) = body.split_at_mut_checked(ALGORITHM).ok_or(Error::OutputTooSmall)?;
        bytes::copy(head, &[VERSION]);
        bytes::copy(head.get_mut(1..).unwrap_or_default(), &nonce);
        bytes::copy(front, &algorithm.0.to_be_bytes());
        bytes::copy(back, secret);
        bytes::copy(tag, &crypto.aes256_gcm_seal(&self.0, &nonce, &additional_data(rp_id_hash), body)?);
        Ok(len)
    }

    /// Opens an id into the front of `out`: the algorithm and the secret key. `None` for a foreign or damaged id.
    fn unwrap<'s, C: Cipher>(
        &self,
        crypto: &C,
        rp_id_hash: &[u8; 32],
        id: &[u8],
        out: &'s mut [u8],
    ) -> Option<(Algorithm, &'s [u8])> {
        let (&version, rest) = id.split_first()?;
        if version != VERSION || id.len() <= OVERHEAD || id.len() > MAX_ID {
            return None;
        }
        let (nonce, rest) = rest.split_first_chunk::<NONCE>()?;
        let (body, tag) = rest.split_last_chunk::<TAG>()?;
        let out = out.get_mut(..body.len())?;
        bytes::copy(out, body);
        crypto.aes256_gcm_open(&self.0, nonce, &additional_data(rp_id_hash), out, tag).ok()?;
        let (algorithm, secret) = out.split_first_chunk::<ALGORITHM>()?;
        Some((Algorithm(i32::from_be_bytes(*algorithm)), secret))
    }
}

fn additional_data(rp_id_hash: &[u8; 32]) -> [u8; 33] {
    let mut data = [VERSION; 33];
    bytes::copy(data.get_mut(1..).unwrap_or_default(), rp_id_hash);
    data
}

/// A credential of this authenticator, opened in the scratch area.
pub(super) struct Opened<'s> {
    /// The id of a stored credential; a wrapped one is known by the id it was opened with.
    pub id: Option<&'s [u8]>,
    pub algorithm: Algorithm,
    pub secret: &'s [u8],
    pub user: Option<UserEntity<'s>>,
    pub number: Option<Number>,
}

impl<P: Platform> Authenticator<'_, P> {
    /// The credential that `id` stands for, if it is this authenticator's and this relying party's.
    pub fn open<'s>(
        &mut self,
        rp_id_hash: &[u8; 32],
        id: &[u8],
        scratch: &'s mut [u8],
    ) -> Result<Option<Opened<'s>>, StoreError> {
        if id.len() == STORED_ID {
            let mut before = None;
            while let Some(found) = self.store.find(rp_id_hash, before, scratch)? {
                self.scratch_used = self.scratch_used.max(found.len);
                if decode(scratch, found).is_some_and(|credential| credential.id == id) {
                    return Ok(opened(scratch, found));
                }
                before = Some(found.number);
            }
            return Ok(None);
        }
        self.scratch_used = self.scratch_used.max(MAX_ID);
        let unwrapped = self.wrapping.unwrap(&self.crypto, rp_id_hash, id, scratch);
        Ok(unwrapped.map(|(algorithm, secret)| Opened { id: None, algorithm, secret, user: None, number: None }))
    }

    /// The newest discoverable credential of a relying party that is older than `before`.
    pub fn open_stored<'s>(
        &mut self,
        rp_id_hash: &[u8; 32],
        before: Option<Number>,
        scratch: &'s mut [u8],
    ) -> Result<Option<Opened<'s>>, StoreError> {
        let mut before = before;
        while let Some(found) = self.store.find(rp_id_hash, before, scratch)? {
            self.scratch_used = self.scratch_used.max(found.len);
            // A record that cannot be read is passed over, so that it does not hide the others.
            if decode(scratch, found).is_some() {
                return Ok(opened(scratch, found));
            }
            before = Some(found.number);
        }
        Ok(None)
    }

    /// The number of the credential that this relying party has for this user.
    pub fn number_of_user(
        &mut self,
        rp_id_hash: &[u8; 32],
        user_id: &[u8],
        scratch: &mut [u8],
    ) -> Result<Option<Number>, StoreError> {
        let mut before = None;
        while let Some(found) = self.store.find(rp_id_hash, before, scratch)? {
            self.scratch_used = self.scratch_used.max(found.len);
            if decode(scratch, found).is_some_and(|credential| credential.user.id == user_id) {
                return Ok(Some(found.number));
            }
            before = Some(found.number);
        }
        Ok(None)
    }
}

fn decode(scratch: &[u8], found: Found) -> Option<Credential<'_>> {
    scratch.get(..found.len).and_then(Credential::decode)
}

fn opened(scratch: &[u8], found: Found) -> Option<Opened<'_>> {
    let credential = decode(scratch, found)?;
    Some(Opened {
        id: Some(credential.id),
        algorithm: credential.algorithm,
        secret: credential.secret,
        user: Some(credential.user),
        number: Some(found.number),
    })
}

//! Credentials that are wrapped in their own id, and the secrets of all credentials.
//!
//! A wrapped id is `version 1 | nonce 12 | AES-256-GCM(algorithm 4 | properties 1 | secret key) | tag 16`, with the
//! version and the rpIdHash as additional data. It opens only on this authenticator, for this relying party, until the
//! next reset. With a blob of the extension `credBlob`, `length 1 | blob` stands between properties and secret key, and
//! the properties say so.
//!
//! Secrets besides the key, such as those of `hmac-secret`, are not kept anywhere: they follow from the seed and from
//! the credential's id. No id comes twice: a stored one is random, and a wrapped one is sealed with a random nonce. A
//! reset changes the seed. So nobody else can tell these secrets from random bytes.

use keyfob_core::{
    bytes::{self, Secret},
    cose::Algorithm,
    crypto::{Cipher, Error, Hash, MAX_SECRET, fill_random},
    extensions::cred_protect::Level,
};
use rand_core::TryCryptoRng;
use subtle::{Choice, ConstantTimeGreater};

/// The longest blob of the extension `credBlob`, in bytes: the least that CTAP 2.3 §12.2 allows.
pub const MAX_CRED_BLOB_LENGTH: usize = 32;

const VERSION: u8 = 1;
const NONCE: usize = 12;
const TAG: usize = 16;
pub(super) const ALGORITHM: usize = 4;
const PROPERTIES: usize = 1;
/// Where the encrypted part of a wrapped id begins.
const BODY: usize = 1 + NONCE;
/// Bytes of a wrapped id besides the secret key.
pub(super) const OVERHEAD: usize = BODY + ALGORITHM + PROPERTIES + TAG;
/// The length of an ES256 credential's wrapped id, in bytes.
const USUAL_ID: usize = OVERHEAD + 32;
/// What the longest blob adds to a wrapped id, in bytes.
pub(super) const WRAPPED_BLOB: usize = 1 + MAX_CRED_BLOB_LENGTH;
/// The longest id this authenticator makes, in bytes.
pub(super) const MAX_ID: usize = OVERHEAD + WRAPPED_BLOB + MAX_SECRET;
/// The length of a discoverable credential's id, in bytes. Random, and shorter than any wrapped one.
pub(super) const STORED_ID: usize = 32;

/// What a credential is bound to besides its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Properties {
    /// One of the standard's three levels.
    pub cred_protect: Level,
    pub third_party_payment: bool,
}

/// In the byte of a wrapped id's properties: a blob follows.
const HAS_BLOB: u8 = 1 << 3;

/// What a wrapped id holds.
pub(super) struct Wrapped<'s> {
    pub algorithm: Algorithm,
    pub properties: Properties,
    /// The blob of `credBlob`, at most [`MAX_CRED_BLOB_LENGTH`] bytes. An empty one takes no room.
    pub cred_blob: &'s [u8],
    pub secret: &'s [u8],
}

impl Properties {
    /// Whether `credProtect` hides the credential from a relying party that named it.
    pub fn hide_it(&self, user_verified: bool) -> Choice {
        self.cred_protect.0.ct_gt(&shown(user_verified, true).0)
    }

    pub const fn to_byte(self) -> u8 {
        (self.cred_protect.0 & 3) as u8 | (self.third_party_payment as u8) << 2
    }

    pub const fn from_byte(byte: u8) -> Self {
        Self { cred_protect: Level((byte & 3) as u32), third_party_payment: byte & 1 << 2 != 0 }
    }
}

/// The strongest `credProtect` that does not hide a credential. `listed`: the relying party named it.
pub(super) const fn shown(user_verified: bool, listed: bool) -> Level {
    match (user_verified, listed) {
        (true, _) => Level::USER_VERIFICATION_REQUIRED,
        (false, true) => Level::USER_VERIFICATION_OPTIONAL_WITH_CREDENTIAL_ID_LIST,
        (false, false) => Level::USER_VERIFICATION_OPTIONAL,
    }
}

/// What a secret that follows from the seed is for.
#[derive(Clone, Copy)]
#[repr(u8)]
pub(super) enum DerivedSecret {
    CredRandomWithoutUv = 1,
    CredRandomWithUv = 2,
    LargeBlobKey = 3,
}

/// The keys that follow from the seed. Derived once per boot, wiped on drop.
#[derive(Default)]
pub(super) struct CredentialKeys {
    /// Wraps credentials in their ids.
    wrapping: Secret<32>,
    /// Derives the other secrets of credentials.
    secrets: Secret<32>,
}

/// The largeBlobKey of a credential, of a key whose store has this seed.
#[cfg(feature = "testing")]
pub fn credential_large_blob_key(seed: &[u8], rp_id_hash: &[u8; 32], id: &[u8]) -> Secret<32> {
    let crypto = keyfob_core::crypto::RustCrypto;
    CredentialKeys::derive(&crypto, seed).secret(&crypto, DerivedSecret::LargeBlobKey, rp_id_hash, id)
}

impl CredentialKeys {
    pub fn derive<C: Hash>(crypto: &C, seed: &[u8]) -> Self {
        Self {
            wrapping: Secret(crypto.hkdf_sha256(&[0; 32], seed, b"keyfob wrapped credential")),
            secrets: Secret(crypto.hkdf_sha256(&[0; 32], seed, b"keyfob credential secrets")),
        }
    }

    /// A secret of the credential with this id.
    pub fn secret<C: Hash>(&self, crypto: &C, purpose: DerivedSecret, rp_id_hash: &[u8; 32], id: &[u8]) -> Secret<32> {
        Secret(crypto.hmac_sha256(&*self.secrets, &[&[purpose as u8], rp_id_hash, id]))
    }

    /// Wraps a credential into `id` and returns the id's length.
    pub fn wrap<C: Cipher, R: TryCryptoRng + ?Sized>(
        &self,
        crypto: &C,
        rng: &mut R,
        rp_id_hash: &[u8; 32],
        credential: &Wrapped<'_>,
        id: &mut [u8; MAX_ID],
    ) -> Result<usize, Error> {
        let Wrapped { algorithm, properties, cred_blob, secret } = *credential;
        let (blob_len, has_blob) = match u8::try_from(cred_blob.len()) {
            Ok(0) => (None, 0),
            Ok(len) if cred_blob.len() <= MAX_CRED_BLOB_LENGTH => (Some([len]), HAS_BLOB),
            _ => return Err(Error::InvalidLength),
        };
        let blob_len = blob_len.as_ref().map_or(&[][..], |len| &len[..]);
        let len = [blob_len.len(), cred_blob.len(), secret.len()].into_iter().fold(OVERHEAD, usize::saturating_add);
        let id = id.get_mut(..len).ok_or(Error::OutputTooSmall)?;
        let mut nonce = [0; NONCE];
        fill_random(rng, &mut nonce)?;
        let (head, rest) = id.split_at_mut_checked(BODY).ok_or(Error::OutputTooSmall)?;
        let (body, tag) = rest.split_at_mut_checked(rest.len().saturating_sub(TAG)).ok_or(Error::OutputTooSmall)?;
        bytes::join(head, &[&[VERSION], &nonce]);
        let properties = [properties.to_byte() | has_blob];
        bytes::join(body, &[&algorithm.0.to_be_bytes(), &properties, blob_len, cred_blob, secret]);
        bytes::copy(tag, &crypto.aes256_gcm_seal(&self.wrapping, &nonce, &additional_data(rp_id_hash), body)?);
        Ok(len)
    }

    /// Opens an id into the front of `out`, and says whether it is one that was wrapped here for this relying party.
    /// For any other id, the result has no meaning, after the same work. `None` never comes: the lengths are checked.
    pub fn unwrap<'s, C: Cipher>(
        &self,
        crypto: &C,
        rp_id_hash: &[u8; 32],
        id: &[u8],
        out: &'s mut [u8; MAX_ID],
    ) -> Option<(Choice, &'s [u8])> {
        let possible = id.first() == Some(&VERSION) && id.len() > OVERHEAD && id.len() <= MAX_ID;
        let id = if possible { id } else { &[0; USUAL_ID] };
        let (nonce, rest) = id.get(1..)?.split_first_chunk::<NONCE>()?;
        let (body, tag) = rest.split_last_chunk::<TAG>()?;
        let out = out.get_mut(..body.len())?;
        bytes::copy(out, body);
        let opened = crypto.aes256_gcm_open(&self.wrapping, nonce, &additional_data(rp_id_hash), out, tag).is_ok();
        Some((Choice::from(u8::from(opened)) & Choice::from(u8::from(possible)), &*out))
    }
}

impl<'s> Wrapped<'s> {
    /// Reads what an id was opened into. `None` if it has the format of another version.
    pub fn read(opened: &'s [u8]) -> Option<Self> {
        let (algorithm, rest) = opened.split_first_chunk::<ALGORITHM>()?;
        let (properties, rest) = rest.split_first()?;
        let (cred_blob, secret) = match rest.split_first() {
            Some((len, rest)) if properties & HAS_BLOB != 0 => rest.split_at_checked(usize::from(*len))?,
            _ => (&[][..], rest),
        };
        let algorithm = Algorithm(i32::from_be_bytes(*algorithm));
        Some(Self { algorithm, properties: Properties::from_byte(*properties), cred_blob, secret })
    }
}

fn additional_data(rp_id_hash: &[u8; 32]) -> [u8; 33] {
    bytes::concat(&[&[VERSION], rp_id_hash])
}

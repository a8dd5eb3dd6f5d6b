//! Credentials, wherever they are kept: in the store, or wrapped in their own id.
//!
//! A wrapped id is `version 1 | nonce 12 | AES-256-GCM(algorithm 4 | properties 1 | secret key) | tag 16`, with the version
//! and the rpIdHash as additional data. It opens only on this authenticator, for this relying party, until the next reset.
//! With a blob of the extension `credBlob`, `length 1 | blob` stands between properties and secret key, and the properties
//! say so.
//!
//! Secrets besides the key, such as those of `hmac-secret`, are not kept anywhere: they follow from the seed and from the
//! credential's id. No id comes twice, a stored one being random and a wrapped one sealed with a random nonce, and a reset
//! changes the seed, so to everyone else they are as good as random.

use keyfob_core::{
    bytes,
    cose::Algorithm,
    crypto::{Cipher, Error, Hash, MAX_SECRET, fill_random},
    extensions::cred_protect::Level,
};
use rand_core::TryCryptoRng;
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq, ConstantTimeGreater};
use zeroize::{Zeroize, Zeroizing};

use super::{MAX_CRED_BLOB_LENGTH, Platform, authenticator::Authenticator};
use crate::store::{Credential, Found, Number, Store, StoreError};

const VERSION: u8 = 1;
const NONCE: usize = 12;
const TAG: usize = 16;
const ALGORITHM: usize = 4;
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
    /// Whether `credProtect` hides the credential. `listed`: the relying party named it.
    pub fn hide_it(&self, user_verified: bool, listed: bool) -> Choice {
        let shown = if listed {
            Level::USER_VERIFICATION_OPTIONAL_WITH_CREDENTIAL_ID_LIST
        } else {
            Level::USER_VERIFICATION_OPTIONAL
        };
        self.cred_protect.0.ct_gt(&shown.0) & !Choice::from(u8::from(user_verified))
    }

    const fn to_byte(self) -> u8 {
        (self.cred_protect.0 & 3) as u8 | (self.third_party_payment as u8) << 2
    }

    const fn from_byte(byte: u8) -> Self {
        Self { cred_protect: Level((byte & 3) as u64), third_party_payment: byte & 1 << 2 != 0 }
    }
}

/// What a secret that follows from the seed is for.
#[derive(Clone, Copy)]
#[repr(u8)]
pub(super) enum Purpose {
    CredRandomWithoutUv = 1,
    CredRandomWithUv = 2,
    LargeBlobKey = 3,
}

/// The keys that follow from the seed. Derived once per boot, wiped on drop.
#[derive(Default)]
pub(super) struct CredentialKeys {
    /// Wraps credentials in their ids.
    wrapping: [u8; 32],
    /// Derives the other secrets of credentials.
    secrets: [u8; 32],
}

impl Drop for CredentialKeys {
    fn drop(&mut self) {
        self.wrapping.zeroize();
        self.secrets.zeroize();
    }
}

impl CredentialKeys {
    pub fn derive<C: Hash>(crypto: &C, seed: &[u8]) -> Self {
        Self {
            wrapping: crypto.hkdf_sha256(&[0; 32], seed, b"keyfob wrapped credential"),
            secrets: crypto.hkdf_sha256(&[0; 32], seed, b"keyfob credential secrets"),
        }
    }

    /// A secret of the credential with this id.
    pub fn secret<C: Hash>(
        &self,
        crypto: &C,
        purpose: Purpose,
        rp_id_hash: &[u8; 32],
        id: &[u8],
    ) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(crypto.hmac_sha256(&self.secrets, &[&[purpose as u8], rp_id_hash, id]))
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
        let (front, back) = body.split_at_mut_checked(ALGORITHM + PROPERTIES).ok_or(Error::OutputTooSmall)?;
        bytes::copy(head, &[VERSION]);
        bytes::copy(head.get_mut(1..).unwrap_or_default(), &nonce);
        bytes::copy(front, &algorithm.0.to_be_bytes());
        bytes::copy(front.get_mut(ALGORITHM..).unwrap_or_default(), &[properties.to_byte() | has_blob]);
        let mut back = back;
        for part in [blob_len, cred_blob, secret] {
            let copied = bytes::copy(back, part);
            back = back.get_mut(copied..).unwrap_or_default();
        }
        bytes::copy(tag, &crypto.aes256_gcm_seal(&self.wrapping, &nonce, &additional_data(rp_id_hash), body)?);
        Ok(len)
    }

    /// Opens an id into the front of `out`, and says whether it is one that was wrapped here for this relying party. For any
    /// other id, the result has no meaning, after the same work. `None` never comes: the lengths are checked.
    fn unwrap<'s, C: Cipher>(
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
    /// Reads what an id was opened into. `None` for what is none of this version's.
    fn read(opened: &'s [u8]) -> Option<Self> {
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
    let mut data = [VERSION; 33];
    bytes::copy(data.get_mut(1..).unwrap_or_default(), rp_id_hash);
    data
}

/// Where a credential is that the relying party named and that may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Located {
    /// In the store, under this number.
    Stored(Number),
    /// In its own id.
    Wrapped,
}

impl Located {
    /// The number of a stored one.
    pub const fn number(self) -> Option<Number> {
        match self {
            Self::Stored(number) => Some(number),
            Self::Wrapped => None,
        }
    }
}

/// A credential of this authenticator, opened in the scratch area.
pub(super) struct Opened<'s> {
    pub algorithm: Algorithm,
    pub secret: &'s [u8],
    pub properties: Properties,
    /// The blob of `credBlob`, empty if there is none.
    pub cred_blob: &'s [u8],
    /// What the store has of it. A wrapped one is known by the id it was opened with.
    pub stored: Option<Stored<'s>>,
}

/// What the store has of a discoverable credential besides its key.
pub(super) struct Stored<'s> {
    pub number: Number,
    pub credential: Credential<'s>,
}

impl<P: Platform> Authenticator<'_, P> {
    /// Where the credential is that `id` stands for, if it is this authenticator's and this relying party's, and
    /// `credProtect` does not hide it.
    ///
    /// An id that is unknown, foreign or malformed takes the same work as the id of a hidden credential: every
    /// credential of the relying party is read once, the id is opened, and both results are combined without a branch.
    /// Time tells only how many credentials the relying party has.
    pub fn locate(
        &mut self,
        rp_id_hash: &[u8; 32],
        id: &[u8],
        user_verified: bool,
        scratch: &mut [u8],
    ) -> Result<Option<Located>, StoreError> {
        // As long as any id of this authenticator, so that lengths make no difference.
        let mut wanted = [0; MAX_ID];
        bytes::copy(&mut wanted, id);
        let (mut stored, mut shown, mut number) = (Choice::from(0), Choice::from(0), Number::default());
        let mut before = None;
        while let Some(found) = self.find(rp_id_hash, before, scratch)? {
            if let Some(credential) = found.credential(scratch) {
                let prefix = wanted.get(..credential.id.len()).unwrap_or_default();
                let same = credential.id.ct_eq(prefix) & credential.id.len().ct_eq(&id.len());
                stored |= same;
                shown |= same & !properties(&credential).hide_it(user_verified, true);
                number.conditional_assign(&found.number, same);
            }
            before = Some(found.number);
        }
        let mut wrapped = Zeroizing::new([0; MAX_ID]);
        if let Some((is_ours, opened)) = self.credential_keys.unwrap(&self.crypto, rp_id_hash, id, &mut wrapped) {
            let properties = Properties::from_byte(opened.get(ALGORITHM).copied().unwrap_or_default());
            shown |= is_ours & !properties.hide_it(user_verified, true);
        }
        let located = if stored.into() { Located::Stored(number) } else { Located::Wrapped };
        Ok(Some(located).filter(|_| shown.into()))
    }

    /// The credential that is wrapped in `id`.
    pub fn open_wrapped<'s>(&mut self, rp_id_hash: &[u8; 32], id: &[u8], scratch: &'s mut [u8]) -> Option<Opened<'s>> {
        let mut wrapped = Zeroizing::new([0; MAX_ID]);
        let (is_ours, opened) = self.credential_keys.unwrap(&self.crypto, rp_id_hash, id, &mut wrapped)?;
        let Wrapped { algorithm, properties, cred_blob, secret } =
            Wrapped::read(Some(opened).filter(|_| is_ours.into())?)?;
        self.scratch_used = self.scratch_used.max(secret.len().saturating_add(cred_blob.len()));
        let places = scratch.split_at_mut_checked(secret.len());
        let (secret_place, blob_place) = places?;
        bytes::copy(secret_place, secret);
        let len = bytes::copy(blob_place, cred_blob);
        let cred_blob = blob_place.get(..len).unwrap_or_default();
        Some(Opened { algorithm, secret: secret_place, properties, cred_blob, stored: None })
    }

    /// The newest discoverable credential of a relying party that is older than `before`, was not replaced, and that
    /// `credProtect` does not hide.
    pub fn open_stored<'s>(
        &mut self,
        rp_id_hash: &[u8; 32],
        before: Option<Number>,
        user_verified: bool,
        scratch: &'s mut [u8],
    ) -> Result<Option<Opened<'s>>, StoreError> {
        let mut before = before;
        while let Some(found) = self.find(rp_id_hash, before, scratch)? {
            // A record that cannot be read is passed over, so that it does not hide the others.
            let credential = found.credential(scratch).filter(|_| !self.superseded.has(found.number));
            if credential.is_some_and(|credential| (!properties(&credential).hide_it(user_verified, false)).into()) {
                return Ok(opened(scratch, found));
            }
            before = Some(found.number);
        }
        Ok(None)
    }

    /// The discoverable credential with this number.
    pub fn open_number<'s>(
        &mut self,
        rp_id_hash: &[u8; 32],
        number: Number,
        scratch: &'s mut [u8],
    ) -> Result<Option<Opened<'s>>, StoreError> {
        let found = self.find(rp_id_hash, number.checked_add(1), scratch)?;
        Ok(found.filter(|found| found.number == number).and_then(|found| opened(scratch, found)))
    }

    /// The credential that this relying party has for this user, its record in `scratch`: not one that was replaced.
    pub fn credential_of_user(
        &mut self,
        rp_id_hash: &[u8; 32],
        user_id: &[u8],
        scratch: &mut [u8],
    ) -> Result<Option<Found>, StoreError> {
        let mut before = None;
        while let Some(found) = self.find(rp_id_hash, before, scratch)? {
            let credential = found.credential(scratch).filter(|_| !self.superseded.has(found.number));
            if credential.is_some_and(|credential| credential.user.id == user_id) {
                return Ok(Some(found));
            }
            before = Some(found.number);
        }
        Ok(None)
    }

    /// The large-blob key of a credential that was made with one.
    pub fn large_blob_key(&self, rp_id_hash: &[u8; 32], id: &[u8]) -> Zeroizing<[u8; 32]> {
        self.credential_keys.secret(&self.crypto, Purpose::LargeBlobKey, rp_id_hash, id)
    }

    fn find(
        &mut self,
        rp_id_hash: &[u8; 32],
        before: Option<Number>,
        scratch: &mut [u8],
    ) -> Result<Option<Found>, StoreError> {
        let found = self.store.find(rp_id_hash, before, scratch)?;
        self.scratch_used = self.scratch_used.max(found.map_or(0, |found| found.len));
        Ok(found)
    }
}

fn properties(credential: &Credential<'_>) -> Properties {
    Properties {
        cred_protect: credential.cred_protect.unwrap_or(Level::USER_VERIFICATION_OPTIONAL),
        third_party_payment: credential.third_party_payment == Some(true),
    }
}

fn opened(scratch: &[u8], found: Found) -> Option<Opened<'_>> {
    let credential = found.credential(scratch)?;
    Some(Opened {
        algorithm: credential.algorithm,
        secret: credential.secret,
        properties: properties(&credential),
        cred_blob: credential.cred_blob.unwrap_or_default(),
        stored: Some(Stored { number: found.number, credential }),
    })
}

//! Credentials, wherever they are kept: in the store, or wrapped in their own id. How they are made, how lists of their
//! ids are looked through, and how they are opened.

use heapless::Vec;
use keyfob_core::{
    Failure,
    bytes::{self, Secret},
    cbor::{List, Read, Reader},
    cose::Algorithm,
    crypto::{MAX_PUBLIC, MAX_SECRET, Sign, fill_random},
    ctap2::{CredentialDescriptor, PUBLIC_KEY},
    extensions::cred_protect::Level,
};
use subtle::ConstantTimeEq;

use super::{
    authenticator::{Authenticator, crypto_status},
    ceremony::CeremonyState,
    config::Sizes,
    platform::Platform,
    state::Superseded,
    wrapping::{ALGORITHM, DerivedSecret, MAX_ID, Properties, STORED_ID, Wrapped, shown},
};
use crate::store::{Found, NamelessCredential, Number, Query, Store, StoreError};

/// Names are cut to this many bytes at a character's boundary (CTAP 2.3 §6.1.2 allows 64 and more).
const MAX_NAME: usize = 64;

/// A credential that is being made: its key pair and its id. The secret is made in place, because a secret that is
/// moved leaves a copy behind. Wiped on drop.
pub(super) struct NewCredential {
    pub algorithm: Algorithm,
    pub id: Vec<u8, MAX_ID, u16>,
    pub secret: Vec<u8, MAX_SECRET, u16>,
    pub public: Vec<u8, MAX_PUBLIC>,
}

impl Default for NewCredential {
    /// One that has no key yet.
    fn default() -> Self {
        Self { algorithm: Algorithm::ES256, id: Vec::new(), secret: Vec::new(), public: Vec::new() }
    }
}

impl Drop for NewCredential {
    fn drop(&mut self) {
        bytes::wipe(&mut self.secret);
    }
}

/// How far a list of credential ids was looked through. Each step looks at one entry, so that keep-alives go out and
/// CANCEL comes in meanwhile.
#[derive(Clone, Copy)]
pub(super) struct Search {
    /// Where the next entry begins in the message.
    at: usize,
    /// Entries that are left.
    left: usize,
}

impl Search {
    /// From the beginning of a list that lies in `message`, and that may have `most` entries.
    pub fn new(message: &[u8], list: &List<'_, CredentialDescriptor<'_>>, most: u16) -> Result<Self, Failure> {
        if list.len() > usize::from(most) {
            return Err(Failure::LIMIT_EXCEEDED);
        }
        let at = bytes::offset(message, list.iter().rest()).ok_or(Failure::OTHER)?;
        Ok(Self { at, left: list.len() })
    }

    pub const fn is_done(&self) -> bool {
        self.left == 0
    }

    /// The id of the next entry; `None` for one that is not a public key's.
    pub fn next<'m>(&mut self, message: &'m [u8]) -> Result<Option<&'m [u8]>, Failure> {
        let mut r = Reader::strict(message.get(self.at..).ok_or(Failure::OTHER)?);
        let descriptor = CredentialDescriptor::read(&mut r).map_err(|_| Failure::OTHER)?;
        self.at = self.at.saturating_add(r.offset());
        self.left = self.left.checked_sub(1).ok_or(Failure::OTHER)?;
        Ok(Some(descriptor.id).filter(|_| descriptor.kind == PUBLIC_KEY))
    }
}

/// Where a credential is that the relying party named and that may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Located {
    /// In the store.
    Stored,
    /// In its own id.
    Wrapped,
}

/// The credential that authenticator data are about.
#[derive(Clone, Copy)]
pub(super) enum Subject<'s> {
    /// The one that is registered, and whether its statement is in U2F's format.
    New(&'s NewCredential, bool),
    /// The one with this id, which signs in.
    Opened(&'s [u8], &'s Opened<'s>),
}

/// A credential of this authenticator, opened in the scratch area.
pub(super) struct Opened<'s> {
    pub algorithm: Algorithm,
    pub secret: &'s [u8],
    pub properties: Properties,
    /// The blob of `credBlob`, empty if there is none.
    pub cred_blob: &'s [u8],
    /// The stored credential and the bytes of its record; `None` for a wrapped one, which is known by the id it was
    /// opened with.
    pub stored: Option<(NamelessCredential<'s>, &'s [u8])>,
}

impl<P: Platform> Authenticator<'_, P> {
    /// Whether credentials of `algorithm` can be made here.
    pub fn signs_with(&self, algorithm: Algorithm) -> bool {
        P::COMPILED.allows(algorithm)
            && self.config.lists(algorithm)
            && self.config.caps.allows(algorithm)
            && self.config.has_room_for(algorithm)
            && self.crypto.algorithms().contains(&algorithm)
    }

    /// Makes the key pair, and the credential's id, which holds `cred_blob` if the credential is not `discoverable`.
    pub fn generate(
        &mut self,
        ceremony: &CeremonyState,
        new: &mut NewCredential,
        discoverable: bool,
        cred_blob: &[u8],
    ) -> Result<(), Failure> {
        let sizes = Sizes::of(new.algorithm);
        new.secret.resize(sizes.secret.min(MAX_SECRET), 0).map_err(|_| Failure::OTHER)?;
        new.public.clear();
        new.public.resize(sizes.public.min(MAX_PUBLIC), 0).map_err(|_| Failure::OTHER)?;
        let generated = self.crypto.generate(new.algorithm, &mut self.rng, &mut new.secret, &mut new.public);
        let (secret_len, public_len) = generated.map_err(crypto_status)?;
        new.secret.truncate(secret_len);
        new.public.truncate(public_len);

        new.id.resize(if discoverable { STORED_ID } else { MAX_ID }, 0).map_err(|_| Failure::OTHER)?;
        if discoverable {
            fill_random(&mut self.rng, &mut new.id).map_err(crypto_status)?;
        } else {
            let properties = Properties {
                cred_protect: ceremony.asked.cred_protect.unwrap_or(Level::USER_VERIFICATION_OPTIONAL),
                third_party_payment: ceremony.asked.third_party_payment,
            };
            let credential = Wrapped { algorithm: new.algorithm, properties, cred_blob, secret: &new.secret };
            let room = new.id.first_chunk_mut().ok_or(Failure::OTHER)?;
            let wrapped =
                self.credential_keys.wrap(&self.crypto, &mut self.rng, &ceremony.rp_id_hash, &credential, room);
            let Ok(len) = wrapped else {
                bytes::wipe(&mut new.id); // the secret key was written there before it was sealed
                return Err(Failure::OTHER);
            };
            new.id.truncate(len);
        }
        Ok(())
    }

    /// Where the credential is that `id` stands for, if it is this authenticator's and this relying party's, and
    /// `credProtect` does not hide it.
    ///
    /// An id that is unknown, foreign or malformed takes the same work as the id of a hidden credential: the store
    /// looks for it in its index and reads no record, the id is opened, and both results are combined without a branch.
    pub fn locate(
        &mut self,
        rp_id_hash: &[u8; 32],
        id: &[u8],
        user_verified: bool,
    ) -> Result<Option<Located>, StoreError> {
        #[cfg(feature = "testing")]
        if P::is_removed(&mut self.store, id) {
            return Ok(None);
        }
        let listed = Query::Listed { rp_id_hash, id, protection: shown(user_verified, true) };
        let stored = !self.store.count(listed)?.ct_eq(&0);
        let mut shown = stored;
        let mut wrapped = Secret([0; MAX_ID]);
        if let Some((is_ours, opened)) = self.credential_keys.unwrap(&self.crypto, rp_id_hash, id, &mut wrapped) {
            let [properties] = bytes::first(bytes::rest(opened, ALGORITHM));
            let properties = Properties::from_byte(properties);
            shown |= is_ours & !properties.hide_it(user_verified);
        }
        let located = if stored.into() { Located::Stored } else { Located::Wrapped };
        Ok(Some(located).filter(|_| shown.into()))
    }

    /// The credential that is wrapped in `id`.
    pub fn open_wrapped<'s>(&mut self, rp_id_hash: &[u8; 32], id: &[u8], scratch: &'s mut [u8]) -> Option<Opened<'s>> {
        let mut wrapped = Secret([0; MAX_ID]);
        let (is_ours, opened) = self.credential_keys.unwrap(&self.crypto, rp_id_hash, id, &mut wrapped)?;
        let Wrapped { algorithm, properties, cred_blob, secret } =
            Wrapped::read(Some(opened).filter(|_| is_ours.into())?)?;
        self.scratch_used = self.scratch_used.max(secret.len().saturating_add(cred_blob.len()));
        let copied = scratch.get_mut(..secret.len().checked_add(cred_blob.len())?)?;
        bytes::join(copied, &[secret, cred_blob]);
        let (secret, cred_blob) = bytes::split(copied, secret.len());
        Some(Opened { algorithm, secret, properties, cred_blob, stored: None })
    }

    /// The discoverable credential with this number.
    pub fn open_number<'s>(
        &mut self,
        rp_id_hash: &[u8; 32],
        number: Number,
        scratch: &'s mut [u8],
    ) -> Result<Option<Opened<'s>>, StoreError> {
        let query = Query::RelyingParty { rp_id_hash, protection: shown(true, false) };
        let found = self.next(query, number.checked_add(1), scratch)?;
        Ok(found.filter(|found| found.number == number).and_then(|found| opened(scratch, found)))
    }

    /// The newest credential that is asked for, is older than `before` and was not replaced, its record in `scratch`.
    pub fn next_current(
        &mut self,
        query: Query<'_>,
        before: Option<Number>,
        scratch: &mut [u8],
    ) -> Result<Option<Found>, StoreError> {
        let mut found = self.next(query, before, scratch)?;
        // A few at most.
        while let Some(Found { number, .. }) = found.filter(|found| self.superseded.has(found.number)) {
            found = self.next(query, Some(number), scratch)?;
        }
        Ok(found)
    }

    /// As [`Self::next_current`], but only the number.
    pub fn next_number(
        &mut self,
        query: Query<'_>,
        before: Option<Number>,
        scratch: &mut [u8],
    ) -> Result<Option<Number>, StoreError> {
        Ok(self.next_current(query, before, scratch)?.map(|found| found.number))
    }

    /// How many of the credentials that are asked for were not replaced.
    pub fn count_current(&mut self, query: Query<'_>, scratch: &mut [u8]) -> Result<u32, StoreError> {
        let mut count = self.store.count(query)?;
        let kept = self.superseded;
        for Superseded { number, .. } in kept.entries().copied() {
            let found = self.next(query, number.checked_add(1), scratch)?;
            count = count.saturating_sub(found.is_some_and(|found| found.number == number).into());
        }
        Ok(count)
    }

    /// The large-blob key of a credential that was made with one.
    pub fn large_blob_key(&self, rp_id_hash: &[u8; 32], id: &[u8]) -> Secret<32> {
        self.credential_keys.secret(&self.crypto, DerivedSecret::LargeBlobKey, rp_id_hash, id)
    }

    /// The newest credential that is asked for and is older than `before`, its record in `scratch`.
    pub fn next(
        &mut self,
        query: Query<'_>,
        before: Option<Number>,
        scratch: &mut [u8],
    ) -> Result<Option<Found>, StoreError> {
        let found = self.store.next(query, before, scratch)?;
        self.scratch_used = self.scratch_used.max(found.map_or(0, |found| found.len));
        Ok(found)
    }
}

fn opened(scratch: &[u8], found: Found) -> Option<Opened<'_>> {
    let record = scratch.get(..found.len)?;
    let credential = NamelessCredential::decode(record)?;
    let NamelessCredential { algorithm, secret, cred_protect, third_party_payment, .. } = credential;
    Some(Opened {
        algorithm,
        secret,
        properties: Properties { cred_protect, third_party_payment },
        cred_blob: credential.cred_blob.unwrap_or_default(),
        stored: Some((credential, record)),
    })
}

/// At most [`MAX_NAME`] bytes, cut where a character ends.
pub(super) fn truncate(name: &str) -> &str {
    name.get(..name.floor_char_boundary(MAX_NAME)).unwrap_or(name)
}

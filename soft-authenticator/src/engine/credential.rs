//! Credentials, wherever they are kept: in the store, or wrapped in their own id.

use keyfob_core::{
    bytes::{self, Secret},
    cose::Algorithm,
};
use subtle::ConstantTimeEq;

use super::{
    authenticator::Authenticator,
    platform::Platform,
    wrapping::{ALGORITHM, DerivedSecret, MAX_ID, Properties, Wrapped, shown},
};
use crate::store::{Found, NamelessCredential, Number, Query, Store, StoreError};

/// Where a credential is that the relying party named and that may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Located {
    /// In the store.
    Stored,
    /// In its own id.
    Wrapped,
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
        for number in kept.numbers() {
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

fn properties(credential: &NamelessCredential<'_>) -> Properties {
    Properties { cred_protect: credential.cred_protect, third_party_payment: credential.third_party_payment }
}

fn opened(scratch: &[u8], found: Found) -> Option<Opened<'_>> {
    let record = scratch.get(..found.len)?;
    let credential = NamelessCredential::decode(record)?;
    Some(Opened {
        algorithm: credential.algorithm,
        secret: credential.secret,
        properties: properties(&credential),
        cred_blob: credential.cred_blob.unwrap_or_default(),
        stored: Some((credential, record)),
    })
}

//! The list of enrolled fingerprints: ids and names. The templates themselves are the sensor's.
//!
//! In the store, one behind the other: `id 2 | length of the name 1 | name`. The list is what counts: a template that
//! is not in it, because power failed in the middle or because it was removed, must not match.

use heapless::Vec;
use keyfob_core::{Status, bytes, crypto::fill_random};

use super::{
    authenticator::{Authenticator, crypto_status, store_status},
    platform::Platform,
    state::{MAX_FINGERPRINTS, MAX_FRIENDLY_NAME, TemplateId},
};
use crate::store::{Change, Setting, Store, StoreError};

/// Room for the list as it is stored.
pub(super) type Stored = [u8; Setting::MAX_LEN];

const _: () = assert!(MAX_FINGERPRINTS * (3 + MAX_FRIENDLY_NAME) <= Setting::MAX_LEN);

/// An entry of the list: its name is empty until it gets one.
pub(super) type Entry<'l> = (TemplateId, &'l str);

/// Takes a stored list apart. `None` for a damaged one.
pub(super) fn entries(mut stored: &[u8]) -> Option<Vec<Entry<'_>, MAX_FINGERPRINTS>> {
    let mut entries = Vec::new();
    while let Some((&[a, b, len], rest)) = stored.split_first_chunk() {
        let (name, rest) = rest.split_at_checked(len.into())?;
        entries.push(([a, b], core::str::from_utf8(name).ok()?)).ok()?;
        stored = rest;
    }
    stored.is_empty().then_some(entries)
}

/// Writes a list and returns its length.
fn write(entries: &[Entry<'_>], stored: &mut Stored) -> Option<usize> {
    let mut len = 0_usize;
    for ([a, b], name) in entries {
        for part in [&[*a, *b, u8::try_from(name.len()).ok()?], name.as_bytes()] {
            let end = len.checked_add(part.len())?;
            bytes::copy(stored.get_mut(len..end)?, part);
            len = end;
        }
    }
    Some(len)
}

impl<P: Platform> Authenticator<'_, P> {
    /// Reads which fingerprints are enrolled, by way of `stored`.
    pub fn load_fingerprints(&mut self, stored: &mut Stored) -> Result<(), StoreError> {
        let mut ids = Vec::new();
        for (id, _) in &entries(self.stored_fingerprints(stored)?).ok_or(StoreError::Failed)? {
            ids.push(*id).map_err(|_| StoreError::Failed)?;
        }
        self.fingerprints = ids;
        Ok(())
    }

    /// The list as it is stored, in `stored`; empty before the first fingerprint.
    pub fn stored_fingerprints<'s>(&mut self, stored: &'s mut Stored) -> Result<&'s [u8], StoreError> {
        let len = self.store.get(Setting::Fingerprints, stored)?.unwrap_or(0);
        stored.get(..len).ok_or(StoreError::Failed)
    }

    /// An id that no enrolled fingerprint has.
    pub fn new_template_id(&mut self) -> Result<TemplateId, Status> {
        let mut id = [0; 2];
        fill_random(&mut self.rng, &mut id).map_err(crypto_status)?;
        // Ends: at most MAX_FINGERPRINTS ids are taken.
        while self.fingerprints.contains(&id) {
            id = u16::from_be_bytes(id).wrapping_add(1).to_be_bytes();
        }
        Ok(id)
    }

    /// Enrols a fingerprint, without a name. Errors: [`Status::FP_DATABASE_FULL`].
    pub fn add_fingerprint(&mut self, id: TemplateId) -> Result<(), Status> {
        let mut stored = [0; Setting::MAX_LEN];
        let mut entries = entries(self.stored_fingerprints(&mut stored).map_err(store_status)?).ok_or(Status::OTHER)?;
        entries.push((id, "")).map_err(|_| Status::FP_DATABASE_FULL)?;
        self.store_fingerprints(&entries)
    }

    /// Names a fingerprint. Errors: [`Status::INVALID_OPTION`] for one that is not enrolled.
    pub fn name_fingerprint(&mut self, id: &[u8], name: &str) -> Result<(), Status> {
        let mut stored = [0; Setting::MAX_LEN];
        let mut entries = entries(self.stored_fingerprints(&mut stored).map_err(store_status)?).ok_or(Status::OTHER)?;
        entries.iter_mut().find(|entry| entry.0 == *id).ok_or(Status::INVALID_OPTION)?.1 = name;
        self.store_fingerprints(&entries)
    }

    /// Removes a fingerprint. Errors: [`Status::INVALID_OPTION`] for one that is not enrolled.
    pub fn remove_fingerprint(&mut self, id: &[u8]) -> Result<(), Status> {
        let mut stored = [0; Setting::MAX_LEN];
        let mut entries = entries(self.stored_fingerprints(&mut stored).map_err(store_status)?).ok_or(Status::OTHER)?;
        let before = entries.len();
        entries.retain(|entry| entry.0 != *id);
        if entries.len() == before {
            return Err(Status::INVALID_OPTION);
        }
        self.store_fingerprints(&entries)
    }

    fn store_fingerprints(&mut self, entries: &[Entry<'_>]) -> Result<(), Status> {
        let mut stored = [0; Setting::MAX_LEN];
        let len = write(entries, &mut stored).ok_or(Status::OTHER)?;
        let list = stored.get(..len).ok_or(Status::OTHER)?;
        let committed = self.store.commit(&[Change::Set(Setting::Fingerprints, list)]);
        // Whether a commit that failed took effect, the store knows; if it does not say, the next power-up asks again.
        let _ = self.load_fingerprints(&mut stored);
        committed.map_err(store_status)
    }
}

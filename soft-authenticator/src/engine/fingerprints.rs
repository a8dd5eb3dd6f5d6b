//! The list of enrolled fingerprints: ids and names. The templates themselves are the sensor's.
//!
//! In the store, one behind the other: `id 2 | length of the name 1 | name`. The list is what counts: a template that is
//! not in it, because power failed in the middle or because it was removed, must not match.

use heapless::Vec;
use keyfob_core::Status;
use rand_core::Rng;

use super::{
    Engine, Platform,
    authenticator::{Authenticator, store_status},
};
use crate::store::{Change, Setting, Store, StoreError};

/// A fingerprint's id.
pub type TemplateId = [u8; 2];

/// Fingerprints at a time.
pub const MAX_FINGERPRINTS: usize = 5;
/// The longest name of a fingerprint, in bytes.
pub const MAX_FRIENDLY_NAME: usize = 48;

/// The list as it is stored.
type Stored = Vec<u8, { Setting::MAX_LEN }>;

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

fn to_stored(entries: &[Entry<'_>]) -> Option<Stored> {
    let mut stored = Stored::new();
    for ([a, b], name) in entries {
        stored.extend_from_slice(&[*a, *b, u8::try_from(name.len()).ok()?]).ok()?;
        stored.extend_from_slice(name.as_bytes()).ok()?;
    }
    Some(stored)
}

impl<P: Platform> Engine<'_, P> {
    /// The fingerprints that are enrolled. A sensor forgets every other template, at power-up and whenever this changes.
    pub fn fingerprints(&self) -> &[TemplateId] {
        &self.authenticator.fingerprints
    }
}

impl<P: Platform> Authenticator<'_, P> {
    pub fn load_fingerprints(&mut self) -> Result<Vec<TemplateId, MAX_FINGERPRINTS>, StoreError> {
        let stored = self.stored_fingerprints()?;
        let mut ids = Vec::new();
        for (id, _) in &entries(&stored).ok_or(StoreError::Failed)? {
            ids.push(*id).map_err(|_| StoreError::Failed)?;
        }
        Ok(ids)
    }

    /// The list as it is stored; empty before the first fingerprint.
    pub fn stored_fingerprints(&mut self) -> Result<Stored, StoreError> {
        let mut stored = Stored::new();
        let mut value = [0; Setting::MAX_LEN];
        let len = self.store.get(Setting::Fingerprints, &mut value)?.unwrap_or(0);
        stored.extend_from_slice(value.get(..len).unwrap_or_default()).map_err(|_| StoreError::Failed)?;
        Ok(stored)
    }

    /// An id that no enrolled fingerprint has.
    pub fn new_template_id(&mut self) -> TemplateId {
        let mut id = [0; 2];
        self.rng.fill_bytes(&mut id);
        // Ends: at most MAX_FINGERPRINTS ids are taken.
        while self.fingerprints.contains(&id) {
            id = u16::from_be_bytes(id).wrapping_add(1).to_be_bytes();
        }
        id
    }

    /// Enrols a fingerprint, without a name. Errors: [`Status::FP_DATABASE_FULL`].
    pub fn add_fingerprint(&mut self, id: TemplateId) -> Result<(), Status> {
        let stored = self.stored_fingerprints().map_err(store_status)?;
        let mut entries = entries(&stored).ok_or(Status::OTHER)?;
        entries.push((id, "")).map_err(|_| Status::FP_DATABASE_FULL)?;
        self.store_fingerprints(&entries)
    }

    /// Names a fingerprint. Errors: [`Status::INVALID_OPTION`] for one that is not enrolled.
    pub fn name_fingerprint(&mut self, id: &[u8], name: &str) -> Result<(), Status> {
        let stored = self.stored_fingerprints().map_err(store_status)?;
        let mut entries = entries(&stored).ok_or(Status::OTHER)?;
        entries.iter_mut().find(|entry| entry.0 == *id).ok_or(Status::INVALID_OPTION)?.1 = name;
        self.store_fingerprints(&entries)
    }

    /// Removes a fingerprint. Errors: [`Status::INVALID_OPTION`] for one that is not enrolled.
    pub fn remove_fingerprint(&mut self, id: &[u8]) -> Result<(), Status> {
        let stored = self.stored_fingerprints().map_err(store_status)?;
        let mut entries = entries(&stored).ok_or(Status::OTHER)?;
        let before = entries.len();
        entries.retain(|entry| entry.0 != *id);
        if entries.len() == before {
            return Err(Status::INVALID_OPTION);
        }
        self.store_fingerprints(&entries)
    }

    fn store_fingerprints(&mut self, entries: &[Entry<'_>]) -> Result<(), Status> {
        let stored = to_stored(entries).ok_or(Status::OTHER)?;
        let committed = self.store.commit(&[Change::Set(Setting::Fingerprints, &stored)]);
        // Whether a commit that failed took effect, the store knows; if it does not say, the next power-up asks again.
        if let Ok(fingerprints) = self.load_fingerprints() {
            self.fingerprints = fingerprints;
        }
        committed.map_err(store_status)
    }
}

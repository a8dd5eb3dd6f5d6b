//! A store with room for a large-blob array of a given length.

use crate::store::{Blobs, Change, Found, Number, Query, Setting, Store, StoreError};

/// Any store, and the longest large-blob array that it takes, in bytes. An array that is there already and is longer
/// stays.
pub struct Limited<S> {
    pub store: S,
    pub large_blobs: usize,
}

impl<S: Store> Store for Limited<S> {
    fn get(&mut self, setting: Setting, out: &mut [u8]) -> Result<Option<usize>, StoreError> {
        self.store.get(setting, out)
    }

    fn next(&mut self, query: Query<'_>, before: Option<Number>, out: &mut [u8]) -> Result<Option<Found>, StoreError> {
        self.store.next(query, before, out)
    }

    fn count(&mut self, query: Query<'_>) -> Result<u32, StoreError> {
        self.store.count(query)
    }

    fn remaining(&mut self) -> Result<u32, StoreError> {
        self.store.remaining()
    }

    fn commit(&mut self, changes: &[Change<'_>]) -> Result<(), StoreError> {
        self.store.commit(changes)
    }

    fn large_blobs_capacity(&self) -> usize {
        self.store.large_blobs_capacity().min(self.large_blobs)
    }

    fn large_blobs_len(&mut self) -> Result<usize, StoreError> {
        self.store.large_blobs_len()
    }

    fn read_large_blobs(&mut self, blobs: Blobs, offset: usize, out: &mut [u8]) -> Result<(), StoreError> {
        self.store.read_large_blobs(blobs, offset, out)
    }

    fn stage(&mut self, offset: usize, bytes: &[u8]) -> Result<(), StoreError> {
        self.store.stage(offset, bytes)
    }

    fn tidy(&mut self) -> Result<bool, StoreError> {
        self.store.tidy()
    }
}

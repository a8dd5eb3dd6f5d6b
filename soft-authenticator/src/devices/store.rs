//! The store of a virtual key: any store, with room for a large-blob array of a given length.

use crate::store::{Blobs, Change, Found, Number, Query, Setting, Store, StoreError};
#[cfg(feature = "testing")]
use crate::testing::TestStore;

/// What a virtual key keeps its state in: any store.
pub struct VirtualStore {
    store: Box<dyn Store + Send>,
    /// The longest large-blob array that it takes, in bytes. An array that is there already and is longer stays.
    large_blobs: usize,
    /// The store, where a test controls the key.
    #[cfg(feature = "testing")]
    pub(super) controlled: Option<TestStore>,
}

impl VirtualStore {
    pub(super) fn new(store: Box<dyn Store + Send>, large_blobs: usize) -> Self {
        Self {
            store,
            large_blobs,
            #[cfg(feature = "testing")]
            controlled: None,
        }
    }
}

impl From<Box<dyn Store + Send>> for VirtualStore {
    fn from(store: Box<dyn Store + Send>) -> Self {
        Self::new(store, usize::MAX)
    }
}

impl Store for VirtualStore {
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

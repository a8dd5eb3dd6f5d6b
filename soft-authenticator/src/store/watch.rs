//! A store under observation: tests count its calls, check and change what is committed, and let it fail.

use core::ops::DerefMut;

use super::{Blobs, Change, Found, Number, Query, Setting, Store, StoreError};

/// A call of a store, other than [`Store::commit`] and [`Store::tidy`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum StoreCall {
    /// [`Store::get`].
    Get,
    /// [`Store::next`] or [`Store::count`]: a search.
    Search,
    /// [`Store::read_large_blobs`].
    ReadLargeBlobs,
    /// [`Store::stage`].
    Stage,
}

/// Has a store and watches it, as a [`WatchedStore`]. By default it lets everything pass.
pub trait WatchStore {
    /// The store.
    type Store: Store;

    /// The store, for one call. It may be shared, and so outlive the engine.
    fn store(&self) -> impl DerefMut<Target = Self::Store>;

    /// A call is about to be made.
    ///
    /// # Errors
    /// What the call returns in place of its result. The store does not see it.
    fn before(&mut self, call: StoreCall) -> Result<(), StoreError> {
        let _ = call;
        Ok(())
    }

    /// [`Store::get`], after [`WatchStore::before`].
    ///
    /// # Errors
    /// As [`Store::get`].
    fn get(&mut self, setting: Setting, out: &mut [u8]) -> Result<Option<usize>, StoreError> {
        self.store().get(setting, out)
    }

    /// [`Store::commit`].
    ///
    /// # Errors
    /// As [`Store::commit`].
    fn commit(&mut self, changes: &[Change<'_>]) -> Result<(), StoreError> {
        self.store().commit(changes)
    }

    /// [`Store::tidy`].
    ///
    /// # Errors
    /// As [`Store::tidy`].
    fn tidy(&mut self) -> Result<bool, StoreError> {
        self.store().tidy()
    }
}

/// A store whose calls go past a [`WatchStore`].
#[derive(Clone, Debug, Default)]
pub struct WatchedStore<W>(pub W);

impl<W: WatchStore> Store for WatchedStore<W> {
    fn get(&mut self, setting: Setting, out: &mut [u8]) -> Result<Option<usize>, StoreError> {
        self.0.before(StoreCall::Get)?;
        self.0.get(setting, out)
    }

    fn next(&mut self, query: Query<'_>, before: Option<Number>, out: &mut [u8]) -> Result<Option<Found>, StoreError> {
        self.0.before(StoreCall::Search)?;
        self.0.store().next(query, before, out)
    }

    fn count(&mut self, query: Query<'_>) -> Result<u32, StoreError> {
        self.0.before(StoreCall::Search)?;
        self.0.store().count(query)
    }

    fn remaining(&mut self) -> Result<u32, StoreError> {
        self.0.store().remaining()
    }

    fn commit(&mut self, changes: &[Change<'_>]) -> Result<(), StoreError> {
        self.0.commit(changes)
    }

    fn large_blobs_capacity(&self) -> usize {
        self.0.store().large_blobs_capacity()
    }

    fn large_blobs_len(&mut self) -> Result<usize, StoreError> {
        self.0.store().large_blobs_len()
    }

    fn read_large_blobs(&mut self, blobs: Blobs, offset: usize, out: &mut [u8]) -> Result<(), StoreError> {
        self.0.before(StoreCall::ReadLargeBlobs)?;
        self.0.store().read_large_blobs(blobs, offset, out)
    }

    fn stage(&mut self, offset: usize, bytes: &[u8]) -> Result<(), StoreError> {
        self.0.before(StoreCall::Stage)?;
        self.0.store().stage(offset, bytes)
    }

    fn tidy(&mut self) -> Result<bool, StoreError> {
        self.0.tidy()
    }
}

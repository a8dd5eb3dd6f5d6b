//! A store in memory, without a heap: for tests, simulation and authenticators that may forget.

use heapless::Vec;
use keyfob_core::bytes;
use zeroize::Zeroize;

use super::{Blobs, Change, Found, MAX_RECORD, Number, Setting, Store, StoreError};

/// Room for this many different settings.
const SETTINGS: usize = 16;

/// Keeps up to `N` credentials and a large-blob array of up to `B` bytes.
#[derive(Clone)]
pub struct MemoryStore<const N: usize, const B: usize = 1024> {
    settings: Vec<Kept, SETTINGS>,
    large_blobs: Vec<u8, B>,
    staged: Vec<u8, B>,
    /// In the order of their numbers.
    credentials: Vec<Entry, N>,
    next: Number,
}

#[derive(Clone)]
struct Kept {
    setting: Setting,
    value: Vec<u8, { Setting::MAX_LEN }>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.value.as_mut_slice().zeroize();
    }
}

#[derive(Clone)]
struct Entry {
    number: Number,
    rp_id_hash: [u8; 32],
    record: Vec<u8, MAX_RECORD>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.record.as_mut_slice().zeroize();
    }
}

impl<const N: usize, const B: usize> Default for MemoryStore<N, B> {
    fn default() -> Self {
        Self { settings: Vec::new(), large_blobs: Vec::new(), staged: Vec::new(), credentials: Vec::new(), next: 1 }
    }
}

impl<const N: usize, const B: usize> MemoryStore<N, B> {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of credentials.
    pub fn len(&self) -> usize {
        self.credentials.len()
    }

    /// Whether there are no credentials.
    pub fn is_empty(&self) -> bool {
        self.credentials.is_empty()
    }

    /// Whether all of `changes` can be applied.
    fn check(&self, changes: &[Change<'_>]) -> Result<(), StoreError> {
        let mut room = N.saturating_sub(self.credentials.len());
        for (index, change) in changes.iter().enumerate() {
            match change {
                Change::Erase => room = N,
                Change::Set(_, value) if value.len() > Setting::MAX_LEN => return Err(StoreError::TooLong),
                Change::Set(..) => {}
                Change::Delete(number) => {
                    let gone = |change: &Change<'_>| match change {
                        Change::Erase => true,
                        Change::Delete(earlier) => earlier == number,
                        _ => false,
                    };
                    let found = self.credentials.iter().any(|entry| entry.number == *number)
                        && !changes.iter().take(index).any(gone);
                    room = room.saturating_add(usize::from(found));
                }
                Change::Replace { record, .. } if record.len() > MAX_RECORD => return Err(StoreError::TooLong),
                Change::Replace { number, .. } => {
                    self.credentials
                        .iter()
                        .any(|entry| entry.number == *number)
                        .then_some(())
                        .ok_or(StoreError::Failed)?;
                }
                Change::LargeBlobs(len) if *len > self.staged.len() => return Err(StoreError::Failed),
                Change::LargeBlobs(_) => {}
                Change::Put { record, .. } if record.len() > MAX_RECORD => return Err(StoreError::TooLong),
                Change::Put { .. } => room = room.checked_sub(1).ok_or(StoreError::Full)?,
            }
        }
        Ok(())
    }

    fn apply(&mut self, change: &Change<'_>) -> Result<(), StoreError> {
        match *change {
            Change::Erase => *self = Self::default(),
            Change::Set(setting, value) => {
                let value = Vec::from_slice(value).map_err(|_| StoreError::TooLong)?;
                self.settings.retain(|kept| kept.setting != setting);
                self.settings.push(Kept { setting, value }).map_err(|_| StoreError::Full)?;
            }
            Change::Delete(number) => self.credentials.retain(|entry| entry.number != number),
            Change::Replace { number, record, .. } => {
                if let Some(entry) = self.credentials.iter_mut().find(|entry| entry.number == number) {
                    entry.record.as_mut_slice().zeroize();
                    entry.record = Vec::from_slice(record).map_err(|_| StoreError::TooLong)?;
                }
            }
            Change::LargeBlobs(len) => {
                self.large_blobs = core::mem::take(&mut self.staged);
                self.large_blobs.truncate(len);
            }
            Change::Put { rp_id_hash, record } => {
                let record = Vec::from_slice(record).map_err(|_| StoreError::TooLong)?;
                let entry = Entry { number: self.next, rp_id_hash: *rp_id_hash, record };
                self.credentials.push(entry).map_err(|_| StoreError::Full)?;
                self.next = self.next.saturating_add(1);
            }
        }
        Ok(())
    }
}

impl<const N: usize, const B: usize> Store for MemoryStore<N, B> {
    fn get(&mut self, setting: Setting, out: &mut [u8]) -> Result<Option<usize>, StoreError> {
        let Some(kept) = self.settings.iter().find(|kept| kept.setting == setting) else { return Ok(None) };
        let out = out.get_mut(..kept.value.len()).ok_or(StoreError::TooLong)?;
        Ok(Some(bytes::copy(out, &kept.value)))
    }

    fn find(
        &mut self,
        rp_id_hash: &[u8; 32],
        before: Option<Number>,
        out: &mut [u8],
    ) -> Result<Option<Found>, StoreError> {
        let wanted =
            |entry: &&Entry| entry.rp_id_hash == *rp_id_hash && before.is_none_or(|before| entry.number < before);
        let Some(entry) = self.credentials.iter().rev().find(wanted) else { return Ok(None) };
        let len = entry.record.len();
        bytes::copy(out.get_mut(..len).ok_or(StoreError::TooLong)?, &entry.record);
        Ok(Some(Found { number: entry.number, len }))
    }

    fn walk(&mut self, before: Option<Number>, out: &mut [u8]) -> Result<Option<([u8; 32], Found)>, StoreError> {
        let older = |entry: &&Entry| before.is_none_or(|before| entry.number < before);
        let Some(entry) = self.credentials.iter().rev().find(older) else { return Ok(None) };
        let len = entry.record.len();
        bytes::copy(out.get_mut(..len).ok_or(StoreError::TooLong)?, &entry.record);
        Ok(Some((entry.rp_id_hash, Found { number: entry.number, len })))
    }

    fn count(&mut self) -> Result<u32, StoreError> {
        Ok(u32::try_from(self.credentials.len()).unwrap_or(u32::MAX))
    }

    fn large_blobs_capacity(&self) -> usize {
        B
    }

    fn large_blobs_len(&mut self) -> Result<usize, StoreError> {
        Ok(self.large_blobs.len())
    }

    fn read_large_blobs(&mut self, blobs: Blobs, offset: usize, out: &mut [u8]) -> Result<(), StoreError> {
        let from = match blobs {
            Blobs::Committed => &self.large_blobs,
            Blobs::Staged => &self.staged,
        };
        let bytes = from.get(offset..offset.saturating_add(out.len())).ok_or(StoreError::Failed)?;
        bytes::copy(out, bytes);
        Ok(())
    }

    fn stage(&mut self, offset: usize, bytes: &[u8]) -> Result<(), StoreError> {
        if offset > self.staged.len() {
            return Err(StoreError::Failed);
        }
        self.staged.truncate(offset);
        self.staged.extend_from_slice(bytes).map_err(|_| StoreError::Full)
    }

    fn remaining(&mut self) -> Result<u32, StoreError> {
        Ok(u32::try_from(N.saturating_sub(self.credentials.len())).unwrap_or(u32::MAX))
    }

    fn commit(&mut self, changes: &[Change<'_>]) -> Result<(), StoreError> {
        self.check(changes)?;
        changes.iter().try_for_each(|change| self.apply(change))
    }
}

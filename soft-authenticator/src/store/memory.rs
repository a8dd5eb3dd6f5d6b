//! A store in memory, without a heap: for tests, simulation and authenticators that may forget.

use core::ops::Range;

use heapless::Vec;
use keyfob_core::bytes;
use subtle::{ConstantTimeEq, ConstantTimeGreater};

use super::{Blobs, Change, Found, Keys, MAX_RECORD, Number, Query, Setting, Store, StoreError, class};

/// Room for this many different settings.
const SETTINGS: usize = 16;

/// Keeps up to `N` credentials and a large-blob array of up to `B` bytes.
///
/// ```
/// use keyfob_soft_authenticator::store::{Change, MemoryStore, Setting, Store};
///
/// let mut store = MemoryStore::<4>::new();
/// store.commit(&[Change::Set(Setting::PinRetries, &[8])])?;
/// let mut value = [0; 1];
/// assert_eq!(store.get(Setting::PinRetries, &mut value)?, Some(1));
/// assert_eq!((value, store.remaining()?), ([8], 4));
/// # Ok::<(), keyfob_soft_authenticator::store::StoreError>(())
/// ```
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
        bytes::wipe(&mut self.value);
    }
}

#[derive(Clone)]
struct Entry {
    number: Number,
    rp_id_hash: [u8; 32],
    record: Vec<u8, MAX_RECORD>,
    /// Where ids stand in a record that can be read, and its protection.
    keys: Option<Places>,
    /// Whether it is the newest of its relying party, of those that can be read.
    is_newest: bool,
}

#[derive(Clone)]
struct Places {
    id: Range<usize>,
    user_id: Range<usize>,
    protection: u8,
}

impl Entry {
    // Inlined, so that the entry is built in the store and not copied from the stack.
    #[inline(always)]
    fn new(number: Number, rp_id_hash: [u8; 32], record: &[u8]) -> Result<Self, StoreError> {
        let place = |part: &[u8]| {
            let start = bytes::offset(record, part)?;
            Some(start..start.saturating_add(part.len()))
        };
        let places = |keys: Keys<'_>| {
            Some(Places { id: place(keys.id)?, user_id: place(keys.user_id)?, protection: keys.protection })
        };
        // A medium may hold what another version has written, or damage; memory holds what was written here.
        let keys = Keys::of_own(record).and_then(places);
        let record = Vec::from_slice(record).map_err(|_| StoreError::TooLong)?;
        Ok(Self { number, rp_id_hash, record, keys, is_newest: false })
    }

    fn keys(&self) -> Option<Keys<'_>> {
        let places = self.keys.as_ref()?;
        let part = |place: &Range<usize>| self.record.get(place.clone());
        Some(Keys { id: part(&places.id)?, user_id: part(&places.user_id)?, protection: places.protection })
    }

    fn matches(&self, query: &Query<'_>) -> bool {
        match *query {
            Query::RelyingParties => self.is_newest,
            _ => query.matches_keys(&self.rp_id_hash, self.keys()),
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        bytes::wipe(&mut self.record);
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
                match self.settings.iter_mut().find(|kept| kept.setting == setting) {
                    Some(kept) => {
                        bytes::wipe(&mut kept.value);
                        kept.value = value;
                    }
                    None => self.settings.push(Kept { setting, value }).map_err(|_| StoreError::Full)?,
                }
            }
            Change::Delete(number) => {
                if let Some(at) = self.credentials.iter().position(|entry| entry.number == number) {
                    let rp_id_hash = self.credentials.remove(at).rp_id_hash;
                    self.mark_newest(&rp_id_hash);
                }
            }
            Change::Replace { number, record, .. } => {
                if let Some(entry) = self.credentials.iter_mut().find(|entry| entry.number == number) {
                    let rp_id_hash = entry.rp_id_hash;
                    *entry = Entry::new(number, rp_id_hash, record)?;
                    self.mark_newest(&rp_id_hash);
                }
            }
            Change::LargeBlobs(len) => {
                self.large_blobs = core::mem::take(&mut self.staged);
                self.large_blobs.truncate(len);
            }
            Change::Put { rp_id_hash, record } => {
                let entry = Entry::new(self.next, *rp_id_hash, record)?;
                self.credentials.push(entry).map_err(|_| StoreError::Full)?;
                self.mark_newest(rp_id_hash);
                self.next = self.next.saturating_add(1);
            }
        }
        Ok(())
    }

    /// Marks the newest credential of a relying party, after a change of these.
    fn mark_newest(&mut self, rp_id_hash: &[u8; 32]) {
        let mut newest = true;
        for entry in self.credentials.iter_mut().rev().filter(|entry| entry.rp_id_hash == *rp_id_hash) {
            entry.is_newest = newest && entry.keys.is_some();
            newest &= entry.keys.is_none();
        }
    }

    /// Counts what [`Query::Listed`] asks for, without a branch that depends on the ids.
    fn count_listed(&self, rp_id_hash: &[u8; 32], id: &[u8], strongest: u8) -> u32 {
        // As long as any id in the store, so that lengths make no difference.
        let mut wanted = [0; MAX_RECORD];
        bytes::copy_prefix(&mut wanted, id);
        let same = |entry: &Entry| {
            let Some(keys) = entry.keys() else { return 0 };
            let prefix = bytes::front(&wanted, keys.id.len());
            let same = keys.id.ct_eq(prefix) & keys.id.len().ct_eq(&id.len()) & entry.rp_id_hash.ct_eq(rp_id_hash);
            (same & !keys.protection.ct_gt(&strongest)).unwrap_u8()
        };
        self.credentials.iter().map(same).fold(0, |count, same| count.saturating_add(same.into()))
    }
}

impl<const N: usize, const B: usize> Store for MemoryStore<N, B> {
    fn get(&mut self, setting: Setting, out: &mut [u8]) -> Result<Option<usize>, StoreError> {
        let Some(kept) = self.settings.iter().find(|kept| kept.setting == setting) else { return Ok(None) };
        let out = out.get_mut(..kept.value.len()).ok_or(StoreError::TooLong)?;
        Ok(Some(bytes::put(out, &kept.value)))
    }

    fn next(&mut self, query: Query<'_>, before: Option<Number>, out: &mut [u8]) -> Result<Option<Found>, StoreError> {
        let older = |before| self.credentials.partition_point(|entry| entry.number < before);
        let mut older = self.credentials.iter().take(before.map_or(self.credentials.len(), older)).rev();
        let Some(entry) = older.find(|entry| entry.matches(&query)) else { return Ok(None) };
        let len = entry.record.len();
        bytes::copy(out.get_mut(..len).ok_or(StoreError::TooLong)?, &entry.record);
        Ok(Some(Found { number: entry.number, rp_id_hash: entry.rp_id_hash, len }))
    }

    fn count(&mut self, query: Query<'_>) -> Result<u32, StoreError> {
        if let Query::Listed { rp_id_hash, id, protection } = query {
            return Ok(self.count_listed(rp_id_hash, id, class(protection)));
        }
        let count = self.credentials.iter().filter(|entry| entry.matches(&query)).count();
        Ok(u32::try_from(count).unwrap_or(u32::MAX))
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

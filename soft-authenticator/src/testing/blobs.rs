//! Large blobs of credentials, as a test puts them in and sees them: where the key has the extension `largeBlob`, in the
//! record of the credential; where it has `largeBlobKey`, in the large-blob array (CTAP 2.3 §6.10), compressed and sealed
//! with the credential's key, as a client would write it.

use keyfob_core::{
    bytes::Secret,
    crypto::{Hash, RustCrypto},
    large_blob::{self, LargeBlobArray, OVERHEAD},
};

use super::{TestError, state::State};
use crate::{
    Caps,
    engine::credential_large_blob_key,
    store::{Blobs, Change, Credential, Setting, StoreError},
};

/// The longest blob in a record, compressed, in bytes, as the engine has it.
const MAX_RECORDED: usize = 400;
/// What DEFLATE makes of one byte, at most, in bytes.
const MAX_RATIO: usize = 1032;
/// The shortest large-blob array that a key may be limited to, in bytes (CTAP 2.3 §6.10).
const MIN_CAPACITY: usize = 1024;
/// What AES-256-GCM adds to a blob, in bytes.
const TAG: usize = 16;

/// Where the blobs of a key are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LargeBlobs {
    /// Nowhere.
    None,
    /// In the records: the extension `largeBlob`.
    Records,
    /// In an array of at most so many bytes: the extension `largeBlobKey` and authenticatorLargeBlobs.
    Array(usize),
}

impl LargeBlobs {
    /// Those of a key that can do this, and whose store has room for an array of so many bytes.
    pub const fn of(caps: Caps, capacity: usize) -> Self {
        if caps.has(Caps::LARGE_BLOB_EXTENSION) {
            Self::Records
        } else if caps.has(Caps::LARGE_BLOBS) && capacity >= MIN_CAPACITY {
            Self::Array(capacity)
        } else {
            Self::None
        }
    }
}

/// What is to be stored with a credential.
#[derive(Default)]
pub struct NewBlob {
    /// In its record.
    pub record: Option<Vec<u8>>,
    /// Whether it has a largeBlobKey.
    pub has_key: Option<bool>,
    /// The array with its blob, if the array changes.
    pub array: Option<Vec<u8>>,
}

impl State {
    /// What to store for a discoverable credential with this blob, or without one.
    ///
    /// # Errors
    /// [`TestError::LargeBlob`], [`TestError::LargeBlobUnsupported`], [`TestError::Store`]: the array has no room, or the
    /// store failed.
    pub fn new_blob(&mut self, rp_id_hash: &[u8; 32], id: &[u8], blob: Option<&[u8]>) -> Result<NewBlob, TestError> {
        match (self.large_blobs, blob) {
            (LargeBlobs::None, Some(_)) => Err(TestError::LargeBlobUnsupported),
            (LargeBlobs::None, None) => Ok(NewBlob::default()),
            (LargeBlobs::Records, blob) => {
                let record = blob.map(recorded).transpose()?.unwrap_or_default();
                Ok(NewBlob { record: Some(record), ..NewBlob::default() })
            }
            (LargeBlobs::Array(_), blob) => {
                let array = self.array_with(rp_id_hash, id, blob)?;
                Ok(NewBlob { has_key: Some(true), array, ..NewBlob::default() })
            }
        }
    }

    /// The array with this blob of a credential, or with none. `None`: it has none already.
    ///
    /// # Errors
    /// [`TestError::Store`], [`TestError::LargeBlob`].
    pub fn array_with(
        &mut self,
        rp_id_hash: &[u8; 32],
        id: &[u8],
        blob: Option<&[u8]>,
    ) -> Result<Option<Vec<u8>>, TestError> {
        let LargeBlobs::Array(capacity) = self.large_blobs else { return Ok(None) };
        let key = self.large_blob_key(rp_id_hash, id)?;
        let (mut bytes, len) = self.read_array()?;
        let room = large_blob::bound(blob.map_or(0, <[u8]>::len)).saturating_add(TAG).saturating_add(bytes.len());
        bytes.resize(bytes.len().max(capacity).saturating_add(OVERHEAD), 0);
        let (mut work, mut again) = (vec![0; room], bytes.clone());
        let mut array = match LargeBlobArray::open(&RustCrypto, &mut bytes, len) {
            Ok(array) => array,
            // What a client has written there is no array: nothing in it can be kept.
            Err(_) if blob.is_some() => LargeBlobArray::empty(&mut again).map_err(refused)?,
            Err(_) => return Ok(None),
        };
        match blob {
            Some(blob) => array.put(&RustCrypto, &mut self.rng, &key, blob, &mut work).map_err(refused)?,
            None if array.remove(&RustCrypto, &key, &mut work).map_err(refused)? => {}
            None => return Ok(None),
        }
        let array = array.serialize(&RustCrypto).to_vec();
        if array.len() > capacity { Err(TestError::Store(StoreError::Full)) } else { Ok(Some(array)) }
    }

    /// Makes these changes, and puts this array in force with them. What a client has staged of another array meanwhile
    /// stays staged.
    ///
    /// # Errors
    /// Nothing was changed.
    pub fn commit_with_array(&mut self, array: Option<&[u8]>, change: Change<'_>) -> Result<(), StoreError> {
        let Some(array) = array else { return self.memory.commit(&[change]) };
        let mut staged = vec![0; self.staged];
        if !staged.is_empty() {
            self.memory.read_large_blobs(Blobs::Staged, 0, &mut staged)?;
        }
        let made = self.memory.stage(0, array);
        let made = made.and_then(|()| self.memory.commit(&[Change::LargeBlobs(array.len()), change]));
        if !staged.is_empty() {
            self.memory.stage(0, &staged)?;
        }
        made
    }

    /// A credential's large blob.
    pub fn large_blob(&mut self, id: &[u8]) -> Option<Vec<u8>> {
        let records = self.records();
        let credential =
            records.iter().filter_map(|(_, record)| Credential::decode(record)).find(|one| one.id == id)?;
        match self.large_blobs {
            LargeBlobs::None => None,
            LargeBlobs::Records => {
                let (len, compressed) = credential.large_blob.filter(|blob| !blob.is_empty())?.split_first_chunk()?;
                let len = usize::try_from(u64::from_be_bytes(*len)).ok();
                let mut blob = vec![0; len.filter(|len| *len <= MAX_RECORDED.saturating_mul(MAX_RATIO))?];
                large_blob::inflate(compressed, &mut blob).ok().map(|()| blob)
            }
            LargeBlobs::Array(_) if credential.large_blob_key == Some(true) => {
                let key = self.large_blob_key(&RustCrypto.sha256(&[credential.rp.id.as_bytes()]), id).ok()?;
                self.blob_in_array(&key)
            }
            LargeBlobs::Array(_) => None,
        }
    }

    fn blob_in_array(&mut self, key: &Secret<32>) -> Option<Vec<u8>> {
        let (mut bytes, len) = self.read_array().ok()?;
        let most = len.saturating_mul(MAX_RATIO.saturating_add(1));
        bytes.resize(len.saturating_add(OVERHEAD), 0);
        let array = LargeBlobArray::open(&RustCrypto, &mut bytes, len).ok()?;
        let mut room = len;
        loop {
            match array.get(&RustCrypto, key, &mut vec![0; room]) {
                Ok(blob) => return blob.map(<[u8]>::to_vec),
                // The ciphertext, and the blob behind it.
                Err(large_blob::Error::WorkTooSmall { needed }) if room < needed && needed <= most => {
                    room = needed;
                }
                Err(_) => return None,
            }
        }
    }

    /// The array that is in force, and its length.
    fn read_array(&mut self) -> Result<(Vec<u8>, usize), TestError> {
        let len = self.memory.large_blobs_len().map_err(TestError::Store)?;
        let mut bytes = vec![0; len];
        if len > 0 {
            self.memory.read_large_blobs(Blobs::Committed, 0, &mut bytes).map_err(TestError::Store)?;
        }
        Ok((bytes, len))
    }

    /// The largeBlobKey of a credential, as the engine derives it.
    fn large_blob_key(&mut self, rp_id_hash: &[u8; 32], id: &[u8]) -> Result<Secret<32>, TestError> {
        let mut seed = Secret([0; 32]);
        match self.memory.get(Setting::Seed, &mut *seed).map_err(TestError::Store)? {
            Some(_) => Ok(credential_large_blob_key(&*seed, rp_id_hash, id)),
            None => Err(TestError::Store(StoreError::Failed)),
        }
    }
}

/// A blob as records have it: its length in eight bytes, then its compressed bytes.
fn recorded(blob: &[u8]) -> Result<Vec<u8>, TestError> {
    let mut compressed = vec![0; large_blob::bound(blob.len())];
    let len = large_blob::deflate(blob, &mut compressed).map_err(refused)?;
    let compressed = compressed.get(..len).filter(|bytes| bytes.len() <= MAX_RECORDED).ok_or(TestError::LargeBlob)?;
    Ok([&u64::try_from(blob.len()).unwrap_or(u64::MAX).to_be_bytes(), compressed].concat())
}

fn refused(error: large_blob::Error) -> TestError {
    match error {
        large_blob::Error::ArrayTooLong { .. } => TestError::Store(StoreError::Full),
        _ => TestError::LargeBlob,
    }
}

//! The large-blob array in the caller's memory: how to read, replace and remove blobs in it (CTAP 2.3 §6.10).
//!
//! ```text
//! element        {1: ciphertext ‖ tag, 2: nonce, 3: origSize}      AES-256-GCM with the credential's largeBlobKey,
//!                                                                  over "blob" ‖ origSize, of the DEFLATE-compressed blob
//! Array          | room | head | element | element | … | hash | free |
//! ```
//!
//! The array of an authenticator holds the blobs of many credentials and of many platforms. An item that cannot be
//! decrypted, or does not have the form of an element, may belong to another platform, so it stays unchanged, byte for
//! byte. [`LargeBlobArray`] finds, replaces and removes the one blob of a key. The whole array is read and written by
//! [`ReadLargeBlobs`](crate::client::manage::ReadLargeBlobs) and
//! [`WriteLargeBlobs`](crate::client::manage::WriteLargeBlobs).

use core::fmt;

use rand_core::TryCryptoRng;

use crate::{
    bytes,
    cbor::{self, Reader, Write, Writer, decode_tolerant},
    crypto::{self, Cipher, Crypto, Hash},
    ctap2::large_blobs::{HASH_LENGTH, LargeBlobMap},
};

mod deflate;
mod inflate;

pub use deflate::{bound, deflate};
pub use inflate::inflate;

/// The key of one credential's blob, its largeBlobKey.
pub type Key = [u8; 32];

/// An AES-GCM tag, in bytes.
pub(crate) const TAG: usize = 16;
/// Room for the head of the CBOR array in front of the elements, in bytes.
const HEAD: usize = 5;
/// How many bytes a serialized array needs in addition to its elements, at most.
pub const OVERHEAD: usize = HEAD + HASH_LENGTH;

/// Why an operation on an array or a blob failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Error {
    /// The hash is right but the bytes are not an array. Nothing in them can be kept: start again with
    /// [`LargeBlobArray::empty`].
    Malformed(cbor::Error),
    /// The blob decrypts, but does not decompress to its origSize.
    Compression,
    /// The memory of the array is too small.
    ArrayTooLong {
        /// The bytes it needs.
        needed: usize,
    },
    /// The working memory is too small.
    WorkTooSmall {
        /// The bytes it needs.
        needed: usize,
    },
    /// The cryptographic backend failed.
    Crypto(crypto::Error),
}

impl From<crypto::Error> for Error {
    fn from(error: crypto::Error) -> Self {
        Self::Crypto(error)
    }
}

/// A large-blob array in the caller's memory.
///
/// ```
/// use keyfob_core::{crypto::RustCrypto, large_blob::{Error, LargeBlobArray}};
/// # use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
/// # let mut rng = ChaCha8Rng::seed_from_u64(1);
///
/// let (mut memory, mut work) = ([0; 1024], [0; 512]);
/// let mut array = LargeBlobArray::empty(&mut memory)?; // or the outcome of ReadLargeBlobs
/// let key = [7; 32]; // the largeBlobKey of a credential
/// array.put(&RustCrypto, &mut rng, &key, b"a certificate", &mut work)?;
/// assert_eq!(array.get(&RustCrypto, &key, &mut work)?, Some(&b"a certificate"[..]));
///
/// let bytes = array.serialize(&RustCrypto); // for WriteLargeBlobs
/// assert_eq!(bytes.len(), array.serialized_len());
/// # Ok::<(), Error>(())
/// ```
pub struct LargeBlobArray<'b> {
    /// The elements begin after [`HEAD`] bytes.
    bytes: &'b mut [u8],
    /// The end of the elements.
    end: usize,
    count: usize,
    intact: bool,
}

impl fmt::Debug for LargeBlobArray<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LargeBlobArray({} elements)", self.count)
    }
}

impl<'b> LargeBlobArray<'b> {
    /// An array without elements.
    ///
    /// # Errors
    /// [`Error::ArrayTooLong`] unless `memory` has [`OVERHEAD`] bytes.
    pub fn empty(memory: &'b mut [u8]) -> Result<Self, Error> {
        let array = Self { bytes: memory, end: HEAD, count: 0, intact: true };
        array.fits(0, 0)?;
        Ok(array)
    }

    /// Opens the serialized array in the first `len` bytes of `memory`, which has [`OVERHEAD`] bytes more. An array
    /// with a wrong hash was not written completely and counts as empty ([`LargeBlobArray::is_intact`]).
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::ArrayTooLong`].
    pub fn open<C: Hash>(crypto: &C, memory: &'b mut [u8], len: usize) -> Result<Self, Error> {
        let intact = memory.get(..len).is_some_and(|serialized| is_whole(crypto, serialized));
        Self::of(memory, len, intact)
    }

    /// [`LargeBlobArray::open`] when it is known whether the hash is right.
    pub(crate) fn of(memory: &'b mut [u8], len: usize, intact: bool) -> Result<Self, Error> {
        if len > memory.len() {
            // The array is longer than the memory, so it must not count as empty.
            return Err(Error::ArrayTooLong { needed: len.saturating_add(OVERHEAD) });
        }
        let serialized = memory.get(..len).and_then(split_hash).filter(|_| intact);
        let Some((array, _)) = serialized else {
            return Ok(Self { intact: false, ..Self::empty(memory)? });
        };
        let (count, start) = scan(array).map_err(Error::Malformed)?;
        let elements = start..array.len();
        let end = HEAD.saturating_add(elements.len());
        let needed = end.saturating_add(HASH_LENGTH);
        if needed > memory.len() {
            return Err(Error::ArrayTooLong { needed });
        }
        bytes::shift(memory, elements, HEAD);
        Ok(Self { bytes: memory, end, count, intact: true })
    }

    /// Whether the hash was right.
    pub const fn is_intact(&self) -> bool {
        self.intact
    }

    /// How many elements there are, including those of other keys.
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there are no elements.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How long the serialized array is, in bytes.
    pub fn serialized_len(&self) -> usize {
        let elements = self.end.saturating_sub(HEAD);
        head(self.count).0.saturating_add(elements).saturating_add(HASH_LENGTH)
    }

    /// The serialized array, with its hash.
    pub fn serialize<C: Hash>(&mut self, crypto: &C) -> &[u8] {
        let (length, head) = head(self.count);
        let start = HEAD.saturating_sub(length);
        bytes::put(bytes::rest_mut(self.bytes, start), bytes::front(&head, length));
        let hash = left_hash(crypto, bytes::part(self.bytes, start..self.end));
        let len = bytes::put(bytes::rest_mut(self.bytes, self.end), &hash);
        bytes::part(self.bytes, start..self.end.saturating_add(len))
    }

    /// Where the serialized array lies in the memory, once it is [serialized](LargeBlobArray::serialize).
    pub(crate) fn range(&self) -> core::ops::Range<usize> {
        HEAD.saturating_sub(head(self.count).0)..self.end.saturating_add(HASH_LENGTH)
    }

    /// The elements, unchanged.
    pub fn elements(&self) -> impl Iterator<Item = &[u8]> {
        let mut reader = self.reader(HEAD);
        // The elements were read when the array was opened, so this does not fail.
        (0..self.count).map_while(move |_| reader.skip().ok())
    }

    /// The blob of `key`, decompressed into `work`. `None` when there is none. `work` must have room for the ciphertext
    /// and the blob after it.
    ///
    /// # Errors
    /// [`Error::WorkTooSmall`], [`Error::Compression`], [`Error::Crypto`].
    pub fn get<'w, C: Cipher>(&self, crypto: &C, key: &Key, work: &'w mut [u8]) -> Result<Option<&'w [u8]>, Error> {
        open(crypto, key, self.elements(), work)
    }

    /// Stores `blob` under `key` and replaces an existing one. `work` must have room for [`bound`] of the blob's
    /// length, the tag of 16 bytes and [`LargeBlobArray::largest`].
    ///
    /// # Errors
    /// [`Error::ArrayTooLong`], [`Error::WorkTooSmall`], [`Error::Crypto`]. After an error the array is unchanged.
    pub fn put<C: Crypto, R: TryCryptoRng + ?Sized>(
        &mut self,
        crypto: &C,
        rng: &mut R,
        key: &Key,
        blob: &[u8],
        work: &mut [u8],
    ) -> Result<(), Error> {
        let length = deflate(blob, work)?;
        let needed = length.saturating_add(TAG).saturating_add(self.largest());
        let too_small = Error::WorkTooSmall { needed };
        let (ciphertext, work) = work.split_at_mut_checked(length.saturating_add(TAG)).ok_or(too_small)?;
        let (data, place) = ciphertext.split_at_mut_checked(length).ok_or(too_small)?;
        let mut nonce = [0; 12];
        crypto::fill_random(rng, &mut nonce)?;
        let orig_size = blob.len() as u64;
        let tag = crypto.aes256_gcm_seal(key, &nonce, &associated(orig_size), data)?;
        bytes::copy(place, &tag);
        let element = LargeBlobMap { ciphertext, nonce: &nonce, orig_size };

        let mut measure = Writer::new(&mut []);
        element.write(&mut measure);
        let replaced = self.size_of(crypto, key, work)?;
        self.fits(measure.len(), replaced)?;
        self.retain(|element| !opens(crypto, key, element, work));
        let mut w = Writer::new(bytes::rest_mut(self.bytes, self.end));
        element.write(&mut w);
        self.end = self.end.saturating_add(w.len());
        self.count = self.count.saturating_add(1);
        Ok(())
    }

    /// Removes the blob of `key` and returns whether there was one. `work` must have [`LargeBlobArray::largest`] bytes.
    ///
    /// # Errors
    /// [`Error::WorkTooSmall`], [`Error::Crypto`]. After an error the array is unchanged.
    pub fn remove<C: Cipher>(&mut self, crypto: &C, key: &Key, work: &mut [u8]) -> Result<bool, Error> {
        self.size_of(crypto, key, work)?;
        Ok(self.retain(|element| !opens(crypto, key, element, work)) > 0)
    }

    /// Removes the blobs that none of `keys` decrypts, and returns how many. Pass the keys of all credentials on the
    /// authenticator: then a removed blob belongs to a deleted credential. An item that does not have the form of a
    /// blob stays. `work` must have [`LargeBlobArray::largest`] bytes.
    ///
    /// # Errors
    /// [`Error::WorkTooSmall`]. The array is then unchanged.
    pub fn collect_garbage<C: Cipher>(&mut self, crypto: &C, keys: &[Key], work: &mut [u8]) -> Result<usize, Error> {
        let needed = self.largest();
        if work.len() < needed {
            return Err(Error::WorkTooSmall { needed });
        }
        Ok(self.retain(|element| {
            // When the backend fails, the blob stays, because its key may be among `keys`.
            blob_map(element).is_none()
                || keys.iter().any(|key| !matches!(decrypt(crypto, key, element, work), Ok(None)))
        }))
    }

    /// The length of the longest ciphertext, in bytes.
    pub fn largest(&self) -> usize {
        self.elements().filter_map(blob_map).map(|map| map.ciphertext.len()).max().unwrap_or(0)
    }

    /// The length of the elements of `key` together, in bytes.
    fn size_of<C: Cipher>(&self, crypto: &C, key: &Key, work: &mut [u8]) -> Result<usize, Error> {
        let mut size = 0_usize;
        for element in self.elements() {
            if decrypt(crypto, key, element, work)?.is_some() {
                size = size.saturating_add(element.len());
            }
        }
        Ok(size)
    }

    /// Removes the elements that `keep` rejects and returns how many.
    fn retain(&mut self, mut keep: impl FnMut(&[u8]) -> bool) -> usize {
        let (mut from, mut to, mut removed) = (HEAD, HEAD, 0_usize);
        for _ in 0..self.count {
            // The elements were read when the array was opened, so this does not fail.
            let Ok(element) = self.reader(from).skip() else { break };
            let (next, kept) = (from.saturating_add(element.len()), keep(element));
            if kept {
                bytes::shift(self.bytes, from..next, to);
                to = to.saturating_add(next.saturating_sub(from));
            } else {
                removed = removed.saturating_add(1);
            }
            from = next;
        }
        self.end = to;
        self.count = self.count.saturating_sub(removed);
        removed
    }

    fn reader(&self, from: usize) -> Reader<'_> {
        Reader::tolerant(bytes::part(self.bytes, from..self.end))
    }

    fn fits(&self, added: usize, removed: usize) -> Result<(), Error> {
        let needed = self.end.saturating_sub(removed).saturating_add(added).saturating_add(HASH_LENGTH);
        if needed > self.bytes.len() { Err(Error::ArrayTooLong { needed }) } else { Ok(()) }
    }
}

/// The blob of `key` in `array`, a CBOR array that was checked by [`scan`]. See [`LargeBlobArray::get`].
pub(crate) fn find<'w, C: Cipher>(
    crypto: &C,
    key: &Key,
    array: &[u8],
    work: &'w mut [u8],
) -> Result<Option<&'w [u8]>, Error> {
    let mut r = Reader::tolerant(array);
    let count = r.array().map_err(Error::Malformed)?;
    open(crypto, key, (0..count).map_while(move |_| r.skip().ok()), work)
}

fn open<'e, 'w, C: Cipher>(
    crypto: &C,
    key: &Key,
    elements: impl Iterator<Item = &'e [u8]>,
    work: &'w mut [u8],
) -> Result<Option<&'w [u8]>, Error> {
    for element in elements {
        if let Some((length, size)) = decrypt(crypto, key, element, work)? {
            let needed = length.saturating_add(size);
            let too_small = Error::WorkTooSmall { needed };
            let (compressed, rest) = work.split_at_mut_checked(length).ok_or(too_small)?;
            let blob = rest.get_mut(..size).ok_or(too_small)?;
            inflate(compressed, blob)?;
            return Ok(Some(blob));
        }
    }
    Ok(None)
}

/// Splits a serialized array into the CBOR array and its hash.
pub(crate) fn split_hash(serialized: &[u8]) -> Option<(&[u8], &[u8; HASH_LENGTH])> {
    serialized.split_last_chunk()
}

/// Whether the hash of a serialized array is right.
pub(crate) fn is_whole<C: Hash>(crypto: &C, serialized: &[u8]) -> bool {
    split_hash(serialized).is_some_and(|(array, hash)| left_hash(crypto, array) == *hash)
}

fn left_hash<C: Hash>(crypto: &C, array: &[u8]) -> [u8; HASH_LENGTH] {
    bytes::first(&crypto.sha256(&[array]))
}

/// Checks that an array is well-formed to its end. Returns the number of elements and the offset of the first.
fn scan(array: &[u8]) -> Result<(usize, usize), cbor::Error> {
    let mut r = Reader::tolerant(array);
    let count = r.array()?;
    let start = r.offset();
    for _ in 0..count {
        r.skip()?;
    }
    r.finish()?;
    Ok((count, start))
}

/// The head of a CBOR array and the head's length. There are never more elements than bytes.
fn head(count: usize) -> (usize, [u8; HEAD]) {
    let mut head = [0; HEAD];
    let mut w = Writer::new(&mut head);
    w.array(count);
    (w.len(), head)
}

fn blob_map(element: &[u8]) -> Option<LargeBlobMap<'_>> {
    decode_tolerant(element).ok()
}

/// The additional authenticated data of a blob (CTAP 2.3 §6.10.3).
fn associated(orig_size: u64) -> [u8; 12] {
    bytes::concat(&[b"blob", &orig_size.to_le_bytes()])
}

/// Decrypts an element into `work`. Returns the length of the compressed blob and its origSize. `None` when the element
/// is not encrypted with `key`.
fn decrypt<C: Cipher>(crypto: &C, key: &Key, element: &[u8], work: &mut [u8]) -> Result<Option<(usize, usize)>, Error> {
    let Some(map) = blob_map(element) else { return Ok(None) };
    let Some((data, tag)) = map.ciphertext.split_last_chunk::<TAG>() else { return Ok(None) };
    let place = work.get_mut(..data.len()).ok_or(Error::WorkTooSmall { needed: map.ciphertext.len() })?;
    bytes::copy(place, data);
    match crypto.aes256_gcm_open(key, map.nonce, &associated(map.orig_size), place, tag) {
        Ok(()) => Ok(Some((data.len(), usize::try_from(map.orig_size).unwrap_or(usize::MAX)))),
        Err(crypto::Error::Mismatch) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn opens<C: Cipher>(crypto: &C, key: &Key, element: &[u8], work: &mut [u8]) -> bool {
    matches!(decrypt(crypto, key, element, work), Ok(Some(_)))
}

#[cfg(test)]
mod tests;

//! The large-blob array as it comes and goes, fragment by fragment, and the large blob of a sign-in (CTAP 2.3 §6.10,
//! §12).

use core::{fmt, ops::Range};

use rand_core::CryptoRng;

use super::{
    Cause,
    extensions::{LargeBlobAccess, inputs::LargeBlobForm},
    facts::Facts,
    operation::Means,
};
use crate::{
    bytes,
    cbor::{Error, ErrorKind},
    crypto::{Crypto, Hash},
    ctap2::{
        Command, decode_response, encode_request, get_info,
        large_blobs::{FRAGMENT_OVERHEAD, Request, Response, authenticated_head},
        response_body,
    },
    large_blob::{self, Key, LargeBlobArray, OVERHEAD, TAG, bound, deflate, is_whole, split_hash},
};

/// Where in the serialized array a reader or a writer is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fragments {
    pub offset: usize,
    longest: usize,
}

impl Fragments {
    /// Sets the length of fragments before the first one: as long as maxMsgSize and `means.buffer` allow. Later
    /// fragments keep it.
    fn limit<C, R>(&mut self, means: &Means<'_, C, R>) {
        if self.offset == 0 {
            let message = means.facts.max_msg_size.min(means.buffer.len());
            self.longest = message.saturating_sub(FRAGMENT_OVERHEAD).max(1);
        }
    }

    /// Writes the request for the next fragment.
    pub fn ask<C, R>(&mut self, means: &mut Means<'_, C, R>) -> Result<usize, Cause> {
        self.limit(means);
        let request =
            Request { get: Some(self.longest as u32), offset: Some(self.offset as u32), ..Request::default() };
        Ok(encode_request(Command::LARGE_BLOBS, &request, means.buffer)?)
    }

    /// Puts the fragment of a response into `array`, and says whether it was the last.
    pub fn take(&mut self, array: &mut [u8], response: &[u8]) -> Result<bool, Cause> {
        let response: Response<'_> = decode_response(response)?;
        let fragment = response.config.ok_or(Cause::missing(0x01))?;
        if fragment.len() > self.longest {
            return Err(Cause::Decode(Error::new(ErrorKind::WrongLength, 0).within(0x01)));
        }
        let end = self.offset.saturating_add(fragment.len());
        let place = array.get_mut(self.offset..end).ok_or(Cause::BufferTooSmall { needed: end })?;
        bytes::copy(place, fragment);
        self.offset = end;
        Ok(fragment.len() < self.longest)
    }

    fn next<'a>(&self, array: &'a [u8]) -> &'a [u8] {
        let rest = bytes::rest(array, self.offset);
        rest.get(..self.longest).unwrap_or(rest)
    }

    /// Writes the request that stores the next fragment of `array`.
    pub fn give<C: Hash, R>(&mut self, array: &[u8], means: &mut Means<'_, C, R>) -> Result<usize, Cause> {
        self.limit(means);
        let (crypto, fragment) = (means.crypto, self.next(array));
        let offset = u32::try_from(self.offset).unwrap_or(u32::MAX);
        let proof = means.grant.authenticate(crypto, &[&authenticated_head(offset), &crypto.sha256(&[fragment])]);
        let request = Request {
            get: None,
            set: Some(fragment),
            offset: Some(offset),
            length: (offset == 0).then_some(array.len() as u32),
            pin_uv_auth_param: proof.as_ref().map(|(param, _)| param.as_bytes()),
            pin_uv_auth_protocol: proof.as_ref().map(|(_, protocol)| *protocol),
        };
        Ok(encode_request(Command::LARGE_BLOBS, &request, means.buffer)?)
    }

    /// The fragment was stored: says whether it was the last of `array`.
    pub fn given(&mut self, array: &[u8], response: &[u8]) -> Result<bool, Cause> {
        response_body(response)?;
        self.offset = self.offset.saturating_add(self.next(array).len());
        Ok(self.offset >= array.len())
    }
}

/// The large-blob array, or the large blob of a sign-in, and the memory for it.
#[derive(Default)]
pub struct LargeBlob<'o> {
    memory: &'o mut [u8],
    form: Option<LargeBlobForm>,
    /// Where the array lies in the memory, or the compressed blob.
    range: Range<usize>,
    /// The array's longest, in bytes.
    limit: usize,
    pub fragments: Fragments,
    /// The array was read, and its hash was right.
    whole: bool,
    pub written: bool,
}

impl fmt::Debug for LargeBlob<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LargeBlob({:?}, ..)", self.form)
    }
}

impl<'o> LargeBlob<'o> {
    pub fn new(memory: &'o mut [u8]) -> Self {
        Self { memory, ..Self::default() }
    }

    /// Checks that the memory suffices, and compresses what an authenticator is to keep by itself.
    pub fn examine(
        &mut self,
        access: LargeBlobAccess<'_>,
        info: &get_info::Response<'_>,
        facts: &Facts,
    ) -> Result<(), Cause> {
        self.form = LargeBlobForm::of(facts);
        self.limit = info.max_serialized_large_blob_array.unwrap_or(get_info::DEFAULT_MAX_MSG_SIZE);
        let array = self.limit.saturating_add(OVERHEAD);
        let needed = match (self.form, access) {
            (None, _) | (Some(LargeBlobForm::Direct), LargeBlobAccess::Read) => 0,
            (Some(LargeBlobForm::Array), LargeBlobAccess::Read) => array,
            (Some(LargeBlobForm::Array), LargeBlobAccess::Write(blob)) => array.saturating_add(self.work(blob)),
            (Some(LargeBlobForm::Direct), LargeBlobAccess::Write(blob)) => bound(blob.len()),
        };
        if needed > self.memory.len() {
            return Err(Cause::BufferTooSmall { needed });
        }
        if let (Some(LargeBlobForm::Direct), LargeBlobAccess::Write(blob)) = (self.form, access) {
            self.range = 0..deflate(blob, self.memory)?;
        }
        Ok(())
    }

    /// What the memory needs beside the array to write a blob, in bytes.
    fn work(&self, blob: &[u8]) -> usize {
        bound(blob.len()).saturating_add(TAG).saturating_add(self.limit)
    }

    /// Whether the array is to be read, and perhaps written, after the assertions.
    pub fn is_in_array(&self) -> bool {
        self.form == Some(LargeBlobForm::Array)
    }

    /// The compressed blob, where it is a part of the command.
    pub fn compressed(&self) -> &[u8] {
        if self.is_in_array() { &[] } else { bytes::part(self.memory, self.range.clone()) }
    }

    /// Takes a fragment, and says whether it was the last.
    pub fn take<C: Hash>(&mut self, crypto: &C, response: &[u8]) -> Result<bool, Cause> {
        let last = self.fragments.take(self.memory, response)?;
        if last {
            self.range = 0..self.fragments.offset;
            self.whole = is_whole(crypto, self.array());
        }
        Ok(last)
    }

    fn array(&self) -> &[u8] {
        bytes::part(self.memory, self.range.clone())
    }

    /// Puts `blob` under `key` into the array. Called before every fragment; does nothing after the first one was
    /// stored.
    pub fn put<C: Crypto, R: CryptoRng>(
        &mut self,
        key: Option<&[u8]>,
        blob: &[u8],
        means: &mut Means<'_, C, R>,
    ) -> Result<(), Cause> {
        if self.fragments.offset > 0 {
            return Ok(());
        }
        let key: &Key = key.and_then(|key| key.try_into().ok()).ok_or(Cause::missing(0x07))?;
        let at = self.memory.len().saturating_sub(self.work(blob));
        let (memory, work) = bytes::split_mut(self.memory, at);
        let mut array = LargeBlobArray::of(memory, self.range.len(), self.whole)?;
        array.put(means.crypto, means.rng, key, blob, work)?;
        let needed = array.serialize(means.crypto).len();
        self.range = array.range();
        if needed > self.limit {
            return Err(large_blob::Error::ArrayTooLong { needed }.into());
        }
        Ok(())
    }

    pub fn give<C: Hash, R>(&mut self, means: &mut Means<'_, C, R>) -> Result<usize, Cause> {
        self.fragments.give(bytes::part(self.memory, self.range.clone()), means)
    }

    /// A fragment was stored: says whether it was the last.
    pub fn given(&mut self, response: &[u8]) -> Result<bool, Cause> {
        let array = bytes::part(self.memory, self.range.clone());
        self.written = self.fragments.given(array, response)?;
        Ok(self.written)
    }

    /// Takes the memory out, as the array that was read. To be called once.
    pub fn take_array(&mut self) -> Result<LargeBlobArray<'o>, Cause> {
        Ok(LargeBlobArray::of(core::mem::take(&mut self.memory), self.range.len(), self.whole)?)
    }

    /// Takes the memory out, as the bytes of the array without its hash. `None` unless the array was read and its hash
    /// was right.
    pub fn take_bytes(&mut self) -> Option<&'o [u8]> {
        let memory = &*core::mem::take(&mut self.memory);
        let (array, _) = memory.get(self.range.clone()).filter(|_| self.whole).and_then(split_hash)?;
        Some(array)
    }
}

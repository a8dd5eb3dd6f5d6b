//! authenticatorLargeBlobs (CTAP 2.3 §6.10). Fragments are staged; the array in force stays until the last one is there
//! and the hash at the end is right.

use keyfob_core::{
    Failure, Instant, bytes,
    crypto::{Hash, Sha256},
    ctap2::large_blobs::{FRAGMENT_OVERHEAD, HASH_LENGTH, INITIAL_ARRAY, Request, authenticated_head},
    pin_uv::Permissions,
};

use crate::engine::{
    authenticator::{Authenticator, store_status},
    call::{Call, Next, Outcome, Trigger, begin, decode, ok, valid, written},
    platform::{Platform, SEQUENCE_TIMEOUT},
};
use crate::store::{Blobs, Change, Store, StoreError};

/// A write that is under way.
#[derive(Clone, Copy)]
pub struct Upload {
    /// The length of the whole array, in bytes.
    expected: usize,
    /// Where the next fragment belongs.
    next: usize,
    deadline: Instant,
}

/// How far a write has come.
#[derive(Clone, Copy, Default)]
pub enum Run {
    #[default]
    Idle,
    /// The next fragment is awaited.
    Upload(Upload),
    /// All fragments are staged: so many bytes.
    Commit(usize),
}

impl Run {
    /// The command ends. Whether the next one can go on with a write.
    pub const fn end(&self) -> bool {
        matches!(self, Self::Upload(_))
    }

    #[inline(never)]
    pub fn step<P: Platform>(&mut self, call: &mut Call<'_, '_, P>, cause: Trigger) -> Outcome {
        let Call { now, authenticator, .. } = call;
        if authenticator.large_blobs_capacity() == 0 {
            return Err(Failure::INVALID_COMMAND);
        }
        if let (Self::Commit(len), Trigger::Work) = (*self, cause) {
            *self = Self::Idle;
            authenticator.commit_large_blobs(len, call.scratch)?;
            return ok(call.message);
        }
        let request = decode(call.message, call.request);
        let request: &Request<'_> = valid(&request)?;
        let offset = request.offset.ok_or(Failure::INVALID_PARAMETER)?;
        match (request.get, request.set) {
            (Some(get), None) => {
                if request.length.or(request.pin_uv_auth_protocol).is_some() || request.pin_uv_auth_param.is_some() {
                    return Err(Failure::INVALID_PARAMETER);
                }
                authenticator.read_large_blobs(get, offset, call.message)
            }
            (None, Some(set)) => {
                authenticator.stage_large_blobs(self, *now, request, set, offset)?;
                if self.end() { ok(call.message) } else { Ok(Next::Work) }
            }
            _ => Err(Failure::INVALID_PARAMETER),
        }
    }
}

impl<P: Platform> Authenticator<'_, P> {
    /// The longest large-blob array, in bytes; 0 where there is no authenticatorLargeBlobs.
    pub fn large_blobs_capacity(&self) -> usize {
        if self.has_large_blob_key() { self.store.large_blobs_capacity() } else { 0 }
    }

    fn max_fragment(&self) -> usize {
        self.config.max_msg_size.saturating_sub(FRAGMENT_OVERHEAD)
    }

    fn read_large_blobs(&mut self, get: u32, offset: u32, message: &mut [u8]) -> Outcome {
        let get = usize::try_from(get).ok().filter(|get| *get <= self.max_fragment()).ok_or(Failure::INVALID_LENGTH)?;
        let stored = self.store.large_blobs_len().map_err(store_status)?;
        let len = if stored == 0 { INITIAL_ARRAY.len() } else { stored };
        let offset = usize::try_from(offset).ok().filter(|offset| *offset <= len).ok_or(Failure::INVALID_PARAMETER)?;
        let get = get.min(len.saturating_sub(offset));
        let mut w = begin(message);
        w.map(1);
        w.unsigned(1);
        if stored == 0 {
            w.bytes(bytes::part(&INITIAL_ARRAY, offset..offset.saturating_add(get)));
        } else {
            w.bytes_head(get);
            self.store.read_large_blobs(Blobs::Committed, offset, w.reserve(get)).map_err(store_status)?;
        }
        written(w.finish())
    }

    fn stage_large_blobs(
        &mut self,
        run: &mut Run,
        now: Instant,
        request: &Request<'_>,
        set: &[u8],
        offset: u32,
    ) -> Result<(), Failure> {
        if set.len() > self.max_fragment() {
            return Err(Failure::INVALID_LENGTH);
        }
        let upload = if offset == 0 {
            *run = Run::Idle;
            let length = request.length.ok_or(Failure::INVALID_PARAMETER)?;
            let expected = usize::try_from(length).ok().filter(|length| *length <= self.large_blobs_capacity());
            let expected = expected.ok_or(Failure::LARGE_BLOB_STORAGE_FULL)?;
            if expected < INITIAL_ARRAY.len() {
                return Err(Failure::INVALID_PARAMETER);
            }
            Upload { expected, next: 0, deadline: now }
        } else {
            if request.length.is_some() {
                return Err(Failure::INVALID_PARAMETER);
            }
            match *run {
                Run::Upload(upload) if now < upload.deadline && u32::try_from(upload.next) == Ok(offset) => upload,
                Run::Upload(_) | Run::Idle | Run::Commit(_) => return Err(Failure::INVALID_SEQ),
            }
        };
        if self.needs_token() {
            let head = authenticated_head(u32::try_from(upload.next).map_err(|_| Failure::INVALID_PARAMETER)?);
            let message: [&[u8]; 2] = [&head, &self.crypto.sha256(&[set])];
            self.authorize(now, request.pin_uv_auth_param, request.pin_uv_auth_protocol, &message, Permissions::LBW)?;
        }
        let next = upload.next.saturating_add(set.len());
        if next > upload.expected {
            return Err(Failure::INVALID_PARAMETER);
        }
        // If staging fails, it is not known what was staged: the platform has to begin again.
        *run = Run::Idle;
        self.store.stage(upload.next, set).map_err(large_blob_status)?;
        *run = if next == upload.expected {
            Run::Commit(next)
        } else {
            Run::Upload(Upload { next, deadline: now.plus(SEQUENCE_TIMEOUT), ..upload })
        };
        Ok(())
    }

    /// Puts what is staged in force, if the hash at its end is right.
    fn commit_large_blobs(&mut self, len: usize, scratch: &mut [u8]) -> Result<(), Failure> {
        let hashed = len.saturating_sub(HASH_LENGTH);
        let mut hash = self.crypto.sha256_start();
        let mut offset = 0usize;
        while offset < hashed {
            let piece = scratch.len().min(hashed.saturating_sub(offset)).max(1);
            let piece = scratch.get_mut(..piece).ok_or(Failure::OTHER)?;
            self.store.read_large_blobs(Blobs::Staged, offset, piece).map_err(store_status)?;
            hash.update(piece);
            offset = offset.saturating_add(piece.len());
        }
        let mut expected = [0; HASH_LENGTH];
        self.store.read_large_blobs(Blobs::Staged, hashed, &mut expected).map_err(store_status)?;
        if !hash.finish().starts_with(&expected) {
            return Err(Failure::INTEGRITY_FAILURE);
        }
        self.store.commit(&[Change::LargeBlobs(len)]).map_err(large_blob_status)
    }
}

fn large_blob_status(error: StoreError) -> Failure {
    match error {
        StoreError::Full => Failure::LARGE_BLOB_STORAGE_FULL,
        _ => Failure::OTHER,
    }
}

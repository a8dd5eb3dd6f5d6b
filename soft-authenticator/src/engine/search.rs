//! A list of credential ids is looked through one entry a step, so that keep-alives go out and CANCEL comes in
//! meanwhile.

use keyfob_core::{
    Status, bytes,
    cbor::{List, Read, Reader},
    ctap2::{CredentialDescriptor, PUBLIC_KEY},
};

/// How far a list was looked through.
#[derive(Clone, Copy)]
pub(super) struct Search {
    /// Where the next entry begins in the message.
    at: usize,
    /// Entries that are left.
    left: usize,
}

impl Search {
    /// From the beginning of a list that lies in `message`, and that may have `most` entries.
    pub fn new(message: &[u8], list: &List<'_, CredentialDescriptor<'_>>, most: u16) -> Result<Self, Status> {
        if list.len() > usize::from(most) {
            return Err(Status::LIMIT_EXCEEDED);
        }
        let at = bytes::offset(message, list.iter().rest()).ok_or(Status::OTHER)?;
        Ok(Self { at, left: list.len() })
    }

    pub const fn is_done(&self) -> bool {
        self.left == 0
    }

    /// The id of the next entry; `None` for one that is not a public key's.
    pub fn next<'m>(&mut self, message: &'m [u8]) -> Result<Option<&'m [u8]>, Status> {
        let mut r = Reader::strict(message.get(self.at..).ok_or(Status::OTHER)?);
        let descriptor = CredentialDescriptor::read(&mut r).map_err(|_| Status::OTHER)?;
        self.at = self.at.saturating_add(r.offset());
        self.left = self.left.checked_sub(1).ok_or(Status::OTHER)?;
        Ok(Some(descriptor.id).filter(|_| descriptor.kind == PUBLIC_KEY))
    }
}

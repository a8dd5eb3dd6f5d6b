//! The file itself: a page that says whose it is, and the database's pages.

use std::{
    io::{self, ErrorKind},
    sync::Arc,
};

use keyfob_core::bytes;
use redb::StorageBackend;

/// The unit of the database's length, in bytes.
const PAGE: u64 = 4096;
/// How the file begins. It stands in a page of its own, so that the database's stay aligned.
const MAGIC: &[u8] = b"keyfob store\n";
/// Where the database's length stands, in 8 bytes, little-endian.
const LENGTH_AT: u64 = 16;
/// How the database begins, once it is made: a file that was interrupted before that holds nothing.
const DATABASE_MAGIC: &[u8] = b"redb";
const ZEROS: &[u8] = &[0; 256 << 10];

/// A file, or what stands in for one.
///
/// It has no holes, and never gets shorter: whatever page the database chooses to write, the disk has room for it
/// already, even when there is no other room left.
#[derive(Clone, Debug)]
pub(super) struct Disk(pub Arc<dyn StorageBackend>);

impl Disk {
    /// Looks at a file and makes it ready for a database if it is new. Whether it is a store; a foreign file is left as
    /// it is.
    pub fn prepare(&self) -> io::Result<bool> {
        let len = self.0.len()?;
        if len > 0 && !self.begins(0, MAGIC, len)? {
            return Ok(false);
        }
        if !self.begins(PAGE, DATABASE_MAGIC, len)? && self.is_blank(len)? {
            let mut page = vec![0; PAGE as usize];
            bytes::put(&mut page, MAGIC);
            self.0.set_len(0)?;
            self.0.write(0, &page)?;
            self.0.sync_data()?;
        }
        Ok(true)
    }

    fn begins(&self, offset: u64, with: &[u8], len: u64) -> io::Result<bool> {
        let mut begin = vec![0; with.len()];
        if len.saturating_sub(offset) < with.len() as u64 {
            return Ok(false);
        }
        self.0.read(offset, &mut begin)?;
        Ok(begin == with)
    }

    /// Whether nothing was ever written behind the page with which the database begins.
    fn is_blank(&self, len: u64) -> io::Result<bool> {
        let mut page = [0; PAGE as usize];
        for offset in (PAGE.saturating_mul(2)..len).step_by(PAGE as usize) {
            let rest = usize::try_from(len.saturating_sub(offset)).unwrap_or(usize::MAX).min(page.len());
            let page = bytes::front_mut(&mut page, rest);
            self.0.read(offset, page)?;
            if page.iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn fill(&self, from: u64, to: u64) -> io::Result<()> {
        for offset in (from..to).step_by(ZEROS.len()) {
            let len = usize::try_from(to.saturating_sub(offset)).unwrap_or(usize::MAX).min(ZEROS.len());
            self.write(offset, bytes::front(ZEROS, len))?;
        }
        Ok(())
    }
}

/// Whether an error means that there is no room.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)
}

/// What the database sees.
impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        let mut len = [0; 8];
        self.0.read(LENGTH_AT, &mut len)?;
        // A power cut may have taken the end of a file that was growing.
        Ok(u64::from_le_bytes(len).min(self.0.len()?.saturating_sub(PAGE)))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset.saturating_add(PAGE), out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let before = self.0.len()?;
        if let Err(error) = self.fill(self.len()?, len) {
            self.0.set_len(before)?;
            return Err(error);
        }
        self.0.write(LENGTH_AT, &len.to_le_bytes())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset.saturating_add(PAGE), data)
    }
}

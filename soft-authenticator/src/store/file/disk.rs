//! The file itself: a page that says whose it is, the database's pages, and a reserve for the day the disk is full.

use std::{
    io::{self, ErrorKind},
    sync::Arc,
};

use redb::StorageBackend;

/// The unit of the database's length, in bytes.
const PAGE: u64 = 4096;
/// How the file begins. It stands in a page of its own, so that the database's stay aligned.
const MAGIC: &[u8] = b"keyfob store\n";
/// How the database begins, once it is made: a file that was interrupted before that holds nothing.
const DATABASE_MAGIC: &[u8] = b"redb";
/// Zeros behind the database, in bytes: room for some thirty of its pages. The odd byte tells from the file's length how
/// many of them there are.
const RESERVE: u64 = 32 * PAGE + 1;
/// So many reserves there are while there is room.
pub(super) const RESERVES: u64 = 2;

/// What the first bytes of a file say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// There is nothing in it, or a store that was not made to the end.
    New,
    /// There is a store in it.
    Store,
    /// Something else is.
    Foreign,
}

/// A file, or what stands in for one.
///
/// It is as long as its head, the database and the reserves together. Their blocks belong to the file, so that a full disk
/// can take them back for what must always be stored: [`Disk::give_back`].
#[derive(Clone, Debug)]
pub(super) struct Disk(pub Arc<dyn StorageBackend>);

impl Disk {
    /// Looks at a file, and makes it ready for a database if it is new. A foreign one is left as it is.
    pub fn prepare(&self) -> io::Result<Kind> {
        let len = self.0.len()?;
        if len > 0 && !self.begins(0, MAGIC, len)? {
            return Ok(Kind::Foreign);
        }
        if self.begins(PAGE, DATABASE_MAGIC, len)? || !self.is_blank(len)? {
            return Ok(Kind::Store);
        }
        self.0.set_len(0)?;
        self.0.write(0, MAGIC)?;
        self.0.sync_data()?;
        self.0.set_len(PAGE)?;
        Ok(Kind::New)
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
            let page = page.get_mut(..rest).unwrap_or_default();
            self.0.read(offset, page)?;
            if page.iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// How many reserves there are.
    pub fn reserves(&self) -> io::Result<u64> {
        Ok(reserves_of(self.0.len()?))
    }

    /// Fills all reserves. Errors: the disk's; then those are left for which there was room.
    pub fn fill(&self) -> io::Result<()> {
        let len = self.len()?;
        self.reserve(len, RESERVES)
    }

    /// Gives a reserve back to the disk.
    pub fn give_back(&self) -> io::Result<()> {
        let (len, reserves) = (self.len()?, self.reserves()?);
        self.0.set_len(file_len(len, reserves.saturating_sub(1)))
    }

    /// Puts reserves behind a database that is `len` bytes long.
    fn reserve(&self, len: u64, reserves: u64) -> io::Result<()> {
        self.0.set_len(file_len(len, reserves))?;
        let zeros = vec![0; usize::try_from(RESERVE).unwrap_or(0)];
        for reserve in 0..reserves {
            // A hole would have no blocks to give back.
            if let Err(error) = self.0.write(file_len(len, reserve), &zeros) {
                self.0.set_len(file_len(len, reserve))?;
                return Err(error);
            }
        }
        Ok(())
    }
}

const fn reserves_of(file_len: u64) -> u64 {
    file_len % PAGE
}

const fn file_len(database: u64, reserves: u64) -> u64 {
    database.saturating_add(PAGE).saturating_add(reserves.saturating_mul(RESERVE))
}

/// Whether an error means that there is no room.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)
}

/// What the database sees.
impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        let len = self.0.len()?;
        let around = file_len(0, reserves_of(len));
        len.checked_sub(around).ok_or_else(|| io::Error::new(ErrorKind::InvalidData, "the file is cut short"))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset.saturating_add(PAGE), out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        match self.reserve(len, self.reserves()?) {
            // The database comes before its reserves.
            Err(error) if is_full(&error) => Ok(()),
            other => other,
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset.saturating_add(PAGE), data)
    }
}

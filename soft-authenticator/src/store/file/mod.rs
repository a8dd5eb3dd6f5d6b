//! A store in a file, for hosts: indexed, durable and locked, on an embedded database. `docs/store.md` says what it
//! promises and what it costs.

use std::{
    error, fmt,
    fs::{File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use keyfob_core::bytes;
use redb::{Builder, Database, DatabaseError, ReadableDatabase, ReadableTable, StorageBackend, backends::FileBackend};

use super::{Blobs, Change, Found, Keys, MAX_RECORD, Number, Query, STRONGEST, Setting, Store, StoreError, class};
use disk::Disk;
use tables::*;

mod disk;
mod tables;
#[cfg(test)]
mod tests;

/// Memory for pages that were read, in bytes. Tests count what is read.
const CACHE: usize = if cfg!(test) { 0 } else { 16 << 20 };

/// Keeps everything in one file: up to [`FileStore::MAX_CREDENTIALS`] credentials, and a large-blob array of up to
/// [`FileStore::MAX_LARGE_BLOBS`] bytes.
///
/// A commit is on the medium when it returns. One process has the file at a time. Secrets lie in it as they are.
///
/// ```
/// use keyfob_soft_authenticator::store::{Change, FileStore, Setting, Store};
///
/// # let folder = std::env::temp_dir().join(format!("keyfob-example-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// let path = folder.join("key.keyfob");
/// let mut store = FileStore::open(&path)?;
/// store.commit(&[Change::Set(Setting::PinRetries, &[8])]).unwrap();
/// drop(store);
///
/// let mut value = [0; 1];
/// assert_eq!(FileStore::open(&path)?.get(Setting::PinRetries, &mut value), Ok(Some(1)));
/// assert_eq!(value, [8]);
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct FileStore {
    disk: Disk,
    /// Closed after an error, and opened again when it is needed: that checks all of it.
    database: Option<Database>,
    staged: Vec<u8>,
}

impl fmt::Debug for FileStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FileStore(..)")
    }
}

/// Why a file cannot be opened as a store. It was not changed.
#[derive(Debug)]
pub struct OpenError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: OpenErrorReason,
}

/// What is wrong with a file.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenErrorReason {
    /// Another process has it open, or this one has.
    InUse,
    /// It is not a store.
    Foreign,
    /// A later version wrote it, in this format.
    Newer(u32),
    /// It is a store, and damaged.
    Damaged(String),
    /// The system does not let it be opened.
    Io(io::Error),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.reason {
            OpenErrorReason::InUse => write!(f, "{path} is in use by another program"),
            OpenErrorReason::Foreign => write!(f, "{path} is not a keyfob store"),
            OpenErrorReason::Newer(format) => {
                write!(
                    f,
                    "{path} was written by a later version: it has format {format}, and this version knows {FORMAT}"
                )
            }
            OpenErrorReason::Damaged(how) => write!(f, "{path} is damaged: {how}"),
            OpenErrorReason::Io(error) => write!(f, "cannot open {path}: {error}"),
        }
    }
}

impl error::Error for OpenError {}

impl From<io::Error> for OpenErrorReason {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<redb::Error> for OpenErrorReason {
    fn from(error: redb::Error) -> Self {
        match error {
            redb::Error::Io(error) if error.kind() != io::ErrorKind::InvalidData => Self::Io(error),
            error => Self::Damaged(error.to_string()),
        }
    }
}

impl FileStore {
    /// Credentials that there is room for: as many as were tried.
    pub const MAX_CREDENTIALS: u32 = 1_000_000;
    /// The longest large-blob array, in bytes.
    pub const MAX_LARGE_BLOBS: usize = 64 << 10;

    /// Opens a store and checks all of it, or makes a new one, which only its owner can read.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        let mut options = OpenOptions::new();
        options.create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        Self::open_with(&mut options, path.as_ref())
    }

    /// Opens a store and checks all of it. No file is made; one that is empty becomes a store.
    ///
    /// # Errors
    /// [`OpenError`]; [`OpenErrorReason::Io`] with [`io::ErrorKind::NotFound`] if there is no file.
    pub fn open_existing(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::open_with(&mut OpenOptions::new(), path.as_ref())
    }

    fn open_with(options: &mut OpenOptions, path: &Path) -> Result<Self, OpenError> {
        let options = options.read(true).write(true);
        Self::open_file(options, path).map_err(|reason| OpenError { path: path.into(), reason })
    }

    fn open_file(options: &OpenOptions, path: &Path) -> Result<Self, OpenErrorReason> {
        let file = options.open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OpenErrorReason::InUse),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        // The lock is the open file's, and goes with it.
        let backend = FileBackend::new(file).map_err(redb::Error::from)?;
        let store = Self::over(Arc::new(backend))?;
        // The name of a new file is not durable before its directory is.
        #[cfg(unix)]
        {
            let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            File::open(directory)?.sync_all()?;
        }
        Ok(store)
    }

    /// Opens the store on a disk.
    fn over(file: Arc<dyn StorageBackend>) -> Result<Self, OpenErrorReason> {
        let disk = Disk(file);
        if !disk.prepare()? {
            return Err(OpenErrorReason::Foreign);
        }
        let database = open_database(&disk).map_err(redb::Error::from)?;
        match make_tables(&database)? {
            FORMAT => {}
            newer => return Err(OpenErrorReason::Newer(newer)),
        }
        Ok(Self { disk, database: Some(database), staged: Vec::new() })
    }

    fn database(&mut self) -> Result<&mut Database, Refused> {
        let database = match self.database.take() {
            Some(database) => database,
            None => open_database(&self.disk)?,
        };
        Ok(self.database.insert(database))
    }

    /// Calls `read` or `write`. After an error of the database, it is closed.
    fn call<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, Refused>) -> Result<T, StoreError> {
        work(self).map_err(|refused| match refused {
            Refused::Request(error) => error,
            Refused::Database(error) => {
                self.database = None;
                match error {
                    redb::Error::Io(error) if disk::is_full(&error) => StoreError::Full,
                    _ => StoreError::Failed,
                }
            }
        })
    }

    /// Makes the changes. The pages that must stay free are looked for in blocks of this many.
    fn apply(&mut self, changes: &[Change<'_>], block: u32) -> Result<(), Refused> {
        let mut transaction = self.database()?.begin_write()?;
        // The old state is given up only when the new one is on the medium as a whole.
        transaction.set_two_phase_commit(true);
        for (place, change) in changes.iter().enumerate() {
            match change {
                Change::Erase if place == 0 => erase(&transaction)?,
                Change::Erase => return Err(StoreError::Failed.into()),
                Change::Set(setting, value) => {
                    let value = within(value, Setting::MAX_LEN)?;
                    transaction.open_table(SETTINGS)?.insert(*setting as u8, value)?;
                }
                Change::Delete(number) => {
                    if let Some(rp_id_hash) = transaction.open_table(NUMBERS)?.remove(*number)? {
                        set_record(&transaction, rp_id_hash.value(), *number, None)?;
                    }
                }
                Change::Replace { number, record, .. } => {
                    let record = within(record, MAX_RECORD)?;
                    let numbers = transaction.open_table(NUMBERS)?;
                    let rp_id_hash = numbers.get(*number)?.ok_or(StoreError::Failed)?;
                    set_record(&transaction, rp_id_hash.value(), *number, Some(record))?;
                }
                Change::LargeBlobs(len) => {
                    // What was staged before an erasure is erased with it.
                    let erased = matches!(changes.first(), Some(Change::Erase));
                    let staged = if erased { &[] } else { self.staged.as_slice() };
                    let array = staged.get(..*len).ok_or(StoreError::Failed)?;
                    transaction.open_table(LARGE_BLOBS)?.insert((), array)?;
                }
                Change::Put { rp_id_hash, record } => put(&transaction, rp_id_hash, within(record, MAX_RECORD)?)?,
            }
        }
        leave_free(&transaction, pages_left(changes), block)?;
        transaction.commit()?;
        if changes.iter().any(|change| matches!(change, Change::Erase | Change::LargeBlobs(_))) {
            self.staged.clear();
        }
        Ok(())
    }
}

/// Why a call failed: it cannot be done, or the database failed.
enum Refused {
    Request(StoreError),
    Database(redb::Error),
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::Request(error)
    }
}

impl<E: Into<redb::Error>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self::Database(error.into())
    }
}

fn open_database(disk: &Disk) -> Result<Database, DatabaseError> {
    Builder::new().set_cache_size(CACHE).set_check_integrity_on_open(true).create_with_backend(disk.clone())
}

fn within(bytes: &[u8], max: usize) -> Result<&[u8], StoreError> {
    if bytes.len() > max { Err(StoreError::TooLong) } else { Ok(bytes) }
}

/// The pages that must be free after a commit: some when the store grows by it, fewer when it may, none after what must
/// always be stored.
fn pages_left(changes: &[Change<'_>]) -> u32 {
    let count = |which: fn(&Change<'_>) -> bool| changes.iter().filter(|change| which(change)).count();
    let puts = count(|change| matches!(change, Change::Put { .. }));
    let deletions = count(|change| matches!(change, Change::Delete(_)));
    let replacements = count(|change| matches!(change, Change::Replace { .. }));
    let arrays = count(|change| matches!(change, Change::LargeBlobs(_)));
    if puts > deletions || arrays > 0 {
        RESERVE
    } else if puts > 0 || replacements > 0 {
        RESERVE / 2
    } else {
        0
    }
}

impl Store for FileStore {
    fn get(&mut self, setting: Setting, out: &mut [u8]) -> Result<Option<usize>, StoreError> {
        self.call(|store| {
            let settings = store.database()?.begin_read()?.open_table(SETTINGS)?;
            let Some(value) = settings.get(setting as u8)? else { return Ok(None) };
            Ok(Some(copied(value.value(), out)?))
        })
    }

    fn next(&mut self, query: Query<'_>, before: Option<Number>, out: &mut [u8]) -> Result<Option<Found>, StoreError> {
        self.call(|store| {
            let read = store.database()?.begin_read()?;
            let Some(number) = newest(&read, &query, before.unwrap_or(Number::MAX))? else { return Ok(None) };
            record_of(&read, number, out).map(Some)
        })
    }

    fn count(&mut self, query: Query<'_>) -> Result<u32, StoreError> {
        self.call(|store| {
            let count = count(&store.database()?.begin_read()?, &query)?;
            Ok(u32::try_from(count).unwrap_or(u32::MAX))
        })
    }

    fn remaining(&mut self) -> Result<u32, StoreError> {
        Ok(Self::MAX_CREDENTIALS.saturating_sub(self.count(Query::All)?))
    }

    fn commit(&mut self, changes: &[Change<'_>]) -> Result<(), StoreError> {
        match self.call(|store| store.apply(changes, BLOCK)) {
            // The pages that are free may lie apart.
            Err(StoreError::Full) => self.call(|store| store.apply(changes, 1)),
            committed => committed,
        }
    }

    fn large_blobs_capacity(&self) -> usize {
        Self::MAX_LARGE_BLOBS
    }

    fn large_blobs_len(&mut self) -> Result<usize, StoreError> {
        self.call(|store| {
            let array = store.database()?.begin_read()?.open_table(LARGE_BLOBS)?;
            Ok(array.get(())?.map_or(0, |array| array.value().len()))
        })
    }

    fn read_large_blobs(&mut self, blobs: Blobs, offset: usize, out: &mut [u8]) -> Result<(), StoreError> {
        let range = offset..offset.saturating_add(out.len());
        if blobs == Blobs::Staged {
            bytes::copy(out, self.staged.get(range).ok_or(StoreError::Failed)?);
            return Ok(());
        }
        self.call(|store| {
            let table = store.database()?.begin_read()?.open_table(LARGE_BLOBS)?;
            let array = table.get(())?;
            let array = array.as_ref().map_or(&[][..], |array| array.value());
            bytes::copy(out, array.get(range).ok_or(StoreError::Failed)?);
            Ok(())
        })
    }

    fn stage(&mut self, offset: usize, bytes: &[u8]) -> Result<(), StoreError> {
        if offset > self.staged.len() {
            return Err(StoreError::Failed);
        }
        if offset.saturating_add(bytes.len()) > Self::MAX_LARGE_BLOBS {
            return Err(StoreError::Full);
        }
        self.staged.truncate(offset);
        self.staged.extend_from_slice(bytes);
        Ok(())
    }
}

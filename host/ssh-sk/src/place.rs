//! Where a key is, and how it is opened.

use std::{
    ffi::OsStr,
    io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use keyfob::{Address, Connection, OpenErrorReason as NotOpened};
use keyfob_core::transport::{ReportIo, hid::REPORT_LEN};
use keyfob_soft_authenticator::{
    Caps,
    devices::{InProcess, KeyOptions, VirtualKey},
    store::{FileStore, Setting, Store, file::OpenErrorReason},
};
use zeroize::Zeroizing;

use crate::{abi, failure::Failure};

/// How long to wait for a file that another program has open: each of OpenSSH's programs has it for one operation.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often to look whether it is free.
const LOOK: Duration = Duration::from_millis(20);

/// Where a key is.
#[derive(Debug, PartialEq, Eq)]
pub enum Place {
    /// `store:FILE`: a virtual key in this process, which keeps everything in this file.
    Store(PathBuf),
    /// Any other: `tcp:HOST:PORT`, `unix:PATH`, or `/dev/hidrawN` of Linux.
    Key(Address),
}

impl Place {
    /// Reads an address.
    ///
    /// # Errors
    /// It has none of the forms.
    pub fn read(address: &OsStr) -> Result<Self, Failure> {
        let file = address.as_bytes().strip_prefix(b"store:").filter(|file| !file.is_empty());
        let store = file.map(|file| Self::Store(OsStr::from_bytes(file).into()));
        store.or_else(|| Address::parse(address).map(Self::Key)).ok_or_else(|| {
            let why = "is not the address of a key, which is store:FILE, tcp:HOST:PORT, unix:PATH or /dev/hidrawN";
            Failure::new(abi::ERR_DEVICE_NOT_FOUND, format!("{} {why}", address.display()))
        })
    }

    /// Opens the key, and calls `work` with it. Without `create`, a file that is not there is not made.
    ///
    /// # Errors
    /// Why there is no key; the error of `work`.
    pub fn with<T>(&self, create: bool, work: impl FnOnce(Port<'_>) -> Result<T, Failure>) -> Result<T, Failure> {
        match self {
            Self::Store(path) => {
                let options = options_on(open(path, create)?)?;
                let mut buffer = vec![0; options.config.buffer_len()];
                let key = VirtualKey::new(&mut buffer, options)
                    .map_err(|error| Failure::new(abi::ERR_GENERAL, format!("cannot make a key: {error}")))?;
                work(Port::InProcess(Box::new(InProcess(key))))
            }
            Self::Key(address) => {
                let connection = address.connect().map_err(|error| {
                    let hint =
                        if matches!(error.reason, NotOpened::NotASecurityKey) { " (a file is store:FILE)" } else { "" };
                    Failure::new(abi::ERR_DEVICE_NOT_FOUND, format!("{error}{hint}"))
                })?;
                work(Port::Key(connection))
            }
        }
    }
}

/// Opens the file of a virtual key.
fn open(path: &Path, create: bool) -> Result<FileStore, Failure> {
    let is_missing = |reason: &OpenErrorReason| {
        !create && matches!(reason, OpenErrorReason::Io(error) if error.kind() == io::ErrorKind::NotFound)
    };
    let start = Instant::now();
    loop {
        match if create { FileStore::open(path) } else { FileStore::open_existing(path) } {
            Ok(store) => return Ok(store),
            Err(error) if is_missing(&error.reason) => {
                return Err(Failure::new(abi::ERR_DEVICE_NOT_FOUND, format!("there is no key in {}", path.display())));
            }
            Err(error) if matches!(error.reason, OpenErrorReason::InUse) && start.elapsed() < PATIENCE => {
                thread::sleep(LOOK);
            }
            Err(error) => return Err(Failure::new(abi::ERR_DEVICE_NOT_FOUND, error.to_string())),
        }
    }
}

/// The key of `keyfob run` on this store. Its user is verified by the PIN if it has one, and by a finger if not: with a
/// finger that always matches, the PIN would never be asked for.
fn options_on(mut store: FileStore) -> Result<KeyOptions<'static>, Failure> {
    let mut pin = Zeroizing::new([0; Setting::MAX_LEN]);
    let pin = store.get(Setting::Pin, &mut *pin).map_err(|error| Failure::new(abi::ERR_GENERAL, error.to_string()))?;
    let mut options = KeyOptions::workstation();
    if pin.is_some() {
        let finger = Caps::BUILT_IN_UV.with(Caps::BIO_ENROLL);
        options.config.caps = options.config.caps.without(finger).consistent();
        options.enrolled = None;
    }
    options.store = Some(Box::new(store));
    Ok(options)
}

/// A key that is open, as a pipe of reports.
pub enum Port<'b> {
    InProcess(Box<InProcess<'b>>),
    Key(Connection),
}

impl ReportIo for Port<'_> {
    type Error = io::Error;

    fn write(&mut self, report: &[u8; REPORT_LEN]) -> io::Result<()> {
        match self {
            Self::InProcess(key) => key.write(report).map_err(|never| match never {}),
            Self::Key(connection) => connection.write(report),
        }
    }

    fn read(&mut self, wait: Duration) -> io::Result<Option<[u8; REPORT_LEN]>> {
        match self {
            Self::InProcess(key) => key.read(wait).map_err(|never| match never {}),
            Self::Key(connection) => connection.read(wait),
        }
    }
}

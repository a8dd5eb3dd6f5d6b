//! Where a key is, and how it is opened.

use std::{
    ffi::OsStr,
    io,
    net::{TcpStream, ToSocketAddrs},
    os::{
        fd::OwnedFd,
        unix::{ffi::OsStrExt, net::UnixStream},
    },
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use keyfob_core::transport::{ReportIo, hid::REPORT_LEN};
use keyfob_soft_authenticator::{
    Caps,
    devices::{InProcess, KeyOptions, TcpPipe, UnixPipe, VirtualKey},
    store::{FileStore, Setting, Store, file::OpenErrorReason},
};
use socket2::{Domain, SockAddr, Socket, Type};
use zeroize::Zeroizing;

use crate::{abi, failure::Failure};

/// How long to wait for a file that another program has open: each of OpenSSH's programs has it for one operation.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often to look whether it is free.
const LOOK: Duration = Duration::from_millis(20);
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);

/// Where a key is.
#[derive(Debug, PartialEq, Eq)]
pub enum Place {
    /// `store:FILE`: a virtual key in this process, which keeps everything in this file.
    Store(PathBuf),
    /// `tcp:HOST:PORT`: a key of `keyfob serve --tcp`.
    Tcp(String),
    /// `unix:PATH`: a key of `keyfob serve --unix`.
    Unix(PathBuf),
    /// `/dev/hidrawN`: a HID device of Linux.
    #[cfg(target_os = "linux")]
    Hidraw(PathBuf),
}

impl Place {
    /// Reads an address.
    ///
    /// # Errors
    /// It has none of the forms.
    pub fn read(address: &OsStr) -> Result<Self, Failure> {
        let rest = |form: &str| address.as_bytes().strip_prefix(form.as_bytes()).filter(|rest| !rest.is_empty());
        let path = |rest: &[u8]| PathBuf::from(OsStr::from_bytes(rest));
        let file = rest("store:").map(|file| Self::Store(path(file)));
        let unix = rest("unix:").map(|socket| Self::Unix(path(socket)));
        let tcp = rest("tcp:").and_then(|tcp| Some(Self::Tcp(str::from_utf8(tcp).ok()?.into())));
        #[cfg(target_os = "linux")]
        let hidraw = rest("/dev/").map(|_| Self::Hidraw(address.into()));
        #[cfg(not(target_os = "linux"))]
        let hidraw = None;
        file.or(unix).or(tcp).or(hidraw).ok_or_else(|| {
            let why = "is not the address of a key, which is store:FILE, tcp:HOST:PORT, unix:PATH or /dev/hidrawN";
            Failure::new(abi::ERR_DEVICE_NOT_FOUND, format!("{} {why}", address.display()))
        })
    }

    /// Opens the key, and calls `work` with it. Without `create`, a file that is not there is not made.
    ///
    /// # Errors
    /// Why there is no key; the error of `work`.
    pub fn with<T>(&self, create: bool, work: impl FnOnce(Port<'_>) -> Result<T, Failure>) -> Result<T, Failure> {
        let unreached = |name: &dyn std::fmt::Display, error: io::Error| {
            Failure::new(abi::ERR_DEVICE_NOT_FOUND, format!("the key at {name} cannot be reached: {error}"))
        };
        match self {
            Self::Store(path) => {
                let options = options_on(open(path, create)?)?;
                let mut buffer = vec![0; options.config.buffer_len()];
                let key = VirtualKey::new(&mut buffer, options)
                    .map_err(|error| Failure::new(abi::ERR_GENERAL, format!("cannot make a key: {error}")))?;
                work(Port::InProcess(Box::new(InProcess(key))))
            }
            Self::Tcp(address) => {
                let stream = connect(address).map_err(|error| unreached(address, error))?;
                work(Port::Tcp(Box::new(TcpPipe::new(stream))))
            }
            Self::Unix(path) => {
                let stream = connect_unix(path).map_err(|error| unreached(&path.display(), error))?;
                work(Port::Unix(Box::new(UnixPipe::new(stream))))
            }
            #[cfg(target_os = "linux")]
            Self::Hidraw(path) => {
                let device = crate::hidraw::Hidraw::open(path).map_err(|error| unreached(&path.display(), error))?;
                work(Port::Hidraw(device))
            }
        }
    }
}

fn connect(address: &str) -> io::Result<TcpStream> {
    let mut result = Err(io::ErrorKind::NotFound.into());
    for address in address.to_socket_addrs()? {
        result = TcpStream::connect_timeout(&address, CONNECT);
        if let Ok(stream) = &result {
            stream.set_nodelay(true)?;
            break;
        }
    }
    result
}

fn connect_unix(path: &Path) -> io::Result<UnixStream> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // While the listener's queue is full, Linux waits as long as for a write.
    socket.set_write_timeout(Some(CONNECT))?;
    socket.connect(&SockAddr::unix(path)?).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => io::ErrorKind::TimedOut.into(),
        _ => error,
    })?;
    Ok(OwnedFd::from(socket).into())
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
    Tcp(Box<TcpPipe>),
    Unix(Box<UnixPipe>),
    #[cfg(target_os = "linux")]
    Hidraw(crate::hidraw::Hidraw),
}

impl ReportIo for Port<'_> {
    type Error = io::Error;

    fn write(&mut self, report: &[u8; REPORT_LEN]) -> io::Result<()> {
        match self {
            Self::InProcess(key) => key.write(report).map_err(|never| match never {}),
            Self::Tcp(pipe) => pipe.write(report),
            Self::Unix(pipe) => pipe.write(report),
            #[cfg(target_os = "linux")]
            Self::Hidraw(device) => device.write(report),
        }
    }

    fn read(&mut self, wait: Duration) -> io::Result<Option<[u8; REPORT_LEN]>> {
        match self {
            Self::InProcess(key) => key.read(wait).map_err(|never| match never {}),
            Self::Tcp(pipe) => pipe.read(wait),
            Self::Unix(pipe) => pipe.read(wait),
            #[cfg(target_os = "linux")]
            Self::Hidraw(device) => device.read(wait),
        }
    }
}

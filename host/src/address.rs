//! Where a key is, and why it cannot be opened.

use std::{error::Error, ffi::OsStr, fmt, io, os::unix::ffi::OsStrExt, path::PathBuf, str::FromStr};

use keyfob_core::transport::hid::{REPORT_LEN, ReportLens};

/// Where a key is. In text it is `/dev/hidrawN`, `tcp:HOST:PORT` or `unix:PATH`.
///
/// ```
/// use keyfob::Address;
///
/// assert_eq!("tcp:localhost:7000".parse(), Ok(Address::Tcp("localhost:7000".into())));
/// assert!("localhost:7000".parse::<Address>().is_err());
/// assert!("tcp:localhost".parse::<Address>().is_err(), "without a port");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Address {
    /// A key of `keyfob serve --tcp`: host and port.
    Tcp(String),
    /// A key of `keyfob serve --unix`: its socket.
    Unix(PathBuf),
    /// A HID device of Linux.
    #[cfg(target_os = "linux")]
    Hidraw(PathBuf),
}

/// A text that is not the address of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressError;

impl Address {
    /// Reads an address. `None` if it has none of the forms.
    pub fn parse(text: &OsStr) -> Option<Self> {
        let rest = |form: &str| text.as_bytes().strip_prefix(form.as_bytes()).filter(|rest| !rest.is_empty());
        let unix = rest("unix:").map(|path| Self::Unix(OsStr::from_bytes(path).into()));
        let tcp = || {
            let address = str::from_utf8(rest("tcp:")?).ok()?;
            let (host, port) = address.rsplit_once(':')?;
            (!host.is_empty() && port.parse::<u16>().is_ok()).then(|| Self::Tcp(address.into()))
        };
        #[cfg(target_os = "linux")]
        let hidraw = || rest("/dev/").map(|_| Self::Hidraw(text.into()));
        #[cfg(not(target_os = "linux"))]
        let hidraw = || None;
        unix.or_else(tcp).or_else(hidraw)
    }

    /// That this key is not reached because of an error of the operating system.
    pub(crate) fn failed(&self, error: io::Error) -> OpenError {
        let reason = match error.kind() {
            io::ErrorKind::PermissionDenied => OpenErrorReason::NoPermission,
            io::ErrorKind::NotFound => OpenErrorReason::NotFound,
            _ => OpenErrorReason::Io(error),
        };
        OpenError { address: self.clone(), reason }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::parse(text.as_ref()).ok_or(AddressError)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "tcp:{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            #[cfg(target_os = "linux")]
            Self::Hidraw(path) => path.display().fmt(f),
        }
    }
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it is not the address of a key, which is /dev/hidrawN, tcp:HOST:PORT or unix:PATH")
    }
}

impl Error for AddressError {}

/// Why a key cannot be opened.
#[derive(Debug)]
pub struct OpenError {
    /// Where it is.
    pub address: Address,
    /// What is wrong.
    pub reason: OpenErrorReason,
}

/// What is wrong with a key that cannot be opened.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenErrorReason {
    /// There is nothing at this address.
    NotFound,
    /// The user may not open it.
    NoPermission,
    /// It is another device, or a file.
    NotASecurityKey,
    /// Its reports have another length than 64 bytes.
    ReportLens(ReportLens),
    /// The operating system refuses otherwise.
    Io(io::Error),
}

impl fmt::Display for OpenErrorReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("there is nothing"),
            Self::NoPermission => f.write_str("this user may not open it"),
            Self::NotASecurityKey => f.write_str("it is not a security key"),
            Self::ReportLens(ReportLens { input, output }) => {
                write!(f, "its reports have {input} and {output} bytes, not {REPORT_LEN}")
            }
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, reason } = self;
        write!(f, "the key at {address} cannot be reached: {reason}")
    }
}

impl Error for OpenError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.reason {
            OpenErrorReason::Io(error) => Some(error),
            _ => None,
        }
    }
}

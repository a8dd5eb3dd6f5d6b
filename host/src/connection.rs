//! A key that is open, as a pipe of reports.

use std::{
    io,
    net::{TcpStream, ToSocketAddrs},
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::Path,
    time::Duration,
};

use keyfob_core::transport::{ReportIo, hid::REPORT_LEN};
use keyfob_soft_authenticator::devices::{TcpPipe, UnixPipe};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::{Address, OpenError};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);

/// A key that is open, as a pipe of reports: what a [`HidTransport`](keyfob_core::transport::hid::HidTransport) takes.
#[non_exhaustive]
pub enum Connection {
    /// A key of `keyfob serve --tcp`.
    Tcp(Box<TcpPipe>),
    /// A key of `keyfob serve --unix`.
    Unix(Box<UnixPipe>),
    /// A HID device of Linux.
    #[cfg(target_os = "linux")]
    Hidraw(crate::Hidraw),
}

impl Address {
    /// Connects with the key. A socket takes 5 s at the longest.
    ///
    /// # Errors
    /// Why there is no key, or why it cannot be opened.
    pub fn connect(&self) -> Result<Connection, OpenError> {
        match self {
            Self::Tcp(address) => tcp(address).map(|stream| Connection::Tcp(Box::new(TcpPipe::new(stream)))),
            Self::Unix(path) => unix(path).map(|stream| Connection::Unix(Box::new(UnixPipe::new(stream)))),
            #[cfg(target_os = "linux")]
            Self::Hidraw(path) => return crate::Hidraw::open(path).map(Connection::Hidraw),
        }
        .map_err(|error| self.failed(error))
    }

    /// The same as a descriptor that does not block, and whether it is a device.
    #[cfg(feature = "tokio")]
    pub(crate) fn descriptor(&self) -> Result<(OwnedFd, bool), OpenError> {
        let stream = match self {
            Self::Tcp(address) => tcp(address).and_then(|stream| stream.set_nonblocking(true).map(|()| stream.into())),
            Self::Unix(path) => unix(path).and_then(|stream| stream.set_nonblocking(true).map(|()| stream.into())),
            #[cfg(target_os = "linux")]
            Self::Hidraw(path) => return crate::Hidraw::open(path).map(|device| (device.into(), true)),
        };
        stream.map(|stream| (stream, false)).map_err(|error| self.failed(error))
    }
}

fn tcp(address: &str) -> io::Result<TcpStream> {
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

fn unix(path: &Path) -> io::Result<UnixStream> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // While the listener's queue is full, Linux waits as long as for a write.
    socket.set_write_timeout(Some(CONNECT))?;
    socket.connect(&SockAddr::unix(path)?).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => io::ErrorKind::TimedOut.into(),
        _ => error,
    })?;
    Ok(OwnedFd::from(socket).into())
}

impl ReportIo for Connection {
    type Error = io::Error;

    fn write(&mut self, report: &[u8; REPORT_LEN]) -> io::Result<()> {
        match self {
            Self::Tcp(pipe) => pipe.write(report),
            Self::Unix(pipe) => pipe.write(report),
            #[cfg(target_os = "linux")]
            Self::Hidraw(device) => device.write(report),
        }
    }

    fn read(&mut self, wait: Duration) -> io::Result<Option<[u8; REPORT_LEN]>> {
        match self {
            Self::Tcp(pipe) => pipe.read(wait),
            Self::Unix(pipe) => pipe.read(wait),
            #[cfg(target_os = "linux")]
            Self::Hidraw(device) => device.read(wait),
        }
    }
}

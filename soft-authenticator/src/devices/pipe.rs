//! The client's end of a connection to a virtual key.

#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::{
    io::{self, ErrorKind, Read, Write},
    net::TcpStream,
    time::Duration,
};

use keyfob_core::{
    bytes,
    transport::{ReportIo, hid::REPORT_LEN},
};

/// The shortest time that a socket waits. Zero is not a valid timeout.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);
/// A key that takes no report for this long has stopped.
const LONGEST_WRITE: Duration = Duration::from_secs(5);
/// How many bytes are read at once.
const READ: usize = 16 * REPORT_LEN;

/// A client's TCP connection to a [`Hub`](super::hub::Hub).
pub type TcpPipe = Pipe<TcpStream>;
/// A client's connection to a Unix socket of a [`Hub`](super::hub::Hub).
#[cfg(unix)]
pub type UnixPipe = Pipe<UnixStream>;

/// What a [`Pipe`] is made of.
pub trait Connection: Read + Write {
    /// How long a call of `read` waits; `None` is for ever.
    ///
    /// # Errors
    /// Those of the operating system.
    fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()>;
    /// How long a call of `write` waits; `None` is for ever.
    ///
    /// # Errors
    /// Those of the operating system.
    fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()>;
    /// Whether calls of `read` and `write` do not wait at all.
    ///
    /// # Errors
    /// Those of the operating system.
    fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()>;
}

impl Connection for TcpStream {
    fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        Self::set_read_timeout(self, timeout)
    }

    fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        Self::set_write_timeout(self, timeout)
    }

    fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        Self::set_nonblocking(self, nonblocking)
    }
}

#[cfg(unix)]
impl Connection for UnixStream {
    fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        Self::set_read_timeout(self, timeout)
    }

    fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        Self::set_write_timeout(self, timeout)
    }

    fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        Self::set_nonblocking(self, nonblocking)
    }
}

/// A client's connection to a [`Hub`](super::hub::Hub), as a pipe of reports.
pub struct Pipe<S> {
    stream: S,
    /// Reports that were read and are not handed out yet. The last one may be there in part.
    buffer: [u8; READ],
    from: usize,
    to: usize,
    /// The timeouts of the socket as they were set last, because setting one is a system call.
    read_timeout: Option<Duration>,
    is_write_bounded: bool,
}

impl<S: Connection> Pipe<S> {
    /// A pipe over a connected socket.
    pub const fn new(stream: S) -> Self {
        Self { stream, buffer: [0; READ], from: 0, to: 0, read_timeout: None, is_write_bounded: false }
    }

    fn waiting(&self) -> &[u8] {
        bytes::part(&self.buffer, self.from..self.to)
    }

    /// The next whole report that was read.
    fn take(&mut self) -> Option<[u8; REPORT_LEN]> {
        let report = *self.waiting().first_chunk()?;
        self.from = self.from.saturating_add(REPORT_LEN);
        Some(report)
    }

    /// Reads as much as there is, and waits at most `wait` for it. To be called when there is no whole report.
    fn fill(&mut self, wait: Duration) -> io::Result<()> {
        bytes::shift(&mut self.buffer, self.from..self.to, 0);
        (self.from, self.to) = (0, self.to.saturating_sub(self.from));
        if wait.is_zero() {
            self.stream.set_nonblocking(true)?;
        } else if self.read_timeout != Some(wait) {
            self.stream.set_read_timeout(Some(wait.max(SHORTEST_WAIT)))?;
            self.read_timeout = Some(wait);
        }
        let read = self.stream.read(bytes::rest_mut(&mut self.buffer, self.to));
        if wait.is_zero() {
            self.stream.set_nonblocking(false)?;
        }
        match read {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => self.to = self.to.saturating_add(count),
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

impl<S: Connection> ReportIo for Pipe<S> {
    type Error = io::Error;

    fn write(&mut self, report: &[u8; REPORT_LEN]) -> io::Result<()> {
        if !self.is_write_bounded {
            self.stream.set_write_timeout(Some(LONGEST_WRITE))?;
            self.is_write_bounded = true;
        }
        self.stream.write_all(report)
    }

    /// Reads one report. The parts of an incomplete report are kept until the rest comes.
    ///
    /// # Errors
    /// [`ErrorKind::UnexpectedEof`] when the other end has closed the connection.
    fn read(&mut self, wait: Duration) -> io::Result<Option<[u8; REPORT_LEN]>> {
        if let Some(report) = self.take() {
            return Ok(Some(report));
        }
        self.fill(wait)?;
        Ok(self.take())
    }
}

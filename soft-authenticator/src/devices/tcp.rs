//! A virtual key on a TCP socket.
//!
//! Each message is exactly one 64-byte CTAPHID report without a report id, both ways. Accepting a connection is plugging
//! the key in and powering it up, closing it is unplugging: credentials, PIN and counters stay; tokens, channels, the
//! latch after three wrong PINs and the reset window do not. One client is plugged in at a time; the next is accepted as
//! soon as it has gone.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{TcpListener, TcpStream},
    time::Duration,
};

use keyfob_core::transport::{ReportIo, hid::REPORT_LEN};

use super::VirtualKey;

/// The shortest time a socket waits; zero would mean for ever.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);
/// A client that takes no report for this long is unplugged, so that it does not keep the key from others.
const LONGEST_WRITE: Duration = Duration::from_secs(5);

/// Serves a key to one client after another. Errors: the listener's, or the key does not power up.
pub fn serve(listener: &TcpListener, key: &mut VirtualKey<'_>) -> io::Result<()> {
    loop {
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            // That client has gone before it came.
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::Interrupted) => continue,
            Err(error) => return Err(error),
        };
        power_up(key)?;
        // A client that goes away in the middle has pulled the plug; the next one may come.
        let _ = run(stream, key);
    }
}

/// Plugs a key into one connection and runs it until the client closes. Errors: what the socket says, or the key does not
/// power up.
pub fn plug_in(stream: TcpStream, key: &mut VirtualKey<'_>) -> io::Result<()> {
    power_up(key)?;
    run(stream, key)
}

fn power_up(key: &mut VirtualKey<'_>) -> io::Result<()> {
    key.power_cycle().map_err(|error| io::Error::other(format!("the key does not power up: {error:?}")))
}

fn run(stream: TcpStream, key: &mut VirtualKey<'_>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(LONGEST_WRITE))?;
    let mut pipe = TcpPipe::new(stream);
    loop {
        while let Some(report) = key.transmit() {
            pipe.write(&report)?;
        }
        // Without a deadline: long enough to be idle, short enough not to matter.
        let wait = key.work().unwrap_or(Duration::from_secs(60));
        match pipe.read(wait) {
            Ok(Some(report)) => key.receive(&report),
            Ok(None) => {}
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

/// Either end of the socket, as a pipe of reports.
pub struct TcpPipe {
    stream: TcpStream,
    /// A report that has come in part.
    partial: [u8; REPORT_LEN],
    filled: usize,
}

impl TcpPipe {
    /// A pipe over a connected socket.
    pub const fn new(stream: TcpStream) -> Self {
        Self { stream, partial: [0; REPORT_LEN], filled: 0 }
    }
}

impl ReportIo for TcpPipe {
    type Error = io::Error;

    fn write(&mut self, report: &[u8; REPORT_LEN]) -> io::Result<()> {
        self.stream.write_all(report)
    }

    /// A report that comes in pieces is kept until it is whole. Errors: [`ErrorKind::UnexpectedEof`] when the other end
    /// has closed.
    fn read(&mut self, wait: Duration) -> io::Result<Option<[u8; REPORT_LEN]>> {
        if wait.is_zero() {
            self.stream.set_nonblocking(true)?;
        } else {
            self.stream.set_read_timeout(Some(wait.max(SHORTEST_WAIT)))?;
        }
        let read = self.stream.read(self.partial.get_mut(self.filled..).unwrap_or_default());
        if wait.is_zero() {
            self.stream.set_nonblocking(false)?;
        }
        match read {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                self.filled = self.filled.saturating_add(count);
                if self.filled < REPORT_LEN {
                    return Ok(None);
                }
                self.filled = 0;
                Ok(Some(self.partial))
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(None),
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(None),
            Err(error) => Err(error),
        }
    }
}

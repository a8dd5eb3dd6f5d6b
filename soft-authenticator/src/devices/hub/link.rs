//! What a hub asks of each way to the key, and the queue of reports that all of them have.

use std::{
    io::{self, ErrorKind},
    time::{Duration, Instant},
};

use keyfob_core::{
    bytes,
    transport::hid::{HidCommand, REPORT_LEN},
};
use mio::event::Source;

use super::Peer;
use crate::devices::vpcd;

/// One report, in either direction.
pub type Report = [u8; REPORT_LEN];

/// A client that accepts no report for this long is closed.
const LONGEST_WRITE: Duration = Duration::from_secs(5);
/// How many reports can wait for a client whose socket is full; more are lost. hidraw keeps 64. One turn of the hub has
/// fewer answers to one client, so that a client loses reports only where others use the key too.
pub const QUEUE: usize = 512;
/// The first bytes of every INIT on the broadcast channel.
const FIRST: [u8; 5] = [0xFF, 0xFF, 0xFF, 0xFF, 0x80 | HidCommand::INIT.0];

/// Whether these bytes are the beginning of an INIT on the broadcast channel, as far as they go.
pub fn may_be_init(bytes: &[u8]) -> bool {
    bytes.iter().zip(&FIRST).all(|(here, first)| here == first)
}

/// What came over a link.
pub enum Input {
    Opened(Peer),
    Report(Peer, Report),
    Closed(Peer),
    Stranger(Peer),
    /// A reader has switched its field on.
    InField(Peer),
    OutOfField,
    /// A command APDU, which waits for [`Link::respond`].
    Apdu(Peer, Vec<u8>),
    /// No reader is there, or what is there is none.
    NoReader(Peer, Option<vpcd::Error>),
}

/// The result of [`Link::flush`].
#[derive(Default)]
pub struct Flushed {
    /// The client does not take its reports. Until it does, nothing is read from it, except with
    /// [`Link::reads_while_blocked`].
    pub is_blocked: bool,
    /// The link has another source of events than before.
    pub is_new: bool,
    /// When to flush again, whatever happens.
    pub due: Option<Instant>,
}

/// A connection, or a socket without connections, through which clients use the key.
pub trait Link {
    /// Calls `register` with the source of the link's events. Without a source it is not called.
    fn with_source(&mut self, register: &mut dyn FnMut(&mut dyn Source) -> io::Result<()>) -> io::Result<()>;

    /// The link begins.
    fn begin(&mut self, _: &mut Vec<Input>) {}

    /// Reads until nothing is left, or enough for one turn. Returns whether something may be left.
    ///
    /// # Errors
    /// The link has ended.
    fn receive(&mut self, inputs: &mut Vec<Input>) -> io::Result<bool>;

    /// Whether it is read also while its client takes no reports.
    fn reads_while_blocked(&self) -> bool {
        false
    }

    /// Queues a report of the key for each opener.
    fn queue(&mut self, report: &Report);

    /// Queues the response to the last [`Input::Apdu`].
    fn respond(&mut self, _: &[u8]) {}

    /// A client uses the key through another door, or the last of them has gone.
    fn used_elsewhere(&mut self, _: bool) {}

    /// Writes what is queued, and lets clients leave whose time is over.
    ///
    /// # Errors
    /// The link has ended: [`ErrorKind::TimedOut`] where the client took nothing for too long.
    fn flush(&mut self, now: Instant, inputs: &mut Vec<Input>) -> io::Result<Flushed>;

    /// The key is unplugged, and stays out if it is said so. Returns whether the link stays, without openers.
    fn unplug(&mut self, _stays_out: bool) -> bool {
        false
    }
}

/// Whether a stream from which less was read than there was room for has nothing left: what comes later is told. With
/// epoll it is so. Elsewhere, nothing is told before a read has found nothing.
pub const SHORT_READ_IS_LAST: bool = cfg!(any(target_os = "linux", target_os = "android"));

/// Reads `times` times with `read`, which says whether something may be left, or until nothing is left for now. Returns
/// whether something may be left.
///
/// # Errors
/// The link has ended: those of `read` that say neither that nothing is left nor that it was interrupted.
pub fn read_some(times: usize, mut read: impl FnMut() -> io::Result<bool>) -> io::Result<bool> {
    for _ in 0..times {
        match read() {
            Ok(false) => return Ok(false),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
    }
    Ok(true)
}

/// Bytes that wait until the client takes them.
#[derive(Default)]
pub struct Outbox {
    bytes: Vec<u8>,
    /// How many of them were written.
    sent: usize,
    /// Since when the client has taken nothing.
    since: Option<Instant>,
}

impl Outbox {
    /// Adds a report, unless too many wait.
    pub fn push(&mut self, report: &Report) {
        if self.bytes.len().saturating_sub(self.sent) < QUEUE.saturating_mul(REPORT_LEN) {
            self.bytes.extend_from_slice(report);
        }
    }

    /// The queue, to add answers of the connection itself: it is read only while nothing waits.
    pub const fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Loses all reports but the first `count`.
    #[cfg(unix)]
    pub fn truncate(&mut self, count: usize) {
        self.bytes.truncate(self.sent.saturating_add(count.saturating_mul(REPORT_LEN)));
    }

    /// Writes at most `unit` bytes a call. A client that takes nothing for too long has ended the link.
    pub fn flush(
        &mut self,
        now: Instant,
        unit: usize,
        write: impl FnMut(&[u8]) -> io::Result<usize>,
    ) -> io::Result<Flushed> {
        let waiting = self.bytes.len().saturating_sub(self.sent);
        if !self.write(unit, write)? {
            self.since = None;
            return Ok(Flushed::default());
        }
        if self.bytes.len() < waiting {
            self.since = None;
        }
        let end = self.since.get_or_insert(now).checked_add(LONGEST_WRITE);
        if end.is_some_and(|end| end <= now) {
            return Err(ErrorKind::TimedOut.into());
        }
        Ok(Flushed { is_blocked: true, due: end, is_new: false })
    }

    /// Writes at most `unit` bytes a call. Returns whether something is left, because the client does not take it.
    pub fn write(&mut self, unit: usize, mut write: impl FnMut(&[u8]) -> io::Result<usize>) -> io::Result<bool> {
        while self.sent < self.bytes.len() {
            let waiting = bytes::rest(&self.bytes, self.sent);
            match write(bytes::front(waiting, unit.min(waiting.len()))) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => self.sent = self.sent.saturating_add(count),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.bytes.drain(..self.sent.min(self.bytes.len()));
                    self.sent = 0;
                    return Ok(true);
                }
                Err(error) => return Err(error),
            }
        }
        self.bytes.clear();
        self.sent = 0;
        Ok(false)
    }
}

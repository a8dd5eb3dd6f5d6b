//! A virtual key on a TCP socket.
//!
//! Each message is exactly one 64-byte CTAPHID report without a report id, both ways; a shorter rest at the end of a
//! connection does not count. The first report of a connection plugs the key in and powers it up, closing the connection
//! unplugs it: credentials, PIN and counters stay; tokens, channels, the latch after three wrong PINs and the reset window
//! do not.
//!
//! The first report has to be INIT on the broadcast channel. Any other connection is closed, and nothing of it reaches the
//! key: a web page can open connections to this machine, but what it sends begins with a line of HTTP or a TLS record.
//!
//! One client is plugged in at a time. Another one waits for a second, because a client that power-cycles the key
//! reconnects before its old connection is gone. After that second it gets CHANNEL_BUSY on the broadcast channel and is
//! closed.

use std::{
    collections::VecDeque,
    io::{self, ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        mpsc::{self, RecvTimeoutError, SyncSender},
    },
    thread,
    time::{Duration, Instant},
};

use keyfob_core::transport::{
    ReportIo,
    hid::{BROADCAST, Command, ErrorCode, Packet, REPORT_LEN},
};

use super::VirtualKey;

/// The shortest time a socket waits; zero would mean for ever.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);
/// A peer that takes no report for this long has failed; a client is unplugged, so that it does not keep the key from
/// others.
const LONGEST_WRITE: Duration = Duration::from_secs(5);
/// How long a client waits for the one that is plugged in to leave.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long the key waits at a time while it has nothing to do.
const IDLE: Duration = Duration::from_secs(60);
/// Connections at a time. One more closes the oldest that has not sent a whole report yet.
const CONNECTIONS: usize = 32;
/// Reports that wait for the key; the client's next ones wait in its socket.
const QUEUE: usize = 16;
/// How every INIT on the broadcast channel begins.
const FIRST: [u8; 5] = [0xFF, 0xFF, 0xFF, 0xFF, 0x80 | Command::INIT.0];

/// What happened at the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visit {
    /// A client plugged the key in.
    PluggedIn(SocketAddr),
    /// It has left, and the key is unplugged.
    Left(SocketAddr),
    /// A client was refused, because another one was plugged in.
    Busy(SocketAddr),
    /// A connection was closed, because it did not begin with INIT on the broadcast channel.
    Stranger(SocketAddr),
}

/// What the connections tell the key.
enum Event {
    PluggedIn(TcpPipe, SocketAddr),
    Report([u8; REPORT_LEN]),
    Left(SocketAddr),
    Refused(Visit),
    /// The listener failed.
    Failed(io::Error),
}

/// Serves a key to one client after another, and tells `watch` who comes and goes.
///
/// # Errors
/// The listener's; the key does not power up; no thread can be started.
pub fn serve(listener: &TcpListener, key: &mut VirtualKey<'_>, mut watch: impl FnMut(Visit)) -> io::Result<()> {
    let (events, received) = mpsc::sync_channel(QUEUE);
    let listener = listener.try_clone()?;
    thread::Builder::new().spawn(move || accept(&listener, &events))?;
    let mut plugged: Option<TcpPipe> = None;
    loop {
        if let Some(pipe) = &mut plugged
            && !send(pipe, key)
        {
            // Its thread finds the connection closed and says that it has left.
            pipe.close();
            plugged = None;
        }
        let wait = plugged.as_ref().and_then(|_| key.work()).unwrap_or(IDLE);
        match received.recv_timeout(wait) {
            Ok(Event::PluggedIn(pipe, peer)) => {
                key.power_cycle().map_err(|error| io::Error::other(format!("the key does not power up: {error:?}")))?;
                plugged = Some(pipe);
                watch(Visit::PluggedIn(peer));
            }
            Ok(Event::Report(report)) if plugged.is_some() => key.receive(&report),
            Ok(Event::Report(_)) => {}
            Ok(Event::Left(peer)) => {
                plugged = None;
                watch(Visit::Left(peer));
            }
            Ok(Event::Refused(visit)) => watch(visit),
            Ok(Event::Failed(error)) => return Err(error),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(ErrorKind::BrokenPipe.into()),
        }
    }
}

/// Sends the key's reports. Returns whether the client took them.
fn send(pipe: &mut TcpPipe, key: &mut VirtualKey<'_>) -> bool {
    while let Some(report) = key.transmit() {
        if pipe.write(&report).is_err() {
            return false;
        }
    }
    true
}

/// Accepts connections, each on a thread of its own.
fn accept(listener: &TcpListener, events: &SyncSender<Event>) {
    let door = Arc::new(Door::default());
    loop {
        match listener.accept() {
            Ok((stream, peer)) => {
                // One of these is this thread's.
                if Arc::strong_count(&door) > CONNECTIONS && !door.close_oldest_silent() {
                    let _ = turn_away(&stream, Duration::ZERO);
                    continue;
                }
                let (door, events) = (door.clone(), events.clone());
                // Without a thread for it, the connection is closed.
                let _ = thread::Builder::new().spawn(move || attend(stream, peer, &door, &events));
            }
            // That client closed before it was accepted.
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::Interrupted) => {}
            Err(error) => {
                let _ = events.send(Event::Failed(error));
                return;
            }
        }
    }
}

/// One connection from its beginning to its end. An error is the end of it.
fn attend(stream: TcpStream, peer: SocketAddr, door: &Door, events: &SyncSender<Event>) {
    let refused = match admit(&stream, door) {
        Ok(Admission::Plugged(mut pipe, first)) => {
            let _ = forward(&mut pipe, peer, first, events);
            let _ = events.send(Event::Left(peer));
            return door.leave();
        }
        Ok(Admission::Busy) => {
            let _ = turn_away(&stream, PATIENCE);
            Visit::Busy(peer)
        }
        Ok(Admission::Stranger) => Visit::Stranger(peer),
        Err(_) => return,
    };
    let _ = stream.shutdown(Shutdown::Both);
    let _ = events.send(Event::Refused(refused));
}

enum Admission {
    /// With the first report.
    Plugged(TcpPipe, [u8; REPORT_LEN]),
    Busy,
    Stranger,
}

/// Waits for the first report and then for the key.
fn admit(stream: &TcpStream, door: &Door) -> io::Result<Admission> {
    stream.set_nodelay(true)?;
    let mut pipe = TcpPipe::new(stream.try_clone()?);
    let silent = door.wait_silently(stream.try_clone()?);
    let mut since = Instant::now();
    let first = loop {
        let report = pipe.read(PATIENCE)?;
        if !pipe.may_begin_with(&FIRST, report.as_ref()) {
            return Ok(Admission::Stranger);
        }
        match report {
            Some(report) => break report,
            None if since.elapsed() < PATIENCE => {}
            None if door.is_occupied() => return Ok(Admission::Busy),
            None => since = Instant::now(),
        }
    };
    drop(silent);
    Ok(if door.enter() { Admission::Plugged(pipe, first) } else { Admission::Busy })
}

/// Hands the key every report of a client that is plugged in.
fn forward(
    pipe: &mut TcpPipe,
    peer: SocketAddr,
    first: [u8; REPORT_LEN],
    events: &SyncSender<Event>,
) -> io::Result<()> {
    let gone = |_| io::Error::from(ErrorKind::BrokenPipe);
    let writer = TcpPipe::new(pipe.stream.try_clone()?);
    events.send(Event::PluggedIn(writer, peer)).map_err(gone)?;
    events.send(Event::Report(first)).map_err(gone)?;
    loop {
        if let Some(report) = pipe.read(IDLE)? {
            events.send(Event::Report(report)).map_err(gone)?;
        }
    }
}

/// Answers CHANNEL_BUSY. Then waits up to `patience` until the client has closed, because the system drops the answer
/// when a connection is closed before all that came in was read.
fn turn_away(mut stream: &TcpStream, patience: Duration) -> io::Result<()> {
    let data = &[ErrorCode::CHANNEL_BUSY.0];
    let busy = Packet::Initialization { channel: BROADCAST, command: Command::ERROR, len: 1, data };
    stream.set_write_timeout(Some(LONGEST_WRITE))?;
    stream.write_all(&busy.report())?;
    stream.shutdown(Shutdown::Write)?;
    let start = Instant::now();
    while !patience.saturating_sub(start.elapsed()).is_zero() {
        stream.set_read_timeout(Some(patience.saturating_sub(start.elapsed()).max(SHORTEST_WAIT)))?;
        if stream.read(&mut [0; 1024])? == 0 {
            break;
        }
    }
    Ok(())
}

/// What the connections share.
#[derive(Default)]
struct Door {
    /// Whether a client is plugged in.
    occupied: Mutex<bool>,
    left: Condvar,
    /// Connections that have not sent a whole report yet, oldest first.
    silent: Mutex<VecDeque<Arc<TcpStream>>>,
}

impl Door {
    /// Plugs in as soon as no other client is, within [`PATIENCE`].
    fn enter(&self) -> bool {
        let waited = self.left.wait_timeout_while(lock(&self.occupied), PATIENCE, |occupied| *occupied);
        let (mut occupied, _) = waited.unwrap_or_else(PoisonError::into_inner);
        !std::mem::replace(&mut occupied, true)
    }

    fn leave(&self) {
        *lock(&self.occupied) = false;
        self.left.notify_one();
    }

    fn is_occupied(&self) -> bool {
        *lock(&self.occupied)
    }

    /// Notes a connection that has not said anything.
    fn wait_silently(&self, stream: TcpStream) -> Silent<'_> {
        let stream = Arc::new(stream);
        lock(&self.silent).push_back(stream.clone());
        Silent(self, stream)
    }

    /// Closes the oldest connection that has not sent a report. Returns whether there was one.
    fn close_oldest_silent(&self) -> bool {
        let oldest = lock(&self.silent).pop_front();
        oldest.is_some_and(|stream| stream.shutdown(Shutdown::Both).is_ok())
    }
}

/// A connection that has not said anything, until it is dropped.
struct Silent<'d>(&'d Door, Arc<TcpStream>);

impl Drop for Silent<'_> {
    fn drop(&mut self) {
        lock(&self.0.silent).retain(|stream| !Arc::ptr_eq(stream, &self.1));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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

    fn close(&self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Whether the report that was just read, or the part of one that is here, can begin with `head`.
    fn may_begin_with(&self, head: &[u8], report: Option<&[u8; REPORT_LEN]>) -> bool {
        let here = match report {
            Some(report) => report.as_slice(),
            None => self.partial.get(..self.filled).unwrap_or_default(),
        };
        here.iter().zip(head).all(|(here, head)| here == head)
    }
}

impl ReportIo for TcpPipe {
    type Error = io::Error;

    fn write(&mut self, report: &[u8; REPORT_LEN]) -> io::Result<()> {
        self.stream.set_write_timeout(Some(LONGEST_WRITE))?;
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

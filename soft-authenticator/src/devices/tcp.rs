//! A virtual key on a TCP socket.
//!
//! The connection carries 64-byte CTAPHID reports without a report id in both directions; an incomplete report at its
//! end is ignored. The first report of a connection plugs the key in and powers it up; closing the connection unplugs
//! it. Credentials, PIN and counters stay. Tokens, channels, the block after three wrong PINs and the time limit for a
//! reset do not.
//!
//! The first report must be INIT on the broadcast channel. Any other connection is closed, and its bytes do not reach
//! the key. This protects the key from web pages, which can open connections to this machine: their first bytes are
//! HTTP or TLS.
//!
//! One client is plugged in at a time. Another client waits for up to one second, because a client that power-cycles
//! the key reconnects before its old connection is gone. After that second it gets CHANNEL_BUSY on the broadcast
//! channel and its connection is closed.

use std::{
    collections::VecDeque,
    io::{self, ErrorKind, Read, Write},
    iter, mem,
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        mpsc::{self, SyncSender},
    },
    thread,
    time::{Duration, Instant},
};

use keyfob_core::{
    bytes,
    transport::{
        ReportIo,
        hid::{BROADCAST, HidCommand, HidErrorCode, Packet, REPORT_LEN},
    },
};

use super::VirtualKey;

/// The shortest time that a socket waits. Zero is not a valid timeout.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);
/// A client that accepts no report for this long is unplugged, so that others can use the key.
const LONGEST_WRITE: Duration = Duration::from_secs(5);
/// How long a client waits for the one that is plugged in to leave.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a client waits at most for a key that works.
const LONGEST_WORK: Duration = Duration::from_secs(10);
/// How long one wait for a client that is plugged in lasts at most. Meanwhile no other event is noticed.
const NOTICE: Duration = Duration::from_millis(100);
/// How many connections may be open. One more closes the oldest connection that has not sent a whole report yet.
const CONNECTIONS: usize = 32;
/// How many events can wait for the key's thread.
const QUEUE: usize = 16;
/// How many bytes are read at once: those of a request with one or two ids.
const READ: usize = 16 * REPORT_LEN;
/// The first bytes of every INIT on the broadcast channel.
const FIRST: [u8; 5] = [0xFF, 0xFF, 0xFF, 0xFF, 0x80 | HidCommand::INIT.0];

/// What happened at the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Visit {
    /// A client plugged the key in.
    PluggedIn(SocketAddr),
    /// The client has left, and the key is unplugged.
    Left(SocketAddr),
    /// A client was refused, because another one was plugged in.
    Busy(SocketAddr),
    /// A connection was closed, because it did not begin with INIT on the broadcast channel.
    Stranger(SocketAddr),
}

/// Events from the connections' threads for the key's thread.
enum Event {
    PluggedIn(Box<TcpPipe>, SocketAddr),
    Refused(Visit),
    /// The listener failed.
    Failed(io::Error),
}

/// Serves a key to one client after another. `watch` is called for each event.
///
/// ```
/// use std::{net::{TcpListener, TcpStream}, thread};
/// use keyfob_core::{Instant, transport::hid::HidTransport};
/// use keyfob_soft_authenticator::devices::{KeyOptions, VIRTUAL_KEY_AAGUID, VirtualKey, tcp::{TcpPipe, serve}};
/// use keyfob_soft_authenticator::engine::Config;
///
/// let listener = TcpListener::bind("127.0.0.1:0")?; // any free port
/// let address = listener.local_addr()?;
/// thread::spawn(move || {
///     let config = Config::new(VIRTUAL_KEY_AAGUID);
///     let mut memory = vec![0; config.buffer_len()];
///     let mut key = VirtualKey::new(&mut memory, KeyOptions::new(config)).unwrap();
///     serve(&listener, &mut key, |visit| println!("{visit:?}"))
/// });
///
/// let pipe = TcpPipe::new(TcpStream::connect(address)?);
/// # let start = std::time::Instant::now();
/// # let clock = || Instant::from_millis(start.elapsed().as_millis() as u64);
/// let mut transport = HidTransport::new(pipe, clock, *b"a nonce!");
/// let mut message = *b"hello, key";
/// assert_eq!(transport.ping(&mut message, 10).ok(), Some(10));
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// The listener failed, the key does not power up, or no thread can be started.
pub fn serve(listener: &TcpListener, key: &mut VirtualKey<'_>, mut watch: impl FnMut(Visit)) -> io::Result<()> {
    let (events, received) = mpsc::sync_channel(QUEUE);
    let door = Arc::new(Door::default());
    let (listener, its_door) = (listener.try_clone()?, door.clone());
    thread::Builder::new().spawn(move || accept(&listener, &its_door, &events))?;
    let mut client: Option<(Box<TcpPipe>, SocketAddr)> = None;
    let mut message = Vec::new();
    loop {
        // This thread reads and writes the client's socket itself: to wake another one takes longer than most commands.
        while let Some(event) = match &client {
            Some(_) => received.try_recv().ok(),
            None => Some(received.recv().map_err(|_| ErrorKind::BrokenPipe)?),
        } {
            match event {
                Event::PluggedIn(pipe, peer) => {
                    key.power_cycle()
                        .map_err(|error| io::Error::other(format!("the key does not power up: {error}")))?;
                    client = Some((pipe, peer));
                    watch(Visit::PluggedIn(peer));
                }
                Event::Refused(visit) => watch(visit),
                Event::Failed(error) => return Err(error),
            }
        }
        if let Some((pipe, peer)) = &mut client
            && exchange(pipe, key, &mut message).is_err()
        {
            pipe.close();
            watch(Visit::Left(*peer));
            client = None;
            door.leave();
        }
        door.looked();
    }
}

/// Passes the client's reports to the key, lets the key work, sends what it says, in `message` and in one system call,
/// and waits for the next reports.
///
/// # Errors
/// The client has left, or does not take the key's reports.
fn exchange(pipe: &mut TcpPipe, key: &mut VirtualKey<'_>, message: &mut Vec<u8>) -> io::Result<()> {
    message.clear();
    while let Some(report) = pipe.take() {
        key.receive(&report);
        message.extend(iter::from_fn(|| key.transmit()).flatten());
    }
    let wait = key.work().unwrap_or(NOTICE);
    message.extend(iter::from_fn(|| key.transmit()).flatten());
    if !message.is_empty() {
        pipe.stream.write_all(message)?;
    }
    pipe.fill(wait.min(NOTICE))
}

/// Accepts connections and starts a thread for each, which ends when the client is plugged in.
fn accept(listener: &TcpListener, door: &Arc<Door>, events: &SyncSender<Event>) {
    loop {
        match listener.accept() {
            Ok((stream, peer)) => {
                // Two of the references are not a connection's.
                if Arc::strong_count(door) > CONNECTIONS + 1 && !door.close_oldest_silent() {
                    let _ = turn_away(&stream, Duration::ZERO);
                    continue;
                }
                let stream = Arc::new(stream);
                door.wait_silently(stream.clone());
                let (its_door, its_stream, events) = (door.clone(), stream.clone(), events.clone());
                let thread = thread::Builder::new().spawn(move || attend(&its_stream, peer, &its_door, &events));
                // If no thread can be started, the connection is closed.
                if thread.is_err() {
                    door.was_heard(&stream);
                }
            }
            // The client closed the connection before it was accepted.
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::Interrupted) => {}
            Err(error) => {
                let _ = events.send(Event::Failed(error));
                return;
            }
        }
    }
}

/// Plugs the client of a connection in, or closes the connection. An error closes it.
fn attend(stream: &Arc<TcpStream>, peer: SocketAddr, door: &Door, events: &SyncSender<Event>) {
    let refused = match admit(stream, door) {
        Ok(Admission::Plugged(pipe)) => {
            if events.send(Event::PluggedIn(pipe, peer)).is_err() {
                door.leave();
            }
            return;
        }
        Ok(Admission::Busy) => {
            let _ = turn_away(stream, PATIENCE);
            Visit::Busy(peer)
        }
        Ok(Admission::Stranger) => Visit::Stranger(peer),
        Err(_) => return,
    };
    let _ = stream.shutdown(Shutdown::Both);
    let _ = events.send(Event::Refused(refused));
}

enum Admission {
    /// The connection, and in it the reports that were read.
    Plugged(Box<TcpPipe>),
    Busy,
    Stranger,
}

/// Waits for the first report and then for the key.
fn admit(stream: &Arc<TcpStream>, door: &Door) -> io::Result<Admission> {
    let silent = Silent(door, stream);
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(LONGEST_WRITE))?;
    let mut pipe = TcpPipe::new(stream.try_clone()?);
    let mut since = Instant::now();
    while pipe.waiting().len() < REPORT_LEN {
        pipe.fill(PATIENCE)?;
        if !pipe.waiting().iter().zip(&FIRST).all(|(here, first)| here == first) {
            return Ok(Admission::Stranger);
        }
        if since.elapsed() >= PATIENCE && pipe.waiting().len() < REPORT_LEN {
            if door.is_occupied() {
                return Ok(Admission::Busy);
            }
            since = Instant::now();
        }
    }
    drop(silent);
    Ok(if door.enter() { Admission::Plugged(Box::new(pipe)) } else { Admission::Busy })
}

/// Answers CHANNEL_BUSY. Then waits up to `patience` until the client has closed, because the operating system drops
/// the answer when a connection with unread input is closed.
fn turn_away(mut stream: &TcpStream, patience: Duration) -> io::Result<()> {
    let data = &[HidErrorCode::CHANNEL_BUSY.0];
    let busy = Packet::Initialization { channel: BROADCAST, command: HidCommand::ERROR, len: 1, data };
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

/// State that all connections share.
#[derive(Default)]
struct Door {
    seat: Mutex<Seat>,
    changed: Condvar,
    /// Connections that have not sent a whole report yet, oldest first.
    silent: Mutex<VecDeque<Arc<TcpStream>>>,
}

#[derive(Default)]
struct Seat {
    /// Whether a client is plugged in.
    is_occupied: bool,
    /// How often the key's thread has looked whether it has left. Wraps.
    looks: u32,
}

impl Door {
    /// Plugs in as soon as no other client is plugged in, within [`PATIENCE`], or as long as the key works and does not
    /// notice that the other client has left. Returns whether that succeeded.
    fn enter(&self) -> bool {
        let waited = self.changed.wait_timeout_while(lock(&self.seat), PATIENCE, |seat| seat.is_occupied);
        let (seat, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let looks = seat.looks;
        // The second look begins after this.
        let unnoticed = |seat: &mut Seat| seat.is_occupied && seat.looks.wrapping_sub(looks) < 2;
        let waited = self.changed.wait_timeout_while(seat, LONGEST_WORK, unnoticed);
        let (mut seat, _) = waited.unwrap_or_else(PoisonError::into_inner);
        !mem::replace(&mut seat.is_occupied, true)
    }

    fn leave(&self) {
        lock(&self.seat).is_occupied = false;
        self.changed.notify_all();
    }

    /// The key's thread has looked whether the client has left.
    fn looked(&self) {
        let mut seat = lock(&self.seat);
        seat.looks = seat.looks.wrapping_add(1);
        self.changed.notify_all();
    }

    fn is_occupied(&self) -> bool {
        lock(&self.seat).is_occupied
    }

    /// Registers a connection that has not sent a report yet.
    fn wait_silently(&self, stream: Arc<TcpStream>) {
        lock(&self.silent).push_back(stream);
    }

    /// Ends the registration of a connection that has sent a report, or has ended.
    fn was_heard(&self, stream: &Arc<TcpStream>) {
        lock(&self.silent).retain(|silent| !Arc::ptr_eq(silent, stream));
    }

    /// Closes the oldest connection that has not sent a report. Returns whether there was one.
    fn close_oldest_silent(&self) -> bool {
        let oldest = lock(&self.silent).pop_front();
        oldest.is_some_and(|stream| stream.shutdown(Shutdown::Both).is_ok())
    }
}

/// The registration of a connection that has not sent a report yet, until it is dropped.
struct Silent<'c>(&'c Door, &'c Arc<TcpStream>);

impl Drop for Silent<'_> {
    fn drop(&mut self) {
        self.0.was_heard(self.1);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Either end of the socket, as a pipe of reports.
pub struct TcpPipe {
    stream: TcpStream,
    /// Reports that were read and are not handed out yet. The last one may be there in part.
    buffer: [u8; READ],
    from: usize,
    to: usize,
    /// The timeouts of the socket as they were set last, because setting one is a system call.
    read_timeout: Option<Duration>,
    is_write_bounded: bool,
}

impl TcpPipe {
    /// A pipe over a connected socket.
    pub const fn new(stream: TcpStream) -> Self {
        Self { stream, buffer: [0; READ], from: 0, to: 0, read_timeout: None, is_write_bounded: false }
    }

    fn close(&self) {
        let _ = self.stream.shutdown(Shutdown::Both);
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

impl ReportIo for TcpPipe {
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

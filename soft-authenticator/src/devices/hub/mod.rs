//! A virtual key that any number of clients have open, over any number of doors, on one thread.
//!
//! As with hidraw on Linux, every report of the key goes to each client that has the key open, and the reports of all
//! clients go to the key. Each client finds its answers by the channel. Only the key itself decides who is busy: while
//! it works for one channel, it answers the others with CHANNEL_BUSY.
//!
//! | door | a client | opens the key with |
//! |---|---|---|
//! | [`Hub::listen_tcp`] | a connection: 64-byte reports, one after another | INIT on the broadcast channel |
//! | [`Hub::listen_unix`] | a connection: the same | connecting |
//! | [`Hub::listen_packets`] | a connection: one report in each packet, after report id 0 or without it | connecting |
//! | [`Hub::listen_udp`] | an address: one report in each datagram | INIT on the broadcast channel |
//! | [`Hub::listen_usbip`] | a connection: USB/IP | attaching the device |
//! | [`Hub::attach_uhid`] | all programs of this machine: hidraw | the first of them opening it |
//! | [`Hub::insert_into_vpcd`] | all programs that use PC/SC: APDUs | the reader's field |
//! | [`HubHandle::connect`] | a thread of this process: 64-byte reports, one after another | connecting |
//!
//! Reports have no report id, except on [`Hub::listen_packets`]. An incomplete report at the end of a connection is
//! ignored.
//!
//! The first client to open the key plugs it in, and the last one to close it unplugs it, unless
//! [`Hub::keep_plugged_in`] was called. Plugging in powers the key up: credentials, PIN and counters stay. Tokens,
//! channels, the block after three wrong PINs and the time limit for a reset do not.
//!
//! TCP and UDP clients must begin with INIT on the broadcast channel. Any other connection is closed, and its bytes do
//! not reach the key. This protects the key from web pages, which can open connections to this machine: their first
//! bytes are HTTP or TLS.
//!
//! No client holds up the key or the others: what it does not read is queued, then lost, and after five seconds it is
//! closed. A TCP client that is silent for a minute is asked, by TCP, whether it is still there. At most 32 connections
//! are open. One more takes the place of the oldest that has not opened the key.
//!
//! Connections of packets are as hidraw's: who does not read is not closed and loses all but the first reports, and one
//! more can come until the hub has 256 connections.
//!
//! | file | what it is |
//! |---|---|
//! | `mod.rs` | [`Hub`] and its loop |
//! | `event.rs` | [`HubEvent`], what a hub tells its watcher |
//! | `handle.rs` | [`HubHandle`], which gives it orders |
//! | `link.rs` | what the hub asks of each kind of connection |
//! | `listener.rs`, `seat.rs` | what accepts connections, and what the hub knows of each |
//! | `place.rs` | where the key is: plugged in, or a card in a reader |
//! | `doors.rs` | how a hub gets its doors |
//! | `stream.rs`, `udp.rs`, `unix.rs`, `usbip.rs`, `uhid.rs`, `vpcd.rs` | the kinds of connections |
//! | `paced.rs` | a queue that leaves as slowly as USB |

use std::{
    io::{self, ErrorKind},
    iter, mem,
    sync::Arc,
    time::{Duration, Instant},
};

use mio::{Events, Interest, Poll, Token, Waker};

use super::VirtualKey;

mod doors;
mod event;
mod handle;
mod link;
mod listener;
mod paced;
mod place;
mod seat;
mod stream;
mod udp;
#[cfg(target_os = "linux")]
mod uhid;
#[cfg(unix)]
mod unix;
mod usbip;
mod vpcd;

use event::Observer;
pub use event::{HubEvent, Peer};
pub use handle::{HubHandle, ProcessPipe};
use link::{Input, Link, Report};
use listener::{Listener, is_broken, lacks_files};
use place::Field;
use seat::{Door, Seat};
#[cfg(unix)]
pub use unix::SocketFile;

/// How long the key works on a request before the hub looks for CANCEL and for other clients.
const WORK: Duration = Duration::from_millis(1);
/// How many connections are accepted before the others have their turn.
const ACCEPTS: usize = 16;
/// How long a door rests that can accept nothing now.
const REST: Duration = Duration::from_millis(100);
/// How many events the operating system tells at once: more than there are connections and doors, so that who leaves is
/// noticed before who comes.
const EVENTS: usize = 512;
/// The token of [`HubHandle`].
const WAKER: Token = Token(0);

/// A virtual key, and the doors through which clients open it.
///
/// ```
/// use std::{net::{TcpListener, TcpStream}, thread};
/// use keyfob_core::{Instant, transport::hid::HidTransport};
/// use keyfob_soft_authenticator::devices::{KeyOptions, TcpPipe, VIRTUAL_KEY_AAGUID, VirtualKey, hub::Hub};
/// use keyfob_soft_authenticator::engine::Config;
///
/// let listener = TcpListener::bind("127.0.0.1:0")?; // any free port
/// let address = listener.local_addr()?;
/// thread::spawn(move || {
///     let config = Config::new(VIRTUAL_KEY_AAGUID);
///     let mut memory = vec![0; config.buffer_len()];
///     let mut key = VirtualKey::new(&mut memory, KeyOptions::new(config)).unwrap();
///     let mut hub = Hub::new(&mut key)?;
///     hub.listen_tcp(listener)?;
///     hub.run(|event| println!("{event:?}"))
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
pub struct Hub<'k, 'b> {
    key: &'k mut VirtualKey<'b>,
    poll: Poll,
    handle: HubHandle,
    doors: Vec<Door>,
    seats: Vec<Seat>,
    /// Who has the key open, and over which seat.
    openers: Vec<(Token, Peer)>,
    /// Where the key is a card. Then there are no openers.
    field: Option<Field>,
    last_token: usize,
    is_plugged_in: bool,
    stays_plugged_in: bool,
    /// A test has unplugged the key: clients find none.
    is_out: bool,
    observer: Observer,
    /// Inputs that are being acted on. Kept, so that it is allocated once.
    inputs: Vec<Input>,
}

impl<'k, 'b> Hub<'k, 'b> {
    /// A hub without doors.
    ///
    /// # Errors
    /// The operating system refuses to poll.
    pub fn new(key: &'k mut VirtualKey<'b>) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        #[cfg(feature = "testing")]
        if let Some(control) = key.control() {
            control.wakes(waker.clone());
        }
        let handle = HubHandle::new(waker);
        #[cfg(feature = "testing")]
        let handle = handle.controlled(key.control());
        Ok(Self {
            key,
            poll,
            handle,
            doors: Vec::new(),
            seats: Vec::new(),
            openers: Vec::new(),
            field: None,
            last_token: WAKER.0,
            is_plugged_in: false,
            stays_plugged_in: false,
            is_out: false,
            observer: Observer::default(),
            inputs: Vec::new(),
        })
    }

    /// The key is plugged in as long as the hub runs, whether or not a client has it open.
    pub const fn keep_plugged_in(&mut self) {
        self.stays_plugged_in = true;
    }

    /// What gives orders to this hub.
    pub fn handle(&self) -> HubHandle {
        self.handle.clone()
    }

    /// Serves the key until [`HubHandle::stop`]. `watch` is called for each event, and must not block.
    ///
    /// # Errors
    /// A door failed, or the key does not power up.
    pub fn run(&mut self, mut watch: impl FnMut(HubEvent)) -> io::Result<()> {
        let watch: &mut dyn FnMut(HubEvent) = &mut watch;
        let mut events = Events::with_capacity(EVENTS);
        self.is_out = self.key.is_out();
        if self.stays_plugged_in && !self.is_out {
            self.plug_in(watch)?;
        }
        if self.is_out {
            self.unplug(watch)?;
        }
        while !self.handle.takes_stop() {
            let pause = self.work(watch)?;
            self.obey(false, watch)?;
            let pause = self.flush(pause, watch)?;
            match self.poll.poll(&mut events, pause) {
                Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
                _ => self.note(&events),
            }
            let replugs = self.handle.takes_replug();
            self.obey(replugs, watch)?;
            for stream in self.handle.takes_clients() {
                self.admit(stream::in_process(stream), watch)?;
            }
            self.receive(watch)?;
            self.accept(watch)?;
        }
        self.handle.takes_clients();
        self.unplug(watch)
    }

    /// Lets the key work, and returns how long it then needs no call. An answer leaves as soon as it is there. The key
    /// works on after it, so that it is ready when the next request comes.
    fn work(&mut self, watch: &mut dyn FnMut(HubEvent)) -> io::Result<Option<Duration>> {
        let start = Instant::now();
        while self.is_plugged_in || self.field.is_some() {
            let pause = self.key.work();
            let has_answered = self.transmit(watch) | self.respond(watch);
            if pause != Some(Duration::ZERO) || start.elapsed() >= WORK {
                return Ok(pause);
            }
            if has_answered {
                self.flush(pause, watch)?;
            }
        }
        Ok(None)
    }

    /// Queues what the key has to say for all who have it open. Returns whether it was an answer, and not only
    /// keep-alives.
    fn transmit(&mut self, watch: &mut dyn FnMut(HubEvent)) -> bool {
        let (mut has_answered, now) = (false, self.key.now());
        for report in iter::from_fn(|| self.key.transmit_at(now)) {
            self.seats.iter_mut().for_each(|seat| seat.link.queue(&report));
            watch(HubEvent::FromKey(report));
            if let Some(event) = self.observer.answer(&report) {
                has_answered |= matches!(event, HubEvent::Answered { .. });
                watch(event);
            }
        }
        has_answered
    }

    /// Writes what is queued. Returns how long to wait for the next event, at most `pause`.
    fn flush(&mut self, pause: Option<Duration>, watch: &mut dyn FnMut(HubEvent)) -> io::Result<Option<Duration>> {
        let now = Instant::now();
        for index in (0..self.seats.len()).rev() {
            self.step(index, watch, |seat, poll, inputs| seat.flush(now, poll, inputs))?;
        }
        let is_ready = self.seats.iter().any(Seat::can_be_read) || self.doors.iter().any(|door| door.is_ready);
        if is_ready {
            return Ok(Some(Duration::ZERO));
        }
        let dues = self.seats.iter().filter_map(|seat| seat.due).map(|due| due.saturating_duration_since(now));
        let retries = self.doors.iter().filter_map(|door| door.retry).map(|end| end.saturating_duration_since(now));
        Ok(dues.chain(retries).chain(pause).min())
    }

    /// Notes what the operating system has told.
    fn note(&mut self, events: &Events) {
        for event in events {
            let token = event.token();
            if let Some(seat) = self.seats.iter_mut().find(|seat| seat.token == token) {
                seat.is_ended |= event.is_read_closed() || event.is_error();
                seat.is_ready |= event.is_readable() || seat.is_ended;
            } else if let Some(door) = self.doors.iter_mut().find(|door| door.token == token) {
                door.is_ready = door.retry.is_none();
            }
        }
    }

    /// Reads what there is: first from who has the key open, then from who came first, so that who leaves is noticed
    /// before who comes.
    fn receive(&mut self, watch: &mut dyn FnMut(HubEvent)) -> io::Result<()> {
        for is_open in [true, false] {
            let mut index = 0;
            while let Some(seat) = self.seats.get(index) {
                let token = seat.token;
                if seat.is_open == is_open && seat.can_be_read() {
                    self.step(index, watch, |seat, _, inputs| {
                        seat.is_ready = seat.link.receive(inputs)?;
                        if seat.is_ended && !seat.is_ready {
                            // After all that was read comes the end.
                            seat.is_ready = seat.link.receive(inputs)?;
                            seat.is_ended = seat.is_ready;
                        }
                        Ok(())
                    })?;
                }
                if self.seats.get(index).is_some_and(|seat| seat.token == token) {
                    index = index.saturating_add(1);
                }
            }
        }
        Ok(())
    }

    /// Accepts connections. They are read in the next turn, when it is known who has left before they came.
    fn accept(&mut self, watch: &mut dyn FnMut(HubEvent)) -> io::Result<()> {
        let now = Instant::now();
        for index in 0..self.doors.len() {
            // Who may be closed for want of files: who said nothing while the door rested.
            let mut strangers = 0_usize;
            if let Some(door) = self.doors.get_mut(index).filter(|door| door.retry.is_some_and(|end| end <= now)) {
                (door.is_ready, door.retry) = (true, None);
                strangers = self.seats.iter().filter(|seat| seat.is_connection && !seat.is_open).count();
            }
            for _ in 0..ACCEPTS {
                let Some(door) = self.doors.get_mut(index).filter(|door| door.is_ready) else { break };
                let (link, peer) = match door.listener.accept() {
                    Ok(Some(accepted)) => accepted,
                    Ok(None) => {
                        door.is_ready = false;
                        break;
                    }
                    Err(error) if is_broken(&error) => return Err(error),
                    // Without a file, the system does not tell whether anyone waits.
                    Err(error) if lacks_files(&error) && strangers > 0 && self.make_room(watch) => {
                        strangers = strangers.saturating_sub(1);
                        continue;
                    }
                    Err(_) => {
                        self.rest(index, now);
                        break;
                    }
                };
                let limit = door.listener.limit();
                if self.seats.iter().filter(|seat| seat.is_connection).count() < limit || self.make_room(watch) {
                    self.admit(link, watch)?;
                } else {
                    watch(HubEvent::Full(peer));
                }
            }
        }
        Ok(())
    }

    /// A connection begins.
    fn admit(&mut self, link: Box<dyn Link>, watch: &mut dyn FnMut(HubEvent)) -> io::Result<()> {
        let added = self.add_link(link, true)?;
        self.step(added, watch, |seat, _, inputs| {
            seat.link.begin(inputs);
            Ok(())
        })
    }

    /// Lets a door accept nothing for a while.
    fn rest(&mut self, index: usize, now: Instant) {
        if let Some(door) = self.doors.get_mut(index) {
            (door.is_ready, door.retry) = (false, now.checked_add(REST));
        }
    }

    /// Closes the oldest connection that has not opened the key. Returns whether there was one.
    fn make_room(&mut self, watch: &mut dyn FnMut(HubEvent)) -> bool {
        let oldest = self.seats.iter().position(|seat| seat.is_connection && !seat.is_open);
        oldest.map(|index| self.close(index, watch)).is_some()
    }

    /// Lets a seat do something, and acts on its inputs. A connection that fails is closed.
    ///
    /// # Errors
    /// A seat failed that is not a connection. The key does not power up.
    fn step(
        &mut self,
        index: usize,
        watch: &mut dyn FnMut(HubEvent),
        act: impl FnOnce(&mut Seat, &Poll, &mut Vec<Input>) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut inputs = mem::take(&mut self.inputs);
        let Some(seat) = self.seats.get_mut(index) else { return Ok(()) };
        let result = act(seat, &self.poll, &mut inputs);
        let (token, is_connection) = (seat.token, seat.is_connection);
        let mut is_refused = false;
        for input in inputs.drain(..) {
            match input {
                Input::Opened(_) if self.is_out => is_refused = is_connection,
                Input::Opened(peer) => self.open(index, token, peer, watch)?,
                Input::Report(peer, report) => self.deliver(peer, &report, watch),
                Input::Closed(peer) => self.leave(token, Some(peer), watch),
                Input::Stranger(peer) => watch(HubEvent::Stranger(peer)),
                Input::InField(peer) => self.enter_field(token, peer, watch)?,
                Input::OutOfField => self.leave_field(Some(token), watch)?,
                Input::Apdu(peer, command) => self.command(index, token, peer, &command, watch),
                Input::NoReader(peer, why) => watch(HubEvent::NoReader(peer, why)),
            }
        }
        self.inputs = inputs;
        if is_refused {
            self.close(index, watch);
            return Ok(());
        }
        if let Err(error) = result {
            if !is_connection {
                return Err(error);
            }
            let stuck = self.openers.iter().find(|(its, _)| *its == token && error.kind() == ErrorKind::TimedOut);
            if let Some((_, peer)) = stuck {
                watch(HubEvent::Stuck(*peer));
            }
            self.close(index, watch);
        }
        Ok(())
    }

    /// A client opens the key.
    fn open(&mut self, index: usize, token: Token, peer: Peer, watch: &mut dyn FnMut(HubEvent)) -> io::Result<()> {
        if let Some(seat) = self.seats.get_mut(index) {
            seat.is_open = true;
        }
        if self.openers.is_empty() {
            self.leave_field(None, watch)?;
            self.tell_readers(true);
        }
        self.openers.push((token, peer));
        if !self.is_plugged_in {
            self.plug_in(watch)?;
        }
        watch(HubEvent::Opened(peer));
        Ok(())
    }

    /// Passes a report to the key, and queues what the key says at once.
    fn deliver(&mut self, peer: Peer, report: &Report, watch: &mut dyn FnMut(HubEvent)) {
        watch(HubEvent::ToKey(peer, *report));
        if let Some(event) = self.observer.request(peer, report) {
            watch(event);
        }
        self.key.receive(report);
        self.transmit(watch);
    }

    /// A client of a seat has closed the key, or all of them have.
    fn leave(&mut self, token: Token, peer: Option<Peer>, watch: &mut dyn FnMut(HubEvent)) {
        let leaves = |(its, one): &mut (Token, Peer)| *its == token && peer.is_none_or(|peer| *one == peer);
        let openers = self.openers.len();
        for (_, peer) in self.openers.extract_if(.., leaves) {
            watch(HubEvent::Closed(peer));
        }
        if self.openers.is_empty() && openers > 0 {
            self.tell_readers(false);
        }
        if self.is_plugged_in && self.openers.is_empty() && !self.stays_plugged_in {
            self.is_plugged_in = false;
            watch(HubEvent::Unplugged);
        }
    }

    fn close(&mut self, index: usize, watch: &mut dyn FnMut(HubEvent)) {
        if index < self.seats.len() {
            let token = self.seats.remove(index).token;
            self.leave(token, None, watch);
        }
    }

    fn next_token(&mut self) -> Token {
        self.last_token = self.last_token.wrapping_add(1).max(1);
        Token(self.last_token)
    }

    fn add_door(&mut self, mut listener: Listener) -> io::Result<()> {
        let token = self.next_token();
        listener.with_source(&mut |source| self.poll.registry().register(source, token, Interest::READABLE))?;
        self.doors.push(Door { token, listener, is_ready: true, retry: None });
        Ok(())
    }

    /// Adds a seat, and returns its index.
    fn add_link(&mut self, mut link: Box<dyn Link>, is_connection: bool) -> io::Result<usize> {
        let token = self.next_token();
        link.with_source(&mut |source| self.poll.registry().register(source, token, Interest::READABLE))?;
        let is_open = !is_connection;
        let seat = Seat {
            token,
            link,
            is_ready: false,
            is_ended: false,
            is_blocked: false,
            due: None,
            is_connection,
            is_open,
        };
        self.seats.push(seat);
        Ok(self.seats.len().saturating_sub(1))
    }
}

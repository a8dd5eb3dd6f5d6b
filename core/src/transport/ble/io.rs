//! The drivers of [`Host`] over a connection: one blocking, one async, both around one [`Link`].

use core::time::Duration;

use super::{
    BleCommand, BleErrorCode, BleFailure, FRAGMENT_TIMEOUT, Fragment, Host, HostEvent, MAX_FRAGMENT, Revisions,
};
use crate::Instant;
use crate::transport::{AsyncTransport, Protocol, Received, Transport};

/// How many old fragments are read and dropped before a request is sent, at most: as many as a long response has, of
/// which the end was not awaited.
const LEFT_OVER: usize = 512;
/// How long a request that is given up may take to end before the next one is sent.
const SETTLE: Duration = FRAGMENT_TIMEOUT.saturating_mul(2);

/// A connection to the FIDO service of an authenticator. Blocking. An example is at [`BleTransport`].
pub trait BleIo {
    /// What can go wrong below.
    type Error;
    /// Writes the revision that is selected to [`super::SERVICE_REVISION_BITFIELD`]. Authenticators of U2F 1.0 do not
    /// have it; then this does nothing.
    ///
    /// # Errors
    /// The authenticator refuses the revision, or the connection failed.
    fn select(&mut self, revision: Revisions) -> Result<(), Self::Error>;
    /// Writes a fragment to [`super::CONTROL_POINT`], with a response of ATT.
    ///
    /// # Errors
    /// The connection failed.
    fn write(&mut self, fragment: &[u8]) -> Result<(), Self::Error>;
    /// Waits at most `wait` for a notification of [`super::STATUS`], writes it to the front of `fragment`, which has
    /// room for [`MAX_FRAGMENT`] bytes, and returns its length. `None` when none came.
    ///
    /// # Errors
    /// The connection failed. That nothing came within `wait` is `None`, not an error.
    fn read(&mut self, wait: Duration, fragment: &mut [u8]) -> Result<Option<usize>, Self::Error>;
}

/// [`BleIo`] for async executors. A dropped `read` must not lose a notification.
#[allow(async_fn_in_trait)] // executors on microcontrollers are single-threaded, so the trait does not require Send
pub trait AsyncBleIo {
    /// What can go wrong below.
    type Error;
    /// See [`BleIo::select`].
    async fn select(&mut self, revision: Revisions) -> Result<(), Self::Error>;
    /// See [`BleIo::write`].
    async fn write(&mut self, fragment: &[u8]) -> Result<(), Self::Error>;
    /// See [`BleIo::read`].
    async fn read(&mut self, wait: Duration, fragment: &mut [u8]) -> Result<Option<usize>, Self::Error>;
}

impl<T: BleIo + ?Sized> BleIo for &mut T {
    type Error = T::Error;

    fn select(&mut self, revision: Revisions) -> Result<(), T::Error> {
        (**self).select(revision)
    }
    fn write(&mut self, fragment: &[u8]) -> Result<(), T::Error> {
        (**self).write(fragment)
    }
    fn read(&mut self, wait: Duration, fragment: &mut [u8]) -> Result<Option<usize>, T::Error> {
        (**self).read(wait, fragment)
    }
}

impl<T: AsyncBleIo + ?Sized> AsyncBleIo for &mut T {
    type Error = T::Error;

    async fn select(&mut self, revision: Revisions) -> Result<(), T::Error> {
        (**self).select(revision).await
    }
    async fn write(&mut self, fragment: &[u8]) -> Result<(), T::Error> {
        (**self).write(fragment).await
    }
    async fn read(&mut self, wait: Duration, fragment: &mut [u8]) -> Result<Option<usize>, T::Error> {
        (**self).read(wait, fragment).await
    }
}

/// Why a transaction over Bluetooth failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum BleError<E> {
    /// The connection failed.
    Io(E),
    /// The authenticator refused the request.
    Device(BleErrorCode),
    /// The transaction failed at the client's end.
    Failed(BleFailure),
}

impl<E> From<BleFailure> for BleError<E> {
    fn from(failure: BleFailure) -> Self {
        Self::Failed(failure)
    }
}

/// What both drivers have in common: everything except reading and writing.
#[derive(Debug)]
struct Link<C> {
    clock: C,
    host: Host,
    revisions: Revisions,
    selected: Option<Revisions>,
    fragment: usize,
    frame: [u8; MAX_FRAGMENT],
    /// Whether the last request has a protocol that the authenticator does not support.
    unsupported: bool,
}

impl<C: FnMut() -> Instant> Link<C> {
    fn new(clock: C, revisions: Revisions, fragment: usize) -> Self {
        let fragment = super::fragment_length(fragment);
        let (host, frame) = (Host::new(), [0; MAX_FRAGMENT]);
        Self { clock, host, revisions, selected: None, fragment, frame, unsupported: false }
    }

    /// The revision to select for a request of this protocol, if it is not selected yet.
    fn revision(&mut self, protocol: Protocol) -> Option<Revisions> {
        let revision = self.revisions.newest_of(protocol);
        self.unsupported = revision.is_none();
        revision.filter(|_| self.selected.and_then(Revisions::protocol) != Some(protocol))
    }

    /// The next fragment to write.
    fn transmit(&mut self, message: &[u8]) -> Option<&[u8]> {
        let frame = self.frame.get_mut(..self.fragment)?;
        let len = self.host.transmit((self.clock)(), message, frame)?;
        frame.get(..len)
    }

    /// A CANCEL for a request that is given up, and until when to wait for its end.
    fn give_up(&mut self) -> Option<(&[u8], Instant)> {
        if self.host.is_ready() {
            return None;
        }
        let until = (self.clock)().plus(SETTLE);
        let len = Fragment::Initialization { command: BleCommand::CANCEL, len: 0, data: &[] }.write(&mut self.frame);
        self.frame.get(..len).map(|cancel| (cancel, until))
    }

    /// The CANCEL for the pending request, if it has none yet. It takes the place of the rest of a request that was not
    /// sent to its end.
    fn cancel(&mut self) -> Option<&[u8]> {
        if self.host.needs_request() {
            return self.give_up().map(|(cancel, _)| cancel);
        }
        self.host.cancel();
        self.transmit(&[])
    }

    /// How long to wait for the end of a request that is given up. `None` when it has ended, or its time is up.
    fn settles(&mut self, until: Instant) -> Option<Duration> {
        let left = until.since((self.clock)());
        if !self.host.is_ready() && !left.is_zero() {
            return Some(left);
        }
        self.host = Host::new();
        None
    }

    /// How long to read. `None` when the time is up.
    fn wait(&mut self, until: Instant, looked: &mut bool) -> Option<Duration> {
        let now = (self.clock)();
        if core::mem::replace(looked, true) && until <= now {
            return None;
        }
        Some(self.host.deadline().map_or(until, |deadline| deadline.min(until)).since(now))
    }

    /// Takes the fragment that was read, if any, and checks the time.
    fn heard(&mut self, len: Option<usize>, buffer: &mut [u8]) -> Option<HostEvent> {
        let now = (self.clock)();
        let event = len.and_then(|len| self.frame.get(..len)).and_then(|it| self.host.receive(now, it, buffer));
        event.or_else(|| self.host.expire(now))
    }
}

/// Translates an event into a result of the message layer.
fn received<E>(event: HostEvent, buffer: &mut [u8]) -> Result<Received, BleError<E>> {
    match event {
        HostEvent::KeepAlive(status) => Ok(Received::KeepAlive(status)),
        HostEvent::Response { len } => Ok(Received::Response(len)),
        HostEvent::Error(BleErrorCode::INVALID_CMD) => Ok(invalid_command(buffer)),
        HostEvent::Error(BleErrorCode::INVALID_LEN | BleErrorCode::OTHER) => Ok(Received::Unreadable),
        HostEvent::Error(code) => Err(BleError::Device(code)),
        HostEvent::Failed(BleFailure::BufferTooSmall { needed }) => Ok(Received::TooLong(needed)),
        HostEvent::Failed(failure) => Err(failure.into()),
    }
}

/// The authenticator does not support the protocol of the request. For the layer above that is the status
/// CTAP1_ERR_INVALID_COMMAND.
fn invalid_command(buffer: &mut [u8]) -> Received {
    buffer.iter_mut().take(1).for_each(|status| *status = 0x01);
    Received::Response(1)
}

/// A [`Transport`] over Bluetooth, blocking.
///
/// The revision is selected by the first request of its protocol. A request whose response was not awaited is
/// cancelled by the next one. `clock` is any monotonic clock.
///
/// ```
/// use core::{convert::Infallible, time::Duration};
/// use keyfob_core::{Instant, transport::ble::{BleIo, BleTransport, Device, DeviceConfig, Revisions}};
///
/// /// A program for Bluetooth writes and reads characteristics here. This is the other end, in the same process.
/// struct Loopback(Device, [u8; 256]);
///
/// impl BleIo for Loopback {
///     type Error = Infallible;
///
///     fn select(&mut self, revision: Revisions) -> Result<(), Infallible> {
///         self.0.select(revision);
///         Ok(())
///     }
///
///     fn write(&mut self, fragment: &[u8]) -> Result<(), Infallible> {
///         self.0.receive(Instant::default(), fragment, &mut self.1);
///         Ok(())
///     }
///
///     fn read(&mut self, _: Duration, fragment: &mut [u8]) -> Result<Option<usize>, Infallible> {
///         Ok(self.0.transmit(Instant::default(), &self.1, &mut fragment[..20]))
///     }
/// }
///
/// let io = Loopback(Device::new(DeviceConfig::default()), [0; 256]);
/// let mut transport = BleTransport::new(io, Instant::default, Revisions::FIDO2, 20); // ATT_MTU is 23
/// let mut buffer = [7; 200]; // eleven fragments
/// assert_eq!(transport.ping(&mut buffer, 200), Ok(200));
/// ```
#[derive(Debug)]
pub struct BleTransport<B, C> {
    io: B,
    link: Link<C>,
}

impl<B: BleIo, C: FnMut() -> Instant> BleTransport<B, C> {
    /// A transport over a connection. `revisions` is what the client has read from
    /// [`super::SERVICE_REVISION_BITFIELD`], and [`Revisions::U2F_1_1`] where that is missing. `fragment` is the
    /// longest fragment, in bytes: the smaller of ATT_MTU minus 3 and of what the client has read from
    /// [`super::CONTROL_POINT_LENGTH`].
    pub fn new(io: B, clock: C, revisions: Revisions, fragment: usize) -> Self {
        Self { io, link: Link::new(clock, revisions, fragment) }
    }

    /// The connection.
    pub const fn io_mut(&mut self) -> &mut B {
        &mut self.io
    }

    /// The connection, for example to close it.
    pub fn into_io(self) -> B {
        self.io
    }

    /// Sends PING with `buffer[..len]`, which the authenticator echoes into `buffer`. Returns the echo's length.
    ///
    /// # Errors
    /// [`BleError`]; [`BleFailure::RequestTooLong`] also when `len` is more than `buffer` holds.
    pub fn ping(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, BleError<B::Error>> {
        let request = buffer.get(..len).ok_or(BleFailure::RequestTooLong)?;
        self.settle()?;
        self.request(BleCommand::PING, request)?;
        loop {
            let wait = SETTLE; // the transaction has a time limit of its own
            match self.receive(buffer, wait)? {
                Received::Response(len) => return Ok(len),
                Received::TooLong(needed) => return Err(BleFailure::BufferTooSmall { needed }.into()),
                Received::Unreadable => return Err(BleError::Device(BleErrorCode::INVALID_LEN)),
                Received::KeepAlive(_) | Received::Nothing => {}
            }
        }
    }

    /// Waits for the end of a request that was given up, and drops what is left of it.
    fn settle(&mut self) -> Result<(), BleError<B::Error>> {
        if let Some((cancel, until)) = self.link.give_up() {
            self.io.write(cancel).map_err(BleError::Io)?;
            while let Some(wait) = self.link.settles(until) {
                let len = self.io.read(wait, &mut self.link.frame).map_err(BleError::Io)?;
                self.link.heard(len, &mut []);
            }
        }
        for _ in 0..LEFT_OVER {
            if self.io.read(Duration::ZERO, &mut self.link.frame).map_err(BleError::Io)?.is_none() {
                break;
            }
        }
        Ok(())
    }

    fn request(&mut self, command: BleCommand, request: &[u8]) -> Result<(), BleError<B::Error>> {
        self.link.unsupported = false;
        let now = (self.link.clock)();
        self.link.host.send(now, command, request.len())?;
        while let Some(fragment) = self.link.transmit(request) {
            self.io.write(fragment).map_err(BleError::Io)?;
        }
        Ok(())
    }
}

impl<B: BleIo, C: FnMut() -> Instant> Transport for BleTransport<B, C> {
    type Error = BleError<B::Error>;

    fn send(&mut self, protocol: Protocol, request: &[u8]) -> Result<(), Self::Error> {
        self.settle()?;
        if let Some(revision) = self.link.revision(protocol) {
            self.io.select(revision).map_err(BleError::Io)?;
            self.link.selected = Some(revision);
        }
        if self.link.unsupported {
            return Ok(()); // `receive` has the answer
        }
        self.request(BleCommand::MSG, request)
    }

    fn receive(&mut self, buffer: &mut [u8], wait: Duration) -> Result<Received, Self::Error> {
        if core::mem::take(&mut self.link.unsupported) {
            return Ok(invalid_command(buffer));
        }
        let (until, mut looked) = ((self.link.clock)().plus(wait), false);
        while let Some(wait) = self.link.wait(until, &mut looked) {
            let len = self.io.read(wait, &mut self.link.frame).map_err(BleError::Io)?;
            if let Some(event) = self.link.heard(len, buffer) {
                return received(event, buffer);
            }
        }
        Ok(Received::Nothing)
    }

    fn cancel(&mut self) -> Result<(), Self::Error> {
        match self.link.cancel() {
            Some(cancel) => self.io.write(cancel).map_err(BleError::Io),
            None => Ok(()),
        }
    }

    /// Bluetooth cannot switch the power off: this selects the revision anew.
    fn reconnect(&mut self) -> Result<(), Self::Error> {
        self.link.selected = None;
        Ok(())
    }
}

/// [`BleTransport`] for async executors. A future may be dropped at any await; the next request cancels what is pending.
#[derive(Debug)]
pub struct AsyncBleTransport<B, C> {
    io: B,
    link: Link<C>,
}

impl<B: AsyncBleIo, C: FnMut() -> Instant> AsyncBleTransport<B, C> {
    /// A transport over a connection. `revisions` is what the client has read from
    /// [`super::SERVICE_REVISION_BITFIELD`], and [`Revisions::U2F_1_1`] where that is missing. `fragment` is the
    /// longest fragment, in bytes: the smaller of ATT_MTU minus 3 and of what the client has read from
    /// [`super::CONTROL_POINT_LENGTH`].
    pub fn new(io: B, clock: C, revisions: Revisions, fragment: usize) -> Self {
        Self { io, link: Link::new(clock, revisions, fragment) }
    }

    /// The connection.
    pub const fn io_mut(&mut self) -> &mut B {
        &mut self.io
    }

    /// The connection, for example to close it.
    pub fn into_io(self) -> B {
        self.io
    }

    /// Sends PING with `buffer[..len]`, which the authenticator echoes into `buffer`. Returns the echo's length.
    ///
    /// # Errors
    /// [`BleError`]; [`BleFailure::RequestTooLong`] also when `len` is more than `buffer` holds.
    pub async fn ping(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, BleError<B::Error>> {
        let request = buffer.get(..len).ok_or(BleFailure::RequestTooLong)?;
        self.settle().await?;
        self.request(BleCommand::PING, request).await?;
        loop {
            let wait = SETTLE; // the transaction has a time limit of its own
            match self.receive(buffer, wait).await? {
                Received::Response(len) => return Ok(len),
                Received::TooLong(needed) => return Err(BleFailure::BufferTooSmall { needed }.into()),
                Received::Unreadable => return Err(BleError::Device(BleErrorCode::INVALID_LEN)),
                Received::KeepAlive(_) | Received::Nothing => {}
            }
        }
    }

    /// Waits for the end of a request that was given up, and drops what is left of it.
    async fn settle(&mut self) -> Result<(), BleError<B::Error>> {
        if let Some((cancel, until)) = self.link.give_up() {
            self.io.write(cancel).await.map_err(BleError::Io)?;
            while let Some(wait) = self.link.settles(until) {
                let len = self.io.read(wait, &mut self.link.frame).await.map_err(BleError::Io)?;
                self.link.heard(len, &mut []);
            }
        }
        for _ in 0..LEFT_OVER {
            if self.io.read(Duration::ZERO, &mut self.link.frame).await.map_err(BleError::Io)?.is_none() {
                break;
            }
        }
        Ok(())
    }

    async fn request(&mut self, command: BleCommand, request: &[u8]) -> Result<(), BleError<B::Error>> {
        self.link.unsupported = false;
        let now = (self.link.clock)();
        self.link.host.send(now, command, request.len())?;
        while let Some(fragment) = self.link.transmit(request) {
            self.io.write(fragment).await.map_err(BleError::Io)?;
        }
        Ok(())
    }
}

impl<B: AsyncBleIo, C: FnMut() -> Instant> AsyncTransport for AsyncBleTransport<B, C> {
    type Error = BleError<B::Error>;

    async fn send(&mut self, protocol: Protocol, request: &[u8]) -> Result<(), Self::Error> {
        self.settle().await?;
        if let Some(revision) = self.link.revision(protocol) {
            self.io.select(revision).await.map_err(BleError::Io)?;
            self.link.selected = Some(revision);
        }
        if self.link.unsupported {
            return Ok(()); // `receive` has the answer
        }
        self.request(BleCommand::MSG, request).await
    }

    async fn receive(&mut self, buffer: &mut [u8], wait: Duration) -> Result<Received, Self::Error> {
        if core::mem::take(&mut self.link.unsupported) {
            return Ok(invalid_command(buffer));
        }
        let (until, mut looked) = ((self.link.clock)().plus(wait), false);
        while let Some(wait) = self.link.wait(until, &mut looked) {
            let len = self.io.read(wait, &mut self.link.frame).await.map_err(BleError::Io)?;
            if let Some(event) = self.link.heard(len, buffer) {
                return received(event, buffer);
            }
        }
        Ok(Received::Nothing)
    }

    async fn cancel(&mut self) -> Result<(), Self::Error> {
        match self.link.cancel() {
            Some(cancel) => self.io.write(cancel).await.map_err(BleError::Io),
            None => Ok(()),
        }
    }

    /// Bluetooth cannot switch the power off: this selects the revision anew.
    async fn reconnect(&mut self) -> Result<(), Self::Error> {
        self.link.selected = None;
        Ok(())
    }
}

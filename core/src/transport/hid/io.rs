//! The drivers of [`Host`] over a pipe of reports: one blocking, one async, both around one [`Link`].

use core::time::Duration;

use super::link::{Goal, LEFT_OVER, Link};
use super::{DeviceInfo, HidCommand, HidErrorCode, HidFailure, Host, HostEvent};
use crate::Instant;
use crate::transport::{AsyncReportIo, AsyncTransport, Protocol, Received, ReportIo, Transport};

/// Why a transaction over HID failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum HidError<E> {
    /// The pipe failed.
    Io(E),
    /// The authenticator refused the request.
    Device(HidErrorCode),
    /// The transaction failed at the client's end.
    Failed(HidFailure),
}

impl<E> From<HidFailure> for HidError<E> {
    fn from(failure: HidFailure) -> Self {
        Self::Failed(failure)
    }
}

/// The buffer: read-only while the request is sent from it.
enum Message<'m> {
    Request(&'m [u8]),
    Buffer(&'m mut [u8]),
}

impl Message<'_> {
    fn request(&self) -> &[u8] {
        match self {
            Self::Request(request) => request,
            Self::Buffer(buffer) => buffer,
        }
    }

    fn buffer(&mut self) -> &mut [u8] {
        match self {
            // Only INIT is answered before a request is written, and its response does not need the buffer.
            Self::Request(_) => &mut [],
            Self::Buffer(buffer) => buffer,
        }
    }
}

/// A [`Transport`] over CTAPHID, blocking.
///
/// The channel is opened by the first request and resynchronised with INIT whenever the last transaction did not end
/// with its response. `clock` is any monotonic clock.
///
/// ```
/// use core::{convert::Infallible, time::Duration};
/// use keyfob_core::transport::{ReportIo, hid::{Device, DeviceConfig, HidTransport}};
/// use keyfob_core::Instant;
///
/// /// A program for USB reads and writes reports here. This is the other end of CTAPHID, in the same process.
/// struct Loopback(Device, [u8; 256]);
///
/// impl ReportIo for Loopback {
///     type Error = Infallible;
///
///     fn write(&mut self, report: &[u8; 64]) -> Result<(), Infallible> {
///         self.0.receive(Instant::default(), report, &mut self.1);
///         Ok(())
///     }
///
///     fn read(&mut self, _: Duration) -> Result<Option<[u8; 64]>, Infallible> {
///         Ok(self.0.transmit(Instant::default(), &self.1))
///     }
/// }
///
/// let io = Loopback(Device::new(DeviceConfig::default()), [0; 256]);
/// let mut transport = HidTransport::new(io, Instant::default, *b"a nonce!");
/// let mut buffer = [7; 200]; // four reports
/// assert_eq!(transport.ping(&mut buffer, 200), Ok(200));
/// ```
#[derive(Debug)]
pub struct HidTransport<R, C> {
    pub(super) io: R,
    pub(super) link: Link<C>,
}

impl<R: ReportIo, C: FnMut() -> Instant> HidTransport<R, C> {
    /// A transport whose channel is not open yet. The nonces of INIT count up from `nonce`. The nonce is not secret,
    /// but it must differ from those of other clients of the same authenticator, so take it from a random source.
    pub fn new(io: R, clock: C, nonce: [u8; 8]) -> Self {
        Self { io, link: Link::new(clock, nonce) }
    }

    /// The pipe. Reports that are read from it or written to it directly are missing in a pending transaction.
    pub fn io_mut(&mut self) -> &mut R {
        &mut self.io
    }

    /// The pipe, for example to close it.
    pub fn into_io(self) -> R {
        self.io
    }

    /// The authenticator's answer when the channel was last opened.
    pub fn info(&self) -> Option<DeviceInfo> {
        self.link.info
    }

    /// Opens the channel, or resynchronises it.
    ///
    /// # Errors
    /// [`HidError`]; [`HidErrorCode::CHANNEL_BUSY`] after 30 s, [`HidFailure::Timeout`] after 3 s of silence.
    pub fn open(&mut self) -> Result<DeviceInfo, HidError<R::Error>> {
        self.link.open();
        self.drive(Goal::Answer, Message::Request(&[]))?;
        self.link.info.ok_or(HidError::Failed(HidFailure::NotOpen))
    }

    /// Sends any command, for example a vendor command, and waits for the response. The request lies in
    /// `buffer[..len]`; the response overwrites it. Returns the response's length.
    ///
    /// # Errors
    /// [`HidError`]; [`HidFailure::RequestTooLong`] also when `len` is more than `buffer` holds; [`HidFailure::Timeout`]
    /// after 10 minutes at the latest, even if keep-alives still come.
    pub fn command(&mut self, command: HidCommand, buffer: &mut [u8], len: usize) -> Result<usize, HidError<R::Error>> {
        let request = buffer.get(..len).ok_or(HidFailure::RequestTooLong)?;
        self.request(command, request)?;
        match self.drive(Goal::Answer, Message::Buffer(buffer))? {
            Received::Response(len) => Ok(len),
            _ => Err(HidFailure::NotOpen.into()),
        }
    }

    /// Sends PING with `buffer[..len]`, which the authenticator echoes into `buffer`. Returns the echo's length.
    ///
    /// # Errors
    /// See [`Self::command`].
    pub fn ping(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, HidError<R::Error>> {
        self.command(HidCommand::PING, buffer, len)
    }

    /// Sends WINK: the authenticator blinks or beeps, so that the user sees which one it is.
    ///
    /// # Errors
    /// See [`Self::command`].
    pub fn wink(&mut self) -> Result<(), HidError<R::Error>> {
        self.command(HidCommand::WINK, &mut [], 0).map(drop)
    }

    /// Sends LOCK: reserves the authenticator for this channel for `seconds`, at most 10. Zero ends the reservation.
    ///
    /// # Errors
    /// See [`Self::command`].
    pub fn lock(&mut self, seconds: u8) -> Result<(), HidError<R::Error>> {
        self.command(HidCommand::LOCK, &mut [seconds], 1).map(drop)
    }

    fn request(&mut self, command: HidCommand, request: &[u8]) -> Result<(), HidError<R::Error>> {
        for _ in 0..LEFT_OVER {
            if self.io.read(Duration::ZERO).map_err(HidError::Io)?.is_none() {
                break;
            }
        }
        self.link.begin(command, request)?;
        self.drive(Goal::Sent, Message::Request(request)).map(drop)
    }

    fn drive(&mut self, goal: Goal, mut message: Message<'_>) -> Result<Received, HidError<R::Error>> {
        self.link.looked = false;
        loop {
            while let Some(report) = self.link.transmit(goal, message.request()) {
                self.io.write(&report).map_err(HidError::Io)?;
            }
            let Some(wait) = self.link.wait(goal) else { return Ok(Received::Nothing) };
            let report = self.io.read(wait).map_err(HidError::Io)?;
            if let Some(event) = self.link.heard(goal, report, message.buffer())? {
                return received(event);
            }
        }
    }
}

impl<R: ReportIo, C: FnMut() -> Instant> Transport for HidTransport<R, C> {
    type Error = HidError<R::Error>;

    fn send(&mut self, protocol: Protocol, request: &[u8]) -> Result<(), Self::Error> {
        self.request(command_of(protocol), request)
    }

    /// `buffer` must hold the request at its front until the response comes, because the request may be sent again: to
    /// an authenticator that was busy, or on a new channel if the authenticator has forgotten the old one. If it does
    /// not hold the request, both cases are errors.
    fn receive(&mut self, buffer: &mut [u8], wait: Duration) -> Result<Received, Self::Error> {
        let until = (self.link.clock)().plus(wait);
        let received = self.drive(Goal::Event(until), Message::Buffer(buffer));
        heard_above(received, buffer)
    }

    fn cancel(&mut self) -> Result<(), Self::Error> {
        match self.link.cancel() {
            Some(report) => self.io.write(&report).map_err(HidError::Io),
            None => Ok(()),
        }
    }

    /// HID cannot switch the power off: this forgets the channel, so that the next request allocates a new one.
    fn reconnect(&mut self) -> Result<(), Self::Error> {
        self.link.host = Host::new();
        Ok(())
    }
}

/// [`HidTransport`] for async executors.
///
/// The channel is opened by the first request and resynchronised with INIT whenever the last transaction did not end
/// with its response. `clock` is any monotonic clock.
///
/// A future may be dropped at any await; the next request resynchronises the channel.
#[derive(Debug)]
pub struct AsyncHidTransport<R, C> {
    pub(super) io: R,
    pub(super) link: Link<C>,
}

impl<R: AsyncReportIo, C: FnMut() -> Instant> AsyncHidTransport<R, C> {
    /// A transport whose channel is not open yet. The nonces of INIT count up from `nonce`. The nonce is not secret,
    /// but it must differ from those of other clients of the same authenticator, so take it from a random source.
    pub fn new(io: R, clock: C, nonce: [u8; 8]) -> Self {
        Self { io, link: Link::new(clock, nonce) }
    }

    /// The pipe. Reports that are read from it or written to it directly are missing in a pending transaction.
    pub fn io_mut(&mut self) -> &mut R {
        &mut self.io
    }

    /// The pipe, for example to close it.
    pub fn into_io(self) -> R {
        self.io
    }

    /// The authenticator's answer when the channel was last opened.
    pub fn info(&self) -> Option<DeviceInfo> {
        self.link.info
    }

    /// Opens the channel, or resynchronises it.
    ///
    /// # Errors
    /// [`HidError`]; [`HidErrorCode::CHANNEL_BUSY`] after 30 s, [`HidFailure::Timeout`] after 3 s of silence.
    pub async fn open(&mut self) -> Result<DeviceInfo, HidError<R::Error>> {
        self.link.open();
        self.drive(Goal::Answer, Message::Request(&[])).await?;
        self.link.info.ok_or(HidError::Failed(HidFailure::NotOpen))
    }

    /// Sends any command, for example a vendor command, and waits for the response. The request lies in
    /// `buffer[..len]`; the response overwrites it. Returns the response's length.
    ///
    /// # Errors
    /// [`HidError`]; [`HidFailure::RequestTooLong`] also when `len` is more than `buffer` holds; [`HidFailure::Timeout`]
    /// after 10 minutes at the latest, even if keep-alives still come.
    pub async fn command(
        &mut self,
        command: HidCommand,
        buffer: &mut [u8],
        len: usize,
    ) -> Result<usize, HidError<R::Error>> {
        let request = buffer.get(..len).ok_or(HidFailure::RequestTooLong)?;
        self.request(command, request).await?;
        match self.drive(Goal::Answer, Message::Buffer(buffer)).await? {
            Received::Response(len) => Ok(len),
            _ => Err(HidFailure::NotOpen.into()),
        }
    }

    /// Sends PING with `buffer[..len]`, which the authenticator echoes into `buffer`. Returns the echo's length.
    ///
    /// # Errors
    /// See [`Self::command`].
    pub async fn ping(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, HidError<R::Error>> {
        self.command(HidCommand::PING, buffer, len).await
    }

    /// Sends WINK: the authenticator blinks or beeps, so that the user sees which one it is.
    ///
    /// # Errors
    /// See [`Self::command`].
    pub async fn wink(&mut self) -> Result<(), HidError<R::Error>> {
        self.command(HidCommand::WINK, &mut [], 0).await.map(drop)
    }

    /// Sends LOCK: reserves the authenticator for this channel for `seconds`, at most 10. Zero ends the reservation.
    ///
    /// # Errors
    /// See [`Self::command`].
    pub async fn lock(&mut self, seconds: u8) -> Result<(), HidError<R::Error>> {
        self.command(HidCommand::LOCK, &mut [seconds], 1).await.map(drop)
    }

    async fn request(&mut self, command: HidCommand, request: &[u8]) -> Result<(), HidError<R::Error>> {
        for _ in 0..LEFT_OVER {
            if self.io.read(Duration::ZERO).await.map_err(HidError::Io)?.is_none() {
                break;
            }
        }
        self.link.begin(command, request)?;
        self.drive(Goal::Sent, Message::Request(request)).await.map(drop)
    }

    async fn drive(&mut self, goal: Goal, mut message: Message<'_>) -> Result<Received, HidError<R::Error>> {
        self.link.looked = false;
        loop {
            while let Some(report) = self.link.transmit(goal, message.request()) {
                self.io.write(&report).await.map_err(HidError::Io)?;
            }
            let Some(wait) = self.link.wait(goal) else { return Ok(Received::Nothing) };
            let report = self.io.read(wait).await.map_err(HidError::Io)?;
            if let Some(event) = self.link.heard(goal, report, message.buffer())? {
                return received(event);
            }
        }
    }
}

impl<R: AsyncReportIo, C: FnMut() -> Instant> AsyncTransport for AsyncHidTransport<R, C> {
    type Error = HidError<R::Error>;

    async fn send(&mut self, protocol: Protocol, request: &[u8]) -> Result<(), Self::Error> {
        self.request(command_of(protocol), request).await
    }

    /// `buffer` must hold the request at its front until the response comes, because the request may be sent again: to
    /// an authenticator that was busy, or on a new channel if the authenticator has forgotten the old one. If it does
    /// not hold the request, both cases are errors.
    async fn receive(&mut self, buffer: &mut [u8], wait: Duration) -> Result<Received, Self::Error> {
        let until = (self.link.clock)().plus(wait);
        let received = self.drive(Goal::Event(until), Message::Buffer(buffer)).await;
        heard_above(received, buffer)
    }

    async fn cancel(&mut self) -> Result<(), Self::Error> {
        match self.link.cancel() {
            Some(report) => self.io.write(&report).await.map_err(HidError::Io),
            None => Ok(()),
        }
    }

    /// HID cannot switch the power off: this forgets the channel, so that the next request allocates a new one.
    async fn reconnect(&mut self) -> Result<(), Self::Error> {
        self.link.host = Host::new();
        Ok(())
    }
}

fn received<E>(event: HostEvent) -> Result<Received, HidError<E>> {
    match event {
        HostEvent::Opened(_) => Ok(Received::Nothing),
        HostEvent::KeepAlive(status) => Ok(Received::KeepAlive(status)),
        HostEvent::Response { len, .. } => Ok(Received::Response(len)),
        HostEvent::Error(code) => Err(HidError::Device(code)),
        HostEvent::Failed(failure) => Err(HidError::Failed(failure)),
    }
}

/// Translates errors of the framing into results of the message layer. An authenticator that lacks CTAPHID_CBOR or
/// CTAPHID_MSG answers with CTAPHID_ERROR and INVALID_CMD; for the layer above, that is the status
/// CTAP1_ERR_INVALID_COMMAND, which has the same number.
fn heard_above<E>(received: Result<Received, HidError<E>>, buffer: &mut [u8]) -> Result<Received, HidError<E>> {
    match (received, buffer) {
        (Err(HidError::Device(HidErrorCode::INVALID_CMD)), [status, ..]) => {
            *status = HidErrorCode::INVALID_CMD.0;
            Ok(Received::Response(1))
        }
        (Err(HidError::Device(HidErrorCode::INVALID_LEN | HidErrorCode::OTHER)), _) => Ok(Received::Unreadable),
        (Err(HidError::Failed(HidFailure::BufferTooSmall { needed })), _) => Ok(Received::TooLong(needed)),
        (received, _) => received,
    }
}

fn command_of(protocol: Protocol) -> HidCommand {
    match protocol {
        Protocol::Ctap1 => HidCommand::MSG,
        Protocol::Ctap2 => HidCommand::CBOR,
    }
}

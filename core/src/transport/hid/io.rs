//! The drivers of [`Host`] over a pipe of reports: one blocking, one async, both around one [`Link`].

use core::time::Duration;

use super::{DeviceInfo, Failure, HidCommand, HidErrorCode, Host, HostEvent, REPORT_LEN};
use crate::Instant;
use crate::transport::{AsyncReportIo, AsyncTransport, Protocol, Received, ReportIo, Transport};

/// Why a transaction over HID failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum HidError<E> {
    /// The pipe failed.
    Io(E),
    /// The authenticator refused the request.
    Device(HidErrorCode),
    /// The transaction failed at the client's end.
    Failed(Failure),
}

impl<E> From<Failure> for HidError<E> {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// What a driver's loop waits for.
#[derive(Clone, Copy, Debug)]
enum Goal {
    /// The request is written.
    Sent,
    /// An event. Only the machine's own time limits apply.
    Answer,
    /// An event, or this time.
    Event(Instant),
}

/// How many old reports are read and dropped before a request is sent, at most: as many as Linux keeps for a reader of
/// hidraw. Packets carry no transaction number, so an old answer would be taken as the answer to this request, the
/// answer to this request as the answer to the next one, and so on.
///
/// When the time of a transaction is up, as many reports are read again, because the answer may wait behind them. Then
/// the transaction ends, so that a flood of reports cannot extend it.
pub(super) const LEFT_OVER: usize = 64;

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
    /// [`HidError`]; [`HidErrorCode::CHANNEL_BUSY`] after 30 s, [`Failure::Timeout`] after 3 s of silence.
    pub fn open(&mut self) -> Result<DeviceInfo, HidError<R::Error>> {
        self.link.open();
        self.drive(Goal::Answer, Message::Request(&[]))?;
        self.link.info.ok_or(HidError::Failed(Failure::NotOpen))
    }

    /// Sends any command, for example a vendor command, and waits for the response. The request lies in
    /// `buffer[..len]`; the response overwrites it. Returns the response's length.
    ///
    /// # Errors
    /// [`HidError`]; [`Failure::RequestTooLong`] also when `len` is more than `buffer` holds; [`Failure::Timeout`]
    /// after 10 minutes at the latest, even if keep-alives still come.
    pub fn command(&mut self, command: HidCommand, buffer: &mut [u8], len: usize) -> Result<usize, HidError<R::Error>> {
        let request = buffer.get(..len).ok_or(Failure::RequestTooLong)?;
        self.request(command, request)?;
        loop {
            match self.drive(Goal::Answer, Message::Buffer(buffer))? {
                Received::Response(len) => return Ok(len),
                Received::KeepAlive(_) => {}
                _ => return Err(Failure::NotOpen.into()),
            }
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
            if let Some(event) = self.link.heard(report, message.buffer())? {
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
    /// [`HidError`]; [`HidErrorCode::CHANNEL_BUSY`] after 30 s, [`Failure::Timeout`] after 3 s of silence.
    pub async fn open(&mut self) -> Result<DeviceInfo, HidError<R::Error>> {
        self.link.open();
        self.drive(Goal::Answer, Message::Request(&[])).await?;
        self.link.info.ok_or(HidError::Failed(Failure::NotOpen))
    }

    /// Sends any command, for example a vendor command, and waits for the response. The request lies in
    /// `buffer[..len]`; the response overwrites it. Returns the response's length.
    ///
    /// # Errors
    /// [`HidError`]; [`Failure::RequestTooLong`] also when `len` is more than `buffer` holds; [`Failure::Timeout`]
    /// after 10 minutes at the latest, even if keep-alives still come.
    pub async fn command(
        &mut self,
        command: HidCommand,
        buffer: &mut [u8],
        len: usize,
    ) -> Result<usize, HidError<R::Error>> {
        let request = buffer.get(..len).ok_or(Failure::RequestTooLong)?;
        self.request(command, request).await?;
        loop {
            match self.drive(Goal::Answer, Message::Buffer(buffer)).await? {
                Received::Response(len) => return Ok(len),
                Received::KeepAlive(_) => {}
                _ => return Err(Failure::NotOpen.into()),
            }
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
            if let Some(event) = self.link.heard(report, message.buffer())? {
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

/// The drivers' common part: everything except reading and writing.
#[derive(Debug)]
pub(super) struct Link<C> {
    clock: C,
    pub(super) host: Host,
    nonce: u64,
    info: Option<DeviceInfo>,
    /// A request that waits for the channel to open.
    queued: Option<(HidCommand, usize)>,
    /// The command of the request, as long as the authenticator cannot have started it.
    fresh: Option<HidCommand>,
    fingerprint: u32,
    len: usize,
    /// Whether the current wait has read from the pipe.
    looked: bool,
    /// How many reports without an event were taken since the time was up.
    late: usize,
}

impl<C: FnMut() -> Instant> Link<C> {
    fn new(clock: C, nonce: [u8; 8]) -> Self {
        let nonce = u64::from_be_bytes(nonce);
        Self {
            clock,
            host: Host::new(),
            nonce,
            info: None,
            queued: None,
            fresh: None,
            fingerprint: 0,
            len: 0,
            looked: false,
            late: 0,
        }
    }

    pub(super) fn open(&mut self) {
        self.nonce = self.nonce.wrapping_add(1);
        self.host.open((self.clock)(), self.nonce.to_be_bytes());
        self.queued = None;
    }

    /// Starts a request, after INIT unless the channel is open and quiet.
    fn begin(&mut self, command: HidCommand, request: &[u8]) -> Result<(), Failure> {
        self.len = request.len();
        self.fingerprint = fingerprint(request);
        self.fresh = Some(command);
        if self.host.is_ready() {
            return self.host.send((self.clock)(), command, request.len());
        }
        self.open();
        self.queued = Some((command, request.len()));
        Ok(())
    }

    fn transmit(&mut self, goal: Goal, message: &[u8]) -> Option<[u8; REPORT_LEN]> {
        // The authenticator was busy and the request is sent again, if it still is in the buffer.
        if !matches!(goal, Goal::Sent) && self.host.needs_request() && !self.is_request(message) {
            self.host.give_up();
        }
        self.host.transmit((self.clock)(), message)
    }

    /// Whether the buffer still holds the request.
    fn is_request(&self, message: &[u8]) -> bool {
        message.get(..self.len).map(fingerprint) == Some(self.fingerprint)
    }

    /// The CANCEL packet, if it can be sent now. Otherwise it is sent after the request, or the request ends without
    /// it.
    fn cancel(&mut self) -> Option<[u8; REPORT_LEN]> {
        self.host.cancel();
        self.fresh = None;
        if self.host.needs_request() { None } else { self.host.transmit((self.clock)(), &[]) }
    }

    /// How long to read. `None` when the goal is reached.
    fn wait(&mut self, goal: Goal) -> Option<Duration> {
        let now = (self.clock)();
        let deadline = self.host.deadline();
        let until = match goal {
            Goal::Sent if self.queued.is_none() && !self.host.needs_request() => return None,
            Goal::Sent | Goal::Answer => deadline?,
            Goal::Event(until) if self.looked && until <= now => return None,
            Goal::Event(until) => deadline.map_or(until, |deadline| deadline.min(until)),
        };
        self.looked = true;
        Some(until.since(now))
    }

    /// Takes the report that was read, if any, and checks the time.
    fn heard(&mut self, report: Option<[u8; REPORT_LEN]>, buffer: &mut [u8]) -> Result<Option<HostEvent>, Failure> {
        let now = (self.clock)();
        let event = match report {
            Some(report) => self.host.receive(now, &report, buffer).or_else(|| self.look_at_clock(now)),
            None => self.host.expire(now),
        };
        match event {
            Some(HostEvent::Opened(info)) => {
                self.info = Some(info);
                if let Some((command, len)) = self.queued.take() {
                    self.host.send(now, command, len)?;
                    return Ok(None);
                }
            }
            Some(HostEvent::KeepAlive(_)) => self.fresh = None,
            // The authenticator was restarted, or has closed this channel in favour of others.
            Some(HostEvent::Error(HidErrorCode::INVALID_CHANNEL)) => {
                if let Some(command) = self.fresh.take()
                    && self.is_request(buffer)
                {
                    self.open();
                    self.queued = Some((command, self.len));
                    return Ok(None);
                }
            }
            _ => {}
        }
        Ok(event)
    }

    /// After a report without an event: ends the transaction if its time is up and [`LEFT_OVER`] more reports were
    /// read.
    fn look_at_clock(&mut self, now: Instant) -> Option<HostEvent> {
        self.late = if self.host.is_overdue(now) { self.late.saturating_add(1) } else { 0 };
        if self.late < LEFT_OVER {
            return None;
        }
        self.late = 0;
        self.host.expire(now)
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
        (Err(HidError::Failed(Failure::BufferTooSmall { needed })), _) => Ok(Received::TooLong(needed)),
        (received, _) => received,
    }
}

/// FNV-1a, enough to notice that a buffer no longer holds the request.
fn fingerprint(message: &[u8]) -> u32 {
    message.iter().fold(0x811C_9DC5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

fn command_of(protocol: Protocol) -> HidCommand {
    match protocol {
        Protocol::Ctap1 => HidCommand::MSG,
        Protocol::Ctap2 => HidCommand::CBOR,
    }
}

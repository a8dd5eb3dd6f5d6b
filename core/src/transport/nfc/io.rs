//! The drivers of [`Host`] over a reader: one blocking, one async, both around one [`Link`].

use core::time::Duration;

use super::{Host, HostEvent, Lengths, NfcFailure, POLL_PAUSE, SHORT_FRAME, Version};
use crate::ctap1::StatusWord;
use crate::transport::{AsyncTransport, Protocol, Received, Transport};

/// A reader with an authenticator in its field: PC/SC, or the driver of a chip. Blocking. An example is at
/// [`NfcTransport`].
pub trait ApduIo {
    /// What can go wrong below.
    type Error;
    /// Sends one command APDU, waits for its response, writes it to the front of `response`, and returns its length.
    /// An authenticator that waits for its user may take 30 s and more, and asks the reader for that time.
    ///
    /// # Errors
    /// The reader or the authenticator failed, or the response is longer than `response`.
    fn transceive(&mut self, command: &[u8], response: &mut [u8]) -> Result<usize, Self::Error>;
    /// Switches the field off and on, so that the authenticator loses its power.
    ///
    /// # Errors
    /// The reader failed, or the authenticator is gone.
    fn reconnect(&mut self) -> Result<(), Self::Error>;
}

/// [`ApduIo`] for async executors.
#[allow(async_fn_in_trait)] // executors on microcontrollers are single-threaded, so the trait does not require Send
pub trait AsyncApduIo {
    /// What can go wrong below.
    type Error;
    /// See [`ApduIo::transceive`]. If the future is dropped, the next command must not get the response of this one.
    async fn transceive(&mut self, command: &[u8], response: &mut [u8]) -> Result<usize, Self::Error>;
    /// See [`ApduIo::reconnect`].
    async fn reconnect(&mut self) -> Result<(), Self::Error>;
}

impl<T: ApduIo + ?Sized> ApduIo for &mut T {
    type Error = T::Error;

    fn transceive(&mut self, command: &[u8], response: &mut [u8]) -> Result<usize, T::Error> {
        (**self).transceive(command, response)
    }
    fn reconnect(&mut self) -> Result<(), T::Error> {
        (**self).reconnect()
    }
}

impl<T: AsyncApduIo + ?Sized> AsyncApduIo for &mut T {
    type Error = T::Error;

    async fn transceive(&mut self, command: &[u8], response: &mut [u8]) -> Result<usize, T::Error> {
        (**self).transceive(command, response).await
    }
    async fn reconnect(&mut self) -> Result<(), T::Error> {
        (**self).reconnect().await
    }
}

/// Why a transaction over NFC failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum NfcError<E> {
    /// The reader failed.
    Io(E),
    /// The transaction failed.
    Failed(NfcFailure),
}

impl<E> From<NfcFailure> for NfcError<E> {
    fn from(failure: NfcFailure) -> Self {
        Self::Failed(failure)
    }
}

/// What both drivers have in common.
#[derive(Debug)]
struct Link<const FRAME: usize> {
    host: Host,
    command: [u8; FRAME],
    response: [u8; FRAME],
    /// The length of the last piece of a request, which is sent once its response is awaited: an authenticator that
    /// waits for its user keeps the reader waiting.
    ready: Option<usize>,
    /// The refusal of a piece of a request that was not the last, which is told once the response is awaited.
    refused: Option<NfcFailure>,
    /// How much of [`POLL_PAUSE`] is left.
    pause: Duration,
}

impl<const FRAME: usize> Link<FRAME> {
    const fn new(lengths: Lengths) -> Self {
        const { assert!(FRAME >= SHORT_FRAME, "a command in short length encoding takes 261 bytes") };
        let (host, command, response) = (Host::new(lengths), [0; FRAME], [0; FRAME]);
        Self { host, command, response, ready: None, refused: None, pause: Duration::ZERO }
    }

    /// Whether SELECT must come before the next request: at first, and after a transaction that did not end with its
    /// response.
    fn begin(&mut self) -> bool {
        if !self.host.is_ready() {
            self.select();
            return true;
        }
        (self.ready, self.refused) = (None, None);
        false
    }

    fn select(&mut self) {
        (self.ready, self.refused) = (None, None);
        self.host.select();
    }

    fn close(&mut self) {
        (self.ready, self.refused) = (None, None);
        self.host.close();
    }

    /// Takes the result of sending a request. A refusal is the same for the layer above, whichever piece is refused.
    fn sent<E>(&mut self, result: Result<(), NfcError<E>>) -> Result<(), NfcError<E>> {
        match result {
            Err(NfcError::Failed(failure @ NfcFailure::Refused(_))) => {
                self.refused = Some(failure);
                Ok(())
            }
            result => result,
        }
    }

    /// The next command of SELECT or of a request. `None` when the response is to be awaited.
    fn next(&mut self, request: &[u8]) -> Option<usize> {
        let len = self.host.transmit(request, &mut self.command)?;
        if self.host.is_sent() {
            self.ready = Some(len);
            return None;
        }
        Some(len)
    }

    /// The command that fetches the response.
    fn fetch(&mut self) -> Option<usize> {
        self.ready.take().or_else(|| self.host.transmit(&[], &mut self.command))
    }

    /// How long to wait before the next command, at most `wait`. `None` when it is due. Who does not wait asks at once:
    /// there is no clock to tell how much of the pause is over.
    fn pause(&mut self, wait: Duration) -> Option<Duration> {
        let pause = self.pause.min(wait);
        if !self.host.pauses() || pause.is_zero() {
            return None;
        }
        self.pause = self.pause.saturating_sub(pause);
        Some(pause)
    }

    /// Takes the result of [`ApduIo::transceive`].
    fn answered<E>(&mut self, result: Result<usize, E>, buffer: &mut [u8]) -> Result<Option<HostEvent>, NfcError<E>> {
        let len = result.map_err(|error| {
            self.host.close();
            NfcError::Io(error)
        })?;
        let event = self.host.receive(self.response.get(..len).unwrap_or(&self.response), buffer);
        if let Some(HostEvent::KeepAlive(_)) = event {
            self.pause = POLL_PAUSE;
        }
        Ok(event)
    }
}

/// Translates an event into a result of the message layer.
fn received<E>(event: HostEvent, buffer: &mut [u8]) -> Result<Received, NfcError<E>> {
    Ok(match event {
        HostEvent::Selected(_) => Received::Nothing,
        HostEvent::KeepAlive(status) => Received::KeepAlive(status),
        HostEvent::Response { len } => Received::Response(len),
        HostEvent::Failed(NfcFailure::BufferTooSmall { needed }) => Received::TooLong(needed),
        // An authenticator that knows only U2F. For the layer above that is the status CTAP1_ERR_INVALID_COMMAND.
        HostEvent::Failed(NfcFailure::Refused(StatusWord::INS_NOT_SUPPORTED | StatusWord::CLA_NOT_SUPPORTED))
            if !buffer.is_empty() =>
        {
            buffer.iter_mut().take(1).for_each(|status| *status = 0x01);
            Received::Response(1)
        }
        HostEvent::Failed(NfcFailure::Refused(StatusWord::WRONG_LENGTH)) => Received::Unreadable,
        HostEvent::Failed(failure) => return Err(failure.into()),
    })
}

/// A [`Transport`] over NFC, blocking.
///
/// The authenticator is selected by the first request, and again whenever the last transaction did not end with its
/// response. `delay` waits for the given time. `FRAME` is the longest command and response, in bytes: the transport
/// has room for one of each.
///
/// ```
/// use core::{convert::Infallible, time::Duration};
/// use keyfob_core::{Instant, ctap1::VERSION, transport::{Protocol, Received, Transport}};
/// use keyfob_core::transport::nfc::{ApduIo, Device, DeviceConfig, DeviceEvent, NfcTransport};
///
/// /// A program for PC/SC passes commands to a reader here. This is the other end of NFC, in the same process: every
/// /// request is its own answer.
/// struct Loopback(Device, [u8; 1024]);
///
/// impl ApduIo for Loopback {
///     type Error = Infallible;
///
///     fn transceive(&mut self, command: &[u8], response: &mut [u8]) -> Result<usize, Infallible> {
///         let Self(device, buffer) = self;
///         if let Some(DeviceEvent::Request { len, .. }) = device.receive(Instant::default(), command, buffer) {
///             device.respond(len);
///         }
///         let answer = device.transmit(Instant::default(), buffer);
///         Ok(answer.and_then(|answer| answer.encode(response)).unwrap())
///     }
///
///     fn reconnect(&mut self) -> Result<(), Infallible> {
///         self.0.reset();
///         Ok(())
///     }
/// }
///
/// let mut transport = NfcTransport::new(Loopback(Device::new(DeviceConfig::default()), [0; 1024]), |_| ());
/// let mut buffer = [7; 1000]; // five commands, and four responses
/// transport.send(Protocol::Ctap2, &buffer)?;
/// assert_eq!(transport.receive(&mut buffer, Duration::ZERO), Ok(Received::Response(1000)));
/// # Ok::<(), keyfob_core::transport::nfc::NfcError<Infallible>>(())
/// ```
#[derive(Debug)]
pub struct NfcTransport<I, D, const FRAME: usize = SHORT_FRAME> {
    io: I,
    delay: D,
    link: Link<FRAME>,
}

impl<I: ApduIo, D: FnMut(Duration)> NfcTransport<I, D> {
    /// A transport in short length encoding, as every reader and every authenticator can do.
    pub const fn new(io: I, delay: D) -> Self {
        Self { io, delay, link: Link::new(Lengths::Short) }
    }
}

impl<I: ApduIo, D: FnMut(Duration), const FRAME: usize> NfcTransport<I, D, FRAME> {
    /// A transport in extended length encoding, with frames of up to `FRAME` bytes. A message of maxMsgSize bytes in
    /// one frame takes nine bytes more.
    pub const fn extended(io: I, delay: D) -> Self {
        Self { io, delay, link: Link::new(Lengths::Extended) }
    }

    /// The reader.
    pub const fn io_mut(&mut self) -> &mut I {
        &mut self.io
    }

    /// The reader, for example to close it.
    pub fn into_io(self) -> I {
        self.io
    }

    /// The authenticator's answer when it was last selected.
    pub const fn version(&self) -> Option<Version> {
        self.link.host.version()
    }

    /// Selects the authenticator. What it remembers for the next command of a sequence is gone.
    ///
    /// # Errors
    /// [`NfcError`]; [`NfcFailure::Refused`] with [`StatusWord::FILE_NOT_FOUND`] by a card that is no authenticator.
    pub fn select(&mut self) -> Result<Version, NfcError<I::Error>> {
        self.link.select();
        self.exchange(&[])?;
        self.version().ok_or(NfcError::Failed(NfcFailure::NotSelected))
    }

    /// Sends commands until the response is to be awaited, or the authenticator is selected.
    fn exchange(&mut self, request: &[u8]) -> Result<(), NfcError<I::Error>> {
        while let Some(len) = self.link.next(request) {
            let command = self.link.command.get(..len).unwrap_or_default();
            let result = self.io.transceive(command, &mut self.link.response);
            if let Some(HostEvent::Failed(failure)) = self.link.answered(result, &mut [])? {
                return Err(failure.into());
            }
        }
        Ok(())
    }
}

impl<I: ApduIo, D: FnMut(Duration), const FRAME: usize> Transport for NfcTransport<I, D, FRAME> {
    type Error = NfcError<I::Error>;

    /// All but the last command of a chain are sent at once, the last by [`Transport::receive`].
    fn send(&mut self, protocol: Protocol, request: &[u8]) -> Result<(), Self::Error> {
        if self.link.begin() {
            self.exchange(&[])?;
        }
        self.link.host.send(protocol, request)?;
        let result = self.exchange(request);
        self.link.sent(result)
    }

    /// While it works, an authenticator that has no keep-alives makes this wait longer than `wait`, for as long as the
    /// reader does. With a `wait` of zero every call asks the authenticator, up to [`MAX_POLLS`](super::MAX_POLLS) times.
    fn receive(&mut self, buffer: &mut [u8], wait: Duration) -> Result<Received, Self::Error> {
        if let Some(failure) = self.link.refused.take() {
            return received(HostEvent::Failed(failure), buffer);
        }
        if let Some(pause) = self.link.pause(wait) {
            (self.delay)(pause);
            if !self.link.pause.is_zero() {
                return Ok(Received::Nothing);
            }
        }
        while let Some(len) = self.link.fetch() {
            let command = self.link.command.get(..len).unwrap_or_default();
            let result = self.io.transceive(command, &mut self.link.response);
            if let Some(event) = self.link.answered(result, buffer)? {
                return received(event, buffer);
            }
        }
        Err(NfcFailure::NotSelected.into())
    }

    fn cancel(&mut self) -> Result<(), Self::Error> {
        self.link.host.cancel();
        Ok(())
    }

    fn reconnect(&mut self) -> Result<(), Self::Error> {
        self.link.close();
        self.io.reconnect().map_err(NfcError::Io)
    }
}

/// [`NfcTransport`] for async executors. A future may be dropped at any await; the next request selects the
/// authenticator again, and until then there is nothing to receive.
#[derive(Debug)]
pub struct AsyncNfcTransport<I, D, const FRAME: usize = SHORT_FRAME> {
    io: I,
    delay: D,
    link: Link<FRAME>,
}

impl<I: AsyncApduIo, D: AsyncFnMut(Duration)> AsyncNfcTransport<I, D> {
    /// A transport in short length encoding, as every reader and every authenticator can do.
    pub const fn new(io: I, delay: D) -> Self {
        Self { io, delay, link: Link::new(Lengths::Short) }
    }
}

impl<I: AsyncApduIo, D: AsyncFnMut(Duration), const FRAME: usize> AsyncNfcTransport<I, D, FRAME> {
    /// A transport in extended length encoding, with frames of up to `FRAME` bytes. A message of maxMsgSize bytes in
    /// one frame takes nine bytes more.
    pub const fn extended(io: I, delay: D) -> Self {
        Self { io, delay, link: Link::new(Lengths::Extended) }
    }

    /// The reader.
    pub const fn io_mut(&mut self) -> &mut I {
        &mut self.io
    }

    /// The reader, for example to close it.
    pub fn into_io(self) -> I {
        self.io
    }

    /// The authenticator's answer when it was last selected.
    pub const fn version(&self) -> Option<Version> {
        self.link.host.version()
    }

    /// Selects the authenticator. What it remembers for the next command of a sequence is gone.
    ///
    /// # Errors
    /// [`NfcError`]; [`NfcFailure::Refused`] with [`StatusWord::FILE_NOT_FOUND`] by a card that is no authenticator.
    pub async fn select(&mut self) -> Result<Version, NfcError<I::Error>> {
        self.link.select();
        self.exchange(&[]).await?;
        self.version().ok_or(NfcError::Failed(NfcFailure::NotSelected))
    }

    /// Sends commands until the response is to be awaited, or the authenticator is selected.
    async fn exchange(&mut self, request: &[u8]) -> Result<(), NfcError<I::Error>> {
        while let Some(len) = self.link.next(request) {
            let command = self.link.command.get(..len).unwrap_or_default();
            let result = self.io.transceive(command, &mut self.link.response).await;
            if let Some(HostEvent::Failed(failure)) = self.link.answered(result, &mut [])? {
                return Err(failure.into());
            }
        }
        Ok(())
    }
}

impl<I: AsyncApduIo, D: AsyncFnMut(Duration), const FRAME: usize> AsyncTransport for AsyncNfcTransport<I, D, FRAME> {
    type Error = NfcError<I::Error>;

    /// All but the last command of a chain are sent at once, the last by [`AsyncTransport::receive`].
    async fn send(&mut self, protocol: Protocol, request: &[u8]) -> Result<(), Self::Error> {
        if self.link.begin() {
            self.exchange(&[]).await?;
        }
        self.link.host.send(protocol, request)?;
        let result = self.exchange(request).await;
        self.link.sent(result)
    }

    /// While it works, an authenticator that has no keep-alives makes this wait longer than `wait`, for as long as the
    /// reader does. With a `wait` of zero every call asks the authenticator, up to [`MAX_POLLS`](super::MAX_POLLS) times.
    async fn receive(&mut self, buffer: &mut [u8], wait: Duration) -> Result<Received, Self::Error> {
        if let Some(failure) = self.link.refused.take() {
            return received(HostEvent::Failed(failure), buffer);
        }
        if let Some(pause) = self.link.pause(wait) {
            (self.delay)(pause).await;
            if !self.link.pause.is_zero() {
                return Ok(Received::Nothing);
            }
        }
        while let Some(len) = self.link.fetch() {
            let command = self.link.command.get(..len).unwrap_or_default();
            let result = self.io.transceive(command, &mut self.link.response).await;
            if let Some(event) = self.link.answered(result, buffer)? {
                return received(event, buffer);
            }
        }
        Err(NfcFailure::NotSelected.into())
    }

    async fn cancel(&mut self) -> Result<(), Self::Error> {
        self.link.host.cancel();
        Ok(())
    }

    async fn reconnect(&mut self) -> Result<(), Self::Error> {
        self.link.close();
        self.io.reconnect().await.map_err(NfcError::Io)
    }
}

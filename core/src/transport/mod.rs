//! Carrying whole messages: framing machines below, two traits above.
//!
//! [`ReportIo`] moves 64-byte reports, [`Transport`] moves whole messages; [`hid`] turns the first into the second.
//! Nothing here knows what a message means. [`fault::FaultInjector`] wraps either and disturbs it, for tests;
//! [`crate::trace::Tracer`] wraps either and shows what goes through.

use core::time::Duration;

pub mod fault;
pub mod hid;

/// Which protocol a request speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// CTAP1/U2F: a raw APDU (CTAPHID_MSG).
    Ctap1,
    /// CTAP2: a command byte and CBOR (CTAPHID_CBOR, NFCCTAP_MSG).
    Ctap2,
}

/// What an authenticator says while it works (CTAP 2.3 §11.2.9.1.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepAlive {
    /// It is computing.
    Processing,
    /// It waits for a touch.
    UpNeeded,
    /// A value this version does not know.
    Other(u8),
}

impl From<u8> for KeepAlive {
    fn from(byte: u8) -> Self {
        match byte {
            1 => Self::Processing,
            2 => Self::UpNeeded,
            other => Self::Other(other),
        }
    }
}

impl From<KeepAlive> for u8 {
    fn from(status: KeepAlive) -> Self {
        match status {
            KeepAlive::Processing => 1,
            KeepAlive::UpNeeded => 2,
            KeepAlive::Other(other) => other,
        }
    }
}

/// What came in while a response was awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// Nothing within the time given.
    Nothing,
    /// The authenticator is alive.
    KeepAlive(KeepAlive),
    /// The response, this many bytes at the front of the buffer.
    Response(usize),
    /// The response has this many bytes, more than the buffer holds. It is lost.
    TooLong(usize),
    /// The authenticator cannot read the request: it answered with CTAPHID_ERROR and INVALID_LEN or OTHER. Some U2F
    /// authenticators answer so to a foreign key handle that is longer than their own. Any other error of the framing
    /// is [`Transport::Error`].
    Unreadable,
}

/// A channel to one authenticator that carries whole messages, blocking.
pub trait Transport {
    /// What can go wrong below.
    type Error;
    /// Sends one request. A request already under way is abandoned: the channel resynchronises first.
    fn send(&mut self, protocol: Protocol, request: &[u8]) -> Result<(), Self::Error>;
    /// Waits at most `wait` for a keep-alive or the response, which is written to `buffer`.
    fn receive(&mut self, buffer: &mut [u8], wait: Duration) -> Result<Received, Self::Error>;
    /// Asks the authenticator to give up the pending request; its response still has to be received.
    fn cancel(&mut self) -> Result<(), Self::Error>;
    /// Takes the authenticator's power away and gives it back, where the transport can (NFC).
    fn reconnect(&mut self) -> Result<(), Self::Error>;
}

/// [`Transport`] for async executors. The futures may be dropped: the next [`AsyncTransport::send`] resynchronises.
#[allow(async_fn_in_trait)] // executors on microcontrollers are single-threaded: Send is not ours to ask for
pub trait AsyncTransport {
    /// What can go wrong below.
    type Error;
    /// See [`Transport::send`].
    async fn send(&mut self, protocol: Protocol, request: &[u8]) -> Result<(), Self::Error>;
    /// See [`Transport::receive`].
    async fn receive(&mut self, buffer: &mut [u8], wait: Duration) -> Result<Received, Self::Error>;
    /// See [`Transport::cancel`].
    async fn cancel(&mut self) -> Result<(), Self::Error>;
    /// See [`Transport::reconnect`].
    async fn reconnect(&mut self) -> Result<(), Self::Error>;
}

/// A pipe of 64-byte HID reports without report ids, blocking.
pub trait ReportIo {
    /// What can go wrong below.
    type Error;
    /// Writes one report. It has to return within a bounded time, with an error if need be: the caller cannot interrupt
    /// it.
    fn write(&mut self, report: &[u8; 64]) -> Result<(), Self::Error>;
    /// Reads one report, waiting at most `wait`; `None` when none came, or not a whole one.
    fn read(&mut self, wait: Duration) -> Result<Option<[u8; 64]>, Self::Error>;
}

/// [`ReportIo`] for async executors. A dropped `read` must not lose a report.
#[allow(async_fn_in_trait)]
pub trait AsyncReportIo {
    /// What can go wrong below.
    type Error;
    /// See [`ReportIo::write`]. The caller can also drop it with the future that awaits it.
    async fn write(&mut self, report: &[u8; 64]) -> Result<(), Self::Error>;
    /// See [`ReportIo::read`].
    async fn read(&mut self, wait: Duration) -> Result<Option<[u8; 64]>, Self::Error>;
}

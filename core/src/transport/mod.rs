//! The transports: framing state machines, and the traits that carry reports and whole messages.
//!
//! [`ReportIo`] moves 64-byte reports, [`nfc::ApduIo`] commands with their responses, [`ble::BleIo`] fragments;
//! [`Transport`] moves whole messages. [`hid`], [`nfc`] and [`ble`] turn the former into the latter, at both ends.
//! Nothing here knows what a message means. [`fault::FaultInjector`] wraps either and disturbs it, for tests;
//! [`crate::trace::Tracer`] wraps either and shows what goes through.

use core::time::Duration;

pub mod ble;
pub mod fault;
pub mod hid;
pub mod nfc;
#[cfg(feature = "embedded-io-async")]
pub mod stream;

/// Which protocol a request speaks. A transport fails on one that it cannot carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Protocol {
    /// CTAP1/U2F: a raw APDU (CTAPHID_MSG).
    Ctap1,
    /// CTAP2: a command byte and CBOR (CTAPHID_CBOR, NFCCTAP_MSG).
    Ctap2,
}

/// The status in a keep-alive message (CTAP 2.3 §11.2.9.1.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum KeepAlive {
    /// The authenticator is computing.
    Processing,
    /// The authenticator waits for a touch.
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

/// The result of [`Transport::receive`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Received {
    /// Nothing came within the given time.
    Nothing,
    /// A keep-alive: the authenticator still works on the request.
    KeepAlive(KeepAlive),
    /// The response; its length in bytes. It lies at the front of the buffer.
    Response(usize),
    /// The response has this many bytes, more than the buffer holds. It is discarded.
    TooLong(usize),
    /// The authenticator cannot read the request: it answered with CTAPHID_ERROR and INVALID_LEN or OTHER. Some U2F
    /// authenticators answer so to a key handle of another authenticator that is longer than their own. Any other
    /// framing error is a [`Transport::Error`].
    Unreadable,
}

/// A channel to one authenticator that carries whole messages. Blocking.
///
/// ```
/// use core::{convert::Infallible, time::Duration};
/// use keyfob_core::transport::{Protocol, Received, Transport};
///
/// /// An authenticator that gives the same response to every request.
/// struct Recorded(Vec<u8>);
///
/// impl Transport for Recorded {
///     type Error = Infallible;
///
///     fn send(&mut self, _: Protocol, _request: &[u8]) -> Result<(), Infallible> {
///         Ok(())
///     }
///
///     fn receive(&mut self, buffer: &mut [u8], _: Duration) -> Result<Received, Infallible> {
///         let len = self.0.len();
///         Ok(match buffer.get_mut(..len) {
///             Some(front) => {
///                 front.copy_from_slice(&self.0);
///                 Received::Response(len)
///             }
///             None => Received::TooLong(len),
///         })
///     }
///
///     fn cancel(&mut self) -> Result<(), Infallible> {
///         Ok(())
///     }
///
///     fn reconnect(&mut self) -> Result<(), Infallible> {
///         Ok(())
///     }
/// }
///
/// let mut buffer = [0; 64];
/// assert_eq!(Recorded(vec![0x01]).receive(&mut buffer, Duration::ZERO), Ok(Received::Response(1)));
/// assert_eq!(Recorded(vec![0; 65]).receive(&mut buffer, Duration::ZERO), Ok(Received::TooLong(65)));
/// ```
pub trait Transport {
    /// What can go wrong below.
    type Error;
    /// Sends one request. If another request is pending, it is dropped: the channel resynchronises first.
    ///
    /// # Errors
    /// What went wrong below. The request may have gone out.
    fn send(&mut self, protocol: Protocol, request: &[u8]) -> Result<(), Self::Error>;
    /// Waits at most `wait` for a keep-alive or the response, which is written to `buffer`.
    ///
    /// # Errors
    /// What went wrong below. That nothing came within `wait` is no error but [`Received::Nothing`].
    fn receive(&mut self, buffer: &mut [u8], wait: Duration) -> Result<Received, Self::Error>;
    /// Asks the authenticator to cancel the pending request. Its response must still be received.
    ///
    /// # Errors
    /// What went wrong below.
    fn cancel(&mut self) -> Result<(), Self::Error>;
    /// Switches the authenticator's power off and on, where the transport can do that (NFC).
    ///
    /// # Errors
    /// What went wrong below, or that the transport cannot do it.
    fn reconnect(&mut self) -> Result<(), Self::Error>;
}

/// [`Transport`] for async executors. The futures may be dropped: the next [`AsyncTransport::send`] resynchronises.
///
/// ```
/// use core::time::Duration;
/// use keyfob_core::transport::{AsyncTransport, Protocol, Received, Transport};
///
/// /// A blocking transport on an executor. The executor waits as long as it does.
/// struct AtOnce<T>(T);
///
/// impl<T: Transport> AsyncTransport for AtOnce<T> {
///     type Error = T::Error;
///
///     async fn send(&mut self, protocol: Protocol, request: &[u8]) -> Result<(), T::Error> {
///         self.0.send(protocol, request)
///     }
///
///     async fn receive(&mut self, buffer: &mut [u8], wait: Duration) -> Result<Received, T::Error> {
///         self.0.receive(buffer, wait)
///     }
///
///     async fn cancel(&mut self) -> Result<(), T::Error> {
///         self.0.cancel()
///     }
///
///     async fn reconnect(&mut self) -> Result<(), T::Error> {
///         self.0.reconnect()
///     }
/// }
/// ```
#[allow(async_fn_in_trait)] // executors on microcontrollers are single-threaded, so the trait does not require Send
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

/// A pipe of 64-byte HID reports without report ids. Blocking. An example is at [`hid::HidTransport`].
pub trait ReportIo {
    /// What can go wrong below.
    type Error;
    /// Writes one report. It must return within a bounded time, if necessary with an error, because the caller cannot
    /// interrupt it.
    ///
    /// # Errors
    /// What went wrong below.
    fn write(&mut self, report: &[u8; 64]) -> Result<(), Self::Error>;
    /// Reads one report and waits for it at most `wait`. `None` when no whole report came.
    ///
    /// # Errors
    /// What went wrong below. That nothing came within `wait` is `None`, not an error.
    fn read(&mut self, wait: Duration) -> Result<Option<[u8; 64]>, Self::Error>;
}

/// [`ReportIo`] for async executors. A dropped `read` must not lose a report.
#[allow(async_fn_in_trait)]
pub trait AsyncReportIo {
    /// What can go wrong below.
    type Error;
    /// See [`ReportIo::write`]. Unlike there, the caller can stop it by dropping the future.
    async fn write(&mut self, report: &[u8; 64]) -> Result<(), Self::Error>;
    /// See [`ReportIo::read`].
    async fn read(&mut self, wait: Duration) -> Result<Option<[u8; 64]>, Self::Error>;
}

impl<T: Transport + ?Sized> Transport for &mut T {
    type Error = T::Error;

    fn send(&mut self, protocol: Protocol, request: &[u8]) -> Result<(), T::Error> {
        (**self).send(protocol, request)
    }
    fn receive(&mut self, buffer: &mut [u8], wait: Duration) -> Result<Received, T::Error> {
        (**self).receive(buffer, wait)
    }
    fn cancel(&mut self) -> Result<(), T::Error> {
        (**self).cancel()
    }
    fn reconnect(&mut self) -> Result<(), T::Error> {
        (**self).reconnect()
    }
}

impl<T: AsyncTransport + ?Sized> AsyncTransport for &mut T {
    type Error = T::Error;

    async fn send(&mut self, protocol: Protocol, request: &[u8]) -> Result<(), T::Error> {
        (**self).send(protocol, request).await
    }
    async fn receive(&mut self, buffer: &mut [u8], wait: Duration) -> Result<Received, T::Error> {
        (**self).receive(buffer, wait).await
    }
    async fn cancel(&mut self) -> Result<(), T::Error> {
        (**self).cancel().await
    }
    async fn reconnect(&mut self) -> Result<(), T::Error> {
        (**self).reconnect().await
    }
}

impl<T: ReportIo + ?Sized> ReportIo for &mut T {
    type Error = T::Error;

    fn write(&mut self, report: &[u8; 64]) -> Result<(), T::Error> {
        (**self).write(report)
    }
    fn read(&mut self, wait: Duration) -> Result<Option<[u8; 64]>, T::Error> {
        (**self).read(wait)
    }
}

impl<T: AsyncReportIo + ?Sized> AsyncReportIo for &mut T {
    type Error = T::Error;

    async fn write(&mut self, report: &[u8; 64]) -> Result<(), T::Error> {
        (**self).write(report).await
    }
    async fn read(&mut self, wait: Duration) -> Result<Option<[u8; 64]>, T::Error> {
        (**self).read(wait).await
    }
}

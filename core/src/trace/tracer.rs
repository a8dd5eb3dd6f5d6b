//! The tracer: a transport around a transport.

use core::{fmt, time::Duration};

use super::{Direction, TraceEvent};
use crate::{
    Instant,
    ctap2::Command,
    transport::{AsyncReportIo, AsyncTransport, KeepAlive, Protocol, Received, ReportIo, Transport},
};

/// Shows what goes through the transport or the pipe of reports inside, and changes nothing.
///
/// What passes is handed to `show`; [`text`] makes one that writes lines. A keep-alive that repeats the one before is
/// not shown: as reports they all are.
///
/// ```
/// use keyfob_core::{Instant, trace::{Tracer, text}, transport::{Protocol, Transport}};
/// # mod example { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest/key.rs")); }
/// # use example::*;
/// # let key = Key::default();
/// let mut shown = String::new();
/// let mut key = Tracer::new(key, text(&mut shown, Instant::default));
/// key.send(Protocol::Ctap2, &[0x04])?;
/// # drop(key);
/// assert_eq!(shown, "       0 ms -> authenticatorGetInfo, 1 byte\n");
/// # Ok::<(), core::convert::Infallible>(())
/// ```
#[derive(Clone, Debug)]
pub struct Tracer<T, S> {
    inner: T,
    show: S,
    /// What the response will be one to.
    request: (Protocol, Command),
    keep_alive: Option<KeepAlive>,
}

/// A function that writes every event to `out`, a time in milliseconds in front. Errors of `out` are dropped: a trace
/// is not worth a broken ceremony.
pub fn text(mut out: impl fmt::Write, mut clock: impl FnMut() -> Instant) -> impl FnMut(&TraceEvent<'_>) {
    move |event| {
        let _ = writeln!(out, "{:>8} ms {event}", clock().as_millis());
    }
}

impl<T, S: FnMut(&TraceEvent<'_>)> Tracer<T, S> {
    /// Shows what goes through `inner`.
    pub fn new(inner: T, show: S) -> Self {
        Self { inner, show, request: (Protocol::Ctap2, Command(0)), keep_alive: None }
    }

    /// The transport inside.
    pub fn inner(&mut self) -> &mut T {
        &mut self.inner
    }

    /// The transport inside, without the tracer.
    pub fn into_inner(self) -> T {
        self.inner
    }

    fn request(&mut self, protocol: Protocol, request: &[u8]) {
        self.request = (protocol, super::command_of(request));
        self.keep_alive = None;
        (self.show)(&TraceEvent::Request(protocol, request));
    }

    fn received(&mut self, received: Received, buffer: &[u8]) {
        match received {
            Received::Response(len) => {
                let (protocol, command) = self.request;
                (self.show)(&TraceEvent::Response(protocol, command, buffer.get(..len).unwrap_or(buffer)));
            }
            Received::KeepAlive(status) if self.keep_alive != Some(status) => {
                self.keep_alive = Some(status);
                (self.show)(&TraceEvent::KeepAlive(status));
            }
            Received::TooLong(_) | Received::Unreadable => (self.show)(&TraceEvent::Failed),
            Received::KeepAlive(_) | Received::Nothing => {}
        }
    }

    fn checked<V, E>(&mut self, result: Result<V, E>) -> Result<V, E> {
        if result.is_err() {
            (self.show)(&TraceEvent::Failed);
        }
        result
    }
}

impl<T: Transport, S: FnMut(&TraceEvent<'_>)> Transport for Tracer<T, S> {
    type Error = T::Error;

    fn send(&mut self, protocol: Protocol, request: &[u8]) -> Result<(), T::Error> {
        self.request(protocol, request);
        let sent = self.inner.send(protocol, request);
        self.checked(sent)
    }

    fn receive(&mut self, buffer: &mut [u8], wait: Duration) -> Result<Received, T::Error> {
        let received = self.inner.receive(buffer, wait);
        let received = self.checked(received)?;
        self.received(received, buffer);
        Ok(received)
    }

    fn cancel(&mut self) -> Result<(), T::Error> {
        (self.show)(&TraceEvent::Cancel);
        let cancelled = self.inner.cancel();
        self.checked(cancelled)
    }

    fn reconnect(&mut self) -> Result<(), T::Error> {
        (self.show)(&TraceEvent::Reconnect);
        let reconnected = self.inner.reconnect();
        self.checked(reconnected)
    }
}

impl<T: AsyncTransport, S: FnMut(&TraceEvent<'_>)> AsyncTransport for Tracer<T, S> {
    type Error = T::Error;

    async fn send(&mut self, protocol: Protocol, request: &[u8]) -> Result<(), T::Error> {
        self.request(protocol, request);
        let sent = self.inner.send(protocol, request).await;
        self.checked(sent)
    }

    async fn receive(&mut self, buffer: &mut [u8], wait: Duration) -> Result<Received, T::Error> {
        let received = self.inner.receive(buffer, wait).await;
        let received = self.checked(received)?;
        self.received(received, buffer);
        Ok(received)
    }

    async fn cancel(&mut self) -> Result<(), T::Error> {
        (self.show)(&TraceEvent::Cancel);
        let cancelled = self.inner.cancel().await;
        self.checked(cancelled)
    }

    async fn reconnect(&mut self) -> Result<(), T::Error> {
        (self.show)(&TraceEvent::Reconnect);
        let reconnected = self.inner.reconnect().await;
        self.checked(reconnected)
    }
}

impl<T: ReportIo, S: FnMut(&TraceEvent<'_>)> ReportIo for Tracer<T, S> {
    type Error = T::Error;

    fn write(&mut self, report: &[u8; 64]) -> Result<(), T::Error> {
        (self.show)(&TraceEvent::Report(Direction::ToAuthenticator, report));
        let written = self.inner.write(report);
        self.checked(written)
    }

    fn read(&mut self, wait: Duration) -> Result<Option<[u8; 64]>, T::Error> {
        let read = self.inner.read(wait);
        let read = self.checked(read)?;
        read.inspect(|report| (self.show)(&TraceEvent::Report(Direction::ToClient, report)));
        Ok(read)
    }
}

impl<T: AsyncReportIo, S: FnMut(&TraceEvent<'_>)> AsyncReportIo for Tracer<T, S> {
    type Error = T::Error;

    async fn write(&mut self, report: &[u8; 64]) -> Result<(), T::Error> {
        (self.show)(&TraceEvent::Report(Direction::ToAuthenticator, report));
        let written = self.inner.write(report).await;
        self.checked(written)
    }

    async fn read(&mut self, wait: Duration) -> Result<Option<[u8; 64]>, T::Error> {
        let read = self.inner.read(wait).await;
        let read = self.checked(read)?;
        read.inspect(|report| (self.show)(&TraceEvent::Report(Direction::ToClient, report)));
        Ok(read)
    }
}

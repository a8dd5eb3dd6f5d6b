//! Reports over a byte stream of `embedded-io-async`: a socket, a serial port, a pipe. The stream carries reports of 64
//! bytes without separators, as a virtual key on a TCP socket does.
//!
//! ```
//! use core::time::Duration;
//! use keyfob_core::{Instant, transport::{hid::AsyncHidTransport, stream::StreamIo}};
//!
//! # fn open<S: embedded_io_async::Read + embedded_io_async::Write>(socket: S, delay: impl AsyncFnMut(Duration), clock: fn() -> Instant) {
//! // With embassy: delay is `async |wait| Timer::after_millis(wait.as_millis() as u64).await`, clock is `Instant::now`.
//! let transport = AsyncHidTransport::new(StreamIo::new(socket, delay), clock, [0; 8]);
//! # }
//! ```

use core::{future::poll_fn, pin::pin, task::Poll, time::Duration};

use embedded_io_async::{Read, Write};

use super::{AsyncReportIo, hid::REPORT_LEN};
use crate::bytes;

/// Why a report could not be read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum StreamError<E> {
    /// The stream failed.
    Stream(E),
    /// The stream has ended.
    Ended,
}

/// A pipe of reports over the stream `S`, with the delay `D`.
///
/// A dropped read or write loses no bytes and leaves no incomplete report, if dropping the stream's own `read` and
/// `write` has no effect.
#[derive(Debug)]
pub struct StreamIo<S, D> {
    stream: S,
    delay: D,
    incoming: Partial,
    outgoing: Partial,
}

/// A report with `len` bytes already received or sent.
#[derive(Debug)]
struct Partial {
    bytes: [u8; REPORT_LEN],
    len: usize,
}

impl Partial {
    /// The bytes after the first `len`.
    fn rest(&mut self) -> &mut [u8] {
        bytes::rest_mut(&mut self.bytes, self.len)
    }
}

impl<S, D> StreamIo<S, D> {
    /// Reports over `stream`. `delay` waits for the given time.
    pub fn new(stream: S, delay: D) -> Self {
        let report = |len| Partial { bytes: [0; REPORT_LEN], len };
        Self { stream, delay, incoming: report(0), outgoing: report(REPORT_LEN) }
    }

    /// The stream, for example to close it.
    pub fn into_inner(self) -> S {
        self.stream
    }
}

impl<S: Read + Write, D: AsyncFnMut(Duration)> StreamIo<S, D> {
    /// Writes the rest of the outgoing report.
    async fn flush(&mut self) -> Result<(), StreamError<S::Error>> {
        while self.outgoing.len < REPORT_LEN {
            match self.stream.write(self.outgoing.rest()).await.map_err(StreamError::Stream)? {
                0 => return Err(StreamError::Ended),
                written => self.outgoing.len = self.outgoing.len.saturating_add(written),
            }
        }
        self.stream.flush().await.map_err(StreamError::Stream)
    }
}

impl<S: Read + Write, D: AsyncFnMut(Duration)> AsyncReportIo for StreamIo<S, D> {
    type Error = StreamError<S::Error>;

    async fn write(&mut self, report: &[u8; REPORT_LEN]) -> Result<(), Self::Error> {
        self.flush().await?; // the rest of a report whose write was dropped
        self.outgoing = Partial { bytes: *report, len: 0 };
        self.flush().await
    }

    async fn read(&mut self, wait: Duration) -> Result<Option<[u8; REPORT_LEN]>, Self::Error> {
        let mut delay = pin!((self.delay)(wait));
        while self.incoming.len < REPORT_LEN {
            let came = {
                let mut read = pin!(self.stream.read(self.incoming.rest()));
                poll_fn(|cx| match read.as_mut().poll(cx) {
                    Poll::Ready(came) => Poll::Ready(Some(came)),
                    Poll::Pending => delay.as_mut().poll(cx).map(|()| None),
                })
                .await
            };
            match came {
                None => return Ok(None),
                Some(Ok(0)) => return Err(StreamError::Ended),
                Some(Ok(came)) => self.incoming.len = self.incoming.len.saturating_add(came),
                Some(Err(error)) => return Err(StreamError::Stream(error)),
            }
        }
        self.incoming.len = 0;
        Ok(Some(self.incoming.bytes))
    }
}

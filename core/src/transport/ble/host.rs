//! The client's end of Bluetooth.

use core::time::Duration;

use super::message::{Incoming, Outgoing};
use super::{BleCommand, BleErrorCode, FRAGMENT_TIMEOUT, Fragment};
use crate::{Instant, bytes, transport::KeepAlive};

/// How long a request may take to go out, from its first fragment to its last.
const SEND_LIMIT: Duration = Duration::from_secs(10);
/// How long a transaction may take, even with keep-alives: the longest timeout that WebAuthn recommends (L3 §15.1). The
/// layers above the transport give up earlier and send CANCEL.
const TRANSACTION_LIMIT: Duration = Duration::from_secs(600);
/// How long an authenticator may be silent before its response begins. Keep-alives come every 500 ms, but some
/// authenticators compute for seconds without one.
const SILENCE: Duration = Duration::from_secs(10);

/// Why a transaction failed at the client's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum BleFailure {
    /// Another transaction is pending.
    Pending,
    /// The request is longer than [`super::MAX_MESSAGE`].
    RequestTooLong,
    /// The response is longer than the buffer.
    BufferTooSmall {
        /// The response's length, in bytes.
        needed: usize,
    },
    /// The authenticator was silent for too long, stopped in the middle of its response, or sent keep-alives for too
    /// long.
    Timeout,
    /// A fragment of the response is missing, repeated, out of order, or of a wrong length.
    Sequence,
    /// The response answers another command.
    UnexpectedCommand(BleCommand),
}

/// An event of a transaction. Every event but the keep-alive ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HostEvent {
    /// The authenticator works on the request.
    KeepAlive(KeepAlive),
    /// The response is complete.
    Response {
        /// Its length in bytes. It lies at the front of the buffer.
        len: usize,
    },
    /// The authenticator refused the request.
    Error(BleErrorCode),
    /// The transaction failed.
    Failed(BleFailure),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cancel {
    No,
    Wanted,
    Sent,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Idle,
    /// The request is being sent or was sent, and no response has begun.
    Requesting {
        request: Outgoing,
        cancel: Cancel,
    },
    Responding(Incoming),
}

/// The client's end: one transaction. Takes requests and returns responses.
///
/// The request lies in the buffer given to [`Host::transmit`]; the response overwrites it in the buffer given to
/// [`Host::receive`].
///
/// Every transaction ends: a request must be sent within 10 s, an authenticator may be silent for 10 s, a response may
/// pause for [`FRAGMENT_TIMEOUT`], and neither keep-alives nor a response extend a transaction beyond 10 minutes.
#[derive(Clone, Copy, Debug)]
pub struct Host {
    phase: Phase,
    /// When the authenticator's silence counts as too long.
    due: Instant,
    /// When the transaction ends at the latest.
    end: Instant,
}

impl Default for Host {
    fn default() -> Self {
        Self::new()
    }
}

impl Host {
    /// A client that has just connected.
    pub const fn new() -> Self {
        let never = Instant::from_millis(0);
        Self { phase: Phase::Idle, due: never, end: never }
    }

    /// Starts a transaction; the request lies in the buffer's first `len` bytes.
    ///
    /// # Errors
    /// [`BleFailure::Pending`] and [`BleFailure::RequestTooLong`]. In these cases nothing has changed.
    pub fn send(&mut self, now: Instant, command: BleCommand, len: usize) -> Result<(), BleFailure> {
        if !self.is_ready() {
            return Err(BleFailure::Pending);
        }
        let len = u16::try_from(len).map_err(|_| BleFailure::RequestTooLong)?;
        self.phase = Phase::Requesting { request: Outgoing::new(command, len), cancel: Cancel::No };
        (self.due, self.end) = (now.plus(SEND_LIMIT), now.plus(TRANSACTION_LIMIT));
        Ok(())
    }

    /// Asks the authenticator to give up the pending request: one CANCEL, at most once per transaction. The response
    /// must still be awaited.
    pub fn cancel(&mut self) {
        if let Phase::Requesting { cancel: cancel @ Cancel::No, .. } = &mut self.phase {
            *cancel = Cancel::Wanted;
        }
    }

    /// Whether a request can be sent.
    pub const fn is_ready(&self) -> bool {
        matches!(self.phase, Phase::Idle)
    }

    /// Whether fragments of the request must still be sent.
    pub fn needs_request(&self) -> bool {
        matches!(self.phase, Phase::Requesting { request, .. } if !request.is_done())
    }

    /// Writes the next fragment to the front of `out`, whose length is the fragment length, and returns its length.
    /// `None` when there is nothing to send now. The buffer holds the request.
    pub fn transmit(&mut self, now: Instant, buffer: &[u8], out: &mut [u8]) -> Option<usize> {
        let Phase::Requesting { request, cancel } = &mut self.phase else { return None };
        if let Some(len) = request.next(buffer, out) {
            if request.is_done() {
                self.due = now.plus(SILENCE).min(self.end);
            }
            return Some(len);
        }
        if *cancel != Cancel::Wanted {
            return None;
        }
        *cancel = Cancel::Sent;
        Outgoing::new(BleCommand::CANCEL, 0).next(&[], out)
    }

    /// Takes one fragment.
    pub fn receive(&mut self, now: Instant, fragment: &[u8], buffer: &mut [u8]) -> Option<HostEvent> {
        match (self.phase, Fragment::parse(fragment)) {
            (Phase::Idle, _) => None,
            // A fragment that is not the first is left over from an earlier transaction.
            (Phase::Requesting { .. }, None | Some(Fragment::Continuation { .. })) => None,
            (Phase::Requesting { request, .. }, Some(Fragment::Initialization { command, len, data })) => {
                self.answered(now, request, command, len, data, buffer)
            }
            (Phase::Responding(_), Some(Fragment::Initialization { command: BleCommand::ERROR, data, .. })) => {
                Some(self.refused(data))
            }
            (Phase::Responding(mut response), Some(Fragment::Continuation { sequence, data })) => {
                match response.resume(sequence, data, buffer) {
                    Ok(()) => self.progress(now, response),
                    Err(_) => Some(self.fail(BleFailure::Sequence)),
                }
            }
            (Phase::Responding(_), _) => Some(self.fail(BleFailure::Sequence)),
        }
    }

    /// Ends the transaction if its time is up. Call it at [`Host::deadline`], after the fragments that wait at that
    /// time were taken.
    pub fn expire(&mut self, now: Instant) -> Option<HostEvent> {
        let overdue = !self.is_ready() && self.due <= now;
        overdue.then(|| self.fail(BleFailure::Timeout))
    }

    /// When to call [`Host::transmit`] and [`Host::expire`] if no fragment comes in. A time in the past when there is
    /// something to send now.
    pub fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Idle => None,
            Phase::Requesting { cancel: Cancel::Wanted, .. } => Some(Instant::default()),
            _ if self.needs_request() => Some(Instant::default()),
            _ => Some(self.due),
        }
    }

    /// Takes the first fragment of a response.
    fn answered(
        &mut self,
        now: Instant,
        request: Outgoing,
        command: BleCommand,
        len: u16,
        data: &[u8],
        buffer: &mut [u8],
    ) -> Option<HostEvent> {
        match command {
            BleCommand::ERROR => Some(self.refused(data)),
            // A request that is not sent completely has no answer yet.
            _ if !request.is_done() => None,
            BleCommand::KEEPALIVE if self.end <= now => Some(self.fail(BleFailure::Timeout)),
            BleCommand::KEEPALIVE => {
                let [status] = bytes::padded(data);
                self.due = now.plus(SILENCE).min(self.end);
                Some(HostEvent::KeepAlive(status.into()))
            }
            _ if command != request.command => Some(self.fail(BleFailure::UnexpectedCommand(command))),
            _ if usize::from(len) > buffer.len() => Some(self.fail(BleFailure::BufferTooSmall { needed: len.into() })),
            _ => match Incoming::start(command, len, data, buffer) {
                Ok(response) => self.progress(now, response),
                Err(_) => Some(self.fail(BleFailure::Sequence)),
            },
        }
    }

    fn progress(&mut self, now: Instant, response: Incoming) -> Option<HostEvent> {
        if response.is_complete() {
            self.phase = Phase::Idle;
            return Some(HostEvent::Response { len: response.len.into() });
        }
        self.phase = Phase::Responding(response);
        self.due = now.plus(FRAGMENT_TIMEOUT).min(self.end);
        None
    }

    fn refused(&mut self, data: &[u8]) -> HostEvent {
        self.phase = Phase::Idle;
        let [code] = bytes::padded(data);
        HostEvent::Error(BleErrorCode(code))
    }

    fn fail(&mut self, failure: BleFailure) -> HostEvent {
        self.phase = Phase::Idle;
        HostEvent::Failed(failure)
    }
}

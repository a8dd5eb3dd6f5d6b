//! The client's end of CTAPHID.

use core::time::Duration;

use super::message::{Incoming, Outgoing};
use super::{
    BROADCAST, Capabilities, HidCommand, HidErrorCode, INIT_RESPONSE_LEN, MAX_MESSAGE, NONCE_LEN, PACKET_TIMEOUT,
    Packet, REPORT_LEN, single,
};
use crate::{Instant, bytes, transport::KeepAlive};

/// How long to wait before asking a busy authenticator again.
const BUSY_PAUSE: Duration = Duration::from_millis(100);
/// For how long to ask a busy authenticator again. 30 s is the usual user-action timeout, and so the time that another
/// client's request may take.
const BUSY_LIMIT: Duration = Duration::from_secs(30);

/// How long a request may take to go out, from its first packet to its last. An authenticator may stop waiting earlier:
/// ours does after 3 s.
const SEND_LIMIT: Duration = Duration::from_secs(10);
/// How long a transaction may take, even with keep-alives: the longest timeout that WebAuthn recommends (L3 §15.1). The
/// layers above the transport give up earlier and send CANCEL.
const TRANSACTION_LIMIT: Duration = Duration::from_secs(600);

/// How long an authenticator may be silent before its response begins. A keep-alive restarts this time.
///
/// The standard gives no number. INIT, PING, WINK and LOCK are answered by the transport. With CTAP2, keep-alives come
/// every 100 ms, but some authenticators compute for seconds without one. CTAP1 has no keep-alives, and some
/// authenticators do not answer until they are touched. Vendor commands may be of either kind.
fn patience(command: HidCommand) -> Duration {
    Duration::from_secs(match command {
        HidCommand::INIT | HidCommand::PING | HidCommand::WINK | HidCommand::LOCK => 3,
        HidCommand::CBOR => 10,
        _ => 30,
    })
}

/// The facts about an authenticator in its INIT response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct DeviceInfo {
    /// The CTAPHID protocol version, 2.
    pub protocol_version: u8,
    /// Major, minor and build version of the authenticator.
    pub version: [u8; 3],
    /// Its capabilities.
    pub capabilities: Capabilities,
}

/// Why a transaction failed at the client's end. The channel must be opened again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum HidFailure {
    /// The channel is not open.
    NotOpen,
    /// Another transaction is pending; [`Host::open`] ends it.
    Pending,
    /// The request is longer than [`MAX_MESSAGE`].
    RequestTooLong,
    /// The response is longer than [`MAX_MESSAGE`].
    ResponseTooLong,
    /// The response is longer than the buffer.
    BufferTooSmall {
        /// The response's length, in bytes.
        needed: usize,
    },
    /// The authenticator was silent for too long, stopped in the middle of its response, or sent keep-alives for too
    /// long; or the pipe took the request too slowly.
    Timeout,
    /// A packet of the response is missing, repeated or out of order.
    Sequence,
    /// The response answers another command.
    UnexpectedCommand(HidCommand),
}

/// An event of a transaction. Every event but the keep-alive ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum HostEvent {
    /// The channel is open.
    Opened(DeviceInfo),
    /// The authenticator works on the request.
    KeepAlive(KeepAlive),
    /// The response is complete.
    Response {
        /// The command of the request.
        command: HidCommand,
        /// Its length in bytes. It lies at the front of the buffer.
        len: usize,
    },
    /// The authenticator refused the request.
    Error(HidErrorCode),
    /// The transaction failed.
    Failed(HidFailure),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cancel {
    No,
    Wanted,
    Sent,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Not synchronised with the authenticator.
    Closed,
    Opening {
        nonce: [u8; NONCE_LEN],
        sent: bool,
    },
    Idle,
    /// The request is being sent or was sent, and no response has begun.
    Requesting {
        request: Outgoing,
        cancel: Cancel,
    },
    Responding(Incoming),
    /// Another client keeps the authenticator busy, and this client has stopped asking.
    Refused,
}

/// The client's end: one channel and one transaction. Takes requests and returns responses.
///
/// The request lies in the buffer given to [`Host::transmit`]; the response overwrites it in the buffer given to
/// [`Host::receive`]. A busy authenticator is asked again every 100 ms for 30 s, so the request must stay in the buffer
/// until the response begins.
///
/// Every transaction ends: a request must be sent within 10 s, an authenticator may be silent for 3 s to 30 s,
/// depending on the command, a response may pause for 500 ms, and keep-alives extend a transaction to 10 minutes at
/// most.
#[derive(Clone, Copy, Debug)]
pub struct Host {
    channel: Option<u32>,
    phase: Phase,
    /// When the authenticator's silence counts as too long.
    due: Instant,
    /// When the transaction ends at the latest.
    end: Instant,
    /// The end of a pause after CHANNEL_BUSY: nothing is sent before it.
    pause: Option<Instant>,
    /// When the transaction was first refused as busy.
    busy_since: Option<Instant>,
}

impl Default for Host {
    fn default() -> Self {
        Self::new()
    }
}

impl Host {
    /// A client without a channel.
    pub const fn new() -> Self {
        let never = Instant::from_millis(0);
        Self { channel: None, phase: Phase::Closed, due: never, end: never, pause: None, busy_since: None }
    }

    /// Allocates a channel, or resynchronises the open one. A pending transaction is dropped at both ends.
    ///
    /// The nonce identifies this INIT: it must differ from the nonces of earlier INITs and of other clients.
    pub fn open(&mut self, now: Instant, nonce: [u8; NONCE_LEN]) {
        self.start(now, HidCommand::INIT, Phase::Opening { nonce, sent: false });
    }

    /// Starts a transaction; the request lies in the buffer's first `len` bytes.
    ///
    /// # Errors
    /// [`HidFailure::NotOpen`], [`HidFailure::Pending`] and [`HidFailure::RequestTooLong`]. In these cases nothing has changed.
    pub fn send(&mut self, now: Instant, command: HidCommand, len: usize) -> Result<(), HidFailure> {
        let channel = match (self.phase, self.channel) {
            (Phase::Idle, Some(channel)) => channel,
            (Phase::Idle | Phase::Closed, _) => return Err(HidFailure::NotOpen),
            _ => return Err(HidFailure::Pending),
        };
        let short = u16::try_from(len).ok().filter(|_| len <= MAX_MESSAGE).ok_or(HidFailure::RequestTooLong)?;
        let request = Outgoing::new(channel, command, short);
        self.start(now, command, Phase::Requesting { request, cancel: Cancel::No });
        Ok(())
    }

    /// Asks the authenticator to give up the pending CBOR request: one CANCEL packet, at most once per transaction. The
    /// response must still be awaited. CTAP1 has no CANCEL, so for a CTAP1 request nothing happens. A request that
    /// waits for a busy authenticator has not begun, so it ends with [`HidErrorCode::CHANNEL_BUSY`].
    pub fn cancel(&mut self) {
        if self.pause.is_some() {
            return self.give_up();
        }
        if let Phase::Requesting { request: Outgoing { command: HidCommand::CBOR, .. }, cancel: cancel @ Cancel::No } =
            &mut self.phase
        {
            *cancel = Cancel::Wanted;
        }
    }

    /// Stops asking a busy authenticator: the transaction ends with [`HidErrorCode::CHANNEL_BUSY`].
    pub(super) fn give_up(&mut self) {
        self.end(Phase::Refused);
    }

    /// Whether a request can be sent.
    pub fn is_ready(&self) -> bool {
        matches!(self.phase, Phase::Idle)
    }

    /// Whether packets of the request must still be sent, for the first time or again.
    pub fn needs_request(&self) -> bool {
        matches!(self.phase, Phase::Requesting { request, .. } if !request.is_done())
    }

    /// The next report to send. `None` when there is nothing to send now. The buffer holds the request.
    pub fn transmit(&mut self, now: Instant, buffer: &[u8]) -> Option<[u8; REPORT_LEN]> {
        if self.pause.is_some_and(|until| now < until) {
            return None;
        }
        let channel = self.init_channel();
        let (report, wait) = match &mut self.phase {
            Phase::Opening { nonce, sent: sent @ false } => {
                *sent = true;
                (single(channel, HidCommand::INIT, nonce), Some(patience(HidCommand::INIT)))
            }
            Phase::Requesting { request, cancel } => {
                let begins = !request.is_begun();
                if !begins && !request.is_done() && self.due <= now {
                    return None; // `expire` ends it
                }
                let report = match request.next(buffer) {
                    Some(report) => report,
                    None if *cancel == Cancel::Wanted => {
                        *cancel = Cancel::Sent;
                        single(channel, HidCommand::CANCEL, &[])
                    }
                    None => return None,
                };
                let wait = if request.is_done() { Some(patience(request.command)) } else { None };
                (report, wait.or(begins.then_some(SEND_LIMIT)))
            }
            _ => return None,
        };
        self.pause = None;
        if let Some(wait) = wait {
            self.due = now.plus(wait).min(self.end);
        }
        Some(report)
    }

    /// Takes one report. Reports for other clients, which share the pipe on some systems, are ignored.
    pub fn receive(&mut self, now: Instant, report: &[u8; REPORT_LEN], buffer: &mut [u8]) -> Option<HostEvent> {
        let packet = Packet::parse(report);
        match self.phase {
            Phase::Opening { nonce, .. } => self.opening(now, packet, nonce),
            Phase::Requesting { request, cancel } => self.requesting(now, packet, request, cancel, buffer),
            Phase::Responding(response) => self.responding(now, packet, response, buffer),
            Phase::Closed | Phase::Idle | Phase::Refused => None,
        }
    }

    /// Whether [`Host::expire`] ends the transaction.
    pub(super) fn is_overdue(&self, now: Instant) -> bool {
        match self.phase {
            Phase::Closed | Phase::Idle => false,
            Phase::Refused => true,
            _ => self.pause.is_none() && self.due <= now,
        }
    }

    /// Ends the transaction if its time is up. Call it at [`Host::deadline`], after the reports that wait at that time
    /// were taken. Reports that arrive later must not delay this call.
    pub fn expire(&mut self, now: Instant) -> Option<HostEvent> {
        if !self.is_overdue(now) {
            return None;
        }
        match self.phase {
            Phase::Refused => {
                self.end(Phase::Closed);
                Some(HostEvent::Error(HidErrorCode::CHANNEL_BUSY))
            }
            Phase::Opening { .. } => {
                // The authenticator may have forgotten a channel that does not answer.
                self.channel = None;
                Some(self.fail(HidFailure::Timeout))
            }
            _ => Some(self.fail(HidFailure::Timeout)),
        }
    }

    /// When to call [`Host::transmit`] and [`Host::expire`] if no report comes in. A time in the past when there is
    /// something to do now.
    pub fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Closed | Phase::Idle => None,
            Phase::Refused => Some(Instant::default()),
            _ if self.pause.is_some() => self.pause,
            Phase::Opening { sent: false, .. } | Phase::Requesting { cancel: Cancel::Wanted, .. } => {
                Some(Instant::default())
            }
            _ if self.needs_request() => Some(Instant::default()),
            _ => Some(self.due),
        }
    }

    fn start(&mut self, now: Instant, command: HidCommand, phase: Phase) {
        let (due, end) = (now.plus(patience(command)), now.plus(TRANSACTION_LIMIT));
        *self = Self { channel: self.channel, phase, due, end, pause: None, busy_since: None };
    }

    fn init_channel(&self) -> u32 {
        self.channel.unwrap_or(BROADCAST)
    }

    fn opening(&mut self, now: Instant, packet: Packet<'_>, nonce: [u8; NONCE_LEN]) -> Option<HostEvent> {
        let Packet::Initialization { channel, command, len, data } = packet else { return None };
        if channel != self.init_channel() {
            return None;
        }
        match command {
            HidCommand::INIT if usize::from(len) >= INIT_RESPONSE_LEN && data.starts_with(&nonce) => {
                let [_, _, _, _, _, _, _, _, c0, c1, c2, c3, protocol_version, major, minor, build, flags] =
                    bytes::first::<INIT_RESPONSE_LEN>(data);
                self.channel = Some(u32::from_be_bytes([c0, c1, c2, c3]));
                self.end(Phase::Idle);
                let version = [major, minor, build];
                let capabilities = Capabilities(flags);
                Some(HostEvent::Opened(DeviceInfo { protocol_version, version, capabilities }))
            }
            // An error may also belong to the transaction that this INIT ends. Only these two errors are about INIT.
            HidCommand::ERROR => match error_code(data) {
                HidErrorCode::CHANNEL_BUSY => {
                    self.phase = Phase::Opening { nonce, sent: false };
                    self.busy(now)
                }
                HidErrorCode::INVALID_CHANNEL if channel != BROADCAST => {
                    // The authenticator was restarted and has forgotten the channel.
                    self.channel = None;
                    self.phase = Phase::Opening { nonce, sent: false };
                    None
                }
                _ => None,
            },
            _ => None,
        }
    }

    fn requesting(
        &mut self,
        now: Instant,
        packet: Packet<'_>,
        mut request: Outgoing,
        cancel: Cancel,
        buffer: &mut [u8],
    ) -> Option<HostEvent> {
        // A continuation packet without an initialization packet is left over from an earlier transaction.
        let Packet::Initialization { channel, command, len, data } = packet else { return None };
        if channel != request.channel {
            return None;
        }
        match command {
            HidCommand::ERROR if error_code(data) == HidErrorCode::CHANNEL_BUSY && cancel == Cancel::No => {
                request.rewind();
                self.phase = Phase::Requesting { request, cancel };
                self.busy(now)
            }
            HidCommand::ERROR => Some(self.refused(error_code(data))),
            // A request that is not sent completely has no answer yet. An INIT response never answers a request: it is
            // a late one.
            _ if !request.is_done() || command == HidCommand::INIT => None,
            HidCommand::KEEPALIVE if self.end <= now => Some(self.fail(HidFailure::Timeout)),
            HidCommand::KEEPALIVE => {
                let [status] = bytes::padded(data);
                self.due = now.plus(patience(request.command)).min(self.end);
                Some(HostEvent::KeepAlive(status.into()))
            }
            _ if command != request.command => Some(self.fail(HidFailure::UnexpectedCommand(command))),
            _ if usize::from(len) > MAX_MESSAGE => Some(self.fail(HidFailure::ResponseTooLong)),
            _ if usize::from(len) > buffer.len() => Some(self.fail(HidFailure::BufferTooSmall { needed: len.into() })),
            _ => {
                let mut response = Incoming::new(channel, command, len);
                response.start(data, buffer);
                self.progress(now, response)
            }
        }
    }

    fn responding(
        &mut self,
        now: Instant,
        packet: Packet<'_>,
        mut response: Incoming,
        buffer: &mut [u8],
    ) -> Option<HostEvent> {
        let in_sequence = match packet {
            Packet::Initialization { channel, .. } | Packet::Continuation { channel, .. }
                if channel != response.channel =>
            {
                return None;
            }
            Packet::Initialization { command: HidCommand::ERROR, data, .. } => {
                return Some(self.refused(error_code(data)));
            }
            Packet::Initialization { .. } => false,
            Packet::Continuation { sequence, data, .. } => response.resume(sequence, data, buffer).is_ok(),
        };
        if in_sequence { self.progress(now, response) } else { Some(self.fail(HidFailure::Sequence)) }
    }

    fn progress(&mut self, now: Instant, response: Incoming) -> Option<HostEvent> {
        if response.is_complete() {
            self.end(Phase::Idle);
            return Some(HostEvent::Response { command: response.command, len: response.len.into() });
        }
        self.phase = Phase::Responding(response);
        self.due = now.plus(PACKET_TIMEOUT);
        None
    }

    /// Another client keeps the authenticator busy: ask again after a pause, but not for ever.
    fn busy(&mut self, now: Instant) -> Option<HostEvent> {
        let since = *self.busy_since.get_or_insert(now);
        if now.since(since) >= BUSY_LIMIT || self.end <= now {
            return Some(self.refused(HidErrorCode::CHANNEL_BUSY));
        }
        self.pause = Some(now.plus(BUSY_PAUSE));
        None
    }

    /// The authenticator has dropped the transaction.
    fn refused(&mut self, code: HidErrorCode) -> HostEvent {
        let opened = !matches!(self.phase, Phase::Opening { .. });
        if code == HidErrorCode::INVALID_CHANNEL {
            self.channel = None;
        }
        self.end(if opened && self.channel.is_some() { Phase::Idle } else { Phase::Closed });
        HostEvent::Error(code)
    }

    /// The two ends are no longer synchronised.
    fn fail(&mut self, failure: HidFailure) -> HostEvent {
        self.end(Phase::Closed);
        HostEvent::Failed(failure)
    }

    fn end(&mut self, phase: Phase) {
        self.phase = phase;
        self.pause = None;
    }
}

fn error_code(data: &[u8]) -> HidErrorCode {
    let [code] = bytes::padded(data);
    HidErrorCode(code)
}

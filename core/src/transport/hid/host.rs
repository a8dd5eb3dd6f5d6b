//! The client's end of CTAPHID.

use core::time::Duration;

use super::message::{Incoming, Outgoing};
use super::{
    BROADCAST, Capabilities, Command, ErrorCode, INIT_RESPONSE_LEN, MAX_MESSAGE, NONCE_LEN, PACKET_TIMEOUT, Packet,
    REPORT_LEN, single,
};
use crate::{Instant, bytes, transport::KeepAlive};

/// How long a busy authenticator is left alone before it is asked again.
const BUSY_PAUSE: Duration = Duration::from_millis(100);
/// How long a busy authenticator is asked again: the usual user-action timeout of the other client's request.
const BUSY_LIMIT: Duration = Duration::from_secs(30);

/// How long a request may take to go out, from its first packet to its last. An authenticator waits at most 3 s for it, or
/// less.
const SEND_LIMIT: Duration = Duration::from_secs(10);
/// How long a transaction may take, keep-alives or not: the longest timeout that WebAuthn recommends (L3 §15.1). What is
/// above the transport gives up earlier, and cancels.
const TRANSACTION_LIMIT: Duration = Duration::from_secs(600);

/// How long an authenticator may be silent before its response begins. A keep-alive starts the time anew.
///
/// The standard has no number. INIT, PING, WINK and LOCK are answered by the transport. CTAP2 has keep-alives every
/// 100 ms, but some authenticators compute for seconds without one. CTAP1 has none at all, and some authenticators
/// hold the answer back until they are touched; vendor commands may be of either kind.
fn patience(command: Command) -> Duration {
    Duration::from_secs(match command {
        Command::INIT | Command::PING | Command::WINK | Command::LOCK => 3,
        Command::CBOR => 10,
        _ => 30,
    })
}

/// What an authenticator says about itself when a channel is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    /// The CTAPHID protocol version, 2.
    pub protocol_version: u8,
    /// Major, minor and build version of the authenticator.
    pub version: [u8; 3],
    /// What it can do.
    pub capabilities: Capabilities,
}

/// Why a transaction failed at this end. The channel has to be opened again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// The channel is not open.
    NotOpen,
    /// Another transaction is under way; [`Host::open`] ends it.
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
    /// The authenticator is silent, stopped in the middle of its response, or does not end its keep-alives; or the pipe
    /// takes the request too slowly.
    Timeout,
    /// A packet of the response is missing, doubled or out of place.
    Sequence,
    /// The response answers another command.
    UnexpectedCommand(Command),
}

/// What happened to a transaction. All but the keep-alive end it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostEvent {
    /// The channel is open.
    Opened(DeviceInfo),
    /// The authenticator works on the request.
    KeepAlive(KeepAlive),
    /// The response has come.
    Response {
        /// The command of the request.
        command: Command,
        /// Its bytes, at the front of the buffer.
        len: usize,
    },
    /// The authenticator refuses.
    Error(ErrorCode),
    /// The transaction failed.
    Failed(Failure),
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
    /// The request goes out and no response has begun.
    Requesting {
        request: Outgoing,
        cancel: Cancel,
    },
    Responding(Incoming),
    /// Another client keeps the authenticator busy and this one asks no more.
    Refused,
}

/// The client's end: one channel, one transaction. Takes requests, hands out responses.
///
/// The request lies in the buffer given to [`Host::transmit`] until the response comes back over it in the buffer
/// given to [`Host::receive`]. A busy authenticator is asked again every 100 ms for 30 s, so the request has to stay
/// where it is until then.
///
/// Every transaction ends: a request goes out within 10 s, an authenticator may be silent for 3 s to 30 s by command, a
/// response may pause for 500 ms, and keep-alives prolong a transaction to 10 minutes at most.
#[derive(Clone, Copy, Debug)]
pub struct Host {
    channel: Option<u32>,
    phase: Phase,
    /// When the authenticator has been silent for too long.
    due: Instant,
    /// When the transaction ends at the latest.
    end: Instant,
    /// A pause after CHANNEL_BUSY: nothing is sent before.
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

    /// Asks for a channel, or resynchronises the one there is: whatever was under way is dropped at both ends.
    ///
    /// The nonce tells this INIT from others: it has to differ from that of earlier ones and of other clients.
    pub fn open(&mut self, now: Instant, nonce: [u8; NONCE_LEN]) {
        self.start(now, Command::INIT, Phase::Opening { nonce, sent: false });
    }

    /// Starts a transaction; the request lies in the buffer's first `len` bytes.
    ///
    /// # Errors
    /// [`Failure::NotOpen`], [`Failure::Pending`] and [`Failure::RequestTooLong`]; nothing has changed then.
    pub fn send(&mut self, now: Instant, command: Command, len: usize) -> Result<(), Failure> {
        let channel = match (self.phase, self.channel) {
            (Phase::Idle, Some(channel)) => channel,
            (Phase::Idle | Phase::Closed, _) => return Err(Failure::NotOpen),
            _ => return Err(Failure::Pending),
        };
        let short = u16::try_from(len).ok().filter(|_| len <= MAX_MESSAGE).ok_or(Failure::RequestTooLong)?;
        let request = Outgoing::new(channel, command, short);
        self.start(now, command, Phase::Requesting { request, cancel: Cancel::No });
        Ok(())
    }

    /// Asks the authenticator to give up the pending CBOR request: one CANCEL packet, at most once per transaction. The
    /// response is still to be awaited. CTAP1 knows no CANCEL: there, nothing happens. A request that waits for a busy
    /// authenticator has not begun: it ends with [`ErrorCode::CHANNEL_BUSY`].
    pub fn cancel(&mut self) {
        if self.pause.is_some() {
            return self.give_up();
        }
        if let Phase::Requesting { request: Outgoing { command: Command::CBOR, .. }, cancel: cancel @ Cancel::No } =
            &mut self.phase
        {
            *cancel = Cancel::Wanted;
        }
    }

    /// Asks a busy authenticator no more: the transaction ends with [`ErrorCode::CHANNEL_BUSY`].
    pub(super) fn give_up(&mut self) {
        self.end(Phase::Refused);
    }

    /// Whether a request can be sent.
    pub fn is_ready(&self) -> bool {
        matches!(self.phase, Phase::Idle)
    }

    /// Whether packets of the request are still to be sent, for the first time or again.
    pub fn needs_request(&self) -> bool {
        matches!(self.phase, Phase::Requesting { request, .. } if !request.is_done())
    }

    /// The next report to send, `None` when there is nothing to send now. The buffer holds the request.
    pub fn transmit(&mut self, now: Instant, buffer: &[u8]) -> Option<[u8; REPORT_LEN]> {
        if self.pause.is_some_and(|until| now < until) {
            return None;
        }
        let channel = self.init_channel();
        let (report, wait) = match &mut self.phase {
            Phase::Opening { nonce, sent: sent @ false } => {
                *sent = true;
                (single(channel, Command::INIT, nonce), Some(patience(Command::INIT)))
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
                        single(channel, Command::CANCEL, &[])
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

    /// Takes one report. Those of other clients, which share the pipe on some systems, are ignored.
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

    /// Gives up when it is time to. Call it at [`Host::deadline`], after the reports that wait then have been taken, but
    /// no later because others come in.
    pub fn expire(&mut self, now: Instant) -> Option<HostEvent> {
        if !self.is_overdue(now) {
            return None;
        }
        match self.phase {
            Phase::Refused => {
                self.end(Phase::Closed);
                Some(HostEvent::Error(ErrorCode::CHANNEL_BUSY))
            }
            Phase::Opening { .. } => {
                // A channel that does not answer may be one the authenticator has forgotten.
                self.channel = None;
                Some(self.fail(Failure::Timeout))
            }
            _ => Some(self.fail(Failure::Timeout)),
        }
    }

    /// When [`Host::transmit`] and [`Host::expire`] are to be called though nothing came in; in the past when there is
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

    fn start(&mut self, now: Instant, command: Command, phase: Phase) {
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
            Command::INIT if usize::from(len) >= INIT_RESPONSE_LEN && data.starts_with(&nonce) => {
                let [_, _, _, _, _, _, _, _, c0, c1, c2, c3, protocol_version, major, minor, build, flags] =
                    bytes::array::<INIT_RESPONSE_LEN>(data);
                self.channel = Some(u32::from_be_bytes([c0, c1, c2, c3]));
                self.end(Phase::Idle);
                let version = [major, minor, build];
                let capabilities = Capabilities(flags);
                Some(HostEvent::Opened(DeviceInfo { protocol_version, version, capabilities }))
            }
            // An error may also be a late word about what INIT ends; only these two say something about INIT.
            Command::ERROR => match error_code(data) {
                ErrorCode::CHANNEL_BUSY => {
                    self.phase = Phase::Opening { nonce, sent: false };
                    self.busy(now)
                }
                ErrorCode::INVALID_CHANNEL if channel != BROADCAST => {
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
        // A continuation packet without its beginning is left over from an earlier transaction.
        let Packet::Initialization { channel, command, len, data } = packet else { return None };
        if channel != request.channel {
            return None;
        }
        match command {
            Command::ERROR if error_code(data) == ErrorCode::CHANNEL_BUSY && cancel == Cancel::No => {
                request.rewind();
                self.phase = Phase::Requesting { request, cancel };
                self.busy(now)
            }
            Command::ERROR => Some(self.refused(error_code(data))),
            // No answer to a request that is not out yet; an INIT response is a late one and never answers a request.
            _ if !request.is_done() || command == Command::INIT => None,
            Command::KEEPALIVE if self.end <= now => Some(self.fail(Failure::Timeout)),
            Command::KEEPALIVE => {
                let [status] = bytes::array(data);
                self.due = now.plus(patience(request.command)).min(self.end);
                Some(HostEvent::KeepAlive(status.into()))
            }
            _ if command != request.command => Some(self.fail(Failure::UnexpectedCommand(command))),
            _ if usize::from(len) > MAX_MESSAGE => Some(self.fail(Failure::ResponseTooLong)),
            _ if usize::from(len) > buffer.len() => Some(self.fail(Failure::BufferTooSmall { needed: len.into() })),
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
            Packet::Initialization { command: Command::ERROR, data, .. } => {
                return Some(self.refused(error_code(data)));
            }
            Packet::Initialization { .. } => false,
            Packet::Continuation { sequence, data, .. } => response.resume(sequence, data, buffer).is_ok(),
        };
        if in_sequence { self.progress(now, response) } else { Some(self.fail(Failure::Sequence)) }
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

    /// Another client keeps the authenticator busy: wait a little, but not for ever.
    fn busy(&mut self, now: Instant) -> Option<HostEvent> {
        let since = *self.busy_since.get_or_insert(now);
        if now.since(since) >= BUSY_LIMIT || self.end <= now {
            return Some(self.refused(ErrorCode::CHANNEL_BUSY));
        }
        self.pause = Some(now.plus(BUSY_PAUSE));
        None
    }

    /// The authenticator has dropped the transaction.
    fn refused(&mut self, code: ErrorCode) -> HostEvent {
        let opened = !matches!(self.phase, Phase::Opening { .. });
        if code == ErrorCode::INVALID_CHANNEL {
            self.channel = None;
        }
        self.end(if opened && self.channel.is_some() { Phase::Idle } else { Phase::Closed });
        HostEvent::Error(code)
    }

    /// The ends no longer agree on where they are.
    fn fail(&mut self, failure: Failure) -> HostEvent {
        self.end(Phase::Closed);
        HostEvent::Failed(failure)
    }

    fn end(&mut self, phase: Phase) {
        self.phase = phase;
        self.pause = None;
    }
}

fn error_code(data: &[u8]) -> ErrorCode {
    let [code] = bytes::array(data);
    ErrorCode(code)
}

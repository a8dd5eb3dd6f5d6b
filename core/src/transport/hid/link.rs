//! What the drivers of [`Host`] have in common: everything except reading and writing.

use core::time::Duration;

use super::{DeviceInfo, HidCommand, HidErrorCode, HidFailure, Host, HostEvent, REPORT_LEN};
use crate::Instant;

/// What a driver's loop waits for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Goal {
    /// The request is written.
    Sent,
    /// The end of the transaction. Only the machine's own time limits apply.
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

/// A host, its clock, and the request in hand.
#[derive(Debug)]
pub(super) struct Link<C> {
    pub(super) clock: C,
    pub(super) host: Host,
    nonce: u64,
    pub(super) info: Option<DeviceInfo>,
    /// A request that waits for the channel to open.
    queued: Option<(HidCommand, usize)>,
    /// The command of the request, as long as the authenticator cannot have started it.
    fresh: Option<HidCommand>,
    fingerprint: u32,
    len: usize,
    /// Whether the current wait has read from the pipe.
    pub(super) looked: bool,
    /// How many reports without an event were taken since the time was up.
    late: usize,
}

impl<C: FnMut() -> Instant> Link<C> {
    pub(super) fn new(clock: C, nonce: [u8; 8]) -> Self {
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
    pub(super) fn begin(&mut self, command: HidCommand, request: &[u8]) -> Result<(), HidFailure> {
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

    pub(super) fn transmit(&mut self, goal: Goal, message: &[u8]) -> Option<[u8; REPORT_LEN]> {
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
    pub(super) fn cancel(&mut self) -> Option<[u8; REPORT_LEN]> {
        self.host.cancel();
        self.fresh = None;
        if self.host.needs_request() { None } else { self.host.transmit((self.clock)(), &[]) }
    }

    /// How long to read. `None` when the goal is reached.
    pub(super) fn wait(&mut self, goal: Goal) -> Option<Duration> {
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

    /// Takes the report that was read, if any, and checks the time. With [`Goal::Answer`], keep-alives are not
    /// returned.
    pub(super) fn heard(
        &mut self,
        goal: Goal,
        report: Option<[u8; REPORT_LEN]>,
        buffer: &mut [u8],
    ) -> Result<Option<HostEvent>, HidFailure> {
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
            Some(HostEvent::KeepAlive(_)) => {
                self.fresh = None;
                return Ok(event.filter(|_| !matches!(goal, Goal::Answer)));
            }
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

/// FNV-1a, enough to notice that a buffer no longer holds the request.
fn fingerprint(message: &[u8]) -> u32 {
    message.iter().fold(0x811C_9DC5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

//! The authenticator's end of CTAPHID.

use core::time::Duration;

use heapless::{Deque, Vec};

use super::message::{Incoming, Outgoing};
use super::{
    BROADCAST, Capabilities, HidCommand, HidErrorCode, INIT_RESPONSE_LEN, MAX_MESSAGE, MESSAGE_TIMEOUT, NONCE_LEN,
    PACKET_TIMEOUT, PROTOCOL_VERSION, Packet, REPORT_LEN, single,
};
use crate::{Instant, bytes, transport::KeepAlive};

/// If a client uses a channel that was never allocated, and its number is at most this many ahead of the last allocated
/// one, the number is not allocated again: a client already uses it.
const SOON: u32 = 8;
/// How many control packets can wait to be sent.
const CONTROLS: usize = 8;
/// A keep-alive at least every 100 ms (CTAP 2.3 §11.2.9.1.6); 10 ms are left to the driver.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_millis(90);
/// The longest lock, in seconds (CTAP 2.3 §11.2.9.2.2).
const MAX_LOCK: u8 = 10;

/// The configuration of a [`Device`].
#[derive(Clone, Copy, Debug)]
pub struct DeviceConfig {
    /// Major, minor and build version for the INIT response.
    pub version: [u8; 3],
    /// The capabilities in the INIT response. They also decide which of WINK, CBOR and MSG are answered.
    pub capabilities: Capabilities,
    /// The longest CBOR or MSG message accepted, in bytes: maxMsgSize. The buffer's length is a second limit. PING and
    /// vendor commands, which are messages of CTAPHID and not of CTAP, have only that second limit.
    pub max_message: usize,
    /// How to treat a channel that was never allocated.
    pub unknown_channels: UnknownChannels,
    /// Whether commands 40 to 7F become [`DeviceEvent::Request`]s. If not, they are refused with INVALID_CMD.
    pub vendor_commands: bool,
    /// Whether LOCK is known (§11.2.9.2.2). If not, it is refused with INVALID_CMD: the command is optional, and one
    /// channel can lock out all others for up to 10 s, again and again. LOCK has no capability bit.
    pub lock: bool,
}

impl Default for DeviceConfig {
    /// CTAP1, CTAP2 and WINK, the longest messages, strict channels, no vendor commands, no LOCK.
    fn default() -> Self {
        Self {
            version: [0; 3],
            capabilities: Capabilities::WINK.with(Capabilities::CBOR),
            max_message: MAX_MESSAGE,
            unknown_channels: UnknownChannels::Strict,
            vendor_commands: false,
            lock: false,
        }
    }
}

/// How to treat a channel that was never allocated. Channel zero is always refused; the broadcast channel always
/// accepts only INIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnknownChannels {
    /// Refuse with INVALID_CHANNEL, as the standard requires.
    Strict,
    /// Accept it as if it had been allocated: some test suites invent channels.
    Lenient,
}

/// What the authenticator must do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum DeviceEvent {
    /// Answer this request: CBOR or MSG, never empty, or a vendor command. See [`Device::respond`] and
    /// [`Device::refuse`].
    Request {
        /// CBOR, MSG or a vendor command.
        command: HidCommand,
        /// Its length in bytes. It lies at the front of the buffer.
        len: usize,
    },
    /// Give up the pending CBOR request and answer it with status KEEPALIVE_CANCEL. Comes once per request.
    Cancel,
    /// Drop the pending request and do not answer it, because its channel was resynchronised.
    Aborted,
    /// Blink or beep, so that the user sees which authenticator this is.
    Wink,
}

/// A short message outside the transaction: an INIT response, an error, an empty response.
#[derive(Debug)]
struct Control {
    channel: u32,
    command: HidCommand,
    data: Vec<u8, INIT_RESPONSE_LEN>,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Idle,
    /// The next packet must come by `due`, the last one by `end`.
    Assembling {
        message: Incoming,
        due: Instant,
        end: Instant,
    },
    Processing {
        channel: u32,
        command: HidCommand,
        cancelled: bool,
        keep_alive: Option<(KeepAlive, Instant)>,
    },
    Responding(Outgoing),
}

/// The authenticator's end: channels, one transaction, one lock. Takes reports, hands out requests.
///
/// Channels are numbered from 1, and every channel that was allocated since power-up stays open. So an INIT never
/// closes the channel of another client, and no INIT is refused because there are too many channels. After 2^32
/// channels, which take 49 days at one INIT per millisecond, numbers are allocated again, but never the number of the
/// channel of the pending transaction.
///
/// No channel can keep the authenticator busy for ever: a message must arrive within 3 s, with at most 500 ms between
/// two packets, and a lock ends after 10 s. The caller decides how long a request stays pending. A client that sends
/// one request after another can still make others wait, because the standard has no queue of channels.
///
/// The buffer given to [`Device::receive`] and [`Device::transmit`] must be one and the same. From
/// [`DeviceEvent::Request`] to [`Device::respond`] it belongs to the caller; packets that arrive in the meantime do not
/// change it.
#[derive(Debug)]
pub struct Device {
    config: DeviceConfig,
    pub(super) last_channel: u32,
    /// How many channels were allocated since power-up; the last of them is `last_channel`.
    given: u32,
    phase: Phase,
    lock: Option<(u32, Instant)>,
    controls: Deque<Control, CONTROLS>,
}

impl Device {
    /// A device that has just been plugged in.
    pub fn new(config: DeviceConfig) -> Self {
        Self { config, last_channel: 0, given: 0, phase: Phase::Idle, lock: None, controls: Deque::new() }
    }

    /// A power cycle: forgets the channels, the transaction and the lock. Numbering goes on from the last channel, so
    /// that a number is not soon used again.
    pub fn reset(&mut self) {
        *self = Self { last_channel: self.last_channel, ..Self::new(self.config) };
    }

    /// Takes one report. Before the next one, send every report that [`Device::transmit`] returns: at most eight
    /// answers can wait, then the oldest is lost.
    pub fn receive(&mut self, now: Instant, report: &[u8; REPORT_LEN], buffer: &mut [u8]) -> Option<DeviceEvent> {
        self.expire(now);
        match Packet::parse(report) {
            Packet::Initialization { channel, command, len, data } => {
                match self.begin(now, Incoming::new(channel, command, len), data, buffer) {
                    Ok(event) => event,
                    Err(code) => {
                        self.error(channel, code);
                        None
                    }
                }
            }
            Packet::Continuation { channel, sequence, data } => {
                let Phase::Assembling { message, due, end } = &mut self.phase else { return None };
                // This also ignores the remaining packets of a message that was refused; one error is enough.
                if message.channel != channel {
                    return None;
                }
                if message.resume(sequence, data, buffer).is_err() {
                    self.phase = Phase::Idle;
                    self.error(channel, HidErrorCode::INVALID_SEQ);
                    return None;
                }
                *due = now.plus(PACKET_TIMEOUT).min(*end);
                let message = *message;
                self.complete(now, message)
            }
        }
    }

    /// Answers the pending request with `buffer[..len]`. If that is longer than [`MAX_MESSAGE`], the client gets the
    /// error OTHER. Without a pending request nothing happens.
    pub fn respond(&mut self, len: usize) {
        let Phase::Processing { channel, command, .. } = self.phase else { return };
        match u16::try_from(len) {
            Ok(short) if len <= MAX_MESSAGE => self.phase = Phase::Responding(Outgoing::new(channel, command, short)),
            _ => self.refuse(HidErrorCode::OTHER),
        }
    }

    /// Answers the pending request with an error. For vendor commands, whose meaning the transport does not know.
    /// Without a pending request nothing happens.
    pub fn refuse(&mut self, code: HidErrorCode) {
        let Phase::Processing { channel, .. } = self.phase else { return };
        self.phase = Phase::Idle;
        self.error(channel, code);
    }

    /// Sets what the pending CBOR request waits for, at first [`KeepAlive::Processing`]. Keep-alives are sent at once
    /// when that changes, and every 90 ms. MSG and vendor requests have no keep-alives, because CTAP1 clients do not
    /// expect them.
    pub fn keep_alive(&mut self, status: KeepAlive) {
        if let Phase::Processing { keep_alive: Some((old, due)), .. } = &mut self.phase
            && *old != status
        {
            (*old, *due) = (status, Instant::default());
        }
    }

    /// The next report to send. `None` when there is nothing to send now.
    pub fn transmit(&mut self, now: Instant, buffer: &[u8]) -> Option<[u8; REPORT_LEN]> {
        if let Some(report) = self.transmit_without_buffer(now) {
            return Some(report);
        }
        let Phase::Responding(message) = &mut self.phase else { return None };
        let report = message.next(buffer);
        if message.is_done() {
            self.phase = Phase::Idle;
        }
        report
    }

    /// The next report to send that is no part of the answer to the pending request: a keep-alive, or an answer of the
    /// transport itself.
    pub fn transmit_without_buffer(&mut self, now: Instant) -> Option<[u8; REPORT_LEN]> {
        self.expire(now);
        if let Some(Control { channel, command, data }) = self.controls.pop_front() {
            return Some(single(channel, command, &data));
        }
        match &mut self.phase {
            Phase::Processing { channel, keep_alive: Some((status, due)), .. } if *due <= now => {
                *due = now.plus(KEEP_ALIVE_INTERVAL);
                Some(single(*channel, HidCommand::KEEPALIVE, &[u8::from(*status)]))
            }
            _ => None,
        }
    }

    /// Whether a request is pending that the authenticator has not answered. Until then [`Device::receive`] does not
    /// use the buffer.
    pub const fn is_processing(&self) -> bool {
        matches!(self.phase, Phase::Processing { .. })
    }

    /// The channel of the pending transaction.
    pub const fn channel(&self) -> Option<u32> {
        match self.phase {
            Phase::Idle => None,
            Phase::Assembling { message: Incoming { channel, .. }, .. }
            | Phase::Processing { channel, .. }
            | Phase::Responding(Outgoing { channel, .. }) => Some(channel),
        }
    }

    /// Whether an answer is being sent.
    pub(super) const fn is_responding(&self) -> bool {
        matches!(self.phase, Phase::Responding(_))
    }

    /// When to call [`Device::transmit`] if no report comes in. A time in the past when a report is ready now.
    pub fn deadline(&self) -> Option<Instant> {
        if self.is_responding() { Some(Instant::default()) } else { self.deadline_without_buffer() }
    }

    /// When to call [`Device::transmit_without_buffer`].
    pub(super) fn deadline_without_buffer(&self) -> Option<Instant> {
        match self.phase {
            _ if !self.controls.is_empty() => Some(Instant::default()),
            Phase::Responding(_) => None,
            Phase::Assembling { due, .. } => Some(due),
            Phase::Processing { keep_alive, .. } => keep_alive.map(|(_, due)| due),
            Phase::Idle => None,
        }
    }

    /// Checks the first packet of a message. A client can observe the order of the checks.
    fn begin(
        &mut self,
        now: Instant,
        mut message: Incoming,
        data: &[u8],
        buffer: &mut [u8],
    ) -> Result<Option<DeviceEvent>, HidErrorCode> {
        let Incoming { channel, command, .. } = message;
        // 1. the channel
        let allowed = if channel == BROADCAST { command == HidCommand::INIT } else { self.knows(channel) };
        if !allowed {
            return Err(HidErrorCode::INVALID_CHANNEL);
        }
        // 2. CANCEL, which has no answer
        if command == HidCommand::CANCEL {
            return Ok(self.cancel(channel));
        }
        // 3. another client's lock
        if self.lock.is_some_and(|(holder, _)| holder != channel) {
            return Err(HidErrorCode::CHANNEL_BUSY);
        }
        // 4. INIT, which never waits and does not disturb another client's transaction
        if command == HidCommand::INIT {
            return self.init(message, data);
        }
        // 5. one transaction at a time
        match self.channel() {
            None => {}
            Some(busy) if busy == channel && matches!(self.phase, Phase::Assembling { .. }) => {
                self.phase = Phase::Idle;
                return Err(HidErrorCode::INVALID_SEQ);
            }
            Some(_) => return Err(HidErrorCode::CHANNEL_BUSY),
        }
        // 6. the command and its length
        self.check(message, buffer.len())?;
        match command {
            HidCommand::WINK => {
                self.control(channel, command, &[]);
                Ok(Some(DeviceEvent::Wink))
            }
            HidCommand::LOCK => {
                let [seconds] = bytes::padded(data);
                if seconds > MAX_LOCK {
                    return Err(HidErrorCode::INVALID_PAR);
                }
                let until = now.plus(Duration::from_secs(seconds.into()));
                self.lock = (seconds > 0).then_some((channel, until));
                self.control(channel, command, &[]);
                Ok(None)
            }
            _ => {
                message.start(data, buffer);
                let (due, end) = (now.plus(PACKET_TIMEOUT), now.plus(MESSAGE_TIMEOUT));
                self.phase = Phase::Assembling { message, due, end };
                Ok(self.complete(now, message))
            }
        }
    }

    /// Whether the command is known and allows this length.
    fn check(&self, message: Incoming, room: usize) -> Result<(), HidErrorCode> {
        let has = |capability| self.config.capabilities.contains(capability);
        let longest = room.min(MAX_MESSAGE);
        let longest_ctap = longest.min(self.config.max_message);
        let (known, lengths) = match message.command {
            HidCommand::PING => (true, 0..=longest),
            HidCommand::LOCK => (self.config.lock, 1..=1),
            HidCommand::WINK => (has(Capabilities::WINK), 0..=0),
            HidCommand::CBOR => (has(Capabilities::CBOR), 1..=longest_ctap),
            HidCommand::MSG => (!has(Capabilities::NMSG), 1..=longest_ctap),
            other => (other.is_vendor() && self.config.vendor_commands, 0..=longest),
        };
        if !known {
            return Err(HidErrorCode::INVALID_CMD);
        }
        if !lengths.contains(&message.len.into()) {
            return Err(HidErrorCode::INVALID_LEN);
        }
        Ok(())
    }

    /// Acts on a message once its last packet is here.
    fn complete(&mut self, now: Instant, message: Incoming) -> Option<DeviceEvent> {
        let Incoming { channel, command, len, .. } = message;
        if !message.is_complete() {
            return None;
        }
        if command == HidCommand::PING {
            self.phase = Phase::Responding(Outgoing::new(channel, command, len));
            return None;
        }
        // The first keep-alive is due even if the authenticator computes before it says what it waits for.
        let keep_alive = (command == HidCommand::CBOR).then(|| (KeepAlive::Processing, now.plus(KEEP_ALIVE_INTERVAL)));
        self.phase = Phase::Processing { channel, command, cancelled: false, keep_alive };
        Some(DeviceEvent::Request { command, len: len.into() })
    }

    /// On the broadcast channel: allocates a channel. On another channel: drops its transaction and keeps the channel.
    fn init(&mut self, message: Incoming, data: &[u8]) -> Result<Option<DeviceEvent>, HidErrorCode> {
        if usize::from(message.len) != NONCE_LEN {
            return Err(HidErrorCode::INVALID_LEN);
        }
        let mut event = None;
        let channel = if message.channel == BROADCAST {
            self.allocate()
        } else {
            if self.channel() == Some(message.channel) {
                event = matches!(self.phase, Phase::Processing { .. }).then_some(DeviceEvent::Aborted);
                self.phase = Phase::Idle;
            }
            message.channel
        };
        let DeviceConfig { version, capabilities, .. } = self.config;
        let nonce = bytes::front(data, NONCE_LEN);
        let facts = [nonce, &channel.to_be_bytes(), &[PROTOCOL_VERSION], &version, &[capabilities.0]];
        let response: [u8; INIT_RESPONSE_LEN] = bytes::concat(&facts);
        self.control(message.channel, HidCommand::INIT, &response);
        Ok(event)
    }

    fn cancel(&mut self, from: u32) -> Option<DeviceEvent> {
        match &mut self.phase {
            Phase::Processing { channel, command: HidCommand::CBOR, cancelled: cancelled @ false, .. }
                if *channel == from =>
            {
                *cancelled = true;
                Some(DeviceEvent::Cancel)
            }
            _ => None,
        }
    }

    /// Whether the channel may be used.
    fn knows(&mut self, channel: u32) -> bool {
        if channel == 0 || self.is_given(channel) {
            return channel != 0;
        }
        let ahead = channel.wrapping_sub(self.last_channel);
        let lenient = self.config.unknown_channels == UnknownChannels::Lenient;
        if lenient && ahead <= SOON {
            self.give(ahead);
        }
        lenient
    }

    /// Whether the channel was allocated since power-up.
    fn is_given(&self, channel: u32) -> bool {
        self.last_channel.wrapping_sub(channel) < self.given
    }

    /// Allocates the next `count` channels.
    fn give(&mut self, count: u32) {
        self.last_channel = self.last_channel.wrapping_add(count);
        self.given = self.given.saturating_add(count);
    }

    fn allocate(&mut self) -> u32 {
        // The loop ends, because at most three numbers are skipped. The channel that holds a lock need not be skipped:
        // while there is a lock, INIT on the broadcast channel is refused.
        let passed_over = [Some(0), Some(BROADCAST), self.channel()];
        loop {
            self.give(1);
            if !passed_over.contains(&Some(self.last_channel)) {
                return self.last_channel;
            }
        }
    }

    fn expire(&mut self, now: Instant) {
        if let Phase::Assembling { message, due, .. } = self.phase
            && due <= now
        {
            self.phase = Phase::Idle;
            self.error(message.channel, HidErrorCode::MSG_TIMEOUT);
        }
        self.lock = self.lock.filter(|&(_, until)| now < until);
    }

    fn error(&mut self, channel: u32, code: HidErrorCode) {
        // Errors for unknown channels must not displace the answers to clients.
        if code == HidErrorCode::INVALID_CHANNEL && self.controls.is_full() {
            return;
        }
        self.control(channel, HidCommand::ERROR, &[code.0]);
    }

    fn control(&mut self, channel: u32, command: HidCommand, data: &[u8]) {
        if self.controls.is_full() {
            self.make_room(channel);
        }
        let control = Vec::from_slice(data).map(|data| Control { channel, command, data });
        debug_assert!(control.is_ok(), "answers of the transport are short");
        if let Ok(control) = control {
            let _ = self.controls.push_back(control);
        }
    }

    /// Drops an answer to make room for one to `channel`: the oldest of the same channel, so that a client that asks
    /// without reading loses its own answers and its INIT is still answered. If none is of that channel, the oldest of
    /// all.
    fn make_room(&mut self, channel: u32) {
        let same = self.controls.iter().position(|control| control.channel == channel).unwrap_or(0);
        for position in 0..self.controls.len() {
            let control = self.controls.pop_front();
            if position != same
                && let Some(control) = control
            {
                let _ = self.controls.push_back(control);
            }
        }
    }
}

//! The authenticator's end of CTAPHID.

use core::time::Duration;

use heapless::{Deque, Vec};

use super::message::{Incoming, Outgoing};
use super::{
    BROADCAST, Capabilities, Command, ErrorCode, INIT_RESPONSE_LEN, MAX_MESSAGE, NONCE_LEN, PACKET_TIMEOUT,
    PROTOCOL_VERSION, Packet, REPORT_LEN, single,
};
use crate::{Instant, bytes, transport::KeepAlive};

/// Channels remembered at a time.
const CHANNELS: usize = 8;
/// Control packets waiting to be sent.
const CONTROLS: usize = 8;
/// A keep-alive at least every 100 ms (CTAP 2.3 §11.2.9.1.6); 10 ms are left to the driver.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_millis(90);
/// The longest lock, in seconds (CTAP 2.3 §11.2.9.2.2).
const MAX_LOCK: u8 = 10;

/// What a [`Device`] is.
#[derive(Clone, Copy, Debug)]
pub struct DeviceConfig {
    /// Major, minor and build version for the INIT response.
    pub version: [u8; 3],
    /// What the INIT response claims and which of WINK, CBOR and MSG are answered.
    pub capabilities: Capabilities,
    /// The longest message accepted, in bytes. The buffer's length limits it too.
    pub max_message: usize,
    /// What happens to channels that were never given out.
    pub unknown_channels: UnknownChannels,
    /// Whether commands 40 to 7F become [`DeviceEvent::Request`]s.
    pub vendor_commands: bool,
}

impl Default for DeviceConfig {
    /// CTAP1 and CTAP2 with WINK, the longest messages, strict about channels, no vendor commands.
    fn default() -> Self {
        Self {
            version: [0; 3],
            capabilities: Capabilities::WINK.with(Capabilities::CBOR),
            max_message: MAX_MESSAGE,
            unknown_channels: UnknownChannels::Strict,
            vendor_commands: false,
        }
    }
}

/// How to treat a channel that was never given out. Zero is always refused; broadcast always takes only INIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownChannels {
    /// INVALID_CHANNEL, as the standard has it.
    Strict,
    /// As if it had been given out: some test suites make channels up.
    Lenient,
}

/// What the authenticator has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceEvent {
    /// Answer this: CBOR or MSG, never empty, or a vendor command. See [`Device::respond`] and [`Device::refuse`].
    Request {
        /// CBOR, MSG or a vendor command.
        command: Command,
        /// Its bytes, at the front of the buffer.
        len: usize,
    },
    /// Give up the pending CBOR request and answer it with status KEEPALIVE_CANCEL. Comes once per request.
    Cancel,
    /// Drop the pending request, do not answer it: its channel was resynchronised.
    Aborted,
    /// Show yourself: blink, beep.
    Wink,
}

/// A short message outside the transaction: an INIT response, an error, an empty response.
#[derive(Debug)]
struct Control {
    channel: u32,
    command: Command,
    data: Vec<u8, INIT_RESPONSE_LEN>,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Idle,
    Assembling { message: Incoming, due: Instant },
    Processing { channel: u32, command: Command, cancelled: bool, keep_alive: Option<(KeepAlive, Instant)> },
    Responding(Outgoing),
}

/// The authenticator's end: channels, one transaction, one lock. Takes reports, hands out requests.
///
/// The buffer given to [`Device::receive`] and [`Device::transmit`] must be one and the same. From
/// [`DeviceEvent::Request`] to [`Device::respond`] it is the caller's; packets that come in meanwhile do not touch it.
#[derive(Debug)]
pub struct Device {
    config: DeviceConfig,
    /// Least recently used first.
    channels: Vec<u32, CHANNELS>,
    pub(super) last_channel: u32,
    phase: Phase,
    lock: Option<(u32, Instant)>,
    controls: Deque<Control, CONTROLS>,
}

impl Device {
    /// A device that has just been plugged in.
    pub fn new(config: DeviceConfig) -> Self {
        Self { config, channels: Vec::new(), last_channel: 0, phase: Phase::Idle, lock: None, controls: Deque::new() }
    }

    /// A power cycle: forgets channels, transaction and lock. Channel numbers are not used again soon.
    pub fn reset(&mut self) {
        *self = Self { last_channel: self.last_channel, ..Self::new(self.config) };
    }

    /// Takes one report. Call [`Device::transmit`] afterwards.
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
                let Phase::Assembling { message, due } = &mut self.phase else { return None };
                // Also when another client's message was refused: its remaining packets are not refused one by one.
                if message.channel != channel {
                    return None;
                }
                if message.resume(sequence, data, buffer).is_err() {
                    self.phase = Phase::Idle;
                    self.error(channel, ErrorCode::INVALID_SEQ);
                    return None;
                }
                *due = now.plus(PACKET_TIMEOUT);
                let message = *message;
                self.complete(message)
            }
        }
    }

    /// Answers the pending request with `buffer[..len]`. Longer than [`MAX_MESSAGE`]: the client gets error OTHER.
    /// Without a pending request nothing happens.
    pub fn respond(&mut self, len: usize) {
        let Phase::Processing { channel, command, .. } = self.phase else { return };
        match u16::try_from(len) {
            Ok(short) if len <= MAX_MESSAGE => self.phase = Phase::Responding(Outgoing::new(channel, command, short)),
            _ => self.refuse(ErrorCode::OTHER),
        }
    }

    /// Answers the pending request with an error: for vendor commands, whose meaning the transport does not know.
    /// Without a pending request nothing happens.
    pub fn refuse(&mut self, code: ErrorCode) {
        let Phase::Processing { channel, .. } = self.phase else { return };
        self.phase = Phase::Idle;
        self.error(channel, code);
    }

    /// Says what the pending CBOR request waits for. From the first call on keep-alives go out: at once, whenever the
    /// status changes, and every 90 ms. MSG and vendor requests have none: CTAP1 clients do not expect them.
    pub fn keep_alive(&mut self, status: KeepAlive) {
        if let Phase::Processing { command: Command::CBOR, keep_alive, .. } = &mut self.phase
            && keep_alive.is_none_or(|(old, _)| old != status)
        {
            *keep_alive = Some((status, Instant::default()));
        }
    }

    /// The next report to send, `None` when there is nothing to send now.
    pub fn transmit(&mut self, now: Instant, buffer: &[u8]) -> Option<[u8; REPORT_LEN]> {
        self.expire(now);
        if let Some(Control { channel, command, data }) = self.controls.pop_front() {
            return Some(single(channel, command, &data));
        }
        match &mut self.phase {
            Phase::Responding(message) => {
                let report = message.next(buffer);
                if message.is_done() {
                    self.phase = Phase::Idle;
                }
                report
            }
            Phase::Processing { channel, keep_alive: Some((status, due)), .. } if *due <= now => {
                *due = now.plus(KEEP_ALIVE_INTERVAL);
                Some(single(*channel, Command::KEEPALIVE, &[u8::from(*status)]))
            }
            _ => None,
        }
    }

    /// The channel of the transaction under way.
    pub const fn channel(&self) -> Option<u32> {
        match self.phase {
            Phase::Idle => None,
            Phase::Assembling { message: Incoming { channel, .. }, .. }
            | Phase::Processing { channel, .. }
            | Phase::Responding(Outgoing { channel, .. }) => Some(channel),
        }
    }

    /// When [`Device::transmit`] is to be called though nothing came in; in the past when a report is ready now.
    pub fn deadline(&self) -> Option<Instant> {
        match self.phase {
            _ if !self.controls.is_empty() => Some(Instant::default()),
            Phase::Responding(_) => Some(Instant::default()),
            Phase::Assembling { due, .. } => Some(due),
            Phase::Processing { keep_alive, .. } => keep_alive.map(|(_, due)| due),
            Phase::Idle => None,
        }
    }

    /// Judges the first packet of a message; the order of the checks is observable.
    fn begin(
        &mut self,
        now: Instant,
        mut message: Incoming,
        data: &[u8],
        buffer: &mut [u8],
    ) -> Result<Option<DeviceEvent>, ErrorCode> {
        let Incoming { channel, command, .. } = message;
        // 1. the channel
        let allowed = if channel == BROADCAST { command == Command::INIT } else { self.knows(channel) };
        if !allowed {
            return Err(ErrorCode::INVALID_CHANNEL);
        }
        // 2. what has no answer
        if command == Command::CANCEL {
            return Ok(self.cancel(channel));
        }
        // 3. another client's lock
        if self.lock.is_some_and(|(holder, _)| holder != channel) {
            return Err(ErrorCode::CHANNEL_BUSY);
        }
        // 4. what never waits: another client's transaction goes on undisturbed
        if command == Command::INIT {
            return self.init(message, data);
        }
        // 5. one transaction at a time
        match self.busy_channel() {
            None => {}
            Some(busy) if busy == channel && matches!(self.phase, Phase::Assembling { .. }) => {
                self.phase = Phase::Idle;
                return Err(ErrorCode::INVALID_SEQ);
            }
            Some(_) => return Err(ErrorCode::CHANNEL_BUSY),
        }
        // 6. the command and its length
        self.check(message, buffer.len())?;
        match command {
            Command::WINK => {
                self.control(channel, command, &[]);
                Ok(Some(DeviceEvent::Wink))
            }
            Command::LOCK => {
                let [seconds, ..] = bytes::array::<1>(data);
                if seconds > MAX_LOCK {
                    return Err(ErrorCode::INVALID_PAR);
                }
                let until = now.plus(Duration::from_secs(seconds.into()));
                self.lock = (seconds > 0).then_some((channel, until));
                self.control(channel, command, &[]);
                Ok(None)
            }
            _ => {
                message.start(data, buffer);
                self.phase = Phase::Assembling { message, due: now.plus(PACKET_TIMEOUT) };
                Ok(self.complete(message))
            }
        }
    }

    /// Whether the command is known and the length is one it can have.
    fn check(&self, message: Incoming, room: usize) -> Result<(), ErrorCode> {
        let has = |capability| self.config.capabilities.contains(capability);
        let longest = self.config.max_message.min(room).min(MAX_MESSAGE);
        let (known, lengths) = match message.command {
            Command::PING => (true, 0..=longest),
            Command::LOCK => (true, 1..=1),
            Command::WINK => (has(Capabilities::WINK), 0..=0),
            Command::CBOR => (has(Capabilities::CBOR), 1..=longest),
            Command::MSG => (!has(Capabilities::NMSG), 1..=longest),
            other => (other.is_vendor() && self.config.vendor_commands, 0..=longest),
        };
        if !known {
            return Err(ErrorCode::INVALID_CMD);
        }
        if !lengths.contains(&message.len.into()) {
            return Err(ErrorCode::INVALID_LEN);
        }
        Ok(())
    }

    /// Moves on when the last packet of a message is here.
    fn complete(&mut self, message: Incoming) -> Option<DeviceEvent> {
        let Incoming { channel, command, len, .. } = message;
        if !message.is_complete() {
            return None;
        }
        if command == Command::PING {
            self.phase = Phase::Responding(Outgoing::new(channel, command, len));
            return None;
        }
        self.phase = Phase::Processing { channel, command, cancelled: false, keep_alive: None };
        Some(DeviceEvent::Request { command, len: len.into() })
    }

    /// On the broadcast channel: allocates a channel. On another: drops its transaction and keeps it.
    fn init(&mut self, message: Incoming, data: &[u8]) -> Result<Option<DeviceEvent>, ErrorCode> {
        if usize::from(message.len) != NONCE_LEN {
            return Err(ErrorCode::INVALID_LEN);
        }
        let mut event = None;
        let channel = if message.channel == BROADCAST {
            self.allocate()
        } else {
            if self.busy_channel() == Some(message.channel) {
                event = matches!(self.phase, Phase::Processing { .. }).then_some(DeviceEvent::Aborted);
                self.phase = Phase::Idle;
            }
            message.channel
        };
        let [c0, c1, c2, c3] = channel.to_be_bytes();
        let [major, minor, build] = self.config.version;
        let facts = [c0, c1, c2, c3, PROTOCOL_VERSION, major, minor, build, self.config.capabilities.0];
        let mut response = [0; INIT_RESPONSE_LEN];
        for (to, from) in response.iter_mut().zip(data.iter().take(NONCE_LEN).chain(&facts)) {
            *to = *from;
        }
        self.control(message.channel, Command::INIT, &response);
        Ok(event)
    }

    fn cancel(&mut self, from: u32) -> Option<DeviceEvent> {
        match &mut self.phase {
            Phase::Processing { channel, command: Command::CBOR, cancelled: cancelled @ false, .. }
                if *channel == from =>
            {
                *cancelled = true;
                Some(DeviceEvent::Cancel)
            }
            _ => None,
        }
    }

    fn busy_channel(&self) -> Option<u32> {
        match self.phase {
            Phase::Idle => None,
            Phase::Assembling { message, .. } => Some(message.channel),
            Phase::Processing { channel, .. } => Some(channel),
            Phase::Responding(message) => Some(message.channel),
        }
    }

    /// Whether the channel may be used; marks it as used.
    fn knows(&mut self, channel: u32) -> bool {
        let lenient = self.config.unknown_channels == UnknownChannels::Lenient;
        let known = channel != 0 && (lenient || self.channels.contains(&channel));
        if known {
            self.remember(channel);
        }
        known
    }

    fn allocate(&mut self) -> u32 {
        // Ends: at most CHANNELS + 2 numbers are taken.
        let mut channel = self.last_channel.wrapping_add(1);
        while channel == 0 || channel == BROADCAST || self.channels.contains(&channel) {
            channel = channel.wrapping_add(1);
        }
        self.last_channel = channel;
        self.remember(channel);
        channel
    }

    /// Puts the channel last. The least recently used one makes room, unless it is busy or holds the lock.
    fn remember(&mut self, channel: u32) {
        self.channels.retain(|&known| known != channel);
        if self.channels.is_full() {
            let kept = [self.busy_channel(), self.lock.map(|(holder, _)| holder)];
            let oldest = self.channels.iter().copied().find(|known| !kept.contains(&Some(*known)));
            self.channels.retain(|&known| Some(known) != oldest);
        }
        // There is room: two channels at most are kept back.
        let _ = self.channels.push(channel);
    }

    fn expire(&mut self, now: Instant) {
        if let Phase::Assembling { message, due } = self.phase
            && due <= now
        {
            self.phase = Phase::Idle;
            self.error(message.channel, ErrorCode::MSG_TIMEOUT);
        }
        self.lock = self.lock.filter(|&(_, until)| now < until);
    }

    fn error(&mut self, channel: u32, code: ErrorCode) {
        self.control(channel, Command::ERROR, &[code.0]);
    }

    fn control(&mut self, channel: u32, command: Command, data: &[u8]) {
        // A client that asks without reading loses the oldest answers, so that its INIT is still answered.
        if self.controls.is_full() {
            self.controls.pop_front();
        }
        let data = Vec::from_slice(data).unwrap_or_default();
        let _ = self.controls.push_back(Control { channel, command, data });
    }
}

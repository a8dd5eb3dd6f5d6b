//! The authenticator's end of NFC.

use super::{
    AID, CANCEL, CHAINING, CONTROL, CTAP, END, EXTENDED_RESPONSE, GET_RESPONSE, ISO, KNOWS_POLLING, MSG, POLL,
    POLL_PAUSE, ResponseApdu, SELECT, SELECT_BY_NAME, SHORT_RESPONSE, Version, more,
};
use crate::{
    Instant, bytes,
    ctap1::{Apdu, StatusWord},
    transport::{KeepAlive, Protocol},
};

/// Bytes before the data of a U2F request: class, instruction, P1, P2, and Lc in extended length encoding.
const U2F_HEAD: usize = 7;

/// The configuration of a [`Device`].
#[derive(Clone, Copy, Debug)]
pub struct DeviceConfig {
    /// Whether U2F is supported. It decides the answer to SELECT.
    pub u2f: bool,
    /// Whether CTAP2 is supported.
    pub ctap2: bool,
    /// The longest message accepted, in bytes: maxMsgSize. The buffer's length is a second limit.
    pub max_message: usize,
    /// Whether commands in extended length encoding are accepted, as the standard requires. If not, they are refused
    /// with [`StatusWord::WRONG_LENGTH`], as by an interface that carries short frames only.
    pub extended_length: bool,
}

impl Default for DeviceConfig {
    /// U2F, CTAP2, the longest messages of CTAPHID, extended length.
    fn default() -> Self {
        Self { u2f: true, ctap2: true, max_message: crate::transport::hid::MAX_MESSAGE, extended_length: true }
    }
}

/// What the authenticator must do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeviceEvent {
    /// Answer this request with [`Device::respond`]. If another request is pending, this one takes its place.
    Request {
        /// CTAP2, or U2F with the whole APDU.
        protocol: Protocol,
        /// Its length in bytes, never zero. It lies at the front of the buffer.
        len: usize,
    },
    /// Give up the pending request and answer it with status KEEPALIVE_CANCEL. Comes once per request.
    Cancel,
    /// Drop the pending request and do not answer it, or know that the rest of its answer was not fetched.
    Aborted,
    /// The client begins anew with SELECT, or has ended with NFCCTAP_CONTROL. Drop the pending request, if any, and
    /// what the next command of a sequence would go on with.
    Ended,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Idle,
    /// A chain of commands with this class, instruction, P1 and P2 has brought so many bytes of data.
    Assembling {
        head: [u8; 4],
        len: usize,
    },
    Processing {
        protocol: Protocol,
        /// Whether the client knows NFCCTAP_GETRESPONSE.
        polls: bool,
        cancelled: bool,
        status: KeepAlive,
        /// Whether the client knows that a touch is needed.
        told: bool,
    },
    /// The first `sent` bytes of the response's data were sent.
    Responding {
        protocol: Protocol,
        len: usize,
        sent: usize,
    },
}

/// The response that the last command waits for.
#[derive(Clone, Copy, Debug)]
enum Owed {
    Nothing,
    Status(StatusWord),
    Version,
    /// The next part of the answer, at most `limit` bytes; or a status, if there is none [`POLL_PAUSE`] after `since`.
    Answer {
        limit: usize,
        since: Instant,
    },
}

/// The authenticator's end: takes command APDUs, hands out requests, and returns response APDUs.
///
/// ```
/// use keyfob_core::{Instant, transport::{Protocol, nfc::{AID, Device, DeviceConfig, DeviceEvent}}};
///
/// let (mut device, mut buffer, now) = (Device::new(DeviceConfig::default()), [0; 1024], Instant::default());
/// let mut apdu = [0; 261]; // the longest in short length encoding
///
/// let select = [&[0x00, 0xA4, 0x04, 0x00, 0x08][..], &AID, &[0x00]].concat();
/// device.receive(now, &select, &mut buffer);
/// let len = device.transmit(now, &buffer).and_then(|response| response.encode(&mut apdu)).unwrap();
/// assert_eq!(&apdu[..len], b"U2F_V2\x90\x00");
///
/// let event = device.receive(now, &[0x80, 0x10, 0x00, 0x00, 0x01, 0x04, 0x00], &mut buffer);
/// assert_eq!(event, Some(DeviceEvent::Request { protocol: Protocol::Ctap2, len: 1 }));
/// assert_eq!(device.transmit(now, &buffer), None); // until the request is answered
/// buffer[..3].copy_from_slice(&[0x00, 0xA1, 0x01]);
/// device.respond(3);
/// let len = device.transmit(now, &buffer).and_then(|response| response.encode(&mut apdu)).unwrap();
/// assert_eq!(apdu[..len], [0x00, 0xA1, 0x01, 0x90, 0x00]);
/// ```
///
/// Every command has one response, which [`Device::transmit`] returns at once, or when the request is answered. Until
/// then the driver keeps the reader waiting, with the waiting time extension of ISO 14443-4. Only a client that has
/// said that it knows NFCCTAP_GETRESPONSE is told in the meantime what the request waits for, after [`POLL_PAUSE`], or
/// at once when the user must act.
///
/// The buffer given to [`Device::receive`] and [`Device::transmit`] must be one and the same. From
/// [`DeviceEvent::Request`] to [`Device::respond`] it belongs to the caller.
#[derive(Debug)]
pub struct Device {
    config: DeviceConfig,
    selected: bool,
    phase: Phase,
    owed: Owed,
    /// The status that was told last.
    told: [u8; 1],
}

impl Device {
    /// A device that has just come into a reader's field.
    pub const fn new(config: DeviceConfig) -> Self {
        Self { config, selected: false, phase: Phase::Idle, owed: Owed::Nothing, told: [0] }
    }

    /// The field is gone: forgets the selection and the transaction. Also for a card on which another application was
    /// selected.
    pub const fn reset(&mut self) {
        *self = Self::new(self.config);
    }

    /// Whether SELECT was answered, and no END came since.
    pub const fn is_selected(&self) -> bool {
        self.selected
    }

    /// Whether no transaction is pending: no request, and no part of a response that was not fetched.
    pub const fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Idle)
    }

    /// Takes one command APDU. Before the next one, send its response, which [`Device::transmit`] returns.
    pub fn receive(&mut self, now: Instant, command: &[u8], buffer: &mut [u8]) -> Option<DeviceEvent> {
        match self.take(now, command, buffer) {
            Ok(event) => event,
            Err(status) => {
                self.owed = Owed::Status(status);
                self.refused(command)
            }
        }
    }

    /// Answers the pending request with `buffer[..len]`: a status byte and data, or the response of U2F with its status
    /// word. Without a pending request nothing happens.
    pub fn respond(&mut self, len: usize) {
        if let Phase::Processing { protocol, .. } = self.phase {
            self.phase = Phase::Responding { protocol, len, sent: 0 };
        }
    }

    /// Sets what the pending request waits for.
    pub fn keep_alive(&mut self, waits_for: KeepAlive) {
        if let Phase::Processing { status, told, .. } = &mut self.phase {
            *told &= *status == waits_for;
            *status = waits_for;
        }
    }

    /// The response to the last command. `None` when there is none yet, or it was already returned.
    pub fn transmit<'m>(&'m mut self, now: Instant, buffer: &'m [u8]) -> Option<ResponseApdu<'m>> {
        if self.deadline().is_none_or(|due| now < due) {
            return None;
        }
        match core::mem::replace(&mut self.owed, Owed::Nothing) {
            Owed::Nothing => None,
            Owed::Status(status) => Some(ResponseApdu::empty(status)),
            Owed::Version => Some(ResponseApdu { data: self.version().as_bytes(), status: StatusWord::NO_ERROR }),
            Owed::Answer { limit, .. } => Some(self.answer(limit, buffer)),
        }
    }

    /// When to call [`Device::transmit`] if no command comes in. A time in the past when a response is ready now.
    pub fn deadline(&self) -> Option<Instant> {
        match (self.owed, self.phase) {
            (Owed::Nothing, _) => None,
            (Owed::Answer { since, .. }, Phase::Processing { polls, status, told, .. }) => {
                let urgent = status == KeepAlive::UpNeeded && !told;
                polls.then(|| if urgent { Instant::default() } else { since.plus(POLL_PAUSE) })
            }
            _ => Some(Instant::default()),
        }
    }

    /// What SELECT answers.
    const fn version(&self) -> Version {
        if self.config.u2f { Version::U2fV2 } else { Version::Fido2_0 }
    }

    fn take(&mut self, now: Instant, command: &[u8], buffer: &mut [u8]) -> Result<Option<DeviceEvent>, StatusWord> {
        let DeviceConfig { u2f, ctap2, extended_length, .. } = self.config;
        // 1. the lengths
        let apdu = Apdu::decode(command).ok_or(StatusWord::WRONG_LENGTH)?;
        let extended = matches!(command, [_, _, _, _, 0, _, ..]);
        if extended && !extended_length {
            return Err(StatusWord::WRONG_LENGTH);
        }
        // Clients that leave Le out want the response too.
        let limit = match apdu.expected {
            0 if extended => EXTENDED_RESPONSE,
            0 => SHORT_RESPONSE,
            expected => expected,
        };
        let answer = Owed::Answer { limit, since: now };
        // 2. the class, and 3. the instruction
        match (apdu.class, apdu.instruction) {
            (ISO, SELECT) => self.select(apdu),
            (ISO | CTAP, GET_RESPONSE) => self.rest(answer),
            (CTAP, POLL) if ctap2 => self.poll(apdu.p1, answer),
            (CTAP, CONTROL) => self.control(apdu),
            _ => match (apdu.class & !CHAINING, apdu.instruction) {
                (CTAP, MSG) if ctap2 => self.message(Protocol::Ctap2, apdu, answer, buffer),
                (ISO, 0x01..=0x03) if u2f => self.message(Protocol::Ctap1, apdu, answer, buffer),
                (ISO | CTAP, _) => Err(StatusWord::INS_NOT_SUPPORTED),
                _ => Err(StatusWord::CLA_NOT_SUPPORTED),
            },
        }
    }

    fn select(&mut self, apdu: Apdu<'_>) -> Result<Option<DeviceEvent>, StatusWord> {
        if apdu.p1 != SELECT_BY_NAME {
            return Err(StatusWord::INCORRECT_P1_P2);
        }
        if apdu.data != AID {
            return Err(StatusWord::FILE_NOT_FOUND);
        }
        (self.selected, self.phase, self.owed) = (true, Phase::Idle, Owed::Version);
        Ok(Some(DeviceEvent::Ended))
    }

    fn control(&mut self, apdu: Apdu<'_>) -> Result<Option<DeviceEvent>, StatusWord> {
        self.check_selected()?;
        if (apdu.p1, apdu.p2) != (END, 0) {
            return Err(StatusWord::INCORRECT_P1_P2);
        }
        (self.selected, self.phase, self.owed) = (false, Phase::Idle, Owed::Status(StatusWord::NO_ERROR));
        Ok(Some(DeviceEvent::Ended))
    }

    /// A refused command drops the chain, and gives the pending request up unless it asks for the answer.
    const fn refused(&mut self, command: &[u8]) -> Option<DeviceEvent> {
        let asks = matches!(command, [CTAP, POLL, ..] | [ISO | CTAP, GET_RESPONSE, ..]);
        match self.phase {
            Phase::Assembling { .. } => {
                self.phase = Phase::Idle;
                None
            }
            Phase::Processing { .. } if !asks => {
                self.phase = Phase::Idle;
                Some(DeviceEvent::Aborted)
            }
            _ => None,
        }
    }

    /// The client asks for the answer to the pending request, or cancels it.
    fn poll(&mut self, p1: u8, answer: Owed) -> Result<Option<DeviceEvent>, StatusWord> {
        self.check_selected()?;
        match &mut self.phase {
            Phase::Processing { polls: true, cancelled, .. } => {
                self.owed = answer;
                let cancels = p1 == CANCEL && !*cancelled;
                *cancelled |= cancels;
                Ok(cancels.then_some(DeviceEvent::Cancel))
            }
            Phase::Responding { sent: 0, .. } => {
                self.owed = answer;
                Ok(None)
            }
            _ => Err(StatusWord::CONDITIONS_NOT_SATISFIED),
        }
    }

    /// The client fetches the next part of a response.
    fn rest(&mut self, answer: Owed) -> Result<Option<DeviceEvent>, StatusWord> {
        match self.phase {
            Phase::Responding { sent: 1.., .. } => {
                self.owed = answer;
                Ok(None)
            }
            _ => Err(StatusWord::CONDITIONS_NOT_SATISFIED),
        }
    }

    /// A request, or a piece of one.
    fn message(
        &mut self,
        protocol: Protocol,
        apdu: Apdu<'_>,
        answer: Owed,
        buffer: &mut [u8],
    ) -> Result<Option<DeviceEvent>, StatusWord> {
        self.check_selected()?;
        if protocol == Protocol::Ctap2 && apdu.p2 != 0 {
            return Err(StatusWord::INCORRECT_P1_P2);
        }
        let head = [apdu.class & !CHAINING, apdu.instruction, apdu.p1, apdu.p2];
        let done = match self.phase {
            Phase::Assembling { head: begun, len } if begun == head => len,
            _ => 0,
        };
        let front = if protocol == Protocol::Ctap1 { U2F_HEAD } else { 0 };
        let len = done.saturating_add(apdu.data.len());
        let whole = front.saturating_add(len);
        let length = u16::try_from(len).map_err(|_| StatusWord::WRONG_LENGTH)?;
        let room = buffer.get_mut(..whole).filter(|_| whole <= self.config.max_message);
        let message = room.ok_or(StatusWord::WRONG_LENGTH)?;
        bytes::copy(bytes::rest_mut(message, front.saturating_add(done)), apdu.data);

        if apdu.class & CHAINING != 0 {
            let pending = matches!(self.phase, Phase::Processing { .. } | Phase::Responding { .. });
            self.phase = Phase::Assembling { head, len };
            self.owed = Owed::Status(StatusWord::NO_ERROR);
            return Ok(pending.then_some(DeviceEvent::Aborted));
        }
        if protocol == Protocol::Ctap1 {
            // In extended length encoding, whatever the commands had.
            bytes::join(bytes::front_mut(message, U2F_HEAD), &[&head, &[0], &length.to_be_bytes()]);
        }
        if whole == 0 {
            return Err(StatusWord::WRONG_LENGTH);
        }
        let polls = protocol == Protocol::Ctap2 && apdu.p1 & KNOWS_POLLING != 0;
        let status = KeepAlive::Processing;
        self.phase = Phase::Processing { protocol, polls, cancelled: false, status, told: false };
        self.owed = answer;
        Ok(Some(DeviceEvent::Request { protocol, len: whole }))
    }

    const fn check_selected(&self) -> Result<(), StatusWord> {
        if self.selected { Ok(()) } else { Err(StatusWord::CONDITIONS_NOT_SATISFIED) }
    }

    /// A part of the answer, or what the request waits for.
    fn answer<'m>(&'m mut self, limit: usize, buffer: &'m [u8]) -> ResponseApdu<'m> {
        match &mut self.phase {
            Phase::Processing { status, told, .. } => {
                (*told, self.told) = (true, [u8::from(*status)]);
                ResponseApdu { data: &self.told, status: StatusWord::STATUS_UPDATE }
            }
            Phase::Responding { protocol, len, sent } => {
                let message = buffer.get(..*len).unwrap_or(buffer); // of a driver that answers more than it has
                let whole = match protocol {
                    // The response of U2F brings its status word.
                    Protocol::Ctap1 => {
                        ResponseApdu::decode(message).unwrap_or(ResponseApdu::empty(StatusWord::UNKNOWN))
                    }
                    Protocol::Ctap2 => ResponseApdu { data: message, status: StatusWord::NO_ERROR },
                };
                let left = whole.data.get(*sent..).unwrap_or_default();
                match left.split_at_checked(limit) {
                    Some((part, later @ [_, ..])) => {
                        *sent = sent.saturating_add(limit);
                        ResponseApdu { data: part, status: more(later.len()) }
                    }
                    _ => {
                        self.phase = Phase::Idle;
                        ResponseApdu { data: left, status: whole.status }
                    }
                }
            }
            // Nothing else leaves an answer owed.
            Phase::Idle | Phase::Assembling { .. } => ResponseApdu::empty(StatusWord::UNKNOWN),
        }
    }
}

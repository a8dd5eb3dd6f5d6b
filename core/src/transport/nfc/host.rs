//! The client's end of NFC.

use super::{
    AID, CANCEL, CHAINING, CTAP, GET_RESPONSE, ISO, KNOWS_POLLING, MSG, POLL, ResponseApdu, SELECT, SELECT_BY_NAME,
    Version,
};
use crate::{
    bytes,
    ctap1::{Apdu, StatusWord},
    transport::{KeepAlive, Protocol},
};

/// Message bytes in a command in short length encoding. It could carry 255, but some readers do not take frames of 256
/// bytes and more.
const SHORT_CHUNK: usize = 240;
/// Bytes around the data of a command: class, instruction, P1, P2, Lc and Le, in extended length encoding.
const FRAME_BYTES: usize = 4 + 3 + 2;
/// How often a client asks for an answer before it gives up. With [`super::POLL_PAUSE`] between two questions, and as
/// long a time until each is answered, this is the longest timeout that WebAuthn recommends (L3 §15.1), 10 minutes.
pub const MAX_POLLS: u16 = 3_000;
/// The longest response that is fetched, in bytes. The parts of a longer one would never end.
const MAX_RESPONSE: usize = 65_536;

/// How a client encodes the lengths of commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lengths {
    /// In short length encoding, with chains of commands and parts of responses. Every reader and every authenticator
    /// can do that.
    Short,
    /// In extended length encoding: fewer commands, each as long as the frame allows.
    Extended,
}

/// Why a transaction failed at the client's end. The next one begins with SELECT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum NfcFailure {
    /// The authenticator is not selected.
    NotSelected,
    /// Another transaction is pending; [`Host::select`] ends it.
    Pending,
    /// The request of U2F is not an APDU.
    NotAnApdu,
    /// The answer to SELECT is neither that of U2F nor that of CTAP2.
    NotFido,
    /// The authenticator refused a command.
    Refused(StatusWord),
    /// The response has no status word, or says that there is more and brings nothing.
    Malformed,
    /// The response is longer than 65,536 bytes.
    ResponseTooLong,
    /// The response is longer than the buffer. It was fetched and discarded.
    BufferTooSmall {
        /// The response's length, in bytes.
        needed: usize,
    },
    /// The authenticator still works on the request after [`MAX_POLLS`] questions.
    Timeout,
}

/// An event of a transaction. Every event but the keep-alive ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HostEvent {
    /// The authenticator is selected.
    Selected(Version),
    /// The authenticator works on the request. The driver waits for [`super::POLL_PAUSE`] before it sends the next
    /// command.
    KeepAlive(KeepAlive),
    /// The response is complete. That of U2F ends in its status word.
    Response {
        /// Its length in bytes. It lies at the front of the buffer.
        len: usize,
    },
    /// The transaction failed.
    Failed(NfcFailure),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cancel {
    No,
    Wanted,
    Sent,
    /// The authenticator does not know it.
    Refused,
}

/// Which command comes next in a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fetch {
    /// The last piece of the request.
    Answer,
    /// NFCCTAP_GETRESPONSE.
    Poll,
    /// GET RESPONSE for so many bytes, 0 for 256.
    Rest(u8),
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Not selected.
    Closed,
    Selecting,
    Idle,
    Requesting {
        /// Class, instruction, P1 and P2.
        head: [u8; 4],
        /// Where the rest of the data lies in the request.
        from: usize,
        to: usize,
    },
    /// The whole request was returned by `transmit`.
    Responding {
        fetch: Fetch,
        /// Bytes of the response so far.
        received: usize,
    },
}

/// The client's end: one authenticator and one transaction. Takes requests and returns responses.
///
/// [`Host::transmit`] returns a command APDU, [`Host::receive`] takes its response; then the next. The machine has no
/// clock: an authenticator that says that it still works is asked again, up to [`MAX_POLLS`] times.
#[derive(Clone, Copy, Debug)]
pub struct Host {
    lengths: Lengths,
    version: Option<Version>,
    phase: Phase,
    /// Whether a command was sent that has no response yet.
    sent: bool,
    protocol: Protocol,
    cancel: Cancel,
    polls: u16,
}

impl Host {
    /// A client that has not selected an authenticator.
    pub const fn new(lengths: Lengths) -> Self {
        Self {
            lengths,
            version: None,
            phase: Phase::Closed,
            sent: false,
            protocol: Protocol::Ctap2,
            cancel: Cancel::No,
            polls: 0,
        }
    }

    /// What the authenticator answered to the last SELECT.
    pub const fn version(&self) -> Option<Version> {
        self.version
    }

    /// Selects the authenticator. A pending transaction is dropped at both ends.
    pub const fn select(&mut self) {
        *self = Self { phase: Phase::Selecting, ..Self::new(self.lengths) };
    }

    /// Forgets the selection, because the authenticator was without power or its reader failed.
    pub const fn close(&mut self) {
        *self = Self::new(self.lengths);
    }

    /// Whether a request can be sent.
    pub const fn is_ready(&self) -> bool {
        matches!(self.phase, Phase::Idle)
    }

    /// Whether a command was sent that has no response yet.
    pub const fn awaits_response(&self) -> bool {
        self.sent
    }

    /// Whether the whole request was returned by [`Host::transmit`], so that it is not needed any more.
    pub const fn is_sent(&self) -> bool {
        matches!(self.phase, Phase::Responding { .. })
    }

    /// Whether the authenticator has said that it still works, so that the driver waits before the next command.
    pub fn pauses(&self) -> bool {
        matches!(self.phase, Phase::Responding { fetch: Fetch::Poll, .. })
            && !self.sent
            && self.cancel != Cancel::Wanted
    }

    /// Starts a transaction with `request`: a command byte and CBOR, or an APDU of U2F.
    ///
    /// # Errors
    /// [`NfcFailure::NotSelected`], [`NfcFailure::Pending`] and [`NfcFailure::NotAnApdu`]. In these cases nothing has changed.
    pub fn send(&mut self, protocol: Protocol, request: &[u8]) -> Result<(), NfcFailure> {
        match self.phase {
            Phase::Idle => {}
            Phase::Closed => return Err(NfcFailure::NotSelected),
            _ => return Err(NfcFailure::Pending),
        }
        let (head, from, len) = match protocol {
            Protocol::Ctap2 => ([CTAP, MSG, KNOWS_POLLING, 0], 0, request.len()),
            Protocol::Ctap1 => {
                let apdu = Apdu::decode(request).ok_or(NfcFailure::NotAnApdu)?;
                let from = bytes::offset(request, apdu.data).unwrap_or_default();
                ([apdu.class, apdu.instruction, apdu.p1, apdu.p2], from, apdu.data.len())
            }
        };
        (self.protocol, self.cancel, self.polls, self.sent) = (protocol, Cancel::No, 0, false);
        self.phase = Phase::Requesting { head, from, to: from.saturating_add(len) };
        Ok(())
    }

    /// Asks the authenticator to give up the pending CTAP2 request, with the next NFCCTAP_GETRESPONSE, and at most once
    /// per transaction. The response must still be awaited. An authenticator that does not say that it still works
    /// cannot be interrupted, nor can U2F.
    pub fn cancel(&mut self) {
        let pending = matches!(self.phase, Phase::Requesting { .. } | Phase::Responding { .. });
        if pending && self.protocol == Protocol::Ctap2 && self.cancel == Cancel::No {
            self.cancel = Cancel::Wanted;
        }
    }

    /// Writes the next command to the front of `frame` and returns its length. `None` when there is nothing to send, or
    /// the last command has no response yet. `request` is the request, until [`Host::is_sent`]. The frame has room for
    /// 22 bytes at least, for [`super::SHORT_FRAME`] if it is to carry whole commands in short length encoding.
    pub fn transmit(&mut self, request: &[u8], frame: &mut [u8]) -> Option<usize> {
        if self.sent {
            return None;
        }
        let longest = match self.lengths {
            Lengths::Short => Le::Short(0),
            // As long as the frame allows, with its status word.
            Lengths::Extended => Le::Extended(u16::try_from(frame.len().saturating_sub(2)).unwrap_or(0)),
        };
        let len = match self.phase {
            Phase::Closed | Phase::Idle => None,
            Phase::Selecting => write(frame, [ISO, SELECT, SELECT_BY_NAME, 0], &AID, Le::Short(0)),
            Phase::Requesting { head, from, to } => {
                let room = frame.len().saturating_sub(FRAME_BYTES).clamp(1, usize::from(u16::MAX));
                let (chunk, none) = match self.lengths {
                    Lengths::Short => (room.min(SHORT_CHUNK), Le::NoneShort),
                    Lengths::Extended => (room, Le::NoneExtended),
                };
                let data = request.get(from..to).unwrap_or_default();
                match data.split_at_checked(chunk) {
                    Some((data, [_, ..])) => {
                        self.phase = Phase::Requesting { head, from: from.saturating_add(chunk), to };
                        let [class, instruction, p1, p2] = head;
                        write(frame, [class | CHAINING, instruction, p1, p2], data, none)
                    }
                    _ => {
                        self.phase = Phase::Responding { fetch: Fetch::Answer, received: 0 };
                        write(frame, head, data, longest)
                    }
                }
            }
            Phase::Responding { fetch: Fetch::Rest(count), .. } => {
                let class = if self.protocol == Protocol::Ctap1 { ISO } else { CTAP };
                write(frame, [class, GET_RESPONSE, 0, 0], &[], Le::Short(count))
            }
            Phase::Responding { .. } => {
                let cancels = self.cancel == Cancel::Wanted;
                if cancels {
                    self.cancel = Cancel::Sent;
                }
                write(frame, [CTAP, POLL, if cancels { CANCEL } else { 0 }, 0], &[], longest)
            }
        };
        self.sent = len.is_some();
        len
    }

    /// Takes the response to the last command. The response's data are collected in `buffer`.
    pub fn receive(&mut self, response: &[u8], buffer: &mut [u8]) -> Option<HostEvent> {
        if !core::mem::take(&mut self.sent) {
            return None;
        }
        let Some(response) = ResponseApdu::decode(response) else { return Some(self.fail(NfcFailure::Malformed)) };
        match self.phase {
            Phase::Selecting => Some(self.selected(response)),
            Phase::Responding { fetch, received } => self.answered(response, fetch, received, buffer),
            _ if response.status == StatusWord::NO_ERROR => None,
            _ => Some(self.fail(NfcFailure::Refused(response.status))),
        }
    }

    fn selected(&mut self, response: ResponseApdu<'_>) -> HostEvent {
        if response.status != StatusWord::NO_ERROR {
            return self.fail(NfcFailure::Refused(response.status));
        }
        let Some(version) = Version::from_bytes(response.data) else { return self.fail(NfcFailure::NotFido) };
        (self.version, self.phase) = (Some(version), Phase::Idle);
        HostEvent::Selected(version)
    }

    fn answered(
        &mut self,
        ResponseApdu { data, status }: ResponseApdu<'_>,
        fetch: Fetch,
        received: usize,
        buffer: &mut [u8],
    ) -> Option<HostEvent> {
        let fetches_rest = matches!(fetch, Fetch::Rest(_));
        match (self.protocol, status) {
            (_, StatusWord(0x6100..=0x61FF)) => {
                let [_, count] = status.0.to_be_bytes();
                let received = store(data, received, buffer);
                if fetches_rest && data.is_empty() {
                    return Some(self.fail(NfcFailure::Malformed));
                }
                if received > MAX_RESPONSE {
                    return Some(self.fail(NfcFailure::ResponseTooLong));
                }
                self.phase = Phase::Responding { fetch: Fetch::Rest(count), received };
                None
            }
            (Protocol::Ctap2, StatusWord::STATUS_UPDATE) if !fetches_rest => {
                self.polls = self.polls.saturating_add(1);
                if self.polls > MAX_POLLS {
                    return Some(self.fail(NfcFailure::Timeout));
                }
                self.phase = Phase::Responding { fetch: Fetch::Poll, received };
                Some(HostEvent::KeepAlive(data.first().map_or(KeepAlive::Processing, |status| (*status).into())))
            }
            (Protocol::Ctap2, StatusWord::NO_ERROR) => Some(self.complete(store(data, received, buffer), buffer)),
            // An authenticator from before CTAP 2.3: it goes on with the request, and so does this client.
            (Protocol::Ctap2, _) if fetch == Fetch::Poll && self.cancel == Cancel::Sent => {
                self.cancel = Cancel::Refused;
                None
            }
            (Protocol::Ctap2, _) => Some(self.fail(NfcFailure::Refused(status))),
            (Protocol::Ctap1, _) => {
                let received = store(data, received, buffer);
                let received = store(&status.0.to_be_bytes(), received, buffer);
                Some(self.complete(received, buffer))
            }
        }
    }

    fn complete(&mut self, len: usize, buffer: &[u8]) -> HostEvent {
        self.phase = Phase::Idle;
        if len > buffer.len() {
            return HostEvent::Failed(NfcFailure::BufferTooSmall { needed: len });
        }
        HostEvent::Response { len }
    }

    /// The two ends may not agree any more.
    fn fail(&mut self, failure: NfcFailure) -> HostEvent {
        self.phase = Phase::Closed;
        HostEvent::Failed(failure)
    }
}

/// Puts data behind what was received, as far as there is room, and returns how much was received in all.
fn store(data: &[u8], received: usize, buffer: &mut [u8]) -> usize {
    if let Some(room) = buffer.get_mut(received..) {
        bytes::copy_prefix(room, data);
    }
    received.saturating_add(data.len())
}

/// The length of the response that a command allows, and how the command encodes lengths.
enum Le {
    /// 0 for 256 bytes.
    Short(u8),
    /// 0 for 65,536 bytes.
    Extended(u16),
    /// None: the command is not the last of its chain.
    NoneShort,
    NoneExtended,
}

/// Writes a command APDU to the front of `frame`. `None` if it does not fit.
fn write(frame: &mut [u8], head: [u8; 4], data: &[u8], le: Le) -> Option<usize> {
    let [high, low] = u16::try_from(data.len()).ok()?.to_be_bytes();
    let extended = matches!(le, Le::Extended(_) | Le::NoneExtended);
    let lc: &[u8] = match (data.is_empty(), extended) {
        (true, false) => &[],
        (true, true) => &[0],
        (false, false) => &[low],
        (false, true) => &[0, high, low],
    };
    let [a, b] = match le {
        Le::Short(count) => [0, count],
        Le::Extended(count) => count.to_be_bytes(),
        Le::NoneShort | Le::NoneExtended => [0; 2],
    };
    let le: &[u8] = match le {
        Le::Short(_) => &[b],
        Le::Extended(_) => &[a, b],
        Le::NoneShort | Le::NoneExtended => &[],
    };
    let len = head.len().saturating_add(lc.len()).saturating_add(data.len()).saturating_add(le.len());
    frame.get_mut(..len).map(|room| bytes::join(room, &[&head, lc, data, le]))
}

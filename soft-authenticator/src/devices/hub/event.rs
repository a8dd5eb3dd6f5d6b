//! What a hub tells its watcher.

use std::{fmt, net::SocketAddr, sync::Arc};

use keyfob_core::{
    Status,
    ctap1::{Apdu, StatusWord},
    ctap2,
    transport::{
        KeepAlive,
        hid::{HidCommand, HidErrorCode, Packet, REPORT_LEN},
        nfc::ResponseApdu,
    },
};

use crate::devices::vpcd;

/// The channel of a card, which has none: zero, which CTAPHID never allocates.
const CARD: u32 = 0;

/// One opener of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Peer {
    /// The other end of a TCP connection.
    Tcp(SocketAddr),
    /// The other end of a connection to a Unix socket. These are numbered.
    Unix(u32),
    /// The sender of UDP datagrams.
    Udp(SocketAddr),
    /// All programs of this machine that have the device of uhid open.
    Uhid,
    /// A machine that has attached the key over USB/IP.
    Usbip(SocketAddr),
    /// The virtual reader of vpcd at this address, in whose field the key is as a card.
    Vpcd(SocketAddr),
    /// A client in the process of the hub.
    Process,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) | Self::Udp(address) | Self::Usbip(address) => address.fmt(f),
            Self::Process => f.write_str("this process"),
            Self::Uhid => f.write_str("uhid"),
            Self::Vpcd(address) => write!(f, "reader {address}"),
            Self::Unix(number) => write!(f, "client {number}"),
        }
    }
}

/// What happened at a hub.
///
/// A card has no channels: its commands have channel 0. A CTAP2 message of a card is told as [`HidCommand::CBOR`], one
/// of U2F as [`HidCommand::MSG`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HubEvent {
    /// The key was plugged in: it has powered up.
    PluggedIn,
    /// The key was unplugged.
    Unplugged,
    /// A client has opened the key.
    Opened(Peer),
    /// A client has closed the key, or was closed because the key was unplugged.
    Closed(Peer),
    /// A client was closed because it took none of the key's reports for five seconds.
    Stuck(Peer),
    /// A connection was closed, or a datagram was ignored, because it did not begin with INIT on the broadcast channel.
    Stranger(Peer),
    /// A connection was closed because as many clients as possible have the key open.
    Full(Peer),
    /// The key has powered up in the field of a reader.
    InField(Peer),
    /// The field is off, or the card was taken out.
    OutOfField(Peer),
    /// No reader answers at the address where the key is to be a card, or not as vpcd does. Told once, until one does.
    NoReader(Peer, Option<vpcd::Error>),
    /// A client sent the first report of a message, or the last APDU of one.
    Command {
        /// The client.
        peer: Peer,
        /// The channel that it used.
        channel: u32,
        /// The command of CTAPHID.
        command: HidCommand,
        /// The command of CTAP2, in a CBOR message that is not empty.
        ctap2: Option<ctap2::Command>,
    },
    /// A request waits for a touch or for user verification.
    TouchAsked {
        /// The channel of the request.
        channel: u32,
    },
    /// The key sent the first report of an answer.
    Answered {
        /// The channel of the request.
        channel: u32,
        /// The command of CTAPHID.
        command: HidCommand,
        /// The status of a CBOR message.
        status: Option<Status>,
    },
    /// The key refused a message.
    Refused {
        /// The channel of the message.
        channel: u32,
        /// Why.
        code: HidErrorCode,
    },
    /// The card refused an APDU.
    RefusedApdu(StatusWord),
    /// A report went to the key.
    ToKey(Peer, [u8; REPORT_LEN]),
    /// The key sent a report, to every opener.
    FromKey([u8; REPORT_LEN]),
    /// A command APDU went to the card.
    ApduToKey(Peer, Arc<[u8]>),
    /// The card sent a response APDU.
    ApduFromKey(Arc<[u8]>),
}

/// Reads the messages in the reports.
#[derive(Default)]
pub(super) struct Observer {
    /// The channel whose request waits for a touch.
    touch: Option<u32>,
    /// The first byte of the message whose chain of APDUs has begun.
    begun: Option<u8>,
    /// What the card has not answered.
    pending: Option<HidCommand>,
}

impl Observer {
    /// A report goes to the key.
    pub fn request(&mut self, peer: Peer, report: &[u8; REPORT_LEN]) -> Option<HubEvent> {
        let Packet::Initialization { channel, command, len, data } = Packet::parse(report) else { return None };
        let ctap2 = (command == HidCommand::CBOR && len > 0).then(|| data.first().copied().map(ctap2::Command));
        Some(HubEvent::Command { peer, channel, command, ctap2: ctap2.flatten() })
    }

    /// A report comes from the key.
    pub fn answer(&mut self, report: &[u8; REPORT_LEN]) -> Option<HubEvent> {
        let Packet::Initialization { channel, command, data, .. } = Packet::parse(report) else { return None };
        let first = data.first().copied().unwrap_or_default();
        if command == HidCommand::KEEPALIVE {
            let waits = first == u8::from(KeepAlive::UpNeeded);
            let is_new = waits && self.touch != Some(channel);
            self.touch = waits.then_some(channel);
            return is_new.then_some(HubEvent::TouchAsked { channel });
        }
        if command == HidCommand::ERROR {
            return Some(HubEvent::Refused { channel, code: HidErrorCode(first) });
        }
        self.touch = self.touch.filter(|waiting| *waiting != channel);
        let status = (command == HidCommand::CBOR).then_some(Status(first));
        Some(HubEvent::Answered { channel, command, status })
    }

    /// A command APDU goes to the card.
    pub fn command(&mut self, peer: Peer, command: &[u8]) -> Option<HubEvent> {
        let apdu = Apdu::decode(command)?;
        let is_part = apdu.class & 0x10 != 0;
        let command = match (apdu.class & !0x10, apdu.instruction) {
            (0x80, 0x10) => HidCommand::CBOR,
            (0x00, 0x01..=0x03) => HidCommand::MSG,
            (0x80, 0x11) if apdu.p1 == 0x11 => {
                return Some(HubEvent::Command { peer, channel: CARD, command: HidCommand::CANCEL, ctap2: None });
            }
            _ => return None,
        };
        let first = self.begun.take().or(apdu.data.first().copied());
        if is_part {
            self.begun = first;
            return None;
        }
        self.pending = Some(command);
        let ctap2 = first.filter(|_| command == HidCommand::CBOR).map(ctap2::Command);
        Some(HubEvent::Command { peer, channel: CARD, command, ctap2 })
    }

    /// A response APDU comes from the card.
    pub fn response(&mut self, response: &[u8]) -> Option<HubEvent> {
        let ResponseApdu { data, status } = ResponseApdu::decode(response)?;
        let first = data.first().copied().unwrap_or_default();
        if status == StatusWord::STATUS_UPDATE {
            let is_new = first == u8::from(KeepAlive::UpNeeded) && self.touch.replace(CARD).is_none();
            return is_new.then_some(HubEvent::TouchAsked { channel: CARD });
        }
        self.touch = None;
        let pending = self.pending.take();
        match (pending, status) {
            // U2F has its status in the status word.
            (Some(command @ HidCommand::MSG), _) => Some(HubEvent::Answered { channel: CARD, command, status: None }),
            (Some(command), StatusWord::NO_ERROR | StatusWord(0x6100..=0x61FF)) => {
                Some(HubEvent::Answered { channel: CARD, command, status: Some(Status(first)) })
            }
            (None, StatusWord::NO_ERROR | StatusWord(0x6100..=0x61FF)) => None,
            _ => {
                self.begun = None;
                Some(HubEvent::RefusedApdu(status))
            }
        }
    }
}

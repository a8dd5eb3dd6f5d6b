//! CTAPHID (CTAP 2.3 §11.2): messages of up to 7609 bytes in 64-byte reports.
//!
//! ```text
//!                 0        4         5      6      7                              64
//! initialization  | channel | 80|cmd | length, BE | data, 57 bytes                |
//! continuation    | channel | seq    | data, 59 bytes                             |
//! ```
//!
//! A message is one initialization packet and as many continuation packets, sequence 00 to 7F, as its length requires;
//! the last packet is padded with zeros. The channel identifies the client: a client gets its own channel with INIT on
//! the [`BROADCAST`] channel. The authenticator serves one transaction at a time.
//!
//! | file | what it is |
//! |---|---|
//! | `mod.rs` | the packet layout and its numbers |
//! | `message.rs` | messages to packets and back, for both ends |
//! | `device.rs` | [`Device`], the authenticator's end |
//! | `front.rs` | [`Front`], a [`Device`] that an interrupt and a thread share |
//! | `host.rs` | [`Host`], the client's end |
//! | `io.rs` | [`HidTransport`] and [`AsyncHidTransport`], which drive a [`Host`] over a pipe of reports |
//! | `link.rs` | what both drivers have in common |
//! | `descriptor.rs` | [`ReportLens`]: whether a HID device is an authenticator |
//!
//! Both machines are driven in the same way: pass every report that came in to `receive`, send what `transmit` returns
//! until it returns `None`, and do so again at `deadline`. Message bytes lie in one buffer that the caller owns and
//! lends to each call; the machines keep only positions in it.

use core::time::Duration;

use crate::named::named;

mod descriptor;
mod device;
mod front;
mod host;
mod io;
mod link;
mod message;
#[cfg(test)]
mod tests;

pub use descriptor::ReportLens;
pub use device::{Device, DeviceConfig, DeviceEvent, UnknownChannels};
pub use front::Front;
pub use host::{DeviceInfo, HidFailure, Host, HostEvent};
pub use io::{AsyncHidTransport, HidError, HidTransport};

/// Bytes in a report, in either direction.
pub const REPORT_LEN: usize = 64;
/// Message bytes in an initialization packet.
const INIT_DATA: usize = 57;
/// Message bytes in a continuation packet.
const CONTINUATION_DATA: usize = 59;
/// The longest message, in bytes: one initialization packet and 128 continuation packets.
pub const MAX_MESSAGE: usize = INIT_DATA + 128 * CONTINUATION_DATA;
/// The channel on which a client without a channel sends INIT.
pub const BROADCAST: u32 = 0xFFFF_FFFF;
/// The CTAPHID protocol version in an INIT response.
pub const PROTOCOL_VERSION: u8 = 2;
/// The HID report descriptor of an authenticator: usage page F1D0, usage 01, 64-byte input and output reports.
pub const REPORT_DESCRIPTOR: [u8; 34] = [
    0x06, 0xD0, 0xF1, 0x09, 0x01, 0xA1, 0x01, 0x09, 0x20, 0x15, 0x00, 0x26, 0xFF, 0x00, 0x75, 0x08, 0x95, 0x40, 0x81,
    0x02, 0x09, 0x21, 0x15, 0x00, 0x26, 0xFF, 0x00, 0x75, 0x08, 0x95, 0x40, 0x91, 0x02, 0xC0,
];

/// Bytes in the nonce of an INIT request.
const NONCE_LEN: usize = 8;
/// Bytes in an INIT response.
const INIT_RESPONSE_LEN: usize = 17;
/// How long a message may pause between two packets. The standard gives no number; test suites expect 400 ms to 1 s.
const PACKET_TIMEOUT: Duration = Duration::from_millis(500);
/// How long a message may take to arrive. The longest, 129 packets, takes 129 ms over USB.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(3);

/// A CTAPHID command, without the bit that marks an initialization packet (§11.2.9).
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct HidCommand(pub u8);

named! { HidCommand "0x{:02x}":
    /// Echoes its data.
    PING = 0x01;
    /// A CTAP1/U2F message.
    MSG = 0x03;
    /// Reserves the authenticator for one channel, for 0 to 10 s.
    LOCK = 0x04;
    /// Allocates a channel, or resynchronises one.
    INIT = 0x06;
    /// Makes the authenticator blink or beep, so that the user sees which one it is.
    WINK = 0x08;
    /// A CTAP2 message.
    CBOR = 0x10;
    /// Cancels the pending CTAP2 request; has no response of its own.
    CANCEL = 0x11;
    /// The authenticator is still working.
    KEEPALIVE = 0x3B;
    /// The authenticator refused a message.
    ERROR = 0x3F;
}

impl HidCommand {
    /// Whether this is one of the vendor commands, 40 to 7F.
    pub const fn is_vendor(self) -> bool {
        matches!(self.0, 0x40..=0x7F)
    }
}

/// Why an authenticator refused a message: the one byte of an ERROR message (§11.2.9.1.5).
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct HidErrorCode(pub u8);

named! { HidErrorCode "0x{:02x}":
    /// The command is not known.
    INVALID_CMD = 0x01;
    /// A parameter has a value that is not allowed.
    INVALID_PAR = 0x02;
    /// The message has a wrong length.
    INVALID_LEN = 0x03;
    /// A packet came out of order.
    INVALID_SEQ = 0x04;
    /// The message paused for too long.
    MSG_TIMEOUT = 0x05;
    /// The authenticator is busy with another request.
    CHANNEL_BUSY = 0x06;
    /// The command needs a lock.
    LOCK_REQUIRED = 0x0A;
    /// The channel is not allocated, or not allowed for this command.
    INVALID_CHANNEL = 0x0B;
    /// Anything else.
    OTHER = 0x7F;
}

/// The capabilities in an INIT response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Capabilities(pub u8);

impl Capabilities {
    /// The authenticator supports WINK.
    pub const WINK: Self = Self(0x01);
    /// The authenticator supports CBOR, which carries CTAP2.
    pub const CBOR: Self = Self(0x04);
    /// The authenticator does *not* support MSG, which carries CTAP1.
    pub const NMSG: Self = Self(0x08);

    /// These capabilities and those of `other`.
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// These capabilities without those of `other`.
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether all capabilities of `other` are among these.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// A parsed report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet<'r> {
    /// The first packet of a message.
    Initialization {
        /// Whose message it is.
        channel: u32,
        /// The command of the message.
        command: HidCommand,
        /// Bytes in the whole message. A peer may claim more than [`MAX_MESSAGE`].
        len: u16,
        /// The first bytes of the message, 57 when parsed.
        data: &'r [u8],
    },
    /// A later packet.
    Continuation {
        /// Whose message it is.
        channel: u32,
        /// Its number, 00 to 7F.
        sequence: u8,
        /// The next bytes of the message, 59 when parsed.
        data: &'r [u8],
    },
}

impl<'r> Packet<'r> {
    /// Reads a report. Any 64 bytes are a packet.
    pub fn parse(report: &'r [u8; REPORT_LEN]) -> Self {
        let [c0, c1, c2, c3, head, rest @ ..] = report;
        let channel = u32::from_be_bytes([*c0, *c1, *c2, *c3]);
        if head & 0x80 == 0 {
            return Self::Continuation { channel, sequence: *head, data: rest };
        }
        let [high, low, data @ ..] = rest;
        Self::Initialization { channel, command: HidCommand(head & 0x7F), len: u16::from_be_bytes([*high, *low]), data }
    }

    /// Writes the report, padded with zeros. Data beyond the end of the report is left out.
    pub fn report(&self) -> [u8; REPORT_LEN] {
        match *self {
            Self::Initialization { channel, command, len, data } => {
                let [high, low] = len.to_be_bytes();
                lay_out(channel, &[command.0 | 0x80, high, low], data)
            }
            Self::Continuation { channel, sequence, data } => lay_out(channel, &[sequence & 0x7F], data),
        }
    }
}

fn lay_out(channel: u32, head: &[u8], data: &[u8]) -> [u8; REPORT_LEN] {
    let mut report = [0; REPORT_LEN];
    for (to, from) in report.iter_mut().zip(channel.to_be_bytes().iter().chain(head).chain(data)) {
        *to = *from;
    }
    report
}

/// A whole message that fits into one packet: `data` is at most 57 bytes.
fn single(channel: u32, command: HidCommand, data: &[u8]) -> [u8; REPORT_LEN] {
    Packet::Initialization { channel, command, len: data.len() as u16, data }.report()
}

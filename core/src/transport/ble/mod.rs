//! CTAP over Bluetooth Low Energy (CTAP 2.3 §11.4): messages in fragments, which are values of GATT characteristics.
//!
//! ```text
//!                 0        1             3                      fragment length
//! initialization  | 80|cmd | length, BE  | data                 |
//! continuation    | seq    | data                               |
//! ```
//!
//! The client writes fragments to the [`CONTROL_POINT`], the authenticator notifies them on [`STATUS`]. A fragment is as
//! long as a value may be: the negotiated ATT_MTU minus 3, at least 20 bytes and at most 512. The sequence number counts
//! from 00 to 7F and begins again. Unlike over CTAPHID there are no channels: a connection has one client. And there is
//! one command for messages: the revision that the client has selected says whether they are of U2F or of CTAP2.
//!
//! | file | what it is |
//! |---|---|
//! | `mod.rs` | the service, the layout of fragments, and their numbers |
//! | `message.rs` | messages to fragments and back, for both ends |
//! | `device.rs` | [`Device`], the authenticator's end |
//! | `host.rs` | [`Host`], the client's end |
//! | `io.rs` | [`BleTransport`] and [`AsyncBleTransport`], which drive a [`Host`] over [`BleIo`] |
//!
//! The machines are driven as those of [`hid`](super::hid). Message bytes lie in one buffer that the caller owns and
//! lends to each call; the machines keep only positions in it.
//!
//! The times are a choice: those of the U2F Bluetooth specification, [`FRAGMENT_TIMEOUT`] and [`KEEP_ALIVE_INTERVAL`].

use core::time::Duration;

use crate::{bytes, named::named, transport::Protocol};

mod device;
mod host;
mod io;
mod message;
#[cfg(test)]
mod tests;

pub use device::{Device, DeviceConfig, DeviceEvent};
pub use host::{BleFailure, Host, HostEvent};
pub use io::{AsyncBleIo, AsyncBleTransport, BleError, BleIo, BleTransport};

/// The 16-bit UUID of the FIDO service.
pub const SERVICE: u16 = 0xFFFD;
/// The client writes fragments here.
pub const CONTROL_POINT: u128 = 0xF1D0FFF1_DEAA_ECEE_B42F_C9BA7ED623BB;
/// The authenticator notifies fragments here.
pub const STATUS: u128 = 0xF1D0FFF2_DEAA_ECEE_B42F_C9BA7ED623BB;
/// The client reads the longest fragment that it may write here: see [`control_point_length`].
pub const CONTROL_POINT_LENGTH: u128 = 0xF1D0FFF3_DEAA_ECEE_B42F_C9BA7ED623BB;
/// The client reads [`Revisions`] here, and writes the one that it selects.
pub const SERVICE_REVISION_BITFIELD: u128 = 0xF1D0FFF4_DEAA_ECEE_B42F_C9BA7ED623BB;

/// The shortest fragment length that may be negotiated, in bytes.
pub const MIN_FRAGMENT: usize = 20;
/// The longest fragment, in bytes: the longest value of a characteristic.
pub const MAX_FRAGMENT: usize = 512;
/// The longest message, in bytes.
pub const MAX_MESSAGE: usize = 65_535;

/// How long a message may pause between two fragments.
pub const FRAGMENT_TIMEOUT: Duration = Duration::from_millis(1500);
/// A keep-alive comes at least this often.
pub const KEEP_ALIVE_INTERVAL: Duration = Duration::from_millis(500);

/// The value of [`CONTROL_POINT_LENGTH`] for fragments of this length.
pub const fn control_point_length(fragment: usize) -> [u8; 2] {
    (fragment_length(fragment) as u16).to_be_bytes()
}

/// A length within the limits of the standard.
const fn fragment_length(length: usize) -> usize {
    match length {
        ..MIN_FRAGMENT => MIN_FRAGMENT,
        MIN_FRAGMENT..MAX_FRAGMENT => length,
        MAX_FRAGMENT.. => MAX_FRAGMENT,
    }
}

/// The value of [`SERVICE_REVISION_BITFIELD`]: which revisions an authenticator supports, or the one that a client
/// selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Revisions(pub u8);

impl Revisions {
    /// U2F 1.1.
    pub const U2F_1_1: Self = Self(0x80);
    /// U2F 1.2.
    pub const U2F_1_2: Self = Self(0x40);
    /// CTAP2.
    pub const FIDO2: Self = Self(0x20);

    /// These revisions and those of `other`.
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all revisions of `other` are among these.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The newest of these revisions that carries `protocol`. `None` if there is none.
    pub fn newest_of(self, protocol: Protocol) -> Option<Self> {
        let candidates: &[Self] = match protocol {
            Protocol::Ctap1 => &[Self::U2F_1_2, Self::U2F_1_1],
            Protocol::Ctap2 => &[Self::FIDO2],
        };
        candidates.iter().copied().find(|revision| self.contains(*revision))
    }

    /// The protocol of one selected revision. `None` unless this is exactly one known revision.
    pub const fn protocol(self) -> Option<Protocol> {
        match self {
            Self::U2F_1_1 | Self::U2F_1_2 => Some(Protocol::Ctap1),
            Self::FIDO2 => Some(Protocol::Ctap2),
            _ => None,
        }
    }
}

/// A command, without the bit that marks an initialization fragment.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct BleCommand(pub u8);

named! { BleCommand "0x{:02x}":
    /// Echoes its data.
    PING = 0x01;
    /// The authenticator is still working.
    KEEPALIVE = 0x02;
    /// A message, of U2F or of CTAP2.
    MSG = 0x03;
    /// Cancels the pending CTAP2 request; has no response of its own.
    CANCEL = 0x3E;
    /// The authenticator refused a message.
    ERROR = 0x3F;
}

/// Why an authenticator refused a message: the one byte of an ERROR message.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct BleErrorCode(pub u8);

named! { BleErrorCode "0x{:02x}":
    /// The command is not known.
    INVALID_CMD = 0x01;
    /// A parameter has a value that is not allowed.
    INVALID_PAR = 0x02;
    /// The message or a fragment has a wrong length.
    INVALID_LEN = 0x03;
    /// A fragment came out of order.
    INVALID_SEQ = 0x04;
    /// The message paused for too long.
    REQ_TIMEOUT = 0x05;
    /// The authenticator is busy with another request.
    BUSY = 0x06;
    /// Anything else.
    OTHER = 0x7F;
}

/// A parsed fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fragment<'f> {
    /// The first fragment of a message.
    Initialization {
        /// The command of the message.
        command: BleCommand,
        /// Bytes in the whole message.
        len: u16,
        /// The first bytes of the message.
        data: &'f [u8],
    },
    /// A later fragment.
    Continuation {
        /// Its number, 00 to 7F.
        sequence: u8,
        /// The next bytes of the message.
        data: &'f [u8],
    },
}

impl<'f> Fragment<'f> {
    /// Reads a fragment. `None` if it is too short for its head.
    pub fn parse(bytes: &'f [u8]) -> Option<Self> {
        match *bytes {
            [command @ 0x80..=0xFF, high, low, ref data @ ..] => Some(Self::Initialization {
                command: BleCommand(command & 0x7F),
                len: u16::from_be_bytes([high, low]),
                data,
            }),
            [sequence @ 0..=0x7F, ref data @ ..] => Some(Self::Continuation { sequence, data }),
            _ => None,
        }
    }

    /// Writes the fragment to the front of `out`, and returns its length. Data beyond the end of `out` are left out.
    pub fn write(&self, out: &mut [u8]) -> usize {
        let (head, data): (&[u8], _) = match *self {
            Self::Initialization { command, len, data } => {
                let [high, low] = len.to_be_bytes();
                (&[command.0 | 0x80, high, low], data)
            }
            Self::Continuation { sequence, data } => (&[sequence & 0x7F], data),
        };
        let at = bytes::copy_prefix(out, head);
        at.saturating_add(bytes::copy_prefix(bytes::rest_mut(out, at), data))
    }
}

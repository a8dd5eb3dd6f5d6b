//! NFC (CTAP 2.3 §11.3): messages in APDUs of ISO 7816-4, one command and one response at a time.
//!
//! ```text
//! command   | CLA | INS | P1 | P2 | Lc 1, or 00 and 2 | data | Le 1 or 2 |       response   | data | SW1 | SW2 |
//!
//! 00 A4 04 00   SELECT with the AID of FIDO    → "U2F_V2" or "FIDO_2_0"
//! 80 10 P1 00   NFCCTAP_MSG, a CTAP2 request   → the response; P1 = 80: the client knows NFCCTAP_GETRESPONSE
//! 80 11 P1 00   NFCCTAP_GETRESPONSE            → the response, or again 9100 and a status; P1 = 11: cancel
//! 80 12 01 00   NFCCTAP_CONTROL END            → the authenticator is no longer selected
//! 00 01..03     U2F: register, authenticate, version
//! xx C0 00 00   GET RESPONSE                   → the next part of a response
//! ```
//!
//! A long command comes as a chain: every command but the last has the bit 10 in its class. A response that is longer
//! than the command allows comes in parts: each but the last ends in 61xx, and GET RESPONSE fetches the next.
//!
//! | file | what it is |
//! |---|---|
//! | `mod.rs` | the numbers, and the response APDU |
//! | `device.rs` | [`Device`], the authenticator's end |
//! | `host.rs` | [`Host`], the client's end |
//! | `io.rs` | [`NfcTransport`] and [`AsyncNfcTransport`], which drive a [`Host`] over [`ApduIo`] |
//!
//! Message bytes lie in one buffer that the caller owns and lends to each call; the machines keep only positions in it.
//!
//! Where the standard's versions differ, or say nothing, this is the choice:
//!
//! - NFCCTAP_GETRESPONSE with P1 = 11 cancels. It is certain only for CTAP 2.3, so the client goes on with P1 = 00 if
//!   an authenticator refuses it.
//! - A command that comes while a request is pending, and is neither NFCCTAP_GETRESPONSE nor GET RESPONSE, gives the
//!   request up, even if the command is refused. A reader that has lost its program sends such a command.
//! - A command that is not the next one of a chain drops the chain, and stands for itself.

use core::time::Duration;

use crate::{bytes, ctap1::StatusWord};

mod device;
mod host;
mod io;
#[cfg(test)]
mod tests;

pub use device::{Device, DeviceConfig, DeviceEvent};
pub use host::{Host, HostEvent, Lengths, MAX_POLLS, NfcFailure};
pub use io::{ApduIo, AsyncApduIo, AsyncNfcTransport, NfcError, NfcTransport};

/// The AID of FIDO, which SELECT names.
pub const AID: [u8; 8] = [0xA0, 0x00, 0x00, 0x06, 0x47, 0x2F, 0x00, 0x01];
/// Bytes in the longest command or response in short length encoding.
pub const SHORT_FRAME: usize = 261;
/// How long a client waits between two NFCCTAP_GETRESPONSE commands, and how long an authenticator that has no answer
/// yet waits before it says so. The standard gives no number; CTAPHID has keep-alives every 100 ms.
pub const POLL_PAUSE: Duration = Duration::from_millis(100);

/// The class of SELECT and of U2F.
const ISO: u8 = 0x00;
/// The class of CTAP2.
const CTAP: u8 = 0x80;
/// The bit of the class that says: this command is not the last of its chain.
const CHAINING: u8 = 0x10;

const SELECT: u8 = 0xA4;
const SELECT_BY_NAME: u8 = 0x04;
const MSG: u8 = 0x10;
/// P1 of NFCCTAP_MSG: the client knows NFCCTAP_GETRESPONSE.
const KNOWS_POLLING: u8 = 0x80;
const POLL: u8 = 0x11;
/// P1 of NFCCTAP_GETRESPONSE.
const CANCEL: u8 = 0x11;
const CONTROL: u8 = 0x12;
/// P1 of NFCCTAP_CONTROL.
const END: u8 = 0x01;
const GET_RESPONSE: u8 = 0xC0;

/// The longest response in short length encoding, without its status word.
const SHORT_RESPONSE: usize = 256;
/// The longest response in extended length encoding, without its status word.
const EXTENDED_RESPONSE: usize = 65_536;

/// What SELECT answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Version {
    /// "U2F_V2": U2F. Whether there is CTAP2 too, getInfo says.
    U2fV2,
    /// "FIDO_2_0": CTAP2, of any version, and no U2F.
    Fido2_0,
}

impl Version {
    /// The bytes of the answer.
    pub const fn as_bytes(self) -> &'static [u8] {
        match self {
            Self::U2fV2 => b"U2F_V2",
            Self::Fido2_0 => b"FIDO_2_0",
        }
    }

    /// The version with these bytes. `None` for any other answer.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        [Self::U2fV2, Self::Fido2_0].into_iter().find(|version| version.as_bytes() == bytes)
    }
}

/// A response APDU: data, then the status word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseApdu<'m> {
    /// The data.
    pub data: &'m [u8],
    /// How the command went.
    pub status: StatusWord,
}

impl<'m> ResponseApdu<'m> {
    /// Reads a response. `None` if it is shorter than a status word.
    pub fn decode(bytes: &'m [u8]) -> Option<Self> {
        let (data, &status) = bytes.split_last_chunk()?;
        Some(Self { data, status: StatusWord(u16::from_be_bytes(status)) })
    }

    /// Writes the response to the front of `out` and returns its length. `None` if it does not fit.
    pub fn encode(&self, out: &mut [u8]) -> Option<usize> {
        let status = self.status.0.to_be_bytes();
        let len = self.data.len().saturating_add(status.len());
        out.get_mut(..len).map(|room| bytes::join(room, &[self.data, &status]))
    }

    /// A response without data.
    const fn empty(status: StatusWord) -> Self {
        Self { data: &[], status }
    }
}

/// The status word that says that `left` bytes of a response are left. More than 255 are told as 00.
fn more(left: usize) -> StatusWord {
    StatusWord(0x6100 | u16::from(u8::try_from(left).unwrap_or(0)))
}

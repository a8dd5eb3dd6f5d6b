//! The messages of USB/IP, version 1.1.1, with which a machine attaches a USB device of another one
//! (`Documentation/usb/usbip_protocol.rst` of Linux), as far as a security key needs them.
//!
//! A connection begins with one operation: it lists the devices, or attaches one. Once attached, it carries transfers.
//! All numbers are big-endian.
//!
//! ```text
//!  operation   version 0111 | code | status | bus id, 32 bytes, when it attaches
//!  transfer    command | sequence number | device | direction | endpoint | flags | length | frame | packets | interval | setup, 8 bytes | data
//!  unlink      command | sequence number | device | direction | endpoint | sequence number to unlink | 24 bytes
//! ```

use keyfob_core::bytes;

use super::usb::{DEVICE_VERSION, HID_CLASS, PRODUCT_ID, VENDOR_ID};

/// The port that clients use if none is given.
pub const PORT: u16 = 3240;
/// The name of the only device.
pub const BUS_ID: &str = "1-1";

const VERSION: u16 = 0x0111;
const REQUEST_LIST: u16 = 0x8005;
const REQUEST_IMPORT: u16 = 0x8003;
const REPLY_LIST: u16 = 0x0005;
const REPLY_IMPORT: u16 = 0x0003;
const SUBMIT: u32 = 1;
const UNLINK: u32 = 2;
const RETURN_SUBMIT: u32 = 3;
const RETURN_UNLINK: u32 = 4;
/// Bytes in a transfer before its data, and in an unlink.
const HEADER: usize = 48;
/// 12 Mbit/s, as security keys have.
const FULL_SPEED: u32 = 2;
/// The bus and the device on it, as two halves of a device number.
const DEVICE: u32 = 0x0001_0001;
/// The longest data in a transfer to the key.
const LONGEST: u32 = 4096;

/// The transfer succeeded.
pub const OK: i32 = 0;
/// The endpoint stalled: EPIPE of Linux.
pub const STALLED: i32 = -32;
/// The report is longer than the transfer: EOVERFLOW of Linux.
pub const OVERFLOW: i32 = -75;
/// The transfer was unlinked: ECONNRESET of Linux.
pub const UNLINKED: i32 = -104;

/// A bus id, padded with zeros.
pub type BusId = [u8; 32];

/// What a client sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'m> {
    /// Lists the devices.
    List,
    /// Attaches the device with this bus id.
    Import(BusId),
    /// Begins a transfer.
    Submit(Submit<'m>),
    /// Ends a transfer early.
    Unlink {
        /// The number of this message.
        sequence: u32,
        /// The number of the transfer.
        transfer: u32,
    },
}

/// A transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Submit<'m> {
    /// Its number.
    pub sequence: u32,
    /// Whether the data goes to the client.
    pub is_in: bool,
    /// The endpoint, without the direction.
    pub endpoint: u32,
    /// How many bytes the client takes, or the length of `data`.
    pub len: u32,
    /// The request, at endpoint 0.
    pub setup: [u8; 8],
    /// The bytes to the key.
    pub data: &'m [u8],
}

/// Why bytes are not a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The version of the protocol is another one.
    Version(u16),
    /// The code is not one of an operation that is known.
    Operation(u16),
    /// The number is not one of a command that is known.
    Command(u32),
    /// The direction is neither of the two.
    Direction(u32),
    /// A transfer to the key has too many bytes.
    Length(u32),
    /// The transfer is isochronous, which nothing of a key is.
    Isochronous,
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Version(version) => write!(f, "version {version:04x} of USB/IP, which should be {VERSION:04x}"),
            Self::Operation(code) => write!(f, "the operation {code:04x} of USB/IP is not known"),
            Self::Command(command) => write!(f, "the command {command} of USB/IP is not known"),
            Self::Direction(direction) => write!(f, "the direction {direction} of a transfer, which should be 0 or 1"),
            Self::Length(len) => write!(f, "a transfer of {len} bytes to the key, which should be {LONGEST} at most"),
            Self::Isochronous => write!(f, "an isochronous transfer, which a key does not have"),
        }
    }
}

impl core::error::Error for Error {}

impl<'m> Message<'m> {
    /// Reads the message at the front of the bytes: an operation, or a transfer once a device is attached. Returns it
    /// and its length, or `None` when it is not there as a whole.
    ///
    /// # Errors
    /// [`Error`]: the bytes are not the beginning of a message.
    pub fn parse(input: &'m [u8], is_attached: bool) -> Result<Option<(Self, usize)>, Error> {
        if is_attached { Self::transfer(input) } else { Self::operation(input) }
    }

    fn operation(input: &[u8]) -> Result<Option<(Self, usize)>, Error> {
        let Some((version, rest)) = input.split_first_chunk() else { return Ok(None) };
        let version = u16::from_be_bytes(*version);
        if version != VERSION {
            return Err(Error::Version(version));
        }
        let Some((code, rest)) = rest.split_first_chunk() else { return Ok(None) };
        // What a client says of its status means nothing.
        let after_status = rest.get(4..);
        match u16::from_be_bytes(*code) {
            REQUEST_LIST => Ok(after_status.map(|_| (Self::List, 8))),
            REQUEST_IMPORT => {
                Ok(after_status.and_then(|rest| rest.first_chunk()).map(|bus_id| (Self::Import(*bus_id), 40)))
            }
            other => Err(Error::Operation(other)),
        }
    }

    fn transfer(input: &'m [u8]) -> Result<Option<(Self, usize)>, Error> {
        let Some((header, rest)) = input.split_first_chunk::<HEADER>() else { return Ok(None) };
        let (words, _) = header.as_chunks::<4>();
        let mut words = words.iter().map(|word| u32::from_be_bytes(*word));
        let mut next = || words.next().unwrap_or_default();
        let (command, sequence, _, direction, endpoint) = (next(), next(), next(), next(), next());
        if command == UNLINK {
            return Ok(Some((Self::Unlink { sequence, transfer: next() }, HEADER)));
        }
        if command != SUBMIT {
            return Err(Error::Command(command));
        }
        let (_, len, _, packets, _) = (next(), next(), next(), next(), next());
        if direction > 1 {
            return Err(Error::Direction(direction));
        }
        if packets != 0 && packets != u32::MAX {
            return Err(Error::Isochronous);
        }
        let is_in = direction == 1;
        if !is_in && len > LONGEST {
            return Err(Error::Length(len));
        }
        let data_len = if is_in { 0 } else { usize::try_from(len).unwrap_or_default() };
        let setup = bytes::first(bytes::rest(header, HEADER.saturating_sub(8)));
        Ok(rest.get(..data_len).map(|data| {
            let submit = Submit { sequence, is_in, endpoint, len, setup, data };
            (Self::Submit(submit), HEADER.saturating_add(data_len))
        }))
    }

    /// Writes the message, as a client does.
    pub fn write(&self, to: &mut Vec<u8>) {
        match self {
            Self::List => operation(to, REQUEST_LIST, 0),
            Self::Import(bus_id) => {
                operation(to, REQUEST_IMPORT, 0);
                to.extend(bus_id);
            }
            Self::Submit(submit) => {
                let (is_in, endpoint) = (u32::from(submit.is_in), submit.endpoint);
                words(to, &[SUBMIT, submit.sequence, DEVICE, is_in, endpoint, 0, submit.len, 0, 0, 0]);
                to.extend(submit.setup);
                to.extend(submit.data);
            }
            Self::Unlink { sequence, transfer } => {
                words(to, &[UNLINK, *sequence, DEVICE, 0, 0, *transfer]);
                to.extend([0; 24]);
            }
        }
    }
}

/// The bus id of the only device.
pub fn bus_id() -> BusId {
    bytes::padded(BUS_ID.as_bytes())
}

/// Writes the answer to [`Message::List`]: one device.
pub fn write_list(to: &mut Vec<u8>) {
    operation(to, REPLY_LIST, 0);
    words(to, &[1]);
    device(to);
    to.extend([HID_CLASS, 0, 0, 0]);
}

/// Writes the answer to [`Message::Import`]: the device is attached, or there is no device with that bus id.
pub fn write_import(to: &mut Vec<u8>, is_attached: bool) {
    operation(to, REPLY_IMPORT, (!is_attached).into());
    if is_attached {
        device(to);
    }
}

/// Writes the end of a transfer: its status, how many bytes were transferred, and those to the client.
pub fn write_returned(to: &mut Vec<u8>, sequence: u32, status: i32, len: u32, data: &[u8]) {
    words(to, &[RETURN_SUBMIT, sequence, 0, 0, 0, status.cast_unsigned(), len, 0, 0, 0, 0, 0]);
    to.extend(data);
}

/// Writes the answer to [`Message::Unlink`]: [`UNLINKED`], or [`OK`] when the transfer had ended before.
pub fn write_unlinked(to: &mut Vec<u8>, sequence: u32, status: i32) {
    words(to, &[RETURN_UNLINK, sequence, 0, 0, 0, status.cast_unsigned()]);
    to.extend([0; 24]);
}

fn operation(to: &mut Vec<u8>, code: u16, status: u32) {
    to.extend(VERSION.to_be_bytes());
    to.extend(code.to_be_bytes());
    words(to, &[status]);
}

/// The device, without its interfaces.
fn device(to: &mut Vec<u8>) {
    to.extend(bytes::padded::<256>(b"/sys/devices/keyfob/1-1"));
    to.extend(bus_id());
    words(to, &[1, 1, FULL_SPEED]);
    for number in [VENDOR_ID, PRODUCT_ID, DEVICE_VERSION] {
        to.extend(number.to_be_bytes());
    }
    // Class, subclass and protocol as the interface says, configuration 1 of 1, one interface.
    to.extend([0, 0, 0, 1, 1, 1]);
}

fn words(to: &mut Vec<u8>, words: &[u32]) {
    to.extend(words.iter().flat_map(|word| word.to_be_bytes()));
}

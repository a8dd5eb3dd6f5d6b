//! The messages of vpcd, the virtual smart card reader of the vsmartcard project: a driver of pcscd that waits on a TCP
//! port for a card.
//!
//! The card connects, and the reader asks. Each message, of both ends, is its length as two bytes, big-endian, and so
//! many bytes. One byte is an order to the card; more are a command APDU. The card answers [`Message::Atr`] and APDUs.
//! The card is in the reader as long as the connection is open.
//!
//! ```text
//!  off 0001 00 | on 0001 01 | reset 0001 02 | ATR 0001 04 → length | ATR        APDU length | command → length | response
//! ```

use keyfob_core::bytes;

/// The port of the first reader.
pub const PORT: u16 = 35_963;
/// The answer to reset of a contactless card that has no historical bytes (PC/SC part 3, §3.1.3.2.3): T=0 or T=1, and a
/// checksum.
pub const ATR: [u8; 5] = [0x3B, 0x80, 0x80, 0x01, 0x01];
/// Bytes in the longest message.
pub const LONGEST: usize = 2 + u16::MAX as usize;

const OFF: u8 = 0;
const ON: u8 = 1;
const RESET: u8 = 2;
const GET_ATR: u8 = 4;

/// What a reader sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'m> {
    /// Takes the card's power away.
    Off,
    /// Gives the card power.
    On,
    /// Takes the card's power away and gives it back.
    Reset,
    /// Asks for the answer to reset, also to see whether the card is there.
    Atr,
    /// A command APDU. It may be malformed: the reader passes on what a program sends, if that is not one of the orders.
    Apdu(&'m [u8]),
}

/// Why bytes are not a message of vpcd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// A message has no bytes.
    Empty,
    /// A whole message of the greatest length came while the card owes an answer.
    Hurried,
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Empty => "a message without bytes",
            Self::Hurried => "more messages before the last one was answered",
        })
    }
}

impl core::error::Error for Error {}

impl<'m> Message<'m> {
    /// Reads the message at the front of the bytes. Returns it and its length, or `None` when it is not there as a
    /// whole.
    ///
    /// # Errors
    /// [`Error::Empty`].
    pub fn parse(input: &'m [u8]) -> Result<Option<(Self, usize)>, Error> {
        let Some((len, rest)) = input.split_first_chunk() else { return Ok(None) };
        let len = usize::from(u16::from_be_bytes(*len));
        let Some(message) = rest.get(..len) else { return Ok(None) };
        let message = match message {
            [] => return Err(Error::Empty),
            [OFF] => Self::Off,
            [ON] => Self::On,
            [RESET] => Self::Reset,
            [GET_ATR] => Self::Atr,
            apdu => Self::Apdu(apdu),
        };
        Ok(Some((message, len.saturating_add(2))))
    }

    /// Appends the message, as a reader sends it.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Off => write(out, &[OFF]),
            Self::On => write(out, &[ON]),
            Self::Reset => write(out, &[RESET]),
            Self::Atr => write(out, &[GET_ATR]),
            Self::Apdu(apdu) => write(out, apdu),
        }
    }
}

/// Appends an answer of the card: the ATR, or a response APDU of at most 65,535 bytes. Of a longer one the rest is left
/// out.
pub fn write(out: &mut Vec<u8>, answer: &[u8]) {
    let len = u16::try_from(answer.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(bytes::front(answer, len.into()));
}

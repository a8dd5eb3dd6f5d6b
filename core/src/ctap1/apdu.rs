//! Command APDUs (ISO 7816-4 §5.1) in short and extended length encoding.
//!
//! ```text
//! short      CLA INS P1 P2 [Lc 1, data] [Le 1]            extended      CLA INS P1 P2 00 [Lc 2, data] [Le 2]
//! ```

use crate::cbor::Writer;

/// A parsed command APDU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Apdu<'a> {
    /// The class byte.
    pub class: u8,
    /// The instruction byte.
    pub instruction: u8,
    /// The first parameter.
    pub p1: u8,
    /// The second parameter.
    pub p2: u8,
    /// The data, at most 65,535 bytes.
    pub data: &'a [u8],
    /// The maximum length of the response without its status word: 0 to 65,536 bytes.
    pub expected: usize,
}

impl<'a> Apdu<'a> {
    /// Parses an APDU. `None` when a length does not match the number of bytes. An extended data length of zero
    /// followed by an expected length is accepted, because clients write it, although ISO 7816-4 does not allow it.
    pub fn decode(bytes: &'a [u8]) -> Option<Self> {
        let (&[class, instruction, p1, p2], body) = bytes.split_first_chunk()?;
        let (data, expected) = match *body {
            [] => (&[][..], 0),
            [le] => (&[][..], short(le)),
            [0, a, b] => (&[][..], extended([a, b])),
            [0, a, b, ref rest @ ..] => {
                let (data, le) = rest.split_at_checked(usize::from(u16::from_be_bytes([a, b])))?;
                let expected = match *le {
                    [] => 0,
                    [a, b] => extended([a, b]),
                    _ => return None,
                };
                (data, expected)
            }
            [0, ..] => return None,
            [lc, ref rest @ ..] => {
                let (data, le) = rest.split_at_checked(usize::from(lc))?;
                let expected = match *le {
                    [] => 0,
                    [le] => short(le),
                    _ => return None,
                };
                (data, expected)
            }
        };
        Some(Self { class, instruction, p1, p2, data, expected })
    }
}

/// Writes an APDU of class 0 in extended length encoding that accepts a response of any length.
pub(super) fn encode(w: &mut Writer<'_>, instruction: u8, p1: u8, data: &[&[u8]]) {
    // The requests of U2F have at most 320 bytes of data, so the cast does not truncate.
    let length = data.iter().fold(0u16, |sum, part| sum.saturating_add(part.len() as u16));
    w.raw(&[0, instruction, p1, 0, 0]);
    w.raw(&length.to_be_bytes());
    for part in data {
        w.raw(part);
    }
    w.raw(&[0, 0]);
}

fn short(le: u8) -> usize {
    if le == 0 { 256 } else { usize::from(le) }
}

fn extended(le: [u8; 2]) -> usize {
    match u16::from_be_bytes(le) {
        0 => 65_536,
        le => usize::from(le),
    }
}

//! base64url without padding (RFC 4648 §5), as WebAuthn writes bytes in JSON.

use crate::{
    bytes,
    cbor::{Overflow, Writer},
};

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Why a text is not the base64url form of any bytes, or could not be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Error {
    /// A character outside the alphabet, for example padding.
    Character,
    /// A length that no encoding has.
    Length,
    /// Bits after the last byte are not zero.
    TrailingBits,
    /// The bytes do not fit the buffer.
    Overflow(Overflow),
}

/// Encodes `bytes` into `buffer` and returns the length.
///
/// # Errors
/// [`Overflow`] with the size that the text needs.
pub fn encode(bytes: &[u8], buffer: &mut [u8]) -> Result<usize, Overflow> {
    let mut w = Writer::new(buffer);
    for char in chars(bytes) {
        w.byte(char as u8); // ASCII
    }
    w.finish()
}

/// How many characters `length` bytes take.
pub const fn encoded_len(length: usize) -> usize {
    length.saturating_mul(4).div_ceil(3)
}

/// Encodes the first `length` bytes of `buffer` in place. Characters that do not fit are lost.
pub fn encode_in_place(buffer: &mut [u8], length: usize) {
    // Goes from the last group of three bytes to the first, because the four characters of a group then never overwrite
    // bytes that are still to be read.
    for group in (0..length.div_ceil(3)).rev() {
        let from = group.saturating_mul(3);
        let Some(three) = buffer.get(from..from.saturating_add(3).min(length)) else { continue };
        let [first, second, third] = bytes::padded(three);
        let bits = u32::from_be_bytes([0, first, second, third]);
        let Some(characters) = buffer.get_mut(group.saturating_mul(4)..) else { continue };
        let count = length.saturating_sub(from).saturating_add(1);
        for (place, shift) in characters.iter_mut().take(count).zip([18, 12, 6, 0]) {
            *place = digit(bits >> shift) as u8; // ASCII
        }
    }
}

/// The characters that encode `bytes`.
pub fn chars(bytes: &[u8]) -> impl Iterator<Item = char> {
    let (groups, last) = bytes.as_chunks::<3>();
    let last = (!last.is_empty()).then_some(last);
    groups.iter().map(<[u8; 3]>::as_slice).chain(last).flat_map(|group| {
        let [first, second, third] = bytes::padded(group);
        let bits = u32::from_be_bytes([0, first, second, third]);
        [18, 12, 6, 0].into_iter().map(move |shift| digit(bits >> shift)).take(group.len().saturating_add(1))
    })
}

/// How many bytes a text of `length` characters decodes to.
pub const fn decoded_len(length: usize) -> usize {
    // Three bytes for every four characters; a remainder of two is one byte, one of three is two.
    let rest = length & 3;
    (length >> 2).saturating_mul(3).saturating_add(rest.saturating_sub(1))
}

/// Decodes `text` into `buffer` and returns the length.
///
/// # Errors
/// [`Error`]: the text is not base64url, or the buffer is too small.
pub fn decode(text: impl IntoIterator<Item = char>, buffer: &mut [u8]) -> Result<usize, Error> {
    let mut w = Writer::new(buffer);
    let (mut bits, mut count) = (0u32, 0u32);
    for char in text {
        bits = bits << 6 | value(char).ok_or(Error::Character)?;
        count = count.saturating_add(6);
        if let Some(left) = count.checked_sub(8) {
            count = left;
            w.byte((bits >> count) as u8);
            bits &= !(u32::MAX << count);
        }
    }
    match (count, bits) {
        (6.., _) => Err(Error::Length),
        (_, 1..) => Err(Error::TrailingBits),
        (_, 0) => w.finish().map_err(Error::Overflow),
    }
}

fn digit(bits: u32) -> char {
    ALPHABET.get(bits as usize & 0x3F).map_or('A', |&digit| char::from(digit))
}

fn value(char: char) -> Option<u32> {
    let value = match char {
        'A'..='Z' => u32::from(char).wrapping_sub(u32::from('A')),
        'a'..='z' => u32::from(char).wrapping_sub(u32::from('a')).wrapping_add(26),
        '0'..='9' => u32::from(char).wrapping_sub(u32::from('0')).wrapping_add(52),
        '-' => 62,
        '_' => 63,
        _ => return None,
    };
    Some(value)
}

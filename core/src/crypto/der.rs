//! DER of two integers: ECDSA signatures (RFC 3279 §2.2.3), for every backend whose primitive speaks `r‖s`, and RSA
//! public keys.
//!
//! ```text
//! 30 len  02 len r  02 len s        at most 72 bytes on a curve of 256 bits, 104 on one of 384
//! 30 81 len  02 len r  02 len s     at most 139 bytes on P-521
//! ```

use super::Error;
use crate::{bytes, cbor::Writer};

pub(crate) const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
/// Announces a length of one byte in a byte of its own; shorter ones stand where this does (X.690 §8.1.3).
const ONE_BYTE: u8 = 0x81;
/// The first length that takes [`ONE_BYTE`].
const LONG: u8 = 0x80;
/// Longer numbers, in bytes, would need another form of length. P-521 has 66.
const MAX_NUMBER: usize = 124;

/// Writes the signature of two big-endian numbers and returns its length.
///
/// # Errors
/// [`Error::OutputTooSmall`], and [`Error::InvalidLength`] for numbers that are longer than those of any curve.
pub fn write(r: &[u8], s: &[u8], out: &mut [u8]) -> Result<usize, Error> {
    if magnitude(r).len().max(magnitude(s).len()) > MAX_NUMBER {
        return Err(Error::InvalidLength);
    }
    let mut w = Writer::new(out);
    integers(&mut w, [r, s]);
    w.finish().map_err(|_| Error::OutputTooSmall)
}

/// Reads a signature on a curve whose numbers are `N` bytes long, as `(r, s)`. `None` as in [`read_into`].
pub fn read<const N: usize>(der: &[u8]) -> Option<([u8; N], [u8; N])> {
    let (mut r, mut s) = ([0; N], [0; N]);
    read_into(der, &mut r, &mut s)?;
    Some((r, s))
}

/// Reads a signature and fills `r` and `s`, big-endian. `None` unless it is DER to the letter: minimal lengths, minimal
/// non-negative integers that fit, nothing behind. Whether they are in range is the verifier's to check.
pub fn read_into(der: &[u8], r: &mut [u8], s: &mut [u8]) -> Option<()> {
    let content = match der {
        [SEQUENCE, ONE_BYTE, len, content @ ..] if *len >= LONG && usize::from(*len) == content.len() => content,
        [SEQUENCE, len, content @ ..] if *len < LONG && usize::from(*len) == content.len() => content,
        _ => return None,
    };
    let rest = integer(content, r)?;
    let rest = integer(rest, s)?;
    rest.is_empty().then_some(())
}

/// Writes a SEQUENCE of two big-endian numbers.
pub(crate) fn integers(w: &mut Writer<'_>, numbers: [&[u8]; 2]) {
    head(w, SEQUENCE, integers_len(numbers));
    for number in numbers {
        let number = magnitude(number);
        head(w, INTEGER, integer_len(number));
        w.raw(bytes::front(&[0], usize::from(is_padded(number))));
        w.raw(number);
    }
}

/// The length of the contents of [`integers`].
pub(crate) fn integers_len(numbers: [&[u8]; 2]) -> usize {
    numbers.map(|number| element_len(integer_len(magnitude(number)))).iter().sum()
}

/// Writes the tag and the length of an element of `length` bytes, at most 65,535 as keys are.
pub(crate) fn head(w: &mut Writer<'_>, tag: u8, length: usize) {
    w.byte(tag);
    let [.., high, low] = length.to_be_bytes();
    match length {
        0..0x80 => w.byte(low),
        0x80..0x100 => w.raw(&[ONE_BYTE, low]),
        _ => w.raw(&[0x82, high, low]),
    }
}

/// The length of an element with its head.
pub(crate) fn element_len(length: usize) -> usize {
    let mut w = Writer::new(&mut []);
    head(&mut w, SEQUENCE, length);
    w.len().saturating_add(length)
}

fn integer_len(magnitude: &[u8]) -> usize {
    magnitude.len().saturating_add(usize::from(is_padded(magnitude)))
}

/// A big-endian number without leading zero bytes.
fn magnitude(mut number: &[u8]) -> &[u8] {
    while let [0, rest @ ..] = number {
        number = rest;
    }
    number
}

/// Whether a zero byte must stand in front, so that the integer is not negative, or is there at all.
fn is_padded(magnitude: &[u8]) -> bool {
    magnitude.first().is_none_or(|&first| first >= 0x80)
}

/// Fills `number` with the integer at the front of `der` and returns what is behind it.
fn integer<'a>(der: &'a [u8], number: &mut [u8]) -> Option<&'a [u8]> {
    let (&[INTEGER, len], rest) = der.split_first_chunk()? else { return None };
    let (value, rest) = rest.split_at_checked(usize::from(len))?;
    let magnitude = match value {
        [] | [0x80..=0xff, ..] | [0, 0..=0x7f, ..] => return None,
        [0, magnitude @ ..] if !magnitude.is_empty() => magnitude,
        magnitude => magnitude,
    };
    let (zeros, end) = number.split_at_mut_checked(number.len().checked_sub(magnitude.len())?)?;
    zeros.fill(0);
    bytes::copy(end, magnitude);
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number(bytes: &[u8]) -> [u8; 32] {
        let mut number = [0; 32];
        number[32 - bytes.len()..].copy_from_slice(bytes);
        number
    }

    #[test]
    fn small_numbers_take_the_fewest_bytes() {
        let mut out = [0; 9];
        assert_eq!(write(&number(&[1]), &number(&[0x80]), &mut out), Ok(9));
        assert_eq!(out, [0x30, 7, 2, 1, 1, 2, 2, 0, 0x80]);
        assert_eq!(write(&number(&[1]), &number(&[0x80]), &mut out[..8]), Err(Error::OutputTooSmall));
        assert_eq!(write(&[0; 32], &[0; 32], &mut out), Ok(8));
        assert_eq!(out[..8], [0x30, 6, 2, 1, 0, 2, 1, 0]);
    }

    #[test]
    fn the_longest_signatures_of_each_curve_are_as_long_as_documented() {
        let p521 = [&[1][..], &[0xff; 65]].concat();
        for (number, expected) in [(&[0xff; 32][..], 72), (&[0xff; 48], 104), (&p521, 139)] {
            let mut out = [0; 139];
            assert_eq!(write(number, number, &mut out), Ok(expected));
            assert_eq!(write(number, number, &mut out[..expected - 1]), Err(Error::OutputTooSmall));
        }
        assert_eq!(write(&[1; 125], &[1], &mut [0; 300]), Err(Error::InvalidLength));
    }

    #[test]
    fn a_length_takes_a_byte_of_its_own_only_from_128_on() {
        // 127 and 128 bytes of content.
        for (r, s, head) in [(61, 62, &[0x30, 127, 2][..]), (62, 62, &[0x30, 0x81, 128, 2])] {
            let (r, s) = (&[1; 62][..r], &[1; 62][..s]);
            let mut out = [0; 139];
            let len = write(r, s, &mut out).unwrap();
            assert_eq!(&out[..head.len()], head);
            let (read_r, read_s) = read::<62>(&out[..len]).unwrap();
            assert!(read_r.ends_with(r) && read_s.ends_with(s));
        }
        let mut long = [1; 130];
        long[..5].copy_from_slice(&[0x30, 0x81, 127, 2, 61]);
        long[66..68].copy_from_slice(&[2, 62]);
        assert_eq!(read::<62>(&long), None, "127 in long form");
        let mut short = [1; 130];
        short[..4].copy_from_slice(&[0x30, 128, 2, 62]);
        short[66..68].copy_from_slice(&[2, 62]);
        assert_eq!(read::<62>(&short), None, "128 in short form");
    }

    #[test]
    fn anything_but_the_one_encoding_is_refused() {
        assert!(read::<32>(&[0x30, 6, 2, 1, 1, 2, 1, 1]).is_some());
        for wrong in [
            &[][..],
            &[0x30],
            &[0x31, 6, 2, 1, 1, 2, 1, 1],
            &[0x30, 7, 2, 1, 1, 2, 1, 1],
            &[0x30, 5, 2, 1, 1, 2, 1, 1],
            &[0x30, 0x81, 6, 2, 1, 1, 2, 1, 1],
            &[0x30, 6, 2, 1, 1, 2, 1, 1, 0],
            &[0x30, 7, 2, 1, 1, 2, 1, 1, 0],
            &[0x30, 6, 3, 1, 1, 2, 1, 1],
            &[0x30, 7, 2, 2, 0, 1, 2, 1, 1],
            &[0x30, 7, 2, 2, 0, 0, 2, 1, 1],
            &[0x30, 6, 2, 1, 0x80, 2, 1, 1],
            &[0x30, 5, 2, 0, 2, 1, 1],
            &[0x30, 3, 2, 1, 1],
            &[0x30, 6, 2, 1, 1, 2, 2, 1],
        ] {
            assert_eq!(read::<32>(wrong), None, "{wrong:02x?}");
        }
        let mut long = [1; 39];
        long[..4].copy_from_slice(&[0x30, 37, 2, 33]);
        assert_eq!(read::<32>(&long), None, "33 bytes of magnitude");
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(r: [u8; 32], s: [u8; 32], zeros in 0..32_usize) {
            let mut r = r;
            r[..zeros].fill(0);
            let mut out = [0; 72];
            let len = write(&r, &s, &mut out).unwrap();
            prop_assert_eq!(read(&out[..len]), Some((r, s)));
        }

        #[test]
        fn what_reads_writes_the_same_bytes(mut der: Vec<u8>) {
            if let [tag, len, rest @ ..] = &mut der[..] {
                (*tag, *len) = (SEQUENCE, rest.len() as u8);
            }
            if let Some((r, s)) = read::<32>(&der) {
                let mut out = [0; 72];
                let len = write(&r, &s, &mut out).unwrap();
                prop_assert_eq!(&out[..len], &der[..]);
            }
        }
    }
}

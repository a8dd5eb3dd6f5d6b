//! The DER form of ECDSA signatures on 256-bit curves (RFC 3279 §2.2.3), for every backend whose primitive speaks `r‖s`.
//!
//! ```text
//! 30 len  02 len r  02 len s        at most 72 bytes
//! ```

use super::Error;
use crate::bytes;

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;

/// Writes the signature and returns its length, 8 to 72 bytes. Errors: [`Error::OutputTooSmall`].
pub fn write(r: &[u8; 32], s: &[u8; 32], out: &mut [u8]) -> Result<usize, Error> {
    let (r, s) = (Magnitude::of(r), Magnitude::of(s));
    let content = r.size().saturating_add(s.size());
    let total = content.saturating_add(2);
    let out = out.get_mut(..total).ok_or(Error::OutputTooSmall)?;
    let (header, rest) = out.split_first_chunk_mut().ok_or(Error::OutputTooSmall)?;
    // At most 70: one byte holds it.
    *header = [SEQUENCE, content.to_le_bytes()[0]];
    s.write(r.write(rest));
    Ok(total)
}

/// Reads a signature as `(r, s)`. `None` unless it is DER to the letter: minimal lengths, minimal non-negative integers
/// of at most 256 bits, nothing behind. Whether `r` and `s` are in range is the verifier's to check.
pub fn read(der: &[u8]) -> Option<([u8; 32], [u8; 32])> {
    let (&[SEQUENCE, len], rest) = der.split_first_chunk()? else { return None };
    if usize::from(len) != rest.len() {
        return None;
    }
    let (r, rest) = integer(rest)?;
    let (s, rest) = integer(rest)?;
    rest.is_empty().then_some((r, s))
}

/// A big-endian number without leading zero bytes. Zero keeps one.
struct Magnitude<'a> {
    bytes: &'a [u8],
    /// Whether a zero byte must stand in front so that the integer is not negative.
    padded: bool,
}

impl<'a> Magnitude<'a> {
    fn of(number: &'a [u8; 32]) -> Self {
        let mut bytes = number.as_slice();
        while let [0, rest @ ..] = bytes
            && !rest.is_empty()
        {
            bytes = rest;
        }
        Self { bytes, padded: bytes.first().is_some_and(|&first| first >= 0x80) }
    }

    fn len(&self) -> usize {
        self.bytes.len().saturating_add(usize::from(self.padded))
    }

    /// With tag and length.
    fn size(&self) -> usize {
        self.len().saturating_add(2)
    }

    /// Writes the integer and returns what is left of `out`, which is large enough.
    fn write<'o>(&self, out: &'o mut [u8]) -> &'o mut [u8] {
        let (out, rest) = out.split_at_mut_checked(self.size()).unwrap_or_default();
        bytes::copy(out, &[INTEGER, self.len().to_le_bytes()[0], 0]);
        let start = if self.padded { 3 } else { 2 };
        bytes::copy(out.get_mut(start..).unwrap_or_default(), self.bytes);
        rest
    }
}

fn integer(der: &[u8]) -> Option<([u8; 32], &[u8])> {
    let (&[INTEGER, len], rest) = der.split_first_chunk()? else { return None };
    let (value, rest) = rest.split_at_checked(usize::from(len))?;
    let magnitude = match value {
        [] | [0x80..=0xff, ..] | [0, 0..=0x7f, ..] => return None,
        [0, magnitude @ ..] if !magnitude.is_empty() => magnitude,
        magnitude => magnitude,
    };
    let mut number = [0; 32];
    let start = number.len().checked_sub(magnitude.len())?;
    bytes::copy(number.get_mut(start..)?, magnitude);
    Some((number, rest))
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
    fn the_longest_signature_is_max_signature_bytes_long() {
        assert_eq!(write(&[0xff; 32], &[0xff; 32], &mut [0; 80]), Ok(super::super::MAX_SIGNATURE));
    }

    #[test]
    fn anything_but_the_one_encoding_is_refused() {
        assert!(read(&[0x30, 6, 2, 1, 1, 2, 1, 1]).is_some());
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
            assert_eq!(read(wrong), None, "{wrong:02x?}");
        }
        let mut long = [1; 39];
        long[..4].copy_from_slice(&[0x30, 37, 2, 33]);
        assert_eq!(read(&long), None, "33 bytes of magnitude");
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
            if let Some((r, s)) = read(&der) {
                let mut out = [0; 72];
                let len = write(&r, &s, &mut out).unwrap();
                prop_assert_eq!(&out[..len], &der[..]);
            }
        }
    }
}

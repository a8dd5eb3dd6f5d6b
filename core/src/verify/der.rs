//! DER (X.690) as certificates have it, read from the front without a heap.

pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;
#[cfg(feature = "platform-attestation")]
pub(super) const ENUMERATED: u8 = 0x0A;
/// In the first byte of a tag: the number is in the bytes behind it.
const LONG_TAG: u8 = 0x1F;

/// A time, as the decimal digits YYYYMMDDhhmmss (RFC 5280 §4.1.2.5).
pub(super) fn time(der: &mut Der<'_>) -> Option<u64> {
    let (tag, text) = der.next()?;
    let text = core::str::from_utf8(text.0).ok()?.strip_suffix('Z')?;
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits: u64 = text.parse().ok()?;
    match (tag, text.len()) {
        // A two-digit year from 50 to 99 means 1950 to 1999.
        (UTC_TIME, 12) if digits >= 500_000_000_000 => digits.checked_add(19_000_000_000_000),
        (UTC_TIME, 12) => digits.checked_add(20_000_000_000_000),
        (GENERALIZED_TIME, 14) => Some(digits),
        _ => None,
    }
}

/// A sequence of DER elements, read from the front.
#[derive(Clone, Copy, Debug)]
pub(super) struct Der<'a>(pub(super) &'a [u8]);

impl<'a> Der<'a> {
    /// The value of an INTEGER that is not negative. `None` for others, and for those of more than 8 bytes.
    pub(super) fn number(&mut self) -> Option<u64> {
        let digits = self.take(INTEGER)?.0;
        if digits.first().is_none_or(|first| first & 0x80 != 0) || digits.len() > 8 {
            return None;
        }
        Some(digits.iter().fold(0, |number, digit| number << 8 | u64::from(*digit)))
    }

    /// The digits of an INTEGER that is not negative, without leading zeros.
    pub(super) fn digits(&mut self) -> Option<&'a [u8]> {
        match self.take(INTEGER)?.0 {
            [] => None,
            [first, ..] if *first >= 0x80 => None,
            [0, digits @ ..] | digits => Some(digits),
        }
    }

    /// The tag and the contents of the next element. At the end or for invalid DER it is `None`, and nothing is read.
    pub(super) fn next(&mut self) -> Option<(u8, Der<'a>)> {
        let (&tag, rest) = self.0.split_first()?;
        if tag & LONG_TAG == LONG_TAG {
            return None; // certificates have no tags of several bytes
        }
        self.contents(rest).map(|contents| (tag, contents))
    }

    /// The number and the contents of the next element, which has a context-specific, constructed tag of up to 14 bits.
    #[cfg(feature = "platform-attestation")]
    pub(super) fn tagged(&mut self) -> Option<(u16, Der<'a>)> {
        let (number, rest) = match self.0 {
            [0xBF, number @ LONG_TAG..=0x7F, rest @ ..] => (u16::from(*number), rest),
            [0xBF, high @ 0x81..=0xFF, low @ 0x00..=0x7F, rest @ ..] => {
                (u16::from(high & 0x7F) << 7 | u16::from(*low), rest)
            }
            [tag @ 0xA0..=0xBE, rest @ ..] => (u16::from(tag & LONG_TAG), rest),
            _ => return None,
        };
        self.contents(rest).map(|contents| (number, contents))
    }

    /// Reads the length and the contents of an element whose tag comes before `rest`.
    fn contents(&mut self, rest: &'a [u8]) -> Option<Der<'a>> {
        let (&short, rest) = rest.split_first()?;
        let (length, rest) = match short {
            0x00..=0x7F => (usize::from(short), rest),
            0x81 => match rest.split_first()? {
                (&length @ 0x80.., rest) => (usize::from(length), rest),
                _ => return None,
            },
            0x82 => match rest.split_first_chunk()? {
                (&[high, low], rest) if high > 0 => (usize::from(u16::from_be_bytes([high, low])), rest),
                _ => return None,
            },
            _ => return None, // indefinite, or longer than any message of CTAP
        };
        let (contents, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some(Der(contents))
    }

    /// The contents of the next element if it has this tag.
    pub(super) fn take(&mut self, tag: u8) -> Option<Der<'a>> {
        if self.0.first() == Some(&tag) { self.next().map(|(_, contents)| contents) } else { None }
    }

    /// Checks that nothing is left.
    pub(super) fn end(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

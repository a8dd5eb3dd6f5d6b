//! The canonical writer. It counts on past the end of its buffer, so an overflow names the size that was needed.

use super::SMALL;
use crate::bytes;

/// Writes CBOR items into a slice, front to back.
#[derive(Debug)]
pub struct Writer<'b> {
    buffer: &'b mut [u8],
    /// Does not wrap: the parts of a message lie in memory, which has fewer bytes than a `usize` counts.
    length: usize,
}

/// The buffer was too small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Overflow {
    /// The bytes the message takes.
    pub needed: usize,
}

impl<'b> Writer<'b> {
    /// A writer at the front of `buffer`.
    #[cfg_attr(not(feature = "small"), inline)]
    pub const fn new(buffer: &'b mut [u8]) -> Self {
        Self { buffer, length: 0 }
    }

    /// Bytes written so far, those that did not fit included.
    #[cfg_attr(not(feature = "small"), inline)]
    pub const fn len(&self) -> usize {
        self.length
    }

    /// Whether nothing has been written.
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// What has been written, `None` after an overflow.
    pub fn written(&self) -> Option<&[u8]> {
        self.buffer.get(..self.length)
    }

    /// The length of the message.
    ///
    /// # Errors
    /// [`Overflow`] when it did not fit.
    #[cfg_attr(not(feature = "small"), inline)]
    pub const fn finish(self) -> Result<usize, Overflow> {
        if self.length > self.buffer.len() { Err(Overflow { needed: self.length }) } else { Ok(self.length) }
    }

    /// Bytes as they are, outside of CBOR or already encoded.
    #[cfg_attr(not(feature = "small"), inline)]
    pub fn raw(&mut self, raw: &[u8]) {
        if let Some(to) = self.buffer.get_mut(self.length..).and_then(|rest| rest.get_mut(..raw.len())) {
            bytes::copy(to, raw);
        }
        self.length = self.length.wrapping_add(raw.len());
    }

    /// Bytes as they are, of a length that is known when compiled.
    #[cfg_attr(not(feature = "small"), inline)]
    pub fn known<const N: usize>(&mut self, known: &[u8; N]) {
        if let Some(to) = self.buffer.get_mut(self.length..).and_then(|rest| rest.first_chunk_mut()) {
            *to = *known;
        }
        self.length = self.length.wrapping_add(N);
    }

    /// One byte as it is.
    #[cfg_attr(feature = "small", inline(never))]
    #[cfg_attr(not(feature = "small"), inline)]
    pub fn byte(&mut self, byte: u8) {
        if let Some(to) = self.buffer.get_mut(self.length) {
            *to = byte;
        }
        self.length = self.length.wrapping_add(1);
    }

    /// Makes room for `length` bytes and returns it to be filled, empty after an overflow.
    pub fn reserve(&mut self, length: usize) -> &mut [u8] {
        let start = self.length;
        self.length = start.saturating_add(length);
        self.buffer.get_mut(start..self.length).unwrap_or_default()
    }

    /// What was written from `start` on, empty after an overflow.
    pub fn since_mut(&mut self, start: usize) -> &mut [u8] {
        self.buffer.get_mut(start..self.length).unwrap_or_default()
    }

    /// Writes over what was written at `at`, where that fitted.
    pub fn overwrite(&mut self, at: usize, bytes: &[u8]) {
        if let Some(to) = self.buffer.get_mut(at..) {
            bytes::copy_prefix(to, bytes);
        }
    }

    /// Takes back what was written from `start` on.
    pub fn truncate(&mut self, start: usize) {
        self.length = self.length.min(start);
    }

    /// Begins a byte string of a length that is not known yet, of 24 bytes or more. [`Writer::end_bytes`] ends it.
    /// Returns where it begins.
    pub fn begin_bytes(&mut self) -> usize {
        let start = self.length;
        self.raw(&[0x58, 0]);
        start
    }

    /// Ends the byte string that was begun at `start`, and returns its content. `None` after an overflow.
    pub fn end_bytes(&mut self, start: usize) -> Option<&[u8]> {
        let len = self.length.saturating_sub(start).saturating_sub(2);
        debug_assert!((24..0x1_0000).contains(&len));
        let content = self.set_head(start, 2, 0x40, len as u16);
        self.buffer.get(content..self.length)
    }

    /// Sets the number of entries of the map (`major` is 0xA0), or items of the array (0x80), that was begun at `start`
    /// as if it were empty.
    #[cfg_attr(not(feature = "small"), inline)]
    pub(super) fn set_count(&mut self, start: usize, major: u8, count: u16) {
        if !SMALL && count < 24 {
            return self.overwrite(start, &[major | count as u8]);
        }
        self.set_head(start, 1, major, count);
    }

    /// Writes a head over the `room` bytes at `start` and moves what follows them. Returns where that begins.
    fn set_head(&mut self, start: usize, room: usize, major: u8, value: u16) -> usize {
        let [high, low] = value.to_be_bytes();
        let head: &[u8] = match value {
            0..24 => &[major | low],
            24..=255 => &[major | 24, low],
            _ => &[major | 25, high, low],
        };
        let (from, to) = (start.saturating_add(room), start.saturating_add(head.len()));
        let content = from..self.length;
        self.length = self.length.saturating_add(head.len()).saturating_sub(room);
        if from != to && self.length <= self.buffer.len() {
            bytes::shift(self.buffer, content, to);
        }
        self.overwrite(start, head);
        to
    }

    /// An unsigned integer.
    #[cfg_attr(not(feature = "small"), inline)]
    pub fn unsigned(&mut self, value: u64) {
        self.head(0x00, value);
    }

    /// An unsigned integer of 32 bits.
    #[cfg_attr(not(feature = "small"), inline)]
    pub fn number(&mut self, value: u32) {
        self.unsigned(u64::from(value));
    }

    /// An integer of either sign.
    #[cfg_attr(not(feature = "small"), inline)]
    pub fn integer(&mut self, value: i64) {
        if value < 0 { self.head(0x20, !value as u64) } else { self.head(0x00, value as u64) }
    }

    /// A byte string.
    #[cfg_attr(not(feature = "small"), inline)]
    pub fn bytes(&mut self, value: &[u8]) {
        self.string(0x40, value);
    }

    /// The head of a byte string of `length` bytes, which the caller writes with [`Writer::raw`].
    #[cfg_attr(not(feature = "small"), inline)]
    pub fn bytes_head(&mut self, length: usize) {
        self.head(0x40, length as u64);
    }

    /// A text string.
    #[cfg_attr(not(feature = "small"), inline)]
    pub fn text(&mut self, value: &str) {
        self.text_bytes(value.as_bytes());
    }

    /// A text string from bytes that the caller knows to be UTF-8.
    #[cfg_attr(not(feature = "small"), inline)]
    pub fn text_bytes(&mut self, value: &[u8]) {
        self.string(0x60, value);
    }

    /// The head of a text string of `length` bytes, which the caller writes with [`Writer::raw`].
    #[cfg_attr(not(feature = "small"), inline)]
    pub fn text_head(&mut self, length: usize) {
        self.head(0x60, length as u64);
    }

    /// The head of an array of `count` items.
    #[cfg_attr(not(feature = "small"), inline)]
    pub fn array(&mut self, count: usize) {
        self.head(0x80, count as u64);
    }

    /// The head of a map of `count` entries.
    #[cfg_attr(not(feature = "small"), inline)]
    pub fn map(&mut self, count: usize) {
        self.head(0xA0, count as u64);
    }

    /// `true` or `false`.
    #[cfg_attr(not(feature = "small"), inline)]
    pub fn bool(&mut self, value: bool) {
        self.byte(if value { 0xF5 } else { 0xF4 });
    }

    #[cfg_attr(not(feature = "small"), inline)]
    fn string(&mut self, major: u8, value: &[u8]) {
        // Most strings are short; one check is enough for such a head and what follows.
        let rest = self.buffer.get_mut(self.length..).filter(|_| value.len() < 24);
        if !SMALL
            && let Some([head, rest @ ..]) = rest
            && let Some(to) = rest.get_mut(..value.len())
        {
            *head = major | value.len() as u8;
            bytes::copy(to, value);
            self.length = self.length.wrapping_add(1).wrapping_add(value.len());
        } else {
            self.head(major, value.len() as u64);
            self.raw(value);
        }
    }

    #[cfg_attr(not(feature = "small"), inline)]
    fn head(&mut self, major: u8, value: u64) {
        if value < 24 {
            self.byte(major | value as u8);
        } else {
            self.long_head(major, value);
        }
    }

    fn long_head(&mut self, major: u8, value: u64) {
        if SMALL {
            let (info, unused) = match value {
                0..=0xFF => (24, 7),
                0x100..=0xFFFF => (25, 6),
                0x1_0000..=0xFFFF_FFFF => (26, 4),
                _ => (27, 0),
            };
            self.byte(major | info);
            self.raw(bytes::rest(&value.to_be_bytes(), unused));
        } else if let Ok(value) = u8::try_from(value) {
            self.known(&[major | 24, value]);
        } else if let Ok(value) = u16::try_from(value) {
            let [high, low] = value.to_be_bytes();
            self.known(&[major | 25, high, low]);
        } else if let Ok(value) = u32::try_from(value) {
            self.byte(major | 26);
            self.known(&value.to_be_bytes());
        } else {
            self.byte(major | 27);
            self.known(&value.to_be_bytes());
        }
    }
}

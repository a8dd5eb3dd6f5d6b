//! Writing JSON: strings as WebAuthn serialises them, objects member by member, and CBOR items.

use super::shape::{ENTRY, Shape};
use crate::{
    base64url, bytes,
    cbor::{self, ErrorKind, Item, Overflow, Reader, Write, Writer},
};

/// Why JSON could not be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum WriteError {
    /// The buffer is too small.
    Overflow(Overflow),
    /// The CBOR is malformed or has no JSON equivalent.
    Cbor(cbor::Error),
}

impl From<Overflow> for WriteError {
    fn from(overflow: Overflow) -> Self {
        Self::Overflow(overflow)
    }
}

impl From<cbor::Error> for WriteError {
    fn from(error: cbor::Error) -> Self {
        Self::Cbor(error)
    }
}

/// Writes a message as JSON to the front of `buffer` and returns the length. `buffer` must also have room for the
/// message's CBOR. `shape` distinguishes records from arrays.
///
/// # Errors
/// [`WriteError::Overflow`] with the minimum size of the buffer; [`WriteError::Cbor`] as in [`from_cbor`].
pub fn encode<T: Write + ?Sized>(value: &T, shape: Option<&Shape>, buffer: &mut [u8]) -> Result<usize, WriteError> {
    with_cbor(value, buffer, |cbor, json| {
        let mut w = Writer::new(json);
        from_cbor(&mut Reader::tolerant(cbor), &mut w, shape)?;
        Ok(w.finish()?)
    })
}

/// Encodes `value` as CBOR at the end of `buffer` and calls `write` to write to its front.
///
/// # Errors
/// [`WriteError::Overflow`] with the minimum size of the buffer; the errors of `write`.
pub fn with_cbor<T: Write + ?Sized>(
    value: &T,
    buffer: &mut [u8],
    write: impl FnOnce(&[u8], &mut [u8]) -> Result<usize, WriteError>,
) -> Result<usize, WriteError> {
    let len = cbor::encode(value, buffer)?;
    let front = buffer.len().saturating_sub(len);
    bytes::shift(buffer, 0..len, front);
    let (front, back) = bytes::split_mut(buffer, front);
    write(back, front).map_err(|error| match error {
        WriteError::Overflow(Overflow { needed }) => Overflow { needed: needed.saturating_add(len) }.into(),
        error => error,
    })
}

/// Writes a string as CCDToString does (WebAuthn L3 §5.8.1.1).
pub fn string(w: &mut Writer<'_>, text: impl Iterator<Item = char>) {
    w.byte(b'"');
    for char in text {
        match char {
            '"' | '\\' => w.raw(&[b'\\', char as u8]),
            '\0'..'\x20' => {
                w.raw(b"\\u00");
                w.byte(if char < '\x10' { b'0' } else { b'1' });
                w.byte(char::from_digit(u32::from(char) & 0xF, 16).unwrap_or('0') as u8);
            }
            char => w.raw(char.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    w.byte(b'"');
}

/// Writes an array of strings.
pub fn array<'t>(w: &mut Writer<'_>, texts: impl Iterator<Item = &'t str>) {
    let mut empty = true;
    w.byte(b'[');
    for text in texts {
        separate(w, &mut empty);
        string(w, text.chars());
    }
    w.byte(b']');
}

/// An object that is being written. [`Object::finish`] closes it.
#[derive(Debug)]
pub struct Object<'w, 'b> {
    w: &'w mut Writer<'b>,
    empty: bool,
}

impl<'w, 'b> Object<'w, 'b> {
    /// Opens an object.
    pub fn open(w: &'w mut Writer<'b>) -> Self {
        w.byte(b'{');
        Self { w, empty: true }
    }

    /// Writes the name of a member. The caller must write its value next.
    pub fn member(&mut self, name: &str) -> &mut Writer<'b> {
        self.named(name.chars())
    }

    /// Writes a member that is a string.
    pub fn text(&mut self, name: &str, text: &str) {
        string(self.member(name), text.chars());
    }

    /// Writes a member that is an integer.
    pub fn integer(&mut self, name: &str, value: i64) {
        signed(self.member(name), value < 0, value.unsigned_abs());
    }

    /// Writes a member that is bytes in base64url.
    pub fn bytes(&mut self, name: &str, bytes: &[u8]) {
        string(self.member(name), base64url::chars(bytes));
    }

    /// Writes a member that is, in base64url, the bytes that `write` writes.
    pub fn encoded(&mut self, name: &str, write: impl FnOnce(&mut Writer<'_>)) {
        let w = self.member(name);
        w.byte(b'"');
        let start = w.len();
        write(w);
        let length = w.len().saturating_sub(start);
        w.reserve(base64url::encoded_len(length).saturating_sub(length));
        base64url::encode_in_place(w.since_mut(start), length);
        w.byte(b'"');
    }

    /// Writes a member whose value is a CBOR item as JSON.
    ///
    /// # Errors
    /// As in [`from_cbor`].
    pub fn cbor(&mut self, name: &str, item: &[u8]) -> Result<(), cbor::Error> {
        from_cbor(&mut Reader::tolerant(item), self.member(name), None)
    }

    fn named(&mut self, name: impl Iterator<Item = char>) -> &mut Writer<'b> {
        separate(self.w, &mut self.empty);
        string(self.w, name);
        self.w.byte(b':');
        self.w
    }

    /// Closes the object.
    pub fn finish(self) {
        self.w.byte(b'}');
    }
}

/// Writes a CBOR item as JSON: byte strings in base64url, and records in `shape` as objects.
///
/// # Errors
/// The item is malformed; [`ErrorKind::Forbidden`] for items without a JSON equivalent: tags, floats, and keys that are
/// not text.
pub fn from_cbor(r: &mut Reader<'_>, w: &mut Writer<'_>, shape: Option<&Shape>) -> Result<(), cbor::Error> {
    let mut empty = true;
    match (r.item()?, shape) {
        (Item::Unsigned(value), _) => signed(w, false, value),
        (Item::Negative(value), _) => signed(w, true, value.checked_add(1).ok_or(r.error(ErrorKind::OutOfRange))?),
        (Item::Bytes(bytes), _) => string(w, base64url::chars(bytes)),
        (Item::Text(text), _) => string(w, text.chars()),
        (Item::Array(count), Some(Shape::Record(shape))) => {
            let mut object = Object::open(w);
            for _ in 0..count {
                let [id, eval] = ENTRY.map(Item::Text);
                if r.item()? != Item::Map(2) || r.item()? != id {
                    return Err(r.error(ErrorKind::UnexpectedType));
                }
                let name = object.named(base64url::chars(r.bytes()?));
                if r.item()? != eval {
                    return Err(r.error(ErrorKind::UnexpectedType));
                }
                from_cbor(r, name, Some(shape))?;
                r.leave();
            }
            object.finish();
            r.leave();
        }
        (Item::Array(count), shape) => {
            let item = match shape {
                Some(Shape::Array(item)) => Some(*item),
                _ => None,
            };
            w.byte(b'[');
            for _ in 0..count {
                separate(w, &mut empty);
                from_cbor(r, w, item)?;
            }
            w.byte(b']');
            r.leave();
        }
        (Item::Map(count), shape) => {
            let members = match shape {
                Some(Shape::Object(members)) => *members,
                _ => &[],
            };
            let mut object = Object::open(w);
            for _ in 0..count {
                let Item::Text(name) = r.item()? else { return Err(r.error(ErrorKind::Forbidden)) };
                let shape = members.iter().find(|member| member.name == name).map(|member| &member.shape);
                from_cbor(r, object.member(name), shape)?;
            }
            object.finish();
            r.leave();
        }
        (Item::Simple([0xF4]), _) => w.raw(b"false"),
        (Item::Simple([0xF5]), _) => w.raw(b"true"),
        (Item::Simple([0xF6]), _) => w.raw(b"null"),
        (Item::Simple(_) | Item::Tag(_), _) => return Err(r.error(ErrorKind::Forbidden)),
    }
    Ok(())
}

fn separate(w: &mut Writer<'_>, empty: &mut bool) {
    if !core::mem::replace(empty, false) {
        w.byte(b',');
    }
}

/// A number in decimal digits.
fn signed(w: &mut Writer<'_>, negative: bool, magnitude: u64) {
    if negative {
        w.byte(b'-');
    }
    for place in (0..=magnitude.checked_ilog10().unwrap_or(0)).rev() {
        let digit = magnitude.checked_div(10u64.saturating_pow(place)).unwrap_or(0).wrapping_rem(10);
        w.byte(b'0'.wrapping_add(digit as u8));
    }
}

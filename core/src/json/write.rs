//! Writing JSON: strings as WebAuthn serialises them, objects member by member, and what CBOR says.

use crate::{
    cbor::{Error, ErrorKind, Item, Reader, Writer},
    webauthn::base64url,
};

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

    /// Writes the name of a member; its value is to follow.
    pub fn member(&mut self, name: impl Iterator<Item = char>) -> &mut Writer<'b> {
        separate(self.w, &mut self.empty);
        string(self.w, name);
        self.w.byte(b':');
        self.w
    }

    /// A member that is a string.
    pub fn text(&mut self, name: &str, text: &str) {
        string(self.member(name.chars()), text.chars());
    }

    /// A member that is bytes in base64url.
    pub fn bytes(&mut self, name: &str, bytes: &[u8]) {
        string(self.member(name.chars()), base64url::chars(bytes));
    }

    /// Closes the object.
    pub fn finish(self) {
        self.w.byte(b'}');
    }
}

/// Writes a CBOR item as JSON: byte strings in base64url, in a map's keys too.
///
/// # Errors
/// What is wrong with the item, and [`ErrorKind::Forbidden`] for what JSON has no like of: tags, floats, and keys that are
/// no strings.
pub fn from_cbor(r: &mut Reader<'_>, w: &mut Writer<'_>) -> Result<(), Error> {
    let mut empty = true;
    match r.item()? {
        Item::Unsigned(value) => decimal(w, value),
        Item::Negative(value) => {
            w.byte(b'-');
            decimal(w, value.checked_add(1).ok_or(r.error(ErrorKind::OutOfRange))?);
        }
        Item::Bytes(bytes) => string(w, base64url::chars(bytes)),
        Item::Text(text) => string(w, text.chars()),
        Item::Array(count) => {
            w.byte(b'[');
            for _ in 0..count {
                separate(w, &mut empty);
                from_cbor(r, w)?;
            }
            w.byte(b']');
            r.leave();
        }
        Item::Map(count) => {
            let mut object = Object::open(w);
            for _ in 0..count {
                let value = match r.item()? {
                    Item::Text(name) => object.member(name.chars()),
                    Item::Bytes(name) => object.member(base64url::chars(name)),
                    _ => return Err(r.error(ErrorKind::Forbidden)),
                };
                from_cbor(r, value)?;
            }
            object.finish();
            r.leave();
        }
        Item::Simple([0xF4]) => w.raw(b"false"),
        Item::Simple([0xF5]) => w.raw(b"true"),
        Item::Simple([0xF6]) => w.raw(b"null"),
        Item::Simple(_) | Item::Tag(_) => return Err(r.error(ErrorKind::Forbidden)),
    }
    Ok(())
}

fn separate(w: &mut Writer<'_>, empty: &mut bool) {
    if !core::mem::replace(empty, false) {
        w.byte(b',');
    }
}

/// The digits of a number.
fn decimal(w: &mut Writer<'_>, value: u64) {
    let digits = value.checked_ilog10().unwrap_or(0);
    for place in (0..=digits).rev() {
        let digit = value.checked_div(10u64.saturating_pow(place)).unwrap_or(0).wrapping_rem(10);
        w.byte(b'0'.wrapping_add(digit as u8));
    }
}

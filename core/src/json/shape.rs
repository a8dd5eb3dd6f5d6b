//! From JSON to CBOR: which members a document may have, and how they are written as CBOR.
//!
//! A [`Shape`] names the members that a standard defines. They are written as CBOR under their own names, in the
//! document's order, with byte strings in place of base64url. Members that the shape does not name, and `null`, are
//! left out. The result is for the tolerant reader: the count of an array is known only at its end, so the head of an
//! array is longer than necessary.

use super::{Error, ErrorKind, JsonStr, Reader, Type};
use crate::{
    base64url,
    cbor::{Write, Writer},
    cose::Algorithm,
};

/// The type of a value. The names are those of Web IDL in WebAuthn.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// `boolean`.
    Bool,
    /// `COSEAlgorithmIdentifier`: a number. A number that is not an integer of 32 bits identifies no algorithm; it is
    /// read as [`Algorithm::RESERVED`], so that the other algorithms in the list stay usable.
    Algorithm,
    /// `unsigned long`: a non-negative integer of 32 bits.
    UnsignedLong,
    /// `DOMString`.
    Text,
    /// `Base64URLString`; a byte string in CBOR.
    Bytes,
    /// A sequence of values of one shape.
    Array(&'static Shape),
    /// A dictionary: these members, at most 23 of them.
    Object(&'static [Member]),
    /// A record whose names are bytes in base64url, each at most once. In CBOR it is an array of maps: `id` is the
    /// name's bytes, `eval` the value. The member names come from the only record in WebAuthn, `evalByCredential`.
    Record(&'static Shape),
}

/// A member of a dictionary.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    pub(super) name: &'static str,
    required: bool,
    pub(super) shape: Shape,
}

/// The members of a record's entry in CBOR.
pub(super) const ENTRY: [&str; 2] = ["id", "eval"];

impl Member {
    /// A member that may be absent.
    pub const fn optional(name: &'static str, shape: Shape) -> Self {
        Self { name, required: false, shape }
    }

    /// A member without which the document is refused.
    pub const fn required(name: &'static str, shape: Shape) -> Self {
        Self { name, required: true, shape }
    }
}

/// The initial byte of an array whose count takes four bytes (RFC 8949 §3).
const LONG_ARRAY: u8 = 0x9A;
/// The initial byte of an empty map. The number of entries, up to 23, is added to it.
const MAP: u8 = 0xA0;

/// Writes the members of `document` as CBOR into `buffer` and returns the length. A document in a shape without records
/// is read once.
///
/// # Errors
/// [`Error`] names the member and the place: the document is not JSON or has not the shape, a required member is
/// missing, a known member or a record's name appears twice, a string is not base64url, or the buffer is too small
/// ([`ErrorKind::Overflow`]).
pub fn to_cbor(document: &[u8], shape: &'static Shape, buffer: &mut [u8]) -> Result<usize, Error> {
    let mut r = Reader::new(document)?;
    let mut w = Writer::new(buffer);
    value(&mut r, &mut w, shape)?;
    r.finish()?;
    w.finish().map_err(|overflow| r.error(ErrorKind::Overflow(overflow)))
}

fn value(r: &mut Reader<'_>, w: &mut Writer<'_>, shape: &'static Shape) -> Result<(), Error> {
    r.next_type()?;
    let out_of_range = r.error(ErrorKind::OutOfRange);
    match shape {
        Shape::Bool => w.bool(r.bool()?),
        Shape::Algorithm => match r.integer() {
            Ok(identifier) => Algorithm::from_identifier(identifier).write(w),
            Err(error) if error.kind == ErrorKind::OutOfRange => Algorithm::RESERVED.write(w),
            Err(error) => return Err(error),
        },
        Shape::UnsignedLong => w.unsigned(u32::try_from(r.integer()?).map_err(|_| out_of_range)?.into()),
        Shape::Text => {
            let text = r.string()?;
            w.text_head(text.chars().map(char::len_utf8).sum());
            text.chars().for_each(|char| w.raw(char.encode_utf8(&mut [0; 4]).as_bytes()));
        }
        Shape::Bytes => {
            let not_base64url = r.error(ErrorKind::NotBase64Url);
            bytes(w, r.string()?).ok_or(not_base64url)?;
        }
        Shape::Array(item) => {
            r.array()?;
            let head = long_array(w);
            let mut count: u32 = 0;
            while r.next_item()? {
                value(r, w, item)?;
                count = count.saturating_add(1);
            }
            w.overwrite(head, &count.to_be_bytes());
        }
        Shape::Object(members) => object(r, w, members)?,
        Shape::Record(entry) => {
            r.object()?;
            let start = *r;
            let head = long_array(w);
            let mut count: u32 = 0;
            while let Some(name) = r.next_member()? {
                is_new(start, name, count)?.then_some(()).ok_or(r.error(ErrorKind::Duplicate))?;
                let [id, eval] = ENTRY;
                w.map(ENTRY.len());
                w.text(id);
                bytes(w, name).ok_or(r.error(ErrorKind::NotBase64Url))?;
                w.text(eval);
                value(r, w, entry)?;
                count = count.saturating_add(1);
            }
            w.overwrite(head, &count.to_be_bytes());
        }
    }
    Ok(())
}

fn object(r: &mut Reader<'_>, w: &mut Writer<'_>, members: &'static [Member]) -> Result<(), Error> {
    r.object()?;
    let head = w.len();
    w.byte(MAP);
    let (mut known, mut present) = (0u32, 0u32);
    while let Some(name) = r.next_member()? {
        let found = members.iter().zip(0..32).find(|(member, _)| name == member.name);
        let Some((member, bit)) = found.map(|(member, place)| (member, 1u32.wrapping_shl(place))) else {
            r.skip()?;
            continue;
        };
        if known & bit != 0 {
            return Err(r.error(ErrorKind::Duplicate).within(member.name));
        }
        known |= bit;
        let inside = |error: Error| error.within(member.name);
        if r.next_type().map_err(inside)? == Type::Null {
            r.skip().map_err(inside)?;
            continue;
        }
        present |= bit;
        w.text(member.name);
        value(r, w, &member.shape).map_err(inside)?;
    }
    for (member, place) in members.iter().zip(0..32) {
        if member.required && present & 1u32.wrapping_shl(place) == 0 {
            return Err(r.error(ErrorKind::Missing).within(member.name));
        }
    }
    w.overwrite(head, &[MAP | (present.count_ones() & 0x1F) as u8]);
    Ok(())
}

/// Writes the head of an array with room for its count. Returns the offset of the count.
fn long_array(w: &mut Writer<'_>) -> usize {
    w.raw(&[LONG_ARRAY, 0, 0, 0, 0]);
    w.len().saturating_sub(4)
}

/// Decodes `text` and writes the bytes. `None` when it is not base64url.
fn bytes(w: &mut Writer<'_>, text: JsonStr<'_>) -> Option<()> {
    let length = base64url::decoded_len(text.chars().count());
    w.bytes_head(length);
    match base64url::decode(text.chars(), w.reserve(length)) {
        Ok(_) | Err(base64url::Error::Overflow(_)) => Some(()), // the writer remembers an overflow
        Err(_) => None,
    }
}

/// Whether none of the first `count` names from `start` on is `name`.
fn is_new(mut start: Reader<'_>, name: JsonStr<'_>, count: u32) -> Result<bool, Error> {
    for _ in 0..count {
        if start.next_member()? == Some(name) {
            return Ok(false);
        }
        start.skip()?;
    }
    Ok(true)
}

//! CBOR for people: diagnostic notation (RFC 8949 §8), with names where they are known and long strings shortened.

use core::fmt;

use super::names::{Kind, Names, cose_members};
use crate::{
    bytes,
    cbor::{Item, Member, Reader},
    cose::Algorithm,
};

/// Longer byte strings are shortened, in bytes: a hash is shown whole, a credential id or a signature is not.
const LONG_BYTES: usize = 32;
/// What is left of a long byte string: this many bytes of its front and [`TAIL`] of its end.
const FRONT: usize = 12;
const TAIL: usize = 4;
/// Longer text is shortened, in bytes: the longest RP ID and URL one meets are shown whole.
const LONG_TEXT: usize = 128;
/// Entries of a list or a map that are shown: more than any honest message has.
pub(super) const MANY: u64 = 32;

/// CBOR in diagnostic notation. Bytes that are no CBOR are shown in hexadecimal, with what is wrong with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Diagnostic<'a>(pub &'a [u8]);

impl fmt::Display for Diagnostic<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut r = Reader::tolerant(self.0);
        match r.skip().and_then(|_| r.finish()) {
            Ok(()) => write!(f, "{}", Value(self.0, Kind::Plain)),
            Err(error) => write!(f, "{} / {error:?} /", Bytes(self.0)),
        }
    }
}

/// The item at the front of bytes that are known to be well-formed.
pub(super) struct Value<'a>(pub &'a [u8], pub Kind);

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        item(f, &mut Reader::tolerant(self.0), self.1)
    }
}

/// A byte string, shortened when it is long.
pub(super) struct Bytes<'a>(pub &'a [u8]);

impl fmt::Display for Bytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let len = self.0.len();
        if len <= LONG_BYTES {
            return write!(f, "h'{}'", Hex(self.0));
        }
        let front = bytes::front(self.0, FRONT);
        let tail = bytes::rest(self.0, len.saturating_sub(TAIL));
        write!(f, "h'{}…{}' / {len} bytes /", Hex(front), Hex(tail))
    }
}

/// Lower-case hexadecimal.
pub struct Hex<'a>(pub &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A number and the names of its bits.
pub(super) struct Bits(pub u64, pub &'static [&'static str]);

impl fmt::Display for Bits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:02x}", self.0)?;
        let mut separator = " / ";
        for (name, bit) in self.1.iter().zip(0..u64::BITS) {
            if self.0.wrapping_shr(bit) & 1 == 1 {
                write!(f, "{separator}{name}")?;
                separator = "|";
            }
        }
        if separator == "|" { f.write_str(" /") } else { Ok(()) }
    }
}

/// Writes the next item. What cannot be read was checked before and does not occur.
fn item(f: &mut fmt::Formatter<'_>, r: &mut Reader<'_>, kind: Kind) -> fmt::Result {
    let start = r.rest();
    let Ok(item) = r.item() else { return f.write_str("?") };
    match item {
        Item::Unsigned(value) => number(f, value.into(), kind),
        Item::Negative(value) => number(f, !i128::from(value), kind),
        Item::Bytes(bytes) => write!(f, "{}", Bytes(bytes)),
        Item::Text(text) => {
            let shown = text.get(..text.floor_char_boundary(LONG_TEXT)).unwrap_or(text);
            write!(f, "{shown:?}")?;
            if shown.len() < text.len() { write!(f, "… / {} bytes /", text.len()) } else { Ok(()) }
        }
        Item::Array(count) => {
            let inner = if let Kind::Maps(names) = kind { Kind::Map(names) } else { Kind::Plain };
            nested(f, r, ("[", "]"), count, |f, r| self::item(f, r, inner))
        }
        Item::Map(count) => {
            let names = match kind {
                Kind::Map(names) => names,
                Kind::Cose => cose_members(start),
                _ => Names::NONE,
            };
            nested(f, r, ("{", "}"), count, |f, r| entry(f, r, names))
        }
        Item::Tag(tag) => {
            write!(f, "{tag}(")?;
            self::item(f, r, Kind::Plain)?;
            r.leave();
            f.write_str(")")
        }
        Item::Simple(head) => simple(f, head),
    }
}

/// Writes what is inside an array or a map, and closes it.
fn nested<'a>(
    f: &mut fmt::Formatter<'_>,
    r: &mut Reader<'a>,
    (open, close): (&str, &str),
    count: u64,
    each: impl Fn(&mut fmt::Formatter<'_>, &mut Reader<'a>) -> fmt::Result,
) -> fmt::Result {
    f.write_str(open)?;
    for index in 0..count.min(MANY) {
        if index > 0 {
            f.write_str(", ")?;
        }
        each(f, r)?;
    }
    if let Some(more @ 1..) = count.checked_sub(MANY) {
        write!(f, ", … / {more} more /")?;
        let items = if open == "{" { more.saturating_mul(2) } else { more };
        // Ends at once where nothing can be read, whatever was claimed.
        let _ = (0..items).try_for_each(|_| r.skip().map(drop));
    }
    r.leave();
    f.write_str(close)
}

fn entry(f: &mut fmt::Formatter<'_>, r: &mut Reader<'_>, names: Names) -> fmt::Result {
    let Ok(key) = r.skip() else { return f.write_str("?") };
    let (name, kind) = find(key, names);
    match name {
        Some(name) => write!(f, "{name}: ")?,
        None => write!(f, "{}: ", Value(key, Kind::Plain))?,
    }
    item(f, r, kind)
}

/// The member that has an encoded key in `names`, and what its value is.
pub(super) fn find(key: &[u8], names: Names) -> (Option<Member>, Kind) {
    match Reader::tolerant(key).integer().ok().and_then(|key| names.find(key)) {
        Some((member, kind)) => (Some(member), kind),
        // The algorithm of credential parameters and attestation statements.
        None if key == b"\x63alg" => (None, Kind::Algorithm),
        None => (None, Kind::Plain),
    }
}

fn number(f: &mut fmt::Formatter<'_>, value: i128, kind: Kind) -> fmt::Result {
    let name = match kind {
        Kind::Bits(names) => {
            if let Ok(bits) = u64::try_from(value) {
                return write!(f, "{}", Bits(bits, names));
            }
            None
        }
        Kind::Algorithm => i32::try_from(value).ok().and_then(|value| Algorithm(value).name()),
        Kind::Value(names) => names.iter().find(|(named, _)| i128::from(*named) == value).map(|(_, name)| *name),
        _ => None,
    };
    write!(f, "{value}")?;
    name.map_or(Ok(()), |name| write!(f, " / {name} /"))
}

fn simple(f: &mut fmt::Formatter<'_>, head: &[u8]) -> fmt::Result {
    match *head {
        [0xF4] => f.write_str("false"),
        [0xF5] => f.write_str("true"),
        [0xF6] => f.write_str("null"),
        [0xF7] => f.write_str("undefined"),
        [0xF8, value] => write!(f, "simple({value})"),
        [0xFA, a, b, c, d] => write!(f, "{:?}_2", f32::from_be_bytes([a, b, c, d])),
        [0xFB, a, b, c, d, e, g, h, i] => write!(f, "{:?}_3", f64::from_be_bytes([a, b, c, d, e, g, h, i])),
        [0xF9, a, b] => write!(f, "float'{a:02x}{b:02x}'"),
        [head, ..] => write!(f, "simple({})", head & 0x1F),
        [] => Ok(()),
    }
}

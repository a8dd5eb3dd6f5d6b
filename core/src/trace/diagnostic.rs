//! Walks the CBOR items of a message, and writes them in diagnostic notation (RFC 8949 §8, long strings shortened) or
//! as JSON, with names where they are known.

use core::fmt::{self, Write as _};

use super::{
    json::{self, Quoted},
    names::{Kind, Names, cose_members},
};
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
        item(f, &mut Reader::tolerant(self.0), self.1, Form::Diagnostic)
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

/// How items are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// In diagnostic notation, shortened.
    Diagnostic,
    /// As JSON, whole.
    Json,
}

/// Writes the next item. What cannot be read was checked before and does not occur.
pub(super) fn item(f: &mut fmt::Formatter<'_>, r: &mut Reader<'_>, kind: Kind, form: Form) -> fmt::Result {
    let start = r.rest();
    let Ok(item) = r.item() else { return f.write_str(if form == Form::Json { "null" } else { "?" }) };
    match (item, form) {
        (Item::Unsigned(value), _) => number(f, value.into(), kind, form),
        (Item::Negative(value), _) => number(f, !i128::from(value), kind, form),
        (Item::Bytes(bytes), Form::Diagnostic) if matches!(kind, Kind::Secret) => {
            write!(f, "h'' / {} bytes, a secret /", bytes.len())
        }
        (Item::Bytes(bytes), Form::Diagnostic) => write!(f, "{}", Bytes(bytes)),
        (Item::Bytes(bytes), Form::Json) => json::bytes(f, bytes, kind),
        (Item::Text(text), Form::Diagnostic) => {
            let shown = text.get(..text.floor_char_boundary(LONG_TEXT)).unwrap_or(text);
            write!(f, "{shown:?}")?;
            if shown.len() < text.len() { write!(f, "… / {} bytes /", text.len()) } else { Ok(()) }
        }
        (Item::Text(text), Form::Json) => write!(f, "{}", Quoted(text)),
        (Item::Array(count), _) => {
            let inner = if let Kind::Maps(names) = kind { Kind::Map(names) } else { Kind::Plain };
            nested(f, r, form, ['[', ']'], count, |f, r| self::item(f, r, inner, form))
        }
        (Item::Map(count), _) => {
            let names = match kind {
                Kind::Map(names) => names,
                Kind::Cose => cose_members(start),
                _ => Names::NONE,
            };
            nested(f, r, form, ['{', '}'], count, |f, r| entry(f, r, names, form))
        }
        (Item::Tag(tag), Form::Diagnostic) => {
            write!(f, "{tag}(")?;
            self::item(f, r, Kind::Plain, form)?;
            r.leave();
            f.write_char(')')
        }
        (Item::Tag(_), Form::Json) => self::item(f, r, Kind::Plain, form).inspect(|()| r.leave()),
        (Item::Simple(head), Form::Diagnostic) => simple(f, head),
        (Item::Simple(head), Form::Json) => json::simple(f, head),
    }
}

/// Writes what is inside an array or a map, and closes it.
fn nested<'a>(
    f: &mut fmt::Formatter<'_>,
    r: &mut Reader<'a>,
    form: Form,
    [open, close]: [char; 2],
    count: u64,
    each: impl Fn(&mut fmt::Formatter<'_>, &mut Reader<'a>) -> fmt::Result,
) -> fmt::Result {
    let (shown, separator) = if form == Form::Json { (count, ",") } else { (count.min(MANY), ", ") };
    f.write_char(open)?;
    for index in 0..shown {
        if index > 0 {
            f.write_str(separator)?;
        }
        each(f, r)?;
    }
    if let Some(more @ 1..) = count.checked_sub(shown) {
        write!(f, ", … / {more} more /")?;
        let items = if open == '{' { more.saturating_mul(2) } else { more };
        // Ends at once where nothing can be read, whatever was claimed.
        let _ = (0..items).try_for_each(|_| r.skip().map(drop));
    }
    r.leave();
    f.write_char(close)
}

fn entry(f: &mut fmt::Formatter<'_>, r: &mut Reader<'_>, names: Names, form: Form) -> fmt::Result {
    let Ok(key) = r.skip() else { return f.write_str("?") };
    let (name, kind) = find(key, names);
    match (name, form) {
        (name, Form::Json) => json::key(f, name, key)?,
        (Some(name), Form::Diagnostic) => write!(f, "{name}: ")?,
        (None, Form::Diagnostic) => write!(f, "{}: ", Value(key, Kind::Plain))?,
    }
    item(f, r, kind, form)
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

fn number(f: &mut fmt::Formatter<'_>, value: i128, kind: Kind, form: Form) -> fmt::Result {
    let name = match kind {
        _ if form == Form::Json => None,
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

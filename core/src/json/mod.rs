//! A strict JSON reader (RFC 8259). It reads values from front to back and returns borrowed parts of the document.
//!
//! A string may contain escapes and then cannot be borrowed unescaped. So a string is a [`JsonStr`], which compares and
//! copies the unescaped text. The members of an object come in any order, and unknown ones can be skipped. Keep the
//! value of each known member with [`Reader::once`], which refuses a second one.
//!
//! If strings must be decoded before they can be borrowed, [`to_cbor`] converts the document into CBOR in the caller's
//! buffer, and the CBOR is read. [`encode`] is the reverse.

mod shape;
mod text;
mod write;

use crate::{bytes, cbor::Overflow};
use text::unescape;

pub use shape::{Member, Shape, to_cbor};
pub use text::JsonStr;
pub use write::{Object, WriteError, array, encode, from_cbor, string, with_cbor};

/// How deeply objects and arrays may be nested.
const MAX_DEPTH: u8 = 16;

/// What was wrong with a document, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Error {
    /// What was wrong.
    pub kind: ErrorKind,
    /// Where, in bytes from the start of the document.
    pub offset: usize,
    /// The innermost member known to the standard in whose value the error is.
    pub member: Option<&'static str>,
}

impl Error {
    /// Names the member in whose value the error lies; the innermost name stays.
    #[must_use]
    pub const fn within(self, member: &'static str) -> Self {
        match self.member {
            Some(_) => self,
            None => Self { member: Some(member), ..self },
        }
    }
}

/// The kinds of error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ErrorKind {
    /// The document is not UTF-8.
    NotUtf8,
    /// The document ends inside a value.
    Truncated,
    /// A character that is not allowed here, for example a control character in a string.
    Unexpected,
    /// A number or a literal that RFC 8259 does not allow.
    Malformed,
    /// An escape that RFC 8259 does not allow, or half of a surrogate pair.
    Escape,
    /// Objects and arrays are nested too deeply.
    TooDeep,
    /// Something follows the document.
    TrailingBytes,
    /// A value has not the type that the standard requires.
    UnexpectedType,
    /// A known member appears twice.
    Duplicate,
    /// A required member is missing.
    Missing,
    /// A number that is not an integer, or is too large for its member.
    OutOfRange,
    /// A string that is not base64url without padding.
    NotBase64Url,
    /// The buffer is too small for what the document says.
    Overflow(Overflow),
}

/// The types of value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// An object.
    Object,
    /// An array.
    Array,
    /// A string.
    String,
    /// A number.
    Number,
    /// `true` or `false`.
    Bool,
    /// `null`.
    Null,
}

/// Reads JSON values from a document, front to back.
///
/// ```
/// # use keyfob_core::json::{Error, Reader};
/// let mut r = Reader::new(br#"{"origin": "https:\/\/example.org", "more": [1, 2]}"#)?;
/// r.object()?;
/// while let Some(name) = r.next_member()? {
///     if name == "origin" {
///         assert_eq!(r.string()?, "https://example.org");
///     } else {
///         assert_eq!(r.skip()?, "[1, 2]");
///     }
/// }
/// r.finish()?;
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a str,
    end: usize,
    /// How many more levels of nesting are allowed.
    depth: u8,
    /// Whether an object or an array was just opened, so that no comma is due.
    opened: bool,
}

impl<'a> Reader<'a> {
    /// A reader at the front of `document`.
    ///
    /// # Errors
    /// [`ErrorKind::NotUtf8`].
    pub fn new(document: &'a [u8]) -> Result<Self, Error> {
        match core::str::from_utf8(document) {
            Ok(rest) => Ok(Self { rest, end: rest.len(), depth: MAX_DEPTH, opened: false }),
            Err(error) => Err(Error { kind: ErrorKind::NotUtf8, offset: error.valid_up_to(), member: None }),
        }
    }

    /// Bytes read so far.
    pub const fn offset(&self) -> usize {
        self.end.saturating_sub(self.rest.len())
    }

    /// An error at the current position.
    #[cold]
    pub const fn error(&self, kind: ErrorKind) -> Error {
        Error { kind, offset: self.offset(), member: None }
    }

    /// Checks that only white space is left.
    ///
    /// # Errors
    /// [`ErrorKind::TrailingBytes`].
    pub fn finish(&mut self) -> Result<(), Error> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.error(ErrorKind::TrailingBytes)),
        }
    }

    /// The type of the next value. Does not read the value.
    ///
    /// # Errors
    /// [`ErrorKind::Truncated`], [`ErrorKind::Unexpected`].
    pub fn next_type(&mut self) -> Result<Type, Error> {
        match self.peek() {
            Some(b'{') => Ok(Type::Object),
            Some(b'[') => Ok(Type::Array),
            Some(b'"') => Ok(Type::String),
            Some(b'-' | b'0'..=b'9') => Ok(Type::Number),
            Some(b't' | b'f') => Ok(Type::Bool),
            Some(b'n') => Ok(Type::Null),
            Some(_) => Err(self.error(ErrorKind::Unexpected)),
            None => Err(self.error(ErrorKind::Truncated)),
        }
    }

    /// Opens an object; read it with [`Reader::next_member`] to its end.
    ///
    /// # Errors
    /// [`ErrorKind::UnexpectedType`], [`ErrorKind::TooDeep`]; otherwise as in [`Reader::next_type`].
    pub fn object(&mut self) -> Result<(), Error> {
        self.open(Type::Object)
    }

    /// The name of the next member, whose value follows. `None` closes the object.
    ///
    /// # Errors
    /// [`ErrorKind::Truncated`], [`ErrorKind::Unexpected`]; for the name, as in [`Reader::string`].
    pub fn next_member(&mut self) -> Result<Option<JsonStr<'a>>, Error> {
        if !self.next_in(b'}')? {
            return Ok(None);
        }
        if self.peek() != Some(b'"') {
            return Err(self.unexpected());
        }
        let name = self.string()?;
        if self.peek() != Some(b':') {
            return Err(self.unexpected());
        }
        self.advance(1);
        Ok(Some(name))
    }

    /// Opens an array; walk it with [`Reader::next_item`] to its end.
    ///
    /// # Errors
    /// [`ErrorKind::UnexpectedType`], [`ErrorKind::TooDeep`]; otherwise as in [`Reader::next_type`].
    pub fn array(&mut self) -> Result<(), Error> {
        self.open(Type::Array)
    }

    /// Whether another item follows. `false` closes the array.
    ///
    /// # Errors
    /// [`ErrorKind::Truncated`], [`ErrorKind::Unexpected`].
    pub fn next_item(&mut self) -> Result<bool, Error> {
        self.next_in(b']')
    }

    /// A string. Its escapes are checked.
    ///
    /// # Errors
    /// [`ErrorKind::UnexpectedType`], [`ErrorKind::Escape`]; otherwise as in [`Reader::next_type`].
    pub fn string(&mut self) -> Result<JsonStr<'a>, Error> {
        self.expect(Type::String)?;
        self.advance(1);
        let start = self.rest;
        loop {
            match self.rest.as_bytes().first() {
                Some(b'"') => break,
                Some(b'\\') => {
                    let mut chars = self.rest.chars();
                    if unescape(&mut chars).is_none() {
                        return Err(self.error(ErrorKind::Escape));
                    }
                    self.rest = chars.as_str();
                }
                Some(0x00..0x20) => return Err(self.error(ErrorKind::Unexpected)),
                Some(_) => self.run(|byte| !matches!(byte, b'"' | b'\\' | 0x00..0x20)),
                None => return Err(self.error(ErrorKind::Truncated)),
            }
        }
        let escaped = self.since(start);
        self.advance(1);
        Ok(JsonStr { escaped })
    }

    /// `true` or `false`.
    ///
    /// # Errors
    /// [`ErrorKind::UnexpectedType`], [`ErrorKind::Malformed`]; otherwise as in [`Reader::next_type`].
    pub fn bool(&mut self) -> Result<bool, Error> {
        self.expect(Type::Bool)?;
        let value = self.rest.starts_with('t');
        self.literal(if value { "true" } else { "false" })?;
        Ok(value)
    }

    /// An integer of 64 bits in any notation, because `60000`, `60000.0` and `6e4` are the same in JavaScript.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfRange`] for any other number.
    pub fn integer(&mut self) -> Result<i64, Error> {
        self.expect(Type::Number)?;
        let out_of_range = self.error(ErrorKind::OutOfRange);
        whole(self.skip()?).ok_or(out_of_range)
    }

    /// Skips one value of any type, checks that it is well-formed, and returns its text in the document.
    ///
    /// # Errors
    /// [`ErrorKind::Truncated`], [`ErrorKind::Unexpected`], [`ErrorKind::Malformed`], [`ErrorKind::Escape`],
    /// [`ErrorKind::TooDeep`].
    pub fn skip(&mut self) -> Result<&'a str, Error> {
        let kind = self.next_type()?;
        let start = self.rest;
        match kind {
            Type::Object => {
                self.object()?;
                while self.next_member()?.is_some() {
                    self.skip()?;
                }
            }
            Type::Array => {
                self.array()?;
                while self.next_item()? {
                    self.skip()?;
                }
            }
            Type::String => drop(self.string()?),
            Type::Number => self.number()?,
            Type::Bool => drop(self.bool()?),
            Type::Null => self.literal("null")?,
        }
        Ok(self.since(start))
    }

    /// Keeps the value of a known member.
    ///
    /// # Errors
    /// [`ErrorKind::Duplicate`] if `slot` already has a value.
    pub fn once<T>(&self, slot: &mut Option<T>, value: T) -> Result<(), Error> {
        match slot.replace(value) {
            None => Ok(()),
            Some(_) => Err(self.error(ErrorKind::Duplicate)),
        }
    }

    fn open(&mut self, kind: Type) -> Result<(), Error> {
        self.expect(kind)?;
        self.depth = self.depth.checked_sub(1).ok_or(self.error(ErrorKind::TooDeep))?;
        self.advance(1);
        self.opened = true;
        Ok(())
    }

    /// Whether another member or item follows in the object or array that ends with `close`. Skips the comma before it,
    /// or `close`.
    fn next_in(&mut self, close: u8) -> Result<bool, Error> {
        let first = core::mem::take(&mut self.opened);
        match self.peek() {
            Some(byte) if byte == close => {
                self.advance(1);
                self.depth = self.depth.saturating_add(1);
                Ok(false)
            }
            Some(_) if first => Ok(true),
            Some(b',') => {
                self.advance(1);
                Ok(true)
            }
            _ => Err(self.unexpected()),
        }
    }

    fn number(&mut self) -> Result<(), Error> {
        self.take_if(|byte| byte == b'-');
        if !self.take_if(|byte| byte == b'0') {
            self.digits()?;
        }
        if self.take_if(|byte| byte == b'.') {
            self.digits()?;
        }
        if self.take_if(|byte| matches!(byte, b'e' | b'E')) {
            self.take_if(|byte| matches!(byte, b'+' | b'-'));
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Error> {
        if !self.take_if(|byte| byte.is_ascii_digit()) {
            return Err(self.error(ErrorKind::Malformed));
        }
        self.run(|byte| byte.is_ascii_digit());
        Ok(())
    }

    fn literal(&mut self, literal: &str) -> Result<(), Error> {
        self.rest = self.rest.strip_prefix(literal).ok_or(self.error(ErrorKind::Malformed))?;
        Ok(())
    }

    fn expect(&mut self, kind: Type) -> Result<(), Error> {
        if self.next_type()? == kind { Ok(()) } else { Err(self.error(ErrorKind::UnexpectedType)) }
    }

    #[cold]
    fn unexpected(&self) -> Error {
        self.error(if self.rest.is_empty() { ErrorKind::Truncated } else { ErrorKind::Unexpected })
    }

    /// The next byte that is not white space. Does not read it.
    fn peek(&mut self) -> Option<u8> {
        self.run(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'));
        self.rest.as_bytes().first().copied()
    }

    fn take_if(&mut self, wanted: impl Fn(u8) -> bool) -> bool {
        let taken = self.rest.as_bytes().first().is_some_and(|&byte| wanted(byte));
        self.advance(usize::from(taken));
        taken
    }

    /// Skips bytes while `wanted` holds. Every caller's `wanted` holds for all bytes above 0x7F or for none, so only
    /// whole characters are skipped.
    fn run(&mut self, wanted: impl Fn(u8) -> bool) {
        let bytes = self.rest.as_bytes();
        self.advance(bytes.iter().position(|&byte| !wanted(byte)).unwrap_or(bytes.len()));
    }

    fn advance(&mut self, length: usize) {
        self.rest = bytes::split_text(self.rest, length).1;
    }

    fn since(&self, start: &'a str) -> &'a str {
        bytes::split_text(start, start.len().saturating_sub(self.rest.len())).0
    }
}

/// The value of a well-formed number, if it is an integer and fits.
fn whole(number: &str) -> Option<i64> {
    let (negative, digits) = number.strip_prefix('-').map_or((false, number), |digits| (true, digits));
    let (mantissa, exponent) = digits.split_once(['e', 'E']).unwrap_or((digits, "0"));
    let (units, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    // An exponent that does not fit is too large or too small for every number but zero.
    let exponent: i64 = exponent.parse().unwrap_or(if exponent.starts_with('-') { i64::MIN } else { i64::MAX });
    let mut place = exponent.saturating_add(i64::try_from(units.len()).ok()?);
    let mut value = 0_i64;
    for digit in units.bytes().chain(fraction.bytes()).map(|digit| i64::from(digit.wrapping_sub(b'0'))) {
        place = place.saturating_sub(1);
        if digit != 0 {
            let part = 10_i64.checked_pow(u32::try_from(place).ok()?)?.checked_mul(digit)?;
            value = if negative { value.checked_sub(part)? } else { value.checked_add(part)? };
        }
    }
    Some(value)
}

#[cfg(test)]
mod tests;

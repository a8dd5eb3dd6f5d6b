//! Strings of JSON, which are compared and shown as they lie in the document.

use core::{fmt, str::Chars};

use crate::{
    bytes,
    cbor::{Overflow, Writer},
};

/// A string in a document, without its quotes. Comparison is on the unescaped text.
#[derive(Clone, Copy)]
pub struct JsonStr<'a> {
    pub(super) escaped: &'a str,
}

impl<'a> JsonStr<'a> {
    /// The string as it is written in the document, with its escapes.
    pub const fn escaped(&self) -> &'a str {
        self.escaped
    }

    /// The text, if it has no escapes.
    pub fn as_str(&self) -> Option<&'a str> {
        (!self.escaped.contains('\\')).then_some(self.escaped)
    }

    /// The characters of the unescaped text.
    pub fn chars(&self) -> impl Iterator<Item = char> + Clone + use<'a> {
        let mut chars = self.escaped.chars();
        core::iter::from_fn(move || unescape(&mut chars))
    }

    /// Copies the unescaped text to the front of `buffer`.
    ///
    /// # Errors
    /// [`Overflow`] with the size that the text needs.
    pub fn copy_to<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b str, Overflow> {
        let mut w = Writer::new(buffer);
        for char in self.chars() {
            w.raw(char.encode_utf8(&mut [0; 4]).as_bytes());
        }
        let length = w.finish()?;
        Ok(bytes::text(bytes::front(buffer, length)))
    }
}

impl PartialEq<str> for JsonStr<'_> {
    fn eq(&self, other: &str) -> bool {
        self.chars().eq(other.chars())
    }
}

impl PartialEq<&str> for JsonStr<'_> {
    fn eq(&self, other: &&str) -> bool {
        *self == **other
    }
}

impl PartialEq for JsonStr<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.chars().eq(other.chars())
    }
}
impl Eq for JsonStr<'_> {}

impl fmt::Debug for JsonStr<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.escaped)
    }
}

/// The next character, unescaped. `None` at the end and for an invalid escape.
pub(super) fn unescape(chars: &mut Chars<'_>) -> Option<char> {
    match chars.next()? {
        '\\' => match chars.next()? {
            char @ ('"' | '\\' | '/') => Some(char),
            'b' => Some('\u{08}'),
            'f' => Some('\u{0C}'),
            'n' => Some('\n'),
            'r' => Some('\r'),
            't' => Some('\t'),
            'u' => unescape_unit(chars),
            _ => None,
        },
        char => Some(char),
    }
}

/// The character after `\u`: four hexadecimal digits, or two such escapes for a character outside the basic plane.
fn unescape_unit(chars: &mut Chars<'_>) -> Option<char> {
    let first = hex4(chars)?;
    if (0xD800..0xDC00).contains(&first) && (chars.next()?, chars.next()?) == ('\\', 'u') {
        return char::decode_utf16([first, hex4(chars)?]).next()?.ok();
    }
    char::from_u32(u32::from(first))
}

fn hex4(chars: &mut Chars<'_>) -> Option<u16> {
    let mut value = 0;
    for _ in 0..4 {
        let digit = chars.next()?.to_digit(16)?;
        value = value << 4 | digit as u16;
    }
    Some(value)
}

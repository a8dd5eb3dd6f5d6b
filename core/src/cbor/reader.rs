//! The strict reader: checks form and type in one pass, borrows what it returns.

use core::str::Utf8Error;

use super::{Error, ErrorKind, Map, SMALL};

pub(super) const UNSIGNED: u8 = 0;
pub(super) const NEGATIVE: u8 = 1;
pub(super) const BYTES: u8 = 2;
pub(super) const TEXT: u8 = 3;
pub(super) const ARRAY: u8 = 4;
pub(super) const MAP: u8 = 5;
pub(super) const TAG: u8 = 6;

const FALSE: u8 = 0xF4;
const TRUE: u8 = 0xF5;
const NULL: u8 = 0xF6;

/// Nesting allowed in requests (CTAP 2.3 §8).
const STRICT_DEPTH: u8 = 4;
/// Nesting allowed in responses.
pub(super) const TOLERANT_DEPTH: u8 = 16;

/// Reads CBOR items from a slice, front to back.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    pub(super) rest: &'a [u8],
    end: usize,
    pub(super) strict: bool,
    /// Under the tolerant rules: whether every head was in its shortest form and every key came after the one before
    /// it.
    pub(super) canonical: bool,
    /// Levels of nesting that are left.
    depth: u8,
    /// Nothing may follow the next message that is read by its table or by [`Reader::read_unique`].
    pub(crate) is_alone: bool,
    /// Looks for a key that stands twice in a map, where the rules do not ensure that there is none. A function pointer,
    /// so that the linker drops the search from programs that only read strictly.
    pub(super) check_unique: fn(&Reader<'_>) -> Result<(), Error>,
}

/// The search for doubled keys is not compared: it follows from the rules.
impl PartialEq for Reader<'_> {
    fn eq(&self, other: &Self) -> bool {
        let state = |r: &Self| (r.end, r.strict, r.canonical, r.depth);
        self.rest == other.rest && state(self) == state(other)
    }
}

impl Eq for Reader<'_> {}

impl<'a> Reader<'a> {
    /// A reader under the rules for requests: canonical form, depth 4.
    #[cfg_attr(feature = "small", inline(never))]
    #[cfg_attr(not(feature = "small"), inline)]
    pub const fn strict(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            end: bytes.len(),
            strict: true,
            canonical: true,
            depth: STRICT_DEPTH,
            is_alone: false,
            check_unique: |_| Ok(()),
        }
    }

    /// A reader under the rules for responses: any definite-length form, depth 16.
    #[cfg_attr(feature = "small", inline(never))]
    #[cfg_attr(not(feature = "small"), inline)]
    pub const fn tolerant(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            end: bytes.len(),
            strict: false,
            canonical: true,
            depth: TOLERANT_DEPTH,
            is_alone: false,
            check_unique: |r| r.find_double(),
        }
    }

    /// A reader of what was checked before, under whichever rules: it reads the same values.
    #[cfg_attr(feature = "small", inline(never))]
    #[cfg_attr(not(feature = "small"), inline)]
    pub(super) const fn checked(bytes: &'a [u8]) -> Self {
        Self { strict: false, depth: TOLERANT_DEPTH, ..Self::strict(bytes) }
    }

    /// This reader where `rest` of the message is left, at the same depth.
    pub(super) const fn at(&self, rest: &'a [u8]) -> Self {
        Self { rest, is_alone: false, ..*self }
    }

    /// Bytes read so far.
    #[cfg_attr(not(feature = "small"), inline)]
    pub const fn offset(&self) -> usize {
        self.end.saturating_sub(self.rest.len())
    }

    /// What has not been read yet.
    #[cfg_attr(not(feature = "small"), inline)]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// An error at the current position.
    #[cold]
    #[cfg_attr(feature = "small", inline(never))]
    pub const fn error(&self, kind: ErrorKind) -> Error {
        Error::new(kind, self.offset())
    }

    /// The error for the missing member with integer key `member`.
    #[cold]
    #[cfg_attr(feature = "small", inline(never))]
    pub const fn missing(&self, member: u8) -> Error {
        self.error(ErrorKind::Missing).within(member)
    }

    /// Checks that nothing is left.
    ///
    /// # Errors
    /// [`ErrorKind::TrailingBytes`].
    #[cfg_attr(not(feature = "small"), inline)]
    pub const fn finish(&self) -> Result<(), Error> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.error(ErrorKind::TrailingBytes)) }
    }

    /// Whether the next item is of CBOR major type `major`, without reading it.
    #[cfg_attr(not(feature = "small"), inline)]
    fn next_is(&self, major: u8) -> bool {
        matches!(self.rest.first(), Some(initial) if initial >> 5 == major)
    }

    /// Whether the next item is a byte string, without reading it.
    pub fn next_is_bytes(&self) -> bool {
        self.next_is(BYTES)
    }

    /// Whether the next item is a map, without reading it.
    pub fn next_is_map(&self) -> bool {
        self.next_is(MAP)
    }

    /// An unsigned integer.
    ///
    /// # Errors
    /// [`ErrorKind::UnexpectedType`]; [`ErrorKind::NotShortest`] under the strict rules; [`ErrorKind::Truncated`],
    /// [`ErrorKind::Malformed`].
    #[cfg_attr(not(feature = "small"), inline)]
    pub fn unsigned(&mut self) -> Result<u64, Error> {
        self.head_of(UNSIGNED)
    }

    /// An unsigned integer. One of more than 32 bits counts as the largest: no limit, code or count of the standard is
    /// larger.
    ///
    /// # Errors
    /// As in [`Reader::unsigned`].
    #[cfg_attr(not(feature = "small"), inline)]
    pub fn number(&mut self) -> Result<u32, Error> {
        self.length_of(UNSIGNED).map(|value| u32::try_from(value).unwrap_or(u32::MAX))
    }

    /// An integer of either sign.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfRange`] outside 64-bit two's complement.
    #[cfg_attr(not(feature = "small"), inline)]
    pub fn integer(&mut self) -> Result<i64, Error> {
        let start = self.rest;
        let is_negative = self.next_is(NEGATIVE);
        let value = self.head_of(if is_negative { NEGATIVE } else { UNSIGNED })?;
        let magnitude = i64::try_from(value).map_err(|_| self.at(start).error(ErrorKind::OutOfRange))?;
        Ok(if is_negative { !magnitude } else { magnitude })
    }

    /// A byte string.
    ///
    /// # Errors
    /// As in [`Reader::unsigned`].
    #[cfg_attr(not(feature = "small"), inline)]
    pub fn bytes(&mut self) -> Result<&'a [u8], Error> {
        // Nearly all are hashes, coordinates, ids and signatures.
        if !SMALL
            && let [0x58, length @ 24..=255, rest @ ..] = self.rest
            && let Some((bytes, rest)) = rest.split_at_checked(usize::from(*length))
        {
            self.rest = rest;
            return Ok(bytes);
        }
        self.rare_bytes()
    }

    fn rare_bytes(&mut self) -> Result<&'a [u8], Error> {
        let length = self.length_of(BYTES)?;
        self.take(length)
    }

    /// A text string.
    ///
    /// # Errors
    /// [`ErrorKind::NotUtf8`]; otherwise as in [`Reader::unsigned`].
    #[cfg_attr(not(feature = "small"), inline)]
    pub fn text(&mut self) -> Result<&'a str, Error> {
        let length = self.length_of(TEXT)?;
        let bytes = self.take(length)?;
        core::str::from_utf8(bytes).or_else(|error| self.cut_text(bytes, error))
    }

    /// Under the tolerant rules, a name that was cut to its first bytes may end within a character.
    #[cold]
    fn cut_text(&self, bytes: &'a [u8], error: Utf8Error) -> Result<&'a str, Error> {
        let cut = !self.strict && error.error_len().is_none();
        let whole = bytes.get(..error.valid_up_to()).filter(|_| cut).map(core::str::from_utf8);
        whole.and_then(Result::ok).ok_or(self.error(ErrorKind::NotUtf8))
    }

    /// A text string that was checked before, as its bytes.
    #[cfg_attr(not(feature = "small"), inline)]
    pub(super) fn unchecked_text(&mut self) -> Result<&'a [u8], Error> {
        let length = self.length_of(TEXT)?;
        self.take(length)
    }

    /// A text string, checked to be UTF-8, as its bytes.
    ///
    /// # Errors
    /// [`ErrorKind::NotUtf8`]; otherwise as in [`Reader::unsigned`].
    #[cfg_attr(not(feature = "small"), inline)]
    pub fn text_bytes(&mut self) -> Result<&'a [u8], Error> {
        let bytes = self.unchecked_text()?;
        if is_utf8(bytes) { Ok(bytes) } else { Err(self.error(ErrorKind::NotUtf8)) }
    }

    /// `true` or `false`.
    ///
    /// # Errors
    /// [`ErrorKind::UnexpectedType`], [`ErrorKind::Truncated`].
    #[cfg_attr(not(feature = "small"), inline)]
    pub fn bool(&mut self) -> Result<bool, Error> {
        let (value, rest) = match self.rest {
            [FALSE, rest @ ..] => (false, rest),
            [TRUE, rest @ ..] => (true, rest),
            [_, ..] => return Err(self.error(ErrorKind::UnexpectedType)),
            [] => return Err(self.error(ErrorKind::Truncated)),
        };
        self.rest = rest;
        Ok(value)
    }

    /// Opens an array and returns how many items follow; close it with [`Reader::leave`].
    ///
    /// # Errors
    /// [`ErrorKind::TooDeep`]; otherwise as in [`Reader::unsigned`].
    #[cfg_attr(not(feature = "small"), inline)]
    pub fn array(&mut self) -> Result<usize, Error> {
        let count = self.length_of(ARRAY)?;
        self.enter()?;
        Ok(count)
    }

    /// Opens a map; read its keys with [`Reader::next_int`] or [`Reader::take_key`], close it with [`Reader::leave`].
    ///
    /// # Errors
    /// [`ErrorKind::TooDeep`]; otherwise as in [`Reader::unsigned`].
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub fn map(&mut self) -> Result<Map<'a>, Error> {
        let left = self.length_of(MAP)?;
        self.enter()?;
        Ok(Map::new(left))
    }

    /// Closes an array or a map.
    #[cfg_attr(not(feature = "small"), inline)]
    pub fn leave(&mut self) {
        self.depth = self.depth.saturating_add(1);
    }

    /// The next `N` bytes, if before them lies `known` and another level of nesting is allowed: a map whose encoding is
    /// known up to one value.
    #[cfg_attr(not(feature = "small"), inline)]
    pub(crate) fn known_map<const N: usize>(&mut self, known: &[u8]) -> Option<&'a [u8; N]> {
        let (value, rest) = self.rest.strip_prefix(known)?.split_first_chunk()?;
        self.depth.checked_sub(1)?;
        self.rest = rest;
        Some(value)
    }

    /// The negative integer of at most 16 bits between `before` and `after`, if another level of nesting is allowed: a
    /// map whose encoding is known but for one value.
    #[cfg_attr(not(feature = "small"), inline)]
    pub(crate) fn known_map_of_negative(&mut self, before: &[u8], after: &[u8]) -> Option<i32> {
        let (value, rest) = match self.rest.strip_prefix(before)? {
            [head @ 0x20..=0x37, rest @ ..] => (i32::from(head & 0x1F), rest),
            [0x38, value @ 24..=255, rest @ ..] => (i32::from(*value), rest),
            [0x39, high @ 1..=255, low, rest @ ..] => (i32::from(u16::from_be_bytes([*high, *low])), rest),
            _ => return None,
        };
        let rest = rest.strip_prefix(after)?;
        self.depth.checked_sub(1)?;
        self.rest = rest;
        Some(!value)
    }

    /// Skips the next item if it is encoded as `known`, and says whether it was.
    #[cfg_attr(not(feature = "small"), inline)]
    pub fn skip_known(&mut self, known: &[u8]) -> bool {
        let rest = self.rest.strip_prefix(known);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// Skips one item of any type, checks its form to the end, and returns its bytes.
    ///
    /// # Errors
    /// [`ErrorKind::Truncated`], [`ErrorKind::Malformed`], [`ErrorKind::TooDeep`], [`ErrorKind::NotUtf8`]; under the
    /// strict rules also [`ErrorKind::NotShortest`], [`ErrorKind::KeyOrder`], [`ErrorKind::Forbidden`].
    pub fn skip(&mut self) -> Result<&'a [u8], Error> {
        let start = self.rest;
        self.skip_item()?;
        Ok(self.since(start))
    }

    /// Skips a map.
    pub(super) fn skip_map(&mut self) -> Result<&'a [u8], Error> {
        if !self.next_is_map() {
            self.clone().map()?; // gives the error
        }
        self.skip()
    }

    #[inline(always)]
    pub(super) fn skip_item(&mut self) -> Result<(), Error> {
        if SMALL {
            return self.skip_large();
        }
        // Most items are small numbers, booleans and short strings.
        let length = match self.rest.first() {
            Some(0x00..=0x17 | 0x20..=0x37 | &FALSE | &TRUE) => 1,
            Some(initial @ (0x40..=0x57 | 0x60..=0x77)) => usize::from(initial & 0x1F).wrapping_add(1),
            _ => return self.skip_large(),
        };
        let Some((item, rest)) = self.rest.split_at_checked(length) else {
            return Err(self.error(ErrorKind::Truncated));
        };
        if let [0x60..=0x77, text @ ..] = item
            && !is_utf8(text)
        {
            return Err(self.error(ErrorKind::NotUtf8));
        }
        self.rest = rest;
        Ok(())
    }

    #[inline(never)]
    fn skip_large(&mut self) -> Result<(), Error> {
        let major = match self.rest {
            [initial @ 0xE0..=0xFF, rest @ ..] => {
                self.rest = rest;
                return self.skip_simple(*initial);
            }
            [initial, ..] => initial >> 5,
            [] => return Err(self.error(ErrorKind::Truncated)),
        };
        let value = self.length_of(major)?;
        match major {
            UNSIGNED | NEGATIVE => Ok(()),
            BYTES => self.take(value).map(drop),
            TEXT => {
                let bytes = self.take(value)?;
                if is_utf8(bytes) { Ok(()) } else { Err(self.error(ErrorKind::NotUtf8)) }
            }
            ARRAY => {
                self.enter()?;
                for _ in 0..value {
                    self.skip_item()?;
                }
                self.leave();
                Ok(())
            }
            MAP => {
                self.enter()?;
                let mut map = Map::new(value);
                for _ in 0..value {
                    let key = self.rest;
                    self.skip_item()?;
                    self.order(&mut map, key)?;
                    self.skip_item()?;
                }
                self.leave();
                Ok(())
            }
            _ if self.strict => Err(self.error(ErrorKind::Forbidden)), // a tag
            _ => {
                self.enter()?;
                self.skip_item()?;
                self.leave();
                Ok(())
            }
        }
    }

    /// The rest of a simple value or a float.
    fn skip_simple(&mut self, initial: u8) -> Result<(), Error> {
        match initial {
            FALSE | TRUE | NULL => return Ok(()),
            0xF8.. => self.long_simple(initial & 0x1F)?,
            _ => {}
        }
        if self.strict { Err(self.error(ErrorKind::Forbidden)) } else { Ok(()) }
    }

    #[cfg_attr(not(feature = "small"), inline)]
    pub(crate) fn since(&self, start: &'a [u8]) -> &'a [u8] {
        crate::bytes::front(start, start.len().saturating_sub(self.rest.len()))
    }

    #[cfg_attr(not(feature = "small"), inline)]
    pub(crate) fn enter(&mut self) -> Result<(), Error> {
        match self.depth.checked_sub(1) {
            Some(depth) => {
                self.depth = depth;
                Ok(())
            }
            None => Err(self.error(ErrorKind::TooDeep)),
        }
    }

    #[cfg_attr(not(feature = "small"), inline)]
    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], Error> {
        match self.rest.split_at_checked(length) {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            None => Err(self.error(ErrorKind::Truncated)),
        }
    }

    /// The value of a head of major type `major`, where none that is larger than a `usize` makes sense: it counts as the
    /// largest.
    #[cfg_attr(feature = "small", inline(never))]
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(super) fn length_of(&mut self, major: u8) -> Result<usize, Error> {
        self.head_of(major).map(length)
    }

    /// The value of a head of major type `major`; on another type nothing is consumed.
    #[cfg_attr(not(feature = "small"), inline)]
    pub(super) fn head_of(&mut self, major: u8) -> Result<u64, Error> {
        match self.rest.split_first() {
            Some((&initial, rest)) if initial >> 5 == major => {
                self.rest = rest;
                let info = initial & 0x1F;
                if info < 24 { Ok(u64::from(info)) } else { self.long_argument(info) }
            }
            Some(_) => Err(self.error(ErrorKind::UnexpectedType)),
            None => Err(self.error(ErrorKind::Truncated)),
        }
    }

    #[cfg_attr(not(feature = "small"), inline)]
    pub(super) fn head(&mut self) -> Result<(u8, u64), Error> {
        let Some((&initial, rest)) = self.rest.split_first() else {
            return Err(self.error(ErrorKind::Truncated));
        };
        self.rest = rest;
        let (major, info) = (initial >> 5, initial & 0x1F);
        if info < 24 {
            return Ok((major, u64::from(info)));
        }
        if major == 7 {
            return self.long_simple(info).map(|()| (major, 0));
        }
        Ok((major, self.long_argument(info)?))
    }

    /// A length or an integer of one to eight bytes.
    fn long_argument(&mut self, info: u8) -> Result<u64, Error> {
        let bytes = self.long_bytes(info)?;
        let value = bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
        // Half the bytes would do, or none.
        let (high, _) = crate::bytes::split(bytes, bytes.len() >> 1);
        if value < 24 || (!high.is_empty() && high.iter().all(|byte| *byte == 0)) {
            if self.strict {
                return Err(self.error(ErrorKind::NotShortest));
            }
            self.canonical = false;
        }
        Ok(value)
    }

    /// Floats and one-byte simple values: well-formed, never of use.
    #[cold]
    fn long_simple(&mut self, info: u8) -> Result<(), Error> {
        match self.long_bytes(info)? {
            [0..32] => Err(self.error(ErrorKind::Malformed)),
            _ => Ok(()),
        }
    }

    /// The bytes that follow an initial byte: 1, 2, 4 or 8.
    fn long_bytes(&mut self, info: u8) -> Result<&'a [u8], Error> {
        match info {
            24..=27 => self.take(1 << (info & 3)),
            _ => Err(self.error(ErrorKind::Malformed)),
        }
    }
}

/// The length or the count in a head. No message has more bytes than a `usize` counts.
#[inline]
pub(super) fn length(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// Nearly all text is ASCII, and short.
#[cfg_attr(feature = "small", inline(never))]
#[cfg_attr(not(feature = "small"), inline)]
fn is_utf8(bytes: &[u8]) -> bool {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let ascii = match (bytes.first_chunk(), bytes.last_chunk()) {
        // Two words that overlap.
        (Some(first), Some(last)) if bytes.len() <= 16 => {
            (u64::from_ne_bytes(*first) | u64::from_ne_bytes(*last)) & HIGH == 0
        }
        (Some(_), Some(last)) => {
            let (words, _) = bytes.as_chunks();
            words.iter().fold(u64::from_ne_bytes(*last), |high, word| high | u64::from_ne_bytes(*word)) & HIGH == 0
        }
        _ => match (bytes.first_chunk(), bytes.last_chunk()) {
            (Some(first), Some(last)) => (u32::from_ne_bytes(*first) | u32::from_ne_bytes(*last)) & HIGH as u32 == 0,
            _ => bytes.is_ascii(),
        },
    };
    // Small code does without the search for what is not ASCII.
    !SMALL && ascii || core::str::from_utf8(bytes).is_ok()
}

//! The small codec: one interpreter of the tables of [`message!`](crate::message), in place of a reader and a writer
//! for each. It gives the same values and the same errors as they do, in a fraction of the code, several times slower.
//! The feature `small` selects it. [`MapWriter`] also writes responses whose members come one after the other.

use super::{Error, ErrorKind, Read, Reader, Write, Writer, given};
use crate::bytes;

/// Whether messages are read and written by the interpreter of their tables.
#[doc(hidden)]
pub const SMALL: bool = cfg!(feature = "small");

/// The most members that a message may have.
const MOST: usize = 32;

/// The form that [`Read::read`] checks, as data for the interpreter.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// Any item.
    Any,
    /// A map of any content.
    Map,
    /// `true` or `false`.
    Bool,
    /// An unsigned integer.
    Unsigned,
    /// A byte string.
    Bytes,
    /// A byte string of so many bytes.
    BytesOf(usize),
    /// A text string, which under the tolerant rules may end within a character.
    Text,
    /// A text string.
    WholeText,
    /// A list of items.
    List(&'static Shape),
    /// A message with a table.
    Message(&'static Members),
    /// What a function reads. The function returns whether the value counts; otherwise its member counts as absent.
    By(fn(&mut Reader<'_>) -> Result<bool, Error>),
}

/// The table of a message, as [`message!`](crate::message) declares it.
#[derive(Debug)]
pub struct Members {
    /// The keys, in canonical order. Those of removed members stand behind the others.
    pub keys: Keys,
    /// What the values have to be.
    pub shapes: &'static [Shape],
    /// The required members, a bit each, the first one the lowest.
    pub required: u32,
    /// How many members there are without those that the standard has removed.
    pub count: usize,
}

/// The keys of a table.
#[derive(Clone, Copy, Debug)]
pub enum Keys {
    /// Integers.
    Int(&'static [u8]),
    /// Texts, encoded, one behind the other.
    Text(&'static [u8]),
}

impl Keys {
    /// Whether this text, encoded, is one of the keys.
    pub fn has_text(self, key: &[u8]) -> bool {
        matches!(self, Self::Text(keys) if Self::find(keys, key).is_some())
    }

    /// The text key with which `rest` begins: its place in the table and its length.
    fn find(mut keys: &[u8], rest: &[u8]) -> Option<(usize, usize)> {
        let mut index = 0usize;
        while !keys.is_empty() {
            let (key, others) = bytes::split(keys, encoded_len(keys));
            if rest.starts_with(key) {
                return Some((index, key.len()));
            }
            index = index.wrapping_add(1);
            keys = others;
        }
        None
    }
}

/// The length of the encoded text key that stands first.
const fn encoded_len(keys: &[u8]) -> usize {
    match keys {
        [0x78, len, ..] => (*len as usize).saturating_add(2),
        [head, ..] => ((*head & 0x1F) as usize).saturating_add(1),
        [] => 0,
    }
}

/// How many members there are. More than there is room for does not compile.
#[doc(hidden)]
pub const fn count_of(members: &[bool]) -> usize {
    assert!(members.len() <= MOST, "a message has more members than there is room for");
    members.len()
}

/// The length of encoded keys that stand one behind the other.
#[doc(hidden)]
pub const fn joined_len(mut keys: &[&[u8]]) -> usize {
    let mut len = 0usize;
    while let [key, rest @ ..] = keys {
        len = len.saturating_add(key.len());
        keys = rest;
    }
    len
}

/// Encoded keys, one behind the other. `N` is [`joined_len`].
#[doc(hidden)]
pub const fn joined<const N: usize>(mut keys: &[&[u8]]) -> [u8; N] {
    let mut joined = [0; N];
    let mut to = joined.as_mut_slice();
    while let [key, rest @ ..] = keys {
        let Some((place, behind)) = to.split_at_mut_checked(key.len()) else { break };
        #[allow(clippy::disallowed_methods)] // when compiled, where a panic is an error
        place.copy_from_slice(key);
        to = behind;
        keys = rest;
    }
    joined
}

/// Where the members of a message lie. The message was checked against its table.
#[doc(hidden)]
#[derive(Debug)]
pub struct FoundMembers<'a> {
    message: &'a [u8],
    /// A reader under the rules by which the message was checked.
    r: Reader<'a>,
    /// Offsets from the start of the message. 0, where no value can be, stands for an absent member.
    at: [u16; MOST],
}

impl<'a> FoundMembers<'a> {
    /// No members yet: [`FoundMembers::find`] fills it in place, because a returned value would be copied.
    #[inline(never)]
    pub fn new(r: &Reader<'a>) -> Self {
        Self { message: r.rest, r: r.at(r.rest), at: [0; MOST] }
    }

    /// Reads a message of this shape and finds its members.
    ///
    /// # Errors
    /// What is wrong with it; [`ErrorKind::OutOfRange`] for a member that is 64 KiB behind the start of its message.
    #[inline(never)]
    pub fn find(&mut self, r: &mut Reader<'a>, shape: &Shape) -> Result<(), Error> {
        let is_alone = core::mem::take(&mut r.is_alone);
        if let Shape::Message(members) = shape {
            r.scan(members, &mut self.at)?;
        }
        if is_alone { r.finish() } else { Ok(()) }
    }

    /// Goes to a member of the table, and returns whether it is there.
    #[inline(never)]
    fn go_to(&mut self, index: usize) -> bool {
        let at = self.at.get(index).map_or(0, |at| usize::from(*at));
        self.r.rest = bytes::rest(self.message, at);
        at != 0
    }

    /// A member that is there.
    ///
    /// # Errors
    /// None, when the message was checked.
    #[inline(never)]
    pub fn required<T: Read<'a>>(&mut self, index: usize) -> Result<T, Error> {
        self.go_to(index);
        T::get(&mut self.r)
    }

    /// A member that may be absent. It is read under the rules by which it was checked, so that this cannot fail.
    #[inline(never)]
    pub fn optional<T: Read<'a>>(&mut self, index: usize) -> Option<T> {
        let value = self.go_to(index).then(|| T::get(&mut self.r))?;
        debug_assert!(value.is_ok());
        value.ok()
    }
}

impl<'a> Reader<'a> {
    /// Checks the next item. Returns whether it counts.
    #[inline(never)]
    fn check(&mut self, shape: &Shape) -> Result<bool, Error> {
        match *shape {
            Shape::Any => self.skip_item()?,
            Shape::Map => self.skip_map().map(drop)?,
            Shape::Bool => self.bool().map(drop)?,
            Shape::Unsigned => self.number().map(drop)?,
            Shape::Bytes => self.bytes().map(drop)?,
            Shape::BytesOf(length) => {
                if self.bytes()?.len() != length {
                    return Err(self.error(ErrorKind::WrongLength));
                }
            }
            Shape::Text => self.text().map(drop)?,
            Shape::WholeText => self.text_bytes().map(drop)?,
            Shape::List(item) => {
                for _ in 0..self.array()? {
                    self.check(item)?;
                }
                self.leave();
            }
            Shape::Message(members) => self.scan(members, &mut [])?,
            Shape::By(read) => return read(self),
        }
        Ok(true)
    }

    /// Checks a map against a table and notes where its members are.
    #[inline(never)]
    fn scan(&mut self, members: &Members, at: &mut [u16]) -> Result<(), Error> {
        let start = self.rest;
        let mut map = self.map()?;
        let (mut seen, mut key) = (0u32, 0);
        while !map.is_done() {
            let index = match members.keys {
                Keys::Int(keys) => {
                    let next = self.next_int(&mut map)?;
                    key = next.and_then(|next| u8::try_from(next).ok()).unwrap_or(0);
                    keys.iter().position(|known| *known == key)
                }
                Keys::Text(keys) => {
                    let found = Keys::find(keys, self.rest);
                    self.next_text(&mut map, found.map(|(_, len)| len))?;
                    found.map(|(index, _)| index)
                }
            };
            let index = index.filter(|index| *index < members.count || self.strict);
            let Some((index, shape)) = index.and_then(|index| Some((index, members.shapes.get(index)?))) else {
                self.skip_item()?;
                continue;
            };
            let offset = start.len().wrapping_sub(self.rest.len());
            let counts = match self.check(shape) {
                Err(error) if key != 0 => return Err(error.within(key)),
                result => result?,
            };
            let bit = 1u32.unbounded_shl(index as u32);
            seen = if counts { seen | bit } else { seen & !bit };
            let offset = u16::try_from(offset).map_err(|_| self.error(ErrorKind::OutOfRange))?;
            if let Some(at) = at.get_mut(index) {
                *at = if counts { offset } else { 0 };
            }
        }
        self.leave();
        let missing = members.required & !seen;
        if missing == 0 {
            return Ok(());
        }
        Err(match members.keys {
            Keys::Int(keys) => self.missing(keys.get(missing.trailing_zeros() as usize).copied().unwrap_or(0)),
            Keys::Text(_) => self.error(ErrorKind::Missing),
        })
    }
}

/// A message that is being written: member by member, in the order of its table.
#[doc(hidden)]
pub struct MapWriter<'w, 'b> {
    w: &'w mut Writer<'b>,
    keys: Keys,
    /// Where the map begins.
    start: usize,
    count: u16,
    with: &'w [(u8, Option<&'w dyn Write>)],
    /// Where the list begins that is being written, and how many items it has.
    list: usize,
    items: u16,
}

impl<'w, 'b> MapWriter<'w, 'b> {
    /// Begins a message with these keys. Members that `with` has, by their key, are written from there.
    #[cfg_attr(feature = "small", inline(never))]
    #[cfg_attr(not(feature = "small"), inline)]
    pub fn new(w: &'w mut Writer<'b>, keys: Keys, with: &'w [(u8, Option<&'w dyn Write>)]) -> Self {
        let start = w.len();
        w.byte(0xA0);
        Self { w, keys, start, count: 0, with, list: 0, items: 0 }
    }

    /// Passes to the next key. Writes it when the member `is_present`, and returns whether the value has to follow.
    #[cfg_attr(feature = "small", inline(never))]
    #[cfg_attr(not(feature = "small"), inline(always))]
    fn key(&mut self, is_present: bool) -> bool {
        match &mut self.keys {
            Keys::Int(keys) => {
                let Some((key, rest)) = keys.split_first() else { return false };
                *keys = rest;
                let given = given(self.with, *key);
                if is_present || given.is_some() {
                    self.count = self.count.wrapping_add(1);
                    self.w.unsigned(u64::from(*key));
                }
                if let Some(value) = given {
                    value.write(self.w);
                    return false;
                }
            }
            Keys::Text(keys) => {
                let (key, rest) = bytes::split(keys, encoded_len(keys));
                *keys = rest;
                if is_present {
                    self.count = self.count.wrapping_add(1);
                    self.w.raw(key);
                }
            }
        }
        is_present
    }

    /// Writes the next member.
    #[cfg_attr(feature = "small", inline(never))]
    #[cfg_attr(not(feature = "small"), inline)]
    pub fn required<T: Write>(&mut self, value: &T) {
        if self.key(true) {
            value.write(self.w);
        }
    }

    /// Writes the next member if it is there.
    #[cfg_attr(feature = "small", inline(never))]
    #[cfg_attr(not(feature = "small"), inline)]
    pub fn optional<T: Write>(&mut self, value: &Option<T>) {
        if let (true, Some(value)) = (self.key(value.is_some()), value) {
            value.write(self.w);
        }
    }

    /// Writes the next member, a number, if it is there.
    #[cfg_attr(feature = "small", inline(never))]
    #[cfg_attr(not(feature = "small"), inline)]
    pub fn number(&mut self, value: Option<u32>) {
        self.optional(&value);
    }

    /// Writes the next member, `true` or `false`, if it is there.
    #[cfg_attr(feature = "small", inline(never))]
    #[cfg_attr(not(feature = "small"), inline)]
    pub fn flag(&mut self, value: Option<bool>) {
        self.optional(&value);
    }

    /// Writes the next member, a byte string, if it is there.
    #[cfg_attr(feature = "small", inline(never))]
    #[cfg_attr(not(feature = "small"), inline)]
    pub fn bytes(&mut self, value: Option<&[u8]>) {
        self.optional(&value);
    }

    /// Begins the next member, a list, if it is there, and returns whether it is. [`MapWriter::end_list`] ends it.
    #[cfg_attr(feature = "small", inline(never))]
    #[cfg_attr(not(feature = "small"), inline)]
    pub fn begin_list(&mut self, is_present: bool) -> bool {
        let is_present = self.key(is_present);
        if is_present {
            self.list = self.w.len();
            self.items = 0;
            self.w.byte(0x80);
        }
        is_present
    }

    /// The writer, for the next item of the list.
    #[cfg_attr(feature = "small", inline(never))]
    #[cfg_attr(not(feature = "small"), inline)]
    pub fn item(&mut self) -> &mut Writer<'b> {
        self.items = self.items.wrapping_add(1);
        self.w
    }

    /// Writes the next item of the list, a text.
    #[cfg_attr(feature = "small", inline(never))]
    #[cfg_attr(not(feature = "small"), inline)]
    pub fn text_item(&mut self, text: &str) {
        self.item().text(text);
    }

    /// Writes the next item of the list, a number.
    #[cfg_attr(feature = "small", inline(never))]
    #[cfg_attr(not(feature = "small"), inline)]
    pub fn number_item(&mut self, number: u32) {
        self.item().number(number);
    }

    /// Writes how many items the list has, in front of them.
    #[cfg_attr(feature = "small", inline(never))]
    #[cfg_attr(not(feature = "small"), inline)]
    pub fn end_list(&mut self) {
        self.w.set_count(self.list, 0x80, self.items);
    }

    /// Leaves the next `count` members out.
    #[cfg_attr(feature = "small", inline(never))]
    #[cfg_attr(not(feature = "small"), inline)]
    pub fn skip(&mut self, count: u32) {
        for _ in 0..count {
            self.key(false);
        }
    }

    /// The writer, for the value of the next member, which is there.
    #[cfg_attr(feature = "small", inline(never))]
    #[cfg_attr(not(feature = "small"), inline)]
    pub fn value(&mut self) -> &mut Writer<'b> {
        self.key(true);
        self.w
    }

    /// Writes how many members there are, in front of them.
    #[cfg_attr(feature = "small", inline(never))]
    #[cfg_attr(not(feature = "small"), inline)]
    pub fn end(self) {
        self.w.set_count(self.start, 0xA0, self.count);
    }
}

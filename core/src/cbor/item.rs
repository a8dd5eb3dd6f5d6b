//! One item of any type, for readers that do not know the message.

use super::{
    Error, ErrorKind, Reader,
    reader::{ARRAY, BYTES, MAP, NEGATIVE, TAG, TEXT, UNSIGNED, length},
};

/// What an item is. Of an array, a map and a tag this is the head: what is inside follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// An unsigned integer.
    Unsigned(u64),
    /// The negative integer -1 - n.
    Negative(u64),
    /// A byte string.
    Bytes(&'a [u8]),
    /// A text string.
    Text(&'a str),
    /// An array of so many items.
    Array(u64),
    /// A map of so many entries, a key and a value each.
    Map(u64),
    /// The tag of the item that follows.
    Tag(u64),
    /// `false`, `true`, `null`, another simple value or a float, as it is encoded.
    Simple(&'a [u8]),
}

impl<'a> Reader<'a> {
    /// Reads an item of any type. Of an array, a map or a tag it reads the head; close it with [`Reader::leave`]. It
    /// does not check the order of map keys, as [`Reader::skip`] does.
    ///
    /// # Errors
    /// [`Error`] when the head is malformed, a string cut short or not UTF-8, or the nesting too deep.
    pub fn item(&mut self) -> Result<Item<'a>, Error> {
        let start = self.rest();
        let (major, value) = self.head()?;
        Ok(match major {
            UNSIGNED => Item::Unsigned(value),
            NEGATIVE => Item::Negative(value),
            BYTES => Item::Bytes(self.take(length(value))?),
            TEXT => {
                let text = core::str::from_utf8(self.take(length(value))?);
                Item::Text(text.map_err(|_| self.error(ErrorKind::NotUtf8))?)
            }
            ARRAY => self.enter().map(|()| Item::Array(value))?,
            MAP => self.enter().map(|()| Item::Map(value))?,
            TAG => self.enter().map(|()| Item::Tag(value))?,
            _ => Item::Simple(self.since(start)),
        })
    }
}

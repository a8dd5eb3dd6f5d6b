//! CTAP2 canonical CBOR (CTAP 2.3 §8): one strict reader, one canonical writer, one table macro.
//!
//! [`Reader`] checks form and type in a single pass and borrows everything it returns. It knows two sets of rules:
//! *strict* for requests (canonical form, depth 4) and *tolerant* for responses, where real authenticators misorder
//! keys and pad integers (any definite-length CBOR, depth 16). Under the tolerant rules the later of two equal keys
//! counts, a text key whose length is padded is an unknown member, and an incomplete character at the end of a text is
//! left out, as in names that were cut. What is signed or trusted is read by [`Reader::read_unique`], which refuses a
//! map that has a key twice. Indefinite lengths are refused under both: a string that comes in pieces cannot be
//! borrowed. [`Writer`] only writes canonical form as long as its caller writes keys in order, which the tables of
//! [`message!`](crate::message) do.
//!
//! A message is decoded and encoded by its table:
//!
//! ```
//! use keyfob_core::{cbor, ctap2::client_pin::{Request, subcommand}};
//!
//! let bytes = [0xA1, 0x02, 0x01]; // {2: 1}
//! let request: Request<'_> = cbor::decode(&bytes)?;
//! assert_eq!(request.sub_command, Some(subcommand::GET_PIN_RETRIES));
//! let mut buffer = [0; 64];
//! assert_eq!(cbor::encode(&request, &mut buffer).map(|len| &buffer[..len]), Ok(&bytes[..]));
//!
//! let wrong = cbor::decode::<Request<'_>>(&[0xA1, 0x02, 0x41, 0x00]).unwrap_err(); // {2: h'00'}
//! assert_eq!(wrong.to_string(), "an item has another type than the standard's, at byte 2, in member 0x02");
//! # Ok::<(), cbor::Error>(())
//! ```
//!
//! A value that has no table is written and read item by item:
//!
//! ```
//! use keyfob_core::cbor::{Error, Item, Reader, Writer};
//!
//! let mut buffer = [0; 64];
//! let mut w = Writer::new(&mut buffer);
//! w.array(2);
//! w.text("blink");
//! w.unsigned(3);
//! let len = w.finish().expect("64 bytes are enough");
//!
//! let mut r = Reader::strict(&buffer[..len]);
//! assert_eq!(r.item()?, Item::Array(2));
//! assert_eq!((r.item()?, r.item()?), (Item::Text("blink"), Item::Unsigned(3)));
//! r.leave();
//! r.finish()?;
//! # Ok::<(), Error>(())
//! ```
//!
//! For each message a reader and a writer are compiled, which are fast. With the feature `small` one interpreter reads
//! and writes all of them by their tables ([`Shape`]): less code, the same values and errors.

mod error;
mod item;
mod list;
mod map;
mod message;
mod reader;
mod shape;
mod table;
mod unique;
mod writer;

pub use error::{Error, ErrorKind};
pub use item::Item;
pub use list::{Items, List, ListIter};
pub use map::{Map, encoded_key, encoded_key_len};
pub use reader::Reader;
#[doc(hidden)]
pub use shape::{FoundMembers, MapWriter, SMALL, count_of, joined, joined_len};
pub use shape::{Keys, Members, Shape};
#[doc(hidden)]
pub use table::given;
pub use table::{Array, Member, Table, With};
pub use writer::{Overflow, Writer};

/// A value that can be read from CBOR, borrowing from the message.
pub trait Read<'a>: Sized {
    /// The form that [`Read::read`] checks. A type that is read by hand says
    /// `Shape::By(|r| Self::read(r).map(|_| true))`.
    const SHAPE: Shape;

    /// Reads one item.
    ///
    /// # Errors
    /// [`Error`] says what was wrong and where.
    fn read(r: &mut Reader<'a>) -> Result<Self, Error>;

    /// Reads an item of a list that has been read before; what was checked then need not be checked again.
    ///
    /// # Errors
    /// As in [`Read::read`].
    fn read_again(r: &mut Reader<'a>) -> Result<Self, Error> {
        Self::read(r)
    }

    /// Reads a member of a map. `None` when its value makes it count as absent.
    ///
    /// # Errors
    /// As in [`Read::read`].
    #[inline]
    fn read_member(r: &mut Reader<'a>) -> Result<Option<Self>, Error> {
        Self::read(r).map(Some)
    }

    /// Reads an item that the interpreter of tables has checked against [`Read::SHAPE`] before. The reader is not to be
    /// used for what follows it.
    ///
    /// # Errors
    /// None if it was checked.
    fn get(r: &mut Reader<'a>) -> Result<Self, Error> {
        Self::read(r)
    }
}

/// A message with a table: read and written by the interpreter of its table, whatever the features are.
#[doc(hidden)]
pub trait Message<'a>: Read<'a> {
    /// The keys of its table.
    const KEYS: Keys;

    /// Reads it as [`Read::read`] does.
    fn read_by_table(r: &mut Reader<'a>) -> Result<Self, Error>;

    /// Writes it as [`Table::write_with`] does.
    fn write_by_table(&self, w: &mut Writer<'_>, with: &[(u8, Option<&dyn Write>)]);
}

/// A value that can be written as CBOR.
pub trait Write {
    /// Writes one item; the writer remembers an overflow.
    fn write(&self, w: &mut Writer<'_>);
}

/// Decodes one item under the strict rules; nothing may follow it.
///
/// # Errors
/// What is wrong with it, and where; [`ErrorKind::TrailingBytes`].
pub fn decode<'a, T: Read<'a>>(bytes: &'a [u8]) -> Result<T, Error> {
    whole(&mut Reader::strict(bytes))
}

/// Decodes one item under the tolerant rules; nothing may follow it.
///
/// # Errors
/// What is wrong with it, and where; [`ErrorKind::TrailingBytes`].
pub fn decode_tolerant<'a, T: Read<'a>>(bytes: &'a [u8]) -> Result<T, Error> {
    whole(&mut Reader::tolerant(bytes))
}

/// Reads one item that nothing may follow.
fn whole<'a, T: Read<'a>>(r: &mut Reader<'a>) -> Result<T, Error> {
    if SMALL && let Shape::Message(_) = T::SHAPE {
        r.is_alone = true; // the interpreter sees to it
        return T::read(r);
    }
    let mut value = T::read(r);
    // Not by `?`, which would copy the value.
    if let (Ok(_), Err(error)) = (&value, r.finish()) {
        value = Err(error);
    }
    value
}

/// Decodes one item under the tolerant rules, in which no map may have a key twice; nothing may follow it.
///
/// # Errors
/// What is wrong with it, and where; [`ErrorKind::KeyOrder`] for a key that stands twice, [`ErrorKind::TrailingBytes`].
pub fn decode_unique<'a, T: Read<'a>>(bytes: &'a [u8]) -> Result<T, Error> {
    let mut r = Reader::tolerant(bytes);
    let value = r.read_unique()?;
    r.finish()?;
    Ok(value)
}

/// Encodes one item into `buffer` and returns its length.
///
/// # Errors
/// [`Overflow`] with the size it takes.
pub fn encode<T: Write + ?Sized>(value: &T, buffer: &mut [u8]) -> Result<usize, Overflow> {
    let mut w = Writer::new(buffer);
    value.write(&mut w);
    w.finish()
}

/// A text string in a list. It was checked to be UTF-8 when the message was read; walking the list does not repeat
/// that.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Text<'a>(&'a [u8]);

impl<'a> Text<'a> {
    /// The text `text`.
    pub const fn new(text: &'a str) -> Self {
        Self(text.as_bytes())
    }

    /// Whether both are the same text. Unlike `==` it can be called in constants.
    pub const fn is(&self, other: &Text<'_>) -> bool {
        let (mut one, mut other) = (self.0, other.0);
        while let ([a, rest_of_one @ ..], [b, rest_of_other @ ..]) = (one, other) {
            if *a != *b {
                return false;
            }
            (one, other) = (rest_of_one, rest_of_other);
        }
        one.is_empty() && other.is_empty()
    }

    /// The text.
    pub fn as_str(&self) -> &'a str {
        crate::bytes::text(self.0) // was checked when it was read
    }
}

impl PartialEq<&str> for Text<'_> {
    fn eq(&self, other: &&str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl core::fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.as_str().fmt(f)
    }
}

impl<'a> Read<'a> for Text<'a> {
    const SHAPE: Shape = Shape::WholeText;

    #[inline]
    fn read(r: &mut Reader<'a>) -> Result<Self, Error> {
        r.text_bytes().map(Self)
    }

    #[inline]
    fn read_again(r: &mut Reader<'a>) -> Result<Self, Error> {
        r.unchecked_text().map(Self)
    }
}

impl Write for Text<'_> {
    fn write(&self, w: &mut Writer<'_>) {
        w.text_bytes(self.0);
    }
}

/// One CBOR item of any type, kept as the bytes it came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raw<'a>(pub &'a [u8]);

impl<'a> Read<'a> for Raw<'a> {
    const SHAPE: Shape = Shape::Any;

    fn read(r: &mut Reader<'a>) -> Result<Self, Error> {
        r.skip().map(Self)
    }
}

impl Write for Raw<'_> {
    fn write(&self, w: &mut Writer<'_>) {
        w.raw(self.0);
    }
}

/// A CBOR map of any content, kept as the bytes it came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawMap<'a>(pub &'a [u8]);

impl<'a> RawMap<'a> {
    /// The empty map.
    pub const EMPTY: RawMap<'static> = RawMap(&[0xA0]);

    /// Whether the map has no entries.
    pub fn is_empty(&self) -> bool {
        self.0 == [0xA0]
    }

    /// Reads the map as a message of its own. Tolerant, because its form was checked when it came in, under the rules
    /// of the message around it.
    ///
    /// # Errors
    /// What is wrong with it as a `T`, at an offset from its start.
    pub fn decode<T: Read<'a>>(&self) -> Result<T, Error> {
        decode_tolerant(self.0)
    }

    /// Reads the map of a request as a message of its own, under the strict rules.
    ///
    /// # Errors
    /// What is wrong with it as a `T`, at an offset from its start.
    pub fn decode_strict<T: Read<'a>>(&self) -> Result<T, Error> {
        decode(self.0)
    }
}

impl<'a> Read<'a> for RawMap<'a> {
    const SHAPE: Shape = Shape::Map;

    fn read(r: &mut Reader<'a>) -> Result<Self, Error> {
        r.skip_map().map(Self)
    }
}

impl Write for RawMap<'_> {
    fn write(&self, w: &mut Writer<'_>) {
        w.raw(self.0);
    }
}

/// Implements `Read` and `Write` with the named method, which `Reader` and `Writer` both have. `as Wrapper` is for a
/// struct with one field: that field is read and written.
macro_rules! items {
    ($($ty:ty: $method:ident $(as $wrap:path)?;)*) => {$(
        impl<'a> $crate::cbor::Read<'a> for $ty {
            const SHAPE: $crate::cbor::Shape = $crate::cbor::items!(@shape $method);

            #[inline]
            fn read(r: &mut $crate::cbor::Reader<'a>) -> Result<Self, $crate::cbor::Error> {
                r.$method()$(.map($wrap))?
            }
        }

        impl<'a> $crate::cbor::Write for $ty {
            #[inline]
            fn write(&self, w: &mut $crate::cbor::Writer<'_>) {
                w.$method($crate::cbor::items!(@value self $($wrap)?));
            }
        }
    )*};
    (@shape bool) => { $crate::cbor::Shape::Bool };
    (@shape number) => { $crate::cbor::Shape::Unsigned };
    (@shape unsigned) => { $crate::cbor::Shape::Unsigned };
    (@shape bytes) => { $crate::cbor::Shape::Bytes };
    (@shape text) => { $crate::cbor::Shape::Text };
    (@value $value:ident) => { *$value };
    (@value $value:ident $wrap:path) => { $value.0 };
}
pub(crate) use items;

items! {
    bool: bool;
    &'a str: text;
    &'a [u8]: bytes;
    u64: unsigned;
    u32: number;
}

/// A larger number counts as the largest one of 32 bits.
impl Read<'_> for usize {
    const SHAPE: Shape = Shape::Unsigned;

    #[inline]
    fn read(r: &mut Reader<'_>) -> Result<Self, Error> {
        r.number().map(|number| number as usize)
    }
}

impl Write for usize {
    #[inline]
    fn write(&self, w: &mut Writer<'_>) {
        w.unsigned(*self as u64);
    }
}

impl<'a, const N: usize> Read<'a> for &'a [u8; N] {
    const SHAPE: Shape = Shape::BytesOf(N);

    #[inline]
    fn read(r: &mut Reader<'a>) -> Result<Self, Error> {
        let bytes = r.bytes()?;
        bytes.try_into().map_err(|_| r.error(ErrorKind::WrongLength))
    }
}

impl<const N: usize> Write for &[u8; N] {
    #[inline]
    fn write(&self, w: &mut Writer<'_>) {
        w.bytes(*self);
    }
}

#[cfg(test)]
mod tests;

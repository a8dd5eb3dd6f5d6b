//! Maps in which a key may stand only once, however it is encoded.
//!
//! The strict rules ensure that by the order of keys. Under the tolerant rules the later of two equal keys counts. That
//! is not enough for what is signed or trusted: two readers could use different ones.

use core::cell::Cell;

use super::{
    Error, ErrorKind, Read, Reader,
    reader::{ARRAY, BYTES, MAP, NEGATIVE, TAG, TEXT, UNSIGNED},
};

/// At most this many items are gone through again: where keys do not ascend, each is compared with all before it. A map of
/// 64 small entries takes nearly as many. Without a limit, maps within maps would take time without measure.
const MAX_COMPARED: u32 = 4096;

/// A key as it is compared: its major type, its value or length, and its bytes if there are more.
type Key<'a> = (u8, u64, &'a [u8]);

impl<'a> Reader<'a> {
    /// Checks, without reading it, that no map in the next item has a key twice, at any depth. Integers and strings are equal
    /// when their values are, whatever the length of their heads.
    ///
    /// # Errors
    /// [`ErrorKind::KeyOrder`] for a key that stands twice, and where keys do not ascend and more than 4,096 items would have
    /// to be compared, as in a map of 65 entries; what is wrong with the item's form.
    pub fn expect_unique_keys(&self) -> Result<(), Error> {
        let mut item = *self;
        if self.strict { Ok(()) } else { item.pass(true, &Cell::new(MAX_COMPARED)) }
    }

    /// Reads an item in which no map may have a key twice.
    ///
    /// # Errors
    /// Those of [`Reader::expect_unique_keys`], and what is wrong with the item as a `T`.
    pub fn read_unique<T: Read<'a>>(&mut self) -> Result<T, Error> {
        let start = *self;
        self.canonical = true;
        let value = T::read(self)?;
        // Nearly every item is canonical, and a canonical item has no key twice.
        if !self.canonical {
            start.expect_unique_keys()?;
        }
        self.canonical &= start.canonical;
        Ok(value)
    }

    /// Passes over one item: the first time, when it is checked to be `unique`, or again, which counts. Not
    /// [`Reader::skip`], which refuses a name that was cut within a character.
    fn pass(&mut self, unique: bool, left: &Cell<u32>) -> Result<(), Error> {
        if !unique {
            left.set(left.get().checked_sub(1).ok_or(self.error(ErrorKind::KeyOrder))?);
        }
        let (major, value) = self.head()?;
        match major {
            BYTES | TEXT => self.take(value).map(drop),
            ARRAY => {
                self.enter()?;
                (0..value).try_for_each(|_| self.pass(unique, left))?;
                self.leave();
                Ok(())
            }
            MAP => {
                self.enter()?;
                if unique {
                    self.pass_entries(value, left)?;
                } else {
                    (0..value).try_for_each(|_| self.pass(false, left).and_then(|()| self.pass(false, left)))?;
                }
                self.leave();
                Ok(())
            }
            TAG => {
                self.enter()?;
                self.pass(unique, left)?;
                self.leave();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn pass_entries(&mut self, count: u64, left: &Cell<u32>) -> Result<(), Error> {
        let first = *self;
        let (mut last, mut ascending) = (None, true);
        for before in 0..count {
            let key = self.key(true, left)?;
            ascending &= last.is_none_or(|last| last < key);
            last = Some(key);
            if !ascending && first.has_key(before, key, left)? {
                return Err(self.error(ErrorKind::KeyOrder));
            }
            self.pass(true, left)?;
        }
        Ok(())
    }

    /// Whether one of the first `count` entries from here on has this key.
    fn has_key(mut self, count: u64, key: Key<'_>, left: &Cell<u32>) -> Result<bool, Error> {
        for _ in 0..count {
            if self.key(false, left)? == key {
                return Ok(true);
            }
            self.pass(false, left)?;
        }
        Ok(false)
    }

    /// Passes over a key. What is in it is checked when it is `unique`: once, not each time that it is compared.
    fn key(&mut self, unique: bool, left: &Cell<u32>) -> Result<Key<'a>, Error> {
        let start = self.rest;
        let mut head = *self;
        let (major, value) = head.head()?;
        self.pass(unique, left)?;
        Ok((
            major,
            value,
            match major {
                UNSIGNED | NEGATIVE => &[],
                BYTES | TEXT => head.take(value)?,
                _ => self.since(start),
            },
        ))
    }
}

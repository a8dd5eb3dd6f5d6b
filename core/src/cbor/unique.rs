//! Maps in which a key may stand only once, however it is encoded.
//!
//! The strict rules ensure that by the order of keys. Under the tolerant rules the later of two equal keys counts. That
//! is not enough for what is signed or trusted: two readers could use different ones.

use heapless::Vec;

use super::{
    Error, ErrorKind, Read, Reader,
    reader::{ARRAY, BYTES, MAP, NEGATIVE, TAG, TEXT, TOLERANT_DEPTH, UNSIGNED, length},
};

/// At most this many items are gone through again: where keys do not ascend, each is compared with all before it. A map
/// of 64 small entries takes nearly as many. Without a limit, maps within maps would take unbounded time.
const MAX_COMPARED: u32 = 4096;

/// A key as it is compared: its major type, its value or length, and its bytes if there are more.
type Key<'a> = (u8, u64, &'a [u8]);

/// An array, a tag or a map around the next item. They are kept in a list, which takes less stack than recursion. The
/// list lies on the stack, one for each level: so they hold 32-bit offsets instead of slices.
struct Open {
    /// How many items are left in it, of a map keys and values.
    left: u32,
    /// The keys of a map.
    keys: Option<Keys>,
}

/// The keys of a map, each by its offset in the item.
struct Keys {
    first: u32,
    /// The key that is being read, or was read last.
    current: u32,
    /// The key before, as long as all keys ascend.
    previous: Option<u32>,
}

impl<'a> Reader<'a> {
    /// Checks, without reading it, that no map in the next item has a key twice, at any depth. Integers and strings are
    /// equal when their values are, whatever the length of their heads. It is not done by [`Reader::skip`], because
    /// that refuses a name that was cut within a character.
    ///
    /// # Errors
    /// [`ErrorKind::KeyOrder`] for a key that stands twice, and where keys do not ascend and more than 4,096 items
    /// would have to be compared, as in a map of 65 entries; [`ErrorKind::OutOfRange`] in a message of 4 GiB; what is
    /// wrong with the item's form.
    pub fn expect_unique_keys(&self) -> Result<(), Error> {
        (self.check_unique)(self)
    }

    /// [`Reader::expect_unique_keys`] under the tolerant rules.
    pub(super) fn find_double(&self) -> Result<(), Error> {
        if u32::try_from(self.rest.len()).is_err() {
            return Err(self.error(ErrorKind::OutOfRange));
        }
        let (mut r, mut left) = (*self, MAX_COMPARED);
        let mut open: Vec<Open, { TOLERANT_DEPTH as usize }> = Vec::new();
        loop {
            if let Some(Open { left, keys: Some(keys) }) = open.last_mut()
                && *left & 1 == 0
            {
                keys.current = self.distance(&r);
            }
            let (major, inside) = r.pass_head()?;
            let mut complete = !matches!(major, ARRAY | MAP | TAG);
            if !complete {
                r.enter()?;
                let first = self.distance(&r);
                let keys = (major == MAP).then_some(Keys { first, current: first, previous: None });
                // No message has that many items. The limit is even, because the items of a map come in pairs.
                let opened = Open { left: u32::try_from(inside).unwrap_or(u32::MAX ^ 1), keys };
                open.push(opened).map_err(|_| r.error(ErrorKind::TooDeep))?;
            }
            // The end of an item can be the end of those around it.
            loop {
                match open.last_mut() {
                    None => return Ok(()),
                    Some(around) if complete => {
                        complete = false;
                        around.left = around.left.wrapping_sub(1);
                        if let (Some(keys), 1) = (&mut around.keys, around.left & 1) {
                            self.expect_new_key(keys, &r, &mut left)?;
                        }
                    }
                    Some(Open { left: 0, .. }) => {
                        complete = true;
                        open.pop();
                        r.leave();
                    }
                    Some(_) => break,
                }
            }
        }
    }

    /// Reads an item in which no map may have a key twice.
    ///
    /// # Errors
    /// Those of [`Reader::expect_unique_keys`], and what is wrong with the item as a `T`.
    pub fn read_unique<T: Read<'a>>(&mut self) -> Result<T, Error> {
        let start = *self;
        self.canonical = true;
        let value = T::read(self)?;
        self.end_unique(&start)?;
        Ok(value)
    }

    /// Checks what was read from `start` on.
    fn end_unique(&mut self, start: &Self) -> Result<(), Error> {
        if core::mem::take(&mut self.is_alone) {
            self.finish()?;
        }
        // Nearly every item is canonical, and a canonical item has no key twice.
        if !self.canonical {
            start.expect_unique_keys()?;
        }
        self.canonical &= start.canonical;
        Ok(())
    }

    /// Passes over the head of an item and the bytes of a string. Returns the major type, and how many items follow
    /// that belong to it.
    fn pass_head(&mut self) -> Result<(u8, u64), Error> {
        let (major, value) = self.head()?;
        let inside = match major {
            BYTES | TEXT => self.take(length(value)).map(|_| 0)?,
            ARRAY => value,
            // No message has that many entries. The limit keeps the number of keys and values within 64 bits.
            MAP => value.min(u64::MAX >> 1).wrapping_mul(2),
            TAG => 1,
            _ => 0,
        };
        Ok((major, inside))
    }

    /// Skips an item. Only the heads of the items in it are checked, not UTF-8, key order or nesting.
    ///
    /// # Errors
    /// What is wrong with a head; [`ErrorKind::Truncated`].
    pub fn pass(&mut self) -> Result<(), Error> {
        let mut items = 1u64;
        while items > 0 {
            let inside = match self.rest {
                // Most items are short strings.
                [initial @ (0x40..=0x57 | 0x60..=0x77), rest @ ..] => {
                    let rest = rest.get(usize::from(initial & 0x1F)..);
                    self.rest = rest.ok_or(self.error(ErrorKind::Truncated))?;
                    0
                }
                _ => self.pass_head()?.1,
            };
            items = items.wrapping_sub(1).saturating_add(inside);
        }
        Ok(())
    }

    /// Passes over an item that was passed before and returns its length. Every item in it counts.
    fn pass_again(&mut self, left: &mut u32) -> Result<usize, Error> {
        let start = self.rest;
        let mut items = 1u64;
        while items > 0 {
            *left = left.checked_sub(1).ok_or(self.error(ErrorKind::KeyOrder))?;
            let (_, inside) = self.pass_head()?;
            items = items.wrapping_sub(1).saturating_add(inside);
        }
        Ok(start.len().saturating_sub(self.rest.len()))
    }

    /// How far `later` is ahead in the message, in bytes.
    fn distance(&self, later: &Self) -> u32 {
        u32::try_from(self.rest.len().saturating_sub(later.rest.len())).unwrap_or(u32::MAX)
    }

    /// A reader that is ahead by so many bytes.
    fn ahead(&self, distance: u32) -> Self {
        self.at(crate::bytes::rest(self.rest, usize::try_from(distance).unwrap_or(usize::MAX)))
    }

    /// Checks that the current key, which ends at `end`, is none of those before it.
    fn expect_new_key(&self, keys: &mut Keys, end: &Self, left: &mut u32) -> Result<(), Error> {
        let current = self.ahead(keys.current);
        let key = current.key()?;
        let ascends = match keys.previous {
            Some(previous) => self.ahead(previous).key()? < key,
            None => keys.first == keys.current,
        };
        keys.previous = Some(keys.current).filter(|_| ascends);
        if !ascends && self.ahead(keys.first).has_key(key, current.rest, left)? {
            return Err(end.error(ErrorKind::KeyOrder));
        }
        Ok(())
    }

    /// Whether an entry between here and `end` has this key.
    fn has_key(mut self, key: Key<'_>, end: &[u8], left: &mut u32) -> Result<bool, Error> {
        while self.rest.len() > end.len() {
            let start = self;
            self.pass_again(left)?;
            if start.key()? == key {
                return Ok(true);
            }
            self.pass_again(left)?;
        }
        Ok(false)
    }

    /// The key here, which was passed before.
    fn key(mut self) -> Result<Key<'a>, Error> {
        let start = self;
        let (major, value) = self.head()?;
        let bytes = match major {
            UNSIGNED | NEGATIVE => &[],
            BYTES | TEXT => self.take(length(value))?,
            _ => {
                self = start;
                self.pass_again(&mut { u32::MAX })?;
                self.since(start.rest)
            }
        };
        Ok((major, value, bytes))
    }
}

//! Maps: their keys, one after the other, and the order they have to come in.

use super::{
    Error, ErrorKind, Reader, SMALL,
    reader::{NEGATIVE, UNSIGNED},
};

/// The keys 0 to 23 as they are encoded.
const SMALL_KEYS: &[u8] = &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23];

/// Stands for every key that no member has: a key of another type, or one that does not fit in 16 bits.
const OTHER_KEY: i16 = i16::MIN;

/// A map that is being read: how many entries are left, and the previous key.
#[derive(Debug)]
pub struct Map<'a> {
    left: usize,
    /// In a map with integer keys: the previous key, as long as all keys were 1 to 23; then 24.
    small: u8,
    /// The previous key, encoded, unless `small` holds it.
    previous: &'a [u8],
    /// In a map with text keys: whether a key came that is not in the table or not in its order.
    disturbed: bool,
    /// In a map with text keys: how many entries were left when the table was last gone through again.
    retried: usize,
}

impl Map<'_> {
    pub(super) const fn new(left: usize) -> Self {
        Self { left, small: 0, previous: &[], disturbed: false, retried: 0 }
    }

    /// Whether every entry has been read.
    #[cfg_attr(not(feature = "small"), inline)]
    pub const fn is_done(&self) -> bool {
        self.left == 0
    }
}

/// A text key of at most 255 bytes as it is encoded, for [`Reader::take_key`]. `N` is [`encoded_key_len`].
pub const fn encoded_key<const N: usize>(key: &[u8]) -> [u8; N] {
    let mut encoded = [0; N];
    let (mut to, mut from) = (key_head_len(key), key);
    if let [first, rest @ ..] = encoded.as_mut_slice() {
        *first = 0x60 | if key.len() < 24 { key.len() as u8 } else { 24 };
        if let ([second, ..], true) = (rest, key.len() >= 24) {
            *second = key.len() as u8;
        }
    }
    while let [byte, rest @ ..] = from {
        if let Some((_, tail)) = encoded.split_at_mut_checked(to)
            && let [place, ..] = tail
        {
            *place = *byte;
        }
        to = to.saturating_add(1);
        from = rest;
    }
    encoded
}

/// The length of [`encoded_key`].
pub const fn encoded_key_len(key: &[u8]) -> usize {
    key_head_len(key).saturating_add(key.len())
}

const fn key_head_len(key: &[u8]) -> usize {
    if key.len() < 24 { 1 } else { 2 }
}

impl<'a> Reader<'a> {
    /// The next key of a map with integer keys, `None` after the last. A key of another type, or one that does not fit
    /// in 16 bits, comes as a value that no member has.
    ///
    /// # Errors
    /// [`ErrorKind::KeyOrder`] under the strict rules; what [`Reader::skip`] finds wrong with the key.
    #[cfg_attr(not(feature = "small"), inline)]
    pub fn next_int(&mut self, map: &mut Map<'a>) -> Result<Option<i16>, Error> {
        if map.left == 0 {
            return Ok(None);
        }
        // Nearly every key is one byte, 1 to 23, after a smaller one.
        if !SMALL
            && let Some((&key @ 1..24, rest)) = self.rest.split_first()
            && key > map.small
        {
            map.left = map.left.wrapping_sub(1);
            map.small = key;
            self.rest = rest;
            return Ok(Some(i16::from(key)));
        }
        self.rare_int(map)
    }

    fn rare_int(&mut self, map: &mut Map<'a>) -> Result<Option<i16>, Error> {
        map.left = map.left.saturating_sub(1);
        if !SMALL && let Some([previous @ 1..=255, ..]) = SMALL_KEYS.get(usize::from(map.small)..) {
            map.previous = core::slice::from_ref(previous);
        }
        map.small = 24;
        let start = self.rest;
        let key = match start.first().map(|initial| initial >> 5) {
            Some(major @ (UNSIGNED | NEGATIVE)) => {
                let value = i16::try_from(self.length_of(major)?).ok();
                value.map(|value| if major == NEGATIVE { !value } else { value })
            }
            _ => {
                self.skip_item()?;
                None
            }
        };
        self.order(map, start)?;
        Ok(Some(key.unwrap_or(OTHER_KEY)))
    }

    /// Reads the next key of a map with text keys if it is `key`, which is encoded ([`encoded_key`]).
    ///
    /// The members of a table are asked for in canonical order, so that the order of known keys needs no check. After
    /// [`Reader::other_member`] they are asked for from the first on again, and keys are compared.
    ///
    /// # Errors
    /// [`ErrorKind::KeyOrder`] under the strict rules.
    #[cfg_attr(not(feature = "small"), inline)]
    pub fn take_key<const N: usize>(&mut self, map: &mut Map<'a>, key: &'static [u8; N]) -> Result<bool, Error> {
        match self.rest.strip_prefix(key) {
            Some(rest) if map.left != 0 => {
                let start = core::mem::replace(&mut self.rest, rest);
                map.left = map.left.wrapping_sub(1);
                if map.disturbed {
                    self.order(map, start)?;
                }
                map.previous = key;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Reads the next key of a map with text keys if it is `key`: the key of a member that the standard has removed.
    /// Under the tolerant rules such a member is treated like any other that is not in the table.
    ///
    /// # Errors
    /// [`ErrorKind::KeyOrder`] under the strict rules.
    #[cfg_attr(not(feature = "small"), inline)]
    pub fn take_removed_key<const N: usize>(
        &mut self,
        map: &mut Map<'a>,
        key: &'static [u8; N],
    ) -> Result<bool, Error> {
        map.disturbed = true;
        if self.strict { self.take_key(map, key) } else { Ok(false) }
    }

    /// Skips a member of a map with text keys that is not in the table. Under the tolerant rules it may be one that
    /// stands further up in the table: so the first call reads nothing, and the table is tried from its first member
    /// again.
    ///
    /// # Errors
    /// [`ErrorKind::KeyOrder`] under the strict rules; what [`Reader::skip`] finds wrong with the key or the value.
    pub fn other_member(&mut self, map: &mut Map<'a>) -> Result<(), Error> {
        map.disturbed = true;
        if !self.strict && map.retried != map.left {
            map.retried = map.left;
            return Ok(());
        }
        map.left = map.left.saturating_sub(1);
        let start = self.rest;
        self.skip_item()?;
        self.order(map, start)?;
        self.skip_item()
    }

    /// Passes over the next key of a map with text keys. `known` is its length, if it is a key of the table.
    pub(super) fn next_text(&mut self, map: &mut Map<'a>, known: Option<usize>) -> Result<(), Error> {
        map.left = map.left.wrapping_sub(1);
        let start = self.rest;
        match known {
            Some(length) => self.rest = crate::bytes::rest(start, length),
            None => self.skip_item()?,
        }
        self.order(map, start)
    }

    /// Checks that the key between `start` and here comes after the key before it (CTAP 2.3 §8).
    #[cfg_attr(not(feature = "small"), inline)]
    pub(super) fn order(&mut self, map: &mut Map<'a>, start: &'a [u8]) -> Result<(), Error> {
        let key = self.since(start);
        let previous = core::mem::replace(&mut map.previous, key);
        let ordered = match (previous, key) {
            // Mostly the heads are the same and the first characters differ already.
            ([before, one, ..], [now @ 0..0x80, other, ..]) if !SMALL && before == now && one != other => one < other,
            _ => ascend(previous, key),
        };
        self.canonical &= ordered;
        if ordered || !self.strict { Ok(()) } else { Err(self.error(ErrorKind::KeyOrder)) }
    }
}

/// Whether the second key comes after the first: by major type, then by length, then byte by byte.
#[inline(never)]
fn ascend(first: &[u8], second: &[u8]) -> bool {
    let rank = |key: &[u8]| (key.first().map(|initial| initial >> 5), key.len());
    (rank(first), first) < (rank(second), second)
}

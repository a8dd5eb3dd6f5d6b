//! Extensions of the caller's own, written among the standard ones.

use core::cell::Cell;

use crate::{
    bytes,
    cbor::{Keys, Overflow, RawMap, Reader, Write, Writer, decode, encode},
    client::{Cause, InvalidOption},
};

/// The most of them: with the standard ones, the map's head is still one byte.
const MOST: u8 = 12;

/// Checks that `own` is canonical, not too long, and has none of `standard`, the keys of the standard inputs.
///
/// # Errors
/// [`InvalidOption::Extensions`].
pub fn check(own: Option<RawMap<'_>>, standard: Keys) -> Result<(), Cause> {
    let Some(RawMap(bytes)) = own else { return Ok(()) };
    let is_short = bytes.first().is_some_and(|head| (0xA0..=0xA0 | MOST).contains(head));
    let mut entries = Entries::of(bytes);
    let is_own = core::iter::from_fn(|| entries.next()).all(|(key, _)| !standard.has_text(key));
    let is_checked = is_short && is_own && decode::<RawMap<'_>>(bytes).is_ok();
    if is_checked { Ok(()) } else { Err(Cause::InvalidOption(InvalidOption::Extensions)) }
}

/// Whether it is written as a map without entries.
fn is_empty(map: &dyn Write) -> bool {
    encode(map, &mut []) == Err(Overflow { needed: 1 })
}

/// The extensions of a request, as one map.
pub struct Sent<'a> {
    /// The standard's extensions: a map of at most 11 entries with text keys.
    standard: &'a dyn Write,
    /// Extensions of the caller's own, merged into `standard`.
    own: Option<RawMap<'a>>,
    /// When present, sent instead of `standard` and `own`.
    other: Option<RawMap<'a>>,
}

impl<'a> Sent<'a> {
    /// `None` when the request has no extensions.
    pub fn new(standard: &'a dyn Write, own: Option<RawMap<'a>>, other: Option<RawMap<'a>>) -> Option<Self> {
        let any = own.is_some() || other.is_some() || !is_empty(standard);
        any.then_some(Self { standard, own, other })
    }
}

impl Write for Sent<'_> {
    fn write(&self, w: &mut Writer<'_>) {
        if let Some(other) = self.other {
            return other.write(w);
        }
        let start = w.len();
        self.standard.write(w);
        let Some(own) = self.own else { return };
        let mut own = Entries::of(own.0);
        while let Some((key, entry)) = own.next() {
            w.raw(entry);
            insert(w.since_mut(start), key, entry.len());
        }
    }
}

/// Moves the entry at the end of `map`, of `len` bytes, to its place, and counts it.
fn insert(map: &mut [u8], key: &[u8], len: usize) {
    if map.is_empty() {
        return; // it does not fit
    }
    let before = map.len().saturating_sub(len);
    let mut entries = Entries::of(bytes::front(map, before));
    let mut place = 1_usize;
    while let Some((other, entry)) = entries.next()
        && other < key
    {
        place = place.saturating_add(entry.len());
    }
    if let Some(head) = map.first_mut() {
        *head = head.saturating_add(1);
    }
    // Rotates by `len` to the right: reversed as a whole, and each part again.
    let Some(behind) = map.get_mut(place..) else { return };
    reverse(behind);
    if let Some((entry, rest)) = behind.split_at_mut_checked(len) {
        reverse(entry);
        reverse(rest);
    }
}

/// The standard library's, at opt-level "z", checks bounds and can panic.
fn reverse(bytes: &mut [u8]) {
    let half = bytes.len() >> 1;
    let cells = Cell::from_mut(bytes).as_slice_of_cells();
    cells.iter().zip(cells.iter().rev()).take(half).for_each(|(front, back)| front.swap(back));
}

/// The entries of a map whose head is one byte: the key, encoded, and all of it.
struct Entries<'a>(Reader<'a>);

impl<'a> Entries<'a> {
    fn of(map: &'a [u8]) -> Self {
        Self(Reader::tolerant(bytes::rest(map, 1)))
    }

    fn next(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        let start = self.0.rest();
        let key = self.0.skip().ok()?;
        self.0.skip().ok()?;
        Some((key, start.get(..start.len().saturating_sub(self.0.rest().len()))?))
    }
}

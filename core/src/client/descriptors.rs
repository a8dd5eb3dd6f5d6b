//! Lists of a relying party as they go to the authenticator: without what is of an unknown type; credentials without
//! transports, which some refuse, and without those that it cannot have made.

use super::facts::Facts;
use crate::{
    bytes,
    cbor::{List, Overflow, Write, Writer},
    ctap2::CredentialDescriptor,
};

/// A list of a relying party.
pub type Descriptors<'a> = List<'a, CredentialDescriptor<'a>>;

/// The ids of the credentials that could be this authenticator's.
pub fn candidates<'a>(list: &Descriptors<'a>, facts: &Facts) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a> {
    let facts = *facts;
    list.iter().filter(move |descriptor| facts.could_hold(descriptor)).map(|descriptor| descriptor.id)
}

/// Writes a list of `items`, which are walked twice.
pub fn write<T: Write>(items: impl Iterator<Item = T> + Clone, w: &mut Writer<'_>) {
    w.array(items.clone().count());
    for item in items {
        item.write(w);
    }
}

/// Writes the list of `ids`.
pub fn write_ids<'a>(ids: impl Iterator<Item = &'a [u8]> + Clone, w: &mut Writer<'_>) {
    write(ids.map(CredentialDescriptor::new), w);
}

/// A part of a request that is written into its place later: `write` writes it at `at` over `replaced` bytes.
pub struct Part<'p> {
    pub at: usize,
    pub replaced: usize,
    pub write: &'p dyn Fn(&mut Writer<'_>),
}

/// Writes a request and its parts, which stand in the order of their places, without room for them beside it.
pub fn assemble(
    encode: impl Fn(&mut [u8]) -> Result<usize, Overflow>,
    parts: &[Option<Part<'_>>],
    buffer: &mut [u8],
) -> Result<usize, Overflow> {
    let mut len = measure(&encode);
    let needed =
        parts.iter().flatten().fold(len, |sum, part| sum.saturating_add(part.len()).saturating_sub(part.replaced));
    if needed > buffer.len() {
        return Err(Overflow { needed });
    }
    encode(buffer)?;
    for part in parts.iter().rev().flatten() {
        let behind = part.at.saturating_add(part.replaced);
        let end = part.at.saturating_add(part.len());
        bytes::shift(buffer, behind..len, end);
        (part.write)(&mut Writer::new(buffer.get_mut(part.at..end).unwrap_or_default()));
        len = len.saturating_sub(behind).saturating_add(end);
    }
    Ok(len)
}

/// The length of what `encode` writes.
pub fn measure(encode: impl Fn(&mut [u8]) -> Result<usize, Overflow>) -> usize {
    match encode(&mut []) {
        Ok(len) | Err(Overflow { needed: len }) => len,
    }
}

impl Part<'_> {
    fn len(&self) -> usize {
        let mut w = Writer::new(&mut []);
        (self.write)(&mut w);
        w.len()
    }
}

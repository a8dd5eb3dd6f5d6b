//! What the table of a message with integer keys declares beside the struct, and messages some of whose members come
//! from elsewhere.

use core::fmt;

use super::{Write, Writer};

/// A message with integer keys, as [`message!`](crate::message) declares it.
pub trait Table {
    /// Its members, in the order of their keys.
    const MEMBERS: &'static [Member];

    /// Writes the message. Members that `with` has, by their key, are written from there and not from `self`.
    fn write_with(&self, w: &mut Writer<'_>, with: &[(u8, Option<&dyn Write>)]);
}

/// A member of a message: its key and its name. Displays itself as the standard spells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// The key.
    pub key: i16,
    /// The name: the standard's, or in snake case.
    pub name: &'static str,
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, others) = self.name.split_once('_').unwrap_or((self.name, ""));
        f.write_str(first)?;
        for word in others.split('_') {
            let mut letters = word.chars();
            letters.next().map_or(Ok(()), |first| write!(f, "{}", first.to_ascii_uppercase()))?;
            f.write_str(letters.as_str())?;
        }
        Ok(())
    }
}

/// A message some of whose members are written from elsewhere, by their key: lists that are filtered while they are
/// written, and maps that do not exist as bytes.
pub struct With<'w, T>(pub &'w T, pub &'w [(u8, Option<&'w dyn Write>)]);

impl<T: Table> Write for With<'_, T> {
    fn write(&self, w: &mut Writer<'_>) {
        self.0.write_with(w, self.1);
    }
}

/// The value that `with` has for `key`. For [`message!`](crate::message).
#[doc(hidden)]
#[inline]
pub fn given<'w>(with: &[(u8, Option<&'w dyn Write>)], key: u8) -> Option<&'w dyn Write> {
    with.iter().find(|(given, _)| *given == key).and_then(|(_, value)| *value)
}

/// A list of the items of an iterator, which is walked twice.
#[derive(Clone, Copy, Debug)]
pub struct Array<I>(pub I);

impl<I: Iterator<Item: Write> + Clone> Write for Array<I> {
    fn write(&self, w: &mut Writer<'_>) {
        w.array(self.0.clone().count());
        for item in self.0.clone() {
            item.write(w);
        }
    }
}

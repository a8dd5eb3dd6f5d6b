//! Lists that one type serves in both directions: encoded items on the way in, a slice on the way out.

use core::{fmt, marker::PhantomData};

use super::{Error, Read, Reader, Shape, Write, Writer};

/// A list of `T`, without a limit on its length.
#[derive(Clone, Copy)]
pub enum List<'a, T> {
    /// Items of a received message, each checked when the message was decoded.
    Cbor(Items<'a, T>),
    /// Items of a message to be sent.
    Slice(&'a [T]),
}

/// The encoded items of a received list.
#[derive(Clone, Copy)]
pub struct Items<'a, T> {
    count: usize,
    /// The message from the next item on.
    rest: &'a [u8],
    item: PhantomData<fn() -> T>,
}

/// Iterator over a [`List`]; holds the items that are left.
#[derive(Clone)]
pub struct ListIter<'a, T>(List<'a, T>);

impl<'a, T> List<'a, T> {
    /// Number of items.
    pub fn len(&self) -> usize {
        match self {
            Self::Cbor(items) => items.count,
            Self::Slice(items) => items.len(),
        }
    }

    /// Whether there are no items.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The items in order.
    #[inline]
    pub fn iter(&self) -> ListIter<'a, T>
    where
        T: Copy,
    {
        ListIter(*self)
    }
}

impl<'a, T> ListIter<'a, T> {
    /// The encoded items that are left, and what follows them; empty over a slice.
    pub const fn rest(&self) -> &'a [u8] {
        match &self.0 {
            List::Cbor(items) => items.rest,
            List::Slice(_) => &[],
        }
    }
}

impl<'a, T: Read<'a> + Copy> Iterator for ListIter<'a, T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        match &mut self.0 {
            List::Cbor(items) => {
                items.count = items.count.checked_sub(1)?;
                let mut reader = Reader::checked(items.rest);
                let item = T::read_again(&mut reader);
                items.rest = reader.rest();
                item.ok() // cannot fail: the same bytes were read before
            }
            List::Slice(items) => {
                let (first, left) = items.split_first()?;
                *items = left;
                Some(*first)
            }
        }
    }
}

impl<'a, T: Read<'a> + Copy> IntoIterator for &List<'a, T> {
    type Item = T;
    type IntoIter = ListIter<'a, T>;

    fn into_iter(self) -> ListIter<'a, T> {
        self.iter()
    }
}

impl<'a, T: Read<'a>> Read<'a> for List<'a, T> {
    const SHAPE: Shape = Shape::List(&T::SHAPE);

    fn read(r: &mut Reader<'a>) -> Result<Self, Error> {
        let count = r.array()?;
        let rest = r.rest();
        for _ in 0..count {
            T::read(r)?;
        }
        r.leave();
        Ok(Self::Cbor(Items { count, rest, item: PhantomData }))
    }

    fn get(r: &mut Reader<'a>) -> Result<Self, Error> {
        let count = r.array()?;
        r.leave();
        Ok(Self::Cbor(Items { count, rest: r.rest(), item: PhantomData }))
    }
}

impl<'a, T: Read<'a> + Write + Copy> Write for List<'a, T> {
    fn write(&self, w: &mut Writer<'_>) {
        w.array(self.len());
        match self {
            Self::Cbor(_) => self.iter().for_each(|item| item.write(w)),
            Self::Slice(items) => items.iter().for_each(|item| item.write(w)),
        }
    }
}

impl<'a, T> From<&'a [T]> for List<'a, T> {
    fn from(items: &'a [T]) -> Self {
        Self::Slice(items)
    }
}

impl<'a, T: Read<'a> + Copy + PartialEq> PartialEq for List<'a, T> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<'a, T: Read<'a> + Copy + fmt::Debug> fmt::Debug for List<'a, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

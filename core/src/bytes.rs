//! Copies and parts of byte strings that cannot panic.
//!
//! Debug builds assert that lengths agree; the tests, the fuzzers and the simulator run with these assertions. A
//! release build has no panic site: it uses as many bytes as there are. A function whose result may be shorter than
//! requested has a name that says so: [`copy_prefix`], [`padded`].

use core::ops::{Deref, DerefMut, Range};

/// Overwrites a secret with zeros, which the compiler does not leave out. It may write whole words, unlike
/// `Zeroize::zeroize`, which takes an instruction or more for each byte.
#[cfg_attr(feature = "small", inline(never))]
#[cfg_attr(not(feature = "small"), inline)]
pub fn wipe(secret: &mut [u8]) {
    secret.fill(0);
    zeroize::optimization_barrier(secret);
}

/// A secret of `N` bytes that is [wiped](wipe) on drop.
#[derive(Clone)]
pub struct Secret<const N: usize>(pub [u8; N]);

impl<const N: usize> Default for Secret<N> {
    fn default() -> Self {
        Self([0; N])
    }
}

impl<const N: usize> Drop for Secret<N> {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

impl<const N: usize> Deref for Secret<N> {
    type Target = [u8; N];

    fn deref(&self) -> &[u8; N] {
        &self.0
    }
}

impl<const N: usize> DerefMut for Secret<N> {
    fn deref_mut(&mut self) -> &mut [u8; N] {
        &mut self.0
    }
}

/// Copies `from` to `to`, which must have the same length.
#[inline]
pub fn copy(to: &mut [u8], from: &[u8]) {
    debug_assert_eq!(to.len(), from.len(), "a copy has the length of its source");
    copy_prefix(to, from);
}

/// Copies `from` to the front of `to`, which must be at least as long, and returns the length of `from`.
#[inline]
pub fn put(to: &mut [u8], from: &[u8]) -> usize {
    debug_assert!(from.len() <= to.len(), "{} bytes do not fit in {}", from.len(), to.len());
    copy_prefix(to, from)
}

/// Copies as many bytes as both sides hold and returns that number.
#[cfg_attr(feature = "small", inline(never))]
#[cfg_attr(not(feature = "small"), inline)]
pub fn copy_prefix(to: &mut [u8], from: &[u8]) -> usize {
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
    to.len().min(from.len())
}

/// The bytes of `from`, which must be `N` bytes.
#[inline]
pub fn array<const N: usize>(from: &[u8]) -> [u8; N] {
    debug_assert_eq!(from.len(), N, "an array has the length of its source");
    padded(from)
}

/// The first `N` bytes of `from`, which must have at least `N` bytes.
#[inline]
pub fn first<const N: usize>(from: &[u8]) -> [u8; N] {
    debug_assert!(from.len() >= N, "{} bytes hold no {N}", from.len());
    padded(from)
}

/// The first `N` bytes of `from`, padded with zeros if it is shorter.
#[inline]
pub fn padded<const N: usize>(from: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    copy_prefix(&mut out, from);
    out
}

/// The concatenated parts, which must be `N` bytes in total.
#[inline]
pub fn concat<const N: usize>(parts: &[&[u8]]) -> [u8; N] {
    let mut out = [0; N];
    let len = join(&mut out, parts);
    debug_assert_eq!(len, N, "the parts fill the array");
    out
}

/// Copies the concatenated parts to the front of `to`, which must have room for them, and returns their total length.
pub fn join(to: &mut [u8], parts: &[&[u8]]) -> usize {
    parts.iter().fold(0, |at, part| at.saturating_add(put(rest_mut(to, at), part)))
}

/// The first `len` bytes. There must be at least `len` bytes.
#[cfg_attr(feature = "small", inline(never))]
#[cfg_attr(not(feature = "small"), inline)]
pub fn front(bytes: &[u8], len: usize) -> &[u8] {
    split(bytes, len).0
}

/// The first `len` bytes. There must be at least `len` bytes.
#[cfg_attr(feature = "small", inline(never))]
#[cfg_attr(not(feature = "small"), inline)]
pub fn front_mut(bytes: &mut [u8], len: usize) -> &mut [u8] {
    split_mut(bytes, len).0
}

/// The bytes from `at` on. `at` must not be greater than the length.
#[cfg_attr(feature = "small", inline(never))]
#[cfg_attr(not(feature = "small"), inline)]
pub fn rest(bytes: &[u8], at: usize) -> &[u8] {
    split(bytes, at).1
}

/// The bytes from `at` on. `at` must not be greater than the length.
#[cfg_attr(feature = "small", inline(never))]
#[cfg_attr(not(feature = "small"), inline)]
pub fn rest_mut(bytes: &mut [u8], at: usize) -> &mut [u8] {
    split_mut(bytes, at).1
}

/// The bytes of `range`, which must lie within `bytes`.
#[inline]
pub fn part(bytes: &[u8], range: Range<usize>) -> &[u8] {
    rest(front(bytes, range.end), range.start)
}

/// The bytes before `at` and the bytes from `at` on. `at` must not be greater than the length.
#[inline]
pub fn split(bytes: &[u8], at: usize) -> (&[u8], &[u8]) {
    debug_assert!(at <= bytes.len(), "at {at}, of {}", bytes.len());
    bytes.split_at_checked(at).unwrap_or_default()
}

/// The bytes before `at` and the bytes from `at` on. `at` must not be greater than the length.
#[inline]
pub fn split_mut(bytes: &mut [u8], at: usize) -> (&mut [u8], &mut [u8]) {
    debug_assert!(at <= bytes.len(), "at {at}, of {}", bytes.len());
    bytes.split_at_mut_checked(at).unwrap_or_default()
}

/// The text before `at` and the text from `at` on. `at` must be at a character boundary.
#[inline]
pub fn split_text(text: &str, at: usize) -> (&str, &str) {
    debug_assert!(text.is_char_boundary(at), "no character of the text begins at {at}");
    text.split_at_checked(at).unwrap_or_default()
}

/// The text of `bytes`, which must be UTF-8.
#[inline]
pub fn text(bytes: &[u8]) -> &str {
    let text = core::str::from_utf8(bytes);
    debug_assert!(text.is_ok(), "text is UTF-8");
    text.unwrap_or_default()
}

/// The offset of `inner` in `outer`. `None` when `inner` is not a part of `outer`.
pub fn offset(outer: &[u8], inner: &[u8]) -> Option<usize> {
    let at = inner.as_ptr().addr().checked_sub(outer.as_ptr().addr())?;
    outer.len().checked_sub(inner.len()).filter(|last| at <= *last).map(|_| at)
}

/// Moves the bytes of `range` to `to` within one slice. Nothing is moved when the range or its new place lies outside
/// the slice.
pub fn shift(bytes: &mut [u8], range: Range<usize>, to: usize) {
    let Some(len) = range.end.checked_sub(range.start).filter(|_| range.end <= bytes.len()) else { return };
    let Some(span) = bytes.get_mut(range.start.min(to)..range.start.max(to).saturating_add(len)) else { return };
    // The old place is at one end of the span, the new place at the other.
    let cells = core::cell::Cell::from_mut(span).as_slice_of_cells();
    let (Some(front), Some(back)) = (cells.get(..len), cells.len().checked_sub(len).and_then(|at| cells.get(at..)))
    else {
        return;
    };
    if to < range.start {
        front.iter().zip(back).for_each(|(to, from)| to.set(from.get()));
    } else {
        back.iter().zip(front).rev().for_each(|(to, from)| to.set(from.get()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_is_wiped_is_zero() {
        let mut secret = Secret([0x5A; 37]);
        wipe(&mut secret[..36]);
        assert_eq!(secret[..], *[&[0; 36][..], &[0x5A]].concat());
        assert_eq!(*Secret::<3>::default(), [0; 3]);
    }

    #[test]
    fn parts_stand_one_behind_the_other() {
        assert_eq!(concat::<5>(&[&[1, 2], &[], &[3, 4, 5]]), [1, 2, 3, 4, 5]);
        let mut to = [0; 4];
        assert_eq!((join(&mut to, &[&[1], &[2, 3]]), to), (3, [1, 2, 3, 0]));
        assert_eq!((padded(&[1, 2]), padded(&[1, 2, 3, 4])), ([1, 2, 0], [1, 2, 3]));
        assert_eq!((part(&to, 1..3), split(&to, 4)), (&[2, 3][..], (&to[..], &[][..])));
    }

    #[test]
    #[cfg(debug_assertions)]
    fn lengths_that_disagree_are_noticed() {
        let mistakes: [fn(); 14] = [
            || copy(&mut [0; 2], &[1]),
            || copy(&mut [0; 1], &[1, 2]),
            || _ = put(&mut [0; 1], &[1, 2]),
            || _ = array::<2>(&[1]),
            || _ = array::<2>(&[1, 2, 3]),
            || _ = first::<2>(&[1]),
            || _ = concat::<3>(&[&[1], &[2]]),
            || _ = concat::<1>(&[&[1], &[2]]),
            || _ = front(&[1], 2),
            || _ = rest(&[1], 2),
            || _ = split(&[1], 2),
            || _ = split_text("a", 2),
            || _ = split_text("ä", 1),
            || _ = text(&[0xFF]),
        ];
        for (at, mistake) in mistakes.iter().enumerate() {
            assert!(std::panic::catch_unwind(mistake).is_err(), "mistake {at}");
        }
    }

    #[test]
    fn a_part_is_found_where_it_lies() {
        let bytes = [1, 1, 1, 1];
        assert_eq!([0, 2, 4].map(|at| offset(&bytes, &bytes[at..])), [Some(0), Some(2), Some(4)]);
        assert_eq!([offset(&bytes[2..], &bytes), offset(&bytes[..2], &bytes[1..])], [None, None]);
    }

    #[test]
    fn bytes_move_within_a_slice_in_either_direction_and_never_past_its_ends() {
        for (start, end, to) in [(0, 3, 1), (1, 4, 0), (2, 5, 7), (7, 10, 0), (0, 10, 0), (4, 4, 9)] {
            let original: Vec<u8> = (0..10).collect();
            let mut expected = original.clone();
            expected.copy_within(start..end, to);
            let mut bytes = original;
            shift(&mut bytes, start..end, to);
            assert_eq!(bytes, expected);
        }
        let mut bytes = [1, 2, 3];
        shift(&mut bytes, 1..4, 0);
        shift(&mut bytes, 0..2, 2);
        shift(&mut bytes, 0..1, usize::MAX);
        #[allow(clippy::reversed_empty_ranges)]
        shift(&mut bytes, 2..1, 0);
        assert_eq!(bytes, [1, 2, 3]);
    }
}

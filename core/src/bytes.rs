//! Copies that cannot panic.

/// Copies as many bytes as both sides hold and returns that number.
#[inline]
pub fn copy(to: &mut [u8], from: &[u8]) -> usize {
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
    to.len().min(from.len())
}

/// The first `N` bytes of `from`, zero-filled when it is shorter.
#[inline]
pub fn array<const N: usize>(from: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    copy(&mut out, from);
    out
}

/// Where `inner` lies in `outer`, which it is a part of. `None` when it is not.
pub fn offset(outer: &[u8], inner: &[u8]) -> Option<usize> {
    let at = inner.as_ptr().addr().checked_sub(outer.as_ptr().addr())?;
    outer.len().checked_sub(inner.len()).filter(|last| at <= *last).map(|_| at)
}

/// Moves the bytes of `range` to `to`, within one slice. Nothing is moved when either lies outside of it.
pub fn shift(bytes: &mut [u8], range: core::ops::Range<usize>, to: usize) {
    let Some(len) = range.end.checked_sub(range.start).filter(|_| range.end <= bytes.len()) else { return };
    let Some(span) = bytes.get_mut(range.start.min(to)..range.start.max(to).saturating_add(len)) else { return };
    // The span begins with the one place and ends with the other.
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

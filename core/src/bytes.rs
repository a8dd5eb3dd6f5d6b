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

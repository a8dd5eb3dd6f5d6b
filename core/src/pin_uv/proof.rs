//! Evidence of user verification: a value that only a verification makes, and that a fault in memory is unlikely to
//! make.

use core::{hint::black_box, num::NonZeroU32};

/// The value of intact evidence: sixteen ones and sixteen zeros. Cleared memory is no evidence.
const HOLDS: NonZeroU32 = match NonZeroU32::new(0x3CA5_C35A) {
    Some(holds) => holds,
    None => NonZeroU32::MAX,
};

/// Evidence that the user was verified. The comparison of PINs ([`super::PinHash::verify`]) and the result of built-in
/// user verification ([`UserVerified::by_sensor`]) make it. A token keeps the evidence it was issued for
/// ([`super::TokenState::user_verified`]).
///
/// It is a number that differs from zero and from all ones in 16 bits, because a fault on a chip may alter memory. Code
/// that relies on the evidence checks that it [`holds`](UserVerified::holds).
#[derive(Clone, Copy)]
pub struct UserVerified(NonZeroU32);

impl UserVerified {
    pub(super) const fn new() -> Self {
        Self(HOLDS)
    }

    /// Evidence from built-in user verification. `None` unless the user `matched`.
    pub fn by_sensor(matched: bool) -> Option<Self> {
        matched.then(Self::new)
    }

    /// Whether the evidence is intact.
    pub fn holds(self) -> bool {
        // The compiler must not remove the comparison.
        black_box(self.0) == HOLDS
    }
}

impl core::fmt::Debug for UserVerified {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(if self.holds() { "UserVerified" } else { "UserVerified(broken)" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_is_sixteen_bits_away_from_memory_that_is_cleared_or_set() {
        assert_eq!((HOLDS.get().count_ones(), HOLDS.get().count_zeros()), (16, 16));
        assert_eq!(size_of::<Option<UserVerified>>(), 4, "`None` is a zero");
    }

    #[test]
    fn evidence_with_any_bit_altered_does_not_hold() {
        assert!(UserVerified::by_sensor(true).unwrap().holds() && UserVerified::by_sensor(false).is_none());
        for bit in 0..32 {
            let altered = NonZeroU32::new(HOLDS.get() ^ 1 << bit).unwrap();
            assert!(!UserVerified(altered).holds());
        }
    }
}

//! What a command goes on with from one atom to the next, so that a fault in memory is noticed: steps, and the evidence
//! that the user was present. That the user was verified is [`keyfob_core::pin_uv::UserVerified`].

use core::{hint::black_box, num::NonZeroU32};

use keyfob_core::{
    Instant,
    pin_uv::{TokenState, UserVerified},
};

use super::{Event, u2f::Touch};

/// Numbers for the steps of a command, the first one that of a command that begins. They are words of the extended
/// Hamming code: any two differ in at least four bits.
pub(super) const STEPS: [u8; 5] = [0x00, 0x0F, 0x33, 0x3C, 0x55];

/// What intact evidence holds: sixteen ones and sixteen zeros. Memory that is cleared holds none.
const HOLDS: NonZeroU32 = match NonZeroU32::new(0xC35A_3CA5) {
    Some(holds) => holds,
    None => NonZeroU32::MAX,
};

/// Evidence that the user was present. Only code that noticed the user makes it; code that relies on it asks
/// whether it [`holds`](UserPresent::holds).
#[derive(Clone, Copy)]
pub(super) struct UserPresent(NonZeroU32);

impl UserPresent {
    /// By a touch that was awaited.
    pub fn by_touch(event: Event) -> Option<Self> {
        matches!(event, Event::Touched | Event::LongTouched).then_some(Self(HOLDS))
    }

    /// By user verification that proves presence.
    pub fn by_verification(verified: UserVerified, proves_presence: bool) -> Option<Self> {
        (proves_presence && verified.holds()).then_some(Self(HOLDS))
    }

    /// By a token that was issued to a user who was present a moment ago.
    pub fn by_token(token: &TokenState) -> Option<Self> {
        token.user_present().then_some(Self(HOLDS))
    }

    /// By a touch that U2F has kept.
    pub fn by_kept(touch: Touch, now: Instant) -> Option<Self> {
        matches!(touch, Touch::Kept(until) if now < until).then_some(Self(HOLDS))
    }

    /// Whether the evidence is intact.
    pub fn holds(self) -> bool {
        black_box(self.0) == HOLDS // the compiler must not leave the comparison out
    }
}

#[cfg(test)]
impl UserPresent {
    /// Evidence with one bit altered.
    pub const fn broken() -> Self {
        match NonZeroU32::new(HOLDS.get() ^ 1) {
            Some(altered) => Self(altered),
            None => Self(NonZeroU32::MIN),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_two_steps_differ_in_four_bits_at_least() {
        for (at, one) in STEPS.iter().enumerate() {
            for other in STEPS.iter().skip(at + 1) {
                assert!((one ^ other).count_ones() >= 4, "{one:#x} and {other:#x}");
            }
        }
        assert_eq!(STEPS[0], 0, "a command that begins");
    }

    #[test]
    fn evidence_of_presence_is_far_from_other_memory_and_breaks_with_any_bit() {
        assert_eq!((HOLDS.get().count_ones(), HOLDS.get().count_zeros()), (16, 16));
        assert!(UserPresent::by_touch(Event::Touched).is_some_and(UserPresent::holds));
        assert!(
            [Event::Denied, Event::Tick, Event::Cancel, Event::Verified(true)]
                .map(UserPresent::by_touch)
                .iter()
                .all(Option::is_none)
        );
        for bit in 0..32 {
            let altered = NonZeroU32::new(HOLDS.get() ^ 1 << bit).unwrap();
            assert!(!UserPresent(altered).holds());
        }
    }
}

//! What a command goes on with from one atom to the next, so that a fault in memory is noticed: the evidence that the
//! user was present, and that something was counted before its result is looked at. That the user was verified is
//! [`keyfob_core::pin_uv::UserVerified`].

use core::{hint::black_box, num::NonZeroU32};

use keyfob_core::{
    Instant,
    pin_uv::{TokenState, UserVerified},
};

use super::{platform::Event, state::U2fTouch};
use crate::store::StoreError;

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
    pub fn by_kept(touch: U2fTouch, now: Instant) -> Option<Self> {
        matches!(touch, U2fTouch::Kept(until) if now < until).then_some(Self(HOLDS))
    }

    /// Whether the evidence is intact.
    pub fn holds(self) -> bool {
        black_box(self.0) == HOLDS // the compiler must not leave the comparison out
    }
}

/// Evidence that an attempt or a signature is counted. The step after the count carries it, so that a fault cannot skip
/// the count.
#[derive(Clone, Copy)]
pub(super) struct Counted(NonZeroU32);

impl Counted {
    /// By a count that was committed, or that was reserved by a commit before.
    pub fn by_commit(committed: Result<(), StoreError>) -> Result<Self, StoreError> {
        committed.map(|()| Self(HOLDS))
    }

    /// Whether the evidence is intact.
    pub fn holds(self) -> bool {
        black_box(self.0) == HOLDS
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
impl Counted {
    /// Evidence with one bit altered.
    pub const fn broken() -> Self {
        Self(UserPresent::broken().0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert!(!UserPresent(altered).holds() && !Counted(altered).holds());
        }
        assert!(Counted::by_commit(Ok(())).is_ok_and(Counted::holds));
        assert!(Counted::by_commit(Err(StoreError::Full)).is_err());
    }
}

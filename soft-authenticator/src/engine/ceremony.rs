//! What a command goes on with from one atom to the next: decisions and evidence. A registration, a sign-in and a
//! request of U2F make their responses from their decisions.
//!
//! Evidence lets a fault in memory be noticed. It says that the user was present, or that something was counted before
//! its result is looked at. That the user was verified is [`keyfob_core::pin_uv::UserVerified`].

use core::{hint::black_box, num::NonZeroU32};

use keyfob_core::{
    Instant,
    auth_data::Flags,
    bytes::Secret,
    crypto::HEDGE,
    extensions::cred_protect::Level,
    pin_uv::{SharedSecret, TokenState, UserVerified},
};

use super::{platform::Event, state::U2fTouch};
use crate::store::StoreError;

/// One salt of `hmac-secret`, and one output, in bytes.
pub(super) const SALT: usize = 32;

/// The decisions. They are made once, and each response of a sequence is made of them.
#[derive(Default)]
pub(super) struct CeremonyState {
    pub rp_id_hash: [u8; 32],
    pub client_data_hash: [u8; 32],
    pub user_verified: Option<UserVerified>,
    pub user_present: Option<UserPresent>,
    /// What the request asks of the extensions.
    pub asked: Asked,
    /// The salts that came with it, once they are decrypted.
    pub salts: Option<DecryptedSalts>,
    /// Random bytes for the response.
    pub random: Secret<HEDGE>,
}

impl CeremonyState {
    /// Whether the user is verified.
    pub fn is_verified(&self) -> bool {
        self.user_verified.is_some_and(UserVerified::holds)
    }

    /// Whether the user is present.
    pub fn is_present(&self) -> bool {
        self.user_present.is_some_and(UserPresent::holds)
    }

    /// The flags of the authenticator data that tell of the user.
    pub fn flags(&self) -> Flags {
        Flags::default().with(Flags::UP, self.user_present.is_some()).with(Flags::UV, self.user_verified.is_some())
    }
}

/// What the request at hand asks of the extensions that are switched on and apply to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    /// `uvm`: how the user is verified, if they are.
    pub uvm: Option<u32>,
    pub cred_protect: Option<Level>,
    /// In a registration: whether the blob that came is stored. In an assertion: to return it.
    pub cred_blob: Option<bool>,
    /// In a registration.
    pub hmac_secret: bool,
    /// Salts came: `hmac-secret` of an assertion, `hmac-secret-mc` of a registration.
    pub salts: bool,
    pub large_blob_key: bool,
    pub large_blob: LargeBlobAction,
    pub min_pin_length: bool,
    pub pin_complexity_policy: bool,
    pub third_party_payment: bool,
}

/// What is to be done with the blob of the extension `largeBlob`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum LargeBlobAction {
    #[default]
    Nothing,
    /// A registration: the credential can have one.
    Make,
    Read,
    /// The new one is in the request.
    Write,
    /// The new one is stored, or does not fit.
    Written(bool),
}

/// The salts of `hmac-secret`, and the secret under which its outputs are encrypted. Wiped on drop.
pub(super) struct DecryptedSalts {
    pub shared: SharedSecret,
    pub salts: Secret<{ 2 * SALT }>,
    /// One salt or two, in bytes.
    pub len: usize,
}

/// What intact evidence holds: sixteen ones and sixteen zeros. Cleared memory does not hold it.
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

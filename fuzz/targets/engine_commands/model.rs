//! The expected state of an authenticator.

use keyfob_core::{
    Instant, Status,
    auth_data::Flags,
    ctap2::large_blobs,
    pin_uv::{INITIAL_USAGE_LIMIT, Permissions, PinUvAuthProtocol, Token},
};
use keyfob_fuzz::key::UserAction;

pub const RPS: [&str; 2] = ["example.org", "example.com"];
pub const PINS: [&str; 3] = ["1234", "пароль", "12"];
pub const PERMISSIONS: [Permissions; 4] =
    [Permissions::MC.with(Permissions::GA), Permissions::CM, Permissions::LBW, Permissions::ACFG];
pub const HASH: [u8; 32] = [7; 32];
pub const RETRIES: u32 = 8;

/// A token that has not been presented yet.
pub struct Held {
    pub protocol: PinUvAuthProtocol,
    pub token: Token,
    pub permissions: Permissions,
    pub issued: Instant,
}

/// The expected state of an authenticator.
#[derive(Default)]
pub struct Model {
    pub pin: Option<usize>,
    pub retries: u32,
    pub strikes: u8,
    /// The relying party, user and id of every discoverable credential, oldest first.
    pub stored: Vec<(usize, u8, Vec<u8>)>,
    /// The id of a non-discoverable credential of each relying party.
    pub wrapped: [Option<Vec<u8>>; 2],
    pub token: Option<Held>,
    pub always_uv: bool,
    pub min_pin_length: usize,
    pub force_pin_change: bool,
    /// The large-blob array.
    pub blobs: Vec<u8>,
    pub sign_count: u32,
    /// The last signature count that is reserved.
    pub reserved: u32,
    /// How many more signatures may have been counted, in aborted commands.
    pub slack: u32,
    /// The users that getNextAssertion must still return, the next one last; the time limit; the flags.
    pub sequence: (Vec<u8>, Instant, Flags),
    pub powered_up: Instant,
}

impl Model {
    /// A key after a reset.
    pub fn new(powered_up: Instant) -> Self {
        let blobs = large_blobs::INITIAL_ARRAY.to_vec();
        Self { retries: RETRIES, min_pin_length: 4, blobs, powered_up, ..Self::default() }
    }

    pub fn too_short(&self, pin: usize) -> bool {
        PINS[pin].chars().count() < self.min_pin_length
    }

    /// The status of a command that needs a token; with `from_anyone`, an unprotected key needs none.
    pub fn authorized(&self, held: Option<&Held>, permission: Permissions, from_anyone: bool) -> Status {
        match held {
            None if from_anyone && self.pin.is_none() && !self.always_uv => Status::OK,
            None => Status::PUAT_REQUIRED,
            Some(held) if held.permissions.has(permission) => Status::OK,
            Some(_) => Status::PIN_AUTH_INVALID,
        }
    }

    /// Counts a PIN attempt and returns its status.
    pub fn attempt(&mut self, pin: usize) -> Status {
        match (self.pin, self.retries, self.strikes) {
            (None, ..) => Status::PIN_NOT_SET,
            (_, 0, _) => Status::PIN_BLOCKED,
            (_, _, 3) => Status::PIN_AUTH_BLOCKED,
            (Some(right), ..) if right == pin => {
                (self.retries, self.strikes) = (RETRIES, 0);
                Status::OK
            }
            _ => {
                (self.retries, self.strikes) = (self.retries - 1, self.strikes + 1);
                match (self.retries, self.strikes) {
                    (0, _) => Status::PIN_BLOCKED,
                    (_, 3) => Status::PIN_AUTH_BLOCKED,
                    _ => Status::PIN_INVALID,
                }
            }
        }
    }

    /// Checks the signature counter in a response.
    pub fn counted(&mut self, told: u32) {
        assert!((self.sign_count..=self.sign_count + self.slack).contains(&told), "the counter is at {told}");
        (self.sign_count, self.slack) = (told, 0);
    }

    /// The status after waiting for a touch; `in_time` if the user touches in time.
    pub fn touch(action: UserAction, in_time: Status) -> Status {
        if action == UserAction::Touches { in_time } else { Status::OPERATION_DENIED }
    }

    /// Takes the token if it is `wanted`.
    pub fn take_token(&mut self, now: Instant, wanted: bool) -> Option<Held> {
        self.token.take_if(|held| now.since(held.issued) >= INITIAL_USAGE_LIMIT);
        self.token.take_if(|_| wanted)
    }
}

//! What a registration, a sign-in or a request of U2F has decided, and what its response is made of.

use keyfob_core::{
    auth_data::Flags,
    bytes::Secret,
    crypto::HEDGE,
    extensions::cred_protect::Level,
    pin_uv::{SharedSecret, UserVerified},
};

use super::proof::UserPresent;

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

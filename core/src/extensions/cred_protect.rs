//! credProtect (CTAP 2.3 §12): under which conditions a credential may be used. A registration requests a [`Level`];
//! the output is the level in force, which may be stronger.

use crate::cbor::items;

/// The extension's identifier.
pub const ID: &str = "credProtect";

/// A credential's protection. Values that this version does not name are kept unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Level(pub u32);

impl Level {
    /// userVerificationOptional: no protection.
    pub const USER_VERIFICATION_OPTIONAL: Level = Level(1);
    /// userVerificationOptionalWithCredentialIDList: needs user verification or the credential's id.
    pub const USER_VERIFICATION_OPTIONAL_WITH_CREDENTIAL_ID_LIST: Level = Level(2);
    /// userVerificationRequired: needs user verification.
    pub const USER_VERIFICATION_REQUIRED: Level = Level(3);
}

items! { Level: number as Level; }

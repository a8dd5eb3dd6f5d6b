//! hmac-secret and hmac-secret-mc (CTAP 2.3 §12): one or two secrets that follow from a credential and from salts.
//!
//! A registration makes the credential's secrets: `true` in, `true` out. An assertion takes [`Input`] and answers with the
//! outputs, encrypted. With "hmac-secret-mc" (2.2), which needs "hmac-secret" beside it, a registration does so at once.

use crate::{cose::CoseKey, message};

/// The extension's identifier.
pub const ID: &str = "hmac-secret";
/// The identifier of its evaluation in a registration.
pub const MC_ID: &str = "hmac-secret-mc";

message! {
    /// The salts. All but the protocol are required.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub int struct Input<'a> {
        /// The platform's key agreement key.
        0x01 => key_agreement: required CoseKey<'a>,
        /// One or two salts of 32 bytes, encrypted: 32 or 64 bytes, and 16 of IV in protocol two.
        0x02 => salt_enc: required &'a [u8],
        /// Proof that the sender knows the shared secret, over `salt_enc`.
        0x03 => salt_auth: required &'a [u8],
        /// The PIN/UV auth protocol; one when absent.
        0x04 => pin_uv_auth_protocol: optional u64,
    }
}

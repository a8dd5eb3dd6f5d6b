//! hmac-secret and hmac-secret-mc (CTAP 2.3 §12): one or two secrets, derived from a credential and from salts.
//!
//! A registration makes the credential's secrets: input `true`, output `true`. The input of an assertion is
//! [`HmacSecretInput`], its output the encrypted secrets. With "hmac-secret-mc" (2.2), which requires "hmac-secret" in
//! the same request, a registration also returns the secrets.

use crate::{cose::CoseKey, message};

/// The extension's identifier.
pub const ID: &str = "hmac-secret";
/// The identifier of hmac-secret-mc, which evaluates the secrets in a registration.
pub const MC_ID: &str = "hmac-secret-mc";

message! {
    /// The salts. All but the protocol are required.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub int struct HmacSecretInput<'a> {
        /// The platform's key agreement key.
        0x01 => key_agreement: required CoseKey<'a>,
        /// One or two salts of 32 bytes, encrypted: 32 or 64 bytes, and 16 of IV in protocol two.
        0x02 => salt_enc: required &'a [u8],
        /// The authentication of `salt_enc` with the shared secret.
        0x03 => salt_auth: required &'a [u8],
        /// The PIN/UV auth protocol; one when absent.
        0x04 => pin_uv_auth_protocol: optional u32,
    }
}

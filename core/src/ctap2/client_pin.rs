//! authenticatorClientPIN, 0x06 (CTAP 2.3 §6.5).

use crate::{cose::CoseKey, message};

subcommands! {
    GET_PIN_RETRIES = 0x01 "getPINRetries";
    GET_KEY_AGREEMENT = 0x02 "getKeyAgreement";
    SET_PIN = 0x03 "setPIN";
    CHANGE_PIN = 0x04 "changePIN";
    GET_PIN_TOKEN = 0x05 "getPinToken" " (superseded by 0x09)";
    GET_TOKEN_USING_UV = 0x06 "getPinUvAuthTokenUsingUvWithPermissions" " (2.1)";
    GET_UV_RETRIES = 0x07 "getUVRetries" " (2.1)";
    GET_TOKEN_USING_PIN = 0x09 "getPinUvAuthTokenUsingPinWithPermissions" " (2.1)";
}

message! {
    /// The request.
    #[derive(Clone, Copy, Debug, Default, PartialEq)]
    pub int struct Request<'a> {
        /// The PIN/UV auth protocol.
        0x01 => pin_uv_auth_protocol: optional u32,
        /// One of [`subcommand`]. Required, but its absence is reported by the command itself.
        0x02 => sub_command: optional u32,
        /// The platform's key agreement key.
        0x03 => key_agreement: optional CoseKey<'a>,
        /// Proof that the sender knows the shared secret.
        0x04 => pin_uv_auth_param: optional &'a [u8],
        /// The new PIN, encrypted: 64 bytes, and 16 of IV in protocol two.
        0x05 => new_pin_enc: optional &'a [u8],
        /// The first half of the PIN's SHA-256, encrypted.
        0x06 => pin_hash_enc: optional &'a [u8],
        /// Permissions asked for ([`crate::pin_uv::Permissions`]) (2.1).
        0x09 => permissions: optional u64,
        /// The RP ID the token is bound to (2.1).
        0x0A => rp_id: optional &'a str,
    }
}

message! {
    /// The response.
    #[derive(Clone, Copy, Debug, Default, PartialEq)]
    pub int struct Response<'a> {
        /// The authenticator's key agreement key.
        0x01 => key_agreement: optional CoseKey<'a>,
        /// The token, encrypted.
        0x02 => pin_uv_auth_token: optional &'a [u8],
        /// PIN attempts left before the authenticator must be reset.
        0x03 => pin_retries: optional u32,
        /// Whether a power cycle is needed before the next attempt (2.1).
        0x04 => power_cycle_state: optional bool,
        /// Attempts left for built-in user verification (2.1).
        0x05 => uv_retries: optional u32,
    }
}

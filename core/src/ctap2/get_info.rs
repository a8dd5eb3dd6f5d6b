//! authenticatorGetInfo, 0x04 (CTAP 2.3 §6.4).

use super::CredentialParameters;
use crate::{
    cbor::{List, RawMap, Text},
    message,
};

/// maxMsgSize of an authenticator that does not say, in bytes.
pub const DEFAULT_MAX_MSG_SIZE: usize = 1024;
/// minPINLength of an authenticator that does not say, in code points.
pub const DEFAULT_MIN_PIN_LENGTH: usize = 4;

message! {
    /// The response; the request has no parameters. Most members stand for themselves: `None` is absent.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub int struct Response<'a> {
        /// Protocol versions: "U2F_V2", "FIDO_2_0", "FIDO_2_1_PRE", "FIDO_2_1", "FIDO_2_3".
        0x01 => versions: required List<'a, Text<'a>>,
        /// Extension identifiers.
        0x02 => extensions: optional List<'a, Text<'a>>,
        /// The model.
        0x03 => aaguid: required &'a [u8; 16],
        /// Options.
        0x04 => options: optional SupportedOptions,
        /// The longest message, in bytes; 1024 when absent.
        0x05 => max_msg_size: optional usize,
        /// PIN/UV auth protocols, preferred first.
        0x06 => pin_uv_auth_protocols: optional List<'a, u32>,
        /// The longest credential list (2.1).
        0x07 => max_credential_count_in_list: optional usize,
        /// The longest credential id, in bytes (2.1).
        0x08 => max_credential_id_length: optional usize,
        /// "usb", "nfc", "ble", "smart-card", "hybrid", "internal" (2.1).
        0x09 => transports: optional List<'a, Text<'a>>,
        /// Algorithms, preferred first (2.1).
        0x0A => algorithms: optional List<'a, CredentialParameters<'a>>,
        /// The largest serialised large-blob array, in bytes (2.1).
        0x0B => max_serialized_large_blob_array: optional usize,
        /// Whether the PIN must be changed before use (2.1).
        0x0C "forcePINChange" => force_pin_change: optional bool,
        /// The shortest PIN, in code points (2.1).
        0x0D "minPINLength" => min_pin_length: optional usize,
        /// The firmware's version (2.1).
        0x0E => firmware_version: optional u64,
        /// The longest credBlob, in bytes (2.1).
        0x0F => max_cred_blob_length: optional usize,
        /// The most RP IDs of setMinPINLength (2.1).
        0x10 "maxRPIDsForSetMinPINLength" => max_rp_ids_for_set_min_pin_length: optional usize,
        /// Built-in user verification attempts before the platform should fall back to the PIN (2.1).
        0x11 => preferred_platform_uv_attempts: optional u32,
        /// User verification methods, bits of the FIDO registry (2.1).
        0x12 => uv_modality: optional u64,
        /// Certifications, text to number (2.1).
        0x13 => certifications: optional RawMap<'a>,
        /// Room for discoverable credentials (2.1).
        0x14 => remaining_discoverable_credentials: optional u32,
        /// Vendor commands of authenticatorConfig (2.1).
        0x15 => vendor_prototype_config_commands: optional List<'a, u64>,
        /// Attestation formats, "packed" when absent (2.2).
        0x16 => attestation_formats: optional List<'a, Text<'a>>,
        /// User verifications since the PIN was last entered (2.2).
        0x17 => uv_count_since_last_pin_entry: optional u32,
        /// Whether a reset needs a long touch (2.2).
        0x18 => long_touch_for_reset: optional bool,
        /// The device identifier, encrypted: 16 bytes of IV, 16 of ciphertext (2.2).
        0x19 => enc_identifier: optional &'a [u8],
        /// Transports over which a reset is allowed (2.2).
        0x1A => transports_for_reset: optional List<'a, Text<'a>>,
        /// Whether a PIN complexity policy is in force (2.2).
        0x1B => pin_complexity_policy: optional bool,
        /// Where the policy is described, UTF-8 in a byte string (2.2).
        0x1C "pinComplexityPolicyURL" => pin_complexity_policy_url: optional &'a [u8],
        /// The longest PIN, in code points (2.2).
        0x1D "maxPINLength" => max_pin_length: optional usize,
        /// The state of the credential store, encrypted like the identifier (2.3).
        0x1E => enc_cred_store_state: optional &'a [u8],
        /// Subcommands of authenticatorConfig (2.3).
        0x1F => authenticator_config_commands: optional List<'a, u32>,
    }
}

message! {
    /// Options. `None` is absent: for several options that means "not supported", while `Some(false)` means "supported,
    /// not set up".
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub text struct SupportedOptions {
        /// Enterprise attestation: enabled, disabled, unsupported.
        b"ep" => ep: optional bool,
        /// Discoverable credentials.
        b"rk" => rk: optional bool,
        /// User presence; true when absent.
        b"up" => up: optional bool,
        /// Built-in user verification: configured, not configured, none.
        b"uv" => uv: optional bool,
        /// Bound to the platform.
        b"plat" => plat: optional bool,
        /// authenticatorConfig with a token from built-in user verification.
        b"uvAcfg" => uv_acfg: optional bool,
        /// User verification for every operation.
        b"alwaysUv" => always_uv: optional bool,
        /// authenticatorCredentialManagement.
        b"credMgmt" => cred_mgmt: optional bool,
        /// authenticatorConfig.
        b"authnrCfg" => authnr_cfg: optional bool,
        /// Fingerprints: enrolled, none, unsupported.
        b"bioEnroll" => bio_enroll: optional bool,
        /// PIN: set, not set, unsupported.
        b"clientPin" => client_pin: optional bool,
        /// authenticatorLargeBlobs.
        b"largeBlobs" => large_blobs: optional bool,
        /// Enrolment with a token from built-in user verification.
        b"uvBioEnroll" => uv_bio_enroll: optional bool,
        /// Read-only credential management with a persistent token.
        b"perCredMgmtRO" => per_cred_mgmt_ro: optional bool,
        /// Tokens with permissions.
        b"pinUvAuthToken" => pin_uv_auth_token: optional bool,
        /// setMinPINLength.
        b"setMinPINLength" => set_min_pin_length: optional bool,
        /// Non-discoverable credentials without user verification.
        b"makeCredUvNotRqd" => make_cred_uv_not_rqd: optional bool,
        /// The prototype of credential management, 0x41.
        b"credentialMgmtPreview" => credential_mgmt_preview: optional bool,
        /// The prototype of fingerprint enrolment, 0x40.
        b"userVerificationMgmtPreview" => user_verification_mgmt_preview: optional bool,
        /// A PIN gives no permission to register or sign in.
        b"noMcGaPermissionsWithClientPin" => no_mc_ga_permissions_with_client_pin: optional bool,
    }
}

impl Response<'_> {
    /// Whether `version` is listed.
    pub fn has_version(&self, version: &str) -> bool {
        self.versions.iter().any(|listed| listed == version)
    }

    /// The longest message, in bytes.
    pub fn max_msg_size(&self) -> usize {
        self.max_msg_size.unwrap_or(DEFAULT_MAX_MSG_SIZE)
    }
}

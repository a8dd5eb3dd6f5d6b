//! authenticatorConfig, 0x0D (CTAP 2.3 §6.11). There is no response.

use crate::{
    bytes,
    cbor::{Error, List, RawMap, Read, Text},
    message,
};

subcommands! {
    ENABLE_ENTERPRISE_ATTESTATION = 0x01 "enableEnterpriseAttestation" "; no parameters";
    TOGGLE_ALWAYS_UV = 0x02 "toggleAlwaysUv" "; no parameters";
    SET_MIN_PIN_LENGTH = 0x03 "setMinPINLength" "; takes [`SetMinPinLength`](super::SetMinPinLength)";
    ENABLE_LONG_TOUCH_FOR_RESET = 0x04 "enableLongTouchForReset" "; no parameters (2.2)";
    VENDOR_PROTOTYPE = 0xFF "vendorPrototype"
        "; takes [`VendorPrototype`](super::VendorPrototype) and what the vendor defines";
}

message! {
    /// The request.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub int struct Request<'a> {
        /// One of [`subcommand`].
        0x01 => sub_command: required u32,
        /// Its parameters, as they came: pinUvAuthParam covers these bytes. [`Request::params`] reads them.
        0x02 => sub_command_params: optional RawMap<'a>,
        /// The PIN/UV auth protocol of the proof.
        0x03 => pin_uv_auth_protocol: optional u32,
        /// Proof of the permission `acfg` over [`authenticated_head`] and the bytes of subCommandParams.
        0x04 => pin_uv_auth_param: optional &'a [u8],
    }
}

impl<'a> Request<'a> {
    /// The parameters of the subcommand, [`SetMinPinLength`] or [`VendorPrototype`]; absent ones are an empty map.
    ///
    /// # Errors
    /// What is wrong in them, at an offset from their start.
    pub fn params<T: Read<'a>>(&self) -> Result<T, Error> {
        super::params(self.sub_command_params, 0x02)
    }
}

/// What stands before the bytes of subCommandParams in the message that pinUvAuthParam authenticates.
pub fn authenticated_head(sub_command: u32) -> [u8; 34] {
    bytes::concat(&[&[0xFF; 32], &[0x0D, sub_command as u8]])
}

message! {
    /// Parameters of setMinPINLength.
    #[derive(Clone, Copy, Debug, Default, PartialEq)]
    pub int struct SetMinPinLength<'a> {
        /// The shortest PIN from now on, in code points; absent keeps it.
        0x01 "newMinPINLength" => new_min_pin_length: optional u32,
        /// Relying parties that may learn it; they replace the ones before.
        0x02 "minPinLengthRPIDs" => min_pin_length_rp_ids: optional List<'a, Text<'a>>,
        /// Whether the PIN must be changed before it can be used again.
        0x03 => force_change_pin: optional bool,
        /// Whether to enforce the PIN complexity policy (2.2).
        0x04 => pin_complexity_policy: optional bool,
    }
}

message! {
    /// What parameters of vendorPrototype have in common; the other members are the vendor's.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub int struct VendorPrototype {
        /// One of getInfo's vendorPrototypeConfigCommands.
        0x01 => vendor_command_id: required u64,
    }
}

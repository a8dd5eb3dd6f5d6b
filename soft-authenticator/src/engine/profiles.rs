//! Configurations with a name: what an authenticator of a kind can do. A feature that this version does not have yet is
//! switched on here too; getInfo lists it once it works.

use keyfob_core::{Failure, cbor::Text};

use super::config::{AuthenticatorPolicy, Config, Version};
use crate::caps::Caps;

/// A PIN with protocol one, as CTAP 2.0 has it.
const PIN_2_0: Caps = Caps::CLIENT_PIN.with(Caps::PROTOCOL_ONE);
/// A PIN with both protocols and tokens with permissions, as CTAP 2.1 has it.
const PIN_2_1: Caps = PIN_2_0.with(Caps::PROTOCOL_TWO).with(Caps::TOKEN_PERMISSIONS);
/// What keys of version 2.1 have in common.
const KEY_2_1: Caps = Caps::DISCOVERABLE
    .with(PIN_2_1)
    .with(Caps::SELECTION)
    .with(Caps::CERTIFIED_ATTESTATION)
    .with(Caps::ENTERPRISE_ATTESTATION)
    .with(Caps::CRED_MGMT)
    .with(Caps::CONFIG)
    .with(Caps::U2F)
    .with(Caps::CRED_PROTECT)
    .with(Caps::HMAC_SECRET)
    .with(Caps::CRED_BLOB);

// A profile that contradicts itself does not compile.
const _: () = {
    const AAGUID: [u8; 16] = [0; 16];
    assert!(Config::fido2_3_full(AAGUID).caps.contradiction().is_none());
    assert!(Config::yubikey5_like(AAGUID).caps.contradiction().is_none());
    assert!(Config::arculus_like(AAGUID).caps.contradiction().is_none());
    assert!(Config::u2f_only(AAGUID).caps.contradiction().is_none());
    assert!(Config::minimal_2_0(AAGUID).caps.contradiction().is_none());
    assert!(Config::workstation(AAGUID).caps.contradiction().is_none());
};

impl Config<'_> {
    /// Everything that CTAP 2.3 has and this version knows: [`Config::new`].
    pub const fn fido2_3_full(aaguid: [u8; 16]) -> Self {
        Self::new(aaguid)
    }

    /// A key for USB and NFC, with the sizes, the algorithms and the policy of a YubiKey 5 with firmware 5.7.
    pub const fn yubikey5_like(aaguid: [u8; 16]) -> Self {
        let caps = Caps::MAKE_CRED_UV_NOT_RQD.with(Caps::EDDSA).with(Caps::ALWAYS_UV).with(Caps::LARGE_BLOBS);
        Self {
            caps: KEY_2_1.with(caps),
            newest_version: Version::Fido2_1,
            max_msg_size: 1280,
            transports: const { &[Text::new("nfc"), Text::new("usb")] },
            firmware_version: Some(0x05_07_01),
            max_credential_count_in_list: 8,
            policy: AuthenticatorPolicy::YUBIKEY,
            ..Self::new(aaguid)
        }
    }

    /// A card for NFC, as the metadata of the Arculus FIDO 2.1 Key Card describe it: messages of 1,024 bytes, ES256
    /// only.
    pub const fn arculus_like(aaguid: [u8; 16]) -> Self {
        Self {
            caps: KEY_2_1,
            newest_version: Version::Fido2_1,
            max_msg_size: 1024,
            transports: const { &[Text::new("nfc")] },
            max_credential_count_in_list: 10,
            ..Self::new(aaguid)
        }
    }

    /// A key from before CTAP2. That it does not answer CTAP2 at all is up to the device around it.
    pub const fn u2f_only(aaguid: [u8; 16]) -> Self {
        Self { caps: Caps::U2F.with(Caps::CERTIFIED_ATTESTATION), max_msg_size: 1024, ..Self::new(aaguid) }
    }

    /// The least that passkeys need of CTAP 2.0: discoverable credentials with ES256, and a PIN. It follows the rules
    /// of version 2.0: [`AuthenticatorPolicy::CTAP2_0`].
    pub const fn minimal_2_0(aaguid: [u8; 16]) -> Self {
        Self {
            caps: Caps::DISCOVERABLE.with(PIN_2_0),
            newest_version: Version::Fido2_0,
            max_msg_size: 1024,
            max_credential_count_in_list: 1,
            policy: AuthenticatorPolicy::CTAP2_0,
            ..Self::new(aaguid)
        }
    }

    /// What clients on a workstation get on with: Chromium ignores an answer with ES384, ES512 or ES256K, and ssh-keygen
    /// takes OPERATION_DENIED for a wrong PIN. Firefox sends the option rk to every key.
    pub const fn workstation(aaguid: [u8; 16]) -> Self {
        let config = Self::new(aaguid);
        let policy =
            AuthenticatorPolicy { touch_timeout: Failure::USER_ACTION_TIMEOUT, rk_off_is_known: true, ..config.policy };
        let caps = config.caps.without(Caps::ES384).without(Caps::ES512).without(Caps::ES256K);
        Self { policy, caps, ..config }
    }
}

//! Authenticator Configuration (WebAuthn L3 §11.3), and the key that has it.

use keyfob_core::{cbor::Text, cose::Algorithm};
use keyfob_soft_authenticator::{
    Caps,
    devices::{Finger, KeyOptions, Touch, VIRTUAL_KEY_AAGUID, VirtualPlatform, virtual_key_certificate},
    engine::{AttestationMode, Config, Platform, Version},
};

use super::{
    parameters::{Parameters, required},
    problem::Problem,
};

/// The parameters of Add Virtual Authenticator.
const NAMES: [&str; 9] = [
    "protocol",
    "transport",
    "hasResidentKey",
    "hasUserVerification",
    "isUserConsenting",
    "isUserVerified",
    "extensions",
    "defaultBackupEligibility",
    "defaultBackupState",
];
/// The transports of WebAuthn L3 §5.8.4.
const TRANSPORTS: [&str; 6] = ["usb", "nfc", "ble", "smart-card", "hybrid", "internal"];
/// The extensions that a virtual authenticator can have, by both names where the web has another one.
pub const EXTENSIONS: [(&str, Caps); 5] = [
    ("prf", Caps::HMAC_SECRET.with(PIN)),
    ("hmac-secret", Caps::HMAC_SECRET.with(PIN)),
    ("largeBlob", Caps::LARGE_BLOB_EXTENSION),
    ("credBlob", Caps::CRED_BLOB.with(Caps::CRED_PROTECT)),
    ("credProtect", Caps::CRED_PROTECT),
];
/// What hmac-secret needs for its key agreement. No PIN is set.
const PIN: Caps = Caps::CLIENT_PIN.with(Caps::PROTOCOL_ONE);
/// What built-in user verification needs.
const VERIFICATION: Caps = Caps::BUILT_IN_UV.with(Caps::TOKEN_PERMISSIONS).with(Caps::PROTOCOL_ONE);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    U2f,
    Ctap2,
    Ctap2_1,
}

/// What a virtual authenticator is, and how its user behaves.
#[derive(Debug)]
pub struct Configuration {
    protocol: Protocol,
    pub transport: String,
    pub has_resident_key: bool,
    has_user_verification: bool,
    pub is_user_consenting: bool,
    pub is_user_verified: bool,
    extensions: Caps,
    pub default_backup: (bool, bool),
}

impl Configuration {
    /// # Errors
    /// Those of §11.3, and what does not go together in one key: invalid argument.
    pub fn read(parameters: &Parameters) -> Result<Self, Problem> {
        parameters.only(&NAMES)?;
        let protocol = match required("protocol", parameters.text("protocol")?)? {
            "ctap1/u2f" => Protocol::U2f,
            "ctap2" => Protocol::Ctap2,
            "ctap2_1" => Protocol::Ctap2_1,
            other => return Err(Problem::invalid_argument(format!("protocol is not {other:?}"))),
        };
        let transport = required("transport", parameters.text("transport")?)?;
        if !TRANSPORTS.contains(&transport) {
            return Err(Problem::invalid_argument(format!("transport is not {transport:?}")));
        }
        let flag = |name, default| parameters.boolean(name).map(|flag| flag.unwrap_or(default));
        let names = parameters.texts("extensions")?.unwrap_or_default();
        let configuration = Self {
            protocol,
            transport: transport.to_owned(),
            has_resident_key: flag("hasResidentKey", false)?,
            has_user_verification: flag("hasUserVerification", false)?,
            is_user_consenting: flag("isUserConsenting", true)?,
            is_user_verified: flag("isUserVerified", false)?,
            default_backup: (flag("defaultBackupEligibility", false)?, flag("defaultBackupState", false)?),
            extensions: extensions(&names)?,
        };
        configuration.check(&names)?;
        Ok(configuration)
    }

    fn check(&self, extensions: &[&str]) -> Result<(), Problem> {
        if self.is_u2f() && (self.has_resident_key || self.has_user_verification || !extensions.is_empty()) {
            let why = "a key of protocol ctap1/u2f has no resident keys, no user verification and no extensions";
            return Err(Problem::invalid_argument(why));
        }
        let checked = self.config().check(VirtualPlatform::COMPILED);
        checked.map_err(|error| Problem::invalid_argument(format!("there is no such key: {error}")))
    }

    pub fn is_u2f(&self) -> bool {
        self.protocol == Protocol::U2f
    }

    /// The extension `largeBlob` is among its extensions.
    pub const fn has_large_blob(&self) -> bool {
        self.extensions.has(Caps::LARGE_BLOB_EXTENSION)
    }

    fn config(&self) -> Config<'static> {
        let certified = Caps::CERTIFIED_ATTESTATION;
        let attestation = AttestationMode::Certified(virtual_key_certificate());
        let algorithms: Option<&'static [Algorithm]> = Some(&[Algorithm::ES256]);
        let mut config = Config { attestation, algorithms, ..Config::workstation(VIRTUAL_KEY_AAGUID) };
        config.transports = const { &[Text::new("usb")] };
        if self.is_u2f() {
            return Config { caps: Caps::U2F.with(certified), max_msg_size: 1024, ..config };
        }
        let mut caps = certified.with(self.extensions);
        if self.has_resident_key {
            caps = caps.with(Caps::DISCOVERABLE);
        }
        if self.has_user_verification {
            caps = caps.with(VERIFICATION);
        }
        if self.protocol == Protocol::Ctap2_1 {
            caps = caps.with(Caps::SELECTION);
        }
        if self.protocol == Protocol::Ctap2_1 && (caps.has(Caps::CLIENT_PIN) || self.has_user_verification) {
            caps = caps.with(Caps::PROTOCOL_TWO).with(Caps::TOKEN_PERMISSIONS).with(Caps::MAKE_CRED_UV_NOT_RQD);
            if self.has_resident_key {
                caps = caps.with(Caps::CRED_MGMT);
            }
        }
        // With fewer extensions than version 2.1 requires (CTAP 2.3 §9), getInfo names 2.0 only.
        config.newest_version = if self.protocol == Protocol::Ctap2 { Version::Fido2_0 } else { Version::Fido2_1 };
        Config { caps, ..config }
    }

    /// The key.
    pub fn options(&self) -> KeyOptions<'static> {
        let mut options = KeyOptions::new(self.config());
        options.ctap2 = !self.is_u2f();
        options.touch = if self.is_user_consenting { Touch::Auto } else { Touch::Deny };
        options.finger = if self.is_user_verified { Finger::Matches } else { Finger::Differs };
        options
    }
}

/// # Errors
/// unsupported operation: an extension that no key here has.
fn extensions(names: &[&str]) -> Result<Caps, Problem> {
    let caps = |name: &&str| {
        let known = EXTENSIONS.iter().find(|(known, _)| known == name);
        known
            .map(|(_, caps)| *caps)
            .ok_or_else(|| Problem::unsupported_operation(format!("there is no key here with the extension {name:?}")))
    };
    names.iter().try_fold(Caps::NONE, |all, name| Ok(all.with(caps(name)?)))
}

//! What an authenticator is configured to be, and the checks that keep it consistent.

use keyfob_core::{Status, auth_data::MAX_CREDENTIAL_ID, cbor::Text, cose::Algorithm, crypto::ML_DSA_SEED};

use super::credential::OVERHEAD;
use crate::{
    caps::Caps,
    store::{MAX_RECORD, StoreError},
};

/// A registration's response without the credential id, the key, the signature and the certificates, at most, in bytes:
/// the rest of the authenticator data (55) and CBOR.
const REGISTRATION: usize = 144;
/// The head of a byte string of under 65,536 bytes, in bytes.
const CBOR_HEAD: usize = 3;

/// The configuration of an authenticator.
#[derive(Clone, Copy, Debug)]
pub struct Config<'c> {
    /// The model, 16 bytes. All zero with self attestation or none, if the model is not to be told.
    pub aaguid: [u8; 16],
    /// What is switched on.
    pub caps: Caps,
    /// The longest message, in bytes: at least 1,024, over HID at most 7,609. An algorithm whose registrations do not fit
    /// is not offered: ML-DSA-44 takes about 4,000 bytes, ML-DSA-65 5,500 and ML-DSA-87 7,500.
    pub max_msg_size: usize,
    /// The shortest PIN, in code points: 4 to 63.
    pub min_pin_length: u8,
    /// PIN attempts before the authenticator must be reset: 1 to 8.
    pub max_pin_retries: u8,
    /// Transports that getInfo names.
    pub transports: &'c [Text<'c>],
    /// Firmware version that getInfo names.
    pub firmware_version: Option<u32>,
    /// The longest list of credentials that a request may carry.
    pub max_credential_count_in_list: u16,
    /// How registrations are attested.
    pub attestation: Attestation<'c>,
    /// Where deployed authenticators disagree.
    pub policy: Policy,
}

/// How registrations are attested when the platform does not ask for a format.
#[derive(Clone, Copy, Debug)]
pub enum Attestation<'c> {
    /// Format "none".
    None,
    /// Format "packed", signed with the credential's own key.
    Own,
    /// Format "packed", signed with a certified key. With it, the aaguid must be the certificate's.
    Certified(Certified<'c>),
}

/// An attestation key and its certificates.
#[derive(Clone, Copy)]
pub struct Certified<'c> {
    /// The key's algorithm.
    pub algorithm: Algorithm,
    /// The secret key, in the crypto backend's form.
    pub secret: &'c [u8],
    /// The certificate and its chain without the root, DER.
    pub chain: &'c [&'c [u8]],
}

impl core::fmt::Debug for Certified<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Certified({:?}, {} certificates)", self.algorithm, self.chain.len())
    }
}

/// Choices where the standard leaves room or deployed authenticators disagree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The answer when nobody touches in time: [`Status::OPERATION_DENIED`] by the steps of CTAP 2.3 §6.1, or
    /// [`Status::USER_ACTION_TIMEOUT`] as many authenticators say.
    pub touch_timeout: Status,
    /// PIN retries before any PIN is set: `false` answers the number, `true` answers PIN_NOT_SET as YubiKeys do.
    pub retries_need_pin: bool,
}

impl Policy {
    /// The standard's words.
    pub const STRICT: Policy = Policy { touch_timeout: Status::OPERATION_DENIED, retries_need_pin: false };

    pub(super) fn touch_refused(self, status: Status) -> Status {
        if status == Status::USER_ACTION_TIMEOUT { self.touch_timeout } else { status }
    }
}

/// Why a configuration cannot work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// These capabilities are switched on but not compiled in.
    NotCompiled(Caps),
    /// A PIN needs a PIN/UV auth protocol, and a protocol needs a PIN.
    PinProtocol,
    /// Tokens with permissions, or their restriction, need a PIN.
    TokenWithoutPin,
    /// A message size under 1,024 or over 65,535 bytes.
    MaxMsgSize,
    /// A shortest PIN under 4 or over 63 code points.
    MinPinLength,
    /// No PIN attempts, or more than 8.
    MaxPinRetries,
    /// A credential list must hold at least one entry.
    MaxCredentialCountInList,
    /// Certified attestation without a certificate, without its capability, with an algorithm that the backend does not
    /// sign with, or with a chain that leaves no room in a message.
    Attestation,
    /// The buffer is too small.
    BufferTooSmall {
        /// The bytes it takes.
        needed: usize,
    },
    /// The store cannot be read or written.
    Store(StoreError),
}

impl<'c> Config<'c> {
    /// Everything this version knows, attested by the credentials' own keys.
    pub const fn new(aaguid: [u8; 16]) -> Self {
        Self {
            aaguid,
            caps: Caps::ALL.without(Caps::NO_MC_GA_WITH_PIN),
            max_msg_size: 7609,
            min_pin_length: 4,
            max_pin_retries: 8,
            transports: const { &[Text::new("usb")] },
            firmware_version: None,
            max_credential_count_in_list: 64,
            attestation: Attestation::Own,
            policy: Policy::STRICT,
        }
    }

    /// The bytes that [`super::Engine::new`] takes.
    pub const fn buffer_len(&self) -> usize {
        self.max_msg_size.saturating_add(MAX_RECORD)
    }

    /// The longest credential id the authenticator looks at, in bytes.
    pub const fn max_credential_id_length(&self) -> usize {
        MAX_CREDENTIAL_ID
    }

    /// Checks the configuration against what is compiled and against itself.
    pub(super) fn check(&self, compiled: Caps) -> Result<(), ConfigError> {
        let caps = self.caps;
        if !compiled.has(caps) {
            return Err(ConfigError::NotCompiled(caps.without(compiled)));
        }
        let protocol = caps.has(Caps::PROTOCOL_ONE) || caps.has(Caps::PROTOCOL_TWO);
        if caps.has(Caps::CLIENT_PIN) != protocol {
            return Err(ConfigError::PinProtocol);
        }
        if !caps.has(Caps::CLIENT_PIN) && (caps.has(Caps::TOKEN_PERMISSIONS) || caps.has(Caps::NO_MC_GA_WITH_PIN)) {
            return Err(ConfigError::TokenWithoutPin);
        }
        if !(1024..=65_535).contains(&self.max_msg_size) {
            return Err(ConfigError::MaxMsgSize);
        }
        if !(4..=63).contains(&self.min_pin_length) {
            return Err(ConfigError::MinPinLength);
        }
        if !(1..=8).contains(&self.max_pin_retries) {
            return Err(ConfigError::MaxPinRetries);
        }
        if self.max_credential_count_in_list == 0 {
            return Err(ConfigError::MaxCredentialCountInList);
        }
        match self.attestation {
            Attestation::Certified(Certified { chain: [], .. }) => Err(ConfigError::Attestation),
            Attestation::Certified(_) if !caps.has(Caps::CERTIFIED_ATTESTATION) => Err(ConfigError::Attestation),
            Attestation::Certified(_) if !self.has_room_for(Algorithm::ES256) => Err(ConfigError::Attestation),
            _ => Ok(()),
        }
    }

    /// Whether registrations of credentials of `algorithm` fit in a message.
    pub(super) fn has_room_for(&self, algorithm: Algorithm) -> bool {
        let credential = Sizes::of(algorithm);
        let (signature, chain) = match self.attestation {
            Attestation::Certified(Certified { algorithm, chain, .. }) => (Sizes::of(algorithm).signature, chain),
            _ => (credential.signature, &[][..]),
        };
        let certificates = chain.iter().map(|der| der.len().saturating_add(CBOR_HEAD));
        [OVERHEAD, credential.secret, credential.public, signature]
            .into_iter()
            .chain(certificates)
            .fold(REGISTRATION, usize::saturating_add)
            <= self.max_msg_size
    }
}

/// Lengths in bytes, at most, with every backend. A wrapped id holds the secret key.
struct Sizes {
    secret: usize,
    public: usize,
    signature: usize,
}

impl Sizes {
    const fn of(algorithm: Algorithm) -> Self {
        let (secret, public, signature) = match algorithm {
            Algorithm::ES384 => (144, 96, 104),
            Algorithm::ES512 => (198, 132, 139),
            Algorithm::RS256 | Algorithm::PS256 => (256, 259, 256),
            Algorithm::ML_DSA_44 => (ML_DSA_SEED, 1312, 2420),
            Algorithm::ML_DSA_65 => (ML_DSA_SEED, 1952, 3309),
            Algorithm::ML_DSA_87 => (ML_DSA_SEED, 2592, 4627),
            // ES256, ES256K, EdDSA
            _ => (96, 64, 72),
        };
        Self { secret, public, signature }
    }
}

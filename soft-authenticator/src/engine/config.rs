//! What an authenticator is configured to be, and the checks that keep it consistent.

use keyfob_core::{Status, auth_data::MAX_CREDENTIAL_ID, cbor::Text, cose::Algorithm};

use crate::{
    caps::Caps,
    store::{MAX_RECORD, StoreError},
};

/// A registration's response without its certificates, at most, in bytes: authenticator data with the longest
/// credential id and key (about 240), the signature, and CBOR
/// around them.
const REGISTRATION: usize = 360;
/// What each extension adds to it, at most, in bytes.
const OUTPUTS: [(Caps, usize); 10] = [
    (Caps::UVM, 15),
    (Caps::CRED_BLOB, 10),
    (Caps::CRED_PROTECT, 13),
    (Caps::HMAC_SECRET, 13),
    (Caps::HMAC_SECRET_MC, 97),
    (Caps::CONFIG, 15),
    (Caps::PIN_COMPLEXITY, 21),
    (Caps::LARGE_BLOBS, 35),
    (Caps::LARGE_BLOB_EXTENSION, 24),
    (Caps::ENTERPRISE_ATTESTATION, 2),
];
/// The head of a byte string of under 65,536 bytes, in bytes.
const CBOR_HEAD: usize = 3;

/// The longest blob of the extension `credBlob`, in bytes: the least that CTAP 2.3 §12.2 allows.
pub const MAX_CRED_BLOB_LENGTH: usize = 32;

/// The configuration of an authenticator.
#[derive(Clone, Copy, Debug)]
pub struct Config<'c> {
    /// The model, 16 bytes. All zero with self attestation or none, if the model is not to be told.
    pub aaguid: [u8; 16],
    /// What is switched on.
    pub caps: Caps,
    /// The longest message, in bytes: at least 1,024, over HID at most 7,609.
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
    /// What attests registrations to an enterprise. Without it, the authenticator is not capable of that.
    pub enterprise: Option<Enterprise<'c>>,
    /// How keys are protected, and where users are verified, as the extension `uvm` tells: bits of the FIDO registry of
    /// predefined values (§3.2, §3.3). Software by default.
    pub key_protection: u16,
    /// The matcher's protection, likewise.
    pub matcher_protection: u16,
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
    /// Format "fido-u2f", signed with a certified ES256 key, for ES256 credentials; others as with
    /// [`Attestation::Certified`].
    FidoU2f(Certified<'c>),
}

/// Enterprise attestation (CTAP 2.3 §7.1): with a certificate that identifies this one authenticator. It is given once it
/// has been enabled.
#[derive(Clone, Copy, Debug)]
pub struct Enterprise<'c> {
    /// The key and the certificate, in format "packed".
    pub certified: Certified<'c>,
    /// The relying parties that get it when it is asked for as vendor-facilitated.
    pub rp_ids: &'c [&'c str],
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
    /// The first capability needs the second, which is not there; see [`Caps::without_orphans`].
    Needs(Caps, Caps),
    /// The first capability excludes the second.
    Excludes(Caps, Caps),
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
            caps: Caps::ALL.without(Caps::NO_MC_GA_WITH_PIN).without(Caps::LARGE_BLOB_EXTENSION),
            max_msg_size: 7609,
            min_pin_length: 4,
            max_pin_retries: 8,
            transports: const { &[Text::new("usb")] },
            firmware_version: None,
            max_credential_count_in_list: 64,
            attestation: Attestation::Own,
            enterprise: None,
            key_protection: 1,
            matcher_protection: 1,
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
        if let Some((of, on)) = caps.first_orphan() {
            return Err(ConfigError::Needs(of, on));
        }
        if caps.has(Caps::LARGE_BLOBS) && caps.has(Caps::LARGE_BLOB_EXTENSION) {
            return Err(ConfigError::Excludes(Caps::LARGE_BLOBS, Caps::LARGE_BLOB_EXTENSION));
        }
        self.check_attestation()
    }

    fn check_attestation(&self) -> Result<(), ConfigError> {
        let u2f = matches!(self.attestation, Attestation::FidoU2f(key) if key.algorithm != Algorithm::ES256);
        let misplaced = match self.attestation {
            Attestation::Certified(_) | Attestation::FidoU2f(_) => !self.caps.has(Caps::CERTIFIED_ATTESTATION),
            Attestation::None | Attestation::Own => false,
        };
        let outputs = OUTPUTS.iter().filter(|(caps, _)| self.caps.has(*caps));
        let needed = outputs.fold(REGISTRATION, |sum, (_, len)| sum.saturating_add(*len));
        let unusable = |Certified { chain, .. }: Certified<'_>| {
            let len = chain.iter().fold(0usize, |sum, der| sum.saturating_add(der.len()).saturating_add(CBOR_HEAD));
            chain.is_empty() || len.saturating_add(needed) > self.max_msg_size
        };
        let wrong = u2f || misplaced || self.certificates().any(unusable);
        if wrong { Err(ConfigError::Attestation) } else { Ok(()) }
    }

    /// The certified keys of the configuration.
    pub(super) fn certificates(&self) -> impl Iterator<Item = Certified<'c>> {
        let attestation = match self.attestation {
            Attestation::Certified(certified) | Attestation::FidoU2f(certified) => Some(certified),
            Attestation::None | Attestation::Own => None,
        };
        attestation.into_iter().chain(self.enterprise.map(|enterprise| enterprise.certified))
    }
}

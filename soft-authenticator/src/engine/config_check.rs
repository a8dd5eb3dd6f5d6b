//! The checks that keep a configuration consistent, made when a firmware is compiled where it is known then.

use keyfob_core::{cbor::Text, cose::Algorithm};

use super::{
    config::{AttestationMode, Certified, Config, MAX_BLOCK, Sizes},
    config_error::{ConfigError, MAX_LIST},
    wrapping::{OVERHEAD, STORED_ID, WRAPPED_BLOB},
};
use crate::caps::Caps;

/// A registration's response without the credential id, the key, the signature and the certificates, at most, in bytes:
/// the status, the rest of the authenticator data (55) and CBOR.
const REGISTRATION: usize = 90;
/// What each extension adds to it, at most, in bytes.
const OUTPUTS: [(Caps, usize); 8] = [
    (Caps::UVM, 15),
    (Caps::CRED_BLOB, 10),
    (Caps::CRED_PROTECT, 13),
    (Caps::HMAC_SECRET, 13),
    (Caps::HMAC_SECRET_MC, 97),
    (Caps::CONFIG, 15),
    (Caps::PIN_COMPLEXITY, 21),
    (Caps::ENTERPRISE_ATTESTATION, 2),
];
/// What each adds only if the credential is discoverable.
const DISCOVERABLE_OUTPUTS: [(Caps, usize); 2] = [(Caps::LARGE_BLOBS, 35), (Caps::LARGE_BLOB_EXTENSION, 24)];
/// The head of a byte string of under 65,536 bytes, in bytes.
const CBOR_HEAD: usize = 3;

impl Caps {
    /// The first contradiction in this set. `None` if there is none. A product can check its set at compile time:
    ///
    /// ```
    /// use keyfob_soft_authenticator::{Caps, engine::Config};
    ///
    /// const CAPS: Caps = Config::minimal_2_0([0; 16]).caps.with(Caps::HMAC_SECRET);
    /// const _: () = assert!(CAPS.contradiction().is_none());
    /// ```
    ///
    /// This does not compile, because read-only credential management needs credential management:
    ///
    /// ```compile_fail
    /// use keyfob_soft_authenticator::{Caps, engine::Config};
    ///
    /// const CAPS: Caps = Config::minimal_2_0([0; 16]).caps.with(Caps::PERSISTENT_CRED_MGMT);
    /// const _: () = assert!(CAPS.contradiction().is_none());
    /// ```
    pub const fn contradiction(self) -> Option<ConfigError> {
        let protocol = self.has(Caps::PROTOCOL_ONE) || self.has(Caps::PROTOCOL_TWO);
        let (pin, uv) = (self.has(Caps::CLIENT_PIN), self.has(Caps::BUILT_IN_UV));
        if (pin || uv) != protocol {
            return Some(ConfigError::PinProtocol);
        }
        if !pin && (!uv && self.has(Caps::TOKEN_PERMISSIONS) || self.has(Caps::NO_MC_GA_WITH_PIN)) {
            return Some(ConfigError::TokenWithoutPin);
        }
        let mut rows = Self::NEEDS;
        while let [(cap, needs), rest @ ..] = rows {
            if self.has(*cap) && !self.has(*needs) {
                return Some(ConfigError::Needs(*cap, *needs));
            }
            rows = rest;
        }
        if self.has(Caps::LARGE_BLOBS.with(Caps::LARGE_BLOB_EXTENSION)) {
            return Some(ConfigError::Excludes(Caps::LARGE_BLOBS, Caps::LARGE_BLOB_EXTENSION));
        }
        None
    }
}

impl Config<'_> {
    /// Checks the configuration against what is compiled and against itself. What only the crypto backend and the store
    /// can tell is checked when the authenticator is made.
    ///
    /// A firmware whose configuration is known when it is compiled has it checked then. Otherwise one that cannot work
    /// builds, and the linker leaves the engine out, because it is never made:
    ///
    /// ```
    /// # use keyfob_soft_authenticator::{caps::Caps, engine::Config};
    /// const CONFIG: Config<'static> = Config { max_msg_size: 1200, ..Config::new([7; 16]) };
    /// const _: () = assert!(CONFIG.check(Caps::ALL).is_ok());
    /// ```
    ///
    /// ```compile_fail
    /// # use keyfob_soft_authenticator::{caps::Caps, engine::Config};
    /// const CONFIG: Config<'static> = Config { max_msg_size: 1000, ..Config::new([7; 16]) }; // 1,024 at least
    /// const _: () = assert!(CONFIG.check(Caps::ALL).is_ok());
    /// ```
    ///
    /// # Errors
    ///
    /// The first contradiction: [`ConfigError`].
    pub const fn check(&self, compiled: Caps) -> Result<(), ConfigError> {
        let caps = self.caps;
        if !compiled.has(caps) {
            return Err(ConfigError::NotCompiled(caps.without(compiled)));
        }
        if let Some(contradiction) = caps.contradiction() {
            return Err(contradiction);
        }
        if caps.has(Caps::BUILT_IN_UV) && !self.user_verification.is_valid() {
            return Err(ConfigError::UserVerification);
        }
        if let Some(error) = self.check_numbers() {
            return Err(error);
        }
        if self.pin_complexity_policy_url.is_some() && !caps.has(Caps::PIN_COMPLEXITY) {
            return Err(ConfigError::PinComplexityPolicyUrl);
        }
        if let Some(allowed) = self.transports_for_reset
            && (allowed.is_empty() || !all_in(allowed, self.transports))
        {
            return Err(ConfigError::TransportsForReset);
        }
        if !self.vendor_commands.is_empty() && !caps.has(Caps::CONFIG) {
            return Err(ConfigError::VendorCommands);
        }
        if !self.policy.is_sound() {
            return Err(ConfigError::Policy);
        }
        if let Some(error) = self.check_algorithms() {
            return Err(error);
        }
        if let Some(error) = self.check_attestation() { Err(error) } else { Ok(()) }
    }

    const fn check_numbers(&self) -> Option<ConfigError> {
        if !is_within(self.max_msg_size, 1024, 65_535) {
            return Some(ConfigError::MaxMsgSize);
        }
        if !is_within(self.min_pin_length as usize, 4, 63) {
            return Some(ConfigError::MinPinLength);
        }
        if !is_within(self.max_pin_length as usize, 8, 63) || self.max_pin_length < self.min_pin_length {
            return Some(ConfigError::MaxPinLength);
        }
        if !is_within(self.max_pin_retries as usize, 1, 8) {
            return Some(ConfigError::MaxPinRetries);
        }
        if !is_within(self.sign_count_block as usize, 1, MAX_BLOCK as usize) {
            return Some(ConfigError::SignCountBlock);
        }
        if self.max_credential_count_in_list == 0 {
            return Some(ConfigError::MaxCredentialCountInList);
        }
        None
    }

    const fn check_algorithms(&self) -> Option<ConfigError> {
        let Some(algorithms) = self.algorithms else { return None };
        if !is_within(algorithms.len(), 1, MAX_LIST) {
            return Some(ConfigError::Algorithms);
        }
        let mut left = algorithms;
        while let [algorithm, others @ ..] = left {
            if lists(others, *algorithm) {
                return Some(ConfigError::Algorithms);
            }
            if !self.caps.allows(*algorithm) {
                return Some(ConfigError::AlgorithmOff(*algorithm));
            }
            if !self.has_room_for(*algorithm) {
                return Some(ConfigError::AlgorithmTooLong(*algorithm));
            }
            left = others;
        }
        let u2f = self.caps.has(Caps::U2F) && !lists(algorithms, Algorithm::ES256);
        if u2f { Some(ConfigError::U2fAlgorithm) } else { None }
    }

    const fn check_attestation(&self) -> Option<ConfigError> {
        let is_certified = matches!(self.attestation, AttestationMode::Certified(_) | AttestationMode::FidoU2f(_));
        if is_certified && !self.caps.has(Caps::CERTIFIED_ATTESTATION) {
            return Some(ConfigError::AttestationOff);
        }
        if self.enterprise.is_some() && !self.caps.has(Caps::ENTERPRISE_ATTESTATION) {
            return Some(ConfigError::EnterpriseOff);
        }
        if let AttestationMode::FidoU2f(key) = self.attestation
            && key.algorithm.0 != Algorithm::ES256.0
        {
            return Some(ConfigError::AttestationAlgorithm);
        }
        if let [Some(Certified { chain: [], .. }), _] | [_, Some(Certified { chain: [], .. })] = self.attestation_keys()
        {
            return Some(ConfigError::AttestationChain);
        }
        if self.has_room_for(Algorithm::ES256) { None } else { Some(ConfigError::AttestationTooLong) }
    }

    /// Whether registrations of credentials of `algorithm` fit in a message.
    pub(super) const fn has_room_for(&self, algorithm: Algorithm) -> bool {
        let credential = Sizes::of(algorithm);
        // The id of a credential that is not discoverable holds its secret key and its blob.
        let wrapped = OVERHEAD.saturating_add(credential.secret);
        let wrapped = wrapped.saturating_add(self.sum(&[(Caps::CRED_BLOB, WRAPPED_BLOB)]));
        let discoverable = self.sum(&DISCOVERABLE_OUTPUTS).saturating_add(STORED_ID);
        let [attestation, enterprise] = self.attestation_keys();
        let longest = max(credential.signature, max(statement(attestation), statement(enterprise)));
        let registration = REGISTRATION.saturating_add(max(wrapped, discoverable)).saturating_add(credential.public);
        registration.saturating_add(longest).saturating_add(self.sum(&OUTPUTS)) <= self.max_msg_size
    }

    /// The lengths of those outputs that are switched on.
    const fn sum(&self, mut outputs: &[(Caps, usize)]) -> usize {
        let mut sum = 0usize;
        while let [(caps, len), others @ ..] = outputs {
            if self.caps.has(*caps) {
                sum = sum.saturating_add(*len);
            }
            outputs = others;
        }
        sum
    }
}

/// The length of what an attestation statement holds besides its format: the signature and the certificates.
const fn statement(key: Option<Certified<'_>>) -> usize {
    let Some(Certified { algorithm, mut chain, .. }) = key else { return 0 };
    let mut len = Sizes::of(algorithm).signature;
    while let [der, others @ ..] = chain {
        len = len.saturating_add(der.len()).saturating_add(CBOR_HEAD);
        chain = others;
    }
    len
}

const fn max(a: usize, b: usize) -> usize {
    if a > b { a } else { b }
}

const fn is_within(value: usize, least: usize, most: usize) -> bool {
    least <= value && value <= most
}

const fn lists(mut algorithms: &[Algorithm], wanted: Algorithm) -> bool {
    while let [algorithm, others @ ..] = algorithms {
        if algorithm.0 == wanted.0 {
            return true;
        }
        algorithms = others;
    }
    false
}

/// Whether each of `texts` is one of `all`.
const fn all_in(mut texts: &[Text<'_>], all: &[Text<'_>]) -> bool {
    while let [text, others @ ..] = texts {
        let mut rest = all;
        loop {
            match rest {
                [] => return false,
                [one, ..] if one.is(text) => break,
                [_, others @ ..] => rest = others,
            }
        }
        texts = others;
    }
    true
}

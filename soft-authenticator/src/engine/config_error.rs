//! Why a configuration cannot work. The texts say both sides of the contradiction, or the bounds.

use keyfob_core::cose::Algorithm;

use crate::{caps::Caps, errors::says, store::StoreError};

/// The longest list of algorithms: more do not fit in a getInfo.
pub(super) const MAX_LIST: usize = 16;

/// Why a configuration cannot work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ConfigError {
    /// These capabilities are switched on but not compiled in.
    NotCompiled(Caps),
    /// A PIN and built-in user verification need a PIN/UV auth protocol, and a protocol needs one of them.
    PinProtocol,
    /// Tokens with permissions need a PIN or built-in user verification, and their restriction needs a PIN.
    TokenWithoutPin,
    /// This capability is switched on without all of those that it needs.
    Needs(Caps, Caps),
    /// The first capability excludes the second.
    Excludes(Caps, Caps),
    /// Built-in user verification with numbers out of their bounds.
    UserVerification,
    /// A list of algorithms that is empty or too long, or has one twice.
    Algorithms,
    /// The list of algorithms has one whose capability is switched off.
    AlgorithmOff(Algorithm),
    /// The list of algorithms has one whose registrations do not fit in a message.
    AlgorithmTooLong(Algorithm),
    /// The list of algorithms has one that the crypto backend does not sign with.
    AlgorithmUnsupported(Algorithm),
    /// U2F, and a list of algorithms without ES256.
    U2fAlgorithm,
    /// A message size under 1,024 or over 65,535 bytes.
    MaxMsgSize,
    /// A shortest PIN under 4 or over 63 code points.
    MinPinLength,
    /// A longest PIN under 8, over 63 or under the shortest.
    MaxPinLength,
    /// A description of a PIN complexity policy, whose capability is switched off.
    PinComplexityPolicyUrl,
    /// No transport for resets, or one that is not among the transports.
    TransportsForReset,
    /// Vendor commands without authenticatorConfig.
    VendorCommands,
    /// No PIN attempts, or more than 8.
    MaxPinRetries,
    /// A block of signature counts of 0, or of more than 100.
    SignCountBlock,
    /// A credential list must hold at least one entry.
    MaxCredentialCountInList,
    /// A policy with a status that does not fit its member.
    Policy,
    /// Attestation with a certificate, without its capability.
    AttestationOff,
    /// An attestation key without a certificate.
    AttestationChain,
    /// An attestation key with an algorithm that the backend does not sign with, or with another than ES256 for
    /// fido-u2f.
    AttestationAlgorithm,
    /// A chain of attestation certificates that leaves no room in a message.
    AttestationTooLong,
    /// Enterprise attestation without its capability.
    EnterpriseOff,
    /// The buffer is too small.
    BufferTooSmall {
        /// The bytes it takes.
        needed: usize,
    },
    /// The store cannot be read or written.
    Store(StoreError),
    /// The random source failed, so that an empty store gets no secrets.
    RandomSource,
}

impl From<StoreError> for ConfigError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

says! { ConfigError:
    Self::NotCompiled(caps) => "switched on, but not compiled in: {caps}",
    Self::PinProtocol =>
        "a PIN or built-in user verification needs a PIN/UV auth protocol, and a protocol needs one of them",
    Self::TokenWithoutPin =>
        "tokens with permissions need a PIN or built-in user verification, and noMcGaPermissionsWithClientPin needs a \
         PIN",
    Self::Needs(caps, needed) => "{caps} cannot work without all of these: {needed}",
    Self::Excludes(one, other) => "{one} and {other} exclude each other: switch one off",
    Self::UserVerification =>
        "built-in user verification has to have 1 to 25 attempts, 1 to 5 of them within one command, at least one by \
         the platform, and at least one sample",
    Self::Algorithms => "the list of algorithms has to name 1 to {MAX_LIST}, each once",
    Self::AlgorithmOff(algorithm) => "the list of algorithms has {algorithm:?}, whose capability is switched off",
    Self::AlgorithmTooLong(algorithm) =>
        "the list of algorithms has {algorithm:?}, whose registrations are longer than the longest message",
    Self::AlgorithmUnsupported(algorithm) =>
        "the list of algorithms has {algorithm:?}, which the crypto backend does not sign with",
    Self::U2fAlgorithm => "U2F needs ES256, which the list of algorithms leaves out",
    Self::MaxMsgSize => "the longest message has to have 1,024 to 65,535 bytes",
    Self::MinPinLength => "the shortest PIN has to have 4 to 63 characters",
    Self::MaxPinLength => "the longest PIN has to have 8 to 63 characters, and at least as many as the shortest",
    Self::PinComplexityPolicyUrl => "a PIN complexity policy is described, but its capability is switched off",
    Self::TransportsForReset =>
        "the list of transports for resets is empty, or has one that is not among the transports",
    Self::VendorCommands => "vendor commands need authenticatorConfig, which is switched off",
    Self::MaxPinRetries => "a PIN has to have 1 to 8 attempts",
    Self::SignCountBlock => "counts of signatures have to be reserved in blocks of 1 to 100",
    Self::MaxCredentialCountInList => "a list of credentials has to have room for at least one",
    Self::Policy =>
        "a policy has to answer a missing touch with OPERATION_DENIED or USER_ACTION_TIMEOUT, and an empty \
         pinUvAuthParam with PIN_INVALID or PIN_AUTH_INVALID",
    Self::AttestationOff => "attestation with a certificate is configured, but its capability is switched off",
    Self::AttestationChain => "an attestation key has no certificate",
    Self::AttestationAlgorithm =>
        "an attestation key has an algorithm that the crypto backend does not sign with, or one other than ES256 for \
         fido-u2f",
    Self::AttestationTooLong =>
        "the longest message leaves no room for a registration with the attestation's certificates",
    Self::EnterpriseOff => "enterprise attestation is configured, but its capability is switched off",
    Self::BufferTooSmall { needed } => "the buffer is too small: the authenticator needs {needed} bytes",
    Self::Store(StoreError::Full) => "the store is full",
    Self::Store(_) => "the store cannot be read or written",
    Self::RandomSource => "the random source failed, so that the empty store has no secrets",
}

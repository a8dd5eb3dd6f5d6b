//! The texts of configuration errors: both sides of the contradiction, or the bounds.

use core::fmt;

use super::{ConfigError, config::MAX_LIST};
use crate::store::StoreError;

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sentence = match self {
            Self::NotCompiled(caps) => return write!(f, "switched on, but not compiled in: {caps}"),
            Self::Needs(caps, needed) => return write!(f, "{caps} cannot work without all of these: {needed}"),
            Self::Excludes(one, other) => return write!(f, "{one} and {other} exclude each other: switch one off"),
            Self::BufferTooSmall { needed } => {
                return write!(f, "the buffer is too small: the authenticator needs {needed} bytes");
            }
            Self::Algorithms => return write!(f, "the list of algorithms has to name 1 to {MAX_LIST}"),
            Self::AlgorithmOff(algorithm) => {
                return write!(f, "the list of algorithms has {algorithm:?}, whose capability is switched off");
            }
            Self::AlgorithmTooLong(algorithm) => {
                return write!(
                    f,
                    "the list of algorithms has {algorithm:?}, whose registrations are longer than the longest message"
                );
            }
            Self::AlgorithmUnsupported(algorithm) => {
                return write!(
                    f,
                    "the list of algorithms has {algorithm:?}, which the crypto backend does not sign with"
                );
            }
            Self::PinProtocol => {
                "a PIN or built-in user verification needs a PIN/UV auth protocol, and a protocol needs one of them"
            }
            Self::TokenWithoutPin => {
                "tokens with permissions need a PIN or built-in user verification, and noMcGaPermissionsWithClientPin \
                 needs a PIN"
            }
            Self::U2fAlgorithm => "U2F needs ES256, which the list of algorithms leaves out",
            Self::UserVerification => {
                "built-in user verification has to have 1 to 25 attempts, 1 to 5 of them within one command, at least \
                 one by the platform, and at least one sample"
            }
            Self::MaxMsgSize => "the longest message has to have 1,024 to 65,535 bytes",
            Self::MinPinLength => "the shortest PIN has to have 4 to 63 characters",
            Self::MaxPinLength => {
                "the longest PIN has to have 8 to 63 characters, and at least as many as the shortest"
            }
            Self::PinComplexityPolicyUrl => "a PIN complexity policy is described, but its capability is switched off",
            Self::TransportsForReset => {
                "the list of transports for resets is empty, or has one that is not among the transports"
            }
            Self::VendorCommands => "vendor commands need authenticatorConfig, which is switched off",
            Self::MaxPinRetries => "a PIN has to have 1 to 8 attempts",
            Self::SignCountBlock => "counts of signatures have to be reserved in blocks of 1 to 100",
            Self::MaxCredentialCountInList => "a list of credentials has to have room for at least one",
            Self::Policy => {
                "a policy has to answer a missing touch with OPERATION_DENIED or USER_ACTION_TIMEOUT, and an empty \
                 pinUvAuthParam with PIN_INVALID or PIN_AUTH_INVALID"
            }
            Self::AttestationOff => "attestation with a certificate is configured, but its capability is switched off",
            Self::AttestationChain => "an attestation key has no certificate",
            Self::AttestationAlgorithm => {
                "an attestation key has an algorithm that the crypto backend does not sign with, or one other than \
                 ES256 for fido-u2f"
            }
            Self::AttestationTooLong => {
                "the longest message leaves no room for a registration with the attestation's certificates"
            }
            Self::EnterpriseOff => "enterprise attestation is configured, but its capability is switched off",
            Self::Store(StoreError::Full) => "the store is full",
            Self::Store(_) => "the store cannot be read or written",
            Self::RandomSource => "the random source failed, so that the empty store has no secrets",
        };
        f.write_str(sentence)
    }
}

impl core::error::Error for ConfigError {}

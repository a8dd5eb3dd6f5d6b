//! What an authenticator is configured to be.

use keyfob_core::{Failure, auth_data::MAX_CREDENTIAL_ID, cbor::Text, cose::Algorithm, crypto::ML_DSA_SEED};

use super::{config_error::ConfigError, sensor::UserVerification};
use crate::{caps::Caps, store::MAX_RECORD};

/// The largest block of signature counts. It bounds the jump of the counter at a power cut.
pub(super) const MAX_BLOCK: u8 = 100;

/// A version of CTAP2. There is no 2.2 among what getInfo may name (CTAP 2.3 §6.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Version {
    /// "FIDO_2_0".
    Fido2_0,
    /// "FIDO_2_1".
    Fido2_1,
    /// "FIDO_2_3".
    Fido2_3,
}

/// The configuration of an authenticator.
///
/// ```
/// use keyfob_soft_authenticator::{Caps, engine::Config};
///
/// let mut config = Config::new([0; 16]); // every capability that is on by default
/// config.caps = config.caps.without(Caps::EDDSA);
/// config.max_msg_size = 1_200;
/// assert_eq!(config.check(Caps::ALL), Ok(()));
///
/// config.max_msg_size = 1_000; // CTAP 2.3 §6.4: at least 1,024
/// assert!(config.check(Caps::ALL).is_err());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Config<'c> {
    /// The model, 16 bytes. All zero with self attestation or none, if the model is not to be told.
    pub aaguid: [u8; 16],
    /// What is switched on.
    pub caps: Caps,
    /// The newest version that getInfo names, if all that the version requires is there.
    pub newest_version: Version,
    /// The longest message, in bytes: at least 1,024, over HID at most 7,609. An algorithm whose registrations do not
    /// fit is not offered: with every extension ML-DSA-44 takes 4,117 bytes, ML-DSA-65 5,646 and ML-DSA-87 7,604.
    pub max_msg_size: usize,
    /// The shortest PIN, in code points: 4 to 63.
    pub min_pin_length: u8,
    /// The longest PIN, in code points: 8 to 63, and not under the shortest. In UTF-8 a PIN has 63 bytes at most.
    pub max_pin_length: u8,
    /// Where the PIN complexity policy is described: a URL.
    pub pin_complexity_policy_url: Option<&'c str>,
    /// PIN attempts before the authenticator must be reset: 1 to 8.
    pub max_pin_retries: u8,
    /// How the user is verified, with [`Caps::BUILT_IN_UV`].
    pub user_verification: UserVerification,
    /// Transports that getInfo names.
    pub transports: &'c [Text<'c>],
    /// Transports over which a reset is accepted, some of `transports`; all of them when `None`.
    pub transports_for_reset: Option<&'c [Text<'c>]>,
    /// The algorithms that credentials may have, in the order of getInfo: 1 to 16, each once and with its capability.
    /// Without a list, all whose capabilities are switched on, in the order of the crypto backend.
    pub algorithms: Option<&'c [Algorithm]>,
    /// Vendor commands of authenticatorConfig, which [`super::Platform::vendor_command`] carries out.
    pub vendor_commands: &'c [u64],
    /// Firmware version that getInfo names.
    pub firmware_version: Option<u32>,
    /// The longest list of credentials that a request may carry.
    pub max_credential_count_in_list: u16,
    /// How registrations are attested.
    pub attestation: AttestationMode<'c>,
    /// What attests registrations to an enterprise. Without it, the authenticator is not capable of that.
    pub enterprise: Option<Enterprise<'c>>,
    /// How keys are protected, and where users are verified, as the extension `uvm` tells: bits of the FIDO registry of
    /// predefined values (§3.2, §3.3). Software by default.
    pub key_protection: u16,
    /// The matcher's protection, likewise.
    pub matcher_protection: u16,
    /// How many counts of signatures are reserved in one commit: 1 to 100. The counter jumps by up to that many at a
    /// power cut, and never falls back or repeats. With 1, each count is committed, and each sign-in wears the flash, a
    /// silent one too.
    pub sign_count_block: u8,
    /// Whether fresh random bytes go into each signature's nonce ([`keyfob_core::crypto::Sign::sign_hedged`]). Without
    /// them a signature by ECDSA, EdDSA or ML-DSA follows from the key and the message, and a fault while a message is
    /// signed a second time can give the key away. On by default: it costs under 1 % of a signature.
    pub hedged_signatures: bool,
    /// Where deployed authenticators disagree.
    pub policy: AuthenticatorPolicy,
}

/// How registrations are attested when the platform does not ask for a format.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum AttestationMode<'c> {
    /// Format "none".
    None,
    /// Format "packed", signed with the credential's own key.
    Own,
    /// Format "packed", signed with a certified key. With it, the aaguid must be the certificate's.
    Certified(Certified<'c>),
    /// Format "fido-u2f", signed with a certified ES256 key, for ES256 credentials; others as with
    /// [`AttestationMode::Certified`].
    FidoU2f(Certified<'c>),
}

/// Enterprise attestation (CTAP 2.3 §7.1): with a certificate that identifies this one authenticator. It is given once
/// it has been enabled.
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
pub struct AuthenticatorPolicy {
    /// The answer when there is no touch in time: [`Failure::OPERATION_DENIED`] by the steps of CTAP 2.3 §6.1, or
    /// [`Failure::USER_ACTION_TIMEOUT`] as many authenticators say.
    pub touch_timeout: Failure,
    /// PIN retries before any PIN is set: `false` answers the number, `true` answers PIN_NOT_SET as YubiKeys do.
    pub retries_need_pin: bool,
    /// A sign-in without a matching credential: `false` answers NO_CREDENTIALS at once (CTAP 2.3 §6.2.2 step 7), `true`
    /// after a touch, as in CTAP 2.0, so that a site cannot find out without the user's notice.
    pub no_credentials_after_touch: bool,
    /// enumerateRPsBegin without any relying party: `false` answers NO_CREDENTIALS, `true` a success with totalRPs 0.
    pub no_rps_is_success: bool,
    /// A registration with the option rk off, where no credential is discoverable: `false` answers UNSUPPORTED_OPTION,
    /// as with rk on (CTAP 2.3 §6.1.2 step 5), `true` registers. Firefox always sends the option.
    pub rk_off_is_known: bool,
    /// The answer to an empty pinUvAuthParam where a PIN is set, after the touch: [`Failure::PIN_INVALID`] by CTAP 2.3
    /// §6.1.2 step 1, or [`Failure::PIN_AUTH_INVALID`] as test suites of version 2.0 expect.
    pub probe_with_pin: Failure,
    /// The rules of version 2.0 where later versions changed them; getInfo then names no later version.
    /// `docs/policies.md` lists them. Tokens live until they are replaced: they have no limits of time, of use or to a
    /// relying party. If a PIN is set, makeCredential always needs it. If none is set, a pinUvAuthParam is refused.
    pub rules_2_0: bool,
}

impl AuthenticatorPolicy {
    /// The standard's words.
    pub const STRICT: AuthenticatorPolicy = AuthenticatorPolicy {
        touch_timeout: Failure::OPERATION_DENIED,
        retries_need_pin: false,
        no_credentials_after_touch: false,
        no_rps_is_success: false,
        rk_off_is_known: false,
        probe_with_pin: Failure::PIN_INVALID,
        rules_2_0: false,
    };
    /// As YubiKeys answer.
    pub const YUBIKEY: AuthenticatorPolicy = AuthenticatorPolicy {
        touch_timeout: Failure::USER_ACTION_TIMEOUT,
        retries_need_pin: true,
        ..AuthenticatorPolicy::STRICT
    };

    /// As keys of version 2.0 answer, and as test suites of that version expect.
    pub const CTAP2_0: AuthenticatorPolicy = AuthenticatorPolicy {
        no_credentials_after_touch: true,
        probe_with_pin: Failure::PIN_AUTH_INVALID,
        rules_2_0: true,
        ..AuthenticatorPolicy::STRICT
    };

    /// Whether its statuses are among those that fit.
    pub(super) const fn is_sound(self) -> bool {
        matches!(self.touch_timeout, Failure::OPERATION_DENIED | Failure::USER_ACTION_TIMEOUT)
            && matches!(self.probe_with_pin, Failure::PIN_INVALID | Failure::PIN_AUTH_INVALID)
    }

    /// The status of the later versions, or that of version 2.0 where its rules hold.
    pub(super) const fn by_version(self, later: Failure, version_2_0: Failure) -> Failure {
        if self.rules_2_0 { version_2_0 } else { later }
    }

    /// The answer to an empty pinUvAuthParam, after the touch.
    pub(super) const fn probe_answer(self, pin_is_set: bool) -> Failure {
        if pin_is_set { self.probe_with_pin } else { Failure::PIN_NOT_SET }
    }

    pub(super) const fn touch_refused(self, status: Failure) -> Failure {
        if matches!(status, Failure::USER_ACTION_TIMEOUT) { self.touch_timeout } else { status }
    }
}

impl<'c> Config<'c> {
    /// Everything this version knows that takes no sensor, attested by the credentials' own keys. Of algorithms with
    /// two identifiers only the one that WebAuthn L3 §5.8.5 recommends ([`Caps::FULLY_SPECIFIED`] adds the other).
    pub const fn new(aaguid: [u8; 16]) -> Self {
        Self {
            aaguid,
            caps: Caps::ALL
                .without(Caps::NO_MC_GA_WITH_PIN)
                .without(Caps::SIGNATURE_CHECK)
                .without(Caps::LARGE_BLOB_EXTENSION)
                .without(Caps::BUILT_IN_UV)
                .without(Caps::BIO_ENROLL)
                .without(Caps::FULLY_SPECIFIED),
            newest_version: Version::Fido2_3,
            max_msg_size: 7609,
            min_pin_length: 4,
            max_pin_length: 63,
            pin_complexity_policy_url: None,
            max_pin_retries: 8,
            user_verification: UserVerification::TOUCH_SENSOR,
            transports: const { &[Text::new("usb")] },
            transports_for_reset: None,
            algorithms: None,
            vendor_commands: &[],
            firmware_version: None,
            max_credential_count_in_list: 64,
            attestation: AttestationMode::Own,
            enterprise: None,
            key_protection: 1,
            matcher_protection: 1,
            sign_count_block: MAX_BLOCK,
            hedged_signatures: true,
            policy: AuthenticatorPolicy::STRICT,
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

    /// Checks the configuration against the algorithms of the crypto backend, as the engine does when it is made.
    ///
    /// # Errors
    ///
    /// [`ConfigError::AlgorithmUnsupported`], [`ConfigError::AttestationAlgorithm`].
    pub fn check_backend(&self, signs_with: &[Algorithm]) -> Result<(), ConfigError> {
        let mut listed = self.algorithms.into_iter().flatten();
        if let Some(unsupported) = listed.find(|algorithm| !signs_with.contains(algorithm)) {
            return Err(ConfigError::AlgorithmUnsupported(*unsupported));
        }
        let attests = |certified: Certified<'_>| signs_with.contains(&certified.algorithm);
        if self.certificates().all(attests) { Ok(()) } else { Err(ConfigError::AttestationAlgorithm) }
    }

    /// Whether the list of algorithms, if there is one, has `algorithm`.
    pub(super) fn lists(&self, algorithm: Algorithm) -> bool {
        self.algorithms.is_none_or(|algorithms| algorithms.contains(&algorithm))
    }

    /// The certified keys of the configuration.
    fn certificates(&self) -> impl Iterator<Item = Certified<'c>> {
        self.attestation_keys().into_iter().flatten()
    }

    /// The keys with certificates: for attestation, and for enterprise attestation.
    pub(super) const fn attestation_keys(&self) -> [Option<Certified<'c>>; 2] {
        let attestation = match self.attestation {
            AttestationMode::Certified(certified) | AttestationMode::FidoU2f(certified) => Some(certified),
            AttestationMode::None | AttestationMode::Own => None,
        };
        let enterprise = match self.enterprise {
            Some(enterprise) => Some(enterprise.certified),
            None => None,
        };
        [attestation, enterprise]
    }
}

/// Lengths in bytes, at most, with every backend. A wrapped id holds the secret key; a public key is a COSE key.
pub(super) struct Sizes {
    pub secret: usize,
    pub public: usize,
    pub signature: usize,
}

impl Sizes {
    pub const fn of(algorithm: Algorithm) -> Self {
        let (secret, public, signature) = match algorithm {
            Algorithm::ES384 | Algorithm::ESP384 => (144, 110, 104),
            Algorithm::ES512 | Algorithm::ESP512 => (198, 146, 139),
            Algorithm::RS256 | Algorithm::PS256 => (256, 272, 256),
            Algorithm::ML_DSA_44 => (ML_DSA_SEED, 1322, 2420),
            Algorithm::ML_DSA_65 => (ML_DSA_SEED, 1962, 3309),
            Algorithm::ML_DSA_87 => (ML_DSA_SEED, 2602, 4627),
            // ES256, ES256K, EdDSA, ESP256, Ed25519
            _ => (96, 78, 72),
        };
        Self { secret, public, signature }
    }
}

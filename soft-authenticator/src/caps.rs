//! Capabilities of an authenticator: which are compiled in, and which are switched on.

use core::fmt;

use keyfob_core::cose::Algorithm;

/// A set of capabilities.
///
/// A platform names the capabilities that it compiles ([`crate::engine::Platform::COMPILED`]); the linker drops the
/// code of the others. A configuration switches some of the compiled ones on, and getInfo is computed from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Caps(pub u64);

impl Caps {
    /// Only non-discoverable credentials with ES256.
    pub const NONE: Caps = Caps(0);
    /// Discoverable credentials.
    pub const DISCOVERABLE: Caps = Caps(1 << 0);
    /// A PIN.
    pub const CLIENT_PIN: Caps = Caps(1 << 1);
    /// PIN/UV auth protocol one.
    pub const PROTOCOL_ONE: Caps = Caps(1 << 2);
    /// PIN/UV auth protocol two.
    pub const PROTOCOL_TWO: Caps = Caps(1 << 3);
    /// Tokens with permissions (2.1).
    pub const TOKEN_PERMISSIONS: Caps = Caps(1 << 4);
    /// Non-discoverable credentials without user verification even when a PIN is set.
    pub const MAKE_CRED_UV_NOT_RQD: Caps = Caps(1 << 5);
    /// EdDSA credentials.
    pub const EDDSA: Caps = Caps(1 << 6);
    /// authenticatorSelection.
    pub const SELECTION: Caps = Caps(1 << 7);
    /// The PIN does not give the permissions to register and sign in.
    pub const NO_MC_GA_WITH_PIN: Caps = Caps(1 << 8);
    /// Attestation with a certificate, if one is configured.
    pub const CERTIFIED_ATTESTATION: Caps = Caps(1 << 9);
    /// authenticatorCredentialManagement, and its prototype.
    pub const CRED_MGMT: Caps = Caps(1 << 10);
    /// Read-only credential management with a persistent token (2.2).
    pub const PERSISTENT_CRED_MGMT: Caps = Caps(1 << 11);
    /// authenticatorLargeBlobs and the extension `largeBlobKey`, if the store has room for large blobs.
    pub const LARGE_BLOBS: Caps = Caps(1 << 12);
    /// The extension `largeBlob` (2.3), which excludes [`Caps::LARGE_BLOBS`].
    pub const LARGE_BLOB_EXTENSION: Caps = Caps(1 << 13);
    /// authenticatorConfig with setMinPINLength, and the extension `minPinLength`.
    pub const CONFIG: Caps = Caps(1 << 14);
    /// toggleAlwaysUv.
    pub const ALWAYS_UV: Caps = Caps(1 << 15);
    /// Enterprise attestation.
    pub const ENTERPRISE_ATTESTATION: Caps = Caps(1 << 16);
    /// enableLongTouchForReset.
    pub const LONG_TOUCH_FOR_RESET: Caps = Caps(1 << 17);
    /// The PIN complexity policy and its extension (2.2).
    pub const PIN_COMPLEXITY: Caps = Caps(1 << 18);
    /// Built-in user verification.
    pub const BUILT_IN_UV: Caps = Caps(1 << 19);
    /// Fingerprints, and authenticatorBioEnrollment. Needs [`Caps::BUILT_IN_UV`].
    pub const BIO_ENROLL: Caps = Caps(1 << 20);
    /// CTAP1/U2F.
    pub const U2F: Caps = Caps(1 << 21);
    /// The extension `credProtect`.
    pub const CRED_PROTECT: Caps = Caps(1 << 22);
    /// The extension `hmac-secret`.
    pub const HMAC_SECRET: Caps = Caps(1 << 23);
    /// The extension `hmac-secret-mc` (2.2). Needs [`Caps::HMAC_SECRET`].
    pub const HMAC_SECRET_MC: Caps = Caps(1 << 24);
    /// The extension `credBlob`. Needs [`Caps::CRED_PROTECT`].
    pub const CRED_BLOB: Caps = Caps(1 << 25);
    /// The extension `thirdPartyPayment` (2.2).
    pub const THIRD_PARTY_PAYMENT: Caps = Caps(1 << 26);
    /// The extension `uvm`.
    pub const UVM: Caps = Caps(1 << 27);
    /// The device identifier and the store's state in getInfo, encrypted (2.2, 2.3). Needs
    /// [`Caps::PERSISTENT_CRED_MGMT`].
    pub const IDENTIFIER: Caps = Caps(1 << 28);
    /// Verifies each signature before it is sent, because a faulty signature could reveal the private key. A signature
    /// with ES256 then costs nearly five times as much: see `docs/cryptography.md`.
    pub const SIGNATURE_CHECK: Caps = Caps(1 << 47);
    /// ES384 credentials.
    pub const ES384: Caps = Caps(1 << 48);
    /// ES512 credentials.
    pub const ES512: Caps = Caps(1 << 49);
    /// ES256K credentials.
    pub const ES256K: Caps = Caps(1 << 50);
    /// RS256 credentials.
    pub const RS256: Caps = Caps(1 << 51);
    /// PS256 credentials.
    pub const PS256: Caps = Caps(1 << 52);
    /// ML-DSA-44 credentials.
    pub const ML_DSA_44: Caps = Caps(1 << 53);
    /// ML-DSA-65 credentials.
    pub const ML_DSA_65: Caps = Caps(1 << 54);
    /// ML-DSA-87 credentials.
    pub const ML_DSA_87: Caps = Caps(1 << 55);
    /// ESP256 credentials: ES256 under its fully specified identifier (RFC 9864).
    pub const ESP256: Caps = Caps(1 << 56);
    /// Ed25519 credentials: EdDSA under its fully specified identifier.
    pub const ED25519: Caps = Caps(1 << 57);
    /// ESP384 credentials: ES384 under its fully specified identifier.
    pub const ESP384: Caps = Caps(1 << 58);
    /// ESP512 credentials: ES512 under its fully specified identifier.
    pub const ESP512: Caps = Caps(1 << 59);
    /// The fully specified identifiers. WebAuthn L3 §5.8.5 recommends the older ones, so
    /// [`crate::engine::Config::new`] switches none of these on.
    pub const FULLY_SPECIFIED: Caps = Caps::ESP256.with(Caps::ED25519).with(Caps::ESP384).with(Caps::ESP512);
    /// All capabilities of this version. Algorithms that the crypto backend lacks are not offered.
    pub const ALL: Caps = Caps(((1 << 29) - 1) | (0x1fff << 47));

    /// The name of each capability in error messages.
    const NAMES: &'static [(Caps, &'static str)] = &[
        (Caps::DISCOVERABLE, "discoverable credentials"),
        (Caps::CLIENT_PIN, "a PIN"),
        (Caps::PROTOCOL_ONE, "PIN/UV auth protocol one"),
        (Caps::PROTOCOL_TWO, "PIN/UV auth protocol two"),
        (Caps::TOKEN_PERMISSIONS, "tokens with permissions"),
        (Caps::MAKE_CRED_UV_NOT_RQD, "makeCredUvNotRqd"),
        (Caps::EDDSA, "EdDSA"),
        (Caps::SELECTION, "authenticatorSelection"),
        (Caps::NO_MC_GA_WITH_PIN, "noMcGaPermissionsWithClientPin"),
        (Caps::CERTIFIED_ATTESTATION, "attestation with a certificate"),
        (Caps::CRED_MGMT, "credential management"),
        (Caps::PERSISTENT_CRED_MGMT, "read-only credential management"),
        (Caps::LARGE_BLOBS, "large blobs"),
        (Caps::LARGE_BLOB_EXTENSION, "the extension largeBlob"),
        (Caps::CONFIG, "authenticatorConfig"),
        (Caps::ALWAYS_UV, "alwaysUv"),
        (Caps::ENTERPRISE_ATTESTATION, "enterprise attestation"),
        (Caps::LONG_TOUCH_FOR_RESET, "a long touch for reset"),
        (Caps::PIN_COMPLEXITY, "the PIN complexity policy"),
        (Caps::BUILT_IN_UV, "built-in user verification"),
        (Caps::BIO_ENROLL, "fingerprints"),
        (Caps::U2F, "U2F"),
        (Caps::CRED_PROTECT, "the extension credProtect"),
        (Caps::HMAC_SECRET, "the extension hmac-secret"),
        (Caps::HMAC_SECRET_MC, "the extension hmac-secret-mc"),
        (Caps::CRED_BLOB, "the extension credBlob"),
        (Caps::THIRD_PARTY_PAYMENT, "the extension thirdPartyPayment"),
        (Caps::UVM, "the extension uvm"),
        (Caps::IDENTIFIER, "the encrypted identifiers"),
        (Caps::ES384, "ES384"),
        (Caps::ES512, "ES512"),
        (Caps::ES256K, "ES256K"),
        (Caps::RS256, "RS256"),
        (Caps::PS256, "PS256"),
        (Caps::ML_DSA_44, "ML-DSA-44"),
        (Caps::ML_DSA_65, "ML-DSA-65"),
        (Caps::ML_DSA_87, "ML-DSA-87"),
        (Caps::SIGNATURE_CHECK, "a check of each signature"),
        (Caps::ESP256, "ESP256"),
        (Caps::ED25519, "Ed25519"),
        (Caps::ESP384, "ESP384"),
        (Caps::ESP512, "ESP512"),
    ];

    /// Each capability and the capabilities that it needs. A capability's own needs come in an earlier row than the
    /// capabilities that need it.
    pub(crate) const NEEDS: &'static [(Caps, Caps)] = &[
        (Caps::NO_MC_GA_WITH_PIN, Caps::CLIENT_PIN),
        (Caps::BUILT_IN_UV, Caps::TOKEN_PERMISSIONS),
        (Caps::CRED_MGMT, Caps::DISCOVERABLE.with(Caps::TOKEN_PERMISSIONS)),
        (Caps::PERSISTENT_CRED_MGMT, Caps::CRED_MGMT),
        (Caps::IDENTIFIER, Caps::PERSISTENT_CRED_MGMT),
        (Caps::LARGE_BLOBS, Caps::DISCOVERABLE.with(Caps::TOKEN_PERMISSIONS)),
        (Caps::CONFIG, Caps::TOKEN_PERMISSIONS),
        (Caps::ALWAYS_UV, Caps::CONFIG),
        (Caps::ENTERPRISE_ATTESTATION, Caps::CONFIG),
        (Caps::LONG_TOUCH_FOR_RESET, Caps::CONFIG),
        (Caps::PIN_COMPLEXITY, Caps::CONFIG.with(Caps::CLIENT_PIN)),
        (Caps::HMAC_SECRET, Caps::CLIENT_PIN), // for its key agreement
        (Caps::BIO_ENROLL, Caps::BUILT_IN_UV.with(Caps::CLIENT_PIN)),
        (Caps::HMAC_SECRET_MC, Caps::HMAC_SECRET),
        (Caps::CRED_BLOB, Caps::CRED_PROTECT.with(Caps::DISCOVERABLE)),
        (Caps::LARGE_BLOB_EXTENSION, Caps::DISCOVERABLE),
    ];

    /// These capabilities without those whose needs are missing, and without one of two that exclude each other.
    pub const fn consistent(self) -> Caps {
        let protocols = Caps::PROTOCOL_ONE.with(Caps::PROTOCOL_TWO);
        let agrees = self.has(Caps::PROTOCOL_ONE) || self.has(Caps::PROTOCOL_TWO);
        let mut caps = if agrees { self } else { self.without(Caps::CLIENT_PIN.with(Caps::BUILT_IN_UV)) };
        if !caps.has(Caps::CLIENT_PIN) && !caps.has(Caps::BUILT_IN_UV) {
            caps = caps.without(Caps::TOKEN_PERMISSIONS.with(protocols));
        }
        let mut rows = Self::NEEDS;
        while let [(cap, needs), rest @ ..] = rows {
            if caps.has(*cap) && !caps.has(*needs) {
                caps = caps.without(*cap);
            }
            rows = rest;
        }
        if caps.has(Caps::LARGE_BLOBS) {
            caps = caps.without(Caps::LARGE_BLOB_EXTENSION);
        }
        // Another capability may need one that was removed.
        if caps.0 == self.0 { caps } else { caps.consistent() }
    }

    /// Whether all of `caps` are in here.
    pub const fn has(self, caps: Caps) -> bool {
        self.0 & caps.0 == caps.0
    }

    /// The union of both.
    pub const fn with(self, caps: Caps) -> Caps {
        Caps(self.0 | caps.0)
    }

    /// These without `caps`.
    pub const fn without(self, caps: Caps) -> Caps {
        Caps(self.0 & !caps.0)
    }

    /// The capability to make credentials of `algorithm`. `None` if this version cannot make them.
    pub const fn of(algorithm: Algorithm) -> Option<Caps> {
        let mut known: &[(Algorithm, Caps)] = &[
            (Algorithm::ES256, Caps::NONE),
            (Algorithm::EDDSA, Caps::EDDSA),
            (Algorithm::ES384, Caps::ES384),
            (Algorithm::ES512, Caps::ES512),
            (Algorithm::ES256K, Caps::ES256K),
            (Algorithm::RS256, Caps::RS256),
            (Algorithm::PS256, Caps::PS256),
            (Algorithm::ML_DSA_44, Caps::ML_DSA_44),
            (Algorithm::ML_DSA_65, Caps::ML_DSA_65),
            (Algorithm::ML_DSA_87, Caps::ML_DSA_87),
            (Algorithm::ESP256, Caps::ESP256),
            (Algorithm::ED25519, Caps::ED25519),
            (Algorithm::ESP384, Caps::ESP384),
            (Algorithm::ESP512, Caps::ESP512),
        ];
        while let [(one, caps), rest @ ..] = known {
            if one.0 == algorithm.0 {
                return Some(*caps);
            }
            known = rest;
        }
        None
    }

    /// Whether credentials of `algorithm` may be made.
    pub const fn allows(self, algorithm: Algorithm) -> bool {
        match Caps::of(algorithm) {
            Some(caps) => self.has(caps),
            None => false,
        }
    }
}

/// The capabilities by name, with commas between them.
impl fmt::Display for Caps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = *self;
        let mut separator = "";
        for (caps, name) in Self::NAMES.iter().filter(|(caps, _)| self.has(*caps)) {
            write!(f, "{separator}{name}")?;
            rest = rest.without(*caps);
            separator = ", ";
        }
        match rest {
            Caps::NONE => Ok(()),
            Caps(unknown) => write!(f, "{separator}unknown capabilities {unknown:#x}"),
        }
    }
}

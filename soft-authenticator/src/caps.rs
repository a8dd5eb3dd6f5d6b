//! What an authenticator can do: compiled in, and switched on.

use keyfob_core::cose::Algorithm;

/// A set of capabilities.
///
/// A platform names those it compiles ([`crate::engine::Platform::COMPILED`]); the linker drops the code of the others.
/// A configuration switches some of these on, and getInfo is computed from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps(pub u64);

/// What capabilities build on.
const NEEDS: [(Caps, Caps); 6] = [
    (Caps::HMAC_SECRET, Caps::CLIENT_PIN), // for its key agreement
    (Caps::HMAC_SECRET_MC, Caps::HMAC_SECRET),
    (Caps::CRED_BLOB, Caps::CRED_PROTECT),
    (Caps::CRED_BLOB, Caps::DISCOVERABLE),
    (Caps::LARGE_BLOB_EXTENSION, Caps::DISCOVERABLE),
    (Caps::PIN_COMPLEXITY, Caps::CLIENT_PIN),
];

impl Caps {
    /// Nothing but non-discoverable credentials with ES256.
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
    /// A PIN gives no permission to register or sign in.
    pub const NO_MC_GA_WITH_PIN: Caps = Caps(1 << 8);
    /// Attestation with a certificate, where one is configured.
    pub const CERTIFIED_ATTESTATION: Caps = Caps(1 << 9);
    /// authenticatorCredentialManagement, and its prototype.
    pub const CRED_MGMT: Caps = Caps(1 << 10);
    /// Read-only credential management with a persistent token (2.2).
    pub const PERSISTENT_CRED_MGMT: Caps = Caps(1 << 11);
    /// authenticatorLargeBlobs and the extension `largeBlobKey`, where the store has room for them.
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
    /// Everything this version knows.
    pub const ALL: Caps = Caps((1 << 29) - 1);

    /// Whether all of `caps` are in here.
    pub const fn has(self, caps: Caps) -> bool {
        self.0 & caps.0 == caps.0
    }

    /// Both together.
    pub const fn with(self, caps: Caps) -> Caps {
        Caps(self.0 | caps.0)
    }

    /// These without `caps`.
    pub const fn without(self, caps: Caps) -> Caps {
        Caps(self.0 & !caps.0)
    }

    /// These without the ones that need another which is not there.
    pub fn without_orphans(mut self) -> Caps {
        while let Some((orphan, _)) = self.first_orphan() {
            self = self.without(orphan);
        }
        self
    }

    /// A capability in here that needs another which is not, and that other one.
    pub(crate) fn first_orphan(self) -> Option<(Caps, Caps)> {
        NEEDS.into_iter().find(|(of, on)| self.has(*of) && !self.has(*on))
    }

    /// Whether credentials of `algorithm` may be made.
    pub const fn allows(self, algorithm: Algorithm) -> bool {
        match algorithm {
            Algorithm::ES256 => true,
            Algorithm::EDDSA => self.has(Caps::EDDSA),
            _ => false,
        }
    }
}

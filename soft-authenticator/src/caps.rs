//! What an authenticator can do: compiled in, and switched on.

use keyfob_core::cose::Algorithm;

/// A set of capabilities.
///
/// A platform names those it compiles ([`crate::engine::Platform::COMPILED`]); the linker drops the code of the others.
/// A configuration switches some of these on, and getInfo is computed from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps(pub u32);

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
    /// ES384 credentials.
    pub const ES384: Caps = Caps(1 << 24);
    /// ES512 credentials.
    pub const ES512: Caps = Caps(1 << 25);
    /// ES256K credentials.
    pub const ES256K: Caps = Caps(1 << 26);
    /// RS256 credentials.
    pub const RS256: Caps = Caps(1 << 27);
    /// PS256 credentials.
    pub const PS256: Caps = Caps(1 << 28);
    /// ML-DSA-44 credentials.
    pub const ML_DSA_44: Caps = Caps(1 << 29);
    /// ML-DSA-65 credentials.
    pub const ML_DSA_65: Caps = Caps(1 << 30);
    /// ML-DSA-87 credentials.
    pub const ML_DSA_87: Caps = Caps(1 << 31);
    /// Everything this version knows. Algorithms that the crypto backend lacks are not offered all the same.
    pub const ALL: Caps = Caps(((1 << 10) - 1) | (0xff << 24));

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

    /// The capability to make credentials of `algorithm`; `None` for one that this version makes none of.
    pub const fn of(algorithm: Algorithm) -> Option<Caps> {
        match algorithm {
            Algorithm::ES256 => Some(Caps::NONE),
            Algorithm::EDDSA => Some(Caps::EDDSA),
            Algorithm::ES384 => Some(Caps::ES384),
            Algorithm::ES512 => Some(Caps::ES512),
            Algorithm::ES256K => Some(Caps::ES256K),
            Algorithm::RS256 => Some(Caps::RS256),
            Algorithm::PS256 => Some(Caps::PS256),
            Algorithm::ML_DSA_44 => Some(Caps::ML_DSA_44),
            Algorithm::ML_DSA_65 => Some(Caps::ML_DSA_65),
            Algorithm::ML_DSA_87 => Some(Caps::ML_DSA_87),
            _ => None,
        }
    }

    /// Whether credentials of `algorithm` may be made.
    pub const fn allows(self, algorithm: Algorithm) -> bool {
        match Caps::of(algorithm) {
            Some(caps) => self.has(caps),
            None => false,
        }
    }
}

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
    /// Everything this version knows.
    pub const ALL: Caps = Caps((1 << 10) - 1);

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

    /// Whether credentials of `algorithm` may be made.
    pub const fn allows(self, algorithm: Algorithm) -> bool {
        match algorithm {
            Algorithm::ES256 => true,
            Algorithm::EDDSA => self.has(Caps::EDDSA),
            _ => false,
        }
    }
}

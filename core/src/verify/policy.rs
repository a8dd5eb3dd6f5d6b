//! What the standard leaves to the relying party, and where deployed ones disagree.

/// A relying party's choices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Whether a registration may come without attestation. It comes so from every browser that was not asked for one.
    pub accept_none: bool,
    /// Whether a registration may be attested by the credential's own key.
    pub accept_self: bool,
    /// Whether the AAGUID of a "fido-u2f" attestation must be zero: U2F has none. The standard does not say so, its own
    /// vector has another one.
    pub u2f_aaguid_is_zero: bool,
    /// Whether `tokenBinding` in client data must have the form of WebAuthn Level 2, where it is there. Level 3 ignores it.
    pub check_token_binding: bool,
    /// Whether a signature counter may fall or stay. Synchronised passkeys do that; so do copies of a key.
    pub accept_falling_counter: bool,
    /// What may become of a credential's backup eligibility.
    pub backup_eligibility: BackupEligibility,
}

/// What may become of a credential's backup eligibility. The standard says it does not change; some providers change it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BackupEligibility {
    /// It stays.
    #[default]
    Fixed,
    /// A credential may become backup eligible, but not cease to be.
    MayAppear,
    /// Anything.
    MayChange,
}

impl Policy {
    /// WebAuthn Level 3, with any attestation that it knows.
    pub const STANDARD: Policy = Policy {
        accept_none: true,
        accept_self: true,
        u2f_aaguid_is_zero: false,
        check_token_binding: false,
        accept_falling_counter: false,
        backup_eligibility: BackupEligibility::Fixed,
    };

    /// What servers are tested for: the same, and strict about U2F's AAGUID and token binding.
    pub const CONFORMANCE: Policy = Policy { u2f_aaguid_is_zero: true, check_token_binding: true, ..Self::STANDARD };
}

impl BackupEligibility {
    /// Whether a credential that was stored as eligible, or not, may now say otherwise.
    pub(super) fn allows(self, stored: bool, now: bool) -> bool {
        match self {
            Self::Fixed => stored == now,
            Self::MayAppear => now || !stored,
            Self::MayChange => true,
        }
    }
}

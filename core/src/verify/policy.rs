//! Choices that the standard leaves to the relying party, and points on which deployed servers differ.

/// A relying party's choices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelyingPartyPolicy {
    /// Whether a registration may have no attestation. Browsers send none unless the relying party requests it.
    pub accept_none: bool,
    /// Whether a registration may have self attestation.
    pub accept_self: bool,
    /// Whether the AAGUID of a "fido-u2f" attestation must be zero, because U2F has none. The standard does not require
    /// it, and its own vector has another AAGUID.
    pub u2f_aaguid_is_zero: bool,
    /// Whether `tokenBinding` in client data, if present, must have the form of WebAuthn Level 2. Level 3 ignores it.
    pub check_token_binding: bool,
    /// Whether a signature counter may stay the same or decrease. It does so for synchronised passkeys, and for a
    /// cloned authenticator.
    pub accept_falling_counter: bool,
    /// How a credential's backup eligibility may change.
    pub backup_eligibility: BackupEligibility,
}

/// How a credential's backup eligibility may change. In the standard it does not change, but some providers change it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum BackupEligibility {
    /// It may not change.
    #[default]
    Fixed,
    /// A credential may become backup eligible, but may not stop being so.
    MayAppear,
    /// It may change in both directions.
    MayChange,
}

impl RelyingPartyPolicy {
    /// WebAuthn Level 3, with any attestation format that [`attestation`](super::attestation) verifies.
    pub const STANDARD: RelyingPartyPolicy = RelyingPartyPolicy {
        accept_none: true,
        accept_self: true,
        u2f_aaguid_is_zero: false,
        check_token_binding: false,
        accept_falling_counter: false,
        backup_eligibility: BackupEligibility::Fixed,
    };

    /// [`RelyingPartyPolicy::STANDARD`] with the additional checks of the FIDO conformance tests: U2F's AAGUID and
    /// token binding.
    pub const CONFORMANCE: RelyingPartyPolicy =
        RelyingPartyPolicy { u2f_aaguid_is_zero: true, check_token_binding: true, ..Self::STANDARD };
}

impl BackupEligibility {
    /// Whether a credential may be backup eligible `now` if it was `stored` with this eligibility.
    pub(super) fn allows(self, stored: bool, now: bool) -> bool {
        match self {
            Self::Fixed => stored == now,
            Self::MayAppear => now || !stored,
            Self::MayChange => true,
        }
    }
}

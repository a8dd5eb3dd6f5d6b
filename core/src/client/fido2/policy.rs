//! Where the standards leave a choice.

use rand_core::CryptoRng;

use crate::{
    client::{Ceremony, PreferredWithoutUv, operation::Operation},
    crypto::Crypto,
};

/// What a client does where the standards leave it the choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy<'p> {
    /// What preferred user verification means when it is not set up.
    pub preferred_without_uv: PreferredWithoutUv,
    /// Whether an attestation that was not asked for is taken out (WebAuthn L3 §5.1.3).
    pub scrub_attestation: bool,
    /// The relying parties that get platform-managed enterprise attestation; the others get none. Without a list everyone
    /// may have a vendor-facilitated one, for which the authenticator has a list of its own (CTAP 2.3 §7.1.2).
    pub enterprise_rp_ids: Option<&'p [&'p str]>,
    /// Whether responses have to be in the canonical form of CTAP2; real authenticators send others.
    pub strict_cbor: bool,
    /// Whether authenticators of version 1 (U2F) are used. One of version 2 is never taken for one.
    pub ctap1: bool,
}

impl Policy<'static> {
    /// What browsers do.
    pub const STANDARD: Self = Self {
        preferred_without_uv: PreferredWithoutUv::Proceed,
        scrub_attestation: true,
        enterprise_rp_ids: None,
        strict_cbor: false,
        ctap1: true,
    };

    /// What python-fido2 does.
    pub const PYTHON_FIDO2: Self = Self {
        preferred_without_uv: PreferredWithoutUv::Error,
        scrub_attestation: false,
        strict_cbor: true,
        ..Self::STANDARD
    };
}

impl Default for Policy<'static> {
    fn default() -> Self {
        Self::STANDARD
    }
}

impl Policy<'_> {
    /// `ceremony` under this policy.
    pub(super) fn rule<'b, O: Operation + 'b, C: Crypto, R: CryptoRng>(
        &self,
        ceremony: Ceremony<'b, O, C, R>,
    ) -> Ceremony<'b, O, C, R> {
        let ceremony = if self.strict_cbor { ceremony.strict() } else { ceremony };
        if self.ctap1 { ceremony } else { ceremony.ctap2_only() }
    }

    /// The kind of enterprise attestation that `rp_id` is to have, as the authenticator takes it.
    pub(super) fn enterprise(&self, rp_id: &str) -> Option<u64> {
        match self.enterprise_rp_ids {
            None => Some(1),
            Some(listed) => listed.contains(&rp_id).then_some(2),
        }
    }
}

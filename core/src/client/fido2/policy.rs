//! Where the standards leave a choice.

use crate::client::PreferredWithoutUv;

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
}

impl Policy<'static> {
    /// What browsers do.
    pub const STANDARD: Self =
        Self { preferred_without_uv: PreferredWithoutUv::Proceed, scrub_attestation: true, enterprise_rp_ids: None };

    /// What python-fido2 does.
    pub const PYTHON_FIDO2: Self =
        Self { preferred_without_uv: PreferredWithoutUv::Error, scrub_attestation: false, ..Self::STANDARD };
}

impl Default for Policy<'static> {
    fn default() -> Self {
        Self::STANDARD
    }
}

impl Policy<'_> {
    /// The kind of enterprise attestation that `rp_id` is to have, as the authenticator takes it.
    pub(super) fn enterprise(&self, rp_id: &str) -> Option<u64> {
        match self.enterprise_rp_ids {
            None => Some(1),
            Some(listed) => listed.contains(&rp_id).then_some(2),
        }
    }
}

//! Where the standards leave a choice.

use core::time::Duration;

use crate::{
    client::{Ceremony, DEFAULT_PIN_ATTEMPTS, DEFAULT_TIMEOUT, PreferredWithoutUv},
    webauthn::Attachment,
};

/// What a client does where the standards leave it the choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientPolicy<'p> {
    /// What preferred user verification means when it is not set up.
    pub preferred_without_uv: PreferredWithoutUv,
    /// Whether an attestation that was not asked for is taken out (WebAuthn L3 §5.1.3).
    pub scrub_attestation: bool,
    /// The relying parties that get platform-managed enterprise attestation; the others get none. Without a list
    /// everyone may have a vendor-facilitated one, for which the authenticator has a list of its own (CTAP 2.3 §7.1.2).
    pub enterprise_rp_ids: Option<&'p [&'p str]>,
    /// Whether responses have to be in the canonical form of CTAP2; real authenticators send others.
    pub strict_cbor: bool,
    /// Whether authenticators of version 1 (U2F) are used. One of version 2 is never taken for one.
    pub ctap1: bool,
    /// How many PINs the user may give in a ceremony, as in [`Ceremony::pin_attempts`].
    pub pin_attempts: u8,
    /// Where the client's authenticators are. A registration that asks for another attachment, and hints at nothing
    /// else, is refused before anything is sent (WebAuthn L3 §5.1.3). `None`: the caller has chosen one that will do.
    pub attachment: Option<Attachment>,
    /// The shortest time that a ceremony has, whatever its options say.
    pub min_timeout: Duration,
    /// The longest time that a ceremony has, whatever its options say.
    pub max_timeout: Duration,
}

impl ClientPolicy<'static> {
    /// What browsers do.
    pub const STANDARD: Self = Self {
        preferred_without_uv: PreferredWithoutUv::Proceed,
        scrub_attestation: true,
        enterprise_rp_ids: None,
        strict_cbor: false,
        ctap1: true,
        pin_attempts: DEFAULT_PIN_ATTEMPTS,
        attachment: Some(Attachment::CrossPlatform),
        // WebAuthn L3 §15.1
        min_timeout: Duration::from_secs(300),
        max_timeout: Duration::from_secs(600),
    };

    /// What python-fido2 does.
    pub const PYTHON_FIDO2: Self = Self {
        preferred_without_uv: PreferredWithoutUv::Error,
        scrub_attestation: false,
        strict_cbor: true,
        pin_attempts: 1,
        attachment: None,
        min_timeout: Duration::ZERO,
        max_timeout: Duration::MAX,
        ..Self::STANDARD
    };
}

impl Default for ClientPolicy<'static> {
    fn default() -> Self {
        Self::STANDARD
    }
}

impl ClientPolicy<'_> {
    /// `ceremony` under this policy.
    pub(super) fn rule<'b, O, C, R, S>(&self, ceremony: Ceremony<'b, O, C, R, S>) -> Ceremony<'b, O, C, R, S> {
        let ceremony = ceremony.pin_attempts(self.pin_attempts);
        let ceremony = if self.strict_cbor { ceremony.strict() } else { ceremony };
        if self.ctap1 { ceremony } else { ceremony.ctap2_only() }
    }

    /// How long a ceremony may take whose options say `millis`.
    pub(super) fn timeout(&self, millis: Option<u32>) -> Duration {
        millis
            .map_or(DEFAULT_TIMEOUT, |millis| Duration::from_millis(millis.into()))
            .max(self.min_timeout)
            .min(self.max_timeout)
    }

    /// Whether a relying party that asks for `wanted` may be given the client's authenticators. Hints are wishes, which
    /// count for more than the attachment where the two contradict each other (WebAuthn L3 §5.8.7).
    pub(super) fn serves<'h>(&self, wanted: Option<Attachment>, mut hints: impl Iterator<Item = &'h str>) -> bool {
        wanted.is_none()
            || self.attachment.is_none()
            || wanted == self.attachment
            || hints.any(|hint| of_hint(hint) == self.attachment)
    }

    /// The kind of enterprise attestation that `rp_id` is to have, as the authenticator takes it.
    pub(super) fn enterprise(&self, rp_id: &str) -> Option<u32> {
        match self.enterprise_rp_ids {
            None => Some(1),
            Some(listed) => listed.contains(&rp_id).then_some(2),
        }
    }
}

/// The attachment of the authenticators that a hint means (WebAuthn L3 §5.8.7).
fn of_hint(hint: &str) -> Option<Attachment> {
    match hint {
        "security-key" | "hybrid" => Some(Attachment::CrossPlatform),
        "client-device" => Some(Attachment::Platform),
        _ => None,
    }
}

//! The search for a credential of the allow list that is on the authenticator, by the RP ID and then by the AppID.

use rand_core::CryptoRng;

use super::{GetAssertion, Phase};
use crate::{
    client::{Cause, Requirement, operation::Means, preflight::Preflight},
    crypto::Crypto,
};

impl GetAssertion<'_, '_> {
    /// Writes the next question about the allow list; `None` when the search is over.
    pub(super) fn search<C: Crypto, R: CryptoRng>(
        &mut self,
        means: &Means<'_, C, R>,
        buffer: &mut [u8],
    ) -> Result<Option<usize>, Cause> {
        let (options, app_id) = (self.options, self.options.extensions.app_id.unwrap_or_default());
        match self.phase {
            Phase::AppId => self.preflight.request(&options.allow_list, app_id, false, means, buffer),
            _ => self.preflight.request(&options.allow_list, options.rp_id, true, means, buffer),
        }
    }

    /// What follows a search.
    pub(super) fn searched(&mut self) -> Phase {
        let of_app_id = self.phase == Phase::AppId;
        if self.preflight.found.is_some() {
            self.by_app_id = of_app_id;
            return Phase::Picked;
        }
        // What is not of this version cannot verify the user.
        let verified = self.options.user_verification == Requirement::Required;
        if of_app_id || verified || self.options.extensions.app_id.is_none() {
            return Phase::Nobody;
        }
        self.preflight = Preflight::new();
        Phase::AppId
    }
}

//! The checks of an assertion (WebAuthn L3 §5.1.4, §7.2).

use super::{Assertion, GetAssertion, Phase, options::keep_id};
use crate::{
    auth_data::MAX_CREDENTIAL_ID,
    bytes::{self, Secret},
    client::{
        Cause,
        authorization::Grant,
        extensions::{
            LargeBlobAccess,
            hmac::{self, Salts},
            results::read_outputs,
        },
        facts::Facts,
        make_credential::check_auth_data,
        operation::{Accepted, Means, Room},
        preflight::candidates,
    },
    crypto::Crypto,
    extensions::GetAssertionOutputs,
};

impl GetAssertion<'_, '_> {
    /// What outputs are asked for: those of the credential that was found, or those of any.
    pub(super) fn salts<C: Crypto, R>(&self, means: &Means<'_, C, R>) -> Option<Salts> {
        let inputs = &self.options.extensions;
        let of_found = inputs.prf_by_credential.iter().find(|input| Some(input.id) == self.preflight.found);
        let prf = of_found.map(|input| input.eval).or(inputs.prf);
        let salts = prf.map(|input| Salts::of_prf(means.crypto, &input));
        // Inputs of prf do not yield raw secrets.
        let raw = inputs.hmac_get_secret.as_ref().filter(|_| !inputs.evaluates_prf());
        salts.or_else(|| raw.map(|raw| Salts::new(raw.salt1, raw.salt2))).filter(|_| self.evaluates)
    }

    /// Whether the assertion is what was asked for: how many there are, and whether it has the key of a large blob.
    pub(super) fn check_answer<C: Crypto, R>(
        &self,
        means: &Means<'_, C, R>,
        room: &mut Room<'_>,
    ) -> Result<(usize, bool), Cause> {
        let options = self.options;
        let (assertion, _) = Assertion::decode(room.response(), self.only, true)?;
        let Assertion { credential_id, response, auth_data, .. } = assertion;
        let grant = if self.by_app_id { Grant::None } else { means.grant };
        check_auth_data(means.crypto, &auth_data, self.rp_id(), options.user_presence, grant)?;
        if auth_data.attested_credential_data.is_some() {
            return Err(Cause::AttestedCredentialDataUnexpected);
        }
        if !(1..=MAX_CREDENTIAL_ID).contains(&credential_id.len()) {
            return Err(Cause::InvalidCredentialId);
        }
        let mut allowed = candidates(&options.allow_list, means.facts);
        if !options.allow_list.is_empty() && !allowed.any(|allowed| allowed == credential_id) {
            return Err(Cause::CredentialNotAllowed);
        }
        let total = usize::try_from(response.number_of_credentials.unwrap_or(1)).unwrap_or(usize::MAX);
        if self.len == 0 && !(1..=self.most(means.facts)).contains(&total) {
            return Err(Cause::NumberOfCredentials);
        }
        let (has_key, named) = (response.large_blob_key.is_some(), response.credential.is_some());
        let outputs: GetAssertionOutputs<'_> = read_outputs(auth_data.extensions)?;
        let mut clear = Secret([0; 64]);
        let len = hmac::open(means, outputs.hmac_secret, self.salts(means), &mut clear)?;
        if let Some(id) = self.only.filter(|_| !named) {
            keep_id(room, id)?;
        }
        if self.evaluates {
            hmac::keep(room, bytes::front(&*clear, len))?;
        }
        Ok((total, has_key))
    }

    /// How many assertions there may be. From a list the authenticator picks one (CTAP 2.3 §6.2.2); in version 2.0 it
    /// returned all of them.
    fn most(&self, facts: &Facts) -> usize {
        match self.phase {
            _ if self.options.allow_list.is_empty() => usize::MAX,
            Phase::Whole if !facts.is_2_1 => candidates(&self.options.allow_list, facts).count(),
            _ => 1,
        }
    }

    /// Whether the large-blob array has to be read once the assertions are complete.
    pub(super) fn needs_array(&self) -> bool {
        self.options.extensions.large_blob.is_some() && self.large_blob.is_in_array() && self.has_key
    }

    /// Takes a fragment of the large-blob array, or the answer that one was stored.
    pub(super) fn blobs<C: Crypto, R>(&mut self, means: &Means<'_, C, R>, response: &[u8]) -> Result<Accepted, Cause> {
        if self.phase == Phase::WriteBlobs {
            return Ok(if self.large_blob.given(response)? { Accepted::Enough } else { Accepted::Next });
        }
        let last = self.large_blob.take(means.crypto, response)?;
        Ok(match self.options.extensions.large_blob {
            _ if !last => Accepted::Next,
            Some(LargeBlobAccess::Write(_)) => {
                self.phase = Phase::WriteBlobs;
                self.large_blob.fragments.offset = 0;
                Accepted::Next
            }
            _ => Accepted::Enough,
        })
    }
}

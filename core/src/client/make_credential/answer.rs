//! The checks of the answer to a registration (WebAuthn L3 §5.1.3, §7.1).

use super::{Attestation, MakeCredential};
use crate::{
    attestation::{Packed, Statement},
    auth_data::{AuthData, Flags},
    bytes::{self, Secret},
    client::{
        Cause,
        authorization::Grant,
        extensions::{LargeBlobSupport, hmac, results::read_outputs},
        operation::{Means, Room},
    },
    crypto::{Crypto, Hash},
    extensions::{MakeCredentialOutputs, cred_protect},
};

impl MakeCredential<'_> {
    /// Whether the credential is what was asked for. The outputs of hmac-secret are kept behind the response.
    pub(super) fn check_answer<C: Crypto, R>(&self, means: &Means<'_, C, R>, room: &mut Room<'_>) -> Result<(), Cause> {
        let (Attestation { auth_data, extensions, .. }, _) = Attestation::decode(room.response(), true)?;
        check_auth_data(means.crypto, &auth_data, self.options.rp.id, true, means.grant)?;
        let attested = auth_data.attested_credential_data.ok_or(Cause::AttestedCredentialDataMissing)?;
        if attested.credential_id.is_empty() {
            return Err(Cause::InvalidCredentialId); // more than 1,023 bytes do not decode
        }
        let algorithm = attested.public_key.algorithm();
        if !self.accepted().any(|asked| asked.algorithm == algorithm) {
            return Err(Cause::AlgorithmMismatch);
        }
        if let Some(protection) = self.options.extensions.cred_protect
            && protection.enforce
            && means.facts.extensions.has(cred_protect::ID)
            && extensions.cred_protect.is_none_or(|level| level < protection.level)
        {
            return Err(Cause::CredProtectUnsupported);
        }
        if self.options.extensions.large_blob == Some(LargeBlobSupport::Required) && extensions.large_blob != Some(true)
        {
            return Err(Cause::LargeBlobUnsupported);
        }
        let outputs: MakeCredentialOutputs<'_> = read_outputs(auth_data.extensions)?;
        let mut clear = Secret([0; 64]);
        let len = hmac::open(means, outputs.hmac_secret_mc, self.salts(means), &mut clear)?;
        if self.evaluates { hmac::keep(room, bytes::front(&*clear, len)) } else { Ok(()) }
    }
}

/// Whether it is a self attestation of an unknown model, which stays (WebAuthn L3 §5.1.3).
pub(super) fn tells_nothing(attestation: &Attestation<'_>) -> bool {
    attestation.auth_data.attested_credential_data.is_some_and(|attested| *attested.aaguid == [0; 16])
        && matches!(attestation.statement, Statement::Packed(Packed { x5c: None, .. }))
}

/// The checks that registrations and assertions share (WebAuthn L3 §7.1, §7.2).
pub(in crate::client) fn check_auth_data<C: Hash>(
    crypto: &C,
    auth_data: &AuthData<'_>,
    rp_id: &str,
    user_presence: bool,
    grant: Grant<'_>,
) -> Result<(), Cause> {
    if *auth_data.rp_id_hash != crypto.sha256(&[rp_id.as_bytes()]) {
        return Err(Cause::RpIdHashMismatch);
    }
    if user_presence && !auth_data.flags.has(Flags::UP) {
        return Err(Cause::UserNotPresent);
    }
    if grant.verifies() && !auth_data.flags.has(Flags::UV) {
        return Err(Cause::UserNotVerified);
    }
    Ok(())
}

//! What a relying party gets (WebAuthn L3 §5.1, §5.2).

use crate::{
    attestation::RawStatement,
    client::{Assertion, AssertionSelection, AsyncUserInteraction, Attestation, UserInteraction},
    webauthn::{Attachment, AttestationObject},
};

/// The response of a registration.
#[derive(Clone, Copy, Debug)]
pub struct RegistrationResponse<'b> {
    /// The client data.
    pub client_data_json: &'b [u8],
    /// What the authenticator answered, and the results of the extensions.
    pub attestation: Attestation<'b>,
    /// How the authenticator is attached; `None` when the client does not know.
    pub attachment: Option<Attachment>,
}

impl<'b> RegistrationResponse<'b> {
    /// The new credential's id.
    pub fn credential_id(&self) -> &'b [u8] {
        // An attestation without it is not made.
        self.attestation.auth_data.attested_credential_data.map_or(&[], |attested| attested.credential_id)
    }

    /// The attestation object.
    pub fn attestation_object(&self) -> AttestationObject<'b> {
        let response = &self.attestation.response;
        AttestationObject {
            fmt: response.fmt,
            att_stmt: response.att_stmt.unwrap_or(RawStatement::EMPTY),
            auth_data: response.auth_data,
        }
    }
}

/// The responses of a sign-in, of which one is to be chosen: an authenticator may hold several accounts.
#[derive(Clone, Copy, Debug)]
pub struct ResponseSelection<'b> {
    /// The client data of all of them.
    pub client_data_json: &'b [u8],
    /// What the authenticator answered, and the results of the extensions, the most recent credential first.
    pub assertions: AssertionSelection<'b, 'b>,
    /// How the authenticator is attached; `None` when the client does not know.
    pub attachment: Option<Attachment>,
}

impl<'b> ResponseSelection<'b> {
    /// The response at `index`.
    pub fn get(&self, index: usize) -> Option<AuthenticationResponse<'b>> {
        let Self { client_data_json, assertions, attachment } = *self;
        assertions.get(index).map(|assertion| AuthenticationResponse { client_data_json, assertion, attachment })
    }

    /// The response that `user` chooses, who is not asked when there is only one. `None`: none of them.
    pub fn choose(&self, user: &mut impl UserInteraction) -> Option<AuthenticationResponse<'b>> {
        match self.assertions.len() {
            1 => self.get(0),
            _ => self.get(user.choose_account(&self.assertions)?),
        }
    }

    /// [`ResponseSelection::choose`] with an await.
    pub async fn choose_async(&self, user: &mut impl AsyncUserInteraction) -> Option<AuthenticationResponse<'b>> {
        match self.assertions.len() {
            1 => self.get(0),
            _ => self.get(user.choose_account(&self.assertions).await?),
        }
    }
}

/// The response of a sign-in.
#[derive(Clone, Copy, Debug)]
pub struct AuthenticationResponse<'b> {
    /// The client data.
    pub client_data_json: &'b [u8],
    /// What the authenticator answered, and the results of the extensions.
    pub assertion: Assertion<'b>,
    /// How the authenticator is attached; `None` when the client does not know.
    pub attachment: Option<Attachment>,
}

impl<'b> AuthenticationResponse<'b> {
    /// The credential's id.
    pub const fn credential_id(&self) -> &'b [u8] {
        self.assertion.credential_id
    }

    /// The user handle: `None` also for a user id of no bytes, since a relying party never gets an empty user handle
    /// (WebAuthn L3 §5.2.2).
    pub fn user_handle(&self) -> Option<&'b [u8]> {
        self.assertion.user_handle()
    }
}

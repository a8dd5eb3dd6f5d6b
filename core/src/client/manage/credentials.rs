//! Discoverable credentials: counted, listed, changed, deleted (CTAP 2.3 §6.8).

use core::convert::Infallible;

use crate::{
    cbor::Write,
    client::{
        Cause, Requirement,
        facts::{Facts, Purpose},
        operation::{Operation, Sealed},
        question::Question,
    },
    ctap2::{
        Command, CredentialDescriptor, UserEntity,
        credential_management::{Params, Response, subcommand},
        decode_response, response_body,
    },
    pin_uv::{Permissions, Token},
};

/// By what right credentials are listed.
#[derive(Clone, Copy, Debug)]
pub enum Access<'o> {
    /// The user is verified.
    User,
    /// A persistent token that the caller has kept ([`PersistentToken`](super::PersistentToken)). When it is void, that
    /// is [`Cause::TokenRevoked`].
    Stored(&'o Token),
}

/// What the operations on credentials have in common: one command, with or without parameters.
#[derive(Clone, Copy, Debug)]
pub(super) struct CredentialManagement<'o> {
    sub_command: u64,
    params: Option<Params<'o>>,
    access: Access<'o>,
}

impl<'o> CredentialManagement<'o> {
    pub(super) const fn new(sub_command: u64, params: Option<Params<'o>>, access: Access<'o>) -> Self {
        Self { sub_command, params, access }
    }

    fn of_credential(sub_command: u64, id: &'o [u8], user: Option<UserEntity<'o>>) -> Self {
        let params = Params { credential_id: Some(CredentialDescriptor::new(id)), user, ..Params::default() };
        Self::new(sub_command, Some(params), Access::User)
    }

    /// The command; `next` asks for the next part of an answer instead.
    pub(super) fn question(&self, facts: &Facts, next: Option<u64>) -> Result<Question<'_>, Cause> {
        let options = &facts.options;
        let command = match (options.cred_mgmt, options.credential_mgmt_preview) {
            (Some(true), _) => Command::CREDENTIAL_MANAGEMENT,
            (_, Some(true)) => Command::CREDENTIAL_MANAGEMENT_PREVIEW,
            _ => return Err(Cause::Unsupported),
        };
        match (self.access, next) {
            (Access::Stored(_), _) if options.per_cred_mgmt_ro != Some(true) => Err(Cause::Unsupported),
            (_, Some(next)) => Ok(Question::Unproven(command, next)),
            (_, None) => {
                let params = self.params.as_ref().map(|params| params as &dyn Write);
                Ok(Question::Subcommand(command, self.sub_command, params))
            }
        }
    }

    pub(super) fn purpose(&self) -> Purpose<'_> {
        let token = match self.access {
            Access::Stored(token) => Some(token),
            Access::User => None,
        };
        Purpose { token, ..Purpose::manage(Permissions::CM, Requirement::Required) }
    }
}

/// How many discoverable credentials there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Discoverable credentials there are.
    pub existing: u64,
    /// The most for which there is still room.
    pub remaining: u64,
}

/// Counts credentials. Its outcome is a [`Metadata`].
#[derive(Clone, Copy, Debug)]
pub struct CredentialsMetadata<'o> {
    management: CredentialManagement<'o>,
}

impl<'o> CredentialsMetadata<'o> {
    /// With this right.
    pub const fn new(access: Access<'o>) -> Self {
        Self { management: CredentialManagement::new(subcommand::GET_CREDS_METADATA, None, access) }
    }
}

impl Sealed for CredentialsMetadata<'_> {}

impl Operation for CredentialsMetadata<'_> {
    type Outcome<'b> = Metadata;
    type Item<'m> = Infallible;

    fn question(&self, facts: &Facts) -> Result<Question<'_>, Cause> {
        self.management.question(facts, None)
    }

    fn purpose(&self) -> Purpose<'_> {
        self.management.purpose()
    }

    fn outcome(&mut self, response: &[u8]) -> Result<Metadata, Cause> {
        let response: Response<'_> = decode_response(response)?;
        Ok(Metadata {
            existing: response.existing_resident_credentials_count.ok_or(Cause::missing(0x01))?,
            remaining: response.max_possible_remaining_resident_credentials_count.ok_or(Cause::missing(0x02))?,
        })
    }
}

/// Deletes a credential.
#[derive(Clone, Copy, Debug)]
pub struct DeleteCredential<'o> {
    management: CredentialManagement<'o>,
}

impl<'o> DeleteCredential<'o> {
    /// The credential with this id.
    pub fn new(credential_id: &'o [u8]) -> Self {
        Self { management: CredentialManagement::of_credential(subcommand::DELETE_CREDENTIAL, credential_id, None) }
    }
}

impl Sealed for DeleteCredential<'_> {}

impl Operation for DeleteCredential<'_> {
    type Outcome<'b> = ();
    type Item<'m> = Infallible;

    fn question(&self, facts: &Facts) -> Result<Question<'_>, Cause> {
        self.management.question(facts, None)
    }

    fn purpose(&self) -> Purpose<'_> {
        self.management.purpose()
    }

    fn outcome(&mut self, response: &[u8]) -> Result<(), Cause> {
        Ok(response_body(response).map(drop)?)
    }
}

/// Changes the names of a credential's user.
#[derive(Clone, Copy, Debug)]
pub struct UpdateUser<'o> {
    management: CredentialManagement<'o>,
}

impl<'o> UpdateUser<'o> {
    /// The user has the handle that the credential has; a name that is absent or empty is deleted.
    pub fn new(credential_id: &'o [u8], user: UserEntity<'o>) -> Self {
        Self {
            management: CredentialManagement::of_credential(
                subcommand::UPDATE_USER_INFORMATION,
                credential_id,
                Some(user),
            ),
        }
    }
}

impl Sealed for UpdateUser<'_> {}

impl Operation for UpdateUser<'_> {
    type Outcome<'b> = ();
    type Item<'m> = Infallible;

    fn question(&self, facts: &Facts) -> Result<Question<'_>, Cause> {
        self.management.question(facts, None)
    }

    fn purpose(&self) -> Purpose<'_> {
        self.management.purpose()
    }

    fn outcome(&mut self, response: &[u8]) -> Result<(), Cause> {
        Ok(response_body(response).map(drop)?)
    }
}

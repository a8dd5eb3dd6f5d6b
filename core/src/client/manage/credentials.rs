//! Discoverable credentials: counted, listed, changed, deleted (CTAP 2.3 §6.8).

use core::convert::Infallible;

use rand_core::CryptoRng;

use crate::{
    cbor::{Overflow, With, Write},
    client::{
        Cause, Requirement,
        facts::{Facts, Purpose},
        manage::proven::{self, Proven},
        operation::{Accepted, First, Means, Operation, Room, Sealed},
    },
    crypto::Crypto,
    ctap2::{
        Command, CredentialDescriptor, UserEntity,
        credential_management::{Params, Request, Response, authenticated_head, subcommand},
        decode_response, encode_request, get_info,
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
    command: Command,
}

impl<'o> CredentialManagement<'o> {
    pub(super) const fn new(sub_command: u64, params: Option<Params<'o>>, access: Access<'o>) -> Self {
        Self { sub_command, params, access, command: Command::CREDENTIAL_MANAGEMENT }
    }

    fn of_credential(sub_command: u64, id: &'o [u8], user: Option<UserEntity<'o>>) -> Self {
        let params = Params { credential_id: Some(CredentialDescriptor::new(id)), user, ..Params::default() };
        Self::new(sub_command, Some(params), Access::User)
    }

    pub(super) fn examine(&mut self, facts: &Facts) -> Result<First, Cause> {
        let options = &facts.options;
        self.command = match (options.cred_mgmt, options.credential_mgmt_preview) {
            (Some(true), _) => Command::CREDENTIAL_MANAGEMENT,
            (_, Some(true)) => Command::CREDENTIAL_MANAGEMENT_PREVIEW,
            _ => return Err(Cause::Unsupported),
        };
        match self.access {
            Access::Stored(_) if options.per_cred_mgmt_ro != Some(true) => Err(Cause::Unsupported),
            _ => Ok(First::Authorize),
        }
    }

    pub(super) fn purpose(&self) -> Purpose<'_> {
        let token = match self.access {
            Access::Stored(token) => Some(token),
            Access::User => None,
        };
        Purpose { token, ..Purpose::manage(Permissions::CM, Requirement::Required) }
    }

    /// Writes the command.
    pub(super) fn begin<C: Crypto, R>(
        &self,
        means: &Means<'_, C, R>,
        buffer: &mut [u8],
    ) -> Result<Option<usize>, Cause> {
        let params = self.params.as_ref().map(|params| params as &dyn Write);
        let head = authenticated_head(self.sub_command);
        let encode = |proven: Proven<'_>, buffer: &mut [u8]| self.encode(self.sub_command, proven, buffer);
        proven::encode(means.crypto, means.grant, &head, params, buffer, encode).map(Some)
    }

    pub(super) fn encode(&self, sub_command: u64, proven: Proven<'_>, buffer: &mut [u8]) -> Result<usize, Overflow> {
        let request = Request {
            sub_command,
            sub_command_params: None,
            pin_uv_auth_protocol: proven.protocol,
            pin_uv_auth_param: proven.param,
        };
        encode_request(self.command, &With(&request, &[(0x02, proven.params)]), buffer)
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

impl Metadata {
    fn read(response: &[u8]) -> Result<Self, Cause> {
        let response: Response<'_> = decode_response(response)?;
        Ok(Self {
            existing: response.existing_resident_credentials_count.ok_or(Cause::missing(0x01))?,
            remaining: response.max_possible_remaining_resident_credentials_count.ok_or(Cause::missing(0x02))?,
        })
    }
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

    fn examine(&mut self, _: &get_info::Response<'_>, facts: &Facts) -> Result<First, Cause> {
        self.management.examine(facts)
    }

    fn purpose(&self) -> Purpose<'_> {
        self.management.purpose()
    }

    fn request<C: Crypto, R: CryptoRng>(
        &mut self,
        means: &mut Means<'_, C, R>,
        _: &[u8],
        buffer: &mut [u8],
    ) -> Result<Option<usize>, Cause> {
        self.management.begin(means, buffer)
    }

    fn accept<C: Crypto, R: CryptoRng>(
        &mut self,
        _: &mut Means<'_, C, R>,
        room: &mut Room<'_>,
    ) -> Result<Accepted, Cause> {
        Metadata::read(room.response()).map(|_| Accepted::Complete)
    }

    fn outcome(self, response: &[u8]) -> Result<Metadata, Cause> {
        Metadata::read(response)
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

    fn examine(&mut self, _: &get_info::Response<'_>, facts: &Facts) -> Result<First, Cause> {
        self.management.examine(facts)
    }

    fn purpose(&self) -> Purpose<'_> {
        self.management.purpose()
    }

    fn request<C: Crypto, R: CryptoRng>(
        &mut self,
        means: &mut Means<'_, C, R>,
        _: &[u8],
        buffer: &mut [u8],
    ) -> Result<Option<usize>, Cause> {
        self.management.begin(means, buffer)
    }

    fn outcome(self, _: &[u8]) -> Result<(), Cause> {
        Ok(())
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

    fn examine(&mut self, _: &get_info::Response<'_>, facts: &Facts) -> Result<First, Cause> {
        self.management.examine(facts)
    }

    fn purpose(&self) -> Purpose<'_> {
        self.management.purpose()
    }

    fn request<C: Crypto, R: CryptoRng>(
        &mut self,
        means: &mut Means<'_, C, R>,
        _: &[u8],
        buffer: &mut [u8],
    ) -> Result<Option<usize>, Cause> {
        self.management.begin(means, buffer)
    }

    fn outcome(self, _: &[u8]) -> Result<(), Cause> {
        Ok(())
    }
}

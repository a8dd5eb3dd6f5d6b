//! Discoverable credentials: how many, whose, and their end (CTAP 2.3 §6.8).

use core::{convert::Infallible, marker::PhantomData};

use rand_core::CryptoRng;

use crate::{
    Status,
    cbor::{Write, Writer},
    client::{
        Cause, Ceremony, Requirement,
        facts::{Facts, Purpose},
        manage::proven::{self, Proven},
        operation::{Means, Operation, Progress, Room},
    },
    cose::CoseKey,
    crypto::Crypto,
    ctap2::{
        Command, CredentialDescriptor, ResponseError, RpEntity, UserEntity,
        credential_management::{Params, Request, Response, authenticated_head, subcommand},
        decode_response, encode_request, get_info, response_body,
    },
    extensions::{cred_protect::Level, large_blob_key::LargeBlobKey},
    pin_uv::{Permissions, Token},
};

/// By what right credentials are listed.
#[derive(Clone, Copy, Debug)]
pub enum Access<'o> {
    /// The user is verified.
    User,
    /// A persistent token that the caller has kept ([`PersistentToken`](super::PersistentToken)). When it is void, that is
    /// [`Cause::TokenRevoked`].
    Stored(&'o Token),
}

/// The operation that counts credentials. Its outcome is a [`Metadata`].
pub type CredentialsMetadata<'o, 'b, C, R> = Ceremony<'b, CredentialManagement<'o, Metadata>, C, R>;

/// The operation that lists the relying parties with credentials: each is an item, a [`RelyingParty`]. Its outcome is how
/// many there were.
pub type ListRelyingParties<'o, 'b, C, R> = Ceremony<'b, CredentialManagement<'o, Enumeration<RelyingParties>>, C, R>;

/// The operation that lists the credentials of a relying party: each is an item, a [`Credential`]. Its outcome is how many
/// there were.
pub type ListCredentials<'o, 'b, C, R> = Ceremony<'b, CredentialManagement<'o, Enumeration<Credentials>>, C, R>;

/// The operation that deletes a credential.
pub type DeleteCredential<'o, 'b, C, R> = Ceremony<'b, CredentialManagement<'o, Change<false>>, C, R>;

/// The operation that changes the names of a credential's user.
pub type UpdateUser<'o, 'b, C, R> = Ceremony<'b, CredentialManagement<'o, Change<true>>, C, R>;

impl<'o: 'b, 'b, C: Crypto, R: CryptoRng> CredentialsMetadata<'o, 'b, C, R> {
    /// An operation that has not begun. `buffer` has at least [`MIN_BUFFER`](crate::client::MIN_BUFFER) bytes.
    pub fn new(access: Access<'o>, buffer: &'b mut [u8], crypto: C, rng: R) -> Self {
        let begin = subcommand::GET_CREDS_METADATA;
        Self::with(CredentialManagement::new(begin, None, access, Metadata::default()), buffer, crypto, rng)
    }
}

impl<'o: 'b, 'b, C: Crypto, R: CryptoRng> ListRelyingParties<'o, 'b, C, R> {
    /// An operation that has not begun. `buffer` has at least [`MIN_BUFFER`](crate::client::MIN_BUFFER) bytes.
    pub fn new(access: Access<'o>, buffer: &'b mut [u8], crypto: C, rng: R) -> Self {
        let begin = subcommand::ENUMERATE_RPS_BEGIN;
        Self::with(CredentialManagement::new(begin, None, access, Enumeration::new()), buffer, crypto, rng)
    }
}

impl<'o: 'b, 'b, C: Crypto, R: CryptoRng> ListCredentials<'o, 'b, C, R> {
    /// An operation that has not begun. `rp_id_hash` is that of a [`RelyingParty`], or SHA-256 of an RP ID. `buffer` has
    /// at least [`MIN_BUFFER`](crate::client::MIN_BUFFER) bytes.
    pub fn new(rp_id_hash: &'o [u8; 32], access: Access<'o>, buffer: &'b mut [u8], crypto: C, rng: R) -> Self {
        let params = Params { rp_id_hash: Some(rp_id_hash), ..Params::default() };
        let begin = subcommand::ENUMERATE_CREDENTIALS_BEGIN;
        Self::with(CredentialManagement::new(begin, Some(params), access, Enumeration::new()), buffer, crypto, rng)
    }
}

impl<'o: 'b, 'b, C: Crypto, R: CryptoRng> DeleteCredential<'o, 'b, C, R> {
    /// An operation that has not begun. `buffer` has at least [`MIN_BUFFER`](crate::client::MIN_BUFFER) bytes.
    pub fn new(credential_id: &'o [u8], buffer: &'b mut [u8], crypto: C, rng: R) -> Self {
        let credential_id = Some(CredentialDescriptor::new(credential_id));
        let params = Params { credential_id, ..Params::default() };
        let begin = subcommand::DELETE_CREDENTIAL;
        Self::with(CredentialManagement::new(begin, Some(params), Access::User, Change), buffer, crypto, rng)
    }
}

impl<'o: 'b, 'b, C: Crypto, R: CryptoRng> UpdateUser<'o, 'b, C, R> {
    /// An operation that has not begun. The user has the handle that the credential has; a name that is absent or empty is
    /// deleted. `buffer` has at least [`MIN_BUFFER`](crate::client::MIN_BUFFER) bytes.
    pub fn new(credential_id: &'o [u8], user: UserEntity<'o>, buffer: &'b mut [u8], crypto: C, rng: R) -> Self {
        let credential_id = Some(CredentialDescriptor::new(credential_id));
        let params = Params { credential_id, user: Some(user), ..Params::default() };
        let begin = subcommand::UPDATE_USER_INFORMATION;
        Self::with(CredentialManagement::new(begin, Some(params), Access::User, Change), buffer, crypto, rng)
    }
}

/// What differs between the operations on credentials.
pub trait Kind {
    /// The outcome.
    type Outcome;
    /// What is shown on the way.
    type Item<'m>: Copy;

    /// The subcommand of the next request, `None` for the first.
    fn next(&self) -> Option<u64> {
        None
    }
    /// Checks a response.
    fn accept(&mut self, response: &[u8]) -> Result<Progress, Cause>;
    /// What there is to show of it.
    fn item<'m>(&self, response: Response<'m>) -> Option<Self::Item<'m>>;
    /// The outcome.
    fn outcome(self) -> Self::Outcome;
}

/// How many discoverable credentials there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Discoverable credentials there are.
    pub existing: u64,
    /// The most for which there is still room.
    pub remaining: u64,
}

impl Kind for Metadata {
    type Outcome = Metadata;
    type Item<'m> = Infallible;

    fn accept(&mut self, response: &[u8]) -> Result<Progress, Cause> {
        let response: Response<'_> = decode_response(response)?;
        *self = Self {
            existing: response.existing_resident_credentials_count.ok_or(Cause::missing(0x01))?,
            remaining: response.max_possible_remaining_resident_credentials_count.ok_or(Cause::missing(0x02))?,
        };
        Ok(Progress::Complete)
    }

    fn item(&self, _: Response<'_>) -> Option<Infallible> {
        None
    }

    fn outcome(self) -> Metadata {
        self
    }
}

/// A command of which only the status matters: a credential is deleted, or its user updated.
#[derive(Debug)]
pub struct Change<const UPDATE: bool>;

impl<const UPDATE: bool> Kind for Change<UPDATE> {
    type Outcome = ();
    type Item<'m> = Infallible;

    fn accept(&mut self, response: &[u8]) -> Result<Progress, Cause> {
        response_body(response)?;
        Ok(Progress::Complete)
    }

    fn item(&self, _: Response<'_>) -> Option<Infallible> {
        None
    }

    fn outcome(self) {}
}

/// What can be listed.
pub trait Listed {
    /// One of it.
    type Item<'m>: Copy;
    /// The subcommand that asks for the next.
    const NEXT: u64;

    /// How many there are, by the first response.
    fn total(response: &Response<'_>) -> Result<u64, Cause>;
    /// The one in a response.
    fn item<'m>(response: Response<'m>) -> Result<Self::Item<'m>, Cause>;
}

/// A relying party with credentials.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RelyingParty<'m> {
    /// The relying party; an authenticator may have shortened its id.
    pub rp: RpEntity<'m>,
    /// SHA-256 of its whole id.
    pub rp_id_hash: &'m [u8; 32],
}

/// Relying parties, to be listed.
#[derive(Debug)]
pub struct RelyingParties;

impl Listed for RelyingParties {
    type Item<'m> = RelyingParty<'m>;
    const NEXT: u64 = subcommand::ENUMERATE_RPS_GET_NEXT_RP;

    fn total(response: &Response<'_>) -> Result<u64, Cause> {
        response.total_rps.ok_or(Cause::missing(0x05))
    }

    fn item<'m>(response: Response<'m>) -> Result<RelyingParty<'m>, Cause> {
        Ok(RelyingParty {
            rp: response.rp.ok_or(Cause::missing(0x03))?,
            rp_id_hash: response.rp_id_hash.ok_or(Cause::missing(0x04))?,
        })
    }
}

/// A discoverable credential.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Credential<'m> {
    /// Its user.
    pub user: UserEntity<'m>,
    /// Its id.
    pub id: &'m [u8],
    /// Its public key.
    pub public_key: CoseKey<'m>,
    /// Its protection; `None` when the authenticator does not say.
    pub cred_protect: Option<Level>,
    /// The key of its large blob, where it has one.
    pub large_blob_key: Option<LargeBlobKey<'m>>,
    /// Whether third parties may use it for payments; `None` when the authenticator does not say (2.2).
    pub third_party_payment: Option<bool>,
}

/// Credentials, to be listed.
#[derive(Debug)]
pub struct Credentials;

impl Listed for Credentials {
    type Item<'m> = Credential<'m>;
    const NEXT: u64 = subcommand::ENUMERATE_CREDENTIALS_GET_NEXT_CREDENTIAL;

    fn total(response: &Response<'_>) -> Result<u64, Cause> {
        response.total_credentials.ok_or(Cause::missing(0x09))
    }

    fn item<'m>(response: Response<'m>) -> Result<Credential<'m>, Cause> {
        Ok(Credential {
            user: response.user.ok_or(Cause::missing(0x06))?,
            id: response.credential_id.ok_or(Cause::missing(0x07))?.id,
            public_key: response.public_key.ok_or(Cause::missing(0x08))?,
            cred_protect: response.cred_protect,
            large_blob_key: response.large_blob_key,
            third_party_payment: response.third_party_payment,
        })
    }
}

/// A list that is asked for one after the other.
#[derive(Debug)]
pub struct Enumeration<L> {
    seen: u64,
    total: u64,
    listed: PhantomData<fn() -> L>,
}

impl<L> Enumeration<L> {
    const fn new() -> Self {
        Self { seen: 0, total: 0, listed: PhantomData }
    }
}

impl<L: Listed> Kind for Enumeration<L> {
    type Outcome = u64;
    type Item<'m> = L::Item<'m>;

    fn next(&self) -> Option<u64> {
        (self.seen > 0).then_some(L::NEXT)
    }

    fn accept(&mut self, response: &[u8]) -> Result<Progress, Cause> {
        let response = match decode_response::<Response<'_>>(response) {
            Err(ResponseError::Status(Status::NO_CREDENTIALS)) if self.seen == 0 => return Ok(Progress::Complete),
            response => response?,
        };
        if self.seen == 0 {
            self.total = L::total(&response)?;
            if self.total == 0 {
                return Ok(Progress::Complete);
            }
        }
        L::item(response)?;
        self.seen = self.seen.saturating_add(1);
        Ok(Progress::Show { keep: false, last: self.seen >= self.total })
    }

    fn item<'m>(&self, response: Response<'m>) -> Option<L::Item<'m>> {
        L::item(response).ok()
    }

    fn outcome(self) -> u64 {
        self.seen
    }
}

/// What the operations on credentials have in common.
#[derive(Debug)]
pub struct CredentialManagement<'o, K> {
    sub_command: u64,
    params: Option<Params<'o>>,
    access: Access<'o>,
    command: Command,
    kind: K,
}

impl<'o, K> CredentialManagement<'o, K> {
    const fn new(sub_command: u64, params: Option<Params<'o>>, access: Access<'o>, kind: K) -> Self {
        Self { sub_command, params, access, command: Command::CREDENTIAL_MANAGEMENT, kind }
    }
}

impl<K: Kind> Operation for CredentialManagement<'_, K> {
    type Outcome<'b>
        = K::Outcome
    where
        Self: 'b;
    type Item<'m> = K::Item<'m>;

    fn examine(&mut self, _: &get_info::Response<'_>, facts: &Facts) -> Result<(), Cause> {
        let options = &facts.options;
        self.command = match (options.cred_mgmt, options.credential_mgmt_preview) {
            (Some(true), _) => Command::CREDENTIAL_MANAGEMENT,
            (_, Some(true)) => Command::CREDENTIAL_MANAGEMENT_PREVIEW,
            _ => return Err(Cause::Unsupported),
        };
        match self.access {
            Access::Stored(_) if options.per_cred_mgmt_ro != Some(true) => Err(Cause::Unsupported),
            _ => Ok(()),
        }
    }

    fn purpose(&self) -> Purpose<'_> {
        Purpose::manage(Permissions::CM, Requirement::Required)
    }

    fn stored_token(&self) -> Option<&Token> {
        match self.access {
            Access::Stored(token) => Some(token),
            Access::User => None,
        }
    }

    fn request<C: Crypto, R: CryptoRng>(
        &mut self,
        means: &mut Means<'_, C, R>,
        _: &[u8],
        buffer: &mut [u8],
    ) -> Result<usize, Cause> {
        let encode = |sub_command, proven: Proven<'_>, buffer: &mut [u8]| {
            let request = Request {
                sub_command,
                sub_command_params: proven.params,
                pin_uv_auth_protocol: proven.protocol,
                pin_uv_auth_param: proven.param,
            };
            encode_request(self.command, &request, buffer)
        };
        if let Some(next) = self.kind.next() {
            return Ok(encode(next, Proven::default(), buffer)?);
        }
        let params = |w: &mut Writer<'_>| {
            if let Some(params) = &self.params {
                params.write(w);
            }
        };
        let head = authenticated_head(self.sub_command);
        proven::encode(means.crypto, means.grant, &head, params, buffer, |proven, buffer| {
            encode(self.sub_command, proven, buffer)
        })
    }

    fn accept<C: Crypto, R: CryptoRng>(
        &mut self,
        _: &mut Means<'_, C, R>,
        room: &mut Room<'_>,
    ) -> Result<Progress, Cause> {
        self.kind.accept(room.response())
    }

    fn item<'m>(&self, response: &'m [u8]) -> Option<K::Item<'m>> {
        self.kind.item(decode_response(response).ok()?)
    }

    fn outcome<'b>(self, _: &'b [u8]) -> Result<K::Outcome, Cause>
    where
        Self: 'b,
    {
        Ok(self.kind.outcome())
    }
}

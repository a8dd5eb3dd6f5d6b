//! Discoverable credentials: counted, listed, changed, deleted (CTAP 2.3 §6.8).

use core::convert::Infallible;

use crate::{
    Status,
    cbor::Write,
    client::{
        Cause, Requirement,
        facts::{Facts, Purpose},
        operation::{Accepted, Forgets, Means, Operation, Room},
        question::Question,
    },
    cose::CoseKey,
    crypto::Crypto,
    ctap2::{
        Command, CredentialDescriptor, ResponseError, RpEntity, UserEntity,
        credential_management::{Params, Response, subcommand},
        decode_response, response_body,
    },
    extensions::{cred_protect::Level, large_blob_key::LargeBlobKey},
    pin_uv::{Permissions, Token},
};

/// By what right credentials are listed.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Access<'o> {
    /// The user is verified.
    User,
    /// A persistent token that the caller has kept ([`PersistentToken`](super::PersistentToken)). When it is void, that
    /// is [`Cause::TokenRevoked`].
    Stored(&'o Token),
}

/// What the operations on credentials have in common: one command, with or without parameters.
#[derive(Clone, Copy, Debug)]
struct CredentialManagement<'o> {
    sub_command: u32,
    params: Option<Params<'o>>,
    access: Access<'o>,
}

impl<'o> CredentialManagement<'o> {
    const fn new(sub_command: u32, params: Option<Params<'o>>, access: Access<'o>) -> Self {
        Self { sub_command, params, access }
    }

    fn of_credential(sub_command: u32, id: &'o [u8], user: Option<UserEntity<'o>>) -> Self {
        let params = Params { credential_id: Some(CredentialDescriptor::new(id)), user, ..Params::default() };
        Self::new(sub_command, Some(params), Access::User)
    }

    /// The command; `next` asks for the next part of an answer instead.
    fn question(&self, facts: &Facts, next: Option<u32>) -> Result<Question<'_>, Cause> {
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

    fn purpose(&self) -> Purpose<'_> {
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
    pub existing: u32,
    /// The most for which there is still room.
    pub remaining: u32,
}

/// Counts credentials. Its outcome is a [`Metadata`].
#[derive(Clone, Copy, Debug)]
pub struct CredentialsMetadata<'o>(CredentialManagement<'o>);

impl<'o> CredentialsMetadata<'o> {
    /// With this right.
    pub const fn new(access: Access<'o>) -> Self {
        Self(CredentialManagement::new(subcommand::GET_CREDS_METADATA, None, access))
    }
}

impl Operation for CredentialsMetadata<'_> {
    type Outcome<'b> = Metadata;
    type Item<'m> = Infallible;
    const FORGETS: Forgets = Forgets::Nothing;

    fn question(&self, facts: &Facts) -> Result<Question<'_>, Cause> {
        self.0.question(facts, None)
    }

    fn purpose(&self) -> Purpose<'_> {
        self.0.purpose()
    }

    fn outcome(&mut self, response: &[u8]) -> Result<Metadata, Cause> {
        let response: Response<'_> = decode_response(response)?;
        Ok(Metadata {
            existing: response.existing_resident_credentials_count.ok_or(Cause::missing(0x01))?,
            remaining: response.max_possible_remaining_resident_credentials_count.ok_or(Cause::missing(0x02))?,
        })
    }
}

/// A list that an authenticator returns item by item.
#[derive(Clone, Copy, Debug)]
struct Enumeration<'o> {
    management: CredentialManagement<'o>,
    /// The subcommand that asks for the next of the list.
    next: u32,
    seen: u32,
    total: u32,
}

impl<'o> Enumeration<'o> {
    const fn new(management: CredentialManagement<'o>, next: u32) -> Self {
        Self { management, next, seen: 0, total: 0 }
    }

    fn question(&self, facts: &Facts) -> Result<Question<'_>, Cause> {
        self.management.question(facts, (self.seen > 0).then_some(self.next))
    }

    /// Takes a response: `total` reads how many there are, `item` the one in it.
    fn accept<'m, I>(
        &mut self,
        response: &'m [u8],
        total: impl Fn(&Response<'m>) -> Result<u32, Cause>,
        item: impl Fn(Response<'m>) -> Result<I, Cause>,
    ) -> Result<Accepted, Cause> {
        let response = match decode_response::<Response<'_>>(response) {
            Err(ResponseError::Status(Status::NO_CREDENTIALS)) if self.seen == 0 => return Ok(Accepted::Complete),
            response => response?,
        };
        if self.seen == 0 {
            self.total = total(&response)?;
            if self.total == 0 {
                return Ok(Accepted::Complete);
            }
        }
        item(response)?;
        self.seen = self.seen.saturating_add(1);
        Ok(Accepted::Show { keep: false, last: self.seen >= self.total })
    }
}

/// Implements [`Operation`] for a list of items, whose first response tells how many there are in the member `$total`,
/// with the key `$key`.
macro_rules! lists {
    ($list:ident, $item:ident, $total:ident, $key:literal) => {
        impl Operation for $list<'_> {
            type Outcome<'b> = u32;
            type Item<'m> = $item<'m>;
            const FORGETS: Forgets = Forgets::Nothing;

            fn purpose(&self) -> Purpose<'_> {
                self.0.management.purpose()
            }

            fn question(&self, facts: &Facts) -> Result<Question<'_>, Cause> {
                self.0.question(facts)
            }

            fn accept<C: Crypto, R>(&mut self, _: &Means<'_, C, R>, room: &mut Room<'_>) -> Result<Accepted, Cause> {
                let total = |response: &Response<'_>| response.$total.ok_or(Cause::missing($key));
                self.0.accept(room.response(), total, $item::of)
            }

            fn item<'m>(&self, response: &'m [u8]) -> Option<$item<'m>> {
                $item::of(decode_response(response).ok()?).ok()
            }

            fn outcome(&mut self, _: &[u8]) -> Result<u32, Cause> {
                Ok(self.0.seen)
            }
        }
    };
}

/// A relying party with credentials.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ListedRelyingParty<'m> {
    /// The relying party; an authenticator may have shortened its id.
    pub rp: RpEntity<'m>,
    /// SHA-256 of its whole id.
    pub rp_id_hash: &'m [u8; 32],
}

impl<'m> ListedRelyingParty<'m> {
    fn of(response: Response<'m>) -> Result<Self, Cause> {
        Ok(Self {
            rp: response.rp.ok_or(Cause::missing(0x03))?,
            rp_id_hash: response.rp_id_hash.ok_or(Cause::missing(0x04))?,
        })
    }
}

/// Lists the relying parties with credentials: each is an item, a [`ListedRelyingParty`]. Its outcome is how many there
/// were.
///
/// ```
/// use keyfob_core::client::{self, Ceremony, PinEntry, Prompt, Session, UserInteraction};
/// use keyfob_core::client::manage::{Access, ListRelyingParties};
/// use keyfob_core::crypto::RustCrypto;
/// # mod example { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest/key.rs")); }
/// # use example::*;
/// # struct Dialog;
/// # impl UserInteraction for Dialog {
/// #     fn request_pin(&mut self, _: &Prompt<'_>, pin: &mut PinEntry) -> bool { pin.set("1234"); true }
/// # }
/// # let (mut key, mut buffer) = (Key::with_pin(), [0; 4096]);
/// let mut session = Session::new(); // other operations in it do not ask for the PIN again
/// let operation = ListRelyingParties::new(Access::User);
/// let ceremony = Ceremony::new(operation, &mut buffer, RustCrypto, rng()).in_session(&mut session);
/// let mut ids = Vec::new();
/// let total = client::run_each(ceremony, &mut key, &mut Dialog, clock, |found| ids.push(found.rp.id.to_owned()))?;
/// assert_eq!((ids, total), (vec!["example.org".to_owned()], 1));
/// # Ok::<(), client::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ListRelyingParties<'o>(Enumeration<'o>);

impl<'o> ListRelyingParties<'o> {
    /// With this right.
    pub const fn new(access: Access<'o>) -> Self {
        let begin = CredentialManagement::new(subcommand::ENUMERATE_RPS_BEGIN, None, access);
        Self(Enumeration::new(begin, subcommand::ENUMERATE_RPS_GET_NEXT_RP))
    }
}

lists! { ListRelyingParties, ListedRelyingParty, total_rps, 0x05 }

/// A discoverable credential.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ListedCredential<'m> {
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

impl<'m> ListedCredential<'m> {
    fn of(response: Response<'m>) -> Result<Self, Cause> {
        Ok(Self {
            user: response.user.ok_or(Cause::missing(0x06))?,
            id: response.credential_id.ok_or(Cause::missing(0x07))?.id,
            public_key: response.public_key.ok_or(Cause::missing(0x08))?,
            cred_protect: response.cred_protect,
            large_blob_key: response.large_blob_key,
            third_party_payment: response.third_party_payment,
        })
    }
}

/// Lists the credentials of a relying party: each is an item, a [`ListedCredential`]. Its outcome is how many there
/// were.
#[derive(Clone, Copy, Debug)]
pub struct ListCredentials<'o>(Enumeration<'o>);

impl<'o> ListCredentials<'o> {
    /// `rp_id_hash` is that of a [`ListedRelyingParty`], or SHA-256 of an RP ID.
    pub fn new(rp_id_hash: &'o [u8; 32], access: Access<'o>) -> Self {
        let params = Params { rp_id_hash: Some(rp_id_hash), ..Params::default() };
        let begin = CredentialManagement::new(subcommand::ENUMERATE_CREDENTIALS_BEGIN, Some(params), access);
        Self(Enumeration::new(begin, subcommand::ENUMERATE_CREDENTIALS_GET_NEXT_CREDENTIAL))
    }
}

lists! { ListCredentials, ListedCredential, total_credentials, 0x09 }

/// Deletes a credential.
#[derive(Clone, Copy, Debug)]
pub struct DeleteCredential<'o>(CredentialManagement<'o>);

impl<'o> DeleteCredential<'o> {
    /// The credential with this id.
    pub fn new(credential_id: &'o [u8]) -> Self {
        Self(CredentialManagement::of_credential(subcommand::DELETE_CREDENTIAL, credential_id, None))
    }
}

impl Operation for DeleteCredential<'_> {
    type Outcome<'b> = ();
    type Item<'m> = Infallible;
    const FORGETS: Forgets = Forgets::Nothing;

    fn question(&self, facts: &Facts) -> Result<Question<'_>, Cause> {
        self.0.question(facts, None)
    }

    fn purpose(&self) -> Purpose<'_> {
        self.0.purpose()
    }

    fn outcome(&mut self, response: &[u8]) -> Result<(), Cause> {
        Ok(response_body(response).map(drop)?)
    }
}

/// Changes the names of a credential's user.
#[derive(Clone, Copy, Debug)]
pub struct UpdateUser<'o>(CredentialManagement<'o>);

impl<'o> UpdateUser<'o> {
    /// The user's id is the one that the credential has. A name that is absent or empty is deleted.
    pub fn new(credential_id: &'o [u8], user: UserEntity<'o>) -> Self {
        Self(CredentialManagement::of_credential(subcommand::UPDATE_USER_INFORMATION, credential_id, Some(user)))
    }
}

impl Operation for UpdateUser<'_> {
    type Outcome<'b> = ();
    type Item<'m> = Infallible;
    const FORGETS: Forgets = Forgets::Nothing;

    fn question(&self, facts: &Facts) -> Result<Question<'_>, Cause> {
        self.0.question(facts, None)
    }

    fn purpose(&self) -> Purpose<'_> {
        self.0.purpose()
    }

    fn outcome(&mut self, response: &[u8]) -> Result<(), Cause> {
        Ok(response_body(response).map(drop)?)
    }
}

//! Discoverable credentials, listed one by one (CTAP 2.3 §6.8.3, §6.8.4).

use rand_core::CryptoRng;

use super::credentials::{Access, CredentialManagement};
use crate::{
    Status,
    client::{
        Cause,
        facts::{Facts, Purpose},
        operation::{Accepted, Means, Operation, Room, Sealed},
        question::Question,
    },
    cose::CoseKey,
    crypto::Crypto,
    ctap2::{
        ResponseError, RpEntity, UserEntity,
        credential_management::{Params, Response, subcommand},
        decode_response,
    },
    extensions::{cred_protect::Level, large_blob_key::LargeBlobKey},
};

/// A list that an authenticator tells one by one.
#[derive(Clone, Copy, Debug)]
struct Enumeration<'o> {
    management: CredentialManagement<'o>,
    seen: u64,
    total: u64,
}

impl<'o> Enumeration<'o> {
    const fn new(management: CredentialManagement<'o>) -> Self {
        Self { management, seen: 0, total: 0 }
    }

    /// The command, or with `next` the one that asks for the next of the list.
    fn question(&self, facts: &Facts, next: u64) -> Result<Question<'_>, Cause> {
        self.management.question(facts, (self.seen > 0).then_some(next))
    }

    /// Takes a response: `total` reads how many there are, `item` the one in it.
    fn accept<'m, I>(
        &mut self,
        response: &'m [u8],
        total: impl Fn(&Response<'m>) -> Result<u64, Cause>,
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
#[derive(Clone, Copy, Debug)]
pub struct ListRelyingParties<'o> {
    list: Enumeration<'o>,
}

impl<'o> ListRelyingParties<'o> {
    /// With this right.
    pub const fn new(access: Access<'o>) -> Self {
        Self { list: Enumeration::new(CredentialManagement::new(subcommand::ENUMERATE_RPS_BEGIN, None, access)) }
    }
}

impl Sealed for ListRelyingParties<'_> {}

impl Operation for ListRelyingParties<'_> {
    type Outcome<'b> = u64;
    type Item<'m> = ListedRelyingParty<'m>;

    fn purpose(&self) -> Purpose<'_> {
        self.list.management.purpose()
    }

    fn question(&self, facts: &Facts) -> Result<Question<'_>, Cause> {
        self.list.question(facts, subcommand::ENUMERATE_RPS_GET_NEXT_RP)
    }

    fn accept<C: Crypto, R: CryptoRng>(
        &mut self,
        _: &mut Means<'_, C, R>,
        room: &mut Room<'_>,
    ) -> Result<Accepted, Cause> {
        let total = |response: &Response<'_>| response.total_rps.ok_or(Cause::missing(0x05));
        self.list.accept(room.response(), total, ListedRelyingParty::of)
    }

    fn item<'m>(&self, response: &'m [u8]) -> Option<ListedRelyingParty<'m>> {
        ListedRelyingParty::of(decode_response(response).ok()?).ok()
    }

    fn outcome(&mut self, _: &[u8]) -> Result<u64, Cause> {
        Ok(self.list.seen)
    }
}

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
pub struct ListCredentials<'o> {
    list: Enumeration<'o>,
}

impl<'o> ListCredentials<'o> {
    /// `rp_id_hash` is that of a [`ListedRelyingParty`], or SHA-256 of an RP ID.
    pub fn new(rp_id_hash: &'o [u8; 32], access: Access<'o>) -> Self {
        let params = Params { rp_id_hash: Some(rp_id_hash), ..Params::default() };
        let begin = subcommand::ENUMERATE_CREDENTIALS_BEGIN;
        Self { list: Enumeration::new(CredentialManagement::new(begin, Some(params), access)) }
    }
}

impl Sealed for ListCredentials<'_> {}

impl Operation for ListCredentials<'_> {
    type Outcome<'b> = u64;
    type Item<'m> = ListedCredential<'m>;

    fn purpose(&self) -> Purpose<'_> {
        self.list.management.purpose()
    }

    fn question(&self, facts: &Facts) -> Result<Question<'_>, Cause> {
        self.list.question(facts, subcommand::ENUMERATE_CREDENTIALS_GET_NEXT_CREDENTIAL)
    }

    fn accept<C: Crypto, R: CryptoRng>(
        &mut self,
        _: &mut Means<'_, C, R>,
        room: &mut Room<'_>,
    ) -> Result<Accepted, Cause> {
        let total = |response: &Response<'_>| response.total_credentials.ok_or(Cause::missing(0x09));
        self.list.accept(room.response(), total, ListedCredential::of)
    }

    fn item<'m>(&self, response: &'m [u8]) -> Option<ListedCredential<'m>> {
        ListedCredential::of(decode_response(response).ok()?).ok()
    }

    fn outcome(&mut self, _: &[u8]) -> Result<u64, Cause> {
        Ok(self.list.seen)
    }
}

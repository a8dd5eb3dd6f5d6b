//! authenticatorCredentialManagement and its prototype (CTAP 2.3 §6.8).

use core::mem;

use keyfob_core::{
    Instant, Status,
    bytes::Secret,
    cbor,
    cose::CoseKey,
    crypto::{MAX_PUBLIC, Sign},
    ctap2::{
        CredentialDescriptor, PUBLIC_KEY, UserEntity,
        credential_management::{Request, Response, authenticated_head, subcommand},
    },
    extensions::{cred_protect::Level, large_blob_key::LargeBlobKey},
    pin_uv::Permissions,
};

use crate::engine::{
    authenticator::{Authenticator, store_status},
    call::{Call, Outcome, decode, ok, reply},
    credential::truncate,
    platform::{Platform, SEQUENCE_TIMEOUT},
    state::Kept,
};
use crate::{
    caps::Caps,
    store::{Change, Credential, Found, MAX_RECORD, Number, Query, Store},
};

/// The enumerations that are under way. There are two, because some platforms list the credentials of a relying party
/// while they list the relying parties, and then go on with those.
#[derive(Clone, Copy, Default)]
pub struct Listings {
    rps: Option<Listing>,
    credentials: Option<Listing>,
    /// The relying party whose credentials are listed.
    rp_id_hash: [u8; 32],
}

/// An enumeration that is under way.
#[derive(Clone, Copy)]
struct Listing {
    /// The one listed last.
    before: Option<Number>,
    total: u32,
    left: u32,
    deadline: Instant,
    /// Whether it ends with the token. A persistent one does not end.
    by_token: bool,
}

impl Listings {
    /// The command ends. Whether the next one can go on with an enumeration.
    pub const fn end(&self) -> bool {
        self.rps.is_some() || self.credentials.is_some()
    }

    #[inline(never)]
    pub fn step<P: Platform>(&mut self, call: &mut Call<'_, '_, P>) -> Outcome {
        let Call { now, authenticator, scratch, .. } = call;
        if !authenticator.has(Caps::CRED_MGMT) {
            return Err(Status::INVALID_COMMAND);
        }
        // Every request but those of enumerations ends both.
        let before = mem::take(self);
        let request: Request<'_> = decode(call.message, call.request)?;
        match authenticator.manage_credentials(self, *now, &request, before, scratch)? {
            Answer::Empty => ok(call.message),
            Answer::Metadata => authenticator.write_metadata(call.message),
            Answer::NoRps => reply(&Response { total_rps: Some(0), ..Response::default() }, call.message),
            Answer::Next { of_rp } => authenticator.write_next(self, *now, of_rp, call.message, scratch),
        }
    }

    /// The enumeration of credentials, or of relying parties.
    const fn of(&mut self, of_rp: bool) -> &mut Option<Listing> {
        if of_rp { &mut self.credentials } else { &mut self.rps }
    }
}

/// What goes back to the platform.
enum Answer {
    Empty,
    Metadata,
    NoRps,
    /// What comes next of the credentials, or of the relying parties.
    Next {
        of_rp: bool,
    },
}

impl<P: Platform> Authenticator<'_, P> {
    fn manage_credentials(
        &mut self,
        run: &mut Listings,
        now: Instant,
        request: &Request<'_>,
        listings: Listings,
        scratch: &mut [u8],
    ) -> Result<Answer, Status> {
        self.scratch_used = MAX_RECORD;
        match request.sub_command {
            subcommand::GET_CREDS_METADATA => {
                self.authorize_reading(now, request, None)?;
                Ok(Answer::Metadata)
            }
            subcommand::ENUMERATE_RPS_BEGIN => {
                let by_token = self.authorize_reading(now, request, None)?;
                self.start_listing(run, now, None, by_token, scratch)
            }
            subcommand::ENUMERATE_CREDENTIALS_BEGIN => {
                *run = Listings { credentials: None, ..listings };
                self.presented(request.pin_uv_auth_param, request.pin_uv_auth_protocol)?;
                let params = request.params().map_err(cbor::Error::status)?;
                let rp_id_hash = params.rp_id_hash.ok_or(Status::MISSING_PARAMETER)?;
                let by_token = self.authorize_reading(now, request, Some(rp_id_hash))?;
                self.start_listing(run, now, Some(*rp_id_hash), by_token, scratch)
            }
            subcommand::ENUMERATE_RPS_GET_NEXT_RP => self.go_on_listing(run, now, listings, false),
            subcommand::ENUMERATE_CREDENTIALS_GET_NEXT_CREDENTIAL => self.go_on_listing(run, now, listings, true),
            subcommand::DELETE_CREDENTIAL => self.delete_credential(now, request, scratch),
            subcommand::UPDATE_USER_INFORMATION => self.update_user(now, request, scratch),
            _ => Err(Status::INVALID_SUBCOMMAND),
        }
    }

    /// Whether the request may read: with the persistent token, or with one that has `cm` and is bound to none or to
    /// the relying party asked for. Returns whether it was the latter.
    fn authorize_reading(
        &mut self,
        now: Instant,
        request: &Request<'_>,
        rp_id_hash: Option<&[u8; 32]>,
    ) -> Result<bool, Status> {
        let (param, protocol) = self.presented(request.pin_uv_auth_param, request.pin_uv_auth_protocol)?;
        let head = authenticated_head(request.sub_command);
        let message: [&[u8]; 2] = [&head, if rp_id_hash.is_some() { raw_params(request) } else { &[] }];
        if self.is_by_persistent_token(protocol, &message, param)? {
            return Ok(false);
        }
        self.authorize(now, Some(param), request.pin_uv_auth_protocol, &message, Permissions::CM)?;
        let bound = self.token.rp_id_hash();
        if bound.is_none() || bound == rp_id_hash { Ok(true) } else { Err(Status::PIN_AUTH_INVALID) }
    }

    fn start_listing(
        &mut self,
        run: &mut Listings,
        now: Instant,
        rp_id_hash: Option<[u8; 32]>,
        by_token: bool,
        scratch: &mut [u8],
    ) -> Result<Answer, Status> {
        let mut listing = Listing { before: None, total: 0, left: 0, deadline: now, by_token };
        let query = listed(rp_id_hash.as_ref());
        listing.total = self.count_current(query, scratch).map_err(store_status)?;
        if listing.total == 0 {
            let success = rp_id_hash.is_none() && self.config.policy.no_rps_is_success;
            return if success { Ok(Answer::NoRps) } else { Err(Status::NO_CREDENTIALS) };
        }
        listing.left = listing.total;
        let of_rp = rp_id_hash.is_some();
        *run.of(of_rp) = Some(listing);
        if let Some(rp_id_hash) = rp_id_hash {
            run.rp_id_hash = rp_id_hash;
        }
        Ok(Answer::Next { of_rp })
    }

    fn go_on_listing(
        &self,
        run: &mut Listings,
        now: Instant,
        mut listings: Listings,
        of_rp: bool,
    ) -> Result<Answer, Status> {
        let goes_on = listings.of(of_rp).is_some_and(|listing| {
            listing.left > 0 && now < listing.deadline && (self.token.in_use() || !listing.by_token)
        });
        if !goes_on {
            return Err(Status::NOT_ALLOWED);
        }
        *run = listings;
        Ok(Answer::Next { of_rp })
    }

    fn delete_credential(&mut self, now: Instant, request: &Request<'_>, scratch: &mut [u8]) -> Result<Answer, Status> {
        self.presented(request.pin_uv_auth_param, request.pin_uv_auth_protocol)?;
        let params = request.params().map_err(cbor::Error::status)?;
        let descriptor = params.credential_id.ok_or(Status::MISSING_PARAMETER)?;
        let found = self.authorize_change(now, request, &descriptor, scratch)?;
        let (along, kept) = self.deletion(found, scratch);
        let state = self.new_store_state()?;
        let changes = [Some(Change::Delete(found.number)), None];
        self.commit_credentials(changes, along, kept, state).map_err(store_status)?;
        Ok(Answer::Empty)
    }

    fn update_user(&mut self, now: Instant, request: &Request<'_>, scratch: &mut [u8]) -> Result<Answer, Status> {
        self.presented(request.pin_uv_auth_param, request.pin_uv_auth_protocol)?;
        let params = request.params().map_err(cbor::Error::status)?;
        let descriptor = params.credential_id.ok_or(Status::MISSING_PARAMETER)?;
        let user = params.user.ok_or(Status::MISSING_PARAMETER)?;
        let found = self.authorize_change(now, request, &descriptor, scratch)?;
        let old = found.credential(scratch).ok_or(Status::OTHER)?;
        if old.user.id != user.id {
            return Err(Status::INVALID_PARAMETER);
        }
        let user = UserEntity { id: user.id, name: kept(user.name), display_name: kept(user.display_name) };
        let mut new = Secret([0; MAX_RECORD]);
        let len = Credential { user, ..old }.encode(&mut *new).ok();
        let record = len.and_then(|len| new.get(..len)).ok_or(Status::KEY_STORE_FULL)?;
        let state = self.new_store_state()?;
        let replace = Change::Replace { number: found.number, rp_id_hash: &found.rp_id_hash, record };
        self.commit_credentials([Some(replace), None], Kept::default(), None, state).map_err(store_status)?;
        Ok(Answer::Empty)
    }

    /// Finds the credential that a token with `cm` may change, its record in `scratch`.
    fn authorize_change(
        &mut self,
        now: Instant,
        request: &Request<'_>,
        descriptor: &CredentialDescriptor<'_>,
        scratch: &mut [u8],
    ) -> Result<Found, Status> {
        let message: [&[u8]; 2] = [&authenticated_head(request.sub_command), raw_params(request)];
        self.authorize(now, request.pin_uv_auth_param, request.pin_uv_auth_protocol, &message, Permissions::CM)?;
        let target = match descriptor.kind {
            PUBLIC_KEY => self.store.next(Query::Id(descriptor.id), None, scratch).map_err(store_status)?,
            _ => None,
        };
        match (target, self.token.rp_id_hash()) {
            (Some(found), Some(bound)) if found.rp_id_hash != *bound => Err(Status::PIN_AUTH_INVALID),
            (Some(target), _) => Ok(target),
            // An id that is not here belongs to no relying party.
            (None, Some(_)) => Err(self.config.policy.by_version(Status::PIN_AUTH_INVALID, Status::NO_CREDENTIALS)),
            (None, None) => Err(Status::NO_CREDENTIALS),
        }
    }

    fn write_metadata(&mut self, message: &mut [u8]) -> Outcome {
        let existing = self.store.count(Query::All).map_err(store_status)?.saturating_sub(self.superseded.len());
        let remaining = self.store.remaining().map_err(store_status)?;
        let response = Response {
            existing_resident_credentials_count: Some(existing),
            max_possible_remaining_resident_credentials_count: Some(remaining),
            ..Response::default()
        };
        reply(&response, message)
    }

    /// The next relying party or credential of the enumeration under way.
    fn write_next(
        &mut self,
        run: &mut Listings,
        now: Instant,
        of_rp: bool,
        message: &mut [u8],
        scratch: &mut [u8],
    ) -> Outcome {
        let mut listings = mem::take(run);
        let mut listing = listings.of(of_rp).ok_or(Status::NOT_ALLOWED)?;
        let query = listed(of_rp.then_some(&listings.rp_id_hash));
        let found = self.next_current(query, listing.before, scratch).map_err(store_status)?;
        let found = found.ok_or(Status::NOT_ALLOWED)?;
        let credential = found.credential(scratch).ok_or(Status::OTHER)?;
        let total = (listing.before.is_none()).then_some(listing.total);
        let outcome = if of_rp {
            self.write_credential(&found.rp_id_hash, &credential, total, message)
        } else {
            let (rp, rp_id_hash) = (Some(credential.rp), Some(&found.rp_id_hash));
            reply(&Response { rp, rp_id_hash, total_rps: total, ..Response::default() }, message)
        };
        listing.before = Some(found.number);
        listing.left = listing.left.saturating_sub(1);
        listing.deadline = now.plus(SEQUENCE_TIMEOUT);
        *listings.of(of_rp) = Some(listing);
        *run = listings;
        outcome
    }

    fn write_credential(
        &self,
        rp_id_hash: &[u8; 32],
        credential: &Credential<'_>,
        total: Option<u32>,
        message: &mut [u8],
    ) -> Outcome {
        let has_key = self.has_large_blob_key() && credential.large_blob_key == Some(true);
        let large_blob_key = has_key.then(|| self.large_blob_key(rp_id_hash, credential.id));
        let computed = &mut [0; MAX_PUBLIC];
        let public = credential.public_key.or_else(|| {
            let len = self.crypto.public_key(credential.algorithm, credential.secret, computed).ok()?;
            computed.get(..len)
        });
        let public_key = public.and_then(|public| CoseKey::from_raw(credential.algorithm, public));
        let protection = credential.cred_protect.unwrap_or(Level::USER_VERIFICATION_OPTIONAL);
        let response = Response {
            user: Some(credential.user),
            credential_id: Some(CredentialDescriptor::new(credential.id)),
            public_key: Some(public_key.ok_or(Status::OTHER)?),
            total_credentials: total,
            cred_protect: self.has(Caps::CRED_PROTECT).then_some(protection),
            large_blob_key: large_blob_key.as_ref().map(|key| LargeBlobKey(&key[..])),
            third_party_payment: self
                .has(Caps::THIRD_PARTY_PAYMENT)
                .then_some(credential.third_party_payment == Some(true)),
            ..Response::default()
        };
        reply(&response, message)
    }
}

/// What is listed: the credentials of a relying party, or without one the relying parties, each with its newest
/// credential.
const fn listed(rp_id_hash: Option<&[u8; 32]>) -> Query<'_> {
    match rp_id_hash {
        Some(rp_id_hash) => Query::RelyingParty { rp_id_hash, protection: Level::USER_VERIFICATION_REQUIRED },
        None => Query::RelyingParties,
    }
}

/// The bytes of subCommandParams, as they came.
fn raw_params<'m>(request: &Request<'m>) -> &'m [u8] {
    request.sub_command_params.map_or(&[], |params| params.0)
}

/// A name as it is stored: cut, and none if empty.
fn kept(name: Option<&str>) -> Option<&str> {
    name.filter(|name| !name.is_empty()).map(truncate)
}

//! authenticatorCredentialManagement and its prototype (CTAP 2.3 §6.8).

use keyfob_core::{
    Failure, Instant,
    bytes::Secret,
    cbor::{MapWriter, Message, Writer},
    cose::CoseKey,
    crypto::{MAX_PUBLIC, Sign},
    ctap2::{
        CredentialDescriptor, PUBLIC_KEY, UserEntity,
        credential_management::{Request, Response, authenticated_head, subcommand},
    },
    extensions::cred_protect::Level,
    pin_uv::Permissions,
};

use crate::engine::{
    authenticator::{Authenticator, store_status},
    call::{self, Call, Outcome, begin, decode, valid},
    credential::truncate,
    platform::{Platform, SEQUENCE_TIMEOUT},
    state::Places,
};
use crate::{
    caps::Caps,
    store::{Change, Credential, Found, MAX_RECORD, Number, Query, Store},
};

/// The enumerations that are under way. There are two, because some platforms list the credentials of a relying party
/// while they list the relying parties, and then go on with those.
#[derive(Clone, Copy, Default)]
pub struct Listings {
    rps: Listing,
    credentials: Listing,
    /// The relying party whose credentials are listed.
    rp_id_hash: [u8; 32],
}

/// An enumeration that is under way, or nothing when none is `left`.
#[derive(Clone, Copy, Default)]
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
        self.rps.left > 0 || self.credentials.left > 0
    }

    #[inline(never)]
    pub fn step<P: Platform>(&mut self, call: &mut Call<'_, '_, P>) -> Outcome {
        if !call.authenticator.has(Caps::CRED_MGMT) {
            return Err(Failure::INVALID_COMMAND);
        }
        let Call { now, authenticator, scratch, .. } = call;
        let request = decode(call.message, call.request);
        let request: &Request<'_> = valid(&request).inspect_err(|_| self.stop_all())?;
        let sub_command = request.sub_command;
        authenticator.manage_credentials(self, *now, request, scratch)?;
        let mut w = begin(call.message);
        authenticator.write_managed(self, *now, sub_command, scratch, &mut w)?;
        call::written(w.finish())
    }

    const fn stop_all(&mut self) {
        (self.rps.left, self.credentials.left) = (0, 0);
    }

    /// The enumeration of credentials, or of relying parties.
    const fn of(&mut self, of_rp: bool) -> &mut Listing {
        if of_rp { &mut self.credentials } else { &mut self.rps }
    }

    /// What is listed: the credentials of the relying party, or the relying parties, each with its newest credential.
    const fn query(&self, of_rp: bool) -> Query<'_> {
        if of_rp {
            Query::RelyingParty { rp_id_hash: &self.rp_id_hash, protection: Level::USER_VERIFICATION_REQUIRED }
        } else {
            Query::RelyingParties
        }
    }
}

impl<P: Platform> Authenticator<'_, P> {
    /// What comes before the response. A separate function, so that the two do not share one frame.
    #[inline(never)]
    fn manage_credentials(
        &mut self,
        run: &mut Listings,
        now: Instant,
        request: &Request<'_>,
        scratch: &mut [u8],
    ) -> Result<(), Failure> {
        self.scratch_used = MAX_RECORD;
        let of_rp = of_rp(request.sub_command);
        // Every request but those of enumerations ends both.
        match request.sub_command {
            subcommand::ENUMERATE_RPS_GET_NEXT_RP | subcommand::ENUMERATE_CREDENTIALS_GET_NEXT_CREDENTIAL => {
                let listing = run.of(of_rp);
                let goes_on = listing.left > 0 && now < listing.deadline && (self.token.in_use() || !listing.by_token);
                if goes_on {
                    return Ok(());
                }
                run.stop_all();
                return Err(Failure::NOT_ALLOWED);
            }
            subcommand::ENUMERATE_CREDENTIALS_BEGIN => run.credentials.left = 0,
            _ => run.stop_all(),
        }
        match request.sub_command {
            subcommand::GET_CREDS_METADATA => self.authorize_reading(now, request, None).map(drop),
            subcommand::ENUMERATE_RPS_BEGIN => {
                let by_token = self.authorize_reading(now, request, None)?;
                self.start_listing(run, now, of_rp, by_token, scratch)
            }
            subcommand::ENUMERATE_CREDENTIALS_BEGIN => {
                self.presented(request.pin_uv_auth_param, request.pin_uv_auth_protocol)?;
                let params = request.params();
                let rp_id_hash = valid(&params)?.rp_id_hash.ok_or(Failure::MISSING_PARAMETER)?;
                let by_token = self.authorize_reading(now, request, Some(rp_id_hash))?;
                run.rp_id_hash = *rp_id_hash;
                self.start_listing(run, now, of_rp, by_token, scratch)
            }
            subcommand::DELETE_CREDENTIAL | subcommand::UPDATE_USER_INFORMATION => {
                self.change_credential(now, request, scratch)
            }
            _ => Err(Failure::INVALID_SUBCOMMAND),
        }
    }

    /// Whether the request may read: with the persistent token, or with one that has `cm` and is bound to none or to
    /// the relying party asked for. Returns whether it was the latter.
    fn authorize_reading(
        &mut self,
        now: Instant,
        request: &Request<'_>,
        rp_id_hash: Option<&[u8; 32]>,
    ) -> Result<bool, Failure> {
        let (param, protocol) = self.presented(request.pin_uv_auth_param, request.pin_uv_auth_protocol)?;
        let head = authenticated_head(request.sub_command);
        let message: [&[u8]; 2] = [&head, if rp_id_hash.is_some() { raw_params(request) } else { &[] }];
        if self.is_by_persistent_token(protocol, &message, param)? {
            return Ok(false);
        }
        self.authorize(now, Some(param), request.pin_uv_auth_protocol, &message, Permissions::CM)?;
        let bound = self.token.rp_id_hash();
        if bound.is_none() || bound == rp_id_hash { Ok(true) } else { Err(Failure::PIN_AUTH_INVALID) }
    }

    fn start_listing(
        &mut self,
        run: &mut Listings,
        now: Instant,
        of_rp: bool,
        by_token: bool,
        scratch: &mut [u8],
    ) -> Result<(), Failure> {
        let total = self.count_current(run.query(of_rp), scratch).map_err(store_status)?;
        *run.of(of_rp) = Listing { before: None, total, left: total, deadline: now, by_token };
        let success = total > 0 || !of_rp && self.config.policy.no_rps_is_success;
        if success { Ok(()) } else { Err(Failure::NO_CREDENTIALS) }
    }

    fn change_credential(&mut self, now: Instant, request: &Request<'_>, scratch: &mut [u8]) -> Result<(), Failure> {
        self.presented(request.pin_uv_auth_param, request.pin_uv_auth_protocol)?;
        let params = request.params();
        let params = valid(&params)?;
        let descriptor = params.credential_id.as_ref().ok_or(Failure::MISSING_PARAMETER)?;
        let user = match &params.user {
            _ if request.sub_command == subcommand::DELETE_CREDENTIAL => None,
            None => return Err(Failure::MISSING_PARAMETER),
            user => user.as_ref(),
        };
        let found = self.authorize_change(now, request, descriptor, scratch)?;
        let Some(user) = user else { return self.delete(found, scratch) };
        let old = found.credential(scratch).ok_or(Failure::OTHER)?;
        if old.user.id != user.id {
            return Err(Failure::INVALID_PARAMETER);
        }
        let user = UserEntity { id: user.id, name: kept(user.name), display_name: kept(user.display_name) };
        self.replace_record(&found, &Credential { user, ..old })
    }

    /// A separate function, so that the new record is not on the stack while the old one is read.
    #[inline(never)]
    fn replace_record(&mut self, found: &Found, new: &Credential<'_>) -> Result<(), Failure> {
        let mut record = Secret([0; MAX_RECORD]);
        let len = new.encode(&mut *record).map_err(|_| Failure::KEY_STORE_FULL)?;
        let record = record.get(..len).ok_or(Failure::OTHER)?;
        let replace = Change::Replace { number: found.number, rp_id_hash: &found.rp_id_hash, record };
        self.commit_credentials([Some(replace), None], Places::default(), None, true).map_err(store_status)
    }

    /// Finds the credential that a token with `cm` may change, its record in `scratch`.
    fn authorize_change(
        &mut self,
        now: Instant,
        request: &Request<'_>,
        descriptor: &CredentialDescriptor<'_>,
        scratch: &mut [u8],
    ) -> Result<Found, Failure> {
        let message: [&[u8]; 2] = [&authenticated_head(request.sub_command), raw_params(request)];
        self.authorize(now, request.pin_uv_auth_param, request.pin_uv_auth_protocol, &message, Permissions::CM)?;
        let target = match descriptor.kind {
            PUBLIC_KEY => self.store.next(Query::Id(descriptor.id), None, scratch).map_err(store_status)?,
            _ => None,
        };
        match (target, self.token.rp_id_hash()) {
            (Some(found), Some(bound)) if found.rp_id_hash != *bound => Err(Failure::PIN_AUTH_INVALID),
            (Some(target), _) => Ok(target),
            // An id that is not here belongs to no relying party.
            (None, Some(_)) => Err(self.config.policy.by_version(Failure::PIN_AUTH_INVALID, Failure::NO_CREDENTIALS)),
            (None, None) => Err(Failure::NO_CREDENTIALS),
        }
    }

    /// Writes the response: nothing after a change, else numbers, or what comes next of an enumeration. The members are
    /// in the order of [`Response`].
    fn write_managed(
        &mut self,
        run: &mut Listings,
        now: Instant,
        sub_command: u32,
        scratch: &mut [u8],
        w: &mut Writer<'_>,
    ) -> Result<(), Failure> {
        if matches!(sub_command, subcommand::DELETE_CREDENTIAL | subcommand::UPDATE_USER_INFORMATION) {
            return Ok(());
        }
        let mut m = MapWriter::new(w, Response::KEYS, &[]);
        if sub_command == subcommand::GET_CREDS_METADATA {
            let existing = self.store.count(Query::All).map_err(store_status)?.saturating_sub(self.superseded.len());
            m.number(Some(existing));
            m.number(Some(self.store.remaining().map_err(store_status)?));
        } else {
            m.skip(2);
            self.write_next(run, now, of_rp(sub_command), scratch, &mut m)?;
        }
        m.end();
        Ok(())
    }

    /// The next relying party or credential of the enumeration under way.
    fn write_next(
        &mut self,
        run: &mut Listings,
        now: Instant,
        of_rp: bool,
        scratch: &mut [u8],
        m: &mut MapWriter<'_, '_>,
    ) -> Result<(), Failure> {
        let Listing { before, total, left, .. } = *run.of(of_rp);
        let total = before.is_none().then_some(total);
        if left == 0 {
            m.skip(2);
            m.number(total);
            return Ok(());
        }
        let found = self.next_current(run.query(of_rp), before, scratch).map_err(store_status);
        let found = found.and_then(|found| found.ok_or(Failure::NOT_ALLOWED)).inspect_err(|_| run.stop_all())?;
        let credential = found.credential(scratch).ok_or(Failure::OTHER).inspect_err(|_| run.stop_all())?;
        let listing = run.of(of_rp);
        listing.before = Some(found.number);
        listing.left = left.saturating_sub(1);
        listing.deadline = now.plus(SEQUENCE_TIMEOUT);
        if of_rp {
            m.skip(3);
            return self.write_credential(&found.rp_id_hash, &credential, total, m);
        }
        m.required(&credential.rp);
        m.bytes(Some(&found.rp_id_hash));
        m.number(total);
        Ok(())
    }

    fn write_credential(
        &self,
        rp_id_hash: &[u8; 32],
        credential: &Credential<'_>,
        total: Option<u32>,
        m: &mut MapWriter<'_, '_>,
    ) -> Result<(), Failure> {
        let mut computed = [0; MAX_PUBLIC];
        let public = match credential.public_key {
            Some(kept) => kept,
            None => {
                let len = self.crypto.public_key(credential.algorithm, credential.secret, &mut computed);
                len.ok().and_then(|len| computed.get(..len)).ok_or(Failure::OTHER)?
            }
        };
        let protection = credential.cred_protect.unwrap_or(Level::USER_VERIFICATION_OPTIONAL);
        m.required(&credential.user);
        m.required(&CredentialDescriptor::new(credential.id));
        m.required(&CoseKey::from_raw(credential.algorithm, public).ok_or(Failure::OTHER)?);
        m.number(total);
        m.number(self.has(Caps::CRED_PROTECT).then_some(protection.0));
        let has_key = self.has_large_blob_key() && credential.large_blob_key == Some(true);
        let key = has_key.then(|| self.large_blob_key(rp_id_hash, credential.id));
        m.bytes(key.as_ref().map(|key| &key[..]));
        m.flag(self.has(Caps::THIRD_PARTY_PAYMENT).then_some(credential.third_party_payment == Some(true)));
        Ok(())
    }
}

/// Whether it is about the credentials of a relying party, not about relying parties.
const fn of_rp(sub_command: u32) -> bool {
    matches!(
        sub_command,
        subcommand::ENUMERATE_CREDENTIALS_BEGIN | subcommand::ENUMERATE_CREDENTIALS_GET_NEXT_CREDENTIAL
    )
}

/// The bytes of subCommandParams, as they came.
fn raw_params<'m>(request: &Request<'m>) -> &'m [u8] {
    request.sub_command_params.map_or(&[], |params| params.0)
}

/// A name as it is stored: cut, and none if empty.
fn kept(name: Option<&str>) -> Option<&str> {
    name.filter(|name| !name.is_empty()).map(truncate)
}

//! authenticatorGetAssertion and authenticatorGetNextAssertion (CTAP 2.3 §6.2.2, §6.3). The numbers are the standard's
//! steps.

use heapless::Vec;
use keyfob_core::{
    Failure, Instant, bytes,
    cbor::{MapWriter, Message},
    ctap2::{
        CredentialDescriptor, UserEntity,
        get_assertion::{Request, Response},
    },
    extensions::{GetAssertionInputs, hmac_secret},
    pin_uv::{Permissions, UserVerified},
};

use crate::engine::{
    authenticator::{Authenticator, store_status},
    call::{Call, Next, Outcome, Trigger, begin, decode, valid, written},
    ceremony::{CeremonyState, Counted, LargeBlobAction, UserPresent},
    config::AuthenticatorPolicy,
    credential::{Located, Opened, Search, Subject},
    extensions::{extensions_of_assertion, inputs, large_blob_input, unsigned_assertion_outputs},
    platform::{Platform, SEQUENCE_TIMEOUT},
    signing::{look_again, room_for_signature},
    wrapping::{MAX_ID, shown},
};
use crate::store::{Credential, NamelessCredential, Number, Query};

/// A sign-in under way, or the sequence that it has left.
#[derive(Default)]
pub struct Run {
    step: Step,
    pub ceremony: CeremonyState,
    /// How many credentials there are.
    total: u32,
    /// The stored credential at hand.
    number: Option<Number>,
    /// Its id in the allow list.
    id: Vec<u8, MAX_ID, u16>,
    rest: Option<Rest>,
}

/// The rest of the assertions that one request asked for.
struct Rest {
    left: u32,
    /// The previous credential.
    before: Number,
    deadline: Instant,
}

/// What is done next.
#[derive(Clone, Copy, Default)]
enum Step {
    #[default]
    Check,
    /// A touch answers an empty pinUvAuthParam.
    Probe,
    /// A touch tells that there is no credential.
    Nothing,
    /// A touch signs in.
    Touch,
    /// The next entry of the allow list is looked at.
    Search(Listed, Option<UserVerified>),
    Salts,
    Count,
    Write(Counted),
    /// getNextAssertion goes on.
    Next,
}

/// How far the allow list was looked through, and whether the first credential that was found is in the store.
#[derive(Clone, Copy)]
struct Listed {
    search: Search,
    is_stored: bool,
}

impl Run {
    /// Whether a blob is in the store: nothing takes it back.
    pub fn is_committed(&self) -> bool {
        self.ceremony.asked.large_blob == LargeBlobAction::Written(true)
    }

    /// The command ends, with a response or without. Whether getNextAssertion can go on.
    pub fn end(&mut self) -> bool {
        self.step = Step::Next;
        bytes::wipe(&mut *self.ceremony.random);
        self.rest.is_some()
    }

    /// The status when the touch was refused. A probe does not tell a timeout from a refusal.
    pub const fn refused(&self, policy: AuthenticatorPolicy, status: Failure) -> Failure {
        match self.step {
            Step::Probe => Failure::OPERATION_DENIED,
            _ => policy.touch_refused(status),
        }
    }

    #[inline(never)]
    pub fn step<P: Platform>(&mut self, call: &mut Call<'_, '_, P>, cause: Trigger) -> Outcome {
        if let Trigger::Present(present) = cause {
            self.touched(call.authenticator, present)?;
        }
        match self.step {
            Step::Check => self.check(call, cause.verified()),
            Step::Search(search, by_sensor) => self.go_on(call, search, by_sensor),
            Step::Probe | Step::Nothing | Step::Touch => Err(Failure::OTHER),
            Step::Salts => self.take_salts(call),
            Step::Count => self.count(call),
            Step::Write(counted) => self.write(call, counted),
            Step::Next => self.next(call),
        }
    }

    /// 1 to 12
    #[inline(never)]
    fn check<P: Platform>(&mut self, call: &mut Call<'_, '_, P>, by_sensor: Option<UserVerified>) -> Outcome {
        let Call { now, authenticator, scratch, .. } = call;
        let request = decode(call.message, call.request);
        let request: &Request<'_> = valid(&request)?;
        // 1
        let param = request.pin_uv_auth_param;
        if authenticator.is_probe(param) {
            self.step = Step::Probe;
            return Ok(Next::Touch);
        }
        // 2
        let protocol = authenticator.protocol_of_param(param, request.pin_uv_auth_protocol)?;
        // 3 to 5
        let up = request.options.is_none_or(|options| options.up != Some(false));
        let uv = authenticator.check_assertion_options(request, up)?;
        self.ceremony.rp_id_hash = authenticator.hash_rp_id(request.rp_id);
        self.ceremony.client_data_hash = *request.client_data_hash;
        // 6
        self.ceremony.user_verified =
            authenticator.verify_user(*now, &self.ceremony, param.zip(protocol), Permissions::GA)?.or(by_sensor);
        if uv && self.ceremony.user_verified.is_none() {
            return authenticator.start_verification(false);
        }
        // 7
        if let Some(list) = request.allow_list.filter(|list| !list.is_empty()) {
            let most = authenticator.config.max_credential_count_in_list;
            let search = Listed { search: Search::new(call.message, &list, most)?, is_stored: false };
            if let Some(search) = self.search(authenticator, call.message, scratch, search)? {
                self.step = Step::Search(search, by_sensor);
                return Ok(Next::Work);
            }
        } else {
            self.locate_discoverable(authenticator, scratch)?;
        }
        self.found(authenticator, request, by_sensor)
    }

    /// Goes on with the list.
    #[inline(never)]
    fn go_on<P: Platform>(
        &mut self,
        call: &mut Call<'_, '_, P>,
        search: Listed,
        by_sensor: Option<UserVerified>,
    ) -> Outcome {
        let Call { authenticator, scratch, .. } = call;
        if let Some(search) = self.search(authenticator, call.message, scratch, search)? {
            self.step = Step::Search(search, by_sensor);
            return Ok(Next::Work);
        }
        let request = decode(call.message, call.request);
        let request: &Request<'_> = valid(&request)?;
        self.found(authenticator, request, by_sensor)
    }

    /// 11: looks at the next entry of the list, and finds the first credential that may be used. Every entry is looked
    /// at, so that the time taken does not tell which one matched. Returns what is left of the list.
    fn search<P: Platform>(
        &mut self,
        authenticator: &mut Authenticator<'_, P>,
        message: &[u8],
        scratch: &mut [u8],
        Listed { mut search, mut is_stored }: Listed,
    ) -> Result<Option<Listed>, Failure> {
        let (rp_id_hash, user_verified) = (&self.ceremony.rp_id_hash, self.ceremony.is_verified());
        if let Some(id) = search.next(message)? {
            let located = authenticator.locate(rp_id_hash, id, user_verified).map_err(store_status)?;
            if let Some(located) = located.filter(|_| self.total == 0) {
                self.total = 1;
                self.id = Vec::from_slice(id).map_err(|_| Failure::OTHER)?;
                is_stored = located == Located::Stored;
            }
        }
        if !search.is_done() {
            return Ok(Some(Listed { search, is_stored }));
        }
        if is_stored {
            let listed = Query::Listed { rp_id_hash, id: &self.id, protection: shown(user_verified, true) };
            // Also finds a credential that was replaced and is kept until its successor is known to have arrived.
            self.number = authenticator.next(listed, None, scratch).map_err(store_status)?.map(|found| found.number);
        }
        Ok(None)
    }

    /// 8 to 10: what follows from how many credentials there are.
    fn found<P: Platform>(
        &mut self,
        authenticator: &mut Authenticator<'_, P>,
        request: &Request<'_>,
        by_sensor: Option<UserVerified>,
    ) -> Outcome {
        let up = request.options.is_none_or(|options| options.up != Some(false));
        if self.total == 0 {
            self.step = Step::Nothing;
            let touch = up && authenticator.config.policy.no_credentials_after_touch;
            return if touch { Ok(Next::Touch) } else { Err(Failure::NO_CREDENTIALS) };
        }
        // 10: no touch is asked for what cannot be done
        let listed = request.allow_list.is_some_and(|list| !list.is_empty());
        self.ceremony.asked = authenticator.asked_of_assertion(request.extensions, up, listed, by_sensor.is_some())?;
        // 8, 9
        if !up {
            self.step = Step::Count;
            return Ok(Next::Work);
        }
        self.step = Step::Touch;
        let Some(present) = authenticator.presence(by_sensor, self.ceremony.user_verified) else {
            return Ok(Next::Touch);
        };
        self.touched(authenticator, present)?;
        Ok(Next::Work)
    }

    /// The user is present.
    fn touched<P: Platform>(
        &mut self,
        authenticator: &mut Authenticator<'_, P>,
        present: UserPresent,
    ) -> Result<(), Failure> {
        match self.step {
            Step::Probe => Err(authenticator.config.policy.probe_answer(authenticator.pin.is_set)),
            Step::Nothing => Err(Failure::NO_CREDENTIALS),
            Step::Touch => {
                self.ceremony.user_present = Some(present);
                authenticator.token.consume();
                self.step = if self.ceremony.asked.salts { Step::Salts } else { Step::Count };
                Ok(())
            }
            _ => Err(Failure::OTHER),
        }
    }

    /// 12: finds the newest discoverable credential and counts them all.
    fn locate_discoverable<P: Platform>(
        &mut self,
        authenticator: &mut Authenticator<'_, P>,
        scratch: &mut [u8],
    ) -> Result<(), Failure> {
        self.total = authenticator.count_current(self.discoverable(), scratch).map_err(store_status)?;
        self.number = authenticator.next_number(self.discoverable(), None, scratch).map_err(store_status)?;
        Ok(())
    }

    /// The discoverable credentials that the relying party may use.
    fn discoverable(&self) -> Query<'_> {
        let protection = shown(self.ceremony.is_verified(), false);
        Query::RelyingParty { rp_id_hash: &self.ceremony.rp_id_hash, protection }
    }

    /// getNextAssertion
    #[inline(never)]
    fn next<P: Platform>(&mut self, call: &mut Call<'_, '_, P>) -> Outcome {
        let rest = self.rest.as_ref().filter(|rest| call.now < rest.deadline && rest.left > 0);
        let Some(before) = rest.map(|rest| rest.before) else {
            self.rest = None;
            return Err(Failure::NOT_ALLOWED);
        };
        let next = call.authenticator.next_number(self.discoverable(), Some(before), call.scratch);
        self.number = Some(next.map_err(store_status)?.ok_or(Failure::NOT_ALLOWED)?);
        self.step = Step::Count;
        Ok(Next::Work)
    }

    /// `hmac-secret`
    #[inline(never)]
    fn take_salts<P: Platform>(&mut self, call: &mut Call<'_, '_, P>) -> Outcome {
        let input = salts(call.message, call.request)?;
        call.authenticator.decrypt_salts(input, &mut self.ceremony.salts)?;
        self.step = Step::Count;
        Ok(Next::Work)
    }

    /// Counts the signature before it is made, and stores a new blob of the extension `largeBlob` with it.
    #[inline(never)]
    fn count<P: Platform>(&mut self, call: &mut Call<'_, '_, P>) -> Outcome {
        let Call { authenticator, scratch, .. } = call;
        if authenticator.settle_superseded(self.number, &self.id)? {
            return Ok(Next::Work);
        }
        authenticator.draw_randomness(&mut self.ceremony)?;
        let counted = if self.ceremony.asked.large_blob == LargeBlobAction::Write {
            let input = large_blob_input(call.message, call.request)?;
            let counted = authenticator.write_large_blob(&self.ceremony, self.number, input, scratch)?;
            self.ceremony.asked.large_blob = LargeBlobAction::Written(counted.is_some());
            let Some(counted) = counted else { return Ok(Next::Work) };
            counted
        } else {
            authenticator.count_signature([None; 2]).map_err(store_status)?
        };
        self.step = Step::Write(counted);
        Ok(Next::Work)
    }

    /// 13: the response, signed.
    #[inline(never)]
    fn write<P: Platform>(&mut self, call: &mut Call<'_, '_, P>, counted: Counted) -> Outcome {
        let Call { authenticator, scratch, .. } = call;
        if !counted.holds() {
            return Err(Failure::OTHER);
        }
        let rp_id_hash = &self.ceremony.rp_id_hash;
        let opened = match self.number {
            Some(number) => authenticator.open_number(rp_id_hash, number, scratch).map_err(store_status)?,
            None => authenticator.open_wrapped(rp_id_hash, &self.id, scratch),
        };
        let opened = opened.ok_or(Failure::NO_CREDENTIALS)?;
        let outcome = self.respond(authenticator, &opened, call.message)?;
        self.keep_rest(call.now);
        Ok(outcome)
    }

    /// Writes the response, signed. A separate function, so that the signature is not on the stack while the credential
    /// is read.
    #[inline(never)]
    fn respond<P: Platform>(
        &self,
        authenticator: &mut Authenticator<'_, P>,
        opened: &Opened<'_>,
        message: &mut [u8],
    ) -> Outcome {
        let (rp_id_hash, (stored, record)) = (&self.ceremony.rp_id_hash, opened.stored.unzip());
        let id = stored.map_or(&self.id[..], |credential| credential.id);

        // Member by member, in the order of the response's table.
        let mut w = begin(message);
        let mut m = MapWriter::new(&mut w, Response::KEYS, &[]);
        m.required(&CredentialDescriptor::new(id));
        let data = m.value();
        let start = data.begin_bytes();
        authenticator.write_auth_data(&self.ceremony, Subject::Opened(id, opened), data)?;
        let auth_data = data.end_bytes(start).ok_or(Failure::OTHER)?;
        look_again(&self.ceremony, auth_data)?;
        #[cfg(feature = "testing")]
        let auth_data = authenticator.altered(id, (opened.algorithm, opened.secret), auth_data.len(), data)?;
        let mut signature = room_for_signature(opened.algorithm);
        let signed = [auth_data, &self.ceremony.client_data_hash];
        let random = &self.ceremony.random;
        let len = authenticator.sign(random, opened.algorithm, opened.secret, &signed, &mut signature)?;
        m.required(&signature.get(..len).ok_or(Failure::OTHER)?);
        let several = self.total > 1;
        let names = record.filter(|_| several && self.ceremony.is_verified());
        m.optional(&stored.and_then(|credential| told(credential, names)));
        m.number((self.rest.is_none() && several).then_some(self.total));
        m.skip(1); // userSelected
        let has_key = stored.is_some_and(|credential| credential.large_blob_key);
        let has_key = self.ceremony.asked.large_blob_key && has_key;
        let key = has_key.then(|| authenticator.large_blob_key(rp_id_hash, id));
        m.bytes(key.as_ref().map(|key| &key[..]));
        m.optional(&unsigned_assertion_outputs(&self.ceremony.asked, stored));
        m.end();
        written(w.finish())
    }

    /// What getNextAssertion goes on with.
    fn keep_rest(&mut self, now: Instant) {
        let Some(before) = self.number.filter(|_| self.total > 1) else { return };
        let left = self.rest.as_ref().map_or(self.total, |rest| rest.left).saturating_sub(1);
        self.rest = Some(Rest { left, before, deadline: now.plus(SEQUENCE_TIMEOUT) });
    }
}

#[cfg(test)]
impl Run {
    /// A fault alters the evidence of the count, once there is some.
    pub const fn break_count(&mut self) {
        if let Step::Write(counted) = &mut self.step {
            *counted = Counted::broken();
        }
    }
}

/// The user of a response. `record` is given only when names may be told, that is, the user is verified and there are
/// several accounts; without it only the id is told. `None` when there is nothing to tell.
fn told<'r>(credential: NamelessCredential<'r>, record: Option<&'r [u8]>) -> Option<UserEntity<'r>> {
    let named = record.and_then(Credential::decode).map(|credential| credential.user);
    let user = named.unwrap_or(UserEntity { id: credential.user_id, name: None, display_name: None });
    Some(user).filter(|user| !user.id.is_empty() || user.name.is_some() || user.display_name.is_some())
}

/// The input of `hmac-secret`. A separate function, so that the others are not on the stack while keys are agreed on.
#[inline(never)]
fn salts(message: &[u8], len: usize) -> Result<Option<hmac_secret::HmacSecretInput<'_>>, Failure> {
    Ok(inputs::<GetAssertionInputs<'_>>(extensions_of_assertion(message, len)?)?.hmac_secret)
}

impl<P: Platform> Authenticator<'_, P> {
    /// 3 to 5: whether built-in user verification is needed.
    fn check_assertion_options(&self, request: &Request<'_>, up: bool) -> Result<bool, Failure> {
        let options = request.options.unwrap_or_default();
        let without_param = request.pin_uv_auth_param.is_none();
        let mut uv = options.uv == Some(true) && without_param;
        if uv && !self.uv_is_configured() {
            return Err(Failure::INVALID_OPTION);
        }
        if options.rk.is_some() {
            return Err(Failure::UNSUPPORTED_OPTION);
        }
        // 5
        let always_uv = self.always_uv() && up;
        uv |= always_uv && without_param && self.uv_is_configured();
        if always_uv && (!self.is_protected() || without_param && !uv) {
            return Err(self.verification_required());
        }
        Ok(uv)
    }
}

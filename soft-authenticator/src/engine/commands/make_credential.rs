//! authenticatorMakeCredential (CTAP 2.3 §6.1.2). The numbers are the standard's steps.

use keyfob_core::{
    Failure, Instant, bytes,
    cbor::{self, List, RawMap, Read, Reader, Text},
    ctap2::{PUBLIC_KEY, RpEntity, UserEntity, make_credential::Request},
    extensions::{MakeCredentialInputs, cred_protect::Level, hmac_secret},
    pin_uv::{Permissions, UserVerified},
};

use crate::engine::{
    attestation::Attested,
    authenticator::{Authenticator, store_status},
    call::{Call, Next, Outcome, Trigger, decode, valid},
    ceremony::{CeremonyState, LargeBlobAction, UserPresent},
    config::AuthenticatorPolicy,
    credential::{NewCredential, Search, truncate},
    extensions::inputs,
    platform::Platform,
    state::Places,
};
use crate::{
    caps::Caps,
    store::{Change, Credential, MAX_KEPT_PUBLIC, MAX_RECORD, Query, StoreError},
};

/// The longest user id (CTAP 2.3 §6.1), in bytes. WebAuthn L3 §5.4.3 wants one byte at least, which is for clients to
/// see to.
const MAX_USER_ID: usize = 64;
/// The longest RP ID, in bytes: a domain name's limit.
const MAX_RP_ID: usize = 255;

/// enterpriseAttestation: for the relying parties that the vendor lists.
const VENDOR_FACILITATED: u32 = 1;
/// enterpriseAttestation: for those that the platform lists.
const PLATFORM_MANAGED: u32 = 2;

/// A registration under way.
#[derive(Default)]
pub struct Run {
    step: Step,
    pub ceremony: CeremonyState,
    discoverable: bool,
    attested: Attested,
    new: NewCredential,
}

/// What is done next.
#[derive(Clone, Copy, Default)]
enum Step {
    #[default]
    Check,
    /// A touch answers an empty pinUvAuthParam.
    Probe,
    /// The next entry of the exclude list is looked at.
    Search {
        search: Search,
        excluded: bool,
        by_sensor: Option<UserVerified>,
    },
    /// A touch tells that a credential is excluded.
    Excluded,
    /// A touch makes the credential.
    Touch,
    Salts,
    Generate,
    /// `at_once`: there is no room to keep what is replaced.
    Commit {
        at_once: bool,
    },
    Write,
}

/// What the last checks need of the request.
#[derive(Clone, Copy)]
struct Wishes<'m> {
    extensions: Option<RawMap<'m>>,
    formats: Option<List<'m, Text<'m>>>,
}

/// What follows from the first checks.
enum Examined<'m> {
    /// The last checks, and whether a credential is excluded.
    Decide(Wishes<'m>, bool),
    Next(Next),
}

impl<'m> Wishes<'m> {
    const fn of(request: &Request<'m>) -> Self {
        Self { extensions: request.extensions, formats: request.attestation_formats_preference }
    }

    /// A separate function, so that the request is not on the stack below the checks.
    #[inline(never)]
    fn read(message: &'m [u8], len: usize) -> Result<Self, Failure> {
        Ok(Self::of(valid(&decode(message, len))?))
    }
}

impl Run {
    /// Whether the credential is in the store: nothing takes it back.
    pub const fn is_committed(&self) -> bool {
        matches!(self.step, Step::Write) && self.discoverable
    }

    /// The status when the touch was refused. An excluded credential and a probe answer the same as with a touch, or do
    /// not tell a timeout from a refusal.
    pub const fn refused(&self, policy: AuthenticatorPolicy, status: Failure) -> Failure {
        match self.step {
            Step::Excluded => Failure::CREDENTIAL_EXCLUDED,
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
            Step::Search { search, excluded, by_sensor } => self.search(call, search, excluded, by_sensor),
            Step::Probe | Step::Excluded | Step::Touch => Err(Failure::OTHER),
            Step::Salts => self.take_salts(call),
            Step::Generate => self.generate(call),
            Step::Commit { at_once } => {
                let Call { authenticator, message, scratch, .. } = call;
                let cred_blob = self.cred_blob(message, call.request)?;
                self.commit(authenticator, message, scratch, cred_blob, at_once)
            }
            Step::Write => {
                let Call { authenticator, message, .. } = call;
                authenticator.write_attestation(&self.ceremony, &self.new, self.attested, message)
            }
        }
    }

    /// 1 to 15, if there is no list to go on with.
    #[inline(never)]
    fn check<P: Platform>(&mut self, call: &mut Call<'_, '_, P>, by_sensor: Option<UserVerified>) -> Outcome {
        match self.examine(call.now, call.authenticator, call.message, call.request, by_sensor)? {
            Examined::Decide(wishes, excluded) => self.decide(call.authenticator, wishes, excluded, by_sensor),
            Examined::Next(next) => Ok(next),
        }
    }

    /// 1 to 12. A separate function, so that the request is not on the stack below the other steps.
    #[inline(never)]
    fn examine<'m, P: Platform>(
        &mut self,
        now: Instant,
        authenticator: &mut Authenticator<'_, P>,
        message: &'m [u8],
        len: usize,
        by_sensor: Option<UserVerified>,
    ) -> Result<Examined<'m>, Failure> {
        let request = decode(message, len);
        let request: &Request<'_> = valid(&request)?;
        // 1
        let param = request.pin_uv_auth_param;
        if authenticator.is_probe(param) {
            self.step = Step::Probe;
            return Ok(Examined::Next(Next::Touch));
        }
        // 2
        let protocol = authenticator.protocol_of_param(param, request.pin_uv_auth_protocol)?;
        // 3
        let mut acceptable = request.pub_key_cred_params.iter().filter(|parameters| parameters.kind == PUBLIC_KEY);
        let algorithm = acceptable.find(|parameters| authenticator.signs_with(parameters.algorithm));
        self.new.algorithm = algorithm.ok_or(Failure::UNSUPPORTED_ALGORITHM)?.algorithm;
        check_entities(&request.rp, &request.user)?;
        // 4 to 8
        let uv = authenticator.check_registration_options(request)?;
        self.discoverable = request.options.is_some_and(|options| options.rk == Some(true));
        // 9
        self.attested.enterprise = authenticator.is_enterprise(request)?;
        self.ceremony.rp_id_hash = authenticator.hash_rp_id(request.rp.id);
        self.ceremony.client_data_hash = *request.client_data_hash;
        // 10, 11
        self.ceremony.user_verified =
            authenticator.verify_user(now, &self.ceremony, param.zip(protocol), Permissions::MC)?.or(by_sensor);
        if uv && self.ceremony.user_verified.is_none() {
            return authenticator.start_verification(false).map(Examined::Next);
        }
        // 12
        let mut excluded = false;
        if let Some(list) = request.exclude_list.filter(|list| !list.is_empty()) {
            let mut search = Search::new(message, &list, authenticator.config.max_credential_count_in_list)?;
            excluded = self.excludes(authenticator, search.next(message)?)?;
            if !search.is_done() {
                self.step = Step::Search { search, excluded, by_sensor };
                return Ok(Examined::Next(Next::Work));
            }
        }
        Ok(Examined::Decide(Wishes::of(request), excluded))
    }

    /// 12: goes on with the list. Every entry is looked at, so that the time taken does not tell which one matched.
    #[inline(never)]
    fn search<P: Platform>(
        &mut self,
        call: &mut Call<'_, '_, P>,
        mut search: Search,
        mut excluded: bool,
        by_sensor: Option<UserVerified>,
    ) -> Outcome {
        let Call { authenticator, .. } = call;
        excluded |= self.excludes(authenticator, search.next(call.message)?)?;
        if !search.is_done() {
            self.step = Step::Search { search, excluded, by_sensor };
            return Ok(Next::Work);
        }
        let wishes = Wishes::read(call.message, call.request)?;
        self.decide(authenticator, wishes, excluded, by_sensor)
    }

    /// Whether the credential with this id is on this authenticator, and a platform may learn that.
    fn excludes<P: Platform>(
        &self,
        authenticator: &mut Authenticator<'_, P>,
        id: Option<&[u8]>,
    ) -> Result<bool, Failure> {
        let Some(id) = id else { return Ok(false) };
        let (rp_id_hash, user_verified) = (&self.ceremony.rp_id_hash, self.ceremony.is_verified());
        Ok(authenticator.locate(rp_id_hash, id, user_verified).map_err(store_status)?.is_some())
    }

    /// 13 to 15
    fn decide<P: Platform>(
        &mut self,
        authenticator: &mut Authenticator<'_, P>,
        wishes: Wishes<'_>,
        excluded: bool,
        by_sensor: Option<UserVerified>,
    ) -> Outcome {
        // 15: no touch is asked for what cannot be done. Of an excluded credential nothing else is told.
        if !excluded {
            let (rp_id_hash, extensions) = (&self.ceremony.rp_id_hash, wishes.extensions);
            self.ceremony.asked =
                authenticator.asked_of_registration(extensions, rp_id_hash, self.discoverable, by_sensor.is_some())?;
        }
        self.attested.format =
            authenticator.choose_format(self.new.algorithm, wishes.formats, self.attested.enterprise);
        // 13, 14
        self.step = if excluded { Step::Excluded } else { Step::Touch };
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
            Step::Excluded => Err(Failure::CREDENTIAL_EXCLUDED),
            Step::Touch => {
                self.ceremony.user_present = Some(present);
                authenticator.token.consume();
                self.step = if self.ceremony.asked.salts { Step::Salts } else { Step::Generate };
                Ok(())
            }
            _ => Err(Failure::OTHER),
        }
    }

    /// `hmac-secret-mc`
    #[inline(never)]
    fn take_salts<P: Platform>(&mut self, call: &mut Call<'_, '_, P>) -> Outcome {
        let input = salts(call.message, call.request)?;
        call.authenticator.decrypt_salts(input, &mut self.ceremony.salts)?;
        self.step = Step::Generate;
        Ok(Next::Work)
    }

    /// 16: the key pair and the id.
    #[inline(never)]
    fn generate<P: Platform>(&mut self, call: &mut Call<'_, '_, P>) -> Outcome {
        // The blob of a discoverable credential is stored with it, later.
        let cred_blob = if self.discoverable { None } else { self.cred_blob(call.message, call.request)? };
        let cred_blob = cred_blob.unwrap_or_default(); // an empty one takes no room
        call.authenticator.generate(&self.ceremony, &mut self.new, self.discoverable, cred_blob)?;
        call.authenticator.draw_randomness(&mut self.ceremony)?;
        self.step = if self.discoverable { Step::Commit { at_once: false } } else { Step::Write };
        Ok(Next::Work)
    }

    /// The blob of the request that is stored with the credential.
    fn cred_blob<'m>(&self, message: &'m [u8], len: usize) -> Result<Option<&'m [u8]>, Failure> {
        if self.ceremony.asked.cred_blob != Some(true) {
            return Ok(None);
        }
        Ok(inputs::<MakeCredentialInputs<'_>>(Wishes::read(message, len)?.extensions)?.cred_blob)
    }

    /// 17: a discoverable credential replaces the one that the relying party has for this user; that one is kept until
    /// the answer is known to have arrived, if there is room for both.
    #[inline(never)]
    fn commit<P: Platform>(
        &mut self,
        authenticator: &mut Authenticator<'_, P>,
        message: &[u8],
        scratch: &mut [u8],
        cred_blob: Option<&[u8]>,
        at_once: bool,
    ) -> Outcome {
        let (rp, user) = entities(message)?;
        let (rp_id_hash, asked) = (&self.ceremony.rp_id_hash, &self.ceremony.asked);
        let replaced = authenticator
            .next_current(Query::User { rp_id_hash, user_id: user.id }, None, scratch)
            .map_err(store_status)?;
        let replacement = authenticator.replacement(replaced, scratch, &self.new.id, at_once);
        let credential = Credential {
            id: &self.new.id,
            algorithm: self.new.algorithm,
            secret: &self.new.secret,
            rp: RpEntity { id: rp.id, name: rp.name.map(truncate) },
            user: UserEntity {
                id: user.id,
                name: user.name.map(truncate),
                display_name: user.display_name.map(truncate),
            },
            cred_protect: asked.cred_protect.filter(|level| *level != Level::USER_VERIFICATION_OPTIONAL),
            cred_blob,
            public_key: Some(&*self.new.public).filter(|public| public.len() <= MAX_KEPT_PUBLIC),
            large_blob_key: asked.large_blob_key.then_some(true),
            third_party_payment: asked.third_party_payment.then_some(true),
            large_blob: (asked.large_blob == LargeBlobAction::Make).then_some(&[]),
        };
        let encoded = credential.encode(scratch);
        authenticator.scratch_used = authenticator.scratch_used.max(encoded.unwrap_or(MAX_RECORD));
        let len = encoded.map_err(|_| Failure::LIMIT_EXCEEDED)?;
        let record = scratch.get(..len).ok_or(Failure::OTHER)?;
        let changes = [replacement.deleted.map(Change::Delete), Some(Change::Put { rp_id_hash, record })];
        match authenticator.commit_credentials(changes, Places::default(), replacement.kept, true) {
            Ok(()) => {
                authenticator.answers_replacement = replacement.kept.is_some();
                self.step = Step::Write;
            }
            Err(StoreError::Full) if replacement.kept.is_some() && !at_once => {
                self.step = Step::Commit { at_once: true };
            }
            Err(error) => return Err(store_status(error)),
        }
        Ok(Next::Work)
    }
}

/// The input of `hmac-secret-mc`. A separate function, so that the others are not on the stack while keys are agreed
/// on.
#[inline(never)]
fn salts(message: &[u8], len: usize) -> Result<Option<hmac_secret::HmacSecretInput<'_>>, Failure> {
    Ok(inputs::<MakeCredentialInputs<'_>>(Wishes::read(message, len)?.extensions)?.hmac_secret_mc)
}

impl<P: Platform> Authenticator<'_, P> {
    /// 4 to 8: whether built-in user verification is needed.
    fn check_registration_options(&self, request: &Request<'_>) -> Result<bool, Failure> {
        let options = request.options.unwrap_or_default();
        let without_param = request.pin_uv_auth_param.is_none();
        // 4, 5
        let mut uv = options.uv == Some(true) && without_param;
        if uv && !self.uv_is_configured() {
            return Err(Failure::INVALID_OPTION);
        }
        let is_passed_over = options.rk == Some(false) && self.config.policy.rk_off_is_known;
        if options.rk.is_some() && !is_passed_over && !self.has(Caps::DISCOVERABLE) {
            return Err(Failure::UNSUPPORTED_OPTION);
        }
        // Version 2.0 knows no `up` here.
        if options.up == Some(false) || options.up.is_some() && self.config.policy.rules_2_0 {
            return Err(Failure::INVALID_OPTION);
        }
        // 6
        uv |= self.always_uv() && without_param && self.uv_is_configured();
        if self.always_uv() && (!self.is_protected() || without_param && !uv) {
            return Err(self.verification_required());
        }
        // 7, 8
        let may_go_without = self.make_cred_uv_not_rqd() && options.rk != Some(true);
        if self.is_protected() && without_param && !uv && !may_go_without {
            return Err(self.verification_required());
        }
        Ok(uv)
    }

    /// 9: whether enterprise attestation is asked for and given.
    fn is_enterprise(&self, request: &Request<'_>) -> Result<bool, Failure> {
        let Some(asked) = request.enterprise_attestation else { return Ok(false) };
        if !(self.is_enterprise_capable() && self.options.enterprise_attestation) {
            return Err(Failure::INVALID_PARAMETER);
        }
        match asked {
            VENDOR_FACILITATED => {
                Ok(self.config.enterprise.is_some_and(|enterprise| enterprise.rp_ids.contains(&request.rp.id)))
            }
            PLATFORM_MANAGED => Ok(true),
            _ => Err(Failure::INVALID_OPTION),
        }
    }
}

/// The relying party and the user of a request that was checked before. What follows them is not read again.
fn entities(message: &[u8]) -> Result<(RpEntity<'_>, UserEntity<'_>), cbor::Error> {
    let mut r = Reader::strict(bytes::rest(message, 1));
    let mut members = r.map()?;
    let mut rp = None;
    while let Some(key) = r.next_int(&mut members)? {
        match (key, rp) {
            (2, _) => rp = Some(RpEntity::read(&mut r)?),
            (3, Some(rp)) => return Ok((rp, UserEntity::read(&mut r)?)),
            _ => drop(r.skip()?),
        }
    }
    Err(r.missing(0x02))
}

/// Lengths that the standard bounds and the store relies on.
fn check_entities(rp: &RpEntity<'_>, user: &UserEntity<'_>) -> Result<(), Failure> {
    let fits = rp.id.len() <= MAX_RP_ID && user.id.len() <= MAX_USER_ID;
    if fits { Ok(()) } else { Err(Failure::INVALID_LENGTH) }
}

//! authenticatorMakeCredential (CTAP 2.3 §6.1.2). The numbers are the standard's steps.

use heapless::Vec;
use keyfob_core::{
    Instant, Status,
    cbor::{self, List},
    cose::Algorithm,
    crypto::{MAX_PUBLIC, MAX_SECRET, Sign, fill_random},
    ctap2::{Command, CredentialDescriptor, PUBLIC_KEY, RpEntity, UserEntity, make_credential::Request},
    extensions::cred_protect::Level,
    pin_uv::Permissions,
};

use super::{
    Engine, Next, Outcome, Platform,
    authenticator::{Authenticator, crypto_status, store_status},
    config::Sizes,
    credential::{MAX_ID, Properties, STORED_ID, Wrapped},
    extensions::LargeBlob,
    proof::UserPresent,
    superseded::Kept,
};
use crate::{
    caps::Caps,
    store::{Change, Credential, MAX_RECORD, StoreError},
};

/// Names are cut to this many bytes at a character's boundary (CTAP 2.3 §6.1.2 allows 64 and more).
const MAX_NAME: usize = 64;
/// The longest user id (CTAP 2.3 §6.1), in bytes. WebAuthn L3 §5.4.3 wants one byte at least, which is for clients to see to.
const MAX_USER_ID: usize = 64;
/// The longest RP ID, in bytes: a domain name's limit.
const MAX_RP_ID: usize = 255;

/// enterpriseAttestation: for the relying parties that the vendor lists.
const VENDOR_FACILITATED: u64 = 1;
/// enterpriseAttestation: for those that the platform lists.
const PLATFORM_MANAGED: u64 = 2;

/// What is done next, in `Work::step`.
mod step {
    use super::super::proof::STEPS;

    pub const GENERATE: u8 = STEPS[0];
    pub const COMMIT: u8 = STEPS[1];
    pub const WRITE: u8 = STEPS[2];
}

impl<P: Platform> Engine<'_, P> {
    #[inline(never)]
    pub(super) fn make_credential(&mut self, now: Instant) -> Outcome {
        let (message, scratch, authenticator) = self.parts();
        let request: Request<'_> = cbor::decode(message).map_err(cbor::Error::status)?;
        authenticator.make_credential(now, &request, scratch)
    }

    #[inline(never)]
    pub(super) fn make_credential_continue(&mut self, present: Option<UserPresent>) -> Outcome {
        let work = &mut self.authenticator.work;
        if present.is_some() {
            if work.probe {
                let pin_is_set = self.authenticator.pin.is_set;
                return Err(self.authenticator.config.policy.probe_answer(pin_is_set));
            }
            if work.excluded {
                return Err(Status::CREDENTIAL_EXCLUDED);
            }
            work.user_present = present;
            self.authenticator.token.consume();
        }
        match self.authenticator.work.step {
            step::GENERATE if self.authenticator.needs_salts() => self.take_salts(Command::MAKE_CREDENTIAL),
            step::GENERATE => {
                let (message, _, authenticator) = self.parts();
                let work = &authenticator.work;
                // The blob of a discoverable credential is stored with it, later.
                let cred_blob = if work.asked.cred_blob == Some(true) && !work.discoverable {
                    let request: Request<'_> = cbor::decode(message).map_err(cbor::Error::status)?;
                    authenticator.blob_of_registration(request.extensions)?.unwrap_or_default()
                } else {
                    &[]
                };
                authenticator.generate_credential(cred_blob)
            }
            step::COMMIT => {
                let (message, scratch, authenticator) = self.parts();
                let request: Request<'_> = cbor::decode(message).map_err(cbor::Error::status)?;
                authenticator.store_credential(&request, scratch)
            }
            step::WRITE => {
                let (message, _, authenticator) = self.parts_mut();
                authenticator.write_attestation(message).map(Next::Reply)
            }
            _ => Err(Status::OTHER),
        }
    }
}

impl<P: Platform> Authenticator<'_, P> {
    fn make_credential(&mut self, now: Instant, request: &Request<'_>, scratch: &mut [u8]) -> Outcome {
        // 1
        if request.pin_uv_auth_param.is_some_and(<[u8]>::is_empty) && self.issues_tokens() {
            self.work.probe = true;
            return Ok(Next::Touch);
        }
        // 2
        let protocol = self.protocol_of_param(request.pin_uv_auth_param, request.pin_uv_auth_protocol)?;
        // 3
        let mut acceptable = request.pub_key_cred_params.iter().filter(|parameters| parameters.kind == PUBLIC_KEY);
        let algorithm = acceptable
            .find(|parameters| self.signs_with(parameters.algorithm))
            .ok_or(Status::UNSUPPORTED_ALGORITHM)?
            .algorithm;
        check_entities(&request.rp, &request.user)?;
        // 4, 5
        let options = request.options.unwrap_or_default();
        let param = request.pin_uv_auth_param;
        let mut uv = options.uv == Some(true) && param.is_none();
        if uv && !self.uv_is_configured() {
            return Err(Status::INVALID_OPTION);
        }
        if options.rk.is_some() && !self.has(Caps::DISCOVERABLE) {
            return Err(Status::UNSUPPORTED_OPTION);
        }
        // Version 2.0 knows no `up` here.
        if options.up == Some(false) || options.up.is_some() && self.config.policy.rules_2_0 {
            return Err(Status::INVALID_OPTION);
        }
        let discoverable = options.rk == Some(true);
        // 6
        uv |= self.always_uv() && param.is_none() && self.uv_is_configured();
        if self.always_uv() && (!self.is_protected() || param.is_none() && !uv) {
            return Err(self.verification_required());
        }
        // 7, 8
        let may_go_without = self.make_cred_uv_not_rqd() && !discoverable;
        if self.is_protected() && param.is_none() && !uv && !may_go_without {
            return Err(self.verification_required());
        }
        // 9
        let enterprise = self.is_enterprise(request)?;
        let rp_id_hash = self.hash_rp_id(request.rp.id);
        // 10, 11
        self.check_param_is_expected(param)?;
        let mut user_verified = None;
        if let (true, Some(protocol), Some(param)) = (self.is_protected(), protocol, param) {
            let hash = request.client_data_hash;
            user_verified = Some(self.verify_token(now, protocol, param, hash, Permissions::MC, &rp_id_hash)?);
        } else if uv {
            user_verified = self.work.attempt.verified();
            if user_verified.is_none() {
                return self.start_verification(Command::MAKE_CREDENTIAL, true);
            }
        }
        // 12
        let excluded = match &request.exclude_list {
            Some(list) => self.excludes(list, &rp_id_hash, user_verified.is_some(), scratch)?,
            None => false,
        };
        // 15: no touch is asked for what cannot be done, and an excluded credential is all that is told
        let asked = match excluded {
            false => self.asked_of_registration(request.extensions, &rp_id_hash, discoverable)?,
            true => Default::default(),
        };
        let format = self.choose_format(algorithm, request.attestation_formats_preference, enterprise);
        let work = &mut self.work;
        work.asked = asked;
        work.enterprise = enterprise;
        work.format = format;
        work.excluded = excluded;
        work.user_verified = user_verified;
        work.discoverable = discoverable;
        work.algorithm = Some(algorithm);
        work.rp_id_hash = rp_id_hash;
        work.client_data_hash = *request.client_data_hash;
        // 13, 14
        let Some(present) = self.presence(user_verified) else { return Ok(Next::Touch) };
        if excluded {
            return Err(Status::CREDENTIAL_EXCLUDED);
        }
        self.work.user_present = Some(present);
        self.token.consume();
        Ok(Next::Work)
    }

    /// 9: whether enterprise attestation is asked for and given.
    fn is_enterprise(&self, request: &Request<'_>) -> Result<bool, Status> {
        let Some(asked) = request.enterprise_attestation else { return Ok(false) };
        if !(self.is_enterprise_capable() && self.options.enterprise_attestation) {
            return Err(Status::INVALID_PARAMETER);
        }
        match asked {
            VENDOR_FACILITATED => {
                Ok(self.config.enterprise.is_some_and(|enterprise| enterprise.rp_ids.contains(&request.rp.id)))
            }
            PLATFORM_MANAGED => Ok(true),
            _ => Err(Status::INVALID_OPTION),
        }
    }

    /// 12: whether a credential of the list is on this authenticator, and may be told to be.
    fn excludes(
        &mut self,
        list: &List<'_, CredentialDescriptor<'_>>,
        rp_id_hash: &[u8; 32],
        user_verified: bool,
        scratch: &mut [u8],
    ) -> Result<bool, Status> {
        if list.len() > usize::from(self.config.max_credential_count_in_list) {
            return Err(Status::LIMIT_EXCEEDED);
        }
        let mut excluded = false;
        for descriptor in list.iter().filter(|descriptor| descriptor.kind == PUBLIC_KEY) {
            let located = self.locate(rp_id_hash, descriptor.id, user_verified, scratch).map_err(store_status)?;
            excluded |= located.is_some();
        }
        Ok(excluded)
    }

    /// Whether credentials of `algorithm` can be made here.
    pub(super) fn signs_with(&self, algorithm: Algorithm) -> bool {
        P::COMPILED.allows(algorithm)
            && self.config.lists(algorithm)
            && self.config.caps.allows(algorithm)
            && self.config.has_room_for(algorithm)
            && self.crypto.algorithms().contains(&algorithm)
    }

    /// 16: the key pair, and the credential's id, which holds `cred_blob` if the credential is not discoverable.
    pub(super) fn generate_credential(&mut self, cred_blob: &[u8]) -> Outcome {
        let work = &mut self.work;
        let algorithm = work.algorithm.ok_or(Status::OTHER)?;
        // In place: a secret that is moved leaves a copy behind.
        let sizes = Sizes::of(algorithm);
        work.secret.resize(sizes.secret.min(MAX_SECRET), 0).map_err(|_| Status::OTHER)?;
        self.public.clear();
        self.public.resize(sizes.public.min(MAX_PUBLIC), 0).map_err(|_| Status::OTHER)?;
        let generated = self.crypto.generate(algorithm, &mut self.rng, &mut work.secret, &mut self.public);
        let (secret_len, public_len) = generated.map_err(crypto_status)?;
        work.secret.truncate(secret_len);
        self.public.truncate(public_len);

        let mut id = [0; MAX_ID];
        let id_len = if work.discoverable {
            fill_random(&mut self.rng, id.get_mut(..STORED_ID).ok_or(Status::OTHER)?).map_err(crypto_status)?;
            STORED_ID
        } else {
            let properties = Properties {
                cred_protect: work.asked.cred_protect.unwrap_or(Level::USER_VERIFICATION_OPTIONAL),
                third_party_payment: work.asked.third_party_payment,
            };
            let credential = Wrapped { algorithm, properties, cred_blob, secret: &work.secret };
            self.credential_keys
                .wrap(&self.crypto, &mut self.rng, &work.rp_id_hash, &credential, &mut id)
                .map_err(|_| Status::OTHER)?
        };
        let id = id.get(..id_len).ok_or(Status::OTHER)?;
        work.id = Vec::from_slice(id).map_err(|_| Status::OTHER)?;
        work.step = if work.discoverable { step::COMMIT } else { step::WRITE };
        self.draw_randomness()?;
        Ok(Next::Work)
    }

    /// 17: a discoverable credential replaces the one that the relying party has for this user; that one is kept until the
    /// answer is known to have arrived, if there is room for both.
    fn store_credential(&mut self, request: &Request<'_>, scratch: &mut [u8]) -> Outcome {
        let rp_id_hash = self.work.rp_id_hash;
        let replaced = self.credential_of_user(&rp_id_hash, request.user.id, scratch).map_err(store_status)?;
        let replacement = self.replacement(replaced, scratch, &self.work.id, self.work.replaces_at_once);
        let cred_blob = self.blob_of_registration(request.extensions)?;
        let state = self.new_store_state()?;
        let work = &self.work;
        let credential = Credential {
            id: &work.id,
            algorithm: work.algorithm.ok_or(Status::OTHER)?,
            secret: &work.secret,
            rp: RpEntity { id: request.rp.id, name: request.rp.name.map(truncate) },
            user: UserEntity {
                id: request.user.id,
                name: request.user.name.map(truncate),
                display_name: request.user.display_name.map(truncate),
            },
            cred_protect: work.asked.cred_protect.filter(|level| *level != Level::USER_VERIFICATION_OPTIONAL),
            cred_blob,
            large_blob_key: work.asked.large_blob_key.then_some(true),
            third_party_payment: work.asked.third_party_payment.then_some(true),
            large_blob: (work.asked.large_blob == LargeBlob::Make).then_some(&[]),
        };
        self.scratch_used = MAX_RECORD;
        let len = credential.encode(scratch).map_err(|_| Status::LIMIT_EXCEEDED)?;
        let record = scratch.get(..len).ok_or(Status::OTHER)?;
        let put = Change::Put { rp_id_hash: &rp_id_hash, record };
        let changes = [replacement.deleted.map(Change::Delete), Some(put)];
        match self.commit_credentials(changes, Kept::default(), replacement.kept, state) {
            Ok(()) => {
                self.answers_replacement = replacement.kept.is_some();
                self.work.committed = true;
                self.work.step = step::WRITE;
            }
            Err(StoreError::Full) if replacement.kept.is_some() && !self.work.replaces_at_once => {
                self.work.replaces_at_once = true
            }
            Err(error) => return Err(store_status(error)),
        }
        Ok(Next::Work)
    }
}

/// Lengths that the standard bounds and the store relies on.
fn check_entities(rp: &RpEntity<'_>, user: &UserEntity<'_>) -> Result<(), Status> {
    let fits = rp.id.len() <= MAX_RP_ID && user.id.len() <= MAX_USER_ID;
    if fits { Ok(()) } else { Err(Status::INVALID_LENGTH) }
}

/// At most [`MAX_NAME`] bytes, cut where a character ends.
pub(super) fn truncate(name: &str) -> &str {
    name.get(..name.floor_char_boundary(MAX_NAME)).unwrap_or(name)
}

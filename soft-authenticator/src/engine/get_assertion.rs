//! authenticatorGetAssertion and authenticatorGetNextAssertion (CTAP 2.3 §6.2.2, §6.3). The numbers are the standard's
//! steps.

use keyfob_core::{
    Instant, Status,
    auth_data::{AuthData, Flags},
    cbor::{self, List, Writer},
    ctap2::{
        self, Command, CredentialDescriptor, PUBLIC_KEY, UserEntity,
        get_assertion::{Request, Response},
    },
    extensions::large_blob_key::LargeBlobKey,
    pin_uv::{Permissions, UserVerified},
};

use super::{
    Engine, Next, Outcome, Platform, SEQUENCE_TIMEOUT,
    attestation::room_for_signature,
    authenticator::{Authenticator, Sequence, store_status},
    extensions::{Asked, LargeBlob, MAX_OUTPUTS},
    large_blob::{self, MAX_UNSIGNED_OUTPUTS},
    proof::UserPresent,
};
use crate::store::Number;

/// What is done next, in `Work::step`.
mod step {
    use super::super::proof::STEPS;

    pub const COUNT: u8 = STEPS[0];
    pub const WRITE: u8 = STEPS[1];
}

/// The rest of the assertions that one request asked for.
pub(super) struct Assertions {
    rp_id_hash: [u8; 32],
    client_data_hash: [u8; 32],
    user_verified: Option<UserVerified>,
    user_present: Option<UserPresent>,
    asked: Asked,
    total: u32,
    left: u32,
    /// The credential before.
    number: Number,
    deadline: Instant,
}

impl<P: Platform> Engine<'_, P> {
    #[inline(never)]
    pub(super) fn get_assertion(&mut self, now: Instant) -> Outcome {
        let (message, scratch, authenticator) = self.parts();
        let request: Request<'_> = cbor::decode(message).map_err(cbor::Error::status)?;
        authenticator.get_assertion(now, &request, scratch)
    }

    #[inline(never)]
    pub(super) fn get_next_assertion(&mut self, now: Instant) -> Outcome {
        let (_, scratch, authenticator) = self.parts();
        authenticator.get_next_assertion(now, scratch)
    }

    #[inline(never)]
    pub(super) fn get_assertion_continue(&mut self, now: Instant, present: Option<UserPresent>) -> Outcome {
        let authenticator = &mut self.authenticator;
        if present.is_some() {
            if authenticator.work.probe {
                return Err(authenticator.config.policy.probe_answer(authenticator.pin.is_set));
            }
            if authenticator.work.total == 0 {
                return Err(Status::NO_CREDENTIALS);
            }
            authenticator.work.user_present = present;
            authenticator.token.consume();
        }
        if authenticator.needs_salts() {
            return self.take_salts(Command::GET_ASSERTION);
        }
        match authenticator.work.step {
            step::COUNT => {
                let (message, scratch, authenticator) = self.parts();
                authenticator.count_assertion(message, scratch)
            }
            step::WRITE => {
                let (message, scratch, authenticator) = self.parts_mut();
                authenticator.write_assertion(now, message, scratch).map(Next::Reply)
            }
            _ => Err(Status::OTHER),
        }
    }
}

impl<P: Platform> Authenticator<'_, P> {
    fn get_assertion(&mut self, now: Instant, request: &Request<'_>, scratch: &mut [u8]) -> Outcome {
        // 1
        if request.pin_uv_auth_param.is_some_and(<[u8]>::is_empty) && self.issues_tokens() {
            self.work.probe = true;
            return Ok(Next::Touch);
        }
        // 2
        let protocol = self.protocol_of_param(request.pin_uv_auth_param, request.pin_uv_auth_protocol)?;
        // 3, 4
        let options = request.options.unwrap_or_default();
        let param = request.pin_uv_auth_param;
        let mut uv = options.uv == Some(true) && param.is_none();
        if uv && !self.uv_is_configured() {
            return Err(Status::INVALID_OPTION);
        }
        if options.rk.is_some() {
            return Err(Status::UNSUPPORTED_OPTION);
        }
        let up = options.up != Some(false);
        // 5
        let always_uv = self.always_uv() && up;
        uv |= always_uv && param.is_none() && self.uv_is_configured();
        if always_uv && (!self.is_protected() || param.is_none() && !uv) {
            return Err(self.verification_required());
        }
        let rp_id_hash = self.hash_rp_id(request.rp_id);
        // 6
        self.check_param_is_expected(param)?;
        let mut user_verified = None;
        if let (true, Some(protocol), Some(param)) = (self.is_protected(), protocol, param) {
            let hash = request.client_data_hash;
            user_verified = Some(self.verify_token(now, protocol, param, hash, Permissions::GA, &rp_id_hash)?);
        } else if uv {
            user_verified = self.work.attempt.verified();
            if user_verified.is_none() {
                return self.start_verification(Command::GET_ASSERTION, true);
            }
        }
        // 7
        self.work.rp_id_hash = rp_id_hash;
        self.work.client_data_hash = *request.client_data_hash;
        self.work.user_verified = user_verified;
        let allow_list = request.allow_list.filter(|list| !list.is_empty());
        match &allow_list {
            Some(list) => self.locate_listed(list, scratch)?,
            None => self.locate_discoverable(scratch)?,
        }
        if self.work.total == 0 {
            let touch = up && self.config.policy.no_credentials_after_touch;
            return if touch { Ok(Next::Touch) } else { Err(Status::NO_CREDENTIALS) };
        }
        // 10: no touch is asked for what cannot be done
        self.work.asked = self.asked_of_assertion(request.extensions, up, allow_list.is_some())?;
        // 8, 9
        if !up {
            return Ok(Next::Work);
        }
        let Some(present) = self.presence(user_verified) else { return Ok(Next::Touch) };
        self.work.user_present = Some(present);
        self.token.consume();
        Ok(Next::Work)
    }

    /// 11: finds the first credential of the list that may be used.
    fn locate_listed(&mut self, list: &List<'_, CredentialDescriptor<'_>>, scratch: &mut [u8]) -> Result<(), Status> {
        if list.len() > usize::from(self.config.max_credential_count_in_list) {
            return Err(Status::LIMIT_EXCEEDED);
        }
        let (rp_id_hash, user_verified) = (self.work.rp_id_hash, self.work.is_verified());
        for descriptor in list.iter().filter(|descriptor| descriptor.kind == PUBLIC_KEY) {
            // Every entry is looked at, so that the time taken does not tell which one matched.
            let located = self.locate(&rp_id_hash, descriptor.id, user_verified, scratch).map_err(store_status)?;
            let Some(located) = located else { continue };
            if self.work.total == 0 {
                self.work.total = 1;
                self.work.number = located.number();
                self.work.id = heapless::Vec::from_slice(descriptor.id).map_err(|_| Status::OTHER)?;
            }
        }
        Ok(())
    }

    /// 12: finds the newest discoverable credential and counts them all.
    fn locate_discoverable(&mut self, scratch: &mut [u8]) -> Result<(), Status> {
        let (rp_id_hash, user_verified) = (self.work.rp_id_hash, self.work.is_verified());
        let mut before = None;
        while let Some(opened) = self.open_stored(&rp_id_hash, before, user_verified, scratch).map_err(store_status)? {
            before = opened.stored.map(|stored| stored.number);
            self.work.total = self.work.total.saturating_add(1);
            self.work.number = self.work.number.or(before);
        }
        Ok(())
    }

    fn get_next_assertion(&mut self, now: Instant, scratch: &mut [u8]) -> Outcome {
        let Some(Sequence::Assertions(Assertions { rp_id_hash, user_verified, number, left, deadline, .. })) =
            self.sequence
        else {
            return Err(Status::NOT_ALLOWED);
        };
        if now >= deadline || left == 0 {
            self.forget_sequence();
            return Err(Status::NOT_ALLOWED);
        }
        let user_verified = user_verified.is_some_and(UserVerified::holds);
        let opened = self.open_stored(&rp_id_hash, Some(number), user_verified, scratch).map_err(store_status)?;
        let number = opened.and_then(|opened| opened.stored).ok_or(Status::NOT_ALLOWED)?.number;
        let (Some(Sequence::Assertions(sequence)), work) = (&self.sequence, &mut self.work) else {
            return Err(Status::NOT_ALLOWED);
        };
        work.rp_id_hash = sequence.rp_id_hash;
        work.client_data_hash = sequence.client_data_hash;
        work.user_verified = sequence.user_verified;
        work.user_present = sequence.user_present;
        work.asked = sequence.asked;
        work.total = sequence.total;
        work.number = Some(number);
        Ok(Next::Work)
    }

    /// Counts the signature before it is made, and stores a new blob of the extension `largeBlob` with it.
    #[inline(never)]
    fn count_assertion(&mut self, message: &[u8], scratch: &mut [u8]) -> Outcome {
        if self.settle_superseded()? {
            return Ok(Next::Work);
        }
        self.draw_randomness()?;
        if self.work.asked.large_blob == LargeBlob::Write {
            self.write_large_blob(message, scratch)?;
            if self.work.asked.large_blob == LargeBlob::Written(false) {
                return Ok(Next::Work);
            }
        } else {
            self.count_signature([None; 2]).map_err(store_status)?;
        }
        self.work.step = step::WRITE;
        Ok(Next::Work)
    }

    /// 13: the response, signed.
    #[inline(never)]
    fn write_assertion(&mut self, now: Instant, message: &mut [u8], scratch: &mut [u8]) -> Result<usize, Status> {
        let sign_count = self.sign_count().map_err(store_status)?;
        let rp_id_hash = self.work.rp_id_hash;
        let wrapped_id = core::mem::take(&mut self.work.id);
        let opened = match self.work.number {
            Some(number) => self.open_number(&rp_id_hash, number, scratch).map_err(store_status)?,
            None => self.open_wrapped(&rp_id_hash, &wrapped_id, scratch),
        };
        let opened = opened.ok_or(Status::NO_CREDENTIALS)?;
        let stored = opened.stored.as_ref().map(|stored| stored.credential);
        let id = stored.map_or(&wrapped_id[..], |credential| credential.id);
        let mut outputs = [0; MAX_OUTPUTS];
        let extensions = self.assertion_outputs(id, &opened, &mut outputs)?;
        let large_blob_key = stored.is_some_and(|credential| credential.large_blob_key == Some(true));
        let large_blob_key =
            (self.work.asked.large_blob_key && large_blob_key).then(|| self.large_blob_key(&rp_id_hash, id));
        let work = &self.work;
        let several = work.total > 1;

        let auth_data = AuthData {
            rp_id_hash: &rp_id_hash,
            flags: Flags::default()
                .with(Flags::UP, work.user_present.is_some())
                .with(Flags::UV, work.user_verified.is_some()),
            sign_count,
            attested_credential_data: None,
            extensions,
        };
        let mut auth_data_bytes = [0; 37 + MAX_OUTPUTS];
        let mut w = Writer::new(&mut auth_data_bytes);
        auth_data.encode(&mut w);
        let auth_data = w.written().ok_or(Status::OTHER)?;
        self.look_again(auth_data)?;
        let mut signature = room_for_signature(opened.algorithm);
        let len = self.sign(opened.algorithm, opened.secret, &[auth_data, &work.client_data_hash], &mut signature)?;

        let identified = several && work.is_verified();
        let user = stored.map(|credential| UserEntity {
            id: credential.user.id,
            name: credential.user.name.filter(|_| identified),
            display_name: credential.user.display_name.filter(|_| identified),
        });
        let user = user.filter(|user| !user.id.is_empty() || user.name.is_some() || user.display_name.is_some());
        let mut unsigned = [0; MAX_UNSIGNED_OUTPUTS];
        let response = Response {
            credential: Some(CredentialDescriptor::new(id)),
            auth_data,
            signature: signature.get(..len).ok_or(Status::OTHER)?,
            user,
            number_of_credentials: (self.sequence.is_none() && several).then_some(u64::from(work.total)),
            user_selected: None,
            large_blob_key: large_blob_key.as_ref().map(|key| LargeBlobKey(&key[..])),
            unsigned_extension_outputs: large_blob::assertion_outputs(&work.asked, stored, &mut unsigned)?,
        };
        let len = ctap2::encode_response(&response, message).map_err(|_| Status::OTHER)?;
        self.keep_sequence(now);
        Ok(len)
    }

    /// What getNextAssertion goes on with.
    fn keep_sequence(&mut self, now: Instant) {
        let work = &self.work;
        let deadline = now.plus(SEQUENCE_TIMEOUT);
        match (&mut self.sequence, work.number) {
            (Some(Sequence::Assertions(sequence)), Some(number)) => {
                sequence.left = sequence.left.saturating_sub(1);
                sequence.number = number;
                sequence.deadline = deadline;
            }
            (None, Some(number)) if work.total > 1 => {
                self.sequence = Some(Sequence::Assertions(Assertions {
                    rp_id_hash: work.rp_id_hash,
                    client_data_hash: work.client_data_hash,
                    user_verified: work.user_verified,
                    user_present: work.user_present,
                    asked: work.asked,
                    total: work.total,
                    left: work.total.saturating_sub(1),
                    number,
                    deadline,
                }));
            }
            _ => {}
        }
    }
}

//! authenticatorGetAssertion and authenticatorGetNextAssertion (CTAP 2.3 §6.2.2, §6.3). The numbers are the standard's
//! steps.

use keyfob_core::{
    Instant, Status,
    auth_data::{AuthData, Flags},
    cbor::{self, Writer},
    crypto::{MAX_SIGNATURE, Sign},
    ctap2::{
        self, Command, CredentialDescriptor, PUBLIC_KEY, UserEntity,
        get_assertion::{Request, Response},
    },
    pin_uv::Permissions,
};

use super::{
    Engine, Next, Outcome, Platform, SEQUENCE_TIMEOUT,
    authenticator::{Authenticator, Sequence, store_status},
    user_verification::Attempt,
};
use crate::{
    caps::Caps,
    store::{Change, Number, Setting, Store},
};

/// What is done next, in `Work::step`.
mod step {
    pub const COUNT: u8 = 0;
    pub const WRITE: u8 = 1;
}

/// The rest of the assertions that one request asked for.
pub(super) struct Assertions {
    rp_id_hash: [u8; 32],
    client_data_hash: [u8; 32],
    user_verified: bool,
    user_present: bool,
    total: u32,
    left: u32,
    /// The credential before.
    number: Number,
    deadline: Instant,
}

impl<P: Platform> Engine<'_, P> {
    pub(super) fn get_assertion(&mut self, now: Instant) -> Outcome {
        let (message, scratch, authenticator) = self.parts();
        let request: Request<'_> = cbor::decode(message).map_err(cbor::Error::status)?;
        authenticator.get_assertion(now, &request, scratch)
    }

    pub(super) fn get_next_assertion(&mut self, now: Instant) -> Outcome {
        let (_, scratch, authenticator) = self.parts();
        authenticator.get_next_assertion(now, scratch)
    }

    pub(super) fn get_assertion_continue(&mut self, now: Instant, touched: bool) -> Outcome {
        let authenticator = &mut self.authenticator;
        if touched {
            if authenticator.work.probe {
                return Err(if authenticator.pin.is_set { Status::PIN_INVALID } else { Status::PIN_NOT_SET });
            }
            authenticator.work.user_present = true;
            authenticator.token.consume();
        }
        if authenticator.work.step == step::COUNT {
            return authenticator.count_assertion();
        }
        let (message, scratch, authenticator) = self.parts_mut();
        authenticator.write_assertion(now, message, scratch).map(Next::Reply)
    }
}

impl<P: Platform> Authenticator<'_, P> {
    fn get_assertion(&mut self, now: Instant, request: &Request<'_>, scratch: &mut [u8]) -> Outcome {
        // 1
        if request.pin_uv_auth_param.is_some_and(<[u8]>::is_empty) && self.has(Caps::CLIENT_PIN) {
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
        // 5
        let always_uv = self.always_uv() && options.up != Some(false);
        uv |= always_uv && param.is_none() && self.uv_is_configured();
        if always_uv && (!self.is_protected() || param.is_none() && !uv) {
            return Err(self.verification_required());
        }
        let rp_id_hash = self.hash_rp_id(request.rp_id);
        // 6
        let mut user_verified = false;
        if let (true, Some(protocol), Some(param)) = (self.is_protected(), protocol, param) {
            let hash = request.client_data_hash;
            self.verify_token(now, protocol, param, hash, Permissions::GA, &rp_id_hash)?;
            user_verified = true;
        } else if uv {
            if self.work.attempt != Attempt::Verified {
                return self.start_verification(Command::GET_ASSERTION, true);
            }
            user_verified = true;
        }
        // 7
        self.work.rp_id_hash = rp_id_hash;
        self.work.client_data_hash = *request.client_data_hash;
        self.work.user_verified = user_verified;
        match request.allow_list.filter(|list| !list.is_empty()) {
            Some(list) if list.len() > usize::from(self.config.max_credential_count_in_list) => {
                return Err(Status::LIMIT_EXCEEDED);
            }
            Some(list) => {
                let credentials = list.iter().filter(|descriptor| descriptor.kind == PUBLIC_KEY);
                for descriptor in credentials {
                    // Every entry is looked at, so that the time taken does not tell which one matched.
                    let opened = self.open(&rp_id_hash, descriptor.id, scratch).map_err(store_status)?;
                    let Some(number) = opened.map(|opened| opened.number) else { continue };
                    if self.work.total == 0 {
                        self.work.total = 1;
                        self.work.number = number;
                        self.work.id = heapless::Vec::from_slice(descriptor.id).unwrap_or_default(); // fits: it was opened
                    }
                }
            }
            None => self.locate_discoverable(scratch)?,
        }
        if self.work.total == 0 {
            return Err(Status::NO_CREDENTIALS);
        }
        // 8, 9
        if options.up == Some(false) {
            return Ok(Next::Work);
        }
        if !self.verification_vouches_for_presence() && !self.token_vouches_for_presence(user_verified) {
            return Ok(Next::Touch);
        }
        self.work.user_present = true;
        self.token.consume();
        Ok(Next::Work)
    }

    /// 12: finds the newest discoverable credential and counts them all.
    fn locate_discoverable(&mut self, scratch: &mut [u8]) -> Result<(), Status> {
        let rp_id_hash = self.work.rp_id_hash;
        let mut before = None;
        while let Some(opened) = self.open_stored(&rp_id_hash, before, scratch).map_err(store_status)? {
            before = opened.number;
            self.work.total = self.work.total.saturating_add(1);
            self.work.number = self.work.number.or(before);
        }
        Ok(())
    }

    fn get_next_assertion(&mut self, now: Instant, scratch: &mut [u8]) -> Outcome {
        let Some(Sequence::Assertions(Assertions { rp_id_hash, number, left, deadline, .. })) = self.sequence else {
            return Err(Status::NOT_ALLOWED);
        };
        if now >= deadline || left == 0 {
            self.forget_sequence();
            return Err(Status::NOT_ALLOWED);
        }
        let opened = self.open_stored(&rp_id_hash, Some(number), scratch).map_err(store_status)?;
        let number = opened.and_then(|opened| opened.number).ok_or(Status::NOT_ALLOWED)?;
        let (Some(Sequence::Assertions(sequence)), work) = (&self.sequence, &mut self.work) else {
            return Err(Status::NOT_ALLOWED);
        };
        work.rp_id_hash = sequence.rp_id_hash;
        work.client_data_hash = sequence.client_data_hash;
        work.user_verified = sequence.user_verified;
        work.user_present = sequence.user_present;
        work.total = sequence.total;
        work.number = Some(number);
        Ok(Next::Work)
    }

    /// Counts the signature before it is made.
    fn count_assertion(&mut self) -> Outcome {
        let count = self.sign_count().map_err(store_status)?.saturating_add(1);
        self.store.commit(&[Change::Set(Setting::SignCount, &count.to_be_bytes())]).map_err(store_status)?;
        self.work.step = step::WRITE;
        Ok(Next::Work)
    }

    /// 13: the response, signed.
    fn write_assertion(&mut self, now: Instant, message: &mut [u8], scratch: &mut [u8]) -> Result<usize, Status> {
        let sign_count = self.sign_count().map_err(store_status)?;
        let rp_id_hash = self.work.rp_id_hash;
        let wrapped_id = core::mem::take(&mut self.work.id);
        let opened = match self.work.number {
            Some(number) => self.open_stored(&rp_id_hash, number.checked_add(1), scratch),
            None => self.open(&rp_id_hash, &wrapped_id, scratch),
        };
        let opened = opened.map_err(store_status)?.ok_or(Status::NO_CREDENTIALS)?;
        let work = &self.work;
        let several = work.total > 1;

        let auth_data = AuthData {
            rp_id_hash: &rp_id_hash,
            flags: Flags::default().with(Flags::UP, work.user_present).with(Flags::UV, work.user_verified),
            sign_count,
            attested_credential_data: None,
            extensions: None,
        };
        let mut signed = [0; 37];
        auth_data.encode(&mut Writer::new(&mut signed));
        let mut signature = [0; MAX_SIGNATURE];
        let len = self
            .crypto
            .sign(opened.algorithm, opened.secret, &[&signed, &work.client_data_hash], &mut signature)
            .map_err(|_| Status::OTHER)?;

        let identified = several && work.user_verified;
        let user = opened.user.map(|user| UserEntity {
            id: user.id,
            name: user.name.filter(|_| identified),
            display_name: user.display_name.filter(|_| identified),
        });
        let first = self.sequence.is_none();
        let response = Response {
            credential: Some(CredentialDescriptor::new(opened.id.unwrap_or(&wrapped_id))),
            auth_data: &signed,
            signature: signature.get(..len).ok_or(Status::OTHER)?,
            user,
            number_of_credentials: (first && several).then_some(u64::from(work.total)),
            user_selected: None,
            large_blob_key: None,
            unsigned_extension_outputs: None,
        };
        let len = ctap2::encode_response(&response, message).map_err(|_| Status::OTHER)?;

        match (&mut self.sequence, work.number) {
            (Some(Sequence::Assertions(sequence)), Some(number)) => {
                sequence.left = sequence.left.saturating_sub(1);
                sequence.number = number;
                sequence.deadline = now.plus(SEQUENCE_TIMEOUT);
            }
            (None, Some(number)) if several => {
                self.sequence = Some(Sequence::Assertions(Assertions {
                    rp_id_hash,
                    client_data_hash: work.client_data_hash,
                    user_verified: work.user_verified,
                    user_present: work.user_present,
                    total: work.total,
                    left: work.total.saturating_sub(1),
                    number,
                    deadline: now.plus(SEQUENCE_TIMEOUT),
                }));
            }
            _ => {}
        }
        Ok(len)
    }
}

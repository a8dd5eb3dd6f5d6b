//! authenticatorMakeCredential (CTAP 2.3 §6.1.2). The numbers are the standard's steps.

use keyfob_core::{
    Instant, Status,
    attestation::{Packed, Statement},
    auth_data::{AttestedCredentialData, AuthData, Flags},
    cbor::{self, List, Write, Writer},
    cose::{Algorithm, CoseKey},
    crypto::{MAX_PUBLIC, MAX_SECRET, MAX_SIGNATURE, Sign},
    ctap2::{PUBLIC_KEY, RpEntity, UserEntity, make_credential::Request},
    pin_uv::Permissions,
};

use super::{
    Attestation, Certified, Engine, Next, Outcome, Platform,
    authenticator::{Authenticator, store_status},
    credential::{MAX_ID, STORED_ID},
};
use crate::{
    caps::Caps,
    store::{Change, Credential, MAX_RECORD, Store},
};
use rand_core::Rng;

/// Names are cut to this many bytes at a character's boundary (CTAP 2.3 §6.1.2 allows 64 and more).
const MAX_NAME: usize = 64;
/// The longest user id (WebAuthn L3 §5.4.3), in bytes.
const MAX_USER_ID: usize = 64;
/// The longest RP ID, in bytes: a domain name's limit.
const MAX_RP_ID: usize = 255;

/// What is done next, in `Work::step`.
mod step {
    pub const GENERATE: u8 = 0;
    pub const COMMIT: u8 = 1;
    pub const WRITE: u8 = 2;
}

impl<P: Platform> Engine<'_, P> {
    pub(super) fn make_credential(&mut self, now: Instant) -> Outcome {
        let (message, scratch, authenticator) = self.parts();
        let request: Request<'_> = cbor::decode(message).map_err(cbor::Error::status)?;
        authenticator.make_credential(now, &request, scratch)
    }

    pub(super) fn make_credential_continue(&mut self, touched: bool) -> Outcome {
        let work = &mut self.authenticator.work;
        if touched {
            if work.probe {
                let pin_is_set = self.authenticator.pin.is_set;
                return Err(if pin_is_set { Status::PIN_INVALID } else { Status::PIN_NOT_SET });
            }
            if work.excluded {
                return Err(Status::CREDENTIAL_EXCLUDED);
            }
            work.user_present = true;
            self.authenticator.token.consume();
        }
        match self.authenticator.work.step {
            step::GENERATE => self.authenticator.generate_credential(),
            step::COMMIT => {
                let (message, scratch, authenticator) = self.parts();
                let request: Request<'_> = cbor::decode(message).map_err(cbor::Error::status)?;
                authenticator.store_credential(&request, scratch)
            }
            _ => {
                let (message, _, authenticator) = self.parts_mut();
                authenticator.write_attestation(message).map(Next::Reply)
            }
        }
    }
}

impl<P: Platform> Authenticator<'_, P> {
    fn make_credential(&mut self, now: Instant, request: &Request<'_>, scratch: &mut [u8]) -> Outcome {
        // 1
        if request.pin_uv_auth_param.is_some_and(<[u8]>::is_empty) && self.has(Caps::CLIENT_PIN) {
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
        if options.uv == Some(true) && param.is_none() {
            return Err(Status::INVALID_OPTION); // no built-in user verification
        }
        if options.rk.is_some() && !self.has(Caps::DISCOVERABLE) {
            return Err(Status::UNSUPPORTED_OPTION);
        }
        if options.up == Some(false) {
            return Err(Status::INVALID_OPTION);
        }
        let discoverable = options.rk == Some(true);
        // 7, 8
        let may_go_without = self.has(Caps::MAKE_CRED_UV_NOT_RQD) && !discoverable;
        if self.is_protected() && param.is_none() && !may_go_without {
            return Err(self.verification_required());
        }
        // 9
        if request.enterprise_attestation.is_some() {
            return Err(Status::INVALID_PARAMETER); // not capable of it
        }
        let rp_id_hash = self.hash_rp_id(request.rp.id);
        // 10, 11
        let mut user_verified = false;
        if let (true, Some(protocol), Some(param)) = (self.is_protected(), protocol, param) {
            let hash = request.client_data_hash;
            self.verify_token(now, protocol, param, hash, Permissions::MC, &rp_id_hash)?;
            user_verified = true;
        }
        // 12
        let excluded = match &request.exclude_list {
            Some(list) if list.len() > usize::from(self.config.max_credential_count_in_list) => {
                return Err(Status::LIMIT_EXCEEDED);
            }
            Some(list) => {
                let mut excluded = false;
                for descriptor in list.iter().filter(|descriptor| descriptor.kind == PUBLIC_KEY) {
                    excluded |= self.open(&rp_id_hash, descriptor.id, scratch).map_err(store_status)?.is_some();
                }
                excluded
            }
            None => false,
        };
        let formats = request.attestation_formats_preference;
        let work = &mut self.work;
        work.excluded = excluded;
        work.user_verified = user_verified;
        work.discoverable = discoverable;
        work.algorithm = Some(algorithm);
        work.rp_id_hash = rp_id_hash;
        work.client_data_hash = *request.client_data_hash;
        work.unattested =
            formats.is_some_and(|formats| formats.len() == 1 && formats.iter().all(|format| format == "none"));
        // 13, 14
        if !self.token_vouches_for_presence(user_verified) {
            return Ok(Next::Touch);
        }
        if excluded {
            return Err(Status::CREDENTIAL_EXCLUDED);
        }
        self.work.user_present = true;
        self.token.consume();
        Ok(Next::Work)
    }

    /// Whether credentials of `algorithm` can be made here.
    pub(super) fn signs_with(&self, algorithm: Algorithm) -> bool {
        P::COMPILED.allows(algorithm)
            && self.config.caps.allows(algorithm)
            && self.config.has_room_for(algorithm)
            && self.crypto.algorithms().contains(&algorithm)
    }

    /// Whether a touch can be spared, because the token was issued with one a moment ago.
    pub(super) fn token_vouches_for_presence(&self, user_verified: bool) -> bool {
        user_verified && self.token.user_present()
    }

    /// 16: the key pair, and the credential's id.
    fn generate_credential(&mut self) -> Outcome {
        let work = &mut self.work;
        let algorithm = work.algorithm.ok_or(Status::OTHER)?;
        // In place: a secret that is moved leaves a copy behind.
        work.secret.resize(MAX_SECRET, 0).map_err(|_| Status::OTHER)?;
        work.public.resize(MAX_PUBLIC, 0).map_err(|_| Status::OTHER)?;
        let generated = self.crypto.generate(algorithm, &mut self.rng, &mut work.secret, &mut work.public);
        let (secret_len, public_len) = generated.map_err(|_| Status::OTHER)?;
        work.secret.truncate(secret_len);
        work.public.truncate(public_len);

        let mut id = [0; MAX_ID];
        let id_len = if work.discoverable {
            self.rng.fill_bytes(id.get_mut(..STORED_ID).unwrap_or_default());
            STORED_ID
        } else {
            self.wrapping
                .wrap(&self.crypto, &mut self.rng, &work.rp_id_hash, algorithm, &work.secret, &mut id)
                .map_err(|_| Status::OTHER)?
        };
        work.id = id.iter().copied().take(id_len).collect();
        work.step = if work.discoverable { step::COMMIT } else { step::WRITE };
        Ok(Next::Work)
    }

    /// 17: a discoverable credential replaces the one that the relying party has for this user.
    fn store_credential(&mut self, request: &Request<'_>, scratch: &mut [u8]) -> Outcome {
        let rp_id_hash = self.work.rp_id_hash;
        let replaced = self.number_of_user(&rp_id_hash, request.user.id, scratch).map_err(store_status)?;
        let work = &mut self.work;
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
        };
        self.scratch_used = MAX_RECORD;
        let len = credential.encode(scratch).map_err(|_| Status::LIMIT_EXCEEDED)?;
        let record = scratch.get(..len).ok_or(Status::OTHER)?;
        let put = Change::Put { rp_id_hash: &rp_id_hash, record };
        let committed = match replaced {
            Some(number) => self.store.commit(&[Change::Delete(number), put]),
            None => self.store.commit(&[put]),
        };
        committed.map_err(store_status)?;
        self.work.committed = true;
        self.work.step = step::WRITE;
        Ok(Next::Work)
    }

    /// 19: the response, signed.
    fn write_attestation(&mut self, message: &mut [u8]) -> Result<usize, Status> {
        let sign_count = self.sign_count().map_err(store_status)?;
        let work = &self.work;
        let algorithm = work.algorithm.ok_or(Status::OTHER)?;
        let auth_data = AuthData {
            rp_id_hash: &work.rp_id_hash,
            flags: Flags::default().with(Flags::UP, work.user_present).with(Flags::UV, work.user_verified),
            sign_count,
            attested_credential_data: Some(AttestedCredentialData {
                aaguid: &self.config.aaguid,
                credential_id: &work.id,
                public_key: CoseKey::from_raw(algorithm, &work.public).ok_or(Status::OTHER)?,
            }),
            extensions: None,
        };
        let attestation = if work.unattested { Attestation::None } else { self.config.attestation };

        let mut w = Writer::new(message);
        w.byte(Status::OK.0);
        w.map(3);
        w.unsigned(1);
        w.text(if matches!(attestation, Attestation::None) { "none" } else { "packed" });
        w.unsigned(2);
        let len = auth_data.encoded_len();
        w.bytes_head(len);
        let start = w.len();
        auth_data.encode(&mut w);
        w.unsigned(3);
        let signed = w.written().and_then(|written| written.get(start..start.saturating_add(len)));
        let parts = [signed.ok_or(Status::OTHER)?, &work.client_data_hash];
        let mut signature = [0; MAX_SIGNATURE];
        let (alg, secret, chain): (_, &[u8], _) = match attestation {
            Attestation::None => {
                Statement::None.write(&mut w);
                return w.finish().map_err(|_| Status::OTHER);
            }
            Attestation::Own => (algorithm, &work.secret, None),
            Attestation::Certified(Certified { algorithm, secret, chain }) => {
                (algorithm, secret, Some(List::Slice(chain)))
            }
        };
        let len = self.crypto.sign(alg, secret, &parts, &mut signature).map_err(|_| Status::OTHER)?;
        let sig = signature.get(..len).ok_or(Status::OTHER)?;
        Statement::Packed(Packed { alg, sig, x5c: chain }).write(&mut w);
        w.finish().map_err(|_| Status::OTHER)
    }
}

/// Lengths that the standard bounds and the store relies on.
fn check_entities(rp: &RpEntity<'_>, user: &UserEntity<'_>) -> Result<(), Status> {
    let fits = rp.id.len() <= MAX_RP_ID && (1..=MAX_USER_ID).contains(&user.id.len());
    if fits { Ok(()) } else { Err(Status::INVALID_LENGTH) }
}

/// At most [`MAX_NAME`] bytes, cut where a character ends.
fn truncate(name: &str) -> &str {
    name.get(..name.floor_char_boundary(MAX_NAME)).unwrap_or(name)
}

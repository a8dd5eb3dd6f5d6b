//! The operation of [`MakeCredential`](super::MakeCredential).
//!
//! ```text
//! appidExclude, before anyone is asked for anything ──▶ found: a touch, CREDENTIAL_EXCLUDED
//! no common algorithm ───────────────────────────────────────▶ a touch, NoCommonAlgorithm
//! exclude list in one message ─────────────────────────────────────────▶ authenticatorMakeCredential
//! a longer one ──▶ preflight ──▶ found: with that one, none: without ──▶ authenticatorMakeCredential
//! version 1    ──▶ preflight ──▶ found: a touch, CREDENTIAL_EXCLUDED; none ──▶ register
//! ```

use core::{convert::Infallible, time::Duration};

use rand_core::CryptoRng;

use super::{
    Attestation, Cause, Conveyance, InvalidOption, MakeOptions, Requirement,
    authorization::Grant,
    descriptors::{Part, assemble, candidates, measure, write, write_ids},
    extensions::{
        LargeBlobSupport, MakeResults,
        hmac::{self, Salts, Sealed},
        inputs::has_hmac_secret,
    },
    facts::{Facts, Purpose},
    operation::{Means, Operation, Progress, Room},
    preflight::Preflight,
    touch::Touch,
    u2f,
};
use crate::{
    Status,
    attestation::{Packed, RawStatement, Statement},
    auth_data::{AuthData, Flags},
    cbor::{List, RawMap, Write},
    cose::Algorithm,
    crypto::{Crypto, Hash},
    ctap1::{self, Control},
    ctap2::{
        Command, CredentialParameters, PUBLIC_KEY, decode_response, encode_request, get_info,
        make_credential::{Options, Request, Response},
    },
    extensions::{MakeCredentialInputs, MakeCredentialOutputs, cred_protect, hmac_secret},
    pin_uv::Permissions,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Looks for excluded credentials of the AppID.
    AppId,
    /// Registers, with the whole exclude list.
    Whole,
    /// Looks for excluded credentials.
    Preflight,
    /// Registers, with the one that was found, if any.
    Picked,
}

/// The operation of [`MakeCredential`](super::MakeCredential).
#[derive(Debug)]
pub struct Registration<'o> {
    options: &'o MakeOptions<'o>,
    /// A discoverable credential is asked for.
    resident_key: bool,
    /// Enterprise attestation is asked for.
    enterprise: bool,
    /// Secrets of the new credential are asked for.
    evaluates: bool,
    /// What it fails with after a touch: without one, a site could find out about an authenticator behind its user's back.
    refusal: Option<Cause>,
    touch: Touch,
    phase: Phase,
    preflight: Preflight<'o>,
}

impl<'o> Registration<'o> {
    pub(super) const fn of(options: &'o MakeOptions<'o>) -> Self {
        Self {
            options,
            resident_key: false,
            enterprise: false,
            evaluates: false,
            refusal: None,
            touch: Touch::new(),
            phase: Phase::Whole,
            preflight: Preflight::new(),
        }
    }

    fn search(&mut self, phase: Phase) {
        self.preflight = Preflight::new();
        self.phase = phase;
    }

    /// What the relying party accepts; what is of an unknown type (WebAuthn L3 §5.1.3), or no algorithm, is left out.
    fn accepted(&self) -> impl Iterator<Item = CredentialParameters<'o>> + Clone + use<'o> {
        let known =
            |params: &CredentialParameters<'o>| params.kind == PUBLIC_KEY && params.algorithm != Algorithm::RESERVED;
        self.options.pub_key_cred_params.iter().filter(known)
    }

    /// What secrets are asked for. Those of a user who was not verified are others, and not for prf if they can be avoided.
    fn salts<C: Crypto, R>(&self, means: &Means<'_, C, R>) -> Option<Salts> {
        let inputs = &self.options.extensions;
        let prf = inputs.prf.flatten().filter(|_| means.grant.verifies() || !means.facts.can_verify());
        let salts = prf.map(|input| Salts::of_prf(means.crypto, &input));
        // What is asked for as prf is not given raw secrets.
        let raw = inputs.hmac_get_secret.as_ref().filter(|_| inputs.prf.is_none());
        salts.or_else(|| raw.map(Salts::of_hmac)).filter(|_| self.evaluates)
    }

    /// Writes the command, with an exclude list of `ids`.
    fn command<'a, C: Crypto, R: CryptoRng>(
        &self,
        means: &mut Means<'_, C, R>,
        ids: impl Iterator<Item = &'a [u8]> + Clone,
        buffer: &mut [u8],
    ) -> Result<usize, Cause> {
        let options = self.options;
        if means.facts.ctap1 {
            let register = ctap1::Request::Register {
                control: Control::NONE,
                challenge: options.client_data_hash,
                application: &means.crypto.sha256(&[options.rp.id.as_bytes()]),
            };
            return Ok(register.encode(buffer)?);
        }
        let proof = means.grant.authenticate(means.crypto, &[options.client_data_hash]);
        let asked = Options { rk: self.resident_key.then_some(true), up: None, uv: means.grant.uv_option() };
        let sealed = match self.salts(means) {
            Some(salts) => Sealed::new(means, &salts)?,
            None => None,
        };
        let inputs = options.extensions.inputs(means.facts, self.resident_key, sealed.as_ref());
        let extensions: &dyn Write = match &options.extensions.other {
            Some(other) => other,
            None => &inputs,
        };
        let extends = options.extensions.other.is_some() || inputs != MakeCredentialInputs::default();

        // What may be long is written into its place afterwards.
        let to_params = Request {
            client_data_hash: options.client_data_hash,
            rp: options.rp,
            user: options.user,
            pub_key_cred_params: List::Slice(&[]),
            exclude_list: None,
            extensions: None,
            options: None,
            pin_uv_auth_param: None,
            pin_uv_auth_protocol: None,
            enterprise_attestation: None,
            attestation_formats_preference: None,
        };
        let to_list = Request { exclude_list: ids.clone().next().map(|_| List::Slice(&[])), ..to_params };
        let to_extensions = Request { extensions: extends.then_some(RawMap::EMPTY), ..to_list };
        let request = Request {
            options: Some(asked).filter(|asked| *asked != Options::default()),
            pin_uv_auth_param: proof.as_ref().map(|(param, _)| param.as_bytes()),
            pin_uv_auth_protocol: proof.as_ref().map(|(_, protocol)| *protocol),
            enterprise_attestation: options.enterprise_attestation.filter(|_| self.enterprise),
            attestation_formats_preference: Some(options.attestation_formats)
                .filter(|formats| means.facts.attestation_formats && !formats.is_empty()),
            ..to_extensions
        };
        let encode =
            |request: &Request<'_>, buffer: &mut [u8]| encode_request(Command::MAKE_CREDENTIAL, request, buffer);
        let end = |request: &Request<'_>| measure(|buffer| encode(request, buffer)).saturating_sub(1);
        let params = Part { at: end(&to_params), replaced: 1, write: &|w| write(self.accepted(), w) };
        let list = Part { at: end(&to_list), replaced: 1, write: &|w| write_ids(ids.clone(), w) };
        let map = Part { at: end(&to_extensions), replaced: 1, write: &|w| extensions.write(w) };
        let parts = [Some(params), request.exclude_list.map(|_| list), request.extensions.map(|_| map)];
        Ok(assemble(|buffer| encode(&request, buffer), &parts, buffer)?)
    }

    fn check<C: Crypto, R>(&self, means: &Means<'_, C, R>, room: &mut Room<'_>) -> Result<(), Cause> {
        decode_response::<Response<'_>>(room.response())?; // to the end
        let (Attestation { auth_data, extensions, .. }, _) = Attestation::decode(room.response())?;
        check_auth_data(means.crypto, &auth_data, self.options.rp.id, means.grant)?;
        let attested = auth_data.attested_credential_data.ok_or(Cause::AttestedCredentialDataMissing)?;
        if attested.credential_id.is_empty() {
            return Err(Cause::InvalidCredentialId); // more than 1,023 bytes do not decode
        }
        let algorithm = attested.public_key.algorithm();
        if !self.accepted().any(|asked| asked.algorithm == algorithm) {
            return Err(Cause::AlgorithmMismatch);
        }
        if let Some(protection) = self.options.extensions.cred_protect
            && protection.enforce
            && means.facts.extensions.has(cred_protect::ID)
            && extensions.cred_protect.is_none_or(|level| level < protection.level)
        {
            return Err(Cause::CredProtectUnsupported);
        }
        if self.options.extensions.large_blob == Some(LargeBlobSupport::Required) && extensions.large_blob != Some(true)
        {
            return Err(Cause::LargeBlobUnsupported);
        }
        let outputs: MakeCredentialOutputs<'_> =
            auth_data.extensions.map_or(Ok(MakeCredentialOutputs::default()), |map| map.decode())?;
        let mut clear = [0; 64];
        let len = match (self.salts(means), outputs.hmac_secret_mc) {
            (Some(salts), Some(encrypted)) => hmac::open(means, encrypted, &salts, &mut clear)?,
            _ => 0,
        };
        if self.evaluates { hmac::keep(room, clear.get_mut(..len).unwrap_or_default()) } else { Ok(()) }
    }
}

impl Operation for Registration<'_> {
    type Outcome<'b>
        = Attestation<'b>
    where
        Self: 'b;
    type Item<'m> = Infallible;
    const CTAP1: bool = true;

    fn check(&self) -> Result<(), Cause> {
        let options = self.options;
        if options.rp.id.is_empty() {
            return Err(Cause::InvalidOption(InvalidOption::RpId));
        }
        // WebAuthn L3 §5.4.3
        if !(1..=64).contains(&options.user.id.len()) {
            return Err(Cause::InvalidOption(InvalidOption::UserId));
        }
        if self.accepted().next().is_none() {
            return Err(Cause::InvalidOption(InvalidOption::Algorithms));
        }
        Ok(())
    }

    fn examine(&mut self, info: &get_info::Response<'_>, facts: &Facts) -> Result<(), Cause> {
        let (options, inputs) = (self.options, &self.options.extensions);
        let supported = facts.options.rk == Some(true);
        self.resident_key = match options.resident_key {
            Requirement::Required if !supported => return Err(Cause::ResidentKeyUnsupported),
            Requirement::Required => true,
            Requirement::Preferred => supported,
            Requirement::Discouraged => false,
        };
        if let Some(listed) = &info.algorithms {
            let offered = |wanted: CredentialParameters| listed.iter().any(|listed| listed == wanted);
            self.refusal = (!self.accepted().any(offered)).then_some(Cause::NoCommonAlgorithm);
        }
        self.enterprise = facts.options.ep == Some(true);
        self.evaluates = (inputs.prf.flatten().is_some() || inputs.hmac_get_secret.is_some())
            && has_hmac_secret(facts)
            && facts.extensions.has(hmac_secret::MC_ID);
        inputs.examine(facts, self.resident_key)
    }

    fn examine_ctap1(&mut self, facts: &Facts) -> Result<(), Cause> {
        let options = self.options;
        if options.resident_key == Requirement::Required {
            return Err(Cause::ResidentKeyUnsupported);
        }
        if options.user_verification == Requirement::Required {
            return Err(Cause::UvUnavailable);
        }
        let offered = self.accepted().any(|params| params.algorithm == Algorithm::ES256);
        self.refusal = (!offered).then_some(Cause::NoCommonAlgorithm);
        options.extensions.examine(facts, false)
    }

    fn purpose(&self) -> Purpose<'_> {
        if self.refusal.is_some() {
            return Purpose::NONE;
        }
        let prf = self.evaluates && self.options.extensions.prf.is_some();
        Purpose {
            permissions: Permissions::MC.with(if self.options.exclude_list.is_empty() {
                Permissions::NONE
            } else {
                Permissions::GA
            }),
            rp_id: Some(self.options.rp.id),
            user_verification: match self.options.user_verification {
                Requirement::Discouraged if prf => Requirement::Preferred,
                user_verification => user_verification,
            },
            preferred_without_uv: self.options.preferred_without_uv,
            discoverable: self.resident_key,
            agreement: self.evaluates,
        }
    }

    fn timeout(&self) -> Duration {
        self.options.timeout
    }

    fn prelude(&mut self, facts: &Facts) -> bool {
        let asks = self.options.extensions.app_id_exclude.is_some()
            && self.refusal.is_none()
            && candidates(&self.options.exclude_list, facts).next().is_some();
        if asks {
            self.search(Phase::AppId);
        }
        asks
    }

    fn searches(&self) -> bool {
        self.refusal.is_none() && matches!(self.phase, Phase::Preflight | Phase::AppId)
    }

    fn granted<C: Crypto>(&mut self, _: &C, _: Grant<'_>) -> bool {
        self.search(Phase::Whole);
        true
    }

    fn measure<C: Crypto, R: CryptoRng>(
        &mut self,
        means: &mut Means<'_, C, R>,
        buffer: &mut [u8],
    ) -> Result<usize, Cause> {
        match self.refusal {
            Some(_) => self.touch.request(means.facts, buffer),
            None => self.command(means, core::iter::empty(), buffer),
        }
    }

    fn request<C: Crypto, R: CryptoRng>(
        &mut self,
        means: &mut Means<'_, C, R>,
        _: &[u8],
        buffer: &mut [u8],
    ) -> Result<usize, Cause> {
        let (options, list) = (self.options, &self.options.exclude_list);
        if self.refusal.is_some() {
            return self.touch.request(means.facts, buffer);
        }
        loop {
            self.phase = match self.phase {
                Phase::AppId => {
                    let app_id = options.extensions.app_id_exclude.unwrap_or_default();
                    match self.preflight.request(list, app_id, false, means, buffer)? {
                        Some(len) => return Ok(len),
                        None => Phase::Whole,
                    }
                }
                Phase::Whole => {
                    let ids = candidates(list, means.facts);
                    let most = means.facts.max_credential_count_in_list.unwrap_or(1);
                    if !means.facts.ctap1
                        && ids.clone().count() <= most
                        && let Ok(len) = self.command(means, ids, buffer)
                        && len <= means.facts.max_msg_size
                    {
                        return Ok(len);
                    }
                    self.preflight = Preflight::new();
                    Phase::Preflight
                }
                Phase::Preflight => match self.preflight.request(list, options.rp.id, true, means, buffer)? {
                    Some(len) => return Ok(len),
                    None => Phase::Picked,
                },
                Phase::Picked => return self.command(means, self.preflight.found.iter().copied(), buffer),
            }
        }
    }

    fn accept<C: Crypto, R: CryptoRng>(
        &mut self,
        means: &mut Means<'_, C, R>,
        room: &mut Room<'_>,
    ) -> Result<Progress, Cause> {
        let list = &self.options.exclude_list;
        match (self.phase, self.refusal) {
            (Phase::AppId | Phase::Preflight, None) => {
                self.preflight.accept(list, means, room.response())?;
                // Version 1 has no exclude list.
                if self.preflight.found.is_some() && (self.phase == Phase::AppId || means.facts.ctap1) {
                    self.refusal = Some(Cause::Status(Status::CREDENTIAL_EXCLUDED));
                } else if self.phase == Phase::AppId && self.preflight.is_over(list, means.facts) {
                    return Ok(Progress::Authorize);
                }
                return Ok(Progress::Prepared);
            }
            (_, Some(refusal)) => return self.touch.end(means.facts, room, refusal),
            _ if means.facts.ctap1 && u2f::waits(room.response()) => return Ok(Progress::Again),
            (Phase::Whole | Phase::Picked, None) => {}
        }
        if means.facts.ctap1 {
            u2f::registration(room, &means.crypto.sha256(&[self.options.rp.id.as_bytes()]))?;
        }
        match self.check(means, room) {
            Ok(()) => Ok(Progress::Complete),
            // Without a place in the store it is better than nothing.
            Err(Cause::Status(Status::KEY_STORE_FULL))
                if self.resident_key
                    && self.options.resident_key == Requirement::Preferred
                    && self.options.extensions.examine(means.facts, false).is_ok() =>
            {
                self.resident_key = false;
                Ok(Progress::Prepared)
            }
            Err(Cause::Status(Status::REQUEST_TOO_LARGE | Status::LIMIT_EXCEEDED))
                if self.phase == Phase::Whole && !list.is_empty() =>
            {
                self.search(Phase::Preflight);
                Ok(Progress::Prepared)
            }
            // Some say so without a touch.
            Err(cause @ Cause::Status(Status::CREDENTIAL_EXCLUDED | Status::UNSUPPORTED_ALGORITHM))
                if !room.touched =>
            {
                self.refusal = Some(cause);
                Ok(Progress::Prepared)
            }
            Err(cause) => Err(cause),
        }
    }

    fn outcome<'b>(self, responses: &'b [u8]) -> Result<Attestation<'b>, Cause>
    where
        Self: 'b,
    {
        let inputs = &self.options.extensions;
        let (mut attestation, behind) = Attestation::decode(responses)?;
        if self.options.attestation == Conveyance::None && !tells_nothing(&attestation) {
            let response = &mut attestation.response;
            (response.fmt, response.att_stmt, response.ep_att) = ("none", Some(RawStatement::EMPTY), None);
            attestation.statement = Statement::None;
        }
        let results = &mut attestation.extensions;
        *results = MakeResults {
            app_id_exclude: inputs.app_id_exclude.map(|_| true),
            cred_props_rk: inputs.cred_props.then_some(self.resident_key),
            hmac_secret: inputs.creates_secret().then_some(results.hmac_secret == Some(true)),
            hmac_outputs: if self.evaluates { hmac::kept(behind).0 } else { None },
            large_blob: inputs.large_blob.map(|_| results.large_blob == Some(true)),
            ..results.asked_by(inputs)
        };
        Ok(attestation)
    }
}

/// Whether it is a self attestation of an unknown model, which stays (WebAuthn L3 §5.1.3).
fn tells_nothing(attestation: &Attestation<'_>) -> bool {
    attestation.auth_data.attested_credential_data.is_some_and(|attested| *attested.aaguid == [0; 16])
        && matches!(attestation.statement, Statement::Packed(Packed { x5c: None, .. }))
}

/// The checks that registrations and assertions share (WebAuthn L3 §7.1, §7.2).
pub(super) fn check_auth_data<C: Hash>(
    crypto: &C,
    auth_data: &AuthData<'_>,
    rp_id: &str,
    grant: Grant<'_>,
) -> Result<(), Cause> {
    if *auth_data.rp_id_hash != crypto.sha256(&[rp_id.as_bytes()]) {
        return Err(Cause::RpIdHashMismatch);
    }
    if !auth_data.flags.has(Flags::UP) {
        return Err(Cause::UserNotPresent);
    }
    if grant.verifies() && !auth_data.flags.has(Flags::UV) {
        return Err(Cause::UserNotVerified);
    }
    Ok(())
}

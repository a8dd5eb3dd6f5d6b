//! A registration (WebAuthn L3 §5.1.3, CTAP 2.3 §6.1).
//!
//! ```text
//! appidExclude, before anyone is asked for anything ──▶ found: a touch, CREDENTIAL_EXCLUDED
//! no common algorithm ───────────────────────────────────────▶ a touch, NoCommonAlgorithm
//! exclude list in one message ─────────────────────────────────────────▶ authenticatorMakeCredential
//! a longer one ──▶ preflight ──▶ found: with that one, none: without ──▶ authenticatorMakeCredential
//! version 1    ──▶ preflight ──▶ found: a touch, CREDENTIAL_EXCLUDED; none ──▶ register
//! ```

use core::{convert::Infallible, slice, time::Duration};

use rand_core::CryptoRng;

use super::{
    Cause, Conveyance, InvalidOption, Requirement,
    extensions::{
        MakeResults,
        hmac::{self, EncryptedSalts, Salts},
        inputs::has_hmac_secret,
        own::{self, Sent},
    },
    facts::{Facts, Purpose},
    operation::{Accepted, First, Forgets, Means, Operation, Room},
    preflight::{Preflight, candidates},
    touch::TouchRequest,
    u2f,
};
use crate::{
    Status,
    attestation::{RawStatement, Statement},
    cbor::{Array, List, Message, With, Write},
    cose::Algorithm,
    crypto::Crypto,
    ctap1::{self, Control},
    ctap2::{
        Command, CommandOptions, CredentialDescriptor, CredentialParameters, PUBLIC_KEY, encode_request, get_info,
        make_credential::Request,
    },
    extensions::{MakeCredentialInputs, hmac_secret},
    pin_uv::Permissions,
};

mod answer;
mod options;

pub(super) use answer::check_auth_data;
use answer::tells_nothing;
pub use options::{Attestation, MakeOptions};

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

/// Registers a credential. Its outcome is an [`Attestation`].
///
/// ```
/// use keyfob_core::client::{self, Ceremony, MakeCredential, MakeOptions, UserInteraction};
/// use keyfob_core::ctap2::{CredentialParameters, RpEntity, UserEntity};
/// use keyfob_core::{cose::Algorithm, crypto::RustCrypto};
/// # mod example { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest/key.rs")); }
/// # use example::*;
/// # struct Dialog;
/// # impl UserInteraction for Dialog {}
/// # let (mut key, client_data_hash) = (Key::default(), [1; 32]);
/// let rp = RpEntity { id: "example.org", name: None };
/// let user = UserEntity { id: b"user-0001", name: Some("alice"), display_name: None };
/// let algorithms = [CredentialParameters::new(Algorithm::ES256)];
/// let options = MakeOptions::new(&client_data_hash, rp, user, &algorithms);
/// let mut buffer = [0; 4096];
/// let ceremony = Ceremony::new(MakeCredential::new(&options), &mut buffer, RustCrypto, rng());
/// let attestation = client::run(ceremony, &mut key, &mut Dialog, clock)?;
/// let credential = attestation.auth_data.attested_credential_data.ok_or("no credential")?;
/// assert_eq!(credential.public_key.algorithm(), Algorithm::ES256);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct MakeCredential<'o> {
    options: &'o MakeOptions<'o>,
    /// A discoverable credential is asked for.
    resident_key: bool,
    /// Secrets of the new credential are asked for.
    evaluates: bool,
    /// What it fails with after a touch: without one, a site could find out about an authenticator behind its user's
    /// back.
    refusal: Option<Cause>,
    touch: TouchRequest,
    phase: Phase,
    preflight: Preflight<'o>,
}

impl<'o> MakeCredential<'o> {
    /// What `options` say.
    pub const fn new(options: &'o MakeOptions<'o>) -> Self {
        Self {
            options,
            resident_key: false,
            evaluates: false,
            refusal: None,
            touch: TouchRequest::new(),
            phase: Phase::Whole,
            preflight: Preflight::new(),
        }
    }
}

impl Operation for MakeCredential<'_> {
    type Outcome<'b> = Attestation<'b>;
    type Item<'m> = Infallible;
    const CTAP1: bool = true;
    const FORGETS: Forgets = Forgets::Nothing;

    fn check(&self) -> Result<Duration, Cause> {
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
        own::check(options.extensions.own, MakeCredentialInputs::KEYS)?;
        Ok(options.timeout)
    }

    fn examine(&mut self, info: &get_info::Response<'_>, facts: &Facts) -> Result<First, Cause> {
        let (options, inputs) = (self.options, &self.options.extensions);
        let supported = facts.options.rk == Some(true);
        self.resident_key = match options.resident_key {
            Requirement::Required if !supported => return Err(Cause::ResidentKeyUnsupported),
            Requirement::Required => true,
            Requirement::Preferred => supported,
            Requirement::Discouraged => false,
        };
        if facts.ctap1 && options.user_verification == Requirement::Required {
            return Err(Cause::UvUnavailable);
        }
        let offered = |wanted: CredentialParameters<'_>| match &info.algorithms {
            _ if facts.ctap1 => wanted.algorithm == Algorithm::ES256,
            Some(listed) => listed.iter().any(|listed| listed == wanted),
            None => true,
        };
        self.refusal = (!self.accepted().any(offered)).then_some(Cause::NoCommonAlgorithm);
        self.evaluates = (inputs.prf.flatten().is_some() || inputs.hmac_get_secret.is_some())
            && has_hmac_secret(facts)
            && facts.extensions.has(hmac_secret::MC_ID);
        inputs.examine(facts, self.resident_key)?;
        if inputs.app_id_exclude.is_some()
            && self.refusal.is_none()
            && candidates(&options.exclude_list, facts).next().is_some()
        {
            self.phase = Phase::AppId;
            return Ok(First::Ask);
        }
        Ok(First::Authorize)
    }

    fn purpose(&self) -> Purpose<'_> {
        if self.refusal.is_some() {
            return Purpose::NONE;
        }
        let prf = self.evaluates && self.options.extensions.prf.is_some();
        let ga = if self.options.exclude_list.is_empty() { Permissions::NONE } else { Permissions::GA };
        Purpose {
            permissions: Permissions::MC.with(ga),
            rp_id: Some(self.options.rp.id),
            user_verification: match self.options.user_verification {
                Requirement::Discouraged if prf => Requirement::Preferred,
                user_verification => user_verification,
            },
            preferred_without_uv: self.options.preferred_without_uv,
            discoverable: self.resident_key,
            agreement: self.evaluates,
            ..Purpose::NONE
        }
    }

    fn measure<C: Crypto, R: CryptoRng>(&mut self, means: &mut Means<'_, C, R>) -> Result<Option<usize>, Cause> {
        match self.refusal {
            Some(_) => self.touch.request(means.facts, means.buffer).map(Some),
            None => self.command(means, None).map(Some),
        }
    }

    fn request<C: Crypto, R: CryptoRng>(&mut self, means: &mut Means<'_, C, R>) -> Result<Option<usize>, Cause> {
        let (options, list) = (self.options, &self.options.exclude_list);
        if self.refusal.is_some() {
            return self.touch.request(means.facts, means.buffer).map(Some);
        }
        loop {
            self.phase = match self.phase {
                Phase::AppId => {
                    if let Some(app_id) = options.extensions.app_id_exclude
                        && let Some(len) = self.preflight.request(list, app_id, false, means)?
                    {
                        return Ok(Some(len));
                    }
                    Phase::Whole
                }
                Phase::Whole => {
                    let ids = candidates(list, means.facts);
                    let most = means.facts.max_credential_count_in_list.unwrap_or(1);
                    let count = ids.clone().count();
                    if !means.facts.ctap1
                        && count <= most
                        && let Ok(len) = self.command(means, (count > 0).then_some(&ids))
                        && len <= means.facts.max_msg_size
                    {
                        return Ok(Some(len));
                    }
                    self.preflight = Preflight::new();
                    Phase::Preflight
                }
                Phase::Preflight => match self.preflight.request(list, options.rp.id, true, means)? {
                    Some(len) => return Ok(Some(len)),
                    None => Phase::Picked,
                },
                Phase::Picked => {
                    let picked = self.preflight.found.map(CredentialDescriptor::new);
                    let list = picked.as_ref().map(|picked| List::Slice(slice::from_ref(picked)));
                    return self.command(means, list.as_ref().map(|list| list as &dyn Write)).map(Some);
                }
            }
        }
    }

    // A separate function, so that the response is not on the stack below the next request.
    #[inline(never)]
    fn accept<C: Crypto, R>(&mut self, means: &Means<'_, C, R>, room: &mut Room<'_>) -> Result<Accepted, Cause> {
        let progress = match (self.refusal, self.phase) {
            (Some(refusal), _) => self.touch.end(means.facts, room, refusal),
            (None, Phase::AppId | Phase::Preflight) => self.searched(means, room.response()),
            (None, Phase::Whole | Phase::Picked) => self.registered(means, room),
        };
        if let Err(Cause::Status(_)) = progress {
            self.search(Phase::Whole); // with another authorization
        }
        progress
    }

    fn outcome<'b>(&mut self, responses: &'b [u8]) -> Result<Attestation<'b>, Cause> {
        let inputs = &self.options.extensions;
        let (mut attestation, behind) = Attestation::decode(responses, false)?;
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

impl<'o> MakeCredential<'o> {
    fn search(&mut self, phase: Phase) {
        self.preflight = Preflight::new();
        self.phase = phase;
    }

    /// The algorithms that the relying party accepts. Those of an unknown type (WebAuthn L3 §5.1.3), or without a
    /// number, are left out.
    fn accepted(&self) -> impl Iterator<Item = CredentialParameters<'o>> + Clone + use<'o> {
        let known =
            |params: &CredentialParameters<'o>| params.kind == PUBLIC_KEY && params.algorithm != Algorithm::RESERVED;
        self.options.pub_key_cred_params.iter().filter(known)
    }

    /// What secrets are asked for. Those of a user who was not verified are others, and not for prf if they can be
    /// avoided.
    fn salts<C: Crypto, R>(&self, means: &Means<'_, C, R>) -> Option<Salts> {
        let inputs = &self.options.extensions;
        let prf = inputs.prf.flatten().filter(|_| means.grant.verifies() || !means.facts.can_verify());
        let salts = prf.map(|input| Salts::of_prf(means.crypto, &input));
        // Inputs of prf do not yield raw secrets.
        let raw = inputs.hmac_get_secret.as_ref().filter(|_| inputs.prf.is_none());
        salts.or_else(|| raw.map(|raw| Salts::new(raw.salt1, raw.salt2))).filter(|_| self.evaluates)
    }

    /// Writes the command, with an exclude list that has at least one id.
    fn command<C: Crypto, R: CryptoRng>(
        &self,
        means: &mut Means<'_, C, R>,
        exclude_list: Option<&dyn Write>,
    ) -> Result<usize, Cause> {
        let options = self.options;
        if means.facts.ctap1 {
            let register = ctap1::Request::Register {
                control: Control::NONE,
                challenge: options.client_data_hash,
                application: &means.crypto.sha256(&[options.rp.id.as_bytes()]),
            };
            return Ok(register.encode(means.buffer)?);
        }
        let proof = means.grant.authenticate(means.crypto, &[options.client_data_hash]);
        let asked = CommandOptions { rk: self.resident_key.then_some(true), up: None, uv: means.grant.uv_option() };
        let salts = self.salts(means);
        let sealed = EncryptedSalts::new(means, salts)?;
        let inputs = options.extensions.inputs(means.facts, self.resident_key, sealed.as_ref());
        let extensions = Sent::new(&inputs, options.extensions.own, options.extensions.other);
        let request = Request {
            client_data_hash: options.client_data_hash,
            rp: options.rp,
            user: options.user,
            pub_key_cred_params: options.pub_key_cred_params,
            exclude_list: None,
            extensions: None,
            options: Some(asked).filter(|asked| *asked != CommandOptions::default()),
            pin_uv_auth_param: proof.as_ref().map(|(param, _)| param.as_bytes()),
            pin_uv_auth_protocol: proof.as_ref().map(|(_, protocol)| *protocol),
            enterprise_attestation: options.enterprise_attestation.filter(|_| means.facts.options.ep == Some(true)),
            attestation_formats_preference: Some(options.attestation_formats)
                .filter(|formats| means.facts.attestation_formats && !formats.is_empty()),
        };
        let accepted = Array(self.accepted());
        let with = [
            (0x04, Some(&accepted as &dyn Write)),
            (0x05, exclude_list),
            (0x06, extensions.as_ref().map(|extensions| extensions as &dyn Write)),
        ];
        Ok(encode_request(Command::MAKE_CREDENTIAL, &With(&request, &with), means.buffer)?)
    }

    /// Takes the answer about credentials of the exclude list.
    fn searched<C, R>(&mut self, means: &Means<'_, C, R>, response: &[u8]) -> Result<Accepted, Cause> {
        let list = &self.options.exclude_list;
        self.preflight.accept(list, means, response)?;
        let of_app_id = self.phase == Phase::AppId;
        // Version 1 has no exclude list.
        if self.preflight.found.is_some() && (of_app_id || means.facts.ctap1) {
            self.refusal = Some(Cause::Status(Status::CREDENTIAL_EXCLUDED));
        } else if of_app_id && self.preflight.is_over(list, means.facts) {
            self.search(Phase::Whole);
            return Ok(Accepted::Authorize);
        }
        Ok(Accepted::Prepared)
    }

    /// Takes the answer to the command itself.
    fn registered<C: Crypto, R>(&mut self, means: &Means<'_, C, R>, room: &mut Room<'_>) -> Result<Accepted, Cause> {
        if means.facts.ctap1 {
            if u2f::waits(room.response()) {
                return Ok(Accepted::Again);
            }
            u2f::registration(room, &means.crypto.sha256(&[self.options.rp.id.as_bytes()]))?;
        }
        match self.check_answer(means, room) {
            Ok(()) => return Ok(Accepted::Complete),
            // The store is full: a credential that is not discoverable is registered instead.
            Err(Cause::Status(Status::KEY_STORE_FULL))
                if self.resident_key
                    && self.options.resident_key == Requirement::Preferred
                    && self.options.extensions.examine(means.facts, false).is_ok() =>
            {
                self.resident_key = false;
            }
            Err(Cause::Status(Status::REQUEST_TOO_LARGE | Status::LIMIT_EXCEEDED))
                if self.phase == Phase::Whole && !self.options.exclude_list.is_empty() =>
            {
                self.search(Phase::Preflight);
            }
            // Some say so without a touch.
            Err(cause @ Cause::Status(Status::CREDENTIAL_EXCLUDED | Status::UNSUPPORTED_ALGORITHM))
                if !room.touched =>
            {
                self.refusal = Some(cause);
            }
            Err(cause) => return Err(cause),
        }
        Ok(Accepted::Prepared)
    }
}

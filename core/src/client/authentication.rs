//! The operation of [`GetAssertion`](super::GetAssertion).
//!
//! ```text
//! allow list in one message ──────────────────────────────▶ authenticatorGetAssertion ──▶ …GetNextAssertion ──▶ large blob
//! longer, or it matters which ──▶ preflight ──▶ found ──▶        │
//!              └──▶ preflight with the AppID ──▶ found ──▶       │ NO_CREDENTIALS
//!                              └──▶ a touch, NO_CREDENTIALS ◀────┘
//! ```

use core::{convert::Infallible, time::Duration};

use rand_core::CryptoRng;

use super::{
    Assertion, AssertionSelection, Cause, GetOptions, InvalidOption, Requirement,
    authorization::Grant,
    descriptors::{Part, assemble, candidates, measure, write_ids},
    extensions::{
        LargeBlobAccess,
        hmac::{self, Salts, Sealed},
        inputs::has_hmac_secret,
        results::GetAsked,
    },
    facts::{Facts, Purpose},
    large_blobs::LargeBlob,
    operation::{Means, Operation, Progress, Room},
    preflight::Preflight,
    registration::check_auth_data,
    touch::Touch,
    u2f,
};
use crate::{
    Status,
    auth_data::MAX_CREDENTIAL_ID,
    cbor::{List, RawMap, Write},
    crypto::Crypto,
    ctap1::{self, Control},
    ctap2::{
        Command, decode_response, encode_command, encode_request,
        get_assertion::{Options, Request, Response},
        get_info,
    },
    extensions::{GetAssertionInputs, GetAssertionOutputs},
    pin_uv::Permissions,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Signs in, with the whole allow list.
    Whole,
    /// Looks for allowed credentials.
    Preflight,
    /// Looks for allowed credentials of the AppID.
    AppId,
    /// Signs in, with the one that was found.
    Picked,
    /// Collects a touch, and fails.
    Nobody,
    /// Fetches the other assertions.
    Next,
    ReadBlobs,
    WriteBlobs,
}

/// The operation of [`GetAssertion`](super::GetAssertion).
#[derive(Debug)]
pub struct Authentication<'o> {
    options: &'o GetOptions<'o>,
    phase: Phase,
    preflight: Preflight<'o>,
    touch: Touch,
    /// The credential that is meant when the authenticator names none: the only one that was asked for.
    only: Option<&'o [u8]>,
    /// The credential is one of the AppID.
    by_app_id: bool,
    /// Outputs of hmac-secret are asked for.
    evaluates: bool,
    /// … for prf, from an authenticator that can verify the user.
    verifies: bool,
    /// One of the assertions at least has a key of a large blob.
    has_key: bool,
    large_blob: LargeBlob<'o>,
    len: usize,
    total: usize,
}

impl<'o> Authentication<'o> {
    pub(super) fn of(options: &'o GetOptions<'o>, memory: &'o mut [u8]) -> Self {
        Self {
            options,
            phase: Phase::Whole,
            preflight: Preflight::new(),
            touch: Touch::new(),
            only: None,
            by_app_id: false,
            evaluates: false,
            verifies: false,
            has_key: false,
            large_blob: LargeBlob::new(memory),
            len: 0,
            total: 1,
        }
    }

    fn rp_id(&self) -> &'o str {
        self.options.extensions.app_id.filter(|_| self.by_app_id).unwrap_or(self.options.rp_id)
    }

    /// What outputs are asked for: those of the credential that was found, or those of any.
    fn salts<C: Crypto, R>(&self, means: &Means<'_, C, R>) -> Option<Salts> {
        let inputs = &self.options.extensions;
        let of_found = inputs.prf_by_credential.iter().find(|input| Some(input.id) == self.preflight.found);
        let prf = of_found.map(|input| input.eval).or(inputs.prf);
        let salts = prf.map(|input| Salts::of_prf(means.crypto, &input));
        // What is asked for as prf is not given raw secrets.
        let raw = inputs.hmac_get_secret.as_ref().filter(|_| !inputs.evaluates_prf());
        salts.or_else(|| raw.map(Salts::of_hmac)).filter(|_| self.evaluates)
    }

    /// Writes the command, with an allow list of `ids`.
    fn command<'a, C: Crypto, R: CryptoRng>(
        &self,
        means: &mut Means<'_, C, R>,
        ids: impl Iterator<Item = &'a [u8]> + Clone,
        buffer: &mut [u8],
    ) -> Result<usize, Cause> {
        let options = self.options;
        if means.facts.ctap1 {
            let authenticate = ctap1::Request::Authenticate {
                control: Control::ENFORCE_USER_PRESENCE,
                challenge: options.client_data_hash,
                application: &means.crypto.sha256(&[self.rp_id().as_bytes()]),
                key_handle: self.only.unwrap_or_default(),
            };
            return Ok(authenticate.encode(buffer)?);
        }
        // A token is for the RP ID, and not for the AppID.
        let grant = if self.by_app_id { Grant::None } else { means.grant };
        let proof = grant.authenticate(means.crypto, &[options.client_data_hash]);
        let sealed = match self.salts(means) {
            Some(salts) => Sealed::new(means, &salts)?,
            None => None,
        };
        let inputs = options.extensions.inputs(means.facts, sealed.as_ref(), self.large_blob.compressed());
        let extensions: &dyn Write = match &options.extensions.other {
            Some(other) => other,
            None => &inputs,
        };
        let extends = options.extensions.other.is_some() || inputs != GetAssertionInputs::default();

        // What may be long is written into its place afterwards.
        let to_list = Request {
            rp_id: self.rp_id(),
            client_data_hash: options.client_data_hash,
            allow_list: ids.clone().next().map(|_| List::Slice(&[])),
            extensions: None,
            options: None,
            pin_uv_auth_param: None,
            pin_uv_auth_protocol: None,
        };
        let to_extensions = Request { extensions: extends.then_some(RawMap::EMPTY), ..to_list };
        let request = Request {
            options: grant.uv_option().map(|uv| Options { uv: Some(uv), ..Options::default() }),
            pin_uv_auth_param: proof.as_ref().map(|(param, _)| param.as_bytes()),
            pin_uv_auth_protocol: proof.as_ref().map(|(_, protocol)| *protocol),
            ..to_extensions
        };
        let encode = |request: &Request<'_>, buffer: &mut [u8]| encode_request(Command::GET_ASSERTION, request, buffer);
        let end = |request: &Request<'_>| measure(|buffer| encode(request, buffer)).saturating_sub(1);
        let list = Part { at: end(&to_list), replaced: 1, write: &|w| write_ids(ids.clone(), w) };
        let map = Part { at: end(&to_extensions), replaced: 1, write: &|w| extensions.write(w) };
        let parts = [request.allow_list.map(|_| list), request.extensions.map(|_| map)];
        Ok(assemble(|buffer| encode(&request, buffer), &parts, buffer)?)
    }

    /// Whether the command has to name the one credential it is for, for another reason than the list's length.
    fn must_pick(&self) -> bool {
        let inputs = &self.options.extensions;
        inputs.app_id.is_some() || (self.evaluates && !inputs.prf_by_credential.is_empty())
    }

    fn check<C: Crypto, R>(&self, means: &Means<'_, C, R>, room: &mut Room<'_>) -> Result<(usize, bool), Cause> {
        let options = self.options;
        let response: Response<'_> = decode_response(room.response())?;
        let (Assertion { credential_id, auth_data, .. }, _) = Assertion::decode(room.response(), self.only)?;
        let grant = if self.by_app_id { Grant::None } else { means.grant };
        check_auth_data(means.crypto, &auth_data, self.rp_id(), grant)?;
        if auth_data.attested_credential_data.is_some() {
            return Err(Cause::AttestedCredentialDataUnexpected);
        }
        if !(1..=MAX_CREDENTIAL_ID).contains(&credential_id.len()) {
            return Err(Cause::InvalidCredentialId);
        }
        let mut allowed = candidates(&options.allow_list, means.facts);
        if !options.allow_list.is_empty() && !allowed.any(|allowed| allowed == credential_id) {
            return Err(Cause::CredentialNotAllowed);
        }
        let total = usize::try_from(response.number_of_credentials.unwrap_or(1)).unwrap_or(usize::MAX);
        if self.len == 0 && !(1..=self.most(means.facts)).contains(&total) {
            return Err(Cause::NumberOfCredentials);
        }
        let has_key = response.large_blob_key.is_some();
        let outputs: GetAssertionOutputs<'_> =
            auth_data.extensions.map_or(Ok(GetAssertionOutputs::default()), |map| map.decode())?;
        if self.evaluates {
            let mut clear = [0; 64];
            let len = match (self.salts(means), outputs.hmac_secret) {
                (Some(salts), Some(encrypted)) => hmac::open(means, encrypted, &salts, &mut clear)?,
                _ => 0,
            };
            hmac::keep(room, clear.get_mut(..len).unwrap_or_default())?;
        }
        Ok((total, has_key))
    }

    /// How many assertions there may be. Of a list the authenticator picks one (CTAP 2.3 §6.2.2); the version before that
    /// has it return all of them.
    fn most(&self, facts: &Facts) -> usize {
        match self.phase {
            _ if self.options.allow_list.is_empty() => usize::MAX,
            Phase::Whole if !facts.is_2_1 => candidates(&self.options.allow_list, facts).count(),
            _ => 1,
        }
    }

    /// Whether the large-blob array has to be read, the assertions being there.
    fn needs_array(&self) -> bool {
        self.options.extensions.large_blob.is_some() && self.large_blob.is_in_array() && self.has_key
    }

    /// Takes a fragment of the large-blob array, or word that one was stored.
    fn blobs<C: Crypto, R>(&mut self, means: &Means<'_, C, R>, response: &[u8]) -> Result<Progress, Cause> {
        if self.phase == Phase::WriteBlobs {
            return Ok(if self.large_blob.given(response)? { Progress::Enough } else { Progress::Next });
        }
        let last = self.large_blob.take(means.crypto, response)?;
        Ok(match self.options.extensions.large_blob {
            _ if !last => Progress::Next,
            Some(LargeBlobAccess::Write(_)) => {
                self.phase = Phase::WriteBlobs;
                self.large_blob.fill();
                Progress::Next
            }
            _ => Progress::Enough,
        })
    }
}

impl<'o> Operation for Authentication<'o> {
    type Outcome<'b>
        = AssertionSelection<'b>
    where
        Self: 'b;
    type Item<'m> = Infallible;
    const CTAP1: bool = true;

    fn check(&self) -> Result<(), Cause> {
        let (options, inputs) = (self.options, &self.options.extensions);
        if options.rp_id.is_empty() {
            return Err(Cause::InvalidOption(InvalidOption::RpId));
        }
        let allowed = |id: &[u8]| options.allow_list.iter().any(|allowed| allowed.id == id);
        if !inputs.prf_by_credential.iter().all(|input| allowed(input.id)) {
            return Err(Cause::InvalidOption(InvalidOption::PrfByCredential));
        }
        if matches!(inputs.large_blob, Some(LargeBlobAccess::Write(_))) && options.allow_list.len() != 1 {
            return Err(Cause::InvalidOption(InvalidOption::LargeBlob));
        }
        Ok(())
    }

    fn examine(&mut self, info: &get_info::Response<'_>, facts: &Facts) -> Result<(), Cause> {
        let inputs = &self.options.extensions;
        let prf = inputs.evaluates_prf();
        self.evaluates = (prf || inputs.hmac_get_secret.is_some()) && has_hmac_secret(facts);
        self.verifies = prf && self.evaluates && facts.can_verify();
        match inputs.large_blob {
            Some(access) => self.large_blob.examine(access, info, facts),
            None => Ok(()),
        }
    }

    fn examine_ctap1(&mut self, _: &Facts) -> Result<(), Cause> {
        if self.options.allow_list.is_empty() {
            return Err(Cause::ResidentKeyUnsupported);
        }
        match self.options.user_verification {
            Requirement::Required => Err(Cause::UvUnavailable),
            _ => Ok(()),
        }
    }

    fn purpose(&self) -> Purpose<'_> {
        let writes = matches!(self.options.extensions.large_blob, Some(LargeBlobAccess::Write(_)));
        let lbw = if writes && self.large_blob.is_in_array() { Permissions::LBW } else { Permissions::NONE };
        Purpose {
            permissions: Permissions::GA.with(lbw),
            rp_id: Some(self.options.rp_id),
            // There is another pseudo-random function for users who are not verified.
            user_verification: if self.verifies { Requirement::Required } else { self.options.user_verification },
            preferred_without_uv: self.options.preferred_without_uv,
            discoverable: self.options.allow_list.is_empty(),
            agreement: self.evaluates,
        }
    }

    fn timeout(&self) -> Duration {
        self.options.timeout
    }

    fn searches(&self) -> bool {
        matches!(self.phase, Phase::Preflight | Phase::AppId)
    }

    fn granted<C: Crypto>(&mut self, _: &C, _: Grant<'_>) -> bool {
        self.phase = Phase::Whole;
        self.preflight = Preflight::new();
        self.by_app_id = false;
        true
    }

    fn measure<C: Crypto, R: CryptoRng>(
        &mut self,
        means: &mut Means<'_, C, R>,
        buffer: &mut [u8],
    ) -> Result<usize, Cause> {
        self.command(means, core::iter::empty(), buffer)
    }

    fn request<C: Crypto, R: CryptoRng>(
        &mut self,
        means: &mut Means<'_, C, R>,
        kept: &[u8],
        buffer: &mut [u8],
    ) -> Result<usize, Cause> {
        let (options, list) = (self.options, &self.options.allow_list);
        loop {
            self.phase = match self.phase {
                Phase::Whole => {
                    let ids = candidates(list, means.facts);
                    let count = ids.clone().count();
                    self.only = ids.clone().next().filter(|_| count == 1);
                    let most = means.facts.max_credential_count_in_list.unwrap_or(1);
                    if count == 0 && !list.is_empty() {
                        Phase::Nobody
                    } else if !means.facts.ctap1
                        && count <= most
                        && !(self.must_pick() && count > 0)
                        && let Ok(len) = self.command(means, ids, buffer)
                        && (len <= means.facts.max_msg_size || count <= 1)
                    {
                        return Ok(len);
                    } else {
                        Phase::Preflight
                    }
                }
                Phase::Preflight => match self.preflight.request(list, options.rp_id, true, means, buffer)? {
                    Some(len) => return Ok(len),
                    None if self.preflight.found.is_some() => Phase::Picked,
                    // What is not of this version cannot verify the user.
                    None if options.extensions.app_id.is_some()
                        && options.user_verification != Requirement::Required =>
                    {
                        self.preflight = Preflight::new();
                        Phase::AppId
                    }
                    None => Phase::Nobody,
                },
                Phase::AppId => {
                    let app_id = options.extensions.app_id.unwrap_or_default();
                    match self.preflight.request(list, app_id, false, means, buffer)? {
                        Some(len) => return Ok(len),
                        None if self.preflight.found.is_some() => {
                            self.by_app_id = true;
                            Phase::Picked
                        }
                        None => Phase::Nobody,
                    }
                }
                Phase::Picked => {
                    self.only = self.preflight.found;
                    return self.command(means, self.only.iter().copied(), buffer);
                }
                Phase::Nobody => return self.touch.request(means.facts, buffer),
                Phase::Next => return Ok(encode_command(Command::GET_NEXT_ASSERTION, buffer)?),
                Phase::ReadBlobs => return self.large_blob.ask(means.facts.max_msg_size, buffer),
                Phase::WriteBlobs => {
                    if let Some(LargeBlobAccess::Write(blob)) = options.extensions.large_blob {
                        let (assertion, _) = Assertion::decode(kept, self.only)?;
                        self.large_blob.put(assertion.response.large_blob_key.map(|key| key.0), blob, means)?;
                    }
                    return self.large_blob.give(means, buffer);
                }
            }
        }
    }

    fn accept<C: Crypto, R: CryptoRng>(
        &mut self,
        means: &mut Means<'_, C, R>,
        room: &mut Room<'_>,
    ) -> Result<Progress, Cause> {
        let list = &self.options.allow_list;
        match self.phase {
            Phase::Preflight | Phase::AppId => {
                self.preflight.accept(list, means, room.response())?;
                return Ok(Progress::Prepared);
            }
            Phase::Nobody => return self.touch.end(means.facts, room, Cause::Status(Status::NO_CREDENTIALS)),
            _ if means.facts.ctap1 && u2f::waits(room.response()) => return Ok(Progress::Again),
            // The assertions are there: what becomes of a blob does not take them back.
            Phase::ReadBlobs | Phase::WriteBlobs => {
                return Ok(self.blobs(means, room.response()).unwrap_or(Progress::Enough));
            }
            Phase::Whole | Phase::Picked | Phase::Next => {}
        }
        if means.facts.ctap1 {
            let rp_id_hash = means.crypto.sha256(&[self.rp_id().as_bytes()]);
            u2f::assertion(room, &rp_id_hash, self.only.unwrap_or_default())?;
        }
        match self.check(means, room) {
            Ok((total, has_key)) => {
                if self.len == 0 {
                    self.total = total;
                }
                self.len = self.len.saturating_add(1);
                self.has_key |= has_key;
                if self.len < self.total {
                    self.phase = Phase::Next;
                    return Ok(Progress::More);
                }
                if self.needs_array() {
                    self.phase = Phase::ReadBlobs;
                    return Ok(Progress::More);
                }
                Ok(Progress::Complete)
            }
            // Some wait for a touch before they say so, as version 2.0 has it.
            Err(Cause::Status(Status::NO_CREDENTIALS | Status::INVALID_CREDENTIAL))
                if self.len == 0 && !room.touched =>
            {
                self.phase = Phase::Nobody;
                Ok(Progress::Prepared)
            }
            // The assertions that are there are not taken back.
            Err(Cause::Status(_)) if self.phase == Phase::Next && self.needs_array() => {
                self.phase = Phase::ReadBlobs;
                Ok(Progress::Prepared)
            }
            Err(Cause::Status(_)) if self.phase == Phase::Next => Ok(Progress::Enough),
            Err(Cause::Status(Status::REQUEST_TOO_LARGE | Status::LIMIT_EXCEEDED))
                if self.phase == Phase::Whole && list.len() > 1 =>
            {
                self.phase = Phase::Preflight;
                Ok(Progress::Prepared)
            }
            Err(cause) => Err(cause),
        }
    }

    fn suffices(&self) -> bool {
        self.len > 0
    }

    fn outcome<'b>(self, responses: &'b [u8]) -> Result<AssertionSelection<'b>, Cause>
    where
        Self: 'b,
    {
        let inputs = &self.options.extensions;
        let writes = matches!(inputs.large_blob, Some(LargeBlobAccess::Write(_)));
        Ok(AssertionSelection {
            responses,
            len: self.len,
            total: self.total,
            only: self.only,
            asked: GetAsked::by(inputs),
            evaluated: self.evaluates,
            app_id: inputs.app_id.map(|_| self.by_app_id),
            written: writes.then_some(self.large_blob.written),
            array: if writes { None } else { self.large_blob.into_array() },
        })
    }
}

//! A sign-in (WebAuthn L3 §5.1.4, CTAP 2.3 §6.2, §6.3).
//!
//! ```text
//! allow list in one message ──────────────────────────────▶ authenticatorGetAssertion ──▶ …GetNextAssertion ──▶ large blob
//! longer, or it matters which ──▶ preflight ──▶ found ──▶        │
//!              └──▶ preflight with the AppID ──▶ found ──▶       │ NO_CREDENTIALS
//!                              └──▶ a touch, NO_CREDENTIALS ◀────┘
//! ```

use core::{convert::Infallible, slice, time::Duration};

use rand_core::CryptoRng;

use super::{
    Cause, InvalidOption, Requirement,
    authorization::Grant,
    extensions::{
        LargeBlobAccess,
        hmac::EncryptedSalts,
        inputs::has_hmac_secret,
        own::{self, Sent},
        results::GetAsked,
    },
    facts::{Facts, Purpose},
    large_blobs::LargeBlob,
    operation::{Accepted, First, Forgets, Means, Operation, Room},
    preflight::{Preflight, candidates},
    touch::TouchRequest,
    u2f,
};
use crate::{
    Status,
    cbor::{List, Message, With, Write},
    crypto::Crypto,
    ctap1::{self, Control},
    ctap2::{
        Command, CommandOptions, CredentialDescriptor, encode_command, encode_request, get_assertion::Request, get_info,
    },
    extensions::GetAssertionInputs,
    pin_uv::Permissions,
};

mod answer;
mod options;

pub use options::{Assertion, AssertionSelection, GetOptions};

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
    /// Fails: after a touch, where the user has to be present.
    NoCredential,
    /// Fetches the other assertions.
    Next,
    ReadBlobs,
    WriteBlobs,
}

/// Signs in. Its outcome is an [`AssertionSelection`]. Several assertions share the ceremony's buffer: those that do
/// not fit are not fetched.
///
/// ```
/// use keyfob_core::client::{self, Ceremony, GetAssertion, GetOptions, UserInteraction};
/// use keyfob_core::{crypto::RustCrypto, webauthn::Requirement};
/// # mod example { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest/key.rs")); }
/// # use example::*;
/// # struct Dialog;
/// # impl UserInteraction for Dialog {}
/// # let (mut key, client_data_hash, mut buffer) = (Key::default(), [1; 32], [0; 4096]);
/// let options = GetOptions {
///     user_verification: Requirement::Discouraged,
///     ..GetOptions::new("example.org", &client_data_hash)
/// };
/// let ceremony = Ceremony::new(GetAssertion::new(&options), &mut buffer, RustCrypto, rng());
/// let assertions = client::run(ceremony, &mut key, &mut Dialog, clock)?;
/// let first = assertions.get(0).ok_or("no assertion")?;
/// assert_eq!((first.credential_id.len(), first.auth_data.sign_count), (32, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct GetAssertion<'o, 'm> {
    options: &'o GetOptions<'o>,
    phase: Phase,
    preflight: Preflight<'o>,
    touch: TouchRequest,
    /// The credential that is meant when the authenticator names none: the only one that was asked for.
    only: Option<&'o [u8]>,
    /// The credential is one of the AppID.
    by_app_id: bool,
    /// Outputs of hmac-secret are asked for.
    evaluates: bool,
    /// … for prf, from an authenticator that can verify the user.
    verifies: bool,
    /// At least one of the assertions has a key of a large blob.
    has_key: bool,
    large_blob: LargeBlob<'m>,
    len: usize,
    total: usize,
}

impl<'o> GetAssertion<'o, 'static> {
    /// What `options` say.
    pub fn new(options: &'o GetOptions<'o>) -> Self {
        Self::with_memory(options, &mut [])
    }
}

impl<'o, 'm> GetAssertion<'o, 'm> {
    /// The same with `memory` to read or write a large blob.
    ///
    /// In an authenticator that keeps blobs in the large-blob array, the array has to fit:
    /// maxSerializedLargeBlobArray and [`OVERHEAD`](crate::large_blob::OVERHEAD) bytes; to write, once more that and
    /// [`bound`](crate::large_blob::bound) of the blob. In one that keeps them by itself, a blob that is written takes
    /// [`bound`](crate::large_blob::bound).
    pub fn with_memory(options: &'o GetOptions<'o>, memory: &'m mut [u8]) -> Self {
        Self {
            options,
            phase: Phase::Whole,
            preflight: Preflight::new(),
            touch: TouchRequest::new(),
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
}

impl<'m> Operation for GetAssertion<'_, 'm> {
    type Outcome<'b> = AssertionSelection<'b, 'm>;
    type Item<'i> = Infallible;
    const CTAP1: bool = true;
    const FORGETS: Forgets = Forgets::Nothing;

    fn check(&self) -> Result<Duration, Cause> {
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
        own::check(options.extensions.own, GetAssertionInputs::KEYS)?;
        Ok(options.timeout)
    }

    fn examine(&mut self, info: &get_info::Response<'_>, facts: &Facts) -> Result<First, Cause> {
        if facts.ctap1 && self.options.allow_list.is_empty() {
            return Err(Cause::ResidentKeyUnsupported);
        }
        if facts.ctap1 && self.options.user_verification == Requirement::Required {
            return Err(Cause::UvUnavailable);
        }
        let inputs = &self.options.extensions;
        let prf = inputs.evaluates_prf();
        self.evaluates = (prf || inputs.hmac_get_secret.is_some()) && has_hmac_secret(facts);
        self.verifies = prf && self.evaluates && facts.can_verify();
        if let Some(access) = inputs.large_blob {
            self.large_blob.examine(access, info, facts)?;
        }
        Ok(First::Authorize)
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
            ..Purpose::NONE
        }
    }

    fn measure<C: Crypto, R: CryptoRng>(&mut self, means: &mut Means<'_, C, R>) -> Result<Option<usize>, Cause> {
        self.command(means, None).map(Some)
    }

    fn request<C: Crypto, R: CryptoRng>(&mut self, means: &mut Means<'_, C, R>) -> Result<Option<usize>, Cause> {
        let (options, list) = (self.options, &self.options.allow_list);
        loop {
            self.phase = match self.phase {
                Phase::Whole => {
                    let ids = candidates(list, means.facts);
                    let count = ids.clone().count();
                    self.only = ids.clone().next().filter(|_| count == 1);
                    let most = means.facts.max_credential_count_in_list.unwrap_or(1);
                    if count == 0 && !list.is_empty() {
                        Phase::NoCredential
                    } else if !means.facts.ctap1
                        && count <= most
                        && !(self.must_pick() && count > 0)
                        && let Ok(len) = self.command(means, (count > 0).then_some(&ids))
                        && (len <= means.facts.max_msg_size || count <= 1)
                    {
                        return Ok(Some(len));
                    } else {
                        Phase::Preflight
                    }
                }
                Phase::Preflight | Phase::AppId => {
                    let app_id = options.extensions.app_id.filter(|_| self.phase == Phase::AppId);
                    let rp_id = app_id.unwrap_or(options.rp_id);
                    match self.preflight.request(list, rp_id, app_id.is_none(), means)? {
                        Some(len) => return Ok(Some(len)),
                        None => self.searched(),
                    }
                }
                Phase::Picked => {
                    self.only = self.preflight.found;
                    let picked = self.only.map(CredentialDescriptor::new);
                    let list = picked.as_ref().map(|picked| List::Slice(slice::from_ref(picked)));
                    return self.command(means, list.as_ref().map(|list| list as &dyn Write)).map(Some);
                }
                Phase::NoCredential if !options.user_presence => return Err(Cause::Status(Status::NO_CREDENTIALS)),
                Phase::NoCredential => return self.touch.request(means.facts, means.buffer).map(Some),
                Phase::Next => return Ok(Some(encode_command(Command::GET_NEXT_ASSERTION, means.buffer)?)),
                Phase::ReadBlobs => return self.large_blob.fragments.ask(means).map(Some),
                Phase::WriteBlobs => {
                    if let Some(LargeBlobAccess::Write(blob)) = options.extensions.large_blob {
                        let (assertion, _) = Assertion::decode(means.kept, self.only, false)?;
                        self.large_blob.put(assertion.response.large_blob_key.map(|key| key.0), blob, means)?;
                    }
                    return self.large_blob.give(means).map(Some);
                }
            }
        }
    }

    // A separate function, so that the response is not on the stack below the next request.
    #[inline(never)]
    fn accept<C: Crypto, R>(&mut self, means: &Means<'_, C, R>, room: &mut Room<'_>) -> Result<Accepted, Cause> {
        let progress = match self.phase {
            Phase::Preflight | Phase::AppId => {
                let found = self.preflight.accept(&self.options.allow_list, means, room.response());
                found.map(|()| Accepted::Prepared)
            }
            Phase::NoCredential => self.touch.end(means.facts, room, Cause::Status(Status::NO_CREDENTIALS)),
            // The assertions are complete: a blob that fails does not void them.
            Phase::ReadBlobs | Phase::WriteBlobs => Ok(self.blobs(means, room.response()).unwrap_or(Accepted::Enough)),
            Phase::Whole | Phase::Picked | Phase::Next => self.signed(means, room),
        };
        if let Err(Cause::Status(_)) = progress {
            // With another authorization.
            (self.phase, self.preflight, self.by_app_id) = (Phase::Whole, Preflight::new(), false);
        }
        progress
    }

    fn outcome<'b>(&mut self, responses: &'b [u8]) -> Result<AssertionSelection<'b, 'm>, Cause> {
        let inputs = &self.options.extensions;
        let writes = matches!(inputs.large_blob, Some(LargeBlobAccess::Write(_)));
        Ok(AssertionSelection {
            responses,
            one: None,
            len: self.len,
            total: self.total,
            asked: GetAsked::by(inputs),
            evaluated: self.evaluates,
            app_id: inputs.app_id.map(|_| self.by_app_id),
            written: writes.then_some(self.large_blob.written),
            array: if writes { None } else { self.large_blob.take_bytes() },
        })
    }
}

impl<'o> GetAssertion<'o, '_> {
    fn rp_id(&self) -> &'o str {
        self.options.extensions.app_id.filter(|_| self.by_app_id).unwrap_or(self.options.rp_id)
    }

    /// Writes the command, with an allow list that has at least one id.
    fn command<C: Crypto, R: CryptoRng>(
        &self,
        means: &mut Means<'_, C, R>,
        allow_list: Option<&dyn Write>,
    ) -> Result<usize, Cause> {
        let options = self.options;
        if means.facts.ctap1 {
            let authenticate = ctap1::Request::Authenticate {
                control: if options.user_presence {
                    Control::ENFORCE_USER_PRESENCE
                } else {
                    Control::DONT_ENFORCE_USER_PRESENCE
                },
                challenge: options.client_data_hash,
                application: &means.crypto.sha256(&[self.rp_id().as_bytes()]),
                key_handle: self.only.ok_or(Cause::CredentialMissing)?,
            };
            return Ok(authenticate.encode(means.buffer)?);
        }
        // A token is for the RP ID, and not for the AppID.
        let grant = if self.by_app_id { Grant::None } else { means.grant };
        let proof = grant.authenticate(means.crypto, &[options.client_data_hash]);
        let salts = self.salts(means);
        let sealed = EncryptedSalts::new(means, salts)?;
        let inputs = options.extensions.inputs(means.facts, sealed.as_ref(), self.large_blob.compressed());
        let extensions = Sent::new(&inputs, options.extensions.own, options.extensions.other);
        let request = Request {
            rp_id: self.rp_id(),
            client_data_hash: options.client_data_hash,
            allow_list: None,
            extensions: None,
            options: Some(CommandOptions {
                rk: None,
                up: (!options.user_presence).then_some(false),
                uv: grant.uv_option(),
            })
            .filter(|options| *options != CommandOptions::default()),
            pin_uv_auth_param: proof.as_ref().map(|(param, _)| param.as_bytes()),
            pin_uv_auth_protocol: proof.as_ref().map(|(_, protocol)| *protocol),
        };
        let with = [(0x03, allow_list), (0x04, extensions.as_ref().map(|extensions| extensions as &dyn Write))];
        Ok(encode_request(Command::GET_ASSERTION, &With(&request, &with), means.buffer)?)
    }

    /// Whether the command has to name the one credential it is for, for another reason than the list's length.
    fn must_pick(&self) -> bool {
        let inputs = &self.options.extensions;
        inputs.app_id.is_some() || (self.evaluates && !inputs.prf_by_credential.is_empty())
    }

    /// What follows a search.
    fn searched(&mut self) -> Phase {
        let of_app_id = self.phase == Phase::AppId;
        if self.preflight.found.is_some() {
            self.by_app_id = of_app_id;
            return Phase::Picked;
        }
        // Credentials of U2F cannot verify the user.
        let verified = self.options.user_verification == Requirement::Required;
        if of_app_id || verified || self.options.extensions.app_id.is_none() {
            return Phase::NoCredential;
        }
        self.preflight = Preflight::new();
        Phase::AppId
    }

    /// Takes an assertion.
    fn signed<C: Crypto, R>(&mut self, means: &Means<'_, C, R>, room: &mut Room<'_>) -> Result<Accepted, Cause> {
        if means.facts.ctap1 {
            if u2f::waits(room.response()) {
                return Ok(Accepted::Again);
            }
            let rp_id_hash = means.crypto.sha256(&[self.rp_id().as_bytes()]);
            u2f::assertion(room, &rp_id_hash, self.only.ok_or(Cause::CredentialMissing)?)?;
        }
        match self.check_answer(means, room) {
            Ok((total, has_key)) => {
                if self.len == 0 {
                    self.total = total;
                }
                self.len = self.len.saturating_add(1);
                self.has_key |= has_key;
                self.phase = match () {
                    () if self.len < self.total => Phase::Next,
                    () if self.needs_array() => Phase::ReadBlobs,
                    () => return Ok(Accepted::Complete),
                };
                Ok(Accepted::More)
            }
            // Some wait for a touch before they say so, as version 2.0 has it.
            Err(Cause::Status(Status::NO_CREDENTIALS | Status::INVALID_CREDENTIAL))
                if self.len == 0 && !room.touched =>
            {
                self.phase = Phase::NoCredential;
                Ok(Accepted::Prepared)
            }
            // The assertions that are there are not taken back.
            Err(Cause::Status(_)) if self.phase == Phase::Next && self.needs_array() => {
                self.phase = Phase::ReadBlobs;
                Ok(Accepted::Prepared)
            }
            Err(Cause::Status(_)) if self.phase == Phase::Next => Ok(Accepted::Enough),
            Err(Cause::Status(Status::REQUEST_TOO_LARGE | Status::LIMIT_EXCEEDED))
                if self.phase == Phase::Whole && self.options.allow_list.len() > 1 =>
            {
                self.phase = Phase::Preflight;
                Ok(Accepted::Prepared)
            }
            Err(cause) => Err(cause),
        }
    }
}

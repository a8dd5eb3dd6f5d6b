//! A sign-in (WebAuthn L3 §5.1.4, CTAP 2.3 §6.2, §6.3).

use core::{convert::Infallible, time::Duration};

use rand_core::CryptoRng;

use super::{
    Cause, Ceremony, DEFAULT_TIMEOUT, InvalidOption, PreferredWithoutUv, Requirement,
    authorization::Grant,
    ceremony::{Operation, Progress},
    descriptors,
    extensions::{GetExtensions, GetResults},
    facts::{Facts, Purpose},
    make_credential::check_auth_data,
};
use crate::{
    auth_data::{AuthData, MAX_CREDENTIAL_ID},
    cbor::{List, Read, Reader},
    crypto::{Cipher, Crypto, Hash},
    ctap2::{
        Command, CredentialDescriptor, decode_response, encode_command, encode_request,
        get_assertion::{Options, Request, Response},
        get_info,
    },
    extensions::UnsignedOutputs,
    large_blob::{self, inflate},
    pin_uv::Permissions,
};

/// What to sign in to.
#[derive(Clone, Copy, Debug)]
pub struct GetOptions<'o> {
    /// The RP ID.
    pub rp_id: &'o str,
    /// SHA-256 of the client data.
    pub client_data_hash: &'o [u8; 32],
    /// Credentials that may be used; empty means any discoverable one.
    pub allow_list: List<'o, CredentialDescriptor<'o>>,
    /// User verification.
    pub user_verification: Requirement,
    /// What preferred user verification means when it is not set up.
    pub preferred_without_uv: PreferredWithoutUv,
    /// Extension inputs.
    pub extensions: GetExtensions<'o>,
    /// How long the ceremony may take, the user's typing included.
    pub timeout: Duration,
}

impl<'o> GetOptions<'o> {
    /// Options with the standard's defaults: any credential, user verification preferred, [`DEFAULT_TIMEOUT`].
    pub const fn new(rp_id: &'o str, client_data_hash: &'o [u8; 32]) -> Self {
        Self {
            rp_id,
            client_data_hash,
            allow_list: List::Slice(&[]),
            user_verification: Requirement::Preferred,
            preferred_without_uv: PreferredWithoutUv::Proceed,
            extensions: GetExtensions::NONE,
            timeout: DEFAULT_TIMEOUT,
        }
    }
}

/// One assertion. Checked: the relying party, user presence, user verification where it was done or required, the
/// credential against the allow list, and the form of everything. The signature is the relying party's to verify.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Assertion<'b> {
    /// The credential's id, also where the authenticator left it out.
    pub credential_id: &'b [u8],
    /// The response as it came; the user is in it.
    pub response: Response<'b>,
    /// Its authenticator data.
    pub auth_data: AuthData<'b>,
    /// What came of the extensions.
    pub extensions: GetResults<'b>,
}

impl<'b> Assertion<'b> {
    fn of(response: Response<'b>, only: Option<&'b [u8]>) -> Result<Self, Cause> {
        let named = response.credential.map(|credential| credential.id);
        let auth_data = AuthData::decode(response.auth_data)?;
        Ok(Self {
            credential_id: named.or(only).ok_or(Cause::CredentialMissing)?,
            response,
            auth_data,
            extensions: GetResults::read(&response, &auth_data)?,
        })
    }
}

/// The assertions of a sign-in, in the authenticator's order: the most recent credential first.
#[derive(Clone, Copy, Debug)]
pub struct AssertionSelection<'b> {
    /// Successful responses, one after the other.
    responses: &'b [u8],
    len: usize,
    total: usize,
    only: Option<&'b [u8]>,
}

impl<'b> AssertionSelection<'b> {
    /// How many assertions there are here, at least one.
    #[allow(clippy::len_without_is_empty)] // never empty
    pub const fn len(&self) -> usize {
        self.len
    }

    /// How many the authenticator has: more than [`AssertionSelection::len`] when the buffer was too small for all, or
    /// the transport failed after the first.
    pub const fn total(&self) -> usize {
        self.total
    }

    /// The assertion at `index`.
    pub fn get(&self, index: usize) -> Option<Assertion<'b>> {
        self.iter().nth(index)
    }

    /// The large blob of the assertion at `index`, in `work`: `None` when it was not asked for, or there is none. `work` has
    /// room for the blob; for one in the large-blob array also, in front of it, for its ciphertext.
    /// Errors: [`large_blob::Error`].
    pub fn large_blob<'w, C: Cipher>(
        &self,
        _crypto: &C,
        index: usize,
        work: &'w mut [u8],
    ) -> Result<Option<&'w [u8]>, large_blob::Error> {
        let Some(assertion) = self.get(index) else { return Ok(None) };
        let outputs =
            assertion.response.unsigned_extension_outputs.and_then(|map| map.decode::<UnsignedOutputs>().ok());
        let Some((blob, size)) =
            outputs.and_then(|outputs| outputs.large_blob).and_then(|blob| blob.blob.zip(blob.original_size))
        else {
            return Ok(None);
        };
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let work = work.get_mut(..size).ok_or(large_blob::Error::WorkTooSmall { needed: size })?;
        inflate(blob, work)?;
        Ok(Some(work))
    }

    /// The assertions in order.
    pub fn iter(&self) -> impl Iterator<Item = Assertion<'b>> {
        let only = self.only;
        let mut rest = self.responses;
        core::iter::from_fn(move || {
            // Every response was decoded to its end before it was kept.
            let mut r = Reader::tolerant(rest.get(1..)?);
            let response = Response::read(&mut r).ok()?;
            rest = r.rest();
            Assertion::of(response, only).ok()
        })
    }
}

/// The ceremony that signs in. Its outcome is an [`AssertionSelection`].
pub type GetAssertion<'o, 'b, C, R> = Ceremony<'b, Authentication<'o>, C, R>;

impl<'o: 'b, 'b, C: Crypto, R: CryptoRng> GetAssertion<'o, 'b, C, R> {
    /// A ceremony that has not begun. `buffer` has at least [`MIN_BUFFER`](super::MIN_BUFFER) bytes; with the
    /// authenticator's maxMsgSize every legal answer fits. Several assertions share it: those that do not fit are not
    /// fetched.
    pub fn new(options: &'o GetOptions<'o>, buffer: &'b mut [u8], crypto: C, rng: R) -> Self {
        Self::with(Authentication { options, only: None, len: 0, total: 1 }, buffer, crypto, rng)
    }
}

/// Stands for an allow list of which nothing can be this authenticator's: it still collects a touch and answers
/// NO_CREDENTIALS, so that a relying party cannot tell at once.
const NOBODY: [CredentialDescriptor<'static>; 1] = [CredentialDescriptor::new(&[0])];

/// The operation of [`GetAssertion`].
#[derive(Debug)]
pub struct Authentication<'o> {
    options: &'o GetOptions<'o>,
    /// The credential that is meant when the authenticator names none: the only one that was asked for.
    only: Option<&'o [u8]>,
    len: usize,
    total: usize,
}

impl<'o> Operation for Authentication<'o> {
    type Outcome<'b>
        = AssertionSelection<'b>
    where
        Self: 'b;
    type Item<'m> = Infallible;

    fn check(&self) -> Result<(), Cause> {
        if self.options.rp_id.is_empty() { Err(Cause::InvalidOption(InvalidOption::RpId)) } else { Ok(()) }
    }

    fn examine(&mut self, _: &get_info::Response<'_>, facts: &Facts) -> Result<(), Cause> {
        let allowed = &self.options.allow_list;
        if descriptors::count(allowed, facts)? == 1 {
            self.only = allowed.iter().find(|allowed| facts.could_hold(allowed)).map(|allowed| allowed.id);
        }
        Ok(())
    }

    fn purpose(&self) -> Purpose<'_> {
        Purpose {
            permissions: Permissions::GA,
            rp_id: Some(self.options.rp_id),
            user_verification: self.options.user_verification,
            preferred_without_uv: self.options.preferred_without_uv,
            discoverable: self.options.allow_list.is_empty(),
        }
    }

    fn timeout(&self) -> Duration {
        self.options.timeout
    }

    fn request<C: Hash>(
        &self,
        crypto: &C,
        facts: &Facts,
        grant: Grant<'_>,
        _: &[u8],
        buffer: &mut [u8],
    ) -> Result<usize, Cause> {
        let options = self.options;
        if self.len > 0 {
            return Ok(encode_command(Command::GET_NEXT_ASSERTION, buffer)?);
        }
        let proof = grant.authenticate(crypto, &[options.client_data_hash]);
        descriptors::encode_with(&options.allow_list, facts, buffer, |allow_list, buffer| {
            let request = Request {
                rp_id: options.rp_id,
                client_data_hash: options.client_data_hash,
                allow_list: match (options.allow_list.is_empty(), allow_list.is_empty()) {
                    (true, _) => None,
                    (false, true) => Some(List::Slice(&NOBODY)),
                    (false, false) => Some(allow_list),
                },
                extensions: options.extensions.other.filter(|map| !map.is_empty()),
                options: grant.uv_option().map(|uv| Options { uv: Some(uv), ..Options::default() }),
                pin_uv_auth_param: proof.as_ref().map(|(param, _)| param.as_bytes()),
                pin_uv_auth_protocol: proof.as_ref().map(|(_, protocol)| *protocol),
            };
            encode_request(Command::GET_ASSERTION, &request, buffer)
        })
    }

    fn accept<C: Hash>(&mut self, crypto: &C, response: &[u8], verified: bool) -> Result<Progress, Cause> {
        let options = self.options;
        let Assertion { credential_id, response, auth_data, .. } =
            Assertion::of(decode_response(response)?, self.only)?;
        check_auth_data(crypto, &auth_data, options.rp_id, verified)?;
        if auth_data.attested_credential_data.is_some() {
            return Err(Cause::AttestedCredentialDataUnexpected);
        }
        if !(1..=MAX_CREDENTIAL_ID).contains(&credential_id.len()) {
            return Err(Cause::InvalidCredentialId);
        }
        if !options.allow_list.is_empty() && !options.allow_list.iter().any(|allowed| allowed.id == credential_id) {
            return Err(Cause::CredentialNotAllowed);
        }
        if self.len == 0 {
            let total = response.number_of_credentials.unwrap_or(1).max(1);
            self.total = usize::try_from(total).unwrap_or(usize::MAX);
        }
        self.len = self.len.saturating_add(1);
        Ok(if self.len < self.total { Progress::More } else { Progress::Complete })
    }

    fn suffices(&self) -> bool {
        self.len > 0
    }

    fn outcome<'b>(self, responses: &'b [u8]) -> Result<AssertionSelection<'b>, Cause>
    where
        Self: 'b,
    {
        Ok(AssertionSelection { responses, len: self.len, total: self.total, only: self.only })
    }
}

//! A sign-in (WebAuthn L3 §5.1.4, CTAP 2.3 §6.2, §6.3).

use core::time::Duration;

use rand_core::CryptoRng;

use super::{
    Cause, Ceremony, DEFAULT_TIMEOUT, PreferredWithoutUv, Requirement,
    authentication::Authentication,
    extensions::{GetExtensions, GetResults, hmac, results::GetAsked},
};
use crate::{
    auth_data::AuthData,
    cbor::{List, Reader},
    crypto::{Cipher, Crypto},
    ctap2::{CredentialDescriptor, get_assertion::Response, response_body},
    extensions::UnsignedOutputs,
    large_blob::{self, find, inflate},
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
    /// The results of the extensions.
    pub extensions: GetResults<'b>,
}

impl<'b> Assertion<'b> {
    /// The user handle for the relying party: the user's id, `None` where it has no bytes.
    pub fn user_handle(&self) -> Option<&'b [u8]> {
        self.response.user.map(|user| user.id).filter(|id| !id.is_empty())
    }

    /// Reads a response, and returns what lies behind it.
    pub(super) fn decode(response: &'b [u8], only: Option<&'b [u8]>) -> Result<(Self, &'b [u8]), Cause> {
        let mut r = Reader::tolerant(response_body(response)?);
        let response: Response<'_> = r.read_unique()?;
        let named = response.credential.map(|credential| credential.id);
        let auth_data = AuthData::decode(response.auth_data)?;
        let assertion = Self {
            credential_id: named.or(only).ok_or(Cause::CredentialMissing)?,
            response,
            auth_data,
            extensions: GetResults::read(&response, &auth_data)?,
        };
        Ok((assertion, r.rest()))
    }
}

/// The assertions of a sign-in, in the authenticator's order: the most recent credential first.
#[derive(Clone, Copy, Debug)]
pub struct AssertionSelection<'b> {
    /// Successful responses, one after the other.
    pub(super) responses: &'b [u8],
    pub(super) len: usize,
    pub(super) total: usize,
    pub(super) only: Option<&'b [u8]>,
    pub(super) asked: GetAsked,
    /// Outputs of hmac-secret lie behind each response.
    pub(super) evaluated: bool,
    pub(super) app_id: Option<bool>,
    pub(super) written: Option<bool>,
    /// The large-blob array, without its hash.
    pub(super) array: Option<&'b [u8]>,
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
        crypto: &C,
        index: usize,
        work: &'w mut [u8],
    ) -> Result<Option<&'w [u8]>, large_blob::Error> {
        let Some(Assertion { response, .. }) = self.get(index).filter(|_| self.asked.large_blob) else {
            return Ok(None);
        };
        if let (Some(array), Some(Ok(key))) = (self.array, response.large_blob_key.map(|key| key.0.try_into())) {
            return find(crypto, key, array, work);
        }
        let outputs = response.unsigned_extension_outputs.and_then(|map| map.decode::<UnsignedOutputs<'_>>().ok());
        let output = outputs.and_then(|outputs| outputs.large_blob);
        let Some((blob, size)) = output.and_then(|output| output.blob.zip(output.original_size)) else {
            return Ok(None);
        };
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let work = work.get_mut(..size).ok_or(large_blob::Error::WorkTooSmall { needed: size })?;
        inflate(blob, work)?;
        Ok(Some(work))
    }

    /// The assertions in order.
    pub fn iter(&self) -> impl Iterator<Item = Assertion<'b>> {
        let selection = *self;
        let mut rest = self.responses;
        core::iter::from_fn(move || {
            // Every response was read to its end before it was kept.
            let (mut assertion, behind) = Assertion::decode(rest, selection.only).ok()?;
            let (outputs, behind) = if selection.evaluated { hmac::kept(behind) } else { (None, behind) };
            rest = behind;
            let results = &mut assertion.extensions;
            *results = results.asked_by(selection.asked);
            results.app_id = selection.app_id;
            results.hmac_outputs = outputs;
            results.large_blob_written =
                selection.written.map(|written| written | (results.large_blob_written == Some(true)));
            Some(assertion)
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
        Self::with(Authentication::of(options, &mut []), buffer, crypto, rng)
    }

    /// A ceremony that reads or writes a large blob, with `memory` for it.
    ///
    /// In an authenticator that keeps blobs in the large-blob array, the array has to fit:
    /// maxSerializedLargeBlobArray and [`OVERHEAD`](crate::large_blob::OVERHEAD) bytes; to write, once more that and
    /// [`bound`](crate::large_blob::bound) of the blob. In one that keeps them by itself, a blob that is written takes
    /// [`bound`](crate::large_blob::bound).
    pub fn with_memory(
        options: &'o GetOptions<'o>,
        memory: &'o mut [u8],
        buffer: &'b mut [u8],
        crypto: C,
        rng: R,
    ) -> Self {
        Self::with(Authentication::of(options, memory), buffer, crypto, rng)
    }
}

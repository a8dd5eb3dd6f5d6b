//! What to sign in to, and the result (WebAuthn L3 §5.1.4, CTAP 2.3 §6.2, §6.3).

use core::time::Duration;

use crate::{
    auth_data::AuthData,
    bytes,
    cbor::{List, Reader},
    client::{
        Cause, DEFAULT_TIMEOUT, PreferredWithoutUv, Requirement,
        extensions::{GetExtensions, GetResults, hmac, results::GetAsked},
        operation::Room,
    },
    crypto::Cipher,
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
    /// Whether the user has to be there and touch the authenticator. WebAuthn always asks for it (L3 §7.2); SSH has keys
    /// that sign without. An authenticator may refuse to, and alone decides whether it does.
    pub user_presence: bool,
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
    /// Options with the standard's defaults: any credential, user presence, user verification preferred,
    /// [`DEFAULT_TIMEOUT`].
    pub const fn new(rp_id: &'o str, client_data_hash: &'o [u8; 32]) -> Self {
        Self {
            rp_id,
            client_data_hash,
            allow_list: List::Slice(&[]),
            user_presence: true,
            user_verification: Requirement::Preferred,
            preferred_without_uv: PreferredWithoutUv::Proceed,
            extensions: GetExtensions::NONE,
            timeout: DEFAULT_TIMEOUT,
        }
    }
}

/// One assertion. Checked: the relying party, user presence and user verification where they were required or done, the
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

    /// The assertion that a platform's API has obtained: `response` is a status byte and the CBOR of an answer to
    /// authenticatorGetAssertion ([`encode_response`](crate::ctap2::encode_response)) that names the credential. The
    /// results of extensions are those in it. Nothing is checked but the form.
    ///
    /// # Errors
    /// [`Cause::Status`], [`Cause::Decode`], [`Cause::EmptyResponse`], [`Cause::CredentialMissing`].
    pub fn read(response: &'b [u8]) -> Result<Self, Cause> {
        Self::decode(response, None, true).map(|(assertion, _)| assertion)
    }

    /// Reads a response, and returns what lies behind it: nothing may if it `is_all`. `only` is the credential's id
    /// where the response has none.
    pub(in crate::client) fn decode(
        response: &'b [u8],
        only: Option<&'b [u8]>,
        is_all: bool,
    ) -> Result<(Self, &'b [u8]), Cause> {
        let mut r = Reader::tolerant(response_body(response)?);
        r.is_alone = is_all;
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

    /// Reads a response that was kept, and returns what lies behind it.
    fn kept(response: &'b [u8]) -> Result<(Self, &'b [u8]), Cause> {
        let mut r = Reader::tolerant(response_body(response)?);
        match r.read_unique::<Response<'_>>()?.credential {
            Some(_) => Self::decode(response, None, false),
            None => {
                let (len, rest) = r.rest().split_first_chunk().ok_or(Cause::CredentialMissing)?;
                let (id, rest) = bytes::split(rest, u16::from_be_bytes(*len).into());
                Self::decode(response, Some(id), false).map(|(assertion, _)| (assertion, rest))
            }
        }
    }
}

/// Keeps the credential's id behind a response that has none: its length in two bytes, then the id.
pub(super) fn keep_id(room: &mut Room<'_>, id: &[u8]) -> Result<(), Cause> {
    let start = room.len.saturating_add(2);
    let end = start.saturating_add(id.len());
    let place = room.bytes.get_mut(room.len..end).and_then(<[u8]>::split_first_chunk_mut);
    let (len, place) = place.ok_or(Cause::BufferTooSmall { needed: end })?;
    *len = u16::try_from(id.len()).unwrap_or(u16::MAX).to_be_bytes(); // at most 1,023
    bytes::copy(place, id);
    room.len = end;
    Ok(())
}

/// The assertions of a sign-in, in the authenticator's order: the most recent credential first. `'b` is the ceremony's
/// buffer, `'m` the memory for large blobs.
#[derive(Clone, Copy, Debug)]
pub struct AssertionSelection<'b, 'm> {
    /// Kept responses, one after the other.
    pub(super) responses: &'b [u8],
    /// In place of them, one assertion that the caller has.
    pub(super) one: Option<Assertion<'b>>,
    pub(super) len: usize,
    pub(super) total: usize,
    pub(super) asked: GetAsked,
    /// Outputs of hmac-secret lie behind each response.
    pub(super) evaluated: bool,
    pub(super) app_id: Option<bool>,
    pub(super) written: Option<bool>,
    /// The large-blob array, without its hash.
    pub(super) array: Option<&'m [u8]>,
}

impl<'b> AssertionSelection<'b, '_> {
    /// The one assertion that a platform's API has obtained. The results of its extensions stay as they are.
    pub fn of(assertion: Assertion<'b>) -> Self {
        Self {
            responses: &[],
            one: Some(assertion),
            len: 1,
            total: 1,
            asked: GetAsked { cred_blob: true, large_blob: true, payment: true, uvm: true },
            evaluated: false,
            app_id: None,
            written: None,
            array: None,
        }
    }

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

    /// The large blob of the assertion at `index`, in `work`: `None` when it was not asked for, or there is none.
    /// `work` has room for the blob; for one in the large-blob array also, in front of it, for its ciphertext.
    ///
    /// # Errors
    /// [`large_blob::Error`].
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
        let Self { responses: mut rest, mut one, evaluated, asked, app_id, written, .. } = *self;
        core::iter::from_fn(move || {
            if one.is_some() {
                return one.take();
            }
            // Every response was read to its end before it was kept.
            let (mut assertion, behind) = Assertion::kept(rest).ok()?;
            let (outputs, behind) = if evaluated { hmac::kept(behind) } else { (None, behind) };
            rest = behind;
            let results = &mut assertion.extensions;
            *results = results.asked_by(asked);
            results.app_id = app_id;
            results.hmac_outputs = outputs;
            results.large_blob_written = written.map(|written| written | (results.large_blob_written == Some(true)));
            Some(assertion)
        })
    }
}

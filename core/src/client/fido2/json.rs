//! Responses as JSON (WebAuthn L3 §5.1).

use super::{AuthenticationResponse, RegistrationResponse};
use crate::{
    cbor::{List, RawMap, Text},
    client::extensions::{GetExtensions, MakeExtensions},
    json::{WriteError, with_cbor},
    webauthn::{AuthenticationResponseJson, RegistrationResponseJson},
};

impl RegistrationResponse<'_> {
    /// Writes RegistrationResponseJSON to the front of `buffer`, which meanwhile also holds the extension results as
    /// CBOR, and returns the length. `asked` are the extensions of the ceremony's options, `transports` the ways in
    /// which the authenticator can be reached.
    ///
    /// # Errors
    /// [`WriteError::Overflow`] with a size that it takes at least.
    pub fn to_json(
        &self,
        asked: &MakeExtensions<'_>,
        transports: &[Text<'_>],
        buffer: &mut [u8],
    ) -> Result<usize, WriteError> {
        with_cbor(&self.attestation.extensions.client_outputs(asked), buffer, |results, buffer| {
            let response = RegistrationResponseJson {
                client_data_json: self.client_data_json,
                attestation_object: self.attestation_object(),
                transports: List::Slice(transports),
                attachment: self.attachment,
                client_extension_results: RawMap(results),
            };
            response.write(buffer)
        })
    }
}

impl AuthenticationResponse<'_> {
    /// Writes AuthenticationResponseJSON to the front of `buffer`, which meanwhile also holds the extension results as
    /// CBOR, and returns the length. `asked` are the extensions of the ceremony's options, `blob` the large blob that
    /// was read.
    ///
    /// # Errors
    /// [`WriteError::Overflow`] with a size that it takes at least.
    pub fn to_json(
        &self,
        asked: &GetExtensions<'_>,
        blob: Option<&[u8]>,
        buffer: &mut [u8],
    ) -> Result<usize, WriteError> {
        let Self { client_data_json, assertion, attachment } = self;
        with_cbor(&assertion.extensions.client_outputs(asked, blob), buffer, |results, buffer| {
            let response = AuthenticationResponseJson {
                credential_id: assertion.credential_id,
                client_data_json,
                authenticator_data: assertion.response.auth_data,
                signature: assertion.response.signature,
                user_handle: self.user_handle(),
                attachment: *attachment,
                client_extension_results: RawMap(results),
            };
            response.write(buffer)
        })
    }
}

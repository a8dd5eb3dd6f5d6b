//! The JSON of WebAuthn (WebAuthn L3 §5.1.8 to §5.1.10): options in, responses out.

use super::{Attachment, AttestationObject, CreationOptions, RequestOptions};
use crate::{
    auth_data::AuthData,
    bytes,
    cbor::{self, List, RawMap, Read, Text, Writer},
    json::{self, Error, ErrorKind, Member, Object, Shape, WriteError, to_cbor},
};

/// PublicKeyCredentialDescriptorJSON.
const DESCRIPTORS: Shape = Shape::Array(&Shape::Object(&[
    Member::required("id", Shape::Bytes),
    Member::required("type", Shape::Text),
    Member::optional("transports", TEXTS),
]));

const TEXTS: Shape = Shape::Array(&Shape::Text);

/// AuthenticationExtensionsPRFValues (WebAuthn L3 §10.1.4).
const PRF_VALUES: Shape =
    Shape::Object(&[Member::required("first", Shape::Bytes), Member::optional("second", Shape::Bytes)]);

/// AuthenticationExtensionsClientInputsJSON of both ceremonies: WebAuthn L3 §10, CTAP 2.3 §12.
const EXTENSIONS: Shape = Shape::Object(&[
    Member::optional("appid", Shape::Text),
    Member::optional("appidExclude", Shape::Text),
    Member::optional("credBlob", Shape::Bytes),
    Member::optional("credProps", Shape::Bool),
    Member::optional("credentialProtectionPolicy", Shape::Text),
    Member::optional("enforceCredentialProtectionPolicy", Shape::Bool),
    Member::optional("getCredBlob", Shape::Bool),
    Member::optional("hmacCreateSecret", Shape::Bool),
    Member::optional(
        "hmacGetSecret",
        Shape::Object(&[Member::required("salt1", Shape::Bytes), Member::optional("salt2", Shape::Bytes)]),
    ),
    Member::optional(
        "largeBlob",
        Shape::Object(&[
            Member::optional("support", Shape::Text),
            Member::optional("read", Shape::Bool),
            Member::optional("write", Shape::Bytes),
        ]),
    ),
    Member::optional("minPinLength", Shape::Bool),
    Member::optional("payment", Shape::Object(&[Member::optional("isPayment", Shape::Bool)])),
    Member::optional("pinComplexityPolicy", Shape::Bool),
    Member::optional(
        "prf",
        Shape::Object(&[
            Member::optional("eval", PRF_VALUES),
            Member::optional("evalByCredential", Shape::Record(&PRF_VALUES)),
        ]),
    ),
    Member::optional("uvm", Shape::Bool),
]);

/// PublicKeyCredentialCreationOptionsJSON.
const CREATION: Shape = Shape::Object(&[
    Member::required(
        "rp",
        Shape::Object(&[Member::optional("id", Shape::Text), Member::required("name", Shape::Text)]),
    ),
    // Names are required on the web, but some servers leave them out, and authenticators do not need them.
    Member::required(
        "user",
        Shape::Object(&[
            Member::required("id", Shape::Bytes),
            Member::optional("name", Shape::Text),
            Member::optional("displayName", Shape::Text),
        ]),
    ),
    Member::required("challenge", Shape::Bytes),
    Member::required(
        "pubKeyCredParams",
        Shape::Array(&Shape::Object(&[
            Member::required("type", Shape::Text),
            Member::required("alg", Shape::Algorithm),
        ])),
    ),
    Member::optional("timeout", Shape::UnsignedLong),
    Member::optional("excludeCredentials", DESCRIPTORS),
    Member::optional(
        "authenticatorSelection",
        Shape::Object(&[
            Member::optional("authenticatorAttachment", Shape::Text),
            Member::optional("residentKey", Shape::Text),
            Member::optional("requireResidentKey", Shape::Bool),
            Member::optional("userVerification", Shape::Text),
        ]),
    ),
    Member::optional("hints", TEXTS),
    Member::optional("attestation", Shape::Text),
    Member::optional("attestationFormats", TEXTS),
    Member::optional("extensions", EXTENSIONS),
]);

/// PublicKeyCredentialRequestOptionsJSON.
const REQUEST: Shape = Shape::Object(&[
    Member::required("challenge", Shape::Bytes),
    Member::optional("timeout", Shape::UnsignedLong),
    Member::optional("rpId", Shape::Text),
    Member::optional("allowCredentials", DESCRIPTORS),
    Member::optional("userVerification", Shape::Text),
    Member::optional("hints", TEXTS),
    Member::optional("extensions", EXTENSIONS),
]);

impl<'b> CreationOptions<'b> {
    /// Reads PublicKeyCredentialCreationOptionsJSON (WebAuthn L3 §5.1.8). The options borrow from `buffer`, which holds
    /// them as CBOR; a buffer that is an eighth longer than the document is large enough. Members that are `null` or
    /// unknown to this version count as absent, also in extensions.
    ///
    /// ```
    /// use keyfob_core::{json::Error, webauthn::CreationOptions};
    ///
    /// let json = br#"{"rp": {"name": "Example"}, "user": {"id": "dXNlcg", "name": "alice", "displayName": "Alice"},
    ///     "challenge": "YSBjaGFsbGVuZ2U", "pubKeyCredParams": [{"type": "public-key", "alg": -7}]}"#;
    /// let mut buffer = [0; 512];
    /// let options = CreationOptions::from_json(json, &mut buffer)?;
    /// assert_eq!((options.challenge, options.user.name), (b"a challenge".as_slice(), Some("alice")));
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error`] names the member and the place: the document is not JSON, a value has the wrong type, a required
    /// member is missing, a known member appears twice, bytes are not base64url without padding, or the buffer is too
    /// small ([`ErrorKind::Overflow`]).
    pub fn from_json(json: &[u8], buffer: &'b mut [u8]) -> Result<Self, Error> {
        read(json, &CREATION, buffer)
    }

    /// Writes PublicKeyCredentialCreationOptionsJSON to the front of `buffer` and returns the length. `buffer` must
    /// also have room for the options as CBOR.
    ///
    /// # Errors
    /// As in [`json::encode`].
    pub fn to_json(&self, buffer: &mut [u8]) -> Result<usize, WriteError> {
        json::encode(self, Some(&CREATION), buffer)
    }
}

impl<'b> RequestOptions<'b> {
    /// Reads PublicKeyCredentialRequestOptionsJSON (WebAuthn L3 §5.1.9), as [`CreationOptions::from_json`] does.
    ///
    /// # Errors
    /// As in [`CreationOptions::from_json`].
    pub fn from_json(json: &[u8], buffer: &'b mut [u8]) -> Result<Self, Error> {
        read(json, &REQUEST, buffer)
    }

    /// Writes PublicKeyCredentialRequestOptionsJSON, as [`CreationOptions::to_json`] does.
    ///
    /// # Errors
    /// As in [`json::encode`].
    pub fn to_json(&self, buffer: &mut [u8]) -> Result<usize, WriteError> {
        json::encode(self, Some(&REQUEST), buffer)
    }
}

fn read<'b, T: Read<'b>>(json: &[u8], shape: &'static Shape, buffer: &'b mut [u8]) -> Result<T, Error> {
    let length = to_cbor(json, shape, buffer)?;
    // The shape requires everything that the table requires, so this does not fail.
    let unexpected = Error { kind: ErrorKind::UnexpectedType, offset: 0, member: None };
    cbor::decode_tolerant(bytes::front(buffer, length)).map_err(|_| unexpected)
}

/// RegistrationResponseJSON (WebAuthn L3 §5.1): a new credential for the relying party. The members that repeat parts
/// of the authenticator data, such as the public key, are taken from the attestation object.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RegistrationResponseJson<'a> {
    /// The client data, byte for byte as it was hashed.
    pub client_data_json: &'a [u8],
    /// The attestation object.
    pub attestation_object: AttestationObject<'a>,
    /// The known transports of the authenticator.
    pub transports: List<'a, Text<'a>>,
    /// Where the authenticator is.
    pub attachment: Option<Attachment>,
    /// Client extension outputs, a map under the identifiers of WebAuthn with byte strings where JSON has base64url.
    pub client_extension_results: RawMap<'a>,
}

impl RegistrationResponseJson<'_> {
    /// Writes the response and returns its length. `publicKey` is left out for a key that has no SubjectPublicKeyInfo.
    ///
    /// # Errors
    /// [`WriteError::Overflow`] with the size that the response needs; [`WriteError::Cbor`] when the authenticator data
    /// is malformed or has no credential, or the extension results are malformed.
    pub fn write(&self, buffer: &mut [u8]) -> Result<usize, WriteError> {
        let auth_data = self.attestation_object.auth_data;
        let missing = cbor::Error::new(cbor::ErrorKind::Missing, 0);
        let credential = AuthData::decode(auth_data)?.attested_credential_data.ok_or(missing)?;
        let mut w = Writer::new(buffer);
        let mut object = Object::open(&mut w);
        object.bytes("id", credential.credential_id);
        object.bytes("rawId", credential.credential_id);
        let mut response = Object::open(object.member("response"));
        response.bytes("clientDataJSON", self.client_data_json);
        response.bytes("authenticatorData", auth_data);
        json::array(response.member("transports"), self.transports.iter().map(|transport| transport.as_str()));
        if credential.public_key.write_spki(&mut Writer::new(&mut [])).is_some() {
            response.encoded("publicKey", |w| {
                credential.public_key.write_spki(w);
            });
        }
        response.integer("publicKeyAlgorithm", credential.public_key.algorithm().0.into());
        response.encoded("attestationObject", |w| cbor::Write::write(&self.attestation_object, w));
        response.finish();
        finish(object, self.attachment, self.client_extension_results)?;
        Ok(w.finish()?)
    }
}

/// AuthenticationResponseJSON (WebAuthn L3 §5.1): an assertion for the relying party.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AuthenticationResponseJson<'a> {
    /// The credential's id.
    pub credential_id: &'a [u8],
    /// The client data, byte for byte as it was hashed.
    pub client_data_json: &'a [u8],
    /// The authenticator data, byte for byte as it was signed.
    pub authenticator_data: &'a [u8],
    /// The signature.
    pub signature: &'a [u8],
    /// The user handle, if the authenticator returned one. An empty one is left out.
    pub user_handle: Option<&'a [u8]>,
    /// Where the authenticator is.
    pub attachment: Option<Attachment>,
    /// Client extension outputs, as in [`RegistrationResponseJson::client_extension_results`].
    pub client_extension_results: RawMap<'a>,
}

impl AuthenticationResponseJson<'_> {
    /// Writes the response and returns its length.
    ///
    /// # Errors
    /// [`WriteError::Overflow`] with the size that the response needs; [`WriteError::Cbor`] when the extension results
    /// are malformed.
    pub fn write(&self, buffer: &mut [u8]) -> Result<usize, WriteError> {
        let mut w = Writer::new(buffer);
        let mut object = Object::open(&mut w);
        object.bytes("id", self.credential_id);
        object.bytes("rawId", self.credential_id);
        let mut response = Object::open(object.member("response"));
        response.bytes("clientDataJSON", self.client_data_json);
        response.bytes("authenticatorData", self.authenticator_data);
        response.bytes("signature", self.signature);
        if let Some(user_handle) = self.user_handle.filter(|handle| !handle.is_empty()) {
            response.bytes("userHandle", user_handle);
        }
        response.finish();
        finish(object, self.attachment, self.client_extension_results)?;
        Ok(w.finish()?)
    }
}

/// Writes the members that both responses end with.
fn finish(mut object: Object<'_, '_>, attachment: Option<Attachment>, results: RawMap<'_>) -> Result<(), cbor::Error> {
    if let Some(attachment) = attachment {
        object.text("authenticatorAttachment", attachment.as_str());
    }
    object.cbor("clientExtensionResults", results.0)?;
    object.text("type", "public-key");
    object.finish();
    Ok(())
}

#[cfg(test)]
mod tests;

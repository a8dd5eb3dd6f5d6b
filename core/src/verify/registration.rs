//! Registering a new credential (WebAuthn L3 §7.1).

use super::{
    AttestationType, Error, Expected, FIDO_U2F, attestation, auth_data, check, client_data, is_of_its_algorithm,
};
use crate::{
    auth_data::{AttestedCredentialData, AuthData},
    crypto::{self, Hash, Verify},
    webauthn::{AttestationObject, ClientDataType},
};

/// A client's response to a registration.
#[derive(Clone, Copy, Debug)]
pub struct AttestationResponse<'a> {
    /// The client data, byte for byte as it was hashed.
    pub client_data_json: &'a [u8],
    /// The attestation object, or the same members of an authenticator's response.
    pub attestation_object: AttestationObject<'a>,
}

/// A registration that passed every check.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VerifiedRegistration<'a> {
    /// The new credential. Store it if no account has a credential with this id.
    pub credential: AttestedCredentialData<'a>,
    /// The flags and the counter to store with the credential, and extension outputs.
    pub auth_data: AuthData<'a>,
    /// What the attestation statement proves. The caller decides whether that is enough.
    pub attestation: AttestationType<'a>,
}

/// Verifies the response to a registration.
///
/// ```
/// use keyfob_core::verify::{self, AttestationResponse, AttestationType, Expected, RelyingPartyPolicy};
/// use keyfob_core::{cose::Algorithm, crypto::RustCrypto, webauthn::AttestationObject};
/// # mod example { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest/key.rs")); }
/// # use example::*;
/// # use keyfob_core::ctap2::{decode_response, make_credential};
/// # let (challenge, response) = (hex(CREATE_CHALLENGE), hex(REGISTRATION));
/// # let answer: make_credential::Response<'_> = decode_response(&response).unwrap();
/// # let (fmt, att_stmt, auth_data) = (answer.fmt, answer.att_stmt.unwrap(), answer.auth_data);
/// # let attestation_object = AttestationObject { fmt, att_stmt, auth_data };
/// let response = AttestationResponse { client_data_json: CREATE_CLIENT_DATA, attestation_object };
/// let expected = Expected {
///     challenge: &challenge,
///     origins: &["https://example.org"],
///     top_origins: None,
///     rp_id: "example.org",
///     user_presence: true,
///     user_verification: false,
///     algorithms: &[Algorithm::ES256],
///     allow_credentials: &[],
///     user_handle: None,
///     policy: RelyingPartyPolicy::STANDARD,
/// };
/// let registration = verify::registration(&RustCrypto, &expected, &response)?;
/// assert_eq!(registration.attestation, AttestationType::SelfAttestation);
///
/// let other = Expected { challenge: b"another challenge", ..expected };
/// assert_eq!(verify::registration(&RustCrypto, &other, &response), Err(verify::Error::Challenge));
/// # Ok::<(), verify::Error>(())
/// ```
///
/// # Errors
/// The check that failed.
pub fn registration<'a>(
    crypto: &(impl Hash + Verify),
    expected: &Expected<'_>,
    response: &AttestationResponse<'a>,
) -> Result<VerifiedRegistration<'a>, Error> {
    let object = &response.attestation_object;
    // 5. to 11.
    client_data(expected, ClientDataType::Create, response.client_data_json)?;
    // 12.
    let client_data_hash = crypto.sha256(&[response.client_data_json]);
    // 13. and 25., because a longer credential id cannot be read
    let parsed = AuthData::decode(object.auth_data).map_err(Error::AuthData)?;
    // 14. to 17.
    auth_data(crypto, expected, &parsed)?;
    // 20.
    let credential = parsed.attested_credential_data.ok_or(Error::NoCredential)?;
    check(expected.algorithms.contains(&credential.public_key.algorithm()), Error::Algorithm)?;
    check(is_of_its_algorithm(&credential.public_key), Error::CredentialKey)?;
    // Not every format has a signature by the key, and a point off its curve is to be refused with all of them.
    check(crypto.verify(&credential.public_key, &[], &[]) != Err(crypto::Error::InvalidKey), Error::CredentialKey)?;
    // 21., 22.
    let attestation =
        attestation(crypto, object.fmt, object.att_stmt, object.auth_data, &credential, &client_data_hash)?;
    let policy = &expected.policy;
    let zero = *credential.aaguid == [0; 16];
    check(!policy.u2f_aaguid_is_zero || object.fmt != FIDO_U2F || zero, Error::AaguidNotZero)?;
    // 24.
    check(attestation.is_accepted(policy), Error::AttestationNotAccepted)?;
    Ok(VerifiedRegistration { credential, auth_data: parsed, attestation })
}

//! Relying-party verification of registrations and assertions (WebAuthn L3 §7.1, §7.2).
//!
//! [`registration`] and [`assertion`] are the standard's steps in the standard's order and with its numbers. The caller
//! must do the steps that need a database: check that a challenge is used once and that a credential id is not
//! registered yet, and process extension outputs. [`chain`] checks separately whether an attestation is trusted.

use crate::{
    auth_data::{AuthData, Flags},
    bytes, cbor,
    cose::{Algorithm, CoseKey},
    crypto,
    crypto::{Hash, Verify},
    json,
    webauthn::{ClientDataType, CollectedClientData},
};

#[cfg(feature = "platform-attestation")]
mod android_key;
#[cfg(feature = "platform-attestation")]
mod apple;
mod assertion;
mod attestation;
mod certificate;
mod chain;
mod der;
mod policy;
mod registration;
#[cfg(feature = "platform-attestation")]
mod tpm;

pub use assertion::{AssertionResponse, StoredCredential, VerifiedAssertion, assertion};
pub use attestation::{AttestationType, attestation};
pub use chain::{Anchors, chain};
pub use policy::{BackupEligibility, RelyingPartyPolicy};
pub use registration::{AttestationResponse, VerifiedRegistration, registration};

/// `x‖y` on the largest curve, P-521, in bytes.
const MAX_POINT: usize = 132;
/// The attestation format of U2F.
const FIDO_U2F: &str = "fido-u2f";

/// What the relying party expects of a response: the values that it requested, and its policy.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The challenge that it sent.
    pub challenge: &'a [u8],
    /// The origins of its pages, serialised: `https://example.org`.
    pub origins: &'a [&'a str],
    /// Whether its pages may call the API inside a frame on a page of another origin. `None` refuses that; `Some` lists
    /// the allowed top-level origins.
    pub top_origins: Option<&'a [&'a str]>,
    /// The RP ID.
    pub rp_id: &'a str,
    /// Whether the user must be present. False only for a registration with conditional mediation.
    pub user_presence: bool,
    /// Whether the user must be verified.
    pub user_verification: bool,
    /// In a registration, the algorithms that it requested.
    pub algorithms: &'a [Algorithm],
    /// In an assertion, the ids of the credentials that it allowed. Empty if it allowed any.
    pub allow_credentials: &'a [&'a [u8]],
    /// In an assertion, the user handle of the account, if the account was known before the assertion.
    pub user_handle: Option<&'a [u8]>,
    /// The relying party's policy.
    pub policy: RelyingPartyPolicy,
}

/// The check that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Error {
    /// The client data is not JSON, or a member of it is missing or of the wrong type.
    ClientData(json::Error),
    /// The client data is of the other ceremony.
    Type,
    /// The client data has another challenge.
    Challenge,
    /// The client data has an origin that is not expected.
    Origin,
    /// The response comes from a frame of another origin's page.
    CrossOrigin,
    /// The top-level origin is not one that is expected.
    TopOrigin,
    /// The token binding in the client data does not have the form of WebAuthn Level 2.
    TokenBinding,
    /// The authenticator data is malformed.
    AuthData(cbor::Error),
    /// The authenticator data is of another RP ID.
    RpIdHash,
    /// The user was not present.
    UserPresence,
    /// The user was not verified.
    UserVerification,
    /// The credential is backed up but not backup eligible.
    BackupState,
    /// The backup eligibility differs from the stored one.
    BackupEligibility,
    /// The registration has no attested credential data.
    NoCredential,
    /// The credential's algorithm was not requested.
    Algorithm,
    /// The credential's key does not have the type, curve or size of its algorithm.
    CredentialKey,
    /// The policy does not accept a registration without attestation, or with self attestation.
    AttestationNotAccepted,
    /// The attestation statement is of a format this version does not verify.
    Format,
    /// The attestation statement is of a format that is not accepted any more: "android-safetynet".
    Retired,
    /// The attestation statement is malformed.
    Statement(cbor::Error),
    /// The attestation statement of the format "none" is not empty.
    StatementNotEmpty,
    /// The self attestation's algorithm differs from the credential's.
    AttestationAlgorithm,
    /// The attestation certificate is missing, malformed, or does not meet WebAuthn L3 §8.2.1; or a U2F attestation has
    /// more than one certificate.
    Certificate,
    /// The attestation certificate's key does not fit the statement's algorithm, or is of a type that this version does
    /// not read.
    CertificateKey,
    /// What is attested is another key than the credential's: the TPM's public area, or the key in the certificate of
    /// "android-key" and "apple".
    AttestedKey,
    /// What is attested is another registration: the TPM's `extraData`, the challenge of "android-key", the nonce of
    /// "apple".
    AttestedData,
    /// The public area in the statement of a TPM is malformed, or has a key of a type that this version does not read.
    PublicArea,
    /// What the TPM signed is malformed, was not made inside a TPM, or does not certify the key in the public area.
    CertInfo,
    /// The certificate of "android-key" has no description of its key, or a malformed one.
    KeyDescription,
    /// The key of "android-key" was not made in the trusted environment, is not for signatures, or belongs to all
    /// applications.
    KeyAuthorization,
    /// A certificate is not valid yet, or has expired.
    Validity,
    /// The certificate chain does not lead to a trusted certificate, or is out of order.
    Chain,
    /// An issuer in the chain may not issue what it has issued: its path length, its key usage, constraints on names. Or a
    /// certificate has a critical extension that this version does not know.
    Constraints,
    /// The certificate chain contains its root.
    RootInChain,
    /// The AAGUID in the attestation certificate differs from the one in authenticator data.
    Aaguid,
    /// The authenticator data of a U2F attestation has an AAGUID, although U2F has none.
    AaguidNotZero,
    /// The signature does not verify.
    Signature,
    /// The signature could not be verified: the backend does not support the algorithm, or a point is not on its curve.
    Crypto(crypto::Error),
    /// The credential is not the one stored, or was not asked for.
    CredentialId,
    /// The user handle is not the account's, or it is missing and nothing else identifies the account.
    UserHandle,
    /// The signature counter did not increase, so the authenticator may have been cloned.
    SignCount {
        /// The credential's last counter.
        stored: u32,
        /// The response's.
        received: u32,
    },
}

/// Registration steps 5 to 11, authentication steps 8 to 14.
fn client_data(expected: &Expected<'_>, ceremony: ClientDataType, client_data_json: &[u8]) -> Result<(), Error> {
    // 5, 6. / 8, 9.
    let client_data = CollectedClientData::parse(client_data_json).map_err(Error::ClientData)?;
    // 7. / 10.
    check(client_data.kind == ceremony.as_str(), Error::Type)?;
    // 8. / 11.
    check(client_data.has_challenge(expected.challenge), Error::Challenge)?;
    // 9. / 12.
    check(expected.origins.iter().any(|origin| client_data.origin == **origin), Error::Origin)?;
    // 10. / 13.
    let framed = client_data.cross_origin || client_data.top_origin.is_some();
    check(!framed || expected.top_origins.is_some(), Error::CrossOrigin)?;
    // 11. / 14.
    if let Some(top_origin) = client_data.top_origin {
        let mut allowed = expected.top_origins.unwrap_or_default().iter();
        check(allowed.any(|allowed| top_origin == **allowed), Error::TopOrigin)?;
    }
    // Level 2, 9. / 14.
    check(!expected.policy.check_token_binding || client_data.token_binding != Some(false), Error::TokenBinding)
}

/// Registration steps 14 to 17, authentication steps 15 to 18.
fn auth_data(crypto: &impl Hash, expected: &Expected<'_>, auth_data: &AuthData<'_>) -> Result<(), Error> {
    // 14. / 15.
    check(*auth_data.rp_id_hash == crypto.sha256(&[expected.rp_id.as_bytes()]), Error::RpIdHash)?;
    // 15. / 16.
    check(!expected.user_presence || auth_data.flags.has(Flags::UP), Error::UserPresence)?;
    // 16. / 17.
    check(!expected.user_verification || auth_data.flags.has(Flags::UV), Error::UserVerification)?;
    // 17. / 18.
    check(auth_data.flags.has(Flags::BE) || !auth_data.flags.has(Flags::BS), Error::BackupState)
}

fn signature(crypto: &impl Verify, key: &CoseKey<'_>, message: &[&[u8]], signature: &[u8]) -> Result<(), Error> {
    crypto.verify(key, message, signature).map_err(|error| match error {
        crypto::Error::Mismatch => Error::Signature,
        error => Error::Crypto(error),
    })
}

/// Whether a key has the type, the curve and the sizes that its algorithm requires (WebAuthn L3 §5.8.5). `from_raw`
/// makes the one key that the algorithm allows for these bytes.
fn is_of_its_algorithm(key: &CoseKey<'_>) -> bool {
    match *key {
        CoseKey::Ec2 { algorithm, x, y, .. } => {
            let mut raw = [0; MAX_POINT];
            let raw = raw.get_mut(..x.len().saturating_add(y.len()));
            raw.is_some_and(|raw| {
                bytes::join(raw, &[x, y]);
                CoseKey::from_raw(algorithm, raw) == Some(*key)
            })
        }
        CoseKey::Okp { algorithm, x, .. } => CoseKey::from_raw(algorithm, x) == Some(*key),
        // RS256 to RS512, PS256 to PS512, RS1
        CoseKey::Rsa { algorithm, .. } => matches!(algorithm.0, -259..=-257 | -39..=-37 | -65535),
        CoseKey::Akp { algorithm, .. } => {
            matches!(algorithm, Algorithm::ML_DSA_44 | Algorithm::ML_DSA_65 | Algorithm::ML_DSA_87)
        }
        CoseKey::Other { .. } => false,
    }
}

fn check(holds: bool, otherwise: Error) -> Result<(), Error> {
    if holds { Ok(()) } else { Err(otherwise) }
}

#[cfg(all(test, feature = "rustcrypto"))]
mod tests;

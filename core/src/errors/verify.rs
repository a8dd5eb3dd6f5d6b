//! Why a relying party refuses.

use crate::verify::Error;

says! {
    error Error {
        Self::ClientData(error) => "the client data is malformed: {error}",
        Self::Type => "the client data is of the other ceremony",
        Self::Challenge => "the client data has another challenge",
        Self::Origin => "the client data has an origin that is not expected",
        Self::CrossOrigin => "the response comes from a frame in a page of another origin",
        Self::TopOrigin => "the page that holds the frame has an origin that is not expected",
        Self::TokenBinding => "the token binding does not have the form of WebAuthn Level 2",
        Self::AuthData(error) => "the authenticator data is malformed: {error}",
        Self::RpIdHash => "the authenticator data is of another RP ID",
        Self::UserPresence => "the user was not present",
        Self::UserVerification => "the user was not verified",
        Self::BackupState => "the credential is backed up without being backup eligible",
        Self::BackupEligibility => "the backup eligibility differs from that at the registration",
        Self::NoCredential => "the registration has no credential",
        Self::Algorithm => "the algorithm of the credential was not asked for",
        Self::CredentialKey => "the key of the credential does not have the form of its algorithm",
        Self::AttestationNotAccepted => "the policy does not accept this kind of attestation",
        Self::Format => "the attestation statement has a format that is not verified here",
        Self::Statement(error) => "the attestation statement is malformed: {error}",
        Self::StatementNotEmpty => "the attestation statement of the format \"none\" is not empty",
        Self::AttestationAlgorithm => "the self attestation has another algorithm than the credential",
        Self::Certificate => "the attestation certificate is missing, malformed, or not as the standard says",
        Self::CertificateKey => "the key of the attestation certificate is not of the statement's algorithm",
        Self::Validity => "a certificate is not valid yet, or has expired",
        Self::Chain => "the chain of certificates does not lead to a trusted one",
        Self::Constraints => "an issuer in the chain may not issue, or a critical extension is not known",
        Self::RootInChain => "the chain of certificates contains its root",
        Self::Aaguid => "the attestation certificate is of another model than the authenticator data",
        Self::AaguidNotZero => "the attestation is of U2F, and the authenticator data has an AAGUID",
        Self::Signature => "the signature does not verify",
        Self::Crypto(error) => "the signature could not be verified: {error}",
        Self::CredentialId => "the credential is not the stored one, or was not asked for",
        Self::UserHandle => "the user handle is missing, or of another account",
        Self::SignCount { stored, received } =>
            "the signature counter went from {stored} to {received}: the key may be cloned",
    }
}

//! Why a request is refused: a stable code word, a sentence for people, and an HTTP status.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use keyfob_core::verify;
use serde_json::{Value, json};

use crate::store::StorageError;

/// What is wrong with a member of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// It is missing.
    Missing,
    /// It does not have this JSON type.
    Type(&'static str),
    /// It is not base64url without padding.
    Encoding,
    /// It is empty.
    Empty,
    /// Its value is not allowed.
    Value,
}

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Problem {
    /// No route has this path.
    NotFound,
    /// The route does not support the method.
    Method,
    /// The body is too long.
    TooLarge,
    /// The content type is not JSON.
    MediaType,
    /// The body ended early, or could not be read.
    Body,
    /// The body did not come in time.
    Slow,
    /// The body is not JSON.
    Json(String),
    /// A member of the body, by its path.
    Member(String, Flaw),
    /// This server does not serve the relying party.
    Tenant(String),
    /// The session has no ceremony of this kind: it was not begun, has expired, was already answered, or the cookie is
    /// missing.
    Session,
    /// The session is not signed in.
    SignedOut,
    /// The request comes from a page of another origin.
    ForeignOrigin,
    /// There is no account of that name.
    NoAccount,
    /// The account exists. Only its signed-in user may add a key.
    AccountExists,
    /// The relying party does not take keys of this model.
    Model,
    /// The relying party does not take keys that are backed up in this way, or not.
    Backup,
    /// The account has as many keys as it may have.
    AccountFull,
    /// The sign-in was too long ago for this.
    NotRecent,
    /// The account has no such session.
    NoSession,
    /// The client sends too many requests.
    TooMany,
    /// The path is not one of this server's, or has a part that cannot be read.
    Path,
    /// The credential is already registered, with this or another account.
    CredentialExists,
    /// The credential is not registered.
    UnknownCredential,
    /// The account has no such credential.
    NoCredential,
    /// The authenticator attachment is not the requested one.
    Attachment,
    /// The attestation object is malformed.
    AttestationObject(keyfob_core::cbor::Error),
    /// The registration does not verify.
    Registration(verify::Error),
    /// The assertion does not verify.
    Assertion(verify::Error),
    /// The credential changed while it was used.
    Conflict,
    /// The storage is full.
    Full,
    /// The FIDO server cannot be reached.
    Upstream(String),
    /// The FIDO server refused the request, with this status and body.
    Relayed(u16, Value),
    /// An internal error.
    Internal(String),
}

impl From<StorageError> for Problem {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Full => Self::Full,
            StorageError::Failed(why) => Self::Internal(why),
        }
    }
}

impl Problem {
    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NotFound | Self::NoAccount | Self::NoCredential | Self::NoSession => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::SignedOut | Self::UnknownCredential | Self::Assertion(_) => StatusCode::UNAUTHORIZED,
            Self::AccountExists | Self::ForeignOrigin | Self::AccountFull | Self::NotRecent => StatusCode::FORBIDDEN,
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Self::CredentialExists | Self::Conflict => StatusCode::CONFLICT,
            Self::Full => StatusCode::INSUFFICIENT_STORAGE,
            Self::Upstream(_) => StatusCode::BAD_GATEWAY,
            Self::Relayed(status, _) => StatusCode::from_u16(*status).unwrap_or(StatusCode::BAD_GATEWAY),
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// The HTTP status of the server that the Python sample was written for.
    fn arculus_status(&self) -> StatusCode {
        match self {
            Self::Session => StatusCode::REQUEST_TIMEOUT,
            Self::NoAccount | Self::UnknownCredential => StatusCode::FORBIDDEN,
            problem => problem.status(),
        }
    }

    /// A code word for programs. It does not change between versions.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "not-found",
            Self::Method => "method-not-allowed",
            Self::TooLarge => "too-large",
            Self::MediaType => "not-json",
            Self::Body => "incomplete",
            Self::Slow => "too-slow",
            Self::Json(_) => "malformed-json",
            Self::Member(_, Flaw::Missing) => "missing",
            Self::Member(_, Flaw::Type(_)) => "wrong-type",
            Self::Member(_, Flaw::Encoding) => "not-base64url",
            Self::Member(_, Flaw::Empty) => "empty",
            Self::Member(_, Flaw::Value) => "wrong-value",
            Self::Tenant(_) => "unknown-relying-party",
            Self::Session => "session-expired",
            Self::SignedOut => "signed-out",
            Self::ForeignOrigin => "foreign-origin",
            Self::NoAccount => "no-account",
            Self::AccountExists => "account-exists",
            Self::Model => "model",
            Self::Backup => "backup",
            Self::AccountFull => "account-full",
            Self::NotRecent => "sign-in-again",
            Self::NoSession => "no-session",
            Self::TooMany => "too-many-requests",
            Self::Path => "malformed-path",
            Self::CredentialExists => "credential-exists",
            Self::UnknownCredential => "unknown-credential",
            Self::NoCredential => "no-credential",
            Self::Attachment => "attachment",
            Self::AttestationObject(_) => "attestation-object",
            Self::Registration(error) | Self::Assertion(error) => refusal(error).0,
            Self::Conflict => "conflict",
            Self::Full => "storage-full",
            Self::Upstream(_) => "upstream",
            Self::Relayed(..) => "relayed",
            Self::Internal(_) => "internal",
        }
    }

    /// A sentence for people. It is never empty and reveals nothing about the server's internals.
    pub fn message(&self) -> String {
        match self {
            Self::NotFound => "there is nothing at this path".into(),
            Self::Method => "this path does not support this method".into(),
            Self::TooLarge => "the body is too long".into(),
            Self::MediaType => "the body must be application/json".into(),
            Self::Body => "the body could not be read".into(),
            Self::Slow => "the body did not come in time".into(),
            Self::Json(why) => format!("the body is not JSON: {why}"),
            Self::Member(name, flaw) => match flaw {
                Flaw::Missing => format!("{name} is missing"),
                Flaw::Type(wanted) => format!("{name} is not {wanted}"),
                Flaw::Encoding => format!("{name} is not base64url without padding"),
                Flaw::Empty => format!("{name} is empty"),
                Flaw::Value => format!("{name} has a value that is not allowed"),
            },
            Self::Tenant(name) => format!("no relying party {name} is served here"),
            Self::Session => {
                "this session has no ceremony: begin one, send its cookie back, and answer once and in time".into()
            }
            Self::SignedOut => "nobody is signed in".into(),
            Self::ForeignOrigin => "the request comes from a page of another origin".into(),
            Self::NoAccount => "there is no account with that name".into(),
            Self::AccountExists => "the account exists: sign in to it to add a key".into(),
            Self::Model => "keys of this model are not accepted here".into(),
            Self::Backup => "keys that are backed up in this way, or not at all, are not accepted here".into(),
            Self::AccountFull => "the account has as many keys as it may have".into(),
            Self::NotRecent => "the sign-in was too long ago: sign in again to do this".into(),
            Self::NoSession => "the account has no such session".into(),
            Self::TooMany => "too many requests from this address: try again in a minute".into(),
            Self::Path => "the path cannot be read".into(),
            Self::CredentialExists => "the key is already registered".into(),
            Self::UnknownCredential => "the key is not registered".into(),
            Self::NoCredential => "the account has no such key".into(),
            Self::Attachment => "the authenticator attachment is not the requested one".into(),
            Self::AttestationObject(error) => format!("response.attestationObject is malformed: {error}"),
            Self::Registration(error) | Self::Assertion(error) => refusal(error).1.into(),
            Self::Conflict => "the key was used elsewhere at the same time: try again".into(),
            Self::Full => "the storage is full".into(),
            Self::Upstream(_) => "the FIDO server cannot be reached".into(),
            Self::Relayed(_, body) => body["errorMessage"].as_str().unwrap_or("the FIDO server refuses").into(),
            Self::Internal(_) => "something went wrong on the server".into(),
        }
    }

    /// The status and the body of the answer. With `arculus`, with the messages of the server that the Python sample
    /// was written for.
    pub fn answer(&self, arculus: bool) -> (StatusCode, Value) {
        let status = if arculus { self.arculus_status() } else { self.status() };
        if let Self::Relayed(_, body) = self {
            return (status, body.clone());
        }
        let mut body = json!({
            "status": "failed",
            "errorMessage": self.message(),
            "statuscode": status.as_str(),
            "errorCode": self.code(),
        });
        if arculus {
            body["responseCode"] = status.as_u16().into();
            if *self == Self::Session {
                body["status"] = "false".into();
                body["errorCode"] = "E0024R".into();
            }
        }
        (status, body)
    }
}

/// An empty answer that carries the problem; the outermost layer encodes it.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// The code word and the sentence of a failed check of WebAuthn L3 §7.
fn refusal(error: &verify::Error) -> (&'static str, &'static str) {
    use verify::Error;
    match error {
        Error::ClientData(_) => ("client-data", "clientDataJSON is malformed, or a member of it is missing"),
        Error::Type => ("type", "clientDataJSON is for the other kind of ceremony"),
        Error::Challenge => ("challenge", "the challenge is not the expected one"),
        Error::Origin => ("origin", "the origin is not expected"),
        Error::CrossOrigin => ("cross-origin", "the page is in a frame of another origin"),
        Error::TopOrigin => ("top-origin", "the origin of the page around the frame is not expected"),
        Error::TokenBinding => ("token-binding", "clientDataJSON.tokenBinding is malformed"),
        Error::AuthData(_) => ("authenticator-data", "the authenticator data is malformed"),
        Error::RpIdHash => ("rp-id-hash", "the authenticator data is of another relying party"),
        Error::UserPresence => ("user-presence", "the user was not present"),
        Error::UserVerification => ("user-verification", "the user was not verified"),
        Error::BackupState => ("backup-state", "the key is backed up but not backup eligible"),
        Error::BackupEligibility => ("backup-eligibility", "the backup eligibility has changed"),
        Error::NoCredential => ("no-credential-data", "the authenticator data has no credential"),
        Error::Algorithm => ("algorithm", "the key's algorithm was not requested"),
        Error::CredentialKey => ("credential-key", "the key does not have the form of its algorithm"),
        Error::AttestationNotAccepted => {
            ("attestation-not-accepted", "this server requires an attestation by the key's manufacturer")
        }
        Error::Format => ("format", "the attestation format is not known"),
        Error::Retired => ("format-retired", "the attestation format is not accepted any more"),
        Error::Statement(_) => ("statement", "the attestation statement is malformed"),
        Error::StatementNotEmpty => ("statement-not-empty", "an attestation of the format none must be empty"),
        Error::AttestationAlgorithm => ("attestation-algorithm", "the attestation's algorithm is not the key's"),
        Error::Certificate => ("certificate", "the attestation certificate does not meet the requirements"),
        Error::CertificateKey => ("certificate-key", "the attestation certificate's key is not of the algorithm"),
        Error::AttestedKey => ("attested-key", "the attestation is of another key"),
        Error::AttestedData => ("attested-data", "the attestation is of another registration"),
        Error::PublicArea => ("public-area", "the TPM's public area is malformed, or has a key of an unknown type"),
        Error::CertInfo => ("cert-info", "the TPM's statement is malformed, or does not certify the key"),
        Error::KeyDescription => ("key-description", "the certificate does not describe its key"),
        Error::KeyAuthorization => {
            ("key-authorization", "the key was not made in a trusted environment, for this application's signatures")
        }
        Error::Validity => ("certificate-validity", "an attestation certificate is not valid now"),
        Error::Chain => ("certificate-chain", "the attestation certificate does not lead to a trusted one"),
        Error::Constraints => (
            "certificate-constraints",
            "an issuer of the attestation certificate may not issue it, or a critical extension is not known",
        ),
        Error::RootInChain => ("root-in-chain", "the attestation's certificates contain their root"),
        Error::Aaguid => ("aaguid", "the attestation certificate is for another model"),
        Error::AaguidNotZero => ("aaguid-not-zero", "a U2F key has no AAGUID"),
        Error::Signature => ("signature", "the signature does not verify"),
        Error::Crypto(_) => ("crypto", "the signature could not be verified with this key"),
        Error::CredentialId => ("credential-id", "the key was not requested"),
        Error::UserHandle => ("user-handle", "the key is of another account"),
        Error::SignCount { .. } => ("sign-count", "the signature counter did not increase: the key may be a copy"),
        _ => ("refused", "the response does not verify"),
    }
}

//! Why the test double did not do what it was told.

use keyfob_core::{client, json};

use crate::{errors::says, store::StoreError};

/// Why a call of a [`Control`](super::Control) or a [`Browser`](super::Browser) failed. Nothing was changed, except by
/// [`TestError::Client`]: a ceremony may have come as far as its error says.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum TestError {
    /// The key is not plugged in.
    Unplugged,
    /// No request waits for the user.
    NotAsked,
    /// A credential with this id is there already.
    CredentialIdTaken,
    /// There is no credential with this id.
    UnknownCredential,
    /// The private key is not PKCS#8 in DER.
    PrivateKey,
    /// The private key is for another algorithm or curve than ES256's.
    OtherCurve,
    /// The credential id is empty or longer than 255 bytes.
    CredentialId,
    /// The RP ID is empty or longer than 253 bytes.
    RpId,
    /// A discoverable credential needs a user handle of 1 to 64 bytes.
    UserHandle,
    /// A large blob is longer than 400 bytes when it is compressed, on a key with the extension `largeBlob`; or its
    /// credential is not discoverable.
    LargeBlob,
    /// The key has neither the extension `largeBlob` nor `largeBlobKey`.
    LargeBlobUnsupported,
    /// The protection is not one of the three levels of `credProtect`.
    CredProtect,
    /// The key's store has no room, or failed.
    Store(StoreError),
    /// The JSON of the options cannot be read.
    Options(json::Error),
    /// The system's random source failed.
    Random,
    /// The ceremony failed: what a browser tells the page as `NotAllowedError` and the like.
    Client(client::Error),
    /// The response cannot be written as JSON, because its authenticator data is malformed.
    Response,
}

says! { TestError:
    Self::Unplugged => "the key is not plugged in",
    Self::NotAsked => "no request waits for a touch",
    Self::CredentialIdTaken => "the key has a credential with this id already",
    Self::UnknownCredential => "the key has no credential with this id",
    Self::PrivateKey => "the private key is not PKCS#8 in DER",
    Self::OtherCurve => "the private key is not one on P-256, which ES256 needs",
    Self::CredentialId => "a credential id has 1 to 255 bytes",
    Self::RpId => "an RP ID has 1 to 253 bytes",
    Self::UserHandle => "a discoverable credential needs a user handle of 1 to 64 bytes",
    Self::LargeBlob => "a large blob needs a discoverable credential and has at most 400 bytes when it is compressed",
    Self::LargeBlobUnsupported => "the key has no large blobs",
    Self::CredProtect => "the protection of a credential is 1, 2 or 3",
    Self::Store(error) => "{error}",
    Self::Options(error) => "the options cannot be read: {error}",
    Self::Random => "the system's random source failed",
    Self::Client(error) => "{error}",
    Self::Response => "the response has malformed authenticator data",
}

impl From<client::Error> for TestError {
    fn from(error: client::Error) -> Self {
        Self::Client(error)
    }
}

//! What a ceremony ends with when it does not succeed: a WebAuthn-like code, the stage, and the cause.

use crate::{
    Status,
    cbor::{self, ErrorKind, Overflow},
    crypto, ctap1,
    ctap2::ResponseError,
    large_blob,
};

/// Why a ceremony failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Error {
    /// What to tell a relying party.
    pub code: ErrorCode,
    /// How far the ceremony had come.
    pub stage: Stage,
    /// What happened.
    pub cause: Cause,
}

/// The class of a failure. The numbers are those of the common client libraries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ErrorCode {
    /// None of the others.
    OtherError = 1,
    /// The request, or what the user gave for it, cannot be used.
    BadRequest = 2,
    /// This authenticator cannot do what the relying party requires.
    ConfigurationUnsupported = 3,
    /// This authenticator may not be used: it holds an excluded credential, or none of the allowed ones.
    DeviceIneligible = 4,
    /// The time ran out, or the user cancelled; [`Cause`] tells them apart.
    Timeout = 5,
}

/// The part of a ceremony in which it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Stage {
    /// The options, before anything was sent.
    Options,
    /// authenticatorGetInfo, and what follows from its answer.
    GetInfo,
    /// Obtaining a PIN/UV auth token or the user's consent to built-in user verification.
    Authorization,
    /// The command itself and its answer.
    Command,
    /// All answers are in.
    Done,
}

/// Why a ceremony failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Cause {
    /// The authenticator answered with an error.
    Status(Status),
    /// An authenticator of version 1 answered with an error, or not as the standard says.
    Ctap1(ctap1::ResponseError),
    /// An answer is not what the standard says.
    Decode(cbor::Error),
    /// An answer is empty.
    EmptyResponse,
    /// The transport failed.
    Transport,
    /// The API of a platform failed.
    Platform {
        /// The error, in the platform's numbers: on Windows an HRESULT.
        number: u32,
        /// The class that it belongs to.
        class: ErrorCode,
    },
    /// The caller cancelled, or the user did so in a dialog of the platform.
    Cancelled,
    /// The time of the options ran out.
    Timeout,
    /// The input does not belong to the ceremony's state; the ceremony can go on.
    WrongState,
    /// The caller's buffer is too small.
    BufferTooSmall {
        /// The size it should have, in bytes.
        needed: usize,
    },
    /// The cryptographic backend failed, or the authenticator's key agreement key is not on its curve.
    Crypto(crypto::Error),

    /// An option has a value the standards do not allow.
    InvalidOption(InvalidOption),
    /// The request is longer than the authenticator's maxMsgSize.
    RequestTooLarge {
        /// The request's length, in bytes.
        needed: usize,
        /// maxMsgSize, in bytes.
        limit: usize,
    },
    /// The credential list has more entries than the authenticator takes.
    ListTooLong {
        /// Entries that could be this authenticator's.
        count: usize,
        /// maxCredentialCountInList.
        limit: usize,
    },
    /// A discoverable credential is required and not supported.
    ResidentKeyUnsupported,
    /// credProtect is to be enforced, and the authenticator cannot or did not.
    CredProtectUnsupported,
    /// A large blob is required, and the authenticator has none, or none for credentials that are not discoverable.
    LargeBlobUnsupported,
    /// The authenticator supports none of the relying party's algorithms. Told after a touch.
    NoCommonAlgorithm,
    /// The relying party wants an authenticator that is attached in another way.
    AttachmentMismatch,

    /// The authenticator does not have this command, this part of it, or this setting.
    Unsupported,
    /// The serialized large-blob array is longer than the authenticator's maxSerializedLargeBlobArray.
    LargeBlobArrayTooLong {
        /// The array's length, in bytes.
        needed: usize,
        /// maxSerializedLargeBlobArray, in bytes.
        limit: usize,
    },
    /// What was read is no large-blob array, or what is to be written is too short to be one.
    LargeBlobArray(large_blob::Error),

    /// User verification is needed and the authenticator offers none that can be used.
    UvUnavailable,
    /// User verification is needed and could be had by setting a PIN.
    PinNotSet,
    /// A PIN was asked for and not given.
    PinRequired,
    /// The last PIN that the user could give is shorter or longer than the authenticator takes. It was not sent.
    PinLength,
    /// The authenticator accepts the PIN only after it was changed.
    PinChangeRequired,
    /// Built-in user verification was declined and there is no PIN to fall back to.
    UvDeclined,
    /// The stored token is no longer valid: the PIN was changed, or the authenticator reset.
    TokenRevoked,
    /// A first PIN was to be set, but a PIN is set already.
    PinAlreadySet,
    /// The PIN/UV auth token has a length its protocol does not allow.
    InvalidToken,

    /// rpIdHash is not that of the RP ID.
    RpIdHashMismatch,
    /// The UP flag is not set.
    UserNotPresent,
    /// The UV flag is not set although user verification was done or required.
    UserNotVerified,
    /// A registration without attested credential data.
    AttestedCredentialDataMissing,
    /// An assertion with attested credential data.
    AttestedCredentialDataUnexpected,
    /// The credential's algorithm was not asked for.
    AlgorithmMismatch,
    /// A credential id is empty or longer than 1,023 bytes.
    InvalidCredentialId,
    /// The outputs of hmac-secret do not decrypt, or are not as many as the salts.
    InvalidHmacOutput,
    /// The credential is not in the allow list.
    CredentialNotAllowed,
    /// The credential is not named, and the allow list does not have exactly one entry.
    CredentialMissing,
    /// The authenticator claims to have no assertion, or more than one where it has to pick one from the allow list.
    NumberOfCredentials,
}

/// The options that are checked before anything is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum InvalidOption {
    /// The RP ID is empty, or not one that the origin may use.
    RpId,
    /// The origin may not use the API.
    Origin,
    /// The AppID is not one that the origin may use.
    AppId,
    /// The user handle is not 1 to 64 bytes long.
    UserId,
    /// There are no algorithms, or none of a type that is known.
    Algorithms,
    /// A large-blob array is too short to be one.
    LargeBlobArray,
    /// Extension inputs are not the standard's, or belong to the other ceremony.
    Extensions,
    /// A large blob is to be written, and the allow list does not have exactly one entry.
    LargeBlob,
    /// evalByCredential has an entry that is not in the allow list.
    PrfByCredential,
    /// The parameters of a vendor's setting do not begin with its number.
    VendorParameters,
}

impl Error {
    pub(super) const fn new(stage: Stage, cause: Cause) -> Self {
        Self { code: cause.code(), stage, cause }
    }
}

impl Cause {
    /// An answer lacks the member `member`.
    pub(super) const fn missing(member: u8) -> Self {
        Self::Decode(cbor::Error::new(ErrorKind::Missing, 0).within(member))
    }

    /// The same in a buffer whose first `kept` bytes are in use.
    pub(super) const fn behind(self, kept: usize) -> Self {
        match self {
            Self::BufferTooSmall { needed } => Self::BufferTooSmall { needed: needed.saturating_add(kept) },
            cause => cause,
        }
    }

    /// The class of the failure.
    pub const fn code(self) -> ErrorCode {
        match self {
            Self::Status(status) => code_of(status),
            Self::Platform { class, .. } => class,
            Self::Cancelled | Self::Timeout => ErrorCode::Timeout,
            Self::AttachmentMismatch => ErrorCode::DeviceIneligible,
            Self::InvalidOption(_)
            | Self::RequestTooLarge { .. }
            | Self::ListTooLong { .. }
            | Self::LargeBlobArrayTooLong { .. }
            | Self::PinRequired
            | Self::PinLength
            | Self::PinChangeRequired
            | Self::PinAlreadySet
            | Self::TokenRevoked
            | Self::UvDeclined => ErrorCode::BadRequest,
            Self::ResidentKeyUnsupported
            | Self::NoCommonAlgorithm
            | Self::CredProtectUnsupported
            | Self::LargeBlobUnsupported
            | Self::Unsupported
            | Self::UvUnavailable
            | Self::PinNotSet => ErrorCode::ConfigurationUnsupported,
            _ => ErrorCode::OtherError,
        }
    }
}

const fn code_of(status: Status) -> ErrorCode {
    match status {
        Status::CREDENTIAL_EXCLUDED | Status::NO_CREDENTIALS => ErrorCode::DeviceIneligible,
        Status::TIMEOUT | Status::KEEPALIVE_CANCEL | Status::ACTION_TIMEOUT | Status::USER_ACTION_TIMEOUT => {
            ErrorCode::Timeout
        }
        Status::UNSUPPORTED_ALGORITHM
        | Status::UNSUPPORTED_OPTION
        | Status::UNSUPPORTED_EXTENSION
        | Status::KEY_STORE_FULL => ErrorCode::ConfigurationUnsupported,
        Status::INVALID_COMMAND
        | Status::CBOR_UNEXPECTED_TYPE
        | Status::INVALID_CBOR
        | Status::MISSING_PARAMETER
        | Status::INVALID_OPTION
        | Status::PUAT_REQUIRED
        | Status::PIN_INVALID
        | Status::PIN_BLOCKED
        | Status::PIN_NOT_SET
        | Status::PIN_POLICY_VIOLATION
        | Status::PIN_TOKEN_EXPIRED
        | Status::PIN_AUTH_INVALID
        | Status::PIN_AUTH_BLOCKED
        | Status::UV_BLOCKED
        | Status::UV_INVALID
        | Status::REQUEST_TOO_LARGE
        | Status::OPERATION_DENIED => ErrorCode::BadRequest,
        _ => ErrorCode::OtherError,
    }
}

impl From<ResponseError> for Cause {
    fn from(error: ResponseError) -> Self {
        match error {
            ResponseError::Status(status) => Self::Status(status),
            ResponseError::Decode(error) => Self::Decode(error),
            ResponseError::Empty => Self::EmptyResponse,
        }
    }
}

impl From<cbor::Error> for Cause {
    fn from(error: cbor::Error) -> Self {
        Self::Decode(error)
    }
}

impl From<crypto::Error> for Cause {
    fn from(error: crypto::Error) -> Self {
        Self::Crypto(error)
    }
}

impl From<large_blob::Error> for Cause {
    fn from(error: large_blob::Error) -> Self {
        match error {
            large_blob::Error::ArrayTooLong { needed } => Self::BufferTooSmall { needed },
            error => Self::LargeBlobArray(error),
        }
    }
}

impl From<Overflow> for Cause {
    fn from(overflow: Overflow) -> Self {
        Self::BufferTooSmall { needed: overflow.needed }
    }
}

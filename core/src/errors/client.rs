//! Why a ceremony failed.

use crate::{
    client::{Cause, Error, ErrorCode, InvalidOption, Stage},
    large_blob,
};

says! {
    part ErrorCode {
        Self::OtherError => "other error",
        Self::BadRequest => "bad request",
        Self::ConfigurationUnsupported => "configuration unsupported",
        Self::DeviceIneligible => "device ineligible",
        Self::Timeout => "timeout",
    }
    part Stage {
        Self::Options => "in the options",
        Self::GetInfo => "at getInfo",
        Self::Authorization => "at the user verification",
        Self::Command => "at the command",
        Self::Done => "after the last answer",
    }
    error Cause {
        Self::Status(status) => "the authenticator answered {status}",
        Self::Ctap1(error) => "U2F: {error}",
        Self::Decode(error) => "the answer is malformed: {error}",
        Self::EmptyResponse => "the answer is empty",
        Self::Transport => "the transport failed",
        Self::Platform { number, .. } => "the platform's API failed with 0x{number:08X}",
        Self::Cancelled => "the ceremony was cancelled",
        Self::Timeout => "the time ran out",
        Self::WrongState => "the input does not belong to the state of the ceremony",
        Self::BufferTooSmall { needed } => "the buffer is too small: it takes {needed} bytes",
        Self::Crypto(error) => "{error}",
        Self::InvalidOption(option) => "{option}",
        Self::RequestTooLarge { needed, limit } =>
            "the request takes {needed} bytes, and the authenticator at most {limit}",
        Self::ListTooLong { count, limit } =>
            "the list has {count} credentials, and the authenticator takes at most {limit}",
        Self::ResidentKeyUnsupported => "the authenticator has no discoverable credentials, and one is required",
        Self::CredProtectUnsupported => "the authenticator cannot enforce credProtect",
        Self::LargeBlobUnsupported => "a large blob is required, and the authenticator has none for this credential",
        Self::NoCommonAlgorithm => "the authenticator has none of the algorithms that are asked for",
        Self::AttachmentMismatch => "the authenticator is attached in another way than is asked for",
        Self::Unsupported => "the authenticator does not have this command or setting",
        Self::LargeBlobArrayTooLong { needed, limit } =>
            "the large-blob array takes {needed} bytes, and the authenticator at most {limit}",
        Self::LargeBlobArray(error) => "{error}",
        Self::UvUnavailable => "the user has to be verified, and the authenticator cannot do it",
        Self::PinNotSet => "the user has to be verified, and no PIN is set",
        Self::PinRequired => "PIN required but not provided",
        Self::PinLength => "the PIN is shorter or longer than the authenticator takes",
        Self::PinChangeRequired => "the PIN has to be changed first",
        Self::UvDeclined => "the user verification was declined, and there is no PIN in its place",
        Self::TokenRevoked => "the stored token is no longer valid: the PIN was changed, or the authenticator reset",
        Self::PinAlreadySet => "a first PIN was to be set, and there is one",
        Self::InvalidToken => "the PIN/UV auth token has a length that its protocol does not allow",
        Self::RpIdHashMismatch => "the answer is for another RP ID",
        Self::UserNotPresent => "the answer says that the user was not present",
        Self::UserNotVerified => "the answer says that the user was not verified",
        Self::AttestedCredentialDataMissing => "the registration has no credential",
        Self::AttestedCredentialDataUnexpected => "the sign-in has the data of a registration",
        Self::AlgorithmMismatch => "the credential has an algorithm that was not asked for",
        Self::InvalidCredentialId => "a credential id is empty or longer than 1,023 bytes",
        Self::InvalidHmacOutput => "the outputs of hmac-secret do not decrypt, or are not as many as the salts",
        Self::CredentialNotAllowed => "the credential is not in the allow list",
        Self::CredentialMissing => "the answer does not name its credential, and the allow list has not exactly one",
        Self::NumberOfCredentials => "the authenticator claims a number of assertions that cannot be",
    }
    error InvalidOption {
        Self::RpId => "the RP ID is empty, or not one that the origin may use",
        Self::Origin => "the origin may not use the API",
        Self::AppId => "the AppID is not one that the origin may use",
        Self::UserId => "the user handle does not have 1 to 64 bytes",
        Self::Algorithms => "there are no algorithms, or none of a type that is known",
        Self::LargeBlobArray => "the large-blob array is too short to be one",
        Self::Extensions => "the extension inputs are not the standard's, or belong to the other ceremony",
        Self::LargeBlob => "a large blob is to be written, and the allow list has not exactly one entry",
        Self::PrfByCredential => "evalByCredential has an entry that is not in the allow list",
        Self::VendorParameters => "the parameters of a vendor's setting do not begin with its number",
    }
    error large_blob::Error {
        Self::Malformed(error) => "the large-blob array is malformed: {error}",
        Self::Compression => "the large blob does not decompress to its size",
        Self::ArrayTooLong { needed } => "the large-blob array takes {needed} bytes",
        Self::WorkTooSmall { needed } => "the working memory is too small: it takes {needed} bytes",
        Self::Crypto(error) => "{error}",
    }
    error Error {
        Self { code, stage, cause, .. } => "{code} {stage}: {cause}",
    }
}

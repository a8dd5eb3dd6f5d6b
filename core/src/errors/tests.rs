use std::{error::Error, fmt};

use crate::{
    Status,
    cbor::{self, Overflow},
    client::{Cause, InvalidOption, Stage},
    crypto, ctap1, ctap2, json, large_blob,
    pin_uv::PinError,
    transport::{
        fault::FaultError,
        hid::{HidCommand, HidError, HidErrorCode, HidFailure},
    },
    verify,
    webauthn::{OriginError, base64url},
};

/// A value of every kind of every error type.
fn all() -> Vec<Box<dyn Error>> {
    let cbor = cbor::decode::<u64>(&[]).unwrap_err().within(2);
    let json = json::Error { kind: json::ErrorKind::Missing, offset: 7, member: Some("rp") };
    let (mut all, overflow): (Vec<Box<dyn Error>>, _) = (Vec::new(), Overflow { needed: 9 });
    fn add<E: Error + 'static>(all: &mut Vec<Box<dyn Error>>, errors: impl IntoIterator<Item = E>) {
        all.extend(errors.into_iter().map(|error| Box::new(error) as Box<dyn Error>));
    }
    let crypto = {
        use crypto::Error::*;
        [Unsupported, InvalidKey, InvalidLength, OutputTooSmall, Mismatch, Failed, RandomSource]
    };
    let codes = [1, 2, 3, 4, 5, 6, 0x0A, 0x0B, 0x7F, 0x42].map(HidErrorCode);
    let failures = {
        use HidFailure::*;
        let (small, other) = (BufferTooSmall { needed: 70 }, UnexpectedCommand(HidCommand::PING));
        [NotOpen, Pending, RequestTooLong, ResponseTooLong, small, Timeout, Sequence, other]
    };
    let large_blob = {
        use large_blob::Error::*;
        let (array, work) = (ArrayTooLong { needed: 70 }, WorkTooSmall { needed: 70 });
        [Malformed(cbor), Compression, array, work, Crypto(crypto::Error::Failed)]
    };
    add(&mut all, [cbor]);
    add(&mut all, [overflow]);
    add(&mut all, crypto);
    add(&mut all, [ctap1::RequestError::Length, ctap1::RequestError::Class(1), ctap1::RequestError::Instruction(9)]);
    add(&mut all, {
        use ctap1::ResponseError::*;
        [Status(ctap1::StatusWord::WRONG_DATA), Length, Reserved(4), Der]
    });
    add(&mut all, {
        use ctap2::ResponseError::*;
        [Status(crate::Status::PIN_INVALID), Decode(cbor), Empty]
    });
    add(&mut all, [PinError::TooShort, PinError::TooLong, PinError::TrailingZero]);
    add(&mut all, codes);
    add(&mut all, failures);
    add(&mut all, [HidError::Io(HidFailure::Timeout), HidError::Device(codes[0]), HidError::Failed(failures[0])]);
    add(&mut all, [FaultError::Cut, FaultError::Inner(PinError::TooLong)]);
    add(&mut all, [json]);
    add(&mut all, [json::WriteError::Overflow(overflow), json::WriteError::Cbor(cbor)]);
    add(&mut all, {
        use base64url::Error::*;
        [Character, Length, TrailingBits, Overflow(overflow)]
    });
    add(&mut all, [OriginError::Origin, OriginError::RpId, OriginError::AppId]);
    add(&mut all, large_blob);
    add(&mut all, options());
    add(&mut all, causes(cbor).map(|cause| crate::client::Error { code: cause.code(), stage: Stage::Command, cause }));
    add(&mut all, causes(cbor));
    add(&mut all, refusals(cbor, json));
    all
}

fn options() -> [InvalidOption; 10] {
    use InvalidOption::*;
    [RpId, Origin, AppId, UserId, Algorithms, LargeBlobArray, Extensions, LargeBlob, PrfByCredential, VendorParameters]
}

fn causes(cbor: cbor::Error) -> [Cause; 43] {
    use Cause::*;
    [
        Status(crate::Status::PIN_AUTH_BLOCKED),
        Ctap1(ctap1::ResponseError::Der),
        Decode(cbor),
        EmptyResponse,
        Transport,
        Platform { number: 0x8009_0020, class: crate::client::ErrorCode::OtherError },
        Cancelled,
        Timeout,
        WrongState,
        BufferTooSmall { needed: 7 },
        Crypto(crypto::Error::InvalidKey),
        InvalidOption(crate::client::InvalidOption::RpId),
        RequestTooLarge { needed: 2, limit: 1 },
        ListTooLong { count: 2, limit: 1 },
        ResidentKeyUnsupported,
        CredProtectUnsupported,
        LargeBlobUnsupported,
        NoCommonAlgorithm,
        AttachmentMismatch,
        Unsupported,
        LargeBlobArrayTooLong { needed: 2, limit: 1 },
        LargeBlobArray(large_blob::Error::Compression),
        UvUnavailable,
        PinNotSet,
        PinRequired,
        PinLength,
        PinChangeRequired,
        UvDeclined,
        TokenRevoked,
        PinAlreadySet,
        InvalidToken,
        RpIdHashMismatch,
        UserNotPresent,
        UserNotVerified,
        AttestedCredentialDataMissing,
        AttestedCredentialDataUnexpected,
        AlgorithmMismatch,
        InvalidCredentialId,
        InvalidHmacOutput,
        CredentialNotAllowed,
        CredentialMissing,
        NumberOfCredentials,
        Status(crate::Status(0xEE)),
    ]
}

fn refusals(cbor: cbor::Error, json: json::Error) -> [verify::Error; 41] {
    use verify::Error::*;
    [
        ClientData(json),
        Type,
        Challenge,
        Origin,
        CrossOrigin,
        TopOrigin,
        TokenBinding,
        AuthData(cbor),
        RpIdHash,
        UserPresence,
        UserVerification,
        BackupState,
        BackupEligibility,
        NoCredential,
        Algorithm,
        CredentialKey,
        AttestationNotAccepted,
        Format,
        Retired,
        Statement(cbor),
        StatementNotEmpty,
        AttestationAlgorithm,
        Certificate,
        CertificateKey,
        AttestedKey,
        AttestedData,
        PublicArea,
        CertInfo,
        KeyDescription,
        KeyAuthorization,
        Validity,
        Chain,
        Constraints,
        RootInChain,
        Aaguid,
        AaguidNotZero,
        Signature,
        Crypto(crypto::Error::Unsupported),
        CredentialId,
        UserHandle,
        SignCount { stored: 5, received: 4 },
    ]
}

/// Whether `text` has a name of the source in it, as `Debug` writes them: `PinNotSet`, `Failed {`.
fn is_debug(text: &str) -> bool {
    let inner = |word: &str| word.chars().zip(word.chars().skip(1)).any(|(a, b)| a.is_lowercase() && b.is_uppercase());
    // Names of the standards that are written so.
    let known = ["getInfo", "credProtect", "evalByCredential", "AppID", "WebAuthn"];
    text.contains(['{', '}']) || text.split([' ', ',', ':']).any(|word| inner(word) && !known.contains(&word))
}

#[test]
fn every_error_is_a_sentence() {
    for error in all() {
        let text = error.to_string();
        assert!(text.split(' ').count() >= 3, "{error:?} says {text:?}");
        assert!(!text.ends_with('.') && !is_debug(&text), "{error:?} says {text:?}");
    }
}

#[test]
fn numbers_of_the_standards_keep_their_names() {
    let said = |error: &dyn fmt::Display| error.to_string();
    assert_eq!(said(&Status::PIN_INVALID), "PIN_INVALID (0x31)");
    assert_eq!(said(&Status(0xEE)), "status 0xee");
    assert_eq!(said(&Cause::Status(Status::PIN_INVALID)), "the authenticator answered PIN_INVALID (0x31)");
    assert_eq!(said(&HidErrorCode::CHANNEL_BUSY), "the authenticator is busy with another request (CHANNEL_BUSY)");
}

#[test]
fn errors_pass_through_a_question_mark() {
    fn refused() -> Result<(), Box<dyn Error>> {
        Err(Cause::PinNotSet)?;
        Ok(())
    }
    assert_eq!(refused().unwrap_err().to_string(), "the user has to be verified, and no PIN is set");
}

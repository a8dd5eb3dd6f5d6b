//! The names of members, one table a command: everything the tracer knows about messages.
//!
//! A new command is a row of [`COMMANDS`], a new member a row of its command.

use crate::ctap2::Command;

/// A member of a map with integer keys: its key, its name and what its value is.
#[derive(Clone, Copy)]
pub struct Member(pub i8, pub &'static str, pub Kind);

/// What a value is, where more can be said than its CBOR.
#[derive(Clone, Copy)]
pub enum Kind {
    /// Shown as it is.
    Plain,
    /// A map with integer keys that have names.
    Map(&'static [Member]),
    /// An array of such maps.
    Maps(&'static [Member]),
    /// A COSE public key.
    Cose,
    /// A COSE algorithm identifier.
    Algorithm,
    /// Authenticator data.
    AuthData,
    /// A number whose values have names.
    Value(&'static [(i64, &'static str)]),
    /// A number whose bits have names, the lowest first.
    Bits(&'static [&'static str]),
}
use Kind::{AuthData, Bits, Cose, Map, Maps, Plain, Value};

/// What is known about a command.
pub struct Names {
    /// Its byte.
    pub command: Command,
    /// Its name.
    pub name: &'static str,
    /// The members of its request.
    pub request: &'static [Member],
    /// The members of its response.
    pub response: &'static [Member],
}

impl Names {
    /// What is known about `command`.
    pub fn of(command: Command) -> Option<&'static Names> {
        COMMANDS.iter().find(|names| names.command == command)
    }
}

const fn row(command: Command, name: &'static str, request: &'static [Member], response: &'static [Member]) -> Names {
    Names { command, name, request, response }
}

/// Every command (CTAP 2.3 §6).
const COMMANDS: &[Names] = &[
    row(Command::MAKE_CREDENTIAL, "authenticatorMakeCredential", MAKE_CREDENTIAL, ATTESTATION),
    row(Command::GET_ASSERTION, "authenticatorGetAssertion", GET_ASSERTION, ASSERTION),
    row(Command::GET_NEXT_ASSERTION, "authenticatorGetNextAssertion", &[], ASSERTION),
    row(Command::GET_INFO, "authenticatorGetInfo", &[], INFO),
    row(Command::CLIENT_PIN, "authenticatorClientPIN", CLIENT_PIN, CLIENT_PIN_RESPONSE),
    row(Command::RESET, "authenticatorReset", &[], &[]),
    row(Command::SELECTION, "authenticatorSelection", &[], &[]),
    row(Command::BIO_ENROLLMENT, "authenticatorBioEnrollment", BIO, BIO_RESPONSE),
    row(Command(0x40), "authenticatorBioEnrollment (prototype)", BIO, BIO_RESPONSE),
    row(Command::CREDENTIAL_MANAGEMENT, "authenticatorCredentialManagement", MANAGEMENT, MANAGEMENT_RESPONSE),
    row(Command(0x41), "authenticatorCredentialManagement (prototype)", MANAGEMENT, MANAGEMENT_RESPONSE),
    row(Command::LARGE_BLOBS, "authenticatorLargeBlobs", LARGE_BLOBS, &[Member(1, "config", Plain)]),
    row(Command::CONFIG, "authenticatorConfig", CONFIG, &[]),
];

const MAKE_CREDENTIAL: &[Member] = &[
    Member(0x01, "clientDataHash", Plain),
    Member(0x02, "rp", Plain),
    Member(0x03, "user", Plain),
    Member(0x04, "pubKeyCredParams", Plain),
    Member(0x05, "excludeList", Plain),
    Member(0x06, "extensions", Plain),
    Member(0x07, "options", Plain),
    Member(0x08, "pinUvAuthParam", Plain),
    Member(0x09, "pinUvAuthProtocol", Plain),
    Member(0x0A, "enterpriseAttestation", Plain),
    Member(0x0B, "attestationFormatsPreference", Plain),
];

const ATTESTATION: &[Member] = &[
    Member(0x01, "fmt", Plain),
    Member(0x02, "authData", AuthData),
    Member(0x03, "attStmt", Plain),
    Member(0x04, "epAtt", Plain),
    Member(0x05, "largeBlobKey", Plain),
    Member(0x06, "unsignedExtensionOutputs", Plain),
];

const GET_ASSERTION: &[Member] = &[
    Member(0x01, "rpId", Plain),
    Member(0x02, "clientDataHash", Plain),
    Member(0x03, "allowList", Plain),
    Member(0x04, "extensions", Plain),
    Member(0x05, "options", Plain),
    Member(0x06, "pinUvAuthParam", Plain),
    Member(0x07, "pinUvAuthProtocol", Plain),
];

const ASSERTION: &[Member] = &[
    Member(0x01, "credential", Plain),
    Member(0x02, "authData", AuthData),
    Member(0x03, "signature", Plain),
    Member(0x04, "user", Plain),
    Member(0x05, "numberOfCredentials", Plain),
    Member(0x06, "userSelected", Plain),
    Member(0x07, "largeBlobKey", Plain),
    Member(0x08, "unsignedExtensionOutputs", Plain),
];

const INFO: &[Member] = &[
    Member(0x01, "versions", Plain),
    Member(0x02, "extensions", Plain),
    Member(0x03, "aaguid", Plain),
    Member(0x04, "options", Plain),
    Member(0x05, "maxMsgSize", Plain),
    Member(0x06, "pinUvAuthProtocols", Plain),
    Member(0x07, "maxCredentialCountInList", Plain),
    Member(0x08, "maxCredentialIdLength", Plain),
    Member(0x09, "transports", Plain),
    Member(0x0A, "algorithms", Plain),
    Member(0x0B, "maxSerializedLargeBlobArray", Plain),
    Member(0x0C, "forcePINChange", Plain),
    Member(0x0D, "minPINLength", Plain),
    Member(0x0E, "firmwareVersion", Plain),
    Member(0x0F, "maxCredBlobLength", Plain),
    Member(0x10, "maxRPIDsForSetMinPINLength", Plain),
    Member(0x11, "preferredPlatformUvAttempts", Plain),
    Member(0x12, "uvModality", Plain),
    Member(0x13, "certifications", Plain),
    Member(0x14, "remainingDiscoverableCredentials", Plain),
    Member(0x15, "vendorPrototypeConfigCommands", Plain),
    Member(0x16, "attestationFormats", Plain),
    Member(0x17, "uvCountSinceLastPinEntry", Plain),
    Member(0x18, "longTouchForReset", Plain),
    Member(0x19, "encIdentifier", Plain),
    Member(0x1A, "transportsForReset", Plain),
    Member(0x1B, "pinComplexityPolicy", Plain),
    Member(0x1C, "pinComplexityPolicyURL", Plain),
    Member(0x1D, "maxPINLength", Plain),
    Member(0x1E, "encCredStoreState", Plain),
    Member(0x1F, "authenticatorConfigCommands", Plain),
];

const CLIENT_PIN: &[Member] = &[
    Member(0x01, "pinUvAuthProtocol", Plain),
    Member(
        0x02,
        "subCommand",
        Value(&[
            (0x01, "getPINRetries"),
            (0x02, "getKeyAgreement"),
            (0x03, "setPIN"),
            (0x04, "changePIN"),
            (0x05, "getPinToken"),
            (0x06, "getPinUvAuthTokenUsingUvWithPermissions"),
            (0x07, "getUVRetries"),
            (0x09, "getPinUvAuthTokenUsingPinWithPermissions"),
        ]),
    ),
    Member(0x03, "keyAgreement", Cose),
    Member(0x04, "pinUvAuthParam", Plain),
    Member(0x05, "newPinEnc", Plain),
    Member(0x06, "pinHashEnc", Plain),
    Member(0x09, "permissions", Bits(&["mc", "ga", "cm", "be", "lbw", "acfg", "pcmr"])),
    Member(0x0A, "rpId", Plain),
];

const CLIENT_PIN_RESPONSE: &[Member] = &[
    Member(0x01, "keyAgreement", Cose),
    Member(0x02, "pinUvAuthToken", Plain),
    Member(0x03, "pinRetries", Plain),
    Member(0x04, "powerCycleState", Plain),
    Member(0x05, "uvRetries", Plain),
];

const TEMPLATE: &[Member] = &[
    Member(0x01, "templateId", Plain),
    Member(0x02, "templateFriendlyName", Plain),
    Member(0x03, "timeoutMilliseconds", Plain),
];

const BIO: &[Member] = &[
    Member(0x01, "modality", Plain),
    Member(
        0x02,
        "subCommand",
        Value(&[
            (0x01, "enrollBegin"),
            (0x02, "enrollCaptureNextSample"),
            (0x03, "cancelCurrentEnrollment"),
            (0x04, "enumerateEnrollments"),
            (0x05, "setFriendlyName"),
            (0x06, "removeEnrollment"),
            (0x07, "getFingerprintSensorInfo"),
        ]),
    ),
    Member(0x03, "subCommandParams", Map(TEMPLATE)),
    Member(0x04, "pinUvAuthProtocol", Plain),
    Member(0x05, "pinUvAuthParam", Plain),
    Member(0x06, "getModality", Plain),
];

const BIO_RESPONSE: &[Member] = &[
    Member(0x01, "modality", Plain),
    Member(0x02, "fingerprintKind", Value(&[(1, "touch"), (2, "swipe")])),
    Member(0x03, "maxCaptureSamplesRequiredForEnroll", Plain),
    Member(0x04, "templateId", Plain),
    Member(0x05, "lastEnrollSampleStatus", Plain),
    Member(0x06, "remainingSamples", Plain),
    Member(0x07, "templateInfos", Maps(TEMPLATE)),
    Member(0x08, "maxTemplateFriendlyName", Plain),
];

const MANAGEMENT: &[Member] = &[
    Member(
        0x01,
        "subCommand",
        Value(&[
            (0x01, "getCredsMetadata"),
            (0x02, "enumerateRPsBegin"),
            (0x03, "enumerateRPsGetNextRP"),
            (0x04, "enumerateCredentialsBegin"),
            (0x05, "enumerateCredentialsGetNextCredential"),
            (0x06, "deleteCredential"),
            (0x07, "updateUserInformation"),
        ]),
    ),
    Member(
        0x02,
        "subCommandParams",
        Map(&[Member(0x01, "rpIDHash", Plain), Member(0x02, "credentialID", Plain), Member(0x03, "user", Plain)]),
    ),
    Member(0x03, "pinUvAuthProtocol", Plain),
    Member(0x04, "pinUvAuthParam", Plain),
];

const MANAGEMENT_RESPONSE: &[Member] = &[
    Member(0x01, "existingResidentCredentialsCount", Plain),
    Member(0x02, "maxPossibleRemainingResidentCredentialsCount", Plain),
    Member(0x03, "rp", Plain),
    Member(0x04, "rpIDHash", Plain),
    Member(0x05, "totalRPs", Plain),
    Member(0x06, "user", Plain),
    Member(0x07, "credentialID", Plain),
    Member(0x08, "publicKey", Cose),
    Member(0x09, "totalCredentials", Plain),
    Member(0x0A, "credProtect", Plain),
    Member(0x0B, "largeBlobKey", Plain),
    Member(0x0C, "thirdPartyPayment", Plain),
];

const LARGE_BLOBS: &[Member] = &[
    Member(0x01, "get", Plain),
    Member(0x02, "set", Plain),
    Member(0x03, "offset", Plain),
    Member(0x04, "length", Plain),
    Member(0x05, "pinUvAuthParam", Plain),
    Member(0x06, "pinUvAuthProtocol", Plain),
];

const CONFIG: &[Member] = &[
    Member(
        0x01,
        "subCommand",
        Value(&[
            (0x01, "enableEnterpriseAttestation"),
            (0x02, "toggleAlwaysUv"),
            (0x03, "setMinPINLength"),
            (0x04, "enableLongTouchForReset"),
            (0xFF, "vendorPrototype"),
        ]),
    ),
    // Of setMinPINLength, the one standard subcommand that has parameters.
    Member(
        0x02,
        "subCommandParams",
        Map(&[
            Member(0x01, "newMinPINLength", Plain),
            Member(0x02, "minPinLengthRPIDs", Plain),
            Member(0x03, "forceChangePin", Plain),
            Member(0x04, "pinComplexityPolicy", Plain),
        ]),
    ),
    Member(0x03, "pinUvAuthProtocol", Plain),
    Member(0x04, "pinUvAuthParam", Plain),
];

/// The flags of authenticator data (WebAuthn L3 §6.1).
pub const FLAGS: &[&str] = &["UP", "RFU1", "UV", "BE", "BS", "RFU2", "AT", "ED"];
/// The capabilities of a CTAPHID authenticator.
pub const CAPABILITIES: &[&str] = &["WINK", "LOCK", "CBOR", "NMSG"];

const KEY_TYPES: &[(i64, &str)] = &[(1, "OKP"), (2, "EC2"), (3, "RSA"), (7, "AKP")];
const CURVES: &[(i64, &str)] =
    &[(1, "P-256"), (2, "P-384"), (3, "P-521"), (6, "Ed25519"), (7, "Ed448"), (8, "secp256k1")];
const ALG: Member = Member(3, "alg", Kind::Algorithm);
const KTY: Member = Member(1, "kty", Value(KEY_TYPES));

/// The members of a COSE key (RFC 9053 §7): what its negative labels mean depends on its type, which comes first.
pub fn cose_members(key: &[u8]) -> &'static [Member] {
    match key {
        [_, 1, 3, ..] => &[KTY, ALG, Member(-1, "n", Plain), Member(-2, "e", Plain)],
        [_, 1, 7, ..] => &[KTY, ALG, Member(-1, "pub", Plain)],
        _ => &[KTY, ALG, Member(-1, "crv", Value(CURVES)), Member(-2, "x", Plain), Member(-3, "y", Plain)],
    }
}

//! What the tracer knows about messages beyond their tables: the commands, and what the values of some members are.
//!
//! The members and their names are those of [`message!`](crate::message). A new command is a row of [`COMMANDS`].

use crate::{
    cbor::{Member, Table},
    ctap2::{
        Command, bio_enrollment, client_pin, config, credential_management, get_assertion, get_info, large_blobs,
        make_credential,
    },
};

/// The members of a map with integer keys, and what the values of some of them are.
#[derive(Clone, Copy)]
pub struct Names(pub &'static [Member], pub &'static [(i16, Kind)]);

impl Names {
    /// No names.
    pub const NONE: Names = Names(&[], &[]);

    /// The member with this key, if it has a name, and what its value is.
    pub fn find(&self, key: i64) -> Option<(Member, Kind)> {
        let member = self.0.iter().find(|member| i64::from(member.key) == key)?;
        let kind = self.1.iter().find(|(of, _)| *of == member.key);
        Some((*member, kind.map_or(Kind::Plain, |(_, kind)| *kind)))
    }
}

/// What a value is, where more can be said than its CBOR.
#[derive(Clone, Copy)]
pub enum Kind {
    /// Shown as it is.
    Plain,
    /// A map with integer keys that have names.
    Map(Names),
    /// An array of such maps.
    Maps(Names),
    /// A COSE public key.
    Cose,
    /// A COSE algorithm identifier.
    Algorithm,
    /// Authenticator data.
    AuthData,
    /// A byte string that is not shown.
    Secret,
    /// A number whose values have names.
    Value(&'static [(i64, &'static str)]),
    /// A number whose bits have names, the lowest first.
    Bits(&'static [&'static str]),
}
use Kind::{AuthData, Bits, Cose, Map, Maps, Secret, Value};

/// What is known about a command.
pub struct Known {
    /// Its byte.
    pub command: Command,
    /// Its name.
    pub name: &'static str,
    /// The members of its request.
    pub request: Names,
    /// The members of its response.
    pub response: Names,
}

impl Known {
    /// What is known about `command`.
    pub fn of(command: Command) -> Option<&'static Known> {
        COMMANDS.iter().find(|known| known.command == command)
    }
}

const fn row(command: Command, name: &'static str, request: Names, response: Names) -> Known {
    Known { command, name, request, response }
}

/// Every command (CTAP 2.3 §6).
const COMMANDS: &[Known] = &[
    row(Command::MAKE_CREDENTIAL, "authenticatorMakeCredential", MAKE_CREDENTIAL, ATTESTATION),
    row(Command::GET_ASSERTION, "authenticatorGetAssertion", GET_ASSERTION, ASSERTION),
    row(Command::GET_NEXT_ASSERTION, "authenticatorGetNextAssertion", Names::NONE, ASSERTION),
    row(Command::GET_INFO, "authenticatorGetInfo", Names::NONE, Names(get_info::Response::MEMBERS, &[])),
    row(Command::CLIENT_PIN, "authenticatorClientPIN", CLIENT_PIN, CLIENT_PIN_RESPONSE),
    row(Command::RESET, "authenticatorReset", Names::NONE, Names::NONE),
    row(Command::SELECTION, "authenticatorSelection", Names::NONE, Names::NONE),
    row(Command::BIO_ENROLLMENT, "authenticatorBioEnrollment", BIO, BIO_RESPONSE),
    row(Command::BIO_ENROLLMENT_PREVIEW, "authenticatorBioEnrollment (prototype)", BIO, BIO_RESPONSE),
    row(Command::CREDENTIAL_MANAGEMENT, "authenticatorCredentialManagement", MANAGEMENT, MANAGEMENT_RESPONSE),
    row(
        Command::CREDENTIAL_MANAGEMENT_PREVIEW,
        "authenticatorCredentialManagement (prototype)",
        MANAGEMENT,
        MANAGEMENT_RESPONSE,
    ),
    row(Command::LARGE_BLOBS, "authenticatorLargeBlobs", LARGE_BLOBS, Names(large_blobs::Response::MEMBERS, &[])),
    row(Command::CONFIG, "authenticatorConfig", CONFIG, Names::NONE),
];

const MAKE_CREDENTIAL: Names = Names(make_credential::Request::MEMBERS, &[]);
const ATTESTATION: Names = Names(make_credential::Response::MEMBERS, &[(0x02, AuthData), (0x05, Secret)]);
const GET_ASSERTION: Names = Names(get_assertion::Request::MEMBERS, &[]);
const ASSERTION: Names = Names(get_assertion::Response::MEMBERS, &[(0x02, AuthData), (0x07, Secret)]);
const LARGE_BLOBS: Names = Names(large_blobs::Request::MEMBERS, &[]);

const CLIENT_PIN: Names = Names(
    client_pin::Request::MEMBERS,
    &[
        (0x02, Value(client_pin::subcommand::NAMES)),
        (0x03, Cose),
        (0x09, Bits(&["mc", "ga", "cm", "be", "lbw", "acfg", "pcmr"])),
    ],
);
const CLIENT_PIN_RESPONSE: Names = Names(client_pin::Response::MEMBERS, &[(0x01, Cose)]);

const BIO: Names = Names(
    bio_enrollment::Request::MEMBERS,
    &[(0x02, Value(bio_enrollment::subcommand::NAMES)), (0x03, Map(Names(bio_enrollment::Params::MEMBERS, &[])))],
);
const BIO_RESPONSE: Names = Names(
    bio_enrollment::Response::MEMBERS,
    &[(0x02, Value(&[(1, "touch"), (2, "swipe")])), (0x07, Maps(Names(bio_enrollment::TemplateInfo::MEMBERS, &[])))],
);

const MANAGEMENT: Names = Names(
    credential_management::Request::MEMBERS,
    &[
        (0x01, Value(credential_management::subcommand::NAMES)),
        (0x02, Map(Names(credential_management::Params::MEMBERS, &[]))),
    ],
);
const MANAGEMENT_RESPONSE: Names = Names(credential_management::Response::MEMBERS, &[(0x08, Cose), (0x0B, Secret)]);

const CONFIG: Names = Names(
    config::Request::MEMBERS,
    &[
        (0x01, Value(config::subcommand::NAMES)),
        // Of setMinPINLength, the one standard subcommand that has parameters.
        (0x02, Map(Names(config::SetMinPinLength::MEMBERS, &[]))),
    ],
);

/// The flags of authenticator data (WebAuthn L3 §6.1).
pub const FLAGS: &[&str] = &["UP", "RFU1", "UV", "BE", "BS", "RFU2", "AT", "ED"];
/// The capabilities of a CTAPHID authenticator.
pub const CAPABILITIES: &[&str] = &["WINK", "LOCK", "CBOR", "NMSG"];

const KTY: (i16, Kind) = (1, Value(&[(1, "OKP"), (2, "EC2"), (3, "RSA"), (7, "AKP")]));
const ALG: (i16, Kind) = (3, Kind::Algorithm);
const CRV: (i16, Kind) =
    (-1, Value(&[(1, "P-256"), (2, "P-384"), (3, "P-521"), (6, "Ed25519"), (7, "Ed448"), (8, "secp256k1")]));

const fn label(key: i16, name: &'static str) -> Member {
    Member { key, name }
}

/// The members of a COSE key (RFC 9053 §7): what its negative labels mean depends on its type, which comes first.
pub fn cose_members(key: &[u8]) -> Names {
    const RSA: &[Member] = &[label(1, "kty"), label(3, "alg"), label(-1, "n"), label(-2, "e")];
    const AKP: &[Member] = &[label(1, "kty"), label(3, "alg"), label(-1, "pub")];
    const EC2: &[Member] = &[label(1, "kty"), label(3, "alg"), label(-1, "crv"), label(-2, "x"), label(-3, "y")];
    match key {
        [_, 1, 3, ..] => Names(RSA, &[KTY, ALG]),
        [_, 1, 7, ..] => Names(AKP, &[KTY, ALG]),
        _ => Names(EC2, &[KTY, ALG, CRV]),
    }
}

//! Attestation, as a relying party verifies it.

use keyfob_core::{
    attestation::RawStatement,
    auth_data::Flags,
    cbor::{List, Text},
    cose::Algorithm,
    crypto::{Hash, RustCrypto},
    ctap2::{CredentialParameters, make_credential::Request},
    pin_uv::Protocol::Two,
    verify::{
        Attestation as Attested, Error, Expected, Policy, Registration, RegistrationResponse, registration as verify,
    },
    webauthn::{AttestationObject, Ceremony, ClientData},
};
use keyfob_soft_authenticator::{
    devices::{VIRTUAL_KEY_AAGUID, virtual_key_certificate},
    engine::{Attestation, Certified, Config},
};

use super::harness::*;

const OWN: Config<'static> = Config::new([0; 16]);
const NONE: Config<'static> = Config { attestation: Attestation::None, ..OWN };
const CERTIFIED: Config<'static> =
    Config { attestation: Attestation::Certified(virtual_key_certificate()), ..Config::new(VIRTUAL_KEY_AAGUID) };

/// Registers with a client's data and verifies what comes back.
fn register(
    key: &mut Key,
    algorithm: Algorithm,
    formats: Option<&[&str]>,
    verified: bool,
    look: impl FnOnce(Result<Registration<'_>, Error>),
) -> Made {
    let client_data = ClientData {
        kind: Ceremony::Create,
        challenge: b"0123456789abcdef",
        origin: "https://example.org",
        cross_origin: false,
        top_origin: None,
    };
    let mut json = [0; 300];
    let len = client_data.write(&mut json).unwrap();
    let hash = RustCrypto.sha256(&[&json[..len]]);
    let parameters = [CredentialParameters::new(algorithm)];
    let formats: Option<Vec<_>> = formats.map(|formats| formats.iter().map(|format| Text::new(format)).collect());
    let request = Request {
        client_data_hash: &hash,
        pub_key_cred_params: List::Slice(&parameters),
        attestation_formats_preference: formats.as_deref().map(List::Slice),
        ..resident(b"u")
    };
    let made = if verified {
        let token = key.token(Two, PIN, MC, Some(RP)).unwrap();
        key.make_with(Two, &token, request).unwrap()
    } else {
        key.make(&request).unwrap()
    };
    let expected = Expected {
        challenge: b"0123456789abcdef",
        origins: &["https://example.org"],
        top_origins: None,
        rp_id: RP,
        user_presence: true,
        user_verification: verified,
        algorithms: &[algorithm],
        allow_credentials: &[],
        user_handle: None,
        policy: Policy::STANDARD,
    };
    let attestation_object =
        AttestationObject { fmt: &made.fmt, att_stmt: RawStatement(&made.att_stmt), auth_data: &made.auth_data };
    look(verify(&RustCrypto, &expected, &RegistrationResponse { client_data_json: &json[..len], attestation_object }));
    made
}

#[test]
fn a_key_attests_with_the_credentials_own_key() {
    for algorithm in [Algorithm::ES256, Algorithm::EDDSA] {
        let made = register(&mut Key::with(OWN), algorithm, None, false, |registration| {
            assert_eq!(registration.unwrap().attestation, Attested::SelfAttestation);
        });
        assert_eq!(made.fmt, "packed");
    }
}

#[test]
fn a_certified_key_attests_with_its_certificate_whatever_the_credentials_algorithm() {
    for algorithm in [Algorithm::ES256, Algorithm::EDDSA] {
        register(&mut Key::with(CERTIFIED), algorithm, None, false, |registration| {
            let registration = registration.unwrap();
            let Attested::Certificates(chain) = registration.attestation else { panic!("no certificate") };
            assert!(chain.iter().eq(virtual_key_certificate().chain.iter().copied()));
            assert_eq!(registration.credential.aaguid, &VIRTUAL_KEY_AAGUID);
            assert_eq!(registration.credential.public_key.algorithm(), algorithm);
        });
    }
}

#[test]
fn a_certificate_of_another_model_does_not_verify() {
    let mut key = Key::with(Config { aaguid: [1; 16], ..CERTIFIED });
    register(&mut key, Algorithm::ES256, None, false, |result| assert_eq!(result.unwrap_err(), Error::Aaguid));
}

#[test]
fn a_key_that_attests_nothing_says_none() {
    let made = register(&mut Key::with(NONE), Algorithm::ES256, Some(&["packed"]), false, |registration| {
        assert_eq!(registration.unwrap().attestation, Attested::None);
    });
    assert_eq!((&made.fmt[..], &made.att_stmt[..]), ("none", &[0xA0][..]));
}

#[test]
fn a_platform_that_wants_only_none_gets_none() {
    for (formats, expected) in [
        (&["none"][..], "none"),
        (&["packed"], "packed"),
        (&["tpm"], "packed"),
        (&["tpm", "packed", "none"], "packed"),
        (&[], "packed"),
    ] {
        for config in [OWN, CERTIFIED] {
            let made = register(&mut Key::with(config), Algorithm::ES256, Some(formats), false, |registration| {
                registration.unwrap();
            });
            assert_eq!(made.fmt, expected, "{formats:?}");
        }
    }
}

#[test]
fn a_verified_registration_says_so_and_carries_nothing_else() {
    let mut key = Key::with(OWN);
    key.set_pin(Two, PIN);
    let made = register(&mut key, Algorithm::ES256, None, true, |registration| {
        registration.unwrap();
    });
    assert_eq!(made.auth_data().flags, Flags(Flags::UP.0 | Flags::UV.0 | Flags::AT.0));
    assert_eq!(made.auth_data.len(), 37 + 16 + 2 + 32 + 77);
}

#[test]
fn the_attestation_key_is_not_printed() {
    let certified: Certified<'_> = virtual_key_certificate();
    assert_eq!(format!("{certified:?}"), "Certified(ES256, 1 certificates)");
}

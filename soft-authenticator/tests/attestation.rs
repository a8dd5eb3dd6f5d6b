//! Attestation, verified by core's relying-party verification.

use keyfob_core::{
    Status,
    attestation::{FidoU2f, RawStatement, Statement},
    auth_data::Flags,
    cbor::{List, Text},
    cose::{Algorithm, CoseKey},
    crypto::{Hash, RustCrypto, Sign, Verify},
    ctap2::{self, Command, CredentialParameters, RpEntity, get_info, make_credential::Request},
    pin_uv::PinUvAuthProtocol::Two,
    verify::{
        AttestationResponse, AttestationType, Error, Expected, RelyingPartyPolicy, VerifiedRegistration,
        registration as verify,
    },
    webauthn::{AttestationObject, ClientData, ClientDataType},
};
use keyfob_soft_authenticator::{
    Caps,
    devices::{VIRTUAL_KEY_AAGUID, virtual_key_certificate},
    engine::{AttestationMode, Certified, Config, Enterprise},
    store::Setting,
};

use super::harness::*;

const OWN: Config<'static> = Config::new([0; 16]);
const NONE: Config<'static> = Config { attestation: AttestationMode::None, ..OWN };
const CERTIFIED: Config<'static> =
    Config { attestation: AttestationMode::Certified(virtual_key_certificate()), ..Config::new(VIRTUAL_KEY_AAGUID) };

/// Registers with client data and verifies the response.
fn register(
    key: &mut Key,
    algorithm: Algorithm,
    formats: Option<&[&str]>,
    verified: bool,
    look: impl FnOnce(Result<VerifiedRegistration<'_>, Error>),
) -> Made {
    let client_data = ClientData {
        kind: ClientDataType::Create,
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
        policy: RelyingPartyPolicy::STANDARD,
    };
    let attestation_object =
        AttestationObject { fmt: &made.fmt, att_stmt: RawStatement(&made.att_stmt), auth_data: &made.auth_data };
    look(verify(&RustCrypto, &expected, &AttestationResponse { client_data_json: &json[..len], attestation_object }));
    made
}

#[test]
fn a_key_attests_with_the_credentials_own_key() {
    for algorithm in ALGORITHMS {
        let made = register(&mut Key::with(OWN), algorithm, None, false, |registration| {
            assert_eq!(registration.unwrap().attestation, AttestationType::SelfAttestation);
        });
        assert_eq!(made.fmt, "packed");
    }
}

#[test]
fn a_certified_key_attests_with_its_certificate_whatever_the_credentials_algorithm() {
    for algorithm in ALGORITHMS {
        register(&mut Key::with(CERTIFIED), algorithm, None, false, |registration| {
            let registration = registration.unwrap();
            let AttestationType::Certificates(chain) = registration.attestation else { panic!("no certificate") };
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
        assert_eq!(registration.unwrap().attestation, AttestationType::None);
    });
    assert_eq!((&made.fmt[..], &made.att_stmt[..]), ("none", &[0xA0][..]));
}

#[test]
fn a_platform_gets_the_first_format_of_its_list_that_there_is_or_the_usual_one() {
    for (formats, expected) in [
        (&["none"][..], "none"),
        (&["packed"], "packed"),
        (&["tpm"], "packed"),
        (&["tpm", "packed", "none"], "packed"),
        (&["none", "packed"], "none"),
        (&["tpm", "none"], "none"),
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

const U2F: Config<'static> = Config { attestation: AttestationMode::FidoU2f(virtual_key_certificate()), ..CERTIFIED };

/// Whether `made` has a U2F statement with the virtual key's certificate.
fn is_u2f(made: &Made) -> bool {
    let Ok(Statement::FidoU2f(FidoU2f { sig, x5c })) = Statement::decode(&made.fmt, Some(RawStatement(&made.att_stmt)))
    else {
        return false;
    };
    assert!(x5c.iter().eq(virtual_key_certificate().chain.iter().copied()));
    let auth_data = made.auth_data();
    let credential = auth_data.attested_credential_data.unwrap();
    assert_eq!(credential.aaguid, &[0; 16], "U2F has no AAGUID");
    let point = credential.public_key.p256_point().unwrap().to_bytes();
    let message = [&[0][..], auth_data.rp_id_hash, &HASH, credential.credential_id, &[4], &point];
    let mut public = [0; 64];
    let Certified { algorithm, secret, .. } = virtual_key_certificate();
    let len = RustCrypto.public_key(algorithm, secret, &mut public).unwrap();
    RustCrypto.verify(&CoseKey::from_raw(algorithm, &public[..len]).unwrap(), &message, sig).unwrap();
    true
}

#[test]
fn a_statement_of_u2f_comes_where_it_is_usual_or_preferred_and_possible() {
    let (es256, eddsa) = (Algorithm::ES256, Algorithm::EDDSA);
    for (config, algorithm, formats, expected) in [
        (U2F, es256, &[][..], "fido-u2f"),
        (U2F, es256, &["packed"], "packed"),
        (U2F, es256, &["none"], "none"),
        (U2F, eddsa, &[], "packed"),
        (U2F, eddsa, &["fido-u2f"], "packed"),
        (U2F, eddsa, &["fido-u2f", "none"], "none"),
        (CERTIFIED, es256, &["fido-u2f"], "fido-u2f"),
        (CERTIFIED, es256, &["tpm", "fido-u2f", "packed"], "fido-u2f"),
        (CERTIFIED, es256, &["packed", "fido-u2f"], "packed"),
        (CERTIFIED, eddsa, &["fido-u2f"], "packed"),
        (OWN, es256, &["fido-u2f"], "packed"),
        (NONE, es256, &["fido-u2f"], "none"),
    ] {
        let parameters = [CredentialParameters::new(algorithm)];
        let formats: Vec<_> = formats.iter().map(|format| Text::new(format)).collect();
        let request = Request {
            pub_key_cred_params: List::Slice(&parameters),
            attestation_formats_preference: Some(List::Slice(&formats)),
            ..registration(b"u")
        };
        let made = Key::with(config).make(&request).unwrap();
        assert_eq!((&made.fmt[..], is_u2f(&made)), (expected, expected == "fido-u2f"), "{formats:?}");
        if expected == "none" {
            assert_eq!(made.att_stmt, [0xA0]);
        }
    }
}

#[test]
fn get_info_names_the_formats_there_are() {
    for (config, expected) in [
        (OWN, Some(&["packed", "none"][..])),
        (CERTIFIED, Some(&["packed", "fido-u2f", "none"])),
        (U2F, Some(&["fido-u2f", "packed", "none"])),
        (NONE, None),
    ] {
        let response = Key::with(config).command(Command::GET_INFO);
        let info: get_info::Response<'_> = ctap2::decode_response(&response).unwrap();
        assert_eq!(info.attestation_formats.is_some(), expected.is_some());
        if let (Some(formats), Some(expected)) = (info.attestation_formats, expected) {
            assert!(formats.iter().eq(expected.iter().copied()));
        }
    }
}

/// A key with enterprise attestation, `enabled` or not.
fn enterprise(enabled: bool) -> Key {
    let enterprise = Enterprise { certified: virtual_key_certificate(), rp_ids: &["work.example", RP] };
    let key = Key::with(Config { enterprise: Some(enterprise), ..Config::new(VIRTUAL_KEY_AAGUID) });
    key.set(Setting::Options, &[u8::from(enabled) << 1, 4])
}

fn asks(value: u32) -> Request<'static> {
    Request { enterprise_attestation: Some(value), ..registration(b"u") }
}

#[test]
fn enterprise_attestation_is_given_to_listed_relying_parties_or_to_the_platforms() {
    let rp = RpEntity { id: "home.example", name: None };
    for (request, given) in [
        (asks(1), true),
        (asks(2), true),
        (Request { rp, ..asks(1) }, false),
        (Request { rp, ..asks(2) }, true),
        (registration(b"u"), false),
    ] {
        let made = enterprise(true).make(&request).unwrap();
        assert_eq!(made.ep_att, given.then_some(true));
        let Ok(Statement::Packed(packed)) = Statement::decode(&made.fmt, Some(RawStatement(&made.att_stmt))) else {
            panic!("not packed");
        };
        assert_eq!(packed.x5c.is_some(), given, "else its ordinary attestation");
    }
    let formats = [Text::new("none")];
    let request = Request { attestation_formats_preference: Some(List::Slice(&formats)), ..asks(2) };
    assert_eq!(enterprise(true).make(&request).unwrap().fmt, "packed", "what is asked for is the certificate");
}

/// 6.1.2 step 9: enterpriseAttestation with any value, not enabled → INVALID_PARAMETER
/// 6.1.2 step 9: enterpriseAttestation neither 1 nor 2 → INVALID_OPTION
#[test]
fn enterprise_attestation_is_refused_where_it_is_not_enabled_and_then_for_its_value() {
    let config = Config::new([0; 16]);
    let without = Config { caps: config.caps.without(Caps::ENTERPRISE_ATTESTATION), ..config };
    for mut key in [Key::new(), Key::with(without), enterprise(false), Key::new().set(Setting::Options, &[2, 4])] {
        for value in 0..4 {
            assert_eq!(key.make(&asks(value)).unwrap_err(), Status::INVALID_PARAMETER);
        }
        assert_eq!(key.touches, 0);
    }
    for value in [0, 3, u32::MAX] {
        let mut key = enterprise(true);
        assert_eq!(key.make(&asks(value)).unwrap_err(), Status::INVALID_OPTION);
        assert_eq!(key.touches, 0);
    }
}

#[test]
fn get_info_says_whether_enterprise_attestation_is_enabled() {
    for (mut key, expected) in [(Key::new(), None), (enterprise(false), Some(false)), (enterprise(true), Some(true))] {
        let response = key.command(Command::GET_INFO);
        assert_eq!(ctap2::decode_response::<get_info::Response<'_>>(&response).unwrap().options.unwrap().ep, expected);
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

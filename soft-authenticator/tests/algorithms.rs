//! Credentials with every algorithm, and the list of algorithms in getInfo.

use keyfob_core::{
    Status,
    attestation::{RawStatement, Statement},
    cbor::List,
    cose::Algorithm,
    ctap2::{
        self, Command, CredentialParameters, credential_management::subcommand::*, get_assertion, get_info,
        make_credential::Request,
    },
    pin_uv::{Permissions, PinUvAuthProtocol::Two},
};
use keyfob_soft_authenticator::{
    Caps,
    devices::{VIRTUAL_KEY_AAGUID, virtual_key_certificate},
    engine::{AttestationMode, Config},
};

use super::{
    credential_management::{read, rp_params},
    harness::*,
};

/// The fully specified algorithms, and the older identifier of each.
const FULLY_SPECIFIED: [(Algorithm, Algorithm); 4] = [
    (Algorithm::ESP256, Algorithm::ES256),
    (Algorithm::ED25519, Algorithm::EDDSA),
    (Algorithm::ESP384, Algorithm::ES384),
    (Algorithm::ESP512, Algorithm::ES512),
];

/// A key that offers these in addition to the others.
fn fully_specified() -> Key {
    let config = Config::new([0; 16]);
    Key::with(Config { caps: config.caps.with(Caps::FULLY_SPECIFIED), ..config })
}

fn offered(key: &mut Key) -> Vec<Algorithm> {
    let response = key.command(Command::GET_INFO);
    let info: get_info::Response<'_> = ctap2::decode_response(&response).unwrap();
    info.algorithms.unwrap().iter().map(|parameters| parameters.algorithm).collect()
}

fn parameters(algorithms: &[Algorithm]) -> Vec<CredentialParameters<'static>> {
    algorithms.iter().map(|algorithm| CredentialParameters::new(*algorithm)).collect()
}

#[test]
fn a_credential_of_every_algorithm_signs_in_stored_and_wrapped() {
    let mut key = Key::new();
    for algorithm in ALGORITHMS {
        let list = parameters(&[algorithm]);
        for request in [resident(b"u"), registration(b"u")] {
            let made = key.make(&Request { pub_key_cred_params: List::Slice(&list), ..request }).unwrap();
            assert_eq!(made.key().algorithm(), algorithm);
            let allowed = [made.descriptor()];
            let allow_list = Some(List::Slice(&allowed[..]));
            let got = key.get(&get_assertion::Request { allow_list, ..assertion() }).unwrap();
            assert!(got.is_by(&made), "{algorithm:?}");
        }
        assert_eq!(key.get(&assertion()).unwrap().user(), b"u", "{algorithm:?}");
    }
}

#[test]
fn credentials_of_several_algorithms_follow_each_other() {
    let mut key = Key::new();
    for (user, algorithm) in [Algorithm::ML_DSA_87, Algorithm::ES512, Algorithm::ES256].iter().enumerate() {
        let list = parameters(&[*algorithm]);
        let user = [user as u8];
        key.make(&Request { pub_key_cred_params: List::Slice(&list), ..resident(&user) }).unwrap();
    }
    let first = key.get(&assertion()).unwrap();
    assert_eq!((first.number, first.user()), (Some(3), &[2][..]));
    assert_eq!(key.get_next().unwrap().user(), [1]);
    let last = key.get_next().unwrap();
    assert_eq!((last.user(), last.signature.len()), (&[0][..], 4627));
}

#[test]
fn the_first_algorithm_of_the_request_that_is_offered_is_taken() {
    let config = Config::new([0; 16]);
    let mut key = Key::with(Config { caps: config.caps.without(Caps::ES384), ..config });
    for (wanted, expected) in [
        (&[Algorithm::RS256, Algorithm::ES384, Algorithm::ES512, Algorithm::ES256][..], Some(Algorithm::ES512)),
        (&[Algorithm::ML_DSA_44, Algorithm::ES256], Some(Algorithm::ML_DSA_44)),
        (&[Algorithm::ES256, Algorithm::ML_DSA_44], Some(Algorithm::ES256)),
        (&[Algorithm::ES384, Algorithm::RS256, Algorithm::PS256, Algorithm::ESP256], None),
    ] {
        let list = parameters(wanted);
        let made = key.make(&Request { pub_key_cred_params: List::Slice(&list), ..registration(b"u") });
        match expected {
            Some(algorithm) => assert_eq!(made.unwrap().key().algorithm(), algorithm),
            None => assert_eq!(made.unwrap_err(), Status::UNSUPPORTED_ALGORITHM),
        }
    }
}

#[test]
fn each_algorithm_is_switched_off_on_its_own() {
    for (algorithm, caps) in [
        (Algorithm::EDDSA, Caps::EDDSA),
        (Algorithm::ES384, Caps::ES384),
        (Algorithm::ES512, Caps::ES512),
        (Algorithm::ES256K, Caps::ES256K),
        (Algorithm::ML_DSA_44, Caps::ML_DSA_44),
        (Algorithm::ML_DSA_65, Caps::ML_DSA_65),
        (Algorithm::ML_DSA_87, Caps::ML_DSA_87),
    ] {
        let config = Config::new([0; 16]);
        let mut key = Key::with(Config { caps: config.caps.without(caps), ..config });
        let expected: Vec<_> = ALGORITHMS.into_iter().filter(|other| *other != algorithm).collect();
        assert_eq!(offered(&mut key), expected);
    }
}

#[test]
fn an_algorithm_is_offered_only_where_its_registrations_fit_in_a_message() {
    for (algorithm, smallest) in
        [(Algorithm::ML_DSA_44, 4117), (Algorithm::ML_DSA_65, 5646), (Algorithm::ML_DSA_87, 7604)]
    {
        let list = parameters(&[algorithm]);
        let request = Request { pub_key_cred_params: List::Slice(&list), ..registration(b"u") };
        let with = |max_msg_size| Key::with(Config { max_msg_size, ..Config::new([0; 16]) });
        assert!(offered(&mut with(smallest)).contains(&algorithm));
        assert_eq!(with(smallest).make(&request).unwrap().key().algorithm(), algorithm);
        assert!(!offered(&mut with(smallest - 1)).contains(&algorithm));
        assert_eq!(with(smallest - 1).make(&request).unwrap_err(), Status::UNSUPPORTED_ALGORITHM);
    }
}

#[test]
fn fully_specified_algorithms_are_offered_only_where_they_are_configured() {
    let mut usual = Key::new();
    for (algorithm, _) in FULLY_SPECIFIED {
        assert!(!offered(&mut usual).contains(&algorithm));
        let list = parameters(&[algorithm]);
        let made = usual.make(&Request { pub_key_cred_params: List::Slice(&list), ..registration(b"u") });
        assert_eq!(made.unwrap_err(), Status::UNSUPPORTED_ALGORITHM);
    }
    let expected: Vec<_> = ALGORITHMS.into_iter().chain(FULLY_SPECIFIED.map(|(algorithm, _)| algorithm)).collect();
    assert_eq!(offered(&mut fully_specified()), expected);
}

#[test]
fn a_credential_keeps_the_identifier_that_was_asked_for_wherever_it_is_read() {
    for (newer, older) in FULLY_SPECIFIED {
        for algorithm in [newer, older] {
            let mut key = fully_specified();
            let list = parameters(&[algorithm, if algorithm == newer { older } else { newer }]);
            let requests = [resident(b"u"), registration(b"u")];
            let made = requests.map(|request| {
                let made = key.make(&Request { pub_key_cred_params: List::Slice(&list), ..request }).unwrap();
                assert_eq!(made.key().algorithm(), algorithm);
                let statement = Statement::decode(&made.fmt, Some(RawStatement(&made.att_stmt))).unwrap();
                assert!(matches!(statement, Statement::Packed(packed) if packed.alg == algorithm));
                made
            });
            let mut key = key.power_cut();
            for made in &made {
                let allowed = [made.descriptor()];
                assert!(key.get(&listed(assertion(), &allowed)).unwrap().is_by(made), "{algorithm:?}");
            }
            assert_eq!(key.set_pin(Two, PIN), Status::OK);
            let token = key.unbound(Permissions::CM);
            let response = key.manage(&token, ENUMERATE_CREDENTIALS_BEGIN, Some(&rp_params(RP)));
            assert_eq!(read(&response).public_key, Some(made[0].key()));
        }
    }
}

#[test]
fn a_key_handle_of_a_fully_specified_algorithm_is_attested_as_packed_and_unknown_to_u2f() {
    let config = Config::new(VIRTUAL_KEY_AAGUID);
    let attestation = AttestationMode::FidoU2f(virtual_key_certificate());
    let mut key = Key::with(Config { caps: config.caps.with(Caps::ESP256), attestation, ..config });
    let list = parameters(&[Algorithm::ESP256]);
    let made = key.make(&Request { pub_key_cred_params: List::Slice(&list), ..registration(b"u") }).unwrap();
    assert_eq!(made.fmt, "packed");
    let request = super::u2f::authentication(keyfob_core::ctap1::Control::CHECK_ONLY, &rp_id_hash(RP), made.id());
    assert_eq!(key.call_u2f(&request), [0x6A, 0x80]);
}

#[test]
fn an_algorithm_outside_32_bits_is_passed_over() {
    let list = parameters(&[Algorithm(-65_535), Algorithm::ES256]);
    let request =
        message(Command::MAKE_CREDENTIAL, &Request { pub_key_cred_params: List::Slice(&list), ..registration(b"u") });
    let at = request.windows(3).position(|window| window == b"\x39\xff\xfe").unwrap();
    for too_large in [&b"\x3a\x80\x00\x00\x00"[..], b"\x1b\xff\xff\xff\xff\xff\xff\xff\xff"] {
        let request = [&request[..at], too_large, &request[at + 3..]].concat();
        let mut key = Key::new();
        assert_eq!(key.status(&request), Status::OK);
        // It is also used if the list has no other.
        let last = request.iter().rposition(|byte| *byte == 0x26).unwrap();
        let request = [&request[..last], too_large, &request[last + 1..]].concat();
        assert_eq!(key.status(&request), Status::UNSUPPORTED_ALGORITHM);
    }
}

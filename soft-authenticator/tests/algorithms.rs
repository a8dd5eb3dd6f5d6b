//! Credentials of every algorithm, and which of them are offered.

use keyfob_core::{
    Status,
    cbor::List,
    cose::Algorithm,
    ctap2::{self, Command, CredentialParameters, get_assertion, get_info, make_credential::Request},
};
use keyfob_soft_authenticator::{Caps, engine::Config};

use super::harness::*;

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

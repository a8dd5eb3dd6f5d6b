//! Algorithm identifiers of any size, and keys that are none of this version's.

use super::*;
use crate::{
    cbor::{self, List},
    ctap2::{CredentialParameters, get_info, make_credential},
    vectors::hex,
};

/// Integers that do not fit in 32 bits, or not even in 64.
const TOO_LARGE: [&str; 6] = [
    "1a80000000",
    "3a80000000",
    "1b0000000100000000",
    "3afffffff8",
    "1bffffffffffffffff",
    "3bffffffffffffffff",
];

#[test]
fn an_identifier_outside_32_bits_is_read_as_the_reserved_one() {
    for bytes in TOO_LARGE {
        assert_eq!(cbor::decode::<Algorithm>(&hex(bytes)), Ok(Algorithm::RESERVED), "{bytes}");
    }
    for identifier in [i32::MIN, -7, i32::MAX] {
        let mut buffer = [0; 9];
        let length = cbor::encode(&Algorithm(identifier), &mut buffer).unwrap();
        assert_eq!(cbor::decode::<Algorithm>(&buffer[..length]), Ok(Algorithm(identifier)));
    }
    assert_eq!(cbor::decode::<Algorithm>(b"\x40").unwrap_err().kind(), ErrorKind::UnexpectedType);
    assert_eq!(cbor::decode::<Algorithm>(b"\x38\x06").unwrap_err().kind(), ErrorKind::NotShortest);
}

#[test]
fn an_identifier_outside_32_bits_does_not_hide_the_algorithms_beside_it() {
    let read = |list: List<'_, CredentialParameters<'_>>| list.iter().map(|one| one.algorithm).collect::<Vec<_>>();
    for too_large in TOO_LARGE {
        let entry = |alg: &str| format!("a263616c67{alg}64747970656a7075626c69632d6b6579");
        let list = format!("83{}{}{}", entry("26"), entry(too_large), entry("27"));
        let expected = [Algorithm::ES256, Algorithm::RESERVED, Algorithm::EDDSA];
        let info = hex(&format!("a30181684649444f5f325f310350{}0a{list}", "00".repeat(16)));
        let info: get_info::Response<'_> = cbor::decode_tolerant(&info).unwrap();
        assert_eq!(read(info.algorithms.unwrap()), expected, "{too_large}");
        let (hash, rp, user) = ("00".repeat(32), "a16269646161", "a16269644161");
        let request = hex(&format!("a4015820{hash}02{rp}03{user}04{list}"));
        let request: make_credential::Request<'_> = cbor::decode(&request).unwrap();
        assert_eq!(read(request.pub_key_cred_params), expected, "{too_large}");
    }
}

#[test]
fn a_key_whose_algorithm_is_outside_32_bits_is_passed_on_and_no_more() {
    for too_large in TOO_LARGE {
        let bytes = hex(&format!("a5010203{too_large}200121420102224103"));
        let key = cbor::decode::<CoseKey<'_>>(&bytes).unwrap();
        assert_eq!(key, CoseKey::Other { algorithm: Algorithm::RESERVED, kty: 2, raw: RawMap(&bytes) });
        let mut written = [0; 32];
        let length = cbor::encode(&key, &mut written).unwrap();
        assert_eq!(written[..length], bytes);
    }
}

#[test]
fn a_compressed_point_is_no_key() {
    for (algorithm, curve) in [("26", "01"), ("28", "01"), ("3832", "02"), ("3833", "03")] {
        for sign in ["f4", "f5"] {
            let bytes = hex(&format!("a5010203{algorithm}20{curve}2141ff22{sign}"));
            for read in [cbor::decode::<CoseKey<'_>>, cbor::decode_tolerant] {
                assert_eq!(read(&bytes).unwrap_err().kind(), ErrorKind::UnexpectedType);
            }
        }
    }
}

#[test]
fn every_name_is_the_name_of_one_algorithm() {
    for identifier in -70_000..=0 {
        if let Some(name) = Algorithm(identifier).name() {
            assert_eq!(Algorithm::from_name(name), Some(Algorithm(identifier)));
            assert_eq!(Algorithm::from_name(&name.to_lowercase()), Some(Algorithm(identifier)));
        }
    }
    let names = [Algorithm::ESP256, Algorithm::ED25519, Algorithm::ESP384, Algorithm::ESP512, Algorithm::ED448];
    assert_eq!(names.map(|known| known.name().unwrap()), ["ESP256", "Ed25519", "ESP384", "ESP512", "Ed448"]);
    assert_eq!((Algorithm::from_name("ES257"), Algorithm::RESERVED.name()), (None, None));
}

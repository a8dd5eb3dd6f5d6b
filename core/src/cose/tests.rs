//! Algorithm identifiers of any size, and keys that are none of this version's.

use super::*;
use crate::{
    cbor::{self, List},
    ctap2::{CredentialParameters, get_info, make_credential},
    vectors::hex,
};

/// Integers that do not fit in 32 bits, or not even in 64.
const TOO_LARGE: [&str; 6] =
    ["1a80000000", "3a80000000", "1b0000000100000000", "3afffffff8", "1bffffffffffffffff", "3bffffffffffffffff"];

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

/// A key of each type, members in canonical order, and the labels that make it a private one.
const KEYS: [(&str, &[&str]); 5] = [
    ("0102 0326 2001 214102 224103", &["23"]),
    ("0101 0327 2006 214102", &["23"]),
    ("0103 03390100 204107 2143010001", &["22", "23", "24", "25", "26", "27", "28", "29", "2a", "2b"]),
    ("0107 03382f 204107", &["21"]),
    ("0104 0305", &["20"]),
];

fn map(members: &[&str]) -> Vec<u8> {
    hex(&format!("{:02x}{}", 0xa0 + members.len(), members.concat()))
}

#[test]
fn a_key_with_a_member_twice_is_refused() {
    for (members, _) in &KEYS[..4] {
        let members: Vec<_> = members.split(' ').collect();
        assert!(cbor::decode_tolerant::<CoseKey<'_>>(&map(&members)).is_ok());
        let reversed: Vec<_> = members.iter().rev().copied().collect();
        assert!(cbor::decode_tolerant::<CoseKey<'_>>(&map(&reversed)).is_ok());
        for at in 0..members.len() {
            for order in [&members, &reversed] {
                let mut twice = order.clone();
                twice.push(members[at]);
                let bytes = map(&twice);
                for read in [cbor::decode::<CoseKey<'_>>, cbor::decode_tolerant] {
                    assert_eq!(read(&bytes).unwrap_err().kind(), ErrorKind::KeyOrder, "{twice:?}");
                }
            }
        }
        // The same label with a longer head, and a label that this version does not know.
        for more in [["180205", "0205"], ["1802f4", "02f4"], ["6161f4", "780161f4"]] {
            let mut twice = members.clone();
            twice.extend(more);
            let error = cbor::decode_tolerant::<CoseKey<'_>>(&map(&twice)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::KeyOrder, "{twice:?}");
        }
    }
}

#[test]
fn a_key_with_a_private_member_is_no_public_key() {
    for (members, private) in KEYS {
        let members: Vec<_> = members.split(' ').collect();
        for label in private {
            let secret = format!("{label}4101");
            let mut first = vec![secret.as_str()];
            first.extend(&members);
            let mut last = members.clone();
            last.push(&secret);
            let bytes = map(&last);
            for read in [cbor::decode::<CoseKey<'_>>, cbor::decode_tolerant] {
                assert_eq!(read(&bytes).unwrap_err().kind(), ErrorKind::PrivateKey, "{last:?}");
            }
            let error = cbor::decode_tolerant::<CoseKey<'_>>(&map(&first)).unwrap_err();
            assert!([ErrorKind::PrivateKey, ErrorKind::UnexpectedType].contains(&error.kind()), "{first:?}");
        }
    }
    assert_eq!(Error::new(ErrorKind::PrivateKey, 0).status(), crate::Status::INVALID_PARAMETER);
}

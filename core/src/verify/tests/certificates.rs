//! Packed attestation with a certificate (WebAuthn L3 §8.2). These tests do not check the signature on the certificate,
//! so a changed certificate reaches the check that its change concerns.

use proptest::prelude::*;

use super::{super::certificate::Certificate, *};
use crate::attestation::{Packed, RawStatement, Statement};

const HASH: [u8; 32] = [5; 32];

/// The registration of the security key: the first certificate and authenticator data.
fn security_key() -> (Vec<u8>, Vec<u8>) {
    let response = hex(X5C_RESPONSE);
    let response: make_credential::Response<'_> = cbor::decode(&response).unwrap();
    match Statement::decode(response.fmt, response.att_stmt).unwrap() {
        Statement::Packed(Packed { x5c: Some(x5c), .. }) => {
            (x5c.iter().next().unwrap().to_vec(), response.auth_data.to_vec())
        }
        other => panic!("{other:?}"),
    }
}

fn leaf() -> Vec<u8> {
    security_key().0
}

fn replace(bytes: &mut [u8], from: &[u8], to: &[u8]) {
    assert_eq!(from.len(), to.len());
    let at = bytes.windows(from.len()).rposition(|window| window == from).unwrap();
    bytes[at..at + from.len()].copy_from_slice(to);
}

fn verify(certificates: &[&[u8]], algorithm: Algorithm, signature: &[u8]) -> Result<usize, Error> {
    let (_, auth_data) = security_key();
    let parsed = AuthData::decode(&auth_data).unwrap();
    let statement = Packed { alg: algorithm, sig: signature, x5c: Some(certificates.into()) };
    let mut buffer = [0; 2048];
    let length = cbor::encode(&statement, &mut buffer).unwrap();
    let statement = RawStatement(&buffer[..length]);
    let credential = parsed.attested_credential_data.unwrap();
    match attestation(&RustCrypto, "packed", statement, &auth_data, &credential, &HASH)? {
        AttestationType::Certificates(x5c) => Ok(x5c.len()),
        other => panic!("{other:?}"),
    }
}

/// The security key's certificate with our key in it.
pub fn leaf_of_our_key() -> Vec<u8> {
    let mut leaf = leaf();
    let theirs = hex(concat!(
        "fb2cdd304328c5724a50cce6f60bad7d27a91b59e1e66f297b89c9d43dc2b2c7",
        "7889b4f0ff9d0228cb946dfce01b19589b67804aac977f28189ccdb32574ca28"
    ));
    replace(&mut leaf, &theirs, &public());
    leaf
}

/// Verifies a statement signed by our key, with `from` replaced by `to` in the certificate.
fn verify_with(from: &[u8], to: &[u8]) -> Result<usize, Error> {
    let mut leaf = leaf_of_our_key();
    replace(&mut leaf, from, to);
    verify(&[&leaf], Algorithm::ES256, &sign(&[&security_key().1, &HASH]))
}

#[test]
fn a_signature_with_the_key_of_the_first_certificate_is_verified() {
    let signature = sign(&[&security_key().1, &HASH]);
    let (ours, theirs) = (leaf_of_our_key(), leaf());
    assert_eq!(verify(&[&ours], Algorithm::ES256, &signature), Ok(1));
    assert_eq!(verify(&[&ours, &theirs], Algorithm::ES256, &signature), Ok(2));
    assert_eq!(verify(&[&theirs, &ours], Algorithm::ES256, &signature), Err(Error::Signature));
    assert_eq!(verify(&[], Algorithm::ES256, &signature), Err(Error::Certificate));
}

#[test]
fn a_security_keys_certificate_is_one_for_attestation_of_its_model() {
    let (leaf, auth_data) = security_key();
    let certificate = Certificate::parse(&leaf).unwrap();
    let aaguid = AuthData::decode(&auth_data).unwrap().attested_credential_data.unwrap().aaguid;
    assert!(certificate.is_packed_attestation());
    assert!(certificate.attests(aaguid));
    assert!(!certificate.attests(&[0; 16]));
}

#[test]
fn a_security_keys_signature_over_another_hash_is_refused() {
    let response = hex(X5C_RESPONSE);
    let response: make_credential::Response<'_> = cbor::decode(&response).unwrap();
    let credential = AuthData::decode(response.auth_data).unwrap().attested_credential_data.unwrap();
    let statement = response.att_stmt.unwrap();
    let verified = attestation(&RustCrypto, response.fmt, statement, response.auth_data, &credential, &HASH);
    assert_eq!(verified, Err(Error::Signature));
}

#[test]
fn a_certificate_of_another_model_is_refused() {
    let wrapped = |last| {
        let extension = hex("060b2b0601040182e51c01010404120410f8a011f38c0a4d15800617111f9edc");
        [&extension[..], &[last]].concat()
    };
    assert_eq!(verify_with(&wrapped(0x7D), &wrapped(0x7D)), Ok(1));
    assert_eq!(verify_with(&wrapped(0x7D), &wrapped(0x7C)), Err(Error::Aaguid));
    assert_eq!(verify_with(b"\x04\x12\x04\x10", b"\x04\x12\x05\x10"), Err(Error::Aaguid)); // no octet string
}

#[test]
fn a_certificate_whose_model_is_critical_is_refused() {
    let three_extensions = hex(concat!(
        "302206092b0601040182c40a020415312e332e362e312e342e312e34313438322e312e36",
        "3013060b2b0601040182e51c020101040403020430",
        "3021060b2b0601040182e51c01010404120410f8a011f38c0a4d15800617111f9edc7d"
    ));
    let two_of_their_length = |critical: &str| {
        let filler = "00".repeat(45);
        let model = format!("3024060b2b0601040182e51c010104{critical}04120410f8a011f38c0a4d15800617111f9edc7d");
        hex(&format!("30340603551d0e042d{filler}{model}"))
    };
    assert_eq!(verify_with(&three_extensions, &two_of_their_length("010100")), Ok(1));
    assert_eq!(verify_with(&three_extensions, &two_of_their_length("0101ff")), Err(Error::Aaguid));
}

#[test]
fn a_certificate_that_is_not_for_attestation_is_refused() {
    for (from, to) in [
        (&b"\xa0\x03\x02\x01\x02"[..], &b"\xa0\x03\x02\x01\x01"[..]), // version 2
        (b"\x13\x02SE", b"\x13\x00SE"),                               // no country
        (b"Authenticator Attestation", b"Authenticator attestation"), // another unit
        (b"\x55\x04\x0a\x0c\x09Yubico AB", b"\x55\x04\x0c\x0c\x09Yubico AB"), // no organisation
        (b"\x06\x03\x55\x04\x03\x0c\x1f", b"\x06\x03\x55\x04\x0c\x0c\x1f"), // no common name
        (b"\x55\x1d\x13", b"\x55\x1d\x12"),                           // no basic constraints
    ] {
        assert_eq!(verify_with(from, to), Err(Error::Certificate), "{to:02x?}");
    }
}

#[test]
fn a_certification_authority_is_refused() {
    // Without its criticality the extension has room for the flag cA: first false, then true.
    let critical = hex("300c0603551d130101ff04023000");
    assert_eq!(verify_with(&critical, &hex("300c0603551d1304053003010100")), Ok(1));
    assert_eq!(verify_with(&critical, &hex("300c0603551d13040530030101ff")), Err(Error::Certificate));
}

#[test]
fn a_certificates_key_serves_only_its_own_algorithm() {
    let der = leaf();
    let certificate = Certificate::parse(&der).unwrap();
    for algorithm in [Algorithm::ES256, Algorithm::ESP256] {
        assert_eq!(certificate.public_key(algorithm).map(|key| key.algorithm()), Some(algorithm));
    }
    for algorithm in [
        Algorithm::EDDSA,
        Algorithm::ES384,
        Algorithm::ESP384,
        Algorithm::ED448,
        Algorithm::ES256K,
        Algorithm::RS256,
        Algorithm::ML_DSA_44,
    ] {
        assert_eq!(certificate.public_key(algorithm), None, "{algorithm:?}");
    }
    assert_eq!(verify(&[&der], Algorithm::EDDSA, &[0; 64]), Err(Error::CertificateKey));
    assert_eq!(verify_with(b"\x03\x42\x00\x04", b"\x03\x42\x00\x02"), Err(Error::CertificateKey)); // compressed
}

#[test]
fn a_certificate_cut_anywhere_is_refused() {
    let der = leaf();
    for end in 0..der.len() {
        assert!(Certificate::parse(&der[..end]).is_none(), "{end}");
    }
    assert!(Certificate::parse(&[&der[..], &[0]].concat()).is_none());
}

proptest! {
    #[test]
    fn a_mangled_certificate_never_panics(changes in prop::collection::vec((0usize..700, any::<u8>()), 1..4)) {
        let mut der = leaf();
        for (at, byte) in changes {
            let at = at % der.len();
            der[at] = byte;
        }
        if let Some(certificate) = Certificate::parse(&der) {
            let _ = (certificate.public_key(Algorithm::ES256), certificate.is_packed_attestation());
            let _ = certificate.attests(&[0; 16]);
        }
    }
}

//! Keys that are made, and their signatures.

use keyfob_core::{
    attestation::{Packed, RawStatement, Statement},
    auth_data::{AuthData, Flags},
    cbor::{self, List as CborList, RawMap},
    client::{Attestation, MakeCredential, MakeOptions},
    cose::{Algorithm, CoseKey},
    crypto::{Hash, RustCrypto, Verify, der},
    ctap2::{CredentialParameters, RpEntity, UserEntity, encode_response, make_credential::Response},
};

use super::*;
use crate::{
    abi::*,
    enroll::{Enrolled, enrolled},
    failure::Failure,
    key::Key,
    place::Place,
};

/// What is signed: the authenticator data, which have nothing but what OpenSSH knows, and the hash of the message.
fn signed(signature: &Signature, message: &[u8]) -> Vec<u8> {
    let application = RustCrypto.sha256(&[APPLICATION.to_bytes()]);
    let hash = RustCrypto.sha256(&[message]);
    [&application[..], &[signature.flags], &signature.counter.to_be_bytes(), &hash].concat()
}

/// The key, and its signature in the form of CTAP.
fn in_ctap<'a>(key: &'a Made, signature: &Signature) -> (CoseKey<'a>, Vec<u8>) {
    if key.public_key.len() == 32 {
        return (CoseKey::from_raw(Algorithm::EDDSA, &key.public_key).unwrap(), signature.r.clone());
    }
    let (form, coordinates) = key.public_key.split_first().unwrap();
    assert_eq!(*form, 4);
    let mut der = [0; 72];
    let len = der::write(&signature.r, &signature.s, &mut der).unwrap();
    (CoseKey::from_raw(Algorithm::ES256, coordinates).unwrap(), der[..len].to_vec())
}

fn verifies(key: &Made, signature: &Signature, message: &[u8]) -> bool {
    let (key, bytes) = in_ctap(key, signature);
    RustCrypto.verify(&key, &[&signed(signature, message)], &bytes).is_ok()
}

#[test]
fn a_key_of_each_type_signs_what_its_public_key_verifies() {
    for (algorithm, length) in [(ECDSA, 65), (ED25519, 32)] {
        let file = File::new();
        let key = enroll(&file.options(), algorithm, USER_PRESENCE, None).unwrap();
        assert_eq!((key.public_key.len(), key.flags), (length, USER_PRESENCE));
        let mut counters = Vec::new();
        for message in [&b"one"[..], &[7; 100_000]] {
            let signature = sign(&file.options(), &key, algorithm, message, None).unwrap();
            assert!(verifies(&key, &signature, message) && !verifies(&key, &signature, b"another"));
            assert_eq!(signature.flags, Flags::UP.0);
            counters.push(signature.counter);
        }
        assert!(counters.is_sorted(), "{counters:?}");
        // It was not resident.
        assert_eq!(load(&file.options(), None), Ok(vec![]));
    }
}

#[test]
fn a_key_that_needs_no_touch_signs_without_and_says_so() {
    let file = File::new();
    let key = enroll(&file.options(), ED25519, 0, None).unwrap();
    let signature = sign(&file.options(), &key, ED25519, b"message", None).unwrap();
    assert_eq!((key.flags, signature.flags), (0, 0));
    assert!(verifies(&key, &signature, b"message"));
}

#[test]
fn a_key_is_attested_by_the_certificate_of_the_virtual_key() {
    for algorithm in [ECDSA, ED25519] {
        let file = File::new();
        let made = enroll(&file.options(), algorithm, USER_PRESENCE, None).unwrap();
        // The authenticator data are a byte string of CBOR.
        let bytes: &[u8] = cbor::decode(&made.auth_data).unwrap();
        let auth_data = AuthData::decode(bytes).unwrap();
        assert_eq!(*auth_data.rp_id_hash, RustCrypto.sha256(&[APPLICATION.to_bytes()]));
        let credential = auth_data.attested_credential_data.unwrap();
        assert_eq!(credential.credential_id, made.key_handle);
        let chain = [&made.certificate[..]];
        let statement = Packed { alg: Algorithm::ES256, sig: &made.signature, x5c: Some(CborList::Slice(&chain)) };
        let mut encoded = [0; 2048];
        let len = cbor::encode(&statement, &mut encoded).unwrap();
        let RawMap(raw) = cbor::decode(&encoded[..len]).unwrap();
        let statement = keyfob_core::attestation::RawStatement(raw);
        let verify = |challenge: &[u8]| {
            let hash = RustCrypto.sha256(&[challenge]);
            keyfob_core::verify::attestation(&RustCrypto, "packed", statement, bytes, &credential, &hash).map(|_| ())
        };
        assert_eq!(verify(CHALLENGE), Ok(()));
        assert!(verify(b"another challenge").is_err());
    }
}

#[test]
fn what_is_not_there_is_unsupported_and_a_key_of_another_authenticator_is_not_found() {
    let (file, other) = (File::new(), File::new());
    assert_eq!(enroll(&file.options(), 2, USER_PRESENCE, None), Err(ERR_UNSUPPORTED));
    assert_eq!(enroll(&file.options(), ECDSA, 0x40, None), Err(ERR_UNSUPPORTED), "an unknown flag");
    let key = enroll(&file.options(), ECDSA, USER_PRESENCE, None).unwrap();
    assert_eq!(sign(&file.options(), &key, 2, b"message", None), Err(ERR_UNSUPPORTED));
    assert_eq!(sign(&file.options(), &key, ED25519, b"message", None), Err(ERR_GENERAL), "it is of the other type");
    enroll(&other.options(), ECDSA, USER_PRESENCE, None).unwrap();
    assert_eq!(sign(&other.options(), &key, ECDSA, b"message", None), Err(ERR_DEVICE_NOT_FOUND));
}

/// What a virtual key answers to a registration.
fn registered(file: &File) -> Vec<u8> {
    let (rp, user) = (RpEntity { id: "ssh:", name: None }, UserEntity { id: b"user", name: None, display_name: None });
    let (hash, algorithms) = (RustCrypto.sha256(&[CHALLENGE]), [CredentialParameters::new(Algorithm::ES256)]);
    let options = MakeOptions::new(&hash, rp, user, &algorithms);
    let mut answer = vec![0; 4096];
    let len = Place::Store(file.path()).with(true, |port| {
        let mut buffer = vec![0; 4096];
        let made = Key::new(port, None)?.run(MakeCredential::new(&options), &mut buffer, |_| ())?;
        Ok(encode_response(&made.response, &mut answer).unwrap())
    });
    answer.truncate(len.unwrap());
    answer
}

/// Reads an answer to a registration.
fn read(answer: &[u8]) -> Result<Enrolled, Failure> {
    enrolled(&Attestation::read(answer).unwrap(), USER_PRESENCE, &RustCrypto.sha256(&[CHALLENGE]))
}

/// The same answer with another attestation statement.
fn attested(answer: &[u8], alg: Algorithm, x5c: Option<&[&[u8]]>) -> Result<Enrolled, Failure> {
    let made = Attestation::read(answer).unwrap();
    let Statement::Packed(packed) = made.statement else { panic!("{:?}", made.statement) };
    let (mut statement, mut changed) = (vec![0; 4096], vec![0; 8192]);
    let packed = Packed { alg, sig: packed.sig, x5c: x5c.map(CborList::Slice) };
    let len = cbor::encode(&packed, &mut statement).unwrap();
    let RawMap(raw) = cbor::decode(&statement[..len]).unwrap();
    let response = Response { att_stmt: Some(RawStatement(raw)), ..made.response };
    let len = encode_response(&response, &mut changed).unwrap();
    read(&changed[..len])
}

#[test]
fn a_key_is_refused_if_its_attestation_fails_by_more_than_a_certificate() {
    let answer = registered(&File::new());
    let certificate = read(&answer).unwrap().certificate;
    assert!(attested(&answer, Algorithm::ES256, Some(&[&certificate])).is_ok());
    // What cannot be read is passed on.
    assert_eq!(attested(&answer, Algorithm::ES256, Some(&[b"a letter"])).unwrap().certificate, b"a letter");
    assert!(attested(&answer, Algorithm::RS256, Some(&[&certificate])).is_ok(), "of another type than its key");
    let refused = |alg, x5c| attested(&answer, alg, x5c).err().unwrap();
    assert_eq!(refused(Algorithm::ES256, Some(&[])).code, ERR_GENERAL, "no certificate");
    // The credential's own key has not signed.
    for alg in [Algorithm::ES256, Algorithm::EDDSA, Algorithm::RS256] {
        let failure = refused(alg, None);
        assert_eq!(failure.code, ERR_GENERAL, "{alg:?}");
        assert!(failure.why.unwrap().starts_with("the key's answer cannot be used: "));
    }
}

#[test]
fn a_key_whose_attestation_has_a_wrong_signature_is_refused() {
    let mut answer = registered(&File::new());
    let signature = read(&answer).unwrap().signature;
    // A byte of s.
    let at = answer.windows(signature.len()).position(|part| part == signature).unwrap() + signature.len() - 1;
    answer[at] ^= 1;
    let failure = read(&answer).err().unwrap();
    assert_eq!(failure.code, ERR_GENERAL);
    assert!(failure.why.unwrap().starts_with("the key's answer cannot be used: "));
}

mod certificates;
mod checks;
mod vectors;
mod w3c;

use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

use self::vectors::*;
use super::*;
use crate::{
    auth_data::AttestedCredentialData,
    cbor,
    crypto::{RustCrypto, Sign},
    ctap2::make_credential,
    webauthn::{AttestationObject, ClientData},
};

const SECRET: [u8; 32] = [7; 32];

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// The expectations for the vectors of WebAuthn L3 §16, for any flags.
fn expected(challenge: &[u8]) -> Expected<'_> {
    Expected {
        challenge,
        origins: &["https://www.example.org", "https://example.org"],
        top_origins: None,
        rp_id: "example.org",
        user_presence: true,
        user_verification: false,
        algorithms: &[Algorithm::EDDSA, Algorithm::ES256],
        allow_credentials: &[],
        user_handle: Some(b"user"),
        policy: RelyingPartyPolicy::STANDARD,
    }
}

fn stored<'a>(credential: &AttestedCredentialData<'a>) -> StoredCredential<'a> {
    StoredCredential {
        id: credential.credential_id,
        public_key: credential.public_key,
        sign_count: 0,
        user_handle: b"user",
        backup_eligible: None,
    }
}

/// An ES256 signature by the key [`SECRET`].
fn sign(message: &[&[u8]]) -> Vec<u8> {
    let mut signature = vec![0; 72];
    let length = RustCrypto.sign(Algorithm::ES256, &SECRET, message, &mut signature).unwrap();
    signature.truncate(length);
    signature
}

/// The public key of [`SECRET`], `x‖y`.
fn public() -> Vec<u8> {
    let mut public = vec![0; 64];
    RustCrypto.public_key(Algorithm::ES256, &SECRET, &mut public).unwrap();
    public
}

/// Every message that differs from `message` in one bit.
fn flipped(message: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (0..message.len() * 8).map(|bit| {
        let mut message = message.to_vec();
        message[bit / 8] ^= 1 << (bit % 8);
        message
    })
}

#[test]
fn a_self_attested_registration_and_its_assertion_are_verified() {
    let object = hex(SELF_ATTESTATION_OBJECT);
    let response = AttestationResponse {
        client_data_json: SELF_CLIENT_DATA.as_bytes(),
        attestation_object: AttestationObject::decode(&object).unwrap(),
    };
    let registration = registration(&RustCrypto, &expected(&hex(SELF_CHALLENGE)), &response).unwrap();
    assert_eq!(registration.attestation, AttestationType::SelfAttestation);
    assert_eq!(registration.credential.credential_id.len(), 32);
    assert!(registration.auth_data.flags.has(Flags::BE));

    let auth_data = hex(SELF_GET_AUTH_DATA);
    let response = AssertionResponse {
        credential_id: registration.credential.credential_id,
        client_data_json: SELF_GET_CLIENT_DATA.as_bytes(),
        authenticator_data: &auth_data,
        signature: &hex(SELF_GET_SIGNATURE),
        user_handle: None,
    };
    let challenge = hex(SELF_GET_CHALLENGE);
    let assertion =
        assertion(&RustCrypto, &expected(&challenge), &stored(&registration.credential), &response).unwrap();
    assert!(assertion.auth_data.flags.has(Flags::UP) && !assertion.auth_data.flags.has(Flags::UV));
}

#[test]
fn an_authenticators_response_is_verified_as_the_attestation_object_is() {
    let (object, response) = (hex(SELF_ATTESTATION_OBJECT), hex(SELF_RESPONSE));
    let response: make_credential::Response<'_> = cbor::decode(&response).unwrap();
    let response =
        AttestationObject { fmt: response.fmt, att_stmt: response.att_stmt.unwrap(), auth_data: response.auth_data };
    assert_eq!(AttestationObject::decode(&object), Ok(response));
}

#[test]
fn a_registration_with_any_bit_flipped_is_refused() {
    let (object, challenge) = (hex(SELF_ATTESTATION_OBJECT), hex(SELF_CHALLENGE));
    let attestation_object = AttestationObject::decode(&object).unwrap();
    let valid = AttestationResponse { client_data_json: SELF_CLIENT_DATA.as_bytes(), attestation_object };
    let refused =
        |response: &AttestationResponse<'_>| registration(&RustCrypto, &expected(&challenge), response).is_err();
    assert!(!refused(&valid));
    for client_data_json in flipped(valid.client_data_json) {
        assert!(refused(&AttestationResponse { client_data_json: &client_data_json, ..valid }));
    }
    for auth_data in flipped(attestation_object.auth_data) {
        let attestation_object = AttestationObject { auth_data: &auth_data, ..attestation_object };
        assert!(refused(&AttestationResponse { attestation_object, ..valid }));
    }
    for statement in flipped(attestation_object.att_stmt.0) {
        let attestation_object =
            AttestationObject { att_stmt: crate::attestation::RawStatement(&statement), ..attestation_object };
        assert!(refused(&AttestationResponse { attestation_object, ..valid }));
    }
}

#[test]
fn an_assertion_with_any_bit_flipped_is_refused() {
    let object = hex(SELF_ATTESTATION_OBJECT);
    let auth_data = AuthData::decode(AttestationObject::decode(&object).unwrap().auth_data).unwrap();
    let credential = stored(&auth_data.attested_credential_data.unwrap());
    let (challenge, auth_data, signature) = (hex(SELF_GET_CHALLENGE), hex(SELF_GET_AUTH_DATA), hex(SELF_GET_SIGNATURE));
    let valid = AssertionResponse {
        credential_id: credential.id,
        client_data_json: SELF_GET_CLIENT_DATA.as_bytes(),
        authenticator_data: &auth_data,
        signature: &signature,
        user_handle: None,
    };
    let refused = |response: &AssertionResponse<'_>| {
        assertion(&RustCrypto, &expected(&challenge), &credential, response).is_err()
    };
    assert!(!refused(&valid));
    for client_data_json in flipped(valid.client_data_json) {
        assert!(refused(&AssertionResponse { client_data_json: &client_data_json, ..valid }));
    }
    for authenticator_data in flipped(valid.authenticator_data) {
        assert!(refused(&AssertionResponse { authenticator_data: &authenticator_data, ..valid }));
    }
    for signature in flipped(valid.signature) {
        assert!(refused(&AssertionResponse { signature: &signature, ..valid }));
    }
    for credential_id in flipped(valid.credential_id) {
        assert!(refused(&AssertionResponse { credential_id: &credential_id, ..valid }));
    }
}

#[test]
fn an_es256_assertion_of_the_standard_verifies() {
    let object = hex(NONE_ATTESTATION_OBJECT);
    let auth_data = AuthData::decode(AttestationObject::decode(&object).unwrap().auth_data).unwrap();
    let key = auth_data.attested_credential_data.unwrap().public_key;
    let message = [&*hex(NONE_GET_AUTH_DATA), &*hex(NONE_GET_CLIENT_DATA_HASH)].concat();
    assert_eq!(signature(&RustCrypto, &key, &[&message], &hex(NONE_GET_SIGNATURE)), Ok(()));
    assert_eq!(signature(&RustCrypto, &key, &[&message, &[0]], &hex(NONE_GET_SIGNATURE)), Err(Error::Signature));
}

#[test]
fn an_eddsa_assertion_of_the_standard_verifies() {
    let raw = hex(EDDSA_PUBLIC);
    let key = CoseKey::from_raw(Algorithm::EDDSA, &raw).unwrap();
    let (auth_data, hash) = (hex(EDDSA_AUTH_DATA), hex(EDDSA_CLIENT_DATA_HASH));
    assert_eq!(signature(&RustCrypto, &key, &[&auth_data, &hash], &hex(EDDSA_SIGNATURE)), Ok(()));
    assert_eq!(signature(&RustCrypto, &key, &[&hash, &auth_data], &hex(EDDSA_SIGNATURE)), Err(Error::Signature));
}

/// Verifies a registration and an assertion with a key of `algorithm`, with a self attestation that names `stated`.
fn with_key_of(algorithm: Algorithm, stated: Algorithm, asked: &[Algorithm]) -> Result<(), Error> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let (mut secret, mut public, mut signature) = ([0; 100], [0; 3000], [0; 5000]);
    let (secret_len, public_len) = RustCrypto.generate(algorithm, &mut rng, &mut secret, &mut public).unwrap();
    let public_key = CoseKey::from_raw(algorithm, &public[..public_len]).unwrap();
    let client_data = |kind| ClientData {
        kind,
        challenge: b"sixteen bytes or more",
        origin: "https://example.org",
        cross_origin: false,
        top_origin: None,
    };
    let (mut json, mut data) = ([0; 256], [0; 3000]);
    let len = client_data(ClientDataType::Create).write(&mut json).unwrap();
    let json = &json[..len];
    let rp_id_hash = RustCrypto.sha256(&[b"example.org"]);
    let credential = AttestedCredentialData { aaguid: &[0; 16], credential_id: b"id", public_key };
    let mut auth_data = AuthData {
        rp_id_hash: &rp_id_hash,
        flags: Flags::UP,
        sign_count: 0,
        attested_credential_data: Some(credential),
        extensions: None,
    };
    let len = written(&auth_data, &mut data);
    let message: [&[u8]; 2] = [&data[..len], &RustCrypto.sha256(&[json])];
    let sig_len = RustCrypto.sign(algorithm, &secret[..secret_len], &message, &mut signature).unwrap();
    let packed = crate::attestation::Packed { alg: stated, sig: &signature[..sig_len], x5c: None };
    let mut statement = [0; 5000];
    let statement_len = cbor::encode(&packed, &mut statement).unwrap();
    let attestation_object = AttestationObject {
        fmt: "packed",
        att_stmt: crate::attestation::RawStatement(&statement[..statement_len]),
        auth_data: &data[..len],
    };
    let expected = Expected { algorithms: asked, ..expected(b"sixteen bytes or more") };
    let response = AttestationResponse { client_data_json: json, attestation_object };
    let registered = registration(&RustCrypto, &expected, &response)?;
    assert_eq!(registered.credential.public_key, public_key);

    auth_data.attested_credential_data = None;
    let (mut json, mut data) = ([0; 256], [0; 37]);
    let len = client_data(ClientDataType::Get).write(&mut json).unwrap();
    written(&auth_data, &mut data);
    let message: [&[u8]; 2] = [&data, &RustCrypto.sha256(&[&json[..len]])];
    let sig_len = RustCrypto.sign(algorithm, &secret[..secret_len], &message, &mut signature).unwrap();
    let response = AssertionResponse {
        credential_id: b"id",
        client_data_json: &json[..len],
        authenticator_data: &data,
        signature: &signature[..sig_len],
        user_handle: None,
    };
    assertion(&RustCrypto, &expected, &stored(&credential), &response).map(drop)
}

fn written(auth_data: &AuthData<'_>, buffer: &mut [u8]) -> usize {
    let mut w = cbor::Writer::new(buffer);
    auth_data.encode(&mut w);
    w.finish().unwrap()
}

#[test]
fn a_key_of_a_fully_specified_algorithm_is_verified_as_that_one_and_no_other() {
    let pairs = [
        (Algorithm::ES256, Algorithm::ESP256),
        (Algorithm::EDDSA, Algorithm::ED25519),
        (Algorithm::ES384, Algorithm::ESP384),
        (Algorithm::ES512, Algorithm::ESP512),
    ];
    let known = |(older, _): &(Algorithm, Algorithm)| RustCrypto.algorithms().contains(older);
    for (older, newer) in pairs.into_iter().filter(known) {
        for (this, other) in [(older, newer), (newer, older)] {
            assert_eq!(with_key_of(this, this, &[other, this]), Ok(()), "{this:?}");
            assert_eq!(with_key_of(this, this, &[other]), Err(Error::Algorithm), "{this:?}");
            assert_eq!(with_key_of(this, other, &[this, other]), Err(Error::AttestationAlgorithm), "{this:?}");
        }
    }
}

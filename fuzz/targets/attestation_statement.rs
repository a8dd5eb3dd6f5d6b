//! Arbitrary attestation objects: if one is accepted, its signed parts are those of a vector of the standard.
//!
//! The seeds are the vectors "packed-self-es256" and "packed-es256" of WebAuthn L3 §16. The fuzzer has no private keys
//! to sign anything else. The parts that the signature does not cover may differ: the order of members, other parts of
//! a certificate.
#![no_main]

use keyfob_core::{
    attestation::Statement,
    auth_data::AuthData,
    cose::{Algorithm, CoseKey},
    crypto::RustCrypto,
    verify::{
        Anchors, AttestationResponse, AttestationType, Expected, RelyingPartyPolicy, attestation, chain, registration,
    },
    webauthn::AttestationObject,
};
use libfuzzer_sys::fuzz_target;

const SELF: &[u8] = include_bytes!("../seeds/attestation_statement/packed_self");
const CERTIFIED: &[u8] = include_bytes!("../seeds/attestation_statement/packed_certified");
const SELF_CLIENT_DATA: &[u8] = include_bytes!("../seeds/client_data/packed_self");
const CERTIFIED_CLIENT_DATA: &[u8] = include_bytes!("../seeds/client_data/packed_certified");
const SELF_CHALLENGE: &[u8] = b"\x78\x69\xc2\xb7\x72\xd4\xb5\x8e\xba\x93\x78\xcf\x8f\x29\xe2\x6c\
    \xf9\x35\xaa\x77\xdf\x0d\xa8\x9f\xa9\x9c\x0b\xdc\x0a\x76\xf7\xe5";

fuzz_target!(|bytes: &[u8]| {
    let Ok(object) = AttestationObject::decode(bytes) else { return };
    let original = [SELF, CERTIFIED].map(|seed| AttestationObject::decode(seed).expect("a vector of the standard"));

    let expected = Expected {
        challenge: SELF_CHALLENGE,
        origins: &["https://example.org"],
        top_origins: None,
        rp_id: "example.org",
        user_presence: true,
        user_verification: false,
        algorithms: &[Algorithm::ES256, Algorithm::EDDSA],
        allow_credentials: &[],
        user_handle: None,
        policy: RelyingPartyPolicy::STANDARD,
    };
    let response = AttestationResponse { client_data_json: SELF_CLIENT_DATA, attestation_object: object };
    if let Ok(registration) = registration(&RustCrypto, &expected, &response) {
        judge(&object, &original[0], registration.attestation);
        let key = registration.credential.public_key;
        assert!(matches!(key, CoseKey::Ec2 { .. } | CoseKey::Okp { .. }));
    }

    // Certificates that lead to each other or to nothing.
    if let Ok(Some(x5c)) = Statement::decode(object.fmt, Some(object.att_stmt)).map(|statement| statement.x5c()) {
        let certificates: Vec<&[u8]> = x5c.iter().collect();
        for trusted in [certificates.get(1..).unwrap_or_default(), &[]] {
            let anchors = Anchors { certificates: trusted, now: 1_795_303_612, accept_root: true };
            let result = chain(&RustCrypto, x5c, &anchors);
            assert!(!trusted.is_empty() || result.is_err(), "nothing is trusted");
        }
    }

    let Ok(auth_data) = AuthData::decode(object.auth_data) else { return };
    let Some(credential) = auth_data.attested_credential_data else { return };
    for (original, client_data) in original.iter().zip([SELF_CLIENT_DATA, CERTIFIED_CLIENT_DATA]) {
        let hash = keyfob_core::crypto::Hash::sha256(&RustCrypto, &[client_data]);
        let result = attestation(&RustCrypto, object.fmt, object.att_stmt, object.auth_data, &credential, &hash);
        if let Ok(attestation) = result {
            judge(&object, original, attestation);
        }
        if bytes == SELF || bytes == CERTIFIED {
            assert_eq!(result.is_ok(), object == *original, "{result:?}");
        }
    }
});

fn judge(object: &AttestationObject<'_>, original: &AttestationObject<'_>, attestation: AttestationType<'_>) {
    match attestation {
        AttestationType::None => assert!(object.fmt == "none" && object.att_stmt.is_empty()),
        // Nothing covers the elements but their own signatures.
        AttestationType::Compound(elements) => assert!(object.fmt == "compound" && elements.len() > 1),
        _ => assert!(object.fmt == "packed" && object.auth_data == original.auth_data),
    }
}

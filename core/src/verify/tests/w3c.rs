//! Every vector of WebAuthn L3 §16, read from the file that the project keeps beside its sources.

use serde_json::Value;

use super::*;
use crate::{crypto::Sign, webauthn::CollectedClientData};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors/w3c-webauthn-l3.json");

/// The algorithms of the vectors. Features decide which of them the backend of these tests supports.
const ALGORITHMS: &[Algorithm] =
    &[Algorithm::ES256, Algorithm::EDDSA, Algorithm::ES384, Algorithm::ES512, Algorithm::RS256, Algorithm::ED448];

fn vectors() -> Vec<(String, Value)> {
    let Ok(text) = std::fs::read_to_string(FILE) else {
        eprintln!("skipped: {FILE} is not there");
        return Vec::new();
    };
    let file: Value = serde_json::from_str(&text).unwrap();
    file["vectors"].as_object().unwrap().clone().into_iter().collect()
}

fn bytes(ceremony: &Value, name: &str) -> Vec<u8> {
    hex(ceremony[name].as_str().unwrap())
}

fn expected_of(challenge: &[u8]) -> Expected<'_> {
    Expected { algorithms: ALGORITHMS, top_origins: Some(&["https://example.com"]), ..expected(challenge) }
}

#[test]
fn registrations_verify_where_the_format_is_known() {
    for (name, vector) in vectors() {
        let reg = &vector["reg"];
        let (challenge, client_data_json, object) =
            (bytes(reg, "challenge"), bytes(reg, "clientDataJSON"), bytes(reg, "attestationObject"));
        let attestation_object = AttestationObject::decode(&object).unwrap();
        let response = AttestationResponse { client_data_json: &client_data_json, attestation_object };
        let result = registration(&RustCrypto, &expected_of(&challenge), &response);
        match (attestation_object.fmt, result) {
            ("none", Ok(registration)) => assert_eq!(registration.attestation, AttestationType::None, "{name}"),
            ("packed", Ok(registration)) if name == "packed-self-es256" => {
                assert_eq!(registration.attestation, AttestationType::SelfAttestation, "{name}");
            }
            ("packed", Ok(registration)) => {
                assert!(
                    matches!(registration.attestation, AttestationType::Certificates(x5c) if x5c.len() == 1),
                    "{name}"
                );
                assert_eq!(registration.credential.credential_id, bytes(reg, "credential_id"), "{name}");
                assert_eq!(&registration.credential.aaguid[..], bytes(reg, "aaguid"), "{name}");
            }
            ("fido-u2f", Ok(registration)) => {
                assert!(
                    matches!(registration.attestation, AttestationType::Certificates(x5c) if x5c.len() == 1),
                    "{name}"
                );
                // The standard's vector has an AAGUID, although U2F has none.
                let strict = Expected { policy: RelyingPartyPolicy::CONFORMANCE, ..expected_of(&challenge) };
                let refused = super::registration(&RustCrypto, &strict, &response);
                assert_eq!(refused, Err(Error::AaguidNotZero), "{name}");
            }
            ("tpm" | "android-key" | "apple", Err(Error::Format)) if !cfg!(feature = "platform-attestation") => {}
            ("tpm" | "apple", Ok(registration)) => {
                assert!(matches!(registration.attestation, AttestationType::Certificates(_)), "{name}");
            }
            // The vector's key has no origin and no purpose.
            #[cfg(feature = "platform-attestation")]
            ("android-key", Err(Error::KeyAuthorization)) => {}
            (_, other) => panic!("{name}: {other:?}"),
        }
    }
}

/// The root of the vectors' certificates.
fn root() -> Option<Vec<u8>> {
    let text = std::fs::read_to_string(FILE).ok()?;
    let file: Value = serde_json::from_str(&text).unwrap();
    Some(hex(file["attestation_ca_cert"].as_str().unwrap()))
}

/// Seconds since 1970 in 2026; the vectors' certificates are valid from 2024 to 3024.
const NOW: u64 = 1_795_303_612;

#[test]
fn certificates_lead_to_the_root_that_the_relying_party_trusts() {
    let Some(root) = root() else { return };
    let mut chains = 0;
    for (name, vector) in vectors() {
        let object = bytes(&vector["reg"], "attestationObject");
        let object = AttestationObject::decode(&object).unwrap();
        let statement = crate::attestation::Statement::decode(object.fmt, Some(object.att_stmt)).unwrap();
        let Some(x5c) = statement.x5c() else { continue };
        let leaf = x5c.iter().next().unwrap();
        let under = |x5c: &[&[u8]], anchors: &[&[u8]], now, accept_root| {
            chain(&RustCrypto, x5c.into(), &Anchors { certificates: anchors, now, accept_root })
        };
        let alone: &[&[u8]] = &[leaf];
        assert_eq!(under(alone, &[&root], NOW, false), Ok(()), "{name}");
        // The leaf itself is trusted.
        assert_eq!(under(alone, &[leaf], NOW, false), Ok(()), "{name}");
        assert_eq!(under(alone, &[], NOW, false), Err(Error::Chain), "{name}");
        assert_eq!(under(alone, &[b"0"], NOW, false), Err(Error::Chain), "{name}");
        // The end of 2023, and the year 3025.
        assert_eq!(under(alone, &[&root], 1_704_067_199, false), Err(Error::Validity), "{name}");
        assert_eq!(under(alone, &[&root], 33_292_512_000, false), Err(Error::Validity), "{name}");
        // A chain with its root.
        assert_eq!(under(&[leaf, &root], &[&root], NOW, false), Err(Error::RootInChain), "{name}");
        assert_eq!(under(&[leaf, &root], &[&root], NOW, true), Ok(()), "{name}");
        // A root that is only in the attestation is not trusted.
        for accept_root in [false, true] {
            let brought = under(&[leaf, &root], &[], NOW, accept_root);
            assert_eq!(brought, Err(if accept_root { Error::Chain } else { Error::RootInChain }), "{name}");
        }
        // Out of order.
        assert!(under(&[&root, leaf], &[&root], NOW, false).is_ok(), "the first certificate is an anchor itself");
        assert!(under(&[&root, leaf], &[b"0"], NOW, true).is_err(), "{name}");
        // The signature on a changed leaf is wrong.
        let mut changed = leaf.to_vec();
        *changed.last_mut().unwrap() ^= 1;
        assert_eq!(under(&[&changed], &[&root], NOW, false), Err(Error::Chain), "{name}");
        chains += 1;
    }
    assert_eq!(chains, if cfg!(feature = "platform-attestation") { 10 } else { 7 });
}

#[test]
fn assertions_verify_where_the_algorithm_is_known() {
    for (name, vector) in vectors() {
        let auth = &vector["auth"];
        let object = bytes(&vector["reg"], "attestationObject");
        let registered = AuthData::decode(AttestationObject::decode(&object).unwrap().auth_data).unwrap();
        let credential = stored(&registered.attested_credential_data.unwrap());
        let (challenge, client_data_json, authenticator_data, signature) = (
            bytes(auth, "challenge"),
            bytes(auth, "clientDataJSON"),
            bytes(auth, "authenticatorData"),
            bytes(auth, "signature"),
        );
        let response = AssertionResponse {
            credential_id: credential.id,
            client_data_json: &client_data_json,
            authenticator_data: &authenticator_data,
            signature: &signature,
            user_handle: None,
        };
        let result = assertion(&RustCrypto, &expected_of(&challenge), &credential, &response).map(drop);
        let algorithm = credential.public_key.algorithm();
        let verified_only = cfg!(feature = "ed448") && algorithm == Algorithm::ED448;
        let known = RustCrypto.algorithms().contains(&algorithm) || verified_only;
        assert_eq!(result, if known { Ok(()) } else { Err(Error::Crypto(crypto::Error::Unsupported)) }, "{name}");
    }
}

#[test]
fn frames_are_refused_when_they_are_not_expected() {
    for (name, vector) in vectors() {
        let (challenge, client_data_json) =
            (bytes(&vector["reg"], "challenge"), bytes(&vector["reg"], "clientDataJSON"));
        let result = client_data(&expected(&challenge), ClientDataType::Create, &client_data_json);
        let framed = name.ends_with("crossOrigin") || name.ends_with("topOrigin");
        assert_eq!(result, if framed { Err(Error::CrossOrigin) } else { Ok(()) }, "{name}");
    }
}

#[test]
fn client_data_is_written_byte_for_byte() {
    for (name, vector) in vectors() {
        for (ceremony, kind) in [("reg", ClientDataType::Create), ("auth", ClientDataType::Get)] {
            let ceremony = &vector[ceremony];
            let (challenge, expected) = (bytes(ceremony, "challenge"), bytes(ceremony, "clientDataJSON"));
            let read = CollectedClientData::parse(&expected).unwrap();
            let client_data = ClientData {
                kind,
                challenge: &challenge,
                origin: read.origin.as_str().unwrap(),
                cross_origin: read.cross_origin,
                top_origin: read.top_origin.map(|origin| origin.as_str().unwrap()),
            };
            let mut buffer = [0; 1024];
            let length = client_data.write(&mut buffer).unwrap();
            // Some vectors have one more member at the end.
            let (written, rest) = (&buffer[..length - 1], &expected[length - 1..]);
            assert_eq!(written, &expected[..length - 1], "{name}");
            assert!(rest == b"}" || rest.starts_with(br#","extraData":""#), "{name}");
        }
    }
}

//! One test per check. In each, the response passes all other checks.

use super::*;
use crate::{
    attestation::RawStatement,
    cbor::{ErrorKind, Writer},
    cose::Curve,
};

const CHALLENGE: &[u8] = b"sixteen bytes or more";
/// The base point of P-256 (SP 800-186 §3.2.1.3).
const X: [u8; 32] = [
    0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63, 0xa4, 0x40, 0xf2, 0x77, 0x03, 0x7d,
    0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2, 0x96,
];
const Y: [u8; 32] = [
    0x4f, 0xe3, 0x42, 0xe2, 0xfe, 0x1a, 0x7f, 0x9b, 0x8e, 0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e, 0x16, 0x2b, 0xce, 0x33,
    0x57, 0x6b, 0x31, 0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51, 0xf5,
];

const CREDENTIAL: AttestedCredentialData<'_> = AttestedCredentialData {
    aaguid: &[0; 16],
    credential_id: b"id",
    public_key: CoseKey::Ec2 { algorithm: Algorithm::ES256, curve: Curve::P256, x: &X, y: &Y },
};

const CLIENT_DATA: ClientData<'_> = ClientData {
    kind: ClientDataType::Create,
    challenge: CHALLENGE,
    origin: "https://example.org",
    cross_origin: false,
    top_origin: None,
};

fn client_data_json(client_data: &ClientData<'_>) -> Vec<u8> {
    let mut buffer = vec![0; 512];
    let length = client_data.write(&mut buffer).unwrap();
    buffer.truncate(length);
    buffer
}

fn auth_data(flags: Flags, credential: Option<AttestedCredentialData<'_>>, sign_count: u32) -> Vec<u8> {
    let mut buffer = vec![0; 512];
    let mut w = Writer::new(&mut buffer);
    let rp_id_hash = RustCrypto.sha256(&[b"example.org"]);
    let data =
        AuthData { rp_id_hash: &rp_id_hash, flags, sign_count, attested_credential_data: credential, extensions: None };
    data.encode(&mut w);
    let length = w.finish().unwrap();
    buffer.truncate(length);
    buffer
}

fn register_object(
    expected: &Expected<'_>,
    client_data: &ClientData<'_>,
    attestation_object: AttestationObject<'_>,
) -> Result<(), Error> {
    let client_data_json = client_data_json(client_data);
    let response = AttestationResponse { client_data_json: &client_data_json, attestation_object };
    registration(&RustCrypto, expected, &response).map(drop)
}

fn register(
    expected: &Expected<'_>,
    client_data: &ClientData<'_>,
    flags: Flags,
    credential: Option<AttestedCredentialData<'_>>,
) -> Result<(), Error> {
    let auth_data = auth_data(flags, credential, 0);
    let object = AttestationObject { fmt: "none", att_stmt: RawStatement::EMPTY, auth_data: &auth_data };
    register_object(expected, client_data, object)
}

fn register_with(
    change: impl FnOnce(&mut Expected<'static>, &mut ClientData<'static>, &mut Flags),
) -> Result<(), Error> {
    let (mut expected, mut client_data, mut flags) = (super::expected(CHALLENGE), CLIENT_DATA, Flags::UP);
    change(&mut expected, &mut client_data, &mut flags);
    register(&expected, &client_data, flags, Some(CREDENTIAL))
}

#[test]
fn client_data_must_be_of_the_ceremony_the_challenge_and_an_origin() {
    assert_eq!(register_with(|_, _, _| ()), Ok(()));
    assert_eq!(register_with(|_, client_data, _| client_data.kind = ClientDataType::Get), Err(Error::Type));
    assert_eq!(register_with(|_, client_data, _| client_data.challenge = b"another"), Err(Error::Challenge));
    assert_eq!(register_with(|_, client_data, _| client_data.challenge = b""), Err(Error::Challenge));
    for origin in ["https://evil-example.org", "http://example.org", "https://example.org:8443", "https://example.org/"]
    {
        assert_eq!(register_with(|_, client_data, _| client_data.origin = origin), Err(Error::Origin), "{origin}");
    }
    let response = AttestationResponse {
        client_data_json: b"{}",
        attestation_object: AttestationObject { fmt: "none", att_stmt: RawStatement::EMPTY, auth_data: &[] },
    };
    let error = registration(&RustCrypto, &super::expected(CHALLENGE), &response).unwrap_err();
    assert_eq!(error, Error::ClientData(json::Error { kind: json::ErrorKind::Missing, offset: 2, member: None }));
}

#[test]
fn frames_of_other_origins_are_refused_unless_they_are_expected() {
    let framed = |top_origins, cross_origin, top_origin| {
        register_with(|expected, client_data, _| {
            expected.top_origins = top_origins;
            client_data.cross_origin = cross_origin;
            client_data.top_origin = top_origin;
        })
    };
    let page = "https://example.com";
    assert_eq!(framed(None, true, None), Err(Error::CrossOrigin));
    assert_eq!(framed(None, false, Some(page)), Err(Error::CrossOrigin));
    assert_eq!(framed(Some(&[]), true, None), Ok(()));
    assert_eq!(framed(Some(&[]), true, Some(page)), Err(Error::TopOrigin));
    assert_eq!(framed(Some(&["https://example.com"]), true, Some(page)), Ok(()));
}

#[test]
fn authenticator_data_must_be_of_the_rp_id_and_the_required_flags() {
    assert_eq!(register_with(|expected, _, _| expected.rp_id = "example.com"), Err(Error::RpIdHash));
    assert_eq!(register_with(|_, _, flags| *flags = Flags(0)), Err(Error::UserPresence));
    let conditional = register_with(|expected, _, flags| (expected.user_presence, *flags) = (false, Flags(0)));
    assert_eq!(conditional, Ok(()));
    assert_eq!(register_with(|expected, _, _| expected.user_verification = true), Err(Error::UserVerification));
    let verified = Flags::UP.with(Flags::UV, true);
    let required = register_with(|expected, _, flags| (expected.user_verification, *flags) = (true, verified));
    assert_eq!(required, Ok(()));
    assert_eq!(register_with(|_, _, flags| *flags = flags.with(Flags::BS, true)), Err(Error::BackupState));
    assert_eq!(register_with(|_, _, flags| *flags = flags.with(Flags::BE, true).with(Flags::BS, true)), Ok(()));
}

#[test]
fn the_credential_must_be_there_and_of_an_algorithm_asked_for() {
    let expected = super::expected(CHALLENGE);
    assert_eq!(register(&expected, &CLIENT_DATA, Flags::UP, None), Err(Error::NoCredential));
    let other = Expected { algorithms: &[Algorithm::EDDSA, Algorithm::ESP256], ..expected };
    assert_eq!(register(&other, &CLIENT_DATA, Flags::UP, Some(CREDENTIAL)), Err(Error::Algorithm));
}

#[test]
fn the_credential_key_must_have_the_form_of_its_algorithm() {
    let expected = super::expected(CHALLENGE);
    for public_key in [
        CoseKey::Ec2 { algorithm: Algorithm::ES256, curve: Curve::P384, x: &X, y: &X },
        CoseKey::Ec2 { algorithm: Algorithm::ES256, curve: Curve::P256, x: &X, y: &X[1..] },
        CoseKey::Ec2 { algorithm: Algorithm::EDDSA, curve: Curve::ED25519, x: &X, y: &X },
        CoseKey::Okp { algorithm: Algorithm::EDDSA, curve: Curve::ED448, x: &X },
        CoseKey::Okp { algorithm: Algorithm::EDDSA, curve: Curve::ED25519, x: &X[1..] },
        CoseKey::Okp { algorithm: Algorithm::ES256, curve: Curve::P256, x: &X },
        CoseKey::Rsa { algorithm: Algorithm::ES256, n: &X, e: &X },
        CoseKey::Akp { algorithm: Algorithm::ES256, public: &X },
        // A point that is not on the curve; a point of small order.
        CoseKey::Ec2 { algorithm: Algorithm::ES256, curve: Curve::P256, x: &X, y: &X },
        CoseKey::Okp { algorithm: Algorithm::EDDSA, curve: Curve::ED25519, x: &[0; 32] },
    ] {
        let credential = AttestedCredentialData { public_key, ..CREDENTIAL };
        assert_eq!(
            register(&expected, &CLIENT_DATA, Flags::UP, Some(credential)),
            Err(Error::CredentialKey),
            "{public_key:?}"
        );
    }
}

#[test]
fn authenticator_data_must_end_where_it_ends_and_credential_ids_at_1023_bytes() {
    let expected = super::expected(CHALLENGE);
    let register_bytes = |auth_data: &[u8]| {
        let object = AttestationObject { fmt: "none", att_stmt: RawStatement::EMPTY, auth_data };
        match register_object(&expected, &CLIENT_DATA, object) {
            Err(Error::AuthData(error)) => error.kind(),
            other => panic!("{other:?}"),
        }
    };
    let mut bytes = auth_data(Flags::UP, Some(CREDENTIAL), 0);
    assert_eq!(register_bytes(&bytes[..bytes.len() - 1]), ErrorKind::Truncated);
    bytes.push(0);
    assert_eq!(register_bytes(&bytes), ErrorKind::TrailingBytes);
    bytes[53..55].copy_from_slice(&1024u16.to_be_bytes());
    bytes.resize(2048, 0);
    assert_eq!(register_bytes(&bytes), ErrorKind::OutOfRange);
}

#[test]
fn statements_must_be_of_a_known_format_and_its_form() {
    let expected = super::expected(CHALLENGE);
    let auth_data = auth_data(Flags::UP, Some(CREDENTIAL), 0);
    let attest = |fmt, statement| {
        let object = AttestationObject { fmt, att_stmt: RawStatement(statement), auth_data: &auth_data };
        register_object(&expected, &CLIENT_DATA, object).unwrap_err()
    };
    assert_eq!(attest("none", b"\xa1\x61a\x00"), Error::StatementNotEmpty);
    assert_eq!(attest("None", b"\xa0"), Error::Format);
    assert_eq!(attest("BananaPancake", b"\xa0"), Error::Format);
    assert!(matches!(attest("packed", b"\xa0"), Error::Statement(error) if error.kind() == ErrorKind::Missing));
    assert_eq!(attest("packed", b"\xa2\x63alg\x27\x63sig\x40"), Error::AttestationAlgorithm);
    assert_eq!(
        attest("packed", &[b"\xa2\x63alg\x26\x63sig\x48", &hex("3006020101020101")[..]].concat()),
        Error::Signature
    );
}

/// Verifies the assertion of the vector packed.self.ES256 after `change` has changed what is expected and stored.
fn assert_with(
    change: impl FnOnce(&mut Expected<'_>, &mut StoredCredential<'_>, &mut AssertionResponse<'_>),
) -> Result<(), Error> {
    let object = hex(SELF_ATTESTATION_OBJECT);
    let registered = AuthData::decode(AttestationObject::decode(&object).unwrap().auth_data).unwrap();
    let (challenge, auth_data, signature) = (hex(SELF_GET_CHALLENGE), hex(SELF_GET_AUTH_DATA), hex(SELF_GET_SIGNATURE));
    let mut expected = super::expected(&challenge);
    let mut credential = stored(&registered.attested_credential_data.unwrap());
    let mut response = AssertionResponse {
        credential_id: credential.id,
        client_data_json: SELF_GET_CLIENT_DATA.as_bytes(),
        authenticator_data: &auth_data,
        signature: &signature,
        user_handle: None,
    };
    change(&mut expected, &mut credential, &mut response);
    assertion(&RustCrypto, &expected, &credential, &response).map(drop)
}

#[test]
fn the_credential_must_be_the_one_stored_and_asked_for() {
    assert_eq!(assert_with(|_, _, _| ()), Ok(()));
    assert_eq!(assert_with(|_, credential, _| credential.id = b"another"), Err(Error::CredentialId));
    assert_eq!(assert_with(|expected, _, _| expected.allow_credentials = &[b"another"]), Err(Error::CredentialId));
}

#[test]
fn a_credential_of_another_account_is_refused() {
    // The account is known and the credential belongs to another one.
    assert_eq!(assert_with(|expected, _, _| expected.user_handle = Some(b"alice")), Err(Error::UserHandle));
    assert_eq!(assert_with(|_, _, response| response.user_handle = Some(b"alice")), Err(Error::UserHandle));
    assert_eq!(assert_with(|_, _, response| response.user_handle = Some(b"user")), Ok(()));
}

#[test]
fn an_account_that_was_not_stated_must_be_named_by_the_user_handle() {
    let unstated = |user_handle| {
        assert_with(|expected, _, response| {
            expected.user_handle = None;
            response.user_handle = user_handle;
        })
    };
    assert_eq!(unstated(None), Err(Error::UserHandle));
    assert_eq!(unstated(Some(b"alice")), Err(Error::UserHandle));
    assert_eq!(unstated(Some(b"")), Err(Error::UserHandle), "an empty one counts as absent");
    assert_eq!(unstated(Some(b"user")), Ok(()));
}

#[test]
fn an_empty_user_handle_counts_as_none_and_names_no_account() {
    let refused = Err(Error::UserHandle);
    for (stated, accepted) in [(None, refused), (Some(&b""[..]), Ok(()))] {
        for (returned, result) in [(None, accepted), (Some(&b""[..]), accepted), (Some(b"user"), refused)] {
            let verified = assert_with(|expected, credential, response| {
                (expected.user_handle, credential.user_handle, response.user_handle) = (stated, b"", returned);
            });
            assert_eq!(verified, result, "{stated:?} {returned:?}");
        }
    }
    let stated = assert_with(|_, _, response| response.user_handle = Some(b""));
    assert_eq!(stated, Ok(()), "for a known account");
}

#[test]
fn backup_eligibility_must_not_change_where_it_is_compared() {
    assert_eq!(assert_with(|_, credential, _| credential.backup_eligible = Some(true)), Ok(()));
    let changed = assert_with(|_, credential, _| credential.backup_eligible = Some(false));
    assert_eq!(changed, Err(Error::BackupEligibility));
}

#[test]
fn a_client_data_of_a_registration_is_no_assertion() {
    assert_eq!(assert_with(|_, _, response| response.client_data_json = SELF_CLIENT_DATA.as_bytes()), Err(Error::Type));
}

#[test]
fn a_counter_that_does_not_increase_is_reported_after_the_signature() {
    let error = Error::SignCount { stored: 7, received: 0 };
    assert_eq!(assert_with(|_, credential, _| credential.sign_count = 7), Err(error));
    let forged = assert_with(|_, credential, response| {
        credential.sign_count = 7;
        response.signature = &[];
    });
    assert_eq!(forged, Err(Error::Signature));
}

#[test]
fn counters_may_stay_zero_but_must_otherwise_rise() {
    let public = public();
    let public_key = CoseKey::from_raw(Algorithm::ES256, &public).unwrap();
    let client_data_json = client_data_json(&ClientData { kind: ClientDataType::Get, ..CLIENT_DATA });
    let count = |stored_count: u32, received: u32| {
        let auth_data = auth_data(Flags::UP, None, received);
        let signature = sign(&[&auth_data, &RustCrypto.sha256(&[&client_data_json])]);
        let credential = StoredCredential {
            sign_count: stored_count,
            ..stored(&AttestedCredentialData { public_key, ..CREDENTIAL })
        };
        let response = AssertionResponse {
            credential_id: b"id",
            client_data_json: &client_data_json,
            authenticator_data: &auth_data,
            signature: &signature,
            user_handle: None,
        };
        assertion(&RustCrypto, &super::expected(CHALLENGE), &credential, &response).map(drop)
    };
    assert_eq!(count(0, 0), Ok(()));
    assert_eq!(count(0, 1), Ok(()));
    assert_eq!(count(6, 7), Ok(()));
    assert_eq!(count(u32::MAX - 1, u32::MAX), Ok(()));
    assert_eq!(count(7, 7), Err(Error::SignCount { stored: 7, received: 7 }));
    assert_eq!(count(7, 6), Err(Error::SignCount { stored: 7, received: 6 }));
    assert_eq!(count(7, 0), Err(Error::SignCount { stored: 7, received: 0 }));
}

#[test]
fn a_falling_counter_is_a_matter_of_policy() {
    let accept = |accept_falling_counter| {
        assert_with(|expected, credential, _| {
            credential.sign_count = 7;
            expected.policy.accept_falling_counter = accept_falling_counter;
        })
    };
    assert_eq!(accept(true), Ok(()));
    assert_eq!(accept(false), Err(Error::SignCount { stored: 7, received: 0 }));
}

#[test]
fn what_may_become_of_backup_eligibility_is_a_matter_of_policy() {
    use BackupEligibility::{Fixed, MayAppear, MayChange};
    for (rule, gained, lost) in [(Fixed, false, false), (MayAppear, true, false), (MayChange, true, true)] {
        assert!(rule.allows(true, true) && rule.allows(false, false), "{rule:?}");
        assert_eq!((rule.allows(false, true), rule.allows(true, false)), (gained, lost), "{rule:?}");
    }
    // The vector's credential is backup eligible.
    let assert_under = |rule, stored| {
        assert_with(|expected, credential, _| {
            credential.backup_eligible = Some(stored);
            expected.policy.backup_eligibility = rule;
        })
    };
    assert_eq!(assert_under(Fixed, true), Ok(()));
    assert_eq!(assert_under(Fixed, false), Err(Error::BackupEligibility));
    assert_eq!(assert_under(MayAppear, false), Ok(()));
}

#[test]
fn registrations_without_a_makers_attestation_are_a_matter_of_policy() {
    let refused = register_with(|expected, _, _| expected.policy.accept_none = false);
    assert_eq!(refused, Err(Error::AttestationNotAccepted));
    let (object, challenge) = (hex(SELF_ATTESTATION_OBJECT), hex(SELF_CHALLENGE));
    let attestation_object = AttestationObject::decode(&object).unwrap();
    let response = AttestationResponse { client_data_json: SELF_CLIENT_DATA.as_bytes(), attestation_object };
    let mut expected = super::expected(&challenge);
    expected.policy.accept_none = false;
    assert!(registration(&RustCrypto, &expected, &response).is_ok());
    expected.policy.accept_self = false;
    assert_eq!(registration(&RustCrypto, &expected, &response), Err(Error::AttestationNotAccepted));
}

#[test]
fn token_binding_is_ignored_or_has_the_form_of_level_2() {
    let register_under = |policy, token_binding: &str| {
        let mut json = client_data_json(&CLIENT_DATA);
        json.pop();
        json.extend(format!(",\"tokenBinding\":{token_binding}}}").as_bytes());
        let auth_data = auth_data(Flags::UP, Some(CREDENTIAL), 0);
        let attestation_object =
            AttestationObject { fmt: "none", att_stmt: RawStatement::EMPTY, auth_data: &auth_data };
        let response = AttestationResponse { client_data_json: &json, attestation_object };
        let expected = Expected { policy, ..super::expected(CHALLENGE) };
        registration(&RustCrypto, &expected, &response).map(drop)
    };
    for valid in [r#"{"status":"present","id":"AA"}"#, r#"{"status":"supported"}"#, r#"{"status":"not-supported"}"#] {
        assert_eq!(register_under(RelyingPartyPolicy::CONFORMANCE, valid), Ok(()), "{valid}");
    }
    for wrong in ["1", "\"supported\"", "[]", "{}", "null", r#"{"status":1}"#, r#"{"status":"maybe"}"#] {
        assert_eq!(register_under(RelyingPartyPolicy::CONFORMANCE, wrong), Err(Error::TokenBinding), "{wrong}");
        assert_eq!(register_under(RelyingPartyPolicy::STANDARD, wrong), Ok(()), "{wrong}");
    }
}

/// A U2F registration signed by [`SECRET`] with these certificates.
fn u2f(certificates: &[&[u8]], credential: &AttestedCredentialData<'_>, message: &[&[u8]]) -> Result<(), Error> {
    let auth_data = auth_data(Flags::UP, Some(*credential), 0);
    let signature = sign(message);
    let statement = crate::attestation::FidoU2f { sig: &signature, x5c: certificates.into() };
    let mut buffer = [0; 4096];
    let length = cbor::encode(&statement, &mut buffer).unwrap();
    let statement = RawStatement(&buffer[..length]);
    attestation(&RustCrypto, "fido-u2f", statement, &auth_data, credential, &[5; 32]).map(drop)
}

#[test]
fn a_u2f_registration_is_signed_by_its_one_certificate_over_all_it_says() {
    let leaf = certificates::leaf_of_our_key();
    let rp_id_hash = RustCrypto.sha256(&[b"example.org"]);
    let message: [&[u8]; 7] = [&[0], &rp_id_hash, &[5; 32], b"id", &[4], &X, &Y];
    assert_eq!(u2f(&[&leaf], &CREDENTIAL, &message), Ok(()));
    for part in 0..message.len() {
        let mut other = message;
        other[part] = &[9];
        assert_eq!(u2f(&[&leaf], &CREDENTIAL, &other), Err(Error::Signature), "{part}");
    }
    assert_eq!(u2f(&[], &CREDENTIAL, &message), Err(Error::Certificate));
    assert_eq!(u2f(&[&leaf, &leaf], &CREDENTIAL, &message), Err(Error::Certificate));
    assert_eq!(u2f(&[b"0"], &CREDENTIAL, &message), Err(Error::Certificate));
    for public_key in [
        CoseKey::Ec2 { algorithm: Algorithm::ES256, curve: Curve::P384, x: &X, y: &X },
        CoseKey::Ec2 { algorithm: Algorithm::ES256, curve: Curve::P256, x: &X, y: &X[1..] },
        CoseKey::Okp { algorithm: Algorithm::EDDSA, curve: Curve::ED25519, x: &X },
        // The signature does not cover the key's algorithm, so only ES256 is accepted.
        CoseKey::Ec2 { algorithm: Algorithm::ESP256, curve: Curve::P256, x: &X, y: &Y },
    ] {
        let credential = AttestedCredentialData { public_key, ..CREDENTIAL };
        assert_eq!(u2f(&[&leaf], &credential, &message), Err(Error::CredentialKey), "{public_key:?}");
    }
}

use super::*;
use crate::{
    cbor::{decode_tolerant, encode},
    cose::Algorithm,
    ctap2::PUBLIC_KEY,
};

fn creation() -> CreationOptions<'static> {
    CreationOptions {
        rp: RelyingParty { id: Some("example.org"), name: "Example" },
        user: UserEntity { id: b"user", name: Some("alice"), display_name: Some("Alice") },
        hints: Some(List::Slice(const { &[Text::new("security-key")] })),
        timeout: Some(60_000),
        challenge: b"challenge",
        extensions: Some(RawMap::EMPTY),
        attestation: Some(AttestationConveyance::Direct),
        pub_key_cred_params: List::Slice(const { &[CredentialParameters::new(Algorithm::ES256)] }),
        attestation_formats: Some(List::Slice(const { &[Text::new("packed")] })),
        exclude_credentials: Some(List::Slice(const { &[CredentialDescriptor::new(b"id")] })),
        authenticator_selection: Some(AuthenticatorSelection {
            resident_key: Some(Requirement::Required),
            user_verification: Some(Requirement::Discouraged),
            require_resident_key: Some(true),
            attachment: Some(Attachment::CrossPlatform),
        }),
    }
}

#[test]
fn options_read_what_they_write_under_the_strict_rules_too() {
    let mut buffer = [0; 512];
    let len = encode(&creation(), &mut buffer).unwrap();
    assert_eq!(crate::cbor::decode(&buffer[..len]), Ok(creation()));

    let options = RequestOptions {
        rp_id: Some("example.org"),
        hints: None,
        timeout: None,
        challenge: b"challenge",
        extensions: None,
        allow_credentials: Some(List::Slice(const { &[CredentialDescriptor::new(b"id")] })),
        user_verification: Some(Requirement::Required),
    };
    let len = encode(&options, &mut buffer).unwrap();
    assert_eq!(crate::cbor::decode(&buffer[..len]), Ok(options));
}

#[test]
fn unknown_keywords_and_members_count_as_absent_in_any_order() {
    // {"userVerification": "perhaps", "challenge": h'01', "later": 1}
    let mut bytes = b"\xA3\x70userVerification\x67perhaps\x69challenge\x41\x01\x65later\x01".to_vec();
    let options: RequestOptions<'_> = decode_tolerant(&bytes).unwrap();
    assert_eq!((options.challenge, options.user_verification), (&[1][..], None));
    // A keyword that is not a text string is an error.
    bytes.splice(18..26, [0x01]);
    assert!(decode_tolerant::<RequestOptions<'_>>(&bytes).is_err());
}

#[test]
fn missing_members_of_the_options_are_errors() {
    assert!(decode_tolerant::<RequestOptions<'_>>(&[0xA0]).is_err());
    assert!(decode_tolerant::<CreationOptions<'_>>(b"\xA1\x69challenge\x41\x01").is_err());
}

#[test]
fn an_old_boolean_decides_about_the_resident_key_only_where_no_keyword_does() {
    let selection = |resident_key, require_resident_key| {
        AuthenticatorSelection { resident_key, require_resident_key, ..Default::default() }.resident_key()
    };
    assert_eq!(selection(None, None), Requirement::Discouraged);
    assert_eq!(selection(None, Some(false)), Requirement::Discouraged);
    assert_eq!(selection(None, Some(true)), Requirement::Required);
    assert_eq!(selection(Some(Requirement::Preferred), Some(true)), Requirement::Preferred);
}

#[test]
fn types_that_are_not_known_are_kept() {
    let bytes = b"\xA2\x63alg\x26\x64type\x65later";
    assert_ne!(decode_tolerant::<CredentialParameters<'_>>(bytes).unwrap().kind, PUBLIC_KEY);
}

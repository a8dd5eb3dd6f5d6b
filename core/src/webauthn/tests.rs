use proptest::prelude::*;

use super::{base64url::Error, *};
use crate::{cbor::Overflow, json};

fn written(client_data: &ClientData<'_>) -> Vec<u8> {
    let mut buffer = vec![0; 4096];
    let length = client_data.write(&mut buffer).unwrap();
    buffer.truncate(length);
    buffer
}

const CLIENT_DATA: ClientData<'_> = ClientData {
    kind: ClientDataType::Get,
    challenge: &[0xFB, 0xFF, 0x00],
    origin: "https://example.org",
    cross_origin: false,
    top_origin: None,
};

#[test]
fn client_data_is_serialised_in_the_order_of_the_standard() {
    assert_eq!(
        written(&CLIENT_DATA),
        br#"{"type":"webauthn.get","challenge":"-_8A","origin":"https://example.org","crossOrigin":false}"#
    );
    let framed = ClientData {
        kind: ClientDataType::Create,
        cross_origin: true,
        top_origin: Some("https://example.com"),
        ..CLIENT_DATA
    };
    let expected = r#"{"type":"webauthn.create","challenge":"-_8A","origin":"https://example.org","crossOrigin":true,"topOrigin":"https://example.com"}"#;
    assert_eq!(written(&framed), expected.as_bytes());
}

#[test]
fn only_quotes_backslashes_and_control_characters_are_escaped() {
    let odd = ClientData { origin: "\0\x1f\"\\/\x7fä😀\n", ..CLIENT_DATA };
    let json = String::from_utf8(written(&odd)).unwrap();
    assert!(json.contains("\"origin\":\"\\u0000\\u001f\\\"\\\\/\x7fä😀\\u000a\""), "{json}");
}

#[test]
fn client_data_that_does_not_fit_names_its_size() {
    let size = written(&CLIENT_DATA).len();
    assert_eq!(CLIENT_DATA.write(&mut [0; 20]), Err(Overflow { needed: size }));
}

#[test]
fn client_data_is_read_in_any_order_with_escapes_and_unknown_members() {
    let json = b"\xEF\xBB\xBF { \"androidPackageName\": {\"type\": [null]}, \"origin\": \"https:\\/\\/example.org\",\
        \"t\\u0079pe\": \"webauthn.get\", \"challenge\": \"-_8A\" } ";
    let read = CollectedClientData::parse(json).unwrap();
    assert_eq!(read.kind, ClientDataType::Get.as_str());
    assert_eq!(read.origin, "https://example.org");
    assert!(!read.cross_origin && read.top_origin.is_none());
    assert!(read.has_challenge(&[0xFB, 0xFF, 0x00]));
    assert!(!read.has_challenge(&[0xFB, 0xFF]));
    assert!(!read.has_challenge(&[0xFB, 0xFF, 0x00, 0x00]));
}

#[test]
fn incomplete_ambiguous_and_mistyped_client_data_is_refused() {
    use json::ErrorKind::*;
    for (json, kind) in [
        (r#"{"type":"webauthn.get","challenge":"AA"}"#, Missing),
        (r#"{"type":"webauthn.get","origin":"o"}"#, Missing),
        (r#"{"challenge":"AA","origin":"o"}"#, Missing),
        (r#"{"type":"a","challenge":"AA","origin":"o","origin":"o"}"#, Duplicate),
        (r#"{"type":"a","challenge":"AA","origin":"o","crossOrigin":true,"crossOrigin":true}"#, Duplicate),
        (r#"{"type":"a","challenge":"AA","origin":"o","o\u0072igin":"o"}"#, Duplicate),
        (r#"{"type":1,"challenge":"AA","origin":"o"}"#, UnexpectedType),
        (r#"{"type":"a","challenge":"AA","origin":"o","crossOrigin":"true"}"#, UnexpectedType),
        (r#"[]"#, UnexpectedType),
        (r#"{"type":"a","challenge":"AA","origin":"o"}{"#, TrailingBytes),
        ("", Truncated),
    ] {
        assert_eq!(CollectedClientData::parse(json.as_bytes()).unwrap_err().kind, kind, "{json}");
    }
}

fn encoded(bytes: &[u8]) -> String {
    base64url::chars(bytes).collect()
}

#[test]
fn base64url_agrees_with_the_vectors_of_rfc_4648() {
    for (bytes, text) in [
        ("", ""),
        ("f", "Zg"),
        ("fo", "Zm8"),
        ("foo", "Zm9v"),
        ("foob", "Zm9vYg"),
        ("fooba", "Zm9vYmE"),
        ("foobar", "Zm9vYmFy"),
    ] {
        assert_eq!(encoded(bytes.as_bytes()), text);
    }
    assert_eq!(encoded(&[0xFB, 0xEF, 0xFF]), "--__");
}

#[test]
fn text_that_no_bytes_encode_to_is_refused() {
    let decode = |text: &str| base64url::decode(text.chars(), &mut [0; 8]);
    assert_eq!(decode("Zg=="), Err(Error::Character));
    assert_eq!(decode("+/"), Err(Error::Character));
    assert_eq!(decode("Z g"), Err(Error::Character));
    assert_eq!(decode("Z"), Err(Error::Length));
    assert_eq!(decode("Zm9vA"), Err(Error::Length));
    assert_eq!(decode("Zh"), Err(Error::TrailingBits));
    assert_eq!(decode("Zm9vZm9vZm9v"), Err(Error::Overflow(Overflow { needed: 9 })));
}

fn matches(rp_id: &str, origin: &str) -> bool {
    origin_matches(rp_id, origin, &SuffixRules::new("org").unwrap())
}

#[test]
fn an_rp_id_serves_its_host_and_its_subdomains_over_https() {
    for origin in ["https://example.org", "https://login.example.org", "https://a.b.example.org:8443"] {
        assert!(matches("example.org", origin), "{origin}");
    }
    for origin in ["http://localhost", "http://localhost:8080", "https://localhost"] {
        assert!(matches("localhost", origin), "{origin}");
    }
    assert!(matches("app.localhost", "http://app.localhost:3000"));
}

#[test]
fn an_rp_id_does_not_serve_other_origins() {
    for origin in [
        "",
        "null",
        "example.org",
        "http://example.org",
        "ftp://example.org",
        "https://evil-example.org",
        "https://example.org.evil.com",
        "https://org",
        "https://example.org.",
        "https://.example.org",
        "https://a..example.org",
        "https://example.org/",
        "https://example.org/path",
        "https://evil.com/.example.org",
        "https://evil.com?.example.org",
        "https://evil.com#.example.org",
        "https://user@example.org",
        "https://evil.com:80.example.org",
        "https://example.org:",
        "https://example.org:+80",
        "https://example.org:65536",
        "https://example.org:80:80",
        "https://EXAMPLE.org",
        "android:apk-key-hash:example.org",
    ] {
        assert!(!matches("example.org", origin), "{origin}");
    }
    assert!(!matches("", "https://example.org"));
    assert!(!matches("", "https://example.org."));
    assert!(!matches(".org", "https://example.org"));
    assert!(!matches("127.0.0.1", "https://127.0.0.1"));
    assert!(!matches("0.0.1", "https://127.0.0.1"));
    assert!(!matches("[::1]", "https://[::1]"));
    assert!(!matches("evil-localhost", "http://evil-localhost"));
}

#[test]
fn attestation_objects_are_read_in_any_order_and_end_where_they_end() {
    let object = AttestationObject { fmt: "none", att_stmt: RawStatement::EMPTY, auth_data: &[1, 2] };
    let mut buffer = [0; 64];
    let length = cbor::encode(&object, &mut buffer).unwrap();
    assert_eq!(AttestationObject::decode(&buffer[..length]), Ok(object));
    let reordered = b"\xa3\x68authData\x42\x01\x02\x63fmt\x64none\x67attStmt\xa0";
    assert_eq!(AttestationObject::decode(reordered), Ok(object));
    let kind = |bytes: &[u8]| AttestationObject::decode(bytes).unwrap_err().kind();
    assert_eq!(kind(&buffer[..length + 1]), cbor::ErrorKind::TrailingBytes);
    assert_eq!(kind(b"\xa2\x63fmt\x64none\x67attStmt\xa0"), cbor::ErrorKind::Missing);
    assert_eq!(kind(b"\x80"), cbor::ErrorKind::UnexpectedType);
}

proptest! {
    #[test]
    fn base64url_decodes_what_it_encodes(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let mut text = [0; 108];
        let length = base64url::encode(&bytes, &mut text).unwrap();
        let text = core::str::from_utf8(&text[..length]).unwrap();
        prop_assert_eq!(text, encoded(&bytes));
        let mut decoded = [0; 80];
        let length = base64url::decode(text.chars(), &mut decoded).unwrap();
        prop_assert_eq!(&decoded[..length], &bytes[..]);
    }

    #[test]
    fn base64url_encodes_what_it_decodes(text in "[A-Za-z0-9_-]{0,12}|\\PC{0,6}") {
        let mut decoded = [0; 32];
        if let Ok(length) = base64url::decode(text.chars(), &mut decoded) {
            prop_assert_eq!(encoded(&decoded[..length]), text);
        }
    }

    #[test]
    fn client_data_is_read_as_it_was_written(
        create: bool, challenge in prop::collection::vec(any::<u8>(), 0..70), origin: String, cross_origin: bool,
        top_origin: Option<String>,
    ) {
        let kind = if create { ClientDataType::Create } else { ClientDataType::Get };
        let client_data =
            ClientData { kind, challenge: &challenge, origin: &origin, cross_origin, top_origin: top_origin.as_deref() };
        let json = written(&client_data);
        let read = CollectedClientData::parse(&json).unwrap();
        prop_assert_eq!(read.kind, kind.as_str());
        prop_assert!(read.has_challenge(&challenge));
        prop_assert_eq!(read.origin, origin.as_str());
        prop_assert_eq!(read.cross_origin, cross_origin);
        prop_assert_eq!(read.top_origin.is_some(), top_origin.is_some());
        if let (Some(read), Some(top_origin)) = (read.top_origin, &top_origin) {
            prop_assert_eq!(read, top_origin.as_str());
        }
        let oracle: serde_json::Value = serde_json::from_slice(&json).unwrap();
        prop_assert_eq!(oracle["origin"].as_str(), Some(origin.as_str()));
    }

    #[test]
    fn arbitrary_client_data_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = CollectedClientData::parse(&bytes);
    }
}

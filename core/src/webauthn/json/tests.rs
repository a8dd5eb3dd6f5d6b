use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    attestation::RawStatement,
    auth_data::{AttestedCredentialData, Flags},
    cbor::Overflow,
    cose::{Algorithm, CoseKey, Curve},
    ctap2::PUBLIC_KEY,
    vectors::hex,
    webauthn::{AttestationConveyance, CollectedClientData, Requirement, base64url},
};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors/w3c-webauthn-l3.json");

const CREATION: &str = r#"{
    "rp": {"name": "Ex\u00e4mple", "icon": {"later": []}},
    "user": {"displayName": "\ud83d\ude00", "id": "dXNlcg", "name": "alice"},
    "challenge": "-_8A",
    "pubKeyCredParams": [{"type": "public-key", "alg": -7}, {"alg": -257, "type": "later"}],
    "timeout": 60000,
    "excludeCredentials": [{"type": "public-key", "id": "AQ", "transports": ["usb", "later"]}],
    "authenticatorSelection": {"residentKey": "required", "userVerification": "perhaps", "requireResidentKey": null},
    "hints": ["security-key"],
    "attestation": "direct",
    "attestationFormats": [],
    "extensions": {"prf": {"evalByCredential": {"AQ": {"first": "Ag"}}}, "later": {"deep": [[[[{}]]]]}, "credProps": true}
}"#;

const REQUEST: &str = r#"{"challenge":"AAEC","rpId":"example.org","allowCredentials":[],"timeout":4294967295,
    "userVerification":"discouraged","extensions":{"largeBlob":{"write":"AQI"}}}"#;

#[test]
fn creation_options_are_read_with_escapes_base64url_unknown_members_and_nulls() {
    let mut buffer = vec![0; CREATION.len()];
    let options = CreationOptions::from_json(CREATION.as_bytes(), &mut buffer).unwrap();
    assert_eq!((options.rp.id, options.rp.name), (None, "Exämple"));
    assert_eq!((options.user.id, options.user.display_name), (&b"user"[..], Some("😀")));
    assert_eq!((options.challenge, options.timeout), (&[0xFB, 0xFF, 0][..], Some(60_000)));
    let params: Vec<_> = options.pub_key_cred_params.iter().map(|p| (p.algorithm, p.kind == PUBLIC_KEY)).collect();
    assert_eq!(params, [(Algorithm::ES256, true), (Algorithm::RS256, false)]);
    let excluded: Vec<_> = options.exclude_credentials.unwrap().iter().collect();
    assert_eq!((excluded.len(), excluded[0].id), (1, &[1][..]));
    assert_eq!(excluded[0].transports.unwrap().iter().map(|t| t.as_str()).collect::<Vec<_>>(), ["usb", "later"]);
    let selection = options.authenticator_selection.unwrap();
    assert_eq!((selection.resident_key, selection.user_verification), (Some(Requirement::Required), None));
    assert_eq!(selection.require_resident_key, None);
    assert_eq!(options.attestation, Some(AttestationConveyance::Direct));
    assert!(options.attestation_formats.unwrap().is_empty());
    // {"prf": {"evalByCredential": [{"id": h'01', "eval": {"first": h'02'}}]}, "credProps": true}, the array with a
    // long head
    let extensions =
        b"\xA2\x63prf\xA1\x70evalByCredential\x9A\0\0\0\x01\xA2\x62id\x41\x01\x64eval\xA1\x65first\x41\x02\
        \x69credProps\xF5";
    assert_eq!(options.extensions, Some(RawMap(extensions)));
}

#[test]
fn request_options_are_read() {
    let mut buffer = vec![0; REQUEST.len()];
    let options = RequestOptions::from_json(REQUEST.as_bytes(), &mut buffer).unwrap();
    assert_eq!((options.challenge, options.rp_id), (&[0, 1, 2][..], Some("example.org")));
    assert_eq!(options.timeout, Some(u32::MAX));
    assert!(options.allow_credentials.unwrap().is_empty());
    assert_eq!(options.user_verification, Some(Requirement::Discouraged));
    assert_eq!(options.extensions, Some(RawMap(b"\xA1\x69largeBlob\xA1\x65write\x42\x01\x02")));
}

#[test]
fn what_is_wrong_with_options_is_said_with_its_member_and_its_place() {
    use ErrorKind::*;
    let refused = |json: &str| RequestOptions::from_json(json.as_bytes(), &mut [0; 256]).unwrap_err();
    // `|` marks the offset of the error.
    for (json, member, kind) in [
        ("|[]", None, UnexpectedType),
        ("|", None, Truncated),
        (r#"{"rpId":"a"}|"#, Some("challenge"), Missing),
        (r#"{"challenge":null}|"#, Some("challenge"), Missing),
        (r#"{"challenge":|1}"#, Some("challenge"), UnexpectedType),
        (r#"{"challenge": |"AA=="}"#, Some("challenge"), NotBase64Url),
        (r#"{"challenge":|"A"}"#, Some("challenge"), NotBase64Url),
        (r#"{"challenge":|"AB"}"#, Some("challenge"), NotBase64Url),
        (r#"{"challenge":"AA","challenge":|null}"#, Some("challenge"), Duplicate),
        (r#"{"challenge":"AA","ch\u0061llenge":|"AA"}"#, Some("challenge"), Duplicate),
        (r#"{"challenge":"|\ud800"}"#, Some("challenge"), Escape),
        (r#"{"challenge":"|\udc00\ud800"}"#, Some("challenge"), Escape),
        (r#"{"later":"|\ud83d\u0041"}"#, None, Escape),
        (r#"{"challenge":"AA|"#, Some("challenge"), Truncated),
        (r#"{"challenge":"AA"|"#, None, Truncated),
        (r#"{"timeout":|-1}"#, Some("timeout"), OutOfRange),
        (r#"{"timeout":|4294967296}"#, Some("timeout"), OutOfRange),
        (r#"{"timeout":|1.5}"#, Some("timeout"), OutOfRange),
        (r#"{"timeout":|"1"}"#, Some("timeout"), UnexpectedType),
        (r#"{"rpId":|{}}"#, Some("rpId"), UnexpectedType),
        (r#"{"hints":[|1]}"#, Some("hints"), UnexpectedType),
        (r#"{"hints":[|null]}"#, Some("hints"), UnexpectedType),
        (r#"{"allowCredentials":[{"id":"AA"}|]}"#, Some("type"), Missing),
        (r#"{"allowCredentials":[{"id":|"*"}]}"#, Some("id"), NotBase64Url),
        (r#"{"extensions":{"prf":{"eval":{"second":"AA"}|}}}"#, Some("first"), Missing),
        (r#"{"extensions":{"prf":{"evalByCredential":{"AA":|1}}}}"#, Some("evalByCredential"), UnexpectedType),
        (r#"{"extensions":{"prf":{"evalByCredential":{"=":|{}}}}}"#, Some("evalByCredential"), NotBase64Url),
        (
            r#"{"extensions":{"prf":{"evalByCredential":{"AA":{"first":"AA"},"\u0041A":|{"first":"AA"}}}}}"#,
            Some("evalByCredential"),
            Duplicate,
        ),
        (r#"{"later":[[[[[[[[[[[[[[[|[]]]]]]]]]]]]]]]]}"#, None, TooDeep),
        (r#"{"challenge":"AA"}|{"#, None, TrailingBytes),
    ] {
        let error = refused(&json.replace('|', ""));
        assert_eq!(error, Error { kind, offset: json.find('|').unwrap(), member }, "{json}");
    }
    let (json, mut buffer) = (CREATION.replace("60000", "4294967296"), [0; 900]);
    let error = CreationOptions::from_json(json.as_bytes(), &mut buffer);
    assert_eq!(error.map_err(|error| (error.kind, error.member)), Err((OutOfRange, Some("timeout"))));
}

#[test]
fn an_algorithm_outside_32_bits_does_not_hide_those_beside_it() {
    for alg in ["-2147483649", "2147483648", "4294967289", "-9223372036854775809", "1e300"] {
        let (json, mut buffer) = (CREATION.replace("-257", alg), [0; 900]);
        let options = CreationOptions::from_json(json.as_bytes(), &mut buffer).unwrap();
        let read: Vec<_> = options.pub_key_cred_params.iter().map(|params| params.algorithm).collect();
        assert_eq!(read, [Algorithm::ES256, Algorithm::RESERVED], "{alg}");
    }
    let (json, mut buffer) = (CREATION.replace("-257", "\"-257\""), [0; 900]);
    assert_eq!(CreationOptions::from_json(json.as_bytes(), &mut buffer).unwrap_err().kind, ErrorKind::UnexpectedType);
}

#[test]
fn a_buffer_that_is_an_eighth_longer_than_the_document_is_large_enough() {
    // The documents whose CBOR is longest in proportion: records with short names.
    let entries: Vec<_> =
        (0..=u16::MAX).map(|id| format!("\"{}\":{{\"first\":\"\"}}", encoded(&id.to_be_bytes()))).collect();
    for count in [0, 1, 10, 100, 1000] {
        let record = entries[..count].join(",");
        let json = format!(r#"{{"challenge":"","extensions":{{"prf":{{"evalByCredential":{{{record}}}}}}}}}"#);
        let mut buffer = vec![0; json.len() + json.len() / 8];
        assert!(RequestOptions::from_json(json.as_bytes(), &mut buffer).is_ok(), "{count}");
    }
    // Long texts.
    let texts = vec![format!("\"{}\"", "x".repeat(256)); 300].join(",");
    let json = format!(r#"{{"challenge":"","hints":[{texts}]}}"#);
    let mut buffer = vec![0; json.len() + json.len() / 8];
    assert!(RequestOptions::from_json(json.as_bytes(), &mut buffer).is_ok());
}

fn encoded(bytes: &[u8]) -> String {
    base64url::chars(bytes).collect()
}

#[test]
fn a_buffer_that_is_too_small_is_told_what_it_takes() {
    let mut buffer = vec![0; 2000];
    let needed = to_cbor(CREATION.as_bytes(), &super::CREATION, &mut buffer).unwrap();
    for size in 0..needed {
        let error = CreationOptions::from_json(CREATION.as_bytes(), &mut buffer[..size]).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Overflow(Overflow { needed }));
    }
    assert!(CreationOptions::from_json(CREATION.as_bytes(), &mut buffer[..needed]).is_ok());

    let response = authentication();
    let needed = response.write(&mut buffer).unwrap();
    for size in 0..needed {
        assert_eq!(response.write(&mut buffer[..size]), Err(WriteError::Overflow(Overflow { needed })));
    }
    let options = CreationOptions::from_json(CREATION.as_bytes(), &mut buffer).unwrap();
    let mut json = vec![0; 4000];
    let Err(WriteError::Overflow(Overflow { needed })) = options.to_json(&mut json[..700]) else {
        panic!("there is room")
    };
    assert!(options.to_json(&mut json[..needed - 1]).is_err());
    assert!(options.to_json(&mut json[..needed]).is_ok());
}

fn authentication() -> AuthenticationResponseJson<'static> {
    AuthenticationResponseJson {
        credential_id: &[1, 2, 3, 4],
        client_data_json: b"{}",
        authenticator_data: &[0xFB, 0xFF],
        signature: &[9],
        user_handle: Some(&[7]),
        attachment: Some(Attachment::CrossPlatform),
        // {"prf": {"results": {"first": h'0102'}}, "appid": false}
        client_extension_results: RawMap(b"\xA2\x63prf\xA1\x67results\xA1\x65first\x42\x01\x02\x65appid\xF4"),
    }
}

fn written(write: impl FnOnce(&mut [u8]) -> Result<usize, WriteError>) -> String {
    let mut buffer = vec![0; 20_000];
    let length = write(&mut buffer).unwrap();
    buffer.truncate(length);
    String::from_utf8(buffer).unwrap()
}

#[test]
fn an_authentication_is_written_as_the_standard_names_it() {
    let expected = concat!(
        r#"{"id":"AQIDBA","rawId":"AQIDBA","response":{"clientDataJSON":"e30","authenticatorData":"-_8","#,
        r#""signature":"CQ","userHandle":"Bw"},"authenticatorAttachment":"cross-platform","#,
        r#""clientExtensionResults":{"prf":{"results":{"first":"AQI"}},"appid":false},"type":"public-key"}"#
    );
    assert_eq!(written(|buffer| authentication().write(buffer)), expected);
    let bare = AuthenticationResponseJson { user_handle: None, attachment: None, ..authentication() };
    let value: Value = serde_json::from_str(&written(|buffer| bare.write(buffer))).unwrap();
    assert!(value.get("authenticatorAttachment").is_none() && value["response"].get("userHandle").is_none());
}

#[test]
fn results_and_authenticator_data_that_are_malformed_are_refused() {
    for results in [&b"\xA1\x61a\xC0\x01"[..], b"\xA1\x61a\xFB\0\0\0\0\0\0\0\0", b"\xA1\x01\x01", b"\xA1\x61a", b""] {
        let response = AuthenticationResponseJson { client_extension_results: RawMap(results), ..authentication() };
        assert!(matches!(response.write(&mut [0; 512]), Err(WriteError::Cbor(_))), "{results:x?}");
    }
    for auth_data in [&[0; 36][..], &[0; 37]] {
        let response = RegistrationResponseJson {
            client_data_json: b"{}",
            attestation_object: AttestationObject { fmt: "none", att_stmt: RawStatement::EMPTY, auth_data },
            transports: List::Slice(&[]),
            attachment: None,
            client_extension_results: RawMap::EMPTY,
        };
        assert!(matches!(response.write(&mut [0; 512]), Err(WriteError::Cbor(_))));
    }
}

#[test]
fn a_key_without_a_public_form_is_registered_all_the_same() {
    let key = CoseKey::Okp { algorithm: Algorithm::EDDSA, curve: Curve(99), x: &[1] };
    let data = AuthData {
        rp_id_hash: &[0; 32],
        flags: Flags::UP,
        sign_count: 0,
        attested_credential_data: Some(AttestedCredentialData {
            aaguid: &[0; 16],
            credential_id: &[1],
            public_key: key,
        }),
        extensions: None,
    };
    let mut auth_data = vec![0; data.encoded_len()];
    data.encode(&mut Writer::new(&mut auth_data));
    let object = AttestationObject { fmt: "none", att_stmt: RawStatement::EMPTY, auth_data: &auth_data };
    let response = RegistrationResponseJson {
        client_data_json: b"{}",
        attestation_object: object,
        transports: List::Slice(const { &[Text::new("usb"), Text::new("nfc")] }),
        attachment: Some(Attachment::Platform),
        client_extension_results: RawMap::EMPTY,
    };
    let value: Value = serde_json::from_str(&written(|buffer| response.write(buffer))).unwrap();
    assert!(value["response"].get("publicKey").is_none());
    assert_eq!(value["response"]["publicKeyAlgorithm"], -8);
    assert_eq!(value["response"]["transports"], json!(["usb", "nfc"]));
    assert_eq!(value["authenticatorAttachment"], "platform");
}

#[test]
fn every_response_of_the_standards_vectors_is_written_and_holds_what_it_held() {
    let Ok(text) = std::fs::read_to_string(FILE) else {
        eprintln!("skipped: {FILE} is not there");
        return;
    };
    let file: Value = serde_json::from_str(&text).unwrap();
    let vectors = file["vectors"].as_object().unwrap();
    assert_eq!(vectors.len(), 15);
    for (name, vector) in vectors {
        let bytes = |ceremony: &str, member: &str| hex(vector[ceremony][member].as_str().unwrap());
        let encoded = |bytes: &[u8]| Value::String(encoded(bytes));

        let (client_data_json, object) = (bytes("reg", "clientDataJSON"), bytes("reg", "attestationObject"));
        let attestation_object = AttestationObject::decode(&object).unwrap();
        let response = RegistrationResponseJson {
            client_data_json: &client_data_json,
            attestation_object,
            transports: List::Slice(&[]),
            attachment: None,
            client_extension_results: RawMap::EMPTY,
        };
        let json: Value = serde_json::from_str(&written(|buffer| response.write(buffer))).unwrap();
        assert_eq!(json["id"], encoded(&bytes("reg", "credential_id")), "{name}");
        assert_eq!(json["rawId"], json["id"], "{name}");
        assert_eq!(json["response"]["clientDataJSON"], encoded(&client_data_json), "{name}");
        assert_eq!(json["response"]["attestationObject"], encoded(&object), "{name}");
        assert_eq!(json["response"]["authenticatorData"], encoded(attestation_object.auth_data), "{name}");
        assert!(json["response"]["publicKey"].is_string(), "{name}");
        assert!(CollectedClientData::parse(&client_data_json).unwrap().has_challenge(&bytes("reg", "challenge")));

        let response = AuthenticationResponseJson {
            credential_id: &bytes("reg", "credential_id"),
            client_data_json: &bytes("auth", "clientDataJSON"),
            authenticator_data: &bytes("auth", "authenticatorData"),
            signature: &bytes("auth", "signature"),
            user_handle: None,
            attachment: None,
            client_extension_results: RawMap::EMPTY,
        };
        AuthData::decode(response.authenticator_data).unwrap();
        let json: Value = serde_json::from_str(&written(|buffer| response.write(buffer))).unwrap();
        for member in ["clientDataJSON", "authenticatorData", "signature"] {
            assert_eq!(json["response"][member], encoded(&bytes("auth", member)), "{name}");
        }
    }
}

/// Optional members.
fn members<const N: usize>(members: [(&'static str, BoxedStrategy<Value>); N]) -> BoxedStrategy<Value> {
    let each =
        members.map(|(name, value)| prop::option::of(value).prop_map(move |value| value.map(|v| (name.into(), v))));
    Vec::from(each).prop_map(|members| Value::Object(members.into_iter().flatten().collect())).boxed()
}

/// The members of both.
fn both(one: BoxedStrategy<Value>, other: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    (one, other)
        .prop_map(|(one, other)| {
            let (Value::Object(one), Value::Object(other)) = (one, other) else { panic!("no objects") };
            Value::Object(one.into_iter().chain(other).collect())
        })
        .boxed()
}

fn object<const N: usize>(members: [(&'static str, BoxedStrategy<Value>); N]) -> BoxedStrategy<Value> {
    let each = members.map(|(name, value)| value.prop_map(move |value| (name.to_owned(), value)));
    Vec::from(each).prop_map(|members| Value::Object(members.into_iter().collect())).boxed()
}

fn text() -> BoxedStrategy<Value> {
    any::<String>().prop_map(Value::String).boxed()
}

fn bytes() -> BoxedStrategy<Value> {
    prop::collection::vec(any::<u8>(), 0..40).prop_map(|b| Value::String(base64url::chars(&b).collect())).boxed()
}

fn flag() -> BoxedStrategy<Value> {
    any::<bool>().prop_map(Value::Bool).boxed()
}

fn word(words: &'static [&'static str]) -> BoxedStrategy<Value> {
    prop::sample::select(words).prop_map(Value::from).boxed()
}

fn array(item: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    prop::collection::vec(item, 0..4).prop_map(Value::Array).boxed()
}

fn credentials() -> BoxedStrategy<Value> {
    let required = object([("id", bytes()), ("type", word(&["public-key", "later"]))]);
    array(both(required, members([("transports", array(text()))])))
}

fn requirement() -> BoxedStrategy<Value> {
    word(&["required", "preferred", "discouraged"])
}

fn extensions() -> BoxedStrategy<Value> {
    let values = || both(object([("first", bytes())]), members([("second", bytes())]));
    let record = prop::collection::vec((bytes(), values()), 0..3).prop_map(|entries| {
        let entries = entries.into_iter().map(|(key, value)| (key.as_str().unwrap().to_owned(), value));
        Value::Object(entries.collect())
    });
    members([
        ("appid", text()),
        ("credBlob", bytes()),
        ("credProps", flag()),
        ("hmacGetSecret", both(object([("salt1", bytes())]), members([("salt2", bytes())]))),
        ("largeBlob", members([("support", text()), ("read", flag()), ("write", bytes())])),
        ("prf", members([("eval", values()), ("evalByCredential", record.boxed())])),
    ])
}

fn creation() -> BoxedStrategy<Value> {
    let alg = any::<i32>().prop_map(Value::from).boxed();
    let required = object([
        ("rp", both(object([("name", text())]), members([("id", text())]))),
        ("user", both(object([("id", bytes())]), members([("name", text()), ("displayName", text())]))),
        ("challenge", bytes()),
        ("pubKeyCredParams", array(object([("type", text()), ("alg", alg)]))),
    ]);
    let selection = members([
        ("authenticatorAttachment", word(&["platform", "cross-platform"])),
        ("residentKey", requirement()),
        ("requireResidentKey", flag()),
        ("userVerification", requirement()),
    ]);
    let optional = members([
        ("timeout", any::<u32>().prop_map(Value::from).boxed()),
        ("excludeCredentials", credentials()),
        ("authenticatorSelection", selection),
        ("hints", array(text())),
        ("attestation", word(&["none", "indirect", "direct", "enterprise"])),
        ("attestationFormats", array(text())),
        ("extensions", extensions()),
    ]);
    both(required, optional)
}

fn request() -> BoxedStrategy<Value> {
    let optional = members([
        ("timeout", any::<u32>().prop_map(Value::from).boxed()),
        ("rpId", text()),
        ("allowCredentials", credentials()),
        ("userVerification", requirement()),
        ("hints", array(text())),
        ("extensions", extensions()),
    ]);
    both(object([("challenge", bytes())]), optional)
}

/// Adds members that count as absent to every object: unknown ones and, for missing members, `null`.
fn disguise(value: &mut Value, record: bool) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| disguise(item, false)),
        Value::Object(members) => {
            members.iter_mut().for_each(|(name, value)| disguise(value, name == "evalByCredential"));
            if !record {
                members.insert("\u{1}unknown".into(), json!([{"id": 1}, null, 1e3, "\u{10000}"]));
                for name in ["hints", "transports", "second", "displayName", "timeout", "read"] {
                    members.entry(name).or_insert(Value::Null);
                }
            }
        }
        _ => {}
    }
}

proptest! {
    #[test]
    fn creation_options_become_json_and_options_again(mut value in creation(), pretty: bool) {
        let text = value.to_string();
        let mut buffer = vec![0; text.len()];
        let options = CreationOptions::from_json(text.as_bytes(), &mut buffer).unwrap();
        let json = written(|buffer| options.to_json(buffer));
        prop_assert_eq!(&serde_json::from_str::<Value>(&json).unwrap(), &value);
        let mut again = vec![0; json.len()];
        prop_assert_eq!(CreationOptions::from_json(json.as_bytes(), &mut again), Ok(options));
        disguise(&mut value, false);
        let text = if pretty { serde_json::to_string_pretty(&value).unwrap() } else { value.to_string() };
        let mut again = vec![0; text.len()];
        prop_assert_eq!(CreationOptions::from_json(text.as_bytes(), &mut again), Ok(options));
    }

    #[test]
    fn request_options_become_json_and_options_again(mut value in request()) {
        let text = value.to_string();
        let mut buffer = vec![0; text.len()];
        let options = RequestOptions::from_json(text.as_bytes(), &mut buffer).unwrap();
        let json = written(|buffer| options.to_json(buffer));
        prop_assert_eq!(&serde_json::from_str::<Value>(&json).unwrap(), &value);
        disguise(&mut value, false);
        let text = value.to_string();
        let mut again = vec![0; text.len()];
        prop_assert_eq!(RequestOptions::from_json(text.as_bytes(), &mut again), Ok(options));
    }

    #[test]
    fn options_that_are_cut_or_changed_never_panic(value in creation(), at: prop::sample::Index, byte: u8) {
        let mut text = value.to_string().into_bytes();
        let at = at.index(text.len());
        let mut buffer = vec![0; text.len()];
        prop_assert!(CreationOptions::from_json(&text[..at], &mut buffer).is_err());
        text[at] = byte;
        if let Err(error) = CreationOptions::from_json(&text, &mut buffer) {
            prop_assert!(error.offset <= text.len());
        }
    }
}

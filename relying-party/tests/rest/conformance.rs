//! The requirements of the conformance tests for servers, for the formats that this server supports. Each valid
//! response is accepted, and each invalid one is refused for the right reason. The names are those of the public lists
//! of these requirements.

use keyfob_core::crypto::{Hash, RustCrypto};
use keyfob_relying_party::{
    client::Prover,
    server::{
        UserVerification,
        members::{decode, encode},
    },
};
use keyfob_soft_authenticator::devices::VIRTUAL_KEY_ROOT;
use serde_json::{Value, json};

use super::world::*;

fn remove(value: &mut Value, name: &str) {
    value.as_object_mut().unwrap().remove(name);
}

/// Changes a registration before it is sent, and returns the code word and the sentence of the refusal.
fn registration(change: impl FnOnce(&mut Value)) -> (String, String) {
    let world = World::new();
    let answer = world.browser().register_with(&mut key(), "alice", change);
    let (code, message) = answer.refusal();
    (code.into(), message.into())
}

/// Changes a sign-in before it is sent, and returns the code word and the sentence of the refusal.
fn sign_in(change: impl FnOnce(&mut Value)) -> (String, String) {
    let world = World::new();
    let mut key = key();
    world.browser().register(&mut key, "alice");
    let answer = world.browser().sign_in_with(&mut key, "alice", change);
    let (code, message) = answer.refusal();
    (code.into(), message.into())
}

#[test]
fn options_req_1_and_get_options_req_1_the_options_have_their_shape() {
    let world = World::new();
    let mut browser = world.browser();
    let body = json!({
        "username": "alice", "displayName": "Alice", "attestation": "none", "extensions": { "example.extension": true },
    });
    let options = browser.post("/attestation/options", &body).ok();
    assert_eq!(options["rp"], json!({ "id": "localhost", "name": "keyfob" }));
    assert_eq!((&options["user"]["name"], &options["user"]["displayName"]), (&json!("alice"), &json!("Alice")));
    assert!((1..=64).contains(&decode(options["user"]["id"].as_str().unwrap()).unwrap().len()));
    assert!((16..=64).contains(&decode(options["challenge"].as_str().unwrap()).unwrap().len()));
    assert!(options["pubKeyCredParams"].as_array().unwrap().iter().all(|params| params["type"] == "public-key"));
    assert!(options["timeout"].as_u64().unwrap() > 0);
    assert_eq!(options["extensions"], body["extensions"]);
    assert_eq!(options["attestation"], "none");
    assert_ne!(browser.registration_options("alice")["challenge"], options["challenge"]);

    let mut key = key();
    let registered = browser.register(&mut key, "alice");
    let body = json!({
        "username": "alice", "userVerification": "required", "extensions": { "example.extension": true },
    });
    let options = browser.post("/assertion/options", &body).ok();
    assert!((16..=64).contains(&decode(options["challenge"].as_str().unwrap()).unwrap().len()));
    assert_eq!(options["extensions"], body["extensions"]);
    assert_eq!((&options["rpId"], &options["userVerification"]), (&json!("localhost"), &json!("required")));
    assert_eq!(options["allowCredentials"].as_array().unwrap().len(), 1);
    assert_eq!(options["allowCredentials"][0]["id"], registered["credential"]["id"]);
    assert_ne!(browser.sign_in_options("alice")["challenge"], options["challenge"]);
}

#[test]
fn resp_1_p_1_a_second_registration_excludes_the_first() {
    let world = World::new();
    let mut browser = world.browser();
    assert_eq!(browser.registration_options("alice")["excludeCredentials"], json!([]));
    let registered = browser.register(&mut key(), "alice");
    let options = browser.registration_options("alice");
    assert_eq!(options["excludeCredentials"][0]["id"], registered["credential"]["id"]);
    assert_eq!(options["excludeCredentials"][0]["transports"], json!(["usb"]));
}

/// A change to a response before it is sent.
type Change = Box<dyn FnOnce(&mut Value)>;
/// A ceremony with a change, which returns the code word and the sentence of the refusal.
type Ceremony = fn(Change) -> (String, String);

/// Checks every member of the credential that must be base64url: missing, of another type, empty, not base64url.
fn check_text_members(ceremony: Ceremony, members: &[(&str, &'static str)]) {
    for &(parent, name) in members {
        let path = if parent.is_empty() { name.to_owned() } else { format!("{parent}.{name}") };
        let at = if parent.is_empty() { String::new() } else { format!("/{parent}") };
        for (value, code) in [
            (None, "missing"),
            (Some(json!(7)), "wrong-type"),
            (Some(json!([1, 2])), "wrong-type"),
            (Some(json!("")), "empty"),
            (Some(json!("a+b/")), "not-base64url"),
            (Some(json!("AAAA==")), "not-base64url"),
        ] {
            let at = at.clone();
            let (refused, message) = ceremony(Box::new(move |credential| {
                let parent = credential.pointer_mut(&at).unwrap();
                match value {
                    None => remove(parent, name),
                    Some(value) => parent[name] = value,
                }
            }));
            assert_eq!(refused, code, "{path}");
            assert!(message.starts_with(&path), "{message}");
        }
    }
}

#[test]
fn resp_1_members_that_are_missing_or_of_another_type_are_named() {
    check_text_members(
        |change| registration(change),
        &[("", "id"), ("response", "clientDataJSON"), ("response", "attestationObject")],
    );
}

#[test]
fn assertion_resp_1_members_that_are_missing_or_of_another_type_are_named() {
    check_text_members(
        |change| sign_in(change),
        &[("", "id"), ("response", "clientDataJSON"), ("response", "authenticatorData"), ("response", "signature")],
    );
    assert_eq!(sign_in(|credential| credential["response"]["userHandle"] = json!(1)).0, "wrong-type");
}

#[test]
fn resp_1_type_and_response_are_what_they_must_be() {
    for ceremony in [|change: fn(&mut Value)| registration(change), |change: fn(&mut Value)| sign_in(change)] {
        assert_eq!(ceremony(|credential| remove(credential, "type")), ("missing".into(), "type is missing".into()));
        assert_eq!(ceremony(|credential| credential["type"] = json!(1)).0, "wrong-type");
        assert_eq!(ceremony(|credential| credential["type"] = json!("password")).0, "wrong-value");
        assert_eq!(ceremony(|credential| remove(credential, "response")).1, "response is missing");
        assert_eq!(ceremony(|credential| credential["response"] = json!("text")).1, "response is not an object");
        assert_eq!(ceremony(|credential| credential["rawId"] = json!("AAAA")).0, "wrong-value");
    }
}

#[test]
fn resp_1_f_15_user_verification_is_checked_where_it_was_required() {
    let world = World::new();
    let mut browser = world.browser();
    let mut forge = Forge::new(1);
    let body = json!({ "username": "alice", "authenticatorSelection": { "userVerification": "required" } });
    let options = browser.post("/attestation/options", &body).ok();
    assert_eq!(browser.post("/attestation/result", &forge.create(&options)).code(), "user-verification");
    let options = browser.post("/attestation/options", &body).ok();
    forge.flags = UP | UV;
    browser.post("/attestation/result", &forge.create(&options)).ok();
    // Assertion Resp-3: F-5, and P-2 to P-6.
    for (wish, flags, accepted) in [
        ("required", UP, false),
        ("required", UP | UV, true),
        ("preferred", UP, true),
        ("preferred", UP | UV, true),
        ("discouraged", UP, true),
        ("discouraged", UP | UV, true),
    ] {
        let body = json!({ "username": "alice", "userVerification": wish });
        let options = browser.post("/assertion/options", &body).ok();
        (forge.flags, forge.count) = (flags, forge.count + 1);
        let answer = browser.post("/assertion/result", &forge.get(&options, None));
        if accepted { drop(answer.ok()) } else { assert_eq!(answer.code(), "user-verification") }
    }
}

#[test]
fn requests_can_ask_for_more_user_verification_than_the_server_not_for_less() {
    for (least, asked, expected) in [
        (UserVerification::Required, "discouraged", "required"),
        (UserVerification::Preferred, "discouraged", "preferred"),
        (UserVerification::Preferred, "required", "required"),
        (UserVerification::Discouraged, "discouraged", "discouraged"),
    ] {
        let mut options = options();
        options.user_verification = least;
        let world = World::with(options);
        let mut browser = world.browser();
        let mut forge = Forge::new(1);
        forge.flags = UP | UV;
        let nested = json!({ "userVerification": asked });
        let body = json!({ "username": "alice", "userVerification": asked, "authenticatorSelection": nested });
        let options = browser.post("/attestation/options", &body).ok();
        assert_eq!(options["authenticatorSelection"]["userVerification"], expected);
        browser.post("/attestation/result", &forge.create(&options)).ok();
        let body = json!({ "username": "alice", "userVerification": asked });
        let options = browser.post("/assertion/options", &body).ok();
        assert_eq!(options["userVerification"], expected);
        // What the options said counts, whatever the client makes of it.
        (forge.flags, forge.count) = (UP, 9);
        let answer = browser.post("/assertion/result", &forge.get(&options, None));
        if expected == "required" { assert_eq!(answer.code(), "user-verification") } else { drop(answer.ok()) }
    }
}

#[test]
fn resp_2_client_data_is_of_this_ceremony() {
    let create: Ceremony = |change| registration(|credential| edit_client_data(credential, change));
    let get: Ceremony = |change| sign_in(|credential| edit_client_data(credential, change));
    for (ceremony, own, other) in
        [(create, "webauthn.create", "webauthn.get"), (get, "webauthn.get", "webauthn.create")]
    {
        for name in ["type", "challenge", "origin"] {
            assert_eq!(ceremony(Box::new(move |data| remove(data, name))).0, "client-data", "{name}");
            assert_eq!(ceremony(Box::new(move |data| data[name] = json!(1))).0, "client-data", "{name}");
            assert_eq!(ceremony(Box::new(move |data| data[name] = json!(""))).0, name, "{name}");
        }
        for kind in [other.to_owned(), format!("{own} "), own.to_uppercase()] {
            assert_eq!(ceremony(Box::new(move |data| data["type"] = json!(kind))).0, "type");
        }
        for challenge in ["not base64url!", "AAAAAAAAAAAAAAAAAAAAAA"] {
            assert_eq!(ceremony(Box::new(move |data| data["challenge"] = json!(challenge))).0, "challenge");
        }
        for origin in ["http://localhost:8081", "https://localhost:8080", "http://evil-localhost:8080", "localhost"] {
            assert_eq!(ceremony(Box::new(move |data| data["origin"] = json!(origin))).0, "origin");
        }
        for binding in [json!("text"), json!({}), json!({ "status": "maybe" })] {
            assert_eq!(ceremony(Box::new(move |data| data["tokenBinding"] = binding)).0, "token-binding");
        }
        assert_eq!(ceremony(Box::new(|data| data["crossOrigin"] = json!(true))).0, "cross-origin");
        assert_eq!(ceremony(Box::new(|data| data["topOrigin"] = json!("https://example.com"))).0, "cross-origin");
    }
}

/// A registration by the forge with this format, statement and authenticator data.
fn forged(format: &str, auth_data: &[u8], statement: impl FnOnce(&[u8; 32]) -> Vec<u8>) -> Answer {
    let world = World::new();
    let mut browser = world.browser();
    let options = browser.registration_options("alice");
    browser.post("/attestation/result", &Forge::new(1).create_with(&options, format, auth_data, statement))
}

/// The statement {"alg": …, "sig": …} of the format packed; members that are empty are left out.
fn packed(alg: &[u8], sig: &[u8]) -> Vec<u8> {
    let members = [(&b"\x63alg"[..], alg), (b"\x63sig", sig)];
    let there: Vec<_> = members.iter().filter(|(_, value)| !value.is_empty()).collect();
    let mut bytes = vec![0xA0 | u8::try_from(there.len()).unwrap()];
    there.iter().for_each(|(name, value)| bytes.extend([*name, *value].concat()));
    bytes
}

fn byte_string(bytes: &[u8]) -> Vec<u8> {
    [&[0x58, u8::try_from(bytes.len()).unwrap()], bytes].concat()
}

#[test]
fn resp_3_the_attestation_object_has_its_form() {
    let object = |object: &[u8]| {
        let text = encode(object);
        registration(move |credential| credential["response"]["attestationObject"] = text.into()).0
    };
    // F-1 to F-8: not a map; fmt, attStmt or authData missing or of another type.
    for bytes in [
        &b"\x01"[..],
        b"\x80",
        b"\xa0",
        b"\xa2\x67attStmt\xa0\x68authData\x41\x00",
        b"\xa3\x63fmt\x01\x67attStmt\xa0\x68authData\x41\x00",
        b"\xa2\x63fmt\x64none\x68authData\x41\x00",
        b"\xa3\x63fmt\x64none\x67attStmt\x01\x68authData\x41\x00",
        b"\xa2\x63fmt\x64none\x67attStmt\xa0",
        b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x01",
        b"\xa3\x63fmt\x64none\x63fmt\x64none\x67attStmt\xa0",
    ] {
        assert_eq!(object(bytes), "attestation-object", "{bytes:02x?}");
    }
    assert_eq!(object(b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x40"), "authenticator-data");
    // F-9 to F-12: flags that contradict the data.
    let forge = Forge::new(1);
    let valid = forge.auth_data("localhost", true);
    let none = |auth_data: &[u8]| forged("none", auth_data, |_| vec![0xA0]);
    none(&valid).ok();
    let mut without_at = valid.clone();
    without_at[32] = UP;
    assert_eq!(none(&without_at).code(), "authenticator-data");
    assert_eq!(none(&without_at[..37]).code(), "no-credential-data");
    assert_eq!(none(&valid[..37]).code(), "authenticator-data");
    assert_eq!(none(&[&valid[..], &[0]].concat()).code(), "authenticator-data");
    // P-1: extension data.
    let mut extended = [&valid[..], b"\xa1\x67example\xf5"].concat();
    extended[32] |= 0x80;
    none(&extended).ok();
}

#[test]
fn resp_3_resp_4_and_resp_6_a_packed_statement_has_its_form_and_the_keys_signature() {
    let forge = Forge::new(1);
    let auth_data = forge.auth_data("localhost", true);
    let signed = |hash: &[u8; 32]| byte_string(&forge.sign(&[&auth_data, hash]));
    let es256: &[u8] = b"\x26";
    let accepted = forged("packed", &auth_data, |hash| packed(es256, &signed(hash))).ok();
    assert_eq!(accepted["credential"]["attestation"], json!({ "format": "packed", "type": "self" }));
    // Resp-3 F-13 to F-19.
    let refused = |statement: &dyn Fn(&[u8; 32]) -> Vec<u8>| forged("packed", &auth_data, statement).code().to_owned();
    assert_eq!(refused(&|_| vec![0xA0]), "statement");
    assert_eq!(refused(&|hash| packed(&[], &signed(hash))), "statement");
    assert_eq!(refused(&|hash| packed(b"\x61x", &signed(hash))), "statement");
    assert_eq!(refused(&|hash| packed(b"\x27", &signed(hash))), "attestation-algorithm");
    assert_eq!(refused(&|_| packed(es256, &[])), "statement");
    assert_eq!(refused(&|_| packed(es256, b"\x01")), "statement");
    assert_eq!(refused(&|_| packed(es256, b"\x40")), "signature");
    // Resp-6 F-1: a signature over something else, and one of another key.
    assert_eq!(refused(&|_| packed(es256, &signed(&[0; 32]))), "signature");
    let other = Forge::new(2);
    assert_eq!(refused(&|hash| packed(es256, &byte_string(&other.sign(&[&auth_data, hash])))), "signature");
    // Resp-5 F-1, Resp-6 F-3.
    assert_eq!(forged("BananaPancake", &auth_data, |_| vec![0xA0]).code(), "format");
    assert_eq!(forged("Packed", &auth_data, |_| vec![0xA0]).code(), "format");
}

#[test]
fn resp_5_certificates_are_a_list_with_at_least_one() {
    let forge = Forge::new(1);
    let auth_data = forge.auth_data("localhost", true);
    let with_x5c = |x5c: &[u8]| {
        let answer = forged("packed", &auth_data, |hash| {
            let mut statement = packed(b"\x26", &byte_string(&forge.sign(&[&auth_data, hash])));
            statement[0] = 0xA3;
            statement.extend(b"\x63x5c");
            statement.extend(x5c);
            statement
        });
        answer.code().to_owned()
    };
    assert_eq!(with_x5c(b"\x01"), "statement");
    assert_eq!(with_x5c(b"\xa0"), "statement");
    assert_eq!(with_x5c(b"\x80"), "certificate");
    assert_eq!(with_x5c(b"\x81\x43\x30\x01\x00"), "certificate");
}

#[test]
fn resp_5_p_1_a_certified_registration_is_accepted() {
    let world = World::new();
    let mut browser = world.browser();
    let body = json!({ "username": "alice", "attestation": "direct" });
    let options = browser.post("/attestation/options", &body).ok();
    let credential = certified_key().create(ORIGIN, &options).unwrap();
    let registered = browser.post("/attestation/result", &credential).ok();
    assert_eq!(registered["credential"]["attestation"], json!({ "format": "packed", "type": "certificate" }));
    assert_ne!(registered["credential"]["aaguid"], "00000000-0000-0000-0000-000000000000");
}

#[test]
fn resp_5_certificates_lead_to_a_root_that_is_trusted_where_one_is_asked_for() {
    let register = |roots: &[&[u8]], accept_none: bool, key: &mut Key, attestation: &str| {
        let mut options = options();
        options.attestation_roots = roots.iter().map(|root| root.to_vec()).collect();
        (options.policy.accept_none, options.policy.accept_self) = (accept_none, accept_none);
        let world = World::with(options);
        world.advance(1_795_303_612); // in 2026, when the certificates are valid
        let mut browser = world.browser();
        let body = json!({ "username": "alice", "attestation": attestation });
        let options = browser.post("/attestation/options", &body).ok();
        let credential = key.create(ORIGIN, &options).unwrap();
        browser.post("/attestation/result", &credential)
    };
    let leaf = u2f_certificate();
    let trusted = register(&[VIRTUAL_KEY_ROOT], false, &mut certified_key(), "direct").ok(); // P-2
    assert_eq!(trusted["credential"]["attestation"], json!({ "format": "packed", "type": "trusted" }));
    register(&[&leaf], false, &mut certified_key(), "direct").ok(); // P-3
    let refused = register(&[b"another"], false, &mut certified_key(), "direct");
    assert_eq!(refused.code(), "certificate-chain"); // F-9
    register(&[b"another"], true, &mut certified_key(), "none").ok();
    // Where one is required, it is asked for, whatever the request says.
    assert_eq!(register(&[], false, &mut certified_key(), "none").code(), "certificate-chain");
    register(&[VIRTUAL_KEY_ROOT], false, &mut certified_key(), "none").ok();
    assert_eq!(register(&[], false, &mut key(), "direct").code(), "attestation-not-accepted");
}

#[test]
fn resp_7_an_attestation_of_the_format_none_is_empty_and_one_not_asked_for_is_accepted() {
    let forge = Forge::new(1);
    let auth_data = forge.auth_data("localhost", true);
    assert_eq!(forged("none", &auth_data, |_| packed(b"\x26", b"\x40")).code(), "statement-not-empty");
    forged("packed", &auth_data, |hash| packed(b"\x26", &byte_string(&forge.sign(&[&auth_data, hash])))).ok();
}

#[test]
fn resp_8_a_u2f_registration_has_one_certificate_and_no_aaguid() {
    let world = World::new();
    let mut browser = world.browser();
    let options = browser.registration_options("alice");
    let certificate = u2f_certificate();
    let register = |browser: &mut Browser<'_>, options: &Value, aaguid: u8, signed: &[u8]| {
        let forge = Forge::new(1);
        let mut auth_data = forge.auth_data("localhost", true);
        auth_data[37..53].fill(aaguid);
        let credential = forge.create_with(options, "fido-u2f", &auth_data, |hash| {
            let point = &forge.public_key()[10..];
            let (x, y) = (&point[..32], &point[35..]);
            let signature = u2f_sign(&[&[0], &auth_data[..32], hash, &forge.id, signed, x, y]);
            let mut statement = [&b"\xa2\x63sig"[..], &byte_string(&signature), b"\x63x5c\x81\x59"].concat();
            statement.extend(u16::try_from(certificate.len()).unwrap().to_be_bytes());
            statement.extend(&certificate);
            statement
        });
        browser.post("/attestation/result", &credential)
    };
    assert_eq!(register(&mut browser, &options, 1, &[4]).code(), "aaguid-not-zero"); // F-1
    let options = browser.registration_options("alice");
    assert_eq!(register(&mut browser, &options, 0, &[5]).code(), "signature"); // F-2
    let options = browser.registration_options("alice");
    let registered = register(&mut browser, &options, 0, &[4]).ok(); // P-1
    assert_eq!(registered["credential"]["attestation"], json!({ "format": "fido-u2f", "type": "certificate" }));
}

#[test]
fn assertion_resp_1_f_20_and_resp_3_what_was_signed_is_what_was_sent() {
    let world = World::new();
    let mut browser = world.browser();
    let mut forge = Forge::new(1);
    let options = browser.registration_options("alice");
    browser.post("/attestation/result", &forge.create(&options)).ok();
    let mut attempt = |forge: &Forge, change: &dyn Fn(&mut Value)| {
        let options = browser.sign_in_options("alice");
        let mut credential = forge.get(&options, None);
        change(&mut credential);
        let answer = browser.post("/assertion/result", &credential);
        if answer.status.is_success() { "ok".to_owned() } else { answer.code().to_owned() }
    };
    forge.count = 2;
    assert_eq!(attempt(&forge, &|credential| credential["response"]["signature"] = json!("AAAA")), "signature");
    assert_eq!(attempt(&Forge { id: forge.id.clone(), count: 2, ..Forge::new(9) }, &|_| ()), "signature");
    // Resp-3 F-1 to F-3.
    let bytes = |bytes: Vec<u8>| json!(encode(&bytes));
    let longer = bytes([forge.auth_data("localhost", false), vec![0]].concat());
    assert_eq!(
        attempt(&forge, &|credential| credential["response"]["authenticatorData"] = longer.clone()),
        "authenticator-data"
    );
    let foreign = bytes(forge.auth_data("example.com", false));
    assert_eq!(
        attempt(&forge, &|credential| credential["response"]["authenticatorData"] = foreign.clone()),
        "rp-id-hash"
    );
    let unsigned = |credential: &mut Value| edit_client_data(credential, |data| data["more"] = json!(1));
    assert_eq!(attempt(&forge, &unsigned), "signature");
    forge.flags = UV;
    assert_eq!(attempt(&forge, &|_| ()), "user-presence");
    forge.flags = UP | BS;
    assert_eq!(attempt(&forge, &|_| ()), "backup-state");
    forge.flags = UP | BE;
    assert_eq!(attempt(&forge, &|_| ()), "backup-eligibility");
    forge.flags = UP;
    assert_eq!(attempt(&forge, &|_| ()), "ok");
    // F-4: the counter did not increase.
    for count in [2, 1, 0] {
        forge.count = count;
        assert_eq!(attempt(&forge, &|_| ()), "sign-count");
    }
    forge.count = 3;
    assert_eq!(attempt(&forge, &|_| ()), "ok");
}

#[test]
fn assertion_resp_3_p_1_a_counter_that_stays_zero_is_accepted() {
    let world = World::new();
    let mut browser = world.browser();
    let mut forge = Forge::new(1);
    forge.count = 0;
    let options = browser.registration_options("alice");
    browser.post("/attestation/result", &forge.create(&options)).ok();
    for _ in 0..2 {
        let options = browser.sign_in_options("alice");
        browser.post("/assertion/result", &forge.get(&options, None)).ok();
    }
}

#[test]
fn assertion_resp_3_p_7_extension_data_is_accepted_where_its_flag_is_set() {
    let world = World::new();
    let mut browser = world.browser();
    let forge = Forge::new(1);
    let options = browser.registration_options("alice");
    browser.post("/attestation/result", &forge.create(&options)).ok();
    for (flags, count, code) in [(UP | ED, 2, None), (UP, 3, Some("authenticator-data"))] {
        let forge = Forge { flags, count, ..Forge::new(1) };
        let options = browser.sign_in_options("alice");
        let mut credential = forge.get(&options, None);
        let auth_data = [&forge.auth_data("localhost", false)[..], b"\xa1\x67example\xf5"].concat();
        let hash = RustCrypto.sha256(&[&client_data("webauthn.get", &options)]);
        credential["response"]["signature"] = encode(&forge.sign(&[&auth_data, &hash])).into();
        credential["response"]["authenticatorData"] = encode(&auth_data).into();
        let answer = browser.post("/assertion/result", &credential);
        match code {
            None => drop(answer.ok()),
            Some(code) => assert_eq!(answer.code(), code),
        }
    }
}

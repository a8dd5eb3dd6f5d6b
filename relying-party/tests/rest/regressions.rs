//! Vulnerabilities of other relying parties, which this server must not have.

use std::thread;

use axum::http::Method;
use keyfob_core::cose::Algorithm;
use keyfob_relying_party::{
    client::Prover,
    server::{ServerOptions, members::encode},
};
use serde_json::json;

use super::world::*;

/// Two people, each with a key.
fn alice_and_bob(world: &World) -> (Forge, Forge) {
    let (alice, bob) = (Forge::new(1), Forge::new(2));
    for (name, forge) in [("alice", &alice), ("bob", &bob)] {
        let mut browser = world.browser();
        let options = browser.registration_options(name);
        browser.post("/attestation/result", &forge.create(&options)).ok();
    }
    (Forge { count: 2, ..alice }, Forge { count: 2, ..bob })
}

#[test]
fn a_key_of_bob_does_not_sign_in_as_alice() {
    let world = World::new();
    let (_, bob) = alice_and_bob(&world);
    let mut browser = world.browser();
    let handle = {
        let mut browser = world.browser();
        browser.cookie = None;
        browser.registration_options("carol")["user"]["id"].as_str().unwrap().to_owned()
    };
    for handle in [None, Some(handle.as_str())] {
        let options = browser.sign_in_options("alice");
        let refused = browser.post("/assertion/result", &bob.get(&options, handle));
        assert_eq!(refused.code(), "credential-id");
    }
    // Without a name, the handle must name the owner.
    let options = browser.post("/assertion/options", &json!({})).ok();
    assert_eq!(browser.post("/assertion/result", &bob.get(&options, Some(&handle))).code(), "user-handle");
    assert_eq!(browser.get("/account").code(), "signed-out");
}

#[test]
fn a_credential_is_registered_once_for_all_users() {
    let world = World::new();
    alice_and_bob(&world);
    let mut mallory = world.browser();
    let options = mallory.registration_options("mallory");
    assert_eq!(mallory.post("/attestation/result", &Forge::new(1).create(&options)).code(), "credential-exists");
    // The account was not created either.
    assert_eq!(mallory.post("/assertion/options", &json!({ "username": "mallory" })).code(), "no-account");
}

#[test]
fn a_stranger_adds_no_key_to_an_account() {
    let world = World::new();
    // A registration that was begun before the account existed must not add to it.
    let mut early = world.browser();
    let begun = early.registration_options("alice");
    alice_and_bob(&world);
    assert_eq!(early.post("/attestation/result", &Forge::new(3).create(&begun)).code(), "account-exists");
    let refused = world.browser().post("/attestation/options", &json!({ "username": "alice" }));
    assert_eq!(refused.code(), "account-exists");
    // Bob, who is signed in, may not add a key to alice's account.
    let mut bob = world.browser();
    let options = bob.sign_in_options("bob");
    bob.post("/assertion/result", &Forge { count: 2, ..Forge::new(2) }.get(&options, None)).ok();
    assert_eq!(bob.post("/attestation/options", &json!({ "username": "alice" })).code(), "account-exists");
    // The server for the conformance tests allows it.
    let open = World::with(ServerOptions { open_registration: true, ..options_of_tests() });
    alice_and_bob(&open);
    let mut anyone = open.browser();
    let options = anyone.registration_options("alice");
    anyone.post("/attestation/result", &Forge::new(3).create(&options)).ok();
}

fn options_of_tests() -> ServerOptions {
    options()
}

#[test]
fn a_challenge_is_used_once() {
    let world = World::new();
    let mut browser = world.browser();
    let mut key = key();
    let options = browser.registration_options("alice");
    let credential = key.create(ORIGIN, &options).unwrap();
    let cookie = browser.cookie.clone();
    browser.post("/attestation/result", &credential).ok();
    browser.cookie.clone_from(&cookie);
    assert_eq!(browser.post("/attestation/result", &credential).code(), "session-expired");
    browser.cookie = None;
    let options = browser.sign_in_options("alice");
    let assertion = key.get(ORIGIN, &options).unwrap();
    let cookie = browser.cookie.clone();
    browser.post("/assertion/result", &assertion).ok();
    browser.cookie = cookie;
    assert_eq!(browser.post("/assertion/result", &assertion).code(), "session-expired");
}

#[test]
fn a_challenge_is_used_up_by_a_failure_of_any_kind() {
    let world = World::new();
    let mut key = key();
    for body in [json!({}), json!({ "id": "AAAA" }), json!([])] {
        let mut browser = world.browser();
        let options = browser.registration_options("alice");
        let credential = key.create(ORIGIN, &options).unwrap();
        browser.post("/attestation/result", &body).refusal();
        assert_eq!(browser.post("/attestation/result", &credential).code(), "session-expired");
    }
}

#[test]
fn a_challenge_is_bound_to_its_session_its_ceremony_and_its_time() {
    let world = World::new();
    let mut key = key();
    let mut browser = world.browser();
    browser.register(&mut key, "alice");
    // The ceremony of another session.
    let (mut one, mut two) = (world.browser(), world.browser());
    let options = one.sign_in_options("alice");
    two.sign_in_options("alice");
    let assertion = key.get(ORIGIN, &options).unwrap();
    assert_eq!(two.post("/assertion/result", &assertion).code(), "challenge");
    assert_eq!(world.browser().post("/assertion/result", &assertion).code(), "session-expired");
    one.post("/assertion/result", &assertion).ok();
    // The challenge of a ceremony of another kind.
    let mut browser = world.browser();
    let options = browser.registration_options("bob");
    let mut get = options.clone();
    get["rpId"] = "localhost".into();
    let assertion = Forge::new(1).get(&get, None);
    assert_eq!(browser.post("/assertion/result", &assertion).code(), "session-expired");
    // An expired ceremony.
    let mut browser = world.browser();
    let options = browser.registration_options("erin");
    world.advance(300);
    assert_eq!(browser.post("/attestation/result", &Forge::new(8).create(&options)).code(), "session-expired");
}

#[test]
fn of_many_answers_to_one_challenge_at_once_one_is_accepted() {
    let world = World::new();
    let mut browser = world.browser();
    let forge = Forge::new(1);
    let options = browser.registration_options("alice");
    browser.post("/attestation/result", &forge.create(&options)).ok();
    let mut browser = world.browser();
    let options = browser.sign_in_options("alice");
    let assertion = Forge { count: 2, ..forge }.get(&options, None);
    let cookie = browser.cookie.clone();
    let accepted = thread::scope(|scope| {
        let attempts: Vec<_> = (0..8)
            .map(|_| {
                let (world, assertion, cookie) = (&world, &assertion, cookie.clone());
                scope.spawn(move || {
                    let mut browser = world.browser();
                    browser.cookie = cookie;
                    browser.post("/assertion/result", assertion).status.is_success()
                })
            })
            .collect();
        attempts.into_iter().map(|attempt| usize::from(attempt.join().unwrap())).sum::<usize>()
    });
    assert_eq!(accepted, 1);
}

#[test]
fn a_key_of_an_algorithm_or_attachment_not_asked_for_is_refused() {
    let world = World::new();
    let mut browser = world.browser();
    let body = json!({ "username": "alice", "algorithms": ["eddsa"] });
    let options = browser.post("/attestation/options", &body).ok();
    assert_eq!(browser.post("/attestation/result", &Forge::new(1).create(&options)).code(), "algorithm");
    let options = browser.registration_options("alice");
    let esp256 = Forge { algorithm: Algorithm::ESP256, ..Forge::new(1) };
    assert_eq!(browser.post("/attestation/result", &esp256.create(&options)).code(), "algorithm");
    let body = json!({ "username": "alice", "authenticatorSelection": { "authenticatorAttachment": "platform" } });
    let options = browser.post("/attestation/options", &body).ok();
    let mut credential = Forge::new(1).create(&options);
    credential["authenticatorAttachment"] = "cross-platform".into();
    assert_eq!(browser.post("/attestation/result", &credential).code(), "attachment");
}

#[test]
fn signatures_of_zeros_are_refused() {
    let world = World::new();
    let (alice, _) = alice_and_bob(&world);
    let mut browser = world.browser();
    for signature in ["MAYCAQACAQA", "MAA", "AA"] {
        let options = browser.sign_in_options("alice");
        let mut assertion = alice.get(&options, None);
        assertion["response"]["signature"] = signature.into();
        assert_eq!(browser.post("/assertion/result", &assertion).code(), "signature");
    }
}

#[test]
fn whether_a_name_has_an_account_can_be_hidden() {
    let world = World::with(ServerOptions { hide_accounts: true, ..options() });
    alice_and_bob(&world);
    let first = world.browser().sign_in_options("nobody");
    let second = world.browser().sign_in_options("nobody");
    assert_eq!(first["allowCredentials"], second["allowCredentials"]);
    assert_eq!(first["allowCredentials"].as_array().unwrap().len(), 1);
    assert_ne!(first["allowCredentials"], world.browser().sign_in_options("no one")["allowCredentials"]);
    let mut browser = world.browser();
    let options = browser.sign_in_options("nobody");
    assert_eq!(browser.post("/assertion/result", &Forge::new(9).get(&options, None)).code(), "unknown-credential");
}

#[test]
fn a_page_of_another_origin_does_nothing_with_the_account() {
    let world = World::new();
    let mut browser = world.browser();
    browser.register(&mut key(), "alice");
    let request = axum::http::Request::builder()
        .method(Method::POST)
        .uri("/account/sign-out")
        .header("origin", "http://localhost:9999")
        .header("cookie", browser.cookie.clone().unwrap())
        .body(axum::body::Body::empty())
        .unwrap();
    assert_eq!(world.send(request).code(), "foreign-origin");
    browser.get("/account").ok();
}

#[test]
fn a_session_that_was_named_before_is_not_the_one_that_is_signed_in() {
    let world = World::new();
    let mut browser = world.browser();
    let mut key = key();
    browser.register(&mut key, "alice");
    // A cookie that an attacker has set.
    let mut victim = world.browser();
    victim.cookie = Some("keyfob_session=AAAAAAAAAAAAAAAAAAAAAA".into());
    victim.sign_in(&mut key, "alice");
    let mut attacker = world.browser();
    attacker.cookie = Some("keyfob_session=AAAAAAAAAAAAAAAAAAAAAA".into());
    assert_eq!(attacker.get("/account").code(), "signed-out");
    victim.get("/account").ok();
}

#[test]
fn a_key_that_is_no_point_of_its_curve_is_refused() {
    let world = World::new();
    let forge = Forge::new(1);
    let auth_data = forge.auth_data("localhost", true);
    let statement = |hash: &[u8; 32]| {
        let signature = forge.sign(&[&auth_data, hash]);
        [&b"\xa2\x63alg\x26\x63sig\x58"[..], &[u8::try_from(signature.len()).unwrap()], &signature].concat()
    };
    let register = |auth_data: &[u8], format: &str| {
        let mut browser = world.browser();
        let options = browser.registration_options("alice");
        let credential = forge.create_with(&options, format, auth_data, |hash| match format {
            "none" => vec![0xA0],
            _ => statement(hash),
        });
        browser.post("/attestation/result", &credential).code().to_owned()
    };
    // The COSE key: kty 2, alg -7, crv 1, x and y, each after its two-byte head.
    let key = auth_data.len() - forge.public_key().len();
    let mut elsewhere = auth_data.clone();
    *elsewhere.last_mut().unwrap() ^= 1;
    let mut other_curve = auth_data.clone();
    assert_eq!(other_curve[key + 5..key + 7], [0x20, 0x01]);
    other_curve[key + 6] = 2;
    let compressed = [&auth_data[..key + 42], &[0x22, 0xF5]].concat();
    assert_eq!(auth_data[key + 42], 0x22);
    for (what, auth_data, code) in [
        ("another point", elsewhere, "credential-key"),
        ("another curve", other_curve, "credential-key"),
        ("compressed", compressed, "authenticator-data"),
    ] {
        for format in ["none", "packed"] {
            assert_eq!(register(&auth_data, format), code, "{what}, {format}");
        }
    }
}

#[test]
fn client_data_as_devices_write_it_is_read_and_what_nests_without_end_is_refused() {
    let world = World::new();
    let forge = Forge::new(1);
    let register = |client_data: &dyn Fn(&str) -> Vec<u8>| {
        let mut browser = world.browser();
        let options = browser.registration_options("alice");
        let mut credential = forge.create(&options);
        let client_data = client_data(options["challenge"].as_str().unwrap());
        credential["response"]["clientDataJSON"] = encode(&client_data).into();
        browser.post("/attestation/result", &credential)
    };
    let deep = |challenge: &str| {
        let (open, close) = ("[".repeat(20_000), "]".repeat(20_000));
        format!(r#"{{"type":"webauthn.create","challenge":"{challenge}","origin":"{ORIGIN}","x":{open}{close}}}"#)
            .into_bytes()
    };
    assert_eq!(register(&deep).code(), "client-data");
    let twice = |challenge: &str| {
        format!(r#"{{"type":"webauthn.get","type":"webauthn.create","challenge":"{challenge}","origin":"{ORIGIN}"}}"#)
            .into_bytes()
    };
    assert_ne!(register(&twice).status, 500);
    // A byte order mark and escaped slashes.
    let escaped = ORIGIN.replace('/', "\\/");
    register(&|challenge| {
        format!("\u{feff}{{\"challenge\":\"{challenge}\",\"origin\":\"{escaped}\",\"type\":\"webauthn.create\"}}")
            .into_bytes()
    })
    .ok();
    // The body itself.
    let body = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
    let request = axum::http::Request::builder()
        .method(Method::POST)
        .uri("/attestation/options")
        .header("content-type", "application/json")
        .body(axum::body::Body::from(body))
        .unwrap();
    assert_eq!(world.send(request).status, 400);
}

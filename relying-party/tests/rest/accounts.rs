//! Registering, signing in, and managing the signed-in user's keys.

use keyfob_core::cose::Algorithm;
use keyfob_relying_party::client::Prover;
use serde_json::{Value, json};

use super::{
    rsa::{RSA, RsaForge},
    world::*,
};

#[test]
fn a_key_registers_and_signs_in_under_every_name_of_the_paths() {
    let world = World::new();
    let paths = [
        ["/attestation/options", "/attestation/result", "/assertion/options", "/assertion/result"],
        [
            "/fidoapi/certify/attestation/options",
            "/fidoapi/certify/attestation/result",
            "/fidoapi/certify/assertion/options",
            "/fidoapi/certify/assertion/result",
        ],
        [
            "/fidoapi/register/begin",
            "/fidoapi/register/complete",
            "/fidoapi/authenticate/begin",
            "/fidoapi/authenticate/complete",
        ],
    ];
    for (index, [register, registered, sign_in, signed_in]) in paths.into_iter().enumerate() {
        let (mut browser, mut key) = (world.browser(), key());
        let who = json!({ "username": format!("user {index}"), "rpId": "localhost" });
        let options = browser.post(register, &who).ok();
        let credential = key.create(ORIGIN, &options).unwrap();
        browser.post(registered, &credential).ok();
        let options = browser.post(sign_in, &who).ok();
        let credential = key.get(ORIGIN, &options).unwrap();
        let answer = browser.post(signed_in, &credential).ok();
        assert_eq!(answer["username"], format!("user {index}"));
        assert_eq!(answer["credential"]["flags"]["userPresent"], true);
    }
}

#[test]
fn a_key_of_every_algorithm_that_may_be_asked_for_registers_and_signs_in() {
    let names = ["es256", "eddsa", "es384", "es512", "es256k", "ml-dsa-44", "ml-dsa-65", "ml-dsa-87"];
    let world = World::new();
    let (mut key, mut browser) = (key(), world.browser());
    for name in names {
        let body = json!({ "username": name, "algorithms": [name], "attestation": "direct" });
        let options = browser.post("/attestation/options", &body).ok();
        let credential = key.create(ORIGIN, &options).unwrap();
        let registered = browser.post("/attestation/result", &credential).ok();
        assert_eq!(registered["credential"]["algorithm"].as_str().unwrap().to_lowercase(), name);
        assert_eq!(registered["credential"]["attestation"]["type"], "self");
        browser.sign_in(&mut key, name);
        browser.post("/account/sign-out", &json!({})).ok();
    }
    for (name, signs) in RSA {
        let forge = RsaForge::new(signs);
        let options = browser.post("/attestation/options", &json!({ "username": name, "algorithms": [name] })).ok();
        let registered = browser.post("/attestation/result", &forge.create(&options)).ok();
        assert_eq!(registered["credential"]["algorithm"].as_str().unwrap().to_lowercase(), name);
        assert_eq!(registered["credential"]["attestation"], json!({ "format": "packed", "type": "self" }));
        let options = browser.sign_in_options(name);
        browser.post("/assertion/result", &forge.get(&options)).ok();
        let options = browser.sign_in_options(name);
        let other = RsaForge::new(signs);
        assert_eq!(browser.post("/assertion/result", &other.get(&options)).code(), "signature");
        browser.post("/account/sign-out", &json!({})).ok();
    }
    for name in ["rs1", "es257", ""] {
        let refused = browser.post("/attestation/options", &json!({ "username": "alice", "algorithms": [name] }));
        assert_eq!(refused.code(), "wrong-value", "{name}");
    }
}

#[test]
fn fully_specified_algorithms_are_asked_for_by_name_and_kept_apart_from_the_older_ones() {
    let world = World::new();
    let mut browser = world.browser();
    let asked = |browser: &mut Browser<'_>, body: Value| {
        let options = browser.post("/attestation/options", &body).ok();
        let list = options["pubKeyCredParams"].as_array().unwrap();
        list.iter().map(|params| params["alg"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(asked(&mut browser, json!({ "username": "alice" })), [-7, -8, -257]);
    let names = json!(["ESP256", "Ed25519", "esp384", "ESP512", "Ed448", -9]);
    let body = json!({ "username": "alice", "algorithms": names });
    assert_eq!(asked(&mut browser, body), [-9, -19, -51, -52, -53]);

    let body = json!({ "username": "alice", "algorithms": ["ESP256"] });
    let options = browser.post("/attestation/options", &body).ok();
    assert_eq!(browser.post("/attestation/result", &Forge::new(1).create(&options)).code(), "algorithm");
    let mut forge = Forge { algorithm: Algorithm::ESP256, ..Forge::new(2) };
    let options = browser.post("/attestation/options", &body).ok();
    let registered = browser.post("/attestation/result", &forge.create(&options)).ok();
    assert_eq!(registered["credential"]["algorithm"], "ESP256");
    let options = browser.sign_in_options("alice");
    forge.count = 2;
    browser.post("/assertion/result", &forge.get(&options, None)).ok();
}

/// Numbers of JSON are JavaScript's, in both directions.
#[test]
fn a_number_of_an_algorithm_is_read_however_it_is_written() {
    let world = World::new();
    let mut browser = world.browser();
    let body = serde_json::from_str(r#"{ "username": "alice", "algorithms": [-7.0, -8e0] }"#).unwrap();
    let mut options = browser.post("/attestation/options", &body).ok();
    assert_eq!(options["pubKeyCredParams"][0]["alg"], -7);
    options["pubKeyCredParams"][0]["alg"] = json!(-7.0);
    options["pubKeyCredParams"].as_array_mut().unwrap().truncate(1);
    browser.post("/attestation/result", &key().create(ORIGIN, &options).unwrap()).ok();
}

#[test]
fn names_are_any_text_and_the_shown_name_is_the_name_unless_given() {
    let world = World::new();
    for name in ["[email protected]", "a b", "名前", "👩\u{200D}🚀", "O'Brien; DROP TABLE accounts"] {
        let options = world.browser().registration_options(name);
        assert_eq!((&options["user"]["name"], &options["user"]["displayName"]), (&json!(name), &json!(name)));
    }
    let body = json!({ "username": "alice", "displayName": "Alice" });
    let options = world.browser().post("/attestation/options", &body).ok();
    assert_eq!(options["user"]["displayName"], "Alice");
    let body = json!({ "username": "alice", "displayName": "" });
    assert_eq!(world.browser().post("/attestation/options", &body).ok()["user"]["displayName"], "");
    let unseen = [
        "\u{0}",
        "\n",
        "\u{7F}",
        "\u{AD}",
        "\u{34F}",
        "\u{180E}",
        "\u{200B}",
        "\u{200D}",
        "\u{200F}",
        "\u{202E}",
        "\u{2060}",
        "\u{2066}",
        "\u{3164}",
        "\u{FE0F}",
        "\u{FEFF}",
        "\u{E0061}",
    ];
    let unseen = unseen.map(|character| json!(format!("al{character}ice")));
    for name in [
        json!(""),
        json!(" \u{3000}"),
        json!("\u{2800}"),
        json!(" alice"),
        json!("alice "),
        json!("x".repeat(513)),
        json!(7),
        json!(null),
    ]
    .into_iter()
    .chain(unseen)
    {
        let refused = world.browser().post("/attestation/options", &json!({ "username": name }));
        assert!(refused.refusal().1.starts_with("username "), "{name}");
    }
    // One composed character, or a letter and its accent.
    let mut key = key();
    world.browser().register(&mut key, "Ren\u{E9}");
    let taken = world.browser().post("/attestation/options", &json!({ "username": "Rene\u{301}" }));
    assert_eq!(taken.code(), "account-exists");
    world.browser().sign_in(&mut key, "Rene\u{301}");
}

#[test]
fn flat_and_nested_wishes_are_understood_and_nested_ones_win() {
    let world = World::new();
    let flat = json!({
        "username": "alice", "userVerification": "required", "attestation": "direct", "attachment": "cross-platform",
        "algorithms": ["es256"], "discoverable_credential": "required",
        "keypair": { "anything": 1 },
    });
    let options = world.browser().post("/attestation/options", &flat).ok();
    let selection = json!({
        "residentKey": "required", "requireResidentKey": true, "userVerification": "required",
        "authenticatorAttachment": "cross-platform",
    });
    assert_eq!(options["authenticatorSelection"], selection);
    assert_eq!(options["pubKeyCredParams"], json!([{ "type": "public-key", "alg": -7 }]));
    assert_eq!(options["attestation"], "direct");
    let mut nested = flat.clone();
    nested["attachment"] = "all".into();
    nested["authenticatorSelection"] = json!({ "requireResidentKey": false, "userVerification": "discouraged" });
    let options = world.browser().post("/attestation/options", &nested).ok();
    let selection =
        json!({ "residentKey": "discouraged", "requireResidentKey": false, "userVerification": "preferred" });
    assert_eq!(options["authenticatorSelection"], selection);
    for (member, value) in [("userVerification", "maybe"), ("attestation", "full"), ("attachment", "usb")] {
        let mut wrong = flat.clone();
        wrong[member] = value.into();
        let refused = world.browser().post("/attestation/options", &wrong);
        assert_eq!(refused.refusal(), ("wrong-value", &*format!("{member} has a value that is not allowed")));
    }
    let mut wrong = flat;
    wrong["algorithms"] = json!(["es256", "rot13"]);
    assert_eq!(world.browser().post("/attestation/options", &wrong).code(), "wrong-value");
}

#[test]
fn a_discoverable_key_signs_in_without_a_name() {
    let world = World::new();
    let mut key = key();
    let mut browser = world.browser();
    let body = json!({ "username": "alice", "authenticatorSelection": { "residentKey": "required" } });
    let options = browser.post("/attestation/options", &body).ok();
    browser.post("/attestation/result", &key.create(ORIGIN, &options).unwrap()).ok();
    let mut other = world.browser();
    let options = other.post("/assertion/options", &json!({})).ok();
    assert_eq!(options["allowCredentials"], json!([]));
    let credential = key.get(ORIGIN, &options).unwrap();
    assert_eq!(other.post("/assertion/result", &credential).ok()["username"], "alice");
    // Without the user handle no account is named.
    let options = other.post("/assertion/options", &json!({})).ok();
    let mut credential = key.get(ORIGIN, &options).unwrap();
    credential["response"]["userHandle"] = "".into();
    assert_eq!(other.post("/assertion/result", &credential).code(), "user-handle");
}

#[test]
fn an_account_shows_its_keys_and_ends_with_the_last_one() {
    let world = World::new();
    let (mut browser, mut first, mut second) = (world.browser(), key(), key());
    assert_eq!(browser.get("/account").code(), "signed-out");
    browser.register(&mut first, "alice");
    browser.register(&mut second, "alice");
    let account = browser.get("/account").ok();
    assert_eq!(account["username"], "alice");
    let keys = account["credentials"].as_array().unwrap();
    assert_eq!(keys.len(), 2);
    assert_eq!(keys[0]["attestation"], json!({ "format": "none", "type": "none" }));
    assert_eq!(keys[0]["aaguid"], "00000000-0000-0000-0000-000000000000");
    assert_eq!((&keys[0]["algorithm"], &keys[0]["lastUsed"]), (&json!("ES256"), &json!(null)));
    world.advance(60);
    world.browser().sign_in(&mut first, "alice");
    assert_eq!(browser.get("/account").ok()["credentials"][0]["lastUsed"], 1_000_060);

    let delete = |browser: &mut Browser<'_>, id: &serde_json::Value| {
        browser.ask(axum::http::Method::DELETE, &format!("/account/credentials/{}", id.as_str().unwrap()), None)
    };
    assert_eq!(delete(&mut browser, &json!("AAAA")).code(), "no-credential");
    assert_eq!(delete(&mut browser, &json!("AAAA=")).code(), "not-base64url");
    assert_eq!(delete(&mut browser, &keys[0]["id"]).ok()["accountDeleted"], false);
    // The deleted key is no longer in the options, and no longer accepted.
    let options = world.browser().sign_in_options("alice");
    assert_eq!(options["allowCredentials"].as_array().unwrap().len(), 1);
    assert_eq!(delete(&mut browser, &keys[1]["id"]).ok()["accountDeleted"], true);
    assert_eq!(browser.get("/account").code(), "signed-out");
    assert_eq!(world.browser().post("/assertion/options", &json!({ "username": "alice" })).code(), "no-account");
    world.browser().register(&mut key(), "alice");
}

#[test]
fn signing_out_ends_the_session_and_so_does_time() {
    let world = World::new();
    let mut key = key();
    let mut browser = world.browser();
    browser.register(&mut key, "alice");
    let cookie = browser.cookie.clone();
    browser.post("/account/sign-out", &json!({})).ok();
    browser.cookie = cookie;
    assert_eq!(browser.get("/account").code(), "signed-out");
    browser.sign_in(&mut key, "alice");
    world.advance(12 * 60 * 60 - 1);
    browser.get("/account").ok();
    world.advance(1);
    assert_eq!(browser.get("/account").code(), "signed-out");
}

#[test]
fn deleting_a_key_ends_the_other_sessions_and_what_they_have_begun() {
    let world = World::new();
    let (mut first, mut second) = (key(), key());
    let (mut mine, mut thief, mut waiting) = (world.browser(), world.browser(), world.browser());
    mine.register(&mut first, "alice");
    mine.register(&mut second, "alice");
    thief.sign_in(&mut first, "alice");
    // A third browser has begun to sign in, and the thief to add a key.
    let sign_in = waiting.sign_in_options("alice");
    let adding = thief.post("/attestation/options", &json!({ "username": "alice" })).ok();
    let keys = mine.get("/account").ok()["credentials"].clone();
    let path = format!("/account/credentials/{}", keys[0]["id"].as_str().unwrap());
    assert_eq!(mine.ask(axum::http::Method::DELETE, &path, None).ok()["accountDeleted"], false);
    assert_eq!(thief.get("/account").code(), "signed-out");
    assert_eq!(thief.post("/attestation/result", &Forge::new(7).create(&adding)).code(), "session-expired");
    let answer = second.get(ORIGIN, &sign_in).unwrap();
    assert_eq!(waiting.post("/assertion/result", &answer).code(), "session-expired");
    mine.get("/account").ok();
    waiting.sign_in(&mut second, "alice");
}

#[test]
fn signing_out_ends_what_was_begun_and_everywhere_is_everywhere() {
    let world = World::new();
    let mut key = key();
    let (mut one, mut two, mut other) = (world.browser(), world.browser(), world.browser());
    one.register(&mut key, "alice");
    two.sign_in(&mut key, "alice");
    other.register(&mut self::key(), "bob");
    let adding = one.post("/attestation/options", &json!({ "username": "alice" })).ok();
    let cookie = one.cookie.clone();
    one.post("/account/sign-out", &json!({})).ok();
    one.cookie = cookie;
    assert_eq!(one.post("/attestation/result", &Forge::new(7).create(&adding)).code(), "session-expired");
    two.get("/account").ok();
    one.sign_in(&mut key, "alice");
    one.post("/account/sign-out", &json!({ "everywhere": true })).ok();
    assert_eq!(two.get("/account").code(), "signed-out");
    other.get("/account").ok();
    assert_eq!(other.post("/account/sign-out", &json!({ "everywhere": 1 })).code(), "wrong-type");
}

#[test]
fn relying_parties_have_accounts_of_their_own() {
    let world = World::new();
    let mut browser = world.browser();
    let who = json!({ "username": "alice", "rpId": "example.com" });
    let options = browser.post("/attestation/options", &who).ok();
    assert_eq!(options["rp"], json!({ "id": "example.com", "name": "example.com" }));
    let mut key = key();
    let credential = key.create("https://example.com", &options).unwrap();
    browser.post("/attestation/result", &credential).ok();
    assert_eq!(world.browser().post("/assertion/options", &json!({ "username": "alice" })).code(), "no-account");
    let options = world.browser().post("/assertion/options", &who).ok();
    assert_eq!(options["rpId"], "example.com");
    let elsewhere = json!({ "username": "alice", "rpId": "example.org" });
    assert_eq!(world.browser().post("/assertion/options", &elsewhere).code(), "unknown-relying-party");
    // The header has precedence over the body.
    let request = axum::http::Request::post("/assertion/options")
        .header("content-type", "application/json")
        .header("X-ArculusFido-RelyingParty", "example.com")
        .body(axum::body::Body::from(json!({ "username": "alice", "rpId": "localhost" }).to_string()))
        .unwrap();
    assert_eq!(world.send(request).ok()["rpId"], "example.com");
}

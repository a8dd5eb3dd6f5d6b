//! What relying parties choose: algorithms, models, backups, user verification, and other sites.

use axum::{
    body::Body,
    http::{Request, header},
};
use keyfob_core::cose::Algorithm;
use keyfob_relying_party::{
    server::UserVerification,
    tenant::{Backup, KeyPolicy, Tenant},
};
use rcgen::{PKCS_ECDSA_P256_SHA256, SigningKey};
use serde_json::{Value, json};

use super::{certificates::*, world::*};

fn world(policy: KeyPolicy, roots: Vec<Vec<u8>>) -> World {
    let mut options = options();
    options.tenants = vec![Tenant { policy, ..Tenant::localhost(8080) }, Tenant::new("example.com")];
    options.attestation_roots = roots;
    let world = World::with(options);
    world.advance(NOW - 1_000_000);
    world
}

fn algorithms(options: &Value) -> Vec<i64> {
    options["pubKeyCredParams"].as_array().unwrap().iter().map(|params| params["alg"].as_i64().unwrap()).collect()
}

#[test]
fn a_relying_party_has_its_algorithms_and_requests_ask_for_some_of_them() {
    let policy = KeyPolicy { algorithms: vec![Algorithm::ES384, Algorithm::ES256], ..KeyPolicy::default() };
    let world = world(policy, vec![]);
    let mut browser = world.browser();
    let mut ask = |body: Value| browser.post("/attestation/options", &body);
    assert_eq!(algorithms(&ask(json!({ "username": "alice" })).ok()), [-35, -7]);
    assert_eq!(algorithms(&ask(json!({ "username": "alice", "algorithms": ["es256", "rs256"] })).ok()), [-7]);
    assert_eq!(ask(json!({ "username": "alice", "algorithms": ["rs256"] })).code(), "wrong-value");
    // Another relying party has its own.
    assert_eq!(algorithms(&ask(json!({ "username": "alice", "rpId": "example.com" })).ok()), [-7, -8, -257]);
}

#[test]
fn a_relying_partys_least_user_verification_is_asked_for_and_checked() {
    let policy = KeyPolicy { user_verification: Some(UserVerification::Required), ..KeyPolicy::default() };
    let world = world(policy, vec![]);
    let mut browser = world.browser();
    let body = json!({ "username": "alice", "userVerification": "discouraged" });
    let options = browser.post("/attestation/options", &body).ok();
    assert_eq!(options["authenticatorSelection"]["userVerification"], "required");
    assert_eq!(browser.post("/attestation/result", &Forge::new(1).create(&options)).code(), "user-verification");
    let options = browser.post("/attestation/options", &body).ok();
    browser.post("/attestation/result", &Forge { flags: UP | UV, ..Forge::new(1) }.create(&options)).ok();
    assert_eq!(browser.sign_in_options("alice")["userVerification"], "required");
}

#[test]
fn a_relying_party_takes_keys_by_their_backup_also_when_they_sign_in() {
    for (backup, taken) in [
        (Backup::Any, [true, true, true]),
        (Backup::Never, [true, false, false]),
        (Backup::Eligible, [false, true, true]),
        (Backup::Done, [false, false, true]),
    ] {
        let world = world(KeyPolicy { backup, ..KeyPolicy::default() }, vec![]);
        for (flags, taken) in [UP, UP | BE, UP | BE | BS].into_iter().zip(taken) {
            let (mut browser, name) = (world.browser(), format!("user {flags}"));
            let forge = Forge { flags, ..Forge::new(flags) };
            let options = browser.registration_options(&name);
            let answer = browser.post("/attestation/result", &forge.create(&options));
            if !taken {
                assert_eq!(answer.code(), "backup", "{backup:?} {flags}");
                continue;
            }
            answer.ok();
            // The backup is gone.
            let options = browser.sign_in_options(&name);
            let later = Forge { flags: flags & !BS, count: 2, ..forge };
            let answer = browser.post("/assertion/result", &later.get(&options, None));
            if backup == Backup::Done {
                assert_eq!(answer.code(), "backup");
            } else {
                answer.ok();
            }
        }
    }
}

/// The certificates of these tests are for the model of zeros.
#[test]
fn only_models_that_are_allowed_and_proved_are_taken_and_none_that_is_denied() {
    let root = authority("root", None, |_| ());
    let leaf = leaf(&root, &PKCS_ECDSA_P256_SHA256, |_| ());
    let register = |allowed: &[[u8; 16]], denied: &[[u8; 16]], roots: Vec<Vec<u8>>, is_certified: bool| {
        let (allowed_models, denied_models) = (allowed.to_vec(), denied.to_vec());
        let world = world(KeyPolicy { allowed_models, denied_models, ..KeyPolicy::default() }, roots);
        let mut browser = world.browser();
        let options = browser.registration_options("alice");
        assert_eq!(options["attestation"] == "direct", !allowed.is_empty());
        let forge = Forge::new(1);
        let auth_data = forge.auth_data("localhost", true);
        let response = if is_certified {
            forge.create_with(&options, "packed", &auth_data, |hash| {
                let (signature, chain): (_, [&[u8]; 1]) =
                    (leaf.key.sign(&[&auth_data[..], hash].concat()).unwrap(), [&leaf.der]);
                packed(&signature, &chain)
            })
        } else {
            forge.create(&options)
        };
        let answer = browser.post("/attestation/result", &response);
        if answer.status.is_success() { "ok".to_owned() } else { answer.code().to_owned() }
    };
    let (own, other, root) = ([0; 16], [7; 16], || vec![root.der.clone()]);
    assert_eq!(register(&[], &[], root(), false), "ok");
    assert_eq!(register(&[own], &[], root(), true), "ok");
    assert_eq!(register(&[other, own], &[], root(), true), "ok");
    assert_eq!(register(&[other], &[], root(), true), "model");
    assert_eq!(register(&[own], &[own], root(), true), "model");
    // Anybody can write an AAGUID.
    assert_eq!(register(&[own], &[], root(), false), "attestation-not-accepted");
    assert_eq!(register(&[own], &[], vec![], true), "attestation-not-accepted");
    assert_eq!(register(&[], &[own], vec![], false), "model");
    assert_eq!(register(&[], &[other], vec![], false), "ok");
}

#[test]
fn pages_of_related_sites_may_use_the_rp_id_and_browsers_are_told_which() {
    let mut options = options();
    let mut tenant = Tenant::localhost(8080);
    tenant.related = vec!["https://example.net".into()];
    tenant.origins.extend(tenant.related.clone());
    options.tenants = vec![Tenant::new("example.com"), tenant];
    let world = World::with(options);
    let well_known = |host: &str| {
        let request = Request::get("/.well-known/webauthn").header(header::HOST, host);
        world.send(request.body(Body::empty()).unwrap())
    };
    let answer = well_known("localhost:8080");
    assert_eq!(answer.body, json!({ "origins": ["https://example.net"] }));
    assert_eq!(answer.headers[header::CONTENT_TYPE], "application/json");
    assert_eq!(well_known("example.com").code(), "not-found");
    assert_eq!(well_known("other.example").code(), "not-found");

    let mut browser = world.browser();
    let register = |browser: &mut Browser<'_>, origin: &str| {
        let options = browser.post("/attestation/options", &json!({ "username": "alice", "rpId": "localhost" })).ok();
        let mut response = Forge::new(1).create(&options);
        edit_client_data(&mut response, |client_data| client_data["origin"] = origin.into());
        browser.post("/attestation/result", &response)
    };
    assert_eq!(register(&mut browser, "https://example.org").code(), "origin");
    register(&mut browser, "https://example.net").ok();
}

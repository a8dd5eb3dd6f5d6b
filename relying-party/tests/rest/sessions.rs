//! Sessions: ceremonies side by side, the list, and what takes a recent sign-in.

use axum::http::{Method, StatusCode};
use keyfob_relying_party::client::Prover;
use serde_json::{Value, json};

use super::world::*;

#[test]
fn ceremonies_of_one_browser_live_side_by_side() {
    let world = World::new();
    let mut browser = world.browser();
    let (alice, bob) = (Forge::new(1), Forge::new(2));
    // Two tabs of a browser that nobody has signed in with.
    let first = browser.registration_options("alice");
    let second = browser.registration_options("bob");
    let autofill = browser.post("/assertion/options", &json!({})).ok();
    browser.post("/attestation/result", &alice.create(&first)).ok();
    // The other tab goes on, although the browser has signed in meanwhile.
    browser.post("/attestation/result", &bob.create(&second)).ok();
    let button = browser.sign_in_options("bob");
    let signs = |forge: Forge, options: &Value| {
        Forge { count: 2, ..forge }.get(options, first["user"]["id"].as_str().filter(|_| options == &autofill))
    };
    let by_button = browser.post("/assertion/result", &signs(bob, &button)).ok();
    let by_autofill = browser.post("/assertion/result", &signs(alice, &autofill)).ok();
    assert_eq!((&by_button["username"], &by_autofill["username"]), (&json!("bob"), &json!("alice")));
    assert_eq!(browser.get("/account").ok()["username"], "alice");
}

#[test]
fn a_response_that_answers_none_of_several_ceremonies_ends_none() {
    let world = World::new();
    let (mut browser, mut other, mut key) = (world.browser(), world.browser(), key());
    let foreign = key.create(ORIGIN, &other.registration_options("alice")).unwrap();
    let (one, two) = (browser.registration_options("alice"), browser.registration_options("alice"));
    assert_eq!(browser.post("/attestation/result", &foreign).code(), "challenge");
    let response = Forge::new(3).create(&one);
    browser.post("/attestation/result", &response).ok();
    // Its challenge is used up: it answers the one that is left, and does not fit.
    assert_eq!(browser.post("/attestation/result", &response).code(), "challenge");
    assert_eq!(browser.post("/attestation/result", &Forge::new(4).create(&two)).code(), "session-expired");
}

#[test]
fn the_oldest_of_too_many_ceremonies_of_one_session_ends() {
    let world = World::new();
    let mut browser = world.browser();
    let begun: Vec<Value> = (0..17).map(|_| browser.registration_options("alice")).collect();
    assert_eq!(browser.post("/attestation/result", &Forge::new(1).create(&begun[0])).code(), "challenge");
    browser.post("/attestation/result", &Forge::new(1).create(&begun[1])).ok();
}

#[test]
fn a_registration_that_was_begun_for_an_account_ends_with_its_session() {
    let world = World::new();
    let (mut browser, mut alice) = (world.browser(), key());
    browser.register(&mut alice, "alice");
    let adding = browser.registration_options("alice");
    browser.register(&mut key(), "bob");
    assert_eq!(browser.post("/attestation/result", &Forge::new(5).create(&adding)).code(), "session-expired");
}

#[test]
fn sessions_are_listed_and_ended_one_by_one() {
    let world = World::new();
    let (mut one, mut two, mut bob, mut key) = (world.browser(), world.browser(), world.browser(), key());
    one.register(&mut key, "alice");
    world.advance(60);
    two.sign_in(&mut key, "alice");
    bob.register(&mut self::key(), "bob");
    let list = one.get("/account/sessions").ok()["sessions"].clone();
    let facts: Vec<_> =
        list.as_array().unwrap().iter().map(|session| (&session["since"], &session["current"])).collect();
    assert_eq!(facts, [(&json!(1_000_000), &json!(true)), (&json!(1_000_060), &json!(false))]);
    // The names are not the secrets of the cookies.
    for session in list.as_array().unwrap() {
        let name = session["id"].as_str().unwrap();
        assert!(!one.cookie.as_ref().unwrap().contains(name) && !two.cookie.as_ref().unwrap().contains(name));
    }
    let end = |browser: &mut Browser<'_>, session: &Value| {
        browser.ask(Method::DELETE, &format!("/account/sessions/{}", session["id"].as_str().unwrap()), None)
    };
    assert_eq!(end(&mut bob, &list[1]).code(), "no-session");
    end(&mut one, &list[1]).ok();
    assert_eq!(two.get("/account").code(), "signed-out");
    assert_eq!(end(&mut one, &list[1]).code(), "no-session");
    end(&mut one, &list[0]).ok();
    assert_eq!(one.get("/account/sessions").code(), "signed-out");
    bob.get("/account").ok();
}

#[test]
fn a_key_is_added_and_deleted_only_after_a_recent_sign_in() {
    let world = World::new();
    let (mut browser, mut key) = (world.browser(), key());
    let registered = browser.register(&mut key, "alice");
    let path = format!("/account/credentials/{}", registered["credential"]["id"].as_str().unwrap());
    world.advance(599);
    browser.registration_options("alice");
    world.advance(1);
    let adding = browser.post("/attestation/options", &json!({ "username": "alice" }));
    assert_eq!((adding.status, adding.code()), (StatusCode::FORBIDDEN, "sign-in-again"));
    assert_eq!(browser.ask(Method::DELETE, &path, None).code(), "sign-in-again");
    browser.get("/account").ok();
    browser.sign_in(&mut key, "alice");
    browser.registration_options("alice");
    assert_eq!(browser.ask(Method::DELETE, &path, None).ok()["accountDeleted"], true);
}

#[test]
fn a_flood_of_ceremonies_evicts_its_own() {
    let mut options = options();
    options.rate = 0;
    let world = World::with(options);
    let mut browser = world.browser();
    let waiting = browser.registration_options("alice");
    // A mebibyte of them, each in a session of its own, with names as long as they may be.
    let name = "x".repeat(500);
    let mut first = None;
    for number in 0..700 {
        let body = json!({ "username": format!("{name}{number}"), "displayName": name });
        let request = axum::http::Request::post("/attestation/options")
            .header("content-type", "application/json")
            .header("x-forwarded-for", "192.0.2.1");
        let answer = world.send(request.body(body.to_string().into()).unwrap());
        first.get_or_insert(answer);
    }
    let first = first.unwrap();
    let mut flood = world.browser();
    flood.cookie = Some(first.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned());
    assert_eq!(flood.post("/attestation/result", &Forge::new(1).create(&first.body)).code(), "session-expired");
    browser.post("/attestation/result", &Forge::new(2).create(&waiting)).ok();
}

/// A list of 21,000 algorithms was kept in 113 kB.
#[test]
fn an_algorithm_that_is_named_twice_is_kept_once() {
    let world = World::new();
    let body = json!({ "username": "alice", "algorithms": vec![-7; 20_000] });
    let options = world.browser().post("/attestation/options", &body).ok();
    assert_eq!(options["pubKeyCredParams"], json!([{ "type": "public-key", "alg": -7 }]));
}

#[test]
fn an_account_has_a_bounded_number_of_keys() {
    let world = World::new();
    let mut browser = world.browser();
    for byte in 1..=64 {
        let options = browser.registration_options("alice");
        browser.post("/attestation/result", &Forge::new(byte).create(&options)).ok();
    }
    let options = browser.registration_options("alice");
    assert_eq!(browser.post("/attestation/result", &Forge::new(65).create(&options)).code(), "account-full");
}

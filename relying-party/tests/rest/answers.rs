//! Every answer is JSON with a status and a sentence, for any request.

use axum::{
    body::Body,
    http::{Method, Request, StatusCode, header},
};
use keyfob_relying_party::{client::Prover, tenant::Tenant};
use serde_json::{Value, json};

use super::world::*;

fn post(path: &str, media_type: &str, body: impl Into<Body>) -> Request<Body> {
    Request::post(path).header(header::CONTENT_TYPE, media_type).body(body.into()).unwrap()
}

#[test]
fn what_no_handler_answers_is_answered_in_json() {
    let world = World::new();
    let path = "/attestation/options";
    let get = |path: &str| Request::get(path).body(Body::empty()).unwrap();
    for (request, status, code) in [
        (get("/nothing"), 404, "not-found"),
        (get(path), 405, "method-not-allowed"),
        (post(path, "application/json", vec![b' '; 64 * 1024 + 1]), 413, "too-large"),
        (post(path, "text/plain", "{}"), 415, "not-json"),
        (Request::post(path).body("{}".into()).unwrap(), 415, "not-json"),
        (post(path, "application/json", ""), 400, "malformed-json"),
        (post(path, "application/json", "{\"username\": "), 400, "malformed-json"),
        (post(path, "application/json", "[".repeat(10_000)), 400, "malformed-json"),
        (post(path, "application/json", &b"{\"username\": \"\xff\"}"[..]), 400, "malformed-json"),
        (post(path, "application/json", "[]"), 400, "wrong-type"),
        (post(path, "application/json", "{}"), 400, "missing"),
        (post("/attestation/result", "application/json", "null"), 400, "wrong-type"),
    ] {
        let described = format!("{} {}", request.method(), request.uri());
        let answer = world.send(request);
        assert_eq!((answer.status.as_u16(), answer.code()), (status, code), "{described}");
        assert_eq!(answer.headers[header::CONTENT_TYPE], "application/json");
        assert_eq!(answer.body["statuscode"], status.to_string());
    }
}

#[test]
fn what_the_python_sample_sends_is_refused_with_a_sentence() {
    let world = World::new();
    let who = json!({ "username": "[email protected]", "rpId": "example.com" });
    let bogus = json!({
        "id": "credential-id",
        "rawId": "base64-raw-id",
        "type": "public-key",
        "response": { "authenticatorData": "base64-data", "clientDataJSON": "base64-data", "signature": "base64-signature" },
    });
    let mut browser = world.browser();
    let options = browser.post("/fidoapi/certify/attestation/options", &who).ok();
    assert!(options["challenge"].as_str().unwrap().len() >= 22);
    let refused = browser.post("/fidoapi/certify/attestation/result", &bogus);
    assert_eq!(refused.refusal(), ("not-base64url", "id is not base64url without padding"));
    let mut browser = world.browser();
    assert_eq!(browser.post("/fidoapi/certify/assertion/options", &who).refusal().0, "no-account");
    browser.post("/fidoapi/certify/assertion/result", &bogus).refusal();
}

#[test]
fn the_other_servers_words_and_codes_are_there_on_demand() {
    let mut options = options();
    options.arculus = true;
    let world = World::with(options);
    let mut browser = world.browser();
    let begun = browser.post("/fidoapi/register/begin", &json!({ "username": "alice" }));
    assert_eq!((begun.status, &begun.body["responseCode"]), (StatusCode::OK, &json!(200)));
    let mut credential = key().create(ORIGIN, &begun.body).unwrap();
    world.advance(300);
    let expired = browser.post("/fidoapi/register/complete", &credential);
    assert_eq!(expired.status, StatusCode::REQUEST_TIMEOUT);
    let words = ["status", "statuscode", "errorCode"].map(|name| expired.body[name].clone());
    assert_eq!(words, [json!("false"), json!("408"), json!("E0024R")]);
    assert_eq!(expired.body["responseCode"], 408);
    let nobody = browser.post("/fidoapi/authenticate/begin", &json!({ "username": "bob" }));
    assert_eq!((nobody.status, nobody.code()), (StatusCode::FORBIDDEN, "no-account"));
    browser.post("/fidoapi/register/begin", &json!({ "username": "alice" })).ok();
    credential["type"] = Value::Null;
    let malformed = browser.post("/fidoapi/register/complete", &credential);
    assert_eq!((malformed.status, &malformed.body["status"]), (StatusCode::BAD_REQUEST, &json!("failed")));
}

#[test]
fn the_cookie_reaches_every_path_of_this_host_and_no_script() {
    let world = World::new();
    let cookie = |scheme: &str| {
        let request = Request::post("/attestation/options")
            .header(header::CONTENT_TYPE, "application/json")
            .header("x-forwarded-proto", scheme)
            .body(Body::from(r#"{"username":"alice"}"#))
            .unwrap();
        world.send(request).headers[header::SET_COOKIE].to_str().unwrap().to_owned()
    };
    let plain = cookie("http");
    assert!(plain.starts_with("keyfob=") && plain.ends_with("; Path=/; HttpOnly; SameSite=Strict"), "{plain}");
    let secure = cookie("https");
    assert!(secure.starts_with("__Host-keyfob="), "{secure}");
    assert!(secure.ends_with("; Path=/; HttpOnly; SameSite=Strict; Secure"), "{secure}");
    assert_ne!(plain, cookie("http"));
}

#[test]
fn the_cookie_is_secure_where_the_tenants_page_is_and_has_a_name_for_each_port() {
    let mut options = options();
    options.tenants = vec![
        Tenant::parse("example.com=https://example.com,https://example.com:8443").unwrap(),
        Tenant::localhost(8080),
    ];
    let world = World::with(options);
    let cookie = |origin: Option<&str>, host: Option<&str>| {
        let mut request = Request::post("/attestation/options").header(header::CONTENT_TYPE, "application/json");
        for (name, value) in [(header::ORIGIN, origin), (header::HOST, host)] {
            request = value.into_iter().fold(request, |request, value| request.header(&name, value));
        }
        let request = request.body(Body::from(r#"{"username":"alice","rpId":"example.com"}"#)).unwrap();
        let set = world.send(request).headers[header::SET_COOKIE].to_str().unwrap().to_owned();
        let name = set.split('=').next().unwrap();
        assert_eq!(set.ends_with("; Secure"), name.starts_with("__Host-"), "{set}");
        name.to_owned()
    };
    let https = "https://example.com";
    assert_eq!(cookie(Some(https), Some("example.com")), "__Host-keyfob");
    assert_eq!(cookie(Some("https://example.com:8443"), Some("example.com:8443")), "__Host-keyfob-8443");
    assert_eq!(cookie(None, Some("example.com:8443")), "__Host-keyfob-8443");
    // A client that is no browser reaches the server over http: a Secure cookie would be lost.
    assert_eq!(cookie(None, Some("localhost:8080")), "keyfob-8080");
    assert_eq!(cookie(None, Some("127.0.0.1:8081")), "keyfob-8081");
    assert_eq!(cookie(Some("http://localhost:8080"), Some("localhost:8080")), "keyfob-8080");
    assert_eq!(cookie(Some("https://other.example"), Some("localhost:8080")), "keyfob-8080");
    assert_eq!(cookie(None, Some("example.com:80; Domain=x")), "keyfob");
    assert_eq!(cookie(None, None), "keyfob");
}

/// What another host of the same site sets does not count where the page is one of https.
#[test]
fn a_cookie_without_the_prefix_of_the_host_names_no_session_over_https() {
    let mut options = options();
    options.tenants = vec![Tenant::new("example.com")];
    let world = World::with(options);
    let begin = Request::post("/attestation/options")
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::ORIGIN, "https://example.com");
    let begun = world.send(begin.body(Body::from(r#"{"username":"alice"}"#)).unwrap());
    let set = begun.headers[header::SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
    let result = |cookie: &str| {
        let request = Request::post("/attestation/result")
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ORIGIN, "https://example.com")
            .header(header::COOKIE, cookie);
        let response = Forge::new(1).create(&begun.body);
        world.send(request.body(Body::from(response.to_string())).unwrap()).code().to_owned()
    };
    assert_eq!(result(set.trim_start_matches("__Host-")), "session-expired");
    assert_eq!(result(&set), "origin", "the ceremony is found");
}

#[test]
fn a_client_that_sends_too_many_requests_waits_for_the_next_minute() {
    let mut options = options();
    options.rate = 3;
    let world = World::with(options);
    let ask = |from: &str| {
        let request = Request::get("/account").header("x-forwarded-for", from);
        world.send(request.body(Body::empty()).unwrap())
    };
    for _ in 0..3 {
        assert_eq!(ask("192.0.2.1").code(), "signed-out");
    }
    let refused = ask("192.0.2.1");
    assert_eq!((refused.status, refused.code()), (StatusCode::TOO_MANY_REQUESTS, "too-many-requests"));
    assert_eq!(ask("192.0.2.2").code(), "signed-out");
    for _ in 0..9 {
        assert_eq!(ask("127.0.0.1").code(), "signed-out");
    }
    world.advance(60);
    assert_eq!(ask("192.0.2.1").code(), "signed-out");
}

#[test]
fn a_path_that_cannot_be_read_is_refused_in_json() {
    let world = World::new();
    for (method, path, code) in [
        (Method::DELETE, "/account/credentials/%FF", "malformed-path"),
        (Method::DELETE, "/account/sessions/%ff", "malformed-path"),
        (Method::GET, "/%FF", "not-found"),
        (Method::GET, "/%", "not-found"),
        (Method::DELETE, "/account/credentials/%2F", "signed-out"),
    ] {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let answer = world.send(request);
        assert_eq!(answer.code(), code, "{path}");
        assert_eq!(answer.headers[header::CONTENT_TYPE], "application/json");
    }
}

#[test]
fn the_page_comes_with_a_policy_that_allows_nothing_inline() {
    let world = World::new();
    for (path, media_type) in [("/", "text/html"), ("/page.js", "text/javascript"), ("/page.css", "text/css")] {
        let answer = world.send(Request::get(path).body(Body::empty()).unwrap());
        assert_eq!(answer.status, StatusCode::OK);
        assert!(answer.headers[header::CONTENT_TYPE].to_str().unwrap().starts_with(media_type));
        let policy = answer.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"));
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
    }
    let page = include_str!("../../src/page/index.html");
    assert!(!page.contains("style=") && !page.contains("onclick") && !page.contains("<style"));
}

#[test]
fn requests_have_an_id_and_the_server_a_pulse() {
    let world = World::new();
    let health = |id: &str| {
        let request = Request::get("/health").header("x-request-id", id).body(Body::empty()).unwrap();
        let answer = world.send(request);
        let id = answer.headers["x-request-id"].to_str().unwrap().to_owned();
        answer.ok();
        id
    };
    assert_eq!(health("trace-7"), "trace-7");
    assert_eq!(health("no spaces").len(), 16);
    assert_ne!(health(""), health(""));
    let mut browser = world.browser();
    assert_eq!(browser.ask(Method::DELETE, "/health", None).code(), "method-not-allowed");
}

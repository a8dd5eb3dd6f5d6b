//! `keyfob webdriver`, in plain WebDriver: every command and every error of WebAuthn L3 §11, and what is passed on to a
//! driver.
#![cfg(target_os = "linux")]
#![allow(clippy::disallowed_methods)]

#[path = "webdriver/devices.rs"]
mod devices;
#[path = "webdriver/http.rs"]
mod http;
#[path = "webdriver/page.rs"]
mod page;
#[path = "webdriver/passed.rs"]
mod passed;

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal};

use serde_json::{Value, json};

use http::{INVALID_ARGUMENT, Server, Session, UNSUPPORTED_OPERATION, as_error, call, error, receive, send};

/// A private key on P-256, and one on P-384, PKCS#8.
const P256: &str = "MEECAQAwEwYHKoZIzj0CAQYIKoZIzj0DAQcEJzAlAgEBBCAJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQ";
const P384: &str = "ME4CAQAwEAYHKoZIzj0CAQYFK4EEACIENzA1AgEBBDAJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQ\
    kJCQkJCQk";

/// The parameters of Add Credential, with `more` of them. `null` takes one out.
fn credential(more: &Value) -> Value {
    let mut parameters = json!({
        "credentialId": "aWQ", "isResidentCredential": true, "rpId": "example.org", "privateKey": P256,
        "userHandle": "dXNlcg", "signCount": 7,
    });
    change(&mut parameters, more);
    parameters
}

fn change(parameters: &mut Value, more: &Value) {
    for (name, value) in more.as_object().unwrap() {
        match value {
            Value::Null => drop(parameters.as_object_mut().unwrap().remove(name)),
            value => parameters[name] = value.clone(),
        }
    }
}

fn path(authenticator: &str, rest: &str) -> String {
    format!("authenticator/{authenticator}/{rest}")
}

#[test]
fn an_authenticator_has_an_id_of_unreserved_characters_until_it_is_removed() {
    let server = Server::start(&[]);
    let session = server.session();
    let (first, second) = (session.add(&json!({})), session.add(&json!({})));
    assert_ne!(first, second);
    assert!(first.len() <= 48 && first.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{first}");
    session.remove(&first);
    for (method, rest) in [("DELETE", ""), ("GET", "/credentials"), ("DELETE", "/credentials")] {
        let refused = session.refused(method, &format!("authenticator/{first}{rest}"), &Value::Null);
        assert_eq!(refused, as_error(INVALID_ARGUMENT), "{method} {rest}");
    }
    assert_eq!(session.credentials(&second), [Value::Null; 0]);
    assert_eq!(server.end(), Some(0));
}

#[test]
fn every_value_that_a_configuration_can_have_is_taken() {
    let server = Server::start(&[]);
    let session = server.session();
    let add = |parameters: Value| {
        let id = session.value("POST", "authenticator", &parameters);
        session.remove(id.as_str().unwrap());
    };
    for protocol in ["ctap1/u2f", "ctap2", "ctap2_1"] {
        add(json!({ "protocol": protocol, "transport": "usb" }));
    }
    for transport in ["usb", "nfc", "ble", "smart-card", "hybrid", "internal"] {
        add(json!({ "protocol": "ctap2", "transport": transport }));
    }
    for protocol in ["ctap2", "ctap2_1"] {
        for flags in 0..64 {
            let flag = |bit: u8| flags >> bit & 1 == 1;
            let extensions: &[&str] = if flag(5) { &["credProtect", "prf", "hmac-secret"] } else { &[] };
            add(json!({
                "protocol": protocol, "transport": "usb", "hasResidentKey": flag(0), "hasUserVerification": flag(1),
                "isUserConsenting": flag(2), "isUserVerified": flag(3), "defaultBackupEligibility": flag(4),
                "defaultBackupState": flag(4), "extensions": extensions,
            }));
        }
    }
    add(
        json!({ "protocol": "ctap2_1", "transport": "usb", "hasResidentKey": true, "extensions": ["largeBlob", "credBlob"] }),
    );
}

#[test]
fn a_configuration_that_is_not_valid_is_refused_and_adds_nothing() {
    let server = Server::start(&[]);
    let session = server.session();
    let valid = json!({ "protocol": "ctap2", "transport": "usb" });
    let wrong = [
        json!({ "protocol": null }),
        json!({ "transport": null }),
        json!({ "protocol": "ctap3" }),
        json!({ "protocol": 2 }),
        json!({ "transport": "carrier pigeon" }),
        json!({ "transport": ["usb"] }),
        json!({ "hasResidentKey": "true" }),
        json!({ "hasUserVerification": 1 }),
        json!({ "isUserConsenting": "no" }),
        json!({ "isUserVerified": {} }),
        json!({ "extensions": "prf" }),
        json!({ "extensions": [1] }),
        json!({ "defaultBackupEligibility": 0 }),
        json!({ "defaultBackupState": "" }),
        json!({ "isUserHappy": true }),
        json!({ "protocol": "ctap1/u2f", "hasResidentKey": true }),
        json!({ "protocol": "ctap1/u2f", "hasUserVerification": true }),
        json!({ "protocol": "ctap1/u2f", "extensions": ["prf"] }),
        json!({ "extensions": ["largeBlob"] }),
    ];
    for more in wrong {
        let mut parameters = valid.clone();
        change(&mut parameters, &more);
        assert_eq!(session.refused("POST", "authenticator", &parameters), as_error(INVALID_ARGUMENT), "{more}");
    }
    for body in ["", "[]", "null", "\"ctap2\"", "{", "{\"protocol\": \"ctap2\""] {
        assert_eq!(error(session.call("POST", "authenticator", body)), as_error(INVALID_ARGUMENT), "{body}");
    }
    for extension in ["uvm", "minPinLength", "PRF", ""] {
        let mut parameters = valid.clone();
        parameters["extensions"] = json!(["credProtect", extension]);
        assert_eq!(
            session.refused("POST", "authenticator", &parameters),
            as_error(UNSUPPORTED_OPERATION),
            "{extension}"
        );
    }
    // Every port is still free.
    let added: Vec<_> = (0..keyfob_preload::KEYS).map(|_| session.add(&json!({}))).collect();
    assert_eq!(session.refused("POST", "authenticator", &valid), as_error(UNSUPPORTED_OPERATION));
    session.remove(&added[3]);
    session.add(&json!({}));
}

#[test]
fn a_credential_is_returned_as_it_was_added() {
    let server = Server::start(&[]);
    let session = server.session();
    let id = session.add(&json!({ "extensions": ["largeBlob"], "defaultBackupEligibility": true }));
    let add = |more: Value| {
        let added = session.value("POST", &path(&id, "credential"), &credential(&more));
        assert!(added.is_null());
        session.credentials(&id).last().unwrap().clone()
    };
    let all = json!({
        "backupEligibility": false, "backupState": true, "userName": "alice", "userDisplayName": "Alice",
        "largeBlob": "YSBibG9i", "rpId": "login.example.org",
    });
    assert_eq!(add(all.clone()), credential(&all));
    let made = add(json!({ "credentialId": "aWQ1Mg==", "userHandle": "Ynk=", "signCount": 4_294_967_295_u32 }));
    let expected = json!({
        "credentialId": "aWQ1Mg", "userHandle": "Ynk", "signCount": 4_294_967_295_u32, "backupEligibility": true,
        "backupState": false, "userName": "", "userDisplayName": "",
    });
    assert_eq!(made, credential(&expected), "padding is accepted, and what is not said is the default");
    let body = credential(&json!({ "credentialId": "aWQy", "isResidentCredential": false, "userHandle": null }));
    let body = body.to_string().replace("\"signCount\":7", "\"signCount\":null");
    assert_eq!(session.call("POST", &path(&id, "credential"), &body).0, 200);
    let expected = json!({
        "credentialId": "aWQy", "isResidentCredential": false, "userHandle": null, "signCount": 0,
        "backupEligibility": true, "backupState": false, "userName": "", "userDisplayName": "",
    });
    assert_eq!(session.credentials(&id)[2], credential(&expected));
    let other = session.add(&json!({}));
    assert!(session.credentials(&other).is_empty(), "another authenticator has its own");
}

#[test]
fn a_credential_that_is_not_valid_is_refused_and_not_added() {
    let server = Server::start(&[]);
    let session = server.session();
    let id = session.add(&json!({ "extensions": ["largeBlob"] }));
    let wrong = [
        json!({ "credentialId": null }),
        json!({ "credentialId": "" }),
        json!({ "credentialId": "a+/=" }),
        json!({ "credentialId": "A".repeat(400) }),
        json!({ "credentialId": 1 }),
        json!({ "isResidentCredential": null }),
        json!({ "isResidentCredential": "true" }),
        json!({ "rpId": null }),
        json!({ "rpId": "" }),
        json!({ "rpId": "https://example.org" }),
        json!({ "rpId": "exa mple.org" }),
        json!({ "rpId": "example..org" }),
        json!({ "rpId": "127.0.0.1" }),
        json!({ "privateKey": null }),
        json!({ "privateKey": "" }),
        json!({ "privateKey": "not*base64" }),
        json!({ "privateKey": "AAAA" }),
        json!({ "privateKey": P384 }),
        json!({ "userHandle": null }),
        json!({ "userHandle": "?" }),
        json!({ "userHandle": "A".repeat(100) }),
        json!({ "signCount": -1 }),
        json!({ "signCount": 4_294_967_296_u64 }),
        json!({ "signCount": "7" }),
        json!({ "largeBlob": "!" }),
        json!({ "backupEligibility": 1 }),
        json!({ "backupState": "true" }),
        json!({ "userName": 5 }),
        json!({ "userDisplayName": [] }),
    ];
    for more in wrong {
        let refused = session.refused("POST", &path(&id, "credential"), &credential(&more));
        assert_eq!(refused, as_error(INVALID_ARGUMENT), "{more}");
    }
    let long = credential(&json!({ "userName": "x".repeat(1 << 20) })).to_string();
    for body in ["", "[]", "7", &long] {
        assert_eq!(error(session.call("POST", &path(&id, "credential"), body)), as_error(INVALID_ARGUMENT));
    }
    assert!(session.credentials(&id).is_empty());
    session.value("POST", &path(&id, "credential"), &credential(&json!({})));
    let again = session.refused("POST", &path(&id, "credential"), &credential(&json!({ "rpId": "example.net" })));
    assert_eq!(again, as_error(INVALID_ARGUMENT), "an id that is taken");
    assert_eq!(session.credentials(&id).len(), 1);
    let refused = session.refused("POST", &path("none", "credential"), &credential(&json!({})));
    assert_eq!(refused, as_error(INVALID_ARGUMENT), "no such authenticator");
    let without = session.add(&json!({ "hasResidentKey": false }));
    let refused = session.refused("POST", &path(&without, "credential"), &credential(&json!({})));
    assert_eq!(refused, as_error(INVALID_ARGUMENT), "no resident credentials");
    let largest = json!({ "largeBlob": "!", "isResidentCredential": false });
    session.value("POST", &path(&without, "credential"), &credential(&largest));
    assert_eq!(session.credentials(&without)[0].get("largeBlob"), None, "without the extension it is not looked at");
}

#[test]
fn credentials_are_removed_one_by_one_or_all() {
    let server = Server::start(&[]);
    let session = server.session();
    let id = session.add(&json!({}));
    for credential_id in ["aWQx", "aWQy", "aWQz", "aQ"] {
        session.value("POST", &path(&id, "credential"), &credential(&json!({ "credentialId": credential_id })));
    }
    let remove = |credential_id: &str| session.call("DELETE", &path(&id, &format!("credentials/{credential_id}")), "");
    assert_eq!(remove("aWQy"), (200, Value::Null));
    assert_eq!(remove("aQ=="), (200, Value::Null), "with padding");
    for wrong in ["aWQy", "bm9uZQ", "***"] {
        assert_eq!(error(remove(wrong)), as_error(INVALID_ARGUMENT), "{wrong}");
    }
    let ids: Vec<_> = session.credentials(&id).iter().map(|held| held["credentialId"].clone()).collect();
    assert_eq!(ids, ["aWQx", "aWQz"]);
    assert_eq!(session.refused("DELETE", &path("none", "credentials/aWQx"), &Value::Null), as_error(INVALID_ARGUMENT));
    assert_eq!(session.call("DELETE", &path(&id, "credentials"), ""), (200, Value::Null));
    assert!(session.credentials(&id).is_empty());
    assert_eq!(session.call("DELETE", &path(&id, "credentials"), ""), (200, Value::Null), "also where there are none");
}

#[test]
fn properties_of_a_credential_change_and_those_not_named_stay() {
    let server = Server::start(&[]);
    let session = server.session();
    let id = session.add(&json!({}));
    session.value("POST", &path(&id, "credential"), &credential(&json!({})));
    let props = path(&id, "credentials/aWQ/props");
    let held = || {
        let held = &session.credentials(&id)[0];
        json!([held["backupEligibility"], held["backupState"], held["signCount"]])
    };
    assert_eq!(held(), json!([false, false, 7]));
    let changes = [
        (json!({ "backupEligibility": true }), json!([true, false, 7])),
        (json!({ "backupState": true }), json!([true, true, 7])),
        (json!({ "backupEligibility": false, "signCount": 9 }), json!([false, true, 9])),
        (json!({}), json!([false, true, 9])),
    ];
    for (change, expected) in changes {
        assert!(session.value("POST", &props, &change).is_null());
        assert_eq!(held(), expected, "{change}");
    }
    for wrong in
        [json!([]), json!({ "backupState": 1 }), json!({ "backupEligibility": "no" }), json!({ "signCount": -1 })]
    {
        assert_eq!(session.refused("POST", &props, &wrong), as_error(INVALID_ARGUMENT), "{wrong}");
    }
    assert_eq!(held(), json!([false, true, 9]));
    for wrong in [path(&id, "credentials/bm8/props"), path("none", "credentials/aWQ/props")] {
        assert_eq!(session.refused("POST", &wrong, &json!({})), as_error(INVALID_ARGUMENT), "{wrong}");
    }
}

#[test]
fn user_verification_is_set_by_a_boolean() {
    let server = Server::start(&[]);
    let session = server.session();
    let uv = path(&session.add(&json!({})), "uv");
    assert!(session.value("POST", &uv, &json!({ "isUserVerified": false })).is_null());
    for wrong in [json!({}), json!({ "isUserVerified": 1 }), json!(true)] {
        assert_eq!(session.refused("POST", &uv, &wrong), as_error(INVALID_ARGUMENT), "{wrong}");
    }
    let refused = session.refused("POST", &path("none", "uv"), &json!({ "isUserVerified": true }));
    assert_eq!(refused, as_error(INVALID_ARGUMENT));
}

#[test]
fn the_credentials_of_a_u2f_key_are_not_listed() {
    let server = Server::start(&[]);
    let session = server.session();
    let id = session.add(&json!({ "protocol": "ctap1/u2f", "hasResidentKey": false, "hasUserVerification": false }));
    let body = credential(&json!({ "isResidentCredential": false }));
    for (method, rest) in [("POST", "credential"), ("GET", "credentials"), ("DELETE", "credentials")] {
        assert_eq!(
            session.refused(method, &path(&id, rest), &body),
            as_error(UNSUPPORTED_OPERATION),
            "{method} {rest}"
        );
    }
    session.remove(&id);
}

#[test]
fn unknown_paths_methods_and_sessions_are_told_apart() {
    let server = Server::start(&[]);
    let session = server.session();
    let id = session.add(&json!({}));
    for rest in ["", "authenticators", "authenticator/a/b", "authenticator/a/credentials/b/c", "authenticator/a/uv/b"] {
        let refused = session.refused("POST", rest, &json!({}));
        assert_eq!(refused, as_error((404, "unknown command")), "{rest}");
    }
    for (method, rest) in [
        ("GET", "authenticator"),
        ("POST", "authenticator/a"),
        ("GET", "authenticator/a/credential"),
        ("POST", "authenticator/a/credentials"),
        ("GET", "authenticator/a/credentials/b"),
        ("DELETE", "authenticator/a/credentials/b/props"),
        ("GET", "authenticator/a/uv"),
    ] {
        assert_eq!(session.refused(method, rest, &json!({})), as_error((405, "unknown method")), "{method} {rest}");
    }
    let other = Session { address: server.address, id: "other".into() };
    let parameters = credential(&json!({ "protocol": "ctap2", "transport": "usb", "isUserVerified": true }));
    for (method, rest) in [
        ("POST", "authenticator".into()),
        ("DELETE", format!("authenticator/{id}")),
        ("POST", path(&id, "credential")),
        ("GET", path(&id, "credentials")),
        ("DELETE", path(&id, "credentials")),
        ("DELETE", path(&id, "credentials/aWQ")),
        ("POST", path(&id, "credentials/aWQ/props")),
        ("POST", path(&id, "uv")),
    ] {
        let refused = other.refused(method, &rest, &parameters);
        assert_eq!(refused, as_error((404, "invalid session id")), "{method} {rest}");
    }
    let second = server.session();
    assert_eq!(second.refused("DELETE", &format!("authenticator/{id}"), &Value::Null), as_error(INVALID_ARGUMENT));
}

#[test]
fn without_a_driver_it_has_sessions_and_a_status_and_nothing_else() {
    let server = Server::start(&["--browser-name", "chrome"]);
    let call = |line: &str, body: &str| call(server.address, line, body);
    assert_eq!(call("GET /status", "").1["ready"], true);
    let asked = r#"{"capabilities": {"alwaysMatch": {"browserName": "firefox", "webauthn:extension:prf": true},
        "firstMatch": [{"webauthn:extension:uvm": true}, {"webauthn:virtualAuthenticators": true}]}}"#;
    let (status, made) = call("POST /session", asked);
    let capabilities = &made["capabilities"];
    assert_eq!((status, &capabilities["browserName"]), (200, &json!("chrome")));
    assert_eq!(capabilities["webauthn:virtualAuthenticators"], true);
    assert_eq!(capabilities["webauthn:extension:largeBlob"], true);
    for wrong in [
        "{}",
        "[]",
        "",
        r#"{"capabilities": 1}"#,
        r#"{"capabilities": {"alwaysMatch": []}}"#,
        r#"{"capabilities": {"firstMatch": []}}"#,
        r#"{"capabilities": {"firstMatch": [1]}}"#,
        r#"{"capabilities": {"alwaysMatch": {"webauthn:virtualAuthenticators": "yes"}}}"#,
        r#"{"capabilities": {"alwaysMatch": {"webauthn:extension:prf": 1}}}"#,
        r#"{"capabilities": {"alwaysMatch": {"webauthn:other": true}}}"#,
        r#"{"capabilities": {"alwaysMatch": {"browserName": "firefox"}}"#,
        r#"{"capabilities": {}} {}"#,
        r#"{"capabilities": {"firstMatch": [{}, {"webauthn:virtualAuthenticators": []}]}}"#,
        &format!(r#"{{"capabilities": {{}}, "long": "{}"}}"#, "x".repeat(1 << 20)),
    ] {
        assert_eq!(error(call("POST /session", wrong)), as_error(INVALID_ARGUMENT), "{wrong}");
    }
    for refused in [
        r#"{"capabilities": {"alwaysMatch": {"webauthn:extension:uvm": true}}}"#,
        r#"{"capabilities": {"firstMatch": [{"webauthn:extension:uvm": true}]}}"#,
    ] {
        assert_eq!(error(call("POST /session", refused)), as_error((500, "session not created")), "{refused}");
    }
    let line = format!("DELETE /session/{}", made["sessionId"].as_str().unwrap());
    assert_eq!(call(&line, ""), (200, Value::Null));
    assert_eq!(error(call(&line, "")), as_error((404, "invalid session id")));
    assert_eq!(error(call("GET /session", "")), as_error((405, "unknown method")));
    assert_eq!(error(call("POST /session/a/url", "{}")), as_error((404, "unknown command")));
}

#[test]
fn a_request_that_a_web_page_may_have_sent_is_refused() {
    let server = Server::start(&[]);
    let refused = as_error((403, "unknown error"));
    let body = r#"{"capabilities": {}}"#;
    let ask = |headers: &str| receive(send(server.address, "POST /session", headers, body));
    for headers in [
        "Host: localhost\r\nOrigin: http://localhost\r\n",
        "Host: localhost\r\nOrigin: null\r\n",
        "Host: localhost\r\nSec-Fetch-Site: cross-site\r\n",
        "Host: example.org\r\n",
        "Host: localhost.example.org\r\n",
        "Host: 192.168.0.1:4444\r\n",
        "Host: 127.0.0.1@example.org\r\n",
        "Host: [::2]\r\n",
        "Host: \r\n",
        "Host: localhost\r\nHost: example.org\r\n",
        "",
    ] {
        assert_eq!(error(ask(headers)), refused, "{headers:?}");
    }
    for host in ["localhost", "LOCALHOST:4444", "127.0.0.1", "127.9.9.9:80", "[::1]:4444"] {
        assert_eq!(ask(&format!("Host: {host}\r\n")).0, 200, "{host}");
    }
}

#[test]
fn it_listens_on_this_machine_alone_at_an_address_that_is_free() {
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keyfob"));
        let output = command.arg("webdriver").args(arguments).stdin(Stdio::null()).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(run(&["--listen", "0.0.0.0:0"]).contains("--listen takes addresses of this machine alone"));
    let server = Server::start(&[]);
    assert!(run(&["--listen", &server.address.to_string()]).contains("cannot listen at 127.0.0.1:"));
    assert!(
        run(&["--listen", "127.0.0.1:0", "--driver", "no-such-driver"]).contains("there is no command no-such-driver")
    );
    assert!(
        run(&["--listen", "127.0.0.1:0", "--driver", "false"]).contains("false ended at once, with exit status: 1")
    );
}

#[test]
fn a_command_finds_the_server_and_without_one_nothing_sees_the_authenticators() {
    let keyfob = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keyfob"));
        command.args(["webdriver", "--listen", "127.0.0.1:0"]).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let output = keyfob(&["--", "sh", "-c", "echo $KEYFOB_WEBDRIVER"]).wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let (listens, told) = said.split_once('\n').unwrap();
    assert_eq!(listens.strip_prefix("WebDriver listens at "), Some(told.trim()), "{said}");
    let mut alone = keyfob(&[]);
    let mut line = String::new();
    BufReader::new(alone.stderr.take().unwrap()).read_line(&mut line).unwrap();
    alone.kill().unwrap();
    alone.wait().unwrap();
    assert!(line.contains("nothing sees the authenticators"), "{line}");
}

#[test]
fn signals_end_it_and_what_it_has_started() {
    let run = |arguments: &[&str], signal: Signal| {
        // Whoever has started the tests may ignore SIGHUP, as `nohup` does.
        let mut command = Command::new("env");
        command.args(["--default-signal=HUP", env!("CARGO_BIN_EXE_keyfob"), "webdriver", "--listen", "127.0.0.1:0"]);
        let mut process = command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        if !arguments.contains(&"--driver") {
            let mut line = String::new();
            BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        }
        thread::sleep(Duration::from_millis(300)); // the command has begun
        let start = Instant::now();
        rustix::process::kill_process(Pid::from_child(&process), signal).unwrap();
        let code = process.wait().unwrap().code();
        assert!(start.elapsed() < Duration::from_secs(8), "{arguments:?}");
        code
    };
    assert_eq!(run(&[], Signal::HUP), Some(0));
    let cleans_up = ["--", "sh", "-c", "trap 'exit 3' TERM; sleep 100 & wait"];
    assert_eq!(run(&cleans_up, Signal::TERM), Some(3), "the command's status");
    // This driver never listens.
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("driver");
    fs::write(&script, "#!/bin/sh\nexec sleep 100\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(run(&["--driver", script.to_str().unwrap()], Signal::INT), Some(0));
}

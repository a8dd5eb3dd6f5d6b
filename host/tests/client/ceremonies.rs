//! Registrations and sign-ins, and their verification.

use std::{path::PathBuf, process::Output};

use serde_json::Value;

use crate::served::{Served, json, keyfob, text, with_input};

impl Served {
    /// Runs the program, and writes what it prints to a file.
    fn to_file(&self, name: &str, arguments: &[&str]) -> PathBuf {
        let output = self.keyfob(arguments).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        let path = self.folder.path().join(name);
        std::fs::write(&path, output.stdout).unwrap();
        path
    }
}

fn verify(arguments: &[&str]) -> Output {
    keyfob(&[&["verify"], arguments].concat()).output().unwrap()
}

/// What `verify` says of a document on its standard input.
fn verify_input(document: &Value, arguments: &[&str]) -> Output {
    with_input(keyfob(&[&["verify"], arguments].concat()), &document.to_string())
}

#[test]
fn a_registration_goes_through_a_pipe_into_its_verification() {
    let key = Served::new(&[]);
    let output = key.keyfob(&["register", "--user", "alice", "--attestation", "direct"]).output().unwrap();
    assert!(text(&output.stderr).starts_with("Touch your security key.\nRegistered alice at example.org."));
    let registered = json(&output);
    assert_eq!(registered["response"]["type"], "public-key");
    let verified = json(&verify_input(&registered, &["--json"]));
    assert_eq!((&verified["verified"], &verified["algorithm"]), (&"registration".into(), &"ES256".into()));
    assert_eq!(verified["credentialId"], registered["response"]["id"]);
    let shown = text(&verify_input(&registered, &["-"]).stdout);
    assert!(shown.starts_with("Verified: the registration is one that the site would accept.\nSite "), "{shown}");
}

#[test]
fn a_sign_in_by_its_registration_or_by_a_passkey_verifies_and_counts_up() {
    let key = Served::new(&["--pin", "123456", "--profile", "workstation"]);
    let made = key.to_file("made", &["register", "--passkey", "--uv", "required", "--algorithms", "EdDSA"]);
    let made = made.to_str().unwrap();
    for arguments in [&["sign-in", "--uv", "required"][..], &["sign-in", "--registration", made]] {
        let signed = key.to_file("signed", arguments);
        let verified = json(&verify(&[signed.to_str().unwrap(), "--registration", made, "--json"]));
        assert_eq!((&verified["verified"], &verified["userVerified"]), (&"signIn".into(), &true.into()));
    }
}

#[test]
fn a_response_that_was_changed_does_not_verify_and_says_which_check_it_fails() {
    let key = Served::new(&[]);
    let made = key.to_file("made", &["register"]);
    let made = made.to_str().unwrap();
    let signed = key.to_file("signed", &["sign-in", "--registration", made]);
    let signed: Value = serde_json::from_str(&std::fs::read_to_string(signed).unwrap()).unwrap();
    for (member, value, message) in [
        ("origin", "https://example.com", "the client data has"),
        ("options.challenge", "AAAA", "challenge"),
        ("options.rpId", "example.com", "RP ID"),
        ("response.response.signature", "MEUC", "signature"),
    ] {
        let mut changed = signed.clone();
        *changed.pointer_mut(&format!("/{}", member.replace('.', "/"))).unwrap() = value.into();
        let output = verify_input(&changed, &["--registration", made]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(12), "{member} {said}");
        assert!(said.starts_with("keyfob: it does not verify: ") && said.contains(message), "{member} {said}");
    }
}

#[test]
fn a_file_that_is_not_what_it_should_be_is_named_with_the_member_that_is_wrong() {
    let key = Served::new(&[]);
    let file = key.folder.path().join("file");
    let path = file.to_str().unwrap();
    for (content, message) in [
        ("", "is not a JSON document"),
        ("{}", "the member options.challenge is missing"),
        ("{\"options\": {\"challenge\": \"!\"}}", "the member options.challenge is not base64url without padding"),
        ("{\"options\": {\"challenge\": 1}}", "the member options.challenge is not a text"),
    ] {
        std::fs::write(&file, content).unwrap();
        let output = verify(&[path]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(13), "{content} {said}");
        assert!(said.contains(path) && said.contains(message) && said.lines().count() == 1, "{content} {said}");
    }
    std::fs::write(&file, "{\"rp\": {}}").unwrap();
    let output = key.keyfob(&["register", "--options", path]).output().unwrap();
    assert_eq!(output.status.code(), Some(13));
    assert!(text(&output.stderr).contains(path), "{}", text(&output.stderr));
    assert_eq!(verify(&["/nowhere/file"]).status.code(), Some(13));
}

#[test]
fn options_of_a_site_are_taken_as_they_are() {
    let key = Served::new(&[]);
    let file = key.folder.path().join("options");
    let options = r#"{"rp": {"name": "Example", "id": "example.com"}, "user": {"id": "dXNlcg", "name": "bob", "displayName": "Bob"},
        "challenge": "YSBjaGFsbGVuZ2U", "pubKeyCredParams": [{"type": "public-key", "alg": -7}], "extensions": {"credProps": true}}"#;
    std::fs::write(&file, options).unwrap();
    let path = file.to_str().unwrap();
    let arguments = ["register", "--options", path, "--origin", "https://login.example.com"];
    let made = json(&key.keyfob(&arguments).output().unwrap());
    assert_eq!(made["options"]["challenge"], "YSBjaGFsbGVuZ2U");
    assert_eq!(made["response"]["clientExtensionResults"]["credProps"]["rk"], false);
    assert!(verify_input(&made, &[]).status.success());
    // Without the RP ID it is the origin's host.
    std::fs::write(&file, options.replace(r#", "id": "example.com""#, "")).unwrap();
    let made = key.to_file("made", &["register", "--options", path, "--origin", "https://example.com:8443"]);
    let made = made.to_str().unwrap();
    assert_eq!(json(&verify(&[made, "--json"]))["rpId"], "example.com");
    let document: Value = serde_json::from_str(&std::fs::read_to_string(made).unwrap()).unwrap();
    let allowed = serde_json::json!({ "challenge": "YSBjaGFsbGVuZ2U", "allowCredentials": [{ "type": "public-key", "id": document["response"]["id"] }] });
    std::fs::write(&file, allowed.to_string()).unwrap();
    let signed = key.to_file("signed", &["sign-in", "--options", path, "--origin", "https://example.com:8443"]);
    assert_eq!(json(&verify(&[signed.to_str().unwrap(), "--registration", made, "--json"]))["rpId"], "example.com");
    std::fs::write(&file, options).unwrap();
    let stranger = ["register", "--options", file.to_str().unwrap(), "--origin", "https://example.net"];
    assert_eq!(key.keyfob(&stranger).output().unwrap().status.code(), Some(13), "another site's");
}

#[test]
fn what_the_key_refuses_has_exit_codes_of_its_own() {
    let key = Served::new(&[]);
    let made = key.to_file("made", &["register"]);
    let made: Value = serde_json::from_str(&std::fs::read_to_string(made).unwrap()).unwrap();
    let id = made["response"]["id"].as_str().unwrap();
    let code = |arguments: &[&str]| key.keyfob(arguments).output().unwrap().status.code();
    assert_eq!(code(&["register", &format!("--exclude={id}")]), Some(11));
    assert_eq!(code(&["sign-in"]), Some(9), "no passkey");
    assert_eq!(code(&["sign-in", "--rp", "example.com", &format!("--credential={id}")]), Some(9));
    assert_eq!(code(&["register", "--uv", "required"]), Some(5), "no PIN");
    assert_eq!(code(&["sign-in", "--credential", "?"]), Some(2));
}

#[test]
fn a_credential_has_the_protection_that_was_asked_for_or_is_not_made() {
    let key = Served::new(&["--pin", "123456"]);
    let made = key.with_pins(&["register", "--protection", "required"], "123456\n");
    let mut made = json(&made);
    assert_eq!(json(&verify_input(&made, &["--json"]))["protection"], "userVerificationRequired");
    let pem = text(&verify_input(&made, &["--pem"]).stdout);
    assert!(pem.starts_with("-----BEGIN PUBLIC KEY-----\nMF") && pem.lines().count() == 4, "{pem}");
    let lower = key.with_pins(&["register", "--protection", "optional-with-id"], "123456\n");
    made["response"] = json(&lower)["response"].clone();
    let options = json(&lower)["options"].clone();
    let policy = made["options"]["extensions"].clone();
    made["options"] = options;
    made["options"]["extensions"] = policy;
    let refused = verify_input(&made, &[]);
    assert_eq!(refused.status.code(), Some(12), "{}", text(&refused.stderr));
    assert!(text(&refused.stderr).contains("less protected than the site insists on"), "{}", text(&refused.stderr));
    let old = Served::new(&["--profile", "minimal_2_0"]);
    let output = old.keyfob(&["register", "--protection", "required", "--uv", "discouraged"]).output().unwrap();
    assert_eq!(output.status.code(), Some(8), "{}", text(&output.stderr));
}

#[test]
fn a_sign_in_without_a_touch_verifies_only_where_that_is_accepted() {
    let key = Served::new(&[]);
    let made = key.to_file("made", &["register", "--uv", "discouraged"]);
    let made = made.to_str().unwrap();
    let arguments = ["sign-in", "--registration", made, "--no-touch", "--uv", "discouraged"];
    let signed = key.to_file("signed", &arguments);
    let signed = signed.to_str().unwrap();
    let refused = verify(&[signed, "--registration", made]);
    assert_eq!((refused.status.code(), text(&refused.stderr).contains("not present")), (Some(12), true));
    assert!(verify(&[signed, "--registration", made, "--no-touch"]).status.success());
}

#[test]
fn all_accounts_of_a_site_are_signed_in_at_once_a_line_each() {
    let key = Served::new(&["--pin", "123456"]);
    for user in ["alice", "bob"] {
        assert!(key.with_pins(&["register", "--passkey", "--user", user], "123456\n").status.success());
    }
    let output = key.with_pins(&["sign-in", "--all", "--uv", "required"], "123456\n");
    let printed = text(&output.stdout);
    let ids: Vec<Value> =
        printed.lines().map(|line| line.parse::<Value>().unwrap()["response"]["id"].clone()).collect();
    assert!(ids.len() == 2 && ids[0] != ids[1], "{printed}");
    assert_eq!(text(&output.stderr).matches("Touch your security key.").count(), 1);
}

#[test]
fn u2f_is_spoken_where_it_is_asked_for_and_a_trace_shows_every_message() {
    let key = Served::new(&[]);
    let output = key.keyfob(&["register", "--u2f", "--trace", "--uv", "discouraged"]).output().unwrap();
    let shown = text(&output.stderr);
    assert!(output.status.success() && shown.contains("-> U2F request") && !shown.contains("authenticator"), "{shown}");
    let made = key.folder.path().join("made");
    std::fs::write(&made, output.stdout).unwrap();
    let output = key.keyfob(&["sign-in", "--registration", made.to_str().unwrap(), "--trace"]).output().unwrap();
    assert!(output.status.success() && text(&output.stderr).contains("-> authenticatorGetAssertion"));
}

//! Bytes of CTAP and WebAuthn, explained.

use crate::served::{Served, json, keyfob, text};

fn decode(arguments: &[&str]) -> (Option<i32>, String) {
    let output = keyfob(&[&["decode"], arguments].concat()).output().unwrap();
    (output.status.code(), text(&output.stdout) + &text(&output.stderr))
}

#[test]
fn a_request_a_response_and_a_report_are_explained_member_by_member() {
    let (code, said) = decode(&["06a201010201"]);
    assert_eq!(code, Some(0));
    assert!(said.starts_with("-> authenticatorClientPIN, 6 bytes\n") && said.contains("getPINRetries"), "{said}");
    let (_, said) = decode(&["00 a1 03 08", "--as", "response", "--command", "06"]);
    assert!(said.contains("pinRetries: 8"), "{said}");
    let init = format!("ffffffff860008{}", "11".repeat(57));
    let (_, said) = decode(&[&init]);
    assert_eq!(said, "-> cid ffffffff INIT 8 bytes, nonce 1111111111111111\n");
}

#[test]
fn the_parts_of_a_registration_are_explained_together_and_each_by_itself() {
    let key = Served::new(&[]);
    let output = key.keyfob(&["register", "--attestation", "direct"]).output().unwrap();
    let file = key.folder.path().join("registration");
    std::fs::write(&file, &output.stdout).unwrap();
    let (code, said) = decode(&[file.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{said}");
    for member in
        ["  challenge: ", "  origin: \"https://example.org\"\n", "  fmt: \"packed\"\n", "  authData.flags: 0x"]
    {
        assert!(said.contains(member), "{member} {said}");
    }
    let object = &json(&output)["response"]["response"];
    for (member, shown) in [
        ("attestationObject", "authData.credentialPublicKey: {"),
        ("authenticatorData", "authData.signCount: "),
        ("clientDataJSON", "type: \"webauthn.create\"\n"),
    ] {
        let (_, said) = decode(&[object[member].as_str().unwrap()]);
        assert!(said.contains(shown), "{member} {said}");
    }
}

#[test]
fn what_is_wrong_with_bytes_is_said_with_the_place() {
    let (code, said) = decode(&["a301", "--as", "cbor"]);
    assert_eq!(code, Some(13));
    assert_eq!(said, "keyfob: this is not cbor: the message ends inside an item, at byte 2\n");
    let (code, said) = decode(&["00", "--as", "auth-data"]);
    assert!(code == Some(13) && said.contains("auth-data: ") && said.contains("at byte "), "{said}");
    let (code, said) = decode(&["/nowhere/file"]);
    assert!(code == Some(13) && said.contains("nor a file"), "{said}");
    let client_data =
        r#"{"type": "webauthn.get", "challenge": "AA", "origin": "https://a\u009b31m", "x\u0085": "\u009b"}"#;
    let (code, said) = decode(&[&client_data.replace("\\u009b", "\u{9b}"), "--as", "client-data"]);
    let steers = said.contains(|character: char| character.is_control() && character != '\n');
    assert!(code == Some(0) && !steers, "{said:?}");
    assert_eq!(decode(&["ff"]).0, Some(13));
    assert_eq!(decode(&["{\"type\": 1}", "--as", "client-data"]).0, Some(13));
}

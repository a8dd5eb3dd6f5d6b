//! Credentials: listed, renamed, deleted, and a key that is full of them.

use serde_json::Value;

use crate::served::{Served, json, text};

const PIN: &str = "123456\n";

/// A key with passkeys of these users at these sites.
fn with_passkeys(passkeys: &[(&str, &str)]) -> Served {
    let key = Served::new(&["--pin", "123456"]);
    for (user, site) in passkeys {
        let output = key.with_pins(&["register", "--passkey", "--user", user, "--rp", site], PIN);
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    key
}

/// The credentials that are listed with these arguments.
fn listed(key: &Served, arguments: &[&str]) -> Vec<Value> {
    let output = key.with_pins(&[&["credentials", "list", "--json"], arguments].concat(), PIN);
    json(&output)["credentials"].as_array().unwrap().clone()
}

#[test]
fn credentials_are_listed_for_all_sites_or_one_and_the_pin_is_taken_once() {
    let key = with_passkeys(&[("alice", "example.org"), ("bob", "example.org"), ("alice", "example.com")]);
    let mut users: Vec<String> =
        listed(&key, &["--rp", "example.org"]).iter().map(|one| one["userName"].as_str().unwrap().into()).collect();
    users.sort();
    assert_eq!(users, ["alice", "bob"]);
    assert_eq!(listed(&key, &["--rp", "example.net"]).len(), 0);
    let output = key.with_pins(&["credentials", "list"], PIN);
    let shown = text(&output.stdout);
    assert_eq!((shown.lines().count(), shown.lines().next().unwrap()), (4, "SITE         USER   DISPLAY NAME  ID"));
    assert_eq!(text(&output.stderr), "3 shown, 3 on the key, room for 97 more.\n");
}

#[test]
fn a_credential_is_renamed_by_the_beginning_of_its_id_and_keeps_its_other_name() {
    let key = with_passkeys(&[("alice", "example.org")]);
    let id = listed(&key, &[])[0]["id"].as_str().unwrap().to_owned();
    let renamed = key.with_pins(&["credentials", "rename", "--name", "carol", "--", &id[..12]], PIN);
    assert_eq!(renamed.status.code(), Some(2), "nothing follows --");
    let renamed = key.with_pins(&["credentials", "rename", &id[..12], "--name", "carol"], PIN);
    assert_eq!(text(&renamed.stdout), "It is now carol at example.org.\n", "{}", text(&renamed.stderr));
    let one = &listed(&key, &[])[0];
    assert_eq!((&one["userName"], &one["userDisplayName"]), (&"carol".into(), &"alice".into()));
    assert_eq!(key.keyfob(&["credentials", "rename", &id]).output().unwrap().status.code(), Some(13), "no name");
}

#[test]
fn a_credential_is_deleted_when_that_was_agreed_to_and_what_is_lost_is_named() {
    let key = with_passkeys(&[("alice", "example.org"), ("bob", "example.org")]);
    let one = listed(&key, &[]).into_iter().find(|one| one["userName"] == "bob").unwrap();
    let id = one["id"].as_str().unwrap();
    let output = key.with_pins(&["credentials", "delete", id], PIN);
    assert_eq!((output.status.code(), listed(&key, &[]).len()), (Some(15), 2));
    assert!(text(&output.stderr).contains("This deletes the credential of bob at example.org."));
    let deleted = json(&key.with_pins(&["credentials", "delete", id, "--yes", "--json"], PIN));
    assert_eq!((&deleted["id"], listed(&key, &[]).len()), (&one["id"], 1));
    for missing in [id, ""] {
        assert_eq!(key.with_pins(&["credentials", "delete", missing, "--yes"], PIN).status.code(), Some(9));
    }
}

#[test]
fn a_credential_is_shown_with_its_public_key_and_on_demand_with_the_key_of_its_blob() {
    let key = with_passkeys(&[("alice", "example.org")]);
    let one = &listed(&key, &[])[0];
    let id = one["id"].as_str().unwrap();
    let shown = text(&key.with_pins(&["credentials", "show", &id[..12]], PIN).stdout);
    assert!(shown.contains("User             alice\n") && shown.contains("\nAlgorithm        ES256\n"), "{shown}");
    assert!(shown.ends_with("\n-----END PUBLIC KEY-----\n"), "{shown}");
    let object = json(&key.with_pins(&["credentials", "show", id, "--json"], PIN));
    assert!(shown.contains(object["publicKeyPem"].as_str().unwrap().trim_end()));
    assert_eq!((&object["publicKey"], object.get("blobKey")), (&one["publicKey"], None));
    let without = key.with_pins(&["credentials", "show", id, "--blob-key"], PIN);
    assert_eq!(without.status.code(), Some(9), "it has none: {}", text(&without.stdout));
}

#[test]
fn a_key_that_is_full_says_what_makes_room() {
    let key = Served::new(&["--profile", "minimal_2_0"]);
    let output = loop {
        let output = key.keyfob(&["register", "--passkey", "--uv", "discouraged"]).output().unwrap();
        if !output.status.success() {
            break output;
        }
    };
    assert_eq!(output.status.code(), Some(10), "{}", text(&output.stderr));
    assert!(text(&output.stderr).ends_with("`keyfob credentials delete` makes some\n"), "{}", text(&output.stderr));
}

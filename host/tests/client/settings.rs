//! Fingerprints, settings, and secrets.

use serde_json::Value;

use crate::served::{Served, json, text};

const PIN: &str = "123456\n";

#[test]
fn a_finger_is_enrolled_renamed_and_deleted() {
    let key = Served::new(&["--pin", "123456", "--uv", "auto"]);
    let listed =
        || json(&key.with_pins(&["fingerprints", "list", "--json"], PIN))["fingerprints"].as_array().unwrap().clone();
    assert_eq!(listed().len(), 0);
    let long = key.with_pins(&["fingerprints", "add", "--name", &"n".repeat(49)], PIN);
    assert_eq!((long.status.code(), listed().len()), (Some(13), 0), "{}", text(&long.stderr));
    assert!(text(&long.stderr).contains("the name has 49 bytes, and this key takes names of at most 48"));
    let output = key.with_pins(&["fingerprints", "add", "--name", "thumb"], PIN);
    assert_eq!(text(&output.stdout), "Enrolled the fingerprint \"thumb\".\n", "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains(" more. Lift the finger and touch the sensor again.\n"));
    let renamed = json(&key.with_pins(&["fingerprints", "rename", "thumb", "--name", "left", "--json"], PIN));
    assert_eq!((&renamed["name"], &listed()[0]), (&"left".into(), &renamed));
    let id = renamed["id"].as_str().unwrap();
    let kept = key.with_pins(&["fingerprints", "delete", id], PIN);
    assert_eq!((kept.status.code(), listed().len()), (Some(15), 1));
    assert!(text(&kept.stderr).contains("This deletes the fingerprint \"left\"."));
    assert!(key.with_pins(&["fingerprints", "delete", id, "--yes"], PIN).status.success());
    assert_eq!(listed().len(), 0);
    assert_eq!(key.with_pins(&["fingerprints", "delete", "left", "--yes"], PIN).status.code(), Some(9));
}

#[test]
fn a_key_without_a_sensor_says_that_it_has_none() {
    let key = Served::new(&["--pin", "123456"]);
    assert_eq!(key.with_pins(&["fingerprints", "list"], PIN).status.code(), Some(8));
}

#[test]
fn settings_are_changed_and_a_switch_that_is_on_stays_on() {
    let key = Served::new(&["--pin", "123456", "--enterprise", "example.org"]);
    let config = |arguments: &[&str]| json(&key.with_pins(&[&["config"], arguments, &["--json"]].concat(), PIN));
    for _ in 0..2 {
        assert_eq!(config(&["always-verify", "on"])["alwaysUv"], true);
    }
    assert_eq!(config(&["always-verify", "off"])["alwaysUv"], false);
    assert_eq!(config(&["enterprise-attestation"])["ep"], true);
    let unasked = key.with_pins(&["config", "min-pin-length", "8"], PIN);
    assert_eq!(unasked.status.code(), Some(15), "{}", text(&unasked.stderr));
    let info = json(&key.keyfob(&["info", "--json"]).output().unwrap());
    assert_eq!(info["info"]["minPINLength"], 4, "{info}");
    let longer = config(&["min-pin-length", "8", "--rp", "example.org", "--yes"]);
    assert_eq!((&longer["minPinLength"], &longer["forcePinChange"]), (&8.into(), &true.into()));
    let refused = key.with_pins(&["credentials", "list"], PIN);
    assert_eq!(refused.status.code(), Some(5));
    let neither = key.keyfob(&["config", "min-pin-length"]).output().unwrap();
    assert_eq!(neither.status.code(), Some(2), "{}", text(&neither.stderr));
    let changed = key.with_pins(&["pin", "change"], "123456\n12345678\n");
    assert!(changed.status.success(), "{}", text(&changed.stderr));
    let forced = json(&key.with_pins(&["config", "force-pin-change", "--json"], "12345678\n"));
    assert_eq!(forced["forcePinChange"], true);
}

#[test]
fn a_secret_is_the_same_for_the_same_purpose_and_no_other_key_makes_it() {
    let key = Served::new(&["--pin", "123456"]);
    let register = |name: &str, arguments: &[&str]| {
        let output = key.with_pins(&[&["register"], arguments].concat(), PIN);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let path = key.folder.path().join(name);
        std::fs::write(&path, output.stdout).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let made = register("made", &["--secret"]);
    let secret = |arguments: &[&str]| text(&key.with_pins(&[&["secret", &made], arguments].concat(), PIN).stdout);
    let disk = secret(&["--purpose", "disk"]);
    assert_eq!((disk.len(), &disk), (44, &secret(&["--purpose", "disk"])));
    assert_ne!(disk, secret(&["--purpose", "file"]));
    let object: Value = serde_json::from_str(&secret(&["--purpose", "disk", "--json"])).unwrap();
    assert_eq!(object["secret"], disk.trim_end());
    let stranger = Served::new(&["--pin", "123456"]);
    let output = stranger.with_pins(&["secret", &made, "--purpose", "disk"], PIN);
    assert_eq!(output.status.code(), Some(9), "another key: {}", text(&output.stderr));
    let old = Served::new(&["--profile", "u2f_only"]);
    let output = old.keyfob(&["secret", &made, "--purpose", "disk"]).output().unwrap();
    assert_eq!(output.status.code(), Some(8), "{}", text(&output.stderr));
}

#[test]
fn a_credential_for_secrets_is_not_made_on_a_key_that_makes_none() {
    for profile in ["u2f_only", "minimal_2_0"] {
        let key = Served::new(&["--profile", profile, "--touch", "deny"]);
        let output = key.keyfob(&["register", "--secret", "--uv", "discouraged"]).output().unwrap();
        assert_eq!(output.status.code(), Some(8), "{profile} {}", text(&output.stderr));
        assert_eq!(text(&output.stderr), "keyfob: the key cannot make secrets: it has no extension hmac-secret\n");
    }
}

#[test]
fn a_blob_is_stored_beside_a_credential_and_read_again() {
    let key = Served::new(&["--pin", "123456", "--large-blobs", "1024"]);
    let path = |name: &str| key.folder.path().join(name).to_str().unwrap().to_owned();
    let (made, file, long) = (path("made"), path("file"), path("long"));
    let output = key.with_pins(&["register", "--blob"], PIN);
    std::fs::write(&made, output.stdout).unwrap();
    let get = || key.with_pins(&["blobs", "get", "--registration", &made], PIN);
    let missing = get();
    assert_eq!(missing.status.code(), Some(9), "{}", text(&missing.stderr));
    std::fs::write(&file, "a certificate\n").unwrap();
    let stored = key.with_pins(&["blobs", "put", &file, "--registration", &made], PIN);
    assert_eq!(text(&stored.stdout), "Stored 14 bytes.\n", "{}", text(&stored.stderr));
    assert_eq!(text(&get().stdout), "a certificate\n");
    // Bytes that no compression makes shorter.
    let mut state = 1_u32;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    });
    let noise: Vec<u8> = noise.take(2000).collect();
    std::fs::write(&long, &noise).unwrap();
    let refused = key.with_pins(&["blobs", "put", &long, "--registration", &made], PIN);
    assert_eq!(refused.status.code(), Some(13), "{}", text(&refused.stderr));
    let message = "is too long with 2000 bytes: compressed they are 2005, and the key has 1024 for all blobs";
    assert!(text(&refused.stderr).contains(message) && !text(&refused.stderr).contains("Touch"));
    std::fs::write(&long, vec![0; 1 << 20]).unwrap();
    let refused = key.with_pins(&["blobs", "put", &long, "--registration", &made], PIN);
    assert!(text(&refused.stderr).contains("1048576 bytes: at most 131072"), "{}", text(&refused.stderr));
    assert_eq!(text(&get().stdout), "a certificate\n", "the one before is kept");

    let other = key.with_pins(&["register", "--blob", "--user", "bob"], PIN);
    std::fs::write(&made, other.stdout).unwrap();
    std::fs::write(&long, &noise[..950]).unwrap();
    let refused = key.with_pins(&["blobs", "put", &long, "--registration", &made], PIN);
    assert_eq!(refused.status.code(), Some(10), "{}", text(&refused.stderr));
    let without = key.with_pins(&["register", "--passkey", "--user", "carol"], PIN);
    std::fs::write(&made, without.stdout).unwrap();
    let refused = key.with_pins(&["blobs", "put", &file, "--registration", &made], PIN);
    assert_eq!(refused.status.code(), Some(8), "{}", text(&refused.stderr));
    assert!(text(&refused.stderr).contains("`keyfob register --blob`"), "{}", text(&refused.stderr));
}

#[test]
fn the_sites_that_learn_the_shortest_pin_are_set_without_another_length() {
    let key = Served::new(&["--pin", "123456"]);
    let output = key.with_pins(&["config", "min-pin-length", "--rp", "example.org", "--json"], PIN);
    assert_eq!(json(&output)["minPinLength"], 4);
    let options = r#"{"rp":{"id":"example.org","name":""},"user":{"id":"AA","name":"","displayName":""},"challenge":"AA",
        "pubKeyCredParams":[{"type":"public-key","alg":-7}],"extensions":{"minPinLength":true}}"#;
    let file = key.folder.path().join("options");
    std::fs::write(&file, options).unwrap();
    let output = key.with_pins(&["register", "--options", file.to_str().unwrap()], PIN);
    let file = key.folder.path().join("made");
    std::fs::write(&file, output.stdout).unwrap();
    let decoded = crate::served::keyfob(&["decode", file.to_str().unwrap()]).output().unwrap();
    assert!(text(&decoded.stdout).contains("\"minPinLength\": 4"), "{}", text(&decoded.stdout));
}

#[test]
fn blobs_are_listed_and_deleted_by_site_by_credential_and_by_key_with_one_pin() {
    // A key with a sensor: the PIN that was passed is meant, again for the second token.
    let key = Served::new(&["--pin", "123456", "--uv", "auto", "--finger"]);
    let path = |name: &str| key.folder.path().join(name).to_str().unwrap().to_owned();
    let (file, blob_key) = (path("file"), path("blob-key"));
    std::fs::write(&file, "a certificate\n").unwrap();
    for user in ["alice", "bob"] {
        let output = key.with_pins(&["register", "--blob", "--user", user], PIN);
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    let credentials = json(&key.with_pins(&["credentials", "list", "--json"], PIN));
    let id = credentials["credentials"][0]["id"].as_str().unwrap();
    let several = key.with_pins(&["blobs", "put", &file, "--rp", "example.org"], PIN);
    assert_eq!((several.status.code(), text(&several.stderr).contains("--credential")), (Some(9), true));
    let whose = ["--rp", "example.org", "--credential", id];
    let blobs = |arguments: &[&str]| key.with_pins(&[&["blobs"], arguments].concat(), PIN);
    let put = blobs(&[&["put", &file][..], &whose].concat());
    assert_eq!(text(&put.stdout), "Stored 14 bytes.\n", "{}", text(&put.stderr));
    std::fs::write(&blob_key, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n").unwrap();
    assert!(blobs(&["put", &file, "--blob-key", &blob_key]).status.success());
    let listed = json(&blobs(&["list", "--json"]));
    assert_eq!((&listed["blobs"][0]["credentialId"], &listed["blobs"][0]["length"]), (&id.into(), &14.into()));
    assert_eq!((listed["blobs"].as_array().unwrap().len(), &listed["others"]), (1, &1.into()), "{listed}");
    let unasked = blobs(&[&["delete"][..], &whose].concat());
    assert_eq!((unasked.status.code(), text(&unasked.stderr).contains("a blob of 14 bytes")), (Some(15), true));
    assert!(blobs(&[&["delete", "--yes"][..], &whose].concat()).status.success());
    assert_eq!(blobs(&[&["get"][..], &whose].concat()).status.code(), Some(9));
    assert_eq!(text(&blobs(&["get", "--blob-key", &blob_key]).stdout), "a certificate\n");
    assert!(blobs(&["delete", "--blob-key", &blob_key, "--yes"]).status.success());
    std::fs::write(&blob_key, "AAECAwQFBgcICQoLDA0ODw==").unwrap();
    let short = blobs(&["get", "--blob-key", &blob_key]);
    assert_eq!(short.status.code(), Some(13));
    assert!(text(&short.stderr).contains("does not hold 32 bytes in base64"), "{}", text(&short.stderr));
    let nothing = key.keyfob(&["blobs", "get"]).output().unwrap();
    assert_eq!(nothing.status.code(), Some(2), "{}", text(&nothing.stderr));
}

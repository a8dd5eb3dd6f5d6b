//! Commands about a key, as their users meet them: what they print, and how they exit.
#![cfg(target_os = "linux")]
#![allow(clippy::disallowed_methods)]

#[path = "client/ceremonies.rs"]
mod ceremonies;
#[path = "client/credentials.rs"]
mod credentials;
#[path = "client/decode.rs"]
mod decode;
#[path = "client/failures.rs"]
mod failures;
#[path = "client/generated.rs"]
mod generated;
#[path = "client/page.rs"]
mod page;
#[path = "client/pins.rs"]
mod pins;
#[path = "client/served.rs"]
mod served;
#[path = "client/settings.rs"]
mod settings;
#[path = "client/several.rs"]
mod several;
#[path = "client/terminals.rs"]
mod terminals;

use served::{Served, json, keyfob, text};

#[test]
fn the_key_of_keyfob_run_is_listed_and_shown_without_its_address() {
    let program = env!("CARGO_BIN_EXE_keyfob");
    let below = |arguments: &[&str]| keyfob(&[&["run", "--pin", "123456", "--", program], arguments].concat());
    let found = &json(&below(&["list", "--json"]).output().unwrap())["keys"];
    assert_eq!((found[0]["name"].as_str(), found.as_array().unwrap().len()), (Some("keyfob virtual security key"), 1));
    assert_eq!((&found[0]["vendorId"], &found[0]["access"]), (&0x1209.into(), &"ok".into()));
    let listed = text(&below(&["list"]).output().unwrap().stdout);
    let address = found[0]["address"].as_str().unwrap();
    assert!(listed.contains(&format!("{address}  1209:f1d0  yes    keyfob virtual security key\n")), "{listed}");

    let shown = json(&below(&["info", "--json"]).output().unwrap());
    assert_eq!(shown["address"], address);
    assert_eq!((&shown["info"]["maxMsgSize"], &shown["pinRetries"]), (&7609.into(), &8.into()));
    assert_eq!(shown["info"]["options"]["clientPin"], true);
    let shown = text(&below(&["info"]).output().unwrap().stdout);
    assert!(shown.contains("\nPIN              set, 8 attempts left, 4 characters or more\n"), "{shown}");
    let all = text(&below(&["info", "--all"]).output().unwrap().stdout);
    assert!(all.contains("versions: [\"U2F_V2\"") && all.contains("\nmaxMsgSize: 7609"), "{all}");
}

#[test]
fn the_rules_of_udev_are_printed_and_installed_in_a_folder() {
    let rules = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/udev/70-keyfob.rules")).unwrap();
    assert_eq!(text(&keyfob(&["udev-rules"]).output().unwrap().stdout), rules);
    assert_eq!(json(&keyfob(&["udev-rules", "--json"]).output().unwrap())["rules"], rules);
    let folder = tempfile::tempdir().unwrap();
    let install = |folder: &str| keyfob(&["udev-rules", "--install", "--json", "--folder", folder]).output().unwrap();
    let path = folder.path().join("70-keyfob.rules");
    assert_eq!(json(&install(folder.path().to_str().unwrap()))["installed"], path.to_str().unwrap());
    assert_eq!(std::fs::read_to_string(path).unwrap(), rules);
    let missing = install("/nowhere");
    assert_eq!((missing.status.code(), &json(&missing)["error"]["kind"]), (Some(13), &"badInput".into()));
    assert!(text(&missing.stdout).contains("its folder is missing"), "{}", text(&missing.stdout));
    let alone = keyfob(&["udev-rules", "--folder", "/tmp"]).output().unwrap();
    assert_eq!(alone.status.code(), Some(2), "{}", text(&alone.stderr));
}

#[test]
fn a_reset_is_agreed_to_beforehand_and_erases_the_pin() {
    let key = Served::new(&["--pin", "123456"]);
    let output = key.keyfob(&["reset", "--json"]).output().unwrap();
    let error = &json(&output)["error"];
    assert_eq!((output.status.code(), &error["kind"]), (Some(15), &"notAgreed".into()));
    assert!(error["message"].as_str().unwrap().contains("erases all credentials"), "{error}");
    assert_eq!(json(&key.keyfob(&["pin", "status", "--json"]).output().unwrap())["set"], true);
    let output = key.keyfob(&["reset", "--yes"]).output().unwrap();
    assert_eq!(text(&output.stdout), "The key is reset: everything on it is erased.\n");
    assert!(text(&output.stderr).contains("Touch your security key."));
    assert_eq!(json(&key.keyfob(&["pin", "status", "--json"]).output().unwrap())["set"], false);
}

//! PINs: set, changed, wrong, blocked.

use crate::served::{Served, json, keyfob, text};

#[test]
fn a_pin_is_set_once_and_changed_with_the_old_one() {
    let key = Served::new(&[]);
    let status = || json(&key.keyfob(&["pin", "status", "--json"]).output().unwrap());
    assert_eq!((&status()["set"], &status()["retries"]), (&false.into(), &serde_json::Value::Null));
    assert_eq!(text(&key.with_pins(&["pin", "set"], "123456\n").stdout), "The PIN is set.\n");
    assert_eq!((&status()["set"], &status()["retries"]), (&true.into(), &8.into()));
    let again = key.with_pins(&["pin", "set"], "123456\n");
    assert_eq!(text(&again.stderr), "keyfob: the key has a PIN: change it with `keyfob pin change`\n");
    assert_eq!(again.status.code(), Some(13));
    assert_eq!(json(&key.with_pins(&["pin", "change", "--json"], "123456\n654321\n"))["pin"], "changed");
    assert_eq!(key.with_pins(&["pin", "change"], "123456\n111111\n").status.code(), Some(5), "the old one is gone");
    assert!(key.with_pins(&["credentials", "list"], "654321\n").status.success());
}

#[test]
fn a_new_pin_that_is_too_short_is_refused_with_the_length_it_takes() {
    let key = Served::new(&[]);
    let output = key.with_pins(&["pin", "set"], "123\n");
    assert_eq!(output.status.code(), Some(5));
    assert!(text(&output.stderr).contains("at least 4 characters"), "{}", text(&output.stderr));
}

/// The kind and the message of a failure.
fn failure(output: &std::process::Output) -> (String, String) {
    let error = &json(output)["error"];
    assert_eq!(error["exitCode"], output.status.code().unwrap());
    (error["kind"].as_str().unwrap().to_owned(), error["message"].as_str().unwrap().to_owned())
}

#[test]
fn wrong_pins_are_counted_down_to_a_blocked_key() {
    // This key is unplugged when its last client leaves.
    let key = Served::new(&["--pin", "123456"]);
    let wrong = || failure(&key.with_pins(&["credentials", "list", "--json"], "000000\n"));
    for left in (2..8).rev() {
        assert_eq!(wrong(), ("notVerified".into(), format!("the PIN is wrong: {left} attempts are left")));
    }
    assert_eq!(wrong().1, "the PIN is wrong: 1 attempt is left before the PIN is blocked");
    let (kind, message) = wrong();
    assert!(kind == "blocked" && message.contains("`keyfob reset`"), "{kind} {message}");
    let status = text(&key.keyfob(&["pin", "status"]).output().unwrap().stdout);
    assert!(status.starts_with("PIN: set, blocked"), "{status}");
    assert_eq!(key.with_pins(&["pin", "change"], "123456\n654321\n").status.code(), Some(6), "the right one too");
}

#[test]
fn three_wrong_pins_in_a_row_lead_to_unplugging_the_key() {
    let program = env!("CARGO_BIN_EXE_keyfob");
    let wrong = format!("echo 000000 | {program} credentials list --pin-fd 0 --json");
    let script = format!("{wrong} >/dev/null; {wrong} >/dev/null; {wrong}");
    let (kind, message) = failure(
        &keyfob(&["run", "--pin", "123456", "--profile", "fido2_3_full", "--", "sh", "-c", &script]).output().unwrap(),
    );
    assert!(kind == "blocked" && message.contains("unplug the key"), "{kind} {message}");
}

#[test]
fn without_a_terminal_and_without_a_descriptor_a_pin_cannot_be_asked_for() {
    let key = Served::new(&["--pin", "123456"]);
    let mut command = std::process::Command::new("setsid");
    command.args(["--wait", env!("CARGO_BIN_EXE_keyfob"), "credentials", "list", "--key", &key.address]);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(5));
    assert!(text(&output.stderr).contains("--pin-fd"), "{}", text(&output.stderr));
}

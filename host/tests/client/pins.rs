//! PINs: set, changed, wrong, blocked.

use std::{
    io::Write,
    os::{fd::OwnedFd, unix::net::UnixStream},
    process::{Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::served::{Served, json, keyfob, text, with_input};

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
    let key = Served::new(&["--pin", "123456"]);
    let output = key.with_pins(&["credentials", "list"], "123\n");
    assert_eq!(output.status.code(), Some(5));
    assert!(text(&output.stderr).contains("no PIN of this key has this length"), "{}", text(&output.stderr));
}

/// The kind and the message of a failure.
fn failure(output: &std::process::Output) -> (String, String) {
    let error = &json(output)["error"];
    assert_eq!(error["exitCode"], output.status.code().unwrap());
    (error["kind"].as_str().unwrap().to_owned(), error["message"].as_str().unwrap().to_owned())
}

#[test]
fn a_pin_is_checked_and_a_right_one_resets_the_attempts() {
    let key = Served::new(&["--pin", "123456", "--uv", "auto", "--finger"]);
    let retries = || json(&key.keyfob(&["pin", "status", "--json"]).output().unwrap())["retries"].clone();
    let wrong = key.with_pins(&["pin", "verify"], "000000\n");
    assert_eq!((wrong.status.code(), retries()), (Some(5), 7.into()), "{}", text(&wrong.stderr));
    assert_eq!(text(&key.with_pins(&["pin", "verify"], "123456\n").stdout), "The PIN is right.\n");
    assert_eq!(retries(), 8);
    let none = Served::new(&[]).with_pins(&["pin", "verify"], "123456\n");
    assert_eq!((none.status.code(), text(&none.stderr).contains("has no PIN")), (Some(5), true));
}

#[test]
fn wrong_pins_are_counted_down_to_a_blocked_key() {
    // This key is unplugged when its last client leaves.
    let key = Served::new(&["--pin", "123456"]);
    let wrong = || failure(&key.with_pins(&["credentials", "list", "--json"], "000000\n"));
    for left in (3..8).rev() {
        assert_eq!(wrong(), ("notVerified".into(), format!("the PIN is wrong: {left} attempts are left")));
    }
    let output = key.with_pins(&["credentials", "list", "--json"], "000000\n");
    assert_eq!(json(&output)["error"]["status"], 0x31, "the key's status is kept");
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
    let mut command = Command::new("setsid");
    command.args(["--wait", env!("CARGO_BIN_EXE_keyfob"), "credentials", "list", "--key", &key.address]);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(5));
    assert!(text(&output.stderr).contains("--pin-fd"), "{}", text(&output.stderr));
}

/// What a script of the shell prints, in which `$KEYFOB` is the program with this key, and 0 this input.
fn shell(key: &Served, script: &str, input: impl Into<Stdio>) -> std::process::Output {
    let program = format!("{} credentials list --json --key {}", env!("CARGO_BIN_EXE_keyfob"), key.address);
    Command::new("sh").args(["-c", script]).env("KEYFOB", program).stdin(input).output().unwrap()
}

#[test]
fn a_pin_comes_from_a_socket_or_from_where_a_file_is_read() {
    let key = Served::new(&["--pin", "123456"]);
    let path = key.folder.path().join("pins");
    std::fs::write(&path, "another line\n123456").unwrap();
    for fd in [0, 3] {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        ours.write_all(b"123456\n").unwrap();
        let output = shell(&key, &format!("$KEYFOB --pin-fd {fd} 3<&0"), OwnedFd::from(theirs));
        assert!(output.status.success(), "a socket, {fd}: {}", text(&output.stderr));
        let file = std::fs::File::open(&path).unwrap();
        let output = shell(&key, &format!("read line; $KEYFOB --pin-fd {fd} 3<&0"), file);
        assert!(output.status.success(), "a file, {fd}: {}", text(&output.stderr));
    }
}

#[test]
fn a_line_is_read_for_each_pin_and_the_rest_is_left() {
    let key = Served::new(&["--pin", "123456"]);
    let path = key.folder.path().join("pins");
    std::fs::write(&path, "123456\n123456\n").unwrap();
    let file = || std::fs::File::open(&path).unwrap();
    let output = shell(&key, "$KEYFOB --pin-fd 0 && $KEYFOB --pin-fd 0", file());
    assert_eq!((output.status.code(), text(&output.stdout).lines().count()), (Some(0), 2), "{}", text(&output.stderr));
    let output = shell(&key, "$KEYFOB --pin-fd 0 >&2 && $KEYFOB --pin-fd 0 >&2 && $KEYFOB --pin-fd 0", file());
    assert_eq!(json(&output)["error"]["message"], "a PIN is needed, and file descriptor 0 has no line for it");
}

#[test]
fn a_descriptor_that_cannot_be_used_is_named() {
    let key = Served::new(&["--pin", "123456"]);
    for (fd, input) in [("7", "123456\n"), ("3", "123456\n"), ("0", "\u{0}\n"), ("0", &"1".repeat(2000))] {
        let output = with_input(key.keyfob(&["credentials", "list", "--pin-fd", fd]), input);
        let said = text(&output.stderr);
        if input.starts_with('\0') {
            assert_eq!(output.status.code(), Some(5), "{said}");
            continue;
        }
        assert_eq!(output.status.code(), Some(13), "{said}");
        assert!(said.contains(&format!("file descriptor {fd}: ")), "{said}");
    }
}

#[test]
fn a_pin_that_is_not_needed_is_not_waited_for_and_ctrl_c_ends_the_wait_for_one() {
    let start = |key: &Served, command: &[&str]| {
        let mut child =
            key.keyfob(&[command, &["--json", "--pin-fd", "0"]].concat()).stdin(Stdio::piped()).spawn().unwrap();
        // Open until the program has ended.
        (child.stdin.take().unwrap(), child)
    };
    let key = Served::new(&["--pin", "123456"]);
    let (input, mut child) = start(&key, &["pin", "status"]);
    assert!(child.wait().unwrap().success());
    drop(input);
    let mut key = Served::new(&["--pin", "123456", "--json"]);
    let (input, child) = start(&key, &["credentials", "list"]);
    key.tells("authenticatorClientPIN");
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), &json(&output)["error"]["kind"]), (Some(130), &"interrupted".into()));
    drop(input);
}

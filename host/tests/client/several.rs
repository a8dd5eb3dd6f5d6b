//! Several keys: which are asked, and what becomes of the others.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Output},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::served::{Served, json, keyfob, text};

/// The touch of a key that is never touched, and its events.
const NEVER: [&str; 3] = ["--touch", "never", "--json"];

/// `select` below `keyfob run`, which has a key at /dev/hidraw0, and another key.
fn below_run(run: &[&str], other: &str) -> Command {
    let select = ["--", env!("CARGO_BIN_EXE_keyfob"), "select", "--json", "--key", "/dev/hidraw0", "--key", other];
    keyfob(&[&["run"], run, &select].concat())
}

/// Waits for a line of the standard error with this in it.
fn tells(errors: &mut impl BufRead, what: &str) {
    let mut line = String::new();
    while !line.contains(what) {
        line.clear();
        assert_ne!(errors.read_line(&mut line).unwrap(), 0, "it has ended before it told of {what}");
    }
}

/// Starts a command, and waits until it tells this.
fn until(mut command: Command, what: &str) -> (Child, BufReader<std::process::ChildStderr>) {
    let mut child = command.spawn().unwrap();
    let mut errors = BufReader::new(child.stderr.take().unwrap());
    tells(&mut errors, what);
    (child, errors)
}

fn select(keys: &[&Served]) -> Output {
    let keys: Vec<&str> = keys.iter().flat_map(|key| ["--key", &key.address]).collect();
    keyfob(&[&["select", "--json"], &keys[..]].concat()).output().unwrap()
}

#[test]
fn of_several_keys_the_one_that_is_touched_is_taken_and_the_others_stop_asking_and_are_free() {
    let (mut unix, mut tcp) = (Served::new(&NEVER), Served::over_tcp(&NEVER[..2]));
    let touched = Served::over_tcp(&["--touch", "after=300"]);
    let selection = select(&[&unix, &touched, &tcp]);
    assert_eq!(json(&selection)["address"], touched.address, "{}", text(&selection.stderr));
    for key in [&mut unix, &mut tcp] {
        key.tells("cancel");
        assert!(key.keyfob(&["info"]).output().unwrap().status.success(), "{} is free", key.address);
    }
}

#[test]
fn a_hid_device_and_a_socket_are_asked_together_and_either_can_be_touched() {
    let touched = Served::new(&["--touch", "after=300"]);
    let output = below_run(&["--touch", "never", "--json"], &touched.address).output().unwrap();
    assert_eq!(json(&output)["address"], touched.address, "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("\"cancel\""), "the device is cancelled: {}", text(&output.stderr));
    let mut never = Served::new(&NEVER);
    let output = below_run(&["--touch", "after=300"], &never.address).output().unwrap();
    assert_eq!(json(&output)["address"], "/dev/hidraw0", "{}", text(&output.stderr));
    never.tells("cancel");
}

#[test]
fn a_key_that_comes_while_others_are_asked_is_asked_too() {
    let (mut first, mut second) = (Served::new(&NEVER), Served::new(&NEVER));
    let folder = tempfile::tempdir().unwrap();
    let late = format!("unix:{}", folder.path().join("key").display());
    let keys = ["select", "--json", "--key", &late, "--key", &first.address, "--key", &second.address];
    let (child, _errors) = until(keyfob(&keys), &format!("  {}\n", second.address));
    first.tells("touchAsked");
    let _late = Served::below(folder, &[]);
    assert_eq!(json(&child.wait_with_output().unwrap())["address"], late);
    first.tells("cancel");
    second.tells("cancel");
}

#[test]
fn a_device_that_is_plugged_in_again_while_it_is_asked_is_asked_again() {
    let never = Served::new(&NEVER);
    let (child, mut errors) = until(below_run(&["--touch", "after=1500"], &never.address), &never.address);
    kill_process(Pid::from_child(&child), Signal::USR1).unwrap();
    tells(&mut errors, "  /dev/hidraw0: gone");
    tells(&mut errors, "  /dev/hidraw0");
    assert_eq!(json(&child.wait_with_output().unwrap())["address"], "/dev/hidraw0");
}

#[test]
fn keys_that_cannot_be_meant_are_not_asked_and_the_only_one_that_can_is_taken_without_a_touch() {
    let (holder, other) = (Served::new(&[]), Served::new(&NEVER));
    let made = holder.folder.path().join("made");
    std::fs::write(&made, holder.keyfob(&["register"]).output().unwrap().stdout).unwrap();
    let made = made.to_str().unwrap();
    let signed = holder.keyfob(&["sign-in", "--registration", made, "--key", &other.address]).output().unwrap();
    let said = text(&signed.stderr);
    let taken = format!("Of several security keys, {} is meant.\nTouch your security key.\n", holder.address);
    assert!(signed.status.success() && said.starts_with(&taken), "{said}");

    let (old, older) = (Served::new(&["--profile", "u2f_only"]), Served::new(&["--profile", "u2f_only"]));
    let with_pin = Served::new(&["--pin", "123456", "--touch", "never"]);
    let arguments = ["credentials", "list", "--key", &old.address, "--json"];
    assert_eq!(json(&with_pin.with_pins(&arguments, "123456\n"))["existing"], 0);
    let none = json(&older.keyfob(&arguments).output().unwrap());
    let message = "none of the security keys can do this: `keyfob info --key ADDRESS` shows what one can";
    assert_eq!((&none["error"]["exitCode"], &none["error"]["message"]), (&8.into(), &message.into()));
}

#[test]
fn ctrl_c_while_several_keys_are_asked_cancels_them_all() {
    let (mut first, mut second) = (Served::new(&NEVER), Served::new(&NEVER));
    let keys = ["select", "--json", "--key", &first.address, "--key", &second.address];
    let (child, _errors) = until(keyfob(&keys), &format!("  {}\n", second.address));
    first.tells("touchAsked");
    second.tells("touchAsked");
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(130));
    first.tells("cancel");
    second.tells("cancel");
}

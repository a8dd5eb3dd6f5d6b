//! What goes wrong: one line that says what happened and what to do, and an exit code for each.

use std::{
    io::{BufRead, BufReader, pipe},
    net::TcpListener,
    os::unix::{fs::PermissionsExt, net::UnixListener},
    process::{Child, Command},
};

use rustix::process::{Pid, Signal, geteuid, kill_process};

use crate::served::{Served, json, keyfob, text, with_input};

/// The exit code of the program, and its errors, when the reader of its output has gone.
fn without_reader(arguments: &[&str], pin: &str) -> (Option<i32>, String) {
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    let mut command = keyfob(arguments);
    command.stdout(writer);
    let output = with_input(command, &format!("{pin}\n"));
    (output.status.code(), text(&output.stderr))
}

#[test]
fn a_failure_has_its_exit_code_where_nobody_reads() {
    assert_eq!(without_reader(&["info", "--key", "unix:/nowhere/key", "--json"], "").0, Some(3));
    let key = Served::new(&["--pin", "123456"]);
    let wrong = ["credentials", "delete", "AAAA", "--yes", "--json", "--pin-fd", "0", "--key", &key.address];
    assert_eq!(without_reader(&wrong, "000000").0, Some(5));
}

#[test]
fn what_the_key_made_and_nobody_has_read_is_a_failure() {
    let key = Served::new(&["--pin", "123456"]);
    let made = key.with_pins(&["register", "--secret"], "123456\n");
    let file = key.folder.path().join("made");
    std::fs::write(&file, made.stdout).unwrap();
    let file = file.to_str().unwrap();
    for (arguments, what) in [
        (&["secret", file, "--purpose", "disk"][..], "the secret"),
        (&["secret", file, "--purpose", "disk", "--json"], "the secret"),
        (&["register"], "the key's response"),
        (&["sign-in", "--registration", file], "the key's response"),
    ] {
        let arguments = [arguments, &["--pin-fd", "0", "--key", &key.address]].concat();
        let (code, said) = without_reader(&arguments, "123456");
        let message = format!("keyfob: {what} could not be written to the standard output");
        assert!(code == Some(1) && said.contains(&message), "{arguments:?} {code:?} {said}");
    }
}

#[test]
fn without_a_key_it_is_said_that_there_is_none() {
    for (address, message) in [
        ("unix:/nowhere/key", "there is no key at unix:/nowhere/key"),
        ("/dev/hidraw4711", "there is no key at /dev/hidraw4711"),
        ("/dev/null", "/dev/null is not a security key: `keyfob list` shows those there are"),
    ] {
        let output = keyfob(&["info", "--key", address]).output().unwrap();
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(3), format!("keyfob: {message}\n")));
        let error = &json(&keyfob(&["info", "--json", "--key", address]).output().unwrap())["error"];
        assert_eq!((&error["kind"], &error["message"]), (&"noKey".into(), &message.into()));
    }
    let folder = tempfile::tempdir().unwrap();
    let stale = folder.path().join("stale");
    drop(UnixListener::bind(&stale).unwrap());
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for address in [format!("unix:{}", stale.display()), format!("tcp:127.0.0.1:{port}")] {
        let output = keyfob(&["info", "--key", &address]).output().unwrap();
        let message = format!("keyfob: there is no key at {address}: nothing listens there\n");
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(3), message));
    }
    for wrong in ["key", "tcp:localhost", "tcp:localhost:", "tcp:localhost:http", "tcp:localhost:65536", "tcp::7000"] {
        let output = keyfob(&["info", "--key", wrong]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{wrong}");
        let said = text(&output.stderr);
        assert!(said.contains("/dev/hidrawN, tcp:HOST:PORT or unix:PATH"), "{wrong}: {said}");
    }
}

#[test]
fn a_socket_that_this_user_may_not_open_leads_to_the_user_who_serves_it() {
    let key = Served::new(&[]);
    // Nobody but its owner may look into the folder, and its owner not either.
    std::fs::set_permissions(key.folder.path(), PermissionsExt::from_mode(0o0)).unwrap();
    let program = env!("CARGO_BIN_EXE_keyfob");
    let mut command = if geteuid().is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "65534", "--clear-groups", program]);
        command
    } else {
        Command::new(program)
    };
    let output = command.args(["info", "--key", &key.address]).output().unwrap();
    std::fs::set_permissions(key.folder.path(), PermissionsExt::from_mode(0o700)).unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("the user who serves it"), "{}", text(&output.stderr));
}

/// The program when it has asked for a touch.
fn asks_for_touch(key: &Served, arguments: &[&str]) -> (Child, String) {
    let mut child = key.keyfob(arguments).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    (child, line)
}

#[test]
fn ctrl_c_during_a_touch_ends_with_a_key_that_stops_asking() {
    let mut key = Served::new(&["--touch", "never", "--json"]);
    let (child, line) = asks_for_touch(&key, &["select", "--json"]);
    assert_eq!(line, "Touch your security key.\n");
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), &json(&output)["error"]["kind"]), (Some(130), &"interrupted".into()));
    key.tells("\"cancel\"");
    assert!(key.keyfob(&["info"]).output().unwrap().status.success(), "the key is free");
}

#[test]
fn a_key_that_is_unplugged_while_it_waits_for_a_touch_is_missed_at_once() {
    let key = Served::new(&["--touch", "never"]);
    let (child, _) = asks_for_touch(&key, &["select", "--json"]);
    drop(key);
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), &json(&output)["error"]["kind"]), (Some(14), &"connectionLost".into()));
}

#[test]
fn a_touch_that_is_declined_has_its_own_exit_code() {
    let key = Served::new(&["--touch", "deny"]);
    let output = key.keyfob(&["select"]).output().unwrap();
    assert_eq!(output.status.code(), Some(7));
    assert!(text(&output.stderr).ends_with("keyfob: the request was declined at the key\n"));
}

#[test]
fn a_reader_that_goes_does_no_harm() {
    let key = Served::new(&[]);
    let script =
        format!("{{ {} info --all --key {}; echo $? >&2; }} | true", env!("CARGO_BIN_EXE_keyfob"), key.address);
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    assert_eq!(text(&output.stderr), "0\n");
}

#[test]
fn a_key_of_u2f_is_shown_and_what_it_cannot_do_is_said() {
    let key = Served::new(&["--profile", "u2f_only"]);
    let info = json(&key.keyfob(&["info", "--json"]).output().unwrap());
    assert_eq!((&info["info"]["versions"][0], &info["pinRetries"]), (&"U2F_V2".into(), &serde_json::Value::Null));
    let status = text(&key.keyfob(&["pin", "status"]).output().unwrap().stdout);
    assert_eq!(status, "PIN: not supported\n");
    for arguments in [&["pin", "set"][..], &["credentials", "list"], &["reset", "--yes"]] {
        let output = key.keyfob(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(8), "{arguments:?} {}", text(&output.stderr));
    }
    assert!(key.keyfob(&["select"]).output().unwrap().status.success());
}

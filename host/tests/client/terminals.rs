//! PINs and consent on a terminal.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Write},
    process::{Child, Command, Stdio},
};

use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, tcgetattr},
};

use crate::served::{Served, text};

/// The program in the foreground of a terminal of its own.
struct Session {
    terminal: File,
    child: Child,
    /// What the terminal has shown.
    shown: String,
}

impl Session {
    fn new(key: &Served, arguments: &[&str]) -> Self {
        Self::typed_ahead(key, arguments, "")
    }

    /// One on whose terminal this was typed before the program began.
    fn typed_ahead(key: &Served, arguments: &[&str], typed: &str) -> Self {
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&terminal).unwrap();
        unlockpt(&terminal).unwrap();
        let path = ptsname(&terminal, Vec::new()).unwrap().into_string().unwrap();
        let input = OpenOptions::new().read(true).write(true).open(path).unwrap();
        let mut terminal = File::from(terminal);
        terminal.write_all(typed.as_bytes()).unwrap();
        let child = Command::new("setsid")
            .args(["--ctty", "env", "--default-signal=INT", env!("CARGO_BIN_EXE_keyfob")])
            .args(arguments)
            .args(["--key", &key.address])
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self { terminal, child, shown: String::new() }
    }

    /// Waits until the terminal shows this, and types that.
    fn answer(&mut self, question: &str, answer: &str) {
        let mut bytes = [0; 256];
        while !self.shown.contains(question) {
            let count = self.terminal.read(&mut bytes).unwrap();
            self.shown.push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
        self.shown.clear();
        self.terminal.write_all(answer.as_bytes()).unwrap();
    }

    /// Its exit status, and what it has written to its output and its errors.
    fn end(self) -> (Option<i32>, String, String) {
        let output = self.child.wait_with_output().unwrap();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    }
}

fn shows_what_is_typed(terminal: &File) -> bool {
    tcgetattr(terminal).unwrap().local_modes.contains(LocalModes::ECHO)
}

#[test]
fn a_pin_is_asked_for_without_echo_and_again_when_it_is_wrong() {
    let key = Served::new(&["--pin", "123456"]);
    let mut session = Session::new(&key, &["credentials", "list", "--json"]);
    session.answer("PIN of your security key: ", "000000\n");
    session.answer("PIN of your security key: ", "123456\n");
    let (code, output, errors) = session.end();
    assert_eq!((code, errors.as_str()), (Some(0), "The PIN is wrong: 7 attempts are left.\n"));
    assert!(output.starts_with("{\"credentials\":[]"), "{output}");
}

#[test]
fn ctrl_c_at_the_question_for_a_pin_ends_and_leaves_a_terminal_that_shows_what_is_typed() {
    let key = Served::new(&["--pin", "123456"]);
    let mut session = Session::new(&key, &["credentials", "list"]);
    session.answer("PIN of your security key: ", "");
    let mut terminal = session.terminal.try_clone().unwrap();
    assert!(!shows_what_is_typed(&terminal));
    // The kernel may throw away what the program writes at once after it.
    terminal.write_all(b"\x03").unwrap();
    assert_eq!(session.end().0, Some(130));
    assert!(shows_what_is_typed(&terminal));
}

#[test]
fn a_new_pin_is_typed_twice_until_both_are_the_same() {
    let key = Served::new(&[]);
    let mut session = Session::new(&key, &["pin", "set"]);
    session.answer("New PIN (4 characters or more): ", "123456\n");
    session.answer("The new PIN again: ", "123457\n");
    session.answer("New PIN (4 characters or more): ", "123456\n");
    session.answer("The new PIN again: ", "123456\n");
    let (code, output, errors) = session.end();
    assert_eq!((code, output.as_str(), errors.as_str()), (Some(0), "The PIN is set.\n", "The two are not the same.\n"));
}

#[test]
fn a_reset_that_is_not_agreed_to_changes_nothing() {
    let key = Served::new(&["--pin", "123456"]);
    for (answer, code) in [("no\n", 15), ("\x03", 130), ("yes\n", 0)] {
        let mut session = Session::new(&key, &["reset"]);
        session.answer("Type yes to go on: ", answer);
        assert_eq!(session.end().0, Some(code), "{answer:?}");
    }
}

#[test]
fn what_was_typed_before_a_question_is_no_answer_to_it() {
    let key = Served::new(&["--pin", "123456"]);
    let mut session = Session::typed_ahead(&key, &["reset"], "yes\n");
    session.answer("Type yes to go on: ", "no\n");
    assert_eq!(session.end().0, Some(15));
    let mut session = Session::typed_ahead(&key, &["credentials", "list"], "000000\n");
    session.answer("PIN of your security key: ", "123456\n");
    let (code, _, errors) = session.end();
    assert_eq!((code, errors.contains("wrong")), (Some(0), false), "{errors}");
}

#[test]
fn an_account_is_chosen_and_ctrl_c_at_the_choice_is_told_from_no_choice() {
    let key = Served::new(&[]);
    for user in ["alice", "bob"] {
        assert!(key.keyfob(&["register", "--passkey", "--user", user]).output().unwrap().status.success());
    }
    for (answer, code) in [("2\n", 0), ("3\n", 15), ("\x03", 130)] {
        let mut session = Session::new(&key, &["sign-in"]);
        session.answer("Which one? ", answer);
        assert_eq!(session.end().0, Some(code), "{answer:?}");
    }
}

#[test]
fn a_finger_that_is_not_recognised_is_told_with_the_attempts_that_are_left_and_leads_to_the_pin() {
    let key = Served::new(&["--pin", "123456", "--finger", "thumb", "--uv", "mismatch"]);
    let mut session = Session::new(&key, &["credentials", "list"]);
    session.answer("PIN of your security key: ", "123456\n");
    let (code, _, errors) = session.end();
    let told: Vec<&str> = errors.lines().filter(|line| line.starts_with("The finger")).collect();
    let left = |left: u8| format!("The finger was not recognised: {left} attempts are left.");
    assert_eq!((code, told), (Some(0), vec![&left(4)[..], &left(3), "The finger was not recognised: use the PIN."]));
}
